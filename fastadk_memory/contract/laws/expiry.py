"""Clause T2: an entry whose time has passed is absent in every method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.timing.expiring import Stage, every_look, every_way, stages, step
from fastadk_memory.contract.timing.lifespan import BLINK
from fastadk_memory.contract.timing.looks import READS, Look, looks
from fastadk_memory.contract.timing.ways import Way
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import view
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError

Looks = Sequence[Look]
Ways = Sequence[Way]

_TOUCHED: tuple[int | None, ...] = (None, 36_000)


@batch_law("T2", corpus=every_look)
async def no_method_finds_an_expired_key(world: World, items: Looks) -> None:
    """Whichever method is the first to look at an expired key takes it for absent."""
    stores = await stages(world, len(items))
    for stage in stores:
        await stage.give("a", step(world))
    await max(stores, key=lambda stage: stage.ends("a").latest).pass_until_gone()
    for stage, look in zip(stores, items, strict=True):
        await stage.look(look, "a")
        if look in READS:
            expect(await stage.memory.exists("a"), False, f"exists('a') after {look.told('a')}")


@batch_law("T2", corpus=every_way)
async def every_way_of_storing_lets_a_key_expire(world: World, items: Ways) -> None:
    """A TTL that `set_many`, `set_entry`, `compare_and_set` or `touch` was given counts, too."""
    stage = Stage(world)
    for way in items:
        await stage.give(way.method, step(world), way)
    await stage.pass_until_gone()
    for look in READS[:5]:
        for way in items:
            await stage.look(look, way.method)
    expect_keys(await stage.memory.keys(), [], "keys() after every TTL has run out")


@batch_law("T2", corpus=lambda domain: ["x", "", 0, False, [], b"", "x" * 20_000, {"a": None}])
async def every_value_expires(world: World, items: Sequence[Any]) -> None:
    """A key expires whatever its value is, an empty or a large one too."""
    stage = Stage(world)
    for at, value in enumerate(items):
        await stage.give(f"key {at}", step(world), value=value)
    await stage.pass_until_gone()
    for at in range(len(items)):
        key = f"key {at}"
        expect(await stage.memory.get(key), None, f"get({key!r}) after its TTL has run out")
    expect_keys(await stage.memory.scan(), [], "scan() after every TTL has run out")


@batch_law("T2", corpus=lambda domain: ["a", *domain.boundary_keys(), "a:b", "*", "é", "\x00"])
async def every_key_expires(world: World, items: Sequence[str]) -> None:
    """A key expires whatever it is, the longest too."""
    stage = Stage(world)
    for key in items:
        await stage.give(key, step(world))
    await stage.pass_until_gone()
    expect(await stage.memory.get_many(items), {}, "get_many after every TTL has run out")
    expect_keys(await stage.memory.keys(), [], "keys() after every TTL has run out")


@batch_law("T2", corpus=lambda domain: _TOUCHED, needs=Capability.TOUCH)
async def touch_does_not_bring_an_expired_key_back(
    world: World, items: Sequence[int | None]
) -> None:
    """`touch` of an expired key returns `False`, and it stays absent."""
    stores = await stages(world, len(items))
    for stage in stores:
        await stage.give("a", step(world))
    await stores[-1].pass_until_gone()
    for stage, ttl in zip(stores, items, strict=True):
        memory = stage.memory
        expect(await memory.touch("a", ttl), False, f"touch('a', {ttl!r}) of an expired key")
        for look in READS[:5]:
            await stage.look(look, "a", f", and after a touch of it with {ttl!r}")
        expect_keys(await memory.keys(), [], "keys() after a touch of the expired key")


@batch_law("T2", corpus=lambda domain: _TOUCHED, needs=Capability.CAS)
async def compare_and_set_takes_an_expired_key_for_absent(
    world: World, items: Sequence[int | None]
) -> None:
    """Of an expired key the old version conflicts and brings nothing back; `ABSENT` wins."""
    stores = await stages(world, len(items))
    versions: list[str] = []
    for stage in stores:
        await _compare_and_set(stage, "b", ABSENT, step(world))
        versions.append(await _compare_and_set(stage, "a", ABSENT, step(world)))
    await stores[-1].pass_until_gone()
    for stage, version, ttl in zip(stores, versions, items, strict=True):
        memory, given = stage.memory, {"expect": version, "ttl": ttl}
        await world.raises(ConflictError, memory, "compare_and_set", "a", "new", **given)
        expect(await memory.exists("a"), False, "exists('a') after a compare_and_set in conflict")
        try:
            await _compare_and_set(stage, "b", ABSENT, ttl)
        except ConflictError:
            fail("compare_and_set of an expired key with ABSENT raises ConflictError")
        expect(await memory.get("b"), "new", "get('b') after compare_and_set with ABSENT")


async def _compare_and_set(stage: Stage, key: str, expected: Any, ttl: float | None) -> str:
    began = stage.world.now()
    version = await stage.memory.compare_and_set(key, "new", expect=expected, ttl=ttl)
    stage.note(key, ttl, began)
    return version


@law("T2", waits=True)
async def an_expired_key_stays_absent(world: World) -> None:
    """An expired key does not come back: not by looking, writing other keys or waiting."""
    memory, stage = world.memory, Stage(world)
    await stage.give("a", step(world))
    await memory.set("ab", "kept", 86_400)
    await stage.pass_until_gone()
    await memory.delete("a")
    for at in range(3):
        await memory.set(f"other {at}", at, 36_000)
        await stage.look(READS[0], "a")
        await memory.clear_pattern("other*")
        await world.advance(86_400 / 7 if world.exact else 0.01)
        for look in READS[1:]:
            await stage.look(look, "a")
        expect_keys(await memory.keys(), ["ab"], "keys()")


def _listings(domain: Domain) -> list[dict[str, str]]:
    """Return which listing comes first: it may purge what the next would show."""
    return [{"first": each} for each in _LISTINGS if domain.exact or each == "scan"]


_LISTINGS = ("keys", "scan", "get_many")


@law("T2", examples=_listings, waits=True)
async def of_many_keys_the_expired_are_absent(world: World, first: str) -> None:
    """Among many keys listings, bulk reads and counts leave out exactly those that expired."""
    memory, stage = world.memory, Stage(world)
    half = world.limits.many_entries // 2
    short, long = ([f"{kind} {at}" for at in range(half)] for kind in ("short", "long"))
    await memory.set_many(dict.fromkeys(long, 1), 36_000)
    began = world.now()
    await memory.set_many(dict.fromkeys(short, 1), step(world))
    stage.note("short", step(world), began)
    await stage.pass_until_gone()
    await _list(memory, first, [*long, *short], long)
    for method in _LISTINGS:
        await _list(memory, method, [*short, *long], long)
    expect(await memory.delete_many(short), 0, "delete_many of expired keys")
    expect(await memory.delete_many([*short, *long[:9]]), 9, "delete_many of expired and 9 others")


async def _list(memory: Handle, method: str, known: list[str], alive: list[str]) -> None:
    if method == "get_many":
        expect_keys(list(await memory.get_many(known)), alive, "the keys of get_many")
    elif method == "scan":
        expect_keys(await memory.scan(), alive, "scan()")
    else:
        expect_keys(await memory.keys(), alive, "keys()")


@batch_law("T2", corpus=every_look)
async def an_expired_key_of_a_namespace_is_absent(world: World, items: Looks) -> None:
    """Keys of a namespace expire, too."""
    stages = [Stage(world, view(world, f"name {at}")) for at in range(len(items))]
    for stage in stages:
        await stage.give("a", step(world))
    await stages[-1].pass_until_gone()
    for stage, look in zip(stages, items, strict=True):
        await stage.look(look, "a")


@batch_law("T2", corpus=lambda domain: READS)
async def every_client_takes_an_expired_key_for_absent(world: World, items: Looks) -> None:
    """What one client has stored expires for another client of the same store."""
    other = await world.second()
    stage, beside = Stage(world), Stage(world, other)
    for at in range(len(items)):
        began = world.now()
        await stage.give(f"key {at}", step(world))
        beside.note(f"key {at}", step(world), began)
    for at, look in enumerate(items):
        await beside.look(look, f"key {at}")
    await beside.pass_until_gone()
    for at, look in enumerate(items):
        await beside.look(look, f"key {at}", ", which another client has stored")


@law(
    "T2",
    given={
        "key": Domain.keys,
        "ms": Domain.step_ms,
        "look": lambda domain: st.sampled_from(looks(domain.capabilities)),
        "way": lambda domain: st.sampled_from(every_way(domain)),
        "later": lambda domain: st.sampled_from([0.0, BLINK, 0.5, 86_400.0]),
    },
    waits=True,
)
async def any_expired_key_is_absent(
    world: World, key: str, ms: int, look: Look, way: Way, later: float
) -> None:
    """Any key, of any TTL and however it was stored, is absent when its time has passed."""
    stage = Stage(world)
    await world.memory.set("other key", "kept", 86_400 * 365)
    await stage.give(key, ms / 1000, way)
    await stage.pass_until_gone()
    await world.advance(later if world.exact else 0)
    await stage.look(look, key)
