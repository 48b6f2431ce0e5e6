"""The laws over all clauses: what they try, how they fail, and what they leave out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from fastadk_memory_inmemory import InMemoryBackend
from mutants.reference import Reference, ReferenceHooks

from fastadk_memory import (
    Capability,
    DefaultTtlBackend,
    ManualClock,
    MemoryBackend,
    UnsupportedOperationError,
)
from fastadk_memory.contract import QUICK, Hooks, Waiver
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.law import LAWS, Law
from fastadk_memory.contract.laws import load
from fastadk_memory.contract.laws.machine import play
from fastadk_memory.contract.outcome import Outcome, Status
from fastadk_memory.contract.stateful.actions import ACTIONS, available
from fastadk_memory.contract.stateful.draws import Draws
from fastadk_memory.contract.stateful.model import Model
from fastadk_memory.contract.stateful.seat import Seat
from fastadk_memory.contract.world import World

pytestmark = pytest.mark.thorough

load()
TOGETHER = [law for law in LAWS if law.clause == "ALL"]
RANDOM = next(law for law in TOGETHER if law.name.startswith("random"))
EXHAUSTIVE = next(law for law in TOGETHER if law.name.startswith("every_short"))
EXPIRIES = next(law for law in TOGETHER if law.name.startswith("no_expiry"))


def hooks_of(backend: type[Reference]) -> Hooks:
    return type(f"Hooks{backend.__name__}", (ReferenceHooks,), {"backend_class": backend})()


TIMES = 5
"""How many quick searches the mix is counted over.

What one draws differs with the versions of Python and Hypothesis: rare situations come now
twice and now six times.
"""


def tally(times: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    profile = replace(QUICK, machine_runs=QUICK.machine_runs * times)
    with Bench(ReferenceHooks(), RANDOM.id, RANDOM.clause, profile) as bench:
        bench.look()
        play(bench, counted)
    return counted


counted = cache(tally)

# ------------------------------------------------------------------------- what is tried


def test_the_quick_profile_tries_the_same_each_time() -> None:
    assert tally(1) == tally(1)


@pytest.mark.parametrize("action", sorted(set(ACTIONS) - {"pass", "compare_and_set"}))
def test_every_operation_meets_keys_that_are_live_and_such_as_are_not(action: str) -> None:
    count = counted(TIMES)
    met = {state: count[f"{action} of {state}"] for state in ("live", "expired", "removed")}
    assert met["live"] >= 5 * TIMES
    assert met["expired"] + met["removed"] >= 3 * TIMES


@pytest.mark.parametrize(
    ("situation", "least"),
    [
        ("set of live", 100),
        ("set of expired", 15),
        ("set of removed", 25),
        ("set_entry of live", 30),
        ("set_entry of expired", 8),
        ("set_many of live", 50),
        ("set_many of expired", 10),
        ("touch of live", 50),
        ("touch of expired", 10),
        ("touch of removed", 15),
        ("compare_and_set, right, of live", 40),
        ("compare_and_set, right, of expired", 8),
        ("compare_and_set, right, of removed", 10),
        ("compare_and_set, stale, of live", 10),
        ("compare_and_set, stale, of removed", 3),
        ("compare_and_set, absent, of live", 10),
        ("delete of live", 30),
        ("delete of expired", 4),
        ("delete_many of live", 30),
        ("delete_many of expired", 5),
        ("clear of live", 30),
        ("clear of expired", 10),
        ("clear_pattern of live", 30),
        ("clear_pattern of expired", 8),
        ("pass before an expiry", 20),
        ("pass at an expiry", 60),
        ("pass after an expiry", 20),
        ("pass on an expiry", 15),
        ("reopen", 5),
    ],
)
def test_the_mix_reaches_the_situation(situation: str, least: int) -> None:
    assert counted(TIMES)[situation] >= least * TIMES


def draws_for(hooks: Hooks) -> tuple[Draws, list[str]]:
    found: list[tuple[Draws, list[str]]] = []

    async def look(world: World) -> None:
        names = [action.name for action in available(Seat(world, world.memory, Model(world)))]
        found.append((Draws.for_backend(world, bench.domain), names))

    with Bench(hooks, RANDOM.id, RANDOM.clause, QUICK) as bench:
        bench.look()
        bench.example(look)
    return found[0]


class Poor(Reference):
    capabilities = frozenset({Capability.BULK})

    async def set_entry(self, *args, **kwargs):
        raise UnsupportedOperationError("not declared")

    compare_and_set = touch = set_entry


def test_what_is_not_declared_is_left_out() -> None:
    draws, names = draws_for(hooks_of(Poor))
    assert not {"set_entry", "compare_and_set", "touch"} & set(names)
    assert {move.action for move in draws.moves} == {"rest", *names}


@pytest.mark.parametrize("law", TOGETHER, ids=lambda law: law.name)
def test_a_backend_without_capabilities_passes(law: Law) -> None:
    outcome = run_law(law, hooks_of(Poor))
    assert outcome.status is Status.PASSED, outcome.text()


class RealTime(Hooks):
    def make_backend(self) -> MemoryBackend:
        return InMemoryBackend()


def test_in_real_time_nothing_that_is_drawn_waits_or_expires() -> None:
    draws, _ = draws_for(RealTime())
    assert all(move.action != "pass" for move in draws.moves)
    assert all(move.ttl is None or move.ttl >= 60 for move in [*draws.moves, *draws.seeds])


def test_from_its_lists_hypothesis_draws_evenly() -> None:
    draws, _ = draws_for(ReferenceHooks())
    assert len(draws.moves) < 500
    assert len(draws.asides) < 600


# ------------------------------------------------------------------------ how they fail


class KeepsTheTimer(Reference):
    """A key that is set anew without a TTL goes when the old one would have gone."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.due: dict[str, float] = {}

    async def set(self, key, value, ttl=None):
        await super().set(key, value, ttl)
        if ttl is not None:
            self.due[key] = self._clock() + ttl

    async def _read(self, key):
        if self.due.get(key, float("inf")) <= self._clock():
            del self.due[key]
            await self.delete_record(key)
        return await super()._read(key)


def failed(law: Law, hooks: Hooks, **more: str) -> Outcome:
    outcome = run_law(law, hooks, **more)
    assert outcome.status is Status.FAILED, outcome.text()
    return outcome


def calls(outcome: Outcome) -> list[str]:
    lines = [line.strip() for line in outcome.script.splitlines()]
    return [line for line in lines if line.startswith(("await", "print("))]


def test_the_exhaustive_search_finds_the_shortest_sequence() -> None:
    outcome = failed(EXHAUSTIVE, hooks_of(KeepsTheTimer))
    assert outcome.clause == "T4"
    assert calls(outcome)[:3] == [
        "await memory.set('a', 'one', 2)",
        "await memory.set('a', 0)",
        "await contract.advance(memory, 2.0)",
    ]
    assert len(calls(outcome)) == 4


def test_the_random_search_shrinks_what_it_finds_to_a_few_lines() -> None:
    outcome = failed(RANDOM, hooks_of(KeepsTheTimer))
    assert len(calls(outcome)) <= 10
    assert outcome.blob is not None


def test_the_blob_leads_to_the_same_example() -> None:
    hooks = hooks_of(KeepsTheTimer)
    first = failed(RANDOM, hooks)
    assert first.blob is not None
    again = failed(RANDOM, hooks, blob=first.blob)
    # Not what stands behind the calls: an entry's version is another one each time.
    assert [call.partition("  # ")[0] for call in calls(again)] == [
        call.partition("  # ")[0] for call in calls(first)
    ]
    assert again.clause == first.clause
    assert again.examples < first.examples


class DeletesOneInRealTime(RealTime):
    class Backend(InMemoryBackend):
        async def delete_many(self, keys):
            wanted = list(keys)
            there = len(await self.get_many(wanted))
            await super().delete_many(wanted[:1])
            return there

    def make_backend(self) -> MemoryBackend:
        return self.Backend()


def test_in_real_time_the_failing_one_of_many_sequences_is_told_alone() -> None:
    outcome = failed(EXHAUSTIVE, DeletesOneInRealTime())
    assert outcome.clause == "B1"
    assert len(calls(outcome)) <= 6
    assert "namespace" in outcome.script


class FailsOnce(Reference):
    """The first few calls of `touch` in the life of the process fail, and none after them."""

    number = 0

    async def touch(self, key, ttl):
        type(self).number += 1
        return None if type(self).number == 40 else await super().touch(key, ttl)  # type: ignore


def test_what_happens_only_once_is_a_failure_all_the_same() -> None:
    outcome = failed(RANDOM, hooks_of(FailsOnce))
    assert outcome.clause == "M1"
    assert "does not fail every time" in outcome.reason


# ------------------------------------------------------------------------------- waivers


class ShortDefault(Hooks):
    """Gives each entry a second to live, and says so."""

    clock = ManualClock()
    waivers = (Waiver("T4", "set_without_a_ttl_lives_for_good", "it is what it is for"),)

    def make_backend(self) -> MemoryBackend:
        return DefaultTtlBackend(InMemoryBackend(clock=self.clock), 1)

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        self.clock.advance(seconds)


@pytest.mark.parametrize("law", TOGETHER, ids=lambda law: law.name)
def test_what_a_waived_clause_says_is_not_looked_at(law: Law) -> None:
    outcome = run_law(law, ShortDefault())
    assert outcome.status is Status.PASSED, outcome.text()


@pytest.mark.parametrize("law", TOGETHER, ids=lambda law: law.name)
def test_without_the_waiver_it_is(law: Law) -> None:
    class Unwaived(ShortDefault):
        waivers = ()

    assert run_law(law, Unwaived()).status is Status.FAILED
