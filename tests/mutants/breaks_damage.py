"""Mutants that break E3."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastadk_memory import (
    ABSENT,
    CorruptEntryError,
    MemoryBackend,
    MemoryEntry,
    NamespacedBackend,
    Ttl,
)
from fastadk_memory.envelope import unpack

from .catalogue import mutant
from .reference import PREFIX, Reference


def whole(key: str, data: bytes) -> bool:
    try:
        unpack(data, key=key)
    except CorruptEntryError:
        return False
    return True


@mutant("E3")
class DamagedReadsAsNone(Reference):
    """`get` answers None to a damaged entry, as to an absent one."""

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except CorruptEntryError:
            return None


@mutant("E3")
class DamagedIsLeftOutOfABatch(Reference):
    """`get_many` leaves a damaged entry out, and returns the others."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in keys:
            try:
                found |= await super().get_many([key])
            except CorruptEntryError:
                continue
        return found


@mutant("E3")
class DamageIsADriverError(Reference):
    """`get_entry` of a damaged entry raises what the decoder raises."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        try:
            return await super().get_entry(key)
        except CorruptEntryError as error:
            raise ValueError("invalid MessagePack") from error


@mutant("E3")
class LongKeysAreHashedInErrors(Reference):
    """The error of a key over 200 bytes names the file it is stored in."""

    async def read_record(self, key: str) -> bytes | None:
        found = await super().read_record(key)
        if found is not None and len(key.encode()) > 200 and not whole(key, found):
            raise CorruptEntryError("damaged", key=f"{hash(key):x}")
        return found


@mutant("E3")
class ListingStopsAtDamage(Reference):
    """`keys` ends with the first damaged entry, in whatever order they come."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for key, data in super().list_records(prefix):
            if not whole(key, data):
                raise CorruptEntryError(f"the entry {key!r} is damaged", key=key)
            yield key, data


@mutant("E3")
class DamagedIsNotListed(Reference):
    """`keys` and `scan` leave damaged entries out, so that nobody finds them."""

    def _peek_alive(self, key: str, data: bytes) -> bool:
        return whole(key, data) and super()._peek_alive(key, data)


@mutant("E3")
class DamagedDoesNotExist(Reference):
    """`exists` of a damaged entry is False."""

    async def exists(self, key: str) -> bool:
        try:
            return await super().exists(key)
        except CorruptEntryError:
            return False


@mutant("E3")
class SettingReadsFirst(Reference):
    """`set_entry` reads the old entry to keep its creation time, and so cannot mend it."""

    async def set_entry(self, key: str, value: Any, ttl: Ttl | None = None, **rest: Any) -> Any:
        await self.get_entry(key)
        return await super().set_entry(key, value, ttl, **rest)


@mutant("E3")
class DamageCannotBeDeleted(Reference):
    """`delete` looks at the entry's expiry first, and fails."""

    async def delete(self, key: str) -> None:
        await self.exists(key)
        await super().delete(key)


@mutant("E3")
class ClearingLeavesDamage(Reference):
    """`clear` removes what it can read."""

    async def clear(self) -> None:
        async with self._life:
            for key in [key async for key, data in self.list_records("") if whole(key, data)]:
                await self._forget(key)


@mutant("E3")
class DamagedCountsAsAbsentForCas(Reference):
    """`compare_and_set` with ABSENT overwrites a damaged entry."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Any, ttl: Ttl | None = None
    ) -> str:
        data = self.store.records.get(PREFIX + str(key))
        if expect is ABSENT and data is not None and not whole(key, data):
            await self.delete(key)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("E3")
class TouchMissesDamage(Reference):
    """`touch` of a damaged entry is False, as of an absent one."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        try:
            return await super().touch(key, ttl)
        except CorruptEntryError:
            return False


@mutant("E3")
class DamageKeepsItFromOpening(Reference):
    """A store with a damaged entry cannot be opened: the index cannot be built."""

    async def open_store(self) -> None:
        await super().open_store()
        for key in self.store.ours():
            unpack(self.store.records[PREFIX + key], key=key)


class RawView(NamespacedBackend):
    async def get(self, key: str) -> Any:
        async with self._life:
            return await self.inner.get(self._full(key))


@mutant("E3")
class ViewNamesTheFullKey(Reference):
    """In a namespace the error names the key of the store, not that of the namespace."""

    def namespace(self, name: str) -> MemoryBackend:
        return RawView(self, name)


@mutant("E3")
class DamageSpreads(Reference):
    """After a damaged entry was met, every later read of another key reports it again."""

    met: str | None = None

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except CorruptEntryError:
            self.met = key
            raise

    async def exists(self, key: str) -> bool:
        if any(not whole(name, self.store.records[PREFIX + name]) for name in self.store.ours()):
            raise CorruptEntryError("some entry is damaged", key="a")
        return await super().exists(key)


@mutant("E3")
class DamageIsRepairedByReading(Reference):
    """Reading a damaged entry removes it, so that the second reader finds it absent."""

    async def read_record(self, key: str) -> bytes | None:
        found = await super().read_record(key)
        if found is not None and not whole(key, found):
            self.store.records.pop(PREFIX + key, None)
        return found


@mutant("E3")
class SweepingTripsOverDamage(Reference):
    """Clearing expired entries away fails at a damaged one, and the write that did it too."""

    async def _expire(self, key: str, now: float) -> None:
        data = self.store.records.get(PREFIX + key)
        if data is not None and not whole(key, data):
            raise RuntimeError("invalid record")
        await super()._expire(key, now)
