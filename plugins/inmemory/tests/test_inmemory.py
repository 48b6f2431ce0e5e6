"""`InMemoryBackend`: agrees with the model, isolates, expires, evicts, and shares well."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastadk_memory_inmemory import InMemoryBackend
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import (
    ABSENT,
    BackendClosedError,
    Capability,
    ConfigurationError,
    ConflictError,
    InvalidKeyError,
    InvalidTTLError,
    ManualClock,
    UnsupportedValueError,
)


def test_it_declares_what_it_can() -> None:
    names = {capability.name for capability in InMemoryBackend.capabilities}
    assert names == {"ENTRIES", "CAS", "TOUCH", "BULK", "SCAN"}
    assert Capability.PERSISTENT not in InMemoryBackend.capabilities


def test_nobodys_changes_reach_what_is_stored() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        value = {"list": [1]}
        await memory.set("k", value)
        value["list"].append(2)
        (await memory.get("k"))["list"].append(3)
        entry = await memory.set_entry("e", value, metadata=value)
        entry.value["list"].append(4)
        entry.metadata["list"].append(4)
        again = await memory.get_entry("e")
        assert await memory.get("k") == {"list": [1]}
        assert again.value == again.metadata == {"list": [1, 2]}

    asyncio.run(scenario())


def test_expired_entries_go_without_being_read_whatever_call_comes() -> None:
    async def scenario() -> None:
        calls = [
            lambda memory: memory.get("other"),
            lambda memory: memory.exists("other"),
            lambda memory: memory.set("other", 1),
            lambda memory: memory.delete("other"),
            lambda memory: memory.delete_many(["other"]),
            lambda memory: memory.get_many(["other"]),
        ]
        for call in calls:
            clock = ManualClock()
            memory = InMemoryBackend(clock=clock)
            await memory.set_many({f"k{n}": n for n in range(1000)}, ttl=1)
            await memory.set("keeper", 1)
            clock.advance(1)
            for _ in range(20):
                await call(memory)
            assert set(memory._records) <= {"keeper", "other"}

    asyncio.run(scenario())


def test_a_backlog_of_expired_entries_is_cleared_a_few_at_a_time() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        memory = InMemoryBackend(clock=clock)
        await memory.set_many({f"k{n}": n for n in range(1000)}, ttl=1)
        clock.advance(1)
        await memory.get("k0")
        assert len(memory._records) == 900
        assert await memory.keys() == []

    asyncio.run(scenario())


def test_changing_a_ttl_for_ever_does_not_grow_the_queue() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend(clock=ManualClock())
        for n in range(5000):
            await memory.set("k", n, ttl=60 + n)
        assert len(memory._expiries._heap) < 100

    asyncio.run(scenario())


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.sampled_from(["set", "get", "delete"]), st.sampled_from("abcdef")),
        max_size=40,
    ),
)
def test_the_least_recently_used_entry_goes(bound: int, steps: list[tuple[str, str]]) -> None:
    async def scenario() -> None:
        memory = InMemoryBackend(max_entries=bound)
        order: list[str] = []
        for name, key in steps:
            if name == "set":
                await memory.set(key, key)
                order = [*(k for k in order if k != key), key][-bound:]
            elif name == "get":
                assert await memory.get(key) == (key if key in order else None)
                if key in order:
                    order = [*(k for k in order if k != key), key]
            else:
                await memory.delete(key)
                order = [k for k in order if k != key]
            assert sorted(await memory.keys()) == sorted(order)

    asyncio.run(scenario())


def test_an_evicted_entry_does_not_take_its_successor_along_when_it_would_expire() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        memory = InMemoryBackend(1, clock)
        await memory.set("a", 1, ttl=1)
        await memory.set("b", 1)
        await memory.set("a", 2)
        clock.advance(1)
        assert await memory.get("a") == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("bound", [0, -1, True, 1.5, "3"])
def test_a_bound_must_be_a_number_of_entries(bound: object) -> None:
    with pytest.raises(ConfigurationError, match="max_entries"):
        InMemoryBackend(bound)


def test_from_many_threads_exactly_one_compare_and_set_wins_each_round() -> None:
    memory = InMemoryBackend()
    rounds, threads = 200, 4

    async def contender(name: int) -> int:
        wins = 0
        for n in range(rounds):
            try:
                await memory.compare_and_set(f"round {n}", name, expect=ABSENT)
            except ConflictError:
                continue
            wins += 1
        return wins

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(asyncio.run, contender(name)) for name in range(threads)]
        assert sum(future.result(timeout=60) for future in futures) == rounds


def test_counting_with_compare_and_set_from_threads_loses_nothing() -> None:
    memory = InMemoryBackend()
    asyncio.run(memory.set("n", 0))

    async def count() -> None:
        for _ in range(200):
            while True:
                entry = await memory.get_entry("n")
                try:
                    await memory.compare_and_set("n", entry.value + 1, expect=entry.version)
                    break
                except ConflictError:
                    await asyncio.sleep(0)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(asyncio.run, count()) for _ in range(4)]:
            future.result(timeout=60)
    assert asyncio.run(memory.get("n")) == 800


def test_reading_listing_and_writing_at_once_from_threads_never_fails() -> None:
    memory = InMemoryBackend(max_entries=500)

    async def writer() -> None:
        for n in range(3000):
            await memory.set(f"k{n % 700}", n, ttl=0.001 if n % 3 == 0 else None)

    async def reader() -> None:
        for n in range(300):
            await memory.get(f"k{n}")
            assert len(await memory.keys("k*")) <= 500
            await memory.clear_pattern("k1?")

    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(asyncio.run, work()) for work in (writer, reader, writer, reader)]
        for future in futures:
            future.result(timeout=60)


def test_going_through_many_keys_lets_other_tasks_run() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.set_many({f"k{n}": n for n in range(20_000)})
        for call in (
            lambda: memory.keys("*9"),
            lambda: memory.clear_pattern("*9"),
            lambda: collect(memory.scan("*8")),
            memory.clear,
        ):
            turns = 0
            task = asyncio.ensure_future(call())
            while not task.done():
                turns += 1
                await asyncio.sleep(0)
            assert turns >= 10

    asyncio.run(scenario())


async def collect(keys) -> list[str]:
    return [key async for key in keys]


def test_a_scan_yields_what_was_there_throughout_and_nothing_twice() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.set_many({f"k{n}": n for n in range(3000)})
        seen: list[str] = []
        async for key in memory.scan("k*", batch_size=10):
            seen.append(key)
            await memory.delete(f"k{2999 - len(seen)}")
            await memory.set(f"new{len(seen)}", 1)
        assert len(seen) == len(set(seen))
        assert set(await memory.keys("k*")) <= set(seen)
        assert all(key.startswith("k") for key in seen)

    asyncio.run(scenario())


@pytest.mark.parametrize("size", [0, -1, True, 1.5, None])
def test_a_batch_size_must_be_a_number_of_keys(size: object) -> None:
    with pytest.raises(ConfigurationError, match="batch_size"):
        InMemoryBackend().scan(batch_size=size)


def test_after_closing_every_call_is_refused() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.set_many({f"k{n}": [n] for n in range(3000)})
        scan = memory.scan()
        await anext(scan)
        await memory.aclose()
        await memory.aclose()
        for call in (
            lambda: memory.open(),
            lambda: memory.set("k", 1),
            lambda: memory.get("k"),
            lambda: memory.delete("k"),
            lambda: memory.exists("k"),
            lambda: memory.keys(),
            lambda: memory.clear(),
            lambda: memory.clear_pattern("*"),
            lambda: memory.ttl("k"),
            lambda: memory.get_entry("k"),
            lambda: memory.get_many(["k"]),
            lambda: memory.set_many({"k": 1}),
            lambda: memory.delete_many(["k"]),
            lambda: memory.set_entry("k", 1, metadata={}),
            lambda: memory.compare_and_set("k", 1, expect=ABSENT),
            lambda: memory.touch("k", 1),
            lambda: anext(memory.scan()),
        ):
            with pytest.raises(BackendClosedError, match="is closed"):
                await call()
        assert await memory.health_check() is False
        await scan.aclose()

    asyncio.run(scenario())


def test_after_closing_nothing_holds_on_to_it() -> None:
    async def scenario() -> weakref.ref:
        memory = InMemoryBackend()
        await memory.set_many({f"k{n}": [n] for n in range(3000)}, ttl=60)
        assert await collect(memory.scan("k1*"))
        await memory.aclose()
        return weakref.ref(memory)

    watched = asyncio.run(scenario())
    gc.collect()
    assert watched() is None


@given(st.one_of(st.integers(), st.binary(), st.none(), st.lists(st.text()), st.just("")))
def test_a_bad_key_is_refused_by_every_method(key: object) -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.set("kept", 1)
        for call in (
            lambda: memory.set(key, 1),
            lambda: memory.get(key),
            lambda: memory.delete(key),
            lambda: memory.exists(key),
            lambda: memory.ttl(key),
            lambda: memory.get_entry(key),
            lambda: memory.get_many(["kept", key]),
            lambda: memory.set_many({"kept": 2, "": 2}),
            lambda: memory.delete_many(["kept", key]),
            lambda: memory.set_entry(key, 1, metadata={}),
            lambda: memory.compare_and_set(key, 1, expect=ABSENT),
            lambda: memory.touch(key, 1),
        ):
            with pytest.raises(InvalidKeyError):
                await call()
        assert await memory.get_many(await memory.keys()) == {"kept": 1}

    asyncio.run(scenario())


def test_a_bad_value_or_ttl_changes_nothing() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.set("k", "old")
        for call in (
            lambda: memory.set("k", {1}),
            lambda: memory.set_many({"l": 1, "k": object()}),
            lambda: memory.set_entry("k", 1, metadata={"a": object()}),
            lambda: memory.compare_and_set("l", object(), expect=ABSENT),
            lambda: memory.compare_and_set("l", 1, expect=None),
        ):
            with pytest.raises(UnsupportedValueError):
                await call()
        for ttl in (0, -1, True, float("nan"), "1"):
            with pytest.raises(InvalidTTLError):
                await memory.set("k", "new", ttl)
            with pytest.raises(InvalidTTLError):
                await memory.touch("k", ttl)
        assert await memory.get_many(["k", "l"]) == {"k": "old"}

    asyncio.run(scenario())


def test_a_string_enum_is_a_key() -> None:
    from enum import StrEnum

    class Name(StrEnum):
        ADA = "ada"

    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.set(Name.ADA, 1)
        assert await memory.get(Name.ADA) == await memory.get("ada") == 1
        assert type((await memory.get_entry(Name.ADA)).key) is str
        assert [type(key) for key in await memory.keys()] == [str]

    asyncio.run(scenario())


def test_reading_from_threads_never_disturbs_eviction() -> None:
    memory = InMemoryBackend(max_entries=20)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    async def write() -> None:
        for n in range(5000):
            await memory.set(f"k{n % 50}", n)

    async def read() -> None:
        for n in range(5000):
            await memory.get(f"k{n % 50}")

    try:
        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(asyncio.run, work()) for work in (write, read, read, read)]:
                future.result(timeout=60)
    finally:
        sys.setswitchinterval(interval)
    assert len(asyncio.run(memory.keys())) == 20


def test_bulk_calls_of_nothing_are_refused_after_closing_too() -> None:
    async def scenario() -> None:
        memory = InMemoryBackend()
        await memory.aclose()
        for call in (memory.get_many([]), memory.set_many({}), memory.delete_many([])):
            with pytest.raises(BackendClosedError):
                await call

    asyncio.run(scenario())
