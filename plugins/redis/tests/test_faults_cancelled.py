"""Sixty of a hundred calls cancelled at random moments: the others get their own answers."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis_rig.backends import patient
from redis_rig.cluster import Cluster
from redis_rig.load import certified, number_in
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server

KEYS = [f"key {number}" for number in range(50)]
CALLS = 3_000


async def cancel_at_random(memory, seed: int) -> None:
    chance = random.Random(seed)
    await memory.set_many({key: certified(key, 0) for key in KEYS})

    async def ask(key: str, number: int) -> None:
        match number % 5:
            case 0:
                await memory.set(key, certified(key, number))
            case 1:
                entry = await memory.get_entry(key)
                assert entry is not None
                number_in(key, entry.value)
            case 2:
                some = chance.sample(KEYS, 3)
                found = await memory.get_many(some)
                assert list(found) == some
                for each, value in found.items():
                    number_in(each, value)
            case 3:
                assert await memory.exists(key) is True
            case _:
                assert number_in(key, await memory.get(key)) is not None

    running: set[asyncio.Task[None]] = set()
    for number in range(CALLS):
        running.add(asyncio.ensure_future(ask(chance.choice(KEYS), number)))
        if len(running) >= 64:
            for task in running:
                if chance.random() < 0.6:
                    task.cancel()
                if chance.random() < 0.1:
                    await asyncio.sleep(0)
            results = await asyncio.gather(*running, return_exceptions=True)
            running.clear()
            for result in results:
                if result is not None and not isinstance(result, asyncio.CancelledError):
                    raise result
    await asyncio.gather(*running)
    found = await asyncio.gather(*(memory.get(key) for key in KEYS))
    for key, value in zip(KEYS, found, strict=True):
        assert number_in(key, value) is not None


@pytest.mark.parametrize("seed", range(2))
@in_a_loop
async def test_cancelling_mixes_no_answers_up_and_costs_no_connection(seed: int) -> None:
    with Server() as server, server.control() as control:
        async with patient(server.url) as memory:
            await memory.set_many({"a": 1, "b": 2})  # so that it has all the connections it wants
            await memory.get("a")
            before = control.info("stats")["total_connections_received"]
            await cancel_at_random(memory, seed)
            assert control.info("stats")["total_connections_received"] == before


@pytest.mark.thorough
@in_a_loop
async def test_cancelling_mixes_no_answers_up_on_a_cluster() -> None:
    with Cluster() as cluster:
        async with patient(cluster.url) as memory:
            await cancel_at_random(memory, 7)


@in_a_loop
async def test_cancelling_while_it_connects_leaves_it_usable() -> None:
    with Server() as server:
        for turns in range(30):
            memory = patient(server.url)
            calls = [asyncio.ensure_future(memory.set("a", number)) for number in range(4)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls[:3]:
                call.cancel()
            await calls[3]
            assert await memory.get("a") == 3
            await memory.aclose()
