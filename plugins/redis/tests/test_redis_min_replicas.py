"""`min_replicas`: a write is acknowledged when so many replicas have it, and not before."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from redis_rig.backends import patient
from redis_rig.cluster import Cluster
from redis_rig.keys import raw_key
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.servers import HOST, Server
from redis_rig.waiting import eventually, until

from fastadk_memory import ABSENT, BackendUnavailableError


@contextlib.contextmanager
def a_pair() -> Iterator[tuple[Server, Server]]:
    with Server() as primary, Server(replicaof=f"{HOST} {primary.port}") as replica:
        with replica.control() as control:
            until(lambda: control.info("replication")["master_link_status"] == "up", "it follows")
        yield primary, replica


def careful(url: str, **options):
    return patient(url, **{"min_replicas": 1, "replica_timeout": 10.0, **options})


async def write_in_every_way(memory, suffix: str) -> set[str]:
    """Make each kind of write; return the keys that are there afterwards."""
    await memory.set(f"set{suffix}", 1)
    await memory.set_many({f"many{suffix}": 1, f"more{suffix}": 2})
    entry = await memory.set_entry(f"entry{suffix}", 1, metadata={})
    await memory.compare_and_set(f"entry{suffix}", 2, expect=entry.version)
    await memory.compare_and_set(f"new{suffix}", 1, expect=ABSENT)
    await memory.set(f"gone{suffix}", 1)
    await memory.delete(f"gone{suffix}")
    return {f"{each}{suffix}" for each in ("set", "many", "more", "entry", "new")}


@in_a_loop
async def test_what_was_acknowledged_is_on_the_replica() -> None:
    with a_pair() as (primary, replica), replica.control() as control:
        async with careful(primary.url) as memory:
            for number in range(20):
                keys = await write_in_every_way(memory, str(number))
                # Looked at without waiting: the acknowledgement has to mean it.
                found = {key for key in keys if control.exists(raw_key(key))}
                assert found == keys
                assert not control.exists(raw_key(f"gone{number}"))


@in_a_loop
async def test_a_write_that_no_replica_confirms_fails_and_says_what_was_done() -> None:
    with a_pair() as (primary, replica):
        async with (
            careful(primary.url) as sure,
            careful(primary.url, replica_timeout=0.2) as memory,
        ):
            entry = await sure.set_entry("kept", 1, metadata={})
            replica.stop()
            for call in (
                memory.set("a", 1),
                memory.set_many({"b": 1, "c": 2}),
                memory.set_entry("d", 1, metadata={}),
                memory.compare_and_set("kept", 2, expect=entry.version),
                memory.delete("x"),
                memory.touch("kept", 100),
                memory.delete_many(["x", "y"]),
            ):
                with pytest.raises(BackendUnavailableError, match="replica"):
                    await call
            # Reading waits for nobody, and shows that the writes have been made here.
            assert await memory.get_many(["a", "b", "c", "d", "kept"]) == {
                "a": 1, "b": 1, "c": 2, "d": 1, "kept": 2,
            }  # fmt: skip
            replica.resume()
            await asyncio.to_thread(until, lambda: _follows(replica), "it follows again")
            await sure.set("a", 2)
            await eventually(lambda: _takes(memory), "the one whose writes failed works again")


async def _takes(memory) -> bool:
    try:
        await memory.set("a", 3)
    except BackendUnavailableError:
        return False
    return True


def _follows(replica: Server) -> bool:
    with replica.control() as control:
        return control.info("replication")["master_link_status"] == "up"


@in_a_loop
async def test_without_it_nobody_waits_for_replicas() -> None:
    with a_pair() as (primary, replica):
        async with patient(primary.url) as memory:
            replica.stop()
            await write_in_every_way(memory, "")
            replica.resume()


@pytest.mark.thorough
@in_a_loop
async def test_in_a_cluster_each_primary_waits_for_its_own() -> None:
    with Cluster(node_timeout=60_000) as cluster:
        async with careful(cluster.url) as memory:
            keys = [f"key {number}" for number in range(60)]
            await memory.set_many(dict.fromkeys(keys, 1))
            for key in keys:
                assert _on_replica(cluster, key), f"{key!r} is on no replica"
            async with Load(memory) as load:
                await load.progress()
            assert not load.failed


def _on_replica(cluster: Cluster, key: str) -> bool:
    """Tell whether the replica of a key's primary has it."""
    owner = cluster.owner(raw_key(key))
    replica = cluster.replicas[cluster.primaries.index(owner)]
    with replica.control() as control:
        return bool(control.execute_command("READONLY")) and bool(control.exists(raw_key(key)))
