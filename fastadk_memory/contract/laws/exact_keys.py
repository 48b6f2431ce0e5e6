"""Clauses K2 and K3: a key means nothing but itself, and comes back as it was set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from fastadk_memory.base import ABSENT, Capability, MemoryEntry
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import view
from fastadk_memory.contract.world import World

Pairs: TypeAlias = "Sequence[tuple[str, str]]"

# ------------------------------------------------- K2: keys are exact and opaque


@batch_law("K2", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def keys_that_differ_are_kept_apart(world: World, items: Sequence[str]) -> None:
    """Keys that differ in anything at all keep values of their own, also when written again."""
    memory = world.memory
    values = {key: f"value {at}" for at, key in enumerate(items)}
    for key in values:
        await memory.set(key, "first")
    for key, value in values.items():
        await memory.set(key, value)
    for key, value in values.items():
        expect(await memory.get(key), value, f"get({show(key)})")
        expect(await memory.exists(key), True, f"exists({show(key)})")


@batch_law("K2", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def deleting_a_key_leaves_the_others(world: World, items: Sequence[str]) -> None:
    """`delete` of one key removes that key and no other, however alike they are."""
    memory = world.memory
    left = dict.fromkeys(items, "value")
    await memory.set_many(left)
    while left:
        key, _ = left.popitem()
        await memory.delete(key)
        expect(await memory.exists(key), False, f"exists({show(key)}) after delete({show(key)})")
        for lost in left.keys() - set(await memory.keys()):
            expect(await memory.get(lost), "value", f"get({show(lost)}) after delete({show(key)})")


@batch_law("K2", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def bulk_calls_keep_keys_apart(world: World, items: Sequence[str]) -> None:
    """`set_many`, `get_many` and `delete_many` keep keys apart that differ in anything at all."""
    memory = world.memory
    values = {key: f"value {at}" for at, key in enumerate(items)}
    await memory.set_many(values)
    expect(await memory.get_many(list(values)), values, "get_many of what set_many stored")
    for key, value in values.items():
        expect(await memory.get(key), value, f"get({show(key)})")
    gone = list(values)[::2]
    expect(await memory.delete_many(gone), len(gone), "delete_many of every second key")
    rest = {key: value for key, value in values.items() if key not in gone}
    expect(await memory.get_many(list(values)), rest, "get_many after delete_many")


@batch_law("K2", corpus=Domain.key_pairs, drawn=Domain.key_pair, share=1.0)
async def no_key_answers_for_another(world: World, items: Pairs) -> None:
    """Where one key is stored, one that is almost the same is absent in every method."""
    for one, other in items:
        await _is_absent_beside(world.memory, one, other)
        await _is_absent_beside(world.memory, other, one)


async def _is_absent_beside(memory: Handle, stored: str, absent: str) -> None:
    beside = f"with only {show(stored)} stored"
    await memory.set(stored, "value", 36_000)
    # The stored one is asked for first: an answer kept in a cache is the other's, too.
    for key, there in ((stored, True), (absent, False)):
        expect(await memory.get(key), "value" if there else None, f"get({show(key)}) {beside}")
        expect(await memory.exists(key), there, f"exists({show(key)}) {beside}")
        expect(await memory.ttl(key) is not None, there, f"ttl({show(key)}) is not None {beside}")
        entry = await memory.get_entry(key)
        expect(entry is not None, there, f"get_entry({show(key)}) is not None {beside}")
    found = await memory.get_many([absent, stored])
    expect(found, {stored: "value"}, f"get_many([{show(absent)}, {show(stored)}]) {beside}")
    await memory.delete(absent)
    expect(await memory.delete_many([absent]), 0, f"delete_many([{show(absent)}]) {beside}")
    expect(await memory.get(stored), "value", f"get({show(stored)}) after deleting {show(absent)}")
    await memory.delete(stored)


@batch_law("K2", corpus=Domain.key_pairs, drawn=Domain.key_pair)
async def no_key_lends_another_its_expiry(world: World, items: Pairs) -> None:
    """Of two keys that are almost the same, each keeps the expiry that it was given."""
    memory = world.memory
    for one, other in [*items, *((other, one) for one, other in items)]:
        await memory.set(one, "one", 9_000)
        await memory.set(other, "other", 90_000)
        left = await memory.ttl(one)
        if left is None or not 3_600 < left <= 9_000:
            fail(f"ttl({show(one)}) is {left}, it was set to 9_000 and {show(other)} to 90_000")
        await memory.delete_many([one, other])


@batch_law("K2", corpus=Domain.key_pairs, drawn=Domain.key_pair, needs=Capability.ENTRIES)
async def no_key_shares_its_entry_with_another(world: World, items: Pairs) -> None:
    """Of two keys that are almost the same, each keeps its metadata."""
    memory = world.memory
    for one, other in items:
        await memory.set_entry(one, "one", metadata={"of": "one"})
        await memory.set_entry(other, "other", metadata={"of": "other"})
        for key, name in ((one, "one"), (other, "other")):
            entry = await memory.get_entry(key)
            found = None if entry is None else [entry.value, dict(entry.metadata)]
            expect(found, [name, {"of": name}], f"value and metadata of get_entry({show(key)})")
        await memory.delete_many([one, other])


@batch_law("K2", corpus=Domain.key_pairs, drawn=Domain.key_pair, needs=Capability.CAS)
async def compare_and_set_looks_at_one_key(world: World, items: Pairs) -> None:
    """`compare_and_set` of a key that is absent succeeds, though one almost the same is there."""
    memory = world.memory
    for one, other in [*items, *((other, one) for one, other in items)]:
        await memory.set(one, "one")
        await memory.compare_and_set(other, "other", expect=ABSENT)
        expect(await memory.get(one), "one", f"get({show(one)}) after storing {show(other)}")
        await memory.delete_many([one, other])


@batch_law("K2", corpus=Domain.key_pairs, drawn=Domain.key_pair, needs=Capability.TOUCH)
async def touch_looks_at_one_key(world: World, items: Pairs) -> None:
    """`touch` of a key that is absent is False, though one almost the same is there."""
    memory = world.memory
    for one, other in [*items, *((other, one) for one, other in items)]:
        await memory.set(one, "one", 90_000)
        expect(await memory.touch(other, 60), False, f"touch({show(other)}, 60)")
        left = await memory.ttl(one)
        if left is None or left < 3_600:
            fail(f"ttl({show(one)}) is {left} after touch({show(other)}, 60), it was set to 90_000")
        await memory.delete(one)


# ------------------------------------------- K3: keys come back as they were set


@batch_law("K3", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def a_listing_returns_the_strings_that_were_set(world: World, items: Sequence[str]) -> None:
    """`keys` and `scan` return exactly the strings that were set, each once."""
    memory = world.memory
    for key in items:
        await memory.set(key, "value")
        await memory.set(key, "again")
    await _expect_listed(memory, items)


@batch_law("K3", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def a_listing_holds_what_bulk_calls_stored(world: World, items: Sequence[str]) -> None:
    """`keys` and `scan` return the strings that `set_many` was given, less the deleted ones."""
    memory = world.memory
    await memory.set_many(dict.fromkeys(items, 1))
    await _expect_listed(memory, items)
    gone = list(dict.fromkeys(items))[::2]
    await memory.delete_many(gone)
    await _expect_listed(memory, [key for key in items if key not in gone])


_PREFIXED = ("a:", "a:a:", "xa:y", "xa:ya:z", "a", "aa:", ":a", "a:x", "b", "a:\nb", "A:a:")


@batch_law("K3", corpus=lambda domain: [*_PREFIXED, *domain.all_nasty_keys()[:120]])
async def a_view_lists_the_strings_that_were_set(world: World, items: Sequence[str]) -> None:
    """In a namespace, too, `keys` and `scan` return the strings, whatever is like its name."""
    for name in ("a", "ab", "x"):
        tenant = view(world, name)
        fitting = [key for key in items if len(key.encode()) <= tenant.max_key_bytes]
        await tenant.set_many(dict.fromkeys(fitting, "value"))
        await _expect_listed(tenant, fitting)


@batch_law("K3", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def what_is_listed_can_be_read_and_deleted(world: World, items: Sequence[str]) -> None:
    """Each string that `keys` returns leads `get` to its value, and `delete` to its entry."""
    memory = world.memory
    await memory.set_many({key: key for key in items})
    for listed in await memory.keys():
        expect(await memory.get(listed), listed, f"get({show(listed)}), which keys() returned")
        await memory.delete(listed)
    for key in dict.fromkeys(items):
        expect(await memory.exists(key), False, f"exists({show(key)}) after deleting all of keys()")


@batch_law("K3", corpus=Domain.all_nasty_keys, drawn=Domain.keys)
async def answers_name_the_key_as_it_was_set(world: World, items: Sequence[str]) -> None:
    """The entry of `get_entry` and the dict of `get_many` name the key exactly as it was set."""
    memory = world.memory
    await memory.set_many(dict.fromkeys(items, "value"), 36_000)
    for key in items:
        entry = await memory.get_entry(key)
        if entry is None:
            fail(f"get_entry({show(key)}) is None, though it is there")
        expect(entry.key, key, f"get_entry({show(key)}).key")
    found = await memory.get_many(items)
    expect(list(found), list(dict.fromkeys(items)), "the keys of what get_many returned, in order")


@batch_law("K3", corpus=Domain.all_nasty_keys, drawn=Domain.keys, needs=Capability.ENTRIES)
async def set_entry_names_the_key_as_it_was_set(world: World, items: Sequence[str]) -> None:
    """The entry that `set_entry` returns, and the listing after it, name the key as it was set."""
    memory = world.memory
    for key in items:
        entry: MemoryEntry = await memory.set_entry(key, "value", metadata={"a": 1})
        expect(entry.key, key, f"the key in the entry returned by set_entry({show(key)}, ...)")
    await _expect_listed(memory, items)


@batch_law("K3", corpus=Domain.all_nasty_keys, drawn=Domain.keys, needs=Capability.CAS)
async def a_listing_holds_what_compare_and_set_stored(world: World, items: Sequence[str]) -> None:
    """`keys` and `scan` return the strings that `compare_and_set` was given."""
    memory = world.memory
    for key in dict.fromkeys(items):
        await memory.compare_and_set(key, "value", expect=ABSENT)
    await _expect_listed(memory, items)


async def _expect_listed(memory: Handle, expected: Sequence[str]) -> None:
    expect_keys(await memory.keys(), expected, "keys()")
    expect_keys(await memory.scan(), expected, "scan()")
