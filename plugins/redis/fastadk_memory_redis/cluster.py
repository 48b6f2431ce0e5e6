"""A cluster: the map of its slots, and the lanes to all its primaries."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Callable, Sequence
from contextlib import suppress

from fastadk_memory_redis.connecting import UnreachableError
from fastadk_memory_redis.lane import Lane, LaneLostError
from fastadk_memory_redis.names import Names
from fastadk_memory_redis.replies import Reply, ReplyError
from fastadk_memory_redis.slots import SLOTS, Move, Range, read_migrations, read_slots, slot_of
from fastadk_memory_redis.target import Address
from fastadk_memory_redis.topology import Node, Survey, Topology, Track
from fastadk_memory_redis.wire import pack

__all__ = ["Cluster"]

_CLUSTER_SLOTS = pack(b"CLUSTER", b"SLOTS")
_CLUSTER_NODES = pack(b"CLUSTER", b"NODES")

_HEAD_START = 0.25
"""How many seconds a node has to answer alone before the next one is asked as well."""

_FRESH = 0.05
"""For how many seconds a map is new enough for a call that has just failed."""


class Cluster(Topology):
    """The nodes of one cluster.

    Args:
        seeds: Addresses of some of its nodes.
        make_node: Makes a node for an address.
        patience: For how many seconds calls go on trying where they had succeeded before.
    """

    def __init__(
        self, seeds: Sequence[Address], make_node: Callable[[Address], Node], patience: float
    ) -> None:
        self.where = f"the cluster at {', '.join(str(each) for each in seeds)}"
        self._seeds = seeds
        self._make_node = make_node
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._nodes: dict[Address, Node] = {}
        self._slots: list[Node | None] = [None] * SLOTS
        self._owners: list[str] = [""] * SLOTS  # the ids of the primaries
        self._primaries: list[Node] = []
        self._covered = False
        self._drawn_at = float("-inf")
        self._drawing: asyncio.Task[None] | None = None
        self._closed = False

    # ------------------------------------------------------------------ where keys are

    def ready(self, name: bytes, track: Track) -> Lane | None:
        """See `Topology`."""
        node = self._slots[slot_of(name)]
        return None if node is None else node.links[track].lane

    async def lane(self, name: bytes, track: Track, deadline: float) -> Lane:
        """See `Topology`."""
        slot = slot_of(name)
        if self._slots[slot] is None:
            await self._draw(deadline)
        node = self._slots[slot]
        if node is None:
            raise self._uncovered()
        return await node.links[track].connect(deadline)

    async def primaries(self, deadline: float) -> Sequence[Node]:
        """See `Topology`."""
        nodes = await self.known_primaries(deadline)
        if not self._covered:
            raise self._uncovered()
        return nodes

    async def known_primaries(self, deadline: float) -> Sequence[Node]:
        """See `Topology`."""
        if not self._covered:
            await self._draw(deadline)
        return self._primaries

    def serves(self, node: Node) -> bool:
        """See `Topology`."""
        return node in self._primaries

    def slots_of(self, node: Node) -> int | None:
        """See `Topology`."""
        return self._slots.count(node)

    def name_on(self, node: Node, names: Names) -> bytes:
        """See `Topology`; no key holds a byte that is not UTF-8."""
        if node not in self._slots:
            return names.stem  # it has lost its slots meanwhile
        candidates = (names.stem + b"\xff%d" % number for number in itertools.count())
        return next(name for name in candidates if self._slots[slot_of(name)] is node)

    def moved(self, name: bytes, host: str, port: int, lane: Lane) -> None:
        """See `Topology`: believe it of this slot at once, and draw the whole map anew."""
        node = self._node(self._redirected(host, port, lane))
        self._slots[slot_of(name)] = node
        if node not in self._primaries:
            self._primaries = [*self._primaries, node]
        self._drawn_at = float("-inf")
        self._begin_drawing()

    async def elsewhere(
        self, host: str, port: int, lane: Lane, track: Track, deadline: float
    ) -> Lane:
        """See `Topology`."""
        node = self._node(self._redirected(host, port, lane))
        return await node.links[track].connect(deadline)

    def distrust(self, lane: Lane) -> None:
        """See `Topology`: what a node says of the cluster may be out of date."""
        self._drawn_at = float("-inf")

    async def look_again(self, deadline: float) -> None:
        """See `Topology`."""
        if self._loop.time() - self._drawn_at > _FRESH:
            with suppress(UnreachableError):
                await self._draw(deadline)

    def survey(self) -> Survey:
        """See `Topology`."""
        return _ClusterSurvey(self)

    def close(self) -> None:
        """See `Topology`."""
        self._closed = True
        if self._drawing is not None:
            self._drawing.cancel()
        for node in self._nodes.values():
            node.close()

    async def closed(self) -> None:
        """See `Topology`."""
        if self._drawing is not None:
            await asyncio.wait({self._drawing})
        for node in list(self._nodes.values()):
            await node.closed()

    # ------------------------------------------------------------------ the map

    async def layout(self, deadline: float) -> tuple[list[str], set[Move]]:
        """Return which primary has which slot, by ids, and which slots are on the move.

        Raises:
            UnreachableError: The cluster, or one of its primaries, cannot be reached.
        """
        await self._draw(deadline)
        moves: set[Move] = set()
        for node in await self.primaries(deadline):
            lane = await node.links[Track.BATCH].connect(deadline)
            moves |= read_migrations(await _asked(lane, _CLUSTER_NODES, deadline))
        return self._owners, moves

    async def _draw(self, deadline: float) -> None:
        """Draw the map of the slots, or wait for who is at it."""
        came, again = self._loop.time(), True
        while True:
            drawing = self._begin_drawing()
            await asyncio.wait({drawing}, timeout=max(0.0, deadline - self._loop.time()))
            if not drawing.done():
                raise self._error("the nodes of the cluster do not answer in time", late=True)
            if drawing.cancelled():
                raise self._error("the cluster was given up")
            error = drawing.exception()
            if error is None:
                return
            if not isinstance(error, UnreachableError):
                raise error
            if error.began >= came or not again:
                raise self._error(str(error), late=error.late, refused=error.refused) from error
            again = False  # it began before this call: that may have been another time

    def _begin_drawing(self) -> asyncio.Task[None]:
        if self._drawing is None:
            self._drawing = self._loop.create_task(self._draw_once())
            self._drawing.add_done_callback(self._drawn)
        return self._drawing

    def _drawn(self, drawing: asyncio.Task[None]) -> None:
        self._drawing = None
        if not drawing.cancelled():
            drawing.exception()  # seen, even if nobody waits any more

    async def _draw_once(self) -> None:
        """Ask one node after another, without waiting long for any; the first answer counts."""
        began = self._loop.time()
        pending: set[asyncio.Task[list[Range]]] = set()
        troubles: list[UnreachableError] = []
        candidates = self._candidates()
        try:
            while candidates or pending:
                if candidates:
                    pending.add(self._loop.create_task(self._ask(candidates.pop(0))))
                timeout = _HEAD_START if candidates else None
                done, pending = await asyncio.wait(
                    pending, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                for each in done:
                    trouble = each.exception()
                    if trouble is None:
                        self._adopt(each.result())
                        return
                    if not isinstance(trouble, UnreachableError):
                        raise trouble
                    troubles.append(trouble)
        finally:
            for each in pending:
                each.cancel()
            if pending:
                await asyncio.wait(pending)
        told = "; ".join(dict.fromkeys(str(each) for each in troubles))
        refused = [each.refused for each in troubles if each.refused is not None]
        error = UnreachableError(
            told,
            late=any(each.late for each in troubles),
            refused=refused[0] if len(refused) == len(troubles) else None,
        )
        error.began = began
        raise error

    def _candidates(self) -> list[Address]:
        """Return whom to ask, those first who are connected; else in no particular order."""
        known = list(dict.fromkeys([*self._nodes, *self._seeds]))
        random.shuffle(known)
        connected = {
            address for address, node in self._nodes.items() if node.links[Track.SMALL].lane
        }
        return sorted(known, key=lambda address: address not in connected)

    async def _ask(self, address: Address) -> list[Range]:
        deadline = self._loop.time() + self._patience
        lane = await self._node(address).links[Track.SMALL].connect(deadline)
        ranges = read_slots(await _asked(lane, _CLUSTER_SLOTS, deadline), address)
        if not ranges:
            raise UnreachableError(f"{address} knows of no slots: is the cluster formed?")
        return ranges

    def _adopt(self, ranges: list[Range]) -> None:
        slots: list[Node | None] = [None] * SLOTS
        owners = [""] * SLOTS
        for start, end, address, identity in ranges:
            number = end + 1 - start
            slots[start : end + 1] = [self._node(address)] * number
            owners[start : end + 1] = [identity] * number
        self._slots, self._owners = slots, owners
        self._primaries = list(dict.fromkeys(self._node(each.address) for each in ranges))
        self._covered = None not in slots
        self._drawn_at = self._loop.time()

    def _node(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            self._nodes[address] = node = self._make_node(address)
            if self._closed:
                node.close()
        return node

    def _redirected(self, host: str, port: int, lane: Lane) -> Address:
        return Address(host or lane.where.rpartition(":")[0].strip("[]"), port)

    def _uncovered(self) -> UnreachableError:
        self._drawn_at = float("-inf")
        return self._error("no primary serves some slots of the cluster; see CLUSTER INFO")

    def _error(
        self, why: str, *, late: bool = False, refused: ReplyError | None = None
    ) -> UnreachableError:
        error = UnreachableError(why, late=late, refused=refused)
        # Where a map has been drawn once, another will be, if it only takes a moment.
        error.patient = bool(self._primaries) and refused is None
        return error


class _ClusterSurvey(Survey):
    """Finds out whether keys may have moved past those who look for them.

    A key is missed only if it moved, while all nodes were gone through, from one still to
    come to one that was done. Gone through once more, it is found, unless it has moved yet
    again, another way. So it is enough to repeat while slots move that moved before.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._owners: list[str] = []
        self._moving: set[Move] = set()
        self._seen: set[Move] = set()
        self._suspects: set[int] | None = None

    async def before(self, deadline: float) -> None:
        """See `Survey`."""
        self._owners, self._moving = await self._cluster.layout(deadline)

    async def complete(self, deadline: float) -> bool:
        """See `Survey`."""
        owners, moving = await self._cluster.layout(deadline)
        moves = self._moving | moving
        if owners != self._owners:
            pairs = zip(self._owners, owners, strict=True)
            moves |= {Move(slot, *pair) for slot, pair in enumerate(pairs) if pair[0] != pair[1]}
        new = moves - self._seen
        if self._suspects is not None:
            new = {move for move in new if move.slot in self._suspects}
        self._seen |= moves
        self._suspects = {move.slot for move in new}
        return not new


async def _asked(lane: Lane, command: bytes, deadline: float) -> Reply:
    try:
        reply = await lane.send(command, deadline)
    except LaneLostError as lost:
        raise UnreachableError(str(lost), late=lost.late) from lost
    if isinstance(reply, ReplyError):
        raise UnreachableError(str(reply), refused=reply) from reply
    return reply
