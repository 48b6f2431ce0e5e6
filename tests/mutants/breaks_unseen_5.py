"""Mutants by somebody who has not seen the laws, second list: all that is not in the first half.

Clearing, namespaces, concurrency, lifetime, health, errors and capabilities.
"""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from fastadk_memory import (
    BackendUnavailableError,
    Capability,
    ConflictError,
    CorruptEntryError,
    MemoryBackend,
    MemoryEntry,
    NamespacedBackend,
    Ttl,
    Version,
)
from fastadk_memory.base import ABSENT, Absent, check_batch_size
from fastadk_memory.codec import check_metadata
from fastadk_memory.concurrency import Mutex
from fastadk_memory.envelope import Record, pack, unpack
from fastadk_memory.keys import check_keys, check_pattern, escape_pattern

from .catalogue import mutant
from .file_reference import WRITE, FileReference, FileReferenceHooks
from .opened import Opened
from .reference import PREFIX, DriverError, Reference, Store

# ------------------------------------------------------------------------- clearing


class OneLineView(NamespacedBackend):
    """Clears with a regular expression, whose dot is no end of a line."""

    async def clear(self) -> None:
        await self.delete_many([key for key in await self.keys() if re.fullmatch(".+", key)])


@mutant("C1")
class ViewsClearOneLine(Reference):
    """`clear` of a namespace leaves the keys with a newline in them."""

    def namespace(self, name: str) -> MemoryBackend:
        return OneLineView(self, name)


@mutant("C2")
class PlainPatternsAreDeleted(Reference):
    """`clear_pattern` hands a pattern without wildcards to `delete`, which not all suit."""

    async def clear_pattern(self, pattern: str) -> None:
        pattern = check_pattern(pattern)
        if escape_pattern(pattern) == pattern:
            await self.delete(pattern)
        else:
            await super().clear_pattern(pattern)


@mutant("C2")
class PagesShift(Reference):
    """`clear_pattern` goes by pages of 100, the next of which has shifted by the removed ones."""

    async def clear_pattern(self, pattern: str) -> None:
        offset = 0
        while page := (await self.keys(pattern))[offset : offset + 100]:
            await self.delete_many(page)
            offset += 100


@mutant("C3")
class TheTableComesWithSet(Reference):
    """`clear` drops the table, and `set_many` does not create it anew, as `set` does."""

    dropped = False

    async def clear(self) -> None:
        await super().clear()
        self.dropped = True

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        await super().set(key, value, ttl)
        self.dropped = False

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        if self.dropped and items:
            raise BackendUnavailableError("no such table") from DriverError("no such table")
        await super().set_many(items, ttl)


@mutant("C4")
class AbsentKeysGetTombstones(Reference):
    """Deleting an absent key leaves a tombstone, where `compare_and_set` finds an entry."""

    tombstones: frozenset[str] = frozenset()

    async def delete_record(self, key: str) -> None:
        if await self.read_record(key) is None:
            self.tombstones |= {key}
        await super().delete_record(key)

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.tombstones -= {key}

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        if expect is ABSENT and isinstance(key, str) and key in self.tombstones:
            expect = "deleted"
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


# ----------------------------------------------------------------------- namespaces


class RespelledView(NamespacedBackend):
    """Leaves something in its name as it is that would have to be encoded."""

    encoded, plain = "%2F", "/"

    def __init__(self, inner: MemoryBackend, name: str) -> None:
        super().__init__(inner, name)
        self._settle(self.path.replace(self.encoded, self.plain), close_inner=False)


class PercentSignView(RespelledView):
    """Leaves percent signs."""

    encoded, plain = "%25", "%"


@mutant("N1")
class SlashesStay(Reference):
    """The namespace `a/b` is the namespace `b` of the namespace `a`."""

    def namespace(self, name: str) -> MemoryBackend:
        return RespelledView(self, name)


@mutant("N2")
class PercentSignsStay(Reference):
    """The name of a namespace that looks encoded is that of another one, encoded."""

    def namespace(self, name: str) -> MemoryBackend:
        return PercentSignView(self, name)


class JoiningView(NamespacedBackend):
    """Joins name and key as they are in `set_many`."""

    def __init__(self, inner: MemoryBackend, name: str) -> None:
        super().__init__(inner, name)
        self.own_path, self.name = self.path, name

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        if self.path != self.own_path or not isinstance(items, Mapping):
            await super().set_many(items, ttl)
            return
        check_keys(items, self.max_key_bytes)
        joined = {f"{self.name}:{key}": value for key, value in items.items()}
        await self._run(self.inner.set_many, joined, ttl)


@mutant("N2")
class BatchesAreJoinedPlainly(Reference):
    """`set_many` in the namespace `a:b` writes the keys of `a` that begin with `b:`."""

    def namespace(self, name: str) -> MemoryBackend:
        return JoiningView(self, name)


# ---------------------------------------------------------------------- concurrency


@mutant("X1")
class JoinsAReadUnderWay(Reference):
    """A read joins one of the same key that is under way, and takes an answer from before it."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.flights: dict[tuple[int, str], asyncio.Future[Record | None]] = {}

    async def _read(self, key: str) -> Record | None:
        loop = asyncio.get_running_loop()
        flight = self.flights.get((id(loop), key))
        if flight is not None:
            await asyncio.wait([flight])
            return await super()._read(key) if flight.cancelled() else flight.result()
        flight = self.flights[id(loop), key] = loop.create_future()
        try:
            record = await super()._read(key)
            await asyncio.sleep(0)
            flight.set_result(record)
        finally:
            del self.flights[id(loop), key]
            flight.cancel()
        return record


@mutant("X1")
class EntriesAreReadTwice(Reference):
    """`get_entry` reads the value first and then all the rest."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        first = await super().get_entry(key)
        second = await super().get_entry(key)
        if first is None or second is None:
            return None
        return replace(second, value=first.value)


@mutant("X2")
class RepliesToBatchesStay(Reference):
    """A cancelled `get_many` leaves its answer unread, and the next one takes it for its own."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.turn = Mutex()
        self.replies: deque[dict[str, Any]] = deque()

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        async with self.turn:
            self.replies.append(await super().get_many(keys))
            await asyncio.sleep(0)
            return self.replies.popleft()


@mutant("X2")
class MetadataComesSecond(Reference):
    """`set_entry` stores the value first, and then, if it is not cancelled, the metadata, too."""

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        metadata = check_metadata(metadata)
        await self.set(key, value, ttl)
        return await super().set_entry(key, value, ttl, metadata=metadata)


@mutant("X3")
class SwapsBelongToALoop(Reference):
    """`compare_and_set` waits in the loop that was the first to call it."""

    home: asyncio.AbstractEventLoop | None = None

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        self.home = self.home or asyncio.get_running_loop()
        version = await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        acknowledged: asyncio.Future[None] = self.home.create_future()
        self.home.call_soon_threadsafe(self.acknowledge, acknowledged)
        await acknowledged
        return version

    def acknowledge(self, waiting: asyncio.Future[None]) -> None:
        if not waiting.done():
            waiting.set_result(None)


@mutant("X4")
class OverwritesInPlace(Reference):
    """A value of over a KiB is overwritten by halves if the new one has its length."""

    async def write_record(self, key: str, record: bytes) -> None:
        old = self.store.records.get(PREFIX + key)
        before = None if old is None else self._peek(key, old)
        after = unpack(record, key=key)
        size = len(after.value)
        if before is not None and len(before.value) == size > 1024:
            half = after.value[: size // 2] + before.value[size // 2 :]
            await super().write_record(key, pack(replace(after, value=half)))
        await super().write_record(key, record)


# ------------------------------------------------------------------------- lifetime


@mutant("L1")
class NeverOpenNeverClosed(Reference):
    """`aclose` does nothing if opening has failed, so that the next call opens."""

    failed = False

    async def open_store(self) -> None:
        self.failed = True
        await super().open_store()
        self.failed = False

    async def aclose(self) -> None:
        if not self.failed:
            await super().aclose()


@mutant("L2")
class TouchesAreWrittenLater(Reference):
    """`touch` is written together with the next call, and there is none after `aclose`."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.later: dict[str, bytes] = {}
        self.guard = threading.Lock()

    async def reach(self) -> None:
        await super().reach()
        with self.guard:
            self.store.records.update(self.later)
            self.later.clear()

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        async with self._lock(key):
            old = await self.read_record(key)
            record, now = None if old is None else unpack(old, key=key), self._clock()
            if record is None or not record.alive(now):
                return False
            record = replace(record, expires_at=None if ttl_ms is None else now + ttl_ms / 1000)
            with self.guard:
                self.later[PREFIX + key] = pack(record)
            self._note_expiry(key, record.expires_at)
            return True


@mutant("L3")
class AbandonedScansGoOn(Reference):
    """A scan that nobody goes through to its end leaves the task that fetches for it."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        found = await self.keys(pattern)
        fetched: asyncio.Queue[str] = asyncio.Queue(1)

        async def fetch() -> None:
            for key in found:
                await fetched.put(key)

        task = asyncio.ensure_future(fetch())
        for _ in found:
            yield await fetched.get()
        await task


# ---------------------------------------------------------------- health and errors


class HealthyView(NamespacedBackend):
    """Is as well as its store."""

    async def health_check(self) -> bool:
        return await self.inner.health_check()


@mutant("H1")
class ClosedViewsAreWell(Reference):
    """A closed namespace calls itself healthy for as long as its store is."""

    def namespace(self, name: str) -> MemoryBackend:
        return HealthyView(self, name)


@mutant("E1")
class ListingMeetsAWriter(Reference):
    """Going through the records fails with an error of Python's if another task adds to them."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        await self.reach()
        for count, (name, record) in enumerate(self.store.records.items()):
            if count % 8 == 7:
                await asyncio.sleep(0)
            if name.startswith(PREFIX + prefix):
                yield name.removeprefix(PREFIX), record


@mutant("E2")
class TheBreakerStaysOpen(Reference):
    """After five failures in a row the store is not asked any more, ever."""

    failures = 0

    async def reach(self) -> None:
        if self.failures >= 5:
            raise BackendUnavailableError("the store keeps failing") from DriverError("breaker")
        try:
            await super().reach()
        except BackendUnavailableError:
            self.failures += 1
            raise
        self.failures = 0


@mutant("E3")
class TouchTakesDamageForAbsence(Reference):
    """`touch` of a damaged entry says that there is none."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        try:
            return await super().touch(key, ttl)
        except CorruptEntryError:
            return False


@mutant("E4")
class TheCauseNamesTheAddress(Reference):
    """The driver's error, kept as the cause, names the address with the password in it."""

    async def reach(self) -> None:
        try:
            await super().reach()
        except BackendUnavailableError as error:
            address = f"store://agent:{self.password}@localhost"
            raise error from DriverError(f"cannot connect to {address}")


# --------------------------------------------------------------------- capabilities


@mutant("D1")
class ExpiriesAreKeptInSeconds(Reference):
    """An expiry survives reopening in whole seconds, rounded down."""

    async def open_store(self) -> None:
        await super().open_store()
        for key in self.store.ours():
            record = self._peek(key, self.store.records[PREFIX + key])
            if record is not None and record.expires_at is not None:
                whole = replace(record, expires_at=float(math.floor(record.expires_at)))
                self.store.records[PREFIX + key] = pack(whole)


@mutant("D2", hooks=FileReferenceHooks)
class SwapsWaitForTheNextWrite(FileReference):
    """What `compare_and_set` and `touch` write gets into the file with the next write."""

    capabilities = FileReference.capabilities - {Capability.MULTI_PROCESS}

    def __init__(self, path: Path, *clock: Callable[[], float]) -> None:
        super().__init__(path, *clock)
        self.later: dict[str, bytes] = {}

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with super().transaction() as connection:
            for key, record in self.later.items():
                connection.execute(WRITE, (key.encode(), record))
            yield connection
        self.later.clear()

    def read(self, key: str) -> bytes | None:
        return self.later[key] if key in self.later else super().read(key)

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if new is None:
            return super().swap(key, old, new)
        if self.read(key) != old:
            return False
        self.later[key] = new
        return True

    def listed(self, prefix: str) -> list[tuple[str, bytes]]:
        with self.transaction():
            pass
        return super().listed(prefix)

    def disconnect(self) -> None:
        if self.connection is not None and self.later:
            with self.transaction():
                pass
        super().disconnect()


@mutant("D2", hooks=FileReferenceHooks)
class MetadataHaveTheirOwnTransaction(FileReference):
    """`set_entry` commits the value before it commits the metadata."""

    def write(self, key: str, record: bytes) -> None:
        whole = unpack(record, key=key)
        if whole.metadata:
            super().write(key, pack(replace(whole, metadata=b"")))
        super().write(key, record)


@mutant("U1")
class LosersLiftTheExpiry(Opened):
    """A `compare_and_set` without TTL has lifted the old expiry by the time it loses."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError:
            if ttl is None:
                self.move(key, None)
            raise


@mutant("U1")
class NoVersionIsAnyVersion(Reference):
    """`compare_and_set` takes the empty string for no expectation at all."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        if expect == "":
            entry = await self.get_entry(key)
            expect = ABSENT if entry is None or entry.version is None else entry.version
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("M1")
class TouchNeverShortens(Opened):
    """`touch` keeps the old expiry if it is the later one."""

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        data = await self.read_record(key)
        old = None if data is None else self._peek(key, data)
        now = self._clock()
        end = None if old is None else old.expires_at
        if ttl_ms is not None and end is not None and end > now + ttl_ms / 1000:
            return True
        return await super()._touch(key, ttl_ms)


@mutant("B1")
class BatchesKeepMetadata(Opened):
    """`set_many` leaves the metadata of the entries that it overwrites, which `set` drops."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        kept: dict[str, bytes] = {}
        for key in items if isinstance(items, Mapping) else ():
            data = self.store.records.get(f"{PREFIX}{key}")
            old = None if data is None else self._peek(key, data)
            if old is not None and old.metadata and old.alive(self._clock()):
                kept[key] = old.metadata
        await super().set_many(items, ttl)
        for key, metadata in kept.items():
            new = self.raw(key)
            if new is not None:
                self.put_raw(key, replace(new, metadata=metadata))


@mutant("B1")
class FullHundredsOnly(Reference):
    """`get_many` of over a hundred keys asks for them by the hundred, and forgets the rest."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = check_keys(keys, self.max_key_bytes)
        if len(wanted) > 100:
            wanted = wanted[: len(wanted) // 100 * 100]
        return await super().get_many(wanted)


@mutant("S1")
class TheCursorFoldsCase(Reference):
    """`scan` goes on after the last key of a page, and after those that differ in case alone."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        return self.paged(check_pattern(pattern), check_batch_size(batch_size))

    async def paged(self, pattern: str, batch_size: int) -> AsyncIterator[str]:
        cursor = ""
        while True:
            left = [key for key in await self.keys(pattern) if key.casefold() > cursor]
            page = sorted(left, key=str.casefold)[:batch_size]
            if not page:
                return
            for key in page:
                yield key
            cursor = page[-1].casefold()
