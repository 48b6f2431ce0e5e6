from __future__ import annotations

from mutants.reference import Reference, ReferenceHooks

from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.law import LAWS
from fastadk_memory.contract.laws import load
from fastadk_memory.contract.outcome import Status


class TakesTwoForOne(Reference):
    async def get(self, key: str) -> object:
        mixed = key == "ñ" and await self.exists("__init__")
        return await super().get("__init__" if mixed else key)


class TakesAllForOne(Reference):
    async def get(self, key: str) -> object:
        return "the same"


def outcome_of(backend: type[Reference]):
    load()
    law = next(law for law in LAWS if law.name == "keys_that_differ_are_kept_apart")
    hooks = type("HooksOfThis", (ReferenceHooks,), {"backend_class": backend})
    return run_law(law, hooks())


def calls_in(script: str, method: str) -> list[str]:
    return [line.strip() for line in script.splitlines() if f"memory.{method}(" in line]


def test_the_counterexample_holds_only_what_is_needed() -> None:
    outcome = outcome_of(TakesTwoForOne)
    assert outcome.status is Status.FAILED
    written = calls_in(outcome.script, "set")
    assert len(written) == 4  # each of the two keys, twice
    assert all("'ñ'" in line or "'__init__'" in line for line in written)


def test_one_item_is_enough_where_all_fail() -> None:
    outcome = outcome_of(TakesAllForOne)
    assert outcome.status is Status.FAILED
    assert calls_in(outcome.script, "set") == [
        "await memory.set('a', 'first')",
        "await memory.set('a', 'value 0')",
    ]


def test_where_nothing_fails_all_are_tried_at_once() -> None:
    outcome = outcome_of(Reference)
    assert outcome.status is Status.PASSED
    assert outcome.examples < 30
