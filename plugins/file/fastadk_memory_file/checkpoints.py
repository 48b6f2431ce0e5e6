"""Copying the WAL back into the database, without the bug that loses commits.

Up to version 3.51.2 SQLite can lose a commit when one connection checkpoints while another
begins the WAL anew (https://sqlite.org/wal.html, "The WAL-reset bug"); most Pythons have such
a version. Beginning the WAL anew takes the write lock. So here a checkpoint is made only
while a second connection of ours holds that lock.
"""

from __future__ import annotations

import sqlite3

from fastadk_memory_file.transactions import begin, roll_back

__all__ = ["WAL_PAGES", "Checkpoints"]

WAL_PAGES = 2000
"""From how many pages in the WAL on it is copied back."""

_PAGE_BYTES = 4096
_PAGES_OF_A_ROW = 3  # its leaf in the table, and one in each index
_PAGES_OF_A_COMMIT = 2
_LEAST_WEIGHT, _GREATEST_WEIGHT = 0.05, 20.0


class Checkpoints:
    """Decides when, and makes them.

    How full the WAL is can only be estimated, and by each process for itself. A checkpoint
    tells how full it really was, which corrects the next estimate: rows that share pages take
    less, and what other processes write takes more.

    Args:
        connection: Makes the checkpoints; not in a transaction.
        guard: Holds the write lock meanwhile.
        patience: For how many seconds to try to get that.
    """

    def __init__(
        self, connection: sqlite3.Connection, guard: sqlite3.Connection, patience: float
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._patience = patience
        self._pages = 0.0
        self._weight = 1.0
        self._wanted_from: float = WAL_PAGES

    def note(self, rows: int, size: int) -> None:
        """Note a commit of so many rows and bytes."""
        pages = _PAGES_OF_A_COMMIT + _PAGES_OF_A_ROW * rows + size // _PAGE_BYTES
        self._pages += pages * self._weight

    @property
    def pending(self) -> bool:
        """Whether this process has committed anything since its last checkpoint."""
        return self._pages > 0

    @property
    def due(self) -> bool:
        """Whether the WAL has grown so long that it should be copied back now."""
        return self._pages >= self._wanted_from

    def make(self) -> None:
        """Copy back what no reader needs where it is.

        Raises:
            sqlite3.Error: The lock was not to be had, or SQLite cannot.
        """
        # Whatever comes of it, the next attempt is not at once.
        self._wanted_from = self._pages + WAL_PAGES / 4
        begin(self._guard, self._patience)
        try:
            query = "PRAGMA wal_checkpoint(PASSIVE)"
            _, pages, copied = self._connection.execute(query).fetchone()
        finally:
            roll_back(self._guard)
        if self._pages >= WAL_PAGES / 4:  # of so few there is little to learn
            weight = self._weight * pages / self._pages
            self._weight = min(max(weight, _LEAST_WEIGHT), _GREATEST_WEIGHT)
        if pages == copied:
            self._pages = 0
            self._wanted_from = WAL_PAGES
