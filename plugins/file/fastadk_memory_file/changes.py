"""What a write does to the database, inside of a transaction that is not its own.

A change is made in the event loop's thread, with everything checked and encoded, and applied
by the writer's thread. It may be applied twice: once in a batch that failed, once alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Protocol

from fastadk_memory import Absent, ConflictError, MemoryEntry, Version
from fastadk_memory.ttl import from_timestamp
from fastadk_memory_file.rows import checksum
from fastadk_memory_file.versions import new_version

__all__ = ["Change", "ClearStep", "CompareAndSet", "Delete", "DeleteMany", "HighestId", "Put"]
__all__ += ["PutEntry", "PutMany", "Touch", "put_together"]

_PUT = """
    INSERT INTO entries (key, expires, created, version, checksum, metadata, value)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET
        expires = excluded.expires, created = excluded.created, version = excluded.version,
        checksum = excluded.checksum, metadata = excluded.metadata, value = excluded.value
"""
_VERSION = "SELECT version, expires FROM entries WHERE key = ?"
_TOUCH = "UPDATE entries SET expires = ? WHERE key = ? AND (expires IS NULL OR expires > ?)"
_DELETE = "DELETE FROM entries WHERE key = ?"
_DELETE_LIVE = "DELETE FROM entries WHERE key = ? AND (expires IS NULL OR expires > ?)"
_HIGHEST = "SELECT max(id) FROM entries"
_NEXT = """
    SELECT id, length(value) + coalesce(length(metadata), 0)
    FROM entries WHERE id <= ? ORDER BY id LIMIT ?
"""
_DELETE_UP_TO = "DELETE FROM entries WHERE id <= ?"

_STEP_ROWS = 500
_STEP_BYTES = 4 * 1024 * 1024


class Change(Protocol):
    """One write."""

    @property
    def size(self) -> int:
        """About how many bytes it writes."""
        ...

    @property
    def ttl_ms(self) -> int | None:
        """In how many milliseconds what it writes expires."""
        ...

    def apply(self, connection: sqlite3.Connection, now: float) -> object:
        """Carry it out, and return what the call returns.

        Args:
            connection: In a transaction that holds the write lock.
            now: The time of the transaction, in seconds since 1970.

        Raises:
            ConflictError: The call lost; nothing was changed.
            sqlite3.Error: SQLite cannot; the transaction is lost.
        """
        ...


class Put:
    """Store one value."""

    __slots__ = ("_data", "_key", "_metadata", "size", "ttl_ms")

    def __init__(
        self, key: bytes, data: bytes, ttl_ms: int | None, metadata: bytes | None = None
    ) -> None:
        self._key = key
        self._data = data
        self._metadata = metadata
        self.ttl_ms = ttl_ms
        self.size = len(data)

    def apply(self, connection: sqlite3.Connection, now: float) -> object:
        """See `Change.apply`."""
        self._put(connection, now)
        return None

    def _put(self, connection: sqlite3.Connection, now: float) -> bytes:
        version = new_version()
        connection.execute(_PUT, self.row(now, version))
        return version

    def row(self, now: float, version: bytes) -> tuple[object, ...]:
        """Return the row, in the order of `_PUT`."""
        key, metadata, data = self._key, self._metadata, self._data
        check = checksum(key, metadata, data)
        return key, _expires(now, self.ttl_ms), now, version, check, metadata, data


def put_together(connection: sqlite3.Connection, puts: Sequence[Put], now: float) -> None:
    """Apply several plain `Put` at once; see `Change.apply`."""
    connection.executemany(_PUT, [put.row(now, new_version()) for put in puts])


class PutEntry(Put):
    """Store one value, and return its entry without value and metadata."""

    __slots__ = ("_name",)

    def __init__(self, name: str, data: bytes, ttl_ms: int | None, metadata: bytes | None) -> None:
        super().__init__(name.encode(), data, ttl_ms, metadata)
        self._name = name

    def apply(self, connection: sqlite3.Connection, now: float) -> MemoryEntry:
        """See `Change.apply`."""
        version = self._put(connection, now)
        expires = _expires(now, self.ttl_ms)
        return MemoryEntry(
            key=self._name,
            value=None,
            created_at=from_timestamp(now),
            expires_at=None if expires is None else from_timestamp(expires),
            version=version.hex(),
        )


class CompareAndSet(Put):
    """Store one value if its key is at a version."""

    __slots__ = ("_expect", "_name")

    def __init__(
        self, name: str, data: bytes, ttl_ms: int | None, expect: Version | Absent
    ) -> None:
        super().__init__(name.encode(), data, ttl_ms)
        self._name = name
        self._expect = expect

    def apply(self, connection: sqlite3.Connection, now: float) -> Version:
        """See `Change.apply`."""
        row = connection.execute(_VERSION, (self._key,)).fetchone()
        found: Version | Absent = Absent.ABSENT
        if row is not None and (row[1] is None or row[1] > now):
            found = bytes(row[0]).hex()
        if found != self._expect:
            raise ConflictError(
                f"the entry {self._name!r} is not at the expected version; read it again and retry",
                key=self._name,
            )
        return self._put(connection, now).hex()


class PutMany:
    """Store several values, all or none."""

    __slots__ = ("_items", "size", "ttl_ms")

    def __init__(self, items: Sequence[tuple[bytes, bytes]], ttl_ms: int | None) -> None:
        self._items = items
        self.ttl_ms = ttl_ms
        self.size = sum(len(data) for _, data in items) + 64 * len(items)

    def apply(self, connection: sqlite3.Connection, now: float) -> None:
        """See `Change.apply`."""
        expires = _expires(now, self.ttl_ms)
        connection.executemany(
            _PUT,
            (
                (key, expires, now, new_version(), checksum(key, None, data), None, data)
                for key, data in self._items
            ),
        )


class Touch:
    """Change when a key expires."""

    __slots__ = ("_key", "ttl_ms")
    size = 0

    def __init__(self, key: bytes, ttl_ms: int | None) -> None:
        self._key = key
        self.ttl_ms = ttl_ms

    def apply(self, connection: sqlite3.Connection, now: float) -> bool:
        """See `Change.apply`."""
        parameters = (_expires(now, self.ttl_ms), self._key, now)
        return connection.execute(_TOUCH, parameters).rowcount > 0


class Delete:
    """Remove one key."""

    __slots__ = ("_key",)
    size = 0
    ttl_ms = None

    def __init__(self, key: bytes) -> None:
        self._key = key

    def apply(self, connection: sqlite3.Connection, now: float) -> None:
        """See `Change.apply`."""
        connection.execute(_DELETE, (self._key,))


class DeleteMany:
    """Remove several keys, all at one moment, and tell how many were live."""

    __slots__ = ("_keys", "size")
    ttl_ms = None

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self.size = 64 * len(keys)

    def apply(self, connection: sqlite3.Connection, now: float) -> int:
        """See `Change.apply`."""
        live = connection.executemany(_DELETE_LIVE, ((key, now) for key in self._keys)).rowcount
        connection.executemany(_DELETE, ((key,) for key in self._keys))
        return max(live, 0)  # -1 for no keys at all


class HighestId:
    """Find where a clearing has to end; what is stored from then on may stay."""

    __slots__ = ()
    size = 0
    ttl_ms = None

    def apply(self, connection: sqlite3.Connection, now: float) -> int:
        """See `Change.apply`."""
        (highest,) = connection.execute(_HIGHEST).fetchone()
        return highest or 0


class ClearStep:
    """Remove some of the rows up to an id, and tell whether there may be more.

    In steps, so that others can write in between.
    """

    __slots__ = ("_highest",)
    size = 64 * _STEP_ROWS
    ttl_ms = None

    def __init__(self, highest: int) -> None:
        self._highest = highest

    def apply(self, connection: sqlite3.Connection, now: float) -> bool:
        """See `Change.apply`."""
        rows = connection.execute(_NEXT, (self._highest, _STEP_ROWS)).fetchall()
        last, total = 0, 0
        for row, size in rows:
            last = row
            total += size
            if total >= _STEP_BYTES:
                break
        connection.execute(_DELETE_UP_TO, (last,))
        return bool(rows) and last < self._highest


def _expires(now: float, ttl_ms: int | None) -> float | None:
    return None if ttl_ms is None else now + ttl_ms / 1000
