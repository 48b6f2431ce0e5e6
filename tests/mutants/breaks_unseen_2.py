"""Mutants by somebody who has not seen the laws: expiry, patterns, clearing, namespaces."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from hashlib import md5
from typing import Any

from fastadk_memory import (
    BackendUnavailableError,
    ConflictError,
    CorruptEntryError,
    InvalidTTLError,
    MemoryBackend,
    MemoryEntry,
    Ttl,
    Version,
)
from fastadk_memory.base import Absent
from fastadk_memory.codec import encode
from fastadk_memory.envelope import Record, pack, unpack
from fastadk_memory.keys import check_key, check_pattern, matcher
from fastadk_memory.ttl import ttl_to_ms
from fastadk_memory.wrappers import NamespacedBackend

from .catalogue import mutant
from .reference import PREFIX, Reference, Store

# ------------------------------------------------------------------------------ TTLs


@mutant("T1")
class TouchIgnoresDays(Reference):
    """`touch` takes a timedelta's `seconds`, which leave out its days."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        if isinstance(ttl, timedelta) and ttl.days > 0:
            ttl = timedelta(seconds=ttl.seconds, microseconds=ttl.microseconds)
        return await super().touch(key, ttl)


@mutant("T1")
class BatchesTakeTrue(Reference):
    """`set_many` takes `True` for one second."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, 1 if ttl is True else ttl)


@mutant("T1")
class YearsOf365Days(Reference):
    """A hundred years given as a timedelta are 36,500 days, and 36,525 too many."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        if isinstance(ttl, timedelta) and ttl > timedelta(days=36_500):
            raise InvalidTTLError("a TTL may be 100 years at the most")
        await super().set(key, value, ttl)


@mutant("T2")
class LiteralPatternsListExpired(Reference):
    """A pattern without wildcards is looked up in the index, whether or not it has expired."""

    async def keys(self, pattern: str = "*") -> list[str]:
        pattern = check_pattern(pattern)
        if re.search(r"[*?[]", pattern) or not 0 < len(pattern.encode()) <= self.max_key_bytes:
            return await super().keys(pattern)
        async with self._life:
            return [] if await self.read_record(pattern) is None else [pattern]


@mutant("T2")
class ExistsAtTheVeryMoment(Reference):
    """`exists` still says yes at the very millisecond of the expiry."""

    async def exists(self, key: str) -> bool:
        if await super().exists(key):
            return True
        async with self._life:
            data = await self.read_record(key)
        return data is not None and unpack(data, key=key).expires_at == self._clock()


@mutant("T2")
class SwapKnowsExpiredVersions(Reference):
    """`compare_and_set` succeeds on an expired entry that has not been swept, at its version."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        try:
            return await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError:
            async with self._life:
                data = await self.read_record(key)
                if data is None or unpack(data, key=key).version.hex() != expect:
                    raise
                return (await self._put(key, encode(value), ttl_to_ms(ttl))).version.hex()


@mutant("T3")
class TheOldTimerFires(Reference):
    """After `touch` the timer of the old expiry still runs, and removes without looking."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        entry = await self.get_entry(key)
        touched = await super().touch(key, ttl)
        if touched and entry is not None and entry.expires_at is not None:
            self._note_expiry(key, entry.expires_at.timestamp())
        return touched

    async def _expire(self, key: str, now: float) -> None:
        async with self._lock(key):
            await self.delete_record(key)


@mutant("T3")
class LongTimersOverflow(Reference):
    """With metadata, over 2**31 ms are one, as for a timer of JavaScript."""

    def _new_record(self, value: bytes, ttl_ms: int | None, metadata: bytes = b"") -> Record:
        if metadata and ttl_ms is not None and ttl_ms >= 2**31:
            ttl_ms = 1
        return super()._new_record(value, ttl_ms, metadata)


@mutant("T3")
class MicrosecondsAreCut(Reference):
    """`set_entry` rounds a fraction of a millisecond down."""

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        ttl_to_ms(ttl)
        if isinstance(ttl, timedelta):
            ttl = max(1, ttl // timedelta(milliseconds=1)) / 1000
        return await super().set_entry(key, value, ttl, metadata=metadata)


@mutant("T3")
class TouchTakesDates(Reference):
    """`touch` takes over 30 days for a moment since 1970, as memcached does."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        ttl_ms = ttl_to_ms(ttl)
        if ttl_ms is None or ttl_ms <= 30 * 86_400_000:
            return await super().touch(key, ttl)
        if not await self.exists(key):
            return False
        await self.delete(key)
        return True


@mutant("T4")
class EqualValuesAreNotWritten(Reference):
    """A `set` without TTL of what is stored already is saved, and leaves the old expiry."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        key, data = check_key(key, self.max_key_bytes), encode(value)
        async with self._life:
            stored = await self.read_record(key) if ttl is None else None
            if stored is not None:
                try:
                    record = unpack(stored, key=key)
                except CorruptEntryError:
                    record = None
                alive = record is not None and record.alive(self._clock())
                if record is not None and alive and record.value == data and not record.metadata:
                    return
        await super().set(key, value, ttl)


@mutant("T4")
class BatchesLeaveTheTimer(Reference):
    """The timer of an old expiry survives `set_many` without TTL, and removes the new value."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl)
        if ttl is None:
            for key in items:
                if key in self.timers:
                    self._note_expiry(key, self.timers[key])

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.timers: dict[str, float] = {}

    def _hasten_expiry(self, key: str, expires_at: float) -> None:
        self.timers[key] = expires_at
        super()._hasten_expiry(key, expires_at)

    async def _expire(self, key: str, now: float) -> None:
        async with self._lock(key):
            if self.timers.get(key, now) <= now:
                await self.delete_record(key)


@mutant("T5")
class SecondsHave32Bits(Reference):
    """`ttl` answers 2,147,483,647 at the most."""

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        return None if left is None else min(left, 2**31 - 1)


@mutant("T5")
class TouchedSecondsAreFloats(Reference):
    """`ttl` answers a float for a key whose expiry `touch` has set."""

    touched: frozenset[str] = frozenset()

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        self.touched |= {key}
        return await super().touch(key, ttl)

    async def ttl(self, key: str) -> int | None:
        left = await super().ttl(key)
        return float(left) if left is not None and key in self.touched else left  # type: ignore[return-value]


@mutant("T6")
class RenewedInItsSecondHalf(Reference):
    """`get` renews an entry that has lived for more than half its time, as sessions are."""

    async def get(self, key: str) -> Any:
        entry = await self.get_entry(key)
        if entry is None:
            return None
        if entry.expires_at is not None and entry.created_at is not None:
            life = (entry.expires_at - entry.created_at).total_seconds()
            if entry.expires_at.timestamp() - self._clock() < life / 2:
                await self.touch(key, max(0.001, life))
        return entry.value


@mutant("T6")
class SeenInTheLastSecond(Reference):
    """`exists` gives an entry in its last second one more, so that it can still be read."""

    async def exists(self, key: str) -> bool:
        there = await super().exists(key)
        if there and await self.ttl(key) == 1:
            await self.touch(key, 1.5)
        return there


@mutant("T7")
class TouchedAreNotSwept(Reference):
    """Entries whose expiry was set by `touch` are removed only when they are read."""

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        touched = await super().touch(key, ttl)
        self._note_expiry(key, None)
        return touched


@mutant("T7")
class ReopenedAreNotSwept(Reference):
    """What expired while the store was closed stays, until it is asked for."""

    async def _start(self) -> None:
        await self.open_store()


@mutant("T7")
class ExpiredLeaveTombstones(Reference):
    """An expired entry becomes a tombstone of a few bytes, which is never removed."""

    async def _expire(self, key: str, now: float) -> None:
        async with self._lock(key):
            data = await self.read_record(key)
            record = None if data is None else self._peek(key, data)
            if record is not None and not record.alive(now):
                tombstone = pack(replace(record, value=b"", metadata=b""))
                await self.swap_record(key, data, tombstone)
                self._note_expiry(key, None)


# -------------------------------------------------------------------------- patterns


class Matching(Reference):
    """Matches keys in its own way."""

    def test(self, pattern: str) -> Callable[[str], object]:
        return matcher(pattern)

    async def _matching(self, pattern: str) -> AsyncIterator[str]:
        matches = self.test(pattern)
        async for key, data in self.list_records(""):
            if matches(key) and self._peek_alive(key, data):
                yield key


@mutant("P1")
class FoldersMayBeMissing(Matching):
    """`**/` at the beginning matches no folder as well, as it does in a shell."""

    def test(self, pattern: str) -> Callable[[str], object]:
        return matcher(pattern.removeprefix("**/") if pattern != "**/" else pattern)


@mutant("P1")
class HashBeginsAComment(Matching):
    """A pattern that begins with `#` is a comment, as for minimatch."""

    def test(self, pattern: str) -> Callable[[str], object]:
        return (lambda key: False) if pattern.startswith("#") else matcher(pattern)


@mutant("P1")
class SetsIntersect(Matching):
    """`[abc&&bcd]` is the intersection, as in Java's regular expressions."""

    def test(self, pattern: str) -> Callable[[str], object]:
        def both(found: re.Match[str]) -> str:
            return f"[{''.join(sorted(set(found[1]) & set(found[2])))}]"

        return matcher(re.sub(r"\[([a-zA-Z0-9]+)&&([a-zA-Z0-9]+)\]", both, pattern))


@mutant("P1")
class DigitsInSets(Matching):
    r"""`[\d]` is any digit, as in a regular expression."""

    def test(self, pattern: str) -> Callable[[str], object]:
        sets = re.sub(r"\[[^\]]+\]", lambda found: found[0].replace(r"\d", "0-9"), pattern)
        return matcher(sets)


@mutant("P1")
class AccentsBelongToTheirLetter(Matching):
    """`?` takes a letter together with the accents that follow as code points of their own."""

    def test(self, pattern: str) -> Callable[[str], object]:
        if "?" not in pattern or re.search(r"[*[]", pattern):
            return matcher(pattern)
        parts = (r".[\u0300-\u036f]*" if char == "?" else re.escape(char) for char in pattern)
        return re.compile("".join(parts), re.DOTALL).fullmatch


@mutant("P1")
class RangesByLocale(Matching):
    """`[a-z]` takes letters with accents as well, as by a locale's order."""

    def test(self, pattern: str) -> Callable[[str], object]:
        return matcher(pattern.replace("[a-z]", "[a-zà-öø-ÿ]"))


@mutant("P1")
class RangesEitherWay(Matching):
    """`[z-a]` is the same as `[a-z]`, as in Redis."""

    def test(self, pattern: str) -> Callable[[str], object]:
        def ordered(found: re.Match[str]) -> str:
            return f"[{min(found[1], found[2])}-{max(found[1], found[2])}]"

        return matcher(re.sub(r"\[([^\]!])-([^\]])\]", ordered, pattern))


@mutant("P1")
class CompiledWithoutCase(Matching):
    """Of two patterns that differ in case alone, the compiled form of the first serves both."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.compiled: dict[str, Callable[[str], object]] = {}

    def test(self, pattern: str) -> Callable[[str], object]:
        return self.compiled.setdefault(pattern.casefold(), matcher(pattern))


@mutant("P2")
class ScanCountsCodePoints(Reference):
    """`scan` counts a pattern's code points, and lets one of too many bytes match nothing."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        given: Any = pattern
        if isinstance(given, str) and 1024 < len(given) <= 4096:
            long = len(given.encode("utf-8", "replace")) > 4096
            pattern = "" if long else pattern
        return super().scan(pattern, batch_size=batch_size)


@mutant("P2")
class ScanLooksAtTheFirstStep(Reference):
    """`scan` looks at its pattern at the first step only."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        super().scan("*", batch_size=batch_size)
        return self._scan_open(pattern)


@mutant("P2")
class NoPatternClearsAll(Reference):
    """`clear_pattern(None)` removes everything."""

    async def clear_pattern(self, pattern: str) -> None:
        given: Any = pattern
        await super().clear_pattern("*" if given is None else given)


@mutant("P3")
class CompiledByTheirBeginning(Matching):
    """Compiled patterns are found again by their first 100 characters."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.compiled: dict[str, Callable[[str], object]] = {}

    def test(self, pattern: str) -> Callable[[str], object]:
        return self.compiled.setdefault(pattern[:100], matcher(pattern))


@mutant("P3")
class ManySetsAreTooMany(Matching):
    """A pattern with over a thousand sets is too much for the matcher, and matches nothing."""

    def test(self, pattern: str) -> Callable[[str], object]:
        return (lambda key: False) if pattern.count("[") > 1000 else matcher(pattern)


@mutant("P3")
class BracketsInARow(Matching):
    """Two escaped brackets in a row are taken for one."""

    def test(self, pattern: str) -> Callable[[str], object]:
        return matcher(pattern.replace("[[][[]", "[[]"))


def backtracking(pattern: str) -> Callable[[str], object]:
    """Return a matcher that tries every length of every `*`."""
    parts = [re.compile(matched) for matched in re.split(r"\*", _translated(pattern))]

    def matches(key: str, part: int, at: int) -> bool:
        found = parts[part].match(key, at)
        if found is None:
            return False
        if part + 1 == len(parts):
            return found.end() == len(key)
        return any(matches(key, part + 1, start) for start in range(found.end(), len(key) + 1))

    return lambda key: matches(key, 0, 0)


def _translated(pattern: str) -> str:
    """Return a regular expression, with `*` for itself; for plain sets of letters only."""
    pieces = re.split(r"(\*+|\?|\[[a-z]+\])", pattern)
    return "".join(
        "*"
        if piece.startswith("*")
        else "(?s:.)"
        if piece == "?"
        else piece
        if re.fullmatch(r"\[[a-z]+\]", piece)
        else re.sub(r"\\?\*", "", re.escape(piece))
        for piece in pieces
    )


def simple(pattern: str) -> bool:
    """Tell whether `backtracking` can do a pattern."""
    return not re.search(r"[][]", re.sub(r"\[[a-z]+\]", "", pattern))


@mutant("P4")
class SetsBringBacktracking(Matching):
    """Patterns with a set are matched by backtracking."""

    def test(self, pattern: str) -> Callable[[str], object]:
        hard = "[" in pattern and simple(pattern)
        return backtracking(pattern) if hard else matcher(pattern)


@mutant("P4")
class ScanTriesEveryLength(Reference):
    """`scan` matches by backtracking."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        matches = backtracking(pattern) if simple(pattern) else matcher(pattern)
        for key in await self.keys("*"):
            if matches(key):
                yield key


# ------------------------------------------------------------------------- clearing


@mutant("C1")
class ClearGoesByOffset(Reference):
    """`clear` goes on at the next offset after each page of 1,000, which skips as many."""

    async def clear(self) -> None:
        async with self._life:
            offset = 0
            while page := [key async for key, _ in self.list_records("")][offset : offset + 1000]:
                for key in page:
                    await self._forget(key)
                offset += 1000


@mutant("C1")
class ClearLeavesTheDamaged(Reference):
    """`clear` passes over entries that it cannot read."""

    async def clear(self) -> None:
        async with self._life:
            for key, data in [found async for found in self.list_records("")]:
                if self._peek(key, data) is not None:
                    await self._forget(key)


@mutant("C2")
class EmptyPatternClearsAll(Reference):
    """`clear_pattern("")` removes everything: an empty pattern is taken for none."""

    async def clear_pattern(self, pattern: str) -> None:
        given: Any = pattern
        await super().clear_pattern("*" if given == "" else given)


@mutant("C2")
class PatternLeavesTheDamaged(Reference):
    """`clear_pattern` passes over damaged entries, which `keys` shows."""

    async def clear_pattern(self, pattern: str) -> None:
        for key in await self.keys(pattern):
            try:
                await self.exists(key)
            except CorruptEntryError:
                continue
            await self.delete(key)


@mutant("C3")
class ClearStopsTheSweeper(Reference):
    """After `clear` the space of expired entries no longer comes back."""

    cleared = False

    async def clear(self) -> None:
        await super().clear()
        self.cleared = True

    async def _sweep(self, more: int = 0) -> None:
        if not self.cleared:
            await super()._sweep(more)


@mutant("C3")
class PatternLeavesTheTimers(Reference):
    """The timers of entries outlive `clear_pattern`, and remove what is stored later."""

    def __init__(self, store: Store, clock: Callable[[], float], password: str = "") -> None:
        super().__init__(store, clock, password)
        self.timers: dict[str, float] = {}

    async def clear_pattern(self, pattern: str) -> None:
        for key in await self.keys(pattern):
            if PREFIX + key in self.store.records:
                record = self._peek(key, self.store.records[PREFIX + key])
                if record is not None and record.expires_at is not None:
                    self.timers[key] = record.expires_at
        await super().clear_pattern(pattern)

    async def _read(self, key: str) -> Record | None:
        if self.timers.get(key, float("inf")) <= self._clock():
            del self.timers[key]
            await self.delete_record(key)
        return await super()._read(key)


@mutant("C4")
class DeletesRace(Reference):
    """Of two tasks that delete one key at once, the second fails: the file is gone already."""

    async def delete(self, key: str) -> None:
        key = check_key(key, self.max_key_bytes)
        async with self._life:
            if await self.read_record(key) is None:
                return
            await self.reach()
            if self.store.records.pop(PREFIX + key, None) is None:
                error = FileNotFoundError(key)
                raise BackendUnavailableError("the file cannot be removed") from error
            self._note_expiry(key, None)
            await self._sweep()


@mutant("C4")
class DeletesLeaveARow(Reference):
    """Deleting an absent key leaves a row that `compare_and_set` takes for an entry."""

    deleted: frozenset[str] = frozenset()

    async def delete(self, key: str) -> None:
        if not await self.exists(key):
            self.deleted |= {key}
        await super().delete(key)

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        await super().set(key, value, ttl)
        self.deleted -= {key}

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        if key in self.deleted and expect is Absent.ABSENT:
            raise ConflictError(f"the entry {key!r} is there", key=key)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


# ----------------------------------------------------------------------- namespaces


class NumberedView(NamespacedBackend):
    def _settle(self, path: str, close_inner: bool) -> None:
        super()._settle(md5(path.encode()).hexdigest()[:4], close_inner)


@mutant("N1")
class NamespacesHave16Bits(Reference):
    """A namespace is known by 16 bits of a hash of its name."""

    def namespace(self, name: str) -> MemoryBackend:
        return NumberedView(self, name)


class ReachingView(NamespacedBackend):
    async def clear(self) -> None:
        await super().clear()
        await self._run(self.inner.clear_pattern, f"{self.path}/*")


@mutant("N1")
class ClearReachesWithin(Reference):
    """`clear` of a namespace empties the namespaces that were made of it as well."""

    def namespace(self, name: str) -> MemoryBackend:
        return ReachingView(self, name)


class StemmedView(NamespacedBackend):
    async def keys(self, pattern: str = "*") -> list[str]:
        # Long patterns are matched by the view: here against the keys of all.
        own = await super().keys(pattern)
        if len(pattern.encode()) + len(self._prefix) > 4096:
            everything = [key.partition(":")[2] for key in await self.inner.keys()]
            return [key for key in everything if matcher(pattern)(key)]
        return own


@mutant("N1")
class LongPatternsSeeAll(Reference):
    """A pattern that is too long with the prefix is matched against every namespace's keys."""

    def namespace(self, name: str) -> MemoryBackend:
        return StemmedView(self, name)


class MeasuredView(NamespacedBackend):
    def _settle(self, path: str, close_inner: bool) -> None:
        super()._settle(path, close_inner)
        self._prefix = f"{len(path)}{path}"
        self.max_key_bytes = self.inner.max_key_bytes - len(self._prefix)


@mutant("N2")
class LengthsWithoutEnd(Reference):
    """The prefix is the name after its length, with nothing in between: `1` `1` meets `11`."""

    def namespace(self, name: str) -> MemoryBackend:
        return MeasuredView(self, name)


class PercentView(NamespacedBackend):
    def _settle(self, path: str, close_inner: bool) -> None:
        super()._settle(path.replace("%25", "%"), close_inner)


@mutant("N2")
class PercentIsNotEscaped(Reference):
    """The per cent sign itself is not encoded in names: `a:` and `a%3A` meet."""

    def namespace(self, name: str) -> MemoryBackend:
        return PercentView(self, name)
