"""Mutants whose fault shows only in certain sequences of operations, whatever clause it breaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from fastadk_memory import ABSENT, MemoryEntry
from fastadk_memory.envelope import Record, pack, unpack

from .catalogue import Reference, mutant
from .reference import PREFIX


class Peeking(Reference):
    """A backend that looks at its records now and then."""

    def peek(self, key: str) -> Record | None:
        """Return the record under a key, live or expired."""
        data = self.store.records.get(PREFIX + key)
        return None if data is None else unpack(data, key=key)

    def poke(self, key: str, **changes: Any) -> None:
        """Change a record in its place."""
        record = self.peek(key)
        assert record is not None
        self.store.records[PREFIX + key] = pack(replace(record, **changes))

    def has_expired(self, key: str) -> bool:
        """Tell whether a record is still there though it has expired."""
        record = self.peek(key)
        return record is not None and not record.alive(self._clock())

    def is_live(self, key: str) -> bool:
        """Tell whether a key is there."""
        record = self.peek(key)
        return record is not None and record.alive(self._clock())


# --------------------------------------------------------------------- after clearing


@mutant("C3", anywhere=True)
class BatchesDoNotReviveTheCleared(Reference):
    """What `clear_pattern` removed gets a mark, which `set` takes away and `set_many` does not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.marked: set[str] = set()

    async def clear_pattern(self, pattern: str) -> None:
        self.marked |= set(await self.keys(pattern))
        await super().clear_pattern(pattern)

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        self.marked.discard(key)

    async def exists(self, key: str) -> bool:
        return await super().exists(key) and key not in self.marked


@mutant("C3", anywhere=True)
class TimersSurviveClear(Peeking):
    """The timers of keys that `touch` has given an expiry are not cancelled by `clear`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timers: dict[str, float] = {}

    async def touch(self, key: str, ttl: Any) -> bool:
        touched = await super().touch(key, ttl)
        record = self.peek(key)
        if touched and record is not None and record.expires_at is not None:
            self.timers[key] = record.expires_at
        return touched

    async def read_record(self, key: str) -> bytes | None:
        if self.timers.get(key, float("inf")) <= self._clock():
            del self.timers[key]
            await self.delete_record(key)
        return await super().read_record(key)

    async def write_record(self, key: str, record: bytes) -> None:
        if self.peek(key) is not None:
            self.timers.pop(key, None)
        await super().write_record(key, record)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        if old is not None:
            self.timers.pop(key, None)
        return await super().swap_record(key, old, new)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.timers.pop(key, None)

    async def clear(self) -> None:
        timers = dict(self.timers)
        await super().clear()
        self.timers = timers


# ------------------------------------------------------------------------------- bulk


@mutant("B1", anywhere=True)
class NearCacheOutlivesBatches(Reference):
    """`get` answers from a cache what it has read before; `delete_many` does not know of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.near: dict[str, Any] = {}

    async def get(self, key: str) -> Any:
        if await self.exists(key):
            self.near[key] = await super().get(key)
        return self.near.get(key)

    async def read_record(self, key: str) -> bytes | None:
        record = await super().read_record(key)
        if record is not None and not unpack(record, key=key).alive(self._clock()):
            self.near.pop(key, None)
        return record

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.near.pop(key, None)

    async def delete_many(self, keys: Iterable[str]) -> int:
        near = dict(self.near)
        count = await super().delete_many(keys)
        self.near = near
        return count


@mutant("B1", anywhere=True)
class BatchTakesOverAnExpiry(Peeking):
    """`set_many` without a TTL keeps the expiry that the first of its keys has."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        first = next(iter(items), "") if isinstance(items, dict) else ""
        record = self.peek(first) if isinstance(first, str) else None
        await super().set_many(items, ttl)
        if ttl is None and record is not None and record.alive(self._clock()):
            for key in items:
                self.poke(key, expires_at=record.expires_at)


@mutant("B1", anywhere=True)
class CountsTheExpiredAfterOverwriting(Peeking):
    """`delete_many` counts an expired entry as long as it has overwritten another one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.overwritten: set[str] = set()

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(key, str) and self.is_live(key):
            self.overwritten.add(key)
        await super().set(key, value, ttl)

    async def delete_many(self, keys: Iterable[str]) -> int:
        wanted = list(keys) if not isinstance(keys, str) else keys
        stale = {
            key
            for key in wanted
            if isinstance(key, str) and key in self.overwritten and self.has_expired(key)
        }
        return await super().delete_many(wanted) + len(stale)


# ----------------------------------------------------------------------------- expiry


@mutant("T4", anywhere=True)
class ExpiryIndexKeepsTheEarlier(Peeking):
    """The index of expiries keeps the earlier one when a key is overwritten with a longer TTL.

    Only the next write of any key goes through the index.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.due: dict[str, float] = {}

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        record = self.peek(key)
        if record is not None and record.expires_at is not None:
            self.due[key] = min(record.expires_at, self.due.get(key, record.expires_at))
        else:
            self.due.pop(key, None)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.due.pop(key, None)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        for key in [key for key, due in self.due.items() if due <= self._clock()]:
            await self.delete_record(key)
        async for found in super().list_records(prefix):
            yield found


@mutant("T4", anywhere=True)
class SetOverTheExpiredInheritsNothing(Peeking):
    """A `set` over an entry that has expired, and was not removed yet, is swept with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.to_sweep: set[str] = set()

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        dead = isinstance(key, str) and self.has_expired(key)
        await super().set(key, value, ttl)
        if dead and ttl is not None:
            self.to_sweep.add(key)

    async def _read(self, key: str) -> Record | None:
        record = await super()._read(key)
        if key in self.to_sweep and record is not None and record.created_at < self._clock():
            self.to_sweep.discard(key)
            await self.delete_record(key)
            return None
        return record


@mutant("T6", anywhere=True)
class LateReadsExtend(Peeking):
    """A `get` in the second half of the life of an overwritten entry starts that life anew."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.overwritten: set[str] = set()

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(key, str) and self.peek(key) is not None:
            self.overwritten.add(key)
        await super().set(key, value, ttl)

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        record = self.peek(key)
        if record is None or record.expires_at is None or key not in self.overwritten:
            return value
        life, left = record.expires_at - record.created_at, record.expires_at - self._clock()
        if 0 < left < life / 2:
            self.poke(key, expires_at=self._clock() + life)
        return value


# ------------------------------------------------------------------------------- touch


@mutant("M1", anywhere=True)
class LiftedExpiryStrikes(Peeking):
    """`touch(key, None)` lifts the expiry from the entry, but not from the list of the sweeper.

    The sweeper comes with the next clear_pattern.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.listed: dict[str, float] = {}

    async def touch(self, key: str, ttl: Any) -> bool:
        record = self.peek(key) if isinstance(key, str) else None
        touched = await super().touch(key, ttl)
        if touched and ttl is None and record is not None and record.expires_at is not None:
            self.listed[key] = record.expires_at
        return touched

    async def write_record(self, key: str, record: bytes) -> None:
        self.listed.pop(key, None)
        await super().write_record(key, record)

    async def keys(self, pattern: str = "*") -> list[str]:
        for key, due in list(self.listed.items()):
            if due <= self._clock():
                del self.listed[key]
                await self.delete_record(key)
        return await super().keys(pattern)


@mutant("M1", anywhere=True)
class SecondTouchDropsMetadata(Peeking):
    """`touch` of an entry that it has touched before loses the metadata."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.touched: dict[str, bytes] = {}

    async def touch(self, key: str, ttl: Any) -> bool:
        touched = await super().touch(key, ttl)
        record = self.peek(key) if touched else None
        if record is not None:
            if self.touched.get(key) == record.version:
                self.poke(key, metadata=b"")
            self.touched[key] = record.version
        return touched


@mutant("M1", anywhere=True)
class TouchRevivesTheOverwritten(Peeking):
    """`touch` brings an expired entry back if it was written more than once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.overwritten: set[str] = set()

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(key, str) and self.is_live(key):
            self.overwritten.add(key)
        await super().set(key, value, ttl)

    async def touch(self, key: str, ttl: Any) -> bool:
        stale = isinstance(key, str) and key in self.overwritten and self.has_expired(key)
        if stale:
            self.poke(key, expires_at=None)
        return await super().touch(key, ttl)


# --------------------------------------------------------------------------------- cas


@mutant("U1", anywhere=True)
class SwapIgnoresATouchedExpiry(Peeking):
    """`compare_and_set` takes an entry for live whose expiry came from `touch`, though it is over.

    So `expect=ABSENT` does not fit.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.touched: set[str] = set()

    async def touch(self, key: str, ttl: Any) -> bool:
        touched = await super().touch(key, ttl)
        if touched:
            self.touched.add(key)
        return touched

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.touched.discard(key)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.touched.discard(key)

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        if expect is ABSENT and key in self.touched and self.has_expired(key):
            record = self.peek(key)
            assert record is not None
            self.poke(key, expires_at=self._clock() + 1)
            try:
                return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
            finally:
                self.poke(key, expires_at=record.expires_at)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("U1", anywhere=True)
class VersionsRepeatAfterExpiry(Peeking):
    """Versions are counted in the entry, and begin anew once an entry has expired."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        record = super()._new_record(value, ttl_ms, metadata)
        return replace(record, version=self.next_version)

    next_version = bytes(8)

    async def _put(self, key: str, *args: Any, **kwargs: Any) -> Record:
        old = self.peek(key)
        if old is None:
            return await super()._put(key, *args, **kwargs)
        counts = int.from_bytes(old.version, "big") + 1 if self.is_live(key) else 1
        record = await super()._put(key, *args, **kwargs)
        if self.has_expired(key) or counts == 1:
            self.poke(key, version=(1).to_bytes(8, "big"))
        return replace(record, version=self.peek(key).version)  # type: ignore[union-attr]


# --------------------------------------------------------------------- values and entries


@mutant("V2", anywhere=True)
class PlainSetKeepsMetadata(Peeking):
    """A plain `set` over a live entry that was touched keeps the metadata of that entry."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.touched: set[str] = set()

    async def touch(self, key: str, ttl: Any) -> bool:
        touched = await super().touch(key, ttl)
        if touched:
            self.touched.add(key)
        return touched

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        old = self.peek(key) if isinstance(key, str) and key in self.touched else None
        await super().set(key, value, ttl)
        if old is not None:
            self.touched.discard(key)
            self.poke(key, metadata=old.metadata)


@mutant("V2", anywhere=True)
class CreatedOnlyOnce(Peeking):
    """`set_entry` over an entry that is live keeps the time at which that one was made."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        old = self.peek(key) if isinstance(key, str) and self.is_live(key) else None
        entry = await super().set_entry(key, value, ttl, **more)
        if old is not None:
            self.poke(key, created_at=old.created_at)
        return entry


@mutant("V2", anywhere=True)
class MetadataBesideTheEntry(Peeking):
    """Metadata is kept apart from the entries, and `delete` removes only the entry."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.apart: dict[str, bytes] = {}

    async def delete(self, key: str) -> None:
        old = self.peek(key) if isinstance(key, str) else None
        await super().delete(key)
        if old is not None and old.metadata:
            self.apart[key] = old.metadata

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        if key in self.apart:
            self.poke(key, metadata=self.apart.pop(key))


# ---------------------------------------------------------------------------- listings


@mutant("P1", anywhere=True)
class IndexForgetsWhatCameBack(Peeking):
    """A key that is set over its expired entry is missing in `keys` until the next write."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.missing = ""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        dead = isinstance(key, str) and self.has_expired(key)
        await super().set(key, value, ttl)
        self.missing = key if dead else ""

    async def keys(self, pattern: str = "*") -> list[str]:
        return [key for key in await super().keys(pattern) if key != self.missing]

    async def clear_pattern(self, pattern: str) -> None:
        self.missing = ""
        await super().clear_pattern(pattern)


@mutant("S1", anywhere=True)
class ScanSkipsTheReborn(Reference):
    """`scan` goes by an index in which a deleted key stays deleted until it was set twice."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deleted: dict[str, int] = {}

    async def delete(self, key: str) -> None:
        there = await self.exists(key)
        await super().delete(key)
        if there:
            self.deleted[key] = 2

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        self.deleted[key] = self.deleted.get(key, 1) - 1

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        for key in await self.keys(pattern):
            if self.deleted.get(key, 0) <= 0:
                yield key


@mutant("C2", anywhere=True)
class ClearPatternMissesTheTouched(Reference):
    """`clear_pattern` goes by an order of expiry from which `touch(key, None)` removes the key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lifted: set[str] = set()

    async def touch(self, key: str, ttl: Any) -> bool:
        touched = await super().touch(key, ttl)
        if touched:
            (self.lifted.add if ttl is None else self.lifted.discard)(key)
        return touched

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        if unpack(record, key=key).expires_at is not None:
            self.lifted.discard(key)

    async def clear_pattern(self, pattern: str) -> None:
        kept = {
            key: self.store.records[PREFIX + key]
            for key in await self.keys(pattern)
            if key in self.lifted
        }
        await super().clear_pattern(pattern)
        self.store.records |= {PREFIX + key: record for key, record in kept.items()}


@mutant("X1", anywhere=True)
class ClientsKeepWhatTheyRead(Reference):
    """`get` keeps what it read without an expiry until this client itself writes the key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.near: dict[str, bytes] = {}

    async def _read(self, key: str) -> Record | None:
        if key in self.near:
            return unpack(self.near[key], key=key)
        record = await super()._read(key)
        if record is not None and record.expires_at is None and not record.metadata:
            self.near[key] = pack(record)
        return record

    async def write_record(self, key: str, record: bytes) -> None:
        self.near.pop(key, None)
        await super().write_record(key, record)
        self.near.pop(key, None)

    async def delete_record(self, key: str) -> None:
        self.near.pop(key, None)
        await super().delete_record(key)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.near.pop(key, None)
        return await super().swap_record(key, old, new)
