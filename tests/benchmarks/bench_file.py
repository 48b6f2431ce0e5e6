"""The file backend against its peers and its limits, with the same durability on both sides.

Ratios, all contestants of a table in one interleaved run. Values differ from write to write:
SQLite does not write a page that has not changed. The limits do nothing but store bytes:
prepared statements of `sqlite3` on the calling thread, and `lmdb`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiosqlite
import diskcache
import lmdb
from _interleaved import medians, report
from cashews.backends.diskcache import DiskCache
from fastadk_memory_file import FileBackend
from key_value.aio.stores.disk import DiskStore
from key_value.aio.stores.filetree import FileTreeStore

KEYS = [f"user:{n}:name" for n in range(1000)]
LEVEL = {"power": 2, "process": 1}  # SQLite's synchronous: FULL, NORMAL
TABLE = "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB UNIQUE, value BLOB)"
PUT = """
    INSERT INTO entries (key, value) VALUES (?, ?)
    ON CONFLICT DO UPDATE SET value = excluded.value
"""
GET = "SELECT value FROM entries WHERE key = ?"


class Ours:
    def __init__(self, folder: Path, durability: Any) -> None:
        self.memory = FileBackend(folder / "ours.db", durability=durability)
        self.get, self.set, self.close = self.memory.get, self.memory.set, self.memory.aclose


class BareSqlite:
    def __init__(self, folder: Path, durability: str) -> None:
        self.connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute(f"PRAGMA synchronous = {LEVEL[durability]}")
        self.connection.execute(TABLE)

    async def get(self, key: str) -> Any:
        return self.connection.execute(GET, (key.encode(),)).fetchone()[0]

    async def set(self, key: str, value: Any) -> None:
        self.connection.execute(PUT, (key.encode(), value))

    async def close(self) -> None:
        self.connection.close()


class BareLmdb:
    def __init__(self, folder: Path, durability: str) -> None:
        self.env = lmdb.open(str(folder / "lmdb"), map_size=2**30, sync=durability == "power")

    async def get(self, key: str) -> Any:
        with self.env.begin() as transaction:
            return transaction.get(key.encode())

    async def set(self, key: str, value: Any) -> None:
        with self.env.begin(write=True) as transaction:
            transaction.put(key.encode(), value.encode())

    async def close(self) -> None:
        self.env.close()


class Threaded:
    """diskcache, each call in a thread."""

    def __init__(self, folder: Path, durability: str) -> None:
        self.cache = diskcache.Cache(
            str(folder / "diskcache"), sqlite_synchronous=LEVEL[durability], eviction_policy="none"
        )

    async def get(self, key: str) -> Any:
        return await asyncio.to_thread(self.cache.get, key)

    async def set(self, key: str, value: Any) -> None:
        await asyncio.to_thread(self.cache.set, key, value)

    async def close(self) -> None:
        self.cache.close()


class Blocking(Threaded):
    """diskcache on the event loop's thread."""

    async def get(self, key: str) -> Any:
        return self.cache.get(key)

    async def set(self, key: str, value: Any) -> None:
        self.cache.set(key, value)


class AioSqlite:
    """One connection, and a commit after each write, as in its README.

    Tasks that share the connection share its transactions, too: one commits what another has
    half done, and a rollback of one would take the writes of others along.
    """

    def __init__(self, folder: Path, durability: str) -> None:
        self.path, self.level, self.db = folder / "aio.db", LEVEL[durability], None

    async def opened(self) -> Any:
        if self.db is None:
            self.db = await aiosqlite.connect(self.path)
            await self.db.execute("PRAGMA journal_mode = WAL")
            await self.db.execute(f"PRAGMA synchronous = {self.level}")
            await self.db.execute(TABLE)
        return self.db

    async def get(self, key: str) -> Any:
        async with (await self.opened()).execute(GET, (key.encode(),)) as cursor:
            return (await cursor.fetchone())[0]

    async def set(self, key: str, value: Any) -> None:
        db = await self.opened()
        await db.execute(PUT, (key.encode(), value))
        await db.commit()

    async def close(self) -> None:
        await self.db.close()


class AioSqliteApart(AioSqlite):
    """The same with a lock, so that each write is a transaction."""

    def __init__(self, folder: Path, durability: str) -> None:
        super().__init__(folder, durability)
        self.path, self.lock = folder / "aio-apart.db", asyncio.Lock()

    async def set(self, key: str, value: Any) -> None:
        async with self.lock:
            await super().set(key, value)


class KeyValue:
    def __init__(self, store: Any) -> None:
        self.store = store

    async def get(self, key: str) -> Any:
        return (await self.store.get(key=key))["v"]

    async def set(self, key: str, value: Any) -> None:
        await self.store.put(key=key, value={"v": value})

    async def close(self) -> None:
        if hasattr(self.store, "close"):
            await self.store.close()


def disk_store(folder: Path, durability: str) -> KeyValue:
    cache = diskcache.Cache(
        str(folder / "kv"), sqlite_synchronous=LEVEL[durability], eviction_policy="none"
    )
    return KeyValue(DiskStore(disk_cache=cache))


def file_tree(folder: Path, durability: str) -> KeyValue:
    (folder / "tree").mkdir()
    return KeyValue(FileTreeStore(data_directory=folder / "tree"))


class Cashews:
    def __init__(self, folder: Path, durability: str) -> None:
        self.cache, self.ready = DiskCache(directory=str(folder / "cashews")), False

    async def opened(self) -> Any:
        if not self.ready:
            await self.cache.init()
            self.ready = True
        return self.cache

    async def get(self, key: str) -> Any:
        return await (await self.opened()).get(key)

    async def set(self, key: str, value: Any) -> None:
        await (await self.opened()).set(key, value)

    async def close(self) -> None:
        await self.cache.close()


SQLITE, OURS = "limit: sqlite3, prepared, on the thread", "fastadk-memory file"
EVERYBODY: dict[str, Any] = {
    SQLITE: BareSqlite,
    "limit: lmdb": BareLmdb,
    OURS: Ours,
    "diskcache, blocking the loop": Blocking,
    "diskcache in threads": Threaded,
    "aiosqlite, each write a transaction": AioSqliteApart,
    "aiosqlite, tasks in one transaction": AioSqlite,
    "py-key-value DiskStore": disk_store,
    "py-key-value FileTreeStore": file_tree,
    "cashews disk": Cashews,
}
# These let themselves be told to sync each commit.
SYNCING = [
    name for name in EVERYBODY if name.split()[0] not in ("cashews",) and "FileTree" not in name
]
SLOW = {"py-key-value FileTreeStore": 20, "cashews disk": 4}


def sequential(runner: asyncio.Runner, folder: Path) -> None:
    stores = {name: make(folder, "process") for name, make in EVERYBODY.items()}
    for store in stores.values():
        for key in KEYS:
            runner.run(store.set(key, os.urandom(20).hex()))

    def timed(name: str, operation: str):
        count = 2000 // SLOW.get(name, 1)

        async def get(store: Any) -> float:
            started = time.process_time()
            for n in range(count):
                await store.get(KEYS[n % 1000])
            return (time.process_time() - started) / count

        async def put(store: Any) -> float:
            values = [os.urandom(20).hex() for _ in range(count)]
            started = time.perf_counter()
            for n, value in enumerate(values):
                await store.set(KEYS[n % 1000], value)
            return (time.perf_counter() - started) / count

        way = get if operation == "get" else put
        return lambda: runner.run(way(stores[name]))

    for operation, what in (("get", "CPU"), ("set", "time")):
        figures = medians({name: timed(name, operation) for name in stores}, 7)
        report(f"one task, {operation} of 40 bytes, {what}, surviving kill -9", figures, SQLITE)
    for store in stores.values():
        runner.run(store.close())


def many_tasks(runner: asyncio.Runner, folder: Path, durability: str) -> None:
    names = list(EVERYBODY) if durability == "process" else SYNCING
    stores = {name: EVERYBODY[name](folder, durability) for name in names}
    for store in stores.values():
        runner.run(store.set("first", "opens it"))

    def timed(name: str):
        each = max(1, (8 if durability == "power" else 20) // SLOW.get(name, 1))

        async def write(task: int, values: list[str]) -> None:
            for n, value in enumerate(values):
                await stores[name].set(f"task:{task}:{n}", value)

        async def run() -> float:
            values = [[os.urandom(512).hex() for _ in range(each)] for _ in range(64)]
            started = clock()
            await asyncio.gather(*(write(*both) for both in enumerate(values)))
            return (clock() - started) / (64 * each)

        return lambda: runner.run(run())

    # What is synced waits for the disk; what is not, for the processor alone.
    clock = time.perf_counter if durability == "power" else time.process_time
    figures = medians({name: timed(name) for name in stores}, 7)
    unit = "time" if durability == "power" else "CPU"
    what = {"power": "the loss of power", "process": "kill -9"}[durability]
    report(f"64 tasks, acknowledged writes of 1 KiB, {unit}, surviving {what}", figures, OURS)
    for store in stores.values():
        runner.run(store.close())


def stall(runner: asyncio.Runner, folder: Path) -> None:
    """Print how long the loop's other tasks wait at the longest while 64 tasks write."""

    async def longest(store: Any) -> float:
        async def write(task: int) -> None:
            for n in range(15):
                await store.set(f"{task}:{n}", os.urandom(512).hex())

        await write(0)
        work = asyncio.gather(*(write(task) for task in range(64)))
        worst, last = 0.0, time.perf_counter()
        while not work.done():
            await asyncio.sleep(0.0005)
            now = time.perf_counter()
            worst, last = max(worst, now - last - 0.0005), now
        await work
        return worst

    stores = {name: EVERYBODY[name](folder, "process") for name in (OURS, "diskcache in threads")}
    contestants = {
        name: lambda store=store: runner.run(longest(store)) for name, store in stores.items()
    }
    figures = medians(contestants, 7)
    report("longest wait of the event loop under 64 writers", figures, OURS)
    print("  " + ", ".join(f"{name}: {figure * 1e3:.1f} ms" for name, figure in figures.items()))
    for store in stores.values():
        runner.run(store.close())


WRITER = """
import asyncio, os, sys, time
from fastadk_memory_file import FileBackend

async def main():
    async with FileBackend(sys.argv[1], durability=sys.argv[2]) as memory:
        print("ready", flush=True)
        sys.stdin.readline()
        number, worst, end = 0, 0.0, time.monotonic() + 5
        while time.monotonic() < end:
            began = time.monotonic()
            await memory.set(f"{os.getpid()}:{number % 500}", os.urandom(512).hex())
            worst = max(worst, time.monotonic() - began)
            number += 1
    print(number, worst)

asyncio.run(main())
"""


def fairness(folder: Path, durability: str) -> None:
    command = [sys.executable, "-c", WRITER, str(folder / "fair.db"), durability]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(command, **pipes) for _ in range(4)]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    told = [child.communicate()[0].split() for child in children]
    numbers, waits = [int(number) for number, _ in told], [float(wait) for _, wait in told]
    print(
        f"\nfour processes that write, {durability}: {sum(numbers) / 5:,.0f} writes a second; "
        f"least over most {min(numbers) / max(numbers):.2f}; longest wait {max(waits) * 1e3:.0f} ms"
    )


def a_million(runner: asyncio.Runner, folder: Path) -> None:
    path = folder / "million.db"

    async def fill() -> None:
        async with FileBackend(path, durability="process") as memory:
            for start in range(0, 1_000_000, 50_000):
                numbers = range(start, start + 50_000)
                await memory.set_many({f"user:{n // 100}:{n}": n for n in numbers})

    async def opening() -> float:
        started = time.perf_counter()
        async with FileBackend(path) as memory:
            await memory.get("user:17:1717")
            return time.perf_counter() - started

    async def listing() -> float:
        async with FileBackend(path) as memory:
            await memory.open()
            started = time.process_time()
            assert len(await memory.keys("user:17:*")) == 100
            return time.process_time() - started

    runner.run(fill())
    figures = medians(
        {"open": lambda: runner.run(opening()), "keys": lambda: runner.run(listing())}
    )
    print(f"\n1,000,000 entries: open and get {figures['open'] * 1e3:.1f} ms")
    print(f"  keys('user:17:*') with 100 matches: {figures['keys'] * 1e3:.2f} ms of CPU")


def main() -> None:
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as temporary:
        parts = iter(range(100))

        def folder() -> Path:
            made = Path(temporary, str(next(parts)))
            made.mkdir()
            return made

        sequential(runner, folder())
        many_tasks(runner, folder(), "process")
        many_tasks(runner, folder(), "power")
        stall(runner, folder())
        for durability in ("process", "power"):
            fairness(folder(), durability)
        a_million(runner, folder())


if __name__ == "__main__":
    main()
