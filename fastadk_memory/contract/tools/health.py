"""Asks for the health where it has to be good."""

from __future__ import annotations

import time

from fastadk_memory.contract.handle import Handle

__all__ = ["SLOW", "good_health"]

SLOW = 0.2
"""Seconds: a check that answers sooner than that has not run out of its own time."""


async def good_health(memory: Handle) -> bool:
    """Return what `health_check` says; where that is no, and came late, ask once more.

    A backend waits for its service for a time of its own, which may pass while the machine
    has no time for either of them.
    """
    began = time.monotonic()
    answer = await memory.health_check()
    if answer is False and time.monotonic() - began >= SLOW:
        return await memory.health_check()
    return answer
