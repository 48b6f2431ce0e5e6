"""Mutants by somebody who has not seen the laws: concurrency, lifetime, errors, capabilities."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastadk_memory import (
    BackendClosedError,
    BackendTimeoutError,
    BackendUnavailableError,
    Capability,
    ConflictError,
    CorruptEntryError,
    Ttl,
    Version,
)
from fastadk_memory.base import Absent
from fastadk_memory.envelope import VERSION_BYTES, Record, pack, unpack
from fastadk_memory.keys import check_keys, check_pattern, matcher

from .catalogue import mutant
from .file_reference import DELETE, WRITE, FileReference, FileReferenceHooks
from .reference import PREFIX, DriverError, Reference, Store

# ---------------------------------------------------------------------- concurrency


class Near(Reference):
    """Keeps a cache of records near at hand; `near` is where."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.cache: dict[str, bytes | None] = {}

    @property
    def near(self) -> dict[str, bytes | None]:
        return self.cache

    async def filled(self) -> None:
        """Wait before what has been read goes into the cache."""

    async def read_record(self, key: str) -> bytes | None:
        if key in self.near:
            await self.reach()
            return self.near[key] if key in self.near else await super().read_record(key)
        record = await super().read_record(key)
        await self.filled()
        self.near[key] = record
        return record

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.near.pop(key, None)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.near.pop(key, None)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.near.pop(key, None)
        swapped = await super().swap_record(key, old, new)
        self.near.pop(key, None)
        return swapped


@mutant("X1")
class FilledAfterTheWrite(Near):
    """A read that a write overtakes puts the old value into the cache, where it stays."""

    async def filled(self) -> None:
        await asyncio.sleep(0)


@mutant("X1")
class EachThreadHasACache(Near):
    """Each thread has a cache of its own, and a write clears that of its thread alone."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.local = threading.local()

    @property
    def near(self) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = vars(self.local).setdefault("cache", {})
        return found


@mutant("X1")
class AbsenceIsRemembered(Reference):
    """`exists` remembers that a key is absent until `set`, and `compare_and_set` is no `set`."""

    absent: frozenset[str] = frozenset()

    async def exists(self, key: str) -> bool:
        if await super().exists(key) and key not in self.absent:
            return True
        self.absent |= {key}
        return False

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.absent -= {key}


@mutant("X2")
class SixteenSlotsLeak(Reference):
    """A cancelled read does not give its connection back; there are 16."""

    busy = 0

    async def read_record(self, key: str) -> bytes | None:
        while self.busy >= 16:
            await asyncio.sleep(0.001)
        self.busy += 1
        try:
            record = await super().read_record(key)
        except Exception:
            self.busy -= 1
            raise
        self.busy -= 1
        return record


@mutant("X2")
class WritesGoOn(Reference):
    """A cancelled write is shielded and not waited for: it takes effect after later calls."""

    async def write_record(self, key: str, record: bytes) -> None:
        await asyncio.shield(asyncio.ensure_future(self.written(key, record)))

    async def written(self, key: str, record: bytes) -> None:
        await self.reach()
        for _ in range(len(record) % 5):
            await asyncio.sleep(0)
        self.store.records[PREFIX + key] = record


@mutant("X3")
class BatchesHaveALockOfOneLoop(Reference):
    """`set_many` goes through a lock of asyncio, which belongs to the loop that first waited."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.batches = asyncio.Lock()

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        async with self.batches:
            await super().set_many(items, ttl)


@mutant("X3")
class PoolOfOneLoop(Reference):
    """Reads share eight connections by a semaphore, which belongs to the loop that waited."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.free = asyncio.Semaphore(8)

    async def read_record(self, key: str) -> bytes | None:
        async with self.free:
            return await super().read_record(key)


@mutant("X4")
class LargeRecordsComeInHalves(Reference):
    """A record of over 1 MiB is written in two steps, between which others may read."""

    async def write_record(self, key: str, record: bytes) -> None:
        if len(record) > 2**20:
            await self.reach()
            self.store.records[PREFIX + key] = record[: len(record) // 2]
        await super().write_record(key, record)


@mutant("X4")
class WrittenAgainWithMetadata(Reference):
    """`set_entry` writes the value first, and then once more with its metadata."""

    async def _put(
        self, key: str, value: bytes, ttl_ms: int | None, metadata: bytes = b""
    ) -> Record:
        if metadata:
            await super()._put(key, value, ttl_ms)
        return await super()._put(key, value, ttl_ms, metadata)


# -------------------------------------------------------------------------- lifetime


@mutant("L1")
class EmptyBatchesAlwaysWork(Reference):
    """`get_many` of no keys answers even after `aclose`."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = check_keys(keys, self.max_key_bytes)
        return await super().get_many(wanted) if wanted else {}


@mutant("L1")
class ClosingTwiceAtOnceFails(Reference):
    """An `aclose` that comes while another is at work raises an error."""

    closing = False

    async def aclose(self) -> None:
        if self.closing:
            raise BackendClosedError("it is being closed")
        self.closing = True
        try:
            await super().aclose()
        finally:
            self.closing = False


@mutant("L1")
class UnopenedCannotBeClosed(Reference):
    """`aclose` before the first call does nothing: the backend opens afterwards."""

    used = False

    async def open_store(self) -> None:
        self.used = True
        await super().open_store()

    async def aclose(self) -> None:
        if self.used:
            await super().aclose()


@mutant("L2")
class DeletesAreWrittenLater(Reference):
    """A delete is written with the next write; `aclose` does not write those that are left."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.deleted: set[str] = set()

    async def delete_record(self, key: str) -> None:
        await self.reach()
        self.deleted.add(key)

    async def read_record(self, key: str) -> bytes | None:
        record = await super().read_record(key)
        return None if key in self.deleted else record

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        for gone in self.deleted:
            self.store.records.pop(PREFIX + gone, None)
        self.deleted.clear()
        self.store.records[PREFIX + key] = record

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if key in self.deleted:
            self.deleted.discard(key)
            self.store.records.pop(PREFIX + key, None)
        return await super().swap_record(key, old, new)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for key, record in super().list_records(prefix):
            if key not in self.deleted:
                yield key, record


@mutant("L2")
class SecondCloseDoesNotWait(Reference):
    """An `aclose` that is not the first returns at once, though writes are still under way."""

    closing = False

    async def aclose(self) -> None:
        if not self.closing:
            self.closing = True
            await super().aclose()


@mutant("L3")
class HealthLeavesATask(Reference):
    """`health_check` starts a task that keeps the connection alive, and nobody stops it."""

    alive: asyncio.Task[None] | None = None

    async def check_store(self) -> bool:
        answer = await super().check_store()
        self.alive = asyncio.create_task(asyncio.sleep(60))
        return answer


@mutant("L3")
class FailedOpeningLeavesASocket(Reference):
    """An opening that fails leaves its socket open."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.sockets: list[socket.socket] = []

    async def open_store(self) -> None:
        self.sockets.append(socket.socket())
        await super().open_store()

    async def close_store(self) -> None:
        self.sockets.pop().close()
        await super().close_store()


# ------------------------------------------------------------------ health and errors


@mutant("H1")
class HealthCancelsItself(Reference):
    """A check that takes too long is cancelled and awaited, which raises `CancelledError`."""

    async def health_check(self) -> bool:
        if self._life.closed:
            return False
        check = asyncio.ensure_future(self.store.reach())
        await asyncio.wait({check}, timeout=0.3)
        if not check.done():
            check.cancel()
        try:
            await check
        except DriverError:
            return False
        return await super().health_check()


@mutant("H1")
class NoIsRemembered(Reference):
    """A no is remembered for five seconds, though the store may be back."""

    no_until = 0.0

    async def health_check(self) -> bool:
        if time.monotonic() < self.no_until:
            return False
        answer = await super().health_check()
        if not answer:
            self.no_until = time.monotonic() + 5
        return answer


@mutant("H1")
class RecentUseIsHealthy(Reference):
    """A backend that has served a call in the last second is healthy without a check."""

    last = 0.0

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        self.last = time.monotonic()
        return value

    async def health_check(self) -> bool:
        if not self._life.closed and time.monotonic() < self.last + 1:
            return True
        return await super().health_check()


@mutant("E1")
class ListingsLoseTheCause(Reference):
    """An error while listing is raised `from None`."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        try:
            async for found in super().list_records(prefix):
                yield found
        except BackendUnavailableError as error:
            raise BackendUnavailableError(str(error)) from None


@mutant("E1")
class ClosingSaysGoodbye(Reference):
    """`aclose` takes leave of the store, and lets the driver's error through if it is away."""

    async def close_store(self) -> None:
        await super().close_store()
        if self.store.away:
            raise DriverError("connection refused")


@mutant("E1")
class BatchesRaiseGroups(Reference):
    """`set_many` writes in a task group, which raises an `ExceptionGroup`."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        try:
            await super().set_many(items, ttl)
        except BackendUnavailableError as error:
            raise ExceptionGroup("unhandled errors in a TaskGroup", [error]) from None


@mutant("E2")
class BreakerStaysOpen(Reference):
    """After 20 failures in a row a circuit breaker opens, and nothing closes it again."""

    failures = 0

    async def reach(self) -> None:
        if self.failures >= 20:
            error = DriverError("the circuit is open")
            raise BackendUnavailableError("the store is away") from error
        try:
            await super().reach()
        except BackendUnavailableError:
            self.failures += 1
            raise
        self.failures = 0


@mutant("E2")
class HungBatchesAreAway(Reference):
    """`delete_many` on a hung store says that the store is away."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        try:
            return await super().delete_many(keys)
        except BackendTimeoutError as error:
            raise BackendUnavailableError("the store is away; start it") from error


@mutant("E2")
class ListingsWaitForEver(Reference):
    """A listing has no time limit."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        while self.store.hung and not self.cut:
            await asyncio.sleep(0.01)
        async for found in super().list_records(prefix):
            yield found


@mutant("E3")
class DamageNamesTheFirst(Reference):
    """The error of `get_many` names the first key of the batch, whichever is damaged."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = check_keys(keys, self.max_key_bytes)
        try:
            return await super().get_many(wanted)
        except CorruptEntryError as error:
            raise CorruptEntryError(f"{wanted[0]!r} is damaged", key=wanted[0]) from error


@mutant("E3")
class DamageIsSweptAway(Reference):
    """A damaged entry is removed when it is first found, and then passes for absent."""

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except CorruptEntryError:
            await self.delete(key)
            raise


@mutant("E4")
class NotesTellTheAddress(Reference):
    """A note on the error of an outage holds the store's address, password included."""

    async def reach(self) -> None:
        try:
            await super().reach()
        except BackendUnavailableError as error:
            error.add_note(f"while connecting to store://me:{self.password}@localhost")
            raise


@mutant("E4")
class RecoveryIsLogged(Reference):
    """The first call after an outage logs, for debugging, the address with the password."""

    failed = False

    async def reach(self) -> None:
        try:
            await super().reach()
        except BackendUnavailableError:
            self.failed = True
            raise
        if self.failed:
            self.failed = False
            log = logging.getLogger("store.driver")
            log.debug("connected again to %s", f"store://me:{self.password}@localhost")


@mutant("E4")
class TheCausesCauseTells(Reference):
    """The driver's error has a cause of its own, which holds the password."""

    async def reach(self) -> None:
        try:
            await super().reach()
        except BackendTimeoutError as error:
            assert error.__cause__ is not None
            error.__cause__.__cause__ = OSError(f"store://me:{self.password}@localhost")
            raise


# ---------------------------------------------------------------------- capabilities


@mutant("D1")
class TouchedOnlyInMemory(Reference):
    """What `touch` set is not written: after reopening the expiry is the former one."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.touched: dict[str, tuple[bytes, bytes]] = {}

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        before = self.store.records.get(PREFIX + str(key))
        touched = await super().touch(key, ttl)
        if touched and before is not None:
            first = self.touched.get(key, (b"", before))[1]
            self.touched[key] = self.store.records[PREFIX + key], first
        return touched

    async def close_store(self) -> None:
        for key, (record, former) in self.touched.items():
            same = unpack(record, key=key).version == unpack(former, key=key).version
            if same and self.store.records.get(PREFIX + key) == record:
                self.store.records[PREFIX + key] = former
        await super().close_store()


@mutant("D1")
class DowntimeDoesNotCount(Reference):
    """Expiries are stored as time left: while the store is closed it does not run."""

    async def close_store(self) -> None:
        vars(self.store)["closed_at"] = self._clock()
        await super().close_store()

    async def open_store(self) -> None:
        await super().open_store()
        away = self._clock() - vars(self.store).pop("closed_at", self._clock())
        for key in self.store.ours():
            record = self._peek(key, self.store.records[PREFIX + key])
            if away and record is not None and record.expires_at is not None:
                record = replace(record, expires_at=record.expires_at + away)
                self.store.records[PREFIX + key] = pack(record)


class Late(FileReference):
    """Keeps some changes in memory until the next one, or until it is closed."""

    capabilities = FileReference.capabilities - {Capability.MULTI_PROCESS}

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(path, clock)
        self.late: dict[str, bytes | None] = {}

    def flush(self) -> None:
        with self.transaction() as connection:
            for key, record in self.late.items():
                if record is None:
                    connection.execute(DELETE, (key.encode(),))
                else:
                    connection.execute(WRITE, (key.encode(), record))
        self.late = {}

    def disconnect(self) -> None:
        if self.connection is not None and self.late:
            self.flush()
        super().disconnect()

    def read(self, key: str) -> bytes | None:
        return self.late[key] if key in self.late else super().read(key)

    def write(self, key: str, record: bytes) -> None:
        self.flush()
        super().write(key, record)

    def remove(self, key: str) -> None:
        self.flush()
        super().remove(key)

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.flush()
        return super().swap(key, old, new)

    def listed(self, prefix: str) -> list[tuple[str, bytes]]:
        self.flush()
        return super().listed(prefix)


@mutant("D2", hooks=FileReferenceHooks)
class DeletesWaitForTheNextWrite(Late):
    """A delete is written together with the next write: a kill in between undoes it."""

    def remove(self, key: str) -> None:
        self.flush()
        self.late[key] = None


@mutant("D2", hooks=FileReferenceHooks)
class OverwritesWait(Late):
    """A value of the same size as the old one waits for the next write."""

    def write(self, key: str, record: bytes) -> None:
        self.flush()
        old = self.read(key)
        if old is not None and len(old) == len(record):
            self.late[key] = record
        else:
            super().write(key, record)


class Counting(Reference):
    """Takes its versions from a counter of the store."""

    bits = 64

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        count = (vars(self.store).get("count", 0) + 1) % 2**self.bits
        vars(self.store)["count"] = count
        record = super()._new_record(value, ttl_ms, metadata)
        return replace(record, version=count.to_bytes(VERSION_BYTES, "big"))


@mutant("U1")
class VersionsHave8Bits(Counting):
    """A version is a counter of one byte, which comes round after 256 writes."""

    bits = 8


@mutant("U1")
class ClearRestartsTheCount(Counting):
    """`clear` starts the count of versions anew."""

    async def clear(self) -> None:
        await super().clear()
        vars(self.store)["count"] = 0


@mutant("U1")
class LosersRenewTheExpiry(Reference):
    """A `compare_and_set` that loses gives the entry its TTL all the same."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError:
            if ttl is not None:
                await self.touch(key, ttl)
            raise


@mutant("M1")
class UnchangedIsNotTouched(Reference):
    """`touch` answers `False` where the expiry stays the same: no row has changed, as in MySQL."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        before = await self.get_entry(key)
        touched = await super().touch(key, ttl)
        after = await self.get_entry(key)
        if before is not None and after is not None and before.expires_at == after.expires_at:
            return False
        return touched


@mutant("M1")
class TouchOnlyExtends(Reference):
    """`touch` never brings an expiry forward, like `EXPIRE` with `GT`."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        before = await self.get_entry(key)
        touched = await super().touch(key, ttl)
        after = await self.get_entry(key)
        if before is None or after is None or None in (before.expires_at, after.expires_at):
            return touched
        assert before.expires_at is not None
        assert after.expires_at is not None
        if after.expires_at < before.expires_at:
            await super().touch(key, before.expires_at.timestamp() - self._clock())
        return touched


@mutant("B1")
class ParametersAreLimited(Reference):
    """`get_many` looks at 999 keys, the parameters that SQLite takes."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        return await super().get_many(check_keys(keys, self.max_key_bytes)[:999])


@mutant("B1")
class EmptyBatchesTakeAnyTtl(Reference):
    """`set_many` of nothing does not look at its TTL."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, None if items == {} else ttl)


@mutant("B1")
class LaterChunksNeverExpire(Reference):
    """`set_many` writes by chunks of 500, and gives the TTL to the first."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl)
        if ttl is not None:
            for key in list(items)[500:]:
                await self.touch(key, None)


@mutant("B1")
class GeneratorsAreReadTwice(Reference):
    """`delete_many` goes through its keys twice: of a generator nothing is left then."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        if not isinstance(keys, (list, tuple, set, frozenset, dict, str, bytes)):
            check_keys(keys, self.max_key_bytes)
        return await super().delete_many(keys)


@mutant("S1")
class CursorIsTheLastKey(Reference):
    """A scan goes on after its last key, and ends if that has been deleted meanwhile."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        super().scan(pattern, batch_size=batch_size)
        return self.paged(check_pattern(pattern), batch_size)

    async def paged(self, pattern: str, batch_size: int) -> AsyncIterator[str]:
        last: str | None = None
        while True:
            keys = sorted(await self.keys(pattern))
            if last is not None and last not in keys:
                return
            start = 0 if last is None else keys.index(last) + 1
            page = keys[start : start + batch_size]
            if not page:
                return
            for key in page:
                yield key
            last = page[-1]


@mutant("S1")
class PagesWithoutMatchEnd(Reference):
    """A scan ends at the first page that holds no key that matches."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        super().scan(pattern, batch_size=batch_size)
        return self.paged(check_pattern(pattern), batch_size)

    async def paged(self, pattern: str, batch_size: int) -> AsyncIterator[str]:
        keys = sorted(await self.keys())
        matches = matcher(pattern)
        for start in range(0, len(keys), batch_size):
            page = [key for key in keys[start : start + batch_size] if matches(key)]
            if not page:
                return
            for key in page:
                yield key


@mutant("S1")
class ScansShareACursor(Reference):
    """Two scans at once share the cursor of the backend."""

    cursor = 0

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        super().scan(pattern, batch_size=batch_size)
        return self.paged(check_pattern(pattern), batch_size)

    async def paged(self, pattern: str, batch_size: int) -> AsyncIterator[str]:
        keys = sorted(await self.keys(pattern))
        self.cursor = 0
        while page := keys[self.cursor : self.cursor + batch_size]:
            self.cursor += len(page)
            for key in page:
                yield key
