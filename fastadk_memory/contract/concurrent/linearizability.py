"""Tells whether calls that ran at once can be explained as calls one after another (clause X1).

A history is linearizable if each call can be given one moment between its start and its end
so that the calls, done one at a time at these moments, would have answered what they did. The
search is that of Wing and Gong with Lowe's memory of where it has been. Keys are independent,
so each is searched for itself.

```python
from fastadk_memory.contract.concurrent.linearizability import Operation, check

history = [
    Operation("a", "set", "new", None, start=1, end=2, client="task 1"),
    Operation("a", "get", None, None, start=3, end=4, client="task 2"),
]
print(check(history).text())
```
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastadk_memory.contract.concurrent.fewest import fewest
from fastadk_memory.contract.concurrent.operations import CONFLICT, Conflict, Kind, Operation
from fastadk_memory.contract.concurrent.ordersearch import Answer, search
from fastadk_memory.contract.concurrent.timetable import timetable
from fastadk_memory.contract.violations import ContractError, Violation

__all__ = [
    "BUDGET",
    "CONFLICT",
    "Answer",
    "Conflict",
    "Kind",
    "Operation",
    "Verdict",
    "check",
    "require_linearizable",
]

BUDGET = 1_000_000
"""How many steps the search may take for one key."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the search found.

    Attributes:
        answer: Whether the history is linearizable.
        key: The key whose calls are not, or could not be decided on.
        operations: As few of its calls as are needed to see it.
        total: How many calls there were on this key.
    """

    answer: Answer
    key: str | None = None
    operations: tuple[Operation, ...] = ()
    total: int = 0

    @property
    def ok(self) -> bool:
        """Whether the history is linearizable for certain."""
        return self.answer is Answer.YES

    def message(self) -> str:
        """Return the verdict in a sentence."""
        if self.answer is Answer.YES:
            return "the calls are linearizable"
        if self.answer is Answer.UNKNOWN:
            return (
                f"could not decide whether the {self.total} calls on {self.key!r} are linearizable"
            )
        few = len(self.operations)
        those = "this call" if few == 1 else f"these {few} calls"
        return f"no order of the calls on {self.key!r} explains {those} of {self.total}"

    def text(self) -> str:
        """Return the verdict and the calls as a table, a column for each client."""
        if self.answer is not Answer.NO:
            return self.message()
        return f"{self.message()}\n\n{timetable(self.operations)}"


def check(history: Iterable[Operation], *, budget: int = BUDGET) -> Verdict:
    """Tell whether a history is linearizable.

    Args:
        history: All calls on the keys in question, which were absent at first.
        budget: How many steps to search for each key before giving up.

    Returns:
        The verdict; for a history that is not linearizable with the calls that show it.
    """
    keys: dict[str, list[Operation]] = {}
    for operation in history:
        keys.setdefault(operation.key, []).append(operation)
    unknown: Verdict | None = None
    for key, operations in keys.items():
        answer = search(operations, budget)
        if answer is Answer.NO:
            few = fewest(operations, budget)
            return Verdict(answer, key, tuple(few), len(operations))
        if answer is Answer.UNKNOWN and unknown is None:
            unknown = Verdict(answer, key, (), len(operations))
    return unknown or Verdict(Answer.YES)


def require_linearizable(
    history: Sequence[Operation], what: str = "", *, client: object = None
) -> None:
    """Require that a history is linearizable.

    Args:
        history: See `check`.
        what: What was going on, for the message.
        client: A client whose calls are shown in any case.

    Raises:
        Violation: It is not; the table of the offending calls is the violation's history.
        ContractError: The search was given up.
    """
    verdict = check(history)
    if verdict.ok:
        return
    message = f"{what}: {verdict.message()}" if what else verdict.message()
    if verdict.answer is Answer.UNKNOWN:
        raise ContractError(f"{message}; use fewer clients or fewer calls")
    shown = [each for each in history if each in verdict.operations or each.client == client]
    raise Violation(message, history=timetable(shown))
