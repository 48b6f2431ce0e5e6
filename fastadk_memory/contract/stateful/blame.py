"""Which clause a wrong answer breaks, judged by what has happened to the key before.

A long sequence of operations may break any clause. The history of the key tells which it
most likely was: what had to be gone because it expired is a matter of T2, what was lost
because the entry before it expired one of T4, and so on.
"""

from __future__ import annotations

from fastadk_memory.contract.compare import identical
from fastadk_memory.contract.stateful.model import Cell, Model, Slot, Span
from fastadk_memory.contract.timing.lifespan import Fate

__all__ = ["at_fault", "blame_expiry", "blame_loss", "blame_part", "blame_presence", "story"]

_METHODS = {
    "delete": "X1",
    "delete_many": "B1",
    "get_many": "B1",
    "set_many": "B1",
    "clear": "C1",
    "clear_pattern": "C2",
    "compare_and_set": "U1",
    "touch": "M1",
    "keys": "P1",
    "scan": "S1",
}
_CLEARING = ("clear", "clear_pattern")


def at_fault(method: str, otherwise: str) -> str:
    """Return the clause that a method belongs to, if it belongs to a single one."""
    return _METHODS.get(method, otherwise)


def blame_presence(model: Model, slot: Slot, method: str, span: Span) -> str:
    """Return the clause that is broken where a method shows a key that has to be absent."""
    cell = slot.cell
    if slot.tried in ("touch", "compare_and_set"):
        return _METHODS[slot.tried]
    if cell is not None:
        return _blame_survival(slot, cell, span)
    if slot.gone_by:
        return at_fault(slot.gone_by, "X1")
    if model.scope:
        return "N1"
    return at_fault(method, "K2") if method != "keys" else "K3"


def _blame_survival(slot: Slot, cell: Cell, span: Span) -> str:
    """Return the clause that is broken where an expired entry is still there."""
    if cell.reopened:
        return "D1"
    if cell.touched:
        return "M1"
    if cell.made_by in ("set_many", "compare_and_set"):
        return _METHODS[cell.made_by]
    if cell.read:
        return "T6"
    old = slot.old
    outlived = old is not None and not _is_over(old, span)
    return "T4" if outlived and not slot.gone_by else "T2"


def blame_loss(model: Model, slot: Slot, method: str, span: Span) -> str:
    """Return the clause that is broken where a method does not find a key that is there."""
    cell, old = slot.cell, slot.old
    assert cell is not None
    if cell.reopened:
        return "D1"
    if cell.touched:
        return "M1"
    if slot.gone_by in _CLEARING:
        return "C3"
    if slot.tried == "compare_and_set" or cell.made_by in ("set_many", "compare_and_set"):
        return "B1" if cell.made_by == "set_many" else "U1"
    if span.began > cell.made.ended:
        ended = old is not None and _is_over(old, span)
        return "T4" if ended or cell.lifespan.endless else "T3"
    if model.last in ("clear_pattern", "delete_many", "touch"):
        return _METHODS[model.last]
    if model.scope and model.last == "clear":
        return "C1"
    return at_fault(method, "K2")


def blame_expiry(slot: Slot, cell: Cell, seen: object, span: Span) -> str:
    """Return the clause that is broken where a live entry shows a wrong expiry."""
    clause = blame_part(slot, cell, "T5")
    if clause != "T5":
        return clause
    most = None if cell.lifespan.endless else cell.lifespan.seconds_left(span.began, span.ended)[1]
    if cell.read and isinstance(seen, int) and most is not None and seen > most:
        return "T6"
    old = slot.old
    if seen is None and old is not None and _is_over(old, span):
        return "T4"
    if old is not None and not old.vague and seen == _shown(old, span) and type(seen) is not bool:
        return "T4"
    return "T4" if most is None else "T5"


def _is_over(cell: Cell, span: Span) -> bool:
    return cell.lifespan.fate(span.began, span.ended) is Fate.GONE


def _shown(cell: Cell, span: Span) -> int | None:
    if cell.lifespan.endless:
        return None
    return cell.lifespan.seconds_left(span.began, span.ended)[1]


def blame_part(slot: Slot, cell: Cell, otherwise: str, seen: object = None) -> str:
    """Return the clause that is broken where a part of a live entry is wrong.

    Args:
        slot: The key.
        cell: Its entry.
        otherwise: The clause that speaks of this part.
        seen: The value seen, if the part is the value.
    """
    if cell.reopened:
        return "D1"
    if cell.touched:
        return "M1"
    if slot.gone_by in _CLEARING:
        return "C3"
    if slot.tried == "compare_and_set" or cell.made_by == "compare_and_set":
        return "U1"
    if cell.made_by == "set_many" or slot.gone_by == "delete_many":
        return "B1"
    stale = otherwise == "V2" and slot.old is not None and seen is not None
    if stale and slot.old is not None and identical(seen, slot.old.value):
        return "X1"
    return otherwise


def story(model: Model, slot: Slot) -> str:
    """Tell in a few words what there has to be under a key, and why."""
    cell = slot.cell
    if cell is None:
        return f"{slot.gone_by} has removed it" if slot.gone_by else "it was never set"
    if model.fate(slot.key, model.now()) is Fate.GONE:
        given = "touch gave it" if cell.touched else f"{cell.made_by} stored it with"
        return f"it has expired; {given} a TTL of {cell.lifespan.longest:g} s"
    if cell.lifespan.endless:
        how = "touch has lifted its expiry" if cell.touched else "without a TTL"
        return f"{cell.made_by} stored it{', and ' if cell.touched else ' '}{how}"
    given = "touch gave it" if cell.touched else f"{cell.made_by} stored it with"
    return f"{given} a TTL of {cell.lifespan.longest:g} s, which is not over"
