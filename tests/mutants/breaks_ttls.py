"""Mutants that break T1."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

from fastadk_memory import ABSENT, ConflictError, InvalidTTLError, MemoryEntry
from fastadk_memory.ttl import MAX_TTL_SECONDS

from .catalogue import Reference, mutant

# ---------------------------------------------------------------- T1: what a TTL is


@mutant("T1")
class ZeroIsForEver(Reference):
    """Takes a TTL of 0 for none, as aiocache does."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, None if type(ttl) is int and ttl == 0 else ttl)


@mutant("T1")
class TrueIsOneSecond(Reference):
    """`set_many` counts a bool as the int that it also is."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        await super().set_many(items, 1 if ttl is True else ttl)


@mutant("T1")
class ParsesText(Reference):
    """`touch` takes "60" for a number, as a client does that formats its commands."""

    async def touch(self, key: str, ttl: Any) -> bool:
        if isinstance(ttl, str) and ttl.isdigit():
            ttl = int(ttl)
        return await super().touch(key, ttl)


@mutant("T1")
class NanSlipsThrough(Reference):
    """`set_entry` refuses what is `<= 0`, which NaN is not."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        if isinstance(ttl, float) and math.isnan(ttl):
            ttl = None
        return await super().set_entry(key, value, ttl, **more)


@mutant("T1")
class RoundsUpToAMillisecond(Reference):
    """`compare_and_set` takes 0.9 ms for 1 ms."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        if isinstance(ttl, float) and 0.0005 < ttl < 0.001:
            ttl = 0.001
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("T1")
class DropsTheDays(Reference):
    """Reads `.seconds` of a timedelta, which are those beyond its whole days."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(ttl, timedelta) and ttl.seconds and ttl > timedelta(0):
            ttl = timedelta(seconds=ttl.seconds, microseconds=ttl.microseconds)
        await super().set(key, value, ttl)


@mutant("T1")
class CutsToMilliseconds(Reference):
    """`touch` cuts 1.5 ms to 1 ms, and 2.3 s to 2,299 ms."""

    async def touch(self, key: str, ttl: Any) -> bool:
        if isinstance(ttl, float) and 0.001 <= ttl < 1e6:
            ttl = timedelta(milliseconds=int(ttl * 1000))
        return await super().touch(key, ttl)


@mutant("T1")
class RefusesTheCentury(Reference):
    """`set_many` refuses exactly a hundred years: off by one."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        if ttl == MAX_TTL_SECONDS:
            raise InvalidTTLError("too long")
        await super().set_many(items, ttl)


@mutant("T1")
class ChecksTooLate(Reference):
    """`set` has stored the value when it finds out that the TTL is none."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        try:
            await super().set(key, value, ttl)
        except InvalidTTLError:
            await super().set(key, value)
            raise


@mutant("T1")
class NegativeDeletes(Reference):
    """A `touch` with a negative TTL deletes the key before it is refused, as EXPIRE would."""

    async def touch(self, key: str, ttl: Any) -> bool:
        if type(ttl) in (int, float) and ttl < 0:
            await self.delete(key)
        return await super().touch(key, ttl)


@mutant("T1")
class OverflowsRaw(Reference):
    """`set` raises OverflowError for an int that no float can hold."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(ttl, int):
            float(ttl)
        await super().set(key, value, ttl)


@mutant("T1")
class DecimalsWelcome(Reference):
    """`compare_and_set` takes any number that can be multiplied."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        if isinstance(ttl, Decimal):
            ttl = float(ttl)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("T1")
class CutsToACentury(Reference):
    """`set_entry` takes whatever is longer than a century for a century."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        if isinstance(ttl, timedelta) and ttl.total_seconds() > MAX_TTL_SECONDS:
            ttl = MAX_TTL_SECONDS
        return await super().set_entry(key, value, ttl, **more)


@mutant("T1")
class AbsentBeforeInvalid(Reference):
    """`touch` of an absent key answers `False` before it looks at the TTL."""

    async def touch(self, key: str, ttl: Any) -> bool:
        return await self.exists(key) and await super().touch(key, ttl)


@mutant("T1")
class ConflictBeforeInvalid(Reference):
    """`compare_and_set` compares before it looks at the TTL."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        entry = await self.get_entry(key)
        if (ABSENT if entry is None else entry.version) != expect:
            raise ConflictError("not there", key=key)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("T1")
class EmptyBatchUnchecked(Reference):
    """`set_many` of nothing does not look at the TTL."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        if items:
            await super().set_many(items, ttl)
