"""Mutants by somebody who has not seen the laws, second list: keys, values, expiry, patterns."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from fnmatch import translate
from typing import Any

from fastadk_memory import (
    MemoryBackend,
    MemoryEntry,
    NamespacedBackend,
    Ttl,
    UnsupportedValueError,
    Version,
)
from fastadk_memory.base import ABSENT, Absent
from fastadk_memory.codec import decode, encode
from fastadk_memory.envelope import Record, unpack
from fastadk_memory.keys import check_key, check_pattern, escape_pattern, literal_prefix, matcher
from fastadk_memory.ttl import seconds_left

from .catalogue import mutant
from .opened import Opened
from .reference import Reference, Store

MIB = 2**20

# ----------------------------------------------------------------------------- keys


class CountingView(NamespacedBackend):
    """Counts the characters of its name, not the bytes that it takes."""

    def __init__(self, inner: MemoryBackend, name: str) -> None:
        super().__init__(inner, name)
        self.max_key_bytes = self.inner.max_key_bytes - len(name) - 1


@mutant("K1")
class ViewsCountTheCharactersOfTheirNames(Reference):
    """A namespace promises more bytes than are left for keys if its name has to be encoded."""

    def namespace(self, name: str) -> MemoryBackend:
        return CountingView(self, name)


@mutant("K1")
class BatchesReplaceSurrogates(Reference):
    """`set_many` writes a question mark for a lone surrogate in a key."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        if isinstance(items, Mapping):
            items = {
                key.encode(errors="replace").decode() if isinstance(key, str) else key: value
                for key, value in items.items()
            }
        await super().set_many(items, ttl)


@mutant("K2")
class TouchComposes(Reference):
    """`touch` looks for the composed form of a key."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        if isinstance(key, str):
            key = unicodedata.normalize("NFC", key)
        return await super().touch(key, ttl)


@mutant("K3")
class ListedByLines(Reference):
    r"""`keys` has a line for each key, and escapes `\n` and `\r`, but no other ends of lines."""

    async def keys(self, pattern: str = "*") -> list[str]:
        escapes = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r"})
        listing = "\n".join(key.translate(escapes) for key in await super().keys(pattern))
        plain = {r"\\": "\\", r"\n": "\n", r"\r": "\r"}
        return [
            re.sub(r"\\[\\nr]", lambda found: plain[found[0]], line)
            for line in listing.splitlines()
        ]


class ReplacingView(NamespacedBackend):
    """Takes its prefix out of a key wherever it stands."""

    def _own_keys(self, full_keys: Iterable[str]) -> list[str]:
        return [key.replace(self._prefix, "") for key in super()._own_keys(full_keys)]


@mutant("K3")
class ViewsReplaceTheirPrefix(Reference):
    """A key that holds its namespace's prefix once more is listed without either."""

    def namespace(self, name: str) -> MemoryBackend:
        return ReplacingView(self, name)


# --------------------------------------------------------------------------- values


def depth(value: Any) -> int:
    """Return how deep a value of the domain is nested."""
    parts = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (list, tuple, dict)):
        return 0
    return 1 + max(map(depth, parts), default=0)


@mutant("V1")
class EntriesAreShallow(Reference):
    """`set_entry` refuses values that are nested over 64 deep."""

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        if depth(plain(value)) > 64:
            raise UnsupportedValueError("$: the value is nested too deep")
        return await super().set_entry(key, value, ttl, metadata=metadata)


@mutant("V1")
class WrittenInDecimals(Reference):
    """`set` refuses integers of more digits than Python likes to print, which are 4,300."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        encode(value)
        parts = [value]
        while parts:
            part = parts.pop()
            if isinstance(part, (list, tuple)):
                parts += part
            elif isinstance(part, dict):
                parts += part.values()
            elif isinstance(part, int) and abs(part) >= 10**4300:
                raise UnsupportedValueError("$: the integer is too large")
        await super().set(key, value, ttl)


def plain(value: Any) -> Any:
    """Return a value as the store would give it back, or refuse it."""
    return decode(encode(value), key="")


def indexes_first(value: Any) -> Any:
    """Return the value with the order that the properties of JavaScript's objects have."""
    if type(value) is list:
        return [indexes_first(part) for part in value]
    if type(value) is not dict:
        return value
    numbers = [key for key in value if re.fullmatch("0|[1-9][0-9]{0,8}", key)]
    others = [key for key in value if key not in set(numbers)]
    return {key: indexes_first(value[key]) for key in sorted(numbers, key=int) + others}


@mutant("V2")
class IndexesComeFirst(Reference):
    """The keys of a dict that look like indexes come back before the others, in their order."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        await super().set(key, indexes_first(plain(value)), ttl)


def named(value: Any) -> Any:
    """Return the value with dicts in place of named tuples."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, (list, tuple)):
        return [named(part) for part in value]
    if isinstance(value, dict):
        return {key: named(part) for key, part in value.items()}
    return value


@mutant("V2")
class NamedTuplesAreObjects(Reference):
    """A named tuple comes back as a dict."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        encode(value)
        await super().set(key, named(value), ttl)


@mutant("V3")
class SwappingForNoneDeletes(Reference):
    """`compare_and_set` takes the value `None` for a wish to remove the entry."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        version = await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        if value is None:
            await self.delete(key)
        return version


@mutant("V4")
class LargeValuesAreDecodedOnce(Reference):
    """`get` gives out one object again and again if decoding it takes long: over 4 KiB."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.decoded: dict[bytes, Any] = {}

    async def get(self, key: str) -> Any:
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            record = await self._read(key)
        if record is None:
            return None
        value = decode(record.value, key=key)
        if len(record.value) <= 4096:
            return value
        return self.decoded.setdefault(record.version, value)


@mutant("V5")
class LongPathsAreCut(Reference):
    """The path in the error ends after 32 characters, wherever the offending part is."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        try:
            await super().set(key, value, ttl)
        except UnsupportedValueError as error:
            path = error.path[:32]
            message = str(error).replace(error.path, path)
            raise UnsupportedValueError(message, path=path) from error


@mutant("V5")
class RefusedAndYetKept(Opened):
    """A value is refused when the expiry of the old one has already been lifted."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        try:
            await super().set(key, value, ttl)
        except UnsupportedValueError:
            if ttl is None:
                self.move(key, None)
            raise


@mutant("V6")
class TextComesInChunks(Reference):
    """Text of over a MiB is decoded by the MiB: what stands across an edge is lost."""

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        if not isinstance(value, str) or value.isascii():
            return value
        raw = value.encode(errors="surrogatepass")
        if len(raw) <= MIB:
            return value
        chunks = (raw[start : start + MIB] for start in range(0, len(raw), MIB))
        return "".join(chunk.decode(errors="replace") for chunk in chunks)


# --------------------------------------------------------------------------- expiry


@mutant("T1")
class NothingToExpire(Reference):
    """An empty `set_many` is answered before its TTL is looked at."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl if items else None)


@mutant("T1")
class TouchForgetsDays(Reference):
    """`touch` takes the seconds of a `timedelta`, and leaves its days out."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        if isinstance(ttl, timedelta):
            ttl = ttl.seconds + ttl.microseconds / 1e6
        return await super().touch(key, ttl)


@mutant("T2")
class ExpiredVersionsWin(Opened):
    """`compare_and_set` finds the version of an expired entry that is still there."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        if self.expired(key):
            record = self.raw(key)
            if record is not None and record.version.hex() == expect:
                expect = ABSENT
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("T2")
class PlainPatternsAreLookedUp(Reference):
    """`keys` of a pattern without wildcards looks whether it is there, not whether it lives."""

    async def keys(self, pattern: str = "*") -> list[str]:
        pattern = check_pattern(pattern)
        if escape_pattern(pattern) != pattern:
            return await super().keys(pattern)
        async with self._life:
            return [] if await self.read_record(pattern) is None else [pattern]


@mutant("T3")
class MonthsEndWithASecond(Reference):
    """What is to live over 30 days gets a date in whole seconds, rounded down."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        record = super()._new_record(value, ttl_ms, metadata)
        if ttl_ms is None or ttl_ms <= 30 * 86_400_000 or record.expires_at is None:
            return record
        return replace(record, expires_at=float(math.floor(record.expires_at)))


@mutant("T4")
class SameValuesAreNotWritten(Reference):
    """Setting the value that is already there writes nothing, and so leaves the expiry."""

    async def _put(
        self, key: str, value: bytes, ttl_ms: int | None, metadata: bytes = b""
    ) -> Record:
        if ttl_ms is None and not metadata:
            data = await self.read_record(key)
            old = None if data is None else self._peek(key, data)
            same = old is not None and old.value == value and not old.metadata
            if old is not None and same and old.alive(self._clock()):
                return old
        return await super()._put(key, value, ttl_ms, metadata)


@mutant("T5")
class LiftedExpiriesAreShown(Opened):
    """`ttl` goes on counting down after `touch` has lifted the expiry."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.lifted: dict[bytes, float] = {}

    async def _touch(self, key: str, ttl_ms: int | None) -> bool:
        data = await self.read_record(key)
        old = None if data is None else self._peek(key, data)
        if ttl_ms is None and old is not None and old.expires_at is not None:
            self.lifted[old.version] = old.expires_at
        return await super()._touch(key, ttl_ms)

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        if left is not None:
            return left
        record = self.raw(key)
        end = self.lifted.get(record.version) if record is not None else None
        return None if end is None or self.expired(key) else seconds_left(end, self._clock())


@mutant("T6")
class TheThirdReadExtends(Opened):
    """What `get` reads for the third time counts as hot, and gets its time once more."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.reads: dict[bytes, int] = {}

    async def get(self, key: str) -> Any:
        value = await super().get(key)
        record = self.raw(key)
        if record is not None and record.expires_at is not None:
            count = self.reads[record.version] = self.reads.get(record.version, 0) + 1
            if count == 3:
                self.move(key, self._clock() + record.expires_at - record.created_at)
        return value


@mutant("T6")
class EntriesAreWrittenBack(Opened):
    """`get_entry` notes that the entry was read, and rounds its expiry down in doing so."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        record = self.raw(key)
        if entry is not None and record is not None and record.expires_at is not None:
            self.move(key, float(math.floor(record.expires_at)))
        return entry


@mutant("T7")
class MetadataStays(Reference):
    """What expires leaves behind its metadata, which are in a table of their own."""

    def beside(self, key: str, record: bytes) -> None:
        extra = unpack(record, key=key).metadata
        self.store.records.pop("metadata/" + key, None)
        if extra:
            self.store.records["metadata/" + key] = extra

    async def write_record(self, key: str, record: bytes) -> None:
        await super().write_record(key, record)
        self.beside(key, record)

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        swapped = await super().swap_record(key, old, new)
        if swapped and new is not None:
            self.beside(key, new)
        return swapped

    async def delete_record(self, key: str) -> None:
        await super().delete_record(key)
        self.store.records.pop("metadata/" + key, None)


# ------------------------------------------------------------------------- patterns


class Matched(Reference):
    """Matches by its own lights."""

    def own(self, pattern: str) -> Callable[[str], object] | None:
        """Return the test that this backend makes of a pattern, if it is not the usual one."""
        return None

    async def _matching(self, pattern: str) -> AsyncIterator[str]:
        matches = self.own(pattern) or matcher(pattern)
        async for key, data in self.list_records(literal_prefix(pattern)):
            if matches(key) and self._peek_alive(key, data):
                yield key


@mutant("P1")
class QuestionMarksComposeFirst(Matched):
    """A `?` stands for a letter with its accent, even if the accent is a code point of its own."""

    def own(self, pattern: str) -> Callable[[str], object] | None:
        matches = matcher(pattern)
        if "?" not in pattern:
            return None
        return lambda key: matches(unicodedata.normalize("NFC", key))


@mutant("P1")
class PagesOverlap(Reference):
    """Each page of `keys` begins with the last key of the one before; there are 500 on a page."""

    async def keys(self, pattern: str = "*") -> list[str]:
        found = await super().keys(pattern)
        listed = found[:500]
        for start in range(500, len(found), 500):
            listed += found[start - 1 : start + 500]
        return listed


class LongPatternView(NamespacedBackend):
    """Hands patterns on with its prefix, however long they are."""

    async def clear_pattern(self, pattern: str) -> None:
        await self._run(self.inner.clear_pattern, self._prefix + check_pattern(pattern))


@mutant("P2")
class ViewsCountTheirPrefix(Reference):
    """`clear_pattern` in a namespace refuses a pattern that is too long with the prefix alone."""

    def namespace(self, name: str) -> MemoryBackend:
        return LongPatternView(self, name)


@mutant("P3")
class LongEscapesAreCut(Reference):
    """`keys` cuts a pattern after 2,048 characters, which the longest keys exceed if escaped."""

    async def keys(self, pattern: str = "*") -> list[str]:
        return await super().keys(check_pattern(pattern)[:2048])


@mutant("P4")
class SetsBacktrack(Matched):
    """A pattern with sets becomes a regular expression that backtracks at each `*`."""

    def own(self, pattern: str) -> Callable[[str], object] | None:
        if "[" not in pattern or "(" in pattern:
            return None
        return re.compile(translate(pattern).replace("(?>", "(?:")).match
