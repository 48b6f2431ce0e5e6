"""What a TTL is, and the clock that measures it (clauses T1 to T7).

A TTL is given in seconds (`int` or `float`) or as a `timedelta`, lies between one
millisecond and a hundred years, and counts in milliseconds. `None` is no expiry.
"""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta, timezone
from typing import Protocol, TypeAlias, cast, runtime_checkable

from fastadk_memory.errors import InvalidTTLError

__all__ = [
    "MAX_TTL_SECONDS",
    "MIN_TTL_SECONDS",
    "Clock",
    "ManualClock",
    "Ttl",
    "from_timestamp",
    "seconds_left",
    "ttl_to_ms",
]

Ttl: TypeAlias = int | float | timedelta
"""How long an entry lives: seconds, or a `timedelta`."""

MIN_TTL_SECONDS = 0.001
MAX_TTL_SECONDS = 36_525 * 86_400
"""A hundred years of 365.25 days, in seconds."""


@runtime_checkable
class Clock(Protocol):
    """Tells the time, as seconds since 1970 in UTC; `time.time` is one.

    A backend that owns its expiry takes its clock as an argument, so that a test can
    move time instead of waiting.
    """

    def __call__(self) -> float:
        """Return the seconds since 1970-01-01T00:00:00Z."""
        ...


class ManualClock:
    """A clock that moves only when told to, for tests.

    Args:
        now: Where it starts, in seconds since 1970.

    Example:
        ```python
        clock = ManualClock()
        memory = InMemoryBackend(clock=clock)
        await memory.set("token", "abc", ttl=60)
        clock.advance(60)
        assert await memory.get("token") is None
        ```
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the seconds since 1970 that the clock stands at."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock on by `seconds`."""
        self.now += seconds


def ttl_to_ms(ttl: object) -> int | None:
    """Return a TTL in whole milliseconds, or refuse it.

    A fraction of a millisecond is rounded up, so that nothing expires early (clause T3).

    Args:
        ttl: What the caller passed: seconds as `int` or `float`, a `timedelta`, or `None`.

    Returns:
        The milliseconds, at least 1; `None` for `None`.

    Raises:
        InvalidTTLError: It is a `bool`, of another type, NaN, infinite, under one
            millisecond (zero and negative included) or over a hundred years (clause T1).
    """
    if ttl is None:
        return None
    kind = type(ttl)  # not isinstance, which believes what an object says of itself
    if issubclass(kind, timedelta):
        seconds = cast("timedelta", ttl).total_seconds()
    elif issubclass(kind, (int, float)) and kind is not bool:
        seconds = cast("int | float", ttl)
    else:
        raise InvalidTTLError(
            f"a TTL must be seconds (int or float), a timedelta or None, not {type(ttl).__name__}"
        )
    # The chained comparison is false for NaN, too.
    if not MIN_TTL_SECONDS <= seconds <= MAX_TTL_SECONDS:
        raise InvalidTTLError(
            f"a TTL must lie between 0.001 seconds and 100 years ({MAX_TTL_SECONDS} seconds), "
            f"not {_shown(seconds)}; for no expiry pass None, to forget at once call delete"
        )
    # Rounding at a nanosecond removes the noise of binary fractions: 1.1 s is 1,100 ms.
    return math.ceil(round(seconds * 1000, 6))


def seconds_left(expires_at: float, now: float) -> int:
    """Return the whole seconds from `now` to `expires_at`, rounded up (clause T5).

    Args:
        expires_at: When the entry expires, in seconds since 1970, later than `now`.
        now: The present, in seconds since 1970.

    Returns:
        At least 1, so that a live key never shows 0.
    """
    # Noise of binary fractions under a microsecond must not add a whole second.
    return max(1, math.ceil(round(expires_at - now, 6)))


def from_timestamp(seconds: float) -> datetime:
    """Return seconds since 1970 as an aware UTC `datetime`, exact to the microsecond."""
    return _EPOCH + timedelta(seconds=seconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SYSTEM_CLOCK: Clock = time.time


def _shown(seconds: int | float) -> str:
    # Python itself refuses to print an int of more than 4,300 digits.
    if isinstance(seconds, int) and abs(seconds) >= 10**20:
        return "a number of over 20 digits"
    return repr(seconds)
