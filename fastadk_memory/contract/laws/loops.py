"""Clause X3: one object serves several event loops, one after another and at once in threads."""

from __future__ import annotations

import asyncio
import textwrap
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from fastadk_memory.base import ABSENT, Capability, MemoryBackend
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.concurrent.clients import METHODS, Clients, Through, declared
from fastadk_memory.contract.concurrent.preemption import MOST_POINTS, hold_up
from fastadk_memory.contract.concurrent.threads import LoopThread, in_threads, loop_threads
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import campaign, law
from fastadk_memory.contract.tools.health import good_health
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import BackendClosedError


@dataclass(frozen=True)
class _Place:
    """A loop that uses the backend.

    Attributes:
        name: What to call it in messages.
        memory: The backend; its calls are recorded.
        trace: Where they are.
        number: The number of the loop or thread.
        limit: Seconds that a call may take.
    """

    name: str
    memory: Handle
    trace: Trace
    number: int
    limit: float

    async def do(self, use: Callable[[_Place], Awaitable[None]]) -> None:
        """Use the backend; say where that was if something breaks."""
        try:
            await use(self)
        except Violation as violation:
            message, clause = f"in {self.name}: {violation}", violation.clause
        except Exception as error:  # noqa: BLE001 (a backend may raise anything)
            call = self.trace.failed_call(error) or self.trace.steps[-1]
            told = f"{call} raised {type(error).__name__}: {error}"
            message, clause = f"in {self.name}: {told}", None
        else:
            return
        lines = [f"# In {self.name}, while or after others did alike:", *self.trace.lines()[-12:]]
        raise Violation(message, clause=clause, history="\n".join(lines))

    async def limited(self, call: Awaitable[Any], line: str) -> Any:
        """Make a call that is no recorded one, and note it as a line."""
        self.trace.note(line)
        timer = asyncio.timeout(self.limit)
        try:
            async with timer:
                return await call
        except TimeoutError as error:
            if timer.expired():
                raise Violation(f"{line} did not end within {self.limit:g} s") from error
            raise


_Use = Callable[[_Place], Awaitable[None]]


def _place(world: World, name: str, number: int = 1, memory: Handle | None = None) -> _Place:
    trace = Trace()
    limit = world.limits.operation_seconds
    backend = (memory or world.memory).backend
    return _Place(name, Handle(backend, trace, "memory", limit), trace, number, limit)


# --------------------------------------------------------------------- what each loop does


async def _use(place: _Place) -> None:
    """Use the backend alone, and with calls that wait for each other."""
    memory, number = place.memory, place.number
    if number > 1:
        expect(await memory.get("key"), number - 1, "get('key'), set in another event loop,")
    await memory.set("key", number)
    await memory.set_many({"more": number, f"own-{number}": number})
    expect(await memory.get("key"), number, "get('key')")
    await _together(place)
    own = [f"own-{each}" for each in range(1, number + 1)]
    listed = sorted(key for key in await memory.keys() if key.startswith("own-"))
    expect(listed, sorted(own), "what keys() says of the keys own-...")
    await memory.delete("more")
    expect(await memory.exists("more"), False, "exists('more')")
    await memory.ttl("key")
    scanned = sorted(key for key in await memory.scan() if key.startswith("own-"))
    expect(scanned, sorted(own), "what scan() says of the keys own-...")
    if memory.declares(Capability.CAS):
        await memory.compare_and_set(f"new-{number}", number, expect=ABSENT)
    if memory.declares(Capability.TOUCH):
        expect(await memory.touch("key", 60), True, "touch('key', 60)")
    expect(await good_health(memory), True, "health_check()")


async def _together(place: _Place) -> None:
    """Let calls on one key, and on several, wait for each other, as they would at a lock."""
    backend, number = place.memory.backend, place.number
    calls: list[Awaitable[Any]] = [backend.set("shared", f"{number}.{at}") for at in range(8)]
    calls += [backend.set(f"beside-{at}", number) for at in range(8)]
    # More at once than a pool has connections.
    calls += [backend.get(f"beside-{at}") for at in range(40)]
    line = (
        f"await asyncio.gather(*(memory.set('shared', f'{number}.{{at}}') for at in range(8)), "
        f"*(memory.set(f'beside-{{at}}', {number}) for at in range(8)), "
        "*(memory.get(f'beside-{at}') for at in range(40)))"
    )
    await place.limited(asyncio.gather(*calls), line)
    seen = await place.memory.get("shared")
    if seen not in [f"{number}.{at}" for at in range(8)]:
        fail(f"get('shared') is {seen!r}, which is not what this event loop has just set")


# ------------------------------------------------------------------- one after another


def _one_after_another(bench: Bench, uses: list[tuple[str, _Use]]) -> None:
    """Do something in one event loop after another, each closed when the next begins."""
    bench.examples += 1
    world = World(bench.hooks)
    places: list[_Place] = []

    def play() -> None:
        try:
            _in_new_loop(world.begin())
            for number, (name, use) in enumerate(uses, start=1):
                places.append(_place(world, f"event loop {number}, which {name}", number))
                _in_new_loop(places[-1].do(use))
        finally:
            _in_new_loop(world.end())

    def watched() -> None:
        try:
            _in_a_thread(play, places, bench.limits.blocking_seconds)
        except Violation as violation:
            script = _script(bench, places)
            raise Violation(str(violation), clause=violation.clause, history=script) from None

    bench.guarded(watched, world.trace)


def _in_a_thread(play: Callable[[], None], places: list[_Place], limit: float) -> None:
    """Run something in one thread, so that it can be given up if it blocks."""
    ended: Future[None] = Future()

    def run() -> None:
        try:
            play()
            ended.set_result(None)
        except BaseException as error:  # noqa: BLE001 (it is raised again in the other thread)
            ended.set_exception(error)

    threading.Thread(target=run, name="loops", daemon=True).start()
    try:
        ended.result(limit)
    except TimeoutError:
        if ended.done():
            raise
        place = places[-1].name if places else "the first event loop"
        raise Violation(f"{place}, is blocked: nothing happened for {limit:g} s") from None


def _in_new_loop(coroutine: Any) -> None:
    with asyncio.Runner() as runner:
        runner.run(coroutine)


def _script(bench: Bench, places: list[_Place]) -> str:
    """Return a script with a coroutine function for each loop."""
    body = "\n".join(bench.hooks.construction())
    lines = ["import asyncio", "", "async def begin():", "    global memory"]
    lines += [textwrap.indent(body, "    "), ""]
    names = [f"loop_{place.number}" for place in places]
    for name, place in zip(names, places, strict=True):
        body = "\n".join(place.trace.lines()) or "pass"
        lines += [f"async def {name}():", textwrap.indent(body, "    "), ""]
    return "\n".join(lines + [f"asyncio.run({name}())" for name in ["begin", *names]])


async def _open(place: _Place) -> None:
    await place.memory.open()


async def _use_first(place: _Place) -> None:
    await place.memory.clear()
    await _use(replace(place, number=1))


async def _leave_something(place: _Place) -> None:
    """Leave calls half done: the loop cancels them when it is closed."""
    backend = place.memory.backend
    left = [asyncio.ensure_future(backend.set("key", at)) for at in range(3)]
    left.append(asyncio.ensure_future(_scan_slowly(place.memory)))
    place.trace.note("left = [asyncio.ensure_future(memory.set('key', at)) for at in range(3)]")
    place.trace.note("await asyncio.sleep(0)")
    await asyncio.sleep(0)
    place.trace.note(f"# {len(left)} calls are under way when the loop ends")


async def _scan_slowly(memory: Handle) -> None:
    async for _ in memory.iterate():
        await asyncio.sleep(1)


async def _use_after_leaving(place: _Place) -> None:
    await place.memory.set("key", "next")
    expect(await place.memory.get("key"), "next", "get('key')")
    await _together(place)
    expect(await good_health(place.memory), True, "health_check()")


async def _close(place: _Place) -> None:
    await place.memory.aclose()


async def _is_closed(place: _Place) -> None:
    await place.memory.aclose()
    try:
        await place.memory.get("key")
    except BackendClosedError:
        return
    fail("get('key') raised nothing after aclose() in another event loop", clause="L1")


@campaign("X3")
def event_loops_one_after_another_are_served(bench: Bench) -> None:
    """One object works in one event loop after another, the earlier ones closed."""
    _one_after_another(bench, [("is the first", _use), ("comes next", _use), ("comes last", _use)])


@campaign("X3")
def what_a_closed_loop_left_half_done_holds_up_nobody(bench: Bench) -> None:
    """Calls that an event loop was closed on leave nothing behind that stops the next loop."""
    _one_after_another(bench, [("is left", _leave_something), ("comes next", _use_after_leaving)])


@campaign("X3")
def opening_and_closing_may_happen_in_any_loop(bench: Bench) -> None:
    """`open`, use and `aclose` may each happen in an event loop of its own."""
    opened, used, closed = ("opens", _open), ("uses", _use_first), ("closes", _close)
    _one_after_another(bench, [opened, used, closed])
    _one_after_another(bench, [used, opened, used, closed])
    if not any(waiver.clause == "L1" for waiver in bench.hooks.waivers):
        _one_after_another(bench, [used, closed, ("comes late", _is_closed)])


# ------------------------------------------------------------------------- in threads


@law("X3")
async def threads_one_after_another_are_served(world: World) -> None:
    """One object works in the loops of threads one after another, and still in the first loop."""
    limit = 2 * world.limits.operation_seconds
    await _place(world, "the first event loop", 1).do(_use)
    for number in (2, 3):
        place = _place(world, f"thread {number}", number)
        await in_threads([partial(place.do, _use)], limit)
    await _place(world, "the first event loop", 4).do(_use)


_MANY = 120
_ROUNDS = 6


@law("X3")
async def threads_at_once_are_served(world: World) -> None:
    """One object serves several threads at once, on the same keys and on different ones."""
    memory = world.memory
    entries = {f"there-{number}": number for number in range(_MANY)}
    await memory.set_many(entries)
    world.trace.steps.clear()

    places = [_place(world, f"thread {number} of 4", number) for number in range(1, 5)]
    await in_threads(
        [partial(place.do, _hammer) for place in places], 4 * world.limits.operation_seconds
    )
    left = [f"{number}-stays" for number in range(1, 5)]
    expect_keys(await memory.keys(), [*entries, *left, "shared"], "keys() after the threads ended")
    for number in range(1, 5):
        expect(await memory.get(f"{number}-stays"), _ROUNDS - 1, f"get('{number}-stays')")


async def _hammer(place: _Place) -> None:
    memory, number = place.memory, place.number
    for turn in range(_ROUNDS):
        await memory.set(f"{number}-stays", turn)
        await memory.set(f"{number}-goes", [number, turn])
        await memory.set("shared", f"{number}.{turn}")
        expect(await memory.get(f"{number}-stays"), turn, f"get('{number}-stays')")
        await memory.set_many({f"{number}-goes-{at}": at for at in range(10)}, 3600)
        found = await memory.get_many([f"{number}-goes", "there-1", f"{number}-goes-3"])
        mine = {f"{number}-goes": [number, turn], "there-1": 1, f"{number}-goes-3": 3}
        expect(found, mine, "get_many of keys that no other thread uses")
        listed = set(await memory.keys())
        if not {*mine, f"{number}-stays"} <= listed:
            fail("keys() lacks keys that are there, while other threads write")
        if len([key for key in await memory.scan() if key.startswith("there-")]) != _MANY:
            fail("scan() does not list each key once, while other threads write")
        shared = await memory.get("shared")
        if not isinstance(shared, str) or shared.count(".") != 1:
            fail(f"get('shared') is {shared!r}, which nobody has set")
        await memory.delete(f"{number}-goes")
        deleted = await memory.delete_many([f"{number}-goes-{at}" for at in range(5)])
        expect(deleted, 5, "delete_many of 5 keys that no other thread uses")
        await memory.delete_many([f"{number}-goes-{at}" for at in (5, 6, 8, 9)])
        await memory.clear_pattern(f"{number}-goes-7")
        expect(await memory.exists(f"{number}-goes-7"), False, "exists of a deleted key")
        expect(await good_health(memory), True, "health_check()")


@law("X3")
async def a_call_may_wait_for_one_of_another_loop(world: World) -> None:
    """While a call waits in one event loop, calls of another one on the same key get answers."""
    names = declared(world.memory.capabilities)
    numbers = count(1)
    with loop_threads(1, world.limits.operation_seconds) as threads:
        for name in names:
            for meanwhile in ("set", "get", name):
                for point in range(1, MOST_POINTS + 1):
                    key = f"key-{next(numbers)}"
                    if not await _wait_across(world, threads[0], name, meanwhile, point, key):
                        break


async def _wait_across(
    world: World, thread: LoopThread, name: str, meanwhile: str, point: int, key: str
) -> bool:
    clients = Clients(world.memory.backend, world.limits.operation_seconds)

    async def first(through: Through) -> None:
        await clients.perform("main thread", name, key, "late", through)

    async def other() -> None:
        await clients.perform("thread 1", meanwhile, key, "meanwhile")

    await clients.call("main thread", "set", key, "first")
    reached = await hold_up(first, point, other, thread, limit=4 * clients.limit)
    kinds = {METHODS[each].kind for each in (name, meanwhile)}
    if kinds <= {"get", "exists", "get_entry"}:
        expect(await world.memory.get(key), "first", f"get({key!r}), which nobody changed,")
    return reached


# Calls that may be the first, which opens.
_FIRST: dict[str, Callable[[MemoryBackend], Awaitable[Any]]] = {
    "open()": lambda memory: memory.open(),
    "set('key', 1)": lambda memory: memory.set("key", 1),
    "get('key')": lambda memory: memory.get("key"),
    "keys()": lambda memory: memory.keys(),
}


@law("X3")
async def threads_may_open_at_once(world: World) -> None:
    """Whichever of several threads comes first opens, and all of them are served."""
    limit = world.limits.operation_seconds
    with loop_threads(1, limit) as threads:
        for way in _FIRST:
            for point in range(1, MOST_POINTS + 1):
                if not await _open_across(world, threads[0], way, point):
                    break
    for _ in range(5):
        fresh = await world.fresh()
        places = [_place(world, f"thread {at} of 4", at, fresh) for at in range(1, 5)]
        await in_threads([partial(place.do, _open_and_use) for place in places], 2 * limit)


async def _open_across(world: World, thread: LoopThread, way: str, point: int) -> bool:
    fresh = await world.fresh()
    here = _place(world, "the main thread", 1, fresh)
    there = _place(world, "another thread", 2, fresh)

    async def first(through: Through) -> None:
        call = _FIRST[way](fresh.backend)
        await here.do(lambda place: _held_up(place, way, point, through(call)))

    def others() -> Coroutine[Any, Any, None]:
        return there.do(_open_and_use)

    reached = await hold_up(first, point, others, thread, limit=4 * here.limit)
    await here.do(_open_and_use)
    return reached


async def _held_up(place: _Place, way: str, point: int, call: Awaitable[Any]) -> None:
    await place.limited(call, f"await memory.{way}  # held up at its suspension point {point}")


async def _open_and_use(place: _Place) -> None:
    key = f"key-{place.number}"
    await place.memory.open()
    await place.memory.set(key, place.number)
    expect(await place.memory.get(key), place.number, f"get({key!r})")


@law("X3")
async def closing_waits_for_calls_of_other_loops(world: World) -> None:
    """`aclose` in one thread while another one writes: each call ends, and all are closed."""
    limit = world.limits.operation_seconds
    with loop_threads(1, limit) as threads:
        for point in range(1, MOST_POINTS + 1):
            if not await _close_across(world, threads[0], point):
                break


async def _close_across(world: World, thread: LoopThread, point: int) -> bool:
    fresh = await world.fresh()
    here = _place(world, "the main thread", 1, fresh)
    there = _place(world, "another thread", 2, fresh)
    await here.memory.set("key", 1)

    async def set_unless_closed(through: Through) -> None:
        with suppress(BackendClosedError):
            await _held_up(here, "set('key', 2)", point, through(fresh.backend.set("key", 2)))

    async def first(through: Through) -> None:
        await here.do(lambda _: set_unless_closed(through))

    def others() -> Coroutine[Any, Any, None]:
        return there.do(_close)

    reached = await hold_up(first, point, others, thread, limit=4 * here.limit)
    await here.do(_close)
    return reached
