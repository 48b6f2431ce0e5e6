"""What `health` reports of each node, and what it warns of."""

from __future__ import annotations

import asyncio

import pytest
from redis_rig.backends import hasty, patient
from redis_rig.cluster import Cluster
from redis_rig.keys import PREFIX
from redis_rig.scenario import in_a_loop
from redis_rig.sentinel import Sentinels
from redis_rig.servers import HOST, Server
from redis_rig.waiting import eventually, until

from fastadk_memory import BackendClosedError


async def warned(memory, *words: str) -> None:
    """Require one warning that holds all these words."""
    report = await memory.health()
    found = [each for each in report.warnings if all(word in each for word in words)]
    assert len(found) == 1, report.warnings
    assert "; " in found[0], "it says what to do, too"


@in_a_loop
async def test_a_server_that_is_well_is_reported_as_it_is() -> None:
    with Server(maxmemory="200mb", maxmemory_policy="noeviction") as server:
        async with hasty(server.url) as memory:
            report = await memory.health()
            assert report.healthy is True
            assert report.warnings == ()
            assert report.covered_slots is None
            (node,) = report.nodes
            assert node.error is None
            assert (node.role, node.replicas, node.slots) == ("master", 0, None)
            assert node.max_memory == 200 * 1024 * 1024
            assert 0 < node.used_memory < node.max_memory
            assert (node.eviction_policy, node.evicted_keys) == ("noeviction", 0)
            assert node.append_only is False
            assert node.persistence_errors == ()
            assert node.latency_ms > 0
            with server.control() as control:
                told = control.info("server")
                assert node.version == told.get("valkey_version", told["redis_version"])
                assert control.dbsize() == 0, "looking has left something behind"


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
@in_a_loop
async def test_a_policy_that_loses_memory_silently_is_warned_of(policy: str) -> None:
    with Server(maxmemory_policy=policy) as server:
        async with hasty(server.url) as memory:
            await warned(memory, policy)
            assert (await memory.health()).healthy is True


@in_a_loop
async def test_entries_that_were_evicted_are_warned_of() -> None:
    with Server(maxmemory="4mb", maxmemory_policy="allkeys-random") as server:
        async with hasty(server.url) as memory:
            for number in range(80):
                await memory.set(f"large {number}", b"x" * 60_000)
            await warned(memory, "has removed")
            assert (await memory.health()).nodes[0].evicted_keys > 0


@in_a_loop
async def test_memory_that_is_nearly_used_up_is_warned_of() -> None:
    with Server() as server, server.control() as control:
        async with hasty(server.url) as memory:
            # In small ones: a large one takes buffers, too, which the server gives back later.
            await memory.set_many({f"part {at}": b"x" * 10_000 for at in range(300)})
            used = control.info("memory")["used_memory"]
            control.config_set("maxmemory", int(used * 1.04))
            await warned(memory, "maxmemory")


@in_a_loop
async def test_a_snapshot_that_failed_is_warned_of() -> None:
    with Server() as server, server.control() as control:
        async with hasty(server.url) as memory:
            await memory.set("a", 1)
            (server.folder / "dump.rdb").mkdir()
            control.bgsave()
            until(lambda: control.info("persistence")["rdb_last_bgsave_status"] == "err", "failed")
            await warned(memory, "could not save", "rdb_last_bgsave_status")


@in_a_loop
async def test_a_user_who_may_not_ask_is_told_what_can_be_known() -> None:
    with Server() as server, server.control() as control:
        rules = ("reset", "on", ">secret", f"~fm1:{PREFIX}:*", "+@all", "-info")
        control.execute_command("ACL", "SETUSER", "agent", *rules)
        async with hasty(server.url, username="agent", password="secret") as memory:
            report = await memory.health()
            assert report.healthy is True
            assert report.warnings == ()
            (node,) = report.nodes
            assert node.error is None
            assert node.latency_ms > 0
            assert node.role is node.used_memory is node.eviction_policy is None


@in_a_loop
async def test_a_server_that_is_away_is_reported_and_raises_nothing() -> None:
    with Server() as server:
        memory = hasty(server.url)
        await memory.set("a", 1)
        server.kill()
        report = await memory.health()
        assert report.healthy is False
        assert any(node.error for node in report.nodes)
        server.restart()
        assert await eventually(memory.health_check, "it is back")
        assert (await memory.health()).healthy is True
        await memory.aclose()
        with pytest.raises(BackendClosedError):
            await memory.health()


@in_a_loop
async def test_a_replica_is_not_healthy_since_it_takes_no_writes() -> None:
    with Server() as primary, Server(replicaof=f"{HOST} {primary.port}") as replica:
        with replica.control() as control:
            until(lambda: control.info("replication")["master_link_status"] == "up", "it follows")
        async with hasty(replica.url) as memory:
            report = await memory.health()
            assert report.healthy is False
            assert "READONLY" in report.nodes[0].error
            assert report.nodes[0].role == "slave"
            assert await memory.health_check() is False
        async with hasty(primary.url, min_replicas=2) as memory:
            report = await memory.health()
            assert report.healthy is True
            assert report.nodes[0].replicas == 1
            assert report.nodes[0].replica_lag_bytes >= 0
            await warned(memory, "1 replicas", "wait for 2")


@pytest.mark.thorough
@in_a_loop
async def test_under_sentinel_the_primary_is_reported() -> None:
    with Sentinels(down_after=60_000) as sentinels:
        async with hasty(sentinels.url) as memory:
            report = await memory.health()
            assert report.healthy is True
            (node,) = report.nodes
            assert (node.role, node.replicas) == ("master", 1)


@pytest.mark.thorough
@in_a_loop
async def test_each_primary_of_a_cluster_is_reported_and_one_that_is_dead() -> None:
    with Cluster(node_timeout=60_000) as cluster:  # long enough for nobody to take over
        async with patient(cluster.url, timeout=2.0) as memory:
            report = await memory.health()
            assert report.healthy is True
            assert report.covered_slots == 16_384
            assert sorted(node.where for node in report.nodes) == sorted(
                f"{HOST}:{node.port}" for node in cluster.primaries
            )
            assert all(node.role == "master" and node.replicas == 1 for node in report.nodes)
            dead = cluster.primaries[0]
            await asyncio.to_thread(dead.kill)
            report = await memory.health()
            assert report.healthy is False
            broken = [node for node in report.nodes if node.error]
            assert [node.where for node in broken] == [f"{HOST}:{dead.port}"]
            assert len(report.nodes) == 3
            assert await memory.health_check() is False
            await asyncio.to_thread(dead.restart)
            await eventually(memory.health_check, "it is back")
