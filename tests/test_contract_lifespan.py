"""`Lifespan`: what the suite may demand of an entry, where time stands still and where it runs."""

from __future__ import annotations

import time

import pytest
from mutants.reference import ReferenceHooks

from fastadk_memory import MemoryBackend
from fastadk_memory.contract import Hooks
from fastadk_memory.contract.timing.lifespan import BLINK, FOREVER, Fate, Lifespan
from fastadk_memory.contract.world import World


class RealTime(Hooks):
    def make_backend(self) -> MemoryBackend:
        raise AssertionError("no backend is needed")


def test_where_time_is_moved_by_hand_it_is_one_moment() -> None:
    lifespan = Lifespan.given(World(ReferenceHooks()), 0.5, 0.0)

    assert lifespan.fate(0.5 - BLINK, 0.5 - BLINK) is Fate.ALIVE
    assert lifespan.fate(0.5, 0.5) is Fate.GONE


def test_what_is_not_exact_in_binary_leaves_room_for_rounding() -> None:
    lifespan = Lifespan.given(World(ReferenceHooks()), 16.1, 0.0)

    assert lifespan.fate(16.099, 16.099) is Fate.ALIVE
    assert lifespan.fate(16.1, 16.1) is Fate.EITHER
    assert lifespan.fate(16.102, 16.102) is Fate.GONE


def test_where_time_passes_by_itself_only_what_is_certain_is_demanded() -> None:
    began = time.monotonic() - 1  # a call that has taken a second
    world = World(RealTime())
    lifespan = Lifespan.given(world, 10, began)
    ended = time.monotonic()

    assert lifespan.fate(ended, began + 9.9) is Fate.ALIVE
    assert lifespan.fate(ended, began + 10.5) is Fate.EITHER
    assert lifespan.fate(began + 10.9, began + 99) is Fate.EITHER
    assert lifespan.fate(ended + 10.2, ended + 10.2) is Fate.GONE


@pytest.mark.parametrize(
    ("ttl", "passed", "left"), [(1, 0, 1), (1.5, 0, 2), (1.5, 0.5, 1), (0.25, 0, 1), (60, 59.5, 1)]
)
def test_seconds_left_are_rounded_up(ttl: float, passed: float, left: int) -> None:
    lifespan = Lifespan.given(World(ReferenceHooks()), ttl, 0.0)

    assert lifespan.seconds_left(passed, passed) == (left, left)


def test_nothing_ends_without_a_ttl() -> None:
    lifespan = Lifespan.given(World(ReferenceHooks()), None, 0.0)

    assert lifespan is FOREVER
    assert lifespan.endless
    assert lifespan.fate(1e12, 1e12) is Fate.ALIVE
