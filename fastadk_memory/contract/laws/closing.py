"""Clause L2: closing waits for the writes that are under way, and loses nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from fastadk_memory.base import ABSENT
from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.calls import Sample, pass_turns, samples
from fastadk_memory.contract.world import World
from fastadk_memory.errors import BackendClosedError

_METHODS = (
    "set", "delete", "set_many", "delete_many", "set_entry", "compare_and_set", "touch",
)  # fmt: skip
_TURNS = 8
"""How often the loop may go round until the callers have heard of what was done."""
_MANY = 20


@dataclass(frozen=True)
class Writing:
    """A write: what its keys hold before, and afterwards if it is carried out."""

    call: Sample
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    async def check(self, memory: Handle, outcome: object) -> None:
        """Require that the store holds what the call's outcome says."""
        done = not isinstance(outcome, BackendClosedError)
        ended = f"{self.call.method} was {'acknowledged' if done else 'refused'}"
        for key, value in (self.after if done else self.before).items():
            expect(await memory.get(key), value, f"{ended}, but get({key!r}) after closing")
        if done and self.call.method == "touch":
            left = await memory.ttl(self.call.args[0])
            expect(left is not None, True, f"{ended}; whether there is an expiry after closing")


def writing(method: str, name: str) -> Writing:
    """Return a write to the key `name`, or to many that begin with it."""
    many = method.endswith("_many")
    keys = [f"{name}.{number}" for number in range(_MANY)] if many else [name]
    old = None if method == "compare_and_set" else "old"
    new = {"touch": "old", "delete": None, "delete_many": None}.get(method, "new")
    after = dict.fromkeys(keys, new)
    some = f"for n in range({_MANY})"
    calls = {
        "set": Sample("set", (name, "new")),
        "delete": Sample("delete", (name,)),
        "set_many": Sample("set_many", (after,), source=(f"{{f'{name}.{{n}}': 'new' {some}}}",)),
        "delete_many": Sample("delete_many", (keys,), source=(f"[f'{name}.{{n}}' {some}]",)),
        "set_entry": Sample("set_entry", (name, "new"), {"metadata": {}}),
        "compare_and_set": Sample("compare_and_set", (name, "new"), {"expect": ABSENT}),
        "touch": Sample("touch", (name, 3600)),
    }
    return Writing(calls[method], dict.fromkeys(keys, old), after)


def methods(domain: Domain) -> list[str]:
    """Return the methods that write, of those that a backend has."""
    there = {each.method for each in samples(domain.capabilities)}
    return [method for method in _METHODS if method in there]


def at_every_turn(turns: int, step: int = 1) -> Any:
    """Return examples: each method, and so many turns of the loop between its call and aclose."""
    return lambda domain: [
        {"method": method, "turns": at}
        for method in methods(domain)
        for at in range(0, turns, step)
    ]


class Writers:
    """A few writes that are under way while the backend is being closed."""

    def __init__(self, world: World, writings: list[Writing]) -> None:
        self.world = world
        self.writings = writings
        self._watching: Handle | None = None
        self._calls: Together

    async def begin(self) -> Together:
        """Start the writes."""
        world = self.world
        if world.hooks.provides("second") and not world.hooks.provides("reopen"):
            self._watching = await world.second("watcher")  # the only way to look at it later
        self._calls = Together(world, world.memory, [each.call for each in self.writings])
        return self._calls

    async def check(self) -> None:
        """Require that writes have ended with `aclose`, and that the store shows how they did."""
        tasks = self._calls.tasks
        await pass_turns(_TURNS, until=lambda: all(task.done() for task in tasks))
        for call, task in zip(self._calls.calls, tasks, strict=True):
            if not task.done():
                fail(f"aclose() has returned while {call.method} is still under way")
        results = await self._calls.ended(BackendClosedError)
        memory = self._watching
        if memory is None and self.world.hooks.provides("reopen"):
            memory = await self.world.reopen()
        if memory is None:
            return  # nothing outlives the backend: all that can be asked is that no call hangs
        for each, outcome in zip(self.writings, results, strict=True):
            await each.check(memory, outcome)


async def begun(world: World, method: str) -> tuple[Writers, Together]:
    """Start three writes to keys that hold something, or nothing where that is needed."""
    writings = [writing(method, name) for name in "abc"]
    memory = world.memory
    if method.endswith("_many"):
        some = f"for name in 'abc' for n in range({_MANY})"
        world.trace.note(f"await memory.set_many({{f'{{name}}.{{n}}': 'old' {some}}})")
        await memory.backend.set_many({key: "old" for each in writings for key in each.before})
    elif method != "compare_and_set":
        await memory.set_many(dict.fromkeys("abc", "old"))
    else:
        await memory.open()
    writers = Writers(world, writings)
    return writers, await writers.begin()


# ------------------------------------------------------------------------------ the laws


@law("L2", examples=at_every_turn(6))
async def closing_waits_for_writes_under_way(world: World, method: str, turns: int) -> None:
    """`aclose` waits until each write that is under way has ended, and keeps what it wrote."""
    writers, calls = await begun(world, method)
    await calls.turns(turns)
    await world.memory.aclose()
    await writers.check()


@law("L2", examples=at_every_turn(6, step=2))
async def a_second_aclose_waits_too(world: World, method: str, turns: int) -> None:
    """When two callers close at once, neither goes on before the writes have ended."""
    writers, calls = await begun(world, method)
    await calls.turns(turns)
    first = Together(world, world.memory, [Sample("aclose")], "closing")
    await first.turns(1)
    await world.memory.aclose()
    await writers.check()
    await first.ended()


@law("L2", examples=at_every_turn(6, step=2))
async def a_cancelled_aclose_can_be_repeated(world: World, method: str, turns: int) -> None:
    """After a cancelled `aclose`, the next one finishes the work, and nothing is lost."""
    writers, calls = await begun(world, method)
    await calls.turns(2)
    first = Together(world, world.memory, [Sample("aclose")], "closing")
    await first.turns(turns)
    first.cancel()
    await first.ended(asyncio.CancelledError)
    await world.memory.aclose()
    await writers.check()


@law("L2", examples=[{"turns": turns} for turns in range(6)])
async def closing_while_opening_loses_nothing(world: World, turns: int) -> None:
    """`aclose` while the first writes are still opening the backend loses none of them."""
    calls = [Sample("set", (key, "new")) for key in "abc"]
    writings = [Writing(call, {call.args[0]: None}, {call.args[0]: "new"}) for call in calls]
    writers = Writers(world, writings)
    await (await writers.begin()).turns(turns)
    await world.memory.aclose()
    await writers.check()


@law("L2", hooks=("reopen",), examples=[{"number": number} for number in (1, 7, 300)])
async def what_was_acknowledged_is_kept(world: World, number: int) -> None:
    """What was written, changed and deleted just before `aclose` is so after reopening."""
    memory = world.memory
    expected: dict[str, Any] = {}
    for at in range(number):
        await memory.set(f"k{at}", "old")
        await memory.set(f"k{at}", at)
        expected[f"k{at}"] = at
    await memory.set_many({"m": 1, "n": 2})
    await memory.delete_many(["k0", "n"])
    await memory.delete(f"k{number - 1}")
    expected |= {"m": 1, "n": None, "k0": None, f"k{number - 1}": None}
    reopened = await world.reopen()
    for key, value in expected.items():
        expect(await reopened.get(key), value, f"get({key!r}) after closing and reopening")


@law("L2")
async def writes_of_another_loop_are_waited_for(world: World) -> None:
    """`aclose` waits for the writes of other threads with event loops of their own, too."""
    if world.waived("X3"):
        return
    await world.memory.set("first", "new")
    other = OtherLoop(world.memory, world.limits.operation_seconds)
    world.trace.note("# in another thread and event loop, four tasks begin to set key after key")
    thread = asyncio.create_task(asyncio.to_thread(other.run))
    try:
        await asyncio.to_thread(other.begun.wait, world.limits.operation_seconds)
        await world.memory.aclose()
    finally:
        other.enough.set()
        await thread
    if other.failed:
        error = other.failed[0]
        fail(f"a set in another loop, during aclose, raised {type(error).__name__}: {error}")
    if not world.hooks.provides("reopen"):
        return
    reopened = await world.reopen()
    world.trace.note("# the keys whose set was acknowledged are looked for")
    found = await reopened.backend.get_many(other.acknowledged)
    for key in other.acknowledged:
        expect(found.get(key), "new", f"set in another loop was acknowledged, but get({key!r})")


class OtherLoop:
    """Writes from an event loop of its own, until the backend is closed."""

    def __init__(self, memory: Handle, limit: float) -> None:
        self.acknowledged: list[str] = []
        self.failed: list[Exception] = []
        self.begun = threading.Event()
        self.enough = threading.Event()
        self._memory = memory
        self._limit = limit

    def run(self) -> None:
        """Write; returns when the backend refuses to, or when it is enough."""
        try:
            asyncio.run(self._write_all())
        except Exception as error:  # noqa: BLE001 (a backend may raise anything)
            self.failed.append(error)
        finally:
            self.begun.set()

    async def _write_all(self) -> None:
        async with asyncio.timeout(self._limit):
            await asyncio.gather(*(self._write(name) for name in "abcd"))

    async def _write(self, name: str) -> None:
        for number in count():
            key = f"{name}{number}"
            try:
                # Past the handle: so many calls would hide those of the law.
                await self._memory.backend.set(key, "new")
            except BackendClosedError:
                return
            self.acknowledged.append(key)
            self.begun.set()
            if self.enough.is_set():
                return
