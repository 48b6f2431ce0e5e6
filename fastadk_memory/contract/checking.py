"""`check`: the whole contract on one backend, outside of pytest."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.hooks import Hooks
from fastadk_memory.contract.law import LAWS, Law
from fastadk_memory.contract.laws import load
from fastadk_memory.contract.limits import QUICK, Limits, Profile
from fastadk_memory.contract.named import NamedHooks, hooks_for
from fastadk_memory.contract.novelty import examine
from fastadk_memory.contract.outcome import Outcome
from fastadk_memory.contract.report import Report
from fastadk_memory.contract.violations import ContractError
from fastadk_memory.contract.waivers import Waiver
from fastadk_memory.loading import Factory

__all__ = ["Watcher", "check", "laws_named"]


class Watcher(Protocol):
    """Hears how a run goes on."""

    def begins(self, law: Law, number: int, total: int) -> None:
        """Hear that a law is put to the backend."""
        ...

    def ended(self, outcome: Outcome) -> None:
        """Hear what became of it."""
        ...


def check(
    backend: str | Factory | type[Hooks],
    options: Mapping[str, object] | None = None,
    *,
    profile: Profile = QUICK,
    limits: Limits | None = None,
    waivers: Sequence[Waiver] = (),
    only: Sequence[str] = (),
    blob: str | None = None,
    watcher: Watcher | None = None,
) -> Report:
    """Put a backend to the contract.

    It works on stores of its own and harms nothing that it did not write: `{unique}` and
    `{tmp}` in an option stand for a new name and a new folder for each store; a store that
    is not empty, or the same store twice, is refused.

    Args:
        backend: The name of a backend that is installed or registered in this process, a
            class, a callable that makes backends, or a subclass of `Hooks`.
        options: The backend's options, over those that its class proposes as
            `contract_options`.
        profile: How long to search.
        limits: Time limits, sizes and margins.
        waivers: Known deviations.
        only: Only these clauses or laws, by their ids; all without.
        blob: Try only the example that a failure printed; with one law in `only`.
        watcher: Hears how it goes on.

    Returns:
        The report. `report.ok` tells whether the backend keeps the contract.

    Raises:
        ContractError: The suite is used wrongly: the store is not empty, or not a new one
            each time, or there is no law of a name in `only`.
        FastADKMemoryError: The backend cannot be found, loaded or constructed.
    """
    way = _way(backend, options, profile, limits, waivers)
    if issubclass(way, NamedHooks):
        _try_to_make(way())
    laws = laws_named(only)
    if blob is not None and len(laws) != 1:
        raise ContractError("a blob belongs to one law: name it, and no other")
    started = time.perf_counter()
    name = backend if isinstance(backend, str) else getattr(backend, "__name__", repr(backend))
    report = Report(name, profile, way.limits, tuple(sorted(examine(way()))), partial=bool(only))
    for number, law in enumerate(laws, start=1):
        if watcher is not None:
            watcher.begins(law, number, len(laws))
        outcome = run_law(law, way(), profile=profile, blob=blob)
        report.outcomes.append(outcome)
        if watcher is not None:
            watcher.ended(outcome)
    report.seconds = time.perf_counter() - started
    return report


def laws_named(only: Sequence[str] = ()) -> list[Law]:
    """Return the laws of these clauses, or with these names; all without any.

    Raises:
        ContractError: There is none of such a name.
    """
    load()
    chosen: list[Law] = []
    for wanted in only:
        found = [law for law in LAWS if wanted in (law.clause, law.id, law.name)]
        if not found:
            raise ContractError(f"there is no clause or law {wanted!r}")
        chosen += [law for law in found if law not in chosen]
    return chosen if only else list(LAWS)


def _way(
    backend: str | Factory | type[Hooks],
    options: Mapping[str, object] | None,
    profile: Profile,
    limits: Limits | None,
    waivers: Sequence[Waiver],
) -> type[Hooks]:
    settings: dict[str, object] = {"profile": profile}
    if limits is not None:
        settings["limits"] = limits
    if waivers:
        settings["waivers"] = tuple(waivers)
    if isinstance(backend, type) and issubclass(backend, Hooks):
        if options:
            raise ContractError("options belong to a name or a class; hooks have their own")
        return type(backend.__name__, (backend,), settings)
    return hooks_for(cast("str | Factory", backend), options, **settings)


def _try_to_make(hooks: NamedHooks) -> None:
    """Make one backend, so that what is wrong with name or options is raised as it is."""
    try:
        hooks.make_backend()
    finally:
        hooks.tidy()
