"""`Law`: one named test of one clause; `law` and `campaign` declare them, `LAWS` lists them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from fastadk_memory.base import Capability
from fastadk_memory.contract.clauses import ALL_TOGETHER, CLAUSES
from fastadk_memory.contract.inputs.domain import Domain

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from fastadk_memory.contract.bench import Bench

__all__ = ["LAWS", "Law", "campaign", "law"]

Given: TypeAlias = Mapping[str, "Callable[[Domain], SearchStrategy[Any]]"]
Examples: TypeAlias = (
    "Sequence[Mapping[str, Any]] | Callable[[Domain], Sequence[Mapping[str, Any]]]"
)
Body: TypeAlias = Callable[..., Awaitable[None]]
Drive: TypeAlias = "Callable[[Bench], None]"

FIRST_VERSION = "1.0"
"""The version of the contract that laws belong to which name no later one."""


@dataclass(frozen=True, slots=True)
class Law:
    """One test of the contract.

    Attributes:
        clause: The id of the clause it belongs to, or `ALL`.
        name: Its name, unique within the clause.
        statement: What it says, in a sentence.
        drive: Carries it out on a bench.
        needs: The capability without which it says nothing; then what is tested is that
            the backend refuses.
        hooks: The optional hooks that it cannot do without.
        waits: Whether it lets time pass, which may be real time.
        since: The version of the contract that added it.
    """

    clause: str
    name: str
    statement: str
    drive: Drive
    needs: Capability | None = None
    hooks: tuple[str, ...] = ()
    waits: bool = False
    since: str = FIRST_VERSION

    @property
    def id(self) -> str:
        """What reports call it, such as `T4_set_replaces_the_expiry`."""
        return f"{self.clause}_{self.name}"


LAWS: list[Law] = []
"""Every law, in the order of the clauses once `fastadk_memory.contract.laws` is imported."""


def law(
    clause: str,
    *,
    given: Given | None = None,
    examples: Examples = (),
    needs: Capability | None = None,
    hooks: tuple[str, ...] = (),
    waits: bool = False,
    share: float = 1.0,
    since: str = FIRST_VERSION,
) -> Callable[[Body], Body]:
    """Declare a coroutine function `body(world, **drawn)` a law; its docstring is its statement.

    It runs once on a fresh store for each of `examples`, then for each random draw.

    Args:
        clause: The id of the clause.
        given: What to draw: name of an argument to a function of the `Domain` that returns
            a strategy. Without it the law runs once, without arguments.
        examples: Arguments to try first, in any case; or a function of the `Domain`.
        needs: See `Law`.
        hooks: See `Law`.
        waits: See `Law`.
        share: How many random examples, relative to other laws.
        since: See `Law`.
    """

    def declare(body: Body) -> Body:
        def drive(bench: Bench) -> None:
            fixed = examples(bench.domain) if callable(examples) else examples
            for arguments in fixed if bench.wanted is None else ():
                bench.example(body, **arguments)
            if given is not None:
                drawn = {name: make(bench.domain) for name, make in given.items()}
                bench.search(body, drawn, share=share, waits=waits)
            elif not fixed:
                bench.example(body)

        _add(clause, body, drive, needs, hooks, waits, since)
        return body

    return declare


def campaign(
    clause: str,
    *,
    needs: Capability | None = None,
    hooks: tuple[str, ...] = (),
    waits: bool = False,
    since: str = FIRST_VERSION,
) -> Callable[[Drive], Drive]:
    """Declare a function `drive(bench)` a law that conducts its own examples.

    Args:
        clause: The id of the clause, or `ALL`.
        needs: See `Law`.
        hooks: See `Law`.
        waits: See `Law`.
        since: See `Law`.
    """

    def declare(drive: Drive) -> Drive:
        _add(clause, drive, drive, needs, hooks, waits, since)
        return drive

    return declare


def _add(
    clause: str,
    function: Callable[..., object],
    drive: Drive,
    needs: Capability | None,
    hooks: tuple[str, ...],
    waits: bool,
    since: str,
) -> None:
    assert clause in CLAUSES or clause == ALL_TOGETHER, clause
    statement = re.sub(r"\s+", " ", function.__doc__ or "").strip()
    assert statement, f"{function.__name__} has no statement"
    made = Law(clause, function.__name__, statement, drive, needs, hooks, waits, since)
    assert made.id not in {each.id for each in LAWS}, made.id
    LAWS.append(made)
