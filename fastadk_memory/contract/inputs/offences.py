"""Values that cannot be stored: foreign types, dicts with other keys, and what holds itself."""

from __future__ import annotations

from array import array
from collections import UserDict, UserList, UserString, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import cycle
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, TypeAlias
from uuid import UUID

from fastadk_memory.contract.show import show

__all__ = ["Offence", "foreign_parts", "offences", "placed"]

Step: TypeAlias = "str | int | tuple[int]"


@dataclass(frozen=True)
class Offence:
    """A value that cannot be stored.

    Attributes:
        value: The whole value.
        path: Where the offending part stands in it, or begins to.
        kind: The name of the part's type; empty where it is not the type that offends, and
            the path may then go on.
        lines: What makes the variable `value`, where that takes more than an expression.
    """

    value: Any
    path: str = "$"
    kind: str = ""
    lines: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return show(self.value)


class Plain(Enum):
    """An enum of nothing in particular."""

    A = 1


@dataclass
class Message:
    """A dataclass, which some codecs take for a dict."""

    text: str = "hello"
    parts: list[int] = field(default_factory=list[int])


class Proxy:
    """Says of itself that it is a list, as lazy proxies and mocks do."""

    def __getattribute__(self, name: str) -> Any:
        return list if name == "__class__" else object.__getattribute__(self, name)

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return "Proxy()"


class Mappish:
    """Has what `dict()` asks for, without being a dict."""

    def keys(self) -> list[str]:
        """Return the names."""
        return ["a"]

    def __getitem__(self, name: str) -> int:
        return 1

    def __repr__(self) -> str:
        return "Mappish()"


def foreign_parts() -> list[Any]:
    """Return objects of types outside of the domain, some of which codecs silently convert."""
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    return [
        moment, moment.replace(tzinfo=None), date(2026, 1, 2), time(3, 4), timedelta(seconds=5),
        Decimal("1.5"), Fraction(1, 3), 1j, UUID(int=7), PurePosixPath("a"),
        bytearray(b"abc"), bytearray(), memoryview(b"abc"), array("i", [1]), range(3),
        set[int](), {1}, frozenset({"a"}), deque([1]), iter([1]), (n for n in (1, 2)),
        {"a": 1}.keys(), {"a": 1}.items(), MappingProxyType({"a": 1}), SimpleNamespace(a=1),
        UserDict({"a": 1}), UserList([1]), UserString("a"),
        Message(), Mappish(), Proxy(), Plain.A, object(), int, len, ..., NotImplemented,
        ValueError("a"),
    ]  # fmt: skip


PLACES: tuple[tuple[Step, ...], ...] = (
    (), ("messages", 3, "when"), (0,), (2,), ((1,),), ("a",), ("a", "b", "c"), (1, 1, 1),
    ("a", (2,), 0, "b"), (0, "first_", (0,)), ("_x", 11),
    ("a_rather_long_name", "another_rather_long_name", 12, "and_" * 20, "when"), (3,) * 20,
)  # fmt: skip
"""Where an offending part may stand."""


def at_place(part: Any, steps: tuple[Step, ...]) -> tuple[Any, str]:
    """Return a value that holds `part` at the end of `steps`, and the path to it.

    Args:
        part: Anything.
        steps: From the outside: a name in a dict, a position in a list, or one in a tuple,
            which is written as a tuple of its own.
    """
    path = ""
    for step in reversed(steps):
        if isinstance(step, str):
            part = {"first": 1, step: part, "last": None}
            path = f".{step}{path}"
        elif isinstance(step, tuple):
            part = (*range(step[0]), part, "last")
            path = f"[{step[0]}]{path}"
        else:
            part = [*range(step), part, "last"]
            path = f"[{step}]{path}"
    return part, f"${path}"


def loops() -> list[Offence]:
    """Return values that hold themselves."""
    in_list: list[Any] = [1]
    in_list.append(in_list)
    in_dict: dict[str, Any] = {"a": 1}
    in_dict["self"] = in_dict
    ring: list[Any] = []
    ring.append({"next": [1, ring]})
    in_tuple: list[Any] = []
    in_tuple.append((in_tuple,))
    inside = {"x": [0, in_dict]}
    return [
        Offence(in_list, lines=("value = [1]", "value.append(value)")),
        Offence(in_dict, lines=("value = {'a': 1}", "value['self'] = value")),
        Offence(ring, lines=("value = []", "value.append({'next': [1, value]})")),
        Offence(in_tuple, lines=("value = []", "value.append((value,))")),
        Offence(
            inside, lines=("loop = {'a': 1}", "loop['self'] = loop", "value = {'x': [0, loop]}")
        ),
    ]


def misfits() -> list[dict[Any, Any]]:
    """Return dicts with keys that are no `str`."""
    return [
        {1: "a"}, {"a": 1, 2: "b"}, {None: 1}, {b"a": 1}, {True: 1}, {1.5: 1}, {("a",): 1},
        {"1": "a", 1: "b"}, {Plain.A: 1}, {frozenset({1}): 1},
    ]  # fmt: skip


def offences() -> list[Offence]:
    """Return all of them: each foreign part somewhere, and one everywhere."""
    when = datetime(2026, 1, 2, tzinfo=timezone.utc)
    made = [placed(when, steps) for steps in PLACES]
    made += [placed(part, ()) for part in foreign_parts()]
    made += [
        placed(part, steps) for part, steps in zip(foreign_parts(), cycle(PLACES[1:]), strict=False)
    ]
    made += [
        Offence(*at_place(part, steps))
        for part, steps in zip(misfits(), cycle(PLACES), strict=False)
    ]
    return [*made, *loops()]


def placed(part: Any, steps: tuple[Step, ...]) -> Offence:
    """Return the offence of `part`, which is of a foreign type, at the end of `steps`."""
    value, path = at_place(part, steps)
    return Offence(value, path, type(part).__name__)
