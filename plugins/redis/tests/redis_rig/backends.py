"""Backends for the tests of faults: one prefix, short limits."""

from __future__ import annotations

from typing import Any

from fastadk_memory_redis import RedisBackend

from redis_rig.keys import PREFIX

PATIENT = 40.0
"""A limit for calls that have to ride through a fault, on a machine that is busy."""


def patient(url: str, **options: Any) -> RedisBackend:
    """Return a backend whose calls wait until a fault is over."""
    return RedisBackend(url, PREFIX, **{"timeout": PATIENT, "connect_timeout": 10.0, **options})


def hasty(url: str, **options: Any) -> RedisBackend:
    """Return a backend whose calls give up soon."""
    return RedisBackend(url, PREFIX, **{"timeout": 2.0, "connect_timeout": 10.0, **options})
