"""Clauses T5 and T6: what `ttl` says of the time that is left, and that looking adds none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import expect
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.timing.expiring import Stage, step
from fastadk_memory.contract.timing.lifespan import BLINK
from fastadk_memory.contract.timing.looks import READS, Look
from fastadk_memory.contract.timing.ways import TOUCH, Way, ways
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.world import World

EXISTS = READS[1]

# ---------------------------------------------------------------- T5: ttl rounds up

_TTLS: tuple[float, ...] = (
    0.125, 0.4, 0.5, 0.999, 0.001, 1, 1.0, 1.001, 1.5, 1.999, 2, 2.001, 2.5, 3, 10, 10.25, 59.5, 60,
    60.5, 99.875, 119.001, 3_599.999, 3_600, 3_600.5, 86_400, 86_400.25, 604_800, 2_592_000.5, 1e9,
    2_147_483.5, 2_147_484, 4_294_967.5, 100_000_000.5, 3_155_760_000,
)  # fmt: skip


@batch_law("T5", corpus=lambda domain: _TTLS)
async def ttl_rounds_up_to_whole_seconds(world: World, items: Sequence[float]) -> None:
    """`ttl` gives whole seconds rounded up, as an `int`: 1 s is 1, 1.001 s is 2, 0.4 s is 1."""
    stage = Stage(world)
    for at, ttl in enumerate(items):
        await stage.give(f"key {at}", ttl)
        await _ask(stage, f"key {at}", ttl)


@batch_law("T5", corpus=lambda domain: ways(domain.capabilities, TOUCH))
async def ttl_rounds_up_however_it_was_stored(world: World, items: Sequence[Way]) -> None:
    """`ttl` rounds up for entries of every way of storing, and whatever their values are."""
    stage = Stage(world)
    for ttl in (90.5, 1.5, 60):
        for way in items:
            for value in ("value", "", 0, None):
                key = f"{way.method} {ttl} {value!r}"
                await stage.give(key, ttl, way, value)
                await _ask(stage, key, ttl)


@law("T5", waits=True)
async def ttl_counts_down(world: World) -> None:
    """What `ttl` says goes down with the time, never to 0 while the key lives."""
    stage = Stage(world)
    ttls = (0.75, 1, 1.5, 2, 2.125, 3) if world.exact else (1.2, 1.0, 0.8, 60.5)
    for ttl in ttls:
        await stage.give(f"key {ttl}", ttl)
    for _ in range(26 if world.exact else 5):
        for ttl in ttls:
            await _ask(stage, f"key {ttl}", ttl)
        await world.advance(0.125 if world.exact else world.limits.step_seconds)


@law("T5", waits=True)
async def ttl_is_1_to_the_last(world: World) -> None:
    """Just before the end `ttl` says 1, not 0."""
    stage = Stage(world)
    await stage.give("a", step(world))
    await stage.pass_until_just_before("a")
    for _ in range(2):
        await _ask(stage, "a", step(world))


async def _ask(stage: Stage, key: str, ttl: float) -> None:
    await stage.ask(key, f"set with {ttl!r}", exactly=True)


@law("T5", waits=True)
async def ttl_of_an_absent_key_is_none(world: World) -> None:
    """`ttl` of a key that was never set, was deleted, cleared or has expired is `None`."""
    memory, stage = world.memory, Stage(world)
    expect(await memory.ttl("never"), None, "ttl of a key that was never set")
    for key in ("deleted", "bulk", "other", "cleared"):
        await memory.set(key, 1, 36_000)
    await memory.delete("deleted")
    expect(await memory.ttl("deleted"), None, "ttl of a deleted key")
    await memory.delete_many(["bulk"])
    expect(await memory.ttl("bulk"), None, "ttl of a key that delete_many has removed")
    await memory.clear_pattern("other*")
    expect(await memory.ttl("other"), None, "ttl of a key that clear_pattern has removed")
    await memory.clear()
    expect(await memory.ttl("cleared"), None, "ttl of a key that clear has removed")
    await stage.give("expired", step(world))
    await stage.pass_until_gone()
    expect(await memory.ttl("expired"), None, "ttl of an expired key")
    expect(await memory.ttl("expired"), None, "ttl of an expired key, once more")


@law("T5", needs=Capability.TOUCH)
async def ttl_without_an_expiry_is_none(world: World) -> None:
    """`ttl` of a key without an expiry, which `touch(key, None)` has lifted, is `None`."""
    stage, memory = Stage(world), world.memory
    await stage.give("a", 36_000)
    expect(await memory.touch("a", None), True, "touch('a', None)")
    expect(await memory.ttl("a"), None, "ttl('a') after touch('a', None)")
    began = world.now()
    await memory.touch("a", 90.5)
    stage.note("a", 90.5, began)
    await _ask(stage, "a", 90.5)


@law(
    "T5",
    given={
        "ms": lambda domain: st.one_of(st.integers(1, 5_000), st.integers(1, 10**9)),
        "passed": lambda domain: st.floats(0, 1.2) if domain.exact else st.just(0.0),
        "way": lambda domain: st.sampled_from(ways(domain.capabilities, TOUCH)),
    },
)
async def any_ttl_rounds_up(world: World, ms: int, passed: float, way: Way) -> None:
    """`ttl` rounds up whatever the TTL was and however much of it has passed."""
    stage = Stage(world)
    await stage.give("a", ms / 1000, way)
    await _ask(stage, "a", ms / 1000)
    await world.advance(int(ms * passed) / 1000)
    await _ask(stage, "a", ms / 1000)


# -------------------------------------------------------- T6: reading does not extend


async def _health_check(memory: Handle, key: str) -> bool:
    await memory.health_check()
    return await memory.get(key) is not None


async def _get_twice(memory: Handle, key: str) -> bool:
    await memory.get_many([key, "b", key])
    return await memory.get(key) is not None


async def _absent_beside(memory: Handle, key: str) -> bool:
    await memory.get("never set")
    await memory.delete("never set")
    return await memory.exists(key)


_READERS = (
    *READS,
    Look("health_check(), get({key})", _health_check),
    Look("get_many([{key}, 'b', {key}]), get({key})", _get_twice),
    Look("get('never set'), exists({key})", _absent_beside),
)


@batch_law("T6", corpus=lambda domain: _READERS)
async def no_reading_moves_an_expiry(world: World, items: Sequence[Look]) -> None:
    """However often a key is read, and by whichever method, it ends when it was to end."""
    stages = [Stage(world)]
    stages += [Stage(world, await world.fresh(f"other{at}")) for at in range(1, len(items))]
    for stage, look in zip(stages, items, strict=True):
        await stage.give("a", step(world))
        await stage.look_early(look, "a")
    for _ in range(3):
        await world.advance(step(world) / 4)
        for stage, look in zip(stages, items, strict=True):
            await stage.look_early(look, "a", _READ)
            await stage.look_early(look, "a", _READ)
    await stages[0].pass_until_just_before()
    for stage, look in zip(stages, items, strict=True):
        await stage.look_early(look, "a", _READ)
    await max(stages, key=lambda stage: stage.ends("a").latest).pass_until_gone()
    for stage, look in zip(stages, items, strict=True):
        await stage.look(EXISTS, "a", f", read by {look.told('a')} until then")
        await stage.look(look, "a", _READ)


_READ = ", read until then"


@batch_law("T6", corpus=lambda domain: ways(domain.capabilities, TOUCH))
async def no_reading_moves_an_expiry_however_given(world: World, items: Sequence[Way]) -> None:
    """Reading moves no expiry of `set_many`, `set_entry`, `compare_and_set` or `touch` either."""
    stage = Stage(world)
    values: list[Any] = ["value", "", 0, ["a", {"b": 1}], "x" * 9_000]
    keys = {f"{way.method} {at}": (way, value) for way in items for at, value in enumerate(values)}
    for key, (way, value) in keys.items():
        await stage.give(key, step(world), way, value)
    for _ in range(2):
        await world.advance(step(world) / 4)
        for key in keys:
            await stage.look_early(READS[0], key)
            await stage.look_early(READS[3], key)
        for look in READS[4:]:
            await stage.look_early(look, next(iter(keys)))
    await stage.pass_until_gone()
    for key in keys:
        await stage.look(EXISTS, key, _READ)


@law("T6", waits=True)
async def reading_one_moves_no_other(world: World) -> None:
    """Reading a key moves neither the expiry of another nor what `ttl` says of it."""
    stage = Stage(world)
    await stage.give("a", step(world))
    for key in ("ab", "b"):
        await stage.give(key, 60.5)
    for _ in range(4):
        for look in READS:
            await stage.look(look, "ab")
        await stage.memory.health_check()
        for key in ("ab", "b"):
            await stage.ask(key, "set with 60.5")
        await world.advance(step(world) / 4)
    await stage.pass_until_gone("a")
    await stage.look(EXISTS, "a", ", others read until then")
    for key in ("ab", "b"):
        await stage.ask(key, "set with 60.5")


@law("T6")
async def reading_leaves_expires_at(world: World) -> None:
    """Reading leaves `expires_at` where it was, and gives no key an expiry that it had not."""
    stage, memory = Stage(world), world.memory
    await stage.give("a", 36_000)
    await stage.give("b", 36_000)
    if memory.declares(Capability.TOUCH):
        await memory.touch("b", None)
    for look in READS:
        for _ in range(2):
            await world.advance(3_600 / 16 if world.exact else 0)
            await look.finds(memory, "a")
            await look.finds(memory, "b")
        await stage.ask("a", "set with 36_000")
        if memory.declares(Capability.TOUCH):
            expect(await memory.ttl("b"), None, f"ttl('b') after {look.told('b')}")


@law(
    "T6",
    given={
        "key": Domain.keys,
        "ms": Domain.step_ms,
        "readings": lambda domain: st.lists(
            st.tuples(st.sampled_from(_READERS), st.integers(0, 15)), min_size=1, max_size=5
        ),
        "early": lambda domain: st.booleans(),
    },
    waits=True,
)
async def any_readings_move_no_expiry(
    world: World, key: str, ms: int, readings: list[tuple[Look, int]], early: bool
) -> None:
    """Whatever is read, and when, a key ends when it was to end."""
    stage = Stage(world)
    await stage.give(key, ms / 1000)
    start = world.now()
    for look, at in sorted(readings, key=lambda each: each[1]):
        await stage.pass_until(start + ms * at / 16_000)
        await stage.look_early(look, key)
    if early:
        await stage.pass_until_just_before()
        await stage.look_early(EXISTS, key, _READ)
    await stage.pass_until_gone()
    await world.advance(BLINK if world.exact else 0)
    await stage.look(EXISTS, key, _READ)
