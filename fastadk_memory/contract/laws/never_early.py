"""Clause T3: an entry is there until its time has passed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.timing.expiring import Stage, every_look, every_way, stages, step
from fastadk_memory.contract.timing.looks import READS, Look, looks
from fastadk_memory.contract.timing.ways import TOUCH, Way, ways
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World

Looks = Sequence[Look]
Ways = Sequence[Way]

_DAYS = (20, 25, 30, 31, 50, 365, 25_000, 36_525)


@batch_law("T3", corpus=every_look)
async def every_method_finds_a_key_to_the_last(world: World, items: Looks) -> None:
    """Just before its end a key is still there, whichever method looks."""
    stores = await stages(world, len(items))
    for stage in stores:
        await stage.give("a", step(world))
    await stores[0].pass_until_just_before()
    for stage, look in zip(stores, items, strict=True):
        await stage.look_early(look, "a")


@batch_law("T3", corpus=every_way)
async def fractions_of_a_second_count(world: World, items: Ways) -> None:
    """A TTL of 1.9 seconds is not cut to 1, and one of 1.4 not rounded to 1."""
    stage = Stage(world)
    keys = {f"{way.method} {ttl}": (way, ttl) for ttl in (1.9, 1.4) for way in items}
    for key, (way, ttl) in keys.items():
        await stage.give(key, ttl, way)
    await stage.pass_until(min(stage.ends(key).earliest for key in keys) - 0.2)
    for key in keys:
        await stage.look_early(READS[1], key)
        await stage.look_early(READS[0], key)
    for ttl in (1.4, 1.9) if world.exact else ():
        last = f"{items[0].method} {ttl}"
        await stage.pass_until_just_before(last)
        for way in items:
            await stage.look(READS[0], f"{way.method} {ttl}")


_BIT = timedelta(microseconds=1)
_FRACTIONS = (0.0015, 0.0025, timedelta(milliseconds=2) + _BIT, timedelta(seconds=1) + 500 * _BIT)


@batch_law("T3", corpus=every_way)
async def fractions_of_a_millisecond_count(world: World, items: Ways) -> None:
    """A TTL of 2.5 ms is not cut to 2, be it a float or a `timedelta`."""
    if not world.exact:
        raise NotApplicable("time passes by itself: milliseconds cannot be told apart")
    for ttl in _FRACTIONS:
        seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
        stage = Stage(world)
        for way in items:
            await stage.give(way.method, ttl, way)
        await world.advance(int(seconds * 1000) / 1000)
        for way in items:
            await stage.look(READS[0], way.method, f", of a TTL of {ttl!r}")


@batch_law("T3", corpus=every_way)
async def fractions_of_long_ttls_count(world: World, items: Ways) -> None:
    """A TTL of 30 days and 1.5 seconds is not cut to whole seconds, minutes or days."""
    if not world.exact:
        raise NotApplicable("needs time that is moved by hand")
    stage = Stage(world)
    for days in (1, 7, 29, 30, 31, 60, 366):
        keys = {f"{way.method} {days}": way for way in items}
        for key, way in keys.items():
            await stage.give(key, days * 86_400 + 1.5, way)
        await stage.pass_until_just_before(*keys)
        for key in keys:
            await stage.look(READS[1], key, f", of a TTL of {days} days and 1.5 seconds")


@batch_law("T3", corpus=lambda domain: [(way, d) for way in every_way(domain) for d in _DAYS])
async def long_ttls_are_long(world: World, items: Sequence[tuple[Way, int]]) -> None:
    """A TTL of weeks or years is not taken for a moment in the past or a small number."""
    stage = Stage(world)
    keys = [f"{days} days by {way.method}" for way, days in items]
    for key, (way, days) in zip(keys, items, strict=True):
        await stage.give(key, days * 86_400, way)
    for passing in (0, 19.5, 5, 5, 20) if world.exact else (0,):
        await world.advance(passing * 86_400)
        for key in keys:
            await stage.look(READS[1], key)


async def _delete(memory: Handle) -> None:
    await memory.delete("a")


async def _delete_many(memory: Handle) -> None:
    await memory.delete_many(["a"])


async def _clear(memory: Handle) -> None:
    await memory.clear()


async def _clear_pattern(memory: Handle) -> None:
    await memory.clear_pattern("a*")


async def _touch(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    await memory.touch(key, ttl)


TOUCH_AGAIN = Way("touch", _touch, TOUCH.needs)
"""A `touch` of what is there, with the expiry that it has."""

Removal = Callable[[Handle], Coroutine[Any, Any, None]]


@batch_law("T3", corpus=lambda domain: [_delete, _delete_many, _clear, _clear_pattern])
async def a_key_set_again_has_its_own_time(world: World, items: Sequence[Removal]) -> None:
    """The expiry of an entry that was removed does not reach the next one under its key."""
    stores = await stages(world, len(items))
    ends: list[float] = []
    for stage, remove in zip(stores, items, strict=True):
        await stage.give("a", step(world))
        ends.append(stage.ends("a").latest)
        await remove(stage.memory)
        await stage.give("a", 36_000)
    await stores[0].pass_until(max(ends))
    for stage in stores:
        await stage.memory.set("other", 1)
        for look in READS[:6]:
            await stage.look(look, "a", ", when that of an entry removed before has come")


@batch_law(
    "T3",
    corpus=lambda domain: [
        (way, ttl) for way in (*ways(domain.capabilities), TOUCH_AGAIN) for ttl in (36_000, None)
        if way.needs.issubset(domain.capabilities)
    ],
)  # fmt: skip
async def a_key_given_more_time_has_it(
    world: World, items: Sequence[tuple[Way, float | None]]
) -> None:
    """When the time that a key had at first has passed, it is there if it was given more."""
    stage = Stage(world)
    keys = [f"{way.method} {ttl}" for way, ttl in items]
    for key in keys:
        await stage.give(key, step(world))
    ends = [stage.ends(key).latest for key in keys]
    in_time = [
        key
        for key, (way, ttl) in zip(keys, items, strict=True)
        if await _give_in_time(stage, key, way, ttl)
    ]
    await stage.pass_until(max(ends))
    await stage.pass_by(len(keys))
    for key in in_time:
        for look in READS[:2]:
            await stage.look(look, key, ", when the time that it had at first has passed")


async def _give_in_time(stage: Stage, key: str, way: Way, ttl: float | None) -> bool:
    """Give a key another TTL; tell whether it must have got that.

    A `touch` that ends when the first TTL may have passed has perhaps found nothing.
    """
    world, end = stage.world, stage.ends(key).earliest
    await stage.give(key, ttl, way)
    return way is not TOUCH_AGAIN or world.exact or world.now() < end


@law("T3", waits=True)
async def an_expiring_key_takes_no_other_along(world: World) -> None:
    """When a key expires, its neighbours stay, whatever their names and however they came."""
    stage, neighbours = Stage(world), ["ab", "a:b", "a/b", "A", "aa", " a", "a*", "b"]
    for each in neighbours:
        await stage.give(each, 36_000)
    began = world.now()
    await stage.memory.set_many({"a": 1, "together": 2}, step(world))
    stage.note("a", step(world), began)
    await stage.give("together", 36_000)
    await stage.pass_until_gone("a")
    for look in READS:
        await stage.look(look, "a")
        for each in (*neighbours, "together"):
            await stage.look(look, each, f", after {look.told('a')} of an expired key")
        # A store that tidies up in passing may do so now.
        await stage.give("later", 36_000)


@law("T3", waits=True)
async def each_of_many_keys_has_its_own_time(world: World) -> None:
    """Of many keys with many TTLs each goes at its own time, in whatever order they were set."""
    stage = Stage(world)
    number = 200
    order = [at * 77 % number for at in range(number)]
    for at in order:
        ttl = 1 + at * 0.125 if world.exact else world.limits.step_seconds * (1 + at % 7)
        await stage.give(f"key {at}", ttl)
    for _ in range(12 if world.exact else 4):
        await world.advance(2.5 if world.exact else world.limits.step_seconds)
        await stage.memory.set("another", 1, 36_000)
        began = world.now()
        found = await stage.memory.keys("key *")
        for at in order:
            stage.judge(f"key {at}", f"key {at}" in found, f"keys('key *') with key {at}", began)


@law(
    "T3",
    given={
        "key": Domain.keys,
        "ms": Domain.step_ms,
        "look": lambda domain: st.sampled_from(looks(domain.capabilities)),
        "way": lambda domain: st.sampled_from(every_way(domain)),
        "stops": lambda domain: st.lists(st.sampled_from(READS), max_size=3),
    },
    waits=True,
)
async def any_key_is_there_to_the_last(
    world: World, key: str, ms: int, look: Look, way: Way, stops: Looks
) -> None:
    """Any key, of any TTL and however it was stored, is there until just before its end."""
    stage = Stage(world)
    await stage.give(key, ms / 1000, way)
    for read in stops:
        await world.advance(ms // 4 / 1000 if world.exact else 0)
        await stage.look_early(read, key)
    await stage.pass_until_just_before()
    await stage.look_early(look, key)
