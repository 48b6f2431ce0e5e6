"""`FileBackend`: entries in one SQLite database, for all processes of one machine."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from fastadk_memory import (
    Absent,
    BackendUnavailableError,
    Capability,
    Clock,
    MemoryBackend,
    MemoryEntry,
    Ttl,
    Version,
)
from fastadk_memory.base import check_batch_size
from fastadk_memory.codec import check_metadata, decode, encode
from fastadk_memory.concurrency import Lifetime, run_in_thread
from fastadk_memory.keys import check_key, check_pattern
from fastadk_memory.records import check_expectation
from fastadk_memory.ttl import seconds_left, ttl_to_ms
from fastadk_memory_file import inputs
from fastadk_memory_file.changes import (
    Change,
    ClearStep,
    CompareAndSet,
    Delete,
    DeleteMany,
    HighestId,
    Put,
    PutEntry,
    PutMany,
    Touch,
)
from fastadk_memory_file.connections import Durability
from fastadk_memory_file.errors import is_busy, is_damage, translate
from fastadk_memory_file.listing import Page, Range, list_page
from fastadk_memory_file.place import absolute
from fastadk_memory_file.rows import (
    BRIEF,
    EXPIRY,
    VALUE,
    WHOLE,
    Found,
    damaged,
    entry_of,
    is_large,
    is_live,
    value_of,
)
from fastadk_memory_file.store import Store

__all__ = ["FileBackend"]

T = TypeVar("T")


class _Later(Enum):
    """The type of `_LATER`."""

    LATER = "later"


# What could not be read on the spot, and has to be read in a thread.
_LATER: Final = _Later.LATER

# How many keys are read on the event loop's thread, and how many at a time in another.
_INLINE_KEYS, _PAGE_KEYS = 64, 2000
_INLINE_GETS, _CHUNK_GETS = 16, 200


class FileBackend(MemoryBackend):
    """Keeps entries in one file of this machine: a SQLite database, shared by its processes.

    A write is answered when it is on the disk (`durability="power"`) or with the operating
    system (`"process"`). Writes that wait together share one transaction. Small values are
    read on the calling thread, within microseconds; large ones, and lists of keys, in
    another. Expired entries are deleted by whichever process has the store open.

    One object may be used from several event loops and threads at once; any number of objects
    and processes may use one file. An object that was opened does not survive a fork.

    Args:
        path: The database, made at the first use with the mode 0600; its folder must exist.
            `~` is the user's home. Beside it SQLite keeps two more files, `-wal` and `-shm`.
        durability: What an acknowledged write survives. `"power"`: the loss of power, as far
            as the disk tells the truth about what it has written; each commit is synced.
            `"process"`: the kill of the process at any moment; after a loss of power the last
            writes may be missing, and the rest is whole.
        timeout: For how many seconds a call waits while other processes are writing, more than
            0, at most 3,600.
        clock: Tells the time, in seconds since 1970; another one for tests. It must mean the
            same in all processes that share the file.

    Raises:
        ConfigurationError: An option is none of these.
    """

    capabilities = frozenset(
        {
            Capability.ENTRIES,
            Capability.CAS,
            Capability.TOUCH,
            Capability.BULK,
            Capability.SCAN,
            Capability.PERSISTENT,
            Capability.DURABLE_PROCESS,
            Capability.MULTI_PROCESS,
        }
    )
    contract_options: ClassVar[Mapping[str, str]] = {"path": "{tmp}/memory.db"}

    health_timeout: ClassVar[float] = 5.0
    """After how many seconds without an answer `health_check` says no."""

    def __init__(
        self,
        path: str | Path,
        durability: Durability = "power",
        timeout: float = 10.0,
        clock: Clock = time.time,
    ) -> None:
        self._path = absolute(path)
        self._durability: Durability = inputs.check_durability(durability)
        self._timeout = inputs.check_timeout(timeout)
        self._clock = clock
        if durability == "power":
            self.capabilities = type(self).capabilities | {Capability.DURABLE_POWER}
        self._life = Lifetime(type(self).__name__, self._start, self._stop)
        self._store: Store | None = None
        self._process: int | None = None  # which one has opened it
        # The connections for reading on the spot. Empty as long as that must not be done:
        # not yet open, closing, in a forked child. Asking costs nothing that way.
        self._idle: list[sqlite3.Connection] = []

    # ------------------------------------------------------------------ the nine

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Store a value; see [`MemoryBackend.set`][fastadk_memory.base.MemoryBackend.set].

        Raises:
            UnsupportedValueError: Also if it is larger than 900 MB.
        """
        key = check_key(key, self.max_key_bytes)
        data = inputs.encoded_at_once(value) or await inputs.encoded(value)
        await self._write(Put(key.encode(), data, ttl_to_ms(ttl)))

    async def get(self, key: str) -> Any:
        """Return a value; see [`MemoryBackend.get`][fastadk_memory.base.MemoryBackend.get]."""
        key = check_key(key, self.max_key_bytes)
        raw = key.encode()
        row = self._look(VALUE, key, raw)
        if row is None:
            return None
        if row is _LATER:
            return await self._find_later(WHOLE, key, raw, value_of)
        if row[0] is not None and not is_live(row[0], self._clock()):
            return None
        if row[3] is None or row[2] == 0:  # is_large, without the call
            return await self._find_later(WHOLE, key, raw, value_of)
        return value_of(key, raw, row)

    async def delete(self, key: str) -> None:
        """Remove a key; see [`MemoryBackend.delete`][fastadk_memory.base.MemoryBackend.delete]."""
        key = check_key(key, self.max_key_bytes)
        await self._write(Delete(key.encode()))

    async def exists(self, key: str) -> bool:
        """Ask for a key; see [`MemoryBackend.exists`][fastadk_memory.base.MemoryBackend.exists]."""
        key = check_key(key, self.max_key_bytes)
        return await self._expiry(key) is not None

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return keys; see [`MemoryBackend.keys`][fastadk_memory.base.MemoryBackend.keys].

        What stands before the first wildcard is looked up in the index; the rest is matched
        key by key, in a thread.
        """
        found: list[str] = []
        async for some in self._pages(check_pattern(pattern), _PAGE_KEYS):
            found += some
        return found

    async def clear(self) -> None:
        """Remove everything; see [`MemoryBackend.clear`][fastadk_memory.base.MemoryBackend.clear].

        Some hundred entries at a time, so that others can write in between.
        """
        highest: int = await self._write(HighestId())
        while await self._write(ClearStep(highest)):
            pass

    async def clear_pattern(self, pattern: str) -> None:
        """Remove keys; see [`clear_pattern`][fastadk_memory.base.MemoryBackend.clear_pattern]."""
        async for some in self._pages(check_pattern(pattern), _PAGE_KEYS):
            if some:
                await self._write(DeleteMany([key.encode() for key in some]))

    async def ttl(self, key: str) -> int | None:
        """Return the seconds left; see [`ttl`][fastadk_memory.base.MemoryBackend.ttl]."""
        key = check_key(key, self.max_key_bytes)
        row = await self._expiry(key)
        if row is None or row[0] is None:
            return None
        return seconds_left(row[0], self._clock())

    async def health_check(self) -> bool:
        """Tell whether the file can be read, is still in its place, and has its writer."""
        # A task of its own: one that hangs in a thread cannot be cancelled, and must not
        # keep the answer waiting.
        check = asyncio.ensure_future(self._is_healthy())
        try:
            done, _ = await asyncio.wait({check}, timeout=self.health_timeout)
        finally:
            check.cancel()
        return bool(done) and check.result()

    async def _is_healthy(self) -> bool:
        try:
            self._check_fork()
            async with self._life:
                return await run_in_thread(self._opened().answers)
        except Exception:  # noqa: BLE001 (whatever is wrong, the answer is no: it never raises)
            return False

    # ------------------------------------------------------------------ lifetime

    async def open(self) -> None:
        """Open the database, and make it if it does not exist.

        Raises:
            ConfigurationError: The path leads to a folder, to a file of another program or of
                a newer version, to a network file system, or into a folder that does not exist.
            BackendUnavailableError: The place is read-only, the disk is full, or the database
                is damaged.
            BackendTimeoutError: Another process kept it locked.
            BackendClosedError: After `aclose`.
        """
        self._check_fork()
        await self._life.open()

    async def aclose(self) -> None:
        """Finish the writes that are under way, and close the database, for good.

        In a forked child it does nothing: what is open belongs to the parent.
        """
        if self._is_forked():
            return
        self._idle = []
        await self._life.aclose()

    async def _start(self) -> None:
        self._process = os.getpid()
        try:
            self._store = await run_in_thread(self._open_store)
        except BaseException:
            # A cancelled call comes here when the thread has ended, which may have opened it.
            await self._stop()
            raise
        if not self._life.closed:
            self._idle = self._store.loop_readers.idle

    def _open_store(self) -> Store:
        self._store = Store(
            self._path, durability=self._durability, patience=self._timeout, clock=self._clock
        )
        return self._store

    async def _stop(self) -> None:
        self._idle = []
        store = self._store
        try:
            if store is not None:
                await run_in_thread(store.close)
        finally:
            self._store = self._process = None

    def __del__(self) -> None:
        # A constructor that has failed leaves an object without attributes.
        store: Store | None = getattr(self, "_store", None)
        if store is not None and not store.forked:
            warnings.warn(f"{self!r} was not closed: await aclose()", ResourceWarning, stacklevel=2)
            store.abandon()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._path)!r}, durability={self._durability!r})"

    # ------------------------------------------------------------------ bulk and scan

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return values; see [`get_many`][fastadk_memory.base.MemoryBackend.get_many]."""
        wanted = await inputs.checked_keys(keys, self.max_key_bytes)
        found: dict[str, Any] = {}
        if not wanted:
            await self.open()  # which refuses when it is closed
        if len(wanted) <= _INLINE_GETS:
            for key in wanted:
                raw = key.encode()
                row = self._look(VALUE, key, raw)
                if row is _LATER or (row is not None and is_large(row)):
                    break  # all of them in a thread
                if row is not None and is_live(row[0], self._clock()):
                    found[key] = value_of(key, raw, row)
            else:
                return found
            found.clear()
        for at in range(0, len(wanted), _CHUNK_GETS):
            found.update(await self._read(partial(self._values, wanted[at : at + _CHUNK_GETS])))
        return found

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Store values, all or none, in one transaction.

        See [`set_many`][fastadk_memory.base.MemoryBackend.set_many].
        """
        ttl_ms = ttl_to_ms(ttl)
        pairs = await inputs.encoded_items(items, self.max_key_bytes)
        await self._write(PutMany(pairs, ttl_ms))

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove keys, all at one moment.

        See [`delete_many`][fastadk_memory.base.MemoryBackend.delete_many].
        """
        wanted = await inputs.checked_keys(keys, self.max_key_bytes)
        number: int = await self._write(DeleteMany([key.encode() for key in wanted]))
        return number

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """Go through keys; see [`MemoryBackend.scan`][fastadk_memory.base.MemoryBackend.scan].

        It holds one batch of keys at a time, and no transaction between two batches.
        """
        pattern = check_pattern(pattern)
        size = min(max(check_batch_size(batch_size), _INLINE_KEYS), _PAGE_KEYS)
        return self._scan(pattern, size)

    async def _scan(self, pattern: str, size: int) -> AsyncIterator[str]:
        async for some in self._pages(pattern, size):
            for key in some:
                yield key

    # ------------------------------------------------------------------ capabilities

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """Return an entry; see [`get_entry`][fastadk_memory.base.MemoryBackend.get_entry]."""
        key = check_key(key, self.max_key_bytes)
        raw = key.encode()
        row = self._look(BRIEF, key, raw)
        if row is _LATER or (row is not None and is_large(row)):
            return await self._find_later(WHOLE, key, raw, entry_of)
        if row is None or not is_live(row[0], self._clock()):
            return None
        return entry_of(key, raw, row)

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Store an entry; see [`set_entry`][fastadk_memory.base.MemoryBackend.set_entry]."""
        key = check_key(key, self.max_key_bytes)
        extra = encode(check_metadata(metadata))
        data = await inputs.encoded(value)
        entry: MemoryEntry = await self._write(PutEntry(key, data, ttl_to_ms(ttl), extra))
        return replace(entry, value=decode(data, key=key), metadata=decode(extra, key=key))

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store if unchanged; atomic between processes.

        See [`compare_and_set`][fastadk_memory.base.MemoryBackend.compare_and_set].
        """
        key = check_key(key, self.max_key_bytes)
        check_expectation(expect)
        data = await inputs.encoded(value)
        change = CompareAndSet(key, data, ttl_to_ms(ttl), expect)
        version: Version = await self._write(change)
        return version

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """Change the expiry; see [`touch`][fastadk_memory.base.MemoryBackend.touch]."""
        key = check_key(key, self.max_key_bytes)
        touched: bool = await self._write(Touch(key.encode(), ttl_to_ms(ttl)))
        return touched

    # ------------------------------------------------------------------ reading

    def _look(self, query: str, key: str, raw: bytes) -> Found | _Later | None:
        """Look a key up on the spot: one short transaction, microseconds.

        Returns:
            The row; `_LATER` if no connection is there, or somebody is in the way.

        Raises:
            CorruptEntryError: The page of the entry is damaged.
            FastADKMemoryError: SQLite cannot.
        """
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            return _LATER
        try:
            row: Found | None = connection.execute(query, (raw,)).fetchone()
        except sqlite3.Error as error:
            if is_busy(error):
                return _LATER
            raise self._meaning(error, key) from error
        finally:
            idle.append(connection)
        return row

    async def _find_later(
        self, query: str, key: str, raw: bytes, read: Callable[[str, bytes, Found], T]
    ) -> T | None:
        """Look a key up in a thread, and take the row apart there."""

        def work(connection: sqlite3.Connection) -> T | None:
            row: Found | None = connection.execute(query, (raw,)).fetchone()
            if row is None or not is_live(row[0], self._clock()):
                return None
            return read(key, raw, row)

        return await self._read(work, key)

    async def _expiry(self, key: str) -> Found | None:
        """Return the row of a live key, with nothing but its expiry."""
        raw = key.encode()
        row = self._look(EXPIRY, key, raw)
        if row is _LATER:
            return await self._find_later(EXPIRY, key, raw, lambda *found: found[-1])
        return row if row is not None and is_live(row[0], self._clock()) else None

    async def _pages(self, pattern: str, size: int) -> AsyncIterator[list[str]]:
        """Go through the keys that match, a page at a time."""
        rest: Range | None = Range.of(pattern)
        if rest is not None and rest.exact:
            page = self._look_at_page(rest)
            if page is not None:
                yield page.keys
                rest = page.rest
        while rest is not None:
            page = await self._read(partial(self._page, rest, size))
            yield page.keys
            rest = page.rest

    def _look_at_page(self, wanted: Range) -> Page | None:
        """List a short page on the spot; `None` if that cannot be done."""
        idle = self._idle
        try:
            connection = idle.pop()
        except IndexError:
            return None
        try:
            return self._page(wanted, _INLINE_KEYS, connection)
        except sqlite3.Error:
            return None  # in a thread it is told what is wrong, or tried again
        finally:
            idle.append(connection)

    def _page(self, wanted: Range, size: int, connection: sqlite3.Connection) -> Page:
        return list_page(connection, wanted, self._clock(), size)

    def _values(self, keys: list[str], connection: sqlite3.Connection) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in keys:
            raw = key.encode()
            try:
                row: Found | None = connection.execute(WHOLE, (raw,)).fetchone()
            except sqlite3.Error as error:
                if is_damage(error):
                    raise damaged(key, error) from error
                raise
            if row is not None and is_live(row[0], self._clock()):
                found[key] = value_of(key, raw, row)
        return found

    async def _read(self, work: Callable[[sqlite3.Connection], T], key: str | None = None) -> T:
        """Do something with a connection in a thread.

        Raises:
            CorruptEntryError: The page of the entry `key` is damaged.
            FastADKMemoryError: SQLite cannot.
        """
        self._check_fork()
        async with self._life:
            try:
                return await run_in_thread(partial(self._opened().read, work))
            except sqlite3.Error as error:
                raise self._meaning(error, key) from error

    # ------------------------------------------------------------------ inside

    async def _write(self, change: Change) -> Any:
        self._check_fork()
        async with self._life:
            return await self._opened().writer.carry_out(change)

    def _opened(self) -> Store:
        assert self._store is not None  # the lifetime has seen to it
        return self._store

    def _is_forked(self) -> bool:
        return self._process is not None and self._process != os.getpid()

    def _check_fork(self) -> None:
        if self._is_forked():
            raise BackendUnavailableError(
                f"{self._path} was opened before this process was forked, and SQLite's "
                "connections do not survive that; create a new backend in the child"
            )

    def _meaning(self, error: sqlite3.Error, key: str | None) -> Exception:
        if key is not None and is_damage(error):
            return damaged(key, error)
        return translate(error, self._path)
