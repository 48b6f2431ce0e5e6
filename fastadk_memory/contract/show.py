"""Values as Python source, short enough to read, exact enough to paste."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from itertools import islice
from typing import TypeAlias, cast

from fastadk_memory.base import Absent, MemoryEntry

__all__ = ["CUT", "Name", "show", "show_call"]

CUT = "... ("
"""What stands where a long text is cut off."""

_LONG = 80
_DEEP = 12
_WIDE = 800
_BASES = (bool, int, float, str, bytes, list, tuple, dict)

_Container: TypeAlias = "list[object] | tuple[object, ...] | dict[object, object]"


class Name(str):
    """The name of a variable, or another piece of source: shown as it stands."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str.__str__(self)


def show(value: object) -> str:
    """Return an expression that evaluates to `value`, or describes it where none can.

    Long runs of one character or byte become a product. What is nested deeply is cut, and
    so is what goes on for long, and what holds itself.

    Args:
        value: Anything.
    """
    return _show(value, ())


def _show(value: object, around: tuple[int, ...]) -> str:
    kind = type(value)
    if kind is str or kind is bytes:
        return _show_text(cast("str | bytes", value))
    if kind is list or kind is tuple or kind is dict:
        return _show_container(cast("_Container", value), around)
    if kind is float and not math.isfinite(cast("float", value)):
        return f'float("{value}")'
    if kind is int and abs(cast("int", value)) >= 10**40:
        return _show_big(cast("int", value))
    return _show_other(value)


def _show_container(value: _Container, around: tuple[int, ...]) -> str:
    if id(value) in around or len(around) > _DEEP:
        return "..."
    around = (*around, id(value))
    if isinstance(value, dict):
        shown = (f"{_show(name, around)}: {_show(part, around)}" for name, part in value.items())
        parts, left = _within_budget(shown, len(value))
        return "{" + ", ".join(parts + [f"'...': '{left} more'"] * (left > 0)) + "}"
    parts, left = _within_budget((_show(part, around) for part in value), len(value))
    inner = ", ".join(parts + ["..."] * (left > 0))
    if isinstance(value, list):
        return f"[{inner}]"
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def _show_other(value: object) -> str:
    if isinstance(value, Absent):
        return "ABSENT"
    if isinstance(value, timedelta):
        return f"timedelta(seconds={value.total_seconds()!r})"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, MemoryEntry):
        return _show_entry(value)
    try:
        text = _subclass_named(value, repr(value))
    except Exception as error:  # noqa: BLE001 (a strange object must not hide the finding)
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
    # The addresses of objects differ from run to run.
    text = re.sub(r" at 0x[0-9a-fA-F]+", "", text)
    return text if len(text) <= 4 * _LONG else f"{text[: 4 * _LONG]}..."


def _subclass_named(value: object, text: str) -> str:
    """Return `text`, the repr of `value`, so that it does not pass for its base type's."""
    for base in _BASES:
        # bool is an int that needs no word about it; it comes first.
        if isinstance(value, base):
            borrowed = type(value) is not base and type(value).__repr__ is base.__repr__
            return f"{type(value).__name__}({text})" if borrowed else text
    return text


def _show_entry(entry: MemoryEntry) -> str:
    given = [f"key={show(entry.key)}", f"value={show(entry.value)}"]
    times = {"created_at": entry.created_at, "expires_at": entry.expires_at}
    given += [f"{name}={moment}" for name, moment in times.items() if moment is not None]
    given += [f"metadata={show(entry.metadata)}"] * bool(entry.metadata)
    given += [f"version={show(entry.version)}"] * (entry.version is not None)
    return f"MemoryEntry({', '.join(given)})"


def _within_budget(shown: Iterator[str], number: int) -> tuple[list[str], int]:
    """Return as many of the shown parts as can be read, and how many are left out."""
    parts: list[str] = []
    length = 0
    for part in islice(shown, _LONG):
        if length > _WIDE:
            break
        parts.append(part)
        length += len(part)
    return parts, number - len(parts)


def _show_text(text: str | bytes) -> str:
    if len(text) <= _LONG:
        return repr(text)
    product = _as_product(text)
    if product is not None:
        return product
    if len(text) <= 16 * _LONG:
        return repr(text)
    # Words in brackets and not a comment, which would swallow the rest of the line.
    rest = f"{CUT}{len(text):_} in all)"
    if isinstance(text, bytes):
        return f"{text[:_LONG]!r} + {rest.encode()!r}"
    return f"{text[:_LONG]!r} + {rest!r}"


def _as_product(text: str | bytes) -> str | None:
    """Return a text that repeats its beginning, up to a short rest, as a product."""
    for size in (1, 2, 3, 4, 5, 8, 16, 256):
        unit = text[:size]
        most = len(text) // size
        # How often the text repeats its beginning: it does so n times only if n - 1 times.
        times = bisect_left(range(1, most + 1), True, key=lambda n: text[: n * size] != unit * n)
        rest = text[times * size :]
        if times > 1 and len(rest) <= _LONG // 2:
            return f"{unit!r} * {times:_}" + (f" + {rest!r}" if rest else "")
    return None


def _show_big(value: int) -> str:
    sign = "-" if value < 0 else ""
    size = abs(value)
    for near in (-1, 0, 1):
        power = size - near
        if power & (power - 1) == 0:
            return f"{sign}(2**{power.bit_length() - 1}{f' {near:+}' if near else ''})"
    return hex(value)


def show_call(
    receiver: str, method: str, args: tuple[object, ...], kwargs: dict[str, object]
) -> str:
    """Return a call as Python source."""
    given = [show(each) for each in args]
    given += [f"{name}={show(each)}" for name, each in kwargs.items()]
    return f"{receiver}.{method}({', '.join(given)})"
