"""Clause K1: what a key is, and that nothing else is taken for one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.subclassed import Colour, Text
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import InvalidKeyError
from fastadk_memory.keys import MIN_MAX_KEY_BYTES

NoKeys: TypeAlias = "Sequence[tuple[Any, str]]"
"""Things that are no keys, each with the key that a sloppy backend takes it for."""


@law("K1")
async def max_key_bytes_is_at_least_512(world: World) -> None:
    """`max_key_bytes` is an `int` of at least 512, so that a key chosen elsewhere still fits."""
    size = world.memory.max_key_bytes
    if type(size) is not int or size < MIN_MAX_KEY_BYTES:
        fail(f"max_key_bytes is {size!r}, expected an int of at least {MIN_MAX_KEY_BYTES}")


# ------------------------------------------------------------------ what is refused


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key)
async def reading_refuses_what_is_no_key(world: World, items: NoKeys) -> None:
    """`get`, `exists`, `ttl` and `get_entry` raise InvalidKeyError for what is no key."""
    await _store_neighbours(world, items)
    for bad, _ in items:
        for method in ("get", "exists", "ttl", "get_entry"):
            await world.expect_error(InvalidKeyError, method, bad)


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key)
async def set_and_delete_refuse_what_is_no_key(world: World, items: NoKeys) -> None:
    """`set` and `delete` raise InvalidKeyError for what is no key, and change nothing."""
    kept = await _store_neighbours(world, items)
    for bad, nearest in items:
        await world.expect_error(InvalidKeyError, "set", bad, "new", 5)
        await _expect_unchanged(world, kept, nearest, "set")
        await world.expect_error(InvalidKeyError, "delete", bad)
        await _expect_unchanged(world, kept, nearest, "delete")


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key)
async def get_many_refuses_a_bad_key_anywhere(world: World, items: NoKeys) -> None:
    """`get_many` refuses a bad key wherever it stands among the others."""
    await _store_neighbours(world, items)
    for bad, nearest in items:
        for at in (0, 1, 2):
            batch = _with_bad_key([nearest, "other"], bad, at)
            await world.expect_error(InvalidKeyError, "get_many", batch)


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key)
async def delete_many_refuses_a_bad_key_anywhere(world: World, items: NoKeys) -> None:
    """`delete_many` refuses a bad key wherever it stands among the others, and changes nothing."""
    kept = await _store_neighbours(world, items)
    for bad, nearest in items:
        for at in (0, 1, 2):
            batch = _with_bad_key([nearest, "other"], bad, at)
            await world.expect_error(InvalidKeyError, "delete_many", batch)
            await _expect_unchanged(world, kept, nearest, "delete_many")


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key)
async def set_many_refuses_a_bad_key_anywhere(world: World, items: NoKeys) -> None:
    """`set_many` refuses a bad key wherever it stands among the others, and changes nothing."""
    kept = await _store_neighbours(world, items)
    for bad, nearest in items:
        for at in (0, 1, 2) if isinstance(bad, Hashable) else ():
            batch = dict.fromkeys(_with_bad_key([nearest, "fresh"], bad, at), "new")
            await world.expect_error(InvalidKeyError, "set_many", batch, 5)
            await _expect_unchanged(world, kept, nearest, "set_many")


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key, needs=Capability.ENTRIES)
async def set_entry_refuses_what_is_no_key(world: World, items: NoKeys) -> None:
    """`set_entry` raises InvalidKeyError for what is no key, and changes nothing."""
    kept = await _store_neighbours(world, items)
    for bad, nearest in items:
        await world.expect_error(InvalidKeyError, "set_entry", bad, "new", 5, metadata={"a": 1})
        await _expect_unchanged(world, kept, nearest, "set_entry")


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key, needs=Capability.CAS)
async def compare_and_set_refuses_what_is_no_key(world: World, items: NoKeys) -> None:
    """`compare_and_set` raises InvalidKeyError for what is no key, and changes nothing."""
    kept = await _store_neighbours(world, items)
    version = await world.memory.compare_and_set("versioned", 1, expect=ABSENT)
    kept.append("versioned")
    for bad, nearest in items:
        for given in (ABSENT, version):
            await world.expect_error(
                InvalidKeyError, "compare_and_set", bad, "new", expect=given, ttl=5
            )
            await _expect_unchanged(world, kept, nearest, "compare_and_set")


@batch_law("K1", corpus=Domain.no_keys, drawn=Domain.no_key, needs=Capability.TOUCH)
async def touch_refuses_what_is_no_key(world: World, items: NoKeys) -> None:
    """`touch` raises InvalidKeyError for what is no key, and changes nothing."""
    kept = await _store_neighbours(world, items)
    for bad, nearest in items:
        for ttl in (5, None):
            await world.expect_error(InvalidKeyError, "touch", bad, ttl)
            await _expect_unchanged(world, kept, nearest, "touch")


def _with_bad_key(good: list[str], bad: Any, at: int) -> list[Any]:
    return [*good[:at], bad, *good[at:]]


async def _store_neighbours(world: World, items: NoKeys) -> list[str]:
    """Store what a sloppy backend would change in place of the bad keys, and return its keys."""
    kept = list(dict.fromkeys([*(nearest for _, nearest in items), "other"]))
    await world.memory.set_many(dict.fromkeys(kept, "kept"), 36_000)
    return kept


async def _expect_unchanged(world: World, kept: list[str], nearest: str, method: str) -> None:
    memory = world.memory
    after = f"after the refused {method}"
    expect_keys(await memory.keys(), kept, f"keys() {after}")
    for key in (nearest, "other"):
        expect(await memory.get(key), "kept", f"get({show(key)}) {after}")
        left = await memory.ttl(key)
        if left is None or left < 3_600:
            fail(f"ttl({show(key)}) {after} is {left}, it was set to 36_000")


# ------------------------------------------------------------------- what is taken


@batch_law("K1", corpus=Domain.longest_keys)
async def the_longest_key_works_everywhere(world: World, items: Sequence[str]) -> None:
    """Keys of exactly `max_key_bytes` bytes of UTF-8 work in every method."""
    memory = world.memory
    for key in items:
        told = f"with a key of {len(key.encode())} bytes"
        await memory.set(key, "value", 36_000)
        expect(await memory.get(key), "value", f"get {told}")
        expect(await memory.exists(key), True, f"exists {told}")
        if await memory.ttl(key) is None:
            fail(f"ttl {told} is None, it was set to 36_000")
        expect_keys(await memory.keys(), [key], "keys()")
        if await memory.get_entry(key) is None:
            fail(f"get_entry {told} is None, though it is there")
        await memory.delete(key)
        expect(await memory.exists(key), False, f"exists {told} after delete")
        await memory.set_many({"a": 1, key: "bulk"})
        expect(await memory.get_many([key]), {key: "bulk"}, f"get_many {told}")
        expect(await memory.delete_many([key, "a"]), 2, f"delete_many {told}")


@batch_law("K1", corpus=Domain.longest_keys, needs=Capability.ENTRIES)
async def the_longest_key_works_in_set_entry(world: World, items: Sequence[str]) -> None:
    """Keys of exactly `max_key_bytes` bytes of UTF-8 work in `set_entry`."""
    for key in items:
        await world.memory.set_entry(key, "value", metadata={"a": 1})
        expect(await world.memory.get(key), "value", "get after set_entry with the longest key")


@batch_law("K1", corpus=Domain.longest_keys, needs=Capability.CAS)
async def the_longest_key_works_in_compare_and_set(world: World, items: Sequence[str]) -> None:
    """Keys of exactly `max_key_bytes` bytes of UTF-8 work in `compare_and_set`."""
    for key in items:
        version = await world.memory.compare_and_set(key, "one", expect=ABSENT)
        await world.memory.compare_and_set(key, "two", expect=version)
        expect(await world.memory.get(key), "two", "get after compare_and_set of the longest key")


@batch_law("K1", corpus=Domain.longest_keys, needs=Capability.TOUCH)
async def the_longest_key_works_in_touch(world: World, items: Sequence[str]) -> None:
    """Keys of exactly `max_key_bytes` bytes of UTF-8 work in `touch`."""
    for key in items:
        await world.memory.set(key, "value")
        expect(await world.memory.touch(key, 36_000), True, "touch with the longest key")


@batch_law("K1", corpus=lambda domain: [Text("text"), Colour.RED])
async def a_str_of_a_subclass_is_the_key_it_spells(world: World, items: Sequence[str]) -> None:
    """An instance of a subclass of `str`, such as a member of an enum, stands for its text."""
    memory = world.memory
    for key in items:
        text = str.__str__(key)
        await memory.set(key, "value", 36_000)
        expect_keys(await memory.keys(), [text], "keys()")
        for given in (text, key):
            expect(await memory.get(given), "value", f"get({show(given)})")
            expect(await memory.exists(given), True, f"exists({show(given)})")
            expect(await memory.get_many([given]), {text: "value"}, f"get_many([{show(given)}])")
            if await memory.ttl(given) is None:
                fail(f"ttl({show(given)}) is None, it was set to 36_000")
        await memory.delete(key)
        expect(await memory.exists(text), False, f"exists({show(text)}) after delete({show(key)})")
        await memory.set_many({key: "bulk"})
        expect(await memory.get(text), "bulk", f"get({show(text)})")
        expect(await memory.delete_many([key]), 1, f"delete_many([{show(key)}])")


_NAMES = ("a", "é", "🔑", "a/b", "%", "n" * 40)


@law("K1", examples=[{"name": name} for name in _NAMES])
async def a_view_s_limit_is_what_it_says(world: World, name: str) -> None:
    """A namespace takes keys of exactly its own `max_key_bytes`, and refuses a byte more."""
    if not world.memory.max_key_bytes >= 512 + 5 * len(name.encode()):
        raise NotApplicable("the keys are too short for a namespace")
    tenant = world.memory.namespace(name)
    longest = "k" * tenant.max_key_bytes
    await tenant.set(longest, "value")
    expect(await tenant.get(longest), "value", "get of the longest key of the namespace")
    for method, args in (("set", ("new",)), ("get", ()), ("exists", ()), ("delete", ())):
        await world.raises(InvalidKeyError, tenant, method, f"{longest}k", *args)
    expect_keys(await tenant.keys(), [longest], "keys() of the namespace")
