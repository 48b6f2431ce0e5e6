"""`Seat`: a client of a memory next to the model of it, and the reads that compare the two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from fastadk_memory.base import Capability, MemoryEntry
from fastadk_memory.contract.compare import as_stored, identical
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.show import show
from fastadk_memory.contract.stateful.blame import (
    at_fault,
    blame_expiry,
    blame_loss,
    blame_part,
    blame_presence,
    story,
)
from fastadk_memory.contract.stateful.model import Cell, Model, Slot, Span
from fastadk_memory.contract.timing.lifespan import Fate
from fastadk_memory.contract.violations import Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError, FastADKMemoryError

__all__ = ["LOOKS", "Seat"]

LOOKS = ("keys", "get", "exists", "scan", "ttl", "get_entry", "get_many")
"""The ways to look at what is stored."""

_CLOSE = 0.0015  # seconds: what is counted in milliseconds may be rounded to one
_NEAR = 1.001  # seconds by which a store may round the time at which it made an entry


@dataclass(slots=True)
class Seat:
    """Makes calls, and holds each answer against the model.

    Attributes:
        world: Where the memory lives.
        handle: The client.
        model: What the store, or the namespace that the client looks at, has to hold.
    """

    world: World
    handle: Handle
    model: Model

    async def ask(self, method: str, *args: Any, **kwargs: Any) -> tuple[Any, Span]:
        """Make a call; return its answer, and when it was under way.

        Raises:
            ConflictError: The call raised it.
            Violation: The call raised something else.
        """
        began = self.world.now()
        try:
            answer = await getattr(self.handle, method)(*args, **kwargs)
        except (Violation, ConflictError):
            raise
        except Exception as error:  # (a backend may raise anything)
            call = self.world.trace.steps[-1]
            cleared = isinstance(error, FastADKMemoryError) and self.model.last.startswith("clear")
            clause = "C3" if cleared else at_fault(method, "E1")
            told = f"{call} raised {type(error).__name__}: {error}"
            raise Violation(told, clause="C4" if method == "delete" else clause) from error
        return answer, Span(began, self.world.now())

    @property
    def _entries(self) -> bool:
        return self.handle.declares(Capability.ENTRIES)

    def deny(self, clause: str, message: str) -> None:
        """Say that a clause is broken, unless it is waived."""
        if not self.world.waived(clause):
            raise Violation(message, clause=clause)

    # ------------------------------------------------------------------- reading one key

    async def get(self, key: str) -> None:
        """Call `get`, and judge the answer."""
        seen, span = await self.ask("get", key)
        self.judge_value(key, seen, span, "get")

    async def exists(self, key: str) -> None:
        """Call `exists`, and judge the answer."""
        seen, span = await self.ask("exists", key)
        fate = self.model.fate(key, span)
        if type(seen) is not bool:
            self.deny("X1", f"exists({show(key)}) is {show(seen)}, expected a bool")
        elif fate is not Fate.EITHER and seen is not (fate is Fate.ALIVE):
            self.judge_presence(key, seen, span, "exists", f"exists({show(key)}) is {seen}")
        self._was_read(key, span)

    async def ttl(self, key: str) -> None:
        """Call `ttl`, and judge the answer."""
        seen, span = await self.ask("ttl", key)
        fate, cell = self.model.fate(key, span), self.model.slot(key).cell
        told = f"ttl({show(key)}) is {show(seen)}"
        if fate is Fate.GONE:
            if seen is not None:
                self.judge_presence(key, True, span, "ttl", told)
        elif cell is not None and not cell.vague and not (fate is Fate.EITHER and seen is None):
            self._judge_ttl(key, cell, seen, span, told)
        self._was_read(key, span)

    def _judge_ttl(self, key: str, cell: Cell, seen: Any, span: Span, told: str) -> None:
        if cell.lifespan.endless:
            right, wanted = seen is None, "None"
        else:
            least, most = cell.lifespan.seconds_left(span.began, span.ended)
            right = type(seen) is int and least <= seen <= most
            wanted = f"{least}" if least == most else f"{least} to {most}"
        if not right:
            slot = self.model.slot(key)
            why = f"{told}, expected {wanted}: {story(self.model, slot)}"
            self.deny(blame_expiry(slot, cell, seen, span), why)

    async def get_entry(self, key: str) -> None:
        """Call `get_entry`, and judge the answer."""
        seen, span = await self.ask("get_entry", key)
        told = f"get_entry({show(key)})"
        if seen is None:
            if self.model.fate(key, span) is Fate.ALIVE:
                self.judge_presence(key, False, span, "get_entry", f"{told} is None")
        elif self.model.fate(key, span) is Fate.GONE:
            self.judge_presence(key, True, span, "get_entry", f"{told} is {show(seen)}")
        else:
            self.judge_entry(key, seen, span, told)
        self._was_read(key, span)

    # ---------------------------------------------------------------- reading many keys

    async def get_many(self, *keys: str) -> None:
        """Call `get_many`, and judge the answer."""
        seen, span = await self.ask("get_many", list(keys))
        told = f"get_many({show(list(keys))}) is {show(seen)}"
        if type(seen) is not dict:
            return self.deny("B1", f"{told}: it is a {type(seen).__name__}, not a dict")
        for key in dict.fromkeys(keys):
            fate = self.model.fate(key, span)
            if fate is not Fate.EITHER and (key in seen) is not (fate is Fate.ALIVE):
                self.judge_presence(key, key in seen, span, "get_many", told)
            elif key in seen and fate is not Fate.GONE:
                self.judge_value(key, seen[key], span, "get_many", told)
            self._was_read(key, span)
        if list(seen) != [key for key in dict.fromkeys(keys) if key in seen]:
            self.deny("B1", f"{told}: it holds others than those asked for, or in another order")
        return None

    async def keys(self, pattern: str = "*") -> None:
        """Call `keys`, and judge the answer."""
        await self._list("keys", pattern)

    async def scan(self, pattern: str = "*") -> None:
        """Call `scan` and go through to its end, and judge what it yielded."""
        await self._list("scan", pattern)

    async def _list(self, method: str, pattern: str) -> None:
        seen, span = await self.ask(method, *(() if pattern == "*" else (pattern,)))
        told = f"{method}({'' if pattern == '*' else show(pattern)}) is {show(seen)}"
        clause = "S1" if method == "scan" else "P1"
        if type(seen) is not list or any(type(key) is not str for key in seen):
            return self.deny(clause, f"{told}, expected strings")
        if len(set(seen)) < len(seen):
            self.deny(clause, f"{told}: it names a key twice")
        for key in dict.fromkeys([*seen, *self.model.slots]):
            fate = self.model.fate(key, span)
            if not fnmatchcase(key, pattern):
                if key in seen:
                    self.deny(clause, f"{told}: the pattern does not match {show(key)}")
            elif fate is not Fate.EITHER and (key in seen) is not (fate is Fate.ALIVE):
                self.judge_presence(key, key in seen, span, method, told)
        return None

    # ---------------------------------------------------------------------- judging

    def judge_presence(self, key: str, seen: bool, span: Span, method: str, told: str) -> None:
        """Say that a method takes a key for present or absent that is not."""
        slot = self.model.slot(key)
        blame = blame_presence if seen else blame_loss
        wanted = "absent" if seen else "there"
        why = f"{told}, but {show(key)} has to be {wanted}: {story(self.model, slot)}"
        self.deny(blame(self.model, slot, method, span), why)

    def judge_value(self, key: str, seen: object, span: Span, method: str, told: str = "") -> None:
        """Hold a value against the model; `None` may mean that there is none."""
        slot, fate = self.model.slot(key), self.model.fate(key, span)
        told = told or f"{method}({show(key)}) is {show(seen)}"
        # Calls that are put together from others may see an entry expire between two of them.
        maybe_absent = seen is None and (method == "get" or fate is Fate.EITHER)
        if fate is Fate.GONE or slot.cell is None:
            if not maybe_absent:
                self.judge_presence(key, True, span, method, told)
        elif not identical(seen, slot.cell.value) and not (fate is Fate.EITHER and maybe_absent):
            if maybe_absent:
                return self.judge_presence(key, False, span, method, told)
            wanted = show(slot.cell.value)
            why = f"{told}, expected {wanted} for {show(key)}: {story(self.model, slot)}"
            clause = blame_part(slot, slot.cell, "V2", seen)
            self.deny(clause, why)
        if method == "get":
            self._was_read(key, span)
        return None

    def judge_entry(self, key: str, seen: object, span: Span, told: str) -> None:
        """Hold an entry, of a key that is there, against the model."""
        slot = self.model.slot(key)
        cell = slot.cell
        assert cell is not None
        if not isinstance(seen, MemoryEntry):
            return self.deny("X1", f"{told} is {show(seen)}, expected a MemoryEntry")
        if self.model.fate(key, span) is Fate.EITHER and not self._entries:
            return None  # put together from other calls, it may have expired between two of them
        if not identical(seen.key, key):
            self.deny("K3", f"{told}.key is {show(seen.key)}, expected {show(key)}")
        self.judge_value(key, seen.value, span, "value", f"{told}.value is {show(seen.value)}")
        if not cell.vague and (seen.expires_at is None) is not cell.lifespan.endless:
            why = f"{told}.expires_at is {seen.expires_at}: {story(self.model, slot)}"
            self.deny(blame_expiry(slot, cell, seen.expires_at, span), why)
        if self._entries:
            self._judge_metadata(slot, cell, seen, told)
            self._judge_version(slot, cell, seen, told)
            self._judge_moments(slot, cell, seen, told, span)
        return None

    def _judge_metadata(self, slot: Slot, cell: Cell, seen: MemoryEntry, told: str) -> None:
        wanted = as_stored(dict(cell.metadata))
        if not identical(dict(seen.metadata), wanted):
            why = f"{told}.metadata is {show(dict(seen.metadata))}, expected {show(wanted)}"
            kept = "set_entry stored it" if cell.metadata else f"{cell.made_by} stored none"
            self.deny(blame_part(slot, cell, "V2"), f"{why}: {kept}")

    def _judge_version(self, slot: Slot, cell: Cell, seen: MemoryEntry, told: str) -> None:
        version = seen.version
        told = f"{told}.version is {show(version)}"
        if type(version) is not str:
            return self.deny("U1", f"{told}, expected a str")
        if cell.version is None:
            if version in slot.versions:
                self.deny("D1" if cell.reopened else "U1", f"{told}, which {slot.key!r} had before")
        elif version != cell.version:
            clause = "D1" if cell.reopened else "M1" if cell.touched else "U1"
            why = f"{told}, expected {show(cell.version)}: nothing has written it since"
            self.deny(clause, why)
        if cell.version != version:
            slot.versions.append(version)
        cell.version = version
        return None

    def _judge_moments(
        self, slot: Slot, cell: Cell, seen: MemoryEntry, told: str, span: Span
    ) -> None:
        if seen.created_at is None:
            return self.deny("V2", f"{told}.created_at is None, though ENTRIES is declared")
        if not self.world.exact:
            return None
        off = self._off("created_at", seen.created_at.timestamp(), cell.made.ended)
        if abs(off) > _NEAR:
            side = "before" if off < 0 else "after"
            why = f"{told}.created_at lies {abs(off):g} s {side} the call that stored the entry"
            self.deny(blame_part(slot, cell, "V2"), f"{why}: {cell.made_by}")
        if seen.expires_at is None or cell.vague or cell.lifespan.endless:
            return None
        off = self._off("expires_at", seen.expires_at.timestamp(), cell.lifespan.earliest)
        if abs(off) > _CLOSE:
            side = "early" if off < 0 else "late"
            why = f"{told}.expires_at is {abs(off):g} s too {side}: {story(self.model, slot)}"
            self.deny(blame_expiry(slot, cell, None, span), why)
        return None

    def _off(self, what: str, shown: float, expected: float) -> float:
        """Return how far a moment is from where it has to be, by the first one that was seen."""
        return shown - expected - self.model.offsets.setdefault(what, shown - expected)

    def _was_read(self, key: str, span: Span) -> None:
        cell = self.model.slot(key).cell
        if cell is not None and span.began > cell.made.ended:
            cell.read = cell.read or self.model.fate(key, span) is Fate.ALIVE

    async def look(self, keys: Iterable[str], first: int) -> None:
        """Read everything in every way, beginning with another method each time.

        The first read may remove what has expired, and so hide it from the others.

        Args:
            keys: The keys to look at.
            first: Which method begins.
        """
        wanted = list(keys)
        for at in range(len(LOOKS)):
            await self.look_once(wanted, first + at)

    async def look_once(self, keys: list[str], which: int) -> None:
        """Read everything in one way.

        Args:
            keys: The keys to look at.
            which: A number that chooses the method.
        """
        method = LOOKS[which % len(LOOKS)]
        if method in ("keys", "scan"):
            await getattr(self, method)()
        elif method == "get_many":
            await self.get_many(*keys)
        else:
            for key in keys:
                await getattr(self, method)(key)
