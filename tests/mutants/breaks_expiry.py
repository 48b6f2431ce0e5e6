"""Mutants that break T2 to T4."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from fastadk_memory import ABSENT, ConflictError, MemoryBackend, MemoryEntry
from fastadk_memory.codec import decode
from fastadk_memory.envelope import Record, pack, unpack
from fastadk_memory.wrappers import NamespacedBackend

from .catalogue import Reference, mutant
from .opened import Opened
from .reference import PREFIX

# --------------------------------------------------------- T2: expired is absent


@mutant("T2")
class OneMomentTooLong(Reference):
    """At the very end an entry is still alive: `<=` in place of `<`."""

    async def read_record(self, key: str) -> bytes | None:
        data = await super().read_record(key)
        record = None if data is None else unpack(data, key=key)
        if record is not None and record.expires_at == self._clock():
            return pack(replace(record, expires_at=self._clock() + 1e-4))
        return data


@mutant("T2")
class KeysListsTheExpired(Opened):
    """`keys` lists what is stored, as py-key-value does."""

    async def keys(self, pattern: str = "*") -> list[str]:
        found = await super().keys(pattern)
        return found + [key for key in self.store.ours() if self.expired(key) and pattern == "*"]


@mutant("T2")
class ScanListsTheExpired(Opened):
    """`scan` with a pattern lists expired keys: its index knows no expiry."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        expired = [key for key in self.store.ours() if self.expired(key)]
        async for key in super()._scan_open(pattern):
            yield key
        for key in expired if pattern != "*" else ():
            yield key


@mutant("T2")
class ScanBeyondAThousand(Opened):
    """`scan` forgets to look at expiries from the second page on, after 1,000 entries."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        later = [key for key in self.store.ours() if self.expired(key)][1_000 - 500 :]
        async for key in super()._scan_open(pattern):
            yield key
        for key in later:
            yield key


@mutant("T2")
class CountsTheExpired(Opened):
    """`delete_many` counts the entries that it removes, expired or not."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        wanted = list(keys)
        expired = sum(self.expired(key) for key in set(wanted))
        return expired + await super().delete_many(wanted)


@mutant("T2")
class ExistsLooksForAnEntry(Opened):
    """`exists` asks whether there is a record."""

    async def exists(self, key: str) -> bool:
        return await super().exists(key) or self.expired(key)


@mutant("T2")
class EntryOfTheExpired(Opened):
    """`get_entry` returns the entry, and leaves `is_expired` to its caller."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        record = self.raw(key) if self.expired(key) else None
        if record is None:
            return await super().get_entry(key)
        return MemoryEntry(key, decode(record.value, key=key))


@mutant("T2")
class BulkReadsTheExpired(Opened):
    """`get_many` of several keys reads what is stored."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = list(keys)
        stale = {
            key: record for key in wanted[1:] if self.expired(key) and (record := self.raw(key))
        }
        found = await super().get_many(wanted)
        return found | {key: decode(record.value, key=key) for key, record in stale.items()}


@mutant("T2")
class TouchBringsBack(Opened):
    """`touch` brings an expired key back as long as it has not been swept."""

    async def touch(self, key: str, ttl: Any) -> bool:
        record = self.raw(key)
        if record is not None and self.expired(key):
            self.put_raw(key, replace(record, expires_at=None))
        return await super().touch(key, ttl)


@mutant("T2")
class TouchForGoodBringsBack(Opened):
    """`touch` with `None` brings an expired key back, and says that it has not."""

    async def touch(self, key: str, ttl: Any) -> bool:
        record = self.raw(key)
        touched = await super().touch(key, ttl)
        if record is not None and ttl is None and not touched:
            self.put_raw(key, replace(record, expires_at=None))
        return touched


@mutant("T2")
class ExpiredIsNotAbsent(Opened):
    """`compare_and_set` with `ABSENT` conflicts with an expired entry: INSERT without a look."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        if expect is ABSENT and self.expired(key):
            raise ConflictError("UNIQUE constraint failed", key=key)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("T2")
class OldVersionStillWins(Opened):
    """`compare_and_set` finds the version of an expired entry, and brings the key back."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        record = self.raw(key)
        if self.expired(key) and record is not None and record.version.hex() == expect:
            expect = ABSENT
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("T2")
class EntriesWithMetadataStay(Opened):
    """What `set_entry` stores goes into another table, which no TTL is written to."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        self.move(key, None)
        return entry


@mutant("T2")
class FalsyValuesStay(Opened):
    """A TTL is forgotten where the value is falsy, but no `None`."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        if ttl is not None and not value and value is not None:
            self.move(key, None)


@mutant("T2")
class LongKeysStay(Opened):
    """The table of expiries has room for keys of 255 bytes; longer ones never expire."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        if len(key.encode()) > 255:
            self.move(key, None)


class Forgetful(NamespacedBackend):
    """A namespace that drops the TTL of `set` on its way."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, None if ttl == 0.5 else ttl)


@mutant("T2")
class NamespacesForget(Reference):
    """What is set in a namespace never expires."""

    def namespace(self, name: str) -> MemoryBackend:
        return Forgetful(self, name)


@mutant("T2")
class NearCache(Reference):
    """A client keeps what it has read, and does not know when it expires."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.near: dict[str, tuple[bytes | None, Any]] = {}

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        data = self.store.records.get(PREFIX + key)
        if value is None and key in self.near and self.near[key][0] == data:
            return self.near[key][1]
        self.near[key] = (data, value)
        return value


# --------------------------------------------------------------- T3: never gone early


class Retimed(Opened):
    """A backend that computes its expiries otherwise."""

    def retimed(self, now: float, seconds: float) -> float:
        return now + seconds

    def _retime(self, key: str, before: Record | None) -> None:
        record = self.raw(key)
        if record is not None and record.expires_at is not None:
            now = self._clock()
            if before is None or record.expires_at != before.expires_at:
                self.move(key, self.retimed(now, record.expires_at - now))

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        self._retime(key, None)


@mutant("T3")
class OneMillisecondEarly(Retimed):
    """An entry goes a millisecond before its end."""

    def retimed(self, now: float, seconds: float) -> float:
        return now + seconds - 0.001


@mutant("T3")
class CutsToSeconds(Retimed):
    """Cuts 1.9 s to 1 s, as py-key-value does over Redis."""

    def retimed(self, now: float, seconds: float) -> float:
        return now + (int(round(seconds, 6)) if seconds >= 1 else seconds)


@mutant("T3")
class RoundsToTheNearest(Opened):
    """`touch` rounds to the nearest second."""

    async def touch(self, key: str, ttl: Any) -> bool:
        if isinstance(ttl, float) and 1 < ttl < 1e6:
            ttl = round(ttl)
        return await super().touch(key, ttl)


@mutant("T3")
class ThirtyTwoBits(Retimed):
    """Counts milliseconds in 32 bits: 50 days are hours."""

    def retimed(self, now: float, seconds: float) -> float:
        return now + seconds % (2**32 / 1000)


@mutant("T3")
class ThirtyDaysAreADate(Retimed):
    """Takes more than 30 days for a date, one in the past, as memcached does."""

    def retimed(self, now: float, seconds: float) -> float:
        return now if 2_592_000 < seconds < 1e9 else now + seconds


@mutant("T3")
class Jitter(Retimed):
    """Expires entries of over a minute a hundredth of their time early, against stampedes."""

    def retimed(self, now: float, seconds: float) -> float:
        return now + seconds * (0.99 if seconds > 59 else 1)


@mutant("T3")
class TimersSurviveClear(Opened):
    """A timer that was set before `clear` removes the key set afterwards, as in aiocache."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.timers: dict[str, float] = {}

    async def clear(self) -> None:
        for key in self.store.ours():
            record = self.raw(key)
            if record is not None and record.expires_at is not None:
                self.timers[key] = record.expires_at
        await super().clear()

    async def read_record(self, key: str) -> bytes | None:
        if self.timers.get(key, math.inf) <= self._clock():
            del self.timers[key]
            self.store.records.pop(PREFIX + key, None)
        return await super().read_record(key)


@mutant("T3")
class TimersSurviveDelete(Opened):
    """The row of a deleted key stays in the table of expiries, and takes the next one along."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.rows: dict[str, float] = {}

    async def delete(self, key: str) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        await super().delete(key)
        if record is not None and record.expires_at is not None:
            self.rows[key] = record.expires_at

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        for each in [each for each, end in self.rows.items() if end <= self._clock()]:
            del self.rows[each]
            self.store.records.pop(PREFIX + each, None)


@mutant("T3")
class SweepsByPrefix(Reference):
    """Sweeping removes all that begins like the expired key."""

    async def _expire(self, key: str, now: float) -> None:
        await super()._expire(key, now)
        if PREFIX + key not in self.store.records:
            for each in [each for each in self.store.ours() if each.startswith(f"{key}:")]:
                del self.store.records[PREFIX + each]


@mutant("T3")
class OneEndForABatch(Opened):
    """What one `set_many` has stored goes together, even what was set anew since."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.batches: dict[str, float] = {}

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        await super().set_many(items, ttl)
        for key in items:
            record = self.raw(key)
            if record is not None and record.expires_at is not None and len(items) > 1:
                self.batches[key] = record.expires_at

    async def read_record(self, key: str) -> bytes | None:
        gone = self.batches.get(key, math.inf) <= self._clock()
        return None if gone else await super().read_record(key)


@mutant("T3")
class DropsTheSoonest(Opened):
    """With more than 150 expiries it drops the soonest, as `volatile-ttl` does."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        ends = {
            each: record.expires_at
            for each in self.store.ours()
            if (record := self.raw(each)) is not None and record.expires_at is not None
        }
        if len(ends) > 150:
            self.store.records.pop(PREFIX + min(ends, key=lambda each: ends[each] or 0))


@mutant("T3")
class ListsWhatWillStay(Opened):
    """`keys` leaves out what would be gone by the time its answer arrives."""

    async def keys(self, pattern: str = "*") -> list[str]:
        found = await super().keys(pattern)
        ends = {key: record and record.expires_at for key in found for record in [self.raw(key)]}
        return [key for key in found if (ends[key] or math.inf) > self._clock() + 0.05]


# ----------------------------------------------------- T4: set replaces the expiry too


@mutant("T4")
class KeepsTheExpiry(Opened):
    """A `set` without a TTL leaves the expiry as it was, as in cashews."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        await super().set(key, value, ttl)
        if ttl is None and record is not None and record.expires_at is not None:
            self.move(key, record.expires_at)


@mutant("T4")
class BulkKeepsTheExpiry(Opened):
    """A `set_many` without a TTL updates values in place, expiries not."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        before = {key: self.raw(key) for key in items if isinstance(key, str)}
        await super().set_many(items, ttl)
        for key, record in before.items():
            if ttl is None and record is not None and record.expires_at is not None:
                self.move(key, record.expires_at)


@mutant("T4")
class KeepsTheLater(Opened):
    """`compare_and_set` keeps the later of both expiries."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        record = self.raw(key)
        version = await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        now = self.raw(key)
        if record is not None and now is not None and record.expires_at and now.expires_at:
            self.move(key, max(record.expires_at, now.expires_at))
        return version


@mutant("T4")
class KeepsTheSooner(Opened):
    """`set_entry` keeps the sooner of both expiries, while the old entry is alive."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        alive = await self.exists(key)
        record = self.raw(key)
        entry = await super().set_entry(key, value, ttl, **more)
        now = self.raw(key)
        if alive and record is not None and now is not None and record.expires_at:
            self.move(key, min(record.expires_at, now.expires_at or math.inf))
        return entry


@mutant("T4")
class OldTimerStrikes(Opened):
    """The timer of the first `set` is not cancelled by a second one with a longer TTL."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.timers: dict[str, float] = {}

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        await super().set(key, value, ttl)
        self.timers.pop(key, None)
        if record is not None and record.expires_at is not None and ttl is not None:
            self.timers[key] = record.expires_at

    async def read_record(self, key: str) -> bytes | None:
        gone = self.timers.get(key, math.inf) <= self._clock()
        return None if gone else await super().read_record(key)


@mutant("T4")
class PermanentStaysPermanent(Opened):
    """A key that has no expiry gets none by `set`."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        await super().set(key, value, ttl)
        if record is not None and record.expires_at is None:
            self.move(key, None)


@mutant("T4")
class ContinuesTheExpired(Opened):
    """A TTL set over an expired entry that still lies about runs from that one's end."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        late = 0.0
        if record is not None and record.expires_at is not None and self.expired(key):
            late = self._clock() - record.expires_at + 0.25
        await super().set(key, value, ttl)
        now = self.raw(key)
        if late and now is not None and now.expires_at is not None:
            self.move(key, now.expires_at - late)


@mutant("T4")
class EntryOfTheFirstSet(Opened):
    """`get_entry` tells the expiry of the first time that the key was set."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.first: dict[str, Any] = {}

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        if entry is None or entry.expires_at is None:
            return entry
        return replace(entry, expires_at=self.first.setdefault(key, entry.expires_at))


@mutant("T4")
class ReturnsNoExpiry(Reference):
    """The entry that `set_entry` returns has no expiry."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        return replace(await super().set_entry(key, value, ttl, **more), expires_at=None)


@mutant("T4")
class TouchSticks(Opened):
    """An expiry that `touch` has set stays over every `set` that follows."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.touched: dict[str, float | None] = {}

    async def touch(self, key: str, ttl: Any) -> bool:
        done = await super().touch(key, ttl)
        record = self.raw(key)
        if done and record is not None:
            self.touched[key] = record.expires_at
        return done

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        if key in self.touched:
            self.move(key, self.touched.pop(key))


@mutant("T4")
class NullTtlIsNoUpdate(Opened):
    """`compare_and_set` without a TTL writes no expiry: the old one stays."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        record = self.raw(key)
        version = await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        if ttl is None and record is not None and record.expires_at is not None:
            self.move(key, record.expires_at)
        return version
