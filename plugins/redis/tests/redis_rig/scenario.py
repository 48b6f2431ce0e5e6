"""Run an asynchronous test in a loop of its own."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

ENDLESS = 300.0


def in_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test for pytest of a coroutine function; one that never ends fails."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def within() -> None:
            async with asyncio.timeout(ENDLESS):
                await test(*args, **kwargs)

        asyncio.run(within())

    return run
