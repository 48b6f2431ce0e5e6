"""The list of mutants: `@mutant` enters one, `MUTANTS` has them all once `load` has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TypeVar

from fastadk_memory import MemoryBackend
from fastadk_memory.contract import CLAUSES, Hooks

from .reference import Reference, ReferenceHooks

B = TypeVar("B", bound=type[MemoryBackend])


@dataclass(frozen=True)
class Mutant:
    """One broken backend.

    Attributes:
        clause: The clause it breaks; a law that carries its id must catch it.
        backend: Its class, whose docstring says what is wrong with it.
        hooks: The way to it for the suite.
        anywhere: Whether the laws that hold all clauses together may do the catching, by naming
            the clause; only for faults that show nowhere but in long sequences of operations.
    """

    clause: str
    backend: type[MemoryBackend]
    hooks: type[Hooks]
    anywhere: bool = False

    @property
    def id(self) -> str:
        return f"{self.clause}-{self.backend.__name__}"

    @property
    def fault(self) -> str:
        return " ".join((self.backend.__doc__ or "").split())


MUTANTS: list[Mutant] = []


def mutant(
    clause: str, *, hooks: type[Hooks] = ReferenceHooks, anywhere: bool = False
) -> Callable[[B], B]:
    """Enter a broken backend into the list.

    Args:
        clause: The clause that it breaks.
        hooks: The way to it, if not that of the reference; its class attribute `backend_class`
            is replaced by the mutant.
        anywhere: See `Mutant`.
    """
    assert clause in CLAUSES

    def enter(backend: B) -> B:
        # Not the inherited docstring of the reference.
        assert vars(backend).get("__doc__"), f"{backend.__name__} does not say what is wrong"
        way = type(f"Hooks{backend.__name__}", (hooks,), {"backend_class": backend})
        made = Mutant(clause, backend, way, anywhere)
        assert made.id not in {each.id for each in MUTANTS}, made.id
        MUTANTS.append(made)
        return backend

    return enter


def load() -> list[Mutant]:
    """Import every module `breaks_*.py` and return the mutants in the order of the clauses."""
    for path in sorted(Path(__file__).parent.glob("breaks_*.py")):
        import_module(f"{__package__}.{path.stem}")
    order = list(CLAUSES)
    return sorted(MUTANTS, key=lambda each: order.index(each.clause))


__all__ = ["MUTANTS", "Mutant", "Reference", "load", "mutant"]
