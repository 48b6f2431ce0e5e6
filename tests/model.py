"""Any backend against a plain model: random operations on a few keys, time moved by hand.

Until the published contract is here, this is what every backend of the repository runs.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import (
    ABSENT,
    Capability,
    ConflictError,
    ManualClock,
    MemoryBackend,
)

KEYS = ["a", "b", "ab", "a:b", "a*", "A", "é", "[a]", "a\n", "ключ"]
PATTERNS = ["*", "a*", "?", "[ab]", "[!a]*", "a[*]", "[[]a]", "[a", "*b", "", "é", "ab"]
TTLS = [None, 0.5, 1, 2, 8]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**80), 2**80)
    | st.floats()
    | st.text(st.characters())  # lone surrogates, too
    | st.binary()
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)

key = st.sampled_from(KEYS)
ttl = st.sampled_from(TTLS)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), key, values, ttl),
        st.tuples(st.just("set"), key, values, ttl),
        st.tuples(st.just("set_many"), st.dictionaries(key, scalars, max_size=4), ttl),
        st.tuples(st.just("set_entry"), key, values, ttl),
        st.tuples(st.just("cas"), key, values, ttl, st.booleans()),
        st.tuples(st.just("touch"), key, ttl),
        st.tuples(st.just("delete"), key),
        st.tuples(st.just("delete_many"), st.lists(key, max_size=4)),
        st.tuples(st.just("clear_pattern"), st.sampled_from(PATTERNS)),
        st.tuples(st.just("clear")),
        st.tuples(st.just("advance"), st.sampled_from([0.25, 0.5, 1.0, 2.0])),
        st.tuples(st.just("observe"), key, st.sampled_from(PATTERNS)),
    ),
    min_size=1,
    max_size=30,
)


def plain(value: object) -> object:
    """Return a value as every backend gives it back, in a form that compares exactly."""
    if isinstance(value, (list, tuple)):
        return ("list", *map(plain, value))
    if isinstance(value, dict):
        return ("dict", *((name, plain(part)) for name, part in value.items()))
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value.hex())
    return (type(value).__name__, value)


class Model:
    """What a memory is, in as few lines as possible."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.entries: dict[str, tuple[object, float, str | None]] = {}

    def live(self) -> dict[str, tuple[object, float, str | None]]:
        now = self.clock()
        self.entries = {k: entry for k, entry in self.entries.items() if entry[1] > now}
        return self.entries

    def set(self, key: str, value: object, ttl: float | None, version: str | None = None) -> None:
        expires_at = math.inf if ttl is None else self.clock() + ttl
        self.live()[key] = (value, expires_at, version)

    def matching(self, pattern: str) -> set[str]:
        return {key for key in self.live() if fnmatchcase(key, pattern)}


async def run_operations(
    memory: MemoryBackend, model: Model, clock: ManualClock, ops: list[tuple]
) -> None:
    """Do the same to the memory and to the model, and compare every answer."""
    seen: dict[str, set[str]] = {}
    for name, *args in ops:
        match name, args:
            case "set", [key, value, ttl]:
                await memory.set(key, value, ttl)
                model.set(key, value, ttl)
            case "set_many", [items, ttl]:
                await memory.set_many(items, ttl)
                for key, value in items.items():
                    model.set(key, value, ttl)
            case "set_entry", [key, value, ttl] if Capability.ENTRIES in memory.capabilities:
                entry = await memory.set_entry(key, value, ttl, metadata={"of": key})
                assert entry.key == key
                assert plain(entry.value) == plain(value)
                assert entry.metadata == {"of": key}
                assert entry.version not in seen.setdefault(key, set())
                seen[key].add(entry.version)
                model.set(key, value, ttl, entry.version)
            case "cas", [key, value, ttl, right] if Capability.CAS in memory.capabilities:
                await compare(memory, model, key, value, ttl, right, seen)
            case "touch", [key, ttl] if Capability.TOUCH in memory.capabilities:
                there = key in model.live()
                assert await memory.touch(key, ttl) is there
                if there:
                    value, _, version = model.entries[key]
                    model.set(key, value, ttl, version)
            case "delete", [key]:
                await memory.delete(key)
                model.live().pop(key, None)
            case "delete_many", [keys]:
                there = set(keys) & set(model.live())
                assert await memory.delete_many(keys) == len(there)
                for key in there:
                    del model.entries[key]
            case "clear_pattern", [pattern]:
                await memory.clear_pattern(pattern)
                for key in model.matching(pattern):
                    del model.entries[key]
            case "clear", []:
                await memory.clear()
                model.entries.clear()
            case "advance", [seconds]:
                clock.advance(seconds)
            case "observe", [key, pattern]:
                await observe(memory, model, clock, key, pattern)
    await observe(memory, model, clock, KEYS[0], "*")
    for key in KEYS:
        await observe(memory, model, clock, key, "a*")


async def compare(memory, model, key, value, ttl, right, seen) -> None:
    entry = await memory.get_entry(key)
    expect = ABSENT if entry is None else entry.version
    if not right:
        expect = "no version of anything" if expect is ABSENT else ABSENT
        before = await memory.get_entry(key)
        try:
            await memory.compare_and_set(key, value, expect=expect, ttl=ttl)
        except ConflictError as error:
            assert error.key == key
            assert repr(await memory.get_entry(key)) == repr(before)
            return
        raise AssertionError("compare_and_set won against the wrong version")
    version = await memory.compare_and_set(key, value, expect=expect, ttl=ttl)
    assert version not in seen.setdefault(key, set())
    seen[key].add(version)
    model.set(key, value, ttl, version)


async def observe(memory, model, clock, key, pattern) -> None:
    live = model.live()
    assert await memory.exists(key) is (key in live)
    keys = await memory.keys(pattern)
    assert len(keys) == len(set(keys))
    assert set(keys) == model.matching(pattern)
    assert sorted([k async for k in memory.scan(pattern, batch_size=2)]) == sorted(keys)
    many = await memory.get_many([*KEYS, key])
    assert {k: plain(v) for k, v in many.items()} == {k: plain(e[0]) for k, e in live.items()}
    if key not in live:
        assert await memory.get(key) is None
        assert await memory.ttl(key) is None
        assert await memory.get_entry(key) is None
        return
    value, expires_at, version = live[key]
    assert plain(await memory.get(key)) == plain(value)
    left = await memory.ttl(key)
    assert left == (None if expires_at == math.inf else math.ceil(expires_at - clock()))
    entry = await memory.get_entry(key)
    assert entry.key == key
    assert plain(entry.value) == plain(value)
    if version is not None:
        assert entry.version == version
    if Capability.ENTRIES in memory.capabilities:
        stamp = None if entry.expires_at is None else entry.expires_at.timestamp()
        assert stamp == (None if expires_at == math.inf else expires_at)


def agrees_with_the_model(make: Callable[[ManualClock], MemoryBackend]) -> Callable[[], None]:
    """Return a test: whatever is done to a fresh backend, it answers as the model does."""

    @given(ops=operations)
    def test(ops: list[tuple]) -> None:
        async def scenario() -> None:
            clock = ManualClock()
            memory = make(clock)
            async with memory:
                await run_operations(memory, Model(clock), clock, ops)

        asyncio.run(scenario())

    return test
