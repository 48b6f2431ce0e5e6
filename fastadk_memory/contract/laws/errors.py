"""Clause E1: every failure is an error of ours, with the driver's error as its cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.calls import OPENING, SAMPLES, Sample, samples
from fastadk_memory.contract.world import World
from fastadk_memory.errors import (
    ConfigurationError,
    ConflictError,
    FastADKMemoryError,
    InvalidKeyError,
    InvalidPatternError,
    InvalidTTLError,
    UnsupportedOperationError,
    UnsupportedValueError,
)

_WRONG: tuple[tuple[Sample, type[FastADKMemoryError]], ...] = (
    (Sample("set", (7, "value")), InvalidKeyError),
    (Sample("get", ("",)), InvalidKeyError),
    (Sample("delete", (b"a",)), InvalidKeyError),
    (Sample("exists", ("\ud800",)), InvalidKeyError),
    (Sample("ttl", (None,)), InvalidKeyError),
    (Sample("get_entry", (("a",),)), InvalidKeyError),
    (Sample("get_many", ("abc",)), InvalidKeyError),
    (Sample("get_many", (7,)), InvalidKeyError),
    (Sample("delete_many", (None,)), InvalidKeyError),
    (Sample("delete_many", (["a", 7],)), InvalidKeyError),
    (Sample("keys", (7,)), InvalidPatternError),
    (Sample("clear_pattern", (None,)), InvalidPatternError),
    (Sample("scan", (b"*",)), InvalidPatternError),
    (Sample("scan", (), {"batch_size": 0}), ConfigurationError),
    (Sample("scan", (), {"batch_size": True}), ConfigurationError),
    (Sample("scan", (), {"batch_size": "10"}), ConfigurationError),
    (Sample("set", ("a", 1, 0)), InvalidTTLError),
    (Sample("set", ("a", 1, "60")), InvalidTTLError),
    (Sample("set_many", ({"a": 1}, -1)), InvalidTTLError),
    (Sample("set", ("a", {1, 2})), UnsupportedValueError),
    (Sample("set_many", ([("a", 1)],)), UnsupportedValueError),
    (Sample("set_many", ({"a": {1, 2}},)), UnsupportedValueError),
    (Sample("namespace", ("",)), InvalidKeyError),
    (Sample("namespace", (7,)), InvalidKeyError),
    (Sample("namespace", ("\ud800",)), InvalidKeyError),
    (Sample("namespace", ("n" * 5000,)), InvalidKeyError),
)

_ENTRIES, _CAS, _TOUCH = Capability.ENTRIES, Capability.CAS, Capability.TOUCH
_WRONG_OF_CAPABILITIES: tuple[tuple[Sample, type[FastADKMemoryError]], ...] = (
    (Sample("set_entry", ("a", 1), {"metadata": 7}, _ENTRIES), UnsupportedValueError),
    (Sample("set_entry", ("a", 1), {"metadata": {"m": {1}}}, _ENTRIES), UnsupportedValueError),
    (Sample("compare_and_set", ("a", 1), {"expect": 7}, _CAS), UnsupportedValueError),
    (Sample("compare_and_set", ("a", 1), {"expect": None}, _CAS), UnsupportedValueError),
    (Sample("compare_and_set", ("a", 1), {"expect": ABSENT}, _CAS), ConflictError),
    (Sample("compare_and_set", ("b", 1), {"expect": "no version"}, _CAS), ConflictError),
    (Sample("touch", ("a", 0), {}, _TOUCH), InvalidTTLError),
    (Sample("touch", ("", 60), {}, _TOUCH), InvalidKeyError),
)


def wrong_calls(domain: Domain) -> Iterator[Mapping[str, Any]]:
    """Return calls that must fail, each with the error that they must raise."""
    for call, kind in (*_WRONG, *_WRONG_OF_CAPABILITIES):
        if call.needs is None or call.needs in domain.capabilities:
            yield {"call": call, "kind": kind}
    for call in SAMPLES:
        if call.needs is not None and call.needs not in domain.capabilities:
            yield {"call": call, "kind": UnsupportedOperationError}


@law("E1", examples=lambda domain: list(wrong_calls(domain)))
async def a_wrong_call_raises_the_error_for_it(
    world: World, call: Sample, kind: type[FastADKMemoryError]
) -> None:
    """What a caller does wrong raises the error of our tree that is meant for it."""
    memory = world.memory
    await memory.set("a", "old")
    error = await world.raises(kind, memory, call.method, *call.args, **call.kwargs)
    if isinstance(error, ConflictError):
        expect(error.key, call.args[0], "the attribute key of the ConflictError")
    expect(await memory.get("a"), "old", "get('a') after the call that failed")


def check_failures(calls: Together, found: list[Any]) -> None:
    """Require of the calls that failed that each did so with an error of ours, and its cause."""
    for call, error in zip(calls.calls, found, strict=True):
        if not isinstance(error, Exception):
            continue  # that it should have failed is another clause's business
        if not isinstance(error, FastADKMemoryError):
            told = f"{calls.shown(call)} raised {type(error).__name__}: {error}"
            fail(f"{told}, which is no FastADKMemoryError")
        if driver_error(error) is None:
            told = f"{calls.shown(call)} raised {type(error).__name__}"
            fail(f"{told} without the driver's error as its __cause__ (raise ... from error)")


def driver_error(error: BaseException) -> BaseException | None:
    """Return the first error in the chain of causes that is none of ours."""
    cause = error.__cause__
    while isinstance(cause, FastADKMemoryError):
        cause = cause.__cause__
    return cause


async def fail_together(world: World, memory: Handle, opened: bool) -> None:
    """Make every call while the service is away, and look at how each fails."""
    calls = samples(memory.capabilities)
    async with world.trouble("outage"):
        # An open backend has nothing left to open, and so nothing that could fail.
        together = Together(world, memory, [*calls, *(() if opened else OPENING)])
        check_failures(together, await together.wait())


@law("E1", hooks=("outage",), examples=[{"opened": True}, {"opened": False}])
async def a_failure_of_the_service_keeps_its_cause(world: World, opened: bool) -> None:
    """While the service is away every error is one of ours, caused by the driver's."""
    if opened:
        await world.memory.set("a", 1)
    await fail_together(world, world.memory, opened)


@law("E1", hooks=("outage",), examples=[{"opened": True}, {"opened": False}])
async def a_failure_in_a_view_keeps_its_cause(world: World, opened: bool) -> None:
    """In a namespace, too, every error is one of ours, caused by the driver's."""
    view = world.memory.namespace("tenant")
    if opened:
        await view.set("a", 1)
    await fail_together(world, view, opened)


@law("E1", hooks=("outage",), examples=[{"opened": True}, {"opened": False}])
async def a_failure_of_closing_keeps_its_cause(world: World, opened: bool) -> None:
    """`aclose` while the service is away ends in success, or in an error of ours with its cause."""
    memory = world.memory
    if opened:
        await memory.set("a", 1)
    async with world.trouble("outage"):
        closing = Together(world, memory, [Sample("aclose")])
        check_failures(closing, await closing.wait())


@law("E1", examples=[{"turns": turns} for turns in range(4)])
async def calls_at_once_raise_no_errors_of_their_own(world: World, turns: int) -> None:
    """A listing or a bulk call beside writers succeeds, or fails with an error of ours."""
    memory = world.memory
    keys = [f"k{number:02}" for number in range(40)]
    await memory.set_many(dict.fromkeys(keys, 1))
    readers = [Sample("keys"), Sample("scan"), Sample("keys", ("k*",)), Sample("get_many", (keys,))]
    writers = [Sample("set", (f"new {number}", 1)) for number in range(5)]
    writers += [Sample("delete", (keys[3],)), Sample("delete_many", (keys[5:9],))]
    writers += [Sample("clear_pattern", ("k3*",))]
    reading = Together(world, memory, readers)
    await reading.turns(turns)
    writing = Together(world, memory, writers, "writing")
    for calls in (reading, writing):
        for call, error in zip(calls.calls, await calls.wait(), strict=True):
            if isinstance(error, Exception) and not isinstance(error, FastADKMemoryError):
                told = f"{calls.shown(call)} raised {type(error).__name__}: {error}"
                fail(f"{told}, while others were writing; it is no FastADKMemoryError")


@law("E1", hooks=("outage",))
async def a_later_failure_keeps_its_cause_too(world: World) -> None:
    """The second failure in a row tells its cause as the first does, whichever call it is."""
    memory = world.memory
    async with world.trouble("outage"):
        for _ in range(3):
            for method in ("open", "get", "keys"):
                call = Sample(method, ("a",) if method == "get" else ())
                together = Together(world, memory, [call])
                check_failures(together, await together.wait())
