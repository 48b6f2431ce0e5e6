"""A server that hangs: its process is stopped, its port still accepts connections."""

from __future__ import annotations

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server
from redis_rig.waiting import eventually

from fastadk_memory import BackendTimeoutError


@in_a_loop
async def test_calls_time_out_while_it_hangs_and_work_when_it_goes_on() -> None:
    with Server() as server:
        async with hasty(server.url) as memory, Load(memory) as load:
            for _ in range(2):
                before = load.failed["BackendTimeoutError"]
                server.stop()

                async def each_has_timed_out(before: int = before) -> bool:
                    return load.failed["BackendTimeoutError"] >= before + len(load.done)

                await eventually(each_has_timed_out, "calls time out")
                server.resume()
                await load.progress()


@in_a_loop
async def test_calls_wait_through_a_short_hang() -> None:
    with Server() as server:
        async with patient(server.url) as memory, Load(memory, seconds=60) as load:
            server.stop()
            sent = list(load.done)
            await eventually(lambda: _still(load, sent), "nothing moves")
            server.resume()
            await load.progress()
            assert not load.failed


async def _still(load: Load, before: list[int]) -> bool:
    now = list(load.done)
    still = now == before
    before[:] = now
    return still


@in_a_loop
async def test_health_check_is_false_while_it_hangs() -> None:
    with Server() as server:
        async with hasty(server.url, health_timeout=3.0) as memory:
            assert await memory.health_check() is True
            server.stop()
            assert await memory.health_check() is False
            server.resume()
            assert await eventually(memory.health_check, "healthy again")


@in_a_loop
async def test_a_server_that_hangs_from_the_start_times_out() -> None:
    with Server() as server:
        server.stop()
        memory = hasty(server.url)
        with pytest.raises(BackendTimeoutError):
            await memory.get("a")
        server.resume()
        assert await memory.get("a") is None
        await memory.aclose()
