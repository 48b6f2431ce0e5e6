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

__all__ = ["MOST_POINTS", "ended", "hold_up", "hold_up_everywhere"]

MOST_POINTS = 60
"""At how many suspension points of one call something is tried. Calls with more are rare."""

_TURNS = 30
_BLOCKED = 0.5  # seconds after which a thread that takes no turns is left to the call's limit


async def hold_up(
    first: Callable[[Through], Coroutine[Any, Any, Any]],
    point: int,
    others: Callable[[], Coroutine[Any, Any, Any]],
    thread: LoopThread | None = None,
    *,
    limit: float,
) -> bool:
    """Hold a call up at a suspension point, let others run, then let it go on.

    Args:
        first: Makes the call, through what it is given.
        point: Where to hold it up.
        others: Makes the other calls.
        thread: The thread in whose event loop they run; in this one's as a task without.
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
        other: asyncio.Future[Any]
        if thread is None:
            other = asyncio.ensure_future(others())
        else:
            other = asyncio.wrap_future(thread.begin(others()))
        running.append(other)
        if thread is not None:
            # On a busy machine a thread may get no time for longer than the gate waits.
            await thread.take_turns(_TURNS, _BLOCKED)
        await gate.pass_while(_busy(other), turns=_TURNS)
        await ended(running, limit)
    finally:
        for each in running:
            each.cancel()
    return gate.reached


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
