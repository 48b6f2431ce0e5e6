"""Clause M1: `touch` changes only the expiry, and does not bring back what has expired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from fastadk_memory.base import Capability, Ttl
from fastadk_memory.contract.compare import as_stored, expect, expect_keys, fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.many import numbered
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.timing.lifespan import EARLY
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.calls import Sample
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.snapshots import expect_same, snapshot
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError, CorruptEntryError, InvalidTTLError

_LONG = 36_000


def _step(world: World) -> float:
    return 0.5 if world.exact else world.limits.step_seconds


async def _pass(world: World, seconds: float) -> None:
    """Let a TTL pass that began before this call."""
    await world.advance(seconds if world.exact else seconds + world.limits.margin_seconds)


async def _expect_left(memory: Handle, key: str, ttl: float | None, told: str) -> None:
    """Require that `ttl` answers what fits a TTL given just now; for long ones."""
    left = await memory.ttl(key)
    if ttl is None:
        expect(left, None, f"ttl({show(key)}) {told}")
    elif left is None or not ttl - 60 <= left <= ttl + 1:
        fail(f"ttl({show(key)}) {told} is {left}, expected about {ttl:g}")


# ------------------------------------------------------------------------ what it leaves


async def _store(memory: Handle, key: str, value: Any, ttl: Ttl | None) -> None:
    if memory.declares(Capability.ENTRIES):
        await memory.set_entry(key, value, ttl, metadata={"kept": [1, None, {"a": b"\x00"}]})
    else:
        await memory.set(key, value, ttl)


@batch_law(
    "M1", corpus=lambda _: NASTY_VALUES, drawn=Domain.values, needs=Capability.TOUCH, share=0.5
)
async def touch_changes_only_the_expiry(world: World, items: Sequence[Any]) -> None:
    """Value, metadata, creation time and version are after `touch` what they were before it."""
    memory = world.memory
    for at, value in enumerate(items):
        await _store(memory, f"key{at}", value, _LONG)
    before = [await snapshot(world, memory, f"key{at}") for at in range(len(items))]
    if world.exact:
        await world.advance(2)
    for ttl in (90_000, None):
        for at, was in enumerate(before):
            key, told = f"key{at}", f"after touch('key{at}', {ttl})"
            expect(await memory.touch(key, ttl), True, f"touch({key!r}, {ttl})")
            await expect_same(world, memory, key, was, told, but=["expiry"])
            await _expect_left(memory, key, ttl, told)


@batch_law(
    "M1", corpus=lambda _: NASTY_VALUES, drawn=Domain.values, needs=Capability.TOUCH, share=0.3
)
async def touched_again_and_again_it_stays_the_same(world: World, items: Sequence[Any]) -> None:
    """However often a key is touched, `get` returns what was set."""
    memory = world.memory
    for value in items:
        await memory.set("key", value)
        for ttl in (60, 60, None, None, 90.5, _LONG):
            await memory.touch("key", ttl)
        expect(await memory.get("key"), as_stored(value), "get('key') after touching it 6 times")


@batch_law("M1", corpus=Domain.key_pairs, drawn=Domain.key_pair, needs=Capability.TOUCH, share=0.3)
async def touch_reaches_one_key(world: World, items: Sequence[tuple[str, str]]) -> None:
    """Only the key that is named gets the new expiry, whatever other keys look like."""
    memory = world.memory
    for one, other in items:
        await memory.set_many({one: 1, other: 2}, _LONG)
        expect(await memory.touch(one, 600), True, f"touch({show(one)}, 600)")
        await _expect_left(memory, one, 600, f"after touch({show(one)}, 600)")
        await _expect_left(memory, other, _LONG, f"after touch({show(one)}, 600)")
        await memory.delete_many([one, other])


@law("M1", needs=Capability.TOUCH, examples=[{"size": 20}])
async def touching_many_keys_changes_each(world: World, size: int) -> None:
    """Many keys that are touched, each with a TTL of its own, keep those apart."""
    memory = world.memory
    for at in range(size):
        await memory.set(f"key{at}", at, None if at % 2 else _LONG)
    for at in range(size):
        await memory.touch(f"key{at}", 1_000 * (at + 1))
    for at in range(size):
        await _expect_left(memory, f"key{at}", 1_000 * (at + 1), "after all were touched")
        expect(await memory.get(f"key{at}"), at, f"get('key{at}') after all were touched")


@law("M1", needs=Capability.TOUCH, examples=[{"ttl": 600}, {"ttl": None}])
async def the_version_fits_after_touch(world: World, ttl: Ttl | None) -> None:
    """A version that was read before `touch` still fits after it."""
    memory = world.memory
    if not memory.declares(Capability.CAS) or not memory.declares(Capability.ENTRIES):
        raise NotApplicable("the backend does not declare both CAS and ENTRIES")
    entry = await memory.set_entry("a", "old", _LONG, metadata={})
    await memory.touch("a", ttl)
    expect((await entry_at(memory, "a")).version, entry.version, "the version after touch")
    try:
        await memory.compare_and_set("a", "new", expect=entry.version or "")
    except ConflictError:
        fail("compare_and_set conflicts with the version that was read before touch")


# ------------------------------------------------------------------------ what it answers


@law("M1", needs=Capability.TOUCH, examples=[{"ttl": 60}, {"ttl": 0.001}, {"ttl": None}])
async def touch_tells_whether_the_key_was_there(world: World, ttl: Ttl | None) -> None:
    """`touch` returns True for a key that is there and False for one that is not; no key comes."""
    memory = world.memory
    expect(await memory.touch("a", ttl), False, f"touch('a', {ttl}) of a key that was never set")
    await memory.set("b", 1)
    for method, arguments in (
        ("delete", ["a"]),
        ("delete_many", [["a"]]),
        ("clear_pattern", ["a*"]),
    ):
        await memory.set("a", 1, _LONG)
        expect(await memory.touch("a", _LONG), True, f"touch('a', {_LONG}) of a key that is there")
        await memory.call(method, *arguments)
        told = f"touch('a', {ttl}) after {method}"
        expect(await memory.touch("a", ttl), False, told)
        expect(await memory.get("a"), None, f"get('a') after {told}")
        expect_keys(await memory.keys(), ["b"], f"keys() after {told}")
    await memory.clear()
    expect(await memory.touch("b", ttl), False, f"touch('b', {ttl}) after clear")
    expect_keys(await memory.keys(), [], "keys() after that")


@law("M1", needs=Capability.TOUCH, waits=True, given={"ms": Domain.step_ms}, share=0.5)
async def touch_does_not_bring_back_what_has_expired(world: World, ms: int) -> None:
    """`touch` of an expired key returns False, and the key stays absent in every method."""
    memory = world.memory
    ttls: Sequence[Ttl | None] = (_LONG, None, 0.001, ms / 1000)
    # So much to clear away that what is asked for is still in the store, where it waits for that.
    await memory.set_many(numbered(150), ms / 1000)
    for at in range(len(ttls)):
        await memory.set(f"set{at}", "old", ms / 1000)
        await memory.set(f"overwritten{at}", "older")
        await memory.set(f"overwritten{at}", "old", ms / 1000)
        await memory.set(f"touched{at}", "old")
        await memory.touch(f"touched{at}", ms / 1000)
    await _pass(world, ms / 1000)
    for at, ttl in enumerate(ttls):
        for key in (f"set{at}", f"overwritten{at}", f"touched{at}"):
            expect(await memory.touch(key, ttl), False, f"touch({key!r}, {ttl}) of an expired key")
            expect(await memory.exists(key), False, f"exists({key!r}) after touch")
            expect(await memory.get(key), None, f"get({key!r}) after touch")
            expect(await memory.get_entry(key), None, f"get_entry({key!r}) after touch")
            expect(await memory.get_many([key]), {}, f"get_many([{key!r}]) after touch")
    expect_keys(await memory.keys(), [], "keys() after touch")
    expect_keys(await memory.scan(), [], "scan() after touch")


_NO_TTLS: tuple[Any, ...] = (
    0, 0.0, -1, -0.5, 0.0004, True, False, float("nan"), float("inf"), float("-inf"), "60", b"60",
    36_526 * 86_400, 10**30, timedelta(0), timedelta(seconds=-1), [60], 1j,
)  # fmt: skip


@batch_law("M1", corpus=lambda _: _NO_TTLS, needs=Capability.TOUCH)
async def what_is_no_ttl_is_refused_and_changes_nothing(world: World, items: Sequence[Any]) -> None:
    """`touch` with what is no TTL, such as 0 or -1, raises InvalidTTLError; the key stays."""
    memory = world.memory
    await memory.set("a", "kept", _LONG)
    await memory.set("b", "kept")
    kept = {key: await snapshot(world, memory, key) for key in ("a", "b")}
    for wrong in items:
        for key in ("a", "b", "absent"):
            await world.expect_error(InvalidTTLError, "touch", key, wrong)
        for key, before in kept.items():
            await expect_same(world, memory, key, before, "after the refused touch")
    expect_keys(await memory.keys(), ["a", "b"], "keys() after the refused calls")


_TTLS: tuple[tuple[Ttl, float], ...] = (
    (60, 60), (60.0, 60), (90.5, 90.5), (timedelta(hours=1), 3600), (timedelta(days=2), 172_800),
    (36_525 * 86_400, 36_525 * 86_400), (10**6, 10**6), (timedelta(days=36_525), 36_525 * 86_400),
    (2**31 / 1000 + 1, 2**31 / 1000 + 1), (2**31, 2**31),
)  # fmt: skip


@batch_law("M1", corpus=lambda _: _TTLS, needs=Capability.TOUCH)
async def every_kind_of_ttl_is_taken(world: World, items: Sequence[tuple[Ttl, float]]) -> None:
    """`touch` takes a TTL as `set` does: `int`, `float` or `timedelta`, up to a hundred years."""
    memory = world.memory
    for ttl, seconds in items:
        for old in (_LONG, None):
            if old is None:
                await memory.set("a", 1)
            else:
                await memory.set("a", 1, old)
            expect(await memory.touch("a", ttl), True, f"touch('a', {show(ttl)})")
            await _expect_left(memory, "a", seconds, f"after touch('a', {show(ttl)})")


# ---------------------------------------------------------------------- the new expiry


async def _busy(memory: Handle) -> None:
    """Use the store a little, so that whatever clears up in passing does so."""
    for at in range(12):
        await memory.set(f"other{at}", at, _LONG)
        await memory.get(f"other{at}")
    await memory.keys()
    await memory.delete("other0")


@law("M1", needs=Capability.TOUCH, waits=True, examples=[{"busy": False}, {"busy": True}])
async def a_longer_life_outlasts_the_old_one(world: World, busy: bool) -> None:
    """A key that was touched in time lives past its old expiry, whatever else is done."""
    memory, step = world.memory, _step(world)
    ttls: Mapping[str, float | None] = {"longer": _LONG, "none": None}
    began = world.now()
    await memory.set_many(dict.fromkeys(ttls, "kept"), step)
    in_time: list[str] = []
    for key, ttl in ttls.items():
        touched = await memory.touch(key, ttl)
        if world.exact or world.now() < began + step - EARLY:
            expect(touched, True, f"touch({key!r}, {ttl}) before the expiry")
        if touched:
            in_time.append(key)
    await _pass(world, step)
    if busy:
        await _busy(memory)
    for key in in_time:
        expect(await memory.get(key), "kept", f"get({key!r}) past its old expiry")
        expect(await memory.exists(key), True, f"exists({key!r}) past its old expiry")
        await _expect_left(memory, key, ttls[key], "past its old expiry")
        if key not in await memory.keys():
            fail(f"keys() past the old expiry of {key!r} does not hold it")


@law("M1", needs=Capability.TOUCH, waits=True, given={"ms": Domain.step_ms}, share=0.5)
async def a_shorter_life_ends_sooner(world: World, ms: int) -> None:
    """A key that was touched with a shorter TTL, or had none, is gone when that has passed."""
    memory = world.memory
    await memory.set("shorter", "old", 10**9)
    await memory.set("endless", "old")
    for key in ("shorter", "endless"):
        expect(await memory.touch(key, ms / 1000), True, f"touch({key!r}, {ms / 1000})")
    await _pass(world, ms / 1000)
    for key in ("shorter", "endless"):
        expect(await memory.get(key), None, f"get({key!r}) past its new expiry")
        expect(await memory.exists(key), False, f"exists({key!r}) past its new expiry")
        expect(await memory.ttl(key), None, f"ttl({key!r}) past its new expiry")
        expect(await memory.get_entry(key), None, f"get_entry({key!r}) past its new expiry")
    expect_keys(await memory.keys(), [], "keys() past the new expiry")


_EXACT = [
    {"old": old, "passed": passed, "ttl": ttl}
    for old in (None, 1, 4, 1_000_000)
    for passed in (0, 0.5)
    for ttl in (0.5, 1, 1.25, 4, 3600)
]


@law(
    "M1",
    needs=Capability.TOUCH,
    examples=_EXACT,
    given={
        "old": lambda _: st.one_of(st.none(), st.integers(1, 100)),
        "passed": lambda _: st.sampled_from([0, 0.25, 0.75]),
        "ttl": lambda _: st.integers(1, 800).map(lambda eighths: eighths / 8),
    },
)
async def the_new_life_counts_from_touch(
    world: World, old: Ttl | None, passed: float, ttl: float
) -> None:
    """The new TTL is counted from `touch` on, exactly, whatever the old one was."""
    if not world.exact:
        raise NotApplicable("needs time that is moved by hand")
    memory = world.memory
    await memory.set("a", "kept", old)
    await world.advance(passed)
    await memory.touch("a", ttl)
    await world.advance(ttl - 1 / 1024)
    expect(await memory.get("a"), "kept", f"get('a') a millisecond before {ttl} s are over")
    await world.advance(1 / 1024)
    expect(await memory.get("a"), None, f"get('a') when {ttl} s are over")
    expect(await memory.touch("a", ttl), False, "touch('a') when it has just expired")


@law("M1", needs=Capability.TOUCH, waits=True)
async def touched_in_time_each_time_it_lives_on(world: World) -> None:
    """A key that is touched with the same TTL over and over, in time, does not expire."""
    memory = world.memory
    ttl = 1.0 if world.exact else 20 * world.limits.step_seconds
    pause = 0.75 if world.exact else world.limits.step_seconds
    began = world.now()
    await memory.set("a", "kept", ttl)
    for _ in range(4 if world.exact else 2):
        await world.advance(pause)
        before = await memory.ttl("a")
        touched = await memory.touch("a", ttl)
        after = await memory.ttl("a")
        if not world.exact and world.now() - began > 2 * pause:
            return  # too slow to say anything
        expect(touched, True, f"touch('a', {ttl:g}) in time")
        if before is None or after is None or after < before:
            fail(f"ttl('a') before touch('a', {ttl:g}) was {before}, after it is {after}")
        began = world.now()
    seen = await memory.get("a")
    if world.exact or world.now() - began < ttl:
        expect(seen, "kept", "get('a') after it was touched in time each time")


@law("M1", needs=Capability.TOUCH, waits=True)
async def what_is_set_after_touch_has_its_own_expiry(world: World) -> None:
    """A `set`, `set_many` or new entry after `touch` counts: the touched expiry is gone with it."""
    memory, step = world.memory, _step(world)
    keys = ["set", "set_many", "anew"]
    await memory.set_many(dict.fromkeys(keys, "old"), _LONG)
    for key in keys:
        await memory.touch(key, step)
    await memory.set("set", "new", _LONG)
    await memory.set_many({"set_many": "new"}, _LONG)
    await memory.delete("anew")
    await memory.set("anew", "new", _LONG)
    await _pass(world, step)
    for key in keys:
        expect(await memory.get(key), "new", f"get({key!r}) past the expiry that touch had set")
        await _expect_left(memory, key, _LONG, "past the expiry that touch had set")


@law("M1", needs=Capability.TOUCH)
async def the_entry_shows_the_new_expiry(world: World) -> None:
    """`get_entry` shows the expiry that `touch` has set, and none after `touch(key, None)`."""
    memory = world.memory
    if not memory.declares(Capability.ENTRIES):
        raise NotApplicable("the backend does not declare ENTRIES")
    made = await memory.set_entry("a", 1, _LONG, metadata={})
    for ttl in (600, None, 90_000):
        await memory.touch("a", ttl)
        ends = (await entry_at(memory, "a")).expires_at
        told = f"get_entry('a').expires_at after touch('a', {ttl})"
        if ttl is None or ends is None or made.expires_at is None:
            expect(ends, None if ttl is None else "a moment", told)
            continue
        moved = (ends - made.expires_at).total_seconds() - (ttl - _LONG)
        if abs(moved) > (0 if world.exact else 60):
            fail(f"{told} is {ends}, {moved:g} s too late, if it is counted from now")


@law("M1", needs=Capability.TOUCH, hooks=("reopen",))
async def the_new_expiry_survives_reopening(world: World) -> None:
    """What `touch` has changed is still so when the store was closed and opened again."""
    memory = world.memory
    if not memory.declares(Capability.PERSISTENT):
        raise NotApplicable("the backend does not declare PERSISTENT")
    await memory.set_many({"shorter": 1, "none": 2}, _LONG)
    await memory.set("new", 3)
    for key, ttl in (("shorter", 600), ("none", None), ("new", 600)):
        await memory.touch(key, ttl)
    again = await world.reopen()
    for at, (key, ttl) in enumerate((("shorter", 600), ("none", None), ("new", 600)), 1):
        expect(await again.get(key), at, f"get({key!r}) after reopening")
        await _expect_left(again, key, ttl, "after touch and reopening")


# ---------------------------------------------------------------------- damage, and a race


_DAMAGED: tuple[Any, ...] = (b"value", 1.5, 10**12, "value", ["value"])


@law(
    "M1",
    needs=Capability.TOUCH,
    hooks=("damage",),
    examples=[{"value": value, "ttl": ttl} for value in _DAMAGED for ttl in (600, None)],
)
async def touch_does_not_hide_damage(world: World, value: Any, ttl: Ttl | None) -> None:
    """A damaged entry is still known to be damaged after `touch`, which may say so itself."""
    memory = world.memory
    await memory.set("a", value, _LONG)
    await world.damage("a")
    with suppress(CorruptEntryError):
        await memory.touch("a", ttl)
    await world.expect_error(CorruptEntryError, "get", "a")


_WRITES: dict[str, tuple[Sample, str | None]] = {
    "set": (Sample("set", ("a", "new")), "new"),
    "set_many": (Sample("set_many", ({"a": "new", "b": 1},)), "new"),
    "delete": (Sample("delete", ("a",)), None),
    "delete_many": (Sample("delete_many", (["a"],)), None),
    "set_entry": (
        Sample("set_entry", ("a", "new"), {"metadata": {}}, Capability.ENTRIES),
        "new",
    ),
}


def _each_write(domain: Domain) -> Sequence[Mapping[str, Any]]:
    return [
        {"write": name}
        for name, (sample, _) in _WRITES.items()
        if sample.needs is None or sample.needs in domain.capabilities
    ]


@law("M1", needs=Capability.TOUCH, examples=_each_write)
async def touch_does_not_undo_a_write_at_the_same_time(world: World, write: str) -> None:
    """Whatever is written or deleted while a `touch` is under way stays written or deleted."""
    await _touch_beside(world, world.memory, write)


@law("M1", needs=Capability.TOUCH, hooks=("second",), examples=_each_write)
async def touch_does_not_undo_another_client_s_write(world: World, write: str) -> None:
    """Whatever another client writes or deletes while a `touch` is under way stays so."""
    other = await world.second()
    await other.exists("a")  # opened: what follows takes the same turns each time
    await _touch_beside(world, other, write)


async def _touch_beside(world: World, other: Handle, write: str) -> None:
    memory = world.memory
    sample, left = _WRITES[write]
    for turns in range(8):
        await memory.set("a", "old", _LONG)
        touch = Together(world, memory, [Sample("touch", ("a", 600))], "touch")
        await touch.turns(turns)
        others = Together(world, other, [sample], "others")
        await touch.ended()
        await others.ended()
        expect(await memory.get("a"), left, f"get('a') after touch and {write} at once")
        expect_keys(await memory.keys("a"), [] if left is None else ["a"], "keys('a') after that")
