"""Clause L1: constructing does nothing, the first call opens, closing is final."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Mapping
from typing import Any

from fastadk_memory.base import MemoryBackend
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import campaign, law
from fastadk_memory.contract.tools.calls import OPENING, SAMPLES, Sample, samples
from fastadk_memory.contract.tools.resources import files_left, open_files, tasks_left, threads_left
from fastadk_memory.contract.violations import ContractError, NotApplicable, Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import BackendClosedError, ConflictError


def each_call(domain: Domain) -> list[Mapping[str, Any]]:
    """Return one example for each method that does something to entries."""
    return [{"sample": each} for each in samples(domain.capabilities)]


def each_call_and_opening(domain: Domain) -> list[Mapping[str, Any]]:
    """Return one example for each method that is refused once the backend is closed."""
    return [{"sample": each} for each in (*OPENING, *samples(domain.capabilities))]


_EMPTY = (Sample("get_many", ([],)), Sample("set_many", ({},)), Sample("delete_many", ([],)))
"""Calls that could be answered without a look at the store."""


def each_call_and_more(domain: Domain) -> list[Mapping[str, Any]]:
    """Return the same, and calls that have nothing to do."""
    return [*each_call_and_opening(domain), *({"sample": each} for each in _EMPTY)]


async def works(memory: Handle, told: str) -> None:
    """Require that a backend serves its callers."""
    await memory.set("still", "here")
    expect(await memory.get("still"), "here", f"get('still') {told}")


async def refused(world: World, memory: Handle, sample: Sample) -> None:
    """Require that a call is refused because the backend is closed."""
    await world.raises(BackendClosedError, memory, sample.method, *sample.args, **sample.kwargs)


# ------------------------------------------------------------------------- constructing


@law("L1")
async def constructing_opens_and_starts_nothing(world: World) -> None:
    """Constructing a backend opens no file or socket, and starts no thread or task."""
    await world.fresh("first")  # whatever is loaded for the first one stays for good
    files, tasks, threads = open_files(), asyncio.all_tasks(), threading.enumerate()
    await world.fresh("other")
    for left in (threads_left(threads), await tasks_left(tasks), await files_left(files)):
        if left:
            fail(f"constructing a backend, which was not used yet, brought {left}")


@law("L1", hooks=("outage",))
async def constructing_needs_no_service(world: World) -> None:
    """A backend can be constructed while its service is away, and used when it is back."""
    make = world.second if world.hooks.provides("second") else world.reopen
    async with world.trouble("outage"):
        other = await constructed(make("other"), "while its service is away")
    await works(other, "when the service is back")


async def constructed(making: Awaitable[Handle], when: str) -> Handle:
    """Await a backend, whose constructor must not raise."""
    try:
        return await making
    except (NotApplicable, ContractError, Violation):
        raise
    except Exception as error:  # noqa: BLE001 (a constructor may raise anything)
        fail(f"constructing a backend {when} raised {type(error).__name__}: {error}")


@campaign("L1")
def it_is_constructed_without_an_event_loop(bench: Bench) -> None:
    """A backend that was constructed where no event loop runs works in one."""
    made: list[MemoryBackend] = []

    def construct() -> None:
        try:
            backend = bench.hooks.make_backend()
        except Exception as error:  # noqa: BLE001 (a constructor may raise anything)
            told = f"{type(error).__name__}: {error}"
            fail(f"constructing a backend where no event loop runs raised {told}")
        if inspect.iscoroutine(backend):
            backend.close()
            raise NotApplicable("make_backend is a coroutine")
        if isinstance(backend, MemoryBackend):
            made.append(backend)

    bench.guarded(construct)

    async def use(world: World) -> None:
        for backend in made:
            await works(await world.adopt(backend, "built"), "of what was built without a loop")

    bench.example(use)


# ------------------------------------------------------------------------------ opening


@law("L1", examples=each_call_and_opening)
async def the_first_call_opens_by_itself(world: World, sample: Sample) -> None:
    """Whatever is called first, nobody has to call `open` before it."""
    memory = world.memory
    await sample.make(memory)
    await works(memory, f"after a first call of {sample.method}")


@law("L1", examples=each_call)
async def the_first_call_of_a_view_opens_the_store(world: World, sample: Sample) -> None:
    """A namespace of a backend that was never opened can be used at once."""
    view = world.memory.namespace("tenant")
    await sample.make(view)
    await works(view, f"after a first call of {sample.method}")
    await works(world.memory, "of the store itself")


_READING = ("get", "exists", "keys", "scan", "get_many", "get_entry", "delete_many", "touch")


@law(
    "L1",
    hooks=("reopen",),
    examples=lambda domain: [
        each for each in each_call(domain) if each["sample"].method in _READING
    ],
)
async def the_first_call_sees_what_is_stored(world: World, sample: Sample) -> None:
    """The first call on a store that holds something answers as if `open` had been called."""
    await world.memory.set("a", 1)
    memory = await world.reopen()
    found = await sample.make(memory)
    seen = found.value if sample.method == "get_entry" and found is not None else found
    wanted: dict[str, Any] = {"get": 1, "get_entry": 1, "get_many": {"a": 1}, "delete_many": 0}
    wanted |= {"keys": ["a"], "scan": ["a"]}
    told = f"a first call of {sample.method} on a store that holds the key 'a'"
    expect(seen, wanted.get(sample.method, True), told)


@law("L1")
async def opening_again_changes_nothing(world: World) -> None:
    """`open` may be called any number of times, and all at once."""
    memory = world.memory
    await Together(world, memory, [Sample("open")] * 5).ended()
    await memory.set("a", 1)
    await memory.open()
    expect(await memory.get("a"), 1, "get('a') after one more open()")
    await Together(world, memory, [Sample("open"), Sample("set", ("b", 2)), Sample("open")]).ended()
    expect(await memory.get_many(["a", "b"]), {"a": 1, "b": 2}, "get_many after two more open()")


@law("L1")
async def first_calls_may_come_all_at_once(world: World) -> None:
    """Calls that come together, before anything was opened, are all served."""
    keys = [f"k{number}" for number in range(4)]
    sets = [Sample("set", (key, key)) for key in keys]
    reading = [each for each in SAMPLES if each.method in ("get", "keys", "scan", "exists")]
    await Together(world, world.memory, [*reading, *sets, Sample("open")]).ended()
    expect_keys(await world.memory.keys(), keys, "keys() after four first calls of set at once")


@law("L1", examples=[{"turns": turns} for turns in range(8)])
async def a_cancelled_first_call_leaves_it_usable(world: World, turns: int) -> None:
    """When the call that opens is cancelled, the others that wait for it are served."""
    memory = world.memory
    first = Together(world, memory, [Sample("set", ("a", 1))], "first")
    others = Together(world, memory, [Sample("set", (key, key)) for key in "bc"])
    await first.turns(turns)
    first.cancel()
    await first.ended(asyncio.CancelledError)
    await others.ended()
    expect(await memory.get_many(["b", "c"]), {"b": "b", "c": "c"}, "get_many(['b', 'c'])")
    await works(memory, "after a first call was cancelled")


# ------------------------------------------------------------------------------ closing


@law("L1", examples=each_call_and_more)
async def every_call_after_closing_is_refused(world: World, sample: Sample) -> None:
    """After `aclose` every call, `open` included, raises `BackendClosedError`, for good."""
    memory = world.memory
    await memory.set("a", 1)
    await memory.aclose()
    await refused(world, memory, sample)
    await refused(world, memory, sample)
    await memory.aclose()
    await refused(world, memory, sample)
    expect(await memory.health_check(), False, "health_check() of a closed backend")


@law("L1", examples=each_call_and_more)
async def what_was_closed_unopened_is_closed(world: World, sample: Sample) -> None:
    """`aclose` of a backend that was never used closes it as well."""
    memory = world.memory
    await memory.aclose()
    await memory.aclose()
    await refused(world, memory, sample)
    expect(await memory.health_check(), False, "health_check() of a closed backend")


@law("L1", examples=[{"turns": turns} for turns in (None, 0, 1, 2, 3)])
async def closing_twice_is_closing_once(world: World, turns: int | None) -> None:
    """`aclose` may be called any number of times, in turn, at once, and while others call."""
    memory = world.memory
    await memory.set("a", 1)
    others = [] if turns is None else [Sample("set", ("b", 2)), Sample("get", ("a",))] * 3
    calls = Together(world, memory, others)
    await calls.turns(turns or 0)
    await Together(world, memory, [Sample("aclose")] * 5, "closing").ended()
    await calls.ended(BackendClosedError)
    await memory.aclose()
    await refused(world, memory, Sample("get", ("a",)))


@law(
    "L1",
    examples=lambda domain: [
        {**each, "turns": turns} for each in each_call(domain) for turns in range(4)
    ],
)
async def calls_under_way_are_answered_or_refused(world: World, sample: Sample, turns: int) -> None:
    """A call under way when the backend is closed ends as ever, or with `BackendClosedError`."""
    memory = world.memory
    await memory.set("a", 1)
    calls = Together(world, memory, [sample] * 3)
    await calls.turns(turns)
    await memory.aclose()
    # Of three calls of compare_and_set at once two lose: that is as ever.
    await calls.ended(BackendClosedError, ConflictError)


@law("L1", examples=each_call)
async def the_views_of_a_closed_store_are_closed(world: World, sample: Sample) -> None:
    """Namespaces end with their store, those included that are asked for afterwards."""
    memory = world.memory
    view, unused = memory.namespace("tenant"), memory.namespace("other")
    await view.set("a", 1)
    await memory.aclose()
    views = [view, unused]
    try:
        views.append(memory.namespace("late"))
    except BackendClosedError:
        world.trace.note("# which is as good as any later error")
    for each in views:
        await refused(world, each, sample)
        expect(await each.health_check(), False, "health_check() of a closed store's namespace")


@law("L1", examples=each_call)
async def closing_a_view_closes_nothing_else(world: World, sample: Sample) -> None:
    """Closing a namespace ends that view; the store, and other views of it, work on."""
    memory = world.memory
    view, other = memory.namespace("tenant"), memory.namespace("other")
    await view.set("a", 1)
    await view.aclose()
    await refused(world, view, sample)
    await works(other, "of another namespace")
    await works(memory, "of the store")
    expect(await memory.namespace("tenant").get("a"), 1, "get('a') of a new view of 'tenant'")


@law("L1", examples=[{"fails": False}, {"fails": True}])
async def async_with_opens_and_closes(world: World, fails: bool) -> None:
    """`async with` gives the backend itself, closes it, and lets an error through."""
    memory = world.memory
    entered = await memory.call("__aenter__")
    if entered is not memory.backend:
        fail(f"async with gives a {type(entered).__name__} that is not the backend itself")
    await works(memory, "inside of async with")
    error = ValueError("from inside the block") if fails else None
    world.trace.note(f"# the block is left {'by an error' if fails else 'at its end'}")
    if await memory.call("__aexit__", error and ValueError, error, None):
        fail("async with swallows the error that its block raises")
    await refused(world, memory, Sample("get", ("a",)))


@law("L1", hooks=("outage",))
async def closing_ends_a_backend_that_could_not_open(world: World) -> None:
    """A backend that was closed while its service was away stays closed when it is back."""
    memory = world.memory
    async with world.trouble("outage"):
        await Together(world, memory, [Sample("open")]).wait()
        await memory.aclose()
    await refused(world, memory, Sample("open"))
    await refused(world, memory, Sample("get", ("a",)))
