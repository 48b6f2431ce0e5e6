"""The one thread that writes: all writes that wait together become one transaction.

So 64 tasks that each write a line share one sync of the disk, and each is answered after it.
When nobody waits, the thread does the upkeep, a step at a time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, cast

from fastadk_memory import BackendUnavailableError, Clock, ConflictError, FastADKMemoryError
from fastadk_memory_file.changes import Change, Put, put_together
from fastadk_memory_file.errors import translate
from fastadk_memory_file.jobs import Job, answer, pick_up
from fastadk_memory_file.transactions import begin, roll_back
from fastadk_memory_file.upkeep import Upkeep

__all__ = ["Writer"]

_MOST_JOBS = 1024
_MOST_BYTES = 8 * 1024 * 1024


class Writer:
    """Takes changes from any event loop, applies them in order, and answers.

    Args:
        connection: A quick connection, which belongs to the thread from now on.
        path: The database, for errors.
        clock: Tells the time.
        patience: For how many seconds to try to get the write lock.
        check_place: Raises if the database is no longer where it was opened.
        upkeep: What there is to do beside.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        path: Path,
        clock: Clock,
        patience: float,
        check_place: Callable[[], None],
        upkeep: Upkeep,
    ) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._patience = patience
        self._check_place = check_place
        self._upkeep = upkeep
        self._guard = threading.Lock()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()  # None: stop
        self._at_last: Callable[[], None] | None = None
        self._thread = threading.Thread(
            target=self._run, name=f"fastadk-memory-file {path.name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the thread can still write."""
        return self._thread.is_alive()

    def carry_out(self, change: Change) -> Awaitable[Any]:
        """Have a change applied, and return what it returns, once it is committed.

        Raises:
            FastADKMemoryError: It was not; see `Change.apply`. Raised when awaited.
        """
        job = Job(change, self._guard)
        self._queue.put(job)
        return job.wait()

    def stop(self) -> None:
        """Let the thread finish what waits, and wait for its end."""
        self._queue.put(None)
        self._thread.join()

    def stop_later(self, then: Callable[[], None]) -> None:
        """Let the thread finish what waits, and then do one more thing; does not wait."""
        self._at_last = then
        self._queue.put(None)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        self._serve()
        if self._at_last is not None:
            self._at_last()

    def _serve(self) -> None:
        while True:
            try:
                first = self._queue.get(timeout=self._upkeep.pause())
            except Empty:
                self._upkeep.step()
                continue
            if first is None:
                return
            self._write([first])
            self._upkeep.after_commit()

    def _write(self, jobs: list[Job]) -> None:
        """Write what waits, and answer, whatever comes of it."""
        stop = self._gather(jobs)
        try:
            begin(self._connection, self._patience)
        except sqlite3.Error as error:
            self._refuse(pick_up(jobs, self._guard), error)
        else:
            # Those that came while the lock was not free may come along.
            stop = stop or self._gather(jobs)
            self._commit(pick_up(jobs, self._guard))
        if stop:
            self._queue.put(None)

    def _gather(self, jobs: list[Job]) -> bool:
        """Add the jobs that wait to a batch; tell whether the thread is to stop after them."""
        size = sum(job.change.size for job in jobs)
        while len(jobs) < _MOST_JOBS and size < _MOST_BYTES and not self._queue.empty():
            job = self._queue.get()
            if job is None:
                return True
            jobs.append(job)
            size += job.change.size
        return False

    def _commit(self, jobs: Sequence[Job], *, again: bool = False) -> None:
        """Apply jobs in the transaction that has begun.

        If that fails, apply them one by one, and without upkeep, which may be what has failed.
        """
        try:
            self._check_place()
            self._apply(jobs)
            if not again:
                self._upkeep.along(len(jobs))
            self._connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 (whatever it is, the calls must hear of it)
            self._undo()
            if again or isinstance(error, FastADKMemoryError):
                self._refuse(jobs, error)
            else:
                self._commit_each(jobs)
        else:
            answer(jobs)
            self._upkeep.note([job.change for job in jobs])

    def _apply(self, jobs: Sequence[Job]) -> None:
        connection, now = self._connection, self._clock()
        # What is plainly put is handed to SQLite together, which saves a quarter of its time.
        for plain, run in groupby(jobs, _is_plain_put):
            if plain:
                put_together(connection, [cast("Put", job.change) for job in run], now)
                continue
            for job in run:
                job.error = None
                try:
                    job.result = job.change.apply(connection, now)
                except ConflictError as error:
                    job.error = error

    def _commit_each(self, jobs: Sequence[Job]) -> None:
        """Apply each job in a transaction of its own, so that only the culprit fails."""
        for job in jobs:
            try:
                begin(self._connection, self._patience)
            except sqlite3.Error as error:
                self._refuse([job], error)
            else:
                self._commit([job], again=True)

    def _undo(self) -> None:
        try:
            roll_back(self._connection)
        except sqlite3.Error:
            # What cannot be rolled back is not committed either; the next transaction says
            # what is wrong.
            return

    def _refuse(self, jobs: Sequence[Job], error: Exception) -> None:
        for job in jobs:
            job.error = self._meaning(error)
        answer(jobs)

    def _meaning(self, error: Exception) -> Exception:
        if isinstance(error, sqlite3.Error):
            meaning: FastADKMemoryError = translate(error, self._path)
        elif isinstance(error, FastADKMemoryError):
            meaning = type(error)(str(error))
        else:
            meaning = BackendUnavailableError(f"{self._path} was not written; see the cause")
        meaning.__cause__ = error
        return meaning


def _is_plain_put(job: Job) -> bool:
    return type(job.change) is Put
