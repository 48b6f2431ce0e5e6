"""What SQLite's errors mean to a user: one table, and the function that goes by it.

Every `sqlite3.Error` becomes an error of ours through `translate`, where the driver is
called, and stays its cause.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fastadk_memory import (
    BackendTimeoutError,
    BackendUnavailableError,
    ConfigurationError,
    FastADKMemoryError,
    UnsupportedValueError,
)

__all__ = ["is_busy", "is_damage", "translate"]

# By SQLite's primary result code (https://sqlite.org/rescode.html): the class of ours, and
# what to say behind the path.
_MEANINGS: dict[int, tuple[type[FastADKMemoryError], str]] = {
    sqlite3.SQLITE_BUSY: (
        BackendTimeoutError,
        (
            "is locked by another process, and was not freed in time; nothing was changed. Find "
            "the process that holds it, or raise the option timeout"
        ),
    ),
    sqlite3.SQLITE_LOCKED: (
        BackendTimeoutError,
        "is locked by another connection of this process; nothing was changed",
    ),
    sqlite3.SQLITE_PROTOCOL: (
        BackendTimeoutError,
        "is used by so many at once that no place among them was to be had; nothing was changed",
    ),
    sqlite3.SQLITE_NOTADB: (
        ConfigurationError,
        (
            "is no database: it was written by another program, or its beginning is damaged. It "
            "was left as it is; choose another path"
        ),
    ),
    sqlite3.SQLITE_CORRUPT: (
        BackendUnavailableError,
        (
            "is damaged in the place that this call needs; other entries may be readable. Restore "
            "a backup, or save what is whole with SQLite's command .recover"
        ),
    ),
    sqlite3.SQLITE_FULL: (
        BackendUnavailableError,
        (
            "cannot grow: the disk is full, or a quota is used up. Nothing was changed; reading "
            "works, and so does writing once there is room"
        ),
    ),
    sqlite3.SQLITE_READONLY: (
        BackendUnavailableError,
        (
            "cannot be written: the file, its folder or its file system is read-only for this "
            "user. Nothing was changed"
        ),
    ),
    sqlite3.SQLITE_CANTOPEN: (
        BackendUnavailableError,
        (
            "cannot be opened, or the files -wal and -shm beside it cannot be made: this user may "
            "lack the permission, or the process has too many open files"
        ),
    ),
    sqlite3.SQLITE_PERM: (BackendUnavailableError, "may not be accessed by this user"),
    sqlite3.SQLITE_IOERR: (
        BackendUnavailableError,
        (
            "could not be read or written: the operating system reports an error of input or "
            "output. Whether a write took effect is unknown; look at the disk, its quota and limits"
        ),
    ),
    sqlite3.SQLITE_TOOBIG: (
        UnsupportedValueError,
        "does not take a value of this size: SQLite's limit is a gigabyte",
    ),
}
_OTHER = (BackendUnavailableError, "cannot be used; see the cause")


def translate(error: sqlite3.Error, path: Path) -> FastADKMemoryError:
    """Return the error of ours that says what an error of SQLite means.

    Args:
        error: What the driver raised; the caller raises the result `from` it.
        path: The database.
    """
    kind, meaning = _MEANINGS.get(_primary(error), _OTHER)
    return kind(f"{path} {meaning}")


def is_busy(error: sqlite3.Error) -> bool:
    """Tell whether somebody else is in the way, so that trying again helps."""
    return _primary(error) in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PROTOCOL,
    }


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether a page of the database is damaged."""
    return _primary(error) == sqlite3.SQLITE_CORRUPT


def _primary(error: sqlite3.Error) -> int:
    # Errors that the driver itself raises have no code; -1 is none of SQLite's.
    return int(getattr(error, "sqlite_errorcode", -1)) & 0xFF
