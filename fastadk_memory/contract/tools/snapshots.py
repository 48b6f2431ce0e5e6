"""`Snapshot`: all that can be seen of one key, for laws that say what a call must not change."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastadk_memory.base import Capability, MemoryEntry
from fastadk_memory.contract.compare import as_stored, expect, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.show import show
from fastadk_memory.contract.world import World

__all__ = ["Snapshot", "expect_same", "snapshot"]

_SLACK = 30.0  # seconds by which two readings of one expiry may differ where time really passes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One key as it stood at one moment.

    Attributes:
        entry: What `get_entry` answered.
        left: What `ttl` answered.
        at: When that was, in seconds of the world's time.
    """

    entry: MemoryEntry | None
    left: int | None
    at: float


async def snapshot(world: World, memory: Handle, key: str) -> Snapshot:
    """Return all that can be seen of a key."""
    return Snapshot(await memory.get_entry(key), await memory.ttl(key), world.now())


async def expect_same(
    world: World,
    memory: Handle,
    key: str,
    before: Snapshot,
    told: str,
    *,
    but: Collection[str] = (),
    clause: str | None = None,
) -> None:
    """Require that a key is as it was before.

    Args:
        world: The world.
        memory: The backend.
        key: The key.
        before: How it was.
        told: What was done since, such as `after touch('a', 5)`, for the message.
        but: What may have changed: `expiry`.
        clause: The clause that is broken otherwise, if not the law's own.

    Raises:
        Violation: It is not.
    """
    now = await snapshot(world, memory, key)
    was, seen = before.entry, now.entry
    if was is None or seen is None:
        if was is not seen:
            fail(
                f"get_entry({show(key)}) {told} is {show(seen)}, it was {show(was)}", clause=clause
            )
        return
    plain = as_stored(was.value)
    expect(seen.value, plain, f"the value of {show(key)} {told}", clause=clause)
    if memory.declares(Capability.ENTRIES):
        _same_facts(key, was, seen, told, clause)
    if "expiry" not in but:
        _same_expiry(world, key, before, now, told, clause)


def _same_facts(
    key: str, was: MemoryEntry, seen: MemoryEntry, told: str, clause: str | None
) -> None:
    pairs: dict[str, tuple[Any, Any]] = {
        "metadata": (dict(was.metadata), dict(seen.metadata)),
        "version": (was.version, seen.version),
        "created_at": (was.created_at, seen.created_at),
    }
    for name, (old, new) in pairs.items():
        expect(new, old, f"the {name} of {show(key)} {told}", clause=clause)


def _same_expiry(
    world: World, key: str, before: Snapshot, now: Snapshot, told: str, clause: str | None
) -> None:
    slack = 0.0 if world.exact else now.at - before.at + _SLACK
    was = None if before.left is None else before.left - (now.at - before.at)
    seen = now.left
    same = seen is was if was is None or seen is None else abs(seen - was) <= slack + 1
    if not same:
        fail(f"ttl({show(key)}) {told} is {seen}, it was {before.left}", clause=clause)
    assert before.entry is not None
    assert now.entry is not None
    ends = (before.entry.expires_at, now.entry.expires_at)
    if world.exact and Capability.ENTRIES in world.memory.capabilities and ends[0] != ends[1]:
        fail(f"expires_at of {show(key)} {told} is {ends[1]}, it was {ends[0]}", clause=clause)
