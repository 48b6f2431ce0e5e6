"""Mutants that break N1 and N2: stores whose namespaces are broken."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import cached_property
from typing import Any, ClassVar
from unicodedata import normalize
from urllib.parse import quote

from fastadk_memory import InvalidKeyError, MemoryBackend, NamespacedBackend
from fastadk_memory.keys import check_key, check_pattern

from .catalogue import Reference, mutant


class View(NamespacedBackend):
    """A namespace that mutants make in a way of their own."""

    def named(self, name: str) -> str:
        """Return how the name is stored; the right way is to encode it."""
        return quote(name, safe="", encoding="utf-8")

    def __init__(self, inner: MemoryBackend, name: str, **options: Any) -> None:
        super().__init__(inner, name, **options)
        self.rename(self.named(name))

    def rename(self, path: str) -> None:
        self._settle(path, close_inner=False)

    def nested(self, name: str) -> str:
        """Return the path of a namespace inside of this one."""
        return f"{self.path}/{self.named(name)}"

    def namespace(self, name: str) -> MemoryBackend:
        view = super().namespace(name)
        assert isinstance(view, View)
        view.rename(self.nested(name))
        return view


class Viewed(Reference):
    """A store with views of the class `Own`."""

    Own: ClassVar[type[NamespacedBackend]] = View

    def namespace(self, name: str) -> MemoryBackend:
        return self.Own(self, name)


# ------------------------------------------------------------------------------------- N1


@mutant("N1")
class ClearReachesNamesThatBeginAlike(Viewed):
    """`clear` of `a` removes what `ab` holds: its pattern has no separator."""

    class Own(View):
        async def clear(self):
            await super().clear()
            await self.inner.clear_pattern(f"{self.path}*")


@mutant("N1")
class NamesAreGlobs(Viewed):
    """The name is put into the pattern of `clear` as it is, wildcards included."""

    class Own(View):
        def __init__(self, inner: MemoryBackend, name: str, **options: Any) -> None:
            super().__init__(inner, name, **options)
            self.name = name

        async def clear(self):
            await super().clear()
            await self.inner.clear_pattern(f"{self.name}:*")


@mutant("N1")
class NamesIgnoreCase(Viewed):
    """Names that differ in their case only are one namespace."""

    class Own(View):
        def named(self, name):
            return super().named(name.casefold())


@mutant("N1")
class NamesAreNormalised(Viewed):
    """Names are brought to Unicode's normal form C."""

    class Own(View):
        def named(self, name):
            return super().named(normalize("NFC", name))


@mutant("N1")
class NamesEndAtNul(Viewed):
    """A name ends at its first NUL, as strings in C do."""

    class Own(View):
        def named(self, name):
            return super().named(name.split("\x00")[0] or name)


@mutant("N1")
class NamesAreStripped(Viewed):
    """Spaces around a name are dropped."""

    class Own(View):
        def named(self, name):
            return super().named(name.strip() or name)


@mutant("N1")
class BulkReadsAreRaw(Viewed):
    """`get_many` looks for keys that are not there in the other namespaces as well."""

    class Own(View):
        async def get_many(self, keys):
            wanted = list(keys)
            found = await super().get_many(wanted)
            for key in wanted:
                for full in await self.inner.keys(f"*:{key}"):
                    found.setdefault(key, await self.inner.get(full))
            return found


@mutant("N1")
class TouchIsForAll(Viewed):
    """`touch` touches the key in every namespace."""

    class Own(View):
        async def touch(self, key, ttl):
            done = await super().touch(key, ttl)
            for full in await self.inner.keys(f"*:{key}"):
                await self.inner.touch(full, ttl)
            return done


@mutant("N1")
class NumbersAreNames(Viewed):
    """Whatever is given as a name is taken for its `str()`."""

    class Own(View):
        def __init__(self, inner: MemoryBackend, name: str, **options: Any) -> None:
            super().__init__(inner, name if isinstance(name, str) else str(name), **options)


@mutant("N1")
class TheEmptyNameIsTheStore(Viewed):
    """The empty name gives the store itself."""

    def namespace(self, name):
        return self if name == "" else super().namespace(name)


@mutant("N1")
class InnerNamesForgetTheirParent(Viewed):
    """A namespace of a namespace is the one of that name in the store."""

    class Own(View):
        def nested(self, name):
            return self.named(name)


@mutant("N1")
class OuterNamespacesListInnerKeys(Viewed):
    """A namespace lists what the namespaces inside of it hold."""

    class Own(View):
        def nested(self, name):
            return f"{self.path}:{self.named(name)}"


@mutant("N1")
class KeysMayBeAsLong(Viewed):
    """A view says that its keys may be as long as those of the store."""

    class Own(View):
        def _settle(self, path: str, close_inner: bool) -> None:
            super()._settle(path, close_inner)
            self.max_key_bytes = self.inner.max_key_bytes


@mutant("N1")
class LongNamesLeaveNoRoom(Viewed):
    """A name may be so long that 500 bytes are left for keys."""

    class Own(View):
        def _settle(self, path: str, close_inner: bool) -> None:
            inner = self.inner
            try:
                super()._settle(path, close_inner)
            except InvalidKeyError:
                left = inner.max_key_bytes - len(path) - 1
                if left < 500:
                    raise
                self._life = NamespacedBackend(inner, "a")._life
                self._close_inner = False
                self.max_key_bytes = left


@mutant("N1")
class NamespacesAreNumbered(Viewed):
    """Names are numbered as they come, by each client for itself."""

    @cached_property
    def names(self) -> list[str]:
        return []

    def namespace(self, name: str) -> MemoryBackend:
        View(self, name)  # which refuses what is no name
        if name not in self.names:
            self.names.append(name)
        return View(self, f"{self.names.index(name)}")


@mutant("N1")
class TheCurrentNamespaceIsShared(Viewed):
    """The store holds the name of the current namespace, which other calls change meanwhile."""

    current = ""

    class Own(View):
        async def set(self, key, value, ttl=None):
            self.inner.current = self._prefix
            full = self._full(key)
            await asyncio.sleep(0)
            await self._run(
                self.inner.set, self.inner.current + full[len(self._prefix) :], value, ttl
            )


@mutant("N1")
class EachViewRemembers(Viewed):
    """A view remembers what it has read, and does not hear of what other views write."""

    class Own(View):
        @cached_property
        def read(self) -> dict[str, Any]:
            return {}

        async def get(self, key):
            found = await super().get(key)
            return self.read.setdefault(key, found)

        async def set(self, key, value, ttl=None):
            await super().set(key, value, ttl)
            self.read.pop(key, None)

        async def delete(self, key):
            await super().delete(key)
            self.read.pop(key, None)

        async def clear(self):
            await super().clear()
            self.read.clear()


@mutant("N1")
class ClosingClears(Viewed):
    """Closing a view removes what its namespace holds."""

    class Own(View):
        async def aclose(self):
            with suppress(Exception):
                await self.clear()
            await super().aclose()


@mutant("N1")
class ClosingClosesTheStore(Viewed):
    """Closing a view closes the store."""

    class Own(View):
        async def aclose(self):
            await super().aclose()
            await self.inner.aclose()


@mutant("N1")
class ScanShowsTheNeighbours(Viewed):
    """`scan` with a pattern that begins with a star shows what all namespaces hold."""

    class Own(View):
        async def _scan_own(self, own: str, pattern: str, size: int) -> AsyncIterator[str]:
            async for key in super()._scan_own(own, pattern, size):
                yield key
            if pattern[:1] == "*" and len(pattern) > 1:
                async for full in self.inner.scan(f"*:{pattern}", batch_size=size):
                    yield full.split(":", 1)[1]


@mutant("N1")
class EntriesNameTheStoredKey(Viewed):
    """`get_entry` of a view returns an entry with the store's own key."""

    class Own(View):
        def _own_entry(self, entry):
            return entry


@mutant("N1")
class ViewsCanDoLess(Viewed):
    """A view does not declare what its store can do."""

    class Own(View):
        def _settle(self, path: str, close_inner: bool) -> None:
            super()._settle(path, close_inner)
            self.capabilities = frozenset()


@mutant("N1")
class DeletingIsForTheFirstName(Viewed):
    """`delete_many` goes to the namespace that the store was asked for first."""

    first: str | None = None

    class Own(View):
        async def delete_many(self, keys):
            store = self.inner
            wanted = [check_key(key, self.max_key_bytes) for key in keys]
            number = await super().delete_many(wanted)
            await store.delete_many([store.first + key for key in wanted])
            return number

    def namespace(self, name: str) -> MemoryBackend:
        made = super().namespace(name)
        self.first = self.first or made._prefix
        return made


@mutant("N1")
class PatternsSeeTheName(Viewed):
    """In a namespace a pattern may match the name and the key together."""

    class Own(View):
        async def keys(self, pattern="*"):
            found = await super().keys(pattern)
            if check_pattern(pattern) in ("*", ""):
                return found
            more = await self.inner.keys(pattern)
            return list(dict.fromkeys([*found, *self._own_keys(more)]))


@mutant("N1")
class TheStoreHidesItsNamespaces(Viewed):
    """`scan()` of the store does not show what its namespaces hold."""

    def scan(self, pattern="*", *, batch_size=1000):
        listed = super().scan(pattern, batch_size=batch_size)
        return (key async for key in listed if pattern != "*" or ":" not in key)


# ------------------------------------------------------------------------------------- N2


@mutant("N2")
class NamesAreJoinedByColons(Viewed):
    """Name and key are joined by a colon, and nothing is encoded."""

    class Own(View):
        def named(self, name):
            return name


@mutant("N2")
class NamesAreJoinedByTwoColons(Viewed):
    """Only a single colon in a name is encoded, as the separator has two."""

    class Own(View):
        def named(self, name):
            return re.sub(r"(?<!:):(?!:)", "%3A", name)

        def _settle(self, path: str, close_inner: bool) -> None:
            super()._settle(path, close_inner)
            self._prefix = f"{path}::"
            self.max_key_bytes -= 1


@mutant("N2")
class PercentIsNotEncoded(Viewed):
    """Names are encoded with percent signs, but the percent sign itself is not."""

    class Own(View):
        def named(self, name):
            return quote(name, safe="%")


@mutant("N2")
class SlashIsNotEncoded(Viewed):
    """A slash in a name stays, as `urllib.parse.quote` leaves it by default."""

    class Own(View):
        def named(self, name):
            return quote(name)


@mutant("N2")
class PathsAreNormalised(Viewed):
    """Names inside of names are taken for a path, in which `..` leads up."""

    class Own(View):
        def nested(self, name):
            return posixpath.normpath(f"{self.path}/{self.named(name)}")


@mutant("N2")
class KeysAreJoinedAsPaths(Viewed):
    """A key that begins with a slash leaves its namespace, as with `os.path.join`."""

    class Own(View):
        def _full(self, key: str) -> str:
            full = super()._full(key)
            return f"/:{key}" if key[0] == "/" else full

        def _own_keys(self, full_keys):
            taken = list(full_keys)
            own = super()._own_keys(taken)
            return own + [key[2:] for key in taken if key.startswith("/:")]


@mutant("N2")
class LongNamesAreCut(Viewed):
    """A name is cut after a hundred bytes."""

    class Own(View):
        def named(self, name):
            return super().named(name)[:100]


@mutant("N2")
class LongKeysAreCutInNamespaces(Viewed):
    """In a namespace a key counts up to its 500th byte."""

    class Own(View):
        def _full(self, key: str) -> str:
            return super()._full(key)[: len(self._prefix) + 500]


@mutant("N2")
class ForeignLettersAreReplaced(Viewed):
    """In names every character beyond ASCII becomes a question mark."""

    class Own(View):
        def named(self, name):
            return super().named(name.encode("ascii", "replace").decode())


@mutant("N2")
class InnerNamesRunTogether(Viewed):
    """The names of a nested namespace are joined by nothing."""

    class Own(View):
        def nested(self, name):
            return f"{self.path}{self.named(name)}"


@mutant("N2")
class DeletingForgetsTheEncoding(Viewed):
    """Only `delete` joins name and key without encoding the name."""

    class Own(View):
        def __init__(self, inner: MemoryBackend, name: str, **options: Any) -> None:
            super().__init__(inner, name, **options)
            self.name = name

        async def delete(self, key):
            await super().delete(key)
            if ":" in key:
                outer, _, rest = f"{self.name}:{key}".rpartition(":")
                await self.inner.delete(f"{self.named(outer)}:{rest}")


@mutant("N2")
class UnsafeCharactersAreOne(Viewed):
    """Every character of a name that is not safe becomes an underscore."""

    class Own(View):
        def named(self, name):
            return re.sub(r"[^A-Za-z0-9_.-]", "_", name)
