"""Puts every mutant to the laws of the clause that it breaks, and tells who caught it.

`nox -s teeth` runs it. By hand, from the folder `tests`:

    python -m mutants.teeth               all mutants
    python -m mutants.teeth K1 T4         those of some clauses, or single ones by their ids
    python -m mutants.teeth -v T4         with the counterexamples
    python -m mutants.teeth --write       bring the tables in docs/ up to date
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from fastadk_memory.contract import CLAUSES, QUICK
from fastadk_memory.contract.clauses import ALL_TOGETHER
from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.law import LAWS, Law
from fastadk_memory.contract.laws import load as load_laws
from fastadk_memory.contract.outcome import Outcome, Status

from .catalogue import Mutant
from .catalogue import load as load_mutants


@dataclass(frozen=True)
class Catch:
    """How a mutant fared.

    Attributes:
        mutant: Its id.
        clause: The clause that it breaks.
        fault: What is wrong with it.
        law: The law that caught it, or `None`.
        examples: How many examples it took, over all laws tried.
        seconds: How long that took.
        text: The counterexample; or, if none caught it, what each law said.
    """

    mutant: str
    clause: str
    fault: str
    law: str | None
    examples: int
    seconds: float
    text: str


def laws_against(mutant: Mutant) -> list[Law]:
    """Return the laws that have to catch a mutant: those that carry the id of its clause."""
    load_laws()
    own = [law for law in LAWS if law.clause == mutant.clause]
    return own + [law for law in LAWS if mutant.anywhere and law.clause == ALL_TOGETHER]


def put_to_the_test(mutant: Mutant) -> Catch:
    """Run the laws against a mutant until one catches it, for the clause it breaks."""
    tried: list[Outcome] = []
    for law in laws_against(mutant):
        outcome = run_law(law, mutant.hooks(), profile=QUICK)
        tried.append(outcome)
        if outcome.status is Status.FAILED and outcome.clause == mutant.clause:
            return _catch(mutant, tried, law.id, outcome.text())
    told = [f"{each.law.id}: {each.status.value} {each.clause} {each.reason}" for each in tried]
    return _catch(mutant, tried, None, "\n".join(told))


def _catch(mutant: Mutant, tried: list[Outcome], law: str | None, text: str) -> Catch:
    examples = sum(each.examples for each in tried)
    seconds = sum(each.seconds for each in tried)
    return Catch(mutant.id, mutant.clause, mutant.fault, law, examples, seconds, text)


def _by_id(mutant_id: str) -> Catch:
    return put_to_the_test(next(each for each in load_mutants() if each.id == mutant_id))


def catches(wanted: list[str]) -> Iterator[Catch]:
    """Try the mutants, several at a time, and yield what became of them in their order."""
    ids = [
        mutant.id
        for mutant in load_mutants()
        if not wanted or mutant.clause in wanted or mutant.id in wanted
    ]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        yield from pool.map(_by_id, ids)


def main(arguments: list[str]) -> int:
    """Print who catches what.

    Returns:
        1 if a mutant survives, or the tables in docs/ tell something else.
    """
    parser = argparse.ArgumentParser(prog="mutants.teeth")
    parser.add_argument("wanted", nargs="*", metavar="CLAUSE-or-MUTANT")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    results: list[Catch] = []
    clause = None
    for catch in catches(options.wanted):
        if catch.clause != clause:
            clause = catch.clause
            print(f"\n{clause} {CLAUSES[clause].title}")
        print(_line(catch), flush=True)
        if options.verbose or catch.law is None:
            print("\n".join(f"      {line}" for line in catch.text.splitlines()), flush=True)
        results.append(catch)
    survivors = [catch.mutant for catch in results if catch.law is None]
    print(f"\n{len(results)} mutants, {len(results) - len(survivors)} killed")
    for survivor in survivors:
        print(f"survives: {survivor}")
    if options.wanted or survivors:
        return 1 if survivors else 0
    from .tables import bring_up_to_date

    return bring_up_to_date(results, write=options.write)


def _line(catch: Catch) -> str:
    name = catch.mutant.partition("-")[2]
    law = (catch.law or "SURVIVES").removeprefix(f"{catch.clause}_")
    return f"  {name:44} {law:56} {catch.examples:6,} examples {catch.seconds:6.2f} s"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
