"""Wait for a condition with a deadline that only a broken machine misses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 90.0


def until(condition: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Return what `condition` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)


async def eventually(
    condition: Callable[[], Awaitable[T]], what: str, seconds: float = PATIENCE
) -> T:
    """The same for a condition that has to be awaited."""
    deadline = time.monotonic() + seconds
    while True:
        found = await condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(0.02)


def at_times(action: Callable[[], None], every: float) -> Callable[[], bool]:
    """Return a condition, never true, that does something at most once in so many seconds."""
    last = -every

    def condition() -> bool:
        nonlocal last
        if time.monotonic() - last >= every:
            last = time.monotonic()
            action()
        return False

    return condition
