"""A backend around a backend: namespaces, a default TTL, and the base for more of the kind."""

from __future__ import annotations

import copy
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, ParamSpec, Self, TypeVar, cast

from fastadk_memory.base import (
    Absent,
    MemoryBackend,
    MemoryEntry,
    Ttl,
    Version,
    check_batch_size,
)
from fastadk_memory.concurrency import Lifetime
from fastadk_memory.errors import (
    ConflictError,
    CorruptEntryError,
    InvalidKeyError,
    InvalidTTLError,
)
from fastadk_memory.keys import (
    MAX_PATTERN_BYTES,
    MIN_MAX_KEY_BYTES,
    check_key,
    check_keys,
    check_pattern,
    filter_keys,
    matcher,
)
from fastadk_memory.ttl import ttl_to_ms

__all__ = ["DefaultTtlBackend", "NamespacedBackend", "WrapperBackend"]

P = ParamSpec("P")
T = TypeVar("T")


class WrapperBackend(MemoryBackend):
    """A backend that hands every call to another one, `inner`.

    Subclass it and override what should differ. The bulk calls and the capability methods
    are handed on, too: whoever changes what `set` does to a value has to change
    `set_many`, `set_entry` and `compare_and_set` in the same way.

    Args:
        inner: The backend to wrap. The wrapper owns it: closing the one closes the other.
    """

    def __init__(self, inner: MemoryBackend) -> None:
        self.inner = inner
        self.capabilities = inner.capabilities
        self.max_key_bytes = inner.max_key_bytes

    def __repr__(self) -> str:
        """Return the class and what it wraps."""
        return f"{type(self).__name__}({self.inner!r})"

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Hand on to `inner`."""
        await self.inner.set(key, value, ttl)

    async def get(self, key: str) -> Any:
        """Hand on to `inner`."""
        return await self.inner.get(key)

    async def delete(self, key: str) -> None:
        """Hand on to `inner`."""
        await self.inner.delete(key)

    async def exists(self, key: str) -> bool:
        """Hand on to `inner`."""
        return await self.inner.exists(key)

    async def keys(self, pattern: str = "*") -> list[str]:
        """Hand on to `inner`."""
        return await self.inner.keys(pattern)

    async def clear(self) -> None:
        """Hand on to `inner`."""
        await self.inner.clear()

    async def clear_pattern(self, pattern: str) -> None:
        """Hand on to `inner`."""
        await self.inner.clear_pattern(pattern)

    async def ttl(self, key: str) -> int | None:
        """Hand on to `inner`."""
        return await self.inner.ttl(key)

    async def health_check(self) -> bool:
        """Hand on to `inner`."""
        return await self.inner.health_check()

    async def open(self) -> None:
        """Open `inner`."""
        await self.inner.open()

    async def aclose(self) -> None:
        """Close `inner`."""
        await self.inner.aclose()

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """Hand on to `inner`."""
        return await self.inner.get_entry(key)

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Hand on to `inner`."""
        return await self.inner.get_many(keys)

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Hand on to `inner`."""
        await self.inner.set_many(items, ttl)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Hand on to `inner`."""
        return await self.inner.delete_many(keys)

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """Hand on to `inner`."""
        return self.inner.scan(pattern, batch_size=batch_size)

    def namespace(self, name: str) -> MemoryBackend:
        """Return a view that has its keys to itself, with this wrapper's ways.

        Where there is a namespace beneath, the view is a copy of this wrapper around a
        namespace beside that one: two prefixes on top of each other could meet (clause N2).
        """
        if not _holds_namespace(self.inner):
            return super().namespace(name)
        return self._around(self.inner.namespace(name))

    def _around(self, inner: MemoryBackend) -> Self:
        view = copy.copy(self)
        view.inner = inner
        view.max_key_bytes = inner.max_key_bytes
        return view

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Hand on to `inner`."""
        return await self.inner.set_entry(key, value, ttl, metadata=metadata)

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Hand on to `inner`."""
        return await self.inner.compare_and_set(key, value, expect=expect, ttl=ttl)

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """Hand on to `inner`."""
        return await self.inner.touch(key, ttl)


class DefaultTtlBackend(WrapperBackend):
    """Gives every entry an expiry: where no TTL is passed, `ttl` counts.

    `touch(key, None)` still lifts the expiry of a single entry, as it asks for just that.

    Args:
        inner: The backend to wrap and own.
        ttl: The TTL for all calls that pass none, in seconds or as a `timedelta`.

    Raises:
        InvalidTTLError: `ttl` is `None` or no TTL.
    """

    def __init__(self, inner: MemoryBackend, ttl: Ttl) -> None:
        super().__init__(inner)
        if ttl_to_ms(ttl) is None:
            raise InvalidTTLError("a default TTL must not be None; leave the wrapper out instead")
        self.default_ttl = ttl

    def _or_default(self, ttl: Ttl | None) -> Ttl:
        return self.default_ttl if ttl is None else ttl

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Store with the default TTL where none is passed."""
        await self.inner.set(key, value, self._or_default(ttl))

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Store with the default TTL where none is passed."""
        await self.inner.set_many(items, self._or_default(ttl))

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Store with the default TTL where none is passed."""
        return await self.inner.set_entry(key, value, self._or_default(ttl), metadata=metadata)

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store with the default TTL where none is passed."""
        return await self.inner.compare_and_set(
            key, value, expect=expect, ttl=self._or_default(ttl)
        )


class NamespacedBackend(WrapperBackend):
    """A part of a store that has its keys to itself (clauses N1 and N2).

    A key `k` of the namespace `a` is stored as `a:k`; one of the namespace `b` of the
    namespace `a` as `a/b:k`. Whatever else than `A-Z a-z 0-9 _ . -` a name holds is
    percent-encoded, so that no two pairs of name and key ever meet.

    Args:
        inner: The backend to share. A namespace of a namespace is put directly around
            their common store.
        name: Any `str` but the empty one.
        close_inner: Whether closing this view closes the store, too.

    Raises:
        InvalidKeyError: `name` is empty, no `str`, not encodable as UTF-8, or so long that
            fewer than 512 bytes would be left for a key.
    """

    def __init__(self, inner: MemoryBackend, name: str, *, close_inner: bool = False) -> None:
        path = _encode_name(name)
        if isinstance(inner, NamespacedBackend):
            path = f"{inner.path}/{path}"
            inner = inner.inner
        super().__init__(inner)
        self._settle(path, close_inner)

    def _settle(self, path: str, close_inner: bool) -> None:
        self.path: str = path
        self._prefix = f"{path}:"  # holds no wildcard: it is its own pattern
        available = self.inner.max_key_bytes
        self.max_key_bytes = available - len(self._prefix)
        if self.max_key_bytes < MIN_MAX_KEY_BYTES:
            raise InvalidKeyError(
                f"the namespace takes {len(self._prefix)} of the {available} bytes of a key "
                f"and would leave fewer than {MIN_MAX_KEY_BYTES}; give it a shorter name"
            )
        self._life = Lifetime(f"the namespace {path!r}")
        self._close_inner = close_inner

    def namespace(self, name: str) -> MemoryBackend:
        """Return one more view of the same store, apart from this one, and of its class."""
        view = copy.copy(self)
        view._settle(f"{self.path}/{_encode_name(name)}", close_inner=False)
        return view

    def __repr__(self) -> str:
        """Return the class, what it wraps, and the path of names."""
        return f"{type(self).__name__}({self.inner!r}, {self.path!r})"

    # ------------------------------------------------------------------ lifetime

    async def open(self) -> None:
        """Open the store."""
        await self._run(self.inner.open)

    async def aclose(self) -> None:
        """Close this view, and the store only if the view owns it."""
        await self._life.aclose()
        if self._close_inner:
            await self.inner.aclose()

    async def health_check(self) -> bool:
        """Ask the store; `False` once this view is closed."""
        return not self._life.closed and await self.inner.health_check()

    # ------------------------------------------------------------------ one key

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Store under the namespace's key."""
        await self._run(self.inner.set, self._full(key), value, ttl)

    async def get(self, key: str) -> Any:
        """Read the namespace's key."""
        return await self._run(self.inner.get, self._full(key))

    async def delete(self, key: str) -> None:
        """Remove the namespace's key."""
        await self._run(self.inner.delete, self._full(key))

    async def exists(self, key: str) -> bool:
        """Ask for the namespace's key."""
        return await self._run(self.inner.exists, self._full(key))

    async def ttl(self, key: str) -> int | None:
        """Ask for the namespace's key."""
        return await self._run(self.inner.ttl, self._full(key))

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """Change the expiry of the namespace's key."""
        return await self._run(self.inner.touch, self._full(key), ttl)

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """Read the entry; its `key` is the one of this namespace."""
        entry = await self._run(self.inner.get_entry, self._full(key))
        return None if entry is None else self._own_entry(entry)

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Store the entry; its `key` is the one of this namespace."""
        method = self.inner.set_entry
        return self._own_entry(
            await self._run(method, self._full(key), value, ttl, metadata=metadata)
        )

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store under the namespace's key if it is at the version `expect`."""
        method = self.inner.compare_and_set
        return await self._run(method, self._full(key), value, expect=expect, ttl=ttl)

    # ------------------------------------------------------------------ several keys

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return this namespace's keys that match."""
        own = self._own_pattern(pattern)
        if own is None:
            # With the prefix the pattern would be too long for the store: match here.
            return filter_keys(pattern, await self.keys())
        return self._own_keys(await self._run(self.inner.keys, own))

    async def clear(self) -> None:
        """Remove this namespace's keys, and no other's."""
        await self._run(self.inner.clear_pattern, self._prefix + "*")

    async def clear_pattern(self, pattern: str) -> None:
        """Remove this namespace's keys that match."""
        own = self._own_pattern(pattern)
        if own is None:
            await self.delete_many(await self.keys(pattern))
        else:
            await self._run(self.inner.clear_pattern, own)

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """Go through this namespace's keys that match."""
        own = self._own_pattern(pattern)
        check_batch_size(batch_size)
        return self._scan_own(self._prefix + "*" if own is None else own, pattern, batch_size)

    async def _scan_own(self, own: str, pattern: str, batch_size: int) -> AsyncIterator[str]:
        async with self._life:
            pass  # nothing more than a look whether the view is closed
        matches = matcher(pattern)
        async for full in self.inner.scan(own, batch_size=batch_size):
            for key in self._own_keys([full]):
                if matches(key):
                    yield key

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Read several of this namespace's keys."""
        found = await self._run(self.inner.get_many, self._full_keys(keys))
        return {full[len(self._prefix) :]: value for full, value in found.items()}

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Store several of this namespace's keys."""
        if isinstance(items, Mapping):
            items = {self._full(key): value for key, value in items.items()}
        await self._run(self.inner.set_many, items, ttl)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several of this namespace's keys."""
        return await self._run(self.inner.delete_many, self._full_keys(keys))

    # ------------------------------------------------------------------ translation

    async def _run(self, method: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        async with self._life:
            try:
                return await method(*args, **kwargs)
            except (ConflictError, CorruptEntryError) as error:
                own = error.key.removeprefix(self._prefix)
                message = str(error).replace(repr(error.key), repr(own))
                raise type(error)(message, key=own) from error

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key, self.max_key_bytes)

    def _full_keys(self, keys: Iterable[str]) -> list[str]:
        return [self._prefix + key for key in check_keys(keys, self.max_key_bytes)]

    def _own_keys(self, full_keys: Iterable[str]) -> list[str]:
        # A store whose patterns are sloppy must still not show another namespace's keys.
        # And the prefix alone, which only the bare store can hold, leaves no key.
        prefix = self._prefix
        size = len(prefix)
        return [key[size:] for key in full_keys if len(key) > size and key.startswith(prefix)]

    def _own_entry(self, entry: MemoryEntry) -> MemoryEntry:
        return replace(entry, key=entry.key.removeprefix(self._prefix))

    def _own_pattern(self, pattern: str) -> str | None:
        """Return the pattern for the store, or `None` where that would be too long."""
        own = self._prefix + check_pattern(pattern)
        return own if len(own.encode()) <= MAX_PATTERN_BYTES else None


def _holds_namespace(backend: MemoryBackend) -> bool:
    while isinstance(backend, WrapperBackend):
        if isinstance(backend, NamespacedBackend):
            return True
        backend = backend.inner
    return False


_UNSAFE = re.compile(rb"[^A-Za-z0-9_.-]")


def _encode_name(name: object) -> str:
    if not issubclass(type(name), str) or not name:
        raise InvalidKeyError("the name of a namespace must be a str, and not an empty one")
    try:
        raw = str.__str__(cast("str", name)).encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError(
            "the name of a namespace must be encodable as UTF-8; this one holds a lone surrogate"
        ) from error
    return _UNSAFE.sub(lambda found: b"%%%02X" % ord(found[0]), raw).decode()
