"""`Outcome`: what became of one law on one backend, and how to tell it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from fastadk_memory.contract.clauses import CLAUSES
from fastadk_memory.contract.law import Law

__all__ = ["UNDECLARED", "Finding", "Outcome", "Status"]

UNDECLARED = "the backend does not declare"
"""How the reason begins where a capability decides."""


class Status(Enum):
    """How a law ended."""

    PASSED = "passed"
    REFUSED = "refused"
    """The backend does not declare the capability, and refuses, as it must."""
    WAIVED = "waived"
    """It failed, as its waiver says."""
    NOT_APPLICABLE = "not applicable"
    FAILED = "failed"
    ERROR = "error"
    """The suite was set up wrongly, or is itself at fault."""

    @property
    def good(self) -> bool:
        """Whether a run with this outcome may succeed."""
        return self not in (Status.FAILED, Status.ERROR)


@dataclass(slots=True)
class Finding(Exception):  # noqa: N818 (it is what was found, not an error of ours)
    """One example that broke a law, ready to be shown.

    Attributes:
        message: What was wrong.
        clause: The clause that was broken.
        script: Lines that do it again, or what else shows how it came about.
        defect: Whether not the backend is at fault but the suite or its setup.
    """

    message: str
    clause: str
    script: str
    defect: bool = False

    def __post_init__(self) -> None:
        """Make the message the text of the exception."""
        Exception.__init__(self, self.message)

    __hash__ = Exception.__hash__


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one law.

    Attributes:
        law: The law.
        status: How it ended.
        clause: The clause that is broken; the law's own otherwise.
        reason: Why it failed, was waived, or did not apply.
        script: The counterexample, as lines of Python or a table.
        blob: What reproduces the example by Hypothesis, if that found it.
        examples: How many examples were tried.
        seconds: How long it took.
    """

    law: Law
    status: Status
    clause: str
    reason: str = ""
    script: str = ""
    blob: str | None = None
    examples: int = 0
    seconds: float = 0.0

    def text(self) -> str:
        """Return the failure as a few paragraphs for people."""
        lines = [self._title(), "", self.reason, "", f"The law: {self.law.statement}"]
        if self.script:
            lines += ["", "To see it:", "", *(f"    {line}" for line in self.script.splitlines())]
        if self.blob:
            again = f"pytest -k {self.law.id} --memory-blob {self.blob}"
            lines += ["", f"The same example again: {again}"]
        return "\n".join(lines)

    def _title(self) -> str:
        if self.status is Status.ERROR:
            return f"{self.law.id} could not be tried: not the backend is at fault but the setup"
        title = CLAUSES[self.clause].title if self.clause in CLAUSES else "All clauses together"
        return f"{self.clause} {title}"
