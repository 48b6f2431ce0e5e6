"""How a connection to the database is set up, and the pool of those that read."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["Durability", "Readers", "connect", "make_quick", "restrict_to_reading"]

Durability: TypeAlias = Literal["power", "process"]

WAL_BYTES = 8 * 1024 * 1024
"""What the WAL is cut back to when it begins anew."""

_CLOSE_SECONDS = 5.0


def connect(path: Path, *, durability: Durability, patience: float) -> sqlite3.Connection:
    """Return a connection to a database that exists; any thread may use it, one at a time.

    Args:
        path: The database.
        durability: What a commit must survive.
        patience: For how many seconds it waits while others are at it.

    Raises:
        sqlite3.Error: SQLite cannot open it.
    """
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=patience,
        isolation_level=None,  # transactions are begun and ended here, by hand
        check_same_thread=False,
    )
    try:
        for pragma in _pragmas(durability):
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _pragmas(durability: Durability) -> list[str]:
    power = durability == "power"
    return [
        f"PRAGMA synchronous = {'FULL' if power else 'NORMAL'}",
        # What macOS calls fsync does not reach the disk; elsewhere these do nothing.
        f"PRAGMA fullfsync = {'ON' if power else 'OFF'}",
        "PRAGMA checkpoint_fullfsync = ON",
        # Checkpoints are made under the write lock only: see checkpoints.py.
        "PRAGMA wal_autocheckpoint = 0",
        f"PRAGMA journal_size_limit = {WAL_BYTES}",
        # Mapped pages made the WAL-reset bug come in every round; and an error of the disk
        # would be a signal that ends the process.
        "PRAGMA mmap_size = 0",
        # A damaged or hostile file must not do more than fail.
        "PRAGMA trusted_schema = OFF",
        "PRAGMA cell_size_check = ON",
        # What is deleted is overwritten where its page is written anyway.
        "PRAGMA secure_delete = FAST",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA cache_size = -8192",
    ]


def make_quick(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Let a connection fail at once where others are in the way, for whoever retries himself.

    SQLite's own waiting starves processes: it looks ever less often.
    """
    connection.execute("PRAGMA busy_timeout = 0")
    return connection


def restrict_to_reading(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Make a quick connection that refuses to write."""
    connection.execute("PRAGMA query_only = ON")
    return make_quick(connection)


class Readers:
    """Connections that read. Each is used by one thread at a time, for one short transaction.

    Two threads on one connection would share a transaction, and one of them would read what
    was true before its call began.

    Args:
        connect: Opens one more.
        keep: How many may wait for their next use.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], keep: int) -> None:
        self._connect = connect
        self._keep = keep
        self._guard = threading.Lock()
        self.all: list[sqlite3.Connection] = []
        """Those in use, too."""
        # Its own methods are atomic: taking one out and putting it back needs no lock.
        self.idle: list[sqlite3.Connection] = []

    def take(self) -> sqlite3.Connection:
        """Return a connection for one reader, a new one if all are in use."""
        try:
            return self.idle.pop()
        except IndexError:
            return self._one_more()

    def give_back(self, connection: sqlite3.Connection) -> None:
        """Take a connection back; close it if there are enough."""
        if len(self.idle) < self._keep:
            self.idle.append(connection)
        else:
            self._close(connection)

    def add(self) -> None:
        """Open one more, ready to be taken."""
        self.idle.append(self._one_more())

    def _one_more(self) -> sqlite3.Connection:
        connection = self._connect()
        with self._guard:
            self.all.append(connection)
        return connection

    def _close(self, connection: sqlite3.Connection) -> None:
        connection.close()
        with self._guard:
            self.all.remove(connection)

    def close(self) -> None:
        """Close all, once those in use have come back; nobody may take any more."""
        deadline = time.monotonic() + _CLOSE_SECONDS
        while True:
            while self.idle:
                self._close(self.idle.pop())
            if not self.all or time.monotonic() > deadline:
                return
            time.sleep(0.0005)
