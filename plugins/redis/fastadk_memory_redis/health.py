"""Whether the servers could serve a call, and how they are, node by node."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from fastadk_memory import FastADKMemoryError
from fastadk_memory_redis.client import Client
from fastadk_memory_redis.names import Names
from fastadk_memory_redis.replies import ReplyError
from fastadk_memory_redis.slots import SLOTS
from fastadk_memory_redis.topology import Node, Track
from fastadk_memory_redis.wire import pack

__all__ = ["HealthReport", "NodeHealth", "examine", "is_healthy"]

_SAVING = ("rdb_last_bgsave_status", "aof_last_bgrewrite_status", "aof_last_write_status")

_FULL = 0.9
"""From which part of maxmemory on it is worth a word."""


@dataclass(frozen=True, slots=True)
class NodeHealth:
    """How one primary is.

    What the server does not tell, such as everything in INFO to a user who may not ask, is
    `None`.

    Attributes:
        where: Its address, or the service that Sentinels watch.
        error: Why it cannot be used; `None` if it can.
        latency_ms: Milliseconds of a write that changes nothing.
        role: `master` for a primary.
        version: The server's version; Valkey tells the one of Redis that it is like, too.
        replicas: How many replicas are connected.
        replica_lag_bytes: How many bytes of writes the slowest of them has not yet confirmed.
        used_memory: Bytes in use.
        max_memory: Bytes that may be used; 0 is no limit.
        eviction_policy: What is removed when they are used up, such as `noeviction`.
        evicted_keys: How many keys that has removed since the server started.
        append_only: Whether it keeps an append-only file.
        persistence_errors: What of saving to the disk failed the last time.
        slots: How many slots it serves; `None` without a cluster.
    """

    where: str
    error: str | None = None
    latency_ms: float | None = None
    role: str | None = None
    version: str | None = None
    replicas: int | None = None
    replica_lag_bytes: int | None = None
    used_memory: int | None = None
    max_memory: int | None = None
    eviction_policy: str | None = None
    evicted_keys: int | None = None
    append_only: bool | None = None
    persistence_errors: tuple[str, ...] = ()
    slots: int | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """How the servers behind a backend are.

    Attributes:
        healthy: Whether every primary takes writes.
        nodes: Each primary.
        warnings: What works, and may lose memory or stop working soon; each with what to do.
        covered_slots: How many of a cluster's 16,384 slots have a primary; `None` without one.
    """

    healthy: bool
    nodes: tuple[NodeHealth, ...]
    warnings: tuple[str, ...]
    covered_slots: int | None = None


async def is_healthy(client: Client, names: Names) -> bool:
    """Tell whether every primary takes writes.

    A ping would be answered by a replica, by a server that cannot save and refuses every write,
    and by a node whose cluster is down.

    Args:
        client: Who asks.
        names: How keys are called.

    Raises:
        BackendUnavailableError: The server is away.
    """
    nodes = await client.reach(client.topology.primaries)
    replies = await asyncio.gather(*(_probe(client, node, names) for node in nodes))
    return not any(isinstance(reply, ReplyError) for reply in replies)


async def examine(client: Client, names: Names, min_replicas: int) -> HealthReport:
    """Look at every primary.

    Args:
        client: Who asks.
        names: How keys are called.
        min_replicas: How many replicas writes wait for.
    """
    covered = None
    try:
        nodes = await client.reach(client.topology.known_primaries)
    except FastADKMemoryError as error:
        report = NodeHealth(client.topology.where, error=str(error))
        return HealthReport(False, (report,), ())
    found = await asyncio.gather(*(_look(client, node, names) for node in nodes))
    slots = [node.slots for node in found if node.slots is not None]
    if slots:
        covered = sum(slots)
    warnings = [each for node in found for each in _warnings(node, min_replicas)]
    if covered is not None and covered < SLOTS:
        warnings.append(
            f"{SLOTS - covered} of the cluster's slots have no primary; see CLUSTER INFO"
        )
    healthy = not any(node.error for node in found) and covered in (None, SLOTS)
    return HealthReport(healthy, tuple(found), tuple(warnings), covered)


async def _probe(client: Client, node: Node, names: Names) -> object:
    # Removing what cannot be there is a write that changes nothing.
    command = pack(b"UNLINK", client.topology.name_on(node, names))

    async def ask(deadline: float) -> object:
        return await client.on_node(node, command, deadline, Track.SMALL)

    return await client.reach(ask)


async def _look(client: Client, node: Node, names: Names) -> NodeHealth:
    slots = client.topology.slots_of(node)
    try:
        await _probe(client, node, names)  # what it takes to connect does not count
        began = client.time()
        reply = await _probe(client, node, names)
        latency = (client.time() - began) * 1e3
        info = await _info(client, node)
    except FastADKMemoryError as error:
        return NodeHealth(str(node), error=str(error), slots=slots)
    return NodeHealth(
        where=str(node),
        error=str(reply) if isinstance(reply, ReplyError) else None,
        latency_ms=latency,
        role=info.get("role"),
        version=info.get("valkey_version") or info.get("redis_version"),
        replicas=_number(info, "connected_slaves"),
        replica_lag_bytes=_lag(info),
        used_memory=_number(info, "used_memory"),
        max_memory=_number(info, "maxmemory"),
        eviction_policy=info.get("maxmemory_policy"),
        evicted_keys=_number(info, "evicted_keys"),
        append_only=None if "aof_enabled" not in info else info["aof_enabled"] == "1",
        persistence_errors=tuple(each for each in _SAVING if info.get(each, "ok") != "ok"),
        slots=slots,
    )


async def _info(client: Client, node: Node) -> Mapping[str, str]:
    """Return what INFO tells; nothing, if the user may not ask."""

    async def ask(deadline: float) -> object:
        return await client.on_node(node, pack(b"INFO"), deadline)

    reply = await client.reach(ask)
    if isinstance(reply, ReplyError):
        return {}
    lines = cast("bytes", reply).decode(errors="replace").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: value for name, _, value in pairs}


def _number(info: Mapping[str, str], name: str) -> int | None:
    return int(info[name]) if name in info else None


def _lag(info: Mapping[str, str]) -> int | None:
    """Return how far the slowest replica is behind; `None` without any."""
    written = _number(info, "master_repl_offset")
    confirmed = [
        int(dict(part.split("=", 1) for part in value.split(","))["offset"])
        for name, value in info.items()
        if name.startswith("slave") and name[5:].isdigit() and "offset=" in value
    ]
    return max(written - each for each in confirmed) if written is not None and confirmed else None


def _warnings(node: NodeHealth, min_replicas: int) -> list[str]:
    found: list[str] = []
    policy = node.eviction_policy or ""
    if policy.startswith("allkeys-"):
        found.append(
            f"{node.where} removes any entry when its memory is used up (maxmemory-policy {policy})"
            "; set it to noeviction, so that a full server says so instead of forgetting"
        )
    elif policy.startswith("volatile-") and node.max_memory:
        found.append(
            f"{node.where} removes entries that have a TTL before their time when its memory is "
            f"used up (maxmemory-policy {policy}); set it to noeviction"
        )
    if node.max_memory and (node.used_memory or 0) > _FULL * node.max_memory:
        found.append(
            f"{node.where} uses {(node.used_memory or 0) / node.max_memory:.0%} of its maxmemory; "
            "raise that, or set TTLs"
        )
    if node.evicted_keys:
        found.append(
            f"{node.where} has removed {node.evicted_keys} keys for want of memory; raise maxmemory"
        )
    if node.persistence_errors:
        found.append(
            f"{node.where} could not save to its disk ({', '.join(node.persistence_errors)}); "
            "see its log"
        )
    if node.replicas is not None and node.replicas < min_replicas:
        found.append(
            f"{node.where} has {node.replicas} replicas, and writes wait for {min_replicas}; "
            "start more, or lower min_replicas"
        )
    return found
