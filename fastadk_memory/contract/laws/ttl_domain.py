"""Clause T1: what a TTL is, and that nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.ttl_forms import NO_TTLS, TTLS, no_ttls, ttls
from fastadk_memory.contract.show import show
from fastadk_memory.contract.timing.expiring import Stage
from fastadk_memory.contract.timing.lifespan import BLINK
from fastadk_memory.contract.timing.ways import TOUCH, WAYS, Way, ways
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import InvalidTTLError
from fastadk_memory.ttl import ttl_to_ms

Items = Sequence[Any]

SET, SET_MANY, SET_ENTRY, COMPARE_AND_SET = WAYS


def _taken(domain: Domain) -> Items:
    return TTLS


def _refused(domain: Domain) -> Items:
    return NO_TTLS


# ------------------------------------------------------------------ what is taken


@batch_law("T1", corpus=_taken, drawn=lambda domain: ttls())
async def set_takes_every_ttl(world: World, items: Items) -> None:
    """`set` takes an int or float of seconds or a timedelta, from 1 ms to 100 years."""
    await _takes(world, items, SET)


@batch_law("T1", corpus=_taken, drawn=lambda domain: ttls())
async def set_many_takes_every_ttl(world: World, items: Items) -> None:
    """`set_many` takes every TTL that `set` takes, and it means the same."""
    await _takes(world, items, SET_MANY)


@batch_law("T1", corpus=_taken, drawn=lambda domain: ttls(), needs=Capability.ENTRIES)
async def set_entry_takes_every_ttl(world: World, items: Items) -> None:
    """`set_entry` takes every TTL that `set` takes, and it means the same."""
    await _takes(world, items, SET_ENTRY)


@batch_law("T1", corpus=_taken, drawn=lambda domain: ttls(), needs=Capability.CAS)
async def compare_and_set_takes_every_ttl(world: World, items: Items) -> None:
    """`compare_and_set` takes every TTL that `set` takes, and it means the same."""
    await _takes(world, items, COMPARE_AND_SET)


@batch_law("T1", corpus=_taken, drawn=lambda domain: ttls(), needs=Capability.TOUCH)
async def touch_takes_every_ttl(world: World, items: Items) -> None:
    """`touch` takes every TTL that `set` takes, and it means the same."""
    await _takes(world, items, TOUCH)


async def _takes(world: World, items: Items, way: Way) -> None:
    stage = Stage(world)
    for at, ttl in enumerate(items):
        await stage.give(f"key {at}", ttl, way)
        await stage.ask(f"key {at}", f"after a {way.method} with {show(ttl)}")


@batch_law("T1", corpus=lambda domain: _short_ones())
async def a_ttl_counts_in_milliseconds_rounded_up(world: World, items: Items) -> None:
    """A fraction of a millisecond in a TTL counts as a whole one, however it was passed."""
    if not world.exact:
        raise NotApplicable("time passes by itself: milliseconds cannot be told apart")
    stage = Stage(world)
    for way in ways(world.memory.capabilities, TOUCH):
        for ttl in items:
            await stage.give(f"{way.method} {ttl}", ttl, way)
    start = world.now()
    for ttl in sorted(items, key=lambda ttl: ttl_to_ms(ttl) or 0):
        ms = ttl_to_ms(ttl)
        assert ms is not None
        await stage.pass_until(start + ms / 1000 - BLINK)
        for way in ways(world.memory.capabilities, TOUCH):
            found = await stage.memory.exists(f"{way.method} {ttl}")
            expect(found, True, f"exists after nearly {ms} ms, {way.method} with {show(ttl)},")


def _short_ones() -> Items:
    return [ttl for ttl in TTLS if (ttl_to_ms(ttl) or 0) < 100_000]


# ---------------------------------------------------------------- what is refused


@batch_law("T1", corpus=_refused, drawn=lambda domain: no_ttls())
async def set_refuses_what_is_no_ttl(world: World, items: Items) -> None:
    """`set` raises InvalidTTLError for what is no TTL, and changes nothing."""
    await _refuses(world, items, "set", "new")


@batch_law("T1", corpus=_refused, drawn=lambda domain: no_ttls())
async def set_many_refuses_what_is_no_ttl(world: World, items: Items) -> None:
    """`set_many` raises InvalidTTLError for what is no TTL, and changes nothing."""
    before = await _prepared(world)
    for bad in items:
        for batch in ({"new": 2}, {"kept": 2}, {"new": 2, "kept": 2, "other": 2}, {}):
            await world.expect_error(InvalidTTLError, "set_many", batch, bad)
        await _expect_unchanged(world, before, f"a set_many with {show(bad)}")


@batch_law("T1", corpus=_refused, drawn=lambda domain: no_ttls(), needs=Capability.ENTRIES)
async def set_entry_refuses_what_is_no_ttl(world: World, items: Items) -> None:
    """`set_entry` raises InvalidTTLError for what is no TTL, and changes nothing."""
    await _refuses(world, items, "set_entry", "new", metadata={"m": 2})


@batch_law("T1", corpus=_refused, drawn=lambda domain: no_ttls(), needs=Capability.CAS)
async def compare_and_set_refuses_what_is_no_ttl(world: World, items: Items) -> None:
    """`compare_and_set` refuses what is no TTL, whatever it expects, and changes nothing."""
    before = await _prepared(world)
    entry = await world.memory.get_entry("kept")
    versions = [ABSENT, "no version of it"]
    if entry is not None and entry.version is not None:
        versions.insert(0, entry.version)
    for bad in items:
        for key in ("kept", "new"):
            for given in versions:
                await world.expect_error(
                    InvalidTTLError, "compare_and_set", key, 2, expect=given, ttl=bad
                )
        await _expect_unchanged(world, before, f"a compare_and_set with {show(bad)}")


@batch_law("T1", corpus=_refused, drawn=lambda domain: no_ttls(), needs=Capability.TOUCH)
async def touch_refuses_what_is_no_ttl(world: World, items: Items) -> None:
    """`touch` raises InvalidTTLError for what is no TTL, of absent keys too; nothing changes."""
    before = await _prepared(world)
    for bad in items:
        for key in ("kept", "other", "new"):
            await world.expect_error(InvalidTTLError, "touch", key, bad)
        await _expect_unchanged(world, before, f"a touch with {show(bad)}")


async def _refuses(world: World, items: Items, method: str, value: Any, **more: Any) -> None:
    before = await _prepared(world)
    for bad in items:
        for key in ("kept", "other", "new"):
            await world.expect_error(InvalidTTLError, method, key, value, bad, **more)
        await _expect_unchanged(world, before, f"a {method} with {show(bad)}")


State = dict[str, tuple[Any, ...]]


async def _prepared(world: World) -> State:
    """Store one key with an expiry and one without, and return all that is known of them."""
    await world.memory.set("kept", "old", 36_000)
    await world.memory.set("other", "old")
    return await _state(world)


async def _expect_unchanged(world: World, before: State, what: str) -> None:
    expect_keys(await world.memory.keys(), ["kept", "other"], f"keys() after {what}")
    after = await _state(world)
    for key, (value, left, *more) in before.items():
        expect(after[key][0], value, f"get({key!r}) after {what}")
        now_left = after[key][1]
        expect(now_left is None, left is None, f"ttl({key!r}) is None after {what}")
        slack = 0 if world.exact else 3_600
        if left is not None and not left - slack <= now_left <= left:
            fail(f"ttl({key!r}) is {now_left!r} after {what}, and was {left!r} before")
        expect(list(after[key][2:]), more, f"version and metadata of {key!r} after {what}")


async def _state(world: World) -> State:
    memory = world.memory
    state: State = {}
    for key in ("kept", "other"):
        entry = await memory.get_entry(key)
        kept = (None, {}) if entry is None else (entry.version, entry.metadata)
        state[key] = (await memory.get(key), await memory.ttl(key), *kept)
    return state
