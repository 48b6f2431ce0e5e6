"""Going through all keys of a store, on however many nodes, each key once.

SCAN finds every key that is there throughout, may show a key twice, and its cursor means
nothing to another server. So a node whose connection was replaced is begun anew, and what
has been seen is remembered: for each key about as much as a short `bytes` object, whatever
the key's length.

In a cluster keys may move while they are looked for: from a node that is still to come to
one that has been gone through. See `Layout` for how often that makes it necessary to look
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import NamedTuple, cast

from fastadk_memory import BackendTimeoutError, BackendUnavailableError
from fastadk_memory_redis.client import Client
from fastadk_memory_redis.lane import Lane, LaneLostError
from fastadk_memory_redis.link import Pauses
from fastadk_memory_redis.replies import ReplyError, Verdict, refusal, verdict
from fastadk_memory_redis.topology import Node, Track
from fastadk_memory_redis.wire import pack

__all__ = ["Page", "pages"]

_MOST_BEGINNINGS = 20
_SHORT = 32


class Page(NamedTuple):
    """Some names that have not been seen before, and the node that told them."""

    node: Node
    names: list[bytes]


async def pages(client: Client, glob: bytes, count: int) -> AsyncIterator[Page]:
    """Go through the names that match a pattern of the server's.

    Args:
        client: Who asks. It counts as under way only while it does, not between two pages.
        glob: A pattern of the server's.
        count: How many keys the server should look at for one page.

    Raises:
        BackendUnavailableError: The server is away, or was lost too often.
    """
    seen: set[bytes] = set()
    survey = client.topology.survey()
    while True:
        with client:
            await client.reach(survey.before)
            nodes = await client.reach(client.topology.primaries)
        for node in nodes:
            async for page in _pages_of(client, node, glob, count, seen):
                yield page
        with client:
            if await client.reach(survey.complete):
                return


async def _pages_of(
    client: Client, node: Node, glob: bytes, count: int, seen: set[bytes]
) -> AsyncIterator[Page]:
    cursor, beginnings, pauses = b"0", 0, Pauses()
    lane: Lane | None = None

    async def connected(deadline: float) -> Lane | None:
        if not client.topology.serves(node):
            return None
        return await node.links[Track.BATCH].connect(deadline)

    while True:
        with client:
            current = await client.reach(connected)
            if current is None:
                return  # another node has taken its slots, which the survey will notice
            if current is not lane:
                # Another connection may be to another server, or to one that began anew.
                cursor, beginnings = b"0", beginnings + 1
                lane = current
                if beginnings > _MOST_BEGINNINGS:
                    raise BackendUnavailableError(f"the connection to {node} was lost too often")
            command = pack(b"SCAN", cursor, b"MATCH", glob, b"COUNT", b"%d" % count)
            found = await _page(client, current, command, pauses)
        if found is None:
            continue
        cursor, names = found
        fresh = [name for name in names if _first_time(name, seen)]
        if fresh:
            yield Page(node, fresh)
        if cursor == b"0":
            return


async def _page(
    client: Client, lane: Lane, command: bytes, pauses: Pauses
) -> tuple[bytes, list[bytes]] | None:
    """Return the next cursor and the names of one page; `None` if it has to be asked again."""
    try:
        reply = await lane.send(command, client.deadline())
    except LaneLostError as lost:
        if lost.late:
            raise BackendTimeoutError(str(lost)) from lost
        return None
    if isinstance(reply, ReplyError):
        # A node that stays unable to answer is given up after as many pauses as beginnings.
        if verdict(reply) is Verdict.REFUSED or pauses.taken >= _MOST_BEGINNINGS:
            raise refusal(reply, lane.where) from reply
        client.topology.distrust(lane)
        await asyncio.sleep(pauses.next())
        return None
    cursor, names = cast("tuple[bytes, list[bytes]]", reply)
    return cursor, names


def _first_time(name: bytes, seen: set[bytes]) -> bool:
    mark = name if len(name) <= _SHORT else b"\0" + blake2b(name, digest_size=16).digest()
    if mark in seen:
        return False
    seen.add(mark)
    return True
