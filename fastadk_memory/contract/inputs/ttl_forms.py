"""What is a TTL and what is none, in all forms in which programs pass them."""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.contract.inputs.subclassed import Level, Number, Ratio
from fastadk_memory.ttl import MAX_TTL_SECONDS

__all__ = ["NO_TTLS", "TTLS", "no_ttls", "ttls"]

_CENTURY = timedelta(seconds=MAX_TTL_SECONDS)
_MS = timedelta(milliseconds=1)

TTLS: tuple[Any, ...] = (
    1, 60, 3600, 86_400, 2_592_000, 2_592_001, 2**31 - 1, 2**31, MAX_TTL_SECONDS,
    0.001, 0.0011, 0.0015, 0.4, 0.5, 1.0, 1.001, 1.5, 1.9, 2.3, 16.1, 60.0, 90.5,
    2_147_483.648, 4_294_967.296, 1e6, 1e9, float(MAX_TTL_SECONDS), MAX_TTL_SECONDS - 0.001,
    _MS, timedelta(microseconds=1_500), timedelta(seconds=1, microseconds=1),
    timedelta(minutes=1), timedelta(hours=25), timedelta(days=30), timedelta(days=60, hours=1),
    _CENTURY, _CENTURY - _MS, Number(60), Ratio(90.5), Level.LOW,
)  # fmt: skip
"""TTLs, those among them that stores take for something else, or too large or too small."""

NO_TTLS: tuple[Any, ...] = (
    0, 0.0, -0.0, -1, -60, -0.001, -1e-9, True, False, float("nan"), float("inf"), float("-inf"),
    0.0009, 0.00099, 1e-9, 5e-324, MAX_TTL_SECONDS + 1, MAX_TTL_SECONDS + 0.001, 1e10, 2**63,
    1.7e308, 10**400, -(10**400), "60", "1.5", "", "never", b"60", b"1", [], [60], (60,), {},
    {"seconds": 60}, 60j, Decimal(60), Decimal("0.5"), Fraction(60), object(), Ellipsis,
    datetime(2100, 1, 1, tzinfo=timezone.utc), time(1), Number(0), Ratio("nan"),
    timedelta(0), timedelta(seconds=-60), timedelta(microseconds=999),
    timedelta(microseconds=1), -_MS, _CENTURY + _MS, timedelta.max, timedelta.min,
)  # fmt: skip
"""What is no TTL, though some store or other takes it for one."""


def ttls() -> SearchStrategy[Any]:
    """Draw any TTL, of tenths of milliseconds at the finest."""
    fine = st.integers(10, MAX_TTL_SECONDS * 10_000)
    return st.one_of(
        st.integers(1, MAX_TTL_SECONDS),
        fine.map(lambda tenths: tenths / 10_000),
        st.integers(10, 100_000).map(lambda tenths: tenths / 10_000),
        st.timedeltas(_MS, _CENTURY),
    )


def no_ttls() -> SearchStrategy[Any]:
    """Draw something that is no TTL."""
    return st.one_of(
        st.integers(max_value=0),
        st.integers(MAX_TTL_SECONDS + 1),
        st.floats(max_value=0.0009),
        st.floats(MAX_TTL_SECONDS + 1),
        st.timedeltas(max_value=_MS / 2),
        st.timedeltas(_CENTURY + _MS),
        st.text("0123456789.e", max_size=4),
        st.binary(max_size=4),
        st.lists(st.integers(1, 60), max_size=2),
        st.booleans(),
    )
