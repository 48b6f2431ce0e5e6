"""Clause X1: each call on a key takes effect at one moment between its start and its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability, MemoryBackend
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.concurrent.clients import Clients, Through, declared
from fastadk_memory.contract.concurrent.linearizability import require_linearizable
from fastadk_memory.contract.concurrent.preemption import MOST_POINTS, hold_up
from fastadk_memory.contract.concurrent.stepper import holding
from fastadk_memory.contract.concurrent.threads import LoopThread, in_threads, loop_threads
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import campaign, law
from fastadk_memory.contract.tools.calls import pass_turns
from fastadk_memory.contract.world import World

# ------------------------------------------------------------- one call after the other


async def _write(memory: Handle, how: str) -> Any:
    """Write the key `key` in one of the ways; return the value that it then has."""
    if how == "set_many":
        await memory.set_many({"other": 1, "key": "new"})
    elif how == "set_entry":
        await memory.set_entry("key", "new", metadata={})
    elif how == "compare_and_set":
        entry = await memory.get_entry("key")
        assert entry is not None
        await memory.compare_and_set("key", "new", expect=entry.version)
    elif how == "delete, compare_and_set":
        await memory.delete("key")
        await memory.compare_and_set("key", "new", expect=ABSENT)
    elif how == "delete, set":
        await memory.delete("key")
        await memory.set("key", "new")
    elif how == "set":
        await memory.set("key", "new")
    else:
        arguments = {"clear": (), "delete_many": (["key"],)}.get(how, ("key",))
        await memory.call(how, *arguments)
        return None
    return "new"


_WRITES: dict[str, set[Capability]] = {
    "set": set(),
    "delete": set(),
    "delete, set": set(),
    "set_many": set(),
    "delete_many": set(),
    "clear": set(),
    "clear_pattern": set(),
    "set_entry": {Capability.ENTRIES},
    "compare_and_set": {Capability.CAS, Capability.ENTRIES},
    "delete, compare_and_set": {Capability.CAS},
}


def _writes(domain: Domain) -> list[str]:
    return [how for how, needed in _WRITES.items() if needed <= domain.capabilities]


async def _read(memory: Handle, method: str) -> Any:
    """Read the key `key` by one of the methods; return its value, or whether it is there."""
    if method == "get_many":
        return (await memory.get_many(["key"])).get("key")
    if method == "get_entry":
        entry = await memory.get_entry("key")
        return None if entry is None else entry.value
    if method in ("keys", "scan"):
        listed: list[str] = await memory.call("keys") if method == "keys" else await memory.scan()
        return "key" in listed
    return await memory.call(method, "key")


_READS = ("get", "exists", "keys", "get_many", "get_entry", "scan")


async def _expect_everywhere(memory: Handle, value: Any, first: str, when: str) -> None:
    at = _READS.index(first)
    for method in (*_READS[at:], *_READS[:at]):
        sought = value is not None if method in ("exists", "keys", "scan") else value
        expect(await _read(memory, method), sought, f"what {method} says of 'key' {when}")


@law(
    "X1",
    examples=lambda domain: [
        {"how": how, "first": first} for how in _writes(domain) for first in _READS
    ],
)
async def an_acknowledged_write_is_seen_by_every_later_call(
    world: World, how: str, first: str
) -> None:
    """When a write has returned, every later read sees it, by whatever method, and for good."""
    memory = world.memory
    await memory.set("key", "old")
    await _expect_everywhere(memory, "old", first, "after set('key', 'old')")
    value = await _write(memory, how)
    await _expect_everywhere(memory, value, first, f"right after {how}")
    if first == _READS[0]:
        world.trace.note("await asyncio.sleep(0.002)")
        await asyncio.sleep(0.002)
        await _expect_everywhere(memory, value, first, f"a moment after {how}")


@law(
    "X1",
    examples=lambda domain: [{"how": how} for how in _writes(domain)],
)
async def an_acknowledged_write_is_seen_by_other_threads_at_once(world: World, how: str) -> None:
    """When a write has returned in one thread, others see it, though its own loop stands still."""
    memory = world.memory
    await memory.set("key", "old")
    with loop_threads(1, world.limits.operation_seconds) as threads:
        value = await _write(memory, how)
        seen = _in_thread(world, threads[0], memory.backend.get("key"), "get('key')")
        expect(seen, value, f"get('key') in another thread, right after {how},")


@law(
    "X1",
    examples=lambda domain: [{"how": how} for how in _writes(domain)],
)
async def an_acknowledged_write_does_nothing_later(world: World, how: str) -> None:
    """When a write has returned, what another thread writes then stays: nothing is left to do."""
    memory = world.memory
    await memory.set("key", "old")
    with loop_threads(1, world.limits.operation_seconds) as threads:
        await _write(memory, how)
        _in_thread(world, threads[0], memory.backend.set("key", "later"), "set('key', 'later')")
        await pass_turns(5)
        told = f"get('key') after another thread's set('key', 'later'), right after {how},"
        expect(await memory.get("key"), "later", told)


def _in_thread(world: World, thread: LoopThread, call: Coroutine[Any, Any, Any], told: str) -> Any:
    """Make a call in another thread, without a turn of this event loop until it has returned.

    So what an earlier call has left to be done in this loop is late.
    """
    limit = world.limits.operation_seconds
    world.trace.note("import threading")
    world.trace.note(f"thread = threading.Thread(target=lambda: print(asyncio.run(memory.{told})))")
    world.trace.note("thread.start(), thread.join()  # without a turn of this event loop")
    try:
        return thread.begin(call).result(limit)
    except TimeoutError:
        fail(f"{told} in another thread did not answer within {limit:g} s")


# ------------------------------------------------- one call in the middle of another

# What others do while a call is held up, and whether the key is there at first.
_MEANWHILE = (
    (("set", "get"), True),
    (("set", "get"), False),
    (("delete", "exists"), True),
    (("compare_and_set",), True),
    (("compare_and_set",), False),
    (("get",), True),
)
# Between threads and clients only locks differ.
_BRIEFLY = _MEANWHILE[:1] + _MEANWHILE[3:4]


async def _hold_up_every_call(
    world: World,
    others: MemoryBackend,
    thread: LoopThread | None,
    meanwhile: Sequence[tuple[tuple[str, ...], bool]] = _MEANWHILE,
) -> None:
    names = declared(world.memory.capabilities)
    numbers = count(1)
    for name in names:
        for calls, present in meanwhile:
            if all(each in names for each in calls):
                meeting = _Meeting(name, calls, present, others, thread)
                await _hold_up_everywhere(world, meeting, numbers)


@dataclass(frozen=True)
class _Meeting:
    """A call, and what others do while it is held up.

    Attributes:
        name: The method of the call.
        meanwhile: The methods of the others' calls.
        present: Whether the key is there at first.
        others: The backend that the others use.
        thread: Where they run, if not in the same event loop.
    """

    name: str
    meanwhile: tuple[str, ...]
    present: bool
    others: MemoryBackend
    thread: LoopThread | None = field(repr=False)


async def _hold_up_everywhere(world: World, meeting: _Meeting, numbers: Iterator[int]) -> None:
    for point in range(1, MOST_POINTS + 1):
        if not await _meet(world, meeting, point, f"key-{next(numbers)}"):
            return


async def _meet(world: World, meeting: _Meeting, point: int, key: str) -> bool:
    clients = Clients(world.memory.backend, world.limits.operation_seconds)
    beside = f"{key}-beside"

    async def first(through: Through) -> None:
        await clients.perform("held up", meeting.name, key, "late", through)

    async def others() -> None:
        # A store that writes more than the one key must not undo what others did to the rest.
        await clients.call("other", "set", beside, "beside", backend=meeting.others)
        for number, name in enumerate(meeting.meanwhile, start=1):
            await clients.perform("other", name, key, f"meanwhile {number}", backend=meeting.others)

    if meeting.present:
        await clients.call("caller", "set", key, "first")
    reached = await hold_up(
        first, point, others, meeting.thread, limit=4 * world.limits.operation_seconds
    )
    await _look(clients, key, meeting.others)
    if meeting.name != "clear":
        await clients.call("caller", "get", beside)
    what = f"{meeting.name} was held up at its suspension point {point}"
    require_linearizable(clients.history(), what, client="held up")
    return reached


async def _look(clients: Clients, key: str, others: MemoryBackend | None = None) -> None:
    """Read a key when all is over: at once, and again when what was left undone is done."""
    await clients.call("caller", "get", key)
    await clients.call("other", "get", key, backend=others)
    await pass_turns(5)
    await clients.call("caller", "get", key)
    await clients.call("caller", "exists", key)
    await clients.call("other", "keys", key, backend=others)


@law("X1")
async def a_call_that_meets_another_anywhere_stays_linearizable(world: World) -> None:
    """Whatever other calls do while a call waits, at any point of it, one order explains it all."""
    await _hold_up_every_call(world, world.memory.backend, None)


@law("X1")
async def a_call_that_meets_another_thread_stays_linearizable(world: World) -> None:
    """The same while the other calls come from the event loop of another thread."""
    with loop_threads(1, world.limits.operation_seconds) as threads:
        await _hold_up_every_call(world, world.memory.backend, threads[0], _BRIEFLY)


@law("X1", needs=Capability.MULTI_PROCESS)
async def a_call_that_meets_another_client_stays_linearizable(world: World) -> None:
    """The same while the other calls come from another client of the same store."""
    second = await world.second()
    await _hold_up_every_call(world, second.backend, None, _BRIEFLY)


# ---------------------------------------------------------- many calls, schedule drawn


@dataclass(frozen=True)
class _Step:
    """What one client does next: a call, and the turns it is held up at each point."""

    name: str
    key: str
    turns: tuple[int, ...]

    def __repr__(self) -> str:
        return f"{self.name} {self.key} {list(self.turns)}"


def _plans(domain: Domain) -> SearchStrategy[list[list[_Step]]]:
    """Draw what a few clients do."""
    # A clear on one key is one on the others, too.
    names = declared(domain.capabilities, "clear", "set_many")
    turns = st.lists(st.integers(0, 6), max_size=5).map(tuple)
    steps = st.builds(_Step, st.sampled_from(names), st.sampled_from(["a", "b"]), turns)
    return st.lists(st.lists(steps, min_size=1, max_size=5), min_size=2, max_size=4)


async def _carry_out(world: World, plan: list[list[_Step]]) -> None:
    clients = Clients(world.memory.backend, world.limits.operation_seconds)

    async def client(number: int, steps: list[_Step]) -> None:
        for at, step in enumerate(steps, start=1):
            await pass_turns(step.turns[0] if step.turns else 0)
            await clients.perform(
                f"task {number}", step.name, step.key, f"{number}.{at}", holding(step.turns[1:])
            )

    await asyncio.gather(*(client(number, steps) for number, steps in enumerate(plan, start=1)))
    for key in ("a", "b"):
        await _look(clients, key)
    require_linearizable(clients.history(), f"{len(plan)} tasks at once")


@campaign("X1")
def tasks_at_once_are_linearizable(bench: Bench) -> None:
    """Whatever a few tasks do at once with a few keys, one order of all calls explains it."""

    def trial(plan: list[list[_Step]]) -> None:
        bench.example(_carry_out, plan=plan)

    bench.hunt(trial, {"plan": _plans(bench.domain)}, bench.profile.schedules)


# -------------------------------------------------------------------- many threads


async def _race(world: World, seed: int) -> None:
    names = declared(world.memory.capabilities, "clear", "set_many")
    clients = Clients(world.memory.backend, world.limits.operation_seconds)

    def client(number: int) -> Callable[[], Any]:
        chance = random.Random(f"{seed}.{number}")

        async def calls() -> None:
            for at in range(12):
                name, key = chance.choice(names), chance.choice("ab")
                await clients.perform(f"thread {number}", name, key, f"{number}.{at}")

        return calls

    await in_threads([client(number) for number in range(1, 5)], 2 * clients.limit)
    for key in ("a", "b"):
        await _look(clients, key)
    require_linearizable(clients.history(), "4 threads at once")


@campaign("X1")
def threads_at_once_are_linearizable(bench: Bench) -> None:
    """Whatever a few threads do at once with a few keys, one order of all calls explains it."""
    for seed in range(max(3, bench.profile.schedules // 5)):
        bench.example(_race, seed=seed)
