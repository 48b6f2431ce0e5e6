"""Deleting what has expired, some rows at a time, by the index on the expiry."""

from __future__ import annotations

import sqlite3
from math import inf

__all__ = ["Sweeper"]

_FIRST = "SELECT expires FROM entries WHERE expires IS NOT NULL ORDER BY expires LIMIT 1"
_DUE = """
    SELECT id, length(value) + coalesce(length(metadata), 0)
    FROM entries WHERE expires <= ? ORDER BY expires LIMIT ?
"""
_DELETE = "DELETE FROM entries WHERE id = ?"

_STEP_BYTES = 4 * 1024 * 1024


class Sweeper:
    """Knows when the next entry expires, and deletes what has expired.

    Args:
        connection: Writes.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.next: float = inf
        """No entry that this process knows of expires earlier, in seconds since 1970."""

    def look(self) -> None:
        """Find out when the next entry expires; others may have stored some."""
        row = self._connection.execute(_FIRST).fetchone()
        self.next = inf if row is None else row[0]

    def note(self, expires: float) -> None:
        """Note that an entry expires at a moment."""
        self.next = min(self.next, expires)

    def step(self, now: float, limit: int) -> int:
        """Delete some expired rows, in a transaction that has begun.

        Args:
            now: The time, in seconds since 1970.
            limit: How many rows at the most; fewer if they are large.

        Returns:
            How many.
        """
        rows = self._connection.execute(_DUE, (now, limit)).fetchall()
        total, deleted = 0, 0
        for row, size in rows:
            self._connection.execute(_DELETE, (row,))
            deleted += 1
            total += size
            if total >= _STEP_BYTES:
                break
        return deleted
