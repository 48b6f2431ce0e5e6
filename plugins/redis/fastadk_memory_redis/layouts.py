"""What a backend's options ask for: the client of one event loop, put together."""

from __future__ import annotations

from collections.abc import Callable

from fastadk_memory_redis.client import Client
from fastadk_memory_redis.cluster import Cluster
from fastadk_memory_redis.connecting import Connector
from fastadk_memory_redis.lane import Lane
from fastadk_memory_redis.names import Names
from fastadk_memory_redis.nearcache import NearCache
from fastadk_memory_redis.replicas import Replicas
from fastadk_memory_redis.replies import Reply
from fastadk_memory_redis.sentinel import SentinelDiscovery
from fastadk_memory_redis.settings import Settings
from fastadk_memory_redis.single import SinglePrimary
from fastadk_memory_redis.target import Address, Kind
from fastadk_memory_redis.topology import Node, Topology, Track

__all__ = ["make_client"]


def make_client(settings: Settings, nears: list[NearCache]) -> Client:
    """Return a client for the running event loop, which connects when it is used.

    Args:
        settings: The backend's options.
        nears: The near caches of all event loops that use the backend; a new one is added.
    """
    replicas = None
    if settings.min_replicas:
        replicas = Replicas(settings.min_replicas, settings.replica_timeout)
    if not settings.near_cache:
        return Client(make_topology(settings), settings.timeout, None, replicas)
    near = NearCache(
        Names(settings.prefix), nears, settings.near_cache_entries, settings.near_cache_seconds
    )
    nears.append(near)
    topology = make_topology(settings, near.hear, near.clear)
    return Client(topology, settings.timeout, near, replicas)


def make_topology(
    settings: Settings,
    on_push: Callable[[Reply], None] | None = None,
    on_end: Callable[[], None] | None = None,
) -> Topology:
    """Return what knows where keys live, for the running event loop; without connecting.

    Args:
        settings: The backend's options.
        on_push: Called with what servers tell of changed keys (near cache).
        on_end: Called when a lane on which they tell it has ended.
    """
    target = settings.target
    servers = Connector(settings, target.username, target.password, target.db)

    def pushes(track: Track) -> Callable[[Reply], None] | None:
        return on_push if track is Track.SMALL else None

    def node_at(address: Address) -> Node:
        async def dial(track: Track) -> Lane:
            return (await servers.connect(address, on_push=pushes(track)))[0]

        return Node(str(address), dial, settings.timeout, on_end)

    if target.kind is Kind.CLUSTER:
        return Cluster(target.addresses, node_at, settings.timeout)
    if target.kind is Kind.ONE:
        return SinglePrimary(node_at(target.addresses[0]))
    sentinels = Connector(settings, settings.sentinel_username, settings.sentinel_password, None)
    discovery = SentinelDiscovery(sentinels, servers, target.addresses, target.service)

    async def dial(track: Track) -> Lane:
        return await discovery.connect(pushes(track))

    return SinglePrimary(Node(str(target), dial, settings.timeout, on_end))
