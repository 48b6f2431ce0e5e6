"""`InMemoryBackend` keeps the contract: with a clock that is moved by hand, and bounded."""

from __future__ import annotations

import pytest
from fastadk_memory_inmemory import InMemoryBackend

from fastadk_memory import ManualClock, MemoryBackend
from fastadk_memory.contract import BackendContract


class TestInMemory(BackendContract):
    clock = ManualClock()

    def make_backend(self) -> MemoryBackend:
        return InMemoryBackend(clock=self.clock)

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        self.clock.advance(seconds)

    def damage(self, backend: MemoryBackend, key: str) -> None:
        assert isinstance(backend, InMemoryBackend)
        backend._records[key] = backend._records[key]._replace(value=None, encoded=b"\xc1")

    def held(self, backend: MemoryBackend) -> int:
        assert isinstance(backend, InMemoryBackend)
        return len(backend._records)


@pytest.mark.thorough
class TestBoundedInMemory(TestInMemory):
    """The bound is no excuse, as long as it is not reached."""

    def make_backend(self) -> MemoryBackend:
        return InMemoryBackend(max_entries=1_000_000, clock=self.clock)
