"""`Topology`: which node a key lives on, and the lanes to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from enum import IntEnum

from fastadk_memory_redis.lane import Lane
from fastadk_memory_redis.link import Link
from fastadk_memory_redis.names import Names

__all__ = ["Node", "Survey", "Topology", "Track"]


class Track(IntEnum):
    """Which of a node's lanes a command takes, so that short ones do not wait for long ones."""

    SMALL = 0
    """Everything that is answered at once, in at most 64 KiB."""

    LARGE = 1
    """Large values."""

    BATCH = 2
    """Batches and scans."""

    WRITES = 3
    """Writes that wait for replicas."""


class Node:
    """One server that takes reads and writes, and the links to it.

    Args:
        where: Its address or what else to call it.
        dial: Makes one attempt to connect, for a track.
        patience: See `Link`.
        on_end: Called when the lane for small commands has ended.
    """

    def __init__(
        self,
        where: str,
        dial: Callable[[Track], Awaitable[Lane]],
        patience: float,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self.where = where
        self.links = tuple(self._link(track, dial, patience) for track in Track)
        self._on_end = on_end

    def _link(
        self, track: Track, dial: Callable[[Track], Awaitable[Lane]], patience: float
    ) -> Link:
        return Link(lambda: dial(track), patience, lambda lane: self._ended(track, lane))

    def _ended(self, track: Track, lane: Lane) -> None:
        if track is Track.SMALL and self._on_end is not None:
            self._on_end()
        if lane.hung:
            # The other lanes lead to the same server: who comes next should not wait as long.
            self.drop()

    def __str__(self) -> str:
        return self.where

    def drop(self) -> None:
        """Connect anew from now on."""
        for link in self.links:
            link.drop()

    def close(self) -> None:
        """Let go of everything, at once."""
        for link in self.links:
            link.close()

    async def closed(self) -> None:
        """Wait until everything is gone, after `close`."""
        for link in self.links:
            await link.closed()


class Survey:
    """Tells how often the nodes have to be gone through until no key can have been missed.

    Where keys stay on their node, that is once.
    """

    async def before(self, deadline: float) -> None:
        """Look where keys live, before all nodes are gone through."""

    async def complete(self, deadline: float) -> bool:
        """Tell, after all nodes were gone through, whether no key can have been missed."""
        return True


class Topology(ABC):
    """Where keys live. Used in one event loop only.

    What raises `UnreachableError` here says with its attribute `patient` whether it is worth
    trying again.
    """

    where: str
    """What to call the whole of it in messages."""

    @abstractmethod
    def ready(self, name: bytes, track: Track) -> Lane | None:
        """Return the lane to the node of a key, if that is connected."""

    @abstractmethod
    async def lane(self, name: bytes, track: Track, deadline: float) -> Lane:
        """Return the lane to the node of a key; find and connect it first if need be.

        Raises:
            UnreachableError: It cannot be had.
        """

    @abstractmethod
    async def primaries(self, deadline: float) -> Sequence[Node]:
        """Return the nodes that hold all keys between them.

        Raises:
            UnreachableError: They cannot be found out.
        """

    async def known_primaries(self, deadline: float) -> Sequence[Node]:
        """Return the primaries that there are, even if some keys have none.

        Raises:
            UnreachableError: They cannot be found out.
        """
        return await self.primaries(deadline)

    def serves(self, node: Node) -> bool:
        """Tell whether a node is still one of the primaries, as far as is known."""
        return True

    def slots_of(self, node: Node) -> int | None:
        """Return how many slots a node serves; `None` without a cluster."""
        return None

    def name_on(self, node: Node, names: Names) -> bytes:
        """Return a name under the prefix that belongs to a node, and is no key's.

        Args:
            node: One of the primaries.
            names: How keys are called.
        """
        return names.stem  # that of the empty key, which there is not

    def survey(self) -> Survey:
        """Return what tells whether keys have moved while they were looked for."""
        return Survey()

    @abstractmethod
    def distrust(self, lane: Lane) -> None:
        """Note that the node of a lane does not serve as a primary (any more)."""

    @abstractmethod
    async def look_again(self, deadline: float) -> None:
        """Find out anew, after a failure, which node is where; a failure is no error here."""

    @abstractmethod
    def moved(self, name: bytes, host: str, port: int, lane: Lane) -> None:
        """Note that a key's slot has moved.

        Args:
            name: The key's name.
            host: Where to; empty for the host of the lane.
            port: Where to.
            lane: Where that was said.
        """

    @abstractmethod
    async def elsewhere(
        self, host: str, port: int, lane: Lane, track: Track, deadline: float
    ) -> Lane:
        """Return a lane to a node that a redirection names.

        Raises:
            UnreachableError: It cannot be had.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of everything, at once."""

    @abstractmethod
    async def closed(self) -> None:
        """Wait until everything is gone, after `close`."""
