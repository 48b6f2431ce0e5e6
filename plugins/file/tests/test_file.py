"""What is special to `FileBackend`: its upkeep, its processes, forks, and the event loop."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from fastadk_memory_file import FileBackend, checkpoints
from fastadk_memory_file.connections import WAL_BYTES

from fastadk_memory import (
    BackendClosedError,
    BackendTimeoutError,
    Capability,
    ManualClock,
    UnsupportedValueError,
)

PATIENCE = 120.0  # how long anything in the background may take on a machine under load


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.01)


def count(path) -> int:
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
        (number,) = connection.execute("SELECT count(*) FROM entries").fetchone()
    return number


def run_child(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def outcome(child: subprocess.Popen[str]) -> str:
    out, err = child.communicate(timeout=2 * PATIENCE)
    assert child.returncode == 0, err
    return out


# ------------------------------------------------------------------------ what it says


def test_only_power_declares_that_it_survives_the_loss_of_power():
    power, process = FileBackend("a.db"), FileBackend("a.db", durability="process")
    assert power.capabilities - process.capabilities == {Capability.DURABLE_POWER}
    assert Capability.DURABLE_POWER not in FileBackend.capabilities


def test_the_repr_tells_the_path_and_no_data(tmp_path):
    assert repr(FileBackend(tmp_path / "a.db")).startswith(f"FileBackend('{tmp_path}")


def test_a_value_beyond_the_limit_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("fastadk_memory_file.inputs.MAX_VALUE_BYTES", 1000)

    async def main() -> None:
        async with FileBackend(tmp_path / "a.db") as memory:
            for value in ("x" * 1000, b"x" * 300_000, ["x" * 1000]):
                with pytest.raises(UnsupportedValueError, match="the limit is 1000"):
                    await memory.set("key", value)
            assert not await memory.exists("key")

    asyncio.run(main())


def test_syncs_go_by_the_durability(tmp_path):
    async def level(durability) -> int:
        async with FileBackend(tmp_path / "a.db", durability=durability) as memory:
            store = memory._store
            assert store is not None
            (found,) = store._connection.execute("PRAGMA synchronous").fetchone()
            return found

    assert asyncio.run(level("power")) == 2  # FULL: each commit
    assert asyncio.run(level("process")) == 1  # NORMAL: each checkpoint


# ------------------------------------------------------------------------------ upkeep


def test_expired_entries_are_deleted_while_nobody_calls(tmp_path):
    async def main() -> None:
        async with FileBackend(tmp_path / "a.db") as memory:
            await memory.set_many({f"key{at}": at for at in range(1500)}, ttl=0.05)
            await memory.set("stays", 1)
            await until(lambda: count(tmp_path / "a.db") == 1)

    asyncio.run(main())


def test_what_another_process_left_to_expire_is_deleted(tmp_path):
    async def main() -> None:
        async with FileBackend(tmp_path / "a.db") as memory:
            await memory.set_many({f"key{at}": at for at in range(1500)}, ttl=0.05)
        async with FileBackend(tmp_path / "a.db"):
            await until(lambda: count(tmp_path / "a.db") == 0)

    asyncio.run(main())


@pytest.mark.parametrize("durability", ["power", "process"])
def test_files_stay_bounded_under_a_steady_load_with_ttls(tmp_path, durability):
    path, clock = tmp_path / "a.db", ManualClock()

    async def main() -> tuple[list[int], list[int]]:
        files, wals = [], []
        async with FileBackend(path, durability=durability, clock=clock) as memory:
            for at in range(500):
                # 40 KB a second that live ten seconds: 400 KB are live at any time.
                await asyncio.gather(
                    *(memory.set(f"{at}:{each}", os.urandom(500).hex(), 10) for each in range(40))
                )
                clock.advance(1)
                files.append(path.stat().st_size)
                wals.append(path.with_name("a.db-wal").stat().st_size)
        return files, wals

    files, wals = asyncio.run(main())
    # Without upkeep the file would end at 20 MB, and the WAL at more.
    assert max(files) < 8 * 2**20
    assert max(wals) < 4 * WAL_BYTES
    assert max(files[250:]) <= max(files[:250]) * 1.25


def test_space_that_is_free_goes_back_to_the_file_system(tmp_path):
    path = tmp_path / "a.db"

    async def main() -> None:
        async with FileBackend(path, durability="process") as memory:
            await memory.set_many({f"key{at}": os.urandom(10_000) for at in range(800)})
            await until(lambda: path.stat().st_size > 8_000_000)
            await memory.clear()
            await until(lambda: path.stat().st_size < 2_000_000)

    asyncio.run(main())


def test_every_checkpoint_is_made_under_the_write_lock(tmp_path, monkeypatch):
    """Another connection looks at the moment of the checkpoint, and cannot write."""
    path, locked = tmp_path / "a.db", []
    monkeypatch.setattr(checkpoints, "WAL_PAGES", 1)

    async def main() -> None:
        async with FileBackend(path) as memory:
            store = memory._store
            assert store is not None

            def look(statement: str) -> None:
                if "wal_checkpoint" in statement:
                    with closing(sqlite3.connect(path, timeout=0)) as other:
                        try:
                            other.execute("BEGIN IMMEDIATE")
                            locked.append(False)
                        except sqlite3.OperationalError:
                            locked.append(True)

            store._connection.set_trace_callback(look)
            for at in range(700):
                await memory.set("key", at)
            await until(lambda: bool(locked))

    asyncio.run(main())
    assert all(locked)


# --------------------------------------------------------------------------- processes

COUNTER = """
import asyncio, sys
from fastadk_memory_file import FileBackend, checkpoints

checkpoints.WAL_PAGES = 10  # a checkpoint every few commits
path, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])

async def main():
    async with FileBackend(path, durability="process", timeout=100) as memory:
        for at in range(number):
            await asyncio.gather(
                memory.set(f"{name}:{at}", at, ttl=None if at % 2 else 3600),
                memory.set(f"{name}:last", at),
            )
            assert await memory.get(f"{name}:last") == at, "an acknowledged write was lost"
        for at in range(number):
            assert await memory.get(f"{name}:{at}") == at, "an acknowledged write was lost"

asyncio.run(main())
"""


def test_checkpoints_of_several_processes_lose_no_commit(tmp_path):
    """The WAL-reset bug of SQLite, which most Pythons have, is not tripped."""
    path, number = tmp_path / "a.db", 250
    children = [run_child(COUNTER, path, name, number) for name in "abcd"]
    for child in children:
        outcome(child)

    async def main() -> None:
        async with FileBackend(path) as memory:
            wanted = {f"{name}:{at}" for name in "abcd" for at in [*range(number), "last"]}
            assert set(await memory.keys()) == wanted

    asyncio.run(main())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


WORKER = """
import asyncio, sys
from fastadk_memory_file import FileBackend

async def main():
    async with FileBackend(sys.argv[1], timeout=100) as memory:
        await memory.open()
        print("ready", flush=True)
        sys.stdin.readline()
        for at in range(100):
            await memory.set(f"{sys.argv[2]}:{at}", at)

asyncio.run(main())
"""


def test_no_process_starves_while_others_write(tmp_path):
    """Four processes write as fast as they can, with a sync each time; all come through."""
    command = [sys.executable, "-c", WORKER, str(tmp_path / "a.db")]
    children = [
        subprocess.Popen([*command, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for name in "abcd"
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:  # all of them, before waiting for any
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        child.communicate(timeout=2 * PATIENCE)
    assert [child.returncode for child in children] == [0] * 4
    assert count(tmp_path / "a.db") == 400


def test_a_store_that_stays_locked_times_out_and_reading_goes_on(tmp_path):
    path = tmp_path / "a.db"

    async def main() -> None:
        async with FileBackend(path, timeout=0.2) as memory:
            await memory.set("key", 1)
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(BackendTimeoutError, match="locked by another process"):
                    await memory.set("key", 2)
                assert await memory.get("key") == 1
                assert await memory.keys() == ["key"]
                assert await memory.health_check()
            await memory.set("key", 3)
            assert await memory.get("key") == 3

    asyncio.run(main())


# ------------------------------------------------------------------------------- forks

FORKING = """
import asyncio, os, sys, warnings
from fastadk_memory_file import FileBackend
from fastadk_memory import BackendUnavailableError
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads: it is meant

loop = asyncio.new_event_loop()
memory, unopened = FileBackend(sys.argv[1]), FileBackend(sys.argv[1])
loop.run_until_complete(memory.set("key", 1))

async def in_child():
    calls = [memory.get("key"), memory.set("key", 2), memory.keys(), memory.open(),
             memory.delete("key"), memory.get_many(["key"])]
    for call in calls:
        try:
            await call
        except BackendUnavailableError as error:
            assert "forked" in str(error), error
        else:
            raise AssertionError("a call went through in the child")
    assert not await memory.health_check()
    await memory.aclose()
    for other in (unopened, FileBackend(sys.argv[1])):
        async with other:
            assert await other.get("key") == 1
            await other.set("child", 1)

child = os.fork()
if child == 0:
    asyncio.run(in_child())
    sys.exit(0)  # not os._exit: the interpreter tidies up
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "the child failed"
for at in range(300):
    loop.run_until_complete(memory.set("key", at))
assert loop.run_until_complete(memory.get("key")) == 299
assert loop.run_until_complete(memory.get("child")) == 1
loop.run_until_complete(memory.aclose())
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
print("fine")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no forks")
def test_a_fork_after_opening_is_detected_and_harms_nobody(tmp_path):
    assert outcome(run_child(FORKING, tmp_path / "a.db")) == "fine\n"
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


# ---------------------------------------------------------------- loops, threads, leaks


def test_writes_that_wait_together_share_a_commit(tmp_path):
    async def main() -> int:
        async with FileBackend(tmp_path / "a.db") as memory:
            store = memory._store
            assert store is not None
            commits = []
            store._connection.set_trace_callback(
                lambda statement: commits.append(statement) if statement == "COMMIT" else None
            )
            await asyncio.gather(*(memory.set(f"key{at}", at) for at in range(200)))
            store._connection.set_trace_callback(None)
            return len(commits)

    assert asyncio.run(main()) <= 20


def test_small_values_are_read_where_they_are_asked_for_and_large_ones_in_a_thread(tmp_path):
    async def main() -> tuple[set[str], set[str]]:
        async with FileBackend(tmp_path / "a.db") as memory:
            await memory.set("small", "x" * 1000)
            await memory.set("large", "x" * 1_000_000)
            store = memory._store
            assert store is not None
            threads: list[set[int]] = []
            read = store.read

            def noted(work):
                threads[-1].add(threading.get_ident())
                return read(work)

            store.read = noted  # type: ignore[method-assign]
            for key in ("small", "large"):
                threads.append(set())
                assert await memory.get(key) is not None
            return threads[0], threads[1]

    small, large = asyncio.run(main())
    assert small == set()
    assert len(large) == 1
    assert threading.get_ident() not in large


def test_the_event_loop_turns_during_long_calls(tmp_path):
    async def main() -> dict[str, int]:
        turns = {}
        items = {f"user:{at % 1000}:{at}": at for at in range(20_000)}
        async with FileBackend(tmp_path / "a.db", durability="process") as memory:
            for name, call in {
                "set_many": lambda: memory.set_many(items),
                "keys": lambda: memory.keys("*:17:*"),
                "get_many": lambda: memory.get_many(items),
                "clear_pattern": lambda: memory.clear_pattern("*:1?:*"),
                "delete_many": lambda: memory.delete_many(items),
            }.items():
                task = asyncio.ensure_future(call())
                turns[name] = 0
                while not task.done():
                    await asyncio.sleep(0)
                    turns[name] += 1
                await task
        return turns

    turns = asyncio.run(main())
    assert min(turns.values()) >= 3, turns


def test_an_object_that_nobody_closed_warns_and_lets_go_of_its_thread(tmp_path):
    before = set(threading.enumerate())

    async def main() -> None:
        memory = FileBackend(tmp_path / "a.db")
        await memory.set("key", 1)

    def forget() -> None:
        asyncio.run(main())
        gc.collect()

    with pytest.warns(ResourceWarning, match="was not closed"):
        forget()
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    assert [file.name for file in tmp_path.iterdir()] == ["a.db"]


def test_even_a_call_with_nothing_to_do_is_refused_after_closing(tmp_path):
    async def main() -> None:
        memory = FileBackend(tmp_path / "a.db")
        await memory.aclose()
        for call in (memory.get_many([]), memory.set_many({}), memory.keys(""), memory.clear()):
            with pytest.raises(BackendClosedError):
                await call

    asyncio.run(main())


def test_the_last_to_close_copies_the_wal_back(tmp_path):
    async def main() -> None:
        first, second = (FileBackend(tmp_path / "a.db") for _ in range(2))
        await first.set("a", 1)
        await second.set("b", 2)
        await first.aclose()
        assert (tmp_path / "a.db-wal").exists()
        assert await second.get("a") == 1
        await second.aclose()
        assert not (tmp_path / "a.db-wal").exists()

    asyncio.run(main())
