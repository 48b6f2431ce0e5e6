"""`BackendContract`: laws cannot be switched off, waivers expire, failures read well."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mutants.reference import Reference, ReferenceHooks, Store

from fastadk_memory import MemoryBackend
from fastadk_memory.contract import BackendContract, ContractError, Hooks, Limits, Waiver
from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.law import LAWS, Law
from fastadk_memory.contract.outcome import Outcome, Status

HEADER = """
import asyncio
import pytest
from fastadk_memory import ManualClock, MemoryBackend, RecordBackend
from fastadk_memory_inmemory import InMemoryBackend
from fastadk_memory.contract import BackendContract, Waiver
"""


def run_pytest(folder: Path, source: str, *arguments: str) -> tuple[int, str]:
    """Run pytest as a user would, in a folder of its own, on one file."""
    (folder / "test_mine.py").write_text(HEADER + textwrap.dedent(source), encoding="utf-8")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    return ran.returncode, ran.stdout + ran.stderr


def outcome_of(law: str, hooks: Hooks) -> Outcome:
    found = next(each for each in LAWS if each.id == law)
    return run_law(found, hooks)


# ------------------------------------------------------------------- what is generated


def test_every_law_is_a_test_of_every_subclass_with_the_clause_in_its_name() -> None:
    class TestGenerated(ReferenceHooks, BackendContract):
        pass

    names = {name for name in vars(TestGenerated) if name.startswith("test_")}
    assert names == {f"test_{law.id}" for law in LAWS}
    assert TestGenerated.test_K3_a_listing_returns_the_strings_that_were_set.__doc__


def test_a_subclass_of_a_subclass_gets_tests_of_its_own() -> None:
    class TestOuter(ReferenceHooks, BackendContract):
        pass

    class TestInner(TestOuter):
        pass

    name = f"test_{LAWS[0].id}"
    assert vars(TestOuter)[name] is not vars(TestInner)[name]


# --------------------------------------------------------- laws cannot be switched off


@pytest.mark.parametrize("replacement", [None, lambda self: None, pytest.mark.skip(lambda self: 0)])
def test_a_law_that_is_overridden_is_an_error_where_the_class_is_made(replacement: object) -> None:
    name = f"test_{LAWS[0].id}"
    with pytest.raises(ContractError, match=name):
        type("TestMine", (ReferenceHooks, BackendContract), {name: replacement})


def test_a_law_that_a_mixin_overrides_is_an_error() -> None:
    mixin = type("Mixin", (), {f"test_{LAWS[0].id}": None})
    with pytest.raises(ContractError, match="cannot be overridden"):
        type("TestMine", (mixin, ReferenceHooks, BackendContract), {})


def test_a_misspelt_law_is_an_error_rather_than_a_test_of_nothing() -> None:
    with pytest.raises(ContractError, match="test_K3_a_listing"):
        type("TestMine", (ReferenceHooks, BackendContract), {"test_K3_a_listing": None})


@pytest.mark.parametrize(
    "mark", [pytest.mark.skip, pytest.mark.skipif(True, reason="x"), pytest.mark.xfail]
)
def test_a_class_that_is_marked_as_skipped_is_an_error(mark: object) -> None:
    for marks in (mark, [mark]):
        with pytest.raises(ContractError, match="cannot be switched off"):
            type("TestMine", (ReferenceHooks, BackendContract), {"pytestmark": marks})


def test_a_class_that_pytest_is_told_not_to_collect_is_an_error() -> None:
    with pytest.raises(ContractError, match="__test__"):
        type("TestMine", (ReferenceHooks, BackendContract), {"__test__": False})


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "xdist"])
def test_a_run_in_which_every_law_was_skipped_fails(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    source = """
    pytestmark = pytest.mark.skip("not today")
    class TestMine(BackendContract):
        def make_backend(self):
            return InMemoryBackend()
    """
    status, output = run_pytest(tmp_path, source, *workers)
    assert status == 1, output
    assert "TestMine: no law of the contract was tried, so nothing is proven" in output


def test_a_backend_that_cannot_be_made_fails_and_does_not_skip() -> None:
    class Hopeless(ReferenceHooks):
        def make_backend(self) -> MemoryBackend:
            pytest.skip("no server here")

    outcome = outcome_of("C4_deleting_an_absent_key_is_no_error", Hopeless())
    assert not outcome.status.good
    assert "no server here" in outcome.reason


def test_a_contract_without_make_backend_says_what_to_define(tmp_path: Path) -> None:
    source = "class TestMine(BackendContract): pass"
    status, output = run_pytest(tmp_path, source, "-k", "C4")
    assert status == 1
    assert "define make_backend(self)" in output


# -------------------------------------------------------------------------- waivers

LAW = "deleting_an_absent_key_is_no_error"


class Raises(Reference):
    async def delete(self, key: str) -> None:
        if not await self.exists(key):
            raise KeyError(key)
        await super().delete(key)


def waived(backend: type[Reference], **changes: str) -> Outcome:
    settings = {"clause": "C4", "law": LAW, "reason": "our users rely on it", **changes}
    attributes = {"backend_class": backend, "waivers": (Waiver(**settings),)}
    hooks = type("Waived", (ReferenceHooks,), attributes)
    return outcome_of(f"C4_{LAW}", hooks())


def test_a_waived_law_still_runs_and_is_told_with_its_reason() -> None:
    outcome = waived(Raises)
    assert outcome.status is Status.WAIVED
    assert "our users rely on it" in outcome.reason
    assert "KeyError" in outcome.reason


def test_a_waiver_of_a_law_that_passes_is_a_failure() -> None:
    outcome = waived(Reference)
    assert outcome.status is Status.FAILED
    assert "remove the waiver" in outcome.reason


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"law": "no_such_law"}, "unknown law 'no_such_law'"),
        ({"clause": "C3"}, "belongs to C4"),
        ({"reason": "  "}, "gives no reason"),
    ],
)
def test_a_waiver_that_makes_no_sense_is_an_error(changes: dict[str, str], told: str) -> None:
    waiver = Waiver(**{"clause": "C4", "law": LAW, "reason": "because", **changes})
    with pytest.raises(ContractError, match=told):
        type("TestMine", (ReferenceHooks, BackendContract), {"waivers": (waiver,)})


# ----------------------------------------------------------------- what a failure says


def test_a_failure_names_the_clause_and_shows_a_script_that_runs(tmp_path: Path) -> None:
    source = """
    class Mine(InMemoryBackend):
        async def keys(self, pattern="*"):
            return [key.lower() for key in await super().keys(pattern)]

    class TestMine(BackendContract):
        def make_backend(self):
            return Mine()
    """
    status, output = run_pytest(tmp_path, source, "-k", "K3_a_listing")
    assert status == 1
    assert "K3 Keys come back as they were set" in output
    assert "keys() is ['a']: it lacks ['A']" in output
    assert "fastadk_memory/contract" not in output, "a line of the suite is shown"
    script = re.search(
        r"^    import asyncio$.*?^    asyncio\.run\(main\(\)\)$", output, re.M | re.S
    )
    assert script is not None
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script[0])],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert ran.stdout == "['a']\n", ran.stderr


def test_a_random_failure_is_shrunk_and_can_be_had_again_by_its_blob(tmp_path: Path) -> None:
    source = """
    class Mine(InMemoryBackend):
        async def delete(self, key):
            if len(key) > 12 and not await self.exists(key):
                raise KeyError(key)
            await super().delete(key)

    class TestMine(BackendContract):
        def make_backend(self):
            return Mine()
    """
    arguments = ("-k", f"C4_{LAW}", "--memory-profile", "full")
    _, output = run_pytest(tmp_path, source, *arguments)
    blob = re.search(r"--memory-blob (\S+)", output)
    assert blob is not None, output
    status, again = run_pytest(tmp_path, source, "-k", f"C4_{LAW}", "--memory-blob", blob[1])
    assert status == 1
    reason = re.search(r"memory\.delete\(.*\) raised KeyError.*", output)
    assert reason is not None
    assert reason[0] in again


def test_the_quick_profile_finds_the_same_example_each_time() -> None:
    class Odd(Reference):
        async def delete(self, key: str) -> None:
            if "\x00" in key:
                raise KeyError(key)
            await super().delete(key)

    hooks = type("OddHooks", (ReferenceHooks,), {"backend_class": Odd})
    first, again = (outcome_of(f"C4_{LAW}", hooks()) for _ in range(2))
    assert first.status is Status.FAILED
    assert (first.script, first.examples) == (again.script, again.examples)


# ---------------------------------------------------------------------- set up wrongly


def test_a_declared_capability_whose_hook_is_missing_is_an_error_and_not_skipped() -> None:
    class NoReopen(ReferenceHooks):
        def provides(self, hook: str) -> bool:
            return hook != "reopen" and super().provides(hook)

    persistent = [law for law in LAWS if law.clause == "D1"]
    outcomes = [run_law(law, NoReopen()) for law in persistent]
    assert {outcome.status for outcome in outcomes} == {Status.ERROR}
    assert "define reopen(self, backend)" in outcomes[0].reason


def test_a_store_that_is_not_empty_is_refused_before_anything_is_written() -> None:
    class Used(ReferenceHooks):
        def make_backend(self) -> MemoryBackend:
            store = Store()
            store.records["ours/precious"] = b"data"
            return Reference(store, self.clock)

    outcome = outcome_of(f"C4_{LAW}", Used())
    assert outcome.status is Status.ERROR
    assert "not empty: it holds 1 keys" in outcome.reason


def test_one_store_for_all_examples_is_refused() -> None:
    class Shared(ReferenceHooks):
        store = Store()

        def make_backend(self) -> MemoryBackend:
            return Reference(self.store, self.clock)

    outcome = outcome_of(f"C4_{LAW}", Shared())
    assert outcome.status is Status.ERROR
    assert "share one store" in outcome.reason
    assert Shared.store.records == {}


# ----------------------------------------------------------------- what hangs or blocks


def test_a_call_that_hangs_is_a_failure_within_the_limit() -> None:
    class Hangs(Reference):
        async def delete(self, key: str) -> None:
            await asyncio.Event().wait()

    attributes = {"backend_class": Hangs, "limits": Limits(operation_seconds=0.2)}
    outcome = outcome_of(f"C4_{LAW}", type("H", (ReferenceHooks,), attributes)())
    assert outcome.status is Status.FAILED
    assert "memory.delete('a') did not answer within 0.2 s" in outcome.reason


def test_code_that_blocks_the_loop_is_interrupted() -> None:
    class Blocks(Reference):
        async def delete(self, key: str) -> None:
            while True:
                pass

    attributes = {"backend_class": Blocks, "limits": Limits(blocking_seconds=0.3)}
    outcome = outcome_of(f"C4_{LAW}", type("B", (ReferenceHooks,), attributes)())
    assert outcome.status is Status.FAILED
    assert "blocks the event loop" in outcome.reason


# ----------------------------------------------------------------- refused capabilities


def test_a_capability_that_is_not_declared_has_to_be_refused() -> None:
    class Quiet(Reference):
        capabilities = Reference.capabilities - {
            capability for capability in Reference.capabilities if capability.name == "TOUCH"
        }

    touch = next(law for law in LAWS if law.needs is not None and law.needs.name == "TOUCH")
    hooks = type("QuietHooks", (ReferenceHooks,), {"backend_class": Quiet})
    outcome = run_law(touch, hooks())
    assert outcome.status is Status.FAILED
    assert "TOUCH is not declared, but memory.touch" in outcome.reason

    class Refuses(Quiet):
        touch = MemoryBackend.touch

    hooks = type("RefusesHooks", (ReferenceHooks,), {"backend_class": Refuses})
    assert run_law(touch, hooks()).status is Status.REFUSED


def test_a_law_that_tries_nothing_is_an_error() -> None:
    empty = Law("C4", "empty", "It tries nothing.", lambda bench: None)
    assert run_law(empty, ReferenceHooks()).status is Status.ERROR


# --------------------------------------------------------------------- by its name


def test_pyargs_runs_the_same_laws_on_an_installed_backend(tmp_path: Path) -> None:
    arguments = ("--pyargs", "fastadk_memory.contract", "--memory-backend", "inmemory")
    status, output = run_pytest(tmp_path, "", *arguments, "-k", "C4 or K3")
    assert status == 0, output
    expected = sum(law.clause in ("C4", "K3") for law in LAWS)
    assert f"{expected} passed" in output


def test_pyargs_without_a_backend_is_an_error(tmp_path: Path) -> None:
    status, output = run_pytest(tmp_path, "", "--pyargs", "fastadk_memory.contract")
    assert status != 0
    assert "--memory-backend NAME" in output


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_mode_of_pytest_asyncio_does_not_matter(tmp_path: Path, mode: str) -> None:
    source = """
    class TestMine(BackendContract):
        async def make_backend(self):
            await asyncio.sleep(0)
            return InMemoryBackend()
    """
    status, output = run_pytest(tmp_path, source, "-k", "C4", "-o", f"asyncio_mode={mode}")
    assert status == 0, output
