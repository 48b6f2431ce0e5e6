"""Mutants that break D1, D2, and X1 and U1 over processes."""

from __future__ import annotations

import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastadk_memory import BackendUnavailableError, Capability, MemoryBackend
from fastadk_memory.envelope import Record, pack, unpack

from .catalogue import Reference, mutant
from .file_reference import DELETE, WRITE, FileReference, FileReferenceHooks
from .reference import PREFIX, ReferenceHooks, Store

# ------------------------------------------------------------------------------------ D1


class Loading(Reference):
    """A backend that does something to each record when the store is opened."""

    async def open_store(self) -> None:
        await super().open_store()
        for key in list(self.store.ours()):
            record = self.loaded(key, unpack(self.store.records[PREFIX + key], key=key))
            self.store.records.pop(PREFIX + key)
            if record is not None:
                self.store.records[PREFIX + key] = pack(record)

    def loaded(self, key: str, record: Record) -> Record | None:
        return record


@mutant("D1")
class TouchedExpiryForgotten(Reference):
    """An expiry that `touch` has set is kept in the object and never written to the store."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.touched: dict[str, tuple[bytes, bytes]] = {}

    async def touch(self, key: str, ttl: Any) -> bool:
        before = self.store.records.get(PREFIX + key)
        done = await super().touch(key, ttl)
        if done and before is not None:
            self.touched[key] = (before, self.store.records[PREFIX + key])
        return done

    async def close_store(self) -> None:
        for key, (before, after) in self.touched.items():
            if self.store.records.get(PREFIX + key) == after:
                self.store.records[PREFIX + key] = before
        await super().close_store()


@mutant("D1")
class ExpiryInWholeSeconds(Loading):
    """The file holds expiries in whole seconds, rounded up."""

    def loaded(self, key: str, record: Record) -> Record | None:
        if record.expires_at is None:
            return record
        return replace(record, expires_at=-(-record.expires_at // 1))


@mutant("D1")
class MetadataOnlyInTheObject(Loading):
    """Metadata is kept in an index of the object, and not in the store."""

    def loaded(self, key: str, record: Record) -> Record | None:
        return replace(record, metadata=b"")


@mutant("D1")
class VersionsCountFromOneAgain(Reference):
    """Versions are numbers that each object counts from one."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.count = 0

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        self.count += 1
        made = super()._new_record(value, ttl_ms, metadata)
        return replace(made, version=self.count.to_bytes(8, "big"))


@mutant("D1")
class VersionsAreNewOnLoading(Loading):
    """Each record gets a new version when it is loaded."""

    def loaded(self, key: str, record: Record) -> Record | None:
        return replace(record, version=secrets.token_bytes(8))


@mutant("D1")
class ExpiredComesBack(Loading):
    """An entry that has expired while the store was closed is loaded with its whole TTL anew."""

    def loaded(self, key: str, record: Record) -> Record | None:
        if record.expires_at is None or record.alive(self._clock()):
            return record
        return replace(record, expires_at=self._clock() + record.expires_at - record.created_at)


@mutant("D1")
class ExpiryCountsFromOpening(Loading):
    """The store holds TTLs, which begin to run anew when it is opened."""

    def loaded(self, key: str, record: Record) -> Record | None:
        if record.expires_at is None or not record.alive(self._clock()):
            return record
        ttl = record.expires_at - record.created_at
        return replace(record, expires_at=self._clock() + ttl)


@mutant("D1")
class CreatedWhenLoaded(Loading):
    """The creation time is that of the loading."""

    def loaded(self, key: str, record: Record) -> Record | None:
        return replace(record, created_at=self._clock())


@mutant("D1")
class FalsyValuesAreNotLoaded(Loading):
    """Loading skips entries whose value is falsy."""

    def loaded(self, key: str, record: Record) -> Record | None:
        return None if record.value in (b"\xc0", b"\xc2", b"\x00", b"\xa0", b"\x90") else record


@mutant("D1")
class KeysAreStripped(Reference):
    """Keys are written to the file line by line, and lose what is around them when read."""

    async def close_store(self) -> None:
        for key in list(self.store.ours()):
            record = self.store.records.pop(PREFIX + key)
            self.store.records[PREFIX + (key.strip() or key)] = record
        await super().close_store()


class Saving(Reference):
    """A backend that works on a copy of its own, and writes to the store what `saved` says."""

    def __init__(self, store: Store, *rest: Any) -> None:
        super().__init__(Store(), *rest)
        self.disk = store
        self.deleted: set[str] = set()

    async def open_store(self) -> None:
        await super().open_store()
        self.store.records = dict(self.disk.records)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.deleted.add(PREFIX + key)

    async def close_store(self) -> None:
        self.disk.records = self.saved(self.disk.records, self.store.records)
        await super().close_store()

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        return new


class SavingHooks(ReferenceHooks):
    """Opens the disk of a `Saving` again."""

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        assert isinstance(backend, Saving)
        return type(backend)(backend.disk, self.clock, self.secrets[0])


@mutant("D1", hooks=SavingHooks)
class OnlyTheSessionIsSaved(Saving):
    """Closing writes what this session has changed, and drops what it only opened."""

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        return {key: record for key, record in new.items() if old.get(key) != record}


@mutant("D1", hooks=SavingHooks)
class DeletionsAreNotSaved(Saving):
    """Closing merges what there is into the file, so that what was deleted comes back."""

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        return old | new


@mutant("D1", hooks=SavingHooks)
class DeletedAndSetAgainIsNotSaved(Saving):
    """A key that has been deleted in this session is left out on saving, though it was set anew."""

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        return {key: record for key, record in new.items() if key not in self.deleted}


@mutant("D1", hooks=SavingHooks)
class TheLastWriteIsNotSaved(Saving):
    """Writes reach the file with the next write; closing forgets the last one."""

    async def write_record(self, key: str, record: bytes) -> None:
        self.disk.records = dict(self.store.records)
        await super().write_record(key, record)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.disk.records = dict(self.store.records)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        done = await super().swap_record(key, old, new)
        self.disk.records = dict(self.store.records)
        return done

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        return old


@mutant("D1", hooks=SavingHooks)
class NestedNamespacesAreNotSaved(Saving):
    """Saving goes one namespace deep: what lies in a namespace of a namespace is lost."""

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        nested = re.compile(r"[\w.%-]+/[\w.%-]+:")
        return {
            key: record for key, record in new.items() if not nested.match(key.removeprefix(PREFIX))
        }


@mutant("D1", hooks=SavingHooks)
class EscapesAreUndoneOnSaving(Saving):
    """Saving decodes percent signs in keys, and with them the names of some namespaces."""

    def saved(self, old: dict[str, bytes], new: dict[str, bytes]) -> dict[str, bytes]:
        return {unquote(key) if ":" in key else key: record for key, record in new.items()}


# ------------------------------------------------------------------------------------ D2


class Delaying(FileReference):
    """A backend some of whose writes reach the file only with the next call, or on closing."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.waiting: list[tuple[str, bytes | None]] = []

    def late(self, key: str, record: bytes | None) -> bool:
        """Tell whether a write is put off."""
        return False

    def flush(self) -> None:
        waiting, self.waiting = self.waiting, []
        for key, record in waiting:
            if record is None:
                super().remove(key)
            else:
                super().write(key, record)

    def read(self, key: str) -> bytes | None:
        self.flush()
        return super().read(key)

    def listed(self, prefix: str) -> list[tuple[str, bytes]]:
        self.flush()
        return super().listed(prefix)

    def write(self, key: str, record: bytes) -> None:
        self.flush()
        if self.late(key, record):
            self.waiting.append((key, record))
        else:
            super().write(key, record)

    def remove(self, key: str) -> None:
        self.flush()
        if self.late(key, None):
            self.waiting.append((key, None))
        else:
            super().remove(key)

    def disconnect(self) -> None:
        if self.connection is not None:
            self.flush()
        super().disconnect()


@mutant("D2", hooks=FileReferenceHooks)
class CommitsWithTheNextCall(Delaying):
    """Write-behind: a write is acknowledged at once, and written with the next call."""

    def late(self, key: str, record: bytes | None) -> bool:
        return True


@mutant("D2", hooks=FileReferenceHooks)
class OnlyLargeValuesAreDelayed(Delaying):
    """Values over 4 KiB are written behind, all others at once."""

    def late(self, key: str, record: bytes | None) -> bool:
        return record is not None and len(record) > 4_096


@mutant("D2", hooks=FileReferenceHooks)
class DeletionsAreDelayed(Delaying):
    """A deletion is noted, and carried out with the next call."""

    def late(self, key: str, record: bytes | None) -> bool:
        return record is None


@mutant("D2", hooks=FileReferenceHooks)
class BatchesAreDelayed(Delaying):
    """All but the first item of a batch are written with the next call that is no part of it."""

    batch: frozenset[str] = frozenset()

    async def set_many(self, items: Mapping[str, Any], ttl: Any = None) -> None:
        self.batch = frozenset(list(items)[1:])
        try:
            await super().set_many(items, ttl)
        finally:
            self.batch = frozenset()

    def flush(self) -> None:
        if not self.batch:
            super().flush()

    def late(self, key: str, record: bytes | None) -> bool:
        return key in self.batch


@mutant("D2", hooks=FileReferenceHooks)
class SwapsAreCommittedLater(FileReference):
    """`compare_and_set` and `touch` leave their transaction open until the next call."""

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        if self.connected().in_transaction:
            self.connected().execute("COMMIT")
        with super().transaction() as connection:
            yield connection

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        connection = self.connected()
        if connection.in_transaction:
            connection.execute("COMMIT")
        if new is None:
            return super().swap(key, old, new)
        connection.execute("BEGIN IMMEDIATE")
        if self.read(key) != old:
            connection.execute("ROLLBACK")
            return False
        connection.execute(WRITE, (key.encode(), new))
        return True

    def disconnect(self) -> None:
        if self.connection is not None and self.connection.in_transaction:
            self.connection.execute("COMMIT")
        super().disconnect()


@mutant("D2", hooks=FileReferenceHooks)
class ThreadWritesBehind(FileReference):
    """A thread of its own does the writing a moment after the call has returned."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.timers: list[threading.Timer] = []
        self.fresh: dict[str, bytes] = {}

    def write(self, key: str, record: bytes) -> None:
        self.fresh[key] = record
        timer = threading.Timer(0.002, self.insist, [partial(self.write_now, key, record)])
        self.timers.append(timer)
        timer.start()

    def write_now(self, key: str, record: bytes) -> None:
        super().write(key, record)
        if self.fresh.get(key) is record:
            del self.fresh[key]

    def read(self, key: str) -> bytes | None:
        return self.fresh.get(key) or super().read(key)

    def disconnect(self) -> None:
        self.guard.release()
        for timer in self.timers:
            timer.join()
        self.guard.acquire()
        super().disconnect()


@mutant("D2", hooks=FileReferenceHooks)
class DeletesBeforeItWrites(FileReference):
    """A value is replaced in two transactions: the old one goes, then the new one comes."""

    def write(self, key: str, record: bytes) -> None:
        self.remove(key)
        super().write(key, record)


@mutant("D2", hooks=FileReferenceHooks)
class BatchClearsTheGroundFirst(FileReference):
    """A batch first removes all the old values, then writes the new ones."""

    async def set_many(self, items: Mapping[str, Any], ttl: Any = None) -> None:
        if isinstance(items, Mapping) and len(items) > 1:
            await self.delete_many(items)
        await super().set_many(items, ttl)


@mutant("D2", hooks=FileReferenceHooks)
class WritesInTwoSteps(FileReference):
    """A value of over 4 KiB is written in two pieces, in two transactions."""

    def write(self, key: str, record: bytes) -> None:
        if len(record) > 4_096:
            super().write(key, record[:4_096])
        super().write(key, record)


@mutant("D2", hooks=FileReferenceHooks)
class ExpiryInASecondStep(FileReference):
    """A value is written first, and its expiry after it, as with SET and then EXPIRE."""

    def write(self, key: str, record: bytes) -> None:
        whole = unpack(record, key=key)
        if whole.expires_at is not None:
            super().write(key, pack(replace(whole, expires_at=None)))
        super().write(key, record)


@mutant("D2", hooks=FileReferenceHooks)
class OldExpiryOnTheNewValue(FileReference):
    """A new value takes over the old expiry for a moment, until a second step removes it."""

    def write(self, key: str, record: bytes) -> None:
        old, new = self.read(key), unpack(record, key=key)
        if old is not None and new.expires_at is None:
            super().write(key, pack(replace(new, expires_at=unpack(old, key=key).expires_at)))
        super().write(key, record)


@mutant("D2", hooks=FileReferenceHooks)
class MetadataInASecondStep(FileReference):
    """Metadata is written after the value that it belongs to."""

    def write(self, key: str, record: bytes) -> None:
        whole = unpack(record, key=key)
        if whole.metadata:
            super().write(key, pack(replace(whole, metadata=b"")))
        super().write(key, record)


@mutant("D2", hooks=FileReferenceHooks)
class IndexInASecondStep(FileReference):
    """Listings come from an index, which is written after the value."""

    def connect(self) -> None:
        super().connect()
        self.connected().execute("CREATE TABLE IF NOT EXISTS listing (key BLOB PRIMARY KEY)")

    def write(self, key: str, record: bytes) -> None:
        super().write(key, record)
        with self.transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO listing VALUES (?)", (key.encode(),))

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        done = super().swap(key, old, new)
        if done and new is not None:
            self.write(key, new)
        return done

    def remove(self, key: str) -> None:
        with self.transaction() as connection:
            connection.execute("DELETE FROM listing WHERE key = ?", (key.encode(),))
        super().remove(key)

    def listed(self, prefix: str) -> list[tuple[str, bytes]]:
        rows = self.connected().execute("SELECT key FROM listing").fetchall()
        return [(key, record) for key, record in super().listed(prefix) if (key.encode(),) in rows]


@mutant("D2", hooks=FileReferenceHooks)
class LockFileStays(FileReference):
    """A lock file shows that the store is in use; after a kill nobody can open it any more."""

    capabilities = FileReference.capabilities - {Capability.MULTI_PROCESS}

    @property
    def lock(self) -> Path:
        return self.path.with_suffix(".lock")

    def connect(self) -> None:
        try:
            self.lock.touch(exist_ok=False)
        except FileExistsError as error:
            raise BackendUnavailableError(f"{self.path} is in use") from error
        super().connect()

    def disconnect(self) -> None:
        super().disconnect()
        self.lock.unlink(missing_ok=True)


@mutant("D2", hooks=FileReferenceHooks)
class HalfMadeStore(FileReference):
    """A new store is made in two steps, and one that was left half made cannot be opened."""

    def connect(self) -> None:
        made = self.path.exists()
        super().connect()
        connection = self.connected()
        if not made:
            connection.execute("CREATE TABLE about (format INTEGER)")
            connection.execute("INSERT INTO about VALUES (1)")
        try:
            found = connection.execute("SELECT format FROM about").fetchone()
        except sqlite3.Error:
            found = None
        if found is None:
            self.disconnect()
            raise BackendUnavailableError(f"{self.path} is no store of ours")


# ------------------------------------------------------------------ X1 and U1 over processes


class Remembering(FileReference):
    """A backend that keeps records it has seen in the memory of its process."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.seen: dict[str, bytes | None] = {}

    def keeps(self, record: bytes | None) -> bool:
        return True

    async def read_record(self, key: str) -> bytes | None:
        if key in self.seen:
            return self.seen[key]
        record = await super().read_record(key)
        if self.keeps(record):
            self.seen[key] = record
        return record

    async def write_record(self, key: str, record: bytes) -> None:
        self.seen.pop(key, None)
        await super().write_record(key, record)
        self.seen.pop(key, None)

    async def delete_record(self, key: str) -> None:
        self.seen.pop(key, None)
        await super().delete_record(key)
        self.seen.pop(key, None)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.seen.pop(key, None)
        done = await super().swap_record(key, old, new)
        self.seen.pop(key, None)
        return done


@mutant("X1", hooks=FileReferenceHooks)
class CachePerProcess(Remembering):
    """What was read once is answered from a cache that other processes do not invalidate."""

    def keeps(self, record: bytes | None) -> bool:
        return record is not None


@mutant("X1", hooks=FileReferenceHooks)
class AbsenceIsCached(Remembering):
    """A key that was absent once stays absent until this process writes it."""

    def keeps(self, record: bytes | None) -> bool:
        return record is None


@mutant("X1", hooks=FileReferenceHooks)
class ExpiringEntriesAreCached(Remembering):
    """Entries with an expiry are answered from a cache until they expire."""

    def keeps(self, record: bytes | None) -> bool:
        return record is not None and unpack(record, key="").expires_at is not None


@mutant("X1", hooks=FileReferenceHooks)
class LargeValuesAreCached(Remembering):
    """Values over 4 KiB are answered from a cache."""

    def keeps(self, record: bytes | None) -> bool:
        return record is not None and len(record) > 4_096


@mutant("X1", hooks=FileReferenceHooks)
class ListingOfTheProcess(FileReference):
    """Keys that came from other processes since the last listing show only later."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.last: tuple[float, list[tuple[str, bytes]]] | None = None

    def listed(self, prefix: str) -> list[tuple[str, bytes]]:
        if self.last is None or time.monotonic() > self.last[0] + 0.5:
            self.last = time.monotonic(), super().listed("")
        return [each for each in self.last[1] if each[0].startswith(prefix)]

    def write(self, key: str, record: bytes) -> None:
        super().write(key, record)
        self.last = None

    def remove(self, key: str) -> None:
        super().remove(key)
        self.last = None

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.last = None
        return super().swap(key, old, new)


@mutant("X1", hooks=FileReferenceHooks)
class SwapOnlyAtomicWithin(FileReference):
    """A swap looks, and then writes, in two transactions."""

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if self.read(key) != old:
            return False
        if new is None:
            self.remove(key)
        else:
            self.write(key, new)
        return True


@mutant("X1", hooks=FileReferenceHooks)
class SetGoesAroundTheLock(FileReference):
    """A set over an old value reads it first, and later writes only if it is still that one."""

    def write(self, key: str, record: bytes) -> None:
        old = self.read(key)
        if old is not None:
            time.sleep(0.0002)
            super().swap(key, old, record)
        else:
            super().write(key, record)


@mutant("U1", hooks=FileReferenceHooks)
class SwapsCompareTheLength(FileReference):
    """A swap compares only how long the record is that it finds."""

    def swap(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        with self.transaction() as connection:
            found = self.read(key)
            if (found and len(found)) != (old and len(old)):
                return False
            if new is None:
                connection.execute(DELETE, (key.encode(),))
            else:
                connection.execute(WRITE, (key.encode(), new))
        return True


@mutant("U1", hooks=FileReferenceHooks)
class SwapLocksPerProcess(SwapOnlyAtomicWithin):
    """Swaps of one process exclude each other, those of several processes do not."""
