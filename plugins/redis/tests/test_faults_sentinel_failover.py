"""A primary under Sentinel goes, and the Sentinels name another."""

from __future__ import annotations

import asyncio

import pytest
import redis
from redis_rig.backends import hasty, patient
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.sentinel import Sentinels
from redis_rig.servers import Server
from redis_rig.waiting import until

from fastadk_memory import BackendUnavailableError, ConfigurationError

pytestmark = pytest.mark.thorough


@pytest.fixture
def sentinels():
    with Sentinels() as sentinels:
        yield sentinels


@in_a_loop
async def test_calls_ride_through_a_primary_that_is_killed(sentinels) -> None:
    url = sentinels.url
    async with patient(url) as memory, Load(memory, seconds=60, loses_writes=True) as load:
        await asyncio.to_thread(sentinels.primary.kill)
        await load.progress()
        # One Sentinel's word is enough for that; the others hear of it a little later.
        await asyncio.to_thread(
            until, lambda: sentinels.current() is sentinels.replica, "all agree"
        )
        await asyncio.to_thread(sentinels.primary.restart)
        await load.progress()


@in_a_loop
async def test_calls_fail_in_time_when_a_primary_hangs_and_then_go_to_the_next(sentinels) -> None:
    """What was a primary wakes up and does not know yet: nobody may go on writing to it."""
    url, first = sentinels.url, sentinels.primary
    async with hasty(url, timeout=3.0) as memory, Load(memory, loses_writes=True) as load:
        first.stop()
        await asyncio.to_thread(
            until, lambda: sentinels.current() is sentinels.replica, "the replica takes over"
        )
        await load.progress()
        first.resume()
        await load.progress()
        await asyncio.to_thread(until, lambda: _role(first) == "slave", "it learns of it")
        await load.progress()


def _role(server: Server) -> str:
    try:
        with server.control() as control:
            return control.info("replication")["role"]
    except redis.ConnectionError:  # who becomes a replica lets go of all clients
        return ""


@in_a_loop
async def test_two_sentinels_are_enough(sentinels) -> None:
    sentinels.sentinels[0].stop()
    sentinels.sentinels[1].kill()
    async with patient(sentinels.url) as memory:
        await memory.set("a", 1)
        assert await memory.get("a") == 1
    sentinels.sentinels[0].resume()


@in_a_loop
async def test_a_service_that_the_sentinels_do_not_know_is_told(sentinels) -> None:
    memory = patient(sentinels.url.replace("/main/", "/another/"))
    with pytest.raises((BackendUnavailableError, ConfigurationError), match="another"):
        await memory.get("a")
    await memory.aclose()
