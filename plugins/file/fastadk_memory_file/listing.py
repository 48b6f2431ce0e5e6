"""Listing keys in their order, a page at a time, by the index on the key."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace

from fastadk_memory.keys import escape_pattern, filter_keys, literal_prefix

__all__ = ["Page", "Range", "list_page"]

_ANY_EXPIRED = "SELECT 1 FROM entries WHERE expires <= ? LIMIT 1"
# The index alone answers this one; with the expiry each row has to be looked up.
_KEYS = "SELECT key FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
_KEYS_AND_EXPIRY = (
    "SELECT key, expires FROM entries WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
)

_AFTER_ALL = b"\xff"  # no byte of UTF-8


@dataclass(frozen=True, slots=True)
class Range:
    """The keys that a pattern can match, as a piece of the index."""

    pattern: str
    start: bytes
    """No key of it comes before."""
    end: bytes
    """The first one behind it."""
    exact: bool = False
    """Whether all keys of the range match."""

    @classmethod
    def of(cls, pattern: str) -> Range:
        """Return the range of a checked pattern."""
        prefix = literal_prefix(pattern)
        start = prefix.encode()
        if pattern in (prefix, escape_pattern(prefix)):
            return cls(pattern, start, start + b"\0", exact=True)
        exact = pattern in (f"{prefix}*", f"{escape_pattern(prefix)}*")
        return cls(pattern, start, start + _AFTER_ALL, exact)


@dataclass(frozen=True, slots=True)
class Page:
    """Some keys that match, and where to go on; nowhere if these were the last."""

    keys: list[str]
    rest: Range | None


def list_page(connection: sqlite3.Connection, wanted: Range, now: float, size: int) -> Page:
    """Return the live keys that match among the next `size` keys.

    Args:
        connection: Reads; not in a transaction.
        wanted: Where to look.
        now: The time, in seconds since 1970.
        size: How many keys to look at.

    Raises:
        sqlite3.Error: SQLite cannot.
    """
    bounds = (wanted.start, wanted.end, size)
    connection.execute("BEGIN")  # both queries see one state
    try:
        if connection.execute(_ANY_EXPIRED, (now,)).fetchone() is None:
            found = [key for (key,) in connection.execute(_KEYS, bounds)]
            live = found
        else:
            rows = connection.execute(_KEYS_AND_EXPIRY, bounds).fetchall()
            found = [key for key, _ in rows]
            live = [key for key, expires in rows if expires is None or expires > now]
    finally:
        connection.execute("COMMIT")
    keys = [key.decode() for key in live]
    if not wanted.exact:
        keys = filter_keys(wanted.pattern, keys)
    last = len(found) < size
    if last:
        return Page(keys, None)
    # A NUL behind a key makes the very next one that there can be.
    return Page(keys, replace(wanted, start=found[-1] + b"\0"))
