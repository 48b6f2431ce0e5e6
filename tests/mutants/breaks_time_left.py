"""Mutants that break T5 to T7."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from typing import Any

from fastadk_memory import MemoryEntry

from .catalogue import Reference, mutant
from .opened import Opened

# ------------------------------------------------------------------- T5: ttl rounds up


class Told(Opened):
    """A backend that tells otherwise how long a key has left."""

    @abstractmethod
    def told(self, left: float) -> Any: ...

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        record = self.raw(key)
        if left is None or record is None or record.expires_at is None:
            return left
        return self.told(record.expires_at - self._clock())


@mutant("T5")
class RoundsDown(Told):
    """Rounds down: 0 for a live key, as `TTL` of Redis does."""

    def told(self, left: float) -> Any:
        return int(left)


@mutant("T5")
class RoundsHalf(Told):
    """Rounds to the nearest second, but never to 0."""

    def told(self, left: float) -> Any:
        return max(1, round(left))


@mutant("T5")
class OneMore(Told):
    """Rounds down and adds one: a whole second is one too many."""

    def told(self, left: float) -> Any:
        return int(left) + 1


@mutant("T5")
class TellsAFloat(Told):
    """Rounds up, to a float."""

    def told(self, left: float) -> Any:
        return float(math.ceil(round(left, 6)))


@mutant("T5")
class TellsTheLastSecondAsABool(Told):
    """The last second is `True`."""

    def told(self, left: float) -> Any:
        return math.ceil(round(left, 6)) if left > 1 else left > 0


@mutant("T5")
class ZeroAtTheLast(Told):
    """Rounds to hundredths first: 0 in the last 5 ms."""

    def told(self, left: float) -> Any:
        return math.ceil(round(left, 2))


@mutant("T5")
class CutsTo32Bits(Told):
    """No number is greater than 2,147,483: it counts milliseconds in 31 bits."""

    def told(self, left: float) -> Any:
        return min(math.ceil(round(left, 6)), 2_147_483)


@mutant("T5")
class MinusOneForEver(Reference):
    """`ttl` is -1 without an expiry, as Redis answers."""

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        return -1 if left is None and await self.exists(key) else left


@mutant("T5")
class MinusTwoWhenAbsent(Reference):
    """`ttl` is -2 where a key has been deleted, as Redis answers."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.deleted: set[str] = set()

    async def delete(self, key: str) -> None:
        await super().delete(key)
        self.deleted.add(key)

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        return -2 if left is None and key in self.deleted else left


@mutant("T5")
class ZeroWhenExpired(Opened):
    """`ttl` is 0 once the key has expired."""

    async def ttl(self, key: str) -> int | None:
        return 0 if self.expired(key) else await super().ttl(key)


@mutant("T5")
class NoneHasNoTtl(Opened):
    """`ttl` reads first, and takes a stored `None` for an absent key."""

    async def ttl(self, key: str) -> int | None:
        return None if await self.get(key) is None else await super().ttl(key)


@mutant("T5")
class TellsTheWholeTtl(Opened):
    """`ttl` tells how long an entry was to live when it was stored."""

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        record = self.raw(key)
        if left is None or record is None or record.expires_at is None:
            return left
        return math.ceil(round(record.expires_at - record.created_at, 6))


# --------------------------------------------------------- T6: reading does not extend


class Extending(Opened):
    """A backend that can give an entry its whole time again."""

    def extend(self, key: str) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        if record is not None and record.expires_at is not None:
            begin = getattr(self, "begun", {}).get(key, record.created_at)
            whole = record.expires_at - begin
            self.begun = {**getattr(self, "begun", {}), key: self._clock()}
            self.move(key, self._clock() + whole)

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        getattr(self, "begun", {}).pop(key, None)
        await super().set(key, value, ttl)


@mutant("T6")
class SlidingGet(Extending):
    """`get` gives the entry its time again."""

    async def get(self, key: str) -> Any:
        self.extend(key)
        return await super().get(key)


@mutant("T6")
class ExistsRefreshesLate(Extending):
    """`exists` refreshes an entry in the second half of its life."""

    async def exists(self, key: str) -> bool:
        record = self.raw(key) if isinstance(key, str) else None
        if record is not None and self.half_over(record):
            self.extend(key)
        return await super().exists(key)


@mutant("T6")
class BulkSlides(Extending):
    """`get_many` gives the second and all later keys their time again: GETEX in a pipeline."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        wanted = list(keys)
        for key in wanted[1:]:
            self.extend(key)
        return await super().get_many(wanted)


@mutant("T6")
class HealthKeepsAlive(Extending):
    """`health_check` touches an entry, to see whether writing works."""

    async def health_check(self) -> bool:
        for key in list(self.store.ours())[:1]:
            self.extend(key)
        return await super().health_check()


@mutant("T6")
class ScanSlides(Extending):
    """`scan` gives each key that it yields its time again, in a store of one page."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        async for key in super()._scan_open(pattern):
            if pattern != "*":
                self.extend(key)
            yield key


@mutant("T6")
class EntryIsRewritten(Opened):
    """`get_entry` notes the access in the entry, and writes it back with what `ttl` says."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        left = await self.ttl(key)
        if left is not None:
            self.move(key, self._clock() + left)
        return await super().get_entry(key)


@mutant("T6")
class KeysPersist(Opened):
    """Listing the keys lifts their expiry once they are half over."""

    async def keys(self, pattern: str = "*") -> list[str]:
        found = await super().keys(pattern)
        for key in found:
            record = self.raw(key)
            if record is not None and self.half_over(record):
                self.move(key, None)
        return found


@mutant("T6")
class AskingSlides(Extending):
    """`ttl` starts the time anew."""

    async def ttl(self, key: str) -> int | None:
        self.extend(key)
        return await super().ttl(key)


@mutant("T6")
class BurnsAfterReading(Opened):
    """A `get` brings the end of the entry nearer by a hundredth."""

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        record = self.raw(key) if isinstance(key, str) else None
        if value is not None and record is not None and record.expires_at is not None:
            self.move(key, record.expires_at - (record.expires_at - record.created_at) / 100)
        return value


@mutant("T6")
class NeighboursSlide(Extending):
    """Reading a key extends those whose names it begins with: the path to it."""

    async def get(self, key: str) -> Any:
        for other in list(self.store.ours()):
            if isinstance(key, str) and key != other and key.startswith(other):
                self.extend(other)
        return await super().get(key)


@mutant("T6")
class LargeValuesSlide(Extending):
    """A value of over 8 KiB is kept in another place, where reading counts as use."""

    async def get(self, key: str) -> Any:
        record = self.raw(key) if isinstance(key, str) else None
        if record is not None and len(record.value) > 8_192:
            self.extend(key)
        return await super().get(key)


@mutant("T6")
class EntriesWithMetadataSlide(Extending):
    """`get_entry` extends what `set_entry` has stored."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        record = self.raw(key) if isinstance(key, str) else None
        if record is not None and record.metadata:
            self.extend(key)
        return await super().get_entry(key)


# -------------------------------------------------------------- T7: space comes back


@mutant("T7")
class NeverSweeps(Reference):
    """What expires stays in the store for good."""

    async def _sweep(self, more: int = 0) -> None:
        return


@mutant("T7")
class SweepsWhatIsRead(Opened):
    """An expired entry is removed when somebody reads it, and not before."""

    async def _sweep(self, more: int = 0) -> None:
        return

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        if self.expired(key):
            await self.delete(key)
        return value


@mutant("T7")
class StopsAtTheFirstAlive(Opened):
    """Sweeps in the order of storing, and stops at the first entry that is still alive."""

    async def _sweep(self, more: int = 0) -> None:
        for key in list(self.store.ours()):
            record = self.raw(key)
            if record is not None and record.expires_at is not None:
                if record.alive(self._clock()):
                    return
                await self.delete_record(key)


@mutant("T7")
class BulkIsNotNoted(Reference):
    """`set_many` does not tell the sweeper of what it stores."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        await super().set_many(items, ttl)
        for key in items:
            self._note_expiry(key, None)


@mutant("T7")
class TouchIsNotNoted(Reference):
    """The sweeper knows an expiry that `touch` has changed as it was before."""

    async def touch(self, key: str, ttl: Any) -> bool:
        touched = await super().touch(key, ttl)
        self._note_expiry(key, self._clock() + 360_000)
        return touched


@mutant("T7")
class OldNotesStay(Opened):
    """What is set anew keeps its place in the sweeper's queue, if that place is later."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        await super().set(key, value, ttl)
        now = self.raw(key)
        if record is not None and now is not None and record.expires_at and now.expires_at:
            self._note_expiry(key, max(record.expires_at, now.expires_at))


@mutant("T7")
class SweepsItsOwn(Reference):
    """Sweeps only what this object has stored, and nothing from before the restart."""

    async def _start(self) -> None:
        await self.open_store()


@mutant("T7")
class RemembersVersions(Opened):
    """Keeps the last version of each key for ever, so that none repeats."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.versions: dict[str, bytes] = {}

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.versions[key] = record[:32]


@mutant("T7")
class SweepsWithASample(Opened):
    """Sweeps while at least a quarter of all entries have expired, as Redis's sampling does."""

    async def _sweep(self, more: int = 0) -> None:
        expired = [key for key in self.store.ours() if self.expired(key)]
        if len(expired) > 40:
            await super()._sweep(more)


@mutant("T7")
class FirstHundredOnly(Reference):
    """The sweeper's queue has a hundred places; what does not fit is never swept."""

    def _note_expiry(self, key: str, expires_at: float | None) -> None:
        if expires_at is not None and len(self._expiries) > 100:
            self._expiries.drop(key)
            return
        super()._note_expiry(key, expires_at)


@mutant("T7")
class LeavesTheValue(Opened):
    """Sweeping removes the row, and leaves the large value in its own place."""

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        done = await super().swap_record(key, old, new)
        if done and new is None and old is not None:
            self.store.records[f"blobs/{key}"] = old
        return done
