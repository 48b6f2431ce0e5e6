"""`Waiver`: a known deviation, with its reason, which still runs and fails once it passes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Waiver"]


@dataclass(frozen=True, slots=True)
class Waiver:
    """Says that a backend knowingly breaks one law.

    The law still runs, and must fail: when it passes, the waiver has outlived its reason,
    and that is a failure. Laws that hold all clauses together do not look at what a waived
    clause says, and go on with the others.

    Attributes:
        clause: The id of the clause, such as `T4`.
        law: The law's name, as the report prints it.
        reason: Why the backend deviates, for whoever reads the report.
    """

    clause: str
    law: str
    reason: str
