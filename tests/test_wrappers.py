"""Namespaces that never meet, a default TTL, and the wrapper both are made of."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_records import DictBackend

from fastadk_memory import (
    ABSENT,
    BackendClosedError,
    ConflictError,
    CorruptEntryError,
    DefaultTtlBackend,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    ManualClock,
    MemoryBackend,
    NamespacedBackend,
    WrapperBackend,
)
from fastadk_memory.keys import escape_pattern

KEYS = ["a", "b", "ab", "a:b", "a*", "A", "é", "[a]", "a\n", "ключ"]

names = st.sampled_from(["a", "ab", "a:b", "a/b", "a*", "[x]", "é", "%", ".", " ", "a%3Ab"])
paths = st.lists(names | st.text(min_size=1, max_size=5), min_size=1, max_size=3)


def at(memory: MemoryBackend, path: list[str]) -> MemoryBackend:
    for name in path:
        memory = memory.namespace(name)
    return memory


@given(paths, paths, st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_no_two_namespaces_see_each_other(
    one: list[str], other: list[str], key: str, other_key: str
) -> None:
    assume(one != other)

    async def scenario() -> None:
        memory = DictBackend()
        mine, theirs = at(memory, one), at(memory, other)
        await theirs.set(other_key, "theirs")
        await mine.set(key, "mine")
        assert len(memory.records) == 2
        assert await mine.keys() == [key]
        assert await theirs.keys(escape_pattern(other_key)) == [other_key]
        await mine.clear()
        await theirs.clear_pattern("nothing like it")
        assert await theirs.get(other_key) == "theirs"
        assert await mine.keys() == []

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["", None, 1, "\ud800", "n" * 513, "é" * 171])
def test_a_name_that_is_none_or_too_long_is_refused(name: object) -> None:
    with pytest.raises(InvalidKeyError, match="namespace"):
        DictBackend().namespace(name)


def test_a_namespace_shortens_keys_by_its_name() -> None:
    view = DictBackend().namespace("tenant").namespace("a:b")
    assert view.max_key_bytes == 1024 - len("tenant/a%3Ab:")
    asyncio.run(view.set("k" * view.max_key_bytes, 1))
    with pytest.raises(InvalidKeyError):
        asyncio.run(view.set("k" * (view.max_key_bytes + 1), 1))


def test_the_longest_pattern_still_works_in_a_namespace() -> None:
    async def scenario() -> None:
        view = DictBackend().namespace("a")
        await view.set_many({"*" * 1000: 1, "b": 2})
        pattern = escape_pattern("*" * 1000) + "*" * 1096
        assert await view.keys(pattern) == ["*" * 1000]
        assert [key async for key in view.scan(pattern)] == ["*" * 1000]
        await view.clear_pattern(pattern)
        assert await view.keys() == ["b"]
        with pytest.raises(InvalidPatternError):
            await view.keys(pattern + "*")

    asyncio.run(scenario())


def test_errors_and_entries_name_the_key_of_the_namespace() -> None:
    async def scenario() -> None:
        memory = DictBackend()
        view = memory.namespace("a")
        entry = await view.set_entry("k", 1, metadata={})
        assert entry.key == "k"
        with pytest.raises(ConflictError, match="entry 'k'") as lost:
            await view.compare_and_set("k", 1, expect=ABSENT)
        assert lost.value.key == "k"
        memory.records["a:k"] = b"damaged"
        with pytest.raises(CorruptEntryError, match="entry 'k'") as damaged:
            await view.get("k")
        assert damaged.value.key == "k"
        assert isinstance(damaged.value.__cause__, CorruptEntryError)

    asyncio.run(scenario())


def test_a_raw_key_that_is_a_prefix_alone_is_no_key_of_the_namespace() -> None:
    async def scenario() -> None:
        async with DictBackend() as memory:
            await memory.set("a:", "raw")
            view = memory.namespace("a")
            assert await view.keys() == []
            assert [key async for key in view.scan()] == []

    asyncio.run(scenario())


def test_closing_a_view_leaves_the_store_open() -> None:
    async def scenario() -> None:
        memory = DictBackend()
        async with memory.namespace("a") as view:
            await view.set("k", 1)
        for call in (view.get("k"), view.keys(), view.open(), anext(view.scan())):
            with pytest.raises(BackendClosedError, match="namespace 'a'"):
                await call
        assert await view.health_check() is False
        assert await memory.keys() == ["a:k"]

    asyncio.run(scenario())


def test_closing_a_view_that_owns_its_store_closes_both() -> None:
    async def scenario() -> None:
        memory = DictBackend()
        async with NamespacedBackend(memory, "a", close_inner=True) as view:
            assert await view.health_check() is True
        with pytest.raises(BackendClosedError):
            await memory.get("k")

    asyncio.run(scenario())


def test_a_default_ttl_counts_where_none_is_passed() -> None:
    async def scenario() -> None:
        memory = DefaultTtlBackend(DictBackend(ManualClock()), 60)
        await memory.set("set", 1)
        await memory.set_many({"many": 1})
        await memory.set_entry("entry", 1, metadata={})
        await memory.compare_and_set("cas", 1, expect=ABSENT)
        for key in ("set", "many", "entry", "cas"):
            assert await memory.ttl(key) == 60
        await memory.set("set", 1, ttl=5)
        assert await memory.ttl("set") == 5
        await memory.touch("set", None)
        assert await memory.ttl("set") is None

    asyncio.run(scenario())


@pytest.mark.parametrize("ttl", [None, 0, "60", True])
def test_a_default_ttl_must_be_one(ttl: object) -> None:
    with pytest.raises(InvalidTTLError):
        DefaultTtlBackend(DictBackend(), ttl)


def test_a_wrapper_hands_on_every_method_of_the_interface() -> None:
    """One that is forgotten would take the slow way around, or claim not to be there."""
    own = {"namespace", "from_url", "__aenter__", "__aexit__"}
    for name, member in inspect.getmembers(MemoryBackend, inspect.isfunction):
        if name.startswith("_") or name in own:
            continue
        assert name in vars(WrapperBackend), name
        if name not in ("health_check",):
            assert inspect.signature(member) == inspect.signature(getattr(WrapperBackend, name))


def test_a_wrapper_around_a_namespace_keeps_inner_namespaces_apart() -> None:
    async def scenario() -> None:
        memory = DictBackend(ManualClock())
        tenant = memory.namespace("a")
        wrapped = DefaultTtlBackend(tenant, 60)
        inner = wrapped.namespace("b")
        await inner.set("k", 1)
        await tenant.set("b:x", 2)
        assert list(memory.records) == ["a/b:k", "a:b:x"]
        assert await inner.keys() == ["k"]
        assert await inner.ttl("k") == 60
        assert await tenant.keys() == ["b:x"]

    asyncio.run(scenario())


def test_a_namespace_of_a_subclass_is_of_that_subclass() -> None:
    class Shouting(NamespacedBackend):
        async def set(self, key, value, ttl=None):
            await super().set(key, value.upper(), ttl)

    async def scenario() -> None:
        memory = DictBackend()
        await Shouting(memory, "a").namespace("b").set("k", "quiet")
        assert await memory.get("a/b:k") == "QUIET"

    asyncio.run(scenario())
