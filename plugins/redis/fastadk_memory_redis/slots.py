"""The slots of a cluster: which one a key is in, and which node has it."""

from __future__ import annotations

from binascii import crc_hqx
from typing import NamedTuple, cast

from fastadk_memory_redis.replies import Reply
from fastadk_memory_redis.target import Address

__all__ = ["SLOTS", "Move", "Range", "read_migrations", "read_slots", "slot_of"]

SLOTS = 16_384


class Move(NamedTuple):
    """A slot that goes, or went, from one node to another, by the nodes' ids."""

    slot: int
    source: str
    target: str


def slot_of(name: bytes) -> int:
    """Return the slot of a name of ours: its empty hash tag makes the whole of it count."""
    return crc_hqx(name, 0) % SLOTS


class Range(NamedTuple):
    """Neighbouring slots, both ends included, and the address and id of their primary."""

    start: int
    end: int
    address: Address
    identity: str


def read_slots(reply: Reply, asked: Address) -> list[Range]:
    """Read what CLUSTER SLOTS answers.

    Args:
        reply: The answer.
        asked: The node that gave it, which may not name itself.
    """
    ranges: list[Range] = []
    for entry in cast("list[list[object]]", reply):
        start, end, primary = cast("tuple[int, int, list[object]]", entry[:3])
        host, port = cast("tuple[bytes | None, int]", primary[:2])
        # "?" is a node that does not know its own name yet.
        itself = host is None or host in (b"", b"?")
        address = Address(asked.host if itself or host is None else host.decode(), port)
        identity = cast("bytes", primary[2]).decode() if len(primary) > 2 else str(address)
        ranges.append(Range(start, end, address, identity))
    return ranges


def read_migrations(reply: Reply) -> set[Move]:
    """Read from CLUSTER NODES which slots the answering node is handing over or taking over."""
    text = cast("bytes", reply).decode()
    moves: set[Move] = set()
    for line in text.splitlines():
        words = line.split()
        if len(words) < 8 or "myself" not in words[2]:
            continue
        for word in words[8:]:
            if "->-" in word:
                slot, _, target = word.strip("[]").partition("->-")
                moves.add(Move(int(slot), words[0], target))
            elif "-<-" in word:
                slot, _, source = word.strip("[]").partition("-<-")
                moves.add(Move(int(slot), source, words[0]))
    return moves
