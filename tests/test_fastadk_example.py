"""A backend of exactly the form that FastADK documents: nine methods, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional  # noqa: UP035 (as FastADK writes it)

import pytest

from fastadk_memory import backends, open_memory
from fastadk_memory.base import ABSENT, MemoryBackend, MemoryEntry
from fastadk_memory.errors import BackendNotFoundError, UnsupportedOperationError

# ruff: noqa: UP006, UP045


class CustomMemoryBackend(MemoryBackend):
    def __init__(self):
        self.storage: Dict[str, Dict[str, Any]] = {}

    async def set(self, key: str, value: Any, ttl: Optional[int] = None) -> None:
        expiry = None if ttl is None else time.time() + ttl
        self.storage[key] = {"value": value, "expiry": expiry}

    async def get(self, key: str) -> Any:
        if not await self.exists(key):
            return None
        return self.storage[key]["value"]

    async def delete(self, key: str) -> None:
        self.storage.pop(key, None)

    async def exists(self, key: str) -> bool:
        record = self.storage.get(key)
        if record is None:
            return False
        if record["expiry"] is not None and record["expiry"] <= time.time():
            del self.storage[key]
            return False
        return True

    async def keys(self, pattern: str = "*") -> List[str]:
        return list(self.storage.keys())

    async def clear(self) -> None:
        self.storage = {}

    async def clear_pattern(self, pattern: str) -> None:
        for key in [k for k in self.storage if pattern in k]:
            del self.storage[key]

    async def ttl(self, key: str) -> Optional[int]:
        if not await self.exists(key):
            return None
        expiry = self.storage[key]["expiry"]
        return None if expiry is None else int(expiry - time.time())

    async def health_check(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    backends.register("custom", CustomMemoryBackend)
    yield
    backends.unregister("custom")


def with_memory(use: Callable[[MemoryBackend], Awaitable[None]]) -> None:
    async def main() -> None:
        async with open_memory("custom") as memory:
            await use(memory)

    asyncio.run(main())


def test_it_can_be_instantiated() -> None:
    assert isinstance(CustomMemoryBackend(), MemoryBackend)
    assert CustomMemoryBackend().capabilities == frozenset()


def test_registered_it_is_listed_loaded_and_created_by_name() -> None:
    assert "custom" in backends.names()
    assert backends.load("custom") is CustomMemoryBackend
    assert type(backends.create("custom")) is CustomMemoryBackend


def test_unregistered_its_name_is_gone() -> None:
    backends.register("custom-for-a-while", CustomMemoryBackend)
    backends.unregister("custom-for-a-while")
    with pytest.raises(BackendNotFoundError):
        open_memory("custom-for-a-while")


def test_opened_by_name_the_nine_methods_are_its_own() -> None:
    async def use(memory: MemoryBackend) -> None:
        await memory.set("user:1", {"name": "Ada"})
        await memory.set("user:2", "Bob", ttl=100)
        await memory.set("other", None)
        assert await memory.get("user:1") == {"name": "Ada"}
        assert await memory.get("absent") is None
        assert await memory.exists("other")
        assert not await memory.exists("absent")
        assert await memory.ttl("user:1") is None
        assert 90 <= await memory.ttl("user:2") <= 100
        assert sorted(await memory.keys()) == ["other", "user:1", "user:2"]

        await memory.delete("absent")
        await memory.delete("user:2")
        assert not await memory.exists("user:2")
        await memory.clear_pattern("user:")
        assert await memory.keys() == ["other"]
        await memory.clear()
        assert await memory.keys() == []
        assert await memory.health_check() is True

    with_memory(use)


def test_its_entries_expire() -> None:
    async def use(memory: MemoryBackend) -> None:
        await memory.set("token", "abc", ttl=0.001)
        before = time.monotonic()
        while await memory.exists("token"):
            assert time.monotonic() - before < 30
        assert await memory.get("token") is None

    with_memory(use)


def test_get_entry_is_put_together_from_the_nine() -> None:
    async def use(memory: MemoryBackend) -> None:
        await memory.set("plain", None)
        await memory.set("token", "abc", ttl=100)
        assert await memory.get_entry("plain") == MemoryEntry("plain", None)
        assert await memory.get_entry("absent") is None
        entry = await memory.get_entry("token")
        assert entry is not None
        assert (entry.key, entry.value) == ("token", "abc")
        assert entry.created_at is entry.version is None
        assert entry.metadata == {}
        assert entry.expires_at is not None
        assert 90 < (entry.expires_at - datetime.now(timezone.utc)).total_seconds() <= 100

    with_memory(use)


def test_bulk_calls_are_made_of_single_ones() -> None:
    async def use(memory: MemoryBackend) -> None:
        await memory.set_many({"a": 1, "b": None, "c": 3}, ttl=100)
        assert 90 <= await memory.ttl("c") <= 100
        assert await memory.get_many(["b", "absent", "a", "b"]) == {"b": None, "a": 1}
        assert await memory.delete_many(["a", "absent", "c", "a"]) == 2
        assert await memory.keys() == ["b"]

    with_memory(use)


def test_scan_yields_its_keys() -> None:
    async def use(memory: MemoryBackend) -> None:
        await memory.set_many({"a": 1, "b": 2})
        scan: AsyncIterator[str] = memory.scan()
        assert sorted([key async for key in scan]) == ["a", "b"]

    with_memory(use)


def test_a_namespace_of_it_has_its_keys_to_itself() -> None:
    async def use(memory: MemoryBackend) -> None:
        ada, bob = memory.namespace("ada"), memory.namespace("bob")
        await ada.set("name", "Ada")
        assert await ada.get("name") == "Ada"
        assert await bob.get("name") is None
        assert (await ada.keys(), await bob.keys()) == (["name"], [])
        assert not await memory.exists("name")

    with_memory(use)


@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("set_entry", lambda memory: memory.set_entry("k", 1, metadata={})),
        ("compare_and_set", lambda memory: memory.compare_and_set("k", 1, expect=ABSENT)),
        ("touch", lambda memory: memory.touch("k", 60)),
    ],
)
def test_a_capability_that_it_does_not_declare_is_refused(
    method: str, call: Callable[[MemoryBackend], Awaitable[object]]
) -> None:
    async def use(memory: MemoryBackend) -> None:
        await memory.set("k", "old")
        with pytest.raises(UnsupportedOperationError, match=method):
            await call(memory)
        assert await memory.get("k") == "old"

    with_memory(use)
