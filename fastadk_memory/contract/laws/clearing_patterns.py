"""Clause C2: `clear_pattern(p)` removes exactly `keys(p)`."""

from __future__ import annotations

from collections.abc import Sequence

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.inputs.corpus import NASTY_KEYS, NASTY_PATTERNS
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.globs import WAYS, Item, as_items, matching, parted, varied
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import (
    expect_absent,
    expect_matches,
    fill,
    fill_in_every_way,
    fill_numbered,
    view,
)
from fastadk_memory.contract.world import World


def keys_and_patterns(domain: Domain) -> list[Item]:
    """Return a third of the corpus of keys, that of patterns, and some that resemble keys."""
    keys = [
        *NASTY_KEYS[::3],
        *domain.boundary_keys()[::7],
        "[a]",
        "a\\b",
        "ab",
        "b",
        "a\n",
        "\u212a",
    ]
    alike = [varied(key, at, 1, WAYS[(3 * at) % len(WAYS)]) for at, key in enumerate(keys)]
    return as_items(keys, [*NASTY_PATTERNS, *alike])


@batch_law("C2", corpus=keys_and_patterns)
async def it_removes_what_fnmatchcase_matches(world: World, items: Sequence[Item]) -> None:
    """`clear_pattern(p)` removes the keys that `fnmatch.fnmatchcase(key, p)` is true of."""
    keys, patterns = parted(items)
    memory = world.memory
    await fill(memory, keys)
    for pattern in patterns:
        await memory.clear_pattern(pattern)
        gone = matching(pattern, keys)
        left = set(keys) - set(gone)
        expect_keys(await memory.keys(), left, f"keys() after clear_pattern({show(pattern)})")
        await fill(memory, gone)


@law("C2", given={"drawn": Domain.keys_and_patterns})
async def it_removes_what_keys_shows(world: World, drawn: tuple[list[str], list[str]]) -> None:
    """`clear_pattern(p)` removes what `keys(p)` returned just before, and nothing else."""
    keys, patterns = drawn
    memory = world.memory
    for pattern in patterns:
        await fill(memory, keys)
        shown = await memory.keys(pattern)
        await memory.clear_pattern(pattern)
        left = set(keys) - set(shown)
        expect_keys(await memory.keys(), left, f"keys() after clear_pattern({show(pattern)})")
        expect_keys(await memory.keys(pattern), [], f"keys({show(pattern)}) after clearing it")


@law("C2", examples=[{"patterns": ("*[!9]", "k*")}, {"patterns": ("*9", "k0000??", "*[0-4]")}])
async def it_removes_more_than_a_page(world: World, patterns: Sequence[str]) -> None:
    """`clear_pattern` removes all that matches, however many entries do or do not."""
    memory = world.memory
    keys = await fill_numbered(memory, world.limits.many_entries)
    for pattern in patterns:
        await memory.clear_pattern(pattern)
        keys = sorted(set(keys) - set(matching(pattern, keys)))
        await expect_matches(memory, "*", keys, f" after clear_pattern({pattern!r})")


@law("C2", examples=[{"pattern": each} for each in ("a*", "[ab]?", "*b", "a1", "?[2-9]", "*")])
async def what_is_removed_is_gone_in_every_method(world: World, pattern: str) -> None:
    """What `clear_pattern` removes is absent for every method, however it was stored."""
    memory = world.memory
    keys = [f"{letter}{number}" for letter in "abc" for number in range(1, 5)]
    await fill_in_every_way(memory, keys)
    await memory.clear_pattern(pattern)
    gone = matching(pattern, keys)
    await expect_absent(memory, gone, f"after clear_pattern({pattern!r})")
    left = set(keys) - set(gone)
    await expect_matches(memory, "*", left, f" after clear_pattern({pattern!r})")


@law("C2", hooks=("damage",), examples=[{"pattern": each} for each in ("a*", "*1", "*", "a1")])
async def it_removes_what_cannot_be_read(world: World, pattern: str) -> None:
    """`clear_pattern(p)` removes damaged entries, too, where `keys(p)` shows them."""
    memory, keys = world.memory, ["a1", "a2", "a3", "b1", "b2"]
    await fill(memory, keys)
    for key in ("a1", "a3", "b2"):
        await world.damage(key)
    shown, left = await memory.keys(pattern), await memory.keys()
    await memory.clear_pattern(pattern)
    told = f"after clear_pattern({pattern!r}) of damaged entries and others"
    expect_keys(await memory.keys(), set(left) - set(shown), f"keys() {told}")
    await expect_absent(memory, shown, told)


async def described(world: World, keys: Sequence[str]) -> dict[str, list[object]]:
    """Return all that there is to know about some entries, the seconds left aside."""
    memory = world.memory
    known: dict[str, list[object]] = {}
    for key in keys:
        known[key] = [await memory.get(key), await memory.ttl(key) is None]
        if memory.declares(Capability.ENTRIES):
            entry = await memory.get_entry(key)
            if entry is None:
                fail(f"get_entry({key!r}) is None")
            # Where it is reckoned from the seconds left, it differs a little each time.
            expiry = entry.expires_at if world.exact else entry.expires_at is None
            known[key] += [entry.version, entry.created_at, expiry, dict(entry.metadata)]
    return known


@law("C2", examples=[{"pattern": each} for each in ("b*", "*1", "[!a]*", "", "x*", "b2")])
async def what_stays_is_unchanged(world: World, pattern: str) -> None:
    """What `clear_pattern` does not remove keeps its value, expiry, version and metadata."""
    memory = world.memory
    keys = [f"{letter}{number}" for letter in "ab" for number in range(1, 7)]
    await fill_in_every_way(memory, keys)
    left = sorted(set(keys) - set(matching(pattern, keys)))
    before = await described(world, left)
    await memory.clear_pattern(pattern)
    told = f"what is known of the other keys after clear_pattern({pattern!r})"
    expect(await described(world, left), before, told)


@law("C2")
async def it_may_be_called_with_a_keyword(world: World) -> None:
    """`clear_pattern(pattern=...)` is the same call."""
    await fill(world.memory, ["a", "ab", "b"])
    answer = await world.memory.call("clear_pattern", pattern="a*")
    expect(answer, None, "clear_pattern(pattern='a*')")
    expect_keys(await world.memory.keys(), ["b"], "keys() after clear_pattern(pattern='a*')")


@law("C2", examples=[{"pattern": each} for each in ("*", "?", "a*", "tenant*", "*:*", "[!a]")])
async def in_a_namespace_it_sees_the_keys_of_the_namespace(world: World, pattern: str) -> None:
    """In a namespace the pattern is for the namespace's own keys, as its `keys` shows them."""
    tenant, other = view(world, "tenant"), view(world, "other")
    keys = ["a", "ab", "b", "tenant", "tenant:a", ":", "*", "é"]
    for handle in (tenant, other):
        await fill(handle, keys)
    await tenant.clear_pattern(pattern)
    left = set(keys) - set(matching(pattern, keys))
    expect_keys(await tenant.keys(), left, f"keys() after clear_pattern({pattern!r})")
    expect_keys(await other.keys(), keys, "keys() of another namespace")
