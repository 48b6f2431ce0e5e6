"""Rows of the table `entries`, read: the queries, and what a row is checked for."""

from __future__ import annotations

import sqlite3
from typing import Any, NamedTuple, TypeAlias
from zlib import crc32

from fastadk_memory import CorruptEntryError, MemoryEntry
from fastadk_memory.codec import decode
from fastadk_memory.ttl import from_timestamp

__all__ = ["BRIEF", "EXPIRY", "INLINE_BYTES", "VALUE", "WHOLE", "Found", "Row", "checksum"]
__all__ += ["damaged", "entry_of", "is_large", "is_live", "value_of"]

Found: TypeAlias = tuple[Any, ...]
"""What a query has found; its first column is the expiry. As `Row` if it was not `EXPIRY`."""

INLINE_BYTES = 64 * 1024
"""How large a value may be to be read and decoded on the event loop's thread."""

EXPIRY = "SELECT expires FROM entries WHERE key = ?"
WHOLE = "SELECT expires, checksum, metadata, value, created, version FROM entries WHERE key = ?"

# SQLite knows the length of a blob without reading it: of a large one only the head is read.
_BRIEFLY = f"""
    expires, checksum,
    CASE WHEN length(metadata) > {INLINE_BYTES} THEN 0 ELSE metadata END,
    CASE WHEN length(value) <= {INLINE_BYTES} THEN value END
"""
VALUE = f"SELECT {_BRIEFLY} FROM entries WHERE key = ?"
BRIEF = f"SELECT {_BRIEFLY}, created, version FROM entries WHERE key = ?"


class Row(NamedTuple):
    """One row, in the order of the queries `BRIEF` and `WHOLE`; of `VALUE` the first four."""

    expires: float | None
    checksum: int
    metadata: bytes | None
    value: bytes
    created: float
    version: bytes


def checksum(key: bytes, metadata: bytes | None, value: bytes) -> int:
    """Return what tells a damaged row from a whole one, and one key's from another's."""
    check = crc32(key)
    if metadata is not None:
        check = crc32(metadata, check)
    return crc32(value, check)


def is_live(expires: float | None, now: float) -> bool:
    """Tell whether a row that expires at a moment has not done so yet."""
    # Damage can change the type; then the row is there, and its checksum is looked at.
    return type(expires) is not float or expires > now


def is_large(row: Found) -> bool:
    """Tell whether a row is too large to have been read briefly."""
    return row[3] is None or row[2] == 0


def value_of(key: str, raw: bytes, row: Found) -> Any:
    """Return the value of a row.

    Args:
        key: Its key.
        raw: The key as bytes.
        row: What a query found, whole.

    Raises:
        CorruptEntryError: The row is not what was written.
    """
    known, metadata, value = row[1:4]
    try:
        whole = (
            crc32(value, crc32(raw)) if metadata is None else checksum(raw, metadata, value)
        ) == known
    except TypeError as error:  # damage can change the type of what is stored
        raise damaged(key) from error
    if not whole:
        raise damaged(key)
    return decode(value, key=key)


def entry_of(key: str, raw: bytes, row: Found) -> MemoryEntry:
    """Return the entry that a row is.

    Raises:
        CorruptEntryError: The row is not what was written.
    """
    value = value_of(key, raw, row)
    found = Row._make(row)
    try:
        return MemoryEntry(
            key=key,
            value=value,
            created_at=from_timestamp(found.created),
            expires_at=None if found.expires is None else from_timestamp(found.expires),
            metadata={} if found.metadata is None else decode(found.metadata, key=key),
            version=found.version.hex(),
        )
    except (TypeError, AttributeError, OverflowError) as error:
        raise damaged(key) from error


def damaged(key: str, page: sqlite3.Error | None = None) -> CorruptEntryError:
    """Return the error of an entry that cannot be read back.

    Args:
        key: Its key.
        page: What SQLite said, if a whole page is damaged.
    """
    what = "its row does not match its checksum" if page is None else "its page cannot be read"
    cure = "restore a backup" if page is not None else "delete the key or set it anew"
    return CorruptEntryError(f"the entry {key!r} is damaged: {what}; {cure}", key=key)
