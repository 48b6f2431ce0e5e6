"""What the suite raises: a broken clause, a law that does not apply, a suite set up wrongly."""

from __future__ import annotations

__all__ = ["ContractError", "NotApplicable", "Violation"]


class Violation(AssertionError):  # noqa: N818 (the backend broke a clause, nothing of ours)
    """The backend broke a clause.

    Attributes:
        clause: The clause that was broken, if it is another one than the law's own.
        history: What happened, if it is not a plain sequence of calls: a table of
            concurrent calls, say. It then stands in the report instead of the calls.
    """

    def __init__(
        self, message: str, *, clause: str | None = None, history: str | None = None
    ) -> None:
        super().__init__(message)
        self.clause = clause
        self.history = history


class NotApplicable(Exception):  # noqa: N818 (no error: the report shows it as what it is)
    """The law says nothing about this backend; the message says why."""


class ContractError(Exception):
    """The suite is used wrongly: a law overridden, a hook missing or of no use, a bad waiver."""
