"""The Redis backend against its peers, on one server and on a cluster.

Ratios of wall time for one call, all contestants of a table in one interleaved run, with one
value of 1 KiB and as many tasks at once as the table says. Ours is the whole backend:
checks, encoding, version and checksum included; the peers store the text as it is, but for
py-key-value, which wraps it. The servers run on this machine: what is compared is clients.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import coredis
import glide
import redis.asyncio
from _interleaved import medians_in_a_loop, report
from aiocache.backends.redis import RedisCache
from aiocache.serializers import NullSerializer
from cashews.backends.redis import Redis as CashewsRedis
from fastadk_memory_redis import RedisBackend
from key_value.aio.stores.redis import RedisStore

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "plugins" / "redis" / "tests"))

from redis_rig.cluster import Cluster  # noqa: E402
from redis_rig.servers import HOST, Server  # noqa: E402

VALUE = "v" * 1024
OURS = "fastadk-memory redis"
CALLS = {1: 600, 16: 3_200, 64: 6_400, 256: 10_240}


class Contestant(NamedTuple):
    """One client's way to get and to set."""

    get: Callable[[str], Awaitable[Any]]
    set: Callable[[str, str], Awaitable[Any]]


Maker = Callable[[Any], AbstractAsyncContextManager[Contestant]]
"""Makes a contestant, for a server or a cluster."""


def ours(**options: Any) -> Maker:
    @asynccontextmanager
    async def make(where: Server | Cluster) -> AsyncIterator[Contestant]:
        async with RedisBackend(where.url, **options) as memory:
            yield Contestant(memory.get, memory.set)

    return make


def redis_py(size: int) -> Maker:
    @asynccontextmanager
    async def make(server: Server) -> AsyncIterator[Contestant]:
        pool = redis.asyncio.BlockingConnectionPool(
            host=HOST, port=server.port, max_connections=size, timeout=None, protocol=2
        )
        async with redis.asyncio.Redis.from_pool(pool) as client:
            yield Contestant(client.get, client.set)

    return make


@asynccontextmanager
async def core_redis(server: Server) -> AsyncIterator[Contestant]:
    async with coredis.Redis(host=HOST, port=server.port, max_connections=64) as client:
        yield Contestant(client.get, client.set)


@asynccontextmanager
async def glide_one(server: Server) -> AsyncIterator[Contestant]:
    addresses = [glide.NodeAddress(HOST, server.port)]
    client = await glide.GlideClient.create(glide.GlideClientConfiguration(addresses))
    yield Contestant(client.get, client.set)
    await client.close()


@asynccontextmanager
async def aio_cache(server: Server) -> AsyncIterator[Contestant]:
    cache = RedisCache(
        endpoint=HOST, port=server.port, serializer=NullSerializer(), pool_max_size=256
    )
    async with cache:
        yield Contestant(cache.get, cache.set)


@asynccontextmanager
async def cashews_redis(server: Server) -> AsyncIterator[Contestant]:
    cache = CashewsRedis(address=server.url, suppress=False, max_connections=64)
    await cache.init()
    yield Contestant(cache.get, cache.set)
    await cache.close()


@asynccontextmanager
async def key_value(server: Server) -> AsyncIterator[Contestant]:
    pool = redis.asyncio.BlockingConnectionPool(
        host=HOST, port=server.port, max_connections=64, timeout=None, decode_responses=True
    )
    async with RedisStore(client=redis.asyncio.Redis.from_pool(pool)) as store:

        def put(key: str, value: str) -> Awaitable[Any]:
            return store.put(key=key, value={"v": value})

        yield Contestant(lambda key: store.get(key=key), put)


@asynccontextmanager
async def redis_py_cluster(cluster: Cluster) -> AsyncIterator[Contestant]:
    port = cluster.nodes[0].port
    async with redis.asyncio.RedisCluster(
        host=HOST, port=port, protocol=2, max_connections=512
    ) as client:
        yield Contestant(client.get, client.set)


@asynccontextmanager
async def core_redis_cluster(cluster: Cluster) -> AsyncIterator[Contestant]:
    port = cluster.nodes[0].port
    async with coredis.RedisCluster(host=HOST, port=port, max_connections=64) as client:
        yield Contestant(client.get, client.set)


@asynccontextmanager
async def glide_cluster(cluster: Cluster) -> AsyncIterator[Contestant]:
    addresses = [glide.NodeAddress(HOST, node.port) for node in cluster.primaries]
    config = glide.GlideClusterClientConfiguration(addresses)
    client = await glide.GlideClusterClient.create(config)
    yield Contestant(client.get, client.set)
    await client.close()


ON_ONE_SERVER: dict[str, Maker] = {
    OURS: ours(),
    "redis-py, pool of 64": redis_py(64),
    "redis-py, pool of 8": redis_py(8),
    "coredis": core_redis,
    "valkey-glide": glide_one,
    "aiocache": aio_cache,
    "cashews": cashews_redis,
    "py-key-value RedisStore": key_value,
}
ON_A_CLUSTER: dict[str, Maker] = {
    OURS: ours(),
    "redis-py": redis_py_cluster,
    "coredis": core_redis_cluster,
    "valkey-glide": glide_cluster,
}
NEAR: dict[str, Maker] = {
    "near-cache hit": ours(near_cache=True),
    "get over the network": ours(),
    "redis-py, pool of 8": redis_py(8),
}


def keys_of(name: str) -> list[str]:
    """Return a hundred keys, for each contestant others: they store in different ways."""
    return [f"{name}:{number}" for number in range(100)]


def timed(
    name: str, one: Contestant, method: str, tasks: int, calls: int
) -> Callable[[], Awaitable[float]]:
    each, keys = calls // tasks, keys_of(name)

    async def task(number: int) -> None:
        if method == "get":
            for at in range(each):
                await one.get(keys[(number + at) % 100])
        else:
            for at in range(each):
                await one.set(keys[(number + at) % 100], VALUE)

    async def measured() -> float:
        started = time.perf_counter()
        await asyncio.gather(*(task(number) for number in range(tasks)))
        return (time.perf_counter() - started) / calls

    return measured


async def entered(
    stack: AsyncExitStack, makers: Mapping[str, Maker], where: Server | Cluster
) -> dict[str, Contestant]:
    """Make the contestants, and give each the keys that it will read."""
    contestants = {}
    for name, make in makers.items():
        one = contestants[name] = await stack.enter_async_context(make(where))
        for key in keys_of(name):
            await one.set(key, VALUE)
            await one.get(key)
    return contestants


async def compare(where: str, makers: Mapping[str, Maker], servers: Server | Cluster) -> None:
    async with AsyncExitStack() as stack:
        contestants = await entered(stack, makers, servers)
        for tasks, calls in CALLS.items():
            for method in ("get", "set"):
                figures = await medians_in_a_loop(
                    {
                        name: timed(name, one, method, tasks, calls)
                        for name, one in contestants.items()
                    },
                    5,
                )
                report(f"{where}: {method} of 1 KiB, {tasks} at once", figures, OURS)
                print(f"  ({OURS} here: {1 / figures[OURS]:,.0f} calls a second)")


async def near_cache(server: Server) -> None:
    async with AsyncExitStack() as stack:
        contestants = await entered(stack, NEAR, server)
        figures = await medians_in_a_loop(
            {
                name: timed(name, one, "get", 1, 20_000 if "hit" in name else 600)
                for name, one in contestants.items()
            }
        )
        report("get of 1 KiB, one at a time", figures, "near-cache hit")


def main() -> None:
    with Server() as server:
        asyncio.run(compare("one server", ON_ONE_SERVER, server))
        asyncio.run(near_cache(server))
    with Cluster() as cluster:
        asyncio.run(compare("cluster of three", ON_A_CLUSTER, cluster))


if __name__ == "__main__":
    main()
