"""Clause U1: of any number of concurrent `compare_and_set` calls exactly one wins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Absent, Capability, Version
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.concurrent.stepper import Gate, held_at
from fastadk_memory.contract.concurrent.threads import in_threads
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show, show_call
from fastadk_memory.contract.tools.calls import Sample, pass_turns
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import NotApplicable, Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import BackendTimeoutError, ConflictError

_MANY = 8  # calls at once
_THREADS = 4
_POINTS = 10  # suspension points at which a call is held up


async def _expected(memory: Handle, key: str, present: bool) -> Version | Absent:
    """Return what fits the key, which is made to be there or left absent."""
    if not present:
        return ABSENT
    return await memory.compare_and_set(key, "old", expect=ABSENT)


async def _expect_one_winner(
    memory: Handle, key: str, answers: Mapping[str, Any], told: str, history: str | None = None
) -> None:
    """Require that one of several calls won, that its value is there and the rest conflicted.

    Args:
        memory: The backend.
        key: The key.
        answers: What came of each call, by the value that it would have stored.
        told: What they were, for the message.
        history: What happened, where no script shows it.
    """
    winners = {value: found for value, found in answers.items() if isinstance(found, str)}
    for value, found in answers.items():
        if isinstance(found, BaseException) and not isinstance(found, ConflictError):
            raise found
        if value not in winners and not isinstance(found, ConflictError):
            fail(f"one of {told} returned {show(found)}, expected a version")
        if isinstance(found, ConflictError) and found.key != key:
            fail(f"the ConflictError for {show(key)} has the key {show(found.key)}")
    if len(winners) != 1:
        raise Violation(f"{len(winners)} of {told} won, expected exactly one", history=history)
    ((value, version),) = winners.items()
    expect(await memory.get(key), value, f"get({show(key)}), where this value's call won,")
    if memory.declares(Capability.ENTRIES):
        entry = await entry_at(memory, key)
        expect(entry.version, version, f"get_entry({show(key)}).version, after the winner's call,")


# ------------------------------------------------------------------------------- tasks


def _turns(_: Domain) -> SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 6), min_size=2, max_size=_MANY)


_TURNS = ([0] * _MANY, [0, 1] * 3, [0, 1, 2, 3, 4, 5, 6], [2, 0, 2, 0], [3, 0, 0])


@law(
    "U1",
    needs=Capability.CAS,
    given={"turns": _turns, "present": lambda _: st.booleans()},
    examples=[
        {"turns": turns, "present": present} for turns in _TURNS for present in (False, True)
    ],
)
async def one_of_many_tasks_wins(world: World, turns: Sequence[int], present: bool) -> None:
    """Of several tasks that call `compare_and_set` with one expectation exactly one wins."""
    await _tasks_compete(world, [world.memory], turns, present)


@law(
    "U1",
    needs=Capability.CAS,
    hooks=("second",),
    given={"turns": _turns, "present": lambda _: st.booleans()},
    examples=[
        {"turns": turns, "present": present} for turns in _TURNS for present in (False, True)
    ],
    share=0.5,
)
async def one_of_two_clients_wins(world: World, turns: Sequence[int], present: bool) -> None:
    """Of calls of two clients of one store with one expectation exactly one wins."""
    await _tasks_compete(world, [world.memory, await world.second()], turns, present)


async def _tasks_compete(
    world: World, handles: Sequence[Handle], turns: Sequence[int], present: bool
) -> None:
    """Let tasks compete: `turns` says how long each of them waits before it calls."""
    memory = world.memory
    expected = await _expected(memory, "a", present)
    began: list[Together] = []
    passed = 0
    for turn in sorted(set(turns)):
        if began:
            await began[-1].turns(turn - passed)
        passed = turn
        for at, handle in enumerate(handles):
            calls = [
                Sample("compare_and_set", ("a", f"by task {task}"), {"expect": expected})
                for task, each in enumerate(turns, 1)
                if each == turn and task % len(handles) == at
            ]
            if calls:
                began.append(Together(world, handle, calls, f"calls{len(began) + 1}"))
    answers: dict[str, Any] = {}
    for group in began:
        found = await group.wait()
        answers |= {call.args[1]: each for call, each in zip(group.calls, found, strict=True)}
    told = f"{len(turns)} concurrent calls of compare_and_set('a', ..., expect={show(expected)})"
    await _expect_one_winner(memory, "a", answers, told)


# ----------------------------------------------------------------------------- threads


@law("U1", needs=Capability.CAS, examples=[{"present": False}, {"present": True}])
async def one_of_many_threads_wins(world: World, present: bool) -> None:
    """Of several threads, each with an event loop of its own, exactly one wins."""
    memory = world.memory
    keys = [f"key{at}" for at in range(12)]
    expected = {key: await _expected(memory, key, present) for key in keys}
    come: list[str] = []
    gone: list[str] = []

    async def compete(name: str) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        try:
            for at, key in enumerate(keys, 1):
                come.append(name)
                while len(come) < at * _THREADS and not gone:  # noqa: ASYNC110 (many loops)
                    await asyncio.sleep(0)
                answers[key] = await _attempt(memory, key, f"by {name}", expected[key])
        finally:
            gone.append(name)
        return answers

    names = [f"thread {at}" for at in range(1, _THREADS + 1)]
    limit = 2 * world.limits.operation_seconds
    found = await in_threads([partial(compete, name) for name in names], limit)
    for key in keys:
        answers = {f"by {name}": each[key] for name, each in zip(names, found, strict=True)}
        told = f"{_THREADS} threads that called compare_and_set({key!r}, ...) at once"
        await _expect_one_winner(memory, key, answers, told, _history(key, expected[key], answers))


def _history(key: str, expected: Version | Absent, answers: Mapping[str, Any]) -> str:
    """Return the calls of threads, which no script can make in the same order."""
    lines = ["# At once, each in a thread with an event loop of its own:"]
    for value, found in answers.items():
        call = show_call("memory", "compare_and_set", (key, value), {"expect": expected})
        came = f"raised {type(found).__name__}" if isinstance(found, Exception) else show(found)
        lines.append(f"await {call}  # {came}")
    return "\n".join(lines)


async def _attempt(memory: Handle, key: str, value: str, expected: Version | Absent) -> Any:
    return await _judged(memory.compare_and_set(key, value, expect=expected))


async def _judged(call: Awaitable[Version]) -> Any:
    try:
        return await call
    except ConflictError as error:
        return error


@law("U1", needs=Capability.CAS, examples=[{"present": False}, {"present": True}])
async def a_thread_that_is_held_up_wins_or_conflicts(world: World, present: bool) -> None:
    """Wherever a thread's call is held up while another thread makes its own, one of them wins."""
    memory = world.memory
    keys = [f"key{at}" for at in range(_POINTS)]
    expected = {key: await _expected(memory, key, present) for key in keys}
    gates = {key: Gate() for key in keys}
    ended: dict[str, Any] = {}

    async def held_up() -> dict[str, Any]:
        for point, key in enumerate(keys, 1):
            call = memory.compare_and_set(key, "by the one held up", expect=expected[key])
            ended[key] = await _judged_if_in_time(held_at(call, point, gates[key]))
        return ended

    async def other() -> dict[str, Any]:
        answers: dict[str, Any] = {}
        for key in keys:
            while not gates[key].reached and key not in ended:  # noqa: ASYNC110 (two loops)
                await asyncio.sleep(0)
            call = memory.compare_and_set(key, "by the other", expect=expected[key])
            task = asyncio.create_task(_judged_if_in_time(call))
            await gates[key].pass_while(partial(_busy, task))
            answers[key] = await task
        return answers

    one, two = await in_threads([held_up, other], 2 * world.limits.operation_seconds)
    for key in keys:
        answers = {"by the one held up": one[key], "by the other": two[key]}
        if None in answers.values():
            continue
        told = f"2 threads that called compare_and_set({key!r}, ...) at once"
        await _expect_one_winner(memory, key, answers, told, _history(key, expected[key], answers))


async def _judged_if_in_time(call: Awaitable[Version]) -> Any:
    """Return what came of a call; `None` if it was held up longer than the backend waits."""
    try:
        return await _judged(call)
    except BackendTimeoutError:
        return None


def _busy(task: asyncio.Task[Any]) -> bool:
    return not task.done()


# ------------------------------------------------------------------------ lost updates


_ADD = """\
from itertools import count
from fastadk_memory import ConflictError

async def add(memory, times, pace=0):
    for attempt in count():
        if not times:
            return
        for _ in range(pace * attempt % 5): await asyncio.sleep(0)
        entry = await memory.get_entry("a")
        expected = ABSENT if entry is None else entry.version
        for _ in range(pace * attempt % 3): await asyncio.sleep(0)
        number = 0 if entry is None else entry.value
        try:
            await memory.compare_and_set("a", number + 1, expect=expected)
            times -= 1
        except ConflictError:
            pass
"""


async def _add(world: World, memory: Handle, times: int, pace: int = 0) -> None:
    """Add 1 to the counter `a` a number of times, each with as many attempts as it takes.

    Args:
        world: The world.
        memory: The backend.
        times: How many times.
        pace: Makes the clients come out of step with each other.
    """
    # Not in the world's own trace, which shows calls as if they came one after another.
    trace = Trace()
    handle = Handle(memory.backend, trace, memory.name, world.limits.operation_seconds)
    try:
        for attempt in count():
            if not times:
                return
            await pass_turns(pace * attempt % 5)
            entry = await handle.get_entry("a")
            expected = ABSENT if entry is None or entry.version is None else entry.version
            await pass_turns(pace * attempt % 3)
            number = 0 if entry is None else entry.value
            with suppress(ConflictError):
                await handle.compare_and_set("a", number + 1, expect=expected)
                times -= 1
    except Violation:
        raise
    except Exception as error:
        raise Violation(f"{trace.steps[-1]} raised {type(error).__name__}: {error}") from error


def _begin_counting(world: World, *adding: str) -> None:
    if not world.memory.declares(Capability.ENTRIES):
        raise NotApplicable("the backend does not declare ENTRIES: nobody can read a version")
    world.trace.note(_ADD)
    world.trace.note(f"await asyncio.gather({', '.join(adding)})")


@law("U1", needs=Capability.CAS, examples=[{"tasks": each} for each in (1, 2, 3, 5)])
async def no_update_of_many_tasks_is_lost(world: World, tasks: int) -> None:
    """A counter that several tasks read and `compare_and_set` counts every increment."""
    memory = world.memory
    _begin_counting(world, *(f"add(memory, 6, {pace})" for pace in range(tasks)))
    await asyncio.gather(*(_add(world, memory, 6, pace) for pace in range(tasks)))
    expect(await memory.get("a"), 6 * tasks, f"get('a') after {tasks} tasks added 1 six times each")


@law("U1", needs=Capability.CAS, hooks=("second",))
async def no_update_of_two_clients_is_lost(world: World) -> None:
    """A counter that two clients of one store read and `compare_and_set` counts everything."""
    memory, other = world.memory, await world.second()
    _begin_counting(world, "add(memory, 8)", "add(second, 8, 1)")
    await asyncio.gather(_add(world, memory, 8), _add(world, other, 8, 1))
    expect(await memory.get("a"), 16, "get('a') after 2 clients added 1 eight times each")


@law("U1", needs=Capability.CAS)
async def no_update_of_many_threads_is_lost(world: World) -> None:
    """A counter that threads with loops of their own `compare_and_set` counts everything."""
    memory, times = world.memory, 40
    thread = f"asyncio.to_thread(asyncio.run, add(memory, {times}))"
    _begin_counting(world, *[thread] * _THREADS)

    def adding() -> Coroutine[Any, Any, None]:
        return _add(world, memory, times)

    await in_threads([adding] * _THREADS, 4 * world.limits.operation_seconds)
    told = f"get('a') after {_THREADS} threads added 1 {times} times each"
    expect(await memory.get("a"), times * _THREADS, told)


# ------------------------------------------------------------------- other writes at once


_WRITES: dict[str, tuple[Sample, str | None]] = {
    "set": (Sample("set", ("a", "theirs")), "theirs"),
    "set_many": (Sample("set_many", ({"a": "theirs", "b": 1},)), "theirs"),
    "set_entry": (
        Sample("set_entry", ("a", "theirs"), {"metadata": {}}, Capability.ENTRIES),
        "theirs",
    ),
    "delete": (Sample("delete", ("a",)), None),
    "delete_many": (Sample("delete_many", (["a"],)), None),
}


def _each_write(domain: Domain) -> Sequence[Mapping[str, Any]]:
    return [
        {"write": name, "present": present}
        for name, (sample, left) in _WRITES.items()
        for present in ((True, False) if left is not None else (True,))
        if sample.needs is None or sample.needs in domain.capabilities
    ]


@law("U1", needs=Capability.CAS, examples=_each_write)
async def a_write_at_the_same_time_is_not_overwritten(
    world: World, write: str, present: bool
) -> None:
    """A `set` or `delete` before the winner ends its version, one after it overwrites the winner.

    Either way the other write is what is left.
    """
    for turns in range(8):
        await _compete_with(world, world.memory, write, present, turns)


@law("U1", needs=Capability.CAS, hooks=("second",), examples=_each_write)
async def a_write_by_another_client_is_not_overwritten(
    world: World, write: str, present: bool
) -> None:
    """A `set` or `delete` by another client at the same time is never undone."""
    other = await world.second()
    await other.exists("a")  # opened: what follows takes the same turns each time
    for turns in range(8):
        await _compete_with(world, other, write, present, turns)


async def _compete_with(world: World, other: Handle, write: str, present: bool, turns: int) -> None:
    memory = world.memory
    sample, left = _WRITES[write]
    await memory.clear()
    expected = await _expected(memory, "a", present)
    swap = Sample("compare_and_set", ("a", "ours"), {"expect": expected})
    calls = Together(world, memory, [swap], "ours")
    await calls.turns(turns)
    others = Together(world, other, [sample], "theirs")
    await calls.ended(ConflictError)
    await others.ended()
    expect(await memory.get("a"), left, f"get('a') after compare_and_set and {write} at once")
    expect_keys(await memory.keys("a"), [] if left is None else ["a"], "keys('a') after that")


async def _touch_between(world: World, other: Handle) -> None:
    memory = world.memory
    for turns in range(6):
        for touch_first in (True, False):
            await memory.clear()
            version = await memory.compare_and_set("a", "old", expect=ABSENT)
            swap = Sample("compare_and_set", ("a", "new"), {"expect": version})
            pair = [(memory, swap, "swap"), (other, Sample("touch", ("a", 60)), "touch")]
            first, last = reversed(pair) if touch_first else pair
            began = Together(world, first[0], [first[1]], first[2])
            await began.turns(turns)
            then = Together(world, last[0], [last[1]], last[2])
            await began.ended()
            await then.ended()
            expect(await memory.get("a"), "new", "get('a') after touch and compare_and_set at once")


@law("U1", needs=Capability.CAS)
async def a_touch_at_the_same_time_is_no_conflict(world: World) -> None:
    """`touch` leaves the version alone, so a `compare_and_set` beside it does not conflict."""
    if not world.memory.declares(Capability.TOUCH):
        raise NotApplicable("the backend does not declare TOUCH")
    await _touch_between(world, world.memory)


@law("U1", needs=Capability.CAS, hooks=("second",))
async def a_touch_by_another_client_is_no_conflict(world: World) -> None:
    """A `touch` by another client does not make a `compare_and_set` conflict either."""
    if not world.memory.declares(Capability.TOUCH):
        raise NotApplicable("the backend does not declare TOUCH")
    other = await world.second()
    await other.exists("a")  # opened: what follows takes the same turns each time
    await _touch_between(world, other)
