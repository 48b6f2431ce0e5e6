"""`InMemoryBackend`: entries in a dict of this process."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from math import inf
from threading import Lock
from typing import Any, NamedTuple

from fastadk_memory import (
    Absent,
    BackendClosedError,
    Capability,
    Clock,
    ConfigurationError,
    ConflictError,
    MemoryBackend,
    MemoryEntry,
    Ttl,
    Version,
)
from fastadk_memory.base import check_batch_size
from fastadk_memory.codec import IMMUTABLE, check_items, check_metadata, decode, encode
from fastadk_memory.expiry import ExpiryQueue
from fastadk_memory.keys import check_key, check_keys, check_pattern, filter_keys
from fastadk_memory.records import check_expectation
from fastadk_memory.ttl import from_timestamp, seconds_left, ttl_to_ms

__all__ = ["InMemoryBackend"]

# How many expired entries one call clears away at the most, and how many keys are gone
# through before the event loop gets a turn: each well under a millisecond.
_SWEEP = 100
_SLICE = 1000


class _Record(NamedTuple):
    """One entry as it is kept. Never changed once it is in the dict, only replaced."""

    value: Any  # of an immutable type; None where `encoded` holds the value
    encoded: bytes | None
    expires_at: float  # in seconds since 1970; infinite when never
    created_at: float
    number: int
    metadata: bytes | None


# A NamedTuple's own constructor goes through Python, which would be half the cost of a set.
_new_record = partial(tuple.__new__, _Record)


class InMemoryBackend(MemoryBackend):
    """Keeps entries in a dict of this process: fast, gone with the process.

    A value of an immutable type is kept as it is; any other is kept encoded, and decoded
    anew for each reader, so that nobody's changes reach what is stored. Expired entries
    are cleared away by whatever calls come, a few at a time, at a cost proportional to
    what expired.

    One object may be used from several event loops and threads at once.

    Args:
        max_entries: How many entries to keep at the most, at least 1. Where one more comes,
            the least recently used one goes; reading and writing count as use. `None` for
            no bound.
        clock: Tells the time, in seconds since 1970; another one for tests.

    Raises:
        ConfigurationError: `max_entries` is not an `int` of at least 1.
    """

    capabilities = frozenset(
        {
            Capability.ENTRIES,
            Capability.CAS,
            Capability.TOUCH,
            Capability.BULK,
            Capability.SCAN,
        }
    )

    def __init__(self, max_entries: int | None = None, clock: Clock = time.time) -> None:
        _check_bound(max_entries)
        self._max_entries = max_entries
        self._clock = clock
        self._records: dict[str, _Record] = self._new_dict()
        self._expiries = ExpiryQueue()
        # Guards every change. Reads go without: one look into a dict is atomic, and
        # records are never changed in place.
        self._lock = Lock()
        self._number = 0
        self._series = secrets.token_hex(4)  # tells the versions of two objects apart
        self._closed = False

    def _new_dict(self) -> dict[str, _Record]:
        # Only an OrderedDict can move a key to the end, in one atomic step.
        return {} if self._max_entries is None else OrderedDict()

    # ------------------------------------------------------------------ the nine

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Store a value; see [`MemoryBackend.set`][fastadk_memory.base.MemoryBackend.set]."""
        if type(key) is not str or key not in self._records:
            key = check_key(key, self.max_key_bytes)
        encoded = None
        if type(value) not in IMMUTABLE:
            encoded = encode(value)
            value = None
        ttl_ms = None if ttl is None else ttl_to_ms(ttl)
        with self._lock:
            self._put(key, value, encoded, ttl_ms)

    async def get(self, key: str) -> Any:
        """Return a value; see [`MemoryBackend.get`][fastadk_memory.base.MemoryBackend.get]."""
        record = self._find(key)
        if record is None:
            return None
        if record.encoded is None:
            return record.value
        return decode(record.encoded, key=key)

    async def delete(self, key: str) -> None:
        """Remove a key; see [`MemoryBackend.delete`][fastadk_memory.base.MemoryBackend.delete]."""
        key = check_key(key, self.max_key_bytes)
        with self._lock:
            self._check_open()
            self._drop(key)
            self._sweep(self._clock())

    async def exists(self, key: str) -> bool:
        """Ask for a key; see [`MemoryBackend.exists`][fastadk_memory.base.MemoryBackend.exists]."""
        return self._find(key) is not None

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return keys; see [`MemoryBackend.keys`][fastadk_memory.base.MemoryBackend.keys].

        The event loop gets a turn after every thousand keys.
        """
        pattern = check_pattern(pattern)
        found: list[str] = []
        for some in self._slices():
            if some.start:
                await asyncio.sleep(0)
            found += self._alive(filter_keys(pattern, some.keys))
        return found

    async def clear(self) -> None:
        """Remove everything; see [`MemoryBackend.clear`][fastadk_memory.base.MemoryBackend.clear].

        All entries are gone at one moment; their memory is freed a thousand at a time.
        """
        with self._lock:
            self._check_open()
            old = self._empty()
        await _free(old)

    async def clear_pattern(self, pattern: str) -> None:
        """Remove keys; see [`clear_pattern`][fastadk_memory.base.MemoryBackend.clear_pattern]."""
        pattern = check_pattern(pattern)
        for some in self._slices():
            if some.start:
                await asyncio.sleep(0)
            with self._lock:
                self._check_open()
                for key in filter_keys(pattern, some.keys):
                    self._drop(key)

    async def ttl(self, key: str) -> int | None:
        """Return the seconds left.

        See [`ttl`][fastadk_memory.base.MemoryBackend.ttl].
        """
        record = self._find(key)
        if record is None or record.expires_at == inf:
            return None
        return seconds_left(record.expires_at, self._clock())

    async def health_check(self) -> bool:
        """Return whether the backend is still open."""
        return not self._closed

    # ------------------------------------------------------------------ lifetime

    async def open(self) -> None:
        """Do nothing, as there is nothing to open.

        Raises:
            BackendClosedError: After `aclose`.
        """
        self._check_open()

    async def aclose(self) -> None:
        """Forget everything, for good."""
        with self._lock:
            self._closed = True
            old = self._empty()
        await _free(old)

    # ------------------------------------------------------------------ bulk and scan

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return values; see [`get_many`][fastadk_memory.base.MemoryBackend.get_many]."""
        self._check_open()
        found: dict[str, Any] = {}
        for key in check_keys(keys, self.max_key_bytes):
            record = self._find(key)
            if record is not None:
                found[key] = _value(key, record)
        return found

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Store values, all at one moment.

        See [`set_many`][fastadk_memory.base.MemoryBackend.set_many].
        """
        ttl_ms = ttl_to_ms(ttl)
        prepared = [
            (key, *_prepare(value)) for key, value in check_items(items, self.max_key_bytes).items()
        ]
        with self._lock:
            self._check_open()
            for key, value, encoded in prepared:
                self._put(key, value, encoded, ttl_ms)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove keys, all at one moment.

        See [`delete_many`][fastadk_memory.base.MemoryBackend.delete_many].
        """
        wanted = check_keys(keys, self.max_key_bytes)
        with self._lock:
            self._check_open()
            existed = len(self._alive(wanted))
            for key in wanted:
                self._drop(key)
            self._sweep(self._clock())
        return existed

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """Go through keys; see [`MemoryBackend.scan`][fastadk_memory.base.MemoryBackend.scan].

        What it holds is one reference for each key, whatever the size of the values.
        """
        pattern = check_pattern(pattern)
        return self._scan(pattern, check_batch_size(batch_size))

    async def _scan(self, pattern: str, batch_size: int) -> AsyncIterator[str]:
        for some in self._slices(min(batch_size, _SLICE)):
            if some.start:
                await asyncio.sleep(0)
            for key in self._alive(filter_keys(pattern, some.keys)):
                yield key

    # ------------------------------------------------------------------ capabilities

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """Return an entry; see [`get_entry`][fastadk_memory.base.MemoryBackend.get_entry]."""
        record = self._find(key)
        return None if record is None else self._entry(str.__str__(key), record)

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Store an entry; see [`set_entry`][fastadk_memory.base.MemoryBackend.set_entry]."""
        key = check_key(key, self.max_key_bytes)
        extra = encode(check_metadata(metadata))
        plain, encoded = _prepare(value)
        ttl_ms = ttl_to_ms(ttl)
        with self._lock:
            record = self._put(key, plain, encoded, ttl_ms, extra)
        return self._entry(key, record)

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store if unchanged.

        See [`compare_and_set`][fastadk_memory.base.MemoryBackend.compare_and_set].
        """
        key = check_key(key, self.max_key_bytes)
        check_expectation(expect)
        plain, encoded = _prepare(value)
        ttl_ms = ttl_to_ms(ttl)
        with self._lock:
            self._check_open()
            current = self._records.get(key)
            found: Version | Absent = Absent.ABSENT
            if current is not None and current.expires_at > self._clock():
                found = self._version(current)
            if found != expect:
                raise ConflictError(
                    f"the entry {key!r} is not at the expected version; read it again and retry",
                    key=key,
                )
            return self._version(self._put(key, plain, encoded, ttl_ms))

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """Change the expiry.

        See [`touch`][fastadk_memory.base.MemoryBackend.touch].
        """
        key = check_key(key, self.max_key_bytes)
        ttl_ms = ttl_to_ms(ttl)
        with self._lock:
            self._check_open()
            old = self._records.get(key)
            now = self._clock()
            if old is None or old.expires_at <= now:
                return False
            expires_at = self._note_expiry(key, now, ttl_ms)
            self._records[key] = old._replace(expires_at=expires_at)
            self._sweep(now)
            return True

    # ------------------------------------------------------------------ inside

    def _find(self, key: str) -> _Record | None:
        """Return the record of a key that is live, and do a little upkeep in passing."""
        if self._closed:
            self._check_open()
        record = self._records.get(key) if type(key) is str else None
        if record is None:
            # What is stored needs no second check; everything else does.
            key = check_key(key, self.max_key_bytes)
            record = self._records.get(key)
            self._check_open()  # once more: another thread may have closed it in between
        if self._expiries.next != inf and self._expiries.next <= (now := self._clock()):
            with self._lock:
                self._sweep(now)
        if record is None:
            return None
        # Not "expiries.next" alone: another thread may have taken the key out of the queue
        # and not yet out of the dict.
        if record.expires_at != inf and record.expires_at <= self._clock():
            return None
        if self._max_entries is not None:
            with self._lock:
                self._use(key)
        return record

    def _put(
        self,
        key: str,
        value: Any,
        encoded: bytes | None,
        ttl_ms: int | None,
        metadata: bytes | None = None,
    ) -> _Record:
        """Store one record. The caller holds the lock."""
        if self._closed:
            self._check_open()
        now = self._clock()
        self._number = number = self._number + 1
        expires_at = inf
        if ttl_ms is not None or self._expiries.next != inf:
            self._sweep(now)
            expires_at = self._note_expiry(key, now, ttl_ms)
        record = _new_record((value, encoded, expires_at, now, number, metadata))
        self._records[key] = record
        if self._max_entries is not None:
            self._use(key)
            while len(self._records) > self._max_entries:
                self._drop(next(iter(self._records)))
        return record

    def _note_expiry(self, key: str, now: float, ttl_ms: int | None) -> float:
        if ttl_ms is None:
            self._expiries.drop(key)
            return inf
        expires_at = now + ttl_ms / 1000
        self._expiries.put(key, expires_at)
        return expires_at

    def _drop(self, key: str) -> None:
        if self._records.pop(key, None) is not None:
            self._expiries.drop(key)

    def _empty(self) -> dict[str, _Record]:
        old, self._records = self._records, self._new_dict()
        self._expiries.clear()
        return old

    def _sweep(self, now: float) -> None:
        """Clear a few expired records away. The caller holds the lock."""
        if self._expiries.next <= now:
            for key in self._expiries.due(now, _SWEEP):
                self._records.pop(key, None)

    def _use(self, key: str) -> None:
        """Make the key the most recently used one. The caller holds the lock."""
        assert isinstance(self._records, OrderedDict)
        with suppress(KeyError):  # another thread may have removed it since
            self._records.move_to_end(key)

    def _alive(self, keys: Iterable[str]) -> list[str]:
        self._check_open()
        records = self._records
        if self._expiries.next == inf:
            return [key for key in keys if key in records]
        now = self._clock()
        return [key for key in keys if (found := records.get(key)) and found.expires_at > now]

    def _slices(self, size: int = _SLICE) -> Iterator[_Slice]:
        """Go through the keys of this moment, some at a time."""
        self._check_open()
        keys = list(self._records)
        for start in range(0, len(keys), size):
            yield _Slice(start, keys[start : start + size])

    def _version(self, record: _Record) -> Version:
        return f"{self._series}-{record.number}"

    def _entry(self, key: str, record: _Record) -> MemoryEntry:
        forever = record.expires_at == inf
        return MemoryEntry(
            key=key,
            value=_value(key, record),
            created_at=from_timestamp(record.created_at),
            expires_at=None if forever else from_timestamp(record.expires_at),
            metadata={} if record.metadata is None else decode(record.metadata, key=key),
            version=self._version(record),
        )

    def _check_open(self) -> None:
        if self._closed:
            raise BackendClosedError(
                "this InMemoryBackend is closed, which is final; create a new one"
            )


class _Slice(NamedTuple):
    start: int
    keys: list[str]


def _check_bound(bound: object) -> None:
    if bound is None:
        return
    if not isinstance(bound, int) or isinstance(bound, bool) or bound < 1:
        raise ConfigurationError("max_entries must be an int of at least 1, or None")


def _prepare(value: Any) -> tuple[Any, bytes | None]:
    """Return the value as it is if it is immutable, else encoded."""
    return (value, None) if type(value) in IMMUTABLE else (None, encode(value))


def _value(key: str, record: _Record) -> Any:
    return record.value if record.encoded is None else decode(record.encoded, key=key)


async def _free(records: dict[str, _Record]) -> None:
    """Let go of records without holding the event loop for long."""
    while len(records) > _SLICE:
        for _ in range(_SLICE):
            records.popitem()
        await asyncio.sleep(0)
