"""An open database: its connections, its writer, and how they come and go."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from fastadk_memory import Clock, ConfigurationError
from fastadk_memory_file import forks
from fastadk_memory_file.checkpoints import Checkpoints
from fastadk_memory_file.connections import (
    Durability,
    Readers,
    connect,
    make_quick,
    restrict_to_reading,
)
from fastadk_memory_file.errors import translate
from fastadk_memory_file.place import Identity, check_same, identity, make_file
from fastadk_memory_file.rows import EXPIRY
from fastadk_memory_file.schema import prepare
from fastadk_memory_file.transactions import insist
from fastadk_memory_file.upkeep import Upkeep
from fastadk_memory_file.writer import Writer

__all__ = ["Store"]

T = TypeVar("T")

# SQLite needs it for ON CONFLICT ... DO UPDATE; Python 3.11 itself is content with less.
_LEAST_SQLITE = (3, 24, 0)

_KEPT_BY_LOOPS, _KEPT_BY_THREADS = 64, 2

# A file is made, which opens and closes a descriptor, and connected to by one thread at a
# time: closing one in between would drop the locks of a connection on the same file.
_opening = threading.Lock()


def _new_lock() -> None:
    global _opening
    _opening = threading.Lock()


forks.in_child(_new_lock)


class Store:
    """The connections to one database, and the thread that writes to it.

    Args:
        path: The database; made if it does not exist.
        durability: What an acknowledged write must survive.
        patience: For how many seconds to wait for other processes.
        clock: Tells the time.

    Raises:
        ConfigurationError: The path cannot lead to a database of ours.
        BackendUnavailableError: It cannot be opened now.
    """

    def __init__(
        self, path: Path, *, durability: Durability, patience: float, clock: Clock
    ) -> None:
        _check_sqlite()
        self.path = path
        self.forked = False
        self._durability: Durability = durability
        self._patience = patience
        self._clock = clock
        self._reads = partial(self._connect, restrict_to_reading)
        # On the event loops' threads, and for what takes long, in others.
        self.loop_readers = Readers(self._reads, _KEPT_BY_LOOPS)
        self._thread_readers = Readers(self._reads, _KEPT_BY_THREADS)
        with ExitStack() as undo:
            try:
                self._open(undo)
            except sqlite3.Error as error:
                raise translate(error, path) from error
            undo.pop_all()

    # ------------------------------------------------------------------ coming and going

    def _open(self, undo: ExitStack) -> None:
        with _opening:
            make_file(self.path)
            first = connect(self.path, durability=self._durability, patience=self._patience)
            undo.callback(first.close)
            self._identity: Identity = identity(self.path)
            insist(lambda: prepare(first, self.path), self._patience)
        self._connection = make_quick(first)
        self._guard = self._connect(make_quick)
        undo.callback(self._guard.close)
        undo.callback(self.loop_readers.close)
        self.loop_readers.add()
        checkpoints = Checkpoints(self._connection, self._guard, self._patience)
        self.writer = Writer(
            self._connection,
            path=self.path,
            clock=self._clock,
            patience=self._patience,
            check_place=self.check_place,
            upkeep=Upkeep(self._connection, checkpoints, self._clock),
        )
        forks.watch(self)
        self.writer.start()

    def _connect(
        self, restrict: Callable[[sqlite3.Connection], sqlite3.Connection]
    ) -> sqlite3.Connection:
        connection = connect(self.path, durability=self._durability, patience=self._patience)
        return restrict(connection)

    def close(self) -> None:
        """Finish what waits, and let go of everything. It blocks; nobody may read any more."""
        if self.forked:
            return  # what is left of it belongs to the parent
        self.writer.stop()
        forks.watch_no_more(self)
        self.close_connections()

    def close_connections(self) -> None:
        """Close the connections, when nobody uses them any more."""
        for readers in (self.loop_readers, self._thread_readers):
            readers.close()
        self._guard.close()
        # SQLite copies the WAL back when the last connection of all processes closes, under
        # an exclusive lock.
        self._connection.close()

    def abandon(self) -> None:
        """Close without waiting, as nobody is left who could wait."""
        forks.watch_no_more(self)
        self.writer.stop_later(self.close_connections)

    def give_up(self) -> None:
        """Let no call through any more, as this is a forked child."""
        self.forked = True
        connections = [*self.loop_readers.all, *self._thread_readers.all]
        forks.keep_for_good([self, self._connection, self._guard, *connections])
        self.loop_readers.idle.clear()

    def check_place(self) -> None:
        """Raise if the path no longer leads to the file that is open.

        Raises:
            BackendUnavailableError: It does not.
        """
        check_same(self.path, self._identity)

    # ------------------------------------------------------------------ reading in a thread

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with a connection of its own, again while others are in the way.

        For a thread: it blocks.

        Raises:
            sqlite3.Error: SQLite cannot.
        """
        connection = self._thread_readers.take()
        try:
            return insist(lambda: work(connection), self._patience)
        finally:
            self._thread_readers.give_back(connection)

    def answers(self) -> bool:
        """Tell whether the store can serve a call; it blocks.

        Raises:
            FastADKMemoryError: The file is gone.
            sqlite3.Error: SQLite cannot.
        """
        self.check_place()
        self.read(lambda connection: connection.execute(EXPIRY, (b"",)).fetchone())
        return self.writer.alive


def _check_sqlite() -> None:
    if sqlite3.sqlite_version_info < _LEAST_SQLITE:
        raise ConfigurationError(
            f"this Python has SQLite {sqlite3.sqlite_version}, too old for the backend file: it "
            f"needs {'.'.join(map(str, _LEAST_SQLITE))} or newer"
        )
