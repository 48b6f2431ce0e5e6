"""Clause E2: a service that is away, that hangs, and that is back."""

from __future__ import annotations

import asyncio
from typing import Any

from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.calls import OPENING, Sample, samples
from fastadk_memory.contract.world import World
from fastadk_memory.errors import (
    BackendTimeoutError,
    BackendUnavailableError,
    FastADKMemoryError,
)

BOTH = ({"opened": True}, {"opened": False})
HELD = {"a": 1, "b": None, "c": ["three"]}

_MOMENT = 0.5  # seconds


async def hold(memory: Handle) -> None:
    """Store what has to be there when the service is back."""
    await memory.set_many(HELD)


async def still_held(memory: Handle, when: str) -> None:
    """Require that what was stored is there, and nothing else."""
    expect(await memory.get_many(["a", "b", "c"]), HELD, f"get_many(['a', 'b', 'c']) {when}")
    expect(sorted(await memory.keys()), sorted(HELD), f"sorted keys() {when}")


async def all_raise(
    world: World, memory: Handle, kind: type[FastADKMemoryError], opened: bool, when: str
) -> None:
    """Require that every call raises an error of a kind."""
    # An open backend has nothing left to open, and so nothing that could fail.
    calls = [*samples(memory.capabilities), *(() if opened else OPENING)]
    together = Together(world, memory, calls)
    for call, error in zip(calls, await together.wait(), strict=True):
        if isinstance(error, kind):
            continue
        told = "returned" if not isinstance(error, Exception) else f"raised {_told(error)}"
        fail(f"{together.shown(call)} {told} {when}; expected {kind.__name__}")


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


# ------------------------------------------------------------------------------- outages


@law("E2", hooks=("outage",), examples=BOTH)
async def while_away_every_call_says_so(world: World, opened: bool) -> None:
    """While the service is away every call raises `BackendUnavailableError`."""
    if opened:
        await world.memory.set("a", 1)
    async with world.trouble("outage"):
        await all_raise(
            world, world.memory, BackendUnavailableError, opened, "while the service is away"
        )


@law("E2", hooks=("outage",), examples=BOTH)
async def while_away_every_view_says_so(world: World, opened: bool) -> None:
    """While the service is away every call of a namespace raises `BackendUnavailableError`."""
    view = world.memory.namespace("tenant")
    if opened:
        await view.set("a", 1)
    async with world.trouble("outage"):
        await all_raise(world, view, BackendUnavailableError, opened, "while the service is away")


def first_calls(domain: Domain) -> list[dict[str, Any]]:
    """Return one example for each kind of call that may be the first after an outage."""
    kinds = ("get", "set", "keys", "scan", "set_many", "delete_many", "compare_and_set", "touch")
    calls = {each.method: each for each in samples(domain.capabilities) if each.method in kinds}
    return [{"call": each} for each in calls.values()]


@law("E2", hooks=("outage",), examples=first_calls)
async def when_back_the_same_object_works(world: World, call: Sample) -> None:
    """When the service is back the first call works, whichever it is, and what was stored is there.

    That calls have failed in the meantime changes nothing.
    """
    memory = world.memory
    await memory.set_many({"a": 1, "kept": 5})
    async with world.trouble("outage"):
        calls = [Sample("get", ("a",)), Sample("set", ("a", "lost")), Sample("keys"), call]
        await Together(world, memory, calls).wait()
    await call.make(memory)
    expect(await memory.get("kept"), 5, "get('kept') when the service is back")
    await memory.set("d", 4)
    expect(await memory.get("d"), 4, "get('d') when the service is back")


@law("E2", hooks=("outage",))
async def what_failed_has_changed_nothing(world: World) -> None:
    """Writes that failed because the service was away are not carried out later."""
    memory = world.memory
    await hold(memory)
    async with world.trouble("outage"):
        writes = samples(memory.capabilities)
        await Together(world, memory, writes).wait()
    await still_held(memory, "when the service is back")
    await pause(world)
    await still_held(memory, "a moment later")


@law("E2", hooks=("outage",))
async def an_object_that_could_not_open_opens_later(world: World) -> None:
    """A backend whose first calls failed works when the service is back."""
    memory = world.memory
    async with world.trouble("outage"):
        for _ in range(2):
            calls = [Sample("open"), Sample("get", ("a",)), Sample("set", ("a", 1))]
            await Together(world, memory, calls).wait()
    await hold(memory)
    await still_held(memory, "when the service is back")


@law("E2", hooks=("outage",))
async def it_survives_many_outages(world: World) -> None:
    """One outage after another, the same object works in between."""
    memory = world.memory
    await hold(memory)
    for number in range(3):
        async with world.trouble("outage"):
            await world.raises(BackendUnavailableError, memory, "get", "a")
            await world.raises(BackendUnavailableError, memory, "set", "a", number)
        await still_held(memory, f"after outage {number + 1}")


@law("E2", hooks=("outage",))
async def it_comes_back_after_any_number_of_failures(world: World) -> None:
    """However many calls have failed during an outage, the first one after it works."""
    memory = world.memory
    await hold(memory)
    async with world.trouble("outage"):
        for _ in range(3):
            calls = [Sample("get", (key,)) for key in "abc"] + [Sample("set", ("a", "lost"))]
            await Together(world, memory, calls * 5).ended(BackendUnavailableError)
    await still_held(memory, "when the service is back after 60 failures")


@law("E2", hooks=("outage",), examples=[{"turns": turns} for turns in range(7)])
async def calls_under_way_end_when_it_goes_away(world: World, turns: int) -> None:
    """Calls that are under way when the service goes away end, and what they said is true."""
    memory = world.memory
    await hold(memory)
    names = [f"w{number}" for number in range(5)]
    writes = [Sample("set", (name, "new")) for name in names]
    reads = [Sample("get", ("a",)), Sample("get", ("c",)), Sample("keys"), Sample("scan")]
    calls = Together(world, memory, [*writes, *reads])
    await calls.turns(turns)
    async with world.trouble("outage"):
        found = await calls.ended(BackendUnavailableError)
    for name, outcome in zip(names, found[: len(names)], strict=True):
        if outcome is None:
            told = f"set({name!r}, 'new') was acknowledged, but get({name!r}) after the outage"
            expect(await memory.get(name), "new", told)
    for key, outcome in zip("ac", found[len(names) :], strict=False):
        if not isinstance(outcome, Exception):
            expect(outcome, HELD[key], f"get({key!r}) that was under way")
    expect(await memory.get("c"), HELD["c"], "get('c') when the service is back")


# ---------------------------------------------------------------------------------- hangs


@law("E2", hooks=("hang",), examples=BOTH)
async def while_hung_every_call_times_out(world: World, opened: bool) -> None:
    """While the service does not answer every call raises `BackendTimeoutError`, in time."""
    memory = world.memory
    if opened:
        await memory.set("a", 1)
    async with world.trouble("hang"):
        await all_raise(world, memory, BackendTimeoutError, opened, "while the service hangs")
    await pause(world)  # what is still on its way to the service arrives
    await memory.clear()
    await hold(memory)
    await still_held(memory, "when the service answers again")


@law("E2", hooks=("hang",))
async def an_answer_that_came_too_late_is_nobodys(world: World) -> None:
    """After calls that timed out, no later call gets the answer that was meant for them."""
    memory = world.memory
    await hold(memory)
    for _ in range(2):
        async with world.trouble("hang"):
            calls = [Sample("keys"), Sample("get", ("b",)), Sample("get", ("a",))]
            await Together(world, memory, calls).ended(BackendTimeoutError)
        expect(await memory.get("c"), HELD["c"], "get('c') when the service answers again")
        expect(await memory.exists("b"), True, "exists('b')")
        expect(await memory.get("absent"), None, "get('absent')")
        await still_held(memory, "when the service answers again")


@law("E2", hooks=("hang",))
async def a_write_that_timed_out_does_not_come_later(world: World) -> None:
    """A write that timed out is there or not, whole, and never overwrites a later one."""
    memory = world.memory
    await memory.set_many({"a": "old", "b": "old", "c": "old"})
    async with world.trouble("hang"):
        writes = [Sample("set", ("a", "hung")), Sample("set", ("b", "hung"))]
        await Together(world, memory, [*writes, Sample("delete", ("c",))]).ended(
            BackendTimeoutError
        )
    await pause(world)  # what is still on its way to the service arrives
    for key, possible in {"a": ("old", "hung"), "b": ("old", "hung"), "c": ("old", None)}.items():
        if await memory.get(key) not in possible:
            fail(f"get({key!r}) after a write that timed out is none of {possible}")
    await memory.set("a", "newer")
    await memory.delete("b")
    await memory.set("c", "newer")
    await memory.get("a")
    await pause(world)
    told = "after a newer write, which was acknowledged"
    expect(await memory.get("a"), "newer", f"get('a') {told}")
    expect(await memory.get("b"), None, f"get('b') {told}")
    expect(await memory.get("c"), "newer", f"get('c') {told}")


@law("E2", hooks=("hang",), examples=[{"turns": turns} for turns in (0, 1, 2, 4, 8)])
async def a_short_hang_mixes_nothing_up(world: World, turns: int) -> None:
    """Calls that wait while the service hangs for a moment get their own answers, or time out."""
    memory = world.memory
    await memory.set_many({key: key * 3 for key in "abcdef"})
    async with world.trouble("hang"):
        calls = Together(world, memory, [Sample("get", (key,)) for key in "abcdef"])
        await calls.turns(turns)
        calls.cancel(0, 3)
        await calls.turns(1)
    for key, answer in zip(
        "abcdef", await calls.ended(BackendTimeoutError, asyncio.CancelledError), strict=True
    ):
        if not isinstance(answer, BaseException):
            expect(answer, key * 3, f"get({key!r}) during a short hang")
    for key in "fedcba":
        expect(await memory.get(key), key * 3, f"get({key!r}) after a short hang")


# -------------------------------------------------------------------------------- closing


@law("E2", hooks=("outage",), examples=BOTH)
async def closing_while_away_ends(world: World, opened: bool) -> None:
    """`aclose` ends while the service is away, in success or with an error of ours."""
    await _close_in(world, "outage", opened)


@law("E2", hooks=("hang",), examples=BOTH)
async def closing_while_hung_ends(world: World, opened: bool) -> None:
    """`aclose` ends while the service hangs, in success or with an error of ours."""
    await _close_in(world, "hang", opened)


async def _close_in(world: World, trouble: str, opened: bool) -> None:
    memory = world.memory
    if opened:
        await memory.set("a", 1)
    async with world.trouble(trouble):
        calls = Together(world, memory, [Sample("set", ("b", 1)), Sample("get", ("a",))])
        await calls.turns(2)
        closing = Together(world, memory, [Sample("aclose")], "closing")
        await closing.ended(FastADKMemoryError)
        await calls.ended(FastADKMemoryError)


async def pause(world: World) -> None:
    """Let a moment of real time pass, in which also a busy service gets to its work."""
    seconds = max(_MOMENT, world.limits.margin_seconds)
    world.trace.note(f"await asyncio.sleep({seconds:g})")
    await asyncio.sleep(seconds)
