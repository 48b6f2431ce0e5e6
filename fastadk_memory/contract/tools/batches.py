"""`batch_law`: a law about any number of things, all of them tried at once on one store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from fastadk_memory.base import Capability
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import Body, campaign
from fastadk_memory.contract.outcome import Finding

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from fastadk_memory.contract.bench import Bench

__all__ = ["batch_law"]

_PATIENCE = 5.0  # seconds that looking for a shorter counterexample may take


def batch_law(
    clause: str,
    *,
    corpus: Callable[[Domain], Sequence[Any]],
    drawn: Callable[[Domain], SearchStrategy[Any]] | None = None,
    needs: Capability | None = None,
    share: float = 0.5,
) -> Callable[[Body], Body]:
    """Declare a coroutine function `body(world, items)` a law; its docstring is its statement.

    It runs once with the whole corpus on one store, where things that a backend mixes up meet,
    and which is cheaper than a store for each. If that fails, as few items as still fail make
    the counterexample. Then it runs with a few random items at a time.

    Args:
        clause: The id of the clause.
        corpus: The items to try all at once.
        drawn: How to draw one random item.
        needs: See `Law`.
        share: How many random examples, relative to other laws.
    """

    def declare(body: Body) -> Body:
        from hypothesis import strategies as st

        @wraps(body)
        def drive(bench: Bench) -> None:
            _try_all(bench, body, corpus(bench.domain))
            if drawn is not None:
                items = st.lists(drawn(bench.domain), min_size=1, max_size=4)
                bench.search(body, {"items": items}, share=share)

        campaign(clause, needs=needs)(drive)
        return body

    return declare


def _try_all(bench: Bench, body: Body, items: Sequence[Any]) -> None:
    """Try all items at once; raise the finding of as few of them as still fail alike."""
    first = finding = _attempt(bench, body, items)
    if first is None:
        return
    until = time.monotonic() + _PATIENCE
    size = len(items) // 2
    while size and time.monotonic() < until:
        # From the end: the simplest of the corpus stand first.
        at = len(items) - size
        while at >= 0 and len(items) > size and time.monotonic() < until:
            fewer = [*items[:at], *items[at + size :]]
            found = _attempt(bench, body, fewer)
            if found is not None and found.clause == first.clause:
                items, finding = fewer, found
            at -= size
        size //= 2
    assert finding is not None
    raise finding


def _attempt(bench: Bench, body: Body, items: Sequence[Any]) -> Finding | None:
    try:
        bench.example(body, items=items)
    except Finding as finding:
        return finding
    return None
