"""`Handle`: a backend whose calls are recorded and limited in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from fastadk_memory.base import Absent, Capability, MemoryBackend, MemoryEntry, Ttl, Version
from fastadk_memory.contract.trace import Call, Trace
from fastadk_memory.contract.violations import Violation

__all__ = ["Handle"]

T = TypeVar("T")


class Handle:
    """Has the methods of a backend, hands every call on, and writes it down.

    It adds nothing else: arguments go through as they are, wrong ones included, and so
    does what the backend raises. A call that takes longer than the limit is a violation.

    Args:
        backend: The backend under test.
        trace: Where to write the calls down.
        name: What the backend is called there.
        limit: Seconds that a call may take.
    """

    def __init__(self, backend: MemoryBackend, trace: Trace, name: str, limit: float) -> None:
        self.backend = backend
        self.name = name
        self._trace = trace
        self._limit = limit
        self._views = 0

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the backend declares."""
        return self.backend.capabilities

    @property
    def max_key_bytes(self) -> int:
        """How long the backend's keys may be."""
        return self.backend.max_key_bytes

    def declares(self, capability: Capability) -> bool:
        """Tell whether the backend declares a capability."""
        return capability in self.backend.capabilities

    async def set(self, key: Any, value: Any, ttl: Any = None) -> None:
        """Call `set`; without the third argument if there is no TTL."""
        rest = () if ttl is None else (ttl,)
        result = await self._call("set", key, value, *rest)
        self._expect_nothing("set", result)

    async def get(self, key: Any) -> Any:
        """Call `get`."""
        return await self._call("get", key)

    async def delete(self, key: Any) -> None:
        """Call `delete`."""
        self._expect_nothing("delete", await self._call("delete", key))

    async def exists(self, key: Any) -> bool:
        """Call `exists`."""
        return cast("bool", await self._call("exists", key))

    async def keys(self, *pattern: Any) -> list[str]:
        """Call `keys`, with a pattern or without."""
        return cast("list[str]", await self._call("keys", *pattern))

    async def clear(self) -> None:
        """Call `clear`."""
        self._expect_nothing("clear", await self._call("clear"))

    async def clear_pattern(self, pattern: Any) -> None:
        """Call `clear_pattern`."""
        self._expect_nothing("clear_pattern", await self._call("clear_pattern", pattern))

    async def ttl(self, key: Any) -> int | None:
        """Call `ttl`."""
        return cast("int | None", await self._call("ttl", key))

    async def health_check(self) -> bool:
        """Call `health_check`."""
        return cast("bool", await self._call("health_check"))

    async def open(self) -> None:
        """Call `open`."""
        await self._call("open")

    async def aclose(self) -> None:
        """Call `aclose`."""
        await self._call("aclose")

    async def get_entry(self, key: Any) -> MemoryEntry | None:
        """Call `get_entry`."""
        return cast("MemoryEntry | None", await self._call("get_entry", key))

    async def get_many(self, keys: Iterable[Any]) -> dict[str, Any]:
        """Call `get_many`."""
        return cast("dict[str, Any]", await self._call("get_many", keys))

    async def set_many(self, items: Mapping[Any, Any], ttl: Any = None) -> None:
        """Call `set_many`; without the second argument if there is no TTL."""
        rest = () if ttl is None else (ttl,)
        self._expect_nothing("set_many", await self._call("set_many", items, *rest))

    async def delete_many(self, keys: Iterable[Any]) -> int:
        """Call `delete_many`."""
        return cast("int", await self._call("delete_many", keys))

    async def set_entry(
        self, key: Any, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Call `set_entry`."""
        rest = () if ttl is None else (ttl,)
        entry = await self._call("set_entry", key, value, *rest, metadata=metadata)
        return cast("MemoryEntry", entry)

    async def compare_and_set(
        self, key: Any, value: Any, *, expect: Version | Absent | Any, ttl: Ttl | None = None
    ) -> Version:
        """Call `compare_and_set`."""
        given: dict[str, Any] = {"expect": expect}
        if ttl is not None:
            given["ttl"] = ttl
        return cast("Version", await self._call("compare_and_set", key, value, **given))

    async def touch(self, key: Any, ttl: Any) -> bool:
        """Call `touch`."""
        return cast("bool", await self._call("touch", key, ttl))

    async def scan(self, *pattern: Any, **options: Any) -> list[str]:
        """Call `scan` and go through to its end; return what it yielded, doubles included."""

        async def collect() -> list[str]:
            return [key async for key in self.iterate(*pattern, **options)]

        return cast("list[str]", await self._run("scan", pattern, options, collect))

    def iterate(self, *pattern: Any, **options: Any) -> AsyncIterator[str]:
        """Call `scan` and return its iterator, unrecorded and without a time limit."""
        return self.backend.scan(*pattern, **options)

    def namespace(self, name: Any) -> Handle:
        """Call `namespace` and return a handle of the view."""
        call = self._trace.add(Call(self.name, "namespace", (name,), {}))
        try:
            view = self.backend.namespace(name)
        except BaseException as error:
            call.error = error
            raise
        self._views += 1
        variable = f"{self.name}_view{self._views}"
        call.result, call.ended = _Variable(variable), True
        return Handle(view, self._trace, variable, self._limit)

    async def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call any method by its name, recorded and limited in time."""
        return await self._run(method, args, kwargs, getattr(self.backend, method))

    async def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        return await self._run(method, args, kwargs, getattr(self.backend, method))

    async def _run(
        self,
        method: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        function: Callable[..., Awaitable[Any]],
    ) -> Any:
        call = self._trace.add(Call(self.name, method, args, kwargs))
        given = () if method == "scan" else args
        named = {} if method == "scan" else kwargs
        timer = asyncio.timeout(self._limit)
        try:
            async with timer:
                call.result = await function(*given, **named)
        except BaseException as error:
            call.error = error
            if isinstance(error, TimeoutError) and timer.expired():
                raise Violation(f"{call} did not answer within {self._limit:g} s") from error
            raise
        call.ended = True
        return call.result

    def _expect_nothing(self, method: str, result: object) -> None:
        if result is not None:
            raise Violation(f"{method} must return None, not a {type(result).__name__}")


class _Variable(str):
    """A variable's name, shown without quotes."""

    __slots__ = ()
