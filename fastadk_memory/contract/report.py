"""`Report`: what a run of the contract found, law by law and clause by clause."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from fastadk_memory.contract.clauses import ALL_TOGETHER, CLAUSES, CONTRACT_VERSION
from fastadk_memory.contract.limits import Limits, Profile
from fastadk_memory.contract.outcome import UNDECLARED, Outcome, Status

__all__ = ["Report", "Row", "worst"]

# A clause is as bad as the worst of its laws, and passed if nothing is worse than that.
_ORDER = (Status.ERROR, Status.FAILED, Status.WAIVED, Status.PASSED, Status.REFUSED)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the status of a clause whose laws ended so."""
    found = set(statuses)
    return next((status for status in _ORDER if status in found), Status.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one clause.

    Attributes:
        clause: Its id, or `ALL`.
        title: Its title.
        status: The worst of its laws.
        outcomes: What became of them.
    """

    clause: str
    title: str
    status: Status
    outcomes: tuple[Outcome, ...]

    @property
    def reason(self) -> str:
        """What there is to say in a line."""
        if self.status in (Status.PASSED, Status.NOT_APPLICABLE, Status.REFUSED):
            told = dict.fromkeys(each.reason for each in self.outcomes if each.reason)
            if self.status is Status.PASSED:
                # What is not declared is told by the clauses about it; a missing hook is news.
                told = dict.fromkeys(each for each in told if not each.startswith(UNDECLARED))
            return "; ".join(_told_together(told))
        return next(each.reason for each in self.outcomes if each.status is self.status)

    @property
    def seconds(self) -> float:
        """How long its laws took."""
        return sum(each.seconds for each in self.outcomes)


def _told_together(reasons: Iterable[str]) -> list[str]:
    """Say once what is not declared, and once which hooks are missing."""
    undeclared: list[str] = []
    hooks: list[str] = []
    rest: list[str] = []
    for reason in reasons:
        found = re.fullmatch(r"the hook (\w+) is not defined", reason)
        if found is not None:
            hooks.append(found[1])
        elif reason.startswith(UNDECLARED):
            undeclared.append(reason.removeprefix(UNDECLARED).strip())
        else:
            rest.append(reason)
    if undeclared:
        rest.insert(0, f"{UNDECLARED} {', '.join(undeclared)}")
    if hooks:
        rest.append(f"without the hook{'s' if len(hooks) > 1 else ''} {', '.join(hooks)}")
    return rest


@dataclass(slots=True)
class Report:
    """What a run of the contract found.

    Attributes:
        backend: The name of the backend, or of its class.
        profile: How long was searched.
        limits: The limits in force.
        capabilities: What the backend declares, sorted.
        outcomes: What became of each law.
        partial: Whether only some of the laws were asked for.
        seconds: How long all of it took.
    """

    backend: str
    profile: Profile
    limits: Limits
    capabilities: tuple[str, ...] = ()
    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    partial: bool = False
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the backend keeps the contract. A run in which no law passed does not count."""
        good = all(each.status.good for each in self.outcomes)
        return good and any(each.status is Status.PASSED for each in self.outcomes)

    @property
    def failures(self) -> list[Outcome]:
        """The laws that failed, or could not be tried."""
        return [each for each in self.outcomes if not each.status.good]

    def rows(self) -> list[Row]:
        """Return one row for each clause, in their order, and one for all of them together."""
        rows: list[Row] = []
        for clause in [*CLAUSES, ALL_TOGETHER]:
            # A law of all clauses together counts against the one that it found broken, too.
            mine = [each for each in self.outcomes if clause in (each.law.clause, each.clause)]
            if mine:
                title = CLAUSES[clause].title if clause in CLAUSES else "All clauses together"
                status = worst(each.status for each in mine)
                about = CLAUSES[clause].capability if clause in CLAUSES else None
                if status is Status.REFUSED and about is None:
                    # Only what it says of some capability was refused; the rest was not tried.
                    status = Status.NOT_APPLICABLE
                rows.append(Row(clause, title, status, tuple(mine)))
        return rows

    def counts(self) -> dict[str, int]:
        """Return how many clauses ended how."""
        rows = [row for row in self.rows() if row.clause != ALL_TOGETHER]
        return {
            status.value: sum(row.status is status for row in rows)
            for status in Status
            if any(row.status is status for row in rows)
        }

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON's types."""
        from importlib.metadata import version

        from fastadk_memory import __version__

        return {
            "backend": self.backend,
            "ok": self.ok,
            "partial": self.partial,
            "contract": CONTRACT_VERSION,
            "profile": asdict(self.profile),
            "limits": asdict(self.limits),
            "capabilities": list(self.capabilities),
            "versions": {
                "fastadk-memory": __version__,
                "python": platform.python_version(),
                "hypothesis": version("hypothesis"),
            },
            "seconds": round(self.seconds, 3),
            "clauses": [_row_json(row) for row in self.rows()],
        }


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "clause": row.clause,
        "title": row.title,
        "status": row.status.value,
        "reason": row.reason,
        "laws": [_outcome_json(each) for each in row.outcomes],
    }


def _outcome_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "law": outcome.law.id,
        "statement": outcome.law.statement,
        "status": outcome.status.value,
        "clause": outcome.clause,
        "reason": outcome.reason,
        "counterexample": outcome.script,
        "blob": outcome.blob,
        "examples": outcome.examples,
        "seconds": round(outcome.seconds, 3),
    }
