"""Clause X2: a cancelled call has happened or has not, and confuses no other call."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability, MemoryBackend
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.compare import expect, fail, identical
from fastadk_memory.contract.concurrent.clients import Clients, Through, declared
from fastadk_memory.contract.concurrent.linearizability import require_linearizable
from fastadk_memory.contract.concurrent.preemption import MOST_POINTS
from fastadk_memory.contract.concurrent.stepper import Fate, cancelled_at, delayed
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import campaign, law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.calls import pass_turns
from fastadk_memory.contract.tools.health import good_health
from fastadk_memory.contract.violations import Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import BackendClosedError, ConflictError


@dataclass(frozen=True)
class _Target:
    """A call that is going to be cancelled.

    Attributes:
        source: The call as source.
        call: Makes it.
        needs: The capabilities that it takes.
        present: Whether the keys `key` and `more` are there at first.
    """

    source: str
    call: Callable[[MemoryBackend], Awaitable[Any]]
    needs: tuple[Capability, ...] = ()
    present: bool = True


async def _scan(memory: MemoryBackend) -> list[str]:
    return [key async for key in memory.scan()]


async def _swap(memory: MemoryBackend) -> str:
    entry = await memory.get_entry("key")
    assert entry is not None
    assert entry.version is not None
    return await memory.compare_and_set("key", "new", expect=entry.version)


_NEVER = 1_000_000
_BOTH = {"more": "new", "key": "new"}
_SET = _Target("memory.set('key', 'new')", lambda m: m.set("key", "new"))
_GET = _Target("memory.get('key')", lambda m: m.get("key"))
_OPEN = _Target("memory.open()", lambda m: m.open())
_SET_MANY = _Target(f"memory.set_many({_BOTH})", lambda m: m.set_many(_BOTH))
_TARGETS = (
    _SET,
    replace(_SET, present=False),
    _Target("memory.set('key', 'new', 60)", lambda m: m.set("key", "new", 60)),
    _GET,
    _Target("memory.delete('key')", lambda m: m.delete("key")),
    _Target("memory.exists('key')", lambda m: m.exists("key")),
    _Target("memory.keys()", lambda m: m.keys()),
    _Target("memory.clear()", lambda m: m.clear()),
    _Target("memory.clear_pattern('*')", lambda m: m.clear_pattern("*")),
    _Target("memory.ttl('key')", lambda m: m.ttl("key")),
    _Target("memory.health_check()", lambda m: m.health_check()),
    _OPEN,
    _Target("memory.get_entry('key')", lambda m: m.get_entry("key")),
    _Target("memory.get_many(['more', 'key'])", lambda m: m.get_many(["more", "key"])),
    _SET_MANY,
    replace(_SET_MANY, present=False),
    _Target("memory.delete_many(['more', 'key'])", lambda m: m.delete_many(["more", "key"])),
    _Target("[key async for key in memory.scan()]", _scan),
    _Target(
        "memory.set_entry('key', 'new', metadata={'m': 1})",
        lambda m: m.set_entry("key", "new", metadata={"m": 1}),
        (Capability.ENTRIES,),
    ),
    _Target(
        "memory.compare_and_set('key', 'new', expect=...)",
        _swap,
        (Capability.CAS, Capability.ENTRIES),
    ),
    _Target(
        "memory.compare_and_set('key', 'new', expect=ABSENT)",
        lambda m: m.compare_and_set("key", "new", expect=ABSENT),
        (Capability.CAS,),
        present=False,
    ),
    _Target("memory.touch('key', 60)", lambda m: m.touch("key", 60), (Capability.TOUCH,)),
)


def _targets(capabilities: frozenset[Capability]) -> Iterator[_Target]:
    return (each for each in _TARGETS if set(each.needs) <= capabilities)


# ------------------------------------------------------------------ at every point of a call


@dataclass(frozen=True)
class _State:
    """What is stored under a key, as far as a write can change it."""

    there: bool
    value: Any
    expiry: str
    metadata: str
    version: str

    def __str__(self) -> str:
        if not self.there:
            return "absent"
        more = f", metadata {self.metadata}, version {self.version}" if self.version else ""
        return f"{show(self.value)} ({self.expiry}{more})"


async def _state(memory: Handle, key: str, version: str | None = None) -> tuple[_State, str | None]:
    """Return the state of a key, and its version."""
    value, there, ttl = await memory.get(key), await memory.exists(key), await memory.ttl(key)
    expiry = "no expiry"
    if isinstance(ttl, int):
        expiry = "expires late" if ttl > 1000 else "expires soon"
    entry = await memory.get_entry(key) if memory.declares(Capability.ENTRIES) else None
    if entry is None:
        return _State(there, value, expiry, "", ""), None
    same = "as before" if entry.version == version else "another"
    return _State(there, value, expiry, show(entry.metadata), same), entry.version


_States: TypeAlias = dict[str, _State]


@campaign("X2")
def a_call_cancelled_anywhere_has_happened_or_has_not(bench: Bench) -> None:
    """Wherever a call is cancelled: the old or the new state, and all other calls as usual."""
    for target in _targets(bench.domain.capabilities):
        # What the call does if nobody cancels it.
        new: _States = {}
        bench.example(_learn, target=target, new=new)
        _sweep(bench, _cancel, target=target, new=new)


@campaign("X2")
def a_cancelled_opening_leaves_the_backend_usable(bench: Bench) -> None:
    """Cancelled while it opens the backend, a call leaves it usable; the next one opens it."""
    for target in (_OPEN, _SET, _GET):
        _sweep(bench, _cancel_opening, target=target)


@campaign("X2")
def a_cancelled_close_can_be_repeated(bench: Bench) -> None:
    """A cancelled `aclose` has closed or has not; called again, it closes."""
    _sweep(bench, _cancel_closing)


def _sweep(bench: Bench, body: Callable[..., Awaitable[Fate]], **arguments: Any) -> None:
    """Cancel at each suspension point, until the call ends before it comes to one."""
    for late in (False, True):
        for point in range(int(late), MOST_POINTS + 1):
            fates: list[Fate] = []

            async def example(world: World, *, late: bool = late, point: int = point) -> None:
                fates.append(await body(world, point=point, late=late, **arguments))  # noqa: B023

            bench.example(example)
            if not fates[0].asked:
                break


async def _cancel(world: World, target: _Target, point: int, *, late: bool, new: _States) -> Fate:
    memory = world.memory
    if target.present:
        await memory.set("key", "old", 3600)
        await memory.set("more", "old")
    await memory.set_many({"one": 1, "two": 2})
    old: _States = {}
    versions: dict[str, str | None] = {}
    for key in ("key", "more"):
        old[key], versions[key] = await _state(memory, key)
        old[key] = replace(old[key], version="as before" if versions[key] else "")
    fate = await _cancelled(world, target, point, late=late)
    seen = {key: (await _state(memory, key, versions[key]))[0] for key in old}
    if point == _NEVER:
        new.update(seen)
    else:
        await _expect_old_or_new(world, seen, old, new)
    clears = target.source.startswith("memory.clear")
    for key, value in {"one": 1, "two": 2}.items():
        allowed = (value, None) if clears else (value,)
        _expect_one_of(await memory.get(key), allowed, f"get({key!r}), which nobody cancelled,")
    await _expect_usable(world)
    return fate


async def _learn(world: World, target: _Target, new: _States) -> None:
    await _cancel(world, target, _NEVER, late=False, new=new)


async def _cancelled(world: World, target: _Target, point: int, *, late: bool) -> Fate:
    """Cancel the call, while two others are under way that must get their own answers."""
    backend = world.memory.backend
    flag = ", late=True" if late else ""
    world.trace.note("from fastadk_memory.contract.concurrent.stepper import cancelled_at")
    world.trace.note("one = asyncio.ensure_future(memory.get('one'))")
    world.trace.note(f"fate = cancelled_at({point}, {target.source}{flag})")
    one = asyncio.ensure_future(backend.get("one"))
    call = cancelled_at(point, target.call(backend), late=late)
    everything = asyncio.gather(one, call, backend.get("two"))
    shown = "await asyncio.gather(one, fate, memory.get('two'))"
    found = await _limited(world, everything, shown)
    fate: Fate = found[1]
    world.trace.note(f"print({shown})  # [{show(found[0])}, {fate}, {show(found[2])}]")
    _expect_not_swallowed(fate, target.source, point)
    clears = target.source.startswith("memory.clear")
    for key, seen, own in (("one", found[0], 1), ("two", found[2], 2)):
        what = f"get({key!r}), which ran while another call was cancelled,"
        _expect_one_of(seen, (own, None) if clears else (own,), what)
    return fate


async def _limited(world: World, call: Awaitable[Any], shown: str) -> Any:
    limit = world.limits.operation_seconds
    timer = asyncio.timeout(limit)
    try:
        async with timer:
            return await call
    except Exception as error:
        if timer.expired():
            raise Violation(f"{shown} did not end within {limit:g} s") from error
        raise Violation(f"{shown} raised {type(error).__name__}: {error}") from error


def _expect_not_swallowed(fate: Fate, source: str, point: int) -> None:
    where = f"{source}, cancelled at its suspension point {point},"
    if fate.error is not None:
        told = f"raised {type(fate.error).__name__}: {fate.error}"
        raise Violation(f"{where} {told}, expected CancelledError" if fate.asked else told)
    if fate.swallowed:
        raise Violation(f"{where} returned {show(fate.result)}, expected CancelledError")
    if fate.cancelled and not fate.asked:
        raise Violation(f"{source} raised CancelledError, though nobody cancelled it")


def _expect_one_of(seen: Any, allowed: tuple[Any, ...], what: str) -> None:
    if not any(identical(seen, each) for each in allowed):
        expected = " or ".join(dict.fromkeys(show(each) for each in allowed))
        raise Violation(f"{what} is {show(seen)}, expected {expected}")


async def _expect_old_or_new(world: World, seen: _States, old: _States, new: _States) -> None:
    """Require that each key is as before or as after the call, and stays so."""
    for key, state in seen.items():
        if state not in (old[key], new[key]):
            expected = " or ".join(dict.fromkeys([str(old[key]), str(new[key])]))
            raise Violation(f"after the cancelled call {key!r} is {state}, expected {expected}")
    await pass_turns(5)
    for key, state in seen.items():
        what = f"get({key!r}), asked once more after the cancelled call,"
        expect(await world.memory.get(key), state.value, what)


async def _expect_usable(world: World) -> None:
    """Require right answers from all that a cancelled call might have left locked or confused."""
    memory = world.memory
    await memory.set("key", "later")
    await memory.set_many({"more": "later too", "third": 3})
    expect(await memory.get("key"), "later", "get('key')")
    await memory.delete("third")
    many = await memory.get_many(["more", "third"])
    expect(many, {"more": "later too"}, "get_many(['more', 'third'])")
    keys = sorted(set(await memory.keys()) - {"one", "two"})
    expect(keys, ["key", "more"], "keys() without 'one' and 'two'")
    expect(await good_health(memory), True, "health_check()")
    await memory.aclose()


async def _cancel_opening(world: World, target: _Target, point: int, *, late: bool) -> Fate:
    world.trace.note("from fastadk_memory.contract.concurrent.stepper import cancelled_at")
    flag = ", late=True" if late else ""
    shown = f"await cancelled_at({point}, {target.source}{flag})"
    fate: Fate = await _limited(
        world, cancelled_at(point, target.call(world.memory.backend), late=late), shown
    )
    world.trace.note(f"print({shown})  # {fate}")
    _expect_not_swallowed(fate, target.source, point)
    new = "new" if target is _SET else None
    _expect_one_of(await world.memory.get("key"), (None, new), "get('key')")
    await _expect_usable(world)
    return fate


async def _cancel_closing(world: World, point: int, *, late: bool) -> Fate:
    memory = world.memory
    await memory.set("key", "value")
    world.trace.note("from fastadk_memory.contract.concurrent.stepper import cancelled_at")
    flag = ", late=True" if late else ""
    shown = f"await cancelled_at({point}, memory.aclose(){flag})"
    fate: Fate = await _limited(
        world, cancelled_at(point, memory.backend.aclose(), late=late), shown
    )
    world.trace.note(f"print({shown})  # {fate}")
    _expect_not_swallowed(fate, "memory.aclose()", point)
    try:
        expect(await memory.get("key"), "value", "get('key') after an aclose that has not happened")
    except BackendClosedError:
        world.trace.note("# it is closed already")
    await memory.aclose()
    try:
        await memory.get("key")
    except BackendClosedError:
        return fate
    if not world.waived("L1"):
        fail("the backend still works after aclose()", clause="L1")
    return fate


# ----------------------------------------------------------------------- nothing comes later


@law("X2")
async def a_cancelled_write_does_not_come_later(world: World) -> None:
    """What a cancelled write has not done when it ends, it never does."""
    backend = world.memory.backend
    settled: dict[str, tuple[str, Any]] = {}
    for name, write in _WRITES.items():
        for late in (False, True):
            for point in range(1, MOST_POINTS + 1):
                fate = await _cancel_write(world, settled, name, write, point, late=late)
                if not fate.asked:
                    break
    await asyncio.sleep(0.02)
    for key, (told, value) in settled.items():
        if not identical(await backend.get(key), value):
            seen = show(await backend.get(key))
            history = f"{told}\nawait asyncio.sleep(0.02)\nprint(await memory.get('key'))  # {seen}"
            raise Violation(
                f"a cancelled call took effect after it had ended: get('key') is {seen}, "
                f"expected {show(value)}",
                history=history,
            )


_WRITES: dict[str, Callable[[MemoryBackend, str], Awaitable[Any]]] = {
    "set({key}, 'new')": lambda memory, key: memory.set(key, "new"),
    "set_many({{{key}: 'new'}})": lambda memory, key: memory.set_many({key: "new"}),
    "delete({key})": lambda memory, key: memory.delete(key),
    "delete_many([{key}])": lambda memory, key: memory.delete_many([key]),
}


async def _cancel_write(
    world: World,
    settled: dict[str, tuple[str, Any]],
    name: str,
    write: Callable[[MemoryBackend, str], Awaitable[Any]],
    point: int,
    *,
    late: bool,
) -> Fate:
    """Cancel a write on two keys: look at the one at once, overwrite the other at once."""
    backend = world.memory.backend
    seen, over = f"seen-{len(settled)}", f"over-{len(settled)}"
    fate = Fate(asked=False, cancelled=False)
    flag = ", late=True" if late else ""
    shown = f"await cancelled_at({point}, memory.{name.format(key=repr('key'))}{flag})"
    for key in (seen, over):
        await backend.set(key, "old")
        fate = await _limited(world, cancelled_at(point, write(backend, key), late=late), shown)
        script = f"await memory.set('key', 'old')\n{shown}"
        if key == seen:
            value = await backend.get(key)
            settled[key] = (f"{script}\nprint(await memory.get('key'))  # {show(value)}", value)
        else:
            await backend.set(key, "later")
            settled[key] = (f"{script}\nawait memory.set('key', 'later')", "later")
    return fate


# --------------------------------------------------------------------- many at once


@law("X2", examples=[{"seed": seed} for seed in range(3)])
async def many_cancelled_calls_use_nothing_up(world: World, seed: int) -> None:
    """After any number of cancelled calls every key still answers with its own value."""
    backend = world.memory.backend
    chance = random.Random(seed)
    keys = [f"key-{number}" for number in range(40)]
    await backend.set_many({key: f"value of {key}" for key in keys})
    for _ in range(6):
        chance.shuffle(keys)
        calls = [_perhaps_cancelled(backend, key, chance) for key in keys]
        shown = "40 calls at once, 60% of them cancelled"
        await _limited(world, asyncio.gather(*calls), shown)
    found = await _limited(
        world, asyncio.gather(*(backend.get(key) for key in keys)), "40 calls of get at once"
    )
    for key, seen in zip(keys, found, strict=True):
        expect(seen, f"value of {key}", f"get({key!r}) after many other calls were cancelled")


async def _perhaps_cancelled(backend: MemoryBackend, key: str, chance: random.Random) -> None:
    value = f"value of {key}"
    writes = chance.random() < 0.3
    # Most calls have few suspension points.
    point = chance.choice([1, 1, 1, 2, 2, 3, 4]) if chance.random() < 0.6 else MOST_POINTS
    late = chance.random() < 0.5
    call = backend.set(key, value) if writes else backend.get(key)
    fate = await cancelled_at(point, call, late=late)
    source = f"memory.set({key!r}, {value!r})" if writes else f"memory.get({key!r})"
    _expect_not_swallowed(fate, source, point)
    if not fate.cancelled and not writes:
        expect(fate.result, value, f"{source}, while other calls were cancelled,")


@dataclass(frozen=True)
class _Step:
    """What one client does next: a call, held up for some turns, and cancelled or not."""

    name: str
    key: str
    turns: tuple[int, ...]
    point: int | None
    late: bool

    def __repr__(self) -> str:
        return f"{self.name} {self.key} {list(self.turns)} {self.point} {self.late}"


def _plans(domain: Domain) -> SearchStrategy[list[list[_Step]]]:
    names = declared(domain.capabilities, "clear", "set_many")
    steps = st.builds(
        _Step,
        st.sampled_from(names),
        st.sampled_from(["a", "b"]),
        st.lists(st.integers(0, 4), max_size=4).map(tuple),
        st.sampled_from([None, None, 1, 2, 3]),
        st.booleans(),
    )
    return st.lists(st.lists(steps, min_size=1, max_size=5), min_size=2, max_size=4)


async def _carry_out(world: World, plan: list[list[_Step]]) -> None:
    clients = Clients(world.memory.backend, world.limits.operation_seconds)

    async def client(number: int, steps: list[_Step]) -> None:
        for at, step in enumerate(steps, start=1):
            await pass_turns(step.turns[0] if step.turns else 0)
            try:
                await clients.perform(
                    f"task {number}", step.name, step.key, f"{number}.{at}", _through(step)
                )
            except asyncio.CancelledError:
                continue

    tasks = (client(number, steps) for number, steps in enumerate(plan, start=1))
    await _limited(world, asyncio.gather(*tasks), "a few tasks at once")
    for key in ("a", "b"):
        for _ in range(2):
            await clients.call("afterwards", "get", key)
            await clients.call("afterwards", "exists", key)
            await pass_turns(5)
    require_linearizable(clients.history(), f"{len(plan)} tasks at once, calls cancelled")


def _through(step: _Step) -> Through:
    async def call(made: Awaitable[Any]) -> Any:
        slow = delayed(made, step.turns[1:])
        if step.point is None:
            return await slow
        fate = await cancelled_at(step.point, slow, late=step.late)
        if isinstance(fate.error, ConflictError) and not fate.asked:
            raise fate.error  # an answer as good as any: it lost before it could be cancelled
        _expect_not_swallowed(fate, f"{step.name}({step.key!r}, ...)", step.point)
        if fate.cancelled:
            raise asyncio.CancelledError
        return fate.result

    return call


@campaign("X2")
def calls_cancelled_at_once_stay_linearizable(bench: Bench) -> None:
    """Of calls that run at once and are cancelled anywhere each has happened or has not."""

    def trial(plan: list[list[_Step]]) -> None:
        bench.example(_carry_out, plan=plan)

    bench.hunt(trial, {"plan": _plans(bench.domain)}, bench.profile.schedules)


# ----------------------------------------------------------------------------- timeouts


@law("X2", examples=[{"seconds": seconds} for seconds in (0, 0.0002, 0.001, 0.003)])
async def a_call_that_times_out_has_happened_or_has_not(world: World, seconds: float) -> None:
    """The same when it is `asyncio.timeout` that cancels, while others go on."""
    names = declared(world.memory.capabilities, "clear")
    clients = Clients(world.memory.backend, world.limits.operation_seconds)
    keys = ("a", "b")

    async def client(number: int) -> None:
        for at, name in enumerate(names):
            try:
                await clients.perform(
                    f"task {number}",
                    name,
                    keys[(number + at) % 2],
                    f"{number}.{at}",
                    _timing_out(seconds, name) if number else None,
                )
            except asyncio.CancelledError:
                continue

    what = "3 tasks at once"
    await _limited(world, asyncio.gather(*(client(number) for number in range(3))), what)
    for key in keys:
        await clients.call("afterwards", "get", key)
        await clients.call("afterwards", "set", key, "later")
        await clients.call("afterwards", "get", key)
    await asyncio.sleep(0.005)
    for key in keys:
        await clients.call("afterwards", "get", key)
    require_linearizable(clients.history(), f"{what}, calls timing out after {seconds} s")


def _timing_out(seconds: float, name: str) -> Through:
    async def call(made: Awaitable[Any]) -> Any:
        timer = asyncio.timeout(seconds)
        try:
            async with timer:
                result = await made
        except TimeoutError:
            if timer.expired():
                raise asyncio.CancelledError from None
            raise
        if timer.expired():
            raise Violation(f"{name} returned {show(result)}, though asyncio.timeout cancelled it")
        return result

    return call
