"""TTLs: seconds or timedeltas, 1 ms to 100 years, never early."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory.errors import InvalidTTLError
from fastadk_memory.ttl import (
    MAX_TTL_SECONDS,
    ManualClock,
    from_timestamp,
    seconds_left,
    ttl_to_ms,
)


@given(st.floats(0.001, MAX_TTL_SECONDS) | st.integers(1, MAX_TTL_SECONDS))
def test_a_ttl_is_never_shortened_and_gains_less_than_a_millisecond(ttl: float) -> None:
    milliseconds = ttl_to_ms(ttl)
    assert isinstance(milliseconds, int)
    assert -1e-6 <= milliseconds - ttl * 1000 < 1


@given(st.integers(1, MAX_TTL_SECONDS * 1000))
def test_whole_milliseconds_stay_as_they_are(milliseconds: int) -> None:
    assert ttl_to_ms(timedelta(milliseconds=milliseconds)) == milliseconds
    assert ttl_to_ms(milliseconds / 1000) == milliseconds


def test_none_is_no_expiry() -> None:
    assert ttl_to_ms(None) is None


@given(
    st.integers(max_value=0)
    | st.integers(min_value=MAX_TTL_SECONDS + 1)
    | st.floats().filter(lambda x: not 0.001 <= x <= MAX_TTL_SECONDS)
    | st.booleans()
    | st.text()
    | st.timedeltas(max_value=timedelta(microseconds=999))
    | st.timedeltas(min_value=timedelta(seconds=MAX_TTL_SECONDS, microseconds=1))
    | st.binary()
    | st.lists(st.integers())
)
def test_anything_else_is_no_ttl(ttl: object) -> None:
    with pytest.raises(InvalidTTLError):
        ttl_to_ms(ttl)


def test_a_number_too_long_to_print_is_refused_all_the_same() -> None:
    with pytest.raises(InvalidTTLError, match="over 20 digits"):
        ttl_to_ms(10**5000)


@pytest.mark.parametrize(
    ("left", "shown"), [(0.001, 1), (1, 1), (1.001, 2), (59.4, 60), (3600, 3600)]
)
def test_seconds_left_are_rounded_up(left: float, shown: int) -> None:
    assert seconds_left(1_700_000_000 + left, 1_700_000_000) == shown


@given(st.integers(0, 4_000_000_000_000_000))
def test_a_timestamp_is_exact_to_the_microsecond(microseconds: int) -> None:
    moment = from_timestamp(microseconds / 1e6)
    exact = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=microseconds)
    assert abs(moment - exact) <= timedelta(microseconds=1)


def test_a_manual_clock_moves_when_told_to() -> None:
    clock = ManualClock(5.0)
    clock.advance(0.25)
    assert clock() == 5.25
    assert math.isclose(clock.now, 5.25)
