"""The laws, one module for each group of clauses."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

__all__ = ["load"]


def load() -> None:
    """Import every module of laws, which registers them, and sort them as the clauses are."""
    from fastadk_memory.contract.clauses import CLAUSES
    from fastadk_memory.contract.law import LAWS

    for module in sorted(found.name for found in iter_modules(__path__)):
        import_module(f"{__name__}.{module}")
    order = list(CLAUSES)
    LAWS.sort(key=lambda law: order.index(law.clause) if law.clause in CLAUSES else len(order))
