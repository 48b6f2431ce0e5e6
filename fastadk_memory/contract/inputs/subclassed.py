"""Values of the domain whose types are subclasses of its types, as real programs store them."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from enum import Enum, IntEnum, IntFlag
from typing import Any, NamedTuple

__all__ = ["SUBCLASSED", "Colour", "Text"]


class Text(str):
    """A `str` that tells people something else than it says."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"<{str.__str__(self)}>"


class Number(int):
    """An `int` of another class."""


class Ratio(float):
    """A `float` of another class."""


class Blob(bytes):
    """A `bytes` of another class."""


class Rows(list[Any]):
    """A `list` of another class."""


class Table(dict[Any, Any]):
    """A `dict` of another class."""


class Pair(tuple[Any, ...]):
    """A `tuple` of another class."""

    __slots__ = ()


class Point(NamedTuple):
    """A named tuple."""

    x: Any
    y: Any


class Colour(str, Enum):  # noqa: UP042 (its str() differs from its value, unlike a StrEnum's)
    """An enum of `str`."""

    RED = "red"


class Level(IntEnum):
    """An enum of `int`."""

    LOW = 1
    HIGH = 2**70


class Access(IntFlag):
    """Flags."""

    READ = 1
    WRITE = 2


def _moved() -> OrderedDict[str, Any]:
    """Return a dict whose order is not the one that `dict` itself would tell."""
    made: OrderedDict[str, Any] = OrderedDict(a=1, b=2, c=3)
    made.move_to_end("a")
    return made


SUBCLASSED: tuple[Any, ...] = (
    Text("text"), Text(""), Colour.RED, Number(7), Number(2**70), Number(0), Level.LOW, Level.HIGH,
    Access.READ | Access.WRITE, Ratio(1.5), Ratio("nan"), Ratio(-0.0), Blob(b"\x00\xff"),
    Rows([1, True, [1.0]]), Rows(), Table(b=1, a=2), Table(), Pair([1, (2,)]), Point(1, [True]),
    _moved(), defaultdict(list, b=[1], a=[2]), Counter("abca"), OrderedDict(b=1, a=2),
    [Text("text"), {"level": Level.LOW}, (Colour.RED,)], {Text("name"): Point(1.0, 1)},
    {Colour.RED: 1}, {"deep": [{"deep": Rows([Table(x=Number(1))])}]}, Point(Point(1, 2), ()),
)  # fmt: skip
"""Values that have to come back as instances of the base types."""
