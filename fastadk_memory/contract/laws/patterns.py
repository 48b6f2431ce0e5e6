"""Clause P1: what a pattern matches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import expect_keys
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_PATTERNS
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.globs import (
    WAYS,
    Item,
    as_items,
    matching,
    parted,
    resembling,
    varied,
)
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import expect_matches, fill, fill_numbered
from fastadk_memory.contract.world import World

_RICH = ("user:17:name", "a\x00b", "é", "🔑", "[a]", "a*", "a\\b", "👩‍👩‍👧", "a\n")


def keys_and_patterns(domain: Domain) -> list[Item]:
    """Return the whole corpus of keys, that of patterns, and patterns that resemble keys."""
    keys = domain.all_nasty_keys()
    patterns = [*NASTY_PATTERNS, *(each for key in _RICH for each in resembling(key))]
    for at, key in enumerate(keys):
        patterns += [varied(key, at, 1 + at % 2, WAYS[(at * step) % len(WAYS)]) for step in (1, 5)]
    return as_items(keys, patterns)


def keys_and_fewer_patterns(domain: Domain) -> list[Item]:
    """Return the corpus of keys, that of patterns, and one more pattern for some of the keys."""
    keys = domain.all_nasty_keys()
    alike = [varied(key, at, 1, WAYS[at % len(WAYS)]) for at, key in enumerate(keys[::3])]
    return as_items(keys, [*NASTY_PATTERNS, *alike])


@batch_law("P1", corpus=keys_and_patterns)
async def keys_matches_as_fnmatchcase_does(world: World, items: Sequence[Item]) -> None:
    """`keys(p)` returns exactly the keys that `fnmatch.fnmatchcase(key, p)` is true of."""
    keys, patterns = parted(items)
    await fill(world.memory, keys)
    for pattern in patterns:
        listed = await world.memory.keys(pattern)
        expect_keys(listed, matching(pattern, keys), f"keys({show(pattern)})")


@batch_law("P1", corpus=keys_and_fewer_patterns)
async def scan_matches_as_fnmatchcase_does(world: World, items: Sequence[Item]) -> None:
    """`scan(p)` yields exactly the keys that `fnmatch.fnmatchcase(key, p)` is true of."""
    keys, patterns = parted(items)
    await fill(world.memory, keys)
    for pattern in patterns:
        yielded = await world.memory.scan(pattern)
        expect_keys(yielded, matching(pattern, keys), f"scan({show(pattern)})")


@law("P1", given={"drawn": Domain.keys_and_patterns})
async def random_patterns_match_as_fnmatchcase_does(
    world: World, drawn: tuple[list[str], list[str]]
) -> None:
    """Patterns made from the stored keys match exactly as `fnmatch.fnmatchcase` does."""
    keys, patterns = drawn
    await fill(world.memory, keys)
    for pattern in patterns:
        await expect_matches(world.memory, pattern, keys)


@law("P1")
async def without_a_pattern_all_are_listed(world: World) -> None:
    """`keys()` and `scan()` are `keys("*")` and `scan("*")`: everything, in a `list`."""
    memory = world.memory
    expect_keys(await memory.keys(), [], "keys() of an empty store")
    expect_keys(await memory.scan(), [], "scan() of an empty store")
    keys = ["a", "A", "ab", "b", "a:b", "é", "*", "[a]", ".a", "\n", " ", "\x00"]
    await fill(memory, keys)
    expect_keys(await memory.keys(), keys, "keys()")
    expect_keys(await memory.scan(), keys, "scan()")
    expect_keys(await memory.call("keys", pattern="*"), keys, "keys(pattern='*')")
    expect_keys(await memory.call("keys", pattern="a?"), ["ab"], "keys(pattern='a?')")


_CHANGES: tuple[tuple[str, tuple[Any, ...], set[str]], ...] = (
    ("set", ("a", 1), {"a"}),
    ("set", ("ab", 1, 3600), {"a", "ab"}),
    ("set_many", ({"b": 1, "bb": None},), {"a", "ab", "b", "bb"}),
    ("delete", ("a",), {"ab", "b", "bb"}),
    ("set", ("a", 2), {"a", "ab", "b", "bb"}),
    ("clear_pattern", ("?b",), {"a", "b"}),
    ("delete_many", (["b", "c"],), {"a"}),
    ("clear", (), set()),
    ("set", ("ab", 1), {"ab"}),
)
"""Calls one after the other, and which keys are there after each."""


@law("P1")
async def a_listing_follows_every_change(world: World) -> None:
    """A pattern that was asked for before is matched with what is stored now."""
    memory = world.memory
    for method, args, there in _CHANGES:
        await memory.call(method, *args)
        for pattern in ("*", "a*", "?", "[ab]", "a", "*b", "[!a]*"):
            await expect_matches(memory, pattern, there, f" after {method}")


@law("P1")
async def every_entry_is_listed_once(world: World) -> None:
    """However an entry was written, and written again, a listing names it once."""
    memory = world.memory
    written: dict[str, Any] = {"none": None, "zero": 0, "empty": "", "long": "x" * 5000}
    for key, value in written.items():
        await memory.set(key, value)
    await memory.set("short-lived", 1, 3600)
    await memory.set_many({"many": 1, "long": 2}, 3600)
    await memory.set("none", 1)
    await memory.set("none", None)
    await memory.delete("zero")
    await memory.set("zero", 0, 3600)
    there = {*written, "short-lived", "many"} | await write_by_capabilities(memory)
    for pattern in ("*", "*o*", "**", "*?*", "[a-z]*", "none", "[n]one"):
        await expect_matches(memory, pattern, there)


async def write_by_capabilities(memory: Handle) -> set[str]:
    """Write by each method that the backend declares; return the keys that are new."""
    there: set[str] = set()
    if memory.declares(Capability.TOUCH):
        await memory.touch("none", 3600)
        await memory.touch("long", None)
    if memory.declares(Capability.ENTRIES):
        await memory.set_entry("entry", 1, metadata={"m": 1})
        entry = await memory.set_entry("entry", 2, 3600, metadata={"m": 1})
        there.add("entry")
        if memory.declares(Capability.CAS):
            await memory.compare_and_set("entry", 3, expect=entry.version)
    return there


@law("P1")
async def a_pattern_looks_at_more_than_a_page(world: World) -> None:
    """Among many entries a pattern finds every one that it matches, wherever it stands."""
    memory = world.memory
    keys = await fill_numbered(memory, world.limits.many_entries)
    last = keys[-1]
    patterns = ["*", "k*", "*9", "k00??5?", "[!x]*", last, f"*{last[-3:]}", f"[k]{last[1:]}", "x*"]
    for pattern in patterns:
        await expect_matches(memory, pattern, keys, f" of {len(keys):_} keys")
    for size in (1, 7, len(keys), 10 * len(keys)):
        found = await memory.scan("*5", batch_size=size)
        expect_keys(found, matching("*5", keys), f"scan('*5', batch_size={size})")


@law("P1")
async def a_listing_has_no_cap(world: World) -> None:
    """`keys` and `scan` return all keys, however many there are."""
    memory = world.memory
    keys = await fill_numbered(memory, world.limits.listed_entries)
    await expect_matches(memory, "*", keys, f" of {len(keys):_} keys")
    expect_keys(await memory.keys("k0?????"), keys, f"keys('k0?????') of {len(keys):_} keys")
