"""Processes write, acknowledge, and are killed at random; what was acknowledged must be there.

`python soak.py --kills 500` runs it. Two processes at a time share one store, and both are
killed. Each has several tasks, and each task its own keys, which it sets one by one, in bulk
and by compare-and-set, to the numbers 1, 2, 3, ... So after a kill a key holds the last number
that was acknowledged, or the next one, whose acknowledgement did not get out; a bulk write is
there whole or not at all; and every value carries a checksum of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import select
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from zlib import crc32

from fastadk_memory_file import FileBackend

PROCESSES, TASKS, BULK = 2, 6, 5
KINDS = ("single", "bulk", "swap")
INTEGRITY_EVERY = 25

State = dict[tuple[int, int], int]
"""The last number of each task: (process, task)."""


def keys_of(process: int, task: int) -> list[str]:
    number = BULK if KINDS[task % 3] == "bulk" else 1
    return [f"{process}:{task}:{at}" for at in range(number)]


def value_of(key: str, number: int) -> dict[str, object]:
    pad = random.Random(f"{key} {number}").randbytes(20 + number % 7 * 900)
    return {"number": number, "pad": pad, "check": crc32(pad, crc32(key.encode()))}


def fork(work: Callable[[], None]) -> int:
    """Do something in a child; return its process id."""
    process = os.fork()
    if process == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 (the parent hears of it by the status)
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return process


# ------------------------------------------------------------------------ the victims


def write_on(path: Path, durability: str, process: int, state: State, way: int) -> None:
    async def task_of(memory: FileBackend, task: int) -> None:
        number, keys = state.get((process, task), 0), keys_of(process, task)
        while True:
            number += 1
            await write(memory, KINDS[task % 3], keys, number)
            os.write(way, f"{process} {task} {number}\n".encode())

    async def main() -> None:
        memory = FileBackend(path, durability=durability, timeout=60)
        await asyncio.gather(*(task_of(memory, task) for task in range(TASKS)))

    asyncio.run(main())


async def write(memory: FileBackend, kind: str, keys: list[str], number: int) -> None:
    values = {key: value_of(key, number) for key in keys}
    if kind == "bulk":
        await memory.set_many(values, ttl=3600 if number % 2 else None)
    elif kind == "single":
        await memory.set(keys[0], values[keys[0]])
    else:
        entry = await memory.get_entry(keys[0])
        from fastadk_memory import ABSENT

        expect = ABSENT if entry is None else entry.version
        await memory.compare_and_set(keys[0], values[keys[0]], expect=expect)


def kill_some(path: Path, durability: str, state: State) -> int:
    """Let processes write and kill them; enter in `state` what they acknowledged."""
    reading, writing = os.pipe()
    victims = [
        fork(lambda at=at: write_on(path, durability, at, state, writing))
        for at in range(PROCESSES)
    ]
    os.close(writing)
    told = [os.read(reading, 65536)]  # the first acknowledgement
    stop = time.monotonic() + random.uniform(0.0, 0.15)
    while (left := stop - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            told.append(os.read(reading, 65536))
    for victim in victims:
        os.kill(victim, signal.SIGKILL)
    for victim in victims:
        _, status = os.waitpid(victim, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            raise SystemExit("a writer failed before it was killed")
    while rest := os.read(reading, 65536):
        told.append(rest)
    os.close(reading)
    lines = b"".join(told).decode().splitlines()
    for line in lines:
        process, task, number = map(int, line.split())
        state[process, task] = number
    return len(lines)


# ------------------------------------------------------------------------ the check


async def check(path: Path, durability: str, state: State) -> State:
    """Return the numbers that are there; raise if one of them cannot be."""
    seen: State = {}
    async with FileBackend(path, durability=durability, timeout=60) as memory:
        for process in range(PROCESSES):
            for task in range(TASKS):
                keys = keys_of(process, task)
                found = await memory.get_many(keys)
                numbers = {found[key]["number"] if key in found else 0 for key in keys}
                for key in found:
                    assert found[key] == value_of(key, found[key]["number"]), f"{key} is torn"
                acknowledged = state.get((process, task), 0)
                assert len(numbers) == 1, f"a bulk write is torn: {keys} hold {numbers}"
                (number,) = numbers
                lost = f"{keys[0]}: {acknowledged} was acknowledged, {number} is there"
                assert number in (acknowledged, acknowledged + 1), lost
                seen[process, task] = number
    return seen


def integrity(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    assert verdict == "ok", verdict


def soak(durability: str, kills: int, folder: Path) -> tuple[int, int]:
    """Kill so many processes; return how many were killed, and how many writes acknowledged."""
    path, state = folder / f"{durability}.db", State()
    killed = acknowledged = rounds = 0
    while killed < kills:
        acknowledged += kill_some(path, durability, state)
        killed += PROCESSES
        rounds += 1
        state = asyncio.run(check(path, durability, state))
        if rounds % INTEGRITY_EVERY == 0:
            integrity(path)
    integrity(path)
    return killed, acknowledged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=500, help="with each durability")
    kills = parser.parse_args().kills
    with tempfile.TemporaryDirectory() as folder:
        for durability in ("power", "process"):
            started = time.monotonic()
            killed, acknowledged = soak(durability, kills, Path(folder))
            print(
                f"{durability}: {killed} processes killed, {acknowledged} acknowledged writes, "
                f"none lost, none torn ({time.monotonic() - started:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
