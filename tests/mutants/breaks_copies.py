"""Mutants that break V4 and V5: values that are shared, and values that should be refused."""

from __future__ import annotations

import copy
import datetime
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from fastadk_memory import MemoryEntry, UnsupportedValueError

from .catalogue import Reference, mutant

# ------------------------------------------------------------------ V4: values are copies


class Sharing(Reference):
    """Keeps objects beside the records, and can hand them out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.objects: dict[str, Any] = {}

    async def write_record(self, key: str, record: bytes) -> None:
        self.objects.pop(key, None)
        await super().write_record(key, record)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.objects.pop(key, None)
        return await super().swap_record(key, old, new)

    async def delete_record(self, key: str) -> None:
        self.objects.pop(key, None)
        await super().delete_record(key)


@mutant("V4")
class KeepsTheCallersObject(Sharing):
    """`set` puts the caller's own object into a cache, from which `get` answers with copies."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        self.objects[key] = value

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return copy.deepcopy(self.objects[key]) if key in self.objects and value else value


@mutant("V4")
class CopiesTheSurface(Sharing):
    """Copies a value when it is set, but not the lists and dicts inside of it."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        self.objects[key] = copy.copy(value)

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        if value and isinstance(self.objects.get(key), list):
            return copy.deepcopy(self.objects[key])
        return value


@mutant("V4")
class CachesWhatItRead(Sharing):
    """Hands every reader the object that it decoded for the first one."""

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        if value is not None and key not in self.objects:
            self.objects[key] = value
        return self.objects.get(key)


@mutant("V4")
class SharesWithinABatch(Reference):
    """`get_many` hands out one object for all equal values that it ever read."""

    seen: dict[str, Any]

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        self.seen = getattr(self, "seen", {})
        found = await super().get_many(keys)
        return {key: self.seen.setdefault(repr(value), value) for key, value in found.items()}


@mutant("V4")
class LargeOnesAreNotCopied(Sharing):
    """Saves the copying where a value is large."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        await super().set_many(items, ttl)
        self.objects.update({k: v for k, v in dict(items).items() if len(repr(v)) > 1_000})

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return copy.deepcopy(self.objects.get(key, value))


@mutant("V4")
class TuplesNeedNoCopy(Sharing):
    """Takes a tuple for immutable, whatever stands in it."""

    async def compare_and_set(self, key: str, value: Any, **more: Any) -> str:
        version = await super().compare_and_set(key, value, **more)
        if isinstance(value, tuple):
            self.objects[key] = value
        return version

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return copy.deepcopy(list(self.objects[key])) if key in self.objects else value


@mutant("V4")
class QueuesWhatItWasGiven(Sharing):
    """Writes behind: what is read before the write is done is encoded from the caller's object."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        there = await self.exists(key)
        await super().set(key, value, ttl)
        if there:  # a new key is written at once
            self.objects[key] = value

    async def get(self, key: str) -> Any:
        if key in self.objects:
            await super().set(key, self.objects.pop(key))
        return await super().get(key)


@mutant("V4")
class SharesMetadata(Sharing):
    """`set_entry` keeps the caller's metadata."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        self.objects[key] = more["metadata"]
        return entry

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        if entry is None or key not in self.objects:
            return entry
        metadata = {
            name: self.objects[key].get(name) if isinstance(part, list) else part
            for name, part in entry.metadata.items()
        }
        return replace(entry, metadata=copy.deepcopy(metadata))


@mutant("V4")
class ReturnsWhatItStores(Sharing):
    """The entry that `set_entry` returns is the one that the store keeps."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        self.objects[key] = entry.value
        return entry

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return copy.deepcopy(self.objects.get(key, value))


@mutant("V4")
class ReturnsWhatItWasGiven(Reference):
    """The entry that `set_entry` returns holds the caller's own metadata."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        same = entry.metadata == more["metadata"]
        return replace(entry, metadata=more["metadata"]) if same else entry


@mutant("V4")
class KeepsTheMapping(Sharing):
    """`set_many` keeps the mapping itself, and reads from it later."""

    batch: dict[str, Any]

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        await super().set_many(items, ttl)
        self.batch = items

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        batch = getattr(self, "batch", {})
        return {key: copy.deepcopy(batch.get(key)) for key in found}


@mutant("V4")
class HandsOutItsIndex(Reference):
    """`keys` without a pattern returns the very list that it answers from next time."""

    index: list[str]

    async def keys(self, pattern: str = "*") -> list[str]:
        listed = await super().keys(pattern)
        if pattern != "*":
            return listed
        if len(listed) != getattr(self, "size", -1):
            self.index, self.size = listed, len(listed)
        return self.index


# ----------------------------------------------- V5: what cannot be stored is refused whole


class Converting(Reference):
    """Turns what it does not know into something else before it stores it."""

    def converted(self, value: Any, level: int = 0) -> Any:
        if level > 100:
            return value
        if type(value) is list:
            return [self.converted(part, level + 1) for part in value]
        if type(value) is tuple:
            return tuple(self.converted(part, level + 1) for part in value)
        if type(value) is dict:
            return {
                self.named(name): self.converted(part, level + 1) for name, part in value.items()
            }
        return self.plain(value)

    def named(self, name: Any) -> Any:
        return name

    def plain(self, value: Any) -> Any:
        return value

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, self.converted(value), ttl)


@mutant("V5")
class DatesBecomeText(Converting):
    """Writes dates as text, as `default=str` does."""

    def plain(self, value: Any) -> Any:
        return str(value) if isinstance(value, (datetime.date, Decimal)) else value


@mutant("V5")
class SetsBecomeLists(Converting):
    """Writes sets as lists."""

    def plain(self, value: Any) -> Any:
        return sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value


@mutant("V5")
class NamesBecomeText(Converting):
    """Writes the keys of dicts as text, as JSON does: 1 comes back as "1"."""

    def named(self, name: Any) -> Any:
        return str(name) if isinstance(name, (int, float)) else name


@mutant("V5")
class ObjectsBecomeDicts(Converting):
    """Writes the fields of dataclasses, and the values of enums."""

    def plain(self, value: Any) -> Any:
        if is_dataclass(value) and not isinstance(value, type):
            return asdict(value)
        known = isinstance(value, Enum) and not isinstance(value, (str, int))
        return value.value if known else value


@mutant("V5")
class BuffersBecomeBytes(Converting):
    """Writes bytearrays as bytes."""

    def plain(self, value: Any) -> Any:
        return bytes(value) if isinstance(value, bytearray) else value


@mutant("V5")
class BelievesWhatItIsTold(Converting):
    """Asks an object for its class with isinstance, which a proxy answers as it likes."""

    def plain(self, value: Any) -> Any:
        return list(value) if isinstance(value, list) else value


@mutant("V5")
class DropsWhatItCannotStore(Reference):
    """`set_many` leaves out the items that it cannot store."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        for key, value in items.items():
            try:
                await super().set_many({key: value}, ttl)
            except UnsupportedValueError:
                continue


@mutant("V5")
class DeletesTheOldFirst(Reference):
    """Removes the old value before it encodes the new one."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await self.delete(key)
        await super().set(key, value, ttl)


@mutant("V5")
class TouchesBeforeItEncodes(Reference):
    """`compare_and_set` sets the new expiry before it finds that it cannot store the value."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except UnsupportedValueError:
            await self.touch(key, ttl)
            raise


@mutant("V5")
class StoresTheValueWithoutMetadata(Reference):
    """`set_entry` stores the value, and then finds that it cannot store the metadata."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        try:
            return await super().set_entry(key, value, ttl, **more)
        except UnsupportedValueError as error:
            if ".part" in error.path:
                await self.set(key, value)
            raise


@mutant("V5")
class ReservesTheKey(Reference):
    """Leaves an empty entry behind where the value for a new key was refused."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        try:
            return await super().set_entry(key, value, ttl, **more)
        except UnsupportedValueError:
            if not await self.exists(key):
                await self.set(key, None)
            raise


class Mistelling(Reference):
    """Refuses as it should, and says so in its own words."""

    @abstractmethod
    def told(self, error: UnsupportedValueError) -> Exception: ...

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        try:
            await super().set(key, value, ttl)
        except UnsupportedValueError as error:
            raise self.told(error) from None


@mutant("V5")
class NoPath(Mistelling):
    """Says what cannot be stored, but not where it stands."""

    def told(self, error: UnsupportedValueError) -> Exception:
        return UnsupportedValueError(str(error).partition(": ")[2])


@mutant("V5")
class PathOnlyInTheMessage(Mistelling):
    """Tells the path in the message, and leaves the attribute `path` as it is."""

    def told(self, error: UnsupportedValueError) -> Exception:
        return UnsupportedValueError(str(error))


@mutant("V5")
class NoType(Mistelling):
    """Tells where the offending part stands, but not what it is."""

    def told(self, error: UnsupportedValueError) -> Exception:
        return UnsupportedValueError(f"{error.path}: cannot be stored", path=error.path)


@mutant("V5")
class CountsFromOne(Mistelling):
    """Counts the parts of a list from one."""

    def told(self, error: UnsupportedValueError) -> Exception:
        path = error.path.replace("[3]", "[4]")
        return UnsupportedValueError(str(error).replace(error.path, path), path=path)


@mutant("V5")
class RaisesWhatTheEncoderRaises(Mistelling):
    """Lets through the RecursionError of a value that holds itself."""

    def told(self, error: UnsupportedValueError) -> Exception:
        return RecursionError("maximum recursion depth") if "itself" in str(error) else error


@mutant("V5")
class CrashesOnTheDeep(Mistelling):
    """Lets through the RecursionError of a value that is nested too deep."""

    def told(self, error: UnsupportedValueError) -> Exception:
        return RecursionError("maximum recursion depth") if "deep" in str(error) else error


@mutant("V5")
class PathFromTheMapping(Reference):
    """`set_many` tells the path from the mapping on, so that it begins with the key."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        try:
            await super().set_many(items, ttl)
        except UnsupportedValueError as error:
            path = error.path.replace("$", "$.key", 1)
            text = str(error).replace(error.path, path)
            raise UnsupportedValueError(text, path=path) from None


@mutant("V5")
class LooksAtTheFirstThousand(Reference):
    """Checks the first thousand parts of a list, and writes the others as text if it must."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(value, dict) and any(
            isinstance(part, list) and len(part) > 1_000 for part in value.values()
        ):
            value = repr(value)
        await super().set(key, value, ttl)
