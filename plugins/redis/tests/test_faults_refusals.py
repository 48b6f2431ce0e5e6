"""What a server may say instead of doing it: each is told as ours, and over when its cause is."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator

import pytest
import redis
from redis_rig.backends import hasty, patient
from redis_rig.cluster import Cluster
from redis_rig.keys import raw_key
from redis_rig.scenario import in_a_loop
from redis_rig.servers import HOST, Server
from redis_rig.waiting import eventually, until

from fastadk_memory import BackendTimeoutError, BackendUnavailableError, CorruptEntryError

pytestmark = pytest.mark.thorough


async def refused(call, word: str) -> None:
    """Require that a call is refused; again if the last attempt's answer came too late."""
    for _ in range(3):
        with pytest.raises(BackendUnavailableError) as raised:
            await call()
        if not isinstance(raised.value, BackendTimeoutError):
            break
    assert re.search(word, str(raised.value))


@contextlib.contextmanager
def a_pair(**options: object) -> Iterator[tuple[Server, Server]]:
    """Start a primary and its replica, without Sentinels."""
    with (
        Server(repl_ping_replica_period=1, **options) as primary,
        Server(replicaof=f"{HOST} {primary.port}", replica_serve_stale_data="no") as replica,
    ):
        with replica.control() as control:
            until(lambda: control.info("replication")["master_link_status"] == "up", "it follows")
        yield primary, replica


@in_a_loop
async def test_readonly_is_waited_for_and_then_told() -> None:
    with a_pair() as (_, replica):
        async with hasty(replica.url) as memory:
            assert await memory.get("a") is None
            await refused(lambda: memory.set("a", 1), "READONLY")
            with replica.control() as control:
                control.replicaof("NO", "ONE")
            await memory.set("a", 1)
            assert await memory.get("a") == 1


@in_a_loop
async def test_a_write_waits_for_a_replica_to_be_promoted() -> None:
    with a_pair() as (_, replica), replica.control() as control:
        async with patient(replica.url) as memory:
            waiting = asyncio.ensure_future(memory.set("a", 1))
            await eventually(lambda: _refusals(replica), "the replica refuses")
            control.replicaof("NO", "ONE")
            await waiting
            assert await memory.get("a") == 1


async def _refusals(server: Server) -> int:
    with server.control() as control:
        return control.info("errorstats").get("errorstat_READONLY", {}).get("count", 0)


@in_a_loop
async def test_masterdown_is_told() -> None:
    with a_pair() as (primary, replica):
        async with hasty(replica.url) as memory:
            assert await memory.get("a") is None
            primary.kill()
            with replica.control() as control:
                until(lambda: control.info("replication")["master_link_status"] == "down", "lost")
            await refused(lambda: memory.get("a"), "MASTERDOWN")
            with replica.control() as control:
                control.replicaof("NO", "ONE")
            assert await memory.get("a") is None


@in_a_loop
async def test_noreplicas_is_told() -> None:
    with Server(min_replicas_to_write=1) as server, server.control() as control:
        async with hasty(server.url) as memory:
            await refused(lambda: memory.set("a", 1), "NOREPLICAS")
            control.config_set("min-replicas-to-write", 0)
            await memory.set("a", 1)
            assert await memory.get("a") == 1


@in_a_loop
async def test_loading_is_waited_for() -> None:
    with Server() as server:
        async with patient(server.url) as memory:
            await memory.set_many({f"key {number}": number for number in range(2_000)})
            server.shut_down()
            # Microseconds for each key that is loaded: there is time to be told LOADING.
            server.options = {**server.options, "key_load_delay": 500}
            server.options["loading_process_events_interval_bytes"] = 1024
            restarting = asyncio.ensure_future(asyncio.to_thread(server.restart))
            assert await memory.get("key 7") == 7
            await restarting
            assert len(await memory.keys()) == 2_000


@in_a_loop
async def test_busy_is_waited_for_and_then_told() -> None:
    with Server(lua_time_limit=10) as server:
        async with hasty(server.url) as memory:
            await memory.set("a", 1)

            def spin() -> None:
                with server.control() as control, contextlib.suppress(redis.ResponseError):
                    control.eval("while true do end", 0)

            spinning = asyncio.ensure_future(asyncio.to_thread(spin))
            try:
                await eventually(lambda: asyncio.to_thread(_is_busy, server), "it is busy")
                await refused(lambda: memory.get("a"), "BUSY")
            finally:
                with server.client() as other:
                    other.script_kill()
                await spinning
            assert await memory.get("a") == 1


def _is_busy(server: Server) -> bool:
    with server.client(socket_timeout=1) as other:
        try:
            other.ping()
        except redis.TimeoutError:
            return False
        except redis.RedisError as error:
            return "BUSY" in str(error)
    return False


@in_a_loop
async def test_misconf_is_told() -> None:
    """A server whose last snapshot failed takes no writes."""
    with Server() as server, server.control() as control:
        async with hasty(server.url) as memory:
            await memory.set("a", 1)
            control.config_set("save", "3600 1")
            (server.folder / "dump.rdb").mkdir()
            control.bgsave()
            until(lambda: control.info("persistence")["rdb_last_bgsave_status"] == "err", "failed")
            await refused(lambda: memory.set("a", 2), "MISCONF")
            assert await memory.get("a") == 1
            control.config_set("stop-writes-on-bgsave-error", "no")
            await memory.set("a", 2)
            assert await memory.get("a") == 2


@in_a_loop
async def test_clusterdown_is_told_and_over_when_the_slots_are_served_again() -> None:
    with Cluster() as cluster:
        async with hasty(cluster.url, timeout=2.0) as memory:
            await memory.set("a", 1)
            owner = cluster.owner(raw_key("a"))
            slots = redis.crc.key_slot(raw_key("a"))
            with owner.control() as control:
                control.execute_command("CLUSTER", "DELSLOTS", slots)
                until(lambda: b"cluster_state:fail" in _state(control), "the node sees it")
                await refused(lambda: memory.set("a", 2), "CLUSTERDOWN|slot")
                control.execute_command("CLUSTER", "ADDSLOTS", slots)
            await asyncio.to_thread(cluster.settle)
            await memory.set("a", 3)
            assert await memory.get("a") == 3


def _state(control: redis.Redis) -> bytes:
    return control.execute_command("CLUSTER", "INFO")


@in_a_loop
async def test_an_answer_that_is_none_of_redis_is_told() -> None:
    """Somebody else listens there: say, a web server."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(answer, HOST, 0)
    port = listener.sockets[0].getsockname()[1]
    memory = hasty(f"redis://{HOST}:{port}/0")
    with pytest.raises(BackendUnavailableError) as raised:
        await memory.get("a")
    assert not isinstance(raised.value, CorruptEntryError)
    await memory.aclose()
    listener.close()
