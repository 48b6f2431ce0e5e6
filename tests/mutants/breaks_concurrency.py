"""Mutants that break X1 to X4."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from fastadk_memory import BackendUnavailableError, MemoryEntry
from fastadk_memory.concurrency import Mutex
from fastadk_memory.contract import Limits
from fastadk_memory.envelope import pack, unpack

from .catalogue import Reference, mutant
from .reference import PREFIX, DriverError, ReferenceHooks


class Impatient(ReferenceHooks):
    """For mutants that hang: what is known to fail need not take long."""

    limits = Limits(operation_seconds=1, blocking_seconds=4)


# --------------------------------------------------------------------------- X1: linearizable


@mutant("X1")
class CacheIsFilledLate(Reference):
    """A read that misses the cache fills it with what it read, though a set came in between."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache: dict[str, bytes] = {}

    async def read_record(self, key: str) -> bytes | None:
        if key in self.cache:
            return self.cache[key]
        record = await super().read_record(key)
        await asyncio.sleep(0)
        if record is not None:
            self.cache[key] = record
        return record

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.cache.pop(key, None)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.cache.pop(key, None)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        swapped = await super().swap_record(key, old, new)
        self.cache.pop(key, None)
        return swapped


@mutant("X1")
class OverwritingIsAcknowledgedEarly(Reference):
    """Overwriting a key is acknowledged before it is stored; a new key is stored at once."""

    async def write_record(self, key: str, record: bytes) -> None:
        if PREFIX + key not in self.store.records:
            await super().write_record(key, record)
            return
        await self.reach()
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: self.store.records.__setitem__(PREFIX + key, record))


@mutant("X1")
class ReadsJoinReadsUnderWay(Reference):
    """A get joins one that is under way for the same key, which may have read an older value."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.flights: dict[tuple[object, str], asyncio.Task[bytes | None]] = {}

    async def get(self, key: str) -> Any:
        flight = (asyncio.get_running_loop(), key)
        if flight not in self.flights:
            self.flights[flight] = asyncio.ensure_future(self.fly(key))
            self.flights[flight].add_done_callback(lambda _: self.flights.pop(flight))
        return await asyncio.shield(self.flights[flight])

    async def fly(self, key: str) -> Any:
        value = await super().get(key)
        await asyncio.sleep(0)
        return value


@mutant("X1")
class TouchBringsBack(Reference):
    """touch writes back the record that it read, without a lock: a delete meanwhile is undone."""

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        record = await self.read_record(key)
        if record is None or not await super()._touch(key, ttl_ms):
            return False
        if PREFIX + key not in self.store.records:
            return True
        touched = self.store.records[PREFIX + key]
        await self.reach()
        await self.write_record(key, touched)
        return True


@mutant("X1")
class SetsShareOneTrip(Reference):
    """A set of a key that another set is writing hands its value over and returns at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writing: dict[str, tuple[Any, Any] | None] = {}

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if key in self.writing:
            self.writing[key] = (value, ttl)
            return
        self.writing[key] = None
        try:
            await super().set(key, value, ttl)
            while (handed := self.writing[key]) is not None:
                self.writing[key] = None
                await super().set(key, *handed)
        finally:
            del self.writing[key]


@mutant("X1")
class ListingLagsBehindDeletes(Reference):
    """keys leaves out a deleted key only after the next turn of the event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fading: set[str] = set()

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.fading.add(key)
        asyncio.get_running_loop().call_soon(self.fading.discard, key)

    async def keys(self, pattern: str = "*") -> list[str]:
        lagging = list(self.fading) if pattern == "*" else []
        found = await super().keys(pattern)
        return found + [key for key in lagging if key not in found]


@mutant("X1")
class GetVerifiesAndGivesUp(Reference):
    """A get that finds the record changed while it read says that there is none."""

    async def read_record(self, key: str) -> bytes | None:
        record = await super().read_record(key)
        again = await super().read_record(key)
        return record if record == again else None


@mutant("X1")
class LockForEachLoop(Reference):
    """set_many locks with a lock of the running loop: two threads lose each other's writes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loop_locks: dict[object, asyncio.Lock] = {}

    def loop_lock(self) -> asyncio.Lock:
        return self.loop_locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())

    async def write_record(self, key: str, record: bytes) -> None:
        async with self.loop_lock():
            await self.rewrite({PREFIX + key: record})

    async def delete_record(self, key: str) -> None:
        async with self.loop_lock():
            await self.rewrite({PREFIX + key: None})

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        async with self.loop_lock():
            if await self.read_record(key) != old:
                return False
            await self.rewrite({PREFIX + key: new})
            return True

    async def rewrite(self, changes: dict[str, bytes | None]) -> None:
        """Read all, change, write all, as a store in a single file does."""
        records = dict(self.store.records)
        await self.reach()
        for name, record in changes.items():
            records.pop(name, None)
            if record is not None:
                records[name] = record
        self.store.records = records


@mutant("X1")
class ClearTakesWhatCameAfter(Reference):
    """clear notes the time, and removes later also what was set after it has returned."""

    async def clear(self) -> None:
        keys = list(self.store.ours())
        await super().clear()
        if not keys:
            return
        loop = asyncio.get_running_loop()
        for key in keys:
            loop.call_soon(lambda key=key: self.store.records.pop(PREFIX + key, None))


# --------------------------------------------------------------------------- X2: cancellation


class Line:
    """A connection that answers requests in their order, as a multiplexed one does."""

    def __init__(self) -> None:
        self.waiting: deque[asyncio.Future[Any]] = deque()

    def ask(self, answer: Any) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: loop.call_soon(self.reply, answer))
        self.waiting.append(loop.create_future())
        return self.waiting[-1]

    def reply(self, answer: Any) -> None:
        while self.waiting:
            future = self.waiting.popleft()
            if not future.done():  # a request that was cancelled: the answer is for the next
                future.set_result(answer)
                return


@mutant("X2")
class RepliesShift(Reference):
    """The answer to a cancelled get goes to the next one that waits on the connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.line = Line()

    async def read_record(self, key: str) -> bytes | None:
        await self.reach()
        return await self.line.ask(self.store.records.get(PREFIX + key))


@mutant("X2", hooks=Impatient)
class LockStaysHeld(Reference):
    """A set that is cancelled while it holds the lock of its key never frees it."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        lock = self.__dict__.setdefault("held", {}).setdefault(key, Mutex())
        await lock.__aenter__()
        await super().set(key, value, ttl)
        await lock.__aexit__(None, None, None)


@mutant("X2")
class GetSwallowsCancellation(Reference):
    """A get that is cancelled says that there is nothing, as if it had failed softly."""

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except asyncio.CancelledError:
            return None


@mutant("X2")
class OverwritingDeletesFirst(Reference):
    """Overwriting deletes and then inserts: cancelled between the two, the key is gone."""

    async def write_record(self, key: str, record: bytes) -> None:
        if PREFIX + key in self.store.records:
            await self.delete_record(key)
        await super().write_record(key, record)


@mutant("X2")
class CancelledWritesGoOn(Reference):
    """A cancelled set goes on in the background, and takes effect after it has ended."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        work = asyncio.ensure_future(self.write_with_the_next_batch(key, value, ttl))
        self.__dict__.setdefault("work", set()).add(work)
        work.add_done_callback(self.work.discard)
        await asyncio.shield(work)

    async def write_with_the_next_batch(self, *arguments: Any) -> None:
        for _ in range(4):
            await asyncio.sleep(0)
        await super().set(*arguments)

    async def aclose(self) -> None:
        await asyncio.gather(*self.__dict__.get("work", ()), return_exceptions=True)
        await super().aclose()


@mutant("X2")
class CancelledDeletesGoOnLater(Reference):
    """A cancelled delete is done by a timer, some milliseconds later."""

    async def delete(self, key: str) -> None:
        try:
            await super().delete(key)
        except asyncio.CancelledError:
            loop = asyncio.get_running_loop()
            loop.call_later(0.004, self.store.records.pop, PREFIX + key, None)
            raise


@mutant("X2", hooks=Impatient)
class OpeningNeverEnds(Reference):
    """When the call that opens is cancelled, the others wait for it for ever."""

    opened: Mutex | None = None

    async def open_store(self) -> None:
        if self.opened is None:
            self.opened = Mutex()
        await self.opened.__aenter__()
        await super().open_store()
        await self.opened.__aexit__(None, None, None)


@mutant("X2", hooks=Impatient)
class ConnectionsLeak(Reference):
    """There are 16 connections; a cancelled get does not give its own back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.free = threading.Semaphore(16)

    async def get(self, key: str) -> Any:
        while not self.free.acquire(blocking=False):
            await asyncio.sleep(0.001)
        value = await super().get(key)
        self.free.release()
        return value


@mutant("X2")
class BatchRaisesWhenCancelled(Reference):
    """A cancelled set_many raises an error of its own instead of CancelledError."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        try:
            await super().set_many(items, ttl)
        except asyncio.CancelledError as error:
            raise RuntimeError("the batch was not finished") from error


@mutant("X2", hooks=Impatient)
class CallsAreMiscounted(Reference):
    """A cancelled exists is still counted as under way, and aclose waits for it."""

    async def exists(self, key: str) -> bool:
        await self._life.__aenter__()
        found = await self._read(key) is not None
        await self._life.__aexit__(None, None, None)
        return found


@mutant("X2")
class CancelledSetManyRollsBackTooFar(Reference):
    """A cancelled set_many undoes what it did by deleting, though the keys held something."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        items = dict(items)
        try:
            await super().set_many(items, ttl)
        except asyncio.CancelledError:
            for key in items:
                self.store.records.pop(PREFIX + key, None)
            raise


@mutant("X2")
class ExpiryComesSecond(Reference):
    """set stores the value for good and then makes it expire: cancelled between, it never does."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value)
        if ttl is not None:
            await super().touch(key, ttl)


@mutant("X2")
class CancelledSwapTakesTheVersion(Reference):
    """A cancelled compare_and_set leaves the value and changes its version."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except asyncio.CancelledError:
            name = PREFIX + key
            if name in self.store.records:
                old = unpack(self.store.records[name], key=key)
                if old.version.hex() == expect:
                    changed = replace(old, version=bytes(reversed(old.version)))
                    self.store.records[name] = pack(changed)
            raise


@mutant("X2")
class NextCallPaysForIt(Reference):
    """A cancelled listing drops the connection, and the next call gets the error."""

    dropped = False

    async def reach(self) -> None:
        if self.dropped:
            self.dropped = False
            raise BackendUnavailableError("the connection was dropped")
        await super().reach()

    async def keys(self, pattern: str = "*") -> list[str]:
        try:
            return await super().keys(pattern)
        except asyncio.CancelledError:
            self.dropped = True
            raise


@mutant("X2")
class CancelledDeleteManyEndsTheBatch(Reference):
    """A cancelled delete_many forgets to leave the state of deleting, in which keys are hidden."""

    deleting: frozenset[str] = frozenset()

    async def delete_many(self, keys: Any) -> int:
        wanted = list(keys)
        self.deleting = frozenset(wanted[1:])
        existed = await super().delete_many(wanted)
        self.deleting = frozenset()
        return existed

    async def exists(self, key: str) -> bool:
        return key not in self.deleting and await super().exists(key)


@mutant("X2")
class AnswerBeatsCancellation(Reference):
    """A delete that is done when its cancellation arrives returns, as wait_for did up to 3.11."""

    async def delete(self, key: str) -> None:
        work = asyncio.ensure_future(super().delete(key))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            if work.done():
                return
            work.cancel()
            await asyncio.wait([work])
            raise


# ------------------------------------------------------------------------- X3: one object, any loop


@mutant("X3")
class LockOfTheFirstLoop(Reference):
    """Writes wait for each other at a lock of asyncio's, which belongs to one event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writing = asyncio.Lock()

    async def write_record(self, key: str, record: bytes) -> None:
        async with self.writing:
            await super().write_record(key, record)


@mutant("X3")
class ConnectsOnceByFuture(Reference):
    """The first call connects; others await its future, though it may belong to another loop."""

    connected: asyncio.Future[None] | None = None

    async def get(self, key: str) -> Any:
        if self.connected is None:
            self.connected = asyncio.get_running_loop().create_future()
            await asyncio.sleep(0)
            self.connected.set_result(None)
        await self.connected
        return await super().get(key)


@mutant("X3")
class FirstLoopIsKept(Reference):
    """delete runs in an executor of the event loop that the object was first used in."""

    first_loop: asyncio.AbstractEventLoop | None = None

    async def delete_record(self, key: str) -> None:
        if self.first_loop is None:
            self.first_loop = asyncio.get_running_loop()
        future = self.first_loop.create_future()
        self.first_loop.call_soon(future.set_result, None)
        await future
        await super().delete_record(key)


@mutant("X3")
class ListsALiveDict(Reference):
    """A listing goes through the dict itself, which other threads change meanwhile."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        await self.reach()
        for name, record in self.store.records.items():
            if name.startswith(PREFIX + prefix):
                yield name.removeprefix(PREFIX), record


@mutant("X3")
class ArgumentsWaitInTheObject(Reference):
    """A record waits in an attribute while the disk is busy: another thread overwrites it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.next_write = ("", b"")

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        self.next_write = (PREFIX + key, record)
        time.sleep(0)  # a blocking call: other threads run, other tasks do not
        name, data = self.next_write
        self.store.records[name] = data


@mutant("X3", hooks=Impatient)
class WorkerLivesInTheFirstLoop(Reference):
    """set_many is done by a worker task of the first loop, and waits for it ever after."""

    worker: asyncio.Task[None] | None = None
    batches: asyncio.Queue[Any]

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        if self.worker is None:
            self.batches = asyncio.Queue()
            self.worker = asyncio.ensure_future(self.work())
        done = asyncio.get_running_loop().create_future()
        self.batches.put_nowait((items, ttl, done))
        await done

    async def work(self) -> None:
        while True:
            items, ttl, done = await self.batches.get()
            try:
                await super().set_many(items, ttl)
            except Exception as error:  # noqa: BLE001
                done.set_exception(error)
            else:
                done.set_result(None)

    async def aclose(self) -> None:
        if self.worker is not None:
            self.worker.cancel()
        await super().aclose()


@mutant("X3", hooks=Impatient)
class WakesFromTheWrongThread(Reference):
    """Who waits for a key of another thread is woken without telling its event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.busy: dict[str, list[asyncio.Future[None]]] = {}

    async def delete(self, key: str) -> None:
        while key in self.busy:
            turn = asyncio.get_running_loop().create_future()
            self.busy[key].append(turn)
            await turn
        self.busy[key] = []
        try:
            await super().delete(key)
        finally:
            for turn in self.busy.pop(key):
                if not turn.done():
                    turn.set_result(None)


@mutant("X3")
class ClosesOnlyWhereItOpened(Reference):
    """aclose awaits a task that was begun by the loop that opened."""

    keeper: asyncio.Task[None] | None = None

    async def open_store(self) -> None:
        await super().open_store()
        self.keeper = asyncio.ensure_future(asyncio.sleep(3600))

    async def close_store(self) -> None:
        if self.keeper is not None:
            self.keeper.cancel()
            await asyncio.wait([self.keeper])
        await super().close_store()


@mutant("X3")
class OfOneThread(Reference):
    """Only the thread that opened may list the keys, as with a connection of sqlite3."""

    opener = 0

    async def open_store(self) -> None:
        await super().open_store()
        self.opener = threading.get_ident()

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        if self.opener not in (0, threading.get_ident()):
            raise DriverError("objects created in a thread can only be used in that same thread")
        async for found in super().list_records(prefix):
            yield found


@mutant("X3")
class CacheOfEachThread(Reference):
    """Each thread keeps what it read, and hears of the writes of its own thread only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.local = threading.local()

    def cache(self) -> dict[str, bytes | None]:
        cache: dict[str, bytes | None] = self.local.__dict__.setdefault("cache", {})
        return cache

    async def read_record(self, key: str) -> bytes | None:
        record = self.cache().get(key) or await super().read_record(key)
        self.cache()[key] = record
        return record

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.cache()[key] = record

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.cache()[key] = None


@mutant("X3", hooks=Impatient)
class LockOfThreadsIsHeldWhileWaiting(Reference):
    """Writing waits for the store with a lock of threads held: a second task blocks its loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writing = threading.Lock()

    async def write_record(self, key: str, record: bytes) -> None:
        with self.writing:
            await super().write_record(key, record)


# ------------------------------------------------------------------------- X4: no half values


@mutant("X4")
class LargeRecordsAreWrittenInParts(Reference):
    """A record of more than 4 KiB replaces the old one in two steps; values have no checksum."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.values: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return self.values.get(key, value) if isinstance(value, dict) else value

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if not isinstance(value, dict) or len(str(value)) < 4096:
            self.values.pop(key, None)
            await super().set(key, value, ttl)
            return
        half = len(value) // 2
        old = self.values.get(key, {})
        self.values[key] = {**dict(list(value.items())[:half]), **dict(list(old.items())[half:])}
        await super().set(key, value, ttl)
        del self.values[key]


@mutant("X4")
class EntryIsReadTwice(Reference):
    """get_entry takes the value from one read and the version from another."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        first = await super().get_entry(key)
        second = await super().get_entry(key)
        if first is None or second is None:
            return second
        return replace(second, value=first.value)


@mutant("X4")
class MetadataComesLater(Reference):
    """set_entry stores the value first, and the metadata in a second step."""

    async def set_entry(
        self, key: str, value: Any, ttl: Any = None, *, metadata: Any
    ) -> MemoryEntry:
        before = await super().get_entry(key)
        if before is not None:
            await super().set_entry(key, value, ttl, metadata=before.metadata)
        return await super().set_entry(key, value, ttl, metadata=metadata)


@mutant("X4")
class ReadsInChunks(Reference):
    """A record over 1 KiB is read in two chunks; a damaged one counts as not yet written."""

    async def read_record(self, key: str) -> bytes | None:
        record = await super().read_record(key)
        if record is None or len(record) < 1024:
            return record
        half = len(record) // 2
        rest = await super().read_record(key)
        return record if rest is None else record[:half] + rest[half:]


@mutant("X4")
class SetManyLeavesRoomBetween(Reference):
    """set_many empties all its keys before it fills them: each is an empty dict for a while."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        there = [key for key in items if await self.exists(key)]
        await super().set_many({key: {} for key in there}, ttl)
        await super().set_many(items, ttl)


@mutant("X4")
class ScratchBufferIsShared(Reference):
    """Records are put together in a buffer of the object, which two threads use at once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer = bytearray()

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        self.buffer[:] = record[:10]
        time.sleep(0)  # a blocking write, during which another thread may run
        self.buffer += record[10:]
        self.store.records[PREFIX + key] = bytes(self.buffer)


@mutant("X4")
class ExpiryIsReadFirst(Reference):
    """get_entry reads the expiry, then the rest: it may be that of the entry before."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        first = await super().get_entry(key)
        second = await super().get_entry(key)
        if first is None or second is None:
            return second
        return replace(second, expires_at=first.expires_at)


@mutant("X4")
class BulkReadMixesDocuments(Reference):
    """get_many fetches the parts of a dict one by one."""

    async def get_many(self, keys: Any) -> dict[str, Any]:
        found = await super().get_many(keys)
        for key, value in found.items():
            if isinstance(value, dict) and len(value) > 1:
                again = await self.get(key)
                last = list(value)[-1]
                if isinstance(again, dict) and last in again:
                    value[last] = again[last]
        return found
