"""All clauses together, exhaustively: every short sequence of operations, and some longer ones.

What a long random sequence finds is often one of these, and here it is the shortest by
construction: shorter ones come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, product
from typing import Any

from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.clauses import ALL_TOGETHER
from fastadk_memory.contract.law import campaign
from fastadk_memory.contract.limits import QUICK
from fastadk_memory.contract.stateful.actions import ACTIONS, Move, available
from fastadk_memory.contract.stateful.lanes import LOOKING_AHEAD, play_side_by_side
from fastadk_memory.contract.stateful.model import Model
from fastadk_memory.contract.stateful.seat import LOOKS, Seat
from fastadk_memory.contract.timing.lifespan import BLINK
from fastadk_memory.contract.world import World

_LONG = 60 * LOOKING_AHEAD
_AB = ("a", "b")
_VALUES: tuple[Any, ...] = ("one", 0, "three", [4], "five", "six")
"""What the first, the second operation and so on stores. Some backends think that 0 is nothing."""


@campaign(ALL_TOGETHER, waits=True)
def every_short_sequence_of_operations(bench: Bench) -> None:
    """Whatever few operations come one after another, all methods answer as they must."""
    short = _short(bench)
    moves = [
        Move("set", ttl=short),
        Move("set"),
        Move("set_entry", ttl=_LONG, metadata={"m": 1}),
        Move("touch", ttl=_LONG),
        Move("set_many", _AB, ttl=short),
        Move("delete"),
        Move("delete_many", _AB),
        Move("clear_pattern", pattern="a*"),
        Move("clear"),
        Move("pass"),
        Move("compare_and_set", ttl=short),
    ]
    if bench.domain.exact:
        # Where time really passes an operation costs more, and nobody can stop just before.
        moves += [Move("pass", to="before"), Move("touch"), Move("get")]
    longest = 3 if bench.profile.machine_runs <= QUICK.machine_runs else 4
    _play_all(bench, _sequences(_offered(bench, moves), longest))


@campaign(ALL_TOGETHER, waits=True)
def no_expiry_outlives_its_entry(bench: Bench) -> None:
    """However an expiry was set, and was lifted or went, it does nothing to what comes later."""
    short = _short(bench)
    given = [
        [Move("set", ttl=short)],
        [Move("set_many", _AB, ttl=short)],
        [Move("set_entry", ttl=short, metadata={"m": 1})],
        [Move("compare_and_set", ttl=short)],
        [Move("set"), Move("touch", ttl=short)],
    ]
    wait = Move("pass", to="over", ttl=short)
    removals = [
        Move("delete"),
        Move("delete_many", _AB),
        Move("clear"),
        Move("clear_pattern", pattern="a*"),
        wait,
    ]
    written = [
        Move(method, _AB if method == "set_many" else ("a",), ttl=ttl)
        for ttl in (None, _LONG)
        for method in ("set", "set_many", "set_entry", "compare_and_set")
    ]
    lifted = [*written, Move("touch"), Move("touch", ttl=_LONG)]
    ended = [[each] for each in lifted] + [list(each) for each in product(removals, written)]
    chosen = [[*first, *then, wait] for first, then in product(given, ended)]
    names = {move.action for move in _offered(bench, chain.from_iterable(chosen))}
    _play_all(bench, (_valued(each) for each in chosen if {move.action for move in each} <= names))


def _short(bench: Bench) -> float:
    return 2 if bench.domain.exact else bench.domain.limits.step_seconds


def _offered(bench: Bench, moves: Iterable[Move]) -> list[Move]:
    """Return those operations that the backend offers, and whose clauses are not waived."""
    names: set[str] = set()

    async def look(world: World) -> None:
        seat = Seat(world, world.memory, Model(world))
        names.update(action.name for action in available(seat))

    bench.example(look)
    return [move for move in moves if move.action in names]


def _sequences(moves: Sequence[Move], longest: int) -> Iterator[Sequence[Move]]:
    """Yield every sequence of up to `longest` of some operations, the shortest first."""
    for length in range(1, longest + 1):
        for chosen in product(moves, repeat=length):
            if chosen[0].action != "pass":
                yield _valued(chosen)


def _valued(moves: Sequence[Move]) -> Sequence[Move]:
    return [replace(move, value=value) for move, value in zip(moves, _VALUES, strict=False)]


# -------------------------------------------------------------------------- playing them


def _play_all(bench: Bench, sequences: Iterable[Sequence[Move]]) -> None:
    if not bench.domain.exact:
        play_side_by_side(bench, list(sequences))
        return
    for number, sequence in enumerate(sequences):
        # The first look may remove what has expired, and so hide it from the others.
        if len(sequence) < 3 and any(move.action == "pass" for move in sequence):
            for first in range(len(LOOKS)):
                bench.example(_play, sequence=sequence, first=first, looks=1)
        # Not in step with the operations: the last of them is another one each time.
        first = number + number // 14 + number // 196
        bench.example(_play, sequence=sequence, first=first, looks=len(LOOKS))


async def _play(world: World, sequence: Sequence[Move], first: int, looks: int) -> None:
    seat = Seat(world, world.memory, Model(world))
    for move in sequence:
        if _is_idle(seat, move):
            return
        await ACTIONS[move.action].play(seat, move)
    keys = list(seat.model.slots) or ["a"]
    for which in range(first, first + looks):
        await seat.look_once(keys, which)


def _is_idle(seat: Seat, move: Move) -> bool:
    """Tell whether a step in time passes no expiry: then a shorter sequence has done the same."""
    if move.action != "pass" or move.to == "over":
        return False
    expiry = seat.model.next_expiry()
    return expiry is None or (move.to == "before" and expiry - seat.world.now() <= BLINK)
