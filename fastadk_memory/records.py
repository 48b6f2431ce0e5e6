"""`RecordBackend`: all of `MemoryBackend` from a few primitives over bytes.

Whoever has a place that can read, write, remove and list byte strings under keys has a
backend that keeps the whole contract. Argument checks, encoding, expiry, exact patterns,
versions, compare-and-set, bulk calls, opening and closing, damage and concurrency within
one process are dealt with here, once.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from abc import abstractmethod
from collections.abc import AsyncIterator, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, ClassVar

from fastadk_memory.base import (
    Absent,
    Capability,
    MemoryBackend,
    check_batch_size,
)
from fastadk_memory.codec import check_items, check_metadata, decode, encode
from fastadk_memory.concurrency import Lifetime, Mutex
from fastadk_memory.entry import MemoryEntry, Version
from fastadk_memory.envelope import VERSION_BYTES, Record, pack, unpack
from fastadk_memory.errors import (
    ConflictError,
    CorruptEntryError,
    FastADKMemoryError,
    UnsupportedValueError,
)
from fastadk_memory.expiry import ExpiryQueue
from fastadk_memory.keys import check_key, check_keys, check_pattern, literal_prefix, matcher
from fastadk_memory.ttl import SYSTEM_CLOCK, Clock, Ttl, from_timestamp, seconds_left, ttl_to_ms

__all__ = ["RecordBackend"]

# How many expired entries one writing call clears away at the most: more than it can add,
# so that a backlog always shrinks, and few enough to go unnoticed.
_SWEEP = 8

_STRIPES = 64


class RecordBackend(MemoryBackend):
    """A whole backend from four primitives over bytes.

    Implement `read_record`, `write_record`, `delete_record` and `list_records`; everything
    else has a sound default. A complete backend over a `dict`:

    ```python
    from collections.abc import AsyncIterator

    from fastadk_memory import RecordBackend


    class DictBackend(RecordBackend):
        def __init__(self) -> None:
            super().__init__()
            self._records: dict[str, bytes] = {}

        async def read_record(self, key: str) -> bytes | None:
            return self._records.get(key)

        async def write_record(self, key: str, record: bytes) -> None:
            self._records[key] = record

        async def delete_record(self, key: str) -> None:
            self._records.pop(key, None)

        async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
            for key, record in self._records.copy().items():
                if key.startswith(prefix):
                    yield key, record
    ```

    (`copy`, since another thread may write meanwhile: it is one step of the interpreter, and
    a `list` of the items is not.)

    What the primitives may rely on: keys are valid; the store is open; for one key, no two
    of `write_record`, `delete_record` and `swap_record` run at once within this object.
    What they must see to: one record is written or removed whole or not at all, even if
    the call is cancelled; several loops and threads may call at once, for different keys;
    errors of the driver are raised as errors of ours with `raise ... from`.

    Optional: `open_store`, `close_store` and `check_store` where there is something to
    open; `swap_record` where several processes share the store and so the lock within
    this object is not enough.

    Args:
        clock: Tells the time, in seconds since 1970; another one for tests.
    """

    capabilities = frozenset({Capability.ENTRIES, Capability.CAS, Capability.TOUCH})

    health_timeout: ClassVar[float] = 5.0
    """After how many seconds without an answer `health_check` says no."""

    _shared: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.MULTI_PROCESS, Capability.MULTI_HOST}
    )

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a class that says processes share its store, but cannot swap atomically."""
        super().__init_subclass__(**kwargs)
        shares = cls.capabilities & cls._shared and Capability.CAS in cls.capabilities
        if shares and cls.swap_record is RecordBackend.swap_record:
            raise TypeError(
                f"{cls.__name__} declares that several processes share its store: it must "
                "override swap_record with an operation that is atomic between them"
            )

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._life = Lifetime(type(self).__name__, self._start, self.close_store)
        self._locks = [Mutex() for _ in range(_STRIPES)]
        self._expiries = ExpiryQueue()
        self._expiries_guard = threading.Lock()

    # -------------------------------------------------------- primitives to implement

    @abstractmethod
    async def read_record(self, key: str) -> bytes | None:
        """Return the record under `key`, whole, or `None` if there is none."""

    @abstractmethod
    async def write_record(self, key: str, record: bytes) -> None:
        """Store `record` under `key`, replacing what was there; whole or not at all."""

    @abstractmethod
    async def delete_record(self, key: str) -> None:
        """Remove the record under `key`, if there is one."""

    @abstractmethod
    def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        """Go through the records whose keys begin with `prefix`, with their keys.

        Records that come or go meanwhile may appear or not; every other one appears once.

        Args:
            prefix: Any string, often the empty one. Yielding more keys than those that
                begin with it is allowed, and slower.
        """

    # ----------------------------------------------------------- primitives to override

    async def open_store(self) -> None:
        """Make the store ready. Called once, before any other primitive.

        A call that fails or is cancelled leaves nothing behind, and can be repeated.
        """

    async def close_store(self) -> None:
        """Let go of the store. Called once, when no other primitive runs any more."""

    async def check_store(self) -> bool:
        """Tell whether the store could serve a call; an error of ours counts as no."""
        return True

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        """Replace the record under `key` only if it is still `old`.

        This default is atomic within this object. Where several processes share the store,
        override it with an operation of the store's own that is atomic between them.

        Args:
            key: A key.
            old: The record that must be there; `None` if there must be none.
            new: The record to put in its place; `None` to remove it.

        Returns:
            Whether it was replaced.
        """
        if await self.read_record(key) != old:
            return False
        if new is None:
            await self.delete_record(key)
        else:
            await self.write_record(key, new)
        return True

    # ------------------------------------------------------------------ the nine

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """See [`MemoryBackend.set`][fastadk_memory.base.MemoryBackend.set]."""
        key = check_key(key, self.max_key_bytes)
        data, ttl_ms = encode(value), ttl_to_ms(ttl)
        async with self._life:
            await self._put(key, data, ttl_ms)
            await self._sweep()

    async def get(self, key: str) -> Any:
        """See [`MemoryBackend.get`][fastadk_memory.base.MemoryBackend.get]."""
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            record = await self._read(key)
        return None if record is None else decode(record.value, key=key)

    async def delete(self, key: str) -> None:
        """See [`MemoryBackend.delete`][fastadk_memory.base.MemoryBackend.delete]."""
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            await self._forget(key)
            await self._sweep()

    async def exists(self, key: str) -> bool:
        """See [`MemoryBackend.exists`][fastadk_memory.base.MemoryBackend.exists]."""
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            return await self._read(key) is not None

    async def keys(self, pattern: str = "*") -> list[str]:
        """See [`MemoryBackend.keys`][fastadk_memory.base.MemoryBackend.keys]."""
        pattern = check_pattern(pattern)
        async with self._life:
            return [key async for key in self._matching(pattern)]

    async def clear(self) -> None:
        """See [`MemoryBackend.clear`][fastadk_memory.base.MemoryBackend.clear]."""
        async with self._life:
            # The list comes first: a store need not like removals while it is gone through.
            for key in [key async for key, _ in self.list_records("")]:
                await self._forget(key)

    async def clear_pattern(self, pattern: str) -> None:
        """See [`MemoryBackend.clear_pattern`][fastadk_memory.base.MemoryBackend.clear_pattern]."""
        pattern = check_pattern(pattern)
        async with self._life:
            for key in [key async for key in self._matching(pattern)]:
                await self._forget(key)
            await self._sweep()

    async def ttl(self, key: str) -> int | None:
        """See [`MemoryBackend.ttl`][fastadk_memory.base.MemoryBackend.ttl]."""
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            record = await self._read(key)
        if record is None or record.expires_at is None:
            return None
        return seconds_left(record.expires_at, self._clock())

    async def health_check(self) -> bool:
        """See [`MemoryBackend.health_check`][fastadk_memory.base.MemoryBackend.health_check]."""
        # A task of its own: one that hangs in a thread cannot be cancelled, and must not
        # keep the answer waiting.
        check = asyncio.ensure_future(self._check())
        try:
            done, _ = await asyncio.wait({check}, timeout=self.health_timeout)
        finally:
            check.cancel()
        return bool(done) and check.result()

    async def _check(self) -> bool:
        try:
            async with self._life:
                return await self.check_store()
        except Exception:  # noqa: BLE001 (whatever is wrong, the answer is no: it never raises)
            return False

    # ------------------------------------------------------------------ lifetime

    async def open(self) -> None:
        """See [`MemoryBackend.open`][fastadk_memory.base.MemoryBackend.open]."""
        await self._life.open()

    async def aclose(self) -> None:
        """See [`MemoryBackend.aclose`][fastadk_memory.base.MemoryBackend.aclose]."""
        await self._life.aclose()

    async def _start(self) -> None:
        await self.open_store()
        if Capability.PERSISTENT not in self.capabilities:
            return
        try:
            # What an earlier process left behind expires, too, without anyone reading it.
            async for key, data in self.list_records(""):
                self._peek(key, data)
        except BaseException:
            await self.close_store()
            raise

    # ------------------------------------------------------------------ bulk and scan

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """See [`MemoryBackend.get_many`][fastadk_memory.base.MemoryBackend.get_many]."""
        found: dict[str, Any] = {}
        wanted = check_keys(keys, self.max_key_bytes)
        async with self._life:
            for key in wanted:
                record = await self._read(key)
                if record is not None:
                    found[key] = decode(record.value, key=key)
        return found

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """See [`MemoryBackend.set_many`][fastadk_memory.base.MemoryBackend.set_many]."""
        ttl_ms = ttl_to_ms(ttl)
        values = {
            key: encode(value) for key, value in check_items(items, self.max_key_bytes).items()
        }
        async with self._life:
            for key, value in values.items():
                await self._put(key, value, ttl_ms)
            await self._sweep(len(values))

    async def delete_many(self, keys: Iterable[str]) -> int:
        """See [`MemoryBackend.delete_many`][fastadk_memory.base.MemoryBackend.delete_many]."""
        wanted = check_keys(keys, self.max_key_bytes)
        async with self._life:
            existed = [await self._remove(key) for key in wanted]
            await self._sweep(len(wanted))
        return sum(existed)

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """See [`MemoryBackend.scan`][fastadk_memory.base.MemoryBackend.scan]."""
        pattern = check_pattern(pattern)
        check_batch_size(batch_size)
        return self._scan_open(pattern)

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        # Each caller's pause between two keys may be long, so the keys are fetched first:
        # a scan that is left half done must not keep aclose waiting.
        for key in await self.keys(pattern):
            yield key

    # ------------------------------------------------------------------ capabilities

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """See [`MemoryBackend.get_entry`][fastadk_memory.base.MemoryBackend.get_entry]."""
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            record = await self._read(key)
        return None if record is None else _entry(key, record)

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """See [`MemoryBackend.set_entry`][fastadk_memory.base.MemoryBackend.set_entry]."""
        key = check_key(key, self.max_key_bytes)
        extra = encode(check_metadata(metadata))
        data, ttl_ms = encode(value), ttl_to_ms(ttl)
        async with self._life:
            record = await self._put(key, data, ttl_ms, extra)
            await self._sweep()
        return _entry(key, record)

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store only if the entry is still at the expected version.

        See [`compare_and_set`][fastadk_memory.base.MemoryBackend.compare_and_set].
        """
        key = check_key(key, self.max_key_bytes)
        check_expectation(expect)
        data, ttl_ms = encode(value), ttl_to_ms(ttl)
        async with self._life:
            version = await self._compare_and_put(key, data, ttl_ms, expect)
            await self._sweep()
        return version

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """See [`MemoryBackend.touch`][fastadk_memory.base.MemoryBackend.touch]."""
        key = check_key(key, self.max_key_bytes)
        ttl_ms = ttl_to_ms(ttl)
        async with self._life:
            touched = await self._touch(key, ttl_ms)
            await self._sweep()
        return touched

    # ------------------------------------------------------------------ common to all

    def _lock(self, key: str) -> Mutex:
        return self._locks[hash(key) % _STRIPES]

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        now = self._clock()
        version = secrets.token_bytes(VERSION_BYTES)
        return Record(now, version, value, _expires_at(now, ttl_ms), metadata)

    async def _put(
        self, key: str, value: bytes, ttl_ms: int | None, metadata: bytes = b""
    ) -> Record:
        async with self._lock(key):
            # Dated here, not when the call came: a TTL must not run while it waits its turn.
            record = self._new_record(value, ttl_ms, metadata)
            with self._noting_expiry(key, record.expires_at):
                await self.write_record(key, pack(record))
        return record

    async def _compare_and_put(
        self, key: str, value: bytes, ttl_ms: int | None, expect: Version | Absent
    ) -> Version:
        async with self._lock(key):
            while True:
                old = await self.read_record(key)
                current = None if old is None else unpack(old, key=key)
                record = self._new_record(value, ttl_ms)
                found: Version | Absent = Absent.ABSENT
                if current is not None and current.alive(record.created_at):
                    found = current.version.hex()
                if found != expect:
                    break
                with self._noting_expiry(key, record.expires_at):
                    if await self.swap_record(key, old, pack(record)):
                        return record.version.hex()
                # Another client was faster. If it only touched the entry, or swept away an
                # expired one, the expectation still holds: look again.
        raise ConflictError(
            f"the entry {key!r} is not at the expected version; read it again and retry", key=key
        )

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        async with self._lock(key):
            while True:
                old = await self.read_record(key)
                now = self._clock()
                record = None if old is None else unpack(old, key=key)
                if record is None or not record.alive(now):
                    return False
                record = replace(record, expires_at=_expires_at(now, ttl_ms))
                with self._noting_expiry(key, record.expires_at):
                    if await self.swap_record(key, old, pack(record)):
                        return True

    @contextmanager
    def _noting_expiry(self, key: str, expires_at: float | None) -> Generator[None]:
        """Note when a key expires, around the write that decides it.

        A write that fails or is cancelled may have happened or not: until it is known, the
        earlier of both moments stands, and whoever sweeps looks at the record itself.
        """
        if expires_at is not None:
            self._hasten_expiry(key, expires_at)
        yield
        self._note_expiry(key, expires_at)

    async def _read(self, key: str) -> Record | None:
        data = await self.read_record(key)
        if data is None:
            return None
        record = unpack(data, key=key)
        return record if record.alive(self._clock()) else None

    async def _forget(self, key: str) -> None:
        async with self._lock(key):
            await self.delete_record(key)
            self._note_expiry(key, None)

    async def _remove(self, key: str) -> bool:
        """Remove one record, damaged or not; tell whether it was alive."""
        async with self._lock(key):
            data = await self.read_record(key)
            if data is None:
                return False
            alive = self._peek_alive(key, data)
            await self.delete_record(key)
            self._note_expiry(key, None)
        return alive

    async def _matching(self, pattern: str) -> AsyncIterator[str]:
        matches = matcher(pattern)
        async for key, data in self.list_records(literal_prefix(pattern)):
            if matches(key) and self._peek_alive(key, data):
                yield key

    def _peek_alive(self, key: str, data: bytes) -> bool:
        """Tell whether a listed record is alive; a damaged one is, so that it can be found."""
        record = self._peek(key, data)
        return record is None or record.alive(self._clock())

    def _peek(self, key: str, data: bytes) -> Record | None:
        try:
            record = unpack(data, key=key)
        except CorruptEntryError:
            return None
        if record.expires_at is not None:
            # A listing may be late: what it read must not put off what has come since.
            self._hasten_expiry(key, record.expires_at)
        return record

    def _note_expiry(self, key: str, expires_at: float | None) -> None:
        with self._expiries_guard:
            if expires_at is None:
                self._expiries.drop(key)
            else:
                self._expiries.put(key, expires_at)

    def _hasten_expiry(self, key: str, expires_at: float) -> None:
        with self._expiries_guard:
            self._expiries.hasten(key, expires_at)

    async def _sweep(self, more: int = 0) -> None:
        """Remove a few expired entries that nobody has asked for (clause T7).

        Args:
            more: How many entries the call has added beyond the first.
        """
        now = self._clock()
        if self._expiries.next > now:
            return
        with self._expiries_guard:
            due = self._expiries.due(now, _SWEEP + more)
        for at, key in enumerate(due):
            try:
                await self._expire(key, now)
            except BaseException as error:
                for left in due[at:]:
                    self._note_expiry(left, now)
                if isinstance(error, FastADKMemoryError):
                    return  # the call that sweeps has done its own work; the next one retries
                raise

    async def _expire(self, key: str, now: float) -> None:
        async with self._lock(key):
            data = await self.read_record(key)
            if data is None:
                return
            # The entry may have been given a new life meanwhile, by another process even;
            # looking at it notes its new expiry. A damaged one is left for its reader to find.
            record = self._peek(key, data)
            if record is not None and not record.alive(now):
                await self.swap_record(key, data, None)
                self._note_expiry(key, None)


def check_expectation(expect: object) -> None:
    """Refuse what `compare_and_set` cannot expect.

    Raises:
        UnsupportedValueError: `expect` is neither a version nor `ABSENT`.
    """
    if not isinstance(expect, (str, Absent)):
        raise UnsupportedValueError(
            "expect must be a version, as get_entry returns it, or ABSENT, "
            f"not {type(expect).__name__}"
        )


def _expires_at(now: float, ttl_ms: int | None) -> float | None:
    return None if ttl_ms is None else now + ttl_ms / 1000


def _entry(key: str, record: Record) -> MemoryEntry:
    return MemoryEntry(
        key=key,
        value=decode(record.value, key=key),
        created_at=from_timestamp(record.created_at),
        expires_at=None if record.expires_at is None else from_timestamp(record.expires_at),
        metadata=decode(record.metadata, key=key) if record.metadata else {},
        version=record.version.hex(),
    )
