"""A server that takes no more connections."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from redis_rig.backends import hasty
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server

from fastadk_memory import BackendUnavailableError

pytestmark = pytest.mark.thorough


@in_a_loop
async def test_it_is_told_and_over_as_soon_as_there_is_room() -> None:
    with Server(maxclients=3) as server, contextlib.ExitStack() as others:
        for _ in range(3):
            others.enter_context(server.client()).ping()
        memory = hasty(server.url)
        with pytest.raises(BackendUnavailableError, match="maxclients"):
            await memory.get("a")
        assert await memory.health_check() is False
        others.close()
        await memory.set("a", 1)
        assert await memory.get("a") == 1
        await memory.aclose()


@in_a_loop
async def test_a_thousand_calls_at_once_need_few_connections() -> None:
    with Server(maxclients=5) as server:
        async with hasty(server.url, timeout=30.0) as memory:
            await asyncio.gather(*(memory.set(f"key {n}", n) for n in range(1_000)))
            found = await asyncio.gather(*(memory.get(f"key {n}") for n in range(1_000)))
            assert found == list(range(1_000))
