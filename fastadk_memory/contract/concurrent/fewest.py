"""As few calls as show that a history is not linearizable."""

from __future__ import annotations

from collections.abc import Sequence

from fastadk_memory.contract.compare import identical
from fastadk_memory.contract.concurrent.operations import CONFLICT, Operation
from fastadk_memory.contract.concurrent.ordersearch import Answer, search

__all__ = ["fewest"]


def fewest(calls: Sequence[Operation], budget: int) -> list[Operation]:
    """Leave out calls for as long as the rest is not linearizable, larger parts first."""
    kept = sorted(calls, key=lambda call: call.start)
    kept = _only_beginning(kept, budget)
    size = max(1, len(kept) // 2)
    tries = 1_000
    while tries > 0:
        before = len(kept)
        at = 0
        while at < len(kept) and tries > 0:
            fewer = _without(kept, kept[at : at + size])
            tries -= 1
            if len(fewer) < len(kept) and search(fewer, budget) is Answer.NO:
                kept = fewer
            else:
                at += size
        if size == 1 and len(kept) == before:
            break
        size = max(1, size // 2)
    return kept


def _only_beginning(calls: list[Operation], budget: int) -> list[Operation]:
    """Return the calls up to about the first answer that cannot be explained any more."""
    low, high = 0, len(calls)
    kept = calls
    while low + 1 < high:
        middle = (low + high) // 2
        fewer = _without(calls, calls[middle:])
        if search(fewer, budget) is Answer.NO:
            high, kept = middle, fewer
        else:
            low = middle
    return kept


def _without(calls: Sequence[Operation], unwanted: Sequence[Operation]) -> list[Operation]:
    """Leave out what can be left out of `unwanted` without falsifying the history.

    Reads can go, but for the one that tells a later `compare_and_set` its version. A write
    can go only if none of the calls that stay may have read it: else the history would show
    a read of something that nobody wrote.
    """
    kept = list(calls)
    # The reads first: then their writes can go, too.
    for call in sorted(unwanted, key=lambda call: not call.reads):
        needed = _relies_on if call.reads else _may_have_seen
        if not any(needed(other, call, kept) for other in kept):
            kept = [other for other in kept if other is not call]
    return kept


def _relies_on(writer: Operation, read: Operation, kept: Sequence[Operation]) -> bool:
    if writer.kind != "compare_and_set" or writer.result is CONFLICT:
        return False
    if read.kind != "get_entry" or read.result is None:
        return False
    return bool(read.result[1] == writer.argument[0])


def _may_have_seen(reader: Operation, writer: Operation, kept: Sequence[Operation]) -> bool:
    if reader is writer or reader.open_ended:
        return reader is not writer and reader.kind == "compare_and_set"
    if reader.kind in ("set", "delete"):
        return False
    if _shows(reader, writer):
        return True
    return _fits(reader, writer) and not _hidden(reader, writer, kept)


def _shows(reader: Operation, writer: Operation) -> bool:
    """Tell whether an answer is the very value or version that a call wrote."""
    if writer.kind == "delete":
        return False
    if reader.kind == "compare_and_set":
        return isinstance(writer.result, str) and reader.argument[0] == writer.result
    if reader.kind == "exists" or reader.result is None:
        return False
    value = reader.result[0] if reader.kind == "get_entry" else reader.result
    return identical(value, writer.written)


def _fits(reader: Operation, writer: Operation) -> bool:
    """Tell whether an answer could be due to a call, though it does not show that."""
    if reader.kind == "compare_and_set":
        return True
    if reader.kind == "exists":
        return bool(reader.result) == (writer.kind != "delete")
    return reader.result is None and writer.kind == "delete"


def _hidden(reader: Operation, writer: Operation, kept: Sequence[Operation]) -> bool:
    """Tell whether a reader certainly came before a writer, or another write between them."""
    assert reader.end is not None
    if reader.end < writer.start:
        return True
    return any(
        between is not writer
        and between is not reader
        and not between.reads
        and not between.cancelled
        and writer.end is not None
        and writer.end < between.start
        and between.end is not None
        and between.end < reader.start
        for between in kept
    )
