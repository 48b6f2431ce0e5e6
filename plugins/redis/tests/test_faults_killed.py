"""A server that is killed, and comes back with what it has acknowledged."""

from __future__ import annotations

import asyncio

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server
from redis_rig.waiting import eventually

from fastadk_memory import BackendUnavailableError

# Written before the reply, if not synced: more than a killed process can lose.
KEPT = {"appendonly": "yes", "appendfsync": "no"}


@in_a_loop
async def test_calls_ride_through_kill_9_and_restart() -> None:
    with Server(**KEPT) as server:
        async with patient(server.url) as memory, Load(memory, seconds=60) as load:
            for _ in range(3):
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.restart)
                await load.progress()


@in_a_loop
async def test_calls_fail_while_a_killed_server_stays_away_and_work_when_it_is_back() -> None:
    with Server(**KEPT) as server:
        async with hasty(server.url) as memory, Load(memory) as load:
            await asyncio.to_thread(server.kill)

            async def all_have_failed() -> bool:
                return load.failed.total() > 3 * len(load.done)

            await eventually(all_have_failed, "calls fail")
            await asyncio.to_thread(server.restart)
            await load.progress()


@in_a_loop
async def test_an_object_made_while_the_server_is_away_works_when_it_comes() -> None:
    with Server() as server:
        server.kill()
        memory = hasty(server.url)  # entering it would open it, and fail
        with pytest.raises(BackendUnavailableError):
            await memory.get("a")
        assert await memory.health_check() is False
        server.restart()
        await memory.set("a", 1)
        assert await memory.get("a") == 1
        assert await memory.health_check() is True
        await memory.aclose()
