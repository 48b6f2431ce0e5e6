"""Another program keeps something of another type under a name of ours."""

from __future__ import annotations

import pytest
from redis_rig.backends import hasty
from redis_rig.keys import raw_key
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server

from fastadk_memory import CorruptEntryError

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture(params=["list", "hash", "set", "text", "cut"])
def foreign(server, request):
    """Put something foreign under the key `a`; the last is the half of an entry of ours."""
    with server.control() as control:
        control.flushall()
        match request.param:
            case "list":
                control.rpush(raw_key("a"), "x")
            case "hash":
                control.hset(raw_key("a"), "x", "y")
            case "set":
                control.sadd(raw_key("a"), "x")
            case "text":
                control.set(raw_key("a"), "text of another's")
            case "cut":
                control.set(raw_key("a"), b"fmR\0\0\0\0")
    return request.param


@in_a_loop
async def test_it_is_told_from_an_absent_key_and_harms_no_other(server, foreign) -> None:
    async with hasty(server.url) as memory:
        await memory.set("b", 2)
        for call in (memory.get("a"), memory.get_entry("a"), memory.get_many(["b", "a"])):
            with pytest.raises(CorruptEntryError) as raised:
                await call
            assert raised.value.key == "a"
        assert await memory.get("b") == 2
        assert await memory.exists("a") is True
        assert sorted(await memory.keys()) == ["a", "b"]


@in_a_loop
async def test_deleting_or_setting_it_mends_it(server, foreign) -> None:
    async with hasty(server.url) as memory:
        await memory.set("a", "mended")
        assert await memory.get("a") == "mended"
        with server.control() as control:
            control.delete(raw_key("a"))
            control.rpush(raw_key("a"), "x")
        assert await memory.delete_many(["a"]) == 1
        assert await memory.get("a") is None
