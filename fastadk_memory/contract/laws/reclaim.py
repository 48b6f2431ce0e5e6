"""Clause T7: the space of expired entries comes back without anyone reading them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import law
from fastadk_memory.contract.timing.expiring import SET, Stage, step
from fastadk_memory.contract.timing.meter import Meter, condensed, metered
from fastadk_memory.contract.timing.ways import TOUCH, Way, ways
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.violations import ContractError, NotApplicable
from fastadk_memory.contract.world import World

_SIZE = 20_000  # bytes of one value
_OTHERS = 5  # keys that are in use meanwhile
_BACK = 0.9  # how much of the space has to come back
_BACK_IN_PROCESS = 0.5  # the same where tables count that need not shrink
_LEAST = 32  # bytes of a process that a thing left of each entry takes: an object in a table
_ROUND = 20  # calls between two looks at what is held
_LONG = 360_000


@law("T7", waits=True)
async def space_of_unread_entries_comes_back(world: World) -> None:
    """Entries that expire and are never read again are cleared away while other keys are used."""
    async with _coming_back(world) as stage:
        await _store(stage, SET, 300, step(world))


@batch_law("T7", corpus=lambda domain: ways(domain.capabilities, TOUCH)[1:])
async def space_comes_back_however_it_was_taken(world: World, items: Sequence[Way]) -> None:
    """So are entries that `set_many`, `set_entry`, `compare_and_set` or `touch` let expire."""
    async with _coming_back(world) as stage:
        for way in items:
            await _store(stage, way, 100, step(world), way.method)


@law("T7", needs=Capability.ENTRIES, waits=True)
async def space_of_metadata_comes_back(world: World) -> None:
    """So is the metadata of entries that expire, where that is what takes the space."""
    async with _coming_back(world) as stage:
        await _store(stage, Way("set_entry", _with_metadata), 100, step(world))


async def _with_metadata(memory: Handle, key: str, value: Any, ttl: Any) -> None:
    await memory.set_entry(key, 1, ttl, metadata={"m": value})


@batch_law("T7", corpus=lambda domain: [(_LONG, False), (0.5, False), (1.5, False), (0.5, True)])
async def space_of_overwritten_entries_comes_back(
    world: World, items: Sequence[tuple[float, bool]]
) -> None:
    """So are entries that were set anew with a shorter or a longer TTL, or after expiring."""
    async with _coming_back(world) as stage:
        for at, (first, _) in enumerate(items):
            await _store(stage, SET, 60, step(world) * first, f"key {at}")
        for at, (_, expired) in enumerate(items):
            if expired:
                await stage.pass_until_gone(f"key {at} 59")
            await _store(stage, SET, 60, step(world), f"key {at}")


@law("T7", waits=True)
async def space_comes_back_in_any_order(world: World) -> None:
    """So are entries whose TTLs end in another order than they were set in."""
    async with _coming_back(world) as stage:
        for part in (3, 1, 4, 2):
            await _store(stage, SET, 50, step(world) * part / 4, f"part {part}")


@law("T7", waits=True)
async def entries_leave_nothing_in_the_process(world: World) -> None:
    """No key, version or timer of an expired entry is left in the memory of the process."""
    async with _coming_back(world, of_process=True) as stage:
        await _store_long_keys(stage, world.limits.many_entries, step(world))


@law("T7", needs=Capability.PERSISTENT, hooks=("reopen",), waits=True)
async def space_comes_back_after_reopening(world: World) -> None:
    """Entries that an earlier backend has stored are cleared away by the one that comes after."""
    with metered(world) as meter:
        stage = Stage(world)
        with condensed(world, "# a few other keys are set and read"):
            await _use_others(world.memory)
        before = await meter.held(world.memory)
        await _store(stage, SET, 100, step(world))
        full = await meter.held(world.memory)
        _check_meter(world, meter, before, full)
        reopened = await world.reopen()
        await stage.pass_until_gone()
        await _expect_back(world, reopened, meter, full, full - (full - before) * _BACK)


# ------------------------------------------------------------------------ the steps


@asynccontextmanager
async def _coming_back(world: World, *, of_process: bool = False) -> AsyncGenerator[Stage]:
    """Require that the space which the block takes comes back when all its keys are gone."""
    memory, stage = world.memory, Stage(world)
    with metered(world, of_process=of_process) as meter:
        # What lives long stands before the others: a queue of expiries must not stop at it.
        for at in range(3):
            await memory.set(f"long {at}", 1, _LONG)
        with condensed(world, "# a few other keys are set and read"):
            await _use_others(memory)
        before = await meter.held(memory)
        yield stage
        full = await meter.held(memory)
        if not of_process:
            _check_meter(world, meter, before, full)
        await stage.pass_until_gone()
        allowed = full - (full - before) * (_BACK_IN_PROCESS if of_process else _BACK)
        if of_process:
            # Where nearly nothing was taken, what else goes on in the process would decide.
            allowed = max(allowed, before + world.limits.many_entries * _LEAST)
        await _expect_back(world, memory, meter, full, allowed)


async def _store(stage: Stage, way: Way, number: int, ttl: float, name: str = "expires") -> None:
    """Store entries that are never looked at again."""
    source = "Random(at).randbytes(10_000).hex()"
    line = f"for at in range({number}):  # by {way.method}"
    call = f"    await memory.set(f'{name} {{at}}', {source}, {ttl!r})"
    with condensed(stage.world, "from random import Random", line, call):
        for at in range(number):
            value = Random(at).randbytes(_SIZE // 2).hex()
            await stage.give(f"{name} {at}", ttl, way, value)


async def _store_long_keys(stage: Stage, number: int, ttl: float) -> None:
    """Store entries that take up little more than their keys."""
    keys = f"{{f'{{at}} '.ljust(500, 'k'): 1 for at in range({number})}}"
    with condensed(stage.world, f"await memory.set_many({keys}, {ttl!r})"):
        for at in range(0, number, 200):
            batch = {f"{each} ".ljust(500, "k"): 1 for each in range(at, at + 200)}
            began = stage.world.now()
            await stage.memory.set_many(batch, ttl)
            stage.note("the last", ttl, began)


async def _use_others(memory: Handle) -> None:
    """Set and read a few other keys."""
    for at in range(_ROUND):
        key = f"other {at % _OTHERS}"
        await memory.set(key, at)
        await memory.get(key)


def _check_meter(world: World, meter: Meter, before: int, full: int) -> None:
    """Require that what has been stored shows.

    Raises:
        NotApplicable: It is not in this process, and there is no hook that tells.
        ContractError: The hook does not tell.
    """
    if not world.hooks.provides("held"):
        if full - before < 60 * _SIZE // 4:
            raise NotApplicable("the store is not in this process: define the hook held")
    elif full <= before and world.exact:
        raise ContractError(
            f"the hook held says {before} before, and {full} after a hundred entries were stored"
        )


async def _expect_back(
    world: World, memory: Handle, meter: Meter, full: int, allowed: float
) -> None:
    """Use other keys until no more is held than allowed.

    Raises:
        Violation: It takes longer than the limit.
    """
    limit = world.limits.reclaim_seconds
    deadline, rounds = time.monotonic() + limit, 0
    line = "# other keys are set and read, for a long time"
    while (held := await meter.held(memory)) > allowed:
        if time.monotonic() > deadline and rounds >= 20:
            told = f"{meter.told(held)}, full it was {meter.told(full)}"
            fail(f"the store holds {told}, {limit:g} s after entries expired; others were in use")
        with condensed(world, *([line] if rounds == 0 else [])):
            await _use_others(memory)
            # Where time is moved by hand, and where something sweeps in the background.
            await world.advance(limit / 20 if world.exact else 0)
            await asyncio.sleep(0.001)
        rounds += 1
