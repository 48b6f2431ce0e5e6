"""Equality as clause V2 means it: types, signs of zeros, NaN and the order of dicts included."""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Collection, Iterable
from typing import Any, NoReturn

from fastadk_memory.contract.show import CUT, show
from fastadk_memory.contract.violations import Violation

__all__ = ["as_stored", "expect", "expect_keys", "fail", "identical"]

_WHOLE = 240  # the length of a message up to which both values stand in it as they are
_FEW = 10  # how many keys a message lists


def as_stored(value: object) -> object:
    """Return `value` as every backend gives it back: tuples as lists, subclasses as their base."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return bytes(memoryview(value))
    if isinstance(value, (list, tuple)):
        return [as_stored(part) for part in value]
    if isinstance(value, dict):
        return {str.__str__(name): as_stored(part) for name, part in value.items()}
    return value


def identical(left: object, right: object) -> bool:
    """Tell whether two values of the domain are the same to the last bit.

    `True`, `1` and `1.0` differ, `0.0` and `-0.0` differ, a NaN equals a NaN, and dicts
    with the same items in another order differ.
    """
    # No recursion: values may be nested as deep as Python itself goes.
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if type(one) is not type(other):
            return False
        if isinstance(one, float) and isinstance(other, float):
            if one != one and other != other:
                continue
            if struct.pack("d", one) != struct.pack("d", other):
                return False
        elif isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
            if len(one) != len(other):
                return False
            pairs += zip(one, other, strict=True)
        elif isinstance(one, dict) and isinstance(other, dict):
            if list(one) != list(other):
                return False
            pairs += zip([*one, *one.values()], [*other, *other.values()], strict=True)
        elif one != other:
            return False
    return True


def expect(seen: object, expected: object, what: str, *, clause: str | None = None) -> None:
    """Require that `seen` is `expected`, to the last bit.

    Args:
        seen: What the backend answered.
        expected: What it had to answer.
        what: What was asked, such as `get('a')`, for the message.
        clause: The clause that is broken otherwise, if not the law's own.

    Raises:
        Violation: They differ.
    """
    if not identical(seen, expected):
        raise Violation(f"{what} is {_told(seen, expected)}", clause=clause)


def _told(seen: object, expected: object) -> str:
    """Return both values, or where they are large only what differs in them."""
    whole = f"{show(seen)}, expected {show(expected)}"
    if len(whole) <= _WHOLE and CUT not in whole:
        return whole
    path, one, other = _difference(seen, expected)
    if isinstance(one, (list, dict)) and type(one) is type(other):
        return f"not the same at {path}: {_told_apart(one, other)}"
    return f"not the same at {path}: {show(one)}, expected {show(other)}"


def _told_apart(seen: Any, expected: Any) -> str:
    """Return how two large lists or dicts of the same type differ as a whole."""
    kind = type(seen).__name__
    if len(seen) != len(expected):
        told = f"a {kind} of {len(seen)} parts, expected {len(expected)}"
    else:
        told = f"a {kind} with other names, or in another order,"
    return f"{told}: {show(seen)}, expected {show(expected)}"


def _difference(seen: object, expected: object) -> tuple[str, object, object]:
    """Return the path to the first difference, and what is there on both sides."""
    path = "$"
    while type(seen) is type(expected):
        parts: list[tuple[str, object, object]] = []
        if isinstance(seen, (str, bytes)) and isinstance(expected, (str, bytes)):
            start = max(0, _first_unlike(seen, expected) - 8)
            reach = slice(start, start + 24)
            size = f"{len(seen):_} and {len(expected):_} long"
            return f"{path}[{start}:{start + 24}] ({size})", seen[reach], expected[reach]
        if isinstance(seen, list) and isinstance(expected, list) and len(seen) == len(expected):
            parts = [
                (f"{path}[{at}]", *pair) for at, pair in enumerate(zip(seen, expected, strict=True))
            ]
        if isinstance(seen, dict) and isinstance(expected, dict) and list(seen) == list(expected):
            parts = [(f"{path}[{show(name)}]", seen[name], expected[name]) for name in seen]
        unlike = next((each for each in parts if not identical(each[1], each[2])), None)
        if unlike is None:
            break
        path, seen, expected = unlike
    return path, seen, expected


def _first_unlike(one: str | bytes, other: str | bytes) -> int:
    ends = range(1, max(len(one), len(other)) + 1)
    return bisect_left(ends, True, key=lambda end: one[:end] != other[:end])


def expect_keys(
    seen: Collection[str], expected: Iterable[str], what: str, *, clause: str | None = None
) -> None:
    """Require that a listing holds exactly the `expected` keys, each once, in any order.

    Raises:
        Violation: It does not; the message tells what is missing, foreign or doubled.
    """
    if not isinstance(seen, list):
        raise Violation(
            f"{what} is {show(seen)}: it is a {type(seen).__name__}, not a list", clause=clause
        )
    foreign = [key for key in seen if type(key) is not str]
    if foreign:
        kind = type(foreign[0]).__name__
        raise Violation(
            f"{what} holds {show(foreign[0])}, which is a {kind}, not a str", clause=clause
        )
    wanted = set(expected)
    found = set(seen)
    told = show(seen) if len(seen) <= _FEW else f"{len(seen)} keys"
    faults: list[str] = []
    if wanted - found:
        faults.append(f"it lacks {_some(wanted - found)}")
    if found - wanted:
        faults.append(f"it must not hold {_some(found - wanted)}")
    if len(found) < len(seen):
        faults.append("it names a key twice")
    if faults:
        raise Violation(f"{what} is {told}: {'; '.join(faults)}", clause=clause)


def _some(keys: Collection[str]) -> str:
    first = show(sorted(keys)[:_FEW])
    return first if len(keys) <= _FEW else f"{first} and {len(keys) - _FEW} more"


def fail(message: str, *, clause: str | None = None) -> NoReturn:
    """Say that a clause is broken.

    Raises:
        Violation: Always.
    """
    raise Violation(message, clause=clause)
