"""`Meter`: how much a store holds, to see whether space comes back."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.hooks import settled
from fastadk_memory.contract.violations import ContractError
from fastadk_memory.contract.world import World

__all__ = ["Meter", "condensed", "metered"]


class Meter:
    """Tells how much a store holds.

    Args:
        world: Its world, whose hook `held` is asked.
        of_process: Whether to look at the memory of the process instead.
    """

    def __init__(self, world: World, *, of_process: bool) -> None:
        self._world = world
        self._of_process = of_process

    async def held(self, memory: Handle) -> int:
        """Return what the store of `memory` holds, or this process.

        Raises:
            ContractError: The hook returns no number.
        """
        if self._of_process:
            gc.collect()
            return tracemalloc.get_traced_memory()[0]
        found: Any = await settled(self._world.hooks.held(memory.backend))
        if not isinstance(found, int):
            raise ContractError(f"the hook held has to return an int, not {found!r}")
        return found

    def told(self, held: int) -> str:
        """Return an amount in words."""
        return f"{held / 1024:,.0f} KiB of memory" if self._of_process else f"{held:,} by held()"


@contextmanager
def metered(world: World, *, of_process: bool = False) -> Generator[Meter]:
    """Return a meter for the time of the block.

    Args:
        world: The world.
        of_process: Whether to look at the memory of the process even where there is the
            hook `held`.
    """
    of_process = of_process or not world.hooks.provides("held")
    begin = of_process and not tracemalloc.is_tracing()
    if begin:
        tracemalloc.start()
    try:
        yield Meter(world, of_process=of_process)
    finally:
        if begin:
            tracemalloc.stop()


@contextmanager
def condensed(world: World, *lines: str) -> Generator[None]:
    """Write `lines` down in place of the calls of the block, unless one of them fails.

    Thousands of calls would fill the counterexample, and their arguments the memory.
    """
    first = len(world.trace.steps)
    yield
    world.trace.steps[first:] = lines
