"""`FileBackend` keeps the contract, its parts about processes and kills included."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path

import pytest
from fastadk_memory_file import FileBackend

from fastadk_memory import ManualClock, MemoryBackend
from fastadk_memory.contract import BackendContract
from fastadk_memory.contract.limits import Limits

READ = "SELECT value FROM entries WHERE key = ?"
WRITE = "UPDATE entries SET value = ? WHERE key = ?"


def memory_disk() -> str | None:
    """Return a folder of the machine that is in memory, if there is one."""
    folder = Path("/dev/shm")
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        return None
    # That of a container may be small, and full is full.
    return str(folder) if shutil.disk_usage(folder).free > 1 << 30 else None


class TestFileInProcess(BackendContract):
    """A write is answered when the operating system has it.

    The stores of this one are in memory where that is possible: thousands of them are made,
    and a kill does not lose what a disk has not got yet. Those of the other one are on a disk.
    """

    durability = "process"
    folders = memory_disk()
    limits = Limits(operation_seconds=60)

    @cached_property
    def clock(self) -> ManualClock:
        return ManualClock(int(time.time()) + 0.375)  # other processes go by the real time

    def make_backend(self) -> MemoryBackend:
        folder = Path(tempfile.mkdtemp(prefix="fastadk-memory-file-", dir=self.folders))
        self.__dict__.setdefault("_folders", []).append(folder)
        return self.on(folder / "memory.db")

    def on(self, path) -> FileBackend:
        return FileBackend(path, durability=self.durability, timeout=30, clock=self.clock)

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        return self.second(backend)

    def second(self, backend: MemoryBackend) -> MemoryBackend:
        assert isinstance(backend, FileBackend)
        return self.on(backend._path)

    def opener(self, backend: MemoryBackend) -> Callable[[], MemoryBackend]:
        assert isinstance(backend, FileBackend)
        return partial(FileBackend, backend._path, durability=self.durability, timeout=30)

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        self.clock.advance(seconds)

    def damage(self, backend: MemoryBackend, key: str) -> None:
        assert isinstance(backend, FileBackend)
        with closing(sqlite3.connect(backend._path, timeout=30)) as other, other:
            (value,) = other.execute(READ, (key.encode(),)).fetchone()
            other.execute(WRITE, (value[:-1] + bytes([value[-1] ^ 0xFF]), key.encode()))

    async def plant(self, backend: MemoryBackend) -> Callable[[], bool]:
        assert isinstance(backend, FileBackend)
        await backend.open()  # a database that another program has begun is refused
        beside = backend._path.with_name("memory.db.other")
        beside.write_bytes(b"another program's")
        with closing(sqlite3.connect(backend._path, timeout=30)) as other, other:
            other.execute("CREATE TABLE theirs (key TEXT)")
            other.execute("INSERT INTO theirs VALUES ('a')")

        def there() -> bool:
            with closing(sqlite3.connect(backend._path, timeout=30)) as other:
                rows = other.execute("SELECT key FROM theirs").fetchall()
            return rows == [("a",)] and beside.read_bytes() == b"another program's"

        return there

    def held(self, backend: MemoryBackend) -> int:
        assert isinstance(backend, FileBackend)
        with closing(sqlite3.connect(backend._path, timeout=30)) as other:
            (size,) = other.execute("SELECT count(*) FROM entries").fetchone()
        return int(size)


@pytest.mark.thorough
class TestFileOverPower(TestFileInProcess):
    """A write is answered when it is on the disk: the default."""

    durability = "power"
    folders = None
