"""The backend keeps the contract: every law becomes a test, with its clause in the name."""

from __future__ import annotations

from collections.abc import Callable

from fastadk_memory import ManualClock, MemoryBackend
from fastadk_memory.contract import BackendContract

from fastadk_memory_shelf import ShelfBackend


class TestShelfBackend(BackendContract):
    contract_version = "1.0"  # laws that come with later versions are not tried
    clock = ManualClock()

    def make_backend(self) -> MemoryBackend:
        return ShelfBackend(self.make_folder() / "store", clock=self.clock)

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        assert isinstance(backend, ShelfBackend)
        return ShelfBackend(backend._path, clock=self.clock)

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        self.clock.advance(seconds)

    def damage(self, backend: MemoryBackend, key: str) -> None:
        assert isinstance(backend, ShelfBackend)
        file = backend._file(key)
        file.write_bytes(file.read_bytes()[:-1])

    def plant(self, backend: MemoryBackend) -> Callable[[], bool]:
        assert isinstance(backend, ShelfBackend)
        theirs = backend._folder() / "notes.txt"
        theirs.parent.mkdir(exist_ok=True)
        theirs.write_text("another program's")
        return lambda: theirs.read_text() == "another program's"

    def held(self, backend: MemoryBackend) -> int:
        assert isinstance(backend, ShelfBackend)
        return sum(file.stat().st_size for file in backend._folder().iterdir())
