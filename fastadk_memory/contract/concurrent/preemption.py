"""Holds one call up at a suspension point while others run: each of two calls meets the other.

Most faults of concurrency need one switch from one call to another at the wrong place. There
are few places, so all of them can be tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastadk_memory.contract.concurrent.clients import Through
from fastadk_memory.contract.concurrent.stepper import Gate, held_at, held_at_each
from fastadk_memory.contract.concurrent.threads import LoopThread
from fastadk_memory.contract.violations import Violation

__all__ = ["MOST_POINTS", "Begin", "ended", "hold_up", "hold_up_everywhere", "in_loop_of"]

MOST_POINTS = 60
"""At how many suspension points of one call something is tried. Calls with more are rare."""

Begin = Callable[[Coroutine[Any, Any, Any]], "asyncio.Future[Any]"]


async def hold_up(
    first: Callable[[Through], Coroutine[Any, Any, Any]],
    point: int,
    others: Callable[[], Coroutine[Any, Any, Any]],
    begin: Begin = asyncio.ensure_future,
    *,
    limit: float,
) -> bool:
    """Hold a call up at a suspension point, let others run, then let it go on.

    Args:
        first: Makes the call, through what it is given.
        point: Where to hold it up.
        others: Makes the other calls.
        begin: Starts them: as a task, or in another thread.
        limit: How many seconds all of it may take.

    Returns:
        Whether the call came to the point. If not, the others ran after it.

    Raises:
        Violation: It took too long, which can only be because a thread is blocked.
    """
    gate = Gate()
    held: asyncio.Future[Any] = asyncio.ensure_future(
        first(lambda call: held_at(call, point, gate))
    )
    running: list[asyncio.Future[Any]] = [held]
    try:
        await gate.come(held.done)
        other = begin(others())
        running.append(other)
        await gate.pass_while(_busy(other))
        await ended(running, limit)
    finally:
        for each in running:
            each.cancel()
    return gate.reached


def in_loop_of(thread: LoopThread) -> Begin:
    """Return what starts coroutines in the event loop of a thread."""

    def begin(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
        return asyncio.wrap_future(thread.begin(coroutine))

    return begin


async def hold_up_everywhere(
    first: Callable[[Through], Coroutine[Any, Any, Any]],
    others: Callable[[int], Coroutine[Any, Any, Any]],
    *,
    limit: float,
) -> None:
    """Hold a call up at each of its suspension points, and let others run at each.

    Args:
        first: Makes the call, through what it is given.
        others: Makes the other calls at the point with a number.
        limit: How many seconds all of it may take.

    Raises:
        Violation: It took too long, which can only be because a thread is blocked.
    """
    gates = [Gate() for _ in range(MOST_POINTS + 1)]
    held: asyncio.Future[Any] = asyncio.ensure_future(first(lambda call: held_at_each(call, gates)))
    running: list[asyncio.Future[Any]] = [held]
    try:
        for point, gate in enumerate(gates, start=1):
            await gate.come(held.done)
            if not gate.reached:
                break
            other: asyncio.Future[Any] = asyncio.ensure_future(others(point))
            running.append(other)
            await gate.pass_while(_busy(other))
        for gate in gates:
            gate.opened = True
        await ended(running, limit)
    finally:
        for each in running:
            each.cancel()


def _busy(call: asyncio.Future[Any]) -> Callable[[], bool]:
    return lambda: not call.done()


async def ended(running: Sequence[asyncio.Future[Any]], limit: float) -> None:
    """Wait for calls to end, and raise what one of them raised.

    Raises:
        Violation: They do not.
    """
    done, pending = await asyncio.wait(running, timeout=limit)
    if pending:
        raise Violation(f"calls that ran at once did not end within {limit:g} s")
    for each in done:
        each.result()
