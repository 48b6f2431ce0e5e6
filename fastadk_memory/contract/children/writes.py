"""`Write`: one write of a process that is going to be killed, and what may be seen of it later.

Its values certify themselves: whoever reads one can tell whether it is whole, for which
key it was written, and by which write.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

from fastadk_memory.base import ABSENT
from fastadk_memory.contract.show import show
from fastadk_memory.contract.violations import Violation

__all__ = ["LONG", "Held", "State", "Write", "certified", "number_of", "observed", "prepared"]
__all__ += ["random_writes"]

LONG = 100_000_000
"""A TTL in seconds that does not end during a test, whatever a clock says."""


class Held(NamedTuple):
    """What a key holds: the number of the value, and whether it has expiry and metadata."""

    number: int
    expires: bool = False
    described: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        expiry = " with an expiry" if self.expires else ""
        metadata = " with metadata" if self.described else ""
        return f"value {self.number}{expiry}{' and' * (self.expires and self.described)}{metadata}"


State: TypeAlias = Held | None
"""What a key holds; `None` if it is absent."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write to one or more keys.

    Attributes:
        method: The method of the backend.
        keys: What it writes to.
        number: What its values bear; no other write has it.
        size: How many bytes they have, about.
        ttl: Their TTL.
    """

    method: str
    keys: tuple[str, ...]
    number: int = 0
    size: int = 20
    ttl: float | None = None

    def __str__(self) -> str:
        """Return the call, with a description in place of the values."""
        size = f" of {self.size:,} bytes" if self.size >= 1_000 else ""
        value = f"<value {self.number}{size}>"
        ttl = "" if self.ttl is None else f", {self.ttl!r}"
        match self.method:
            case "delete":
                return f"delete({self.keys[0]!r})"
            case "delete_many":
                return f"delete_many({list(self.keys)!r})"
            case "touch":
                return f"touch({self.keys[0]!r}, {self.ttl!r})"
            case "set_many":
                items = ", ".join(f"{key!r}: {value}" for key in self.keys)
                return f"set_many({{{items}}}{ttl})"
            case "compare_and_set":
                return f"compare_and_set({self.keys[0]!r}, {value}, expect=<its version>{ttl})"
            case "set_entry":
                return f"set_entry({self.keys[0]!r}, {value}{ttl}, metadata={self.metadata})"
            case _:
                return f"{self.method}({self.keys[0]!r}, {value}{ttl})"

    @property
    def metadata(self) -> dict[str, int]:
        """What `set_entry` is given beside the value."""
        return {"number": self.number}

    def effect(self, before: State) -> State:
        """Return what one of its keys holds afterwards."""
        if self.method in ("delete", "delete_many"):
            return None
        if self.method == "touch":
            return before and before._replace(expires=self.ttl is not None)
        return Held(self.number, self.ttl is not None, self.method == "set_entry")


async def prepared(memory: Any, write: Write) -> Callable[[], Awaitable[object]]:
    """Return what carries out a write, having read what it needs to know first."""
    key = write.keys[0]
    values = {each: certified(each, write.number, write.size) for each in write.keys}
    match write.method:
        case "delete":
            return lambda: memory.delete(key)
        case "delete_many":
            return lambda: memory.delete_many(write.keys)
        case "touch":
            return lambda: memory.touch(key, write.ttl)
        case "set_many":
            return lambda: memory.set_many(values, write.ttl)
        case "set_entry":
            return lambda: memory.set_entry(key, values[key], write.ttl, metadata=write.metadata)
        case "compare_and_set":
            entry = await memory.get_entry(key)
            version = ABSENT if entry is None else entry.version
            return lambda: memory.compare_and_set(key, values[key], expect=version, ttl=write.ttl)
        case _:
            return lambda: memory.set(key, values[key], write.ttl)


# ------------------------------------------------------------------------------- values


def certified(key: str, number: int, size: int = 20) -> dict[str, Any]:
    """Return a value that tells whether it is whole, whose it is, and which."""
    # Blocks that all differ: one that is lost, doubled or out of place shows.
    blocks = (f"{number}.{at};" for at in range(1 + size // 8))
    body = "".join(blocks)[:size]
    return {"key": key, "number": number, "body": body, "sum": _checksum(key, number, body)}


def number_of(value: object, key: str) -> int:
    """Return the number that a certified value bears.

    Raises:
        Violation: It is not whole, or belongs to another key.
    """
    match value:
        case {"key": str(owner), "number": int(number), "body": str(body), "sum": int(checksum)}:
            if checksum != _checksum(owner, number, body):
                raise Violation(f"the value of {key!r} is torn: its parts do not belong together")
            if owner != key:
                raise Violation(f"the value of {key!r} was written for {owner!r}")
            return number
        case _:
            raise Violation(f"the value of {key!r} is {show(value)}, which nobody wrote")


def _checksum(key: str, number: int, body: str) -> int:
    return crc32(f"{key}\n{number}\n{body}".encode())


# --------------------------------------------------------------------------- looking on


async def observed(memory: Any, key: str) -> State:
    """Return what a key holds.

    Raises:
        Violation: It holds no whole value, or something that does not go with it.
    """
    value = await memory.get(key)
    if value is None:
        if await memory.exists(key):
            raise Violation(f"exists({key!r}) is True, but get({key!r}) is None")
        return None
    number = number_of(value, key)
    entry = await memory.get_entry(key)
    metadata = {} if entry is None else entry.metadata
    if metadata not in ({}, {"number": number}):
        raise Violation(f"{key!r} holds value {number}, but the metadata {show(metadata)}")
    return Held(number, await memory.ttl(key) is not None, bool(metadata))


# ------------------------------------------------------------------------ random writes


def random_writes(
    random: Random, keys: tuple[str, ...], first: int, count: int, usable: Mapping[str, bool]
) -> list[Write]:
    """Return random writes to a few keys, with values numbered from `first`.

    Args:
        random: Where chance comes from.
        keys: At least three keys.
        first: The number of the first value.
        count: How many.
        usable: Which of the methods of capabilities may be called.
    """
    methods = ["set", "set", "set", "set_many", "delete", "delete_many"]
    methods += [method for method, may in usable.items() if may]
    writes: list[Write] = []
    for number in range(first, first + count):
        method = random.choice(methods)
        chosen = random.sample(keys, 3 if method.endswith("_many") else 1)
        size = random.choice([20, 20, 300, 5_000, 70_000])
        ttl = random.choice([None, None, LONG])
        writes.append(Write(method, tuple(chosen), number, size, ttl))
    return writes
