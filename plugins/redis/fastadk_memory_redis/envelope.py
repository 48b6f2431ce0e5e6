"""What is stored under a key: a header, the metadata, the value.

The expiry is not in it: the server keeps that, so that `touch` need not rewrite the entry.
The version stands at a fixed place, so that a script on the server can compare it without
knowing anything else. A checksum tells a damaged entry from a whole one (clause E3).

```text
0       3          7           23           31                 35
| fm R  | CRC-32   | version   | created_at | metadata's size  | metadata | value
          of all that follows
```
"""

from __future__ import annotations

import itertools
import os
from struct import Struct, error
from typing import NamedTuple
from zlib import crc32

from fastadk_memory import CorruptEntryError
from fastadk_memory_redis.forks import forks

__all__ = ["VERSION_BYTES", "VERSION_FROM", "Record", "Versions", "pack", "unpack", "value_of"]

VERSION_FROM = 7
VERSION_BYTES = 16

_MARK = b"fmR"
_FRONT = Struct("<3sI")
_BODY = Struct(f"<{VERSION_BYTES}sdI")
_HEAD = Struct(f"<3sI{VERSION_BYTES}sdI")
_SIZE = _HEAD.size


class Record(NamedTuple):
    """One entry, taken apart; `metadata` and `value` as the codec wrote them."""

    version: bytes
    created_at: float
    metadata: bytes
    value: bytes


class Versions:
    """Makes versions that never repeat: a random series, and a number within it.

    A forked process gets a series of its own.
    """

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._series = os.urandom(VERSION_BYTES - 6)
        self._numbers = itertools.count(1)
        self._forks = forks.count

    def next(self) -> bytes:
        """Return a new version."""
        if self._forks != forks.count:
            self._begin()
        return self._series + next(self._numbers).to_bytes(6, "big")


def pack(version: bytes, created_at: float, value: bytes, metadata: bytes = b"") -> bytes:
    """Return an entry as bytes.

    Args:
        version: 16 bytes.
        created_at: Seconds since 1970.
        value: The value, encoded.
        metadata: The metadata, encoded; empty for none.
    """
    body = b"".join((_BODY.pack(version, created_at, len(metadata)), metadata, value))
    return _FRONT.pack(_MARK, crc32(body)) + body


def value_of(data: bytes, key: str) -> bytes:
    """Return the encoded value of an entry.

    Raises:
        CorruptEntryError: `data` is not what `pack` returns.
    """
    try:
        mark, checksum, _, _, size = _HEAD.unpack_from(data)
    except error:
        raise _damaged(key) from None
    if mark != _MARK or checksum != crc32(memoryview(data)[VERSION_FROM:]):
        raise _damaged(key)
    return data[_SIZE + size :]


def unpack(data: bytes, key: str) -> Record:
    """Take an entry apart.

    Raises:
        CorruptEntryError: `data` is not what `pack` returns.
    """
    value = value_of(data, key)
    _, _, version, created_at, size = _HEAD.unpack_from(data)
    return Record(version, created_at, data[_SIZE : _SIZE + size], value)


def _damaged(key: str) -> CorruptEntryError:
    return CorruptEntryError(
        f"the entry {key!r} is damaged: what is stored does not match its checksum; "
        "delete the key or set it anew",
        key=key,
    )
