"""`RecordBackend`: a dict of bytes becomes a backend that agrees with the model."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import (
    ABSENT,
    BackendClosedError,
    BackendUnavailableError,
    Capability,
    ConflictError,
    CorruptEntryError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    ManualClock,
    RecordBackend,
    UnsupportedValueError,
)
from fastadk_memory.concurrency import run_in_thread


class DictBackend(RecordBackend):
    """Four primitives over a dict; each gives other tasks a turn, as a real store would."""

    def __init__(self, clock: ManualClock | None = None, records: dict | None = None) -> None:
        super().__init__(clock=clock or ManualClock())
        self.records: dict[str, bytes] = {} if records is None else records

    async def read_record(self, key: str) -> bytes | None:
        await asyncio.sleep(0)
        return self.records.get(key)

    async def write_record(self, key: str, record: bytes) -> None:
        await asyncio.sleep(0)
        self.records[key] = record

    async def delete_record(self, key: str) -> None:
        await asyncio.sleep(0)
        self.records.pop(key, None)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        for key, record in self.records.copy().items():
            if key.startswith(prefix):
                yield key, record


class PersistentDict(DictBackend):
    capabilities = RecordBackend.capabilities | {Capability.PERSISTENT}


def test_a_value_that_fails_leaves_the_old_one() -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set("k", "old")
        with pytest.raises(UnsupportedValueError, match=r"\$\.when: object"):
            await memory.set("k", {"when": object()})
        with pytest.raises(UnsupportedValueError):
            await memory.set_many({"k": "new", "l": object()})
        assert await memory.get_many(["k", "l"]) == {"k": "old"}

    asyncio.run(scenario())


def test_one_of_many_concurrent_compare_and_sets_wins() -> None:
    async def scenario() -> None:
        memory = DictBackend()

        async def attempt(number: int) -> int:
            try:
                await memory.compare_and_set("k", number, expect=ABSENT)
            except ConflictError:
                return 0
            return 1

        assert sum(await asyncio.gather(*map(attempt, range(20)))) == 1

    asyncio.run(scenario())


def test_an_expectation_that_is_no_version_is_refused() -> None:
    with pytest.raises(UnsupportedValueError, match="expect must be"):
        asyncio.run(DictBackend().compare_and_set("k", 1, expect=None))


@pytest.mark.parametrize(
    "damage", [b"", b"short", lambda data: data[:-1], lambda data: data + b"x"]
)
def test_a_damaged_entry_is_named_and_the_others_stay_readable(damage) -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set_many({"bad": "value", "good": "value"})
        memory.records["bad"] = damage(memory.records["bad"]) if callable(damage) else damage
        for call in (memory.get, memory.exists, memory.get_entry, memory.ttl):
            with pytest.raises(CorruptEntryError, match="'bad'") as caught:
                await call("bad")
            assert caught.value.key == "bad"
        assert await memory.get("good") == "value"
        assert sorted(await memory.keys()) == ["bad", "good"]
        await memory.delete("bad")
        assert await memory.keys() == ["good"]

    asyncio.run(scenario())


@given(st.integers(0), st.integers(1, 255))
def test_any_flipped_byte_is_noticed(at: int, flip: int) -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set_entry("k", {"a": [1, 2.5, "x"]}, 60, metadata={"m": 1})
        data = bytearray(memory.records["k"])
        data[at % len(data)] ^= flip
        memory.records["k"] = bytes(data)
        with pytest.raises(CorruptEntryError):
            await memory.get("k")

    asyncio.run(scenario())


def test_expired_records_go_without_being_read() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        memory = DictBackend(clock)
        await memory.set_many({f"k{n}": n for n in range(40)}, ttl=1)
        clock.advance(1)
        for n in range(10):
            await memory.set("other", n)
        assert list(memory.records) == ["other"]

    asyncio.run(scenario())


def test_what_an_earlier_process_left_expires_without_being_read() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        first = PersistentDict(clock)
        await first.set("k", 1, ttl=1)
        await first.aclose()
        second = PersistentDict(clock, first.records)
        clock.advance(1)
        await second.set("other", 1)
        assert list(second.records) == ["other"]

    asyncio.run(scenario())


def test_a_key_that_lives_on_is_not_swept_away_with_its_old_expiry() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        memory = DictBackend(clock)
        await memory.set("k", 1, ttl=1)
        await memory.touch("k", 10)
        await memory.set("l", 1, ttl=1)
        await memory.set("l", 2)
        clock.advance(1)
        await memory.set("other", 1)
        assert await memory.get_many(["k", "l"]) == {"k": 1, "l": 2}

    asyncio.run(scenario())


def test_after_closing_every_call_is_refused() -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set("k", 1)
        await memory.aclose()
        await memory.aclose()
        for call in (
            memory.open(),
            memory.set("k", 1),
            memory.get("k"),
            memory.delete("k"),
            memory.exists("k"),
            memory.keys(),
            memory.clear(),
            memory.clear_pattern("*"),
            memory.ttl("k"),
            memory.get_entry("k"),
            memory.get_many(["k"]),
            memory.set_many({"k": 1}),
            memory.delete_many(["k"]),
            memory.set_entry("k", 1, metadata={}),
            memory.compare_and_set("k", 1, expect=ABSENT),
            memory.touch("k", 1),
            anext(memory.scan()),
        ):
            with pytest.raises(BackendClosedError, match="DictBackend is closed"):
                await call
        assert await memory.health_check() is False

    asyncio.run(scenario())


def test_health_is_false_where_the_store_fails_or_hangs() -> None:
    class Failing(DictBackend):
        async def check_store(self) -> bool:
            raise OSError("gone")

    class Hanging(DictBackend):
        health_timeout = 0.01

        async def check_store(self) -> bool:
            await asyncio.Event().wait()
            return True

    async def scenario() -> None:
        assert await DictBackend().health_check() is True
        assert await Failing().health_check() is False
        assert await Hanging().health_check() is False

    asyncio.run(scenario())


def test_a_sweep_that_fails_does_not_fail_the_call_and_is_repeated() -> None:
    class Flaky(DictBackend):
        away = False

        async def read_record(self, key: str) -> bytes | None:
            if self.away:
                raise BackendUnavailableError("away")
            return await super().read_record(key)

    async def scenario() -> None:
        clock = ManualClock()
        memory = Flaky(clock)
        await memory.set("old", 1, ttl=1)
        clock.advance(1)
        memory.away = True
        await memory.set("new", 1)
        memory.away = False
        await memory.set("new", 2)
        assert list(memory.records) == ["new"]

    asyncio.run(scenario())


def test_a_store_shared_by_processes_must_swap_atomically() -> None:
    with pytest.raises(TypeError, match="must override swap_record"):

        class Shared(DictBackend):
            capabilities = RecordBackend.capabilities | {Capability.MULTI_PROCESS}


def test_at_every_suspension_a_cancelled_set_has_happened_or_not() -> None:
    async def scenario() -> None:
        for turns in range(6):
            clock = ManualClock()
            memory = DictBackend(clock)
            await memory.set("k", "old", ttl=5)
            task = asyncio.ensure_future(memory.set("k", "new", ttl=7))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            entry = await memory.get_entry("k")
            assert (entry.value, await memory.ttl("k")) in {("old", 5), ("new", 7)}
            await memory.set("k", "after")
            assert await memory.get("k") == "after"
            clock.advance(10)
            assert await memory.get("k") == "after"

    asyncio.run(scenario())


bad_keys = st.one_of(
    st.just(""), st.integers(), st.none(), st.binary(), st.lists(st.text()), st.just("k" * 1025),
    st.just("é" * 513), st.text().map(lambda text: text + "\ud800"),
)  # fmt: skip
bad_ttls = st.one_of(
    st.integers(max_value=0), st.floats(max_value=0.0009), st.just(float("nan")), st.booleans(),
    st.text(), st.integers(min_value=3_155_760_001), st.just(float("inf")),
)  # fmt: skip


@given(bad_keys)
def test_a_bad_key_is_refused_by_every_method_and_nothing_changes(key: object) -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set("kept", 1)
        for call in (
            lambda: memory.set(key, 1),
            lambda: memory.get(key),
            lambda: memory.delete(key),
            lambda: memory.exists(key),
            lambda: memory.ttl(key),
            lambda: memory.get_entry(key),
            lambda: memory.get_many(["kept", key]),
            lambda: memory.delete_many(["kept", key]),
            lambda: memory.set_entry(key, 1, metadata={}),
            lambda: memory.compare_and_set(key, 1, expect=ABSENT),
            lambda: memory.touch(key, 1),
        ):
            with pytest.raises(InvalidKeyError):
                await call()
        assert await memory.keys() == ["kept"]

    asyncio.run(scenario())


@given(bad_ttls)
def test_a_bad_ttl_is_refused_by_every_method_and_nothing_changes(ttl: object) -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set("k", 1)
        for call in (
            lambda: memory.set("k", 2, ttl),
            lambda: memory.set_many({"k": 2}, ttl),
            lambda: memory.set_entry("k", 2, ttl, metadata={}),
            lambda: memory.compare_and_set("l", 2, expect=ABSENT, ttl=ttl),
            lambda: memory.touch("k", ttl),
        ):
            with pytest.raises(InvalidTTLError):
                await call()
        assert await memory.get_many(["k", "l"]) == {"k": 1}
        assert await memory.ttl("k") is None

    asyncio.run(scenario())


@given(st.one_of(st.none(), st.integers(), st.binary(), st.just("x" * 4097), st.just("\ud800")))
def test_a_bad_pattern_is_refused_by_every_method_and_nothing_changes(pattern: object) -> None:
    async def scenario() -> None:
        memory = DictBackend()
        await memory.set("k", 1)
        for call in (memory.keys, memory.clear_pattern):
            with pytest.raises(InvalidPatternError):
                await call(pattern)
        with pytest.raises(InvalidPatternError):
            memory.scan(pattern)
        assert await memory.get("k") == 1

    asyncio.run(scenario())


def test_whatever_writes_clears_away_at_least_as_much_as_it_adds() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        memory = DictBackend(clock)
        for n in range(50):
            await memory.compare_and_set(f"lease {n}", 1, expect=ABSENT, ttl=1)
            await memory.set_many({f"{n}:{m}": 1 for m in range(20)}, ttl=1)
            await memory.set_entry(f"entry {n}", 1, ttl=1, metadata={})
            clock.advance(2)
        assert len(memory.records) <= 22
        assert await memory.touch("nothing", 1) is False
        assert len(memory.records) <= 22

    asyncio.run(scenario())


def test_a_write_that_fails_does_not_put_off_the_expiry_of_what_is_there() -> None:
    class Failing(DictBackend):
        failing = False

        async def write_record(self, key: str, record: bytes) -> None:
            if self.failing:
                raise BackendUnavailableError("full")
            await super().write_record(key, record)

    async def scenario() -> None:
        clock = ManualClock()
        memory = Failing(clock)
        await memory.set("k", "old", ttl=1)
        memory.failing = True
        with pytest.raises(BackendUnavailableError):
            await memory.set("k", "new", ttl=1000)
        memory.failing = False
        clock.advance(1)
        await memory.set("other", 1)
        assert list(memory.records) == ["other"]

    asyncio.run(scenario())


def test_a_ttl_begins_when_the_entry_is_written_not_when_the_call_waits() -> None:
    clock = ManualClock()

    class Slow(DictBackend):
        async def open_store(self) -> None:
            clock.advance(5)

        async def write_record(self, key: str, record: bytes) -> None:
            await super().write_record(key, record)
            clock.advance(0.75)

    async def scenario() -> None:
        memory = Slow(clock)
        await memory.set("k", 1, ttl=1)
        assert await memory.get("k") == 1
        await asyncio.gather(*(memory.set("k", n, ttl=1) for n in range(5)))
        assert await memory.get("k") is not None

    asyncio.run(scenario())


def test_health_answers_in_time_though_a_thread_hangs() -> None:
    release = threading.Event()

    class Hanging(DictBackend):
        health_timeout = 0.05

        async def check_store(self) -> bool:
            await run_in_thread(release.wait, 10)
            return True

    async def scenario() -> None:
        memory = Hanging()
        async with asyncio.timeout(5):
            assert await memory.health_check() is False
        release.set()
        await memory.aclose()

    asyncio.run(scenario())


def test_a_call_from_deep_in_the_stack_neither_fails_nor_calls_the_entry_damaged() -> None:
    value: object = "leaf"
    for _ in range(100):
        value = [value]

    async def deeper(levels: int, call) -> object:
        return await call() if levels == 0 else await deeper(levels - 1, call)

    async def scenario() -> None:
        memory = DictBackend()
        levels = sys.getrecursionlimit() - 150
        await deeper(levels, lambda: memory.set("k", value))
        assert await deeper(levels, lambda: memory.get("k")) == value

    asyncio.run(scenario())
