"""Replies that come late, in pieces, or not at all while the connection stands."""

from __future__ import annotations

import asyncio

from redis_rig.backends import hasty, patient
from redis_rig.load import Load
from redis_rig.proxy import Proxy
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server
from redis_rig.waiting import eventually


@in_a_loop
async def test_slow_replies_are_the_right_ones() -> None:
    with Server() as server, Proxy(server) as proxy:
        async with patient(proxy.url) as memory, Load(memory, seconds=60) as load:
            proxy.delay = 0.05
            await load.progress()
            assert not load.failed


@in_a_loop
async def test_replies_in_pieces_of_a_byte_are_the_right_ones() -> None:
    with Server() as server, Proxy(server) as proxy:
        async with patient(proxy.url) as memory:
            await memory.set_many({f"key {number}": number for number in range(20)})
            proxy.piece = 1
            found = await asyncio.gather(*(memory.get(f"key {number}") for number in range(20)))
            assert found == list(range(20))
            assert await memory.get_many(["key 3", "none"]) == {"key 3": 3}


@in_a_loop
async def test_a_stall_ends_in_timeouts_and_then_calls_work_again() -> None:
    with Server() as server, Proxy(server) as proxy:
        async with hasty(proxy.url) as memory, Load(memory) as load:
            with proxy.stalled():

                async def each_has_timed_out() -> bool:
                    return load.failed["BackendTimeoutError"] >= len(load.done)

                await eventually(each_has_timed_out, "calls time out")
            await load.progress()
            assert set(load.failed) == {"BackendTimeoutError"}
