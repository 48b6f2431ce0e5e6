"""Concurrent calls as a table: a column for each client, a line for each moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastadk_memory.base import ABSENT
from fastadk_memory.contract.concurrent.operations import CONFLICT, Operation
from fastadk_memory.contract.show import show

__all__ = ["called", "timetable"]

_WIDEST = 60


def timetable(operations: Sequence[Operation]) -> str:
    """Return calls as a table in which time goes down.

    A call that nothing happened during takes one line, any other one for its begin and one
    for its end.

    Args:
        operations: The calls, of one key or several, in any order.
    """
    clients = sorted({operation.client for operation in operations}, key=str)
    lines = _lines(sorted(operations, key=lambda operation: operation.start))
    width = {client: len(str(client)) for client in clients}
    for client, text in lines:
        width[client] = max(width[client], len(text))
    head = "    " + "  ".join(str(client).ljust(width[client]) for client in clients)
    table = [head.rstrip()]
    for number, (client, text) in enumerate(lines, start=1):
        cells = [(text if each == client else "").ljust(width[each]) for each in clients]
        table.append(f"{number:>3} {'  '.join(cells)}".rstrip())
    return "\n".join(table)


def _lines(operations: Sequence[Operation]) -> list[tuple[object, str]]:
    names = _names_of_versions(operations)
    # At one moment starts come before ends, as in the search.
    moments = [(each.start, 0, at) for at, each in enumerate(operations)]
    moments += [(each.end, 1, at) for at, each in enumerate(operations) if each.end is not None]
    moments.sort()
    lines: list[tuple[object, str]] = []
    for place, (_, is_end, at) in enumerate(moments):
        operation = operations[at]
        call = called(operation, names)
        at_once = place + 1 < len(moments) and moments[place + 1] == (operation.end, 1, at)
        if is_end and moments[place - 1] == (operation.start, 0, at):
            continue
        if is_end:
            lines.append((operation.client, f"{call} ends{_result(operation, names)}"))
        elif at_once:
            lines.append((operation.client, f"{call}{_result(operation, names)}"))
        elif operation.failure:
            lines.append((operation.client, f"{call}, raising {operation.failure}"))
        else:
            never = ", and nobody knows how it ended" if operation.end is None else ""
            lines.append((operation.client, f"{call} begins{never}"))
    return lines


def called(operation: Operation, names: Mapping[object, str] | None = None) -> str:
    """Return the call of an operation as source, without its receiver.

    Args:
        operation: The operation.
        names: Short names of versions.
    """
    if operation.call:
        return operation.call
    given = [show(operation.key)]
    if operation.kind == "set":
        given.append(_short(operation.argument))
    elif operation.kind == "compare_and_set":
        expect, value = operation.argument
        shown = "ABSENT" if expect is ABSENT else (names or {}).get(expect, show(expect))
        given += [_short(value), f"expect={shown}"]
    return f"{operation.kind}({', '.join(given)})"


def _result(operation: Operation, names: dict[object, str]) -> str:
    if operation.cancelled:
        return ", cancelled"
    result = operation.result
    if result is CONFLICT:
        return ", raising ConflictError"
    if operation.kind in ("set", "delete"):
        return ""
    if operation.kind == "compare_and_set":
        return f" -> {names.get(result, show(result))}"
    if operation.kind == "get_entry" and result is not None:
        value, version = result
        at = "" if version is None else f" at {names.get(version, show(version))}"
        return f" -> {_short(value)}{at}"
    return f" -> {_short(result)}"


def _names_of_versions(operations: Sequence[Operation]) -> dict[object, str]:
    """Give versions, which are long and random, short names."""
    versions: list[object] = []
    for operation in operations:
        if operation.kind == "compare_and_set":
            versions += [operation.argument[0], operation.result]
        elif operation.kind == "get_entry" and operation.result is not None:
            versions.append(operation.result[1])
    known = dict.fromkeys(each for each in versions if isinstance(each, str))
    return {version: f"version_{number}" for number, version in enumerate(known, start=1)}


def _short(value: object) -> str:
    text = show(value)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."
