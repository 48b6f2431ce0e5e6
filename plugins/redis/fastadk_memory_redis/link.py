"""`Link`: the way to one node, kept open. One lane at a time, connected when it is needed.

All who need a lane while there is none wait for the same attempt, and share its failure.
Attempts that fail follow each other at growing intervals.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

from fastadk_memory import BackendClosedError
from fastadk_memory_redis.connecting import UnreachableError
from fastadk_memory_redis.lane import Lane

__all__ = ["Link", "Pauses"]

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 0.25


class Pauses:
    """Pauses between attempts: each about twice as long as the one before, up to a quarter second.

    They vary at random, so that many clients do not come back at the same moment.
    """

    def __init__(self) -> None:
        self._next = _FIRST_PAUSE
        self.taken = 0

    def next(self) -> float:
        """Return how many seconds to wait before the next attempt."""
        self.taken += 1
        pause = self._next
        self._next = min(_LONGEST_PAUSE, pause * 2)
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._next = _FIRST_PAUSE


class Link:
    """The way to one node, used in one event loop only.

    Args:
        dial: Makes one attempt to connect.
        patience: For how many seconds after an interruption calls go on trying. One that has
            never succeeded, or not for longer, fails at the first attempt.
        on_end: Called with each lane that takes no more commands.

    Attributes:
        lane: The lane, if there is one that takes commands.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Lane]],
        patience: float,
        on_end: Callable[[Lane], None] | None = None,
    ) -> None:
        self.lane: Lane | None = None
        self._dial = dial
        self._patience = patience
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._attempt: asyncio.Task[Lane] | None = None
        self._pauses = Pauses()
        self._not_before = 0.0
        self._away_since = float("-inf")
        self._lanes: set[Lane] = set()  # retired ones included, until they are gone
        self._closed = False

    @property
    def patient(self) -> bool:
        """Whether it is worth trying again: the interruption has only just begun."""
        return self._loop.time() - self._away_since < self._patience

    async def connect(self, deadline: float) -> Lane:
        """Return the lane; connect first if there is none.

        Args:
            deadline: By the event loop's clock.

        Raises:
            UnreachableError: The attempt failed, or takes longer than until the deadline.

        A cancelled call leaves the attempt to those who still wait for it.
        """
        came, again = self._loop.time(), True
        while self.lane is None:
            attempt = self._join()
            await asyncio.wait({attempt}, timeout=max(0.0, deadline - self._loop.time()))
            if not attempt.done():
                raise UnreachableError("the server does not answer in time", late=True)
            if attempt.cancelled():
                raise UnreachableError("the attempt to connect was given up")
            error = attempt.exception()
            if error is None:
                return attempt.result()
            if not isinstance(error, UnreachableError):
                raise error
            if error.began >= came or not again:
                # Not the same object: each raising would add to its traceback.
                shared = UnreachableError(str(error), late=error.late, refused=error.refused)
                shared.patient = self.patient and error.refused is None
                raise shared from error.__cause__
            again = False  # it began before this call: the server may be back since
        return self.lane

    def _join(self) -> asyncio.Task[Lane]:
        """Return the attempt that is under way, or a new one."""
        if self._closed:
            raise BackendClosedError("the backend is closed, which is final; create a new one")
        if self._attempt is None:
            self._attempt = self._loop.create_task(self._try())
            self._attempt.add_done_callback(self._tried)
        return self._attempt

    def drop(self) -> None:
        """Take another lane from now on; calls that wait on the old one get their answers."""
        if self.lane is not None:
            self.lane.retire()

    def close(self) -> None:
        """Let go of everything, at once."""
        self._closed = True
        if self._attempt is not None:
            self._attempt.cancel()
        for lane in list(self._lanes):
            lane.end("the backend is closed", late=False)

    async def closed(self) -> None:
        """Wait until everything is gone, after `close`."""
        if self._attempt is not None:
            await asyncio.wait({self._attempt})
        for lane in list(self._lanes):
            await lane.gone()

    async def _try(self) -> Lane:
        wait = self._not_before - self._loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        began = self._loop.time()
        try:
            lane = await self._dial()
        except UnreachableError as error:
            error.began = began
            self._not_before = self._loop.time() + self._pauses.next()
            raise
        self._pauses.reset()
        self._lanes.add(lane)
        lane.when_gone(lambda: self._lanes.discard(lane))
        if not lane.usable:  # it has ended already
            self._away_since = self._loop.time()
            gone = UnreachableError(f"{lane.where} closed the connection at once")
            gone.began = began
            raise gone
        self.lane = lane
        lane.on_end = lambda: self._ended(lane)
        return lane

    def _tried(self, attempt: asyncio.Task[Lane]) -> None:
        self._attempt = None
        if not attempt.cancelled():
            attempt.exception()  # seen, even if all who waited for it have been cancelled

    def _ended(self, lane: Lane) -> None:
        if self.lane is lane:
            self.lane = None
        self._away_since = self._loop.time()
        if self._on_end is not None:
            self._on_end(lane)
