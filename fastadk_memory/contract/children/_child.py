"""What a child process of the suite runs; `processes.py` starts it and speaks with it.

Frames in both directions are pickles; each answer has its length before it. A child either
serves calls of one backend, or, as a *zygote*, forks a process for each job that ends in a
kill: forking one that has everything imported is a hundred times cheaper than starting one.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401  # pyright: ignore[reportUnusedImport]
import gc
import itertools
import os
import pickle
import signal
import struct
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import FrameType
from typing import Any, NoReturn

from fastadk_memory.base import ABSENT, Absent, MemoryBackend, Version
from fastadk_memory.contract.children.writes import Write, prepared
from fastadk_memory.errors import ConflictError

__all__ = ["main"]


class Channel:
    """The way back to the parent.

    The standard output is no longer it: what a backend prints must not come in between.
    """

    def __init__(self) -> None:
        self._way = os.dup(1)
        os.dup2(2, 1)

    def send(self, *frame: object) -> None:
        """Send one frame, in one piece as long as it is short."""
        data = pickle.dumps(frame)
        data = struct.pack("<I", len(data)) + data
        while data:
            data = data[os.write(self._way, data) :]


def receive() -> Any:
    """Return the next frame from the parent; `None` when there will be no more."""
    try:
        return pickle.load(sys.stdin.buffer)
    except EOFError:
        return None


def main() -> None:
    """Do what the parent asks for until it closes the pipe."""
    channel = Channel()
    mode, pickled = receive()
    try:
        opener: Callable[[], MemoryBackend] = pickle.loads(pickled)
        made = opener()
        if not isinstance(made, MemoryBackend):
            raise TypeError(f"it returns a {type(made).__name__}, no MemoryBackend")
    except Exception as error:  # noqa: BLE001 (told to the parent)
        channel.send("unusable", _told(error))
        return
    channel.send("ready", os.getpid())
    if mode == "serve":
        asyncio.run(_serve(made, channel))
    else:
        # The one just made is dropped unopened: a fork must not share connections.
        _fork_for_each(channel)


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:1_000]


# ------------------------------------------------------------------------ serving calls


async def _serve(memory: MemoryBackend, channel: Channel) -> None:
    commands: dict[str, Callable[..., Any]] = {"call": _call, "run": _run, "count": _count}
    # Frames are awaited in a thread: a client may have things to do in its loop meanwhile.
    while (request := await asyncio.to_thread(receive)) is not None:
        command, *arguments = request
        channel.send("answer", await commands[command](memory, *arguments))
    await memory.aclose()


Answer = tuple[int, int, str, Any]
"""Nanoseconds of start and end on the clock that all processes share, the name of the error
or nothing, and what was returned or the error's message."""


async def _call(
    memory: MemoryBackend,
    namespace: str | None,
    method: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Answer:
    memory = memory if namespace is None else memory.namespace(namespace)
    start = time.monotonic_ns()
    try:
        if method == "scan":
            result: Any = [key async for key in memory.scan(*args, **kwargs)]
        else:
            result = await getattr(memory, method)(*args, **kwargs)
    except Exception as error:  # noqa: BLE001 (told to the parent)
        return start, time.monotonic_ns(), type(error).__name__, _told(error)
    return start, time.monotonic_ns(), "", result


async def _run(
    memory: MemoryBackend, steps: Sequence[tuple[str, str, Any]], at: int
) -> list[tuple[Answer, Version | Absent]]:
    """Carry out steps one after another, the first at the moment `at`.

    Args:
        memory: The backend.
        steps: Method, key, and the value if it takes one. A `compare_and_set` expects the
            version that this process has seen last.
        at: When to begin.

    Returns:
        What became of each, and what it expected if it was a `compare_and_set`.
    """
    seen: dict[str, Version | Absent] = {}
    answers: list[tuple[Answer, Version | Absent]] = []
    _spin(at)
    for method, key, value in steps:
        expect = seen.get(key, ABSENT)
        args = (key,) if value is None else (key, value)
        kwargs = {"expect": expect} if method == "compare_and_set" else {}
        answer = await _call(memory, None, method, args, kwargs)
        answers.append((answer, expect))
        _, _, error, result = answer
        if method == "compare_and_set" and not error:
            seen[key] = result
        elif method == "get_entry" and not error:
            seen[key] = ABSENT if result is None else result.version
    return answers


async def _count(memory: MemoryBackend, key: str, times: int, at: int) -> int:
    """Add one to a number, over and over, by `compare_and_set`; return how often it conflicted."""
    conflicts = 0
    _spin(at)
    while times:
        entry = await memory.get_entry(key)
        value, version = (0, ABSENT) if entry is None else (entry.value, entry.version or ABSENT)
        try:
            await memory.compare_and_set(key, value + 1, expect=version)
        except ConflictError:
            conflicts += 1
        else:
            times -= 1
    return conflicts


def _spin(at: int) -> None:
    """Wait for a moment, closer than any sleep would come: several processes begin at once."""
    while time.monotonic_ns() < at:
        pass


# --------------------------------------------------------------------- forking to be killed


def _fork_for_each(channel: Channel) -> None:
    # Threads are imported already (above), which asyncio would do in every single fork; and
    # what the collector does not touch need not be copied after a fork.
    gc.disable()
    gc.freeze()
    while (request := receive()) is not None:
        process = os.fork()
        if process == 0:
            _do(channel, *request)
        _, status = os.waitpid(process, 0)
        channel.send("ended", os.waitstatus_to_exitcode(status))


def _do(channel: Channel, job: str, opener: bytes, *arguments: Any) -> NoReturn:
    """Do a job in a forked process, which ends by being killed."""
    # Told from here, not by the zygote, which may come to it long after what this one tells.
    channel.send("started", os.getpid())
    try:
        memory = pickle.loads(opener)()
        asyncio.run(_JOBS[job](memory, channel, *arguments))
    except Exception as error:  # noqa: BLE001 (told to the parent)
        channel.send("failed", _told(error))
    finally:
        # It must not end before it is killed, or its number might be given to another
        # process. Nothing ever comes here: the read ends when the parent is gone.
        os.read(0, 1)
        os._exit(0)


async def _write_on(
    memory: MemoryBackend, channel: Channel, plans: Sequence[Sequence[Write]]
) -> None:
    """Carry out each plan in a task of its own, and acknowledge each write."""

    async def follow(task: int, plan: Sequence[Write]) -> None:
        for at, write in enumerate(plan):
            await (await prepared(memory, write))()
            channel.send("done", task, at)

    await asyncio.gather(*(follow(task, plan) for task, plan in enumerate(plans)))
    channel.send("finished")


async def _write_traced(
    memory: MemoryBackend, channel: Channel, write: Write, kill_at: int | None, opening: bool
) -> None:
    """Carry out one write, and be killed at one of its lines or right after it.

    Args:
        memory: The backend.
        channel: The way to the parent.
        write: What to carry out.
        kill_at: The number of the line. `None` is after the last: then the lines gone
            through are told, and the write is acknowledged.
        opening: Whether the lines of opening the store count, too.
    """
    with Lines(kill_at, _die) as lines:
        if opening:
            lines.begin()
        await memory.open()
        carry_out = await prepared(memory, write)
        lines.begin()
        await carry_out()
        lines.counting = False
    if kill_at is None:
        channel.send("done", lines.seen)
    _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def _call_held_up(
    memory: MemoryBackend,
    channel: Channel,
    call: tuple[str, tuple[Any, ...], dict[str, Any]],
    hold_at: int | None,
) -> None:
    """Make one call, and stand still at one of its lines until the parent sends a byte."""

    def hold() -> None:
        channel.send("held")
        os.read(0, 1)

    with Lines(hold_at, hold) as lines:
        await memory.open()
        lines.begin()
        answer = await _call(memory, None, *call)
        # It may be another thread that stands still, in what it does behind the call's back:
        # then it reads the parent's byte first, which is meant for it.
        lines.end()
    channel.send("answer", answer, lines.seen)
    _die()


_JOBS: dict[str, Callable[..., Any]] = {
    "write_on": _write_on,
    "write_traced": _write_traced,
    "call_held_up": _call_held_up,
}

_OWN = (__file__, sys.modules[Write.__module__].__file__)
_STDLIB = tuple(sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib"))


class Lines:
    """Counts the lines that are executed while `counting`, in any thread, and acts at one.

    The lines of the standard library and of the suite itself do not count.

    Args:
        act_at: Before which line to act, the first being 0; `None` for none.
        act: What to do there.
    """

    def __init__(self, act_at: int | None, act: Callable[[], None]) -> None:
        self.counting = False
        self.seen: list[tuple[str, int]] = []
        self._act_at = act_at
        self._act = act
        self._numbers: Iterator[int] = itertools.count()
        self._acting = threading.Lock()

    def __enter__(self) -> Lines:
        """Begin to look at threads that are started from now on."""
        threading.settrace(self._enter_frame)
        return self

    def begin(self) -> None:
        """Begin to count, here and in those threads."""
        self.counting = True
        sys.settrace(self._enter_frame)

    def end(self) -> None:
        """Count no more; wait for a thread that is acting."""
        with self._acting:
            self.counting = False

    def __exit__(self, *exc_info: object) -> None:
        """Look no more."""
        sys.settrace(None)
        threading.settrace(None)

    def _enter_frame(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._step if _counts(frame.f_code.co_filename) else None

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line" and self.counting:
            number = next(self._numbers)
            if self._act_at is None:
                self.seen.append((frame.f_code.co_filename, frame.f_lineno))
            elif number == self._act_at:
                with self._acting:
                    if self.counting:
                        self._act()
        return self._step


@cache
def _counts(filename: str) -> bool:
    if filename in _OWN or filename.startswith("<"):
        return False
    installed = "site-packages" in filename or "dist-packages" in filename
    return installed or not filename.startswith(_STDLIB)
