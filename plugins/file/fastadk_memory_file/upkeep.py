"""What the writer's thread does beside writing: sweep, checkpoint, shrink; a step at a time."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from math import inf

from fastadk_memory import Clock
from fastadk_memory_file.changes import Change
from fastadk_memory_file.checkpoints import Checkpoints
from fastadk_memory_file.errors import is_busy
from fastadk_memory_file.expiry import Sweeper
from fastadk_memory_file.transactions import writing
from fastadk_memory_file.vacuum import shrink, worth_shrinking

__all__ = ["Upkeep"]

# How many expired rows are deleted at once: in a transaction of somebody's, for each of its
# writes, so that a backlog shrinks; and in one of its own.
_ALONG_LEAST, _ALONG_EACH = 16, 4
_STEP = 400

# Seconds.
_BETWEEN_STEPS = 0.005
_BUSY = 0.05  # others are writing: they sweep, too
_BROKEN = 5.0  # a damaged page, a full disk: it will not be better at once
_CALM = 1.0  # nobody has written for so long: the WAL may be copied back
_LOOK = 30.0  # how often to look for what other processes have left to expire


class Upkeep:
    """Knows what there is to do, and does it. Belongs to the writer's thread.

    Whatever fails here is tried again later: no call waits for it, and what is wrong with
    the store the next write says.

    Args:
        connection: The writer's.
        checkpoints: Copies the WAL back.
        clock: Tells the time by which entries expire.
    """

    def __init__(
        self, connection: sqlite3.Connection, checkpoints: Checkpoints, clock: Clock
    ) -> None:
        self._connection = connection
        self._checkpoints = checkpoints
        self._clock = clock
        self._sweeper = Sweeper(connection)
        self._sweeper.look()
        self._look_at = time.monotonic() + _LOOK
        self._calm_at = inf
        self._not_before = 0.0
        self._shrinking = False

    # ------------------------------------------------------------ beside a transaction

    def along(self, writes: int) -> None:
        """Delete some expired rows in the transaction of writes, which then pays for both.

        Raises:
            sqlite3.Error: It fails, and the transaction with it.
        """
        now = self._clock()
        if self._sweeper.next > now or time.monotonic() < self._not_before:
            return
        try:
            self._sweeper.step(now, max(_ALONG_LEAST, _ALONG_EACH * writes))
            self._sweeper.look()
        except sqlite3.Error:
            self._not_before = time.monotonic() + _BROKEN
            raise

    def note(self, changes: Sequence[Change]) -> None:
        """Note what has just been committed."""
        now = self._clock()
        size = 0
        for change in changes:
            size += change.size
            if change.ttl_ms is not None:
                self._sweeper.note(now + change.ttl_ms / 1000)
        self._checkpoints.note(len(changes), size)
        self._calm_at = time.monotonic() + _CALM
        self._shrinking = True

    def after_commit(self) -> None:
        """Copy the WAL back if it has grown; the calls have been answered by now."""
        if self._checkpoints.due:
            self._attempt(self._checkpoints.make)

    # ------------------------------------------------------------ when nobody writes

    def pause(self) -> float:
        """Return after how many seconds without a write there is something to do."""
        now = time.monotonic()
        wait = min(self._look_at, self._calm_at) - now
        if self._sweeper.next != inf:
            wait = min(wait, self._sweeper.next - self._clock())
        return max(wait, self._not_before - now, _BETWEEN_STEPS)

    def step(self) -> None:
        """Do one thing."""
        now = time.monotonic()
        if self._sweeper.next <= self._clock():
            self._attempt(self._sweep)
        elif self._calm_at <= now:
            self._attempt(self._tidy)
        elif self._look_at <= now:
            self._look_at = now + _LOOK
            self._attempt(self._sweeper.look)

    def _sweep(self) -> None:
        now = self._clock()
        with writing(self._connection):
            deleted = self._sweeper.step(now, _STEP)
        self._sweeper.look()
        if deleted:
            self._checkpoints.note(deleted, 0)
            self._calm_at = time.monotonic() + _CALM
            self._shrinking = True
        self.after_commit()

    def _tidy(self) -> None:
        if self._shrinking and worth_shrinking(self._connection):
            shrink(self._connection)
            self._checkpoints.note(256, 0)
            self.after_commit()
            return
        self._shrinking = False
        self._calm_at = inf
        if self._checkpoints.pending:
            self._checkpoints.make()

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except sqlite3.Error as error:
            self._not_before = time.monotonic() + (_BUSY if is_busy(error) else _BROKEN)
