"""Mutants that break V1 to V3 and V6."""

from __future__ import annotations

import json
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from fastadk_memory import ABSENT, MemoryEntry, UnsupportedValueError

from .catalogue import Reference, mutant


def rebuilt(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return `value` with `change` made to each part, from the inside out."""
    if isinstance(value, (list, tuple)):
        parts = [rebuilt(part, change) for part in value]
        return change(parts if isinstance(value, list) else tuple(parts))
    if isinstance(value, dict):
        return change({name: rebuilt(part, change) for name, part in value.items()})
    return change(value)


def depth(value: Any) -> int:
    found = 0
    level = [value]
    while level:
        level = [each for each in level if isinstance(each, (list, tuple, dict))]
        found += bool(level)
        level = [p for each in level for p in (each.values() if isinstance(each, dict) else each)]
        if found > 200:
            break
    return found


def parts(value: Any) -> list[Any]:
    """Return `value` and everything inside of it."""
    found: list[Any] = []
    rebuilt(value, lambda part: found.append(part) or part)
    return found


# ---------------------------------------------------------------------- V1: the domain


@mutant("V1")
class NestsNinetyNineDeep(Reference):
    """Refuses what is nested to a depth of 100: off by one."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if depth(value) >= 100:
            raise UnsupportedValueError("$: too deep")
        await super().set(key, value, ttl)


@mutant("V1")
class MetadataIsFlat(Reference):
    """Counts the metadata's own mapping twice, so that it may be only 99 deep."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        if depth(more["metadata"]) == 100:
            raise UnsupportedValueError("$: too deep")
        return await super().set_entry(key, value, ttl, **more)


@mutant("V1")
class IntegersOf64Bits(Reference):
    """Has a column for integers: what needs more than 64 bits overflows."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise OverflowError("Python int too large to convert to SQLite INTEGER")
        await super().set(key, value, ttl)


@mutant("V1")
class IntegersAsText(Reference):
    """Keeps large integers as decimal text, which Python refuses beyond 4,300 digits."""

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return int(str(value)) if type(value) is int else value


@mutant("V1")
class SharedPartsAreLoops(Reference):
    """Takes a list that stands twice in a value for one that holds itself."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        held = [id(part) for part in self._containers(value)]
        if len(held) != len(set(held)):
            raise UnsupportedValueError("$: the value holds itself")
        await super().set(key, value, ttl)

    def _containers(self, value: Any, level: int = 0) -> Iterable[Any]:
        if isinstance(value, (list, dict)) and value and level < 150:
            yield value
            for part in value.values() if isinstance(value, dict) else value:
                yield from self._containers(part, level + 1)


@mutant("V1")
class TextsWithoutSurrogates(Reference):
    """Writes texts as UTF-8, which raises for half an emoji."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        for part in parts(value):
            if isinstance(part, str):
                part.encode()
        await super().set(key, value, ttl)


@mutant("V1")
class NamesWithoutSurrogates(Reference):
    """`compare_and_set` writes the names of dicts as UTF-8."""

    async def compare_and_set(self, key: str, value: Any, **more: Any) -> str:
        for part in parts(value):
            if isinstance(part, dict):
                [name.encode() for name in part]
        return await super().compare_and_set(key, value, **more)


@mutant("V1")
class BytesOnlyAlone(Reference):
    """Keeps bytes as they are, and everything else as JSON: bytes inside a list are refused."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        for value in items.values() if isinstance(items, dict) else ():
            if any(isinstance(part, bytes) for part in parts(value)) and type(value) is not bytes:
                raise TypeError("Object of type bytes is not JSON serializable")
        await super().set_many(items, ttl)


@mutant("V1")
class ShortTexts(Reference):
    """Loses the end of a text of 65,536 bytes and more: its length is kept in two bytes."""

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        return value[: len(value) & 0xFFFF] if isinstance(value, (str, bytes)) else value


@mutant("V1")
class RefusesNotNumbers(Reference):
    """Refuses NaN and the infinities in metadata, as strict JSON does."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        if any(isinstance(p, float) and not math.isfinite(p) for p in parts(more["metadata"])):
            raise ValueError("Out of range float values are not JSON compliant")
        return await super().set_entry(key, value, ttl, **more)


@mutant("V1")
class StopsAtNul(Reference):
    """Refuses a NUL in a text, as PostgreSQL does in its JSON."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if any(isinstance(part, str) and "\x00" in part for part in parts(value)):
            raise ValueError("unsupported Unicode escape sequence")
        await super().set(key, value, ttl)


# ------------------------------------------------------------ V2: the round trip is exact


class Returning(Reference):
    """Gives values back changed."""

    @abstractmethod
    def changed(self, value: Any) -> Any: ...

    async def get(self, key: str) -> Any:
        return self.changed(await super().get(key))


@mutant("V2")
class BoolsInListsAreNumbers(Returning):
    """Reads `True` back as 1 where it stands in a list inside of a list."""

    def changed(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return [
            [int(inner) if isinstance(inner, bool) else inner for inner in part]
            if isinstance(part, list)
            else part
            for part in value
        ]


@mutant("V2")
class WholeFloatsAreIntegers(Returning):
    """Reads 100.0 back as 100, as a codec does that writes the shortest form."""

    def changed(self, value: Any) -> Any:
        return rebuilt(
            value,
            lambda part: int(part) if type(part) is float and part.is_integer() and part else part,
        )


@mutant("V2")
class ZerosLoseTheirSign(Returning):
    """Reads -0.0 back as 0.0."""

    def changed(self, value: Any) -> Any:
        return rebuilt(value, lambda part: part + 0.0 if type(part) is float else part)


@mutant("V2")
class NotNumbersAreNone(Reference):
    """Writes NaN inside of lists as null, as many JSON encoders do."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        if isinstance(items, dict):
            items = {
                key: [None if part != part else part for part in value]
                if type(value) is list
                else value
                for key, value in items.items()
            }
        await super().set_many(items, ttl)


@mutant("V2")
class SortsNames(Reference):
    """Writes dicts with their names sorted, for the sake of a stable hash."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        def change(part: Any) -> Any:
            return dict(sorted(part.items())) if type(part) is dict and len(part) > 8 else part

        if not any(isinstance(part, dict) and any(type(n) is not str for n in part)
                   for part in _safely(value)):  # fmt: skip
            value = rebuilt(value, change) if _safely(value) else value
        await super().set(key, value, ttl)


def _safely(value: Any) -> list[Any]:
    """Return the parts of a value, none if it holds itself."""
    try:
        return parts(value)
    except RecursionError:
        return []


@mutant("V2")
class NumbersFirst(Returning):
    """Puts the names of a dict that are numbers first, as JavaScript does."""

    def changed(self, value: Any) -> Any:
        return rebuilt(
            value,
            lambda part: (
                dict(sorted(part.items(), key=lambda item: not item[0].isdecimal()))
                if isinstance(part, dict)
                else part
            ),
        )


@mutant("V2")
class MetadataUnordered(Reference):
    """Keeps metadata in columns, in the order of their names."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        return entry and replace(entry, metadata=dict(sorted(entry.metadata.items())))


@mutant("V2")
class SkipsEqualWrites(Reference):
    """Saves itself a write where the old value equals the new one: 1 is not replaced by True."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if ttl is None and await self.exists(key) and await self.get(key) == value:
            return
        await super().set(key, value, ttl)


@mutant("V2")
class InternsParts(Reference):
    """`set_many` keeps equal values once: of 0.0 and -0.0 in one call it keeps the first."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        seen: dict[Any, Any] = {}
        if isinstance(items, dict):
            items = {
                key: seen.setdefault(value, value) if isinstance(value, (int, float)) else value
                for key, value in items.items()
            }
        await super().set_many(items, ttl)


@mutant("V2")
class TuplesStayInEntries(Reference):
    """`set_entry` returns the value it was given, where its tuples are still tuples."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        return replace(entry, value=value)


@mutant("V2")
class LargeIntegersBecomeFloats(Reference):
    """`get_many` reads integers beyond 2**53 by way of a float, as a script in Lua does."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        return {
            key: int(float(value)) if type(value) is int and 2**53 < abs(value) < 2**60 else value
            for key, value in found.items()
        }


@mutant("V2")
class EmptyListsAreDicts(Reference):
    """`get_entry` reads an empty list as an empty dict, as Lua's cjson does."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        if entry is None:
            return None
        return replace(entry, value=rebuilt(entry.value, lambda p: {} if p == [] else p))


@mutant("V2")
class StripsTexts(Returning):
    """Loses the newline at the end of a text, as a store of lines does."""

    def changed(self, value: Any) -> Any:
        return value.removesuffix("\n") if isinstance(value, str) else value


@mutant("V2")
class TextThatLooksLikeJson(Returning):
    """Keeps a text as it is and everything else as JSON, and cannot tell "null" from None."""

    def changed(self, value: Any) -> Any:
        if not isinstance(value, str) or value not in ("true", "null", "0", "1"):
            return value
        return json.loads(value)


@mutant("V2")
class EmptyBytesAreText(Reference):
    """Reads b"" back as "", after a `compare_and_set`."""

    async def compare_and_set(self, key: str, value: Any, **more: Any) -> str:
        if isinstance(value, bytes) and not value:
            value = ""
        return await super().compare_and_set(key, value, **more)


@mutant("V2")
class EnumsKeepTheirNames(Reference):
    """Writes an enum's member by its str(), which is not its value."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(value, str):
            value = str(value)
        await super().set(key, value, ttl)


# -------------------------------------------------- V3: a stored None is no absent key


@mutant("V3")
class ExistsByValue(Reference):
    """`exists` asks whether there is a value."""

    async def exists(self, key: str) -> bool:
        return await self.get(key) is not None


@mutant("V3")
class EntryByTruth(Reference):
    """`get_entry` says of an entry with a false value that there is none."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        return entry if entry and (entry.value or entry.value is None) else None


@mutant("V3")
class BulkLeavesNonesOut(Reference):
    """`get_many` leaves out what is None, as the reply of MGET invites."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        return {key: value for key, value in found.items() if value is not None}


@mutant("V3")
class BulkNamesTheAbsent(Reference):
    """`get_many` names absent keys with None, so that they look stored."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        keys = list(keys)
        return dict.fromkeys(keys) | await super().get_many(keys)


@mutant("V3")
class SettingNoneDeletes(Reference):
    """Takes `set(key, None)` for a deletion, once there is something to delete."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if value is None and await self.exists(key):
            await self.delete(key)
            return
        await super().set(key, value, ttl)


@mutant("V3")
class SettingNoneIsNothing(Reference):
    """`set_many` leaves out the items whose value is None."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        if isinstance(items, dict):
            items = {key: value for key, value in items.items() if value is not None}
        await super().set_many(items, ttl)


@mutant("V3")
class ListsByTruth(Reference):
    """`scan` leaves out keys whose value is an empty container."""

    async def _scan_open(self, pattern: str) -> Any:
        for key in await self.keys(pattern):
            if await self.get(key) not in ([], {}):
                yield key


@mutant("V3")
class CountsByValue(Reference):
    """`delete_many` counts only what had a value."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        found = await super().get_many(keys)
        await super().delete_many(keys)
        return sum(value is not None for value in found.values())


@mutant("V3")
class ComparesByValue(Reference):
    """`compare_and_set` takes an entry that holds None for absent."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        entry = await self.get_entry(key)
        if expect is ABSENT and entry is not None and entry.value is None:
            expect = entry.version
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("V3")
class TouchesByValue(Reference):
    """`touch` looks for a value first, and finds none where it is false."""

    async def touch(self, key: str, ttl: Any) -> bool:
        if await self.exists(key) and not await self.get(key):
            return False
        return await super().touch(key, ttl)


@mutant("V3")
class ClearsByValue(Reference):
    """`clear_pattern` leaves behind what holds None."""

    async def clear_pattern(self, pattern: str) -> None:
        for key in await self.keys(pattern):
            if await self.get(key) is not None:
                await self.delete(key)


@mutant("V3")
class ExpiryByTruth(Reference):
    """`ttl` knows no expiry of an entry whose value is false."""

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        return left if await self.get(key) else None


# --------------------------------------------------------------- V6: large values work


@mutant("V6")
class EightMebibytes(Reference):
    """Refuses what is larger than 8 MiB, as a server with a limit on a packet does."""

    async def write_record(self, key: str, record: bytes) -> None:
        if len(record) > 8 * 2**20:
            raise UnsupportedValueError("$: the value is too large")
        await super().write_record(key, record)


@mutant("V6")
class LosesTheLastChunk(Returning):
    """Reads large bytes in chunks of 64 KiB, without the last if it is not full."""

    def changed(self, value: Any) -> Any:
        if isinstance(value, bytes) and len(value) > 2**20:
            return value[: len(value) // 2**16 * 2**16 - 2**16]
        return value


@mutant("V6")
class SwapsChunks(Returning):
    """Puts the chunks of a large text together in the wrong order."""

    def changed(self, value: Any) -> Any:
        if not isinstance(value, str) or len(value) <= 5 * 2**20:
            return value
        middle = len(value) // 2
        return value[:middle] + value[middle + 1000 :] + value[middle : middle + 1000]


@mutant("V6")
class CapsLists(Returning):
    """Gives back the first 5,000 parts of a list."""

    def changed(self, value: Any) -> Any:
        return value[:5_000] if isinstance(value, list) else value


@mutant("V6")
class LeavesTheTail(Reference):
    """Writes over a large value without cutting off what was longer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tails: dict[str, str] = {}

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        if isinstance(value, (str, bytes)) and len(value) > 2**20:
            self.tails[key] = str(value[-5:])

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        short = isinstance(value, str) and len(value) < 2**20
        return value + self.tails[key] if short and key in self.tails else value


@mutant("V6")
class EvictsForTheLarge(Reference):
    """Makes room for a large value by throwing out its neighbours, as an LRU by size does."""

    async def write_record(self, key: str, record: bytes) -> None:
        if len(record) > 5 * 2**20:
            for other in list(self.store.ours()):
                self.store.records.pop(f"ours/{other}")
        await super().write_record(key, record)


@mutant("V6")
class BulkBuffer(Reference):
    """`get_many` has a buffer of 10 MB for its answer, and leaves out what does not fit."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        return {
            key: value
            for key, value in found.items()
            if not isinstance(value, (str, bytes)) or len(value) < 10_000_000
        }


@mutant("V6")
class CutsMetadata(Reference):
    """Keeps metadata in a header of at most 64 KiB."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        metadata = more["metadata"]
        if isinstance(metadata, dict) and len(metadata) > 1_000:
            metadata = dict(list(metadata.items())[:1_000])
        return await super().set_entry(key, value, ttl, metadata=metadata)
