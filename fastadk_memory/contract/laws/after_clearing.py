"""Clause C3: clearing is not closing; nothing from before it reaches what comes after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from random import Random
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import law
from fastadk_memory.contract.timing.meter import Meter, condensed, metered
from fastadk_memory.contract.tools.calls import pass_turns
from fastadk_memory.contract.tools.health import good_health
from fastadk_memory.contract.tools.stock import (
    expect_absent,
    fill,
    fill_in_every_way,
    fill_numbered,
    remove_all,
    view,
)
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError

_UNREAD = 100  # entries that expire without being read
_SIZE = 10_000  # bytes of each

CLEARINGS: tuple[Mapping[str, Any], ...] = tuple(
    {"method": method, "names": names}
    for names in ((), ("tenant",))
    for method in ("clear", "clear_pattern")
)
"""Both ways to clear, of a store and of a namespace."""


def chosen(world: World, names: tuple[str, ...]) -> Handle:
    """Return the store itself, or a namespace of it."""
    return view(world, *names) if names else world.memory


@law("C3", examples=CLEARINGS)
async def every_method_works_afterwards(world: World, method: str, names: tuple[str, ...]) -> None:
    """After clearing, the same keys can be set, read, listed and deleted as on the first day."""
    memory = chosen(world, names)
    await fill_in_every_way(memory, ["a", "b", "c"])
    await remove_all(memory, method, [])
    await memory.set("a", "new")
    await memory.set_many({"b": None, "c": 3}, 3600)
    expect(await memory.get("a"), "new", f"get('a') after {method} and a new set")
    expect(await memory.exists("b"), True, "exists('b')")
    if await memory.ttl("c") is None:
        fail("ttl('c') is None, though 'c' was set with a TTL")
    expect_keys(await memory.keys(), ["a", "b", "c"], "keys()")
    expect_keys(await memory.scan(), ["a", "b", "c"], "scan()")
    found = await memory.get_many(["a", "b", "c", "d"])
    expect(found, {"a": "new", "b": None, "c": 3}, "get_many(['a', 'b', 'c', 'd'])")
    await memory.delete("a")
    expect(await memory.delete_many(["a", "b", "c"]), 2, "delete_many of two that are there")
    expect_keys(await memory.keys(), [], "keys() after all was deleted")
    expect(await good_health(memory), True, "health_check()")


@law("C3", examples=CLEARINGS)
async def it_can_be_done_again_and_again(world: World, method: str, names: tuple[str, ...]) -> None:
    """Clearing works any number of times, whether or not there is anything to clear."""
    memory = chosen(world, names)
    for number in range(4):
        await remove_all(memory, method, [])
        await remove_all(memory, method, [])
        await memory.set("a", number)
        expect(await memory.get("a"), number, f"get('a') after {method} and a new set")
        expect_keys(await memory.keys(), ["a"], f"keys() after {method} and a new set")


@law("C3", examples=CLEARINGS)
async def others_work_on_afterwards(world: World, method: str, names: tuple[str, ...]) -> None:
    """After one namespace or the store was cleared, all of them work on."""
    memory = chosen(world, names)
    handles = [
        world.memory,
        view(world, "tenant"),
        view(world, "other"),
        view(world, "tenant", "x"),
    ]
    for handle in handles:
        await handle.set("a", 1)
    await remove_all(memory, method, [])
    for at, handle in enumerate(handles):
        await handle.set("a", at)
        await handle.set("b", at)
        await handle.delete("b")
    for at, handle in enumerate(handles):
        expect(await handle.get("a"), at, f"{handle.name}.get('a') after {memory.name}.{method}")


@law("C3", needs=Capability.ENTRIES, examples=CLEARINGS)
async def old_metadata_is_gone(world: World, method: str, names: tuple[str, ...]) -> None:
    """An entry that is set after clearing has nothing of the one that was there before."""
    memory = chosen(world, names)
    old = await memory.set_entry("a", 1, 3600, metadata={"old": True})
    await remove_all(memory, method, [])
    await memory.set("a", 2)
    entry = await memory.get_entry("a")
    if entry is None:
        fail(f"get_entry('a') is None after {method} and a new set")
    expect(dict(entry.metadata), {}, f"the metadata of 'a' after {method} and a new set")
    if entry.expires_at is not None and entry.expires_at == old.expires_at:
        fail(f"'a' has the expiry again that it had before {method}")
    if entry.version == old.version:
        fail(f"'a' has the version again that it had before {method}: versions never repeat")


@law("C3", needs=Capability.CAS, examples=CLEARINGS)
async def old_versions_are_over(world: World, method: str, names: tuple[str, ...]) -> None:
    """Versions go on after clearing: an old one is refused, and never comes again."""
    memory = chosen(world, names)
    seen: list[str] = []
    for number in range(4):
        version = await memory.compare_and_set("a", number, expect=ABSENT)
        if version in seen:
            fail(f"compare_and_set returned a version that was there before {method}")
        seen.append(version)
        await remove_all(memory, method, [])
        await world.raises(ConflictError, memory, "compare_and_set", "a", 9, expect=version)
    await memory.compare_and_set("a", 0, expect=ABSENT)
    for version in seen:
        await world.raises(ConflictError, memory, "compare_and_set", "a", 9, expect=version)
    expect(await memory.get("a"), 0, "get('a') after compare_and_set was refused")


@law("C3", examples=CLEARINGS)
async def clearing_is_over_when_it_returns(
    world: World, method: str, names: tuple[str, ...]
) -> None:
    """What is set as soon as many entries are cleared stays: nothing goes on clearing."""
    memory = chosen(world, names)
    keys = await fill_numbered(memory, world.limits.many_entries // 4)
    await remove_all(memory, method, [])
    again = [*keys[:3], keys[len(keys) // 2], *keys[-3:], "new"]
    await fill(memory, again)
    await pass_turns(200)
    expect_keys(await memory.keys(), again, f"keys() a moment after {method} and new sets")


# ------------------------------------------------------------------------------ expiries


async def set_short(memory: Handle, prefix: str, ttl: float) -> list[str]:
    """Set keys with a TTL, in each way that there is; return the keys."""
    keys = [f"{prefix}{letter}" for letter in "abc"]
    await memory.set(keys[0], "old", ttl)
    await memory.set_many(dict.fromkeys(keys[1:], "old"), ttl)
    if memory.declares(Capability.ENTRIES):
        await memory.set_entry(f"{prefix}d", "old", ttl, metadata={})
        keys.append(f"{prefix}d")
    if memory.declares(Capability.TOUCH):
        await memory.set(f"{prefix}e", "old")
        await memory.touch(f"{prefix}e", ttl)
        keys.append(f"{prefix}e")
    if memory.declares(Capability.CAS):
        await memory.compare_and_set(f"{prefix}f", "old", expect=ABSENT, ttl=ttl)
        keys.append(f"{prefix}f")
    return keys


async def set_to_stay(memory: Handle, keys: list[str]) -> None:
    """Set the same keys so that they stay, with a longer TTL or without any."""
    for key in keys[::2]:
        await memory.set(key, "new")
    await memory.set(keys[1], "new", 3600)
    await memory.set_many(dict.fromkeys(keys[3::2], "new"))


async def expect_to_stay(memory: Handle, keys: list[str], after: str) -> None:
    """Require that what was set to stay is there."""
    told = f"after {after}, new sets, and the time of the old TTLs"
    expect(await memory.get_many(keys), dict.fromkeys(keys, "new"), f"get_many {told}")
    missing = sorted(set(keys) - set(await memory.keys()))
    expect(missing, [], f"what of {keys} is missing in keys() {told}")


@law("C3", waits=True)
async def old_expiries_are_over(world: World) -> None:
    """A key that is set after clearing does not expire when the one before it would have."""
    memory, tenant = world.memory, view(world, "tenant")
    step = world.limits.step_seconds
    cleared: list[tuple[Handle, list[str], str]] = []
    for handle in (memory, tenant):  # in this order: the first clear reaches the namespace
        keys = await set_short(handle, "x", step)
        await handle.clear()
        await set_to_stay(handle, keys)
        cleared.append((handle, keys, f"{handle.name}.clear()"))
    for handle in (memory, tenant):
        keys = await set_short(handle, "y", step)
        await handle.clear_pattern("y*")
        await set_to_stay(handle, keys)
        cleared.append((handle, keys, f"{handle.name}.clear_pattern('y*')"))
    await world.advance(2 * step + world.limits.margin_seconds)
    for handle, keys, after in cleared:
        await handle.set("another", 1)  # a write may be what removes expired entries
        await expect_to_stay(handle, keys, after)


@law("C3", waits=True)
async def space_comes_back_afterwards(world: World) -> None:
    """Entries that are set after clearing, and expire unread, give back their space as ever."""
    stores = {"clear": world.memory, "clear_pattern": await world.fresh()}
    step = world.limits.step_seconds
    with metered(world) as meter:
        for method, memory in stores.items():
            await set_short(memory, "x", step)
            await remove_all(memory, method, [])
            await use(memory)
        before = await held(meter, stores.values())
        for memory in stores.values():
            await set_unread(world, memory, step)
        full = await held(meter, stores.values())
        if not world.hooks.provides("held") and full - before < _UNREAD * _SIZE // 2:
            raise NotApplicable("the store is not in this process: define the hook held")
        await world.advance(step + world.limits.margin_seconds)
        await expect_space_back(world, meter, stores.values(), full, before)


async def held(meter: Meter, stores: Iterable[Handle]) -> int:
    """Return what several stores hold in all."""
    return sum([await meter.held(memory) for memory in stores])


async def set_unread(world: World, memory: Handle, ttl: float) -> None:
    """Store entries with a TTL that are never looked at again."""
    value = f"Random(at).randbytes({_SIZE // 2}).hex()"
    call = f"    await {memory.name}.set(f'unread {{at}}', {value}, {ttl!r})"
    lines = ("from random import Random", f"for at in range({_UNREAD}):", call)
    with condensed(world, *lines):
        for at in range(_UNREAD):
            await memory.set(f"unread {at}", Random(at).randbytes(_SIZE // 2).hex(), ttl)


async def use(memory: Handle) -> None:
    """Set and read a few keys: what removes expired entries may do it on the way."""
    for at in range(20):
        await memory.set(f"used {at % 5}", at)
        await memory.get(f"used {at % 5}")


async def expect_space_back(
    world: World, meter: Meter, stores: Collection[Handle], full: int, before: int
) -> None:
    """Use other keys until nine tenths of the space is back.

    Raises:
        Violation: It takes longer than the limit.
    """
    limit = world.limits.reclaim_seconds
    deadline, rounds = time.monotonic() + limit, 0
    while (now := await held(meter, stores)) > full - (full - before) * 0.9:
        if time.monotonic() > deadline and rounds >= 20:
            told = f"{meter.told(now)}, full they were {meter.told(full)}"
            fail(f"stores that had been cleared hold {told}, {limit:g} s after entries expired")
        with condensed(world, *(["# other keys are used for a long time"] if not rounds else [])):
            for memory in stores:
                await use(memory)
            await world.advance(limit / 20 if world.exact else 0)
            await asyncio.sleep(0.001)
        rounds += 1


@law("C3", waits=True)
async def new_expiries_count(world: World) -> None:
    """A key that is set with a TTL after clearing expires, whatever the one before it had."""
    memory = world.memory
    step = world.limits.step_seconds
    before: Iterable[tuple[str, float | None]] = (("a", 3600), ("b", None), ("c", 1.5 * step))
    for key, ttl in before:
        await memory.set(key, "old", ttl)
    await memory.clear()
    await memory.set_many({"a": 1, "b": 1, "c": 1}, step)
    await memory.set("d", 1, 3600)
    await memory.clear_pattern("d")
    await memory.set("d", 2, step)
    await world.advance(step + world.limits.margin_seconds)
    await memory.set("another", 1)
    expect_keys(await memory.keys(), ["another"], "keys() after the time of the new TTLs")
    await expect_absent(memory, ["a", "b", "c", "d"], "after the time of the new TTLs")
