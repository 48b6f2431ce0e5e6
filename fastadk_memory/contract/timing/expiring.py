"""`Stage`: entries with an expiry, when each of them ends, and looks at them in between."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from fastadk_memory.base import Ttl
from fastadk_memory.contract.compare import fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.show import show
from fastadk_memory.contract.timing.lifespan import BLINK, FOREVER, Fate, Lifespan
from fastadk_memory.contract.timing.looks import Look, looks
from fastadk_memory.contract.timing.ways import TOUCH, WAYS, Way, ways
from fastadk_memory.contract.world import World

__all__ = ["SET", "Stage", "every_look", "every_way", "stages", "step"]

SET = WAYS[0]


def step(world: World) -> float:
    """Return a TTL that a law may wait for: exact in binary where time is moved by hand."""
    return 0.5 if world.exact else world.limits.step_seconds


def every_look(domain: Domain) -> Sequence[Look]:
    """Return every look, for a corpus."""
    return looks(domain.capabilities)


def every_way(domain: Domain) -> Sequence[Way]:
    """Return every way of giving an entry its expiry, for a corpus."""
    return ways(domain.capabilities, TOUCH)


class Stage:
    """Entries with an expiry in one store, and when each of them ends.

    Args:
        world: The world, whose time counts.
        memory: The store, if it is not `world.memory`.
    """

    def __init__(self, world: World, memory: Handle | None = None) -> None:
        self.world = world
        self.memory = memory or world.memory
        self._lifespans: dict[str, Lifespan] = {}

    def ends(self, key: str) -> Lifespan:
        """Return when a key ends."""
        return self._lifespans.get(key, FOREVER)

    async def give(self, key: str, ttl: Ttl | None, way: Way = SET, value: Any = "value") -> None:
        """Store a value with a TTL."""
        began = self.world.now()
        await way.store(self.memory, key, value, ttl)
        self.note(key, ttl, began)

    def note(self, key: str, ttl: Ttl | None, began: float) -> None:
        """Note that a call which has just ended has given `key` a TTL."""
        self._lifespans[key] = Lifespan.given(self.world, ttl, began)

    # ------------------------------------------------------------------- passing time

    async def pass_until(self, moment: float) -> None:
        """Let time pass until a moment on the world's clock."""
        while self.world.now() < moment:
            await self.world.advance(moment - self.world.now())

    async def pass_until_gone(self, *keys: str) -> None:
        """Let time pass to the moment from which some keys, or all, are gone."""
        await self.pass_until(max(self._ends(keys, "latest")))

    async def pass_until_just_before(self, *keys: str) -> None:
        """Let time pass to just before the first of some keys, or of all, ends.

        Where time passes by itself, that leaves time to look.
        """
        spare = BLINK if self.world.exact else self.world.limits.step_seconds * 0.6
        await self.pass_until(min(self._ends(keys, "earliest")) - spare)

    async def pass_by(self, times: int = 1) -> None:
        """Write another key a few times: a store that tidies up in passing may do so then."""
        for _ in range(times):
            await self.give("passing by", 36_000)

    def _ends(self, keys: Iterable[str], which: str) -> list[float]:
        chosen = keys or self._lifespans
        ends = [getattr(self.ends(key), which) for key in chosen if not self.ends(key).endless]
        return ends or [self.world.now()]

    # ------------------------------------------------------------------------- looking

    async def look(self, look: Look, key: str, what: str = "") -> bool:
        """Look at a key, and require what is certain of it.

        Args:
            look: How.
            key: The key.
            what: What has happened to it, for the message.

        Raises:
            Violation: It is gone and found, or alive and not found.
        """
        began = self.world.now()
        found = await look.finds(self.memory, key)
        self.judge(key, found, look.told(key), began, what)
        return found

    async def look_early(self, look: Look, key: str, what: str = "") -> None:
        """Look at a key that is to end later, and require that it is still there.

        On a slow machine its end may have come all the same. Whether it is then still found is
        not asked here: that would be blamed on the wrong clause.

        Raises:
            Violation: It is alive and not found.
        """
        began = self.world.now()
        if not await look.finds(self.memory, key):
            self.judge(key, False, look.told(key), began, what)

    async def ask(self, key: str, after: str, *, exactly: bool = False) -> None:
        """Ask `ttl` of a key, and require what is certain of the answer.

        Args:
            key: The key.
            after: What gave the key its TTL, for the message.
            exactly: Whether it has to be rounded up. That is for the laws of clause T5; others
                let a store pass that rounds otherwise.

        Raises:
            Violation: It is too short or too long.
        """
        began = self.world.now()
        left: Any = await self.memory.ttl(key)
        ended, told = self.world.now(), f"ttl({show(key)}), {after},"
        if exactly and left is not None and type(left) is not int:
            fail(f"{told} is {show(left)}: it is a {type(left).__name__}, not an int")
        self.judge(key, left is not None, told, began)
        if left is None:
            return
        least, most = self.ends(key).seconds_left(began, ended)
        if not least - (not exactly) <= left <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            fail(f"{told} is {show(left)}, expected {wanted}")

    def judge(self, key: str, found: bool, told: str, began: float, what: str = "") -> None:
        """Require what is certain of a key that a call, which has just ended, has found or not.

        Raises:
            Violation: It is gone and found, or alive and not found.
        """
        ended, lifespan = self.world.now(), self.ends(key)
        fate = lifespan.fate(began, ended)
        if found and fate is Fate.GONE:
            late = began - lifespan.earliest if self.world.exact else began - lifespan.latest
            fail(f"{told} finds the key {_span(late)} after its end{what}")
        if not found and fate is Fate.ALIVE:
            left = "which has no end" if lifespan.endless else f"{_span(lifespan.earliest - ended)}"
            tail = "" if lifespan.endless else " before its end"
            fail(f"{told} does not find the key {left}{tail}{what}")


async def stages(world: World, number: int) -> list[Stage]:
    """Return stages with a store each: looking may purge, and hide from the next who looks."""
    others = [await world.fresh(f"other{at}") for at in range(1, number)]
    return [Stage(world), *(Stage(world, other) for other in others)]


def _span(seconds: float) -> str:
    if seconds < 1e-4:
        return "right"
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else str(timedelta(seconds=seconds))
