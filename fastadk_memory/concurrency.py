"""What works across event loops and threads: `Mutex`, `Lifetime`, `run_in_thread`.

The locks of asyncio belong to one event loop. A memory backend serves several at once
(clause X3), so it waits through these: state under a `threading.Lock` that is held for a
few instructions only, and waiters that are woken in their own loops.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import TypeVar

from fastadk_memory.errors import BackendClosedError

__all__ = ["Lifetime", "Mutex", "run_in_thread"]

T = TypeVar("T")


class _Waiter:
    """One task that waits in its own loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[None] = self._loop.create_future()

    async def wait(self) -> None:
        await self._future

    def wake(self) -> None:
        """Wake the task, from any thread."""
        with suppress(RuntimeError):  # its loop is closed: the task is gone with it
            self._loop.call_soon_threadsafe(self._settle)

    def _settle(self) -> None:
        if not self._future.done():
            self._future.set_result(None)


class _Waiters:
    """The tasks that wait for a change of one state, which the guard protects.

    A change wakes all of them, and each looks for itself what has become of it. A change
    that were handed to one of them would be lost in a loop that is not running.
    """

    def __init__(self) -> None:
        # Reentrant: the garbage collector may end an abandoned waiter's coroutine anywhere,
        # inside of a guarded section of the same thread, too.
        self.guard = threading.RLock()
        self._waiting: list[_Waiter] = []

    def enlist(self) -> _Waiter:
        waiter = _Waiter()
        self._waiting.append(waiter)
        return waiter

    async def wait(self, waiter: _Waiter) -> None:
        try:
            await waiter.wait()
        finally:
            with self.guard:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)

    def wake_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            waiter.wake()


class Mutex:
    """A lock for tasks of any event loops in any threads.

    Use it as `async with mutex:`. It is not reentrant. A cancelled wait takes nothing.
    """

    def __init__(self) -> None:
        self._waiters = _Waiters()
        self._locked = False

    async def __aenter__(self) -> None:
        """Wait until the lock is free, and take it."""
        while True:
            with self._waiters.guard:
                if not self._locked:
                    self._locked = True
                    return
                waiter = self._waiters.enlist()
            await self._waiters.wait(waiter)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Free the lock."""
        with self._waiters.guard:
            self._locked = False
            self._waiters.wake_all()


class _State(Enum):
    NEW = "new"
    OPENING = "opening"
    OPEN = "open"
    CLOSED = "closed"


class _Attempt:
    """One attempt to open, whose failure all who wait for it share."""

    error: Exception | None = None


class Lifetime:
    """Opens at the first use, closes once, and lets what is under way finish (clauses L1, L2).

    Wrap each call of the backend in `async with lifetime:`. The first one opens; calls
    that come meanwhile wait for the same attempt and share its failure; after a failure
    the next call tries again.

    Args:
        owner: What to call the backend in errors.
        opener: Makes the backend ready. When it fails or is cancelled it leaves nothing
            behind, and can be called again.
        closer: Lets go of everything. Called once, when nothing is under way any more;
            not at all if the backend was never opened.
    """

    def __init__(
        self,
        owner: str,
        opener: Callable[[], Awaitable[None]] | None = None,
        closer: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._owner = owner
        self._open = opener
        self._close = closer
        self._waiters = _Waiters()
        self._state = _State.NEW if opener is not None else _State.OPEN
        self._attempt = _Attempt()
        self._calls = 0
        self._closing = False
        self._closer_at_work = False

    @property
    def closed(self) -> bool:
        """Whether `aclose` has been called: every call is refused from then on."""
        return self._closing

    async def __aenter__(self) -> None:
        """Begin a call: open if that is still to be done, and count the call.

        Raises:
            BackendClosedError: `aclose` has been called.
        """
        while True:
            with self._waiters.guard:
                if self._state is _State.OPEN and not self._closing:
                    self._calls += 1
                    return
            await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End a call."""
        with self._waiters.guard:
            self._calls -= 1
            if self._calls == 0 and self._closing:
                self._waiters.wake_all()

    async def open(self) -> None:
        """Open, unless that has been done; wait for an attempt that is under way.

        Raises:
            BackendClosedError: `aclose` has been called.
        """
        while True:
            with self._waiters.guard:
                if self._closing:
                    raise BackendClosedError(
                        f"{self._owner} is closed, which is final; create a new one"
                    )
                if self._state is _State.OPEN:
                    return
                if self._state is _State.NEW:
                    self._state = _State.OPENING
                    self._attempt = _Attempt()
                    break
                attempt, waiter = self._attempt, self._waiters.enlist()
            await self._waiters.wait(waiter)
            if attempt.error is not None:
                raise attempt.error
        await self._attempt_open(self._attempt)

    async def _attempt_open(self, attempt: _Attempt) -> None:
        assert self._open is not None  # without it the state is never NEW
        try:
            await self._open()
        except BaseException as error:
            # Those who wait share a failure. A cancellation is this task's own: they try again.
            attempt.error = error if isinstance(error, Exception) else None
            self._become(_State.NEW)
            raise
        self._become(_State.OPEN)

    def _become(self, state: _State) -> None:
        with self._waiters.guard:
            self._state = state
            self._waiters.wake_all()

    async def aclose(self) -> None:
        """Refuse new calls, wait for those under way, then close. Idempotent.

        A cancelled `aclose` leaves the lifetime closing; calling it again finishes the work.
        """
        while True:
            with self._waiters.guard:
                self._closing = True
                if self._state is _State.NEW:
                    self._state = _State.CLOSED
                if self._state is _State.CLOSED:
                    return
                idle = self._calls == 0 and not self._closer_at_work
                if self._state is _State.OPEN and idle:
                    self._closer_at_work = True
                    break
                waiter = self._waiters.enlist()
            await self._waiters.wait(waiter)
        await self._finish()

    async def _finish(self) -> None:
        try:
            if self._close is not None:
                await self._close()
        except asyncio.CancelledError:
            with self._waiters.guard:
                self._closer_at_work = False
                self._waiters.wake_all()
            raise
        except BaseException:
            self._become(_State.CLOSED)
            raise
        self._become(_State.CLOSED)


async def run_in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Run a blocking function in a thread of the event loop's pool.

    A thread cannot be cancelled. So a cancelled call waits until the function has ended,
    and only then raises `CancelledError`: whoever holds a lock around it holds the lock
    for as long as the work goes on.

    Args:
        function: What to run.
        *arguments: What to pass to it.

    Returns:
        What it returns.
    """
    # A bare future, not a task: when a loop ends, asyncio.run cancels all tasks, and the
    # call would return while its thread is still at work.
    context = contextvars.copy_context()
    work: asyncio.Future[T] = asyncio.get_running_loop().run_in_executor(
        None, lambda: context.run(function, *arguments)
    )
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                continue  # cancelled once more: still not before the work has ended
        if not work.cancelled():
            work.exception()  # seen, though this call says that it was cancelled
        raise
