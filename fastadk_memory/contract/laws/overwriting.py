"""Clause T4: what is set anew has the expiry that it was set with, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from hypothesis import strategies as st

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.timing.expiring import Stage, step
from fastadk_memory.contract.timing.lifespan import BLINK
from fastadk_memory.contract.timing.looks import READS, Look, looks
from fastadk_memory.contract.timing.ways import TOUCH, WAYS, Way, ways
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.world import World

GET, EXISTS = READS[:2]

Change: TypeAlias = "tuple[Way, Way, int | None, int]"
"""How a key is stored and how it is stored anew, and both TTLs in steps."""


Lift: TypeAlias = "tuple[Way, float | None, str]"
"""How a key is stored without a TTL, the TTL that it had, if it was there, and the new value."""


def _lifts(domain: Domain) -> list[Lift]:
    """Return every way of storing, over no key and over one that ends soon or late."""
    soon = 0.5 if domain.exact else domain.limits.step_seconds
    olds: tuple[tuple[float | None, str], ...] = (
        (None, "new"), (soon, "new"), (36_000, "new"), (soon, "value"), (36_000, "value"),
    )  # fmt: skip
    return [(way, old, value) for way in ways(domain.capabilities) for old, value in olds]


@batch_law("T4", corpus=_lifts)
async def set_without_a_ttl_lives_for_good(world: World, items: Sequence[Lift]) -> None:
    """Set without a TTL, a key has no expiry, whatever it had before, and be it the same value."""
    stage, latest = Stage(world), world.now()
    keys = [f"key {at}" for at in range(len(items))]
    for key, (_, old, _) in zip(keys, items, strict=True):
        if old is not None:
            await stage.give(key, old)
            latest = max(latest, stage.ends(key).latest if old <= step(world) else 0)
    for key, (way, _, value) in zip(keys, items, strict=True):
        await stage.give(key, None, way, value)
        expect(await stage.memory.ttl(key), None, f"ttl({key!r}) after a {way.method} without one")
        entry = await entry_at(stage.memory, key)
        expect(entry.expires_at, None, f"expires_at of {key!r} after a {way.method} without a TTL")
    await stage.pass_until(latest)
    await world.advance(86_400 if world.exact else 0)
    await stage.pass_by(len(keys))
    for key in keys:
        for look in (GET, EXISTS, *READS[4:6]):
            await stage.look(look, key, ", though it was set without a TTL")
        expect(await stage.memory.ttl(key), None, f"ttl({key!r})")


def _changes(domain: Domain) -> list[Change]:
    """Return changes by every way over each other, with shorter and longer TTLs."""
    over, setters = ways(domain.capabilities, TOUCH), ways(domain.capabilities)
    ttls = ((None, 1), (1, 2), (2, 1), (1, 3), (3, 1), (1, 1))
    return [
        (first, then, old, new)
        for then in setters
        for first in (over if then.method == "set" else over[:1])
        for old, new in ttls
    ]


@batch_law("T4", corpus=_changes)
async def the_ttl_of_the_last_set_counts(world: World, items: Sequence[Change]) -> None:
    """Set anew with a shorter or a longer TTL, by whichever method, a key goes when that ends."""
    stage, unit = Stage(world), step(world)
    for at, (first, _, old, _) in enumerate(items):
        await stage.give(f"key {at}", None if old is None else old * unit, first)
    await world.advance(unit / 2 if world.exact else 0)
    for at, (_, then, _, new) in enumerate(items):
        await stage.give(f"key {at}", new * unit, then, "new")
        await stage.ask(f"key {at}", f"set anew with {new * unit!r}")
    every = [f"key {at}" for at in range(len(items))]
    for _ in range(3):
        # Where time is moved by hand, just before and at the end of some of them.
        await world.advance(unit - BLINK if world.exact else unit / 2)
        for key in every:
            await stage.look(EXISTS, key, _LAST)
        await world.advance(BLINK if world.exact else unit / 2)
        began = world.now()
        found = await stage.memory.get_many(every)
        for key in every:
            stage.judge(key, key in found, f"get_many of {key!r} and others", began, _LAST)
    await stage.pass_until_gone()
    for key in every:
        await stage.look(GET, key, _LAST)


_LAST = ", when the TTL of the last set counts"


@batch_law("T4", corpus=lambda domain: ways(domain.capabilities))
async def a_key_set_after_it_expired_lives_anew(world: World, items: Sequence[Way]) -> None:
    """A key that is set when it has expired lives as long as it is set to live, from then on."""
    stage, unit = Stage(world), step(world)
    keys = {f"{way.method} {new}": (way, new) for new in (1, 3) for way in items}
    for key in keys:
        await stage.give(key, unit)
    await stage.pass_until_gone()
    await world.advance(unit / 2 if world.exact else 0)
    for key, (way, new) in keys.items():
        # Nobody has looked since, so that what expired is still lying about.
        await stage.give(key, new * unit, way, "new")
    for first in [f"{items[0].method} {new}" for new in (1, 3)]:
        await stage.pass_until_just_before(first)
        for key in keys:
            await stage.look(GET, key, _ANEW)
        await stage.pass_until_gone(first)
        await stage.memory.set("other", 1, 36_000)
        for key in keys:
            await stage.look(EXISTS, key, _ANEW)


_ANEW = ", set anew after it had expired"


@law("T4", examples=lambda domain: [{"way": way} for way in ways(domain.capabilities)])
async def get_entry_tells_the_new_expiry(world: World, way: Way) -> None:
    """`expires_at` moves with the TTL of the last set."""
    stage = Stage(world)
    moments = {}
    for ttl in (3_600, 36_000, 7_200):
        await stage.give("a", ttl, way)
        entry = await entry_at(stage.memory, "a")
        if entry.expires_at is None:
            fail(f"expires_at of 'a' is None after a {way.method} with a TTL of {ttl}")
        moments[ttl] = entry.expires_at
    # The rest is for what the calls themselves take, and for whole seconds without ENTRIES.
    for ttl in (36_000, 7_200):
        moved = (moments[ttl] - moments[3_600]).total_seconds()
        if not -2 <= moved - (ttl - 3_600) <= 600:
            fail(f"expires_at of 'a' has moved by {moved:g} s when the TTL 3600 became {ttl}")


@law("T4", needs=Capability.ENTRIES, examples=[{"ttl": None}, {"ttl": 3_600}])
async def set_entry_returns_the_expiry_it_stored(world: World, ttl: int | None) -> None:
    """The entry that `set_entry` returns has the expiry that `get_entry` tells later."""
    memory = world.memory
    await memory.set("a", 1, 60)
    returned = await memory.set_entry("a", 2, ttl, metadata={})
    stored = await entry_at(memory, "a")
    if returned.expires_at is None or stored.expires_at is None:
        expect(returned.expires_at, stored.expires_at, "expires_at that set_entry returns")
        return
    apart = abs((returned.expires_at - stored.expires_at).total_seconds())
    if apart > 1:
        fail(f"expires_at that set_entry returns is {apart:g} s off from what get_entry tells")


@law(
    "T4",
    given={
        "key": Domain.keys,
        "rounds": lambda domain: st.lists(
            st.tuples(st.sampled_from(ways(domain.capabilities, TOUCH)), domain.step_ms()),
            min_size=2,
            max_size=4,
        ),
        "look": lambda domain: st.sampled_from(looks(domain.capabilities)),
        "early": lambda domain: st.booleans(),
    },
    waits=True,
)
async def any_last_ttl_counts(
    world: World, key: str, rounds: list[tuple[Way, int]], look: Look, early: bool
) -> None:
    """However often and with whatever TTLs a key is set, the last one counts."""
    stage = Stage(world)
    for way, ms in rounds[:-1]:
        await stage.give(key, ms / 1000, way)
        await world.advance(ms // 3 / 1000 if world.exact else 0)
    way, ms = rounds[-1]
    await stage.give(key, ms / 1000, WAYS[0] if way is TOUCH else way)
    if early:
        await stage.pass_until_just_before()
        await stage.look_early(look, key)
    else:
        await stage.pass_until_gone()
        await stage.look(look, key)
