"""What works across event loops and threads: `Mutex`, `Lifetime`, `run_in_thread`.

The locks of asyncio belong to one event loop. A memory backend serves several at once
(clause X3), so it waits through these: state under a `threading.Lock` that is held for a
few instructions only, and waiters that are woken in their own loops.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
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
        self.woken = False

    async def wait(self) -> None:
        await self._future

    def wake(self, error: BaseException | None = None) -> bool:
        """Wake the task from any thread; `False` if its loop is gone, and the task with it."""
        self.woken = True
        try:
            self._loop.call_soon_threadsafe(self._settle, error)
        except RuntimeError:
            return False
        return True

    def _settle(self, error: BaseException | None) -> None:
        if self._future.done():
            return
        if error is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(error)


class Mutex:
    """A lock for tasks of any event loops in any threads, served first come, first served.

    Use it as `async with mutex:`. It is not reentrant. A cancelled wait takes nothing.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locked = False
        self._waiters: deque[_Waiter] = deque()

    async def __aenter__(self) -> None:
        """Wait until the lock is free, and take it."""
        with self._guard:
            if not self._locked:
                self._locked = True
                return
            waiter = _Waiter()
            self._waiters.append(waiter)
        try:
            await waiter.wait()
        except BaseException:
            with self._guard:
                granted = waiter.woken
                if not granted:
                    self._waiters.remove(waiter)
            if granted:
                self._release()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hand the lock to the next waiter, or free it."""
        self._release()

    def _release(self) -> None:
        with self._guard:
            while self._waiters:
                # The lock stays taken: it passes straight to the one who is woken.
                if self._waiters.popleft().wake():
                    return
            self._locked = False


class _State(Enum):
    NEW = "new"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


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
        self._guard = threading.Lock()
        self._state = _State.NEW if opener is not None else _State.OPEN
        self._calls = 0
        self._closer_at_work = False
        self._waiters: list[_Waiter] = []

    @property
    def closed(self) -> bool:
        """Whether `aclose` has begun: every call is refused from then on."""
        return self._state in (_State.CLOSING, _State.CLOSED)

    async def __aenter__(self) -> None:
        """Begin a call: open if that is still to be done, and count the call.

        Raises:
            BackendClosedError: `aclose` has been called.
        """
        while True:
            with self._guard:
                if self._state is _State.OPEN:
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
        with self._guard:
            self._calls -= 1
            if self._calls == 0 and self._state is _State.CLOSING:
                self._wake_all()

    async def open(self) -> None:
        """Open, unless that has been done; wait for an attempt that is under way.

        Raises:
            BackendClosedError: `aclose` has been called.
        """
        while True:
            with self._guard:
                if self._state is _State.OPEN:
                    return
                if self.closed:
                    raise BackendClosedError(
                        f"{self._owner} is closed, which is final; create a new one"
                    )
                if self._state is _State.NEW:
                    self._state = _State.OPENING
                    break
                waiter = self._new_waiter()
            await self._wait(waiter)
        await self._attempt_open()

    async def _attempt_open(self) -> None:
        assert self._open is not None  # without it the state is never NEW
        try:
            await self._open()
        except BaseException as error:
            with self._guard:
                self._state = _State.NEW
                # Those who wait share a failure. A cancellation is this task's own:
                # they try again.
                self._wake_all(error if isinstance(error, Exception) else None)
            raise
        with self._guard:
            self._state = _State.OPEN
            self._wake_all()

    async def aclose(self) -> None:
        """Refuse new calls, wait for those under way, then close. Idempotent.

        A cancelled `aclose` leaves the lifetime closing; calling it again finishes the work.
        """
        while True:
            with self._guard:
                if self._state is _State.CLOSED:
                    return
                if self._state is _State.NEW:
                    self._state = _State.CLOSED
                    return
                if self._state is _State.OPEN:
                    self._state = _State.CLOSING
                if self._may_close():
                    self._closer_at_work = True
                    break
                waiter = self._new_waiter()
            await self._wait(waiter)
        await self._finish()

    def _may_close(self) -> bool:
        closing = self._state is _State.CLOSING
        return closing and self._calls == 0 and not self._closer_at_work

    async def _finish(self) -> None:
        try:
            if self._close is not None:
                await self._close()
        except asyncio.CancelledError:
            with self._guard:
                self._closer_at_work = False
                self._wake_all()
            raise
        except BaseException:
            self._end()
            raise
        self._end()

    def _end(self) -> None:
        with self._guard:
            self._state = _State.CLOSED
            self._wake_all()

    def _new_waiter(self) -> _Waiter:
        waiter = _Waiter()
        self._waiters.append(waiter)
        return waiter

    async def _wait(self, waiter: _Waiter) -> None:
        try:
            await waiter.wait()
        finally:
            with self._guard:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def _wake_all(self, error: Exception | None = None) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.wake(error)


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
    work = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
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
