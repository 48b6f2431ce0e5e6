"""`Operation`: one call of a concurrent history, as its client saw it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeAlias

__all__ = ["CONFLICT", "Conflict", "Kind", "Operation"]

Kind: TypeAlias = Literal["set", "get", "exists", "get_entry", "delete", "compare_and_set"]


class Conflict(Enum):
    """The type of `CONFLICT`."""

    CONFLICT = "conflict"

    def __repr__(self) -> str:
        return "ConflictError"


CONFLICT = Conflict.CONFLICT
"""The result of a `compare_and_set` that raised `ConflictError`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One call, as its client saw it.

    Attributes:
        key: The key.
        kind: What it does to the key. Other methods are one of these: a `touch` answers as
            `exists` does, a `clear` is a `delete`, a `set_many` one `set` for each key.
        argument: For `set` the value, for `compare_and_set` the pair of what was expected and
            the value. No value may be `None`.
        result: What came back. For `get_entry` the pair of value and version, or `None`; for
            `compare_and_set` the version or `CONFLICT`; for `set` the version if it is known.
        start: When it began, on a clock that all clients share; a counter will do.
        end: When it ended; `None` if nobody knows how it ended: then it may have happened at
            any time since, or never.
        client: Who called: a name or a number.
        cancelled: Whether it was cancelled at `end`: then it has happened before, or never.
        call: The call as it was made, if it is not the one that `kind` names.
        failure: What it raised, if it did; it then has no `end`.
    """

    key: str
    kind: Kind
    argument: Any
    result: Any
    start: float
    end: float | None
    client: object
    cancelled: bool = False
    call: str = ""
    failure: str = ""

    @property
    def open_ended(self) -> bool:
        """Whether nobody knows what it answered, or whether it happened."""
        return self.cancelled or self.end is None

    @property
    def reads(self) -> bool:
        """Whether it only reads, as far as is known."""
        return self.kind in ("get", "exists", "get_entry") or self.result is CONFLICT

    @property
    def written(self) -> Any:
        """The value that a `set` or a `compare_and_set` writes."""
        return self.argument[1] if self.kind == "compare_and_set" else self.argument
