"""The ways in which `redis` may be run, for the table of backends in the documentation."""

from __future__ import annotations

from collections.abc import Callable

from redis_rig.contract_hooks import (
    ClusterHooks,
    Redis62Hooks,
    RedisHooks,
    SentinelHooks,
    StandaloneHooks,
    Trouble,
)


class Valkey(Trouble, StandaloneHooks):
    """One server, which goes away and hangs in between."""


def started(hooks: type[RedisHooks]) -> Callable[[], type[RedisHooks]]:
    """Return what starts the service, and returns the way to it."""

    def start() -> type[RedisHooks]:
        hooks.service()
        return hooks

    return start


TOPOLOGIES = {
    "Valkey, one server": started(Valkey),
    "Redis 6.2, one server": started(Redis62Hooks),
    "Valkey under Sentinel": started(SentinelHooks),
    "Valkey as a cluster": started(ClusterHooks),
}
