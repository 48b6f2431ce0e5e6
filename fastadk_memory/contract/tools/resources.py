"""What of the process's resources is in use: open files and sockets, threads, tasks."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

__all__ = ["files_left", "open_files", "tasks_left", "threads_left"]

_GRACE = 1.5
"""Seconds within which what has been closed has to be gone."""

_ROUNDS = 20
"""How often it is looked for at the least."""

_LISTINGS = ("/proc/self/fd", "/dev/fd")


def open_files() -> dict[str, str]:
    """Return the process's open files and sockets: number to what is behind it.

    Empty on systems that do not tell.
    """
    listing = next((each for each in _LISTINGS if Path(each).is_dir()), None)
    found: dict[str, str] = {}
    for number in [] if listing is None else os.listdir(listing):  # noqa: PTH208
        path = f"{listing}/{number}"
        # The listing's own descriptor is gone by now.
        with suppress(OSError):
            os.fstat(int(number))
            found[number] = str(Path(path).readlink()) if Path(path).is_symlink() else "a file"
    return found


async def files_left(before: dict[str, str]) -> str:
    """Tell in words which files and sockets have come since `before`; nothing if none has."""

    def more() -> str:
        now = open_files()
        # Others of the process may have closed one and opened another in the meantime.
        if len(now) <= len(before):
            return ""
        return _told("open file or socket", [now[each] for each in now.keys() - before.keys()])

    return await _after_a_while(more)


async def tasks_left(before: Collection[asyncio.Task[object]]) -> str:
    """Tell in words which tasks of this loop have come since `before`; nothing if none has."""

    def more() -> str:
        tasks = asyncio.all_tasks() - set(before) - {asyncio.current_task()}
        return _told("task", [_coroutine(task) for task in tasks])

    return await _after_a_while(more)


def threads_left(before: Collection[threading.Thread]) -> str:
    """Tell in words which threads have come since `before`; nothing if none has.

    It blocks: call it where no event loop runs, so that the loop's own threads have ended.
    """
    deadline, rounds = time.monotonic() + _GRACE, 0
    while True:
        left = [each for each in threading.enumerate() if each not in before]
        if not left or (time.monotonic() > deadline and rounds >= _ROUNDS):
            return _told("thread", [each.name for each in left])
        rounds += 1
        left[0].join(timeout=0.01)


async def _after_a_while(more: Callable[[], str]) -> str:
    """Return what is left when a moment has passed in which what is closed may go."""
    deadline, rounds = time.monotonic() + _GRACE, 0
    # Both: the time may pass at a standstill, in which nothing could go.
    while (told := more()) and (time.monotonic() < deadline or rounds < _ROUNDS):
        rounds += 1
        await asyncio.sleep(0.005)
    return told


def _told(kind: str, names: Collection[str]) -> str:
    if not names:
        return ""
    several = "" if len(names) == 1 else "s"
    listed = ", ".join(
        name if number == 1 else f"{number} x {name}"
        for name, number in sorted(Counter(_stem(name) for name in names).items())[:5]
    )
    return f"{len(names)} {kind}{several} ({listed})"


def _stem(name: str) -> str:
    # socket:[12345]: the number differs from run to run.
    return name.partition(":[")[0]


def _coroutine(task: asyncio.Task[object]) -> str:
    return getattr(task.get_coro(), "__qualname__", task.get_name())
