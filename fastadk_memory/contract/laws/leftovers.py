"""Clause L3: after closing, no task, thread, socket or file is left."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.compare import fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import campaign
from fastadk_memory.contract.tools.calls import Sample, samples
from fastadk_memory.contract.tools.resources import files_left, open_files, tasks_left, threads_left
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.world import World

Story: TypeAlias = Callable[[World, Handle], Awaitable[None]]

_TIMES = 20
"""How often each story is told: what is left only now and then adds up."""


async def leaves_nothing(world: World, story: Story, times: int) -> None:
    """Tell a story of one backend, which ends with closing it, and look what is left of it."""
    # The first time loads what stays for good: modules, and what they keep for all.
    # (The backends live on until the end: no garbage collector tidies up after them.)
    await story(world, world.memory)
    await world.memory.aclose()
    tasks, files = asyncio.all_tasks(), open_files()
    for _ in range(times):
        world.trace.steps.clear()  # each story is complete in itself
        memory = await world.fresh("memory")
        await story(world, memory)
        await memory.aclose()
        left = await tasks_left(tasks) or await files_left(files)
        if left:
            fail(f"aclose() leaves {left} behind")


def drive(bench: Bench, story: Story, times: int = _TIMES) -> None:
    """Try a story in a loop of its own, and look for threads when that has ended."""
    traces: list[Trace] = []
    before = threading.enumerate()

    async def body(world: World) -> None:
        traces.append(world.trace)
        await leaves_nothing(world, story, times)

    with Bench(bench.hooks, "L3", "L3", bench.profile) as alone:
        alone.example(body)
    bench.examples += 1

    def look() -> None:
        left = threads_left(before)
        if left:
            fail(f"{times + 1} backends that were used and closed leave {left} behind")

    bench.guarded(look, traces[0])


async def use(world: World, memory: Handle) -> None:
    """Make every call that the backend has, all at once."""
    await Together(world, memory, samples(memory.capabilities)).wait()


# ------------------------------------------------------------------------------ the laws


@campaign("L3")
def an_unused_backend_leaves_nothing(bench: Bench) -> None:
    """A backend that was closed without having been used leaves nothing."""

    async def story(world: World, memory: Handle) -> None:
        await memory.aclose()

    drive(bench, story)


@campaign("L3")
def every_call_leaves_nothing(bench: Bench) -> None:
    """After `aclose` nothing is left of any of the calls, one after another."""

    async def story(world: World, memory: Handle) -> None:
        for each in samples(memory.capabilities):
            await each.make(memory)
        await memory.health_check()
        await memory.namespace("tenant").set("a", 1)

    drive(bench, story)


@campaign("L3")
def many_calls_at_once_leave_nothing(bench: Bench) -> None:
    """After `aclose` nothing is left of many calls at once, the first ones among them."""

    async def story(world: World, memory: Handle) -> None:
        sets = [Sample("set", (f"k{number}", number)) for number in range(6)]
        checks = [Sample("health_check")] * 2
        await Together(world, memory, [Sample("open"), *sets, *checks, Sample("open")]).ended()
        await use(world, memory)

    drive(bench, story)


@campaign("L3")
def cancelled_calls_leave_nothing(bench: Bench) -> None:
    """After `aclose` nothing is left of calls that were cancelled, that of `open` included."""
    turns = iter(range(10_000))

    async def story(world: World, memory: Handle) -> None:
        at = next(turns) % (_TIMES + 1)
        first = Together(world, memory, [Sample("open"), Sample("set", ("a", 1))], "first")
        await first.turns(at // 2)
        first.cancel()
        await first.wait()
        calls = Together(world, memory, [*samples(memory.capabilities), Sample("health_check")])
        await calls.turns(at)
        calls.cancel()
        await calls.wait()

    drive(bench, story)


@campaign("L3")
def a_scan_left_half_done_leaves_nothing(bench: Bench) -> None:
    """A scan that nobody has gone through to its end does not outlive `aclose`."""
    kept: list[object] = []

    async def story(world: World, memory: Handle) -> None:
        await memory.set_many({f"k{number}": number for number in range(5)})
        steps = memory.iterate(batch_size=1)
        world.trace.note(f"steps = aiter({memory.name}.scan(batch_size=1))")
        world.trace.note("await anext(steps)  # and no further")
        await anext(steps)
        kept.append(steps)

    drive(bench, story)


@campaign("L3")
def closing_at_once_and_again_leaves_nothing(bench: Bench) -> None:
    """Calls under way, several `aclose` at once and cancelled ones: nothing is left of them."""
    turns = iter(range(10_000))

    async def story(world: World, memory: Handle) -> None:
        calls = Together(world, memory, [Sample("set", (key, 1)) for key in "abc"])
        await calls.turns(next(turns) % 5)
        closing = Together(world, memory, [Sample("aclose")] * 3, "closing")
        await closing.turns(1)
        closing.cancel(0)
        await closing.wait()
        await calls.wait()

    drive(bench, story)


@campaign("L3")
def other_loops_leave_nothing(bench: Bench) -> None:
    """Closing also lets go of what the calls from other event loops, in other threads, needed."""

    async def story(world: World, memory: Handle) -> None:
        if world.waived("X3"):
            return
        await memory.set("a", 1)
        world.trace.note("# all calls, in another thread with an event loop of its own:")
        await asyncio.to_thread(asyncio.run, use(world, memory))

    drive(bench, story)


@campaign("L3", hooks=("outage",))
def a_failed_opening_leaves_nothing(bench: Bench) -> None:
    """After `aclose` nothing is left of a backend that could not open, however often it tried."""

    async def story(world: World, memory: Handle) -> None:
        world.need("outage")
        async with world.hooks.outage(memory.backend):
            world.trace.note("# the service goes away")
            calls = [Sample("open"), Sample("set", ("a", 1)), Sample("health_check")]
            for _ in range(2):
                await Together(world, memory, calls).wait()
            await memory.aclose()
        world.trace.note("# the service is back")

    drive(bench, story, times=5)


@campaign("L3", hooks=("outage",))
def an_outage_leaves_nothing(bench: Bench) -> None:
    """After `aclose` nothing is left of calls that failed because the service went away."""

    async def story(world: World, memory: Handle) -> None:
        world.need("outage")
        await memory.set("a", 1)
        async with world.hooks.outage(memory.backend):
            world.trace.note("# the service goes away")
            await use(world, memory)
        world.trace.note("# the service is back")
        await Together(world, memory, [Sample("get", ("a",)), Sample("set", ("a", 2))]).wait()

    drive(bench, story, times=5)


@campaign("L3", hooks=("hang",))
def calls_without_an_answer_leave_nothing(bench: Bench) -> None:
    """After `aclose` nothing is left of calls that a hung service never answered."""

    async def story(world: World, memory: Handle) -> None:
        world.need("hang")
        await memory.set("a", 1)
        async with world.hooks.hang(memory.backend):
            world.trace.note("# the service hangs")
            calls = [Sample("get", ("a",)), Sample("set", ("b", 1)), Sample("keys")]
            await Together(world, memory, calls).wait()
        world.trace.note("# the service is back")

    drive(bench, story, times=1)
