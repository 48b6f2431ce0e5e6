"""A primary of a cluster goes, and its replica takes over."""

from __future__ import annotations

import asyncio

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.cluster import Cluster
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.waiting import until

pytestmark = pytest.mark.thorough


@pytest.fixture
def cluster():
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def vigilant():
    """Return a cluster that soon takes a silent node for dead."""
    with Cluster(node_timeout=1500) as cluster:
        yield cluster


@in_a_loop
async def test_calls_ride_through_a_primary_that_is_killed(vigilant) -> None:
    cluster = vigilant
    first, replica = cluster.primaries[0], cluster.replicas[0]
    async with patient(cluster.url) as memory, Load(memory, seconds=60, loses_writes=True) as load:
        await asyncio.to_thread(first.kill)
        await load.progress()
        assert replica.follows() is None, "nobody has taken over, so who answered?"
        await asyncio.to_thread(first.restart)
        await asyncio.to_thread(cluster.settle)
        await load.progress()


@in_a_loop
async def test_calls_fail_in_time_when_a_primary_hangs_and_then_go_to_the_next(vigilant) -> None:
    cluster = vigilant
    url, first, replica = cluster.url, cluster.primaries[1], cluster.replicas[1]
    async with hasty(url, timeout=3.0) as memory, Load(memory, loses_writes=True) as load:
        first.stop()
        await load.progress()
        assert replica.follows() is None
        first.resume()
        await asyncio.to_thread(until, lambda: first.follows() == replica.port, "it follows")
        await load.progress()


@in_a_loop
async def test_calls_ride_through_a_failover_by_hand_and_lose_nothing(cluster) -> None:
    """A primary hands over in good order: here no acknowledged write may be lost."""
    async with patient(cluster.url) as memory, Load(memory, seconds=60) as load:
        for replica in cluster.replicas:
            await asyncio.to_thread(cluster.hand_over, replica)
            await load.progress()


@in_a_loop
async def test_listing_is_whole_during_a_failover_and_after(cluster) -> None:
    keys = {f"key {number}" for number in range(3_000)}
    async with patient(cluster.url) as memory:
        await memory.set_many(dict.fromkeys(keys, 1))
        handing_over = asyncio.ensure_future(
            asyncio.to_thread(cluster.hand_over, cluster.replicas[2])
        )
        while not handing_over.done():
            assert sorted(await memory.keys("key *")) == sorted(keys)
        await handing_over
        assert sorted(await memory.keys("key *")) == sorted(keys)
