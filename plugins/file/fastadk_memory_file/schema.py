"""What the database looks like, how it is made, and how one of ours is known.

The header of a SQLite database has room for an application id and a version
(https://sqlite.org/pragma.html#pragma_application_id): a database that does not carry ours
is never written to.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fastadk_memory import ConfigurationError

__all__ = ["APPLICATION_ID", "SCHEMA_VERSION", "prepare"]

APPLICATION_ID = 0x666D656D
"""`fmem`, in the header of every database of ours."""

SCHEMA_VERSION = 1
"""Of the tables below. A file with a higher one is refused, and left as it is."""

# The key is a BLOB, because functions on TEXT stop at NUL; a row has an id of its own,
# because large values in an index (WITHOUT ROWID) are read several times slower. Times are
# seconds since 1970. The checksum covers key, metadata and value.
_TABLES = (
    """
    CREATE TABLE entries (
        id INTEGER PRIMARY KEY,
        key BLOB NOT NULL UNIQUE,
        expires REAL,
        created REAL NOT NULL,
        version BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        metadata BLOB,
        value BLOB NOT NULL
    )
    """,
    "CREATE INDEX entries_by_expiry ON entries (expires) WHERE expires IS NOT NULL",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


def prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables of a new database, or make sure that an old one is ours.

    Killed in the middle it leaves a database that is still new.

    Args:
        connection: A connection that waits while others are at it.
        path: The database, for errors.

    Raises:
        ConfigurationError: It belongs to another program, was written by a newer version, or
            cannot be shared between processes where it is.
        sqlite3.Error: SQLite cannot use it.
    """
    if not _is_ours(connection, path):
        # Counts only before the first page is written, and only outside of a transaction.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _use_wal(connection, path)
        _create(connection, path)
    _use_wal(connection, path)


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether the database is ours already; `False` for one that is empty."""
    application = _number(connection, "PRAGMA application_id")
    version = _number(connection, "PRAGMA user_version")
    if application == APPLICATION_ID:
        if version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"{path} was written by a newer version of fastadk-memory-file (its schema is "
                f"{version}, this one knows {SCHEMA_VERSION}); it was left as it is. Upgrade "
                "fastadk-memory-file"
            )
        return True
    if application or version or _number(connection, "SELECT count(*) FROM sqlite_master"):
        raise ConfigurationError(
            f"{path} is a SQLite database of another program; it was left as it is. Choose "
            "another path"
        )
    return False


def _use_wal(connection: sqlite3.Connection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise ConfigurationError(
            f"{path} cannot be used in SQLite's WAL mode (only in {mode!r}), which needs memory "
            "that processes share; choose a path on a local disk"
        )


def _create(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ours(connection, path):  # another process may have been faster
            for statement in _TABLES:
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)
