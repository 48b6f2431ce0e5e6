"""Mutants that break L1 to L3."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar

from fastadk_memory import (
    BackendClosedError,
    MemoryBackend,
    MemoryEntry,
    NamespacedBackend,
    Ttl,
)
from fastadk_memory.concurrency import Lifetime
from fastadk_memory.contract import Limits

from .catalogue import mutant
from .reference import DriverError, Reference, ReferenceHooks


class HurriedHooks(ReferenceHooks):
    """For mutants that hang: the suite gives them up sooner."""

    limits = Limits(operation_seconds=2, blocking_seconds=30, health_seconds=1.5, reclaim_seconds=2)


# ------------------------------------------------------------------------------------- L1


@mutant("L1")
class ConnectsWhenConstructed(Reference):
    """The constructor connects, so no object can be made while the service is away."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.store.away:
            raise DriverError("connection refused")


@mutant("L1")
class OpensAFileWhenConstructed(Reference):
    """The constructor opens its file."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.file = tempfile.TemporaryFile()  # noqa: SIM115

    async def aclose(self) -> None:
        await super().aclose()
        self.file.close()


@mutant("L1")
class NeedsALoopToBeConstructed(Reference):
    """The constructor asks for the running event loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loop = asyncio.get_running_loop()


@mutant("L1")
class StartsASweeperWhenConstructed(Reference):
    """The constructor starts a thread, if only a sleeping one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.done = threading.Event()
        threading.Thread(target=self.done.wait, name="sweeper", daemon=True).start()

    async def aclose(self) -> None:
        await super().aclose()
        self.done.set()


class NeedsOpening(Reference):
    """Common to mutants in which something forgets to open."""

    opened = False

    async def open_store(self) -> None:
        await super().open_store()
        self.opened = True


@mutant("L1")
class TouchDoesNotOpen(NeedsOpening):
    """`touch` as the first call fails, as it asks a connection that is not there yet."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        if not self.opened:
            raise AttributeError("'NoneType' object has no attribute 'expire'")
        return await super().touch(key, ttl)


@mutant("L1")
class BulkReadOfAnUnopenedStoreIsEmpty(NeedsOpening):
    """`get_many` as the first call finds nothing, as the index has not been loaded."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        return await super().get_many(keys) if self.opened else {}


@mutant("L1")
class ViewDoesNotOpen(NeedsOpening):
    """A namespace can only be used after the store has been."""

    def namespace(self, name: str) -> MemoryBackend:
        return StrictView(self, name)


class StrictView(NamespacedBackend):
    async def exists(self, key: str) -> bool:
        if not self.inner.opened:
            raise BackendClosedError("open the store first")
        return await super().exists(key)


@mutant("L1")
class OpenTwiceAtOnceFails(Reference):
    """A second `open` fails while the first is still under way."""

    opening = False

    async def open(self) -> None:
        if self.opening:
            raise RuntimeError("already opening")
        self.opening = True
        try:
            await super().open()
        finally:
            self.opening = False


@mutant("L1")
class CancelledOpeningCountsAsOpen(Reference):
    """When the call that opens is cancelled, the ones that wait take it for open."""

    connected = False
    cancelled = False

    async def open_store(self) -> None:
        if self.cancelled:
            return  # it believes the flag
        try:
            await super().open_store()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        self.connected = True

    async def write_record(self, key: str, record: bytes) -> None:
        if not self.connected:
            raise DriverError("no connection")
        await super().write_record(key, record)


@mutant("L1")
class OpenRevives(Reference):
    """`open` after `aclose` opens again."""

    async def open(self) -> None:
        if self._life.closed:
            Reference.__init__(self, self.store, self._clock, self.password)
        await super().open()


@mutant("L1")
class ScanOfAClosedStoreIsEmpty(Reference):
    """`scan` after `aclose` simply yields nothing."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        if self._life.closed:
            return
        async for key in super()._scan_open(pattern):
            yield key


@mutant("L1")
class ReadsGoOnAfterClosing(Reference):
    """`get_entry` of a key that was read before is answered from a cache after `aclose`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache: dict[str, MemoryEntry | None] = {}

    async def get_entry(self, key: str) -> MemoryEntry | None:
        if self._life.closed:
            return self.cache.get(key)
        self.cache[key] = await super().get_entry(key)
        return self.cache[key]


@mutant("L1")
class UnopenedIsNotClosed(Reference):
    """`aclose` of a backend that was never opened does nothing."""

    used = False

    async def open_store(self) -> None:
        self.used = True
        await super().open_store()

    async def aclose(self) -> None:
        if self.used:
            await super().aclose()


@mutant("L1")
class SecondCloseRaises(Reference):
    """A second `aclose` raises."""

    async def aclose(self) -> None:
        if self._life.closed:
            raise BackendClosedError("closed already")
        await super().aclose()


@mutant("L1")
class SecondCloseRevives(Reference):
    """A second `aclose` toggles: the backend can be used again."""

    closings = 0

    async def aclose(self) -> None:
        self.closings += 1
        if self.closings == 2:
            Reference.__init__(self, self.store, self._clock, self.password)
            return
        await super().aclose()


@mutant("L1")
class ClosingAViewClosesTheStore(Reference):
    """Closing a namespace closes the store behind it."""

    def namespace(self, name: str) -> MemoryBackend:
        return NamespacedBackend(self, name, close_inner=True)


@mutant("L1")
class AsyncWithSwallows(Reference):
    """`async with` swallows the error of its block."""

    async def __aexit__(self, *error: object) -> bool:
        await self.aclose()
        return True


@mutant("L1")
class ErrorInTheBlockKeepsItOpen(Reference):
    """`async with` closes only when its block succeeds."""

    async def __aexit__(self, kind: object, *error: object) -> None:
        if kind is None:
            await self.aclose()


# ------------------------------------------------------------------------------------- L2


@mutant("L2")
class ClosesUnderItsWriters(Reference):
    """`aclose` lets go of the connection while writes are under way."""

    async def aclose(self) -> None:
        if not self._life.closed:
            await self.close_store()
        await super().aclose()


class CountsCalls(Reference):
    """Common to mutants that forget one kind of call when they wait for writes."""

    def forgotten(self) -> Any:
        """Return a context manager around a call that `aclose` does not wait for."""
        return Forgotten(self)


class Forgotten:
    def __init__(self, backend: Reference) -> None:
        self.backend = backend

    async def __aenter__(self) -> None:
        async with self.backend._life:
            pass

    async def __aexit__(self, *error: object) -> None:
        pass


@mutant("L2")
class DoesNotWaitForBulkWrites(CountsCalls):
    """`aclose` waits for single writes, not for `set_many`: that one fails half way."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        async with self.forgotten():
            for key, value in items.items():
                await self._put(key, self.encoded(value), None)

    def encoded(self, value: Any) -> bytes:
        from fastadk_memory.codec import encode

        return encode(value)


@mutant("L2")
class DoesNotWaitForTouch(CountsCalls):
    """`touch` is no write in the eyes of `aclose`."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        async with self.forgotten():
            return await self._touch(key, None if ttl is None else 3_600_000)


@mutant("L2")
class WritesBehind(Reference):
    """Writes are acknowledged into a buffer, whose last part `aclose` forgets to flush."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.buffer: dict[str, bytes] = {}

    async def read_record(self, key: str) -> bytes | None:
        return self.buffer.get(key) or await super().read_record(key)

    async def write_record(self, key: str, record: bytes) -> None:
        self.buffer[key] = record
        if len(self.buffer) >= 4:
            for name in list(self.buffer):
                await super().write_record(name, self.buffer[name])
                self.buffer.pop(name, None)

    async def delete_record(self, key: str) -> None:
        self.buffer.pop(key, None)
        await super().delete_record(key)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if key in self.buffer:
            await super().write_record(key, self.buffer.pop(key))
        return await super().swap_record(key, old, new)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        for name in list(self.buffer):
            await super().write_record(name, self.buffer.pop(name))
        async for found in super().list_records(prefix):
            yield found


@mutant("L2")
class BufferedDeletesAreLost(Reference):
    """Deletes are buffered, and `aclose` writes the buffered sets only: the dead come back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.dead: set[str] = set()

    async def delete_record(self, key: str) -> None:
        self.dead.add(key)

    async def read_record(self, key: str) -> bytes | None:
        return None if key in self.dead else await super().read_record(key)

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.dead.discard(key)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if key in self.dead:
            await super().delete_record(key)
            self.dead.discard(key)
        return await super().swap_record(key, old, new)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for key, record in super().list_records(prefix):
            if key not in self.dead:
                yield key, record


@mutant("L2")
class ClosingDropsTheQueue(Reference):
    """Once `aclose` has come, queued writes are acknowledged without being carried out."""

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        if not self._life.closed:
            await super().write_record(key, record)


@mutant("L2")
class CancelledCloseGivesUp(Reference):
    """After a cancelled `aclose` the next one believes that everything is done."""

    cancelled = False

    async def aclose(self) -> None:
        if self.cancelled:
            return
        try:
            await super().aclose()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


@mutant("L2")
class SecondCloserDoesNotWait(Reference):
    """A second `aclose` returns at once, while the first one still waits for the writes."""

    async def aclose(self) -> None:
        if not self._life.closed:
            await super().aclose()


@mutant("L2", hooks=HurriedHooks)
class ClosingAndWritingWaitForEachOther(Reference):
    """`compare_and_set` needs a lock that `aclose` holds while it waits for it."""

    async def aclose(self) -> None:
        self.closing = True
        await super().aclose()

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        await self.reach()
        while getattr(self, "closing", False):
            await asyncio.sleep(0.01)
        return await super().swap_record(key, old, new)


class OwnLoopOnly(Lifetime):
    """Counts the calls of the event loop that came first."""

    home: object = None

    async def __aenter__(self) -> None:
        here = asyncio.get_running_loop()
        self.home = self.home or here
        if here is self.home:
            await super().__aenter__()
        else:
            await self.open()

    async def __aexit__(self, *error: Any) -> None:
        if asyncio.get_running_loop() is self.home:
            await super().__aexit__(*error)


@mutant("L2")
class ForgetsOtherLoops(Reference):
    """`aclose` waits for the calls of its own event loop only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._life = OwnLoopOnly("this", self._start, self.close_store)


# ------------------------------------------------------------------------------------- L3


@mutant("L3")
class SweeperOutlivesImplicitOpening(Reference):
    """The background task is stopped only if `open` had been called."""

    task: asyncio.Task[None] | None = None
    explicit = False

    async def open(self) -> None:
        self.explicit = True
        await super().open()

    async def open_store(self) -> None:
        await super().open_store()
        self.task = asyncio.create_task(self.sweep_for_good())

    async def sweep_for_good(self) -> None:
        while True:
            await asyncio.sleep(3600)

    async def close_store(self) -> None:
        await super().close_store()
        if self.explicit and self.task is not None:
            self.task.cancel()


@mutant("L3")
class ThreadIsNeverStopped(Reference):
    """The writing thread is started at the first bulk write, and never told to end."""

    thread: threading.Thread | None = None

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        if self.thread is None:
            self.thread = threading.Thread(
                target=threading.Event().wait, args=(20,), name="writer", daemon=True
            )
            self.thread.start()
        await super().set_many(items, ttl)


class WithASocket(Reference):
    """Common to mutants that leave a socket: opens one with the store, closes it with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sockets: list[socket.socket] = []

    def connect(self) -> None:
        self.sockets.append(socket.socket())

    async def open_store(self) -> None:
        self.connect()
        try:
            await super().open_store()
        except BaseException:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        while self.sockets:
            self.sockets.pop().close()

    async def close_store(self) -> None:
        await super().close_store()
        self.disconnect()


@mutant("L3")
class FailedOpeningLeavesItsSocket(WithASocket):
    """When opening fails, the socket stays; only that of a later success is closed."""

    async def open_store(self) -> None:
        self.connect()
        try:
            await Reference.open_store(self)
        except asyncio.CancelledError:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        self.sockets.pop().close()


@mutant("L3")
class CancelledOpeningLeavesItsSocket(WithASocket):
    """When opening is cancelled, `except Exception` does not see it, and the socket stays."""

    async def open_store(self) -> None:
        self.connect()
        try:
            await Reference.open_store(self)
        except Exception:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        self.sockets.pop().close()


@mutant("L3")
class ConcurrentOpeningConnectsTwice(WithASocket):
    """Calls of `open` that come together each connect, and one connection is closed."""

    async def open(self) -> None:
        if not self.sockets:
            await asyncio.sleep(0)
            self.connect()
        await super().open()

    async def open_store(self) -> None:
        await Reference.open_store(self)

    def disconnect(self) -> None:
        if self.sockets:
            self.sockets.pop().close()


@mutant("L3")
class HalfAScanHoldsItsFile(Reference):
    """A scan that is not gone through to its end keeps its file open."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        file = os.open(os.devnull, os.O_RDONLY)
        try:
            async for key in super()._scan_open(pattern):
                yield key
        finally:
            os.close(file)


@mutant("L3")
class CancelledReadsKeepTheirSocket(WithASocket):
    """A cancelled `get` takes its connection out of the pool, and nobody closes it."""

    lost: ClassVar[list[socket.socket]] = []

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except asyncio.CancelledError:
            self.lost.append(socket.socket())
            raise


@mutant("L3")
class UnansweredCallsKeepTheirTask(Reference):
    """A read that times out goes on waiting for its reply in the background."""

    waiting: ClassVar[list[asyncio.Task[None]]] = []

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except TimeoutError:
            self.waiting.append(asyncio.create_task(asyncio.sleep(3600)))
            raise


@mutant("L3")
class SecondLoopKeepsItsSocket(WithASocket):
    """Each event loop gets a connection; `aclose` closes the one of its own loop."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.of_loop: dict[object, socket.socket] = {}

    async def reach(self) -> None:
        here = asyncio.get_running_loop()
        if here not in self.of_loop:
            self.of_loop[here] = socket.socket()
        await super().reach()

    async def aclose(self) -> None:
        await super().aclose()
        mine = self.of_loop.pop(asyncio.get_running_loop(), None)
        if mine is not None:
            mine.close()


@mutant("L3")
class LostConnectionIsNotClosed(WithASocket):
    """After an outage a new connection replaces the old one, which is dropped but not closed."""

    dropped: ClassVar[list[socket.socket]] = []

    async def write_record(self, key: str, record: bytes) -> None:
        try:
            await super().write_record(key, record)
        except ConnectionError:
            self.dropped += self.sockets
            self.sockets = [socket.socket()]
            raise
