"""Values that are larger than the server takes, than the connection likes, than memory."""

from __future__ import annotations

import asyncio

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.load import Load
from redis_rig.proxy import Proxy
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server

from fastadk_memory import BackendUnavailableError, FastADKMemoryError, UnsupportedValueError

pytestmark = pytest.mark.thorough

MIB = 1024 * 1024


@in_a_loop
async def test_a_value_over_our_limit_is_refused_before_it_is_sent() -> None:
    with Server() as server:
        async with patient(server.url, max_value_bytes=MIB) as memory:
            await memory.set("a", "old")
            for call in (
                memory.set("a", b"x" * MIB),
                memory.set_many({"b": 1, "a": b"x" * MIB}),
                memory.set_entry("a", 1, metadata={"large": b"x" * MIB}),
            ):
                with pytest.raises(UnsupportedValueError, match="bytes"):
                    await call
            assert await memory.get_many(["a", "b"]) == {"a": "old"}


@in_a_loop
async def test_a_value_over_the_servers_limit_fails_and_mixes_nothing_up() -> None:
    """The server breaks the connection; whoever shared it learns that, or rides along."""
    with Server(proto_max_bulk_len=MIB) as server:
        async with patient(server.url, timeout=10.0) as memory, Load(memory, seconds=60) as load:
            for _ in range(3):
                with pytest.raises(FastADKMemoryError):
                    await memory.set("large", b"x" * (2 * MIB))
                await load.progress()
            assert await memory.get("large") is None


async def fill(memory) -> None:
    for number in range(100):
        await memory.set(f"large {number}", b"x" * 100_000)


@in_a_loop
async def test_a_server_without_memory_says_so_and_goes_on_when_it_has_some() -> None:
    with Server(maxmemory="4mb", maxmemory_policy="noeviction") as server:
        async with hasty(server.url) as memory:
            await memory.set("small", 1)
            with pytest.raises(BackendUnavailableError, match="OOM"):
                await fill(memory)
            assert await memory.get("small") == 1
            await memory.clear_pattern("large *")
            await memory.set("large", b"x" * 100_000)


@in_a_loop
async def test_a_small_get_is_not_stuck_behind_a_large_one() -> None:
    """The reply of the large one is on its way, and held up: the small one does not wait."""
    with Server() as server, Proxy(server) as proxy:
        async with patient(proxy.url) as memory:
            large = b"x" * (8 * MIB)
            await memory.set_many({"large": large, "small": 1})
            assert await memory.get("large") == large
            with proxy.holding_large():
                waiting = asyncio.ensure_future(memory.get("large"))
                await asyncio.to_thread(proxy.wait_until_holding)
                for number in range(20):
                    assert await memory.get("small") == 1
                    await memory.set("other", number)
                assert not waiting.done()
            assert await waiting == large


@in_a_loop
async def test_large_and_small_ones_at_once_are_the_right_ones() -> None:
    with Server() as server:
        async with patient(server.url) as memory, Load(memory, seconds=60) as load:
            for number in range(8):
                large = [{"number": number, "body": "x" * (number * MIB)}] * 2
                await asyncio.gather(memory.set(f"large {number}", large), memory.keys())
                found = await asyncio.gather(*(memory.get(f"large {number}") for _ in range(3)))
                assert found == [large] * 3
            await load.progress()
            assert not load.failed
