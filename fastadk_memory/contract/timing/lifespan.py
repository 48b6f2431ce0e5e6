"""`Lifespan`: when an entry ends, as far as it can be known from outside.

Where time is moved by hand, that is one moment. Where it passes by itself, only the
beginning and the end of a call are known, and not when in between it took effect: then an
entry is surely alive, surely gone, or either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from fastadk_memory.base import Ttl
from fastadk_memory.ttl import ttl_to_ms

if TYPE_CHECKING:
    from fastadk_memory.contract.world import World

__all__ = ["BLINK", "EARLY", "FOREVER", "Fate", "Lifespan"]

BLINK = 2.0**-10
"""A little less than a millisecond, and exact in binary: seconds from just before to the end."""

EARLY = 0.002  # seconds by which two clocks of one machine may differ over a short while
_NOISE = 1e-6  # what is lost of a moment that is not exact in binary, and more
_ROUNDED = 0.001  # 16.1 s are 16,100.000000000002 ms: rounded up, that may be one more


class Fate(Enum):
    """What is known of an entry during a call."""

    ALIVE = "alive"
    GONE = "gone"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Lifespan:
    """When an entry ends, on the clock of `World.now`.

    Attributes:
        earliest: It is alive before this moment.
        latest: It is gone from this moment on.
        longest: How many seconds it may have left at the most.
    """

    earliest: float = math.inf
    latest: float = math.inf
    longest: float = math.inf

    @classmethod
    def given(cls, world: World, ttl: Ttl | None, began: float) -> Lifespan:
        """Return the lifespan that a call has just given to an entry.

        Call it right after the call has ended.

        Args:
            world: Where the call was made.
            ttl: The TTL that it passed.
            began: What `World.now` said before it.
        """
        ms = ttl_to_ms(ttl)
        if ms is None:
            return FOREVER
        seconds, ended = ms / 1000, world.now()
        if not world.exact:
            latest = ended + seconds + world.limits.margin_seconds
            return cls(began + seconds - EARLY, latest, seconds)
        end = ended + seconds
        if _binary(seconds) and _binary(ended):
            return cls(end, end, seconds)
        # A store's clock shows a large number and has fewer digits left for fractions.
        return cls(end - _NOISE, end + _NOISE + _ROUNDED, seconds)

    @property
    def endless(self) -> bool:
        """Whether it has no end."""
        return self.latest == math.inf

    def fate(self, began: float, ended: float) -> Fate:
        """Tell what a call between two moments may see of the entry."""
        if began >= self.latest:
            return Fate.GONE
        return Fate.ALIVE if ended < self.earliest else Fate.EITHER

    def seconds_left(self, began: float, ended: float) -> tuple[int, int]:
        """Return what `ttl` may answer at the least and at the most, if the entry is alive.

        Only for one that has an end.
        """
        least = math.ceil(self.earliest - ended)
        most = math.ceil(min(self.latest - began, self.longest))
        return max(1, least), max(1, most)


FOREVER = Lifespan()
"""The lifespan of an entry without an expiry."""


def _binary(seconds: float) -> bool:
    """Tell whether a store's clock can show this moment without loss."""
    return (seconds * 4096).is_integer()
