"""`LifecycleBackend`: tells the plugins that listen when a backend is opened and closed."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastadk_memory.base import Absent, MemoryBackend, MemoryEntry, Ttl, Version
from fastadk_memory.wrappers import WrapperBackend

__all__ = ["LifecycleBackend"]

Tell = Callable[[MemoryBackend], object]


class LifecycleBackend(WrapperBackend):
    """A backend whose opening and closing is told to listeners.

    Args:
        inner: The backend to wrap and own.
        opened: Called with the backend that the user has, each once, after `inner` has
            been opened, by `open` or before the first call; again with the next call if it
            raised.
        closed: Called with the same, each once, after `inner` has been closed.
    """

    def __init__(
        self, inner: MemoryBackend, opened: Iterable[Tell] = (), closed: Iterable[Tell] = ()
    ) -> None:
        super().__init__(inner)
        self.outermost: MemoryBackend = self
        """The backend that the user has: whoever puts something around this one says so."""
        self._opened = list(opened)
        self._closed = list(closed)
        self._guard = threading.Lock()

    async def open(self) -> None:
        """Open `inner`, then tell the listeners."""
        await self.inner.open()
        with self._guard:
            while self._opened:
                self._opened[0](self.outermost)
                del self._opened[0]

    async def aclose(self) -> None:
        """Close `inner`, then tell the listeners, all of them even if one raises."""
        await self.inner.aclose()
        with self._guard:
            listeners, self._closed = self._closed, []
        failure: Exception | None = None
        for tell in listeners:
            try:
                tell(self.outermost)
            except Exception as error:  # noqa: BLE001 (raised below)
                failure = failure or error
        if failure is not None:
            raise failure

    async def _run(
        self, method: Callable[..., Awaitable[Any]], /, *args: Any, **kwargs: Any
    ) -> Any:
        if self._opened:
            await self.open()
        return await method(*args, **kwargs)

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Open if need be, then hand on to `inner`; so do all the others."""
        await self._run(self.inner.set, key, value, ttl)

    async def get(self, key: str) -> Any:
        """See `set`."""
        return await self._run(self.inner.get, key)

    async def delete(self, key: str) -> None:
        """See `set`."""
        await self._run(self.inner.delete, key)

    async def exists(self, key: str) -> bool:
        """See `set`."""
        return bool(await self._run(self.inner.exists, key))

    async def keys(self, pattern: str = "*") -> list[str]:
        """See `set`."""
        found: list[str] = await self._run(self.inner.keys, pattern)
        return found

    async def clear(self) -> None:
        """See `set`."""
        await self._run(self.inner.clear)

    async def clear_pattern(self, pattern: str) -> None:
        """See `set`."""
        await self._run(self.inner.clear_pattern, pattern)

    async def ttl(self, key: str) -> int | None:
        """See `set`."""
        left: int | None = await self._run(self.inner.ttl, key)
        return left

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """See `set`."""
        entry: MemoryEntry | None = await self._run(self.inner.get_entry, key)
        return entry

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """See `set`."""
        found: dict[str, Any] = await self._run(self.inner.get_many, keys)
        return found

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """See `set`."""
        await self._run(self.inner.set_many, items, ttl)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """See `set`."""
        existed: int = await self._run(self.inner.delete_many, keys)
        return existed

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """See `set`; what is wrong with the arguments shows at the call."""
        steps = self.inner.scan(pattern, batch_size=batch_size)
        return self._scan_opened(steps) if self._opened else steps

    async def _scan_opened(self, steps: AsyncIterator[str]) -> AsyncIterator[str]:
        try:
            await self.open()
            async for key in steps:
                yield key
        finally:
            close = getattr(steps, "aclose", None)
            if close is not None:
                await close()

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """See `set`."""
        method = self.inner.set_entry
        entry: MemoryEntry = await self._run(method, key, value, ttl, metadata=metadata)
        return entry

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """See `set`."""
        method = self.inner.compare_and_set
        version: Version = await self._run(method, key, value, expect=expect, ttl=ttl)
        return version

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """See `set`."""
        return bool(await self._run(self.inner.touch, key, ttl))
