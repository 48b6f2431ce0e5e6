"""Mutants that break C1 to C4."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, ClassVar
from weakref import WeakSet

from fastadk_memory import BackendUnavailableError, MemoryBackend, NamespacedBackend
from fastadk_memory.envelope import VERSION_BYTES, Record, pack, unpack
from fastadk_memory.keys import check_key, check_pattern

from .catalogue import Reference, mutant
from .reference import PREFIX, Store


class Remembering(Reference):
    """Has a few things in which mutants remember what they should not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.noted: set[str] = set()
        self.kept: dict[str, Any] = {}


# ------------------------------------------------------------------------------------- C1


@mutant("C1")
class ClearIsFlushAll(Reference):
    """`clear` empties the whole server, what other programs keep there included."""

    async def clear(self):
        await super().clear()
        self.store.records.clear()


@mutant("C1")
class ClearForgetsTheSlash(Reference):
    """`clear` removes whatever begins with our prefix without its slash."""

    async def clear(self):
        await super().clear()
        for name in list(self.store.records):
            if name.startswith(PREFIX.removesuffix("/")):
                del self.store.records[name]


@mutant("C1")
class StarIsFlushAll(Reference):
    """`clear_pattern("*")` empties the whole server."""

    async def clear_pattern(self, pattern):
        await super().clear_pattern(pattern)
        if pattern == "*":
            self.store.records.clear()


@mutant("C1")
class DeleteTakesTheirs(Reference):
    """`delete` removes the key without our prefix as well."""

    async def delete(self, key):
        await super().delete(key)
        self.store.records.pop(key, None)


@mutant("C1")
class OthersAreListed(Reference):
    """What others keep under a similar prefix is listed among our keys."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for found in super().list_records(prefix):
            yield found
        if "ours.bak/a" in self.store.records and prefix == "":
            yield ".bak/a", b""


@mutant("C1")
class ClearStopsAfterAPage(Reference):
    """`clear` removes the first thousand entries."""

    async def clear(self):
        for key in (await self.keys())[:1000]:
            await self.delete(key)


@mutant("C1")
class ClearLeavesExpiring(Reference):
    """`clear` leaves entries with an expiry to their expiry."""

    async def clear(self):
        for key in await self.keys():
            if await self.ttl(key) is None:
                await self.delete(key)


@mutant("C1")
class ClearLeavesNamespaces(Reference):
    """`clear` of the store leaves what its nested namespaces hold."""

    async def clear(self):
        for key in await self.keys():
            if "/" not in key.split(":")[0] or ":" not in key:
                await self.delete(key)


@mutant("C1")
class ClearIsOfThisClient(Remembering):
    """`clear` removes what this object has written, as it keeps a list of it."""

    async def write_record(self, key, record):
        self.noted.add(key)
        await super().write_record(key, record)

    async def clear(self):
        await self.open()
        for key in self.noted:
            await super().delete(key)


@mutant("C1")
class ClearIsForgottenOnDisk(Remembering):
    """`clear` hides what there is from this object; who opens the store anew has it again."""

    async def clear(self):
        await self.open()
        self.kept |= dict(self.store.records)

    async def read_record(self, key):
        record = await super().read_record(key)
        return None if record == self.kept.get(PREFIX + key) else record

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for key, record in super().list_records(prefix):
            if record != self.kept.get(PREFIX + key):
                yield key, record


@mutant("C1")
class NamespaceClearsWhatIsInside(Reference):
    """`clear` of a namespace removes the namespaces inside of it, too."""

    def namespace(self, name: str) -> MemoryBackend:
        class View(NamespacedBackend):
            async def clear(self):
                await super().clear()
                await self.inner.clear_pattern(f"{self.path}/*")

        return View(self, name)


@mutant("C1")
class ClearReachesOtherStores(Reference):
    """`clear` removes the same keys from every store that this process has open."""

    all: ClassVar[WeakSet[Store]] = WeakSet()

    def __init__(self, store: Store, *args: Any, **kwargs: Any) -> None:
        super().__init__(store, *args, **kwargs)
        self.all.add(store)

    async def clear(self):
        gone = [PREFIX + key for key in await self.keys()]
        await super().clear()
        for store in self.all:
            for name in gone:
                store.records.pop(name, None)


@mutant("C1")
class ClearLeavesEntriesBehind(Remembering):
    """After `clear`, `get_entry` still finds what it had cached."""

    async def get_entry(self, key):
        found = await super().get_entry(key)
        if found is not None:
            self.kept[key] = found
        return found or self.kept.get(key)

    async def set_entry(self, key, value, ttl=None, *, metadata):
        self.kept[key] = await super().set_entry(key, value, ttl, metadata=metadata)
        return self.kept[key]

    async def delete(self, key):
        await super().delete(key)
        self.kept.pop(key, None)


# ------------------------------------------------------------------------------------- C2


@mutant("C2")
class ClearingStopsAtAThousand(Reference):
    """`clear_pattern` removes a thousand entries at the most."""

    async def clear_pattern(self, pattern):
        for key in (await self.keys(pattern))[:1000]:
            await self.delete(key)


@mutant("C2")
class ClearingSkipsByOffset(Reference):
    """`clear_pattern` goes by pages of 500 and an offset, while what it removes moves the rest."""

    async def clear_pattern(self, pattern):
        offset = 0
        while found := (await self.keys(pattern))[offset : offset + 500]:
            await self.delete_many(found)
            offset += 500


@mutant("C2")
class NoWildcardIsAPart(Reference):
    """A pattern without wildcards removes every key that holds it."""

    async def clear_pattern(self, pattern):
        plain = re.search(r"[*?\[]", check_pattern(pattern)) is None
        await super().clear_pattern(f"*{pattern}*" if plain and pattern else pattern)


@mutant("C2")
class WhatFollowsTheStarIsIgnored(Reference):
    """`clear_pattern` looks at no more than what stands before the first `*`."""

    async def clear_pattern(self, pattern):
        await super().clear_pattern(re.sub(r"\*.*", "*", check_pattern(pattern), flags=re.DOTALL))


@mutant("C2")
class NegationIsIgnored(Reference):
    """`clear_pattern` takes `[!a]` for any character."""

    async def clear_pattern(self, pattern):
        await super().clear_pattern(re.sub(r"\[!([^]])\]", "?", check_pattern(pattern)))


@mutant("C2")
class ClearingIgnoresCase(Reference):
    """`clear_pattern` does not tell capital letters from small ones, beyond ASCII."""

    async def clear_pattern(self, pattern):
        folded = check_pattern(pattern).casefold()
        for key in await self.keys():
            like = not key.isascii() and fnmatchcase(key.casefold(), folded)
            if like or fnmatchcase(key, pattern):
                await self.delete(key)


@mutant("C2")
class DescribedEntriesStay(Reference):
    """`clear_pattern` passes over entries with metadata."""

    async def clear_pattern(self, pattern):
        for key in await self.keys(pattern):
            entry = await self.get_entry(key)
            if entry is not None and not entry.metadata:
                await self.delete(key)


@mutant("C2")
class TheRestIsWrittenAnew(Reference):
    """`clear_pattern` rewrites what stays, which then has other versions."""

    async def clear_pattern(self, pattern):
        await super().clear_pattern(pattern)
        for key in await self.keys():
            value, left = await self.get(key), await self.ttl(key)
            entry = await self.get_entry(key)
            await self.set_entry(key, value, left, metadata=entry.metadata if entry else {})


@mutant("C2")
class TheRestLastsForEver(Reference):
    """`clear_pattern` lifts the expiry of what stays."""

    async def clear_pattern(self, pattern):
        await super().clear_pattern(pattern)
        for key in await self.keys():
            await self.touch(key, None)


@mutant("C2")
class ClearingTellsHowMany(Reference):
    """`clear_pattern` returns how many entries it has removed."""

    async def clear_pattern(self, pattern):
        return await self.delete_many(await self.keys(pattern))


@mutant("C2")
class ClearedValuesAreCached(Remembering):
    """`get` answers from a cache that `clear_pattern` with a wildcard in front does not touch."""

    async def set(self, key, value, ttl=None):
        await super().set(key, value, ttl)
        self.kept.pop(key, None)
        if ttl is None:
            self.kept[key] = await super().get(key)

    async def get(self, key):
        if isinstance(key, str) and key in self.kept and not self._life.closed:
            return self.kept[key]
        return await super().get(key)

    async def clear_pattern(self, pattern):
        gone = [] if check_pattern(pattern)[:1] in ("*", "?", "[") else await self.keys(pattern)
        await super().clear_pattern(pattern)
        for key in gone:
            self.kept.pop(key, None)


@mutant("C2")
class NamespaceClearsRawKeys(Reference):
    """In a namespace `clear_pattern` matches keys with the name before them."""

    def namespace(self, name: str) -> MemoryBackend:
        class View(NamespacedBackend):
            async def clear_pattern(self, pattern):
                await super().clear_pattern(pattern)
                for key in await self.keys():
                    if fnmatchcase(self._full(key), pattern):
                        await self.delete(key)

        return View(self, name)


# ------------------------------------------------------------------------------------- C3


@mutant("C3")
class ClearCloses(Reference):
    """`clear` of a store that holds something closes it."""

    async def clear(self):
        there = await self.keys()
        await super().clear()
        if there:
            await self.aclose()


@mutant("C3")
class TimersSurvive(Remembering):
    """A timer removes a key when its time has come; `clear` does not stop the timers."""

    async def write_record(self, key, record):
        await self.ring()
        expires_at = unpack(record, key=key).expires_at
        if expires_at is not None:
            self.kept[key] = expires_at
        elif await self.read_record(key) is not None:
            self.kept.pop(key, None)
        await super().write_record(key, record)

    async def ring(self) -> None:
        due = [key for key, at in self.kept.items() if at <= self._clock()]
        for key in due:
            del self.kept[key]
            await self.delete_record(key)


@mutant("C3")
class TombstonesHideBulk(Remembering):
    """What `clear_pattern` removed stays hidden when it is set by `set_many`."""

    async def clear_pattern(self, pattern):
        self.noted |= set(await self.keys(pattern))
        await super().clear_pattern(pattern)

    async def set(self, key, value, ttl=None):
        await super().set(key, value, ttl)
        self.noted.discard(key)

    async def read_record(self, key):
        return None if key in self.noted else await super().read_record(key)


@mutant("C3")
class VersionsBeginAgain(Remembering):
    """Versions are counted, and `clear` sets the counter back."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        self.kept["number"] = self.kept.get("number", 0) + 1
        version = self.kept["number"].to_bytes(VERSION_BYTES, "big")
        return replace(super()._new_record(value, ttl_ms, metadata), version=version)

    async def clear(self):
        await super().clear()
        self.kept.clear()


@mutant("C3")
class MetadataOutlives(Remembering):
    """Metadata is kept beside the entries, and `clear_pattern` does not clear it."""

    async def set_entry(self, key, value, ttl=None, *, metadata):
        entry = await super().set_entry(key, value, ttl, metadata=metadata)
        self.kept[key] = entry.metadata
        return entry

    async def set(self, key, value, ttl=None):
        if await self.exists(key):
            self.kept.pop(key, None)
        await super().set(key, value, ttl)

    async def delete(self, key):
        await super().delete(key)
        self.kept.pop(key, None)

    async def clear(self):
        await super().clear()
        self.kept.clear()

    async def get_entry(self, key):
        entry = await super().get_entry(key)
        return entry and replace(entry, metadata=self.kept.get(key, entry.metadata))


@mutant("C3")
class ClearingNothingFails(Reference):
    """`clear` of a store that was just cleared finds no folder."""

    async def clear(self):
        if "emptied" in self.store.records:
            raise BackendUnavailableError("the folder is gone")
        await super().clear()
        self.store.records["emptied"] = b""

    async def write_record(self, key, record):
        await super().write_record(key, record)
        self.store.records.pop("emptied", None)


@mutant("C3")
class ClearingGoesOn(Remembering):
    """`clear` hides all at once and lets a task remove what there was, by its keys."""

    async def clear(self):
        self.noted |= set(await self.keys())
        self.task = asyncio.ensure_future(self.remove(sorted(self.noted)))

    async def remove(self, keys: list[str]) -> None:
        for key in keys:
            await asyncio.sleep(0)
            self.store.records.pop(PREFIX + key, None)
        self.noted.clear()

    async def write_record(self, key, record):
        self.noted.discard(key)
        await super().write_record(key, record)

    async def read_record(self, key):
        return None if key in self.noted else await super().read_record(key)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for key, record in super().list_records(prefix):
            if key not in self.noted:
                yield key, record


@mutant("C3")
class ViewsEndWithClear(Remembering):
    """`clear` of the store leaves the namespaces that were taken before it without effect."""

    def namespace(self, name: str) -> MemoryBackend:
        born = self.kept.get("cleared", 0)
        store = self

        class View(NamespacedBackend):
            async def set(self, key, value, ttl=None):
                await super().set(key, value, ttl)
                if born != store.kept.get("cleared", 0):
                    await self.delete(key)

        return View(self, name)

    async def clear(self):
        await super().clear()
        self.kept["cleared"] = self.kept.get("cleared", 0) + 1


@mutant("C3")
class ExpiriesOutlive(Remembering):
    """Expiries are kept in a table, whose rows `clear_pattern` leaves for whoever comes next."""

    async def clear_pattern(self, pattern):
        for key in await self.keys(pattern):
            entry = await self.get_entry(key)
            if entry is not None and entry.expires_at is not None:
                self.kept[key] = entry.expires_at.timestamp()
        await super().clear_pattern(pattern)

    async def write_record(self, key, record):
        taken = unpack(record, key=key)
        old = self.kept.pop(key, None)
        if old is not None and taken.expires_at is None:
            record = pack(replace(taken, expires_at=old))
        await super().write_record(key, record)


@mutant("C3")
class IndexIsLost(Remembering):
    """After `clear` the keys that were there before are not entered into the index again."""

    async def clear(self):
        self.noted |= set(await self.keys())
        await super().clear()

    async def keys(self, pattern="*"):
        return [key for key in await super().keys(pattern) if key not in self.noted]


# ------------------------------------------------------------------------------------- C4


@mutant("C4")
class DeleteRaisesWhenAbsent(Reference):
    """Deleting a key that is not there raises a KeyError."""

    async def delete(self, key: str) -> None:
        if not await self.exists(key):
            raise KeyError(key)
        await super().delete(key)


@mutant("C4")
class SecondDeleteOfANoneRaises(Reference):
    """Deleting raises when the key has been deleted before in this object's life."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.deleted: set[str] = set()

    async def delete(self, key: str) -> None:
        there = await self.exists(key)
        await super().delete(key)
        if not there and key in self.deleted:
            raise LookupError(key)
        self.deleted.add(key)


@mutant("C4")
class BulkDeleteNeedsOne(Reference):
    """`delete_many` raises where none of the keys is there."""

    async def delete_many(self, keys):
        number = await super().delete_many(keys)
        if not number:
            raise KeyError("none of the keys")
        return number


@mutant("C4")
class ClearingNothingRaises(Reference):
    """`clear_pattern` that matches nothing raises."""

    async def clear_pattern(self, pattern):
        if not await self.keys(pattern):
            raise BackendUnavailableError("no such file")
        await super().clear_pattern(pattern)


@mutant("C4")
class DeletingTheExpiredRaises(Reference):
    """Deleting raises where the entry is still stored, but has expired."""

    async def delete(self, key):
        expired = not await self.exists(key) and PREFIX + key in self.store.records
        await super().delete(key)
        if expired:
            raise KeyError(key)


@mutant("C4")
class DeletersRace(Reference):
    """Deleting looks whether the key is there, and raises if it is gone a moment later."""

    async def delete(self, key):
        if await self.exists(key):
            await asyncio.sleep(0)
            del self.store.records[PREFIX + key]
        await super().delete(key)


@mutant("C4")
class TheNearestIsDeleted(Reference):
    """Where the key is absent, the one that differs in its case only is deleted."""

    async def delete(self, key):
        check_key(key, self.max_key_bytes)
        if not await self.exists(key):
            for other in await self.keys():
                if other.lower() == key.lower():
                    await super().delete(other)
        await super().delete(key)


@mutant("C4")
class FoldersAreDeleted(Reference):
    """Deleting an absent key that ends in a colon deletes everything that begins with it."""

    async def delete(self, key):
        await super().delete(key)
        if key.endswith(":"):
            for other in await self.keys():
                if other.startswith(key):
                    await super().delete(other)


@mutant("C4")
class AbsentKeysAreCounted(Reference):
    """`delete_many` returns how many keys it was asked to delete."""

    async def delete_many(self, keys):
        wanted = list(keys)
        await super().delete_many(wanted)
        return len(set(wanted))
