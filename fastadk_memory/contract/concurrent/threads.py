"""Threads with an event loop of their own each, for laws about threads."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from fastadk_memory.contract.violations import Violation

__all__ = ["LoopThread", "in_threads", "loop_threads", "restless"]

T = TypeVar("T")


class LoopThread:
    """A thread in which an event loop runs, and is given coroutines to run.

    Args:
        name: What to call it in messages.
        limit: Seconds after which it counts as stuck.
    """

    def __init__(self, name: str, limit: float) -> None:
        self.name = name
        self._limit = limit
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        # A daemon: one that a broken backend blocks must not keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        self._ready.wait()

    def _run(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()

    def begin(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine in this thread's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def take_turns(self, number: int, seconds: float) -> None:
        """Wait until this thread's loop has had a number of turns; no longer than `seconds`."""
        turns = asyncio.wrap_future(self.begin(_turns(number)))
        await asyncio.wait([turns], timeout=seconds)
        turns.cancel()

    def ask_to_end(self) -> None:
        """Ask the loop to end, once it gets a turn."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def join(self, seconds: float) -> bool:
        """Wait for the thread to end; tell whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@contextmanager
def loop_threads(number: int, limit: float) -> Generator[list[LoopThread]]:
    """Start threads for a block, and end them after it.

    Args:
        number: How many.
        limit: Seconds after which one that does not end counts as stuck.

    Raises:
        Violation: One of them does not end.
    """
    threads = [LoopThread(f"thread {at}", limit) for at in range(1, number + 1)]
    try:
        yield threads
    except BaseException:
        _end(threads, 1.0)  # what is stuck stays behind; what went wrong is told already
        raise
    stuck = _end(threads, limit)
    if stuck:
        raise Violation(f"the event loop of {stuck[0]} is blocked, and does not end")


def _end(threads: Sequence[LoopThread], seconds: float) -> list[str]:
    for thread in threads:
        thread.ask_to_end()
    until = time.monotonic() + seconds
    return [each.name for each in threads if not each.join(max(0.0, until - time.monotonic()))]


@contextmanager
def restless() -> Generator[None]:
    """Make the interpreter change threads far more often than usual, for a block."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


async def in_threads(
    mains: Sequence[Callable[[], Coroutine[Any, Any, T]]], limit: float
) -> list[T]:
    """Run coroutines at once, each in a thread and event loop of its own.

    The loop that this is awaited in goes on meanwhile.

    Args:
        mains: What to run.
        limit: How many seconds it may take.

    Returns:
        What they returned.

    Raises:
        Violation: One of them did not come to an end.
    """
    with loop_threads(len(mains), limit) as threads, restless():
        futures = [thread.begin(main()) for thread, main in zip(threads, mains, strict=True)]
        until = time.monotonic() + limit
        while not all(future.done() for future in futures):
            if time.monotonic() > until:
                stuck = next(at for at, each in enumerate(futures) if not each.done())
                raise Violation(
                    f"{threads[stuck].name} is stuck: its calls did not end within {limit:g} s"
                )
            if any(future.done() and future.exception() for future in futures):
                break
            await asyncio.sleep(0.0005)
        return _results(futures)


def _results(futures: Sequence[Future[T]]) -> list[T]:
    errors = [error for each in futures if each.done() and (error := each.exception())]
    if errors:
        raise errors[0]
    return [future.result() for future in futures]
