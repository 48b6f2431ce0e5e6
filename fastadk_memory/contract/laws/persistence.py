"""Clause D1: entries, expiries, versions and metadata survive `aclose` and reopening."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability, MemoryEntry
from fastadk_memory.contract.compare import as_stored, expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError

_MILLISECOND = 1 / 1024
"""A little under a millisecond, and exact in binary."""


async def _again(world: World, before: Handle | None = None, name: str = "reopened") -> Handle:
    """Close what is open, and open the store anew."""
    if before is not None:
        await before.aclose()
    return await world.reopen(name)


def _need(world: World, capability: Capability) -> None:
    if not world.memory.declares(capability):
        raise NotApplicable(f"the backend does not declare {capability.name}")


# ----------------------------------------------------------------------- keys and values


@law("D1", needs=Capability.PERSISTENT)
async def all_values_survive(world: World) -> None:
    """Every kind of value is read back exactly after reopening."""
    values = {f"value {at}": value for at, value in enumerate(NASTY_VALUES)}
    values["long"] = "x" * 1_000_000
    for key, value in values.items():
        await world.memory.set(key, value)
    again = await _again(world)
    for key, value in values.items():
        expect(await again.get(key), as_stored(value), f"get({key!r}) after reopening")
        expect(await again.exists(key), True, f"exists({key!r}) after reopening")


@law("D1", needs=Capability.PERSISTENT)
async def all_keys_survive(world: World) -> None:
    """Every key is there after reopening, exactly as it was set, with its own value."""
    keys = _nasty_keys(world)
    for at, key in enumerate(keys):
        await world.memory.set(key, at)
    again = await _again(world)
    expect_keys(await again.keys(), keys, "keys() after reopening")
    for at, key in enumerate(keys):
        expect(await again.get(key), at, f"get({key!r}) after reopening")


def _nasty_keys(world: World) -> list[str]:
    return Domain(max_key_bytes=world.memory.max_key_bytes).all_nasty_keys()


@law("D1", needs=Capability.PERSISTENT)
async def many_entries_survive(world: World) -> None:
    """However many entries there are, all of them survive."""
    items = {f"key {at}": at for at in range(world.limits.many_entries)}
    names = list(items)
    for at in range(0, len(names), 30):
        await world.memory.set_many({name: items[name] for name in names[at : at + 30]})
    again = await _again(world)
    expect_keys(await again.keys(), items, "keys() after reopening")
    found = await again.get_many(list(items))
    expect(found, items, "get_many of all keys after reopening")


def _entries(domain: Domain) -> SearchStrategy[dict[str, Any]]:
    values = st.tuples(domain.values(), st.none() | domain.ttls())
    return st.dictionaries(domain.keys(), values, min_size=1, max_size=6)


@law("D1", needs=Capability.PERSISTENT, given={"entries": _entries})
async def entries_survive(world: World, entries: dict[str, tuple[Any, Any]]) -> None:
    """What was stored is stored after reopening: the same keys, values and expiries."""
    for key, (value, ttl) in entries.items():
        await world.memory.set(key, value, ttl)
    again = await _again(world)
    expect_keys(await again.keys(), entries, "keys() after reopening")
    for key, (value, ttl) in entries.items():
        expect(await again.get(key), as_stored(value), f"get({key!r}) after reopening")
        left = await again.ttl(key)
        if ttl is None and world.waived("T4"):
            continue  # what is set without a TTL may then have one
        if (left is None) is not (ttl is None):
            fail(f"ttl({key!r}) after reopening is {left!r}; it was set with ttl {ttl!r}")


# ------------------------------------------------------------------------------ expiries


@law(
    "D1",
    needs=Capability.PERSISTENT,
    waits=True,
    examples=lambda domain: [{"ms": ms} for ms in ((500, 1_500, 60_125) if domain.exact else (0,))],
    given={"ms": Domain.step_ms},
    share=0.5,
)
async def an_expiry_survives_to_the_millisecond(world: World, ms: int) -> None:
    """An entry expires after reopening at the moment it would have expired without."""
    ttl = ms / 1000 if world.exact else world.limits.step_seconds
    await world.memory.set("a", 1, ttl)
    began = world.now()
    again = await _again(world)
    if world.exact:
        await world.advance(ttl - 2 * _MILLISECOND)
        if ttl > 2 * _MILLISECOND:
            expect(await again.get("a"), 1, "get('a') 2 ms before it expires, after reopening")
    late = _MILLISECOND if world.exact else world.limits.margin_seconds
    await world.advance(ttl + late - (world.now() - began))
    expect(await again.get("a"), None, "get('a') after its expiry, after reopening")
    expect_keys(await again.keys(), [], "keys() after its expiry, after reopening")


@law("D1", needs=Capability.PERSISTENT)
async def long_expiries_survive(world: World) -> None:
    """The time that entries have left is the same after reopening, less what has passed."""
    memory = world.memory
    ttls: dict[str, Any] = {"minute": 60, "odd": 3_600.125, "century": 36_525 * 86_400}
    for key, ttl in ttls.items():
        await memory.set(key, 1, ttl)
    if memory.declares(Capability.TOUCH):
        for key in ("touched", "was brief"):
            ttls[key] = 500
            await memory.set(key, 1, None if key == "touched" else 60)
            await memory.touch(key, 500)
    ttls |= {"replaced": 900, "for good": None, "for good again": None}
    for key in ("replaced", "for good again"):
        await memory.set(key, 1, 60)
    for key in ("replaced", "for good", "for good again"):
        await memory.set(key, 2, ttls[key])
    began = world.now()
    before = {key: await memory.ttl(key) for key in ttls}
    again = await _again(world)
    for key in ttls:
        left = await again.ttl(key)
        _expect_left(f"ttl({key!r})", left, before[key], world.now() - began)


def _expect_left(what: str, left: int | None, before: int | None, passed: float) -> None:
    if left is None or before is None:
        expect(left, before, f"{what} after reopening")
    elif not before - passed - 1 <= left <= before:
        fail(f"{what} is {left!r} after reopening, expected {before!r} as before")


@law("D1", needs=Capability.PERSISTENT, waits=True)
async def what_expires_while_closed_is_gone(world: World) -> None:
    """An entry whose time ends while the store is closed is absent in every method."""
    memory, step = world.memory, world.limits.step_seconds
    for key in ("a", "b", "c", "d"):
        await memory.set(key, f"value of {key}", step)
    await memory.set("stays", 1)
    await memory.aclose()
    await world.advance(step + world.limits.margin_seconds)
    again = await _again(world)
    expect_keys(await again.keys(), ["stays"], "keys() after reopening")
    expect_keys(await again.scan(), ["stays"], "scan() after reopening")
    expect(await again.get("a"), None, "get('a') after reopening")
    expect(await again.exists("b"), False, "exists('b') after reopening")
    expect(await again.ttl("a"), None, "ttl('a') after reopening")
    expect(await again.get_entry("c"), None, "get_entry('c') after reopening")
    expect(await again.get_many(["d", "stays"]), {"stays": 1}, "get_many after reopening")
    if memory.declares(Capability.TOUCH):
        expect(await again.touch("a", 60), False, "touch('a', 60) after reopening")
    if memory.declares(Capability.CAS):
        await again.compare_and_set("b", "new", expect=ABSENT)
        await again.delete("b")
    expect(await again.delete_many(["a", "c", "stays"]), 1, "delete_many after reopening")
    last = await _again(world, again, "opened_last")
    expect_keys(await last.keys(), [], "keys() after reopening once more")


# ---------------------------------------------------------- what belongs to the entries


@law(
    "D1",
    needs=Capability.PERSISTENT,
    examples=[{"value": 0, "metadata": {"source": "x", "n": [1, None]}}],
    given={
        "value": Domain.values,
        "metadata": lambda domain: st.dictionaries(
            st.text(st.characters(), max_size=6), domain.scalars(), max_size=3
        ),
    },
    share=0.5,
)
async def entries_survive_with_all_that_belongs_to_them(
    world: World, value: Any, metadata: dict[str, Any]
) -> None:
    """Metadata, version, creation time and expiry of an entry are the same after reopening."""
    memory = world.memory
    _need(world, Capability.ENTRIES)
    await memory.set_entry("described", value, metadata=metadata)
    await memory.set_entry("brief", value, 3_600, metadata=metadata)
    await memory.set("plain", value)
    keys = ["described", "brief", "plain"]
    if memory.declares(Capability.TOUCH):
        await memory.set_entry("touched", value, metadata=metadata)
        await world.advance(1.5 if world.exact else 0)
        await memory.touch("touched", 7_200)
        keys.append("touched")
    if memory.declares(Capability.CAS):
        await memory.compare_and_set("swapped", value, expect=ABSENT)
        keys.append("swapped")
    began = world.now()
    before = {key: await memory.get_entry(key) for key in keys}
    await world.advance(2.25 if world.exact else 0)
    again = await _again(world)
    for key in keys:
        after = await again.get_entry(key)
        # A server tells what is left; its client reckons, a little differently each time.
        tolerance = 0 if world.exact else 1 + world.now() - began
        _expect_same(key, after, before[key], tolerance)


def _expect_same(
    key: str, after: MemoryEntry | None, before: MemoryEntry | None, tolerance: float
) -> None:
    asked = f"get_entry({key!r})"
    if after is None or before is None:
        expect(after, before, f"{asked} after reopening")
        return
    expect(after.value, before.value, f"{asked}.value after reopening")
    expect(after.metadata, before.metadata, f"{asked}.metadata after reopening")
    expect(after.version, before.version, f"{asked}.version after reopening")
    expect(str(after.created_at), str(before.created_at), f"{asked}.created_at after reopening")
    told = f"{asked}.expires_at is {after.expires_at} after reopening, before {before.expires_at}"
    if after.expires_at is None or before.expires_at is None:
        if after.expires_at is not before.expires_at:
            fail(told)
    elif abs((after.expires_at - before.expires_at).total_seconds()) > tolerance:
        fail(told)


@law("D1", needs=Capability.PERSISTENT)
async def versions_do_not_repeat_after_reopening(world: World) -> None:
    """A key never gets a version again that it had before reopening, deleted or not."""
    _need(world, Capability.ENTRIES)
    seen: list[str | None] = []
    memory = world.memory
    for number in range(4):
        if number:
            memory = await _again(world, memory, f"reopened{number}")
            entry = await memory.get_entry("a")
            expect(entry and entry.version, seen[-1], "the version after reopening")
        for change in ("overwrite", "delete and set", "overwrite"):
            if change == "delete and set":
                await memory.delete("a")
            await memory.set("a", "same")
            entry = await memory.get_entry("a")
            version = None if entry is None else entry.version
            if version in seen:
                fail(f"the version {version!r} of 'a' comes back after reopening {number} times")
            seen.append(version)


@law("D1", needs=Capability.PERSISTENT)
async def a_version_is_good_after_reopening(world: World) -> None:
    """`compare_and_set` takes a version from before reopening, and refuses an outdated one."""
    _need(world, Capability.CAS)
    memory = world.memory
    old = await memory.compare_and_set("a", 1, expect=ABSENT)
    version = await memory.compare_and_set("a", 2, expect=old)
    again = await _again(world)
    for wrong in (old, ABSENT):
        await world.raises(ConflictError, again, "compare_and_set", "a", 3, expect=wrong)
    await again.compare_and_set("a", 4, expect=version)
    await again.delete("a")
    await again.set("a", 5)
    last = await _again(world, again, "opened_last")
    await world.raises(ConflictError, last, "compare_and_set", "a", 6, expect=version)
    expect(await last.get("a"), 5, "get('a')")


# ------------------------------------------------------------------------- what is gone


@law("D1", needs=Capability.PERSISTENT)
async def what_was_removed_stays_removed(world: World) -> None:
    """Deleted and cleared entries do not come back with reopening, and no others are gone."""
    memory = world.memory
    keys = ["a", "b", "c", "p1", "p2", "again", "stays"]
    await memory.set_many(dict.fromkeys(keys, 1))
    # Written down for certain: what comes now has to reach beyond this opening.
    memory = await _again(world)
    await memory.delete("a")
    await memory.delete_many(["b", "c"])
    await memory.clear_pattern("p*")
    await memory.delete("again")
    await memory.set("again", 2)
    memory = await _again(world, memory, "reopened2")
    expect_keys(await memory.keys(), ["again", "stays"], "keys() after reopening")
    for key in ("a", "b", "c", "p1"):
        expect(await memory.get(key), None, f"get({key!r}) after reopening")
    expect(await memory.get("again"), 2, "get('again') after reopening")
    await memory.clear()
    await memory.set("later", 3)
    memory = await _again(world, memory, "reopened3")
    expect_keys(await memory.keys(), ["later"], "keys() after clear() and reopening")
    expect(await memory.get("stays"), None, "get('stays') after clear() and reopening")


@law("D1", needs=Capability.PERSISTENT)
async def namespaces_survive(world: World) -> None:
    """After reopening each namespace holds what it held, and what was cleared stays empty."""
    names = ["a", "ab", "a:b", "tenant/1", "*", "é", "cleared"]
    await world.memory.set("k", "of the store")
    for name in names:
        await world.memory.namespace(name).set("k", f"of {name}")
    await world.memory.namespace("a").namespace("inner").set("k", "of inner")
    await world.memory.namespace("cleared").clear()
    again = await _again(world)
    expect(await again.get("k"), "of the store", "get('k') after reopening")
    for name in names[:-1]:
        seen = await again.namespace(name).get("k")
        expect(seen, f"of {name}", f"namespace({name!r}).get('k') after reopening")
        listing = await again.namespace(name).keys()
        expect("k" in listing, True, f"'k' in namespace({name!r}).keys() after reopening")
    inner = again.namespace("a").namespace("inner")
    expect(await inner.get("k"), "of inner", "namespace('a').namespace('inner').get('k')")
    left = await again.namespace("cleared").keys()
    expect_keys(left, [], "namespace('cleared').keys() after reopening")


# ---------------------------------------------------------------- opening, again and again


@law("D1", needs=Capability.PERSISTENT)
async def reopening_many_times_keeps_everything(world: World) -> None:
    """Whether or not anything is read or written in between, nothing gets lost by reopening."""
    memory = world.memory
    await memory.set("first", 1)
    await memory.set("long", 1, 86_400)
    held = {"first": 1, "long": 1}
    for number in range(1, 6):
        memory = await _again(world, memory, f"reopened{number}")
        if number == 2:
            continue  # opened by its first call; this one has none
        if number == 3:
            await memory.open()
            continue
        for key, value in held.items():
            expect(await memory.get(key), value, f"get({key!r}) after reopening {number} times")
        expect_keys(await memory.keys(), held, f"keys() after reopening {number} times")
        expect((await memory.ttl("long")) is not None, True, "ttl('long') is not None")
        held[f"written {number}"] = number
        await memory.set(f"written {number}", number)
    await memory.set("first", "changed")
    memory = await _again(world, memory, "opened_last")
    expect(await memory.get("first"), "changed", "get('first') after reopening 6 times")


_LAST: dict[str, tuple[Capability | None, Callable[[Handle], Awaitable[object]]]] = {
    "set": (None, lambda memory: memory.set("k", "new")),
    "set_many": (None, lambda memory: memory.set_many({"k": "new", "l": "new"})),
    "delete": (None, lambda memory: memory.delete("k")),
    "delete_many": (None, lambda memory: memory.delete_many(["k"])),
    "clear": (None, lambda memory: memory.clear()),
    "clear_pattern": (None, lambda memory: memory.clear_pattern("[k]")),
    "set_entry": (
        Capability.ENTRIES,
        lambda memory: memory.set_entry("k", "new", metadata={"m": 1}),
    ),
    "compare_and_set": (
        Capability.CAS,
        lambda memory: memory.compare_and_set("l", "new", expect=ABSENT),
    ),
    "touch": (Capability.TOUCH, lambda memory: memory.touch("k", 86_400)),
}


@law("D1", needs=Capability.PERSISTENT, examples=[{"method": method} for method in _LAST])
async def the_last_call_before_closing_counts(world: World, method: str) -> None:
    """What is closed right after a write, whichever it is, holds that write when reopened."""
    capability, call = _LAST[method]
    memory = world.memory
    if capability is not None and not memory.declares(capability):
        return
    await memory.set("k", "old")
    await memory.set("other", "other")
    await call(memory)
    before = {key: await memory.get(key) for key in ("k", "l", "other")}
    lives = await memory.ttl("k") is None
    memory = await _again(world)
    await _expect_held(memory, before, lives, method)
    # Once more, now with nothing read between the write and the closing.
    for key, value in (("k", "old"), ("other", "other")):
        await memory.set(key, value)
    await memory.delete("l")
    await call(memory)
    memory = await _again(world, memory, "opened_last")
    await _expect_held(memory, before, lives, method)


async def _expect_held(memory: Handle, before: dict[str, object], lives: bool, method: str) -> None:
    for key, value in before.items():
        expect(await memory.get(key), value, f"get({key!r}) after {method} and reopening")
    expect(await memory.ttl("k") is None, lives, f"ttl('k') is None after {method} and reopening")
