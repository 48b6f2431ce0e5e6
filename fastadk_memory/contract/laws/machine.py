"""All clauses together, at random: long sequences of all operations against a plain model."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import reproduce_failure, seed
from hypothesis import strategies as st

from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.clauses import ALL_TOGETHER
from fastadk_memory.contract.law import campaign
from fastadk_memory.contract.laws.sequences import every_short_sequence_of_operations
from fastadk_memory.contract.outcome import Finding
from fastadk_memory.contract.stateful.actions import ACTIONS, Move
from fastadk_memory.contract.stateful.draws import FRESH, NAMES, Aside, Draws
from fastadk_memory.contract.stateful.model import Model
from fastadk_memory.contract.stateful.seat import LOOKS, Seat
from fastadk_memory.contract.tools.stock import store_itself
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World

if TYPE_CHECKING:
    from hypothesis.stateful import RuleBasedStateMachine

__all__ = ["play"]

# Laws are tried as they register, and the exhaustive ones come first: they find what is shorter.
_BEFORE = every_short_sequence_of_operations

_AT_ONCE = 10  # examples in one go
_WORTH = 7  # those among them that are worth something
_PATIENCE = 8.0  # seconds that looking for a shorter sequence may take


class Patience:
    """Ends the search for a shorter sequence that fails, some seconds after the first.

    From then on only sequences that are known to fail are carried out, so that Hypothesis
    comes to its end soon: the failing one is the shortest that was found by then.
    """

    def __init__(self) -> None:
        self._failed: list[list[object]] = []
        self._until = math.inf

    def failed(self, steps: list[object]) -> None:
        """Take down that a sequence has failed."""
        self._until = min(self._until, time.monotonic() + _PATIENCE)
        if steps not in self._failed:
            self._failed.append(steps)

    def allows(self, steps: list[object]) -> bool:
        """Tell whether a sequence that begins with these steps is to be carried out."""
        if time.monotonic() < self._until:
            return True
        return any(each[: len(steps)] == steps for each in self._failed)


class Play:
    """One random sequence: a fresh store, the clients that take part, and what they do.

    Args:
        bench: Where it is carried out.
        tally: Counts what happens in which situation.
        patience: Says whether it is worth while.
    """

    def __init__(self, bench: Bench, tally: Counter[str], patience: Patience) -> None:
        self._bench = bench
        self._tally = tally
        self._patience = patience
        self._steps: list[object] = []
        self._idle = False
        self._world = World(bench.hooks)
        self._stage = ""
        self._seats: list[Seat] = []
        self._number = 0
        self._broken = False

    def run(self, coroutine: Coroutine[Any, Any, None], *step: object) -> None:
        """Run a part of it; what goes wrong becomes a finding with all the calls so far."""
        self._steps.append(step)
        self._idle = self._idle or not self._patience.allows(self._steps)
        if self._idle:
            return coroutine.close()
        try:
            return self._bench.guarded(lambda: self._bench.run(coroutine), self._world.trace)
        except BaseException:
            self._broken = True
            self._patience.failed(self._steps)
            raise

    async def begin(self, stage: str, seeds: Sequence[Move]) -> None:
        """Make the store and the clients, and store something."""
        self._bench.examples += 1
        await self._world.begin()
        self._stage = stage
        memory, offsets = self._world.memory, dict[str, float]()
        if stage == "names":
            for name in NAMES:
                model = Model(self._world, scope=name, offsets=offsets, tally=self._tally)
                self._seats.append(Seat(self._world, memory.namespace(name), model))
        else:
            model = Model(self._world, offsets=offsets, tally=self._tally)
            self._seats.append(Seat(self._world, memory, model))
            if stage == "two":
                self._seats.append(Seat(self._world, await self._world.second(), model))
        for at, move in enumerate(seeds):
            await self._do(move, at)

    async def do(self, move: Move, aside: Aside) -> None:
        """Carry out one operation, by one of the clients; then let another one look, or not.

        Looking each time would hide much, as the first look may remove what has expired.
        """
        if move.action == "rest":
            return
        await self._do(replace(move, keys=aside.keys), aside.who)
        if aside.look is not None:
            seat = self._seats[(aside.who + 1) % len(self._seats)]
            await seat.look_once(list(dict.fromkeys(aside.keys)), aside.look)

    async def _do(self, move: Move, who: int) -> None:
        seat = self._seats[who % len(self._seats)]
        if move.value is FRESH:
            self._number += 1
            move = replace(move, value=self._number)
        if move.action == "reopen":
            await self._reopen()
        elif self._stage == "names" and move.action == "clear" and who == len(NAMES):
            await self._clear_the_store()
        else:
            await ACTIONS[move.action].play(seat, move)
            for each in self._seats:
                each.model.last = seat.model.last

    async def _reopen(self) -> None:
        if self._stage != "one":
            return
        seat = self._seats[0]
        self._number += 1
        self._tally["reopen"] += 1
        seat.handle = self._world.memory = await self._world.reopen(f"reopened{self._number}")
        seat.model.reopened()

    async def _clear_the_store(self) -> None:
        """Clear the store itself, which holds all the namespaces; unless it is one of them."""
        try:
            store_itself(self._world)
        except NotApplicable:
            return
        await self._world.memory.clear()
        for seat in self._seats:
            seat.model.count("clear", seat.model.slots)
            seat.model.remove(seat.model.slots, "clear")

    async def look(self) -> None:
        """Read everything in every way, each time beginning with another."""
        for at, seat in enumerate(self._seats):
            keys = sorted(seat.model.slots) or ["a"]
            for which in range(len(LOOKS)):
                await seat.look_once(keys, self._number + at + which)

    def end(self) -> None:
        """Take a last look if all went well, and close everything."""
        try:
            if self._seats and not self._broken:
                self.run(self.look())
        finally:
            self._close()

    def _close(self) -> None:
        finish = self._bench.finish(self._world)
        try:
            self._bench.guarded(lambda: self._bench.run(finish), self._world.trace)
        except Finding:
            # What went wrong first says more than that closing fails, too.
            if not self._broken:
                raise


def _machine(bench: Bench, draws: Draws, tally: Counter[str]) -> type[RuleBasedStateMachine]:
    from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

    patience = Patience()

    class Sequences(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.play = Play(bench, tally, patience)

        @initialize(
            stage=st.sampled_from(draws.stages),
            seeds=st.lists(st.sampled_from(draws.seeds), max_size=9),
        )
        def begin(self, stage: str, seeds: list[Move]) -> None:
            self.play.run(self.play.begin(stage, seeds), stage, seeds)

        # One rule, which draws an operation by its weight: of several, Hypothesis switches some
        # off in each run, and then half of all runs lack either what writes or what reads.
        # And an operation is one choice, with what goes with it two: what takes more than a
        # few choices cannot be left out as a whole when a failure is shrunk.
        @rule(move=st.sampled_from(draws.moves), aside=st.sampled_from(draws.asides))
        def do(self, move: Move, aside: Aside) -> None:
            self.play.run(self.play.do(move, aside), move, aside)

        def teardown(self) -> None:
            self.play.end()

    return Sequences


@campaign(ALL_TOGETHER)
def random_sequences_of_operations(bench: Bench) -> None:
    """Whatever operations come one after another, all methods answer as they must."""
    play(bench, Counter())


def play(bench: Bench, tally: Counter[str]) -> None:
    """Try random sequences of operations.

    Args:
        bench: Where to try them.
        tally: Counts what happens in which situation.

    Raises:
        Finding: The shortest sequence found that breaks something.
    """
    draws: list[Draws] = []

    async def look(world: World) -> None:
        draws.append(Draws.for_backend(world, bench.domain))

    bench.example(look)
    if bench.wanted is not None:
        version, _, data = bench.wanted.partition(":")
        machine = _machine(bench, draws[0], tally)
        return _run(bench, reproduce_failure(version, data.encode())(machine))
    # After ten examples Hypothesis begins to vary those that it has tried, which finds hardly
    # anything here: five of six examples would repeat another one but for a step or two.
    for number in range(math.ceil(bench.profile.machine_runs / _WORTH)):
        machine = _machine(bench, draws[0], tally)
        _run(bench, seed(number)(machine) if bench.profile.derandomized else machine)
    return None


def _run(bench: Bench, machine: Any) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    settings = bench.settings(_AT_ONCE, stateful_step_count=bench.profile.machine_steps)
    bench.noting_blob(lambda: run_state_machine_as_test(machine, settings=settings))
