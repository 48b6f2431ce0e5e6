"""Mutants that break P1 to P4."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from fnmatch import fnmatchcase, translate
from typing import Any

from fastadk_memory import InvalidPatternError, MemoryBackend, NamespacedBackend
from fastadk_memory.keys import check_pattern, filter_keys

from .catalogue import Reference, mutant
from .reference import ReferenceHooks


class Globbing(Reference):
    """Matches every stored key by a method of its own, which mutants override."""

    def matches(self, pattern: str, key: str) -> object:
        return fnmatchcase(key, pattern)

    async def _matching(self, pattern: str) -> AsyncIterator[str]:
        async for key, data in self.list_records(""):
            if self.matches(pattern, key) and self._peek_alive(key, data):
                yield key


# ------------------------------------------------------------------------------------- P1


@mutant("P1")
class CaretNegates(Globbing):
    """`[^a]` negates, as in Redis."""

    def matches(self, pattern, key):
        return fnmatchcase(key, pattern.replace("[^", "[!"))


@mutant("P1")
class BytesAreMatched(Globbing):
    """Keys and patterns are matched as bytes, so that `?` is one byte of UTF-8."""

    def matches(self, pattern, key):
        return fnmatchcase(key.encode().decode("latin-1"), pattern.encode().decode("latin-1"))


@mutant("P1")
class RangesAreTurnedRound(Globbing):
    """`[c-a]` is read as `[a-c]`, as Redis does."""

    def matches(self, pattern, key):
        turned = re.sub(r"\[(.)-(.)\]", lambda m: f"[{min(m[1], m[2])}-{max(m[1], m[2])}]", pattern)
        return fnmatchcase(key, turned)


@mutant("P1")
class BackslashEscapes(Globbing):
    """A backslash in a pattern takes the next character literally."""

    def matches(self, pattern, key):
        return fnmatchcase(key, re.sub(r"\\([*?\[])", r"[\1]", pattern))


@mutant("P1")
class UnclosedBracketIsAClass(Globbing):
    """A `[` that is never closed is a class up to the end of the pattern."""

    def matches(self, pattern, key):
        at = pattern.rfind("[")
        unclosed = at >= 0 and "]" not in pattern[at + 2 :] and len(pattern) > at + 1
        return fnmatchcase(key, f"{pattern}]" if unclosed else pattern)


@mutant("P1")
class StarStopsAtNewlines(Globbing):
    """`*` and `?` do not match a newline."""

    def matches(self, pattern, key):
        return re.match(translate(pattern).replace("(?s:", "(?:"), key)


@mutant("P1")
class EndsBeforeANewline(Globbing):
    """A pattern is anchored by `$`, which matches before a last newline as well."""

    def matches(self, pattern, key):
        return fnmatchcase(key, pattern) or (key[-1] == "\n" and fnmatchcase(key[:-1], pattern))


@mutant("P1")
class RangesIgnoreCase(Globbing):
    """Where the pattern has a class, letters match in either case."""

    def matches(self, pattern, key):
        flags = re.IGNORECASE if "[" in pattern and "]" in pattern else 0
        return re.match(translate(pattern), key, flags)


@mutant("P1")
class StarStopsAtSlashes(Globbing):
    """`*` does not match a slash in the middle of a pattern, as in a file system."""

    def matches(self, pattern, key):
        if "/" in pattern:
            return fnmatchcase(key, pattern) and key.count("/") == pattern.count("/")
        return fnmatchcase(key, pattern)


@mutant("P1")
class HiddenKeysStayHidden(Globbing):
    """A leading dot is only matched by a dot, as in a shell."""

    def matches(self, pattern, key):
        hidden = key[0] == "." and pattern[:1] in ("?", "[")
        return not hidden and fnmatchcase(key, pattern)


@mutant("P1")
class PrefixEndsAtY(Globbing):
    """A prefix is looked up as a range of keys that ends at `ÿ`, beyond which there are more."""

    def matches(self, pattern, key):
        prefix = re.split(r"[*?\[]", pattern)[0]
        within = not prefix or key <= f"{prefix}\xff"
        return within and fnmatchcase(key, pattern)


@mutant("P1")
class PrefixTakesNegationForAChar(Reference):
    """The literal prefix of `[!]]*` is thought to be `!`."""

    async def keys(self, pattern="*"):
        found = await super().keys(pattern)
        wrong = re.match(r"\[(.)\]", pattern)
        return [key for key in found if wrong is None or key.startswith(wrong[1])]


@mutant("P1")
class CappedAtTenThousand(Reference):
    """`keys` returns the first 10,000 at the most."""

    async def keys(self, pattern="*"):
        return (await super().keys(pattern))[:10_000]


@mutant("P1")
class OnePageIsMatched(Reference):
    """A pattern other than `*` is matched with the first thousand keys only."""

    async def _matching(self, pattern: str) -> AsyncIterator[str]:
        at = 0
        async for key in super()._matching("*"):
            at += 1
            if pattern == "*" or (at <= 1000 and fnmatchcase(key, pattern)):
                yield key


@mutant("P1")
class ScanRepeatsAtPages(Reference):
    """`scan` yields the last key of a page again as the first one of the next."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        for at, key in enumerate(await self.keys(pattern)):
            yield key
            if at % 1000 == 999:
                yield key


@mutant("P1")
class ListingIsKept(Reference):
    """What a pattern matched is kept for as long as the number of records stays the same."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept: dict[tuple[str, int], list[str]] = {}

    async def keys(self, pattern="*"):
        question = (check_pattern(pattern), len(self.store.records))
        if question not in self.kept:
            self.kept[question] = await super().keys(pattern)
        return list(self.kept[question])


@mutant("P1")
class LastingKeysOnly(Reference):
    """A pattern with a class is matched with keys that do not expire only."""

    async def keys(self, pattern="*"):
        found = await super().keys(pattern)
        if "[" not in pattern:
            return found
        return [key for key in found if await self.ttl(key) is None]


@mutant("P1")
class AnIteratorOfKeys(Reference):
    """`keys` returns a tuple where it has nothing to filter."""

    async def keys(self, pattern="*"):
        found = await super().keys(pattern)
        return tuple(found) if pattern == "*" else found


# ------------------------------------------------------------------------------------- P2


@mutant("P2")
class NoneIsEverything(Reference):
    """`keys(None)` lists everything."""

    async def keys(self, pattern="*"):
        return await super().keys("*" if pattern is None else pattern)


@mutant("P2")
class BytesAreDecoded(Reference):
    """`clear_pattern` takes bytes for their text."""

    async def clear_pattern(self, pattern):
        await super().clear_pattern(pattern.decode() if isinstance(pattern, bytes) else pattern)


@mutant("P2")
class LimitCountsCharacters(Reference):
    """A pattern may have 4,096 characters instead of bytes."""

    async def keys(self, pattern="*"):
        if isinstance(pattern, str) and len(pattern) <= 4096 < len(
            pattern.encode("utf-8", "replace")
        ):
            pattern = "*"
        return await super().keys(pattern)


@mutant("P2")
class LimitIsOneByteShort(Reference):
    """A pattern of exactly 4,096 bytes is refused."""

    async def clear_pattern(self, pattern):
        if isinstance(pattern, str) and len(pattern.encode("utf-8", "replace")) == 4096:
            raise InvalidPatternError("a pattern may have at most 4,095 bytes")
        await super().clear_pattern(pattern)


@mutant("P2")
class NamespaceShortensPatterns(Reference):
    """A namespace refuses patterns that are too long for the store with the name before them."""

    def namespace(self, name: str) -> MemoryBackend:
        class View(NamespacedBackend):
            async def keys(self, pattern="*"):
                if self._own_pattern(pattern) is None:
                    raise InvalidPatternError("a pattern may have at most 4,096 bytes")
                return await super().keys(pattern)

        return View(self, name)


@mutant("P2")
class NamespacesTakeAnything(Reference):
    """A namespace puts whatever is given as a pattern behind its name, and goes by that."""

    def namespace(self, name: str) -> MemoryBackend:
        class View(NamespacedBackend):
            async def clear_pattern(self, pattern):
                await self._run(self.inner.clear_pattern, f"{self._prefix}{pattern}")

        return View(self, name)


@mutant("P2")
class SurrogatesReachScan(Reference):
    """`scan` takes a pattern with a lone surrogate, which matches nothing."""

    def scan(self, pattern="*", *, batch_size=1000):
        if isinstance(pattern, str):
            pattern = pattern.encode("utf-8", "replace").decode()
        return super().scan(pattern, batch_size=batch_size)


@mutant("P2")
class ScanRefusesLate(Reference):
    """`scan` refuses a bad pattern when the first key is asked for."""

    async def scan(self, pattern="*", *, batch_size=1000):
        async for key in super().scan(pattern, batch_size=batch_size):
            yield key


@mutant("P2")
class EmptyPatternIsNone(Reference):
    """The empty pattern, being falsy, lists everything."""

    async def keys(self, pattern="*"):
        return await super().keys(pattern or check_pattern(pattern) or "*")


@mutant("P2")
class EmptyStoreSkipsTheCheck(Reference):
    """`clear_pattern` of an empty store returns before the pattern is looked at."""

    async def clear_pattern(self, pattern):
        if any(True for _ in self.store.ours()):
            await super().clear_pattern(pattern)


@mutant("P2")
class ClearsBeforeItRefuses(Reference):
    """`clear_pattern` removes the key that a number looks like before it refuses the number."""

    async def clear_pattern(self, pattern):
        if isinstance(pattern, int):
            await self.delete(str(pattern))
        await super().clear_pattern(pattern)


@mutant("P2")
class EnumMembersLoseTheirText(Reference):
    """A pattern is taken for its `str()`, which is not the text of an enum's member."""

    async def keys(self, pattern="*"):
        return await super().keys(str(pattern) if isinstance(pattern, str) else pattern)


# ------------------------------------------------------------------------------------- P3


@mutant("P3")
class EscapedStarIsAStar(Globbing):
    """`[*]` is simplified to `*`."""

    def matches(self, pattern, key):
        return fnmatchcase(key, pattern.replace("[*]", "*"))


@mutant("P3")
class EscapedQuestionClearsAnyChar(Reference):
    """`clear_pattern` simplifies `[?]` to `?`."""

    async def clear_pattern(self, pattern):
        check_pattern(pattern)
        await super().clear_pattern(pattern.replace("[?]", "?"))


@mutant("P3")
class EscapedBracketOpensAClass(Globbing):
    """`[[]` is taken for a bracket that opens a class."""

    def matches(self, pattern, key):
        return fnmatchcase(key, pattern.replace("[[]", "["))


@mutant("P3")
class BackslashIsDropped(Globbing):
    """Backslashes in patterns are dropped as escapes."""

    def matches(self, pattern, key):
        return fnmatchcase(key, pattern.replace("\\", ""))


@mutant("P3")
class LikePatterns(Reference):
    """`clear_pattern` goes by SQL's LIKE, where `%` and `_` are wildcards."""

    async def clear_pattern(self, pattern):
        pattern = check_pattern(pattern)
        await super().clear_pattern(pattern.replace("%", "*").replace("_", "?"))


@mutant("P3")
class LongPatternsAreCut(Reference):
    """A pattern of more than 1,024 characters is cut there, and matches every continuation."""

    async def keys(self, pattern="*"):
        pattern = check_pattern(pattern)
        return await super().keys(f"{pattern[:1022]}*" if len(pattern) > 1024 else pattern)


@mutant("P3")
class ScanTakesTheKeyForAPrefix(Reference):
    """`scan` takes a pattern without wildcards for a prefix."""

    def scan(self, pattern="*", *, batch_size=1000):
        plain = re.search(r"[*?\[]", check_pattern(pattern)) is None
        return super().scan(f"{pattern}*" if plain else pattern, batch_size=batch_size)


# ------------------------------------------------------------------------------------- P4


class Hurried(ReferenceHooks):
    """Does not wait long for what would never end."""

    limits = replace(ReferenceHooks.limits, pattern_seconds=0.5)


def backtracking(pattern: str) -> re.Pattern[str]:
    """Return the regular expression that everybody writes at first."""
    made, at = "", 0
    while at < len(pattern):
        end = pattern.find("]", at + 2)
        if pattern[at] == "[" and end > 0:
            inside = pattern[at + 1 : end].replace("\\", "\\\\").replace("!", "^", 1)
            made += f"[{inside}]"
            at = end
        else:
            made += {"*": ".*", "?": "."}.get(pattern[at], re.escape(pattern[at]))
        at += 1
    return re.compile(made, re.DOTALL)


@mutant("P4", hooks=Hurried)
class StarsBacktrack(Reference):
    """`keys` turns each `*` into `.*`."""

    async def keys(self, pattern="*"):
        found = re.compile(backtracking(check_pattern(pattern)))
        return [key for key in await super().keys() if found.fullmatch(key)]


@mutant("P4", hooks=Hurried)
class ClearingRecurs(Reference):
    """`clear_pattern` tries the rest of the pattern at every place, by recursion."""

    async def clear_pattern(self, pattern):
        pattern = check_pattern(pattern)
        if "[" in pattern:
            await super().clear_pattern(pattern)
            return
        await self.delete_many([key for key in await self.keys() if self.tried(pattern, key)])

    def tried(self, pattern: str, key: str) -> bool:
        if not pattern:
            return not key
        if pattern[0] == "*":
            return any(self.tried(pattern[1:], key[at:]) for at in range(len(key) + 1))
        return bool(key) and pattern[0] in ("?", key[0]) and self.tried(pattern[1:], key[1:])


@mutant("P4", hooks=Hurried)
class ClassesBacktrack(Globbing):
    """Only patterns with classes go through an expression that backtracks."""

    def matches(self, pattern, key):
        if re.search(r"\[.+\]", pattern):
            return backtracking(pattern).fullmatch(key)
        return fnmatchcase(key, pattern)


@mutant("P4", hooks=Hurried)
class ScanBacktracks(Reference):
    """`scan` goes through an expression that backtracks where a `?` stands beside a `*`."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        slow = "*?" in pattern or "?*" in pattern
        found = backtracking(pattern) if slow else re.compile(translate(pattern))
        for key in await self.keys():
            if found.fullmatch(key):
                yield key


@mutant("P4", hooks=Hurried)
class ManyStarsMatchNothing(Globbing):
    """Patterns with more than eight stars are taken for an attack, and match nothing."""

    def matches(self, pattern, key):
        return pattern.count("*") <= 8 and fnmatchcase(key, pattern)


@mutant("P4", hooks=Hurried)
class NamespacesBacktrack(Reference):
    """Only a namespace filters by an expression that backtracks."""

    def namespace(self, name: str) -> MemoryBackend:
        class View(NamespacedBackend):
            async def keys(self, pattern="*"):
                found = backtracking(check_pattern(pattern))
                return [key for key in filter_keys("*", await super().keys()) if found.match(key)]

        return View(self, name)


@mutant("P4", hooks=Hurried)
class LongKeysBacktrack(Globbing):
    """Keys of more than 1,000 bytes go through an expression that backtracks."""

    def matches(self, pattern, key):
        if len(key) <= 1000 or "[" in pattern or "**" in pattern:
            return fnmatchcase(key, pattern)
        return backtracking(pattern).fullmatch(key)
