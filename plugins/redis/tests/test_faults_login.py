"""Passwords that are wrong, missing or changed, and users who may not do everything."""

from __future__ import annotations

import pytest
from redis_rig.backends import hasty
from redis_rig.keys import PREFIX
from redis_rig.scenario import in_a_loop
from redis_rig.servers import HOST, Server

from fastadk_memory import BackendTimeoutError, BackendUnavailableError, FastADKMemoryError

pytestmark = pytest.mark.thorough

RIGHT, WRONG = "the right one", "hunter2/%@:"
FORBIDDEN = "NOPERM|ACL|permission"


@pytest.fixture
def server():
    with Server(password=RIGHT) as server:
        yield server


def tells_nothing(error: BaseException) -> None:
    seen: BaseException | None = error
    while seen is not None:
        for secret in (RIGHT, WRONG):
            assert secret not in f"{seen!s} {seen!r}"
        seen = seen.__cause__


async def refused(call) -> FastADKMemoryError:
    """Require that a call is refused for what it is, not after trying until its time is up."""
    with pytest.raises(BackendUnavailableError) as raised:
        await call
    assert not isinstance(raised.value, BackendTimeoutError)
    tells_nothing(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("login", "told"),
    [
        ({"password": WRONG}, "WRONGPASS"),
        ({"username": "nobody", "password": RIGHT}, "WRONGPASS"),
        ({}, "NOAUTH"),
    ],
    ids=["wrong password", "wrong user", "no password"],
)
@in_a_loop
async def test_a_wrong_login_is_refused_at_once_and_tells_nothing(server, login, told) -> None:
    url = f"redis://{HOST}:{server.port}/0"
    memory = hasty(url, timeout=60.0, **login)
    with server.control() as control:
        before = control.info("stats")["total_connections_received"]
        error = await refused(memory.get("a"))
        assert told in str(error)
        assert "password" in str(error)
        tried = control.info("stats")["total_connections_received"] - before
    assert tried <= 3, "a wrong password is not tried again and again: it locks users out"
    assert await memory.health_check() is False
    await memory.aclose()


@in_a_loop
async def test_a_password_that_is_set_right_at_the_server_makes_the_same_object_work(
    server,
) -> None:
    memory = hasty(f"redis://{HOST}:{server.port}/0", password=WRONG)
    await refused(memory.set("a", 1))
    with server.control() as control:
        control.config_set("requirepass", WRONG)
    await memory.set("a", 1)
    assert await memory.get("a") == 1
    await memory.aclose()


@in_a_loop
async def test_a_password_that_changes_under_way_is_told_and_forgiven(server) -> None:
    with server.control() as control:
        async with hasty(server.url) as memory:
            await memory.set("a", 1)
            control.config_set("requirepass", "another")
            control.client_kill_filter(_type="normal", skipme=True)
            assert "WRONGPASS" in str(await refused(memory.get("a")))
            control.config_set("requirepass", RIGHT)
            assert await memory.get("a") == 1


def make_user(server: Server, *rules: str) -> str:
    """Make the user `agent`, who has these rights, and return the URL for it."""
    with server.control() as control:
        control.execute_command("ACL", "SETUSER", "agent", "reset", "on", f">{WRONG}", *rules)
    return f"redis://{HOST}:{server.port}/0"


AGENT = {"username": "agent", "password": WRONG}


@in_a_loop
async def test_a_user_who_may_only_read_is_told_so_and_may_be_given_more(server) -> None:
    allowed = ("~*", "-@all", "+@connection", "+@read")
    async with hasty(make_user(server, *allowed), **AGENT) as memory:
        assert await memory.get("a") is None
        for call in (
            memory.set("a", 1),
            memory.delete("a"),
            memory.set_many({"a": 1}),
            memory.set_entry("a", 1, metadata={}),
        ):
            assert "NOPERM" in str(await refused(call))
        with server.control() as control:
            control.execute_command("ACL", "SETUSER", "agent", "+@write", "+@scripting")
        await memory.set("a", 1)
        assert await memory.get("a") == 1


@in_a_loop
async def test_a_user_of_our_keys_only_can_do_everything(server) -> None:
    allowed = (f"~fm1:{PREFIX}:*", "+@all", "-@admin", "-@dangerous")
    async with hasty(make_user(server, *allowed), **AGENT) as memory:
        await memory.set_many({"a": 1, "b": 2})
        entry = await memory.set_entry("c", 3, 60, metadata={"by": "me"})
        await memory.compare_and_set("c", 4, expect=entry.version)
        assert await memory.touch("c", None) is True
        assert sorted(await memory.keys()) == ["a", "b", "c"]
        assert await memory.delete_many(["a", "x"]) == 1
        await memory.clear()
        assert await memory.keys() == []
        assert await memory.health_check() is True


@in_a_loop
async def test_a_user_of_other_keys_is_refused_and_harms_nobody(server) -> None:
    memory = hasty(make_user(server, "~other:*", "+@all"), **AGENT)
    for call in (memory.get("a"), memory.set("a", 1), memory.delete_many(["a"]), memory.open()):
        assert "NOPERM" in str(await refused(call))
    await memory.aclose()
