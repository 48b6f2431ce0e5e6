"""A damaged page, a cut WAL: what is whole stays readable, and nothing is made up."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from fastadk_memory_file import FileBackend

from fastadk_memory import (
    BackendUnavailableError,
    ConfigurationError,
    CorruptEntryError,
    ManualClock,
)

PAGE = 4096


def filled(path, number: int = 60) -> None:
    async def main() -> None:
        async with FileBackend(path) as memory:
            # Each value fills a page of its own.
            await memory.set_many(
                {f"key{at:03}": f"<{at:03}>" + "x" * 3500 for at in range(number)}
            )

    asyncio.run(main())


def test_a_corrupt_page_costs_its_entries_only(tmp_path):
    path = tmp_path / "a.db"
    filled(path)
    content = bytearray(path.read_bytes())
    page = content.index(b"<030>") // PAGE
    content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)

    async def main() -> None:
        async with FileBackend(path) as memory:
            for call in (memory.get("key030"), memory.get_entry("key030"), memory.ttl("key030")):
                with pytest.raises(CorruptEntryError, match="key030") as raised:
                    await call
                assert raised.value.key == "key030"
                assert isinstance(raised.value.__cause__, sqlite3.DatabaseError)
            with pytest.raises(CorruptEntryError, match="key030"):
                await memory.get_many([f"key{at:03}" for at in range(60)])
            assert len(await memory.keys()) == 60
            for at in (0, 29, 31, 59):
                assert (await memory.get(f"key{at:03}")).startswith(f"<{at:03}>")
            await memory.set("other", 1)
            with pytest.raises(BackendUnavailableError, match="damaged"):
                await memory.set("key030", "new")
            await memory.set("another", 2)
            assert await memory.get("another") == 2

    asyncio.run(main())


def test_a_corrupt_page_with_expired_entries_stops_neither_writing_nor_closing(tmp_path):
    path, clock = tmp_path / "a.db", ManualClock()

    async def fill() -> None:
        async with FileBackend(path, clock=clock) as memory:
            await memory.set_many({f"key{at:03}": f"<{at:03}>" + "x" * 3500 for at in range(60)}, 5)

    asyncio.run(fill())
    content = bytearray(path.read_bytes())
    page = content.index(b"<030>") // PAGE
    content[page * PAGE : (page + 1) * PAGE] = b"\xa5" * PAGE
    path.write_bytes(content)
    clock.advance(10)

    async def main() -> None:
        async with FileBackend(path, clock=clock) as memory:
            for at in range(20):
                await memory.set("one", at)
                await asyncio.gather(*(memory.set(f"new{each}", at) for each in range(5)))
            assert await memory.get("one") == 19

    asyncio.run(main())


def test_a_damaged_beginning_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "a.db"
    filled(path)
    content = b"\0" * 100 + path.read_bytes()[100:]
    path.write_bytes(content)

    async def main() -> None:
        async with FileBackend(path):
            pass

    with pytest.raises(ConfigurationError, match="is no database"):
        asyncio.run(main())
    assert path.read_bytes() == content


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


WRITER = """
import asyncio, os, signal, sys
from fastadk_memory_file import FileBackend

async def main():
    memory = FileBackend(sys.argv[1])
    for at in range(100):
        await memory.set(f"key{at:03}", at)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def killed_with_a_wal(path) -> None:
    done = subprocess.run([sys.executable, "-c", WRITER, str(path)], timeout=120)
    assert done.returncode == -signal.SIGKILL
    assert beside(path, "-wal").stat().st_size > 50 * PAGE


@pytest.mark.parametrize("cut", [0, 20, 5000, 77_777, -1])
def test_a_cut_wal_loses_its_tail_and_nothing_else(tmp_path, cut):
    path = tmp_path / "a.db"
    killed_with_a_wal(path)
    if cut >= 0:
        os.truncate(beside(path, "-wal"), cut)

    async def main() -> None:
        async with FileBackend(path) as memory:
            there = await memory.get_many([f"key{at:03}" for at in range(100)])
            # The first ones, without a gap.
            assert there == {f"key{at:03}": at for at in range(len(there))}
            assert cut >= 0 or len(there) == 100
            await memory.set("key000", "new")

    try:
        asyncio.run(main())
    except ConfigurationError:
        pytest.fail("a store whose WAL was cut does not open")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_damaged_shared_memory_is_made_anew(tmp_path):
    path = tmp_path / "a.db"
    killed_with_a_wal(path)
    shared = beside(path, "-shm")
    shared.write_bytes(b"\xa5" * shared.stat().st_size)

    async def main() -> None:
        async with FileBackend(path) as memory:
            assert len(await memory.keys()) == 100

    asyncio.run(main())
