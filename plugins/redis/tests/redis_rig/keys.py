"""The names that entries have in Redis, worked out apart from the plugin's own code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from redis.crc import key_slot

PREFIX = "faults"


def raw_key(key: str, prefix: str = PREFIX) -> bytes:
    """Return the name in Redis of a key, for a prefix of letters and digits only."""
    return f"fm1:{prefix}:{{}}{key}".encode()


def slot_of(key: str) -> int:
    return key_slot(raw_key(key))


def keys_in_slot(slot: int, count: int) -> list[str]:
    """Return keys that a cluster keeps all in one slot."""
    return list(itertools.islice(_keys_in_slot(slot), count))


def _keys_in_slot(slot: int) -> Iterator[str]:
    for number in itertools.count():
        key = f"key {number}"
        if slot_of(key) == slot:
            yield key
