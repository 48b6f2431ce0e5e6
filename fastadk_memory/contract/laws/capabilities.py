"""Clause U1: what `compare_and_set` expects, what a conflict leaves, and what the winner does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastadk_memory.base import ABSENT, Absent, Capability, Version
from fastadk_memory.contract.compare import as_stored, expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.many import numbered
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.snapshots import expect_same, snapshot
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError, InvalidTTLError, UnsupportedValueError

_LONG = 36_000


async def expect_conflict(
    world: World, memory: Handle, key: str, expected: Any, value: Any = "lost", ttl: Any = 5
) -> None:
    """Require that a `compare_and_set` is refused, with an error that names the key."""
    error = await world.raises(
        ConflictError, memory, "compare_and_set", key, value, expect=expected, ttl=ttl
    )
    if error.key != key:
        fail(f"the ConflictError for {show(key)} has the key {show(error.key)}")


# -------------------------------------------------------------------- what is expected


@law("U1", needs=Capability.CAS, given={"key": Domain.keys}, examples=[{"key": "a"}])
async def a_version_fits_once(world: World, key: str) -> None:
    """The version that the last write returned fits; once it was used, it fits no more."""
    memory = world.memory
    first = await memory.compare_and_set(key, "one", expect=ABSENT)
    second = await memory.compare_and_set(key, "two", expect=first)
    for stale in (first, ABSENT):
        await expect_conflict(world, memory, key, stale)
        expect(await memory.get(key), "two", f"get({show(key)}) after the conflict")
    third = await memory.compare_and_set(key, "three", expect=second)
    expect(await memory.get(key), "three", f"get({show(key)}) after compare_and_set")
    for version in (first, second, third):
        if type(version) is not str:
            fail(f"compare_and_set returned {show(version)}, expected a version, which is a str")


@law("U1", needs=Capability.CAS, examples=[{"ttl": None}, {"ttl": 5}, {"ttl": 360_000}])
async def a_conflict_leaves_the_expiry(world: World, ttl: int | None) -> None:
    """A `compare_and_set` that loses changes no expiry, whatever TTL it brings or does not."""
    memory = world.memory
    await memory.set("mortal", "old", _LONG)
    await memory.set("for good", "old")
    endless = await memory.ttl("for good") is None  # whether it is, is a matter of T4
    for expected in (ABSENT, "no version of it"):
        for key in ("mortal", "for good"):
            await expect_conflict(world, memory, key, expected, ttl=ttl)
        left = await memory.ttl("mortal")
        if left is None or not _LONG / 2 < left <= _LONG:
            fail(f"ttl('mortal') after a conflict is {left}, it was set to {_LONG}")
        found = await memory.ttl("for good") is None
        expect(found, endless, "whether ttl('for good') after a conflict is None")


_REMOVALS = ("never set", "delete", "delete_many", "clear", "clear_pattern")


@law("U1", needs=Capability.CAS, examples=[{"removal": each} for each in _REMOVALS])
async def absent_fits_where_no_entry_is(world: World, removal: str) -> None:
    """`expect=ABSENT` fits a key that was never set or is gone; a version fits no such key."""
    memory = world.memory
    await memory.set("other", "other")
    version: Version = "0"
    if removal != "never set":
        version = await memory.compare_and_set("a", "old", expect=ABSENT)
        arguments: dict[str, list[Any]] = {"clear": [], "delete_many": [["a"]]}
        await memory.call(removal, *arguments.get(removal, ["a"]))
    await expect_conflict(world, memory, "a", version)
    expect(await memory.exists("a"), False, "exists('a') after the conflict")
    again = await memory.compare_and_set("a", "new", expect=ABSENT)
    expect(await memory.get("a"), "new", "get('a') after compare_and_set")
    await expect_conflict(world, memory, "a", version)
    await memory.compare_and_set("a", "newer", expect=again)


@law("U1", needs=Capability.CAS, waits=True, given={"ms": Domain.step_ms}, share=0.5)
async def an_expired_entry_counts_as_absent(world: World, ms: int) -> None:
    """Once an entry has expired its version fits no more, and `expect=ABSENT` fits."""
    memory, ttl = world.memory, ms / 1000
    # So much to clear away that what is asked for is still in the store, where it waits for that.
    await memory.set_many(numbered(150), ttl)
    old: dict[str, Version] = {}
    for after in ("conflict", "at once"):
        old[f"new, {after}"] = await memory.compare_and_set(
            f"new, {after}", "old", expect=ABSENT, ttl=ttl
        )
        key = f"overwritten, {after}"
        version = await memory.compare_and_set(key, "older", expect=ABSENT)
        old[key] = await memory.compare_and_set(key, "old", expect=version, ttl=ttl)
        if memory.declares(Capability.TOUCH):
            key = f"touched, {after}"
            old[key] = await memory.compare_and_set(key, "old", expect=ABSENT)
            await memory.touch(key, ttl)
    await world.advance(ttl if world.exact else ttl + world.limits.margin_seconds)
    for key, version in old.items():
        if key.endswith("conflict"):
            await expect_conflict(world, memory, key, version, ttl=None)
        # The conflict has not brought it back.
        await memory.compare_and_set(key, "new", expect=ABSENT)
        expect(await memory.get(key), "new", f"get({key!r}) after compare_and_set")
        await expect_conflict(world, memory, key, version)


@law("U1", needs=Capability.CAS)
async def the_last_millisecond_of_an_entry_counts(world: World) -> None:
    """Up to the moment it expires the version of an entry fits, and `expect=ABSENT` does not."""
    if not world.exact:
        raise NotApplicable("needs time that is moved by hand")
    memory = world.memory
    version = await memory.compare_and_set("a", "old", expect=ABSENT, ttl=1)
    await world.advance(1 - 1 / 1024)
    await expect_conflict(world, memory, "a", ABSENT)
    await memory.compare_and_set("a", "new", expect=version, ttl=1)
    expect(await memory.get("a"), "new", "get('a') after compare_and_set")


# ------------------------------------------------------------- what a conflict leaves behind


def _no_versions(version: Version) -> list[Any]:
    """Return texts that are other versions than the right one, as a sloppy store compares."""
    made = [
        "", "0", "1", "-1", "None", "null", "absent", "ABSENT", "*", "%", "é", "\x00", "x" * 5_000,
        version.upper(), version.title(), f"{version} ", f" {version}", f"{version}\n", version[1:],
        version[:-1], f"{version}0", f"0{version}", f'"{version}"', f"W/{version}", version * 2,
    ]  # fmt: skip
    return [each for each in dict.fromkeys(made) if each != version]


@law("U1", needs=Capability.CAS)
async def any_other_version_conflicts(world: World) -> None:
    """A text that is not the version of the entry to the letter conflicts, whatever it is."""
    memory = world.memory
    version = await memory.compare_and_set("a", "kept", expect=ABSENT, ttl=_LONG)
    before = await snapshot(world, memory, "a")
    for wrong in _no_versions(version):
        await expect_conflict(world, memory, "a", wrong)
        await expect_conflict(world, memory, "absent", wrong)
        await expect_same(world, memory, "a", before, "after the conflict")
    expect_keys(await memory.keys(), ["a"], "keys() after the conflicts")
    await memory.compare_and_set("a", "new", expect=version)


@law("U1", needs=Capability.CAS)
async def a_version_of_another_key_conflicts(world: World) -> None:
    """The version of another key, which holds the same, is not the version of this one."""
    memory = world.memory
    one = await memory.compare_and_set("a", "same", expect=ABSENT)
    one = await memory.compare_and_set("a", "same", expect=one)
    other = await memory.compare_and_set("b", "same", expect=ABSENT)
    if other == one:  # versions are unique to their keys only
        other = await memory.compare_and_set("b", "same", expect=other)
    await expect_conflict(world, memory, "a", other)
    await memory.compare_and_set("a", "new", expect=one)


async def _store(memory: Handle, key: str, value: Any) -> None:
    if memory.declares(Capability.ENTRIES):
        await memory.set_entry(key, value, _LONG, metadata={"kept": [1, None]})
    else:
        await memory.set(key, value, _LONG)


@batch_law(
    "U1", corpus=lambda _: NASTY_VALUES, drawn=Domain.values, needs=Capability.CAS, share=0.3
)
async def a_conflict_changes_nothing(world: World, items: Sequence[Any]) -> None:
    """Value, expiry, metadata and version are after a conflict what they were before it."""
    memory = world.memory
    for at, value in enumerate(items):
        key = f"key{at}"
        await _store(memory, key, value)
        before = await snapshot(world, memory, key)
        for expected in (ABSENT, "no such version"):
            await expect_conflict(world, memory, key, expected, "lost", 5)
            await expect_same(world, memory, key, before, "after the conflict")


class _Unlike:
    """Something that is no version."""

    def __repr__(self) -> str:
        return "object()"


_NO_EXPECTATIONS: tuple[Any, ...] = (
    None, 0, 1, True, False, 1.5, b"absent", b"", [], (), {}, ["absent"], Absent, _Unlike(),
)  # fmt: skip


@batch_law("U1", corpus=lambda _: _NO_EXPECTATIONS, needs=Capability.CAS)
async def what_is_no_expectation_is_refused(world: World, items: Sequence[Any]) -> None:
    """What is neither a version nor `ABSENT` raises UnsupportedValueError; `None` as well."""
    memory = world.memory
    version = await memory.compare_and_set("a", "kept", expect=ABSENT)
    for wrong in items:
        for key in ("a", "absent"):
            await world.expect_error(
                UnsupportedValueError, "compare_and_set", key, "new", expect=wrong
            )
    expect(await memory.get("a"), "kept", "get('a') after the refusals")
    expect_keys(await memory.keys(), ["a"], "keys() after the refusals")
    await memory.compare_and_set("a", "new", expect=version)


@law("U1", needs=Capability.CAS)
async def bad_arguments_are_refused_before_anything_is_compared(world: World) -> None:
    """A value or TTL that is none is refused, whether or not the version fits; it still fits."""
    memory = world.memory
    version = await memory.compare_and_set("a", "kept", expect=ABSENT, ttl=_LONG)
    before = await snapshot(world, memory, "a")
    for expected in (version, "another", ABSENT):
        for key in ("a", "absent"):
            await world.expect_error(
                UnsupportedValueError, "compare_and_set", key, {1, 2}, expect=expected
            )
            await world.expect_error(
                InvalidTTLError, "compare_and_set", key, "new", expect=expected, ttl=0
            )
    await expect_same(world, memory, "a", before, "after the refusals")
    expect_keys(await memory.keys(), ["a"], "keys() after the refusals")
    await memory.compare_and_set("a", "new", expect=version)


# ---------------------------------------------------------------------- what winning does


@batch_law(
    "U1", corpus=lambda _: NASTY_VALUES, drawn=Domain.values, needs=Capability.CAS, share=0.3
)
async def the_winner_stores_what_set_would(world: World, items: Sequence[Any]) -> None:
    """What `compare_and_set` stores is read back as what `set` stores: each kind of value."""
    memory = world.memory
    for at, value in enumerate(items):
        key = f"key{at}"
        version = await memory.compare_and_set(key, "old", expect=ABSENT)
        version = await memory.compare_and_set(key, value, expect=version)
        expect(await memory.get(key), as_stored(value), f"get({key!r}) after compare_and_set")
        if memory.declares(Capability.ENTRIES):
            entry = await entry_at(memory, key)
            expect(entry.version, version, f"get_entry({key!r}).version after compare_and_set")


@law("U1", needs=Capability.CAS)
async def the_winner_replaces_the_expiry(world: World) -> None:
    """`compare_and_set` gives the entry the TTL that it was called with, not the old one."""
    memory = world.memory
    version = await memory.compare_and_set("a", 1, expect=ABSENT, ttl=60)
    version = await memory.compare_and_set("a", 2, expect=version, ttl=_LONG)
    await _expect_left(memory, 60, _LONG)
    version = await memory.compare_and_set("a", 3, expect=version, ttl=60)
    await _expect_left(memory, 0, 60)
    if not world.waived("T4"):
        await memory.compare_and_set("a", 4, expect=version)
        expect(await memory.ttl("a"), None, "ttl('a') after compare_and_set without a TTL")


async def _expect_left(memory: Handle, over: int, most: int) -> None:
    left = await memory.ttl("a")
    if left is None or not over < left <= most:
        fail(f"ttl('a') after compare_and_set with the TTL {most} is {left}")


@law("U1", needs=Capability.CAS, waits=True)
async def the_winner_s_expiry_counts(world: World) -> None:
    """An entry lives as long as the last `compare_and_set` said, and no longer."""
    memory, step = world.memory, world.limits.step_seconds if not world.exact else 0.5
    versions = [
        await memory.compare_and_set(key, "old", expect=ABSENT, ttl=ttl)
        for key, ttl in (("longer", step), ("shorter", _LONG))
    ]
    try:
        await memory.compare_and_set("longer", "new", expect=versions[0], ttl=_LONG)
    except ConflictError:
        if world.exact:
            raise
        raise NotApplicable("the machine is too slow for the limit step_seconds") from None
    await memory.compare_and_set("shorter", "new", expect=versions[1], ttl=step)
    await world.advance(step if world.exact else step + world.limits.margin_seconds)
    expect(await memory.get("longer"), "new", "get('longer') past its first expiry")
    expect(await memory.get("shorter"), None, "get('shorter') past its second expiry")


@law("U1", needs=Capability.CAS)
async def the_winner_drops_the_metadata(world: World) -> None:
    """`compare_and_set` replaces the whole entry: no metadata stays, and it is a new one."""
    memory = world.memory
    if not memory.declares(Capability.ENTRIES):
        raise NotApplicable("the backend does not declare ENTRIES")
    old = await memory.set_entry("a", "old", metadata={"old": 1})
    if world.exact:
        await world.advance(2)
    version = await memory.compare_and_set("a", "new", expect=old.version or "")
    entry = await entry_at(memory, "a")
    expect(dict(entry.metadata), {}, "get_entry('a').metadata after compare_and_set")
    expect(entry.version, version, "get_entry('a').version after compare_and_set")
    if world.exact and old.created_at is not None and entry.created_at is not None:
        passed = (entry.created_at - old.created_at).total_seconds()
        expect(passed, 2.0, "seconds between set_entry and compare_and_set, by their created_at")
