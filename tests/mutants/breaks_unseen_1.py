"""Mutants by somebody who has not seen the laws: keys and values."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from fastadk_memory import (
    ConflictError,
    CorruptEntryError,
    MemoryEntry,
    Ttl,
    UnsupportedValueError,
    Version,
)
from fastadk_memory.base import Absent
from fastadk_memory.codec import decode, encode
from fastadk_memory.envelope import Record
from fastadk_memory.keys import check_pattern

from .catalogue import mutant
from .reference import PREFIX, Reference, Store


def every_part(value: Any) -> Iterable[Any]:
    """Go through a value and all of its parts."""
    pending = [value]
    while pending:
        part = pending.pop()
        yield part
        if isinstance(part, dict):
            pending.extend(part.values())
        elif isinstance(part, (list, tuple)):
            pending.extend(part)


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return a value with each of its parts changed, the innermost first."""
    if isinstance(value, list):
        value = [changed(part, change) for part in value]
    elif isinstance(value, dict):
        value = {key: changed(part, change) for key, part in value.items()}
    return change(value)


class Recoding(Reference):
    """Changes values on their way to the store."""

    def recoded(self, part: Any) -> Any:
        return part

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        value = encode(changed(decode(value, key="?"), self.recoded))
        return super()._new_record(value, ttl_ms, metadata)


class Collated(Reference):
    """Finds a record by its key's sort key, as a database with a collation does."""

    def collated(self, key: str) -> str:
        return key

    def row(self, key: str) -> str:
        rows: dict[str, str] = vars(self.store).setdefault("rows", {})
        found = rows.get(self.collated(key), key)
        return found if PREFIX + found in self.store.records else key

    async def read_record(self, key: str) -> bytes | None:
        return await super().read_record(self.row(key))

    async def write_record(self, key: str, record: bytes) -> None:
        row = self.row(key)
        self.store.__dict__["rows"][self.collated(key)] = row
        await super().write_record(row, record)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(self.row(key))

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        row = self.row(key)
        self.store.__dict__["rows"][self.collated(key)] = row
        return await super().swap_record(row, old, new)


# ------------------------------------------------------------------------------ keys


@mutant("K1")
class ExistsDeniesLongKeys(Reference):
    """`exists` answers that a key that is too long is not there, in place of refusing it."""

    async def exists(self, key: str) -> bool:
        given: Any = key
        if isinstance(given, str) and len(given) > self.max_key_bytes:
            return False
        return await super().exists(key)


@mutant("K1")
class TouchCountsCodePoints(Reference):
    """`touch` counts code points where it should count bytes, and finds no such key."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        given: Any = key
        if isinstance(given, str) and len(given) <= self.max_key_bytes and given.isprintable():
            long = len(given.encode()) > self.max_key_bytes
            if long:
                return False
        return await super().touch(key, ttl)


@mutant("K1")
class SwapTakesEscapedBytes(Reference):
    """`compare_and_set` takes keys with the escaped bytes that `os.fsdecode` makes."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        given: Any = key
        if isinstance(given, str) and re.search("[\udc80-\udcff]", given):
            key = given.encode("utf-8", "backslashreplace").decode()
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("K2")
class EmojiWeighTheSame(Collated):
    """Characters beyond the basic plane weigh the same, as in MySQL's older collations."""

    def collated(self, key: str) -> str:
        return "".join(char if ord(char) < 0x10000 else "\ufffd" for char in key)


@mutant("K2")
class NamedByChecksum(Collated):
    """Files are named by the CRC-32 of the key."""

    def collated(self, key: str) -> str:
        return f"{crc32(key.encode()):08x}"


@mutant("K2")
class SelectorsAreIgnorable(Collated):
    """Soft hyphens and variation selectors weigh nothing, as in Unicode's collation."""

    def collated(self, key: str) -> str:
        return re.sub("[\u00ad\ufe00-\ufe0f]", "", key)


@mutant("K2")
class CyrillicIsFolded(Collated):
    """Cyrillic letters are compared without case, as on a file system with code page 1251."""

    def collated(self, key: str) -> str:
        return re.sub("[\u0400-\u04ff]", lambda found: found[0].lower(), key)


@mutant("K3")
class ListedLineByLine(Reference):
    """A listing is escaped for newlines alone, and taken apart by `splitlines`."""

    async def keys(self, pattern: str = "*") -> list[str]:
        found = await super().keys(pattern)
        lines = [
            key.replace("\\", r"\\").replace("\n", r"\n").replace("\r", r"\r") for key in found
        ]
        written = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
        return [
            re.sub(r"\\[\\nr]", lambda escape: written[escape[0]], line)
            for line in "\n".join(lines).splitlines()
        ]


@mutant("K3")
class ListedWithoutMark(Reference):
    """Keys are read as `utf-8-sig` in listings: a leading byte order mark is dropped."""

    async def keys(self, pattern: str = "*") -> list[str]:
        return [key.encode().decode("utf-8-sig") for key in await super().keys(pattern)]


# ---------------------------------------------------------------------------- values


@mutant("V1")
class IntegersInDecimal(Reference):
    """Integers are written in decimal, which Python refuses over 4,300 digits."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        for part in every_part(decode(value, key="?")):
            if isinstance(part, int) and part.bit_length() > 14_284:
                raise UnsupportedValueError("$: an int of over 4,300 digits", path="$")
        return super()._new_record(value, ttl_ms, metadata)


@mutant("V1")
class SharedPartsAreCycles(Reference):
    """A list that is in a value twice, side by side, is taken for a cycle."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        encode(value)
        seen: set[int] = set()
        for part in every_part(value):
            if isinstance(part, (list, dict)):
                if part and id(part) in seen:
                    raise UnsupportedValueError("$: the value holds itself", path="$")
                seen.add(id(part))
        await super().set(key, value, ttl)


@mutant("V1")
class EmptyPartsStayCounted(Reference):
    """The count of the depth is not lowered again after an empty list or dict."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        found = decode(value, key="?")
        empty = sum(1 for part in every_part(found) if part in ([], {}) and part is not found)
        if empty > 128:
            raise UnsupportedValueError("$: nested more than 128 deep", path="$")
        return super()._new_record(value, ttl_ms, metadata)


@mutant("V2")
class LargeFloatsComeBackWhole(Recoding):
    """Whole floats from 2**53 to 1e21 come back as int, as JSON from JavaScript writes them."""

    def recoded(self, part: Any) -> Any:
        if type(part) is float and 2**53 <= abs(part) < 1e21 and part.is_integer():
            return int(part)
        return part


@mutant("V2")
class NumberedKeysComeFirst(Recoding):
    """Names that are numbers come first and in order, as in an object of JavaScript."""

    def recoded(self, part: Any) -> Any:
        if isinstance(part, dict):
            numbers = [key for key in part if re.fullmatch("0|[1-9][0-9]{0,8}", key)]
            order = sorted(numbers, key=int) + [key for key in part if key not in set(numbers)]
            return {key: part[key] for key in order}
        return part


@mutant("V2")
class LongListsArePacked(Recoding):
    """Lists of 16 integers and more are packed, `True` and `False` among them as 1 and 0."""

    def recoded(self, part: Any) -> Any:
        if isinstance(part, list) and len(part) >= 16 and type(part[0]) is int:
            whole = all(isinstance(each, int) for each in part)
            return [int(each) for each in part] if whole else part
        return part


@mutant("V2")
class SameObjectIsNotEncodedAgain(Reference):
    """A list or dict that is set twice running is encoded once, though it may have changed."""

    last: tuple[Any, bytes] = (None, b"")

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        if isinstance(value, (list, dict)):
            if self.last[0] is not value:
                self.last = value, encode(value)
            value = decode(self.last[1], key="?")
        await super().set(key, value, ttl)


@mutant("V2")
class MetadataThroughJson(Reference):
    """Metadata is normalised: `1.0` in it comes back as 1."""

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        given: Any = metadata
        if isinstance(given, Mapping):
            encode(dict(given))
            metadata = changed(
                dict(given),
                lambda part: int(part) if isinstance(part, float) and part == 1 else part,
            )
        return await super().set_entry(key, value, ttl, metadata=metadata)


@mutant("V3")
class LiteralPatternsReadTheValue(Reference):
    """A pattern without wildcards is looked up with `get`: a stored `None` is not listed."""

    async def keys(self, pattern: str = "*") -> list[str]:
        pattern = check_pattern(pattern)
        if not re.search(r"[*?[]", pattern) and 0 < len(pattern.encode()) <= self.max_key_bytes:
            return [] if await self.get(pattern) is None else [pattern]
        return await super().keys(pattern)


@mutant("V3")
class NoneInBatchRemoves(Reference):
    """`set_many` takes `None` for a removal, as a merge patch does."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl)
        for key, value in items.items():
            if value is None:
                await self.delete(key)


@mutant("V3")
class SwapTakesNoneForAbsent(Reference):
    """`compare_and_set` that expects `ABSENT` writes over a stored `None`."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError:
            entry = await self.get_entry(key)
            if expect is not Absent.ABSENT or entry is None or entry.value is not None:
                raise
            assert entry.version is not None
            return await super().compare_and_set(key, value, expect=entry.version, ttl=ttl)


@mutant("V4")
class NoMetadataIsShared(Reference):
    """Entries without metadata all hold the same empty dict."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.none: dict[str, Any] = {}

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        return entry if entry is None or entry.metadata else replace(entry, metadata=self.none)


@mutant("V4")
class MetadataIsCached(Reference):
    """`get_entry` hands out one metadata dict for each version."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.cached: dict[Version | None, dict[str, Any]] = {}

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        if entry is None:
            return None
        return replace(entry, metadata=self.cached.setdefault(entry.version, entry.metadata))


@mutant("V4")
class EntriesAreCopiedShallowly(Reference):
    """`get_entry` caches decoded values and copies them, but not what is inside of them."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.cached: dict[Version | None, Any] = {}

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        if entry is None:
            return None
        value = self.cached.setdefault(entry.version, entry.value)
        return replace(entry, value=copy.copy(value))


@mutant("V5")
class EntryIsStoredBeforeItsMetadata(Reference):
    """`set_entry` stores the value, and then finds that the metadata cannot be."""

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        try:
            return await super().set_entry(key, value, ttl, metadata=metadata)
        except UnsupportedValueError:
            await self.set(key, value, ttl)
            raise


@mutant("V5")
class SwapComparesFirst(Reference):
    """`compare_and_set` at a stale version says so, and not that the value cannot be stored."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except UnsupportedValueError:
            entry = await self.get_entry(key)
            found = Absent.ABSENT if entry is None else entry.version
            if type(expect) in (str, Absent) and found != expect:
                raise ConflictError("the entry is at another version", key=key) from None
            raise


@mutant("V5")
class DeepPathsAreCut(Reference):
    """The path to an offending part ends after four steps."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        try:
            await super().set(key, value, ttl)
        except UnsupportedValueError as error:
            path = "".join(re.findall(r"^\$|\.[^.\[]+|\[[^\]]*\]", error.path)[:5])
            message = str(error).replace(error.path, path)
            raise UnsupportedValueError(message, path=path) from error


@mutant("V6")
class ArraysAreLimited(Reference):
    """A list of over 131,072 parts cannot be read back, as with msgpack's former default."""

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        if any(isinstance(part, list) and len(part) > 131_072 for part in every_part(value)):
            raise CorruptEntryError(f"{key!r}: exceeds max_array_len", key=key)
        return value


@mutant("V6")
class TextIsReadInBlocks(Recoding):
    """Text of over 1 MiB is decoded block by block: a character across two is replaced."""

    def recoded(self, part: Any) -> Any:
        if isinstance(part, str) and len(part) > 2**20:
            data = part.encode("utf-8", "surrogatepass")
            blocks = (data[at : at + 65_536] for at in range(0, len(data), 65_536))
            return "".join(block.decode("utf-8", "replace") for block in blocks)
        return part


@mutant("V6")
class RepliesAreLimited(Reference):
    """`get_many` stops when its reply has 16 MiB."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        reply: dict[str, Any] = {}
        size = 0
        for key, value in found.items():
            size += len(encode(value))
            if size <= 16 * 2**20:
                reply[key] = value
        return reply


@mutant("V6")
class LongListingsOfLargeValues(Reference):
    """A listing reads values as well, and leaves out those of over 8 MiB."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for key, record in super().list_records(prefix):
            if len(record) <= 8 * 2**20:
                yield key, record
