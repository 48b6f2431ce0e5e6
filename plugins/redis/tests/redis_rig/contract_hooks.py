"""How the contract gets at Redis, whatever the topology behind the URL."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, ClassVar

import redis
from fastadk_memory_redis import RedisBackend

from fastadk_memory import MemoryBackend
from fastadk_memory.contract import Hooks
from redis_rig import binaries
from redis_rig.cluster import Cluster
from redis_rig.sentinel import Sentinels
from redis_rig.servers import PLAIN, Server

PASSWORD = "s3cret/of the: tests@"
GIVEN = "FASTADK_MEMORY_TEST_REDIS_URL"
"""The environment variable that may name one more server to put to the contract."""


class RedisHooks(Hooks):
    """Everything that the suite may ask for; a subclass says which service and which options."""

    secrets = (PASSWORD,)
    options: ClassVar[dict[str, Any]] = {"timeout": 10.0, "connect_timeout": 10.0}

    @staticmethod
    def service() -> Any:
        """Return the service, which is started once and serves all laws."""
        raise NotImplementedError

    def shards(self) -> list[Server]:
        """Return the servers that hold the entries between them."""
        raise NotImplementedError

    def client(self) -> redis.Redis | redis.RedisCluster:
        """Return another program's client of the service."""
        raise NotImplementedError

    # ---------------------------------------------------------------- what it makes

    @functools.cached_property
    def made(self) -> dict[int, dict[str, Any]]:
        """The options of each backend, by identity; a new one takes an old one's place."""
        return {}

    def build(self, prefix: str) -> RedisBackend:
        options = {"url": self.service().url, "prefix": prefix, **self.options}
        backend = RedisBackend(**options)
        self.made[id(backend)] = options
        return backend

    def make_backend(self) -> MemoryBackend:
        return self.build(self.make_name())

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        return self.build(self.prefix(backend))

    def second(self, backend: MemoryBackend) -> MemoryBackend:
        return self.build(self.prefix(backend))

    def opener(self, backend: MemoryBackend) -> Callable[[], MemoryBackend]:
        return functools.partial(RedisBackend, **self.made[id(backend)])

    def prefix(self, backend: MemoryBackend) -> str:
        return self.made[id(backend)]["prefix"]

    def discard(self, backend: MemoryBackend) -> None:
        for shard in self.shards():
            with shard.control() as client:
                found = client.scan_iter(match=f"*{self.prefix(backend)}*", count=1000)
                for keys in batches(list(found), 500):
                    for key in keys:  # one by one: a cluster's keys are in many slots
                        client.unlink(key)

    # --------------------------------------------------------------- behind its back

    def raw_key(self, backend: MemoryBackend, key: str) -> bytes:
        return f"fm1:{self.prefix(backend)}:{{}}{key}".encode()

    def damage(self, backend: MemoryBackend, key: str) -> None:
        with self.client() as client:
            assert client.set(self.raw_key(backend, key), b"\xc1 garbage", xx=True)

    def plant(self, backend: MemoryBackend) -> Callable[[], bool]:
        name = self.prefix(backend)
        planted = {
            name: "bare",
            f"{name}:a": "with a colon",
            f"fm1:{name}": "without the tag",
            f"fm1:{name}x:{{}}a": "a longer name",
            f"fm1:x{name}:{{}}a": "another beginning",
            f"fm2:{name}:{{}}a": "another layout",
            f"FM1:{name}:{{}}a": "in capitals",
        }
        with self.client() as client:
            for key, value in planted.items():
                client.set(key, value)
            client.rpush(f"{name}:list", "one", "two")

        def untouched() -> bool:
            with self.client() as client:
                found = {key: client.get(key) for key in planted}
                listed = client.lrange(f"{name}:list", 0, -1)
            return listed == [b"one", b"two"] and found == {
                key: value.encode() for key, value in planted.items()
            }

        return untouched

    def held(self, backend: MemoryBackend) -> int:
        held = 0
        for shard in self.shards():
            with shard.control() as client:
                held += client.dbsize()
        return held


class Trouble(RedisHooks):
    """The same with a service that may be away and may hang: it takes a minute longer."""

    # What all calls wait for when it hangs; and yet enough for a busy machine when it does not.
    options: ClassVar[dict[str, Any]] = {
        "timeout": 5.0,
        "connect_timeout": 10.0,
        "health_timeout": 5.0,
    }

    @contextmanager
    def away(self) -> Iterator[None]:
        with self.service().closed_to_the_public():
            yield

    @asynccontextmanager
    async def outage(self, backend: MemoryBackend):
        with self.away():
            yield

    @asynccontextmanager
    async def hang(self, backend: MemoryBackend):
        service = self.service()
        service.stop()
        try:
            yield
        finally:
            service.resume()


def batches(items: list[bytes], size: int) -> Iterator[list[bytes]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# ----------------------------------------------------------------- the four topologies


class StandaloneHooks(RedisHooks):
    @staticmethod
    @functools.cache
    def service() -> Server:
        return Server(password=PASSWORD)

    def shards(self) -> list[Server]:
        return [self.service()]

    def client(self) -> redis.Redis:
        return self.service().client()


class Redis62Hooks(Trouble, StandaloneHooks):
    @staticmethod
    @functools.cache
    def service() -> Server:
        return Server(binaries.redis62(), password=PASSWORD)

    @asynccontextmanager
    async def outage(self, backend: MemoryBackend):
        server = self.service()  # which cannot close its port
        await asyncio.to_thread(server.shut_down)
        try:
            yield
        finally:
            await asyncio.to_thread(server.restart)


class SentinelHooks(Trouble):
    @staticmethod
    @functools.cache
    def service() -> Sentinels:
        return Sentinels(password=PASSWORD, down_after=60_000)

    def shards(self) -> list[Server]:
        return [self.service().primary]

    def client(self) -> redis.Redis:
        return self.service().primary.client()


class ClusterHooks(Trouble):
    @staticmethod
    @functools.cache
    def service() -> Cluster:
        return Cluster(password=PASSWORD, node_timeout=60_000)

    def shards(self) -> list[Server]:
        return list(self.service().primaries)

    def client(self) -> redis.RedisCluster:
        return self.service().client()


class GivenHooks(RedisHooks):
    """A server that somebody else runs; it is not stopped, nor emptied."""

    secrets = ()

    @staticmethod
    @functools.cache
    def service() -> Given:
        return Given(os.environ[GIVEN])

    def shards(self) -> list[Given]:
        return [self.service()]

    def client(self) -> redis.Redis:
        return self.service().control()


class Given:
    """As much of a `Server` as can be had of one that is somewhere else."""

    def __init__(self, url: str) -> None:
        self.url = url

    def control(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, **PLAIN)
