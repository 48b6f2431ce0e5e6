"""`Model`: what a memory has to hold, in plain Python.

It knows more than a memory does: what was under a key before, how that went, and what has
been tried since. From this `blame` tells which clause a wrong answer breaks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fastadk_memory.base import Ttl, Version
from fastadk_memory.contract.compare import as_stored
from fastadk_memory.contract.timing.lifespan import Fate, Lifespan

if TYPE_CHECKING:
    from fastadk_memory.contract.world import World

__all__ = ["Cell", "Model", "Slot", "Span"]

_AT_LEAST = 0.0005  # seconds that any entry lives: no TTL is shorter than a millisecond
_OVER = Lifespan(-math.inf, -math.inf, 0)


@dataclass(frozen=True, slots=True)
class Span:
    """When a call began and ended, on the clock of `World.now`."""

    began: float
    ended: float


@dataclass(slots=True)
class Cell:
    """One entry.

    Attributes:
        value: Its value, as it is read back.
        lifespan: When it ends.
        made_by: The method that stored it.
        made: When that was called.
        metadata: What stands beside the value.
        version: Its version, once that is known.
        touched: Whether `touch` has changed its expiry.
        read: Whether it has been read later than it was made.
        reopened: Whether the store has been closed and opened again since.
        vague: Whether its expiry is not looked at, as clause T4 is waived.
    """

    value: object
    lifespan: Lifespan
    made_by: str
    made: Span
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    version: Version | None = None
    touched: bool = False
    read: bool = False
    reopened: bool = False
    vague: bool = False


@dataclass(slots=True)
class Slot:
    """All that is known of a key.

    Attributes:
        key: The key.
        cell: Its entry, live or expired; `None` if it has none.
        old: The entry before, whether it was overwritten, removed or had expired.
        gone_by: The method that removed the last entry, if it was removed.
        tried: The method that was called last and must have changed nothing.
        versions: All versions that it ever had, as far as they are known, the last one last.
    """

    key: str
    cell: Cell | None = None
    old: Cell | None = None
    gone_by: str = ""
    tried: str = ""
    versions: list[Version] = field(default_factory=list[Version])


class Model:
    """What one store, or one namespace of it, has to hold.

    Args:
        world: Where the memory lives; for its clock and its waivers.
        scope: The name of the namespace, if it is one.
        offsets: How far the store's clock is ahead of the world's, once known; shared by
            the models of one store.
        tally: Counts what happens in which situation.
    """

    def __init__(
        self,
        world: World,
        *,
        scope: str = "",
        offsets: dict[str, float] | None = None,
        tally: Counter[str] | None = None,
    ) -> None:
        self.world = world
        self.scope = scope
        self.offsets: dict[str, float] = {} if offsets is None else offsets
        self.tally: Counter[str] = Counter() if tally is None else tally
        self.slots: dict[str, Slot] = {}
        self.last = ""  # the method that changed something last, here or in a neighbour

    # -------------------------------------------------------------------- what is there

    def slot(self, key: str) -> Slot:
        """Return what is known of a key."""
        return self.slots.get(key) or Slot(key)

    def fate(self, key: str, span: Span) -> Fate:
        """Tell what a call may see of a key."""
        cell = self.slot(key).cell
        return Fate.GONE if cell is None else cell.lifespan.fate(span.began, span.ended)

    def now(self) -> Span:
        """Return the present, as a span without length."""
        now = self.world.now()
        return Span(now, now)

    def live(self) -> list[str]:
        """Return the keys that are surely there now."""
        now = self.now()
        return [key for key in self.slots if self.fate(key, now) is Fate.ALIVE]

    def next_expiry(self) -> float | None:
        """Return the next moment at which an entry ends, if there is one.

        Those count that have been replaced or removed: a store may have kept their expiry.
        """
        now = self.world.now()
        cells = [cell for slot in self.slots.values() for cell in (slot.cell, slot.old)]
        ends = [cell.lifespan.latest for cell in cells if cell is not None]
        return min((end for end in ends if now < end < math.inf), default=None)

    def state(self, key: str) -> str:
        """Name the state of a key: `new`, `live`, `expired` or `removed`."""
        slot = self.slot(key)
        if slot.cell is None:
            return "removed" if slot.gone_by else "new"
        return "expired" if self.fate(key, self.now()) is Fate.GONE else "live"

    def count(self, method: str, keys: Iterable[str]) -> None:
        """Note that a method is about to meet keys in the state that they are in."""
        for key in keys:
            self.tally[f"{method} of {self.state(key)}"] += 1

    # -------------------------------------------------------------------- what happens

    def store(
        self,
        key: str,
        value: object,
        ttl: Ttl | None,
        began: float,
        by: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        version: Version | None = None,
    ) -> None:
        """Take down that a call which has just ended stored an entry.

        Args:
            key: Its key.
            value: Its value.
            ttl: The TTL that was passed.
            began: When the call began.
            by: The method.
            metadata: What it stored beside the value.
            version: The version, if the call told it.
        """
        slot = self.slots.setdefault(key, Slot(key))
        made = Span(began, self.world.now())
        cell = Cell(as_stored(value), Lifespan.given(self.world, ttl, began), by, made)
        if ttl is None and self.world.waived("T4"):
            cell.vague, cell.lifespan = True, Lifespan(made.ended + _AT_LEAST)
        cell.metadata = metadata or {}
        if version is not None:
            cell.version = version
            slot.versions.append(version)
        if slot.cell is not None:
            slot.old, slot.gone_by = slot.cell, ""
        slot.cell, slot.tried = cell, ""
        self.last = by

    def remove(self, keys: Iterable[str], by: str) -> None:
        """Take down that entries were removed by a method."""
        for key in keys:
            slot = self.slots.get(key)
            if slot is not None and slot.cell is not None:
                slot.old, slot.cell, slot.gone_by, slot.tried = slot.cell, None, by, ""
        self.last = by

    def touch(self, key: str, ttl: Ttl | None, began: float) -> None:
        """Take down that `touch`, which has just ended, has changed the expiry of an entry."""
        cell = self.slots[key].cell
        assert cell is not None
        # The entry before it in time is itself: a store may go on by the old expiry.
        self.slots[key].old = replace(cell)
        cell.lifespan = Lifespan.given(self.world, ttl, began)
        cell.touched, cell.read, cell.vague = True, False, False
        self.last = "touch"

    def tried(self, key: str, method: str) -> None:
        """Take down that a call must have changed nothing."""
        if key in self.slots:
            self.slots[key].tried = method

    def expire(self, key: str) -> None:
        """Take down that an entry, of which it was open, has turned out to be gone."""
        cell = self.slot(key).cell
        if cell is not None:
            cell.lifespan = _OVER

    def reopened(self) -> None:
        """Take down that the store has been closed and opened again."""
        for slot in self.slots.values():
            if slot.cell is not None:
                slot.cell.reopened = True
