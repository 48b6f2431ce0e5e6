"""`Way`: a method that gives an entry its expiry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from fastadk_memory.base import ABSENT, Absent, Capability
from fastadk_memory.contract.handle import Handle
from fastadk_memory.errors import ConflictError

__all__ = ["TOUCH", "WAYS", "Way", "ways"]


@dataclass(frozen=True, slots=True)
class Way:
    """A method that gives an entry its expiry.

    Attributes:
        method: Its name.
        store: Calls it: with the key, the value and the TTL.
        needs: The capabilities without which it cannot be used like that.
    """

    method: str
    store: Callable[[Handle, str, Any, Any], Awaitable[object]]
    needs: frozenset[Capability] = frozenset()


async def _set(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    await memory.set(key, value, ttl)


async def _set_many(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    await memory.set_many({key: value}, ttl)


async def _set_entry(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    await memory.set_entry(key, value, ttl, metadata={"m": 1})


async def _compare_and_set(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    entry = await memory.get_entry(key)
    # A version that is None: the entry itself says then why it cannot be expected.
    expected: Absent | Any = ABSENT if entry is None else entry.version
    try:
        await memory.compare_and_set(key, value, expect=expected, ttl=ttl)
    except ConflictError:
        if entry is None or entry.expires_at is None or await memory.get_entry(key) is not None:
            raise
        # It has expired since it was read.
        await memory.compare_and_set(key, value, expect=ABSENT, ttl=ttl)


async def _touch(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    # Another expiry before it, so that it is the touch that counts.
    await memory.set(key, value, 36_000)
    await memory.touch(key, ttl)


WAYS = (
    Way("set", _set),
    Way("set_many", _set_many),
    Way("set_entry", _set_entry, frozenset({Capability.ENTRIES})),
    Way("compare_and_set", _compare_and_set, frozenset({Capability.CAS, Capability.ENTRIES})),
)
"""What stores a value with an expiry or without."""

TOUCH = Way("touch", _touch, frozenset({Capability.TOUCH}))
"""A `set` with a long TTL, and a `touch`."""


def ways(capabilities: Collection[Capability], *more: Way) -> list[Way]:
    """Return those of `WAYS` and `more` that a backend with these capabilities must serve."""
    return [each for each in (*WAYS, *more) if each.needs.issubset(capabilities)]
