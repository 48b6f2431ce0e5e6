"""Giving space that is no longer used back to the file system, some pages at a time."""

from __future__ import annotations

import sqlite3

__all__ = ["shrink", "worth_shrinking"]

_STEP_PAGES = 256
# A store under load uses free pages again at once: giving back each of them would only
# make work. So it begins at a megabyte, and at a quarter of the file.
_LEAST_PAGES = 256
_SHARE = 4


def worth_shrinking(connection: sqlite3.Connection) -> bool:
    """Tell whether so much of the file is free that it should become smaller."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free < _LEAST_PAGES:
        return False
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    return bool(free * _SHARE >= pages)


def shrink(connection: sqlite3.Connection) -> None:
    """Cut some free pages off, in a transaction of its own.

    Raises:
        sqlite3.Error: Others are writing, or SQLite cannot.
    """
    # Not execute(): it takes one step of the statement, which frees one page.
    connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")
