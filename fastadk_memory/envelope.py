"""What a stored record looks like: a header, the metadata, the value.

A checksum over everything tells a damaged record from a whole one (clause E3), even where
the damage would still decode.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from fastadk_memory.errors import CorruptEntryError

__all__ = ["VERSION_BYTES", "Record", "pack", "unpack"]

VERSION_BYTES = 8

# Mark and format | checksum of all that follows | expires_at | created_at | version |
# length of the metadata. Times are seconds since 1970; an expiry of 0 is none.
_MARK = b"fm\x01"
_HEAD = Struct(f"<3sIdd{VERSION_BYTES}sI")
_CHECKED_FROM = 7


@dataclass(frozen=True, slots=True)
class Record:
    """One record, taken apart; `metadata` and `value` as the codec wrote them."""

    created_at: float
    version: bytes
    value: bytes
    expires_at: float | None = None
    metadata: bytes = b""

    def alive(self, now: float) -> bool:
        """Tell whether the record has not expired at `now`, in seconds since 1970."""
        return self.expires_at is None or now < self.expires_at


def pack(record: Record) -> bytes:
    """Return the record as bytes."""
    data = bytearray(_HEAD.size)
    data += record.metadata
    data += record.value
    fields = (record.expires_at or 0.0, record.created_at, record.version, len(record.metadata))
    _HEAD.pack_into(data, 0, _MARK, 0, *fields)
    checksum = crc32(memoryview(data)[_CHECKED_FROM:])
    _HEAD.pack_into(data, 0, _MARK, checksum, *fields)
    return bytes(data)


def unpack(data: bytes, *, key: str) -> Record:
    """Take a record apart.

    Raises:
        CorruptEntryError: `data` is not what `pack` returns.
    """
    view = memoryview(data)
    if len(view) >= _HEAD.size:
        mark, checksum, expires_at, created_at, version, length = _HEAD.unpack_from(view)
        if mark == _MARK and checksum == crc32(view[_CHECKED_FROM:]):
            body = bytes(view[_HEAD.size :])
            return Record(created_at, version, body[length:], expires_at or None, body[:length])
    raise CorruptEntryError(
        f"the entry {key!r} is damaged: its record does not match its checksum; "
        "delete the key or set it anew",
        key=key,
    )
