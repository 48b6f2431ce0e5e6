"""What `MemoryBackend` itself adds to the nine methods, on a class that has only those."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import (
    ABSENT,
    BackendClosedError,
    Capability,
    ConfigurationError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    MemoryBackend,
    UnsupportedOperationError,
    UnsupportedValueError,
)
from fastadk_memory.keys import check_pattern, filter_keys


class Nine(MemoryBackend):
    """Nine methods over a dict, nothing else; it counts what it is asked."""

    def __init__(self) -> None:
        self.items: dict[str, tuple[object, float | None]] = {}

    async def set(self, key, value, ttl=None):
        self.items[key] = (value, None if ttl is None else time.time() + ttl)

    async def get(self, key):
        return self.items[key][0] if key in self.items else None

    async def delete(self, key):
        self.items.pop(key, None)

    async def exists(self, key):
        return key in self.items

    async def keys(self, pattern="*"):
        return filter_keys(check_pattern(pattern), list(self.items))

    async def clear(self):
        self.items.clear()

    async def clear_pattern(self, pattern):
        for key in await self.keys(pattern):
            del self.items[key]

    async def ttl(self, key):
        found = self.items.get(key, (None, None))[1]
        return None if found is None else max(1, round(found - time.time()))

    async def health_check(self):
        return True


def test_a_class_without_all_nine_cannot_be_instantiated() -> None:
    class Eight(Nine):
        keys = MemoryBackend.keys

    with pytest.raises(TypeError, match="keys"):
        Eight()


def test_the_derived_methods_agree_with_the_nine() -> None:
    async def scenario() -> None:
        async with Nine() as memory:
            await memory.set_many({"a": None, "b": 2}, ttl=60)
            assert await memory.get_many(["b", "missing", "a", "b"]) == {"b": 2, "a": None}
            entry = await memory.get_entry("a")
            assert (entry.key, entry.value, entry.metadata) == ("a", None, {})
            assert (entry.created_at, entry.version) == (None, None)
            assert 50 <= entry.ttl() <= 61
            assert await memory.get_entry("missing") is None
            assert [key async for key in memory.scan("[ab]")] == ["a", "b"]
            assert await memory.delete_many(iter(["a", "missing", "a"])) == 1
            assert await memory.keys() == ["b"]

    asyncio.run(scenario())


def test_what_comes_between_get_and_exists_is_not_read_as_none() -> None:
    class Racing(Nine):
        async def get(self, key):
            value = await super().get(key)
            self.items.setdefault(key, ("came in between", None))
            return value

    async def scenario() -> None:
        assert await Racing().get_many(["k"]) == {"k": "came in between"}
        assert (await Racing().get_entry("k")).value == "came in between"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("capability", "call"),
    [
        (Capability.ENTRIES, lambda memory: memory.set_entry("k", 1, metadata={})),
        (Capability.CAS, lambda memory: memory.compare_and_set("k", 1, expect=ABSENT)),
        (Capability.TOUCH, lambda memory: memory.touch("k", 1)),
    ],
)
def test_without_the_capability_the_method_is_refused(capability, call) -> None:
    memory = Nine()
    with pytest.raises(UnsupportedOperationError, match=f"Nine cannot.*{capability.name}"):
        asyncio.run(call(memory))
    assert memory.items == {}


bad_keys = st.one_of(
    st.just(""), st.none(), st.integers(), st.floats(), st.binary(), st.lists(st.text()),
    st.text(min_size=1025), st.text().map("\udfff{}".format),
)  # fmt: skip


@given(bad_keys)
def test_a_bad_key_among_good_ones_changes_nothing_at_all(key: object) -> None:
    async def scenario() -> None:
        memory = Nine()
        await memory.set("good", 1)
        for call in (
            lambda: memory.get_entry(key),
            lambda: memory.get_many(["good", key]),
            lambda: memory.delete_many(["good", key]),
        ):
            with pytest.raises(InvalidKeyError):
                await call()
        if not isinstance(key, list):
            with pytest.raises(InvalidKeyError):
                await memory.set_many({"good": 2, key: 2})
        assert await memory.get_many(["good"]) == {"good": 1}
        assert len(memory.items) == 1

    asyncio.run(scenario())


@given(st.one_of(st.sets(st.integers()), st.complex_numbers(), st.dates(), st.uuids()))
def test_a_bad_value_among_good_ones_changes_nothing_at_all(value: object) -> None:
    memory = Nine()
    for items in ({"good": 1, "bad": value}, {"bad": {"deep": [value]}}):
        with pytest.raises(UnsupportedValueError):
            asyncio.run(memory.set_many(items))
    assert memory.items == {}


class Closed(Nine):
    async def open(self) -> None:
        raise BackendClosedError("closed")


@pytest.mark.parametrize("call", ["get_many", "set_many", "delete_many"])
def test_a_bulk_call_of_nothing_is_refused_after_closing(call: str) -> None:
    nothing = {} if call == "set_many" else []
    with pytest.raises(BackendClosedError):
        asyncio.run(getattr(Closed(), call)(nothing))


@pytest.mark.parametrize("items", [None, 3, "ab", [("a", 1)], {"a"}])
def test_what_is_no_mapping_is_no_bulk_of_items(items: object) -> None:
    with pytest.raises(UnsupportedValueError, match="mapping"):
        asyncio.run(Nine().set_many(items))


@given(st.integers(max_value=0) | st.text() | st.booleans() | st.just(float("nan")))
def test_a_bad_ttl_changes_nothing_at_all(ttl: object) -> None:
    memory = Nine()
    with pytest.raises(InvalidTTLError):
        asyncio.run(memory.set_many({"a": 1}, ttl))
    assert memory.items == {}


@given(st.integers(max_value=0) | st.text() | st.booleans() | st.floats() | st.none())
def test_a_bad_batch_size_is_refused_at_the_call(size: object) -> None:
    with pytest.raises(ConfigurationError, match="batch_size"):
        Nine().scan(batch_size=size)


@given(st.none() | st.integers() | st.binary() | st.text(min_size=4097))
def test_a_bad_pattern_is_refused_at_the_call(pattern: object) -> None:
    with pytest.raises(InvalidPatternError):
        Nine().scan(pattern)


@given(st.none() | st.integers() | st.binary() | st.just("") | st.text().map("\ud800{}".format))
def test_a_bad_name_is_no_namespace(name: object) -> None:
    with pytest.raises(InvalidKeyError, match="namespace"):
        Nine().namespace(name)
