"""What the backend leaves on the server, as redis-py sees it: the keys, and when they expire."""

from __future__ import annotations

import asyncio
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_rig.backends import patient
from redis_rig.keys import PREFIX, raw_key
from redis_rig.servers import Server

from fastadk_memory import ABSENT, ConflictError

KEYS = ["a", "b", "a:b", "{a}", "é*"]
TTLS = st.none() | st.sampled_from([0.5, 60, 3_600.25, 3_155_760_000])
STEPS = st.one_of(
    st.tuples(st.just("set"), st.sampled_from(KEYS), TTLS),
    st.tuples(st.just("set_many"), st.sampled_from(KEYS), TTLS),
    st.tuples(st.just("set_entry"), st.sampled_from(KEYS), TTLS),
    st.tuples(st.just("compare_and_set"), st.sampled_from(KEYS), TTLS),
    st.tuples(st.just("create"), st.sampled_from(KEYS), TTLS),
    st.tuples(st.just("touch"), st.sampled_from(KEYS), TTLS),
    st.tuples(st.just("delete"), st.sampled_from(KEYS), st.none()),
    st.tuples(st.just("clear_pattern"), st.sampled_from(KEYS), st.none()),
    st.tuples(st.just("get"), st.sampled_from(KEYS), st.none()),
)


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


async def carry_out(memory, step: tuple, model: dict[str, float | None]) -> None:
    """Make a call, and note in the model when its key is to expire, in monotonic seconds."""
    method, key, ttl = step
    until = None if ttl is None else time.monotonic() + ttl
    match method:
        case "set":
            await memory.set(key, method, ttl)
        case "set_many":
            await memory.set_many({key: method}, ttl)
        case "set_entry":
            await memory.set_entry(key, method, ttl, metadata={"by": "me"})
        case "compare_and_set":
            entry = await memory.get_entry(key)
            if entry is None:
                return
            await memory.compare_and_set(key, method, expect=entry.version, ttl=ttl)
        case "create":
            try:
                await memory.compare_and_set(key, method, expect=ABSENT, ttl=ttl)
            except ConflictError:
                return
        case "touch":
            if not await memory.touch(key, ttl):
                return
        case "get":
            await memory.get(key)
            return
        case "delete":
            await memory.delete(key)
            model.pop(key, None)
            return
        case "clear_pattern":
            await memory.clear_pattern(key[0] + "*")
            for each in [each for each in model if each.startswith(key[0])]:
                del model[each]
            return
    model[key] = until


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=8))
def test_keys_and_expiries_are_what_the_calls_say(server, steps) -> None:
    model: dict[str, float | None] = {}

    async def scenario() -> None:
        async with patient(server.url) as memory:
            for step in steps:
                await carry_out(memory, step, model)

    with server.control() as control:
        control.flushall()
        asyncio.run(scenario())
        for key in KEYS:
            before = time.monotonic()
            left = control.pttl(raw_key(key))
            after = time.monotonic()
            until = model.get(key)
            if key not in model:
                assert left == -2, f"{key!r} is there"
            elif until is None:
                assert left == -1, f"{key!r} expires in {left} ms"
            elif left == -2:
                assert after >= until - 0.01, f"{key!r} is gone early"
            else:
                # The server began to count between the call and its answer.
                assert left > 0
                assert (until - after) * 1000 - 10 <= left
                assert left <= (until - before) * 1000 + 30_000


@given(st.lists(st.sampled_from(KEYS), max_size=5))
@settings(max_examples=30)
def test_nothing_else_is_left_on_the_server(server, keys) -> None:
    async def scenario() -> None:
        async with patient(server.url) as memory:
            await memory.set_many(dict.fromkeys(keys, 1))
            await memory.namespace("tenant").set("x", 1)
            await memory.namespace("tenant").clear()
            await memory.health_check()
            await memory.keys()

    with server.control() as control:
        control.flushall()
        asyncio.run(scenario())
        assert set(control.keys("*")) == {raw_key(key, PREFIX) for key in keys}
