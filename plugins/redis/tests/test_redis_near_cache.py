"""The near cache: hits stay in the process, and no answer is stale once the server has spoken."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.load import Load, certified, number_in
from redis_rig.proxy import Proxy
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server
from redis_rig.waiting import eventually

from fastadk_memory import ABSENT, BackendUnavailableError


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server) -> None:
    with server.control() as control:
        control.flushall()


def near(url: str, **options):
    return patient(url, near_cache=True, **options)


async def becomes(memory, key: str, value: object) -> None:
    async def is_so() -> bool:
        return await memory.get(key) == value

    await eventually(is_so, f"get({key!r}) is {value!r}")


def commands(server) -> int:
    with server.control() as control:
        return control.info("stats")["total_commands_processed"]


@in_a_loop
async def test_a_hit_does_not_reach_the_server(server) -> None:
    async with near(server.url) as memory:
        await memory.set("a", [1])
        await memory.get("a")
        before = commands(server)
        for _ in range(1_000):
            assert await memory.get("a") == [1]
        assert commands(server) - before < 100


@in_a_loop
async def test_without_it_every_get_reaches_the_server(server) -> None:
    async with patient(server.url) as memory:
        await memory.set("a", 1)
        before = commands(server)
        for _ in range(200):
            await memory.get("a")
        assert commands(server) - before >= 200


@in_a_loop
async def test_what_others_do_is_seen(server) -> None:
    async with near(server.url) as memory, patient(server.url) as other:
        await other.set("a", 1)
        assert await memory.get("a") == 1
        await other.set("a", 2)
        await becomes(memory, "a", 2)
        entry = await other.get_entry("a")
        await other.compare_and_set("a", 3, expect=entry.version)
        await becomes(memory, "a", 3)
        await other.delete("a")
        await becomes(memory, "a", None)
        await other.compare_and_set("a", 4, expect=ABSENT)
        await becomes(memory, "a", 4)
        await other.clear()
        await becomes(memory, "a", None)


@in_a_loop
async def test_flushing_the_server_is_seen(server) -> None:
    async with near(server.url) as memory:
        await memory.set("a", 1)
        assert await memory.get("a") == 1
        with server.control() as control:
            control.flushall()
        await becomes(memory, "a", None)


@in_a_loop
async def test_what_the_object_does_itself_is_seen_at_once(server) -> None:
    async with near(server.url) as memory:
        for number in range(50):
            await memory.set("a", number)
            assert await memory.get("a") == number
            entry = await memory.get_entry("a")
            await memory.compare_and_set("a", number + 0.5, expect=entry.version)
            assert await memory.get("a") == number + 0.5
            await memory.set_many({"a": "many"})
            assert await memory.get("a") == "many"
            await memory.set_entry("a", "entry", metadata={})
            assert await memory.get("a") == "entry"
            await memory.delete("a")
            assert await memory.get("a") is None
        await memory.set("a", 1)
        await memory.get("a")
        await memory.clear()
        assert await memory.get("a") is None
        assert await memory.exists("a") is False


@in_a_loop
async def test_it_forgets_by_itself_when_an_entry_expires(server) -> None:
    async with near(server.url) as memory:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            began = loop.time()
            await memory.set("a", 1, 0.15)
            acknowledged = loop.time()
            while True:
                asked = loop.time()
                value = await memory.get("a")
                if value is None:
                    assert loop.time() >= began + 0.15, "gone early"
                    break
                assert asked < acknowledged + 0.15 + 0.05, "served after its time"
                await asyncio.sleep(0.001)


@in_a_loop
async def test_a_touch_by_another_is_seen(server) -> None:
    async with near(server.url) as memory, patient(server.url) as other:
        touched = False
        while not touched:  # a machine may be too busy to do it in time
            await memory.set("a", 1, 0.3)
            await memory.get("a")
            touched = await other.touch("a", 600)
        await asyncio.sleep(0.4)  # past the old time
        assert await memory.get("a") == 1


@in_a_loop
async def test_nothing_is_served_once_the_connection_is_lost() -> None:
    with Server() as server, Proxy(server) as proxy:
        async with hasty(proxy.url, near_cache=True) as memory, patient(server.url) as other:
            await memory.set("a", 1)
            assert await memory.get("a") == 1
            with proxy.away():
                await eventually(lambda: _fails(memory), "a get fails")
                await other.set("a", 2)
            assert await memory.get("a") == 2


async def _fails(memory) -> bool:
    try:
        await memory.get("a")
    except BackendUnavailableError:
        return True
    return False


@in_a_loop
async def test_a_change_during_a_broken_connection_is_never_missed() -> None:
    with Server() as server, Proxy(server) as proxy:
        async with near(proxy.url) as memory, patient(server.url) as other:
            for number in range(1, 40):
                await other.set("a", number)
                await becomes(memory, "a", number)
                proxy.reset()
                await other.set("a", -number)
                await becomes(memory, "a", -number)


@in_a_loop
async def test_readers_never_go_back_in_time(server) -> None:
    """Replies and invalidations cross each other on the way."""
    with Proxy(server) as proxy:
        async with near(proxy.url) as memory, patient(server.url) as other:
            over = False

            async def write() -> int:
                chance, number = random.Random(3), 0
                while not over:
                    number += 1
                    await other.set("a", certified("a", number))
                    await asyncio.sleep(chance.choice([0, 0, 0.001]))
                return number

            async def read(seed: int) -> None:
                chance, last = random.Random(seed), 0
                for _ in range(500):
                    limit = chance.choice([None, None, None, 0.0])
                    try:
                        async with asyncio.timeout(limit):
                            number = number_in("a", await memory.get("a")) or 0
                    except TimeoutError:
                        continue
                    assert number >= last, f"write {number} was read after {last}"
                    last = number
                    await asyncio.sleep(chance.choice([0, 0.0005]))

            writer = asyncio.ensure_future(write())
            await asyncio.gather(*(read(seed) for seed in range(8)))
            over = True
            last = await writer
            await becomes(memory, "a", certified("a", last))


@in_a_loop
async def test_it_holds_no_more_than_it_may(server) -> None:
    async with near(server.url, near_cache_entries=10) as memory:
        keys = [f"key {number}" for number in range(100)]
        await memory.set_many(dict.fromkeys(keys, 1))
        for key in keys:
            await memory.get(key)
        before = commands(server)
        for key in keys:
            assert await memory.get(key) == 1
        assert commands(server) - before >= 90


@in_a_loop
async def test_the_load_is_right_with_it() -> None:
    with Server() as server, Proxy(server) as proxy:
        async with near(proxy.url) as memory, Load(memory, seconds=60) as load:
            for _ in range(3):
                proxy.reset()
                await load.progress(20)
