"""Clauses X1 and U1 over several processes that use one store at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any

from fastadk_memory.base import Capability
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.children.processes import (
    Answer,
    Child,
    Line,
    Zygote,
    lines_to_try,
    where,
)
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.concurrent.linearizability import (
    CONFLICT,
    Operation,
    require_linearizable,
)
from fastadk_memory.contract.law import campaign, law
from fastadk_memory.contract.violations import NotApplicable, Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError

_ELSEWHERE = "in another process"

_SCHEDULES_AT_ONCE = 100

_PATIENCE = 0.03
"""Seconds that a process is held up, if it holds what the others wait for."""


@asynccontextmanager
async def _children(world: World, number: int) -> AsyncGenerator[list[Child]]:
    """Start processes with backends on the store of `world.memory`."""
    opener, limit = world.opener(), world.limits.operation_seconds
    # The store is there before they come: who makes it is no question of these laws.
    await world.memory.open()
    names = [f"process {at}" for at in range(1, number + 1)]
    children = [Child(opener, limit, name, world.trace) for name in names]
    try:
        await asyncio.gather(*(child.__aenter__() for child in children))
        yield children
    finally:
        for child in children:
            await child.__aexit__(None, None, None)


# ---------------------------------------------------- one process after the other


@law("X1", needs=Capability.MULTI_PROCESS)
async def another_process_reads_what_was_written(world: World) -> None:
    """What a process has written, another one reads next, whatever it has read before."""
    memory = world.memory
    async with _children(world, 1) as (child,):
        expect(await child.call("get", "a"), None, _asked("get('a')"))
        expect(await child.call("exists", "a"), False, _asked("exists('a')"))
        large = [1, {"k": b"x" * 70_000}]
        for value in ("first", "second", None, large, [*large, 2], 0, "last"):
            await memory.set("a", value)
            expect(await child.call("get", "a"), value, _asked("get('a')"))
            expect(await child.call("exists", "a"), True, _asked("exists('a')"))
            expect_keys(await child.call("keys"), ["a"], _asked("keys()"))
        for value in ("third", "fourth"):
            await child.call("set", "a", value)
            expect(await memory.get("a"), value, "get('a')")
        await memory.delete("a")
        expect(await child.call("get", "a"), None, _asked("get('a') after delete('a')"))
        await memory.set("a", "again")
        expect(await memory.get("a"), "again", "get('a')")
        await child.call("delete", "a")
        expect(await memory.get("a"), None, "get('a')")
        expect(await memory.exists("a"), False, "exists('a')")


@law("X1", needs=Capability.MULTI_PROCESS)
async def another_process_sees_bulk_calls_and_clearing(world: World) -> None:
    """Bulk calls and clearing in one process show in the listings of another one."""
    memory = world.memory
    async with _children(world, 1) as (child,):
        listing = _asked("keys()")
        await memory.set_many({"a": 1, "b": 2, "ab": 3, "c": 4})
        expect_keys(await child.call("keys"), ["a", "b", "ab", "c"], listing)
        expect(await child.call("get_many", ["a", "x", "b"]), {"a": 1, "b": 2}, "get_many there")
        await child.call("set_many", {"a": 10, "d": 5})
        found = await memory.get_many(["a", "d"])
        expect(found, {"a": 10, "d": 5}, "get_many(['a', 'd'])")
        await memory.clear_pattern("a*")
        expect_keys(await child.call("scan"), ["b", "c", "d"], _asked("scan()"))
        expect(await child.call("delete_many", ["a", "b"]), 1, _asked("delete_many(['a', 'b'])"))
        expect_keys(await memory.keys(), ["c", "d"], "keys()")
        await child.call("clear")
        expect_keys(await memory.keys(), [], "keys()")
        expect(await memory.get("c"), None, "get('c')")
        await memory.set("e", 6)
        expect_keys(await child.call("keys"), ["e"], listing)
        await memory.clear()
        expect_keys(await child.call("keys"), [], listing)
        expect(await child.call("get", "e"), None, _asked("get('e')"))


@law("X1", needs=Capability.MULTI_PROCESS)
async def another_process_sees_namespaces(world: World) -> None:
    """A namespace is the same one in every process, and clearing it reaches no other."""
    view, near = world.memory.namespace("a"), world.memory.namespace("ab")
    async with _children(world, 1) as (child,):
        await view.set("k", 1)
        await near.set("k", 2)
        for name, value in (("a", 1), ("ab", 2)):
            seen = await child.call("get", "k", namespace=name)
            expect(seen, value, _asked(f"namespace({name!r}).get('k')"))
        await child.call("set", "other", 3, namespace="a")
        expect_keys(await view.keys(), ["k", "other"], "namespace('a').keys()")
        await child.call("clear", namespace="a")
        expect_keys(await view.keys(), [], "namespace('a').keys()")
        expect(await near.get("k"), 2, "namespace('ab').get('k')")


@law("X1", needs=Capability.MULTI_PROCESS)
async def another_process_sees_entries_and_versions(world: World) -> None:
    """Metadata, versions, swaps and touches of one process are those that another one sees."""
    memory = world.memory
    if not memory.declares(Capability.ENTRIES):
        raise NotApplicable("the backend does not declare ENTRIES")
    async with _children(world, 1) as (child,):
        entry = await memory.set_entry("a", 1, metadata={"m": [1]})
        seen = await child.call("get_entry", "a")
        expect(seen and seen.metadata, {"m": [1]}, _asked("get_entry('a').metadata"))
        expect(seen.version, entry.version, _asked("get_entry('a').version"))
        expect(seen.created_at == entry.created_at, True, _asked("the same created_at"))
        if memory.declares(Capability.CAS):
            version = await memory.compare_and_set("a", 2, expect=entry.version)
            late = await child.ask("compare_and_set", "a", 3, expect=entry.version)
            expect(late.error, "ConflictError", _asked("compare_and_set at the old version"))
            newest = await child.call("compare_and_set", "a", 4, expect=version)
            again = await memory.get_entry("a")
            expect(again and (again.value, again.version), (4, newest), "get_entry('a')")
        if memory.declares(Capability.TOUCH):
            expect(await memory.ttl("a"), None, "ttl('a')")
            expect(await child.call("touch", "a", 10**8), True, _asked("touch('a', 10**8)"))
            expect(await memory.ttl("a") is not None, True, "ttl('a') is not None")


@law("X1", needs=Capability.MULTI_PROCESS, waits=True)
async def another_process_sees_expiries(world: World) -> None:
    """An expiry that one process has set, or taken away, is that of the others, too."""
    # Both are other processes: these go by one clock, whatever clock is moved by hand here.
    step, margin = world.limits.step_seconds, world.limits.margin_seconds
    async with _children(world, 2) as (one, two):
        for key in ("stays", "goes", "renewed", "touched"):
            await one.call("set", key, "old", None if key in ("goes", "touched") else step)
            await two.call("get", key)
        # Whether these have come too late by now does not matter: they set anew.
        await one.call("set", "stays", "new")
        await one.call("set", "renewed", "new", 10**6)
        await one.call("set", "goes", "new", step)
        touch = Capability.TOUCH in world.memory.capabilities
        await one.call("touch", "touched", step) if touch else await one.call("delete", "touched")
        await asyncio.sleep(step + margin)
        for key, value in (("stays", "new"), ("goes", None), ("renewed", "new"), ("touched", None)):
            expect(await two.call("get", key), value, f"get({key!r}) in the other process")
        left = await two.call("ttl", "renewed")
        if not isinstance(left, int) or not 0 < left <= 10**6:
            fail(f"ttl('renewed') in the other process is {left!r}, expected about a million")
        expect(await two.call("ttl", "stays"), None, "ttl('stays') in the other process")
        expect_keys(await two.call("keys"), ["stays", "renewed"], _asked("keys()"))


def _asked(what: str) -> str:
    return f"{what} {_ELSEWHERE}"


# ------------------------------------------------------------------- processes at once


@campaign("X1", needs=Capability.MULTI_PROCESS)
def calls_of_several_processes_are_linearizable(bench: Bench) -> None:
    """Calls that three processes make at once on a few keys have an order that explains them."""
    # Each portion on a store of its own, as the time for one example is limited.
    for first in range(0, bench.profile.schedules, _SCHEDULES_AT_ONCE):
        number = min(_SCHEDULES_AT_ONCE, bench.profile.schedules - first)
        bench.example(_random_histories, first=first, schedules=number)


async def _random_histories(world: World, first: int, schedules: int) -> None:
    methods = ["set", "set", "get", "get", "get", "exists", "delete"]
    if world.memory.declares(Capability.ENTRIES):
        methods += ["get_entry", "get_entry"]
        if world.memory.declares(Capability.CAS):
            methods += ["compare_and_set"] * 3
    async with _children(world, 3) as children:
        for number in range(first, first + schedules):
            random = Random(number)
            plans = [
                [_step(random.choice(methods), number, f"{who}.{at}", random) for at in range(8)]
                for who in range(1, len(children) + 1)
            ]
            history = await _history(children, plans)
            require_linearizable(history, "three processes at once")


def _step(method: str, number: int, value: str, random: Random) -> tuple[str, str, Any]:
    key = f"{random.choice('ab')}{number}"  # absent at first, as the search takes for granted
    return method, key, value if method in ("set", "compare_and_set") else None


@campaign("X1", needs=Capability.MULTI_PROCESS)
def of_several_processes_that_create_a_key_one_wins(bench: Bench) -> None:
    """When processes `compare_and_set` an absent key at once, one wins, and all see its value."""

    async def body(world: World) -> None:
        if not world.memory.declares(Capability.CAS):
            raise NotApplicable("the backend does not declare CAS")
        async with _children(world, 3) as children:
            for number in range(2 * bench.profile.schedules):
                key = f"key{number}"
                plans = [
                    [("compare_and_set", key, child.name), ("get", key, None)] for child in children
                ]
                history = await _history(children, plans)
                require_linearizable(history, "three processes at once")

    bench.example(body)


@campaign("U1", needs=Capability.MULTI_PROCESS)
def processes_that_count_together_lose_no_step(bench: Bench) -> None:
    """Three processes that add to one number by `compare_and_set` come to the exact sum."""
    times = 20 + bench.profile.schedules // 5

    async def body(world: World) -> None:
        if not world.memory.declares(Capability.CAS):
            raise NotApplicable("the backend does not declare CAS")
        async with _children(world, 3) as children:
            start = Child.soon()
            await asyncio.gather(*(child.count("sum", times, start) for child in children))
            seen = await world.memory.get("sum")
            expect(seen, 3 * times, f"the sum after three processes added 1 {times} times each")

    bench.example(body)


# ------------------------------------------------------------- one process held up


@campaign("X1", needs=Capability.MULTI_PROCESS)
def a_call_held_up_in_another_process_stays_linearizable(bench: Bench) -> None:
    """Whatever is called while a process stands still in a call, one order explains it all."""
    pairs = [
        ("set", "compare_and_set"),
        ("delete", "compare_and_set"),
        ("touch", "set"),
        ("compare_and_set", "delete"),
    ]
    bench.example(_held_up, pairs=pairs, quick=bench.profile.name == "quick")


@campaign("U1", needs=Capability.MULTI_PROCESS)
def a_swap_held_up_in_another_process_wins_or_conflicts(bench: Bench) -> None:
    """A process that stands still in `compare_and_set` does not win over what was written since."""
    pairs = [("compare_and_set", other) for other in ("compare_and_set", "set")]
    bench.example(_held_up, pairs=pairs, quick=bench.profile.name == "quick")


async def _held_up(world: World, pairs: Sequence[tuple[str, str]], quick: bool) -> None:
    usable = [pair for pair in pairs if all(_declared(world, method) for method in pair)]
    if not usable:
        raise NotApplicable("the backend declares none of the capabilities for it")
    async with Zygote(world.opener(), world.limits.operation_seconds, "the other") as zygote:
        for number, pair in enumerate(usable):
            lines = await _hold(world, zygote, pair, f"key{number}", None, [])
            for at in lines_to_try(lines, 14 if quick else None, 2):
                await _hold(world, zygote, pair, f"key{number}-{at}", at, lines)


def _declared(world: World, method: str) -> bool:
    if method == "compare_and_set":
        # Whose expectation comes from an entry.
        return world.memory.declares(Capability.CAS) and world.memory.declares(Capability.ENTRIES)
    return method != "touch" or world.memory.declares(Capability.TOUCH)


async def _hold(
    world: World,
    zygote: Zygote,
    pair: tuple[str, str],
    key: str,
    at: int | None,
    lines: Sequence[Line],
) -> list[Line]:
    """Hold up one process in the first of two calls while this one makes the other."""
    method, meanwhile = pair
    history: list[Operation] = []

    async def here(name: str, value: str | None = None) -> None:
        step = (name, key, value)
        history.append(await _made_here(world, step, version))

    version: Any = None
    await here("set", "old")
    entry = await world.memory.get_entry(key)
    version = None if entry is None else entry.version
    await here("get_entry" if version is not None else "get")
    call = _call_of(method, key, "held up", version)
    answer, seen = await zygote.held_up(call, at, lambda: here(meanwhile, "meanwhile"), _PATIENCE)
    history.append(_made_there((method, key, "held up"), replace(answer, expect=version), at))
    await here("get")
    what = "" if at is None else f"one process was held up before {where(lines[at])}"
    require_linearizable(history, what)
    return seen


def _made_there(step: tuple[str, str, Any], answer: Answer, at: int | None) -> Operation:
    """Return the call of the process that was held up, if it was."""
    if at is None or answer.error != "BackendTimeoutError":
        return _operation("the other", step, answer)
    # Held up for longer than the backend waits: it may have happened at any time, or never.
    return replace(_operation("the other", step, replace(answer, error="", result=None)), end=None)


def _call_of(
    method: str, key: str, value: str | None, version: Any
) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    if method == "touch":
        return method, (key, 10**8), {}
    if method == "compare_and_set":
        return method, (key, value), {"expect": version}
    return method, (key, value) if method == "set" else (key,), {}


async def _made_here(world: World, step: tuple[str, str, Any], version: Any) -> Operation:
    """Make a call in this process."""
    method, args, kwargs = _call_of(*step, version)
    start = time.monotonic_ns()
    error, result = "", None
    try:
        result = await world.memory.call(method, *args, **kwargs)
    except ConflictError:
        error = "ConflictError"
    answer = Answer(start, time.monotonic_ns(), error, result, version)
    return _operation("this process", step, answer)


# --------------------------------------------------------------------------- histories


async def _history(
    children: Sequence[Child], plans: Sequence[Sequence[tuple[str, str, Any]]]
) -> list[Operation]:
    """Let each child carry out its plan at the same time, and return all they did."""
    start = Child.soon()
    runs = [child.run(plan, start) for child, plan in zip(children, plans, strict=True)]
    answers = await asyncio.gather(*runs)
    return [
        _operation(child.name, step, answer)
        for child, plan, told in zip(children, plans, answers, strict=True)
        for step, answer in zip(plan, told, strict=True)
    ]


def _operation(client: str, step: tuple[str, str, Any], answer: Answer) -> Operation:
    method, key, value = step
    result = answer.result
    told = ""
    if answer.error and not (method == "compare_and_set" and answer.error == "ConflictError"):
        raise Violation(f"{method}({key!r}) in {client} raised {result}")
    if answer.error:
        result = CONFLICT
    elif method == "get_entry":
        result = None if result is None else (result.value, result.version)
    elif method == "touch":
        method, told = "exists", f"touch({key!r}, 10**8)"
    argument = (answer.expect, value) if method == "compare_and_set" else value
    return Operation(key, method, argument, result, answer.start, answer.end, client, call=told)  # type: ignore[arg-type]
