"""The reference on a disk: a backend that keeps every clause, over processes and kills, too.

It is a `RecordBackend` over a table of SQLite. Each primitive is one transaction. The file
is not synced (that is for the loss of power): a killed process loses nothing that SQLite has
written, since that is the operating system's by then.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from fastadk_memory import (
    BackendTimeoutError,
    BackendUnavailableError,
    Capability,
    ManualClock,
    MemoryBackend,
    RecordBackend,
)
from fastadk_memory.concurrency import run_in_thread
from fastadk_memory.contract import Hooks, Limits

T = TypeVar("T")
BUSY_SECONDS = 10.0
"""How long to wait for other processes."""

TABLE = "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, record BLOB) WITHOUT ROWID"
READ = "SELECT record FROM records WHERE key = ?"
WRITE = "INSERT OR REPLACE INTO records VALUES (?, ?)"
DELETE = "DELETE FROM records WHERE key = ?"


class FileReference(RecordBackend):
    """Keeps every clause."""

    capabilities = RecordBackend.capabilities | {
        Capability.PERSISTENT,
        Capability.DURABLE_PROCESS,
        Capability.MULTI_PROCESS,
    }

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self.path = path
        self.connection: sqlite3.Connection | None = None
        self.guard = threading.Lock()

    # ------------------------------------------------------------------ transactions

    def connected(self) -> sqlite3.Connection:
        assert self.connection is not None
        return self.connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Change the file whole or not at all; nobody else changes it meanwhile."""
        connection = self.connected()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            connection.rollback()
            raise
        connection.execute("COMMIT")

    async def run(self, work: Callable[[], T]) -> T:
        """Do something with the file in a thread, again for as long as another process is at it."""
        return await run_in_thread(partial(self.insist, work))

    def insist(self, work: Callable[[], T]) -> T:
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                with self.guard:
                    return work()
            except sqlite3.OperationalError as error:
                if not str(error).startswith("database is locked"):
                    raise BackendUnavailableError(f"{self.path} cannot be used") from error
                if time.monotonic() > deadline:
                    raise BackendTimeoutError(f"{self.path} is being used by others") from error
            except sqlite3.Error as error:
                raise BackendUnavailableError(f"{self.path} cannot be used") from error
            time.sleep(0.001)

    # --------------------------------------------------------------------- lifetime

    async def open_store(self) -> None:
        try:
            await self.run(self.connect)
        except BaseException:  # cancelled, and yet connected
            self.disconnect()
            raise

    def connect(self) -> None:
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(TABLE)
        except BaseException:
            connection.close()
            raise
        self.connection = connection

    async def close_store(self) -> None:
        await self.run(self.disconnect)

    def disconnect(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    async def check_store(self) -> bool:
        await self.run(lambda: self.connected().execute("SELECT 1").fetchone())
        return True

    # ------------------------------------------------------------------- primitives

    async def read_record(self, key: str) -> bytes | None:
        return await self.run(partial(self.read, key))

    def read(self, key: str) -> bytes | None:
        row = self.connected().execute(READ, (key.encode(),)).fetchone()
        return None if row is None else row[0]

    async def write_record(self, key: str, record: bytes) -> None:
        await self.run(partial(self.write, key, record))

    def write(self, key: str, record: bytes) -> None:
        with self.transaction() as connection:
            connection.execute(WRITE, (key.encode(), record))

    async def delete_record(self, key: str) -> None:
        await self.run(partial(self.remove, key))

    def remove(self, key: str) -> None:
        with self.transaction() as connection:
            connection.execute(DELETE, (key.encode(),))

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        return await self.run(partial(self.swap, key, old, new))

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        with self.transaction() as connection:
            if self.read(key) != old:
                return False
            if new is None:
                connection.execute(DELETE, (key.encode(),))
            else:
                connection.execute(WRITE, (key.encode(), new))
        return True

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        for key, record in await self.run(partial(self.listed, prefix)):
            yield key, record

    def listed(self, prefix: str) -> list[tuple[str, bytes]]:
        rows = self.connected().execute("SELECT key, record FROM records").fetchall()
        return [(key.decode(), record) for key, record in rows if key.startswith(prefix.encode())]


class FileReferenceHooks(Hooks):
    """The way to a backend of `backend_class`."""

    backend_class: type[FileReference] = FileReference
    limits = Limits(operation_seconds=20, reclaim_seconds=2)

    @cached_property
    def clock(self) -> ManualClock:
        # Other processes go by the real time.
        return ManualClock(int(time.time()) + 0.375)

    def make_backend(self) -> MemoryBackend:
        return self.backend_class(self.make_folder() / "memory.db", self.clock)

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        return self.second(backend)

    def second(self, backend: MemoryBackend) -> MemoryBackend:
        assert isinstance(backend, FileReference)
        return type(backend)(backend.path, self.clock)

    def opener(self, backend: MemoryBackend) -> Callable[[], MemoryBackend]:
        assert isinstance(backend, FileReference)
        return partial(type(backend), backend.path)

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        self.clock.advance(seconds)

    def damage(self, backend: MemoryBackend, key: str) -> None:
        assert isinstance(backend, FileReference)
        with closing(sqlite3.connect(backend.path)) as other, other:
            (record,) = other.execute(READ, (key.encode(),)).fetchone()
            other.execute(WRITE, (key.encode(), record[:-1] + bytes([record[-1] ^ 0xFF])))

    def plant(self, backend: MemoryBackend) -> Callable[[], bool]:
        assert isinstance(backend, FileReference)
        beside = backend.path.with_name("memory.db.other")
        beside.write_bytes(b"another program's")
        with closing(sqlite3.connect(backend.path)) as other, other:
            other.execute("CREATE TABLE theirs (key TEXT)")
            other.execute("INSERT INTO theirs VALUES ('a')")

        def there() -> bool:
            with closing(sqlite3.connect(backend.path)) as other:
                rows = other.execute("SELECT key FROM theirs").fetchall()
            return rows == [("a",)] and beside.read_bytes() == b"another program's"

        return there

    def held(self, backend: MemoryBackend) -> int:
        assert isinstance(backend, FileReference)
        with closing(sqlite3.connect(backend.path)) as other:
            (size,) = other.execute("SELECT count(*) FROM records").fetchone()
        return int(size)

    def construction(self) -> list[str]:
        name = self.backend_class.__name__
        return [f'memory = {name}(Path("memory.db"), clock := ManualClock())']
