"""Mutants that break K1 to K3."""

from __future__ import annotations

import hashlib
import posixpath
import unicodedata
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from fastadk_memory import ABSENT, ConflictError, MemoryEntry
from fastadk_memory.keys import check_key

from .catalogue import Reference, mutant

# ------------------------------------------------------------------ K1: what a key is


@mutant("K1")
class CutsLongKeys(Reference):
    """Cuts a key that is too long instead of refusing it, as a column of fixed width does."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        if isinstance(key, str) and len(key) > self.max_key_bytes:
            key = key[: self.max_key_bytes]
        await super().set(key, value, ttl)


@mutant("K1")
class CountsCharacters(Reference):
    """`exists` counts characters, not bytes: it takes a key of 1,024 letters with accents."""

    async def exists(self, key: str) -> bool:
        if isinstance(key, str) and len(key) <= self.max_key_bytes < len(
            key.encode("utf-8", "replace")
        ):
            return False
        return await super().exists(key)


@mutant("K1")
class OneByteTooMany(Reference):
    """Deletes under a key of one byte more than the limit: off by one."""

    async def delete(self, key: str) -> None:
        if isinstance(key, str) and len(key) == self.max_key_bytes + 1:
            return
        await super().delete(key)


@mutant("K1")
class OneByteTooFew(Reference):
    """Refuses the longest key in bulk calls, once it is not ASCII: off by one."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        for key in items:
            if not str(key).isascii():
                check_key(key, self.max_key_bytes - 1)
        await super().set_many(items, ttl)


@mutant("K1")
class RoomForShortKeysOnly(Reference):
    """Has a column of 255 bytes for its keys, and says so."""

    max_key_bytes = 255


@mutant("K1")
class TurnsNumbersIntoText(Reference):
    """`ttl` takes the key 17 for "17", as a store does that formats keys into its commands."""

    async def ttl(self, key: str) -> int | None:
        return await super().ttl(str(key) if isinstance(key, int) else key)


@mutant("K1")
class DecodesBytes(Reference):
    """`get_many` takes bytes for text, as a client does that sends either."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        plain = [key.decode() if isinstance(key, bytes) else key for key in keys]
        return await super().get_many([key for key in plain if key])


@mutant("K1")
class ReplacesSurrogates(Reference):
    """Replaces a lone surrogate by a question mark, as `errors="replace"` does."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        if isinstance(key, str):
            key = key.encode(errors="replace").decode()
        return await super().set_entry(key, value, ttl, **more)


@mutant("K1")
class JoinsSurrogates(Reference):
    """Joins two surrogates into the character they would be in UTF-16."""

    async def get(self, key: str) -> Any:
        if isinstance(key, str):
            key = key.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return await super().get(key)


@mutant("K1")
class EmptyKeyIsAbsent(Reference):
    """`get_entry` says of the empty key that it is absent, and not that it is none."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        return await super().get_entry(key) if key != "" else None


@mutant("K1")
class RaisesWhatComes(Reference):
    """`get` raises the TypeError of the dict behind it for a key of another type."""

    async def get(self, key: str) -> Any:
        if not isinstance(key, str):
            raise TypeError(f"unhashable type: {type(key).__name__}")
        return await super().get(key)


@mutant("K1")
class DeletesUpToTheBadKey(Reference):
    """`delete_many` removes one key after the other, and notices a bad one when it comes."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        return sum([await super(DeletesUpToTheBadKey, self).delete_many([key]) for key in keys])


@mutant("K1")
class StoresUpToTheBadKey(Reference):
    """`set_many` stores one item after the other, and notices a bad key when it comes."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        for key, value in dict(items).items():
            await super().set_many({key: value}, ttl)


@mutant("K1")
class ComparesBeforeItChecks(Reference):
    """`compare_and_set` looks for the entry first: a bad key that must be there is a conflict."""

    async def compare_and_set(self, key: str, value: Any, *, expect: Any, ttl: Any = None) -> str:
        if expect is not ABSENT and not isinstance(key, str):
            raise ConflictError("not there", key=str(key))
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("K1")
class TouchesNothing(Reference):
    """`touch` answers False where the key is none, without a word."""

    async def touch(self, key: str, ttl: Any) -> bool:
        try:
            check_key(key, self.max_key_bytes)
        except ValueError:
            return False
        return await super().touch(key, ttl)


@mutant("K1")
class ForgetsTheExpiryOnRefusal(Reference):
    """A refused `touch` has made the nearest key permanent by then."""

    async def touch(self, key: str, ttl: Any) -> bool:
        if isinstance(key, str) and len(key) > self.max_key_bytes:
            await super().touch(key[: self.max_key_bytes], ttl)
        return await super().touch(key, ttl)


@mutant("K1")
class FormatsEnums(Reference):
    """Formats keys with str(), which of an enum's member is `Colour.RED` and not `red`."""

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(str(key) if isinstance(key, str) else key, value, ttl)


# ------------------------------------------------- K2: keys are exact and opaque


class Renaming(Reference):
    """Keeps each entry under another name, as stores do; it remembers the key last set there."""

    @abstractmethod
    def name(self, key: str) -> str: ...

    async def read_record(self, key: str) -> bytes | None:
        return await super().read_record(self.name(key))

    async def write_record(self, key: str, record: bytes) -> None:
        self.spelling = {**getattr(self, "spelling", {}), self.name(key): key}
        await super().write_record(self.name(key), record)

    async def delete_record(self, key: str) -> None:
        await super().delete_record(self.name(key))

    async def swap_record(self, key: str, old: bytes | None, new: bytes | None) -> bool:
        self.spelling = {**getattr(self, "spelling", {}), self.name(key): key}
        return await super().swap_record(self.name(key), old, new)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        async for name, record in super().list_records(""):
            yield self.spelling[name], record


@mutant("K2")
class IgnoresCase(Renaming):
    """Keeps entries in files of a file system that does not tell cases apart."""

    def name(self, key: str) -> str:
        return key.casefold()


@mutant("K2")
class NormalizesUnicode(Renaming):
    """Normalizes names to NFC, as some file systems and databases do."""

    def name(self, key: str) -> str:
        return unicodedata.normalize("NFC", key)


@mutant("K2")
class StripsTrailingDots(Renaming):
    """Drops dots and spaces at the end of a name, as Windows does."""

    def name(self, key: str) -> str:
        return key.rstrip(". ") or key


@mutant("K2")
class EndsAtNul(Renaming):
    """Hands keys to a library in C, where a NUL ends them."""

    def name(self, key: str) -> str:
        return key[:1] + key[1:].split("\x00")[0]


@mutant("K2")
class TakesKeysForPaths(Renaming):
    """Tidies keys as if they were paths: `a//b` and `a/./b` are `a/b`."""

    def name(self, key: str) -> str:
        return posixpath.normpath(key)


@mutant("K2")
class SharesBeginnings(Renaming):
    """Makes file names of the first 248 bytes of a longer key: what begins alike is the same."""

    def name(self, key: str) -> str:
        data = key.encode()
        return key if len(data) <= 248 else hashlib.sha256(data[:248]).hexdigest()


@mutant("K2")
class DecodesPercent(Renaming):
    """Undoes an escape that was never done: `%2F` and `/` are the same key."""

    def name(self, key: str) -> str:
        return unquote(key)


@mutant("K2")
class KeepsNumbersAsNumbers(Renaming):
    """Has columns without a type, in which `01` and `1` are one number."""

    def name(self, key: str) -> str:
        return str(int(key)) if key.isascii() and key.isdigit() else key


@mutant("K2")
class DeletesByGlob(Reference):
    """`delete` hands the key to a function that takes globs."""

    async def delete(self, key: str) -> None:
        await super().delete(key)
        for other in await self.keys():
            if fnmatchcase(other, key):
                await super().delete(other)


@mutant("K2")
class DeletesFolders(Reference):
    """`delete_many` of `a` takes along all under `a/`, as removing a folder does."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        existed = await super().delete_many(keys)
        for key in keys:
            for under in [each for each in await self.keys() if each.startswith(f"{key}/")]:
                await super().delete(under)
        return existed


@mutant("K2")
class ExistsByLike(Reference):
    """`exists` asks with LIKE, where `_` is any character."""

    async def exists(self, key: str) -> bool:
        if "_" not in key:
            return await super().exists(key)
        return any(fnmatchcase(each, key.replace("_", "?")) for each in await self.keys())


@mutant("K2")
class TouchesWithoutCase(Reference):
    """`touch` finds its entry without looking at the case."""

    async def touch(self, key: str, ttl: Any) -> bool:
        alike = [each for each in await self.keys() if each.lower() == key.lower()]
        return await super().touch(alike[0] if alike else key, ttl)


@mutant("K2")
class CachesByHash(Reference):
    """Caches what was asked for under a checksum of the key that takes no heed of the order."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache: dict[int, bool] = {}

    async def write_record(self, key: str, record: bytes) -> None:
        self.cache.pop(sum(key.encode()), None)
        await super().write_record(key, record)

    async def delete_record(self, key: str) -> None:
        self.cache.pop(sum(key.encode()), None)
        await super().delete_record(key)

    async def exists(self, key: str) -> bool:
        check = sum(key.encode()) if isinstance(key, str) else 0
        if check not in self.cache:
            self.cache[check] = await super().exists(key)
        return self.cache[check]


@mutant("K2")
class StripsInBulk(Reference):
    """`set_many` strips the white space around keys, as a reader of CSV files does."""

    async def set_many(self, items: Any, ttl: Any = None) -> None:
        if isinstance(items, dict):
            items = {
                key.strip() or key if isinstance(key, str) else key: value
                for key, value in items.items()
            }
        await super().set_many(items, ttl)


@mutant("K2")
class ExpiriesWithoutCase(Renaming):
    """Keeps the metadata of entries in a second table that does not tell cases apart."""

    def name(self, key: str) -> str:
        return key

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        self.beside = {**getattr(self, "beside", {}), key.lower(): entry.metadata}
        return entry

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        if entry is None or not entry.metadata:
            return entry
        return replace(entry, metadata=self.beside[key.lower()])


# ------------------------------------------- K3: keys come back as they were set


@mutant("K3")
class ListsWithPrefix(Reference):
    """Leaves its own prefix on what `scan` yields."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        for key in await self.keys(pattern):
            yield f"ours/{key}"


@mutant("K3")
class HidesDotFiles(Reference):
    """Lists a folder with the `glob` module, which leaves out names with a leading dot."""

    async def keys(self, pattern: str = "*") -> list[str]:
        return [key for key in await super().keys(pattern) if not key.startswith(".")]


@mutant("K3")
class SplitsLines(Reference):
    """Reads the listing line by line: a key that ends in a newline comes back without it."""

    async def keys(self, pattern: str = "*") -> list[str]:
        return [line for key in await super().keys(pattern) for line in key.split("\n") if line]


@mutant("K3")
class CutsLongNames(Reference):
    """Lists keys of more than 255 bytes by their first 255."""

    async def keys(self, pattern: str = "*") -> list[str]:
        return list(
            {key.encode()[:255].decode(errors="ignore") for key in await super().keys(pattern)}
        )


@mutant("K3")
class ComposesWhatItLists(Reference):
    """Lists names as the file system spells them: decomposed."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        for key in await self.keys(pattern):
            yield unicodedata.normalize("NFD", key)


@mutant("K3")
class LowersTheEntrysKey(Reference):
    """`get_entry` names the key as its index has it: in lower case."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        entry = await super().get_entry(key)
        return entry and replace(entry, key=entry.key.lower())


@mutant("K3")
class EntryNamesItsPlace(Reference):
    """`set_entry` names the key by its full name in the store."""

    async def set_entry(self, key: str, value: Any, ttl: Any = None, **more: Any) -> MemoryEntry:
        entry = await super().set_entry(key, value, ttl, **more)
        return replace(entry, key=f"ours/{entry.key}")


@mutant("K3")
class BulkNamesStripped(Reference):
    """`get_many` hands back keys without the white space around them."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found = await super().get_many(keys)
        return {key.strip() or key: value for key, value in found.items()}


@mutant("K3")
class UnescapesTwice(Reference):
    """Undoes its escapes twice: a key that looks like an escape comes back as another."""

    async def keys(self, pattern: str = "*") -> list[str]:
        return [unquote(key) for key in await super().keys(pattern)]


@mutant("K3")
class ListsBytes(Reference):
    """Lists keys as the driver returns them, as bytes, where they are not ASCII."""

    async def keys(self, pattern: str = "*") -> list[str]:
        listed: list[Any] = await super().keys(pattern)
        return [key if key.isascii() else key.encode() for key in listed]


@mutant("K3")
class ListsTheRewrittenTwice(Reference):
    """Keeps its index as a list to which every `set` appends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.index: list[str] = []

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        await super().set(key, value, ttl)
        self.index.append(key)

    async def keys(self, pattern: str = "*") -> list[str]:
        listed = await super().keys(pattern)
        return listed + [key for key in set(listed) if self.index.count(key) > 1]


@mutant("K3")
class ListsTheDeleted(Reference):
    """Takes only the first of the keys of a `delete_many` out of its index."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stale: dict[str, None] = {}

    async def write_record(self, key: str, record: bytes) -> None:
        self.stale.pop(key, None)
        await super().write_record(key, record)

    async def delete_many(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        existed = await super().delete_many(keys)
        self.stale.update(dict.fromkeys(keys[1:]))
        return existed

    async def keys(self, pattern: str = "*") -> list[str]:
        return [*await super().keys(pattern), *(k for k in self.stale if fnmatchcase(k, pattern))]
