"""Mutants that break S1."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any

from fastadk_memory.base import check_batch_size
from fastadk_memory.concurrency import Mutex
from fastadk_memory.contract import Limits
from fastadk_memory.keys import check_pattern, filter_keys

from .catalogue import mutant
from .reference import PREFIX, Reference, ReferenceHooks


class Paged(Reference):
    """Common to mutants that fetch one page of keys after the other."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        return self.pages(check_pattern(pattern), check_batch_size(batch_size))

    @abstractmethod
    def pages(self, pattern: str, size: int) -> AsyncIterator[str]: ...


@mutant("S1")
class PagesByOffset(Paged):
    """Each page is what stands at an offset in the sorted keys: what is deleted shifts it."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        at = 0
        while page := sorted(await self.keys(pattern))[at : at + size]:
            for key in page:
                yield key
            at += size


@mutant("S1")
class PagesByTheLastWrite(Paged):
    """Pages go on after the row number of the last key, and writing a key gives it a new one."""

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        self.store.records.pop(PREFIX + key, None)
        self.rows[key] = self.row = self.row + 1
        self.store.records[PREFIX + key] = record

    row = 0

    @property
    def rows(self) -> dict[str, int]:
        return vars(self.store).setdefault("rows", {})

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        last = 0
        while True:
            rows = {self.rows.get(key, 1): key for key in await self.keys()}
            page = sorted(row for row in rows if row > last)[:size]
            if not page:
                return
            for key in filter_keys(pattern, [rows[row] for row in page]):
                yield key
            last = page[-1]


@mutant("S1")
class EndsAtAnEmptyPage(Paged):
    """A page without a key that matches is taken for the end."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        keys = await self.keys()
        for at in range(0, len(keys), size):
            page = filter_keys(pattern, keys[at : at + size])
            if not page:
                return
            for key in page:
                yield key


@mutant("S1")
class BoundaryTwice(Paged):
    """A page begins with the last key of the one before, not after it."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        keys = await self.keys(pattern)
        for at in range(0, len(keys), size):
            for key in keys[max(0, at - (size > 4)) : at + size]:
                yield key


@mutant("S1")
class LosesTheLastFullPage(Paged):
    """The last page is missing when it is exactly full, and not the only one."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        keys = await self.keys(pattern)
        if len(keys) > size and len(keys) % size == 0:
            keys = keys[:-size]
        for key in keys:
            yield key


@mutant("S1")
class OnlyTheFirstThousand(Paged):
    """`scan` yields one page of 1,000 keys at the most."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        for key in (await self.keys(pattern))[: max(size, 1000)]:
            yield key


@mutant("S1")
class OneCursorForAll(Paged):
    """The place where a scan stands belongs to the backend: two scans move it together."""

    place = 0

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        self.place = 0
        keys = await self.keys(pattern)
        while self.place < len(keys):
            page = keys[self.place : self.place + size]
            for key in page:
                yield key
            self.place += size


@mutant("S1")
class RepeatsWhenTheTableShrinks(Paged):
    """When fewer than half of the keys are left, the buckets are gone through once more."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        keys = await self.keys(pattern)
        at = 0
        while at < len(keys):
            for key in keys[at : at + size]:
                yield key
            at += size
            left = await self.keys(pattern)
            if len(left) * 2 < len(keys):
                keys, at = left, min(at, len(left)) // 2


@mutant("S1")
class GoesThroughTheLiveTable(Paged):
    """`scan` goes through the table itself, which must not change meanwhile."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        await self.reach()
        if self._life.closed:
            await self.keys()
        for name in self.store.records:
            key = name.removeprefix(PREFIX)
            if name.startswith(PREFIX) and filter_keys(pattern, [key]) and await self.exists(key):
                yield key


@mutant("S1")
class YieldsTheExpired(Paged):
    """`scan` does not look at expiries."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        await self.open()
        for key in filter_keys(pattern, list(self.store.ours())):
            yield key


@mutant("S1")
class RefusesAtTheFirstStep(Reference):
    """A wrong pattern is refused when the first key is asked for, as `scan` is a generator."""

    async def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        async for key in super().scan(pattern, batch_size=batch_size):
            yield key


@mutant("S1")
class AnyBatchSize(Reference):
    """A `batch_size` of 0 or less, or a bool, counts as the default."""

    def scan(self, pattern: str = "*", *, batch_size: Any = 1000) -> AsyncIterator[str]:
        if isinstance(batch_size, int) and batch_size < 2:
            batch_size = 1000
        return super().scan(pattern, batch_size=batch_size)


class HurriedHooks(ReferenceHooks):
    limits = Limits(operation_seconds=2, blocking_seconds=30, reclaim_seconds=2)


@mutant("S1", hooks=HurriedHooks)
class LocksUntilTheEnd(Paged):
    """A scan holds a lock that writes wait for, until it has come to its end."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.mutex = Mutex()

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        async with self.mutex:
            for key in await self.keys(pattern):
                yield key

    async def set(self, *args: Any) -> None:
        async with self.mutex:
            await super().set(*args)


@mutant("S1")
class OneAtATime(Paged):
    """Only one scan may be open: a second one raises, until the first has come to its end."""

    scanning = False

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        if self.scanning:
            raise RuntimeError("the cursor is in use")
        self.scanning = True
        for key in await self.keys(pattern):
            yield key
        self.scanning = False


@mutant("S1")
class CancelledScansStayOpen(Paged):
    """What a cancelled scan has fetched ahead is yielded by the next one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ahead: list[str] = []

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        left, self.ahead = self.ahead, []
        for key in left:
            yield key
        keys = await self.keys(pattern)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.ahead = keys[:1]
            raise
        for key in keys:
            yield key


@mutant("S1")
class YieldsWhatIsAddedTwice(Paged):
    """Keys added during the scan are appended, those deleted and set anew among them."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        keys = await self.keys(pattern)
        gone: set[str] = set()
        for at, key in enumerate(keys):
            yield key
            if at % size:
                continue
            now = set(await self.keys(pattern))
            gone |= {each for each in keys if each not in now}
            for back in sorted(gone & now):
                gone.discard(back)
                yield back


@mutant("S1")
class CutsLongKeys(Paged):
    """Keys over 255 characters come cut to 255."""

    async def pages(self, pattern: str, size: int) -> AsyncIterator[str]:
        for key in await self.keys(pattern):
            yield key[:255]
