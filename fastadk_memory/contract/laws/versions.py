"""Clause U1: versions never repeat."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability, Version
from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.laws.capabilities import expect_conflict
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.world import World

_LONG = 36_000


@dataclass(frozen=True)
class Write:
    """A way of writing to the key `a`.

    Attributes:
        name: What it is called.
        make: Does it.
        needs: The capability that it belongs to.
    """

    name: str
    make: Callable[[Handle], Awaitable[object]]
    needs: Capability | None = None

    def __repr__(self) -> str:
        return self.name


async def _again(memory: Handle, *removal: Any) -> None:
    await memory.call(*removal)
    await memory.set("a", "value")


WRITES = (
    Write("set", lambda memory: memory.set("a", "value")),
    Write("set_ttl", lambda memory: memory.set("a", "value", _LONG)),
    Write("set_many", lambda memory: memory.set_many({"a": "value", "b": 1})),
    Write(
        "set_entry",
        lambda memory: memory.set_entry("a", "value", metadata={}),
        Capability.ENTRIES,
    ),
    Write("delete", lambda memory: _again(memory, "delete", "a")),
    Write("delete_many", lambda memory: _again(memory, "delete_many", ["a"])),
    Write("clear", lambda memory: _again(memory, "clear")),
    Write("clear_pattern", lambda memory: _again(memory, "clear_pattern", "a*")),
)
"""Ways of writing the same value to `a` once more, each of which has to make a new version."""


def _draw_writes(domain: Domain) -> SearchStrategy[list[Write]]:
    return st.lists(st.sampled_from(_writes(domain)), min_size=1, max_size=6)


def _writes(domain: Domain) -> list[Write]:
    return [each for each in WRITES if each.needs is None or each.needs in domain.capabilities]


def _each_write(domain: Domain) -> Sequence[Mapping[str, Any]]:
    return [{"writes": [each] * 3} for each in _writes(domain)]


@law("U1", needs=Capability.CAS, given={"writes": _draw_writes}, examples=_each_write, share=0.5)
async def every_write_ends_the_versions_before_it(world: World, writes: Sequence[Write]) -> None:
    """Whatever writes the entry anew, the same value even, no older version fits any more."""
    memory = world.memory
    versions = [await memory.compare_and_set("a", "value", expect=ABSENT)]
    for write in writes:
        await write.make(memory)
        for stale in versions:
            await expect_conflict(world, memory, "a", stale)
        expect(await memory.get("a"), "value", f"get('a') after {write} and a conflict")
        await memory.delete("a")
        versions.append(await memory.compare_and_set("a", "value", expect=ABSENT))


@law(
    "U1", needs=Capability.ENTRIES, given={"writes": _draw_writes}, examples=_each_write, share=0.5
)
async def versions_never_repeat(world: World, writes: Sequence[Write]) -> None:
    """Each write gives the entry a version that it never had, after deleting and clearing, too."""
    memory = world.memory
    await memory.set("a", "value")
    versions = [(await entry_at(memory, "a")).version]
    for write in writes:
        await write.make(memory)
        versions.append((await entry_at(memory, "a")).version)
        _expect_new(versions, f"after {write}")


def _expect_new(versions: Sequence[Version | None], told: str) -> None:
    last = versions[-1]
    if type(last) is not str:
        fail(f"the version of 'a' {told} is {show(last)}, expected a str")
    if last in versions[:-1]:
        fail(f"the version of 'a' {told} is {show(last)}, which it was before")


@law("U1", needs=Capability.ENTRIES)
async def versions_last_through_a_long_life(world: World) -> None:
    """Hundreds of writes make hundreds of versions, for a key that is removed at times as well."""
    memory = world.memory
    versions: list[Version | None] = []
    for number in range(300):
        if number % 50 == 49:
            await memory.delete("a")
        versions.append((await memory.set_entry("a", "value", metadata={})).version)
        _expect_new(versions, f"after {number + 1} writes")


@law("U1", needs=Capability.ENTRIES, waits=True)
async def versions_do_not_repeat_after_expiry(world: World) -> None:
    """An entry that is made anew after the old one has expired has a version of its own."""
    memory, step = world.memory, world.limits.step_seconds if not world.exact else 0.5
    versions: list[Version | None] = []
    for _ in range(3):
        versions.append((await memory.set_entry("a", "value", step, metadata={})).version)
        _expect_new(versions, "after the one before has expired")
        await world.advance(step if world.exact else step + world.limits.margin_seconds)
        expect(await memory.exists("a"), False, "exists('a') past its expiry")


@law("U1", needs=Capability.ENTRIES, hooks=("reopen",))
async def versions_do_not_repeat_after_reopening(world: World) -> None:
    """A store that was closed and opened again goes on with new versions."""
    memory = world.memory
    versions = [(await memory.set_entry("a", "value", metadata={})).version for _ in range(3)]
    again = await world.reopen()
    for _ in range(3):
        versions.append((await again.set_entry("a", "value", metadata={})).version)
        _expect_new(versions, "after reopening")


@law("U1", needs=Capability.ENTRIES, hooks=("second",))
async def versions_of_two_clients_never_meet(world: World) -> None:
    """What two clients of one store write to one key has as many versions."""
    clients = [world.memory, await world.second()]
    versions: list[Version | None] = []
    for number in range(6):
        client = clients[number % 2]
        versions.append((await client.set_entry("a", "value", metadata={})).version)
        _expect_new(versions, f"after a write of {client.name}")


@law("U1", needs=Capability.ENTRIES)
async def writes_at_once_get_versions_of_their_own(world: World) -> None:
    """Entries that are written to one key at the same time differ in their versions."""
    memory = world.memory
    await memory.set("a", "before")  # opened: the writes then meet without waiting for that
    made = await asyncio.gather(*(memory.set_entry("a", "value", metadata={}) for _ in range(20)))
    versions = [entry.version for entry in made]
    for at in range(1, len(versions) + 1):
        _expect_new(versions[:at], "of 20 that were made at once")
    last = (await entry_at(memory, "a")).version
    if last not in versions:
        fail(f"get_entry('a').version is {show(last)}, which none of the writes returned")


@law("U1", needs=Capability.ENTRIES)
async def the_entry_shows_the_version_that_was_returned(world: World) -> None:
    """`get_entry` shows the version that the write returned, and reading does not change it."""
    memory = world.memory
    made = await memory.set_entry("a", "value", _LONG, metadata={"kept": 1})
    await memory.set_many({"b": 1, "c": 2})
    await memory.get_many(["a", "b"])
    await memory.keys()
    await memory.delete("b")
    for _ in range(2):
        entry = await entry_at(memory, "a")
        expect(entry.version, made.version, "get_entry('a').version after set_entry")
        expect(entry.created_at, made.created_at, "get_entry('a').created_at after set_entry")
