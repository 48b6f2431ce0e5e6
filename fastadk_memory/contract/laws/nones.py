"""Clause V3: a stored `None` is there, and so is everything else that is false in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import as_stored, expect, expect_keys, fail
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError

_FALSY: tuple[Any, ...] = (None, False, 0, 0.0, -0.0, "", b"", [], {})


def _falsy(_: Domain) -> Sequence[Any]:
    return _FALSY


@batch_law("V3", corpus=_falsy)
async def a_stored_none_is_there_in_every_method(world: World, items: Sequence[Any]) -> None:
    """A key that holds None, or another value that is false, is there in every method."""
    memory = world.memory
    for value in items:
        after = f"after set('key', {show(value)})"
        plain = as_stored(value)
        await memory.set("key", value, 36_000)
        expect(await memory.get("key"), plain, f"get('key') {after}")
        expect(await memory.exists("key"), True, f"exists('key') {after}")
        expect((await entry_at(memory, "key")).value, plain, f"get_entry('key').value {after}")
        found = await memory.get_many(["absent", "key"])
        expect(found, {"key": plain}, f"get_many(['absent', 'key']) {after}")
        expect_keys(await memory.keys(), ["key"], f"keys() {after}")
        expect_keys(await memory.scan(), ["key"], f"scan() {after}")
        for pattern in ("key", "k*", "?ey", "[k]ey"):
            expect_keys(await memory.keys(pattern), ["key"], f"keys({pattern!r}) {after}")
            expect_keys(await memory.scan(pattern), ["key"], f"scan({pattern!r}) {after}")
        if await memory.ttl("key") is None:
            fail(f"ttl('key') is None {after} with a TTL of 36_000")
        await memory.delete("key")


@batch_law("V3", corpus=_falsy)
async def none_replaces_what_was_there(world: World, items: Sequence[Any]) -> None:
    """Storing None, or what is false, replaces the value before it, and is itself replaced."""
    memory = world.memory
    for value in items:
        await memory.set("key", "before")
        await memory.set("key", value)
        expect(await memory.get("key"), as_stored(value), "get('key') after the second set")
        expect(await memory.exists("key"), True, "exists('key') after the second set")
        await memory.set("key", "after")
        expect(await memory.get("key"), "after", "get('key') after the third set")


@law("V3", examples=[{"nones": 1}, {"nones": 3}])
async def bulk_calls_tell_none_from_absent(world: World, nones: int) -> None:
    """`set_many` stores each None, `get_many` returns it, and `delete_many` counts it."""
    memory = world.memory
    items = {"a": 1, **{f"none{at}": None for at in range(nones)}, "z": 2}
    await memory.set_many(items)
    found = await memory.get_many(["absent", *items])
    expect(found, items, "get_many of the absent key and all that were set")
    expect_keys(await memory.keys(), items, "keys()")
    wanted = ["absent", "none0", "z"]
    expect(await memory.delete_many(wanted), 2, f"delete_many({wanted})")
    rest = {key: value for key, value in items.items() if key not in wanted}
    expect(await memory.get_many(items), rest, "get_many after that")


@batch_law("V3", corpus=_falsy)
async def a_deleted_none_is_gone(world: World, items: Sequence[Any]) -> None:
    """A key that held None, or what is false, is absent after each way of deleting it."""
    memory = world.memory
    for value in items:
        for method, arguments in (
            ("delete", ["key"]),
            ("delete_many", [["key"]]),
            ("clear_pattern", ["key"]),
            ("clear", []),
        ):
            await memory.set("key", value)
            await memory.call(method, *arguments)
            after = f"after {method} of a key that held {show(value)}"
            expect(await memory.exists("key"), False, f"exists('key') {after}")
            expect(await memory.get_entry("key"), None, f"get_entry('key') {after}")
            expect(await memory.get_many(["key"]), {}, f"get_many(['key']) {after}")
            expect_keys(await memory.keys(), [], f"keys() {after}")


@batch_law("V3", corpus=_falsy, needs=Capability.ENTRIES)
async def an_entry_may_hold_none(world: World, items: Sequence[Any]) -> None:
    """`set_entry` of None, or of what is false, makes an entry with its metadata and version."""
    memory = world.memory
    for value in items:
        made = await memory.set_entry("key", value, metadata={"kept": True})
        for told, entry in (("set_entry", made), ("get_entry", await entry_at(memory, "key"))):
            found = [entry.value, dict(entry.metadata), entry.version is not None]
            expected = [as_stored(value), {"kept": True}, True]
            expect(found, expected, f"value, metadata and presence of a version, from {told}")
        expect(await memory.exists("key"), True, "exists('key') after set_entry")
        await memory.delete("key")


@batch_law("V3", corpus=_falsy, needs=Capability.CAS)
async def compare_and_set_tells_none_from_absent(world: World, items: Sequence[Any]) -> None:
    """`compare_and_set` that expects no entry conflicts with a stored None; its version counts."""
    memory = world.memory
    for value in items:
        version = await memory.compare_and_set("key", value, expect=ABSENT)
        await world.expect_error(ConflictError, "compare_and_set", "key", "new", expect=ABSENT)
        expect(await memory.get("key"), as_stored(value), "get('key') after the conflict")
        version = await memory.compare_and_set("key", "new", expect=version)
        await memory.compare_and_set("key", value, expect=version)
        expect(await memory.exists("key"), True, "exists('key') after compare_and_set")
        await memory.delete("key")


@batch_law("V3", corpus=_falsy, needs=Capability.TOUCH)
async def a_stored_none_can_be_touched(world: World, items: Sequence[Any]) -> None:
    """`touch` finds a key that holds None, or what is false, and gives it the new expiry."""
    memory = world.memory
    for value in items:
        await memory.set("key", value)
        expect(await memory.touch("key", 36_000), True, "touch('key', 36_000)")
        if await memory.ttl("key") is None:
            fail("ttl('key') is None after touch('key', 36_000)")
        expect(await memory.exists("key"), True, "exists('key') after touch")
