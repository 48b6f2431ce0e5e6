"""A cluster of three primaries and three replicas, formed with plain `CLUSTER` commands."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from redis.crc import key_slot

from redis_rig.servers import HOST, Server, free_port
from redis_rig.waiting import at_times, until

SLOTS = 16384


class Cluster:
    """Three primaries, each with one replica.

    Args:
        password: Of all nodes.
        node_timeout: Milliseconds after which a silent node is taken for dead.
        options: Settings of all nodes.
    """

    def __init__(
        self, *, password: str | None = None, node_timeout: int = 15_000, **options: object
    ) -> None:
        self.password = password

        def start(_: int) -> Node:
            return Node(password=password, cluster_node_timeout=node_timeout, **options)

        with ThreadPoolExecutor(6) as pool:
            self.nodes = list(pool.map(start, range(6)))
        self.primaries, self.replicas = self.nodes[:3], self.nodes[3:]
        self.form()

    def form(self) -> None:
        size = SLOTS // 3
        for number, node in enumerate(self.nodes):
            with node.control() as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                if number < 3:
                    last = SLOTS - 1 if number == 2 else (number + 1) * size - 1
                    client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * size, last)
                first = self.nodes[0]
                if number:
                    client.execute_command("CLUSTER", "MEET", HOST, first.port, first.bus)
        until(lambda: all(len(node.known()) == 6 for node in self.nodes), "six nodes meet")
        for primary, replica in zip(self.primaries, self.replicas, strict=True):
            with replica.control() as client:
                client.execute_command("CLUSTER", "REPLICATE", primary.id)
        self.settle()

    def settle(self) -> None:
        """Wait until every living node says that all is well, and every replica follows."""
        until(self.well, "the cluster is well")

    def well(self) -> bool:
        living = [node for node in self.nodes if node.alive]
        try:
            return all(node.well(len(living)) for node in living)
        except redis.RedisError:
            return False

    def owner(self, key: str | bytes) -> Node:
        """Return the primary that serves a key, whole name, as the living nodes see it."""
        slot = key_slot(key if isinstance(key, bytes) else key.encode())
        return self.owner_of_slot(slot)

    def owner_of_slot(self, slot: int) -> Node:
        for node in self.nodes:
            if node.alive and node.serves(slot):
                return node
        raise LookupError(f"nobody serves slot {slot}")

    def hand_over(self, replica: Node) -> None:
        """Let a replica take its primary's place in good order, and wait until both know."""
        primary = next(node for node in self.nodes if node.port == replica.follows())

        def ask() -> None:  # a server gives such an attempt up after five seconds
            with replica.control() as client, contextlib.suppress(redis.ResponseError):
                client.execute_command("CLUSTER", "FAILOVER")

        asked = at_times(ask, every=6.0)
        until(lambda: replica.follows() is None or asked(), "the replica takes over")
        until(lambda: primary.follows() is not None, "the primary hands over")

    def replica_of(self, primary: Node) -> Node:
        return next(node for node in self.nodes if node.alive and node.follows() == primary.port)

    @property
    def url(self) -> str:
        login = self.nodes[0].login
        return f"redis+cluster://{login}" + ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    def client(self, **options: Any) -> redis.RedisCluster:
        first = next(node for node in self.nodes if node.alive)
        return redis.RedisCluster(
            host=HOST, port=first.port, password=self.password, protocol=2, **options
        )

    def migrate(self, slot: int, target: Node, keys: int | None = None) -> None:
        """Move a slot to another node; with `keys`, only so many keys, and leave it half-way."""
        source = self.owner_of_slot(slot)
        with source.control() as at_source, target.control() as at_target:
            at_target.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
            at_source.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        self.move_keys(slot, source, target, keys)
        if keys is None:
            self.finish(slot, source, target)

    def move_keys(self, slot: int, source: Node, target: Node, keys: int | None = None) -> None:
        auth = () if self.password is None else ("AUTH", self.password)
        left = keys
        with source.control() as client:
            while left is None or left > 0:
                count = 10 if left is None else min(10, left)
                some = client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, count)
                if not some:
                    return
                client.execute_command(
                    "MIGRATE", HOST, target.port, "", 0, 10_000, *auth, "KEYS", *some
                )
                left = None if left is None else left - len(some)

    def finish(self, slot: int, source: Node, target: Node) -> None:
        """Give a slot whose keys have all been moved to its new owner."""
        for node in (target, source, *(each for each in self.nodes if each.alive)):
            if node.follows() is None:
                with node.control() as client:
                    client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    @contextlib.contextmanager
    def closed_to_the_public(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for node in self.nodes:
                stack.enter_context(node.closed_to_the_public())
            yield

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()

    def resume(self) -> None:
        for node in self.nodes:
            node.resume()
        self.settle()

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Node(Server):
    """A server that is a node of a cluster."""

    def __init__(self, **options: Any) -> None:
        self.alive = True
        super().__init__(
            **{
                "cluster_enabled": "yes",
                "cluster_config_file": "nodes.conf",
                "cluster_replica_validity_factor": 0,
                "cluster_allow_replica_migration": "no",
                **options,
            }
        )
        with self.control() as client:
            self.id = client.execute_command("CLUSTER", "MYID").decode()

    def command(self) -> list[str]:
        if not self.pid:  # as long as it looks for its ports
            self.bus = free_port()
        ports = ["--cluster-port", str(self.bus), "--cluster-announce-port", str(self.port)]
        return [*super().command(), *ports]

    def kill(self) -> None:
        self.alive = False
        super().kill()

    def restart(self) -> None:
        super().restart()
        self.alive = True

    def known(self) -> list[list[str]]:
        """Return what this node knows of all nodes: id, address, flags and more of each."""
        with self.control() as client:
            text: bytes = client.execute_command("CLUSTER", "NODES")
        return [line.split() for line in text.decode().splitlines()]

    def well(self, living: int) -> bool:
        with self.control() as client:
            state: bytes = client.execute_command("CLUSTER", "INFO")
            role = client.info("replication")
        if b"cluster_state:ok" not in state:
            return False
        if role["role"] == "slave" and role["master_link_status"] != "up":
            return False
        failing = [flags for _, _, flags, *_ in self.known() if "fail" in flags]
        return len(failing) <= 6 - living

    def serves(self, slot: int) -> bool:
        with self.control() as client:
            for first, last, (_, port, *_), *_ in client.execute_command("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return port == self.port
        return False

    def follows(self) -> int | None:
        """Return the port of its primary, or `None` if it is one itself."""
        with self.control() as client:
            role = client.info("replication")
        return role["master_port"] if role["role"] == "slave" else None
