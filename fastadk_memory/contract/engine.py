"""Puts one law to one backend: decides whether it applies, runs it, and tells what came out."""

from __future__ import annotations

import time

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.compare import expect
from fastadk_memory.contract.hooks import Hooks
from fastadk_memory.contract.law import Law
from fastadk_memory.contract.limits import Profile
from fastadk_memory.contract.novelty import examine
from fastadk_memory.contract.outcome import UNDECLARED, Finding, Outcome, Status
from fastadk_memory.contract.pinning import belongs_to, check_pin
from fastadk_memory.contract.violations import ContractError, NotApplicable, Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import UnsupportedOperationError

__all__ = ["run_law"]


def run_law(
    law: Law, hooks: Hooks, *, profile: Profile | None = None, blob: str | None = None
) -> Outcome:
    """Put one law to the backend that `hooks` leads to.

    Args:
        law: The law.
        hooks: The way to the backend.
        profile: How long to search; that of `hooks` without.
        blob: Try only the example that a failure printed as its blob.

    Returns:
        What came out. Nothing that the backend does is raised from here.
    """
    started = time.perf_counter()
    with Bench(hooks, law.id, law.clause, profile or hooks.profile, blob) as bench:
        status, clause, reason, script = _judged(law, hooks, bench)
        return Outcome(
            law=law,
            status=status,
            clause=clause,
            reason=reason,
            script=script,
            blob=bench.blob if status is Status.FAILED else None,
            examples=bench.examples,
            seconds=time.perf_counter() - started,
        )


def _judged(law: Law, hooks: Hooks, bench: Bench) -> tuple[Status, str, str, str]:
    status, clause, reason, script = _tried(law, bench)
    waiver = next((each for each in hooks.waivers if each.law in (law.name, law.id)), None)
    if waiver is None:
        return status, clause, reason, script
    if status is Status.FAILED:
        return Status.WAIVED, law.clause, f"{waiver.reason} ({reason})", script
    if status is Status.ERROR:
        return status, clause, reason, script
    outlived = f"there is a waiver for it ({waiver.reason}), but it passes now: remove the waiver"
    return Status.FAILED, law.clause, outlived, ""


def _tried(law: Law, bench: Bench) -> tuple[Status, str, str, str]:
    try:
        check_pin(bench.hooks.contract_version)
        if not belongs_to(law.since, bench.hooks.contract_version):
            return _newer(law, bench)
        examine(bench.hooks)
        domain = bench.look()
        if law.needs is not None and law.needs not in domain.capabilities:
            return _refusal(law, law.needs, bench)
        law.drive(bench)
    except NotApplicable as reason:
        return Status.NOT_APPLICABLE, law.clause, str(reason), ""
    except ContractError as error:
        return Status.ERROR, law.clause, str(error), ""
    except Finding as found:
        status = Status.ERROR if found.defect else Status.FAILED
        return status, found.clause, found.message, found.script
    if bench.examples == 0:
        return Status.ERROR, law.clause, "the law tried no example at all", ""
    return Status.PASSED, law.clause, "", ""


def _newer(law: Law, bench: Bench) -> tuple[Status, str, str, str]:
    pinned = bench.hooks.contract_version
    told = f"it came with contract {law.since}, and contract_version is pinned to {pinned}"
    return Status.NOT_APPLICABLE, law.clause, told, ""


def _refusal(law: Law, capability: Capability, bench: Bench) -> tuple[Status, str, str, str]:
    told = f"{UNDECLARED} {capability.name}"
    if capability not in _METHODS:
        return Status.NOT_APPLICABLE, law.clause, told, ""

    async def refuses(world: World) -> None:
        await _refuses(world, capability)

    bench.example(refuses)
    return Status.REFUSED, law.clause, told, ""


_METHODS: dict[Capability, tuple[str, tuple[object, ...], dict[str, object]]] = {
    Capability.ENTRIES: ("set_entry", ("key", "new"), {"metadata": {}}),
    Capability.CAS: ("compare_and_set", ("key", "new"), {"expect": ABSENT}),
    Capability.TOUCH: ("touch", ("key", 60), {}),
}


async def _refuses(world: World, capability: Capability) -> None:
    """An undeclared capability is refused with `UnsupportedOperationError`, and changes nothing."""
    method, args, kwargs = _METHODS[capability]
    for stored in (None, "old"):
        if stored is not None:
            await world.memory.set("key", stored)
        try:
            await world.expect_error(UnsupportedOperationError, method, *args, **kwargs)
        except Violation as violation:
            raise Violation(f"{capability.name} is not declared, but {violation}") from None
        expect(await world.memory.get("key"), stored, f"get('key') after the refused {method}")
