"""Slots of a cluster on their way from one node to another."""

from __future__ import annotations

import asyncio

import pytest
from redis_rig.backends import patient
from redis_rig.cluster import Cluster
from redis_rig.keys import keys_in_slot, slot_of
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop

from fastadk_memory import ABSENT

pytestmark = pytest.mark.thorough

SLOT = 4321


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def empty(cluster) -> None:
    for primary in cluster.primaries:
        with primary.control() as control:
            control.flushall()


def elsewhere(cluster, slot: int):
    owner = cluster.owner_of_slot(slot)
    return owner, next(node for node in cluster.primaries if node is not owner)


@in_a_loop
async def test_every_call_works_on_a_slot_that_has_moved_by_half(cluster) -> None:
    keys, more = keys_in_slot(SLOT, 40), keys_in_slot(SLOT, 60)[40:]
    source, target = elsewhere(cluster, SLOT)
    async with patient(cluster.url) as memory:
        await memory.set_many({key: key for key in keys})
        cluster.migrate(SLOT, target, keys=20)
        assert await memory.get_many(keys) == {key: key for key in keys}
        assert await asyncio.gather(*(memory.get(key) for key in keys)) == keys
        assert await asyncio.gather(*(memory.exists(key) for key in keys)) == [True] * 40
        await memory.set_many({key: key for key in more})  # these are new: asked for elsewhere
        for key in keys[:10] + keys[-10:]:
            entry = await memory.get_entry(key)
            await memory.compare_and_set(key, key + "!", expect=entry.version)
            assert await memory.touch(key, 1_000) is True
            assert await memory.get(key) == key + "!"
        await memory.compare_and_set(more[0] + "x", 1, expect=ABSENT)
        assert await memory.delete_many(keys) == 40
        assert await memory.get_many(keys) == {}
        assert await memory.get_many(more) == {key: key for key in more}
        assert sorted(await memory.keys("key *")) == sorted([*more, more[0] + "x"])
        cluster.move_keys(SLOT, source, target)
        cluster.finish(SLOT, source, target)
        assert await memory.get_many(more) == {key: key for key in more}


@in_a_loop
async def test_calls_ride_along_while_slots_are_moved(cluster) -> None:
    async with patient(cluster.url) as memory, Load(memory, seconds=60) as load:
        for number in range(len(load.done)):
            slot = slot_of(f"load {number}")
            source, target = elsewhere(cluster, slot)
            await asyncio.to_thread(cluster.migrate, slot, target, 0)
            await load.progress(2)  # under way, nothing moved yet
            await asyncio.to_thread(cluster.move_keys, slot, source, target)
            await load.progress(2)  # moved, not announced yet
            await asyncio.to_thread(cluster.move_keys, slot, source, target)
            await asyncio.to_thread(cluster.finish, slot, source, target)
            await load.progress(2)
        assert not load.failed


@in_a_loop
async def test_listing_misses_nothing_while_slots_are_moved(cluster) -> None:
    keys = [*keys_in_slot(SLOT, 60), *(f"other {number}" for number in range(2_000))]
    async with patient(cluster.url) as memory:
        await memory.set_many(dict.fromkeys(keys, 1))
        moving = asyncio.ensure_future(asyncio.to_thread(_move_about, cluster, 12))
        lists = 0
        while not moving.done() or lists < 3:
            assert sorted(await memory.keys()) == sorted(keys)
            assert sorted([key async for key in memory.scan()]) == sorted(keys)
            lists += 1
        await moving


def _move_about(cluster, times: int) -> None:
    for _ in range(times):
        _, target = elsewhere(cluster, SLOT)
        cluster.migrate(SLOT, target)


@in_a_loop
async def test_clearing_leaves_nothing_while_slots_are_moved(cluster) -> None:
    keys = keys_in_slot(SLOT, 60)
    async with patient(cluster.url) as memory:
        for _ in range(5):
            await memory.set_many(dict.fromkeys(keys, 1))
            moving = asyncio.ensure_future(asyncio.to_thread(_move_about, cluster, 2))
            await memory.clear()
            await moving
            assert await memory.keys() == []
