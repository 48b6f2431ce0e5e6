"""The reference: a backend that keeps every clause, and can be broken in any one place.

It is a `RecordBackend` over a `Store`, which outlives the backend as a server or a disk
would, may be shared by several backends, holds other programs' data beside ours, can be
away or hang, and can damage a record. Mutants override either whole methods or primitives.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cached_property

from fastadk_memory import (
    BackendTimeoutError,
    BackendUnavailableError,
    Capability,
    ManualClock,
    MemoryBackend,
    RecordBackend,
)
from fastadk_memory.contract import Hooks, Limits

PREFIX = "ours/"
CALL_LIMIT = 0.2
"""Seconds after which a call to a hung store gives up."""


class DriverError(Exception):
    """What the driver of the store raises: an error that is none of ours."""


class Store:
    """What outlives a backend: records by name, ours under `PREFIX`, others' beside them."""

    def __init__(self) -> None:
        self.records: dict[str, bytes] = {}
        self.away = False
        self.hung = False
        self.connections = 0

    async def reach(self, limit: float = math.inf) -> None:
        """Do as a network would: take a moment, fail, or hang.

        Only the time for which the store hangs counts against the limit: what is slow because
        the machine is busy must not look like a hung store.
        """
        await asyncio.sleep(0)
        if self.away:
            raise DriverError("connection refused")
        waited = 0.0
        while self.hung:
            if waited >= limit:
                raise TimeoutError
            await asyncio.sleep(0.01)
            waited += 0.01

    def ours(self) -> Iterator[str]:
        return (name.removeprefix(PREFIX) for name in list(self.records) if name.startswith(PREFIX))


class Reference(RecordBackend):
    """Keeps every clause."""

    capabilities = RecordBackend.capabilities | {
        Capability.BULK,
        Capability.SCAN,
        Capability.PERSISTENT,
    }
    health_timeout = 2.0

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(clock=clock)
        self.store = store
        self.password = password
        self.cut = False  # whether the connection has been closed

    async def reach(self) -> None:
        try:
            await self.store.reach(CALL_LIMIT)
            if self.cut:
                raise DriverError("the connection is closed")
        except DriverError as error:
            raise BackendUnavailableError("the store is away; start it") from error
        except TimeoutError as error:
            raise BackendTimeoutError(f"the store did not answer within {CALL_LIMIT} s") from error

    async def open_store(self) -> None:
        self.cut = False
        await self.reach()
        self.store.connections += 1

    async def close_store(self) -> None:
        self.store.connections -= 1
        self.cut = True

    async def check_store(self) -> bool:
        await self.reach()
        return True

    async def read_record(self, key: str) -> bytes | None:
        await self.reach()
        return self.store.records.get(PREFIX + key)

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        self.store.records[PREFIX + key] = record

    async def delete_record(self, key: str) -> None:
        await self.reach()
        self.store.records.pop(PREFIX + key, None)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        # One step between two turns of the loop, so that several backends may share a store.
        await self.reach()
        if self.store.records.get(PREFIX + key) != old:
            return False
        if new is None:
            self.store.records.pop(PREFIX + key, None)
        else:
            self.store.records[PREFIX + key] = new
        return True

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        await self.reach()
        for key in self.store.ours():
            record = self.store.records.get(PREFIX + key)
            if record is not None and key.startswith(prefix):
                yield key, record


class ReferenceHooks(Hooks):
    """The way to a backend of `backend_class`, with every hook."""

    backend_class: type[Reference] = Reference
    limits = Limits(operation_seconds=10, blocking_seconds=30, reclaim_seconds=2)
    secrets = ("hunter2-of-the-store",)

    @cached_property
    def clock(self) -> ManualClock:
        return ManualClock()

    def make_backend(self) -> MemoryBackend:
        return self.backend_class(Store(), self.clock, self.secrets[0])

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        # Not by way of self: hooks of wrappers would wrap twice.
        return ReferenceHooks.second(self, backend)

    def second(self, backend: MemoryBackend) -> MemoryBackend:
        assert isinstance(backend, Reference)
        return type(backend)(backend.store, self.clock, self.secrets[0])

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        self.clock.advance(seconds)

    def damage(self, backend: MemoryBackend, key: str) -> None:
        assert isinstance(backend, Reference)
        record = backend.store.records[PREFIX + key]
        backend.store.records[PREFIX + key] = record[:-1] + bytes([record[-1] ^ 0xFF])

    def plant(self, backend: MemoryBackend) -> Callable[[], bool]:
        assert isinstance(backend, Reference)
        store = backend.store
        others = {"other": b"1", "ours": b"2", "ours.bak/a": b"3", "a": b"4", "": b"5"}
        store.records.update(others)
        return lambda: others.items() <= store.records.items()

    @asynccontextmanager
    async def outage(self, backend: MemoryBackend) -> AsyncIterator[None]:
        assert isinstance(backend, Reference)
        backend.store.away = True
        try:
            yield
        finally:
            backend.store.away = False

    @asynccontextmanager
    async def hang(self, backend: MemoryBackend) -> AsyncIterator[None]:
        assert isinstance(backend, Reference)
        backend.store.hung = True
        try:
            yield
        finally:
            backend.store.hung = False

    def held(self, backend: MemoryBackend) -> int:
        assert isinstance(backend, Reference)
        return sum(map(len, backend.store.records.values()))

    def construction(self) -> list[str]:
        name = self.backend_class.__name__
        return [f"memory = {name}(Store(), clock := ManualClock())"]
