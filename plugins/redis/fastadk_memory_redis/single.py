"""One primary that holds all keys: a server at an address, or the one that Sentinels name."""

from __future__ import annotations

from collections.abc import Sequence

from fastadk_memory import ConfigurationError
from fastadk_memory_redis.lane import Lane
from fastadk_memory_redis.topology import Node, Topology, Track

__all__ = ["SinglePrimary"]


class SinglePrimary(Topology):
    """All keys on one node.

    Args:
        node: The node; it knows how to find its server anew at each attempt.
    """

    def __init__(self, node: Node) -> None:
        self.where = node.where
        self._node = node
        self._links = node.links

    def ready(self, name: bytes, track: Track) -> Lane | None:
        """See `Topology`."""
        return self._links[track].lane

    async def lane(self, name: bytes, track: Track, deadline: float) -> Lane:
        """See `Topology`."""
        return await self._links[track].connect(deadline)

    async def primaries(self, deadline: float) -> Sequence[Node]:
        """See `Topology`."""
        return [self._node]

    def distrust(self, lane: Lane) -> None:
        """See `Topology`."""
        if any(link.lane is lane for link in self._links):
            self._node.drop()

    async def look_again(self, deadline: float) -> None:
        """See `Topology`: each attempt to connect does that by itself."""

    def moved(self, name: bytes, host: str, port: int, lane: Lane) -> None:
        """Refuse: only clusters redirect."""
        raise ConfigurationError(
            f"{lane.where} is a node of a cluster; write redis+cluster:// in the URL"
        )

    async def elsewhere(
        self, host: str, port: int, lane: Lane, track: Track, deadline: float
    ) -> Lane:
        """Refuse: only clusters redirect."""
        raise ConfigurationError(
            f"{lane.where} is a node of a cluster; write redis+cluster:// in the URL"
        )

    def close(self) -> None:
        """See `Topology`."""
        self._node.close()

    async def closed(self) -> None:
        """See `Topology`."""
        await self._node.closed()
