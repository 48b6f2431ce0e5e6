"""The list of mutants is long enough, and every clause has its share; `nox -s teeth` tries them."""

from __future__ import annotations

from collections import Counter

from mutants.catalogue import load

from fastadk_memory.contract import CLAUSES

MUTANTS = load()


def test_every_clause_has_at_least_three_mutants_and_there_are_at_least_120() -> None:
    count = Counter(mutant.clause for mutant in MUTANTS)
    assert {clause: count[clause] for clause in CLAUSES if count[clause] < 3} == {}
    assert len(MUTANTS) >= 120


def test_no_two_mutants_are_broken_in_the_same_words() -> None:
    faults = Counter(mutant.fault for mutant in MUTANTS)
    assert [fault for fault, number in faults.items() if number > 1] == []


def test_few_mutants_need_the_laws_of_all_clauses_together() -> None:
    assert sum(mutant.anywhere for mutant in MUTANTS) <= len(MUTANTS) / 4
