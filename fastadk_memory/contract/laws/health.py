"""Clause H1: `health_check` answers, in time, with a `bool`, and never raises."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.calls import Sample, samples
from fastadk_memory.contract.tools.health import SLOW, good_health
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError, FastADKMemoryError

_HEALTH = Sample("health_check")


async def healthy(world: World, memory: Handle, answer: bool, when: str) -> None:
    """Require an answer of `health_check`, within its time limit."""
    limit = world.limits.health_seconds
    try:
        async with asyncio.timeout(limit):
            seen = await (good_health(memory) if answer else memory.health_check())
    except TimeoutError as error:
        if isinstance(error, FastADKMemoryError):
            raise  # not the limit's, but the backend's
        fail(f"health_check() {when} did not answer within {limit:g} s")
    expect(seen, answer, f"health_check() {when}")


@law("H1")
async def an_open_backend_is_healthy(world: World) -> None:
    """`health_check` of a backend that works is `True`, of the type `bool`, every time."""
    memory = world.memory
    await memory.set("a", 1)
    for _ in range(5):
        await healthy(world, memory, True, "of a backend that works")
    await memory.clear()
    await healthy(world, memory, True, "after clear()")
    await healthy(world, memory.namespace("tenant"), True, "of a namespace")


@law("H1")
async def an_unopened_backend_is_healthy(world: World) -> None:
    """Before anything was opened, `health_check` is `True`: the next call could be served."""
    await healthy(world, world.memory, True, "as the first call")
    await world.memory.set("a", 1)
    await healthy(world, world.memory, True, "after the first set")


@law("H1")
async def a_closed_backend_is_not_healthy(world: World) -> None:
    """After `aclose`, `health_check` is `False`, and does not open anything again."""
    memory = world.memory
    view = memory.namespace("tenant")
    await memory.set("a", 1)
    await memory.aclose()
    for _ in range(3):
        await healthy(world, memory, False, "after aclose()")
    await healthy(world, view, False, "of a namespace whose store is closed")


@law("H1")
async def a_backend_closed_unused_is_not_healthy(world: World) -> None:
    """`health_check` is `False` as well if the backend was closed without having been used."""
    await world.memory.aclose()
    await healthy(world, world.memory, False, "of a backend that was closed unused")


@law("H1")
async def a_closed_view_is_not_healthy(world: World) -> None:
    """`health_check` of a closed namespace is `False`; that of its store stays `True`."""
    view = world.memory.namespace("tenant")
    await view.set("a", 1)
    await view.aclose()
    await healthy(world, view, False, "of a closed namespace")
    await healthy(world, world.memory, True, "of the store whose namespace is closed")


async def contents(memory: Handle) -> list[Any]:
    """Return all that can be seen of a store."""
    keys = sorted(await memory.keys())
    entries = [await memory.get_entry(key) for key in keys]
    told = [each and (each.value, each.metadata, each.created_at, each.version) for each in entries]
    expiring = [each is not None and each.expires_at is not None for each in entries]
    return [keys, [repr(each) for each in told], expiring]


@law("H1", examples=[{"held": {}}, {"held": {"a": 1}}, {"held": {"health": None, "ping": 0}}])
async def asking_changes_nothing(world: World, held: dict[str, Any]) -> None:
    """`health_check` leaves no key behind, and changes none."""
    memory = world.memory
    for key, value in held.items():
        await memory.set(key, value)
    if held:
        await memory.set("passing", 1, 3600)
    before = await contents(memory)
    for _ in range(3):
        await healthy(world, memory, True, "of a backend that works")
    expect(await contents(memory), before, "what the store holds after health_check()")


@law("H1", examples=[{"opened": True}, {"opened": False}])
async def many_may_ask_at_once(world: World, opened: bool) -> None:
    """Any number of `health_check` calls at once, among others, are answered `True`."""
    memory = world.memory
    if opened:
        await memory.open()
    others = samples(memory.capabilities)
    for expected in ((), (ConflictError,)):  # the second time, what was created is there
        began = time.monotonic()
        calls = Together(world, memory, [_HEALTH, *others, *[_HEALTH] * 5])
        found = await calls.ended(*expected)
        late = time.monotonic() - began >= SLOW
        if False not in (found[0], *found[-5:]) or not late:
            break  # else the machine may have stood still: once more
    for answer in (found[0], *found[-5:]):
        expect(answer, True, "health_check() among other calls")


@law("H1", examples=[{"turns": turns} for turns in range(6)])
async def a_cancelled_check_spoils_nothing(world: World, turns: int) -> None:
    """When a `health_check` is cancelled, the next one and all other calls work."""
    memory = world.memory
    await memory.set("a", 1)
    check = Together(world, memory, [_HEALTH, _HEALTH])
    await check.turns(turns)
    check.cancel(0)
    answers = await check.ended(asyncio.CancelledError)
    expect(answers[1], True, "health_check() while another one is cancelled")
    await healthy(world, memory, True, "after a cancelled one")
    expect(await memory.get("a"), 1, "get('a') after a cancelled health_check()")


@law("H1", examples=[{"turns": turns} for turns in range(6)])
async def asking_while_closing_is_answered(world: World, turns: int) -> None:
    """A `health_check` that is under way while the backend is closed answers, and never raises."""
    memory = world.memory
    await memory.set("a", 1)
    checks = Together(world, memory, [_HEALTH] * 3)
    await checks.turns(turns)
    await memory.aclose()
    for answer in await checks.ended():
        if type(answer) is not bool:
            fail(f"health_check() during aclose() is a {type(answer).__name__}, not a bool")
    await healthy(world, memory, False, "after aclose()")


@law("H1", hooks=("outage",), examples=[{"opened": True}, {"opened": False}])
async def it_is_false_while_the_service_is_away(world: World, opened: bool) -> None:
    """While the service is away `health_check` is `False`; when it is back it is `True`."""
    memory = world.memory
    if opened:
        await memory.set("a", 1)
        await healthy(world, memory, True, "before the service goes away")
        await memory.get("a")  # that it has served a call just now proves nothing
    async with world.trouble("outage"):
        await healthy(world, memory, False, "while the service is away")
        await healthy(world, memory.namespace("tenant"), False, "of a namespace meanwhile")
        await healthy(world, memory, False, "while the service is still away")
    await healthy(world, memory, True, "when the service is back")


@law("H1", hooks=("hang",), examples=[{"opened": True}, {"opened": False}])
async def it_is_false_while_the_service_hangs(world: World, opened: bool) -> None:
    """While the service does not answer, `health_check` is `False`, within its time limit."""
    memory = world.memory
    if opened:
        await memory.set("a", 1)
        await healthy(world, memory, True, "before the service hangs")
        await memory.get("a")
    async with world.trouble("hang"):
        await healthy(world, memory, False, "while the service hangs")
    await healthy(world, memory, True, "when the service answers again")


@law("H1", hooks=("hang",))
async def waiting_calls_do_not_hold_it_up(world: World) -> None:
    """Calls that wait for a hung service do not keep `health_check` from answering in time."""
    memory = world.memory
    await memory.set("a", 1)
    async with world.trouble("hang"):
        waiting = Together(world, memory, [Sample("get", (key,)) for key in "abcdefghijkl"])
        await waiting.turns(3)
        await healthy(world, memory, False, "while other calls wait for the service")
        await waiting.wait()


@law("H1", hooks=("outage",))
async def it_is_false_when_closed_during_an_outage(world: World) -> None:
    """A backend that was closed while its service was away is `False`, then and later."""
    memory = world.memory
    await memory.set("a", 1)
    async with world.trouble("outage"):
        await memory.aclose()
        await healthy(world, memory, False, "after aclose(), while the service is away")
    await healthy(world, memory, False, "after aclose(), when the service is back")
