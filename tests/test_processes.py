"""Other processes of the suite: what they say when something is wrong, and that none is left."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
from mutants.fatal import Exits, Hangs, no_backend, slow_after_a_fork
from mutants.file_reference import FileReference, FileReferenceHooks

from fastadk_memory import Capability
from fastadk_memory.contract import ContractError, Hooks
from fastadk_memory.contract.children.processes import Child, Zygote
from fastadk_memory.contract.children.writes import Write, certified, number_of
from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.law import LAWS, Law
from fastadk_memory.contract.laws import load
from fastadk_memory.contract.outcome import Outcome, Status
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import Violation


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def child(opener: Any, limit: float = 30) -> Child:
    return Child(opener, limit, "process 1", Trace())


def law_named(name: str) -> Law:
    load()
    return next(law for law in LAWS if law.name == name)


def put(hooks: Hooks, name: str) -> Outcome:
    return run_law(law_named(name), hooks)


@in_a_loop
async def test_a_child_serves_calls_and_tells_what_was_raised(tmp_path: Path) -> None:
    opener = partial(FileReference, tmp_path / "m.db")
    async with child(opener) as other:
        assert await other.call("set", "a", [1]) is None
        assert await other.call("get", "a") == [1]
        assert await other.call("scan", "a*") == ["a"]
        answer = await other.ask("set", "", 1)
        assert answer.error == "InvalidKeyError"
        assert answer.start <= answer.end <= time.monotonic_ns()
        with pytest.raises(Violation, match="get in process 1 raised InvalidKeyError"):
            await other.call("get", 7)
    async with opener() as here:
        assert await here.get("a") == [1]


@in_a_loop
async def test_an_opener_that_does_not_travel_is_an_error_of_the_setup(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="has to return something picklable"):
        child(lambda: FileReference(tmp_path / "m.db"))


@pytest.mark.parametrize(
    ("opener", "told"),
    [
        (no_backend, "in a process of its own it raised RuntimeError: no such server"),
        (partial(dict), "in a process of its own it raised"),
    ],
)
@in_a_loop
async def test_an_opener_that_fails_elsewhere_is_an_error_of_the_setup(
    opener: Any, told: str
) -> None:
    with pytest.raises(ContractError, match=told):
        async with child(opener):
            pass


@in_a_loop
async def test_a_child_that_dies_is_a_violation(tmp_path: Path) -> None:
    async with child(partial(Exits, tmp_path / "m.db")) as other:
        with pytest.raises(Violation, match="died: exit status 3; the driver has crashed"):
            await other.call("set", "a", 1)


@in_a_loop
async def test_a_child_that_hangs_is_a_violation_and_is_ended(tmp_path: Path) -> None:
    async with child(partial(Hangs, tmp_path / "m.db"), limit=0.5) as other:
        with pytest.raises(Violation, match=r"did not answer within 0\.5 s"):
            await other.call("set", "a", 1)
        process = other._process
        assert process is not None
    assert process.returncode is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@in_a_loop
async def test_a_victim_that_hangs_or_dies_by_itself_is_a_violation(tmp_path: Path) -> None:
    write = Write("set", ("a",), 1)
    zygote = Zygote(partial(Hangs, tmp_path / "m.db"), 0.5)
    with pytest.raises(Violation, match="did not answer"):
        async with zygote:
            await zygote.written(write, None)
    assert zygote._process is not None
    with pytest.raises(ProcessLookupError):
        await _gone(zygote._process.pid)
    async with Zygote(partial(Exits, tmp_path / "n.db"), 30) as zygote:
        with pytest.raises(Violation, match="ended it, with exit status 3"):
            await zygote.written(write, None)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@in_a_loop
async def test_a_forked_process_may_be_faster_than_the_one_that_forked_it(tmp_path: Path) -> None:
    done: list[str] = []

    async def meanwhile() -> None:
        done.append("meanwhile")

    async with Zygote(partial(slow_after_a_fork, tmp_path / "m.db"), 30) as zygote:
        answer, _ = await zygote.held_up(("set", ("a", 1), {}), 0, meanwhile, 10)
        assert (answer.error, done) == ("", ["meanwhile"])
        async with zygote.victim([[Write("set", ("b",), 1)]]) as victim:
            assert await victim.acknowledged() == (0, 0)
        assert victim.failure is None


async def _gone(group: int) -> None:
    """Raise ProcessLookupError once nobody of a group is left, whoever has to reap them."""
    for _ in range(6_000):
        os.killpg(group, 0)
        if _are_zombies(group):
            raise ProcessLookupError(group)
        await asyncio.sleep(0.01)


def _are_zombies(group: int) -> bool:
    """Tell whether nobody of a group is alive: some containers have no one to reap them."""
    states = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, member_of, *_ = stat.read_text().rpartition(")")[2].split()
            states |= {state} if member_of == str(group) else set()
    return states == {"Z"}


def test_a_declared_capability_without_its_hook_is_an_error() -> None:
    class NoOpener(FileReferenceHooks):
        opener = Hooks.opener

    for name in (
        "another_process_reads_what_was_written",
        "a_write_survives_a_kill_right_after_it_returned",
    ):
        outcome = put(NoOpener(), name)
        assert outcome.status is Status.ERROR
        assert "define opener(self, backend)" in outcome.reason


def test_without_the_capability_the_laws_do_not_apply() -> None:
    class Modest(FileReference):
        capabilities = FileReference.capabilities - {
            Capability.DURABLE_PROCESS,
            Capability.MULTI_PROCESS,
        }

    class Way(FileReferenceHooks):
        backend_class = Modest

    outcome = put(Way(), "a_write_survives_a_kill_right_after_it_returned")
    assert outcome.status is Status.NOT_APPLICABLE
    assert "DURABLE_PROCESS" in outcome.reason


def test_a_value_certifies_itself() -> None:
    value = certified("k", 7, 5_000)
    assert number_of(value, "k") == 7
    with pytest.raises(Violation, match="was written for 'k'"):
        number_of(value, "other")
    for torn in (value | {"body": value["body"][:-1]}, value | {"number": 8}):
        with pytest.raises(Violation, match="torn"):
            number_of(torn, "k")
    with pytest.raises(Violation, match="which nobody wrote"):
        number_of(None, "k")
