"""Taking the write lock, fairly: everybody tries again at random moments until a deadline."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from fastadk_memory_file.errors import is_busy

__all__ = ["begin", "insist", "roll_back", "writing"]

T = TypeVar("T")

# Seconds between two attempts. SQLite's own busy handler waits up to 100 ms, longer each
# time: with four processes that sync, one of them got a seventeenth of another's share.
_SHORTEST, _LONGEST = 0.0002, 0.002


def begin(connection: sqlite3.Connection, patience: float) -> None:
    """Begin a transaction that holds the write lock.

    Args:
        connection: A quick connection.
        patience: For how many seconds to go on trying.

    Raises:
        sqlite3.OperationalError: The lock was not free in time, or SQLite cannot.
    """
    insist(lambda: connection.execute("BEGIN IMMEDIATE"), patience)


def insist(work: Callable[[], T], patience: float) -> T:
    """Do something, again and again while others are in the way; for a thread, not a loop.

    Raises:
        sqlite3.Error: Others were in the way all the time, or SQLite cannot.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            return work()
        except sqlite3.Error as error:
            if not is_busy(error) or time.monotonic() >= deadline:
                raise
        time.sleep(random.uniform(_SHORTEST, _LONGEST))


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction without a trace, unless SQLite has done so itself."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


@contextmanager
def writing(connection: sqlite3.Connection) -> Generator[None]:
    """Make the block one transaction, if the write lock is free now.

    Raises:
        sqlite3.Error: It is not, or SQLite cannot.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        roll_back(connection)
