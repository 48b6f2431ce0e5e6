"""The connection is reset at every byte position of a reply, for every kind of call.

Reads give the right answer all the same. A write is not repeated, because that might undo what
somebody else has written since: it either gives its own answer or says that its outcome is
unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis_rig.backends import patient
from redis_rig.load import certified, number_in
from redis_rig.proxy import Proxy
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server

from fastadk_memory import ABSENT, BackendUnavailableError, ConflictError

pytestmark = pytest.mark.thorough

MOST = 2_000
"""More bytes than any of these replies has."""

Call = Callable[[Any], Awaitable[Any]]


async def listed(memory) -> list[str]:
    return [key async for key in memory.scan("k*")]


READS: dict[str, tuple[Call, Any]] = {
    "get": (lambda memory: memory.get("kept"), certified("kept", 3)),
    "get of nothing": (lambda memory: memory.get("absent"), None),
    "get_many": (
        lambda memory: memory.get_many(["kept", "absent", "k2"]),
        {"kept": certified("kept", 3), "k2": 2},
    ),
    "exists": (lambda memory: memory.exists("kept"), True),
    "ttl": (lambda memory: memory.ttl("kept"), None),
    "keys": (lambda memory: memory.keys("k*"), ["k2", "kept"]),
    "scan": (listed, ["k2", "kept"]),
    "health_check": (lambda memory: memory.health_check(), None),
}

WRITES: dict[str, tuple[Call, Any]] = {
    "set": (lambda memory: memory.set("k2", "new"), "new"),
    "set with a TTL": (lambda memory: memory.set("k2", "new", 100), "new"),
    "set_many": (lambda memory: memory.set_many({"k2": "new", "k3": 3}), "new"),
    "set_entry": (lambda memory: memory.set_entry("k2", "new", metadata={"by": "me"}), "new"),
    "delete": (lambda memory: memory.delete("k2"), None),
    "clear_pattern": (lambda memory: memory.clear_pattern("k2*"), None),
    "clear": (lambda memory: memory.clear(), None),
}


async def cut_everywhere(proxy: Proxy, prepare: Call, call: Call, check: Call) -> int:
    """Make a call once for each byte of its reply, with the connection reset there."""
    for count in range(MOST):
        async with patient(proxy.url) as memory:
            await prepare(memory)
            proxy.reset_after(count)
            try:
                answer = await call(memory)
            except BackendUnavailableError as error:
                answer = error
            whole = proxy.armed
            await check(memory, answer, whole)
        if whole:
            return count
    raise AssertionError("the reply does not end")


@pytest.fixture(scope="module")
def server():
    with Server() as server:
        yield server


@pytest.fixture
def proxy(server):
    with server.control() as control:
        control.flushdb()
    with Proxy(server) as proxy:
        yield proxy


@pytest.mark.parametrize("name", READS)
@in_a_loop
async def test_a_read_gives_the_right_answer(proxy, name: str) -> None:
    call, expected = READS[name]

    async def prepare(memory) -> None:
        await memory.set_many({"kept": certified("kept", 3), "k2": 2})

    async def check(memory, answer, whole: bool) -> None:
        if name == "health_check":
            assert answer in (True, False)  # it says what it saw, and does not raise
        else:
            assert (sorted(answer) if isinstance(answer, list) else answer) == expected
        assert number_in("kept", await memory.get("kept")) == 3

    assert await cut_everywhere(proxy, prepare, call, check) > 1


@pytest.mark.parametrize("name", WRITES)
@in_a_loop
async def test_a_write_is_done_or_says_that_it_does_not_know(proxy, name: str) -> None:
    call, expected = WRITES[name]

    async def prepare(memory) -> None:
        await memory.set_many({"kept": certified("kept", 3), "k2": "old"})

    async def check(memory, answer, whole: bool) -> None:
        if isinstance(answer, BackendUnavailableError):
            assert not whole
            assert "unknown" in str(answer)
            assert await memory.get("k2") in ("old", expected)
        else:
            assert await memory.get("k2") == expected
        if name != "clear":
            assert number_in("kept", await memory.get("kept")) == 3

    assert await cut_everywhere(proxy, prepare, call, check) > 1


@in_a_loop
async def test_compare_and_set_is_done_once_or_says_that_it_does_not_know(proxy) -> None:
    versions = {}

    async def prepare(memory) -> None:
        await memory.set("k2", "old")
        versions["old"] = (await memory.get_entry("k2")).version

    async def call(memory) -> object:
        try:
            return await memory.compare_and_set("k2", "new", expect=versions["old"])
        except ConflictError as error:
            raise AssertionError("it met itself: it was carried out twice") from error

    async def check(memory, answer, whole: bool) -> None:
        entry = await memory.get_entry("k2")
        if isinstance(answer, BackendUnavailableError):
            assert not whole
            assert "unknown" in str(answer)
            assert entry.value in ("old", "new")
        else:
            assert (entry.value, entry.version) == ("new", answer)
        # Whatever happened, the object goes on from what it reads.
        newer = await memory.compare_and_set("k2", "newer", expect=entry.version)
        assert (await memory.get_entry("k2")).version == newer

    assert await cut_everywhere(proxy, prepare, call, check) > 1


@in_a_loop
async def test_setting_what_must_be_absent_is_done_once_or_says_that_it_does_not_know(
    proxy,
) -> None:
    async def call(memory) -> object:
        try:
            return await memory.compare_and_set("k2", "new", expect=ABSENT)
        except ConflictError as error:
            raise AssertionError("it met itself: it was carried out twice") from error

    async def check(memory, answer, whole: bool) -> None:
        if isinstance(answer, BackendUnavailableError):
            assert not whole
            assert "unknown" in str(answer)
            assert await memory.get("k2") in (None, "new")
        else:
            assert (await memory.get_entry("k2")).version == answer

    assert await cut_everywhere(proxy, lambda memory: memory.delete("k2"), call, check) > 1


@in_a_loop
async def test_delete_many_counts_right_or_says_that_it_does_not_know(proxy) -> None:
    async def prepare(memory) -> None:
        await memory.set_many({"k2": 2, "k3": 3, "kept": 1})

    async def check(memory, answer, whole: bool) -> None:
        if isinstance(answer, BackendUnavailableError):
            assert not whole
            assert "unknown" in str(answer)
        else:
            assert answer == 2
            assert await memory.get_many(["k2", "k3", "kept"]) == {"kept": 1}

    def call(memory) -> Awaitable[int]:
        return memory.delete_many(["k2", "k3", "absent"])

    assert await cut_everywhere(proxy, prepare, call, check) > 1


@in_a_loop
async def test_touch_says_what_it_found_or_that_it_does_not_know(proxy) -> None:
    async def check(memory, answer, whole: bool) -> None:
        if isinstance(answer, BackendUnavailableError):
            assert not whole
            assert "unknown" in str(answer)
        else:
            assert answer is True
            assert 50 < await memory.ttl("k2") <= 100

    def call(memory) -> Awaitable[bool]:
        return memory.touch("k2", 100)

    assert await cut_everywhere(proxy, lambda memory: memory.set("k2", 2), call, check) > 1


@in_a_loop
async def test_calls_that_share_the_connection_get_their_own_answers(proxy) -> None:
    """Many calls are under way when it is cut, at every seventh byte of all their replies."""
    keys = [f"key {number}" for number in range(16)]
    async with patient(proxy.url) as memory:
        await memory.set_many({key: certified(key, 5) for key in keys})
        for count in range(0, MOST, 7):
            proxy.reset_after(count)
            found = await asyncio.gather(*(memory.get(key) for key in keys))
            assert [number_in(key, value) for key, value in zip(keys, found, strict=True)] == (
                [5] * len(keys)
            )
            if proxy.armed:
                break
        assert count > 100


@in_a_loop
async def test_the_handshake_may_be_cut_anywhere(proxy) -> None:
    for count in range(MOST):
        proxy.reset_after(count)
        memory = patient(proxy.url)
        try:
            await memory.set("a", count)
        except BackendUnavailableError:
            await memory.set("a", count)
        assert await memory.get("a") == count
        await memory.aclose()
        if proxy.armed:
            break
    assert count > 10
