"""Sequences of operations side by side: where time really passes, they share the waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.stateful.actions import ACTIONS, Move
from fastadk_memory.contract.stateful.model import Model
from fastadk_memory.contract.stateful.seat import Seat
from fastadk_memory.contract.world import World

__all__ = ["LOOKING_AHEAD", "play_side_by_side"]

LOOKING_AHEAD = 60
"""Seconds ahead that an expiry may be to be waited for."""

_AT_ONCE = 32  # stores in use at a time
_PER_STORE = 10  # sequences that share a store, each in its own namespace
_LOOKS = 3  # ways of looking at the end: each costs, and there are many sequences


@dataclass(slots=True)
class _Lane:
    """One sequence among those that share the waiting.

    Attributes:
        seat: Where it is played, on a namespace or a store of its own.
        left: What is still to be done.
        number: Which sequence it is.
        error: What went wrong.
    """

    seat: Seat
    left: list[Move]
    number: int
    error: Exception | None = None

    async def go(self) -> float | None:
        """Play until time has to pass, or to the end; return when to go on."""
        try:
            while self.left:
                if self.left[0].action == "pass":
                    return self._awaited(self.left[0])
                await self._play(self.left.pop(0))
            keys = list(self.seat.model.slots) or ["a"]
            for which in range(self.number, self.number + _LOOKS):
                await self.seat.look_once(keys, which)
        except Exception as error:  # noqa: BLE001 (the bench judges it)
            self.error = error
        return None

    async def _play(self, move: Move) -> None:
        await ACTIONS[move.action].play(self.seat, move)

    def _awaited(self, move: Move) -> float | None:
        """Return the moment to wait for; without one a shorter sequence has done the same."""
        world = self.seat.world
        if move.to == "over":
            assert isinstance(move.ttl, (int, float))
            return world.now() + move.ttl + world.limits.margin_seconds
        expiry = self.seat.model.next_expiry()
        return None if expiry is None or expiry > world.now() + LOOKING_AHEAD else expiry

    def waited(self, seconds: float) -> None:
        """Take down that so much time has passed."""
        self.left.pop(0)
        world = self.seat.world
        world.trace.note(world.hooks.passing(round(seconds, 3)))


def play_side_by_side(bench: Bench, sequences: Sequence[Sequence[Move]]) -> None:
    """Play sequences, each in a namespace of its own, and wait only once for many of them.

    Raises:
        Finding: One of them breaks something.
    """
    # Without room for the name of a namespace each gets a store.
    per_store = _PER_STORE if bench.domain.has_room("s00000") else 1
    numbered = list(enumerate(sequences))
    size = _AT_ONCE * per_store
    for start in range(0, len(numbered), size):
        batch = numbered[start : start + size]
        lanes = bench.guarded(partial(_run, bench, batch, per_store))
        bench.examples += len(lanes)
        for lane in lanes:
            bench.guarded(partial(_judge, lane), lane.seat.world.trace)


def _judge(lane: _Lane) -> None:
    if lane.error is not None:
        raise lane.error


def _run(bench: Bench, batch: Sequence[tuple[int, Sequence[Move]]], per_store: int) -> list[_Lane]:
    return bench.run(_play_batch(bench, batch, per_store))


async def _play_batch(
    bench: Bench, batch: Sequence[tuple[int, Sequence[Move]]], per_store: int
) -> list[_Lane]:
    stores: list[World] = []
    lanes: list[_Lane] = []
    try:
        for number, sequence in batch:
            if len(lanes) % per_store == 0:
                stores.append(World(bench.hooks))
                await stores[-1].begin()
            seat = _seat(bench, stores[-1], f"s{number}" if per_store > 1 else "")
            lanes.append(_Lane(seat, list(sequence), number))
        await _together(lanes)
    finally:
        for store in stores:
            await bench.finish(store)
    return lanes


def _seat(bench: Bench, store: World, namespace: str) -> Seat:
    """Return a client of a store, or of a namespace of it, with a trace of its own."""
    world = World(bench.hooks)
    limit = bench.limits.operation_seconds
    world.memory = Handle(store.memory.backend, world.trace, "memory", limit)
    if namespace:
        world.memory = world.memory.namespace(namespace)
    return Seat(world, world.memory, Model(world))


async def _together(lanes: Sequence[_Lane]) -> None:
    waiting: Sequence[_Lane] = lanes
    while waiting:
        moments = [(lane, await lane.go()) for lane in waiting]
        until = [(lane, moment) for lane, moment in moments if moment is not None]
        waiting = [lane for lane, _ in until]
        if until:
            now = waiting[0].seat.world.now()
            pause = max(0.0, max(moment for _, moment in until) - now) + 0.001
            await asyncio.sleep(pause)
            for lane in waiting:
                lane.waited(pause)
