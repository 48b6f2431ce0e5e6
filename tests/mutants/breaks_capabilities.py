"""Mutants that break U1 and M1."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any
from zlib import crc32

from fastadk_memory import ABSENT, Absent, ConflictError, MemoryEntry, Ttl
from fastadk_memory.codec import decode, encode
from fastadk_memory.concurrency import Mutex
from fastadk_memory.envelope import VERSION_BYTES, Record, pack, unpack
from fastadk_memory.ttl import ttl_to_ms

from .catalogue import mutant
from .reference import PREFIX, Reference

# ------------------------------------------------------------------------------------- U1


def conflict(key: str) -> ConflictError:
    return ConflictError(f"the entry {key!r} is not at the expected version", key=key)


class Unlocked(Reference):
    """Common to mutants whose `compare_and_set` reads and then writes, as two steps."""

    async def _compare_and_put(
        self, key: str, value: bytes, ttl_ms: int | None, expect: str | Absent
    ) -> str:
        record = self._new_record(value, ttl_ms)
        current = await self._read(key)
        if (ABSENT if current is None else current.version.hex()) != expect:
            raise conflict(key)
        await self.write_record(key, pack(record))
        self._note_expiry(key, record.expires_at)
        return record.version.hex()


@mutant("U1")
class ReadsThenWrites(Unlocked):
    """`compare_and_set` is a read and a write, with nothing that holds the two together."""


@mutant("U1")
class LockOfOneLoop(Unlocked):
    """The lock around `compare_and_set` is one for each event loop, so threads race."""

    async def _compare_and_put(self, *args: Any) -> str:
        locks = vars(self.store).setdefault("locks", {})
        async with locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            return await super()._compare_and_put(*args)


class LockOfTheStore(Unlocked):
    """Common to mutants in which `compare_and_set` excludes itself, but not other writes."""

    async def _compare_and_put(self, *args: Any) -> str:
        async with vars(self.store).setdefault("lock", Mutex()):
            return await super()._compare_and_put(*args)


@mutant("U1")
class LockOfOneClient(Reference):
    """The lock around `compare_and_set` is the client's own, so two clients of a store race."""

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if await self.read_record(key) != old:
            return False
        if new is None:
            await self.delete_record(key)
        else:
            await self.write_record(key, new)
        return True


@mutant("U1")
class PlainWritesTakeNoLock(LockOfTheStore):
    """Calls of `compare_and_set` exclude each other, but a `set` or `delete` gets between."""


@mutant("U1")
class DeleteTakesNoLock(LockOfTheStore):
    """A `compare_and_set` that has read the entry brings it back after a `delete`."""

    async def _put(
        self, key: str, value: bytes, ttl_ms: int | None, metadata: bytes = b""
    ) -> Record:
        async with vars(self.store).setdefault("lock", Mutex()):
            return await super()._put(key, value, ttl_ms, metadata)


@mutant("U1")
class AbsentFitsAStoredNone(Reference):
    """`expect=ABSENT` fits an entry that holds `None`."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: str | Absent, ttl: Ttl | None = None
    ) -> str:
        if expect is ABSENT:
            entry = await self.get_entry(key)
            if entry is not None and entry.value is None:
                expect = entry.version or ""
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("U1")
class ExpiredIsStillThere(Reference):
    """An entry that has expired and was not cleared away yet counts in `compare_and_set`."""

    async def _compare_and_put(
        self, key: str, value: bytes, ttl_ms: int | None, expect: str | Absent
    ) -> str:
        data = await self.read_record(key)
        if data is not None and unpack(data, key=key).version.hex() == expect:
            await self._put(key, value, ttl_ms)
            return (await self._read(key)).version.hex()
        return await super()._compare_and_put(key, value, ttl_ms, expect)


@mutant("U1")
class NoExpectationMeansAbsent(Reference):
    """`expect=None`, as `get_entry` without an entry suggests, counts as ABSENT."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Any, ttl: Ttl | None = None
    ) -> str:
        expect = ABSENT if expect is None else expect
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("U1")
class VersionsInAnyCase(Reference):
    """The expected version is read as hexadecimal digits, in upper case or with spaces too."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Any, ttl: Ttl | None = None
    ) -> str:
        if isinstance(expect, str):
            expect = expect.strip().lower()
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("U1")
class VersionIsAHashOfTheValue(Reference):
    """The version is a hash of the value, as an ETag is: it comes again with the old value."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        record = super()._new_record(value, ttl_ms, metadata)
        return replace(record, version=sha256(value).digest()[:VERSION_BYTES])


@mutant("U1")
class VersionIsTheTime(Reference):
    """The version is the time of the write in milliseconds: two writes in one share it."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        record = super()._new_record(value, ttl_ms, metadata)
        moment = int(record.created_at * 1000)
        return replace(record, version=moment.to_bytes(VERSION_BYTES, "big"))


class Counting(Reference):
    """Common to mutants whose versions are numbers, which are kept with the store."""

    @property
    def numbers(self) -> dict[str, int]:
        return vars(self.store).setdefault("numbers", {})

    def next(self, key: str) -> bytes:
        self.numbers[key] = self.numbers.get(key, 0) + 1
        return self.numbers[key].to_bytes(VERSION_BYTES, "big")

    async def _put(
        self, key: str, value: bytes, ttl_ms: int | None, metadata: bytes = b""
    ) -> Record:
        record = replace(self._new_record(value, ttl_ms, metadata), version=self.next(key))
        async with self._lock(key):
            await self.write_record(key, pack(record))
            self._note_expiry(key, record.expires_at)
        return record


@mutant("U1")
class CountsFromOneAfterDelete(Counting):
    """The version is the key's counter, which is deleted together with the key."""

    async def _forget(self, key: str) -> None:
        await super()._forget(key)
        self.numbers.pop(key, None)


@mutant("U1")
class EachClientCounts(Counting):
    """The version is a counter of the client's: another client, or a restart, repeats it."""

    number = 0

    def next(self, key: str) -> bytes:
        self.number += 1
        return self.number.to_bytes(VERSION_BYTES, "big")


@mutant("U1")
class CounterOfOneByte(Counting):
    """The version is a counter that begins anew after 256 writes."""

    def next(self, key: str) -> bytes:
        return bytes(VERSION_BYTES - 1) + super().next(key)[-1:]


@mutant("U1")
class CounterIsReadAndWritten(Counting):
    """The counter is read in one step and written in another: writes at once share a version."""

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        seen = self.numbers.get(key, 0)
        await self.store.reach()
        self.numbers[key] = seen
        return await super().set_entry(key, value, ttl, metadata=metadata)


@mutant("U1")
class LoserShortensTheLife(Reference):
    """A conflict has already set the new expiry."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: str | Absent, ttl: Ttl | None = None
    ) -> str:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError:
            await self.touch(key, ttl)
            raise


@mutant("U1")
class LoserRenewsTheVersion(Reference):
    """A conflict of a version, though not of ABSENT, writes the old value once more."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: str | Absent, ttl: Ttl | None = None
    ) -> str:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError:
            record = await self._read(key)
            if record is not None and expect is not ABSENT:
                renewed = self._new_record(record.value, None, record.metadata)
                await self.write_record(key, pack(replace(renewed, expires_at=record.expires_at)))
            raise


@mutant("U1")
class ConflictNamesNoKey(Reference):
    """The ConflictError does not tell the key."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: str | Absent, ttl: Ttl | None = None
    ) -> str:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError as error:
            raise ConflictError(str(error), key="") from None


@mutant("U1")
class WinnerKeepsTheLongerLife(Reference):
    """`compare_and_set` leaves an old expiry that is later than the new one."""

    async def _compare_and_put(
        self, key: str, value: bytes, ttl_ms: int | None, expect: str | Absent
    ) -> str:
        old = await self._read(key)
        if old is not None and old.expires_at is not None and ttl_ms is not None:
            ttl_ms = max(ttl_ms, int((old.expires_at - self._clock()) * 1000))
        return await super()._compare_and_put(key, value, ttl_ms, expect)


@mutant("U1")
class WinnerKeepsTheMetadata(Reference):
    """`compare_and_set` leaves the metadata of the old entry."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: str | Absent, ttl: Ttl | None = None
    ) -> str:
        old = await self._read(key)
        version = await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        if old is not None and old.metadata:
            new = await self._read(key)
            await self.write_record(key, pack(replace(new, metadata=old.metadata)))
        return version


@mutant("U1")
class RefusesAfterItHasCompared(Reference):
    """A value that cannot be stored is only noticed when the version fits."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: str | Absent, ttl: Ttl | None = None
    ) -> str:
        entry = await self.get_entry(key)
        if isinstance(expect, str) and (entry is None or entry.version != expect):
            raise conflict(key)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("U1")
class ValueAndVersionOfTwoReads(Reference):
    """`get_entry` reads the value first and the version later: they may not belong together."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        first = await super().get_entry(key)
        second = await super().get_entry(key)
        if first is None or second is None:
            return None
        return replace(second, value=first.value)


# ------------------------------------------------------------------------------------- M1


def moved(record: Record, now: float, ttl_ms: int | None) -> Record:
    return replace(record, expires_at=None if ttl_ms is None else now + ttl_ms / 1000)


class Touching(Reference):
    """Common to mutants that make a new record of the old one in another way."""

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        async with self._lock(key):
            data = await self.read_record(key)
            record = None if data is None else unpack(data, key=key)
            if record is None or not self.counts(record):
                return False
            record = self.touched(record, ttl_ms)
            await self.write_record(key, pack(record))
            self._note_expiry(key, record.expires_at)
            return True

    def counts(self, record: Record) -> bool:
        return record.alive(self._clock())

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        return moved(record, self._clock(), ttl_ms)


@mutant("M1")
class TouchRevives(Touching):
    """`touch` brings an entry back that has expired but is not cleared away yet."""

    def counts(self, record: Record) -> bool:
        return True


@mutant("M1")
class TouchIsASet(Touching):
    """`touch` stores the value anew, which gives it another version."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        return self._new_record(record.value, ttl_ms, record.metadata)


@mutant("M1")
class TouchMovesTheCreation(Touching):
    """`touch` dates the entry anew."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        now = self._clock()
        return replace(moved(record, now, ttl_ms), created_at=now)


@mutant("M1")
class TouchForGoodDropsMetadata(Touching):
    """`touch(key, None)` loses the metadata."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        kept = record.metadata if ttl_ms else b""
        return replace(super().touched(record, ttl_ms), metadata=kept)


@mutant("M1")
class TouchAddsToWhatIsLeft(Touching):
    """The new life is added to the old one."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        return moved(record, record.expires_at or self._clock(), ttl_ms)


@mutant("M1")
class TouchOnlyLengthens(Touching):
    """`touch` never makes a life shorter."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        new = super().touched(record, ttl_ms)
        if new.expires_at is None or record.expires_at is None:
            return new
        return max(new, record, key=lambda each: each.expires_at)


@mutant("M1")
class TouchNeedsAnExpiry(Touching):
    """`touch` does nothing to a key that has no expiry, and says that there is none."""

    def counts(self, record: Record) -> bool:
        return super().counts(record) and record.expires_at is not None


@mutant("M1")
class TouchForGoodDoesNothing(Touching):
    """`touch(key, None)` leaves the expiry as it is."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        return record if ttl_ms is None else super().touched(record, ttl_ms)


@mutant("M1")
class TouchRoundsToSeconds(Touching):
    """`touch` counts in whole seconds, rounded up."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        whole = None if ttl_ms is None else math.ceil(ttl_ms / 1000) * 1000
        return super().touched(record, whole)


@mutant("M1")
class TouchIsLazy(Touching):
    """`touch` does nothing when the expiry would move by less than a second."""

    def touched(self, record: Record, ttl_ms: int | None) -> Record:
        new = super().touched(record, ttl_ms)
        if new.expires_at is None or record.expires_at is None:
            return new
        return record if abs(new.expires_at - record.expires_at) < 1 else new


@mutant("M1")
class TouchMissesFalsyValues(Reference):
    """`touch` takes a key that holds 0, "" or an empty list for absent."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        value = await self.get(key)
        return await super().touch(key, ttl) and (value is None or bool(value))


@mutant("M1")
class TouchAnswersANumber(Reference):
    """`touch` returns 1 and 0, as the server does."""

    async def touch(self, key: str, ttl: Ttl | None) -> int:
        return int(await super().touch(key, ttl))


@mutant("M1")
class TouchReadsAndSets(Reference):
    """`touch` reads the entry and writes it back without a lock: what came between is undone."""

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        record = await self._read(key)
        if record is None:
            return False
        await self.write_record(key, pack(moved(record, self._clock(), ttl_ms)))
        return True


@mutant("M1")
class TouchUndoesOthers(Touching):
    """`touch` has a lock, but only of its own client: it undoes what another one writes."""


@mutant("M1")
class TouchByPattern(Reference):
    """`touch` reaches every key that the given one matches as a pattern."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        touched = await super().touch(key, ttl)
        if touched and "*" in key:
            for other in await self.keys():
                if fnmatchcase(other, key):
                    await super().touch(other, ttl)
        return touched


@mutant("M1")
class TouchMendsTheChecksum(Reference):
    """`touch` writes a damaged record back with a checksum that fits the damage."""

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        data = self.store.records.get(PREFIX + key)
        if data is not None:
            self.store.records[PREFIX + key] = repaired(data)
        return await super()._touch(key, ttl_ms)


def repaired(data: bytes) -> bytes:
    return data[:3] + crc32(data[7:]).to_bytes(4, "little") + data[7:]


@mutant("M1")
class TouchWithZeroDeletes(Reference):
    """`touch` with 0 or a negative TTL deletes the key, as EXPIRE does."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        if type(ttl) is int and ttl <= 0:
            await self.delete(key)
            return True
        return await super().touch(key, ttl)


@mutant("M1")
class SweptAtTheOldExpiry(Reference):
    """Whoever clears up goes by the expiry that the key had before `touch`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.due: dict[str, float] = {}

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        record = await self._read(key)
        touched = await super().touch(key, ttl)
        if touched and record is not None and record.expires_at is not None:
            self.due.setdefault(key, record.expires_at)
        return touched

    async def _sweep(self, more: int = 0) -> None:
        await super()._sweep(more)
        for key, moment in list(self.due.items()):
            if moment <= self._clock():
                del self.due[key]
                await self._forget(key)


@mutant("M1")
class TouchKeepsATableOfItsOwn(Reference):
    """`touch` notes expiries in a table beside the entries, which `set_many` does not look at."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.touched: dict[str, int | None] = {}

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        done = await super().touch(key, ttl)
        if done:
            self.touched[key] = ttl_to_ms(ttl)
        return done

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl)
        for key in items:
            if key in self.touched:
                await self._touch(key, self.touched.pop(key))

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        await super().set(key, value, ttl)
        self.touched.pop(key, None)


@mutant("M1")
class TouchStaysInTheCache(Reference):
    """`touch` changes what this object remembers, and not what is stored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cached: dict[str, tuple[bytes, Record]] = {}

    async def _read(self, key: str) -> Record | None:
        record = await super()._read(key)
        version, shown = self.cached.get(key, (b"", None))
        if record is None or shown is None or record.version != version:
            return record
        return shown if shown.alive(self._clock()) else None

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        record = await self._read(key)
        if record is None:
            return False
        self.cached[key] = (record.version, moved(record, self._clock(), ttl_ms))
        return True


@mutant("M1")
class TouchReencodesTheValue(Reference):
    """`touch` writes numbers back as floats when they come in a list."""

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        record = await self._read(key)
        if record is None:
            return False
        touched = await super()._touch(key, ttl_ms)
        value = await self._value(key)
        if isinstance(value, list) and value and all(type(each) is int for each in value):
            again = replace(await self._read(key), value=encode([float(each) for each in value]))
            await self.write_record(key, pack(again))
        return touched

    async def _value(self, key: str) -> Any:
        record = await self._read(key)
        return None if record is None else decode(record.value, key=key)
