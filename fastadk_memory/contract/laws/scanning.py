"""Clause S1: `scan` yields every key that was there throughout, none twice, none that never was."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.many import Items, Keys, brief
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show, show_call
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.violations import NotApplicable, Violation
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConfigurationError, InvalidPatternError

_END = "the end"
_LONG = 36_000


class Walk:
    """A scan that is gone through step by step, each step written down.

    Args:
        world: The world.
        memory: The backend.
        pattern: The pattern; `*` if it is empty.
        batch_size: The size of the batches.
        name: What the script calls the iterator.

    Attributes:
        seen: What it has yielded so far.
        ended: Whether it has come to its end, or has begun to repeat itself.
    """

    def __init__(
        self,
        world: World,
        memory: Handle,
        pattern: str = "*",
        batch_size: int | None = None,
        name: str = "steps",
    ) -> None:
        self.seen: list[str] = []
        self.ended = False
        self._known: set[object] = set()
        self._world = world
        self._name = name
        options = {} if batch_size is None else {"batch_size": batch_size}
        self.call = show_call(memory.name, "scan", (pattern,), dict(options))
        world.trace.note(f"{name} = {self.call}")
        try:
            self.steps: AsyncIterator[str] = memory.iterate(pattern, **options)
        except Exception as error:  # noqa: BLE001 (a backend may raise anything)
            fail(f"{self.call} raised {type(error).__name__}: {error}")

    async def step(self) -> bool:
        """Take one step; tell whether it yielded a new key.

        Raises:
            Violation: It raised an error or took too long.
        """
        limit = self._world.limits.operation_seconds
        line = f"print(await anext({self._name}, {_END!r}))"
        try:
            async with asyncio.timeout(limit):
                key = await anext(self.steps)
        except StopAsyncIteration:
            self.ended = True
            self._world.trace.note(f"{line}  # {_END}")
            return False
        except Exception as error:
            self._world.trace.note(f"{line}  # raised {type(error).__name__}")
            raise Violation(
                f"a step of {self.call} raised {type(error).__name__}: {error}"
            ) from error
        self._world.trace.note(f"{line}  # {show(key)}")
        # A key that comes twice ends the walk: a scan that begins anew would never end.
        self.ended = key in self._known
        self._known.add(key)
        self.seen.append(key)
        return not self.ended

    async def take(self, number: int) -> None:
        """Take a number of steps, or as many as there are."""
        for _ in range(number):
            if not await self.step():
                return

    async def rest(self) -> list[str]:
        """Go through to the end; return all that it yielded."""
        while not self.ended:
            await self.step()
        return self.seen

    async def close(self) -> None:
        """Leave the scan as `async for` with `break` and `aclosing` does."""
        self._world.trace.note(f"await {self._name}.aclose()")
        close = getattr(self.steps, "aclose", None)
        if close is not None:
            async with asyncio.timeout(self._world.limits.operation_seconds):
                await close()

    def judge(self, throughout: Collection[str], ever: Iterable[str]) -> None:
        """Require that what was yielded is complete, without doubles, and without strangers.

        Args:
            throughout: The keys that were there all the time.
            ever: Those that were there at any time.
        """
        known, found = set(ever), Counter(self.seen)
        foreign = [key for key in found if key not in known]
        if foreign:
            fail(f"{self.call} yielded {show(foreign[0])}, which was never there")
        doubles = [key for key, times in found.items() if times > 1]
        if doubles:
            fail(f"{self.call} yielded {show(doubles[0])} twice")
        missing = [key for key in throughout if key not in found]
        if missing:
            fail(
                f"{self.call} did not yield {show(missing[0])}, which was there throughout"
                f" ({len(missing)} of {len(throughout)} are missing)"
            )


def _numbered(prefix: str, size: int) -> list[str]:
    """Return keys that sort as they are numbered."""
    return [f"{prefix}{at:04}" for at in range(size)]


def _items(prefix: str, size: int) -> Items:
    source = f"{{f'{prefix}{{at:04}}': 1 for at in range({size})}}"
    return Items(dict.fromkeys(_numbered(prefix, size), 1), source)


# ------------------------------------------------------------------------- a quiet store


@batch_law("S1", corpus=Domain.all_nasty_keys, drawn=Domain.keys, share=0.5)
async def scan_yields_each_key_once(world: World, items: Sequence[str]) -> None:
    """`scan` yields every key, exactly as it was set, in batches of any size."""
    memory = world.memory
    for at, key in enumerate(items):
        await memory.set(key, at)
    for size in (1, 3, 1000):
        found = await memory.scan(batch_size=size)
        expect_keys(found, set(items), f"scan(batch_size={size})")
    expect_keys(await memory.scan(), set(items), "scan()")
    expect_keys(await memory.scan("*"), set(items), "scan('*')")


@law(
    "S1",
    examples=[{"size": size} for size in (0, 1, 2, 3, 10, 24)],
    given={"size": lambda _: st.integers(0, 40)},
    share=0.3,
)
async def batches_of_any_size_make_the_same(world: World, size: int) -> None:
    """Batches of 1, 2, one fewer, as many, one more and far more than there are keys: all keys."""
    memory = world.memory
    keys = _numbered("k", size)
    for key in keys:
        await memory.set(key, 1)
    for batch in dict.fromkeys((1, 2, 3, 5, 7, 8, size - 1, size, size + 1, 2 * size, 10**9)):
        if batch > 0:
            found = await memory.scan("*", batch_size=batch)
            expect_keys(found, keys, f"scan('*', batch_size={batch}) of {size} keys")


def _keys_and_pattern(_: Domain) -> SearchStrategy[tuple[list[str], str]]:
    keys = st.lists(st.text("ab*?[]é", min_size=1, max_size=4), unique=True, max_size=12)
    return st.tuples(keys, st.text("ab*?[]!é", max_size=4))


_SPARSE = [*_numbered("m", 30), "a1", "z1", *_numbered("n", 20), "a2"]


@law(
    "S1",
    given={"drawn": _keys_and_pattern},
    examples=[
        {"drawn": (_SPARSE, pattern)}
        for pattern in ("a*", "z*", "*1", "m*", "n*", "none*", "a1", "", "*", "[az]?", "m00[!0]*")
    ],
)
async def scan_with_a_pattern_yields_what_matches(
    world: World, drawn: tuple[list[str], str]
) -> None:
    """`scan(p)` yields what `keys(p)` returns, also where whole batches hold no match."""
    keys, pattern = drawn
    memory = world.memory
    await memory.set_many(dict.fromkeys(keys, 1))
    # Whether `keys` itself is right about patterns is a matter of P1.
    wanted = await memory.keys(pattern)
    expect_keys(await memory.scan(pattern), wanted, f"scan({show(pattern)})")
    for batch in (1, 2, 5):
        found = await memory.scan(pattern, batch_size=batch)
        expect_keys(found, wanted, f"scan({show(pattern)}, batch_size={batch})")


@law("S1")
async def scan_of_many_keys_is_complete(world: World) -> None:
    """`scan` has no cap: of many entries it yields all, however large the batches are."""
    memory = world.memory
    size = world.limits.many_entries
    items = _items("k", size)
    await memory.set_many(items)
    for batch in (None, 100, 1_000, size):
        options = {} if batch is None else {"batch_size": batch}
        found = await memory.scan("*", **options)
        brief(world)
        expect_keys(found, items, f"scan of {size} keys with the options {options}")


@law("S1", waits=True)
async def scan_leaves_out_what_is_gone(world: World) -> None:
    """What has expired, or was deleted, before the scan began does not appear; a None does."""
    memory = world.memory
    step = 0.5 if world.exact else world.limits.step_seconds
    kept, deleted = _numbered("kept", 5), _numbered("deleted", 5)
    await memory.set_many(dict.fromkeys([*kept, *deleted], None))
    await memory.set_many(dict.fromkeys(_numbered("expired", 5), None), step)
    for key in deleted:
        await memory.delete(key)
    await world.advance(step if world.exact else step + world.limits.margin_seconds)
    # Whether `keys` itself is right about expired keys is a matter of T2.
    listed = await memory.keys()
    for batch in (1, 3, 1000):
        expect_keys(await memory.scan(batch_size=batch), listed, f"scan(batch_size={batch})")


@law("S1")
async def scan_of_a_namespace_stays_inside(world: World) -> None:
    """A namespace's `scan` yields its own keys by the names they have there, and no others."""
    memory = world.memory
    if memory.max_key_bytes < 512 + 16:
        raise NotApplicable("the keys are too short for a namespace")
    view, other = memory.namespace("n"), memory.namespace("nn")
    for key in ("a", "b", "n:a", "*"):
        await view.set(key, 1)
        await other.set(f"{key}x", 1)
    for batch in (1, 3, 1000):
        expect_keys(
            await view.scan(batch_size=batch), ["a", "b", "n:a", "*"], "scan of a namespace"
        )
        expect_keys(await view.scan("n*", batch_size=batch), ["n:a"], "scan('n*') of a namespace")


# ---------------------------------------------------------------------------- arguments


_NO_SIZES: tuple[Any, ...] = (0, -1, True, False, 1.0, 1.5, "10", None, [1], float("inf"), 10j)


@batch_law("S1", corpus=lambda _: _NO_SIZES)
async def what_is_no_batch_size_is_refused(world: World, items: Sequence[Any]) -> None:
    """`scan` raises ConfigurationError for a `batch_size` that is no `int` of at least 1."""
    await world.memory.set("a", 1)
    for wrong in items:
        await world.expect_error(ConfigurationError, "scan", "*", batch_size=wrong)
    expect_keys(await world.memory.scan("*", batch_size=1), ["a"], "scan('*', batch_size=1)")


_NO_PATTERNS: tuple[Any, ...] = (None, 1, b"*", ["*"], "\ud800", "*" * 4_097, "é" * 2_049)


@batch_law("S1", corpus=lambda _: _NO_PATTERNS)
async def a_wrong_pattern_is_refused_at_the_call(world: World, items: Sequence[Any]) -> None:
    """`scan` raises InvalidPatternError when it is called, not when it is first stepped through."""
    for wrong in items:
        call = show_call("memory", "scan", (wrong,), {})
        world.trace.note(f"{call}  # has to raise InvalidPatternError")
        try:
            world.memory.iterate(wrong)
        except InvalidPatternError:
            continue
        except Exception as error:  # noqa: BLE001 (a backend may raise anything)
            fail(f"{call} raised {type(error).__name__}: {error}; expected InvalidPatternError")
        fail(f"{call} raised nothing when it was called; expected InvalidPatternError")


# ------------------------------------------------------------- while others come and go


@dataclass(frozen=True)
class Change:
    """Something that is done between two steps of a scan.

    Attributes:
        name: What it is called.
        make: Does it: called with the backend, the keys that have been yielded, those that have
            not, all of them such as may come and go, and a source of new numbers. Returns the
            keys that have been there since.
        each: Whether it is done after every step, not only after the first.
    """

    name: str
    make: Callable[[Handle, list[str], list[str], count[int]], Awaitable[Collection[str]]]
    each: bool = True

    def __repr__(self) -> str:
        return self.name


async def _add_before(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    key = f"a{next(new):04}"
    await memory.set(key, 1)
    return [key]


async def _add_after(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    key = f"z{next(new):04}"
    await memory.set(key, 1)
    return [key]


async def _add_many(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    added = {f"{place}{next(new):04}": 1 for place in "almz" for _ in range(60)}
    await memory.set_many(added)
    return added


async def _delete_seen(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    for key in seen:
        await memory.delete(key)
    return []


async def _delete_ahead(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    for key in ahead[:1]:
        await memory.delete(key)
    return []


async def _delete_all(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    await memory.delete_many([*seen, *ahead])
    return []


async def _renew_seen(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    for key in seen[-3:]:
        await memory.delete(key)
        await memory.set(key, 2)
    return []


async def _flip_seen(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    for key in seen[:3]:  # gone after one step, there again after the next
        if await memory.exists(key):
            await memory.delete(key)
        else:
            await memory.set(key, 3)
    return []


async def _clear_most(memory: Handle, seen: list[str], ahead: list[str], new: count[int]) -> Any:
    await memory.clear_pattern("*other")
    return []


CHANGES = (
    Change("add_before", _add_before),
    Change("add_after", _add_after),
    Change("add_many", _add_many, each=False),
    Change("delete_seen", _delete_seen),
    Change("delete_ahead", _delete_ahead),
    Change("delete_all", _delete_all, each=False),
    Change("renew_seen", _renew_seen),
    Change("flip_seen", _flip_seen),
    Change("clear_most", _clear_most, each=False),
)
"""What may be done to keys that need not be there throughout."""


def _interleaved() -> list[Mapping[str, Any]]:
    return [
        {"changes": [change], "stable": stable, "others": others, "batch_size": batch}
        for change in CHANGES
        for stable, others, batch in ((6, 14, 1), (14, 6, 1), (8, 12, 5))
    ]


@law(
    "S1",
    examples=_interleaved(),
    given={
        "changes": lambda _: st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3),
        "stable": lambda _: st.integers(1, 20),
        "others": lambda _: st.integers(0, 20),
        "batch_size": lambda _: st.integers(1, 30),
    },
    share=0.5,
)
async def scan_is_complete_while_others_come_and_go(
    world: World, changes: Sequence[Change], stable: int, others: int, batch_size: int
) -> None:
    """While other keys are added and removed, each key that stays is yielded exactly once."""
    memory = world.memory
    # Mixed in their order, too: what a scan goes on from may be any of them.
    kept = [f"k{at:04} kept" for at in range(stable)]
    coming = [f"k{at:04} other" for at in range(others)]
    for at in range(max(stable, others)):  # mixed, in the order in which they are set
        for key in (*kept[at : at + 1], *coming[at : at + 1]):
            await memory.set(key, 1)
    ever = {*kept, *coming}
    walk, new = Walk(world, memory, "*", batch_size), count()
    while await walk.step():
        for change in changes:
            # Not for ever: a scan that yields what is added has to come to an end, too.
            if len(walk.seen) <= (60 if change.each else 1):
                seen = [key for key in walk.seen if key not in kept]
                ahead = [key for key in coming if key not in walk.seen]
                ever.update(await change.make(memory, seen, ahead, new))
    walk.judge(kept, ever)


_REWRITES: Mapping[str, Callable[[Handle, str], Awaitable[object]]] = {
    "set": lambda memory, key: memory.set(key, 2),
    "set_ttl": lambda memory, key: memory.set(key, 2, _LONG),
    "set_longer": lambda memory, key: memory.set(key, "x" * 3_000),
    "set_many": lambda memory, key: memory.set_many({key: 2}),
    "get": lambda memory, key: memory.get(key),
    "touch": lambda memory, key: memory.touch(key, _LONG),
}


def _rewrites(domain: Domain) -> Sequence[Mapping[str, Any]]:
    return [
        {"rewrite": name, "which": which, "batch_size": batch}
        for name in _REWRITES
        if name != "touch" or Capability.TOUCH in domain.capabilities
        for which, batch in (("last", 1), ("first", 1), ("all", 4))
    ]


@law("S1", examples=_rewrites)
async def what_is_used_during_a_scan_appears_once(
    world: World, rewrite: str, which: str, batch_size: int
) -> None:
    """A key that is set anew or read during the scan was there throughout: it appears once."""
    memory = world.memory
    keys = _numbered("k", 9)
    for key in keys:
        await memory.set(key, 1)
    walk = Walk(world, memory, "*", batch_size)
    while await walk.step():
        chosen = {"last": walk.seen[-1:], "first": keys[:1], "all": keys}[which]
        for key in chosen:
            await _REWRITES[rewrite](memory, key)
    walk.judge(keys, keys)


@law("S1", examples=[{"batch_size": 10}, {"batch_size": 100}])
async def scan_is_complete_while_a_large_store_shrinks(world: World, batch_size: int) -> None:
    """While most of many entries are removed, those that stay are yielded, each once."""
    memory = world.memory
    size = world.limits.many_entries
    others = _items("other", size)
    await memory.set_many(others)
    kept = _numbered("kept", 60)
    await memory.set_many(_items("kept", 60))
    walk = Walk(world, memory, "*", batch_size)
    for part in range(4):
        await walk.take(batch_size // 2 + 1)
        gone = f"[f'other{{at:04}}' for at in range({part}, {size}, 4)]"
        await memory.delete_many(Keys(list(others)[part::4], gone))
    await walk.rest()
    walk.judge(kept, {*kept, *others})


@law("S1", waits=True, examples=[{"batch_size": each} for each in (1, 4, 1000)])
async def scan_is_complete_while_others_expire(world: World, batch_size: int) -> None:
    """While other keys expire, each key that stays is yielded exactly once."""
    memory = world.memory
    step = 0.5 if world.exact else world.limits.step_seconds
    kept, others = _numbered("kept", 12), _numbered("other", 12)
    for one, other in zip(kept, others, strict=True):
        await memory.set(one, 1)
        await memory.set(other, 1, step)
    walk = Walk(world, memory, "*", batch_size)
    await walk.take(5)
    await world.advance(step if world.exact else step + world.limits.margin_seconds)
    await walk.take(3)
    await memory.set("another", 1)  # which clears up in passing, in some stores
    await walk.rest()
    walk.judge(kept, {*kept, *others, "another"})


# ---------------------------------------------------------------------- several, and early


@law("S1", examples=[{"sizes": sizes} for sizes in ((1, 1), (2, 3), (5, 1), (1000, 2))])
async def two_scans_at_once_do_not_disturb_each_other(world: World, sizes: tuple[int, int]) -> None:
    """Scans that are gone through in turns are each complete."""
    memory = world.memory
    keys = _numbered("k", 12)
    await memory.set_many(_items("k", 12))
    one = Walk(world, memory, "*", sizes[0], "one")
    other = Walk(world, memory, "*", sizes[1], "other")
    while not (one.ended and other.ended):
        for walk in (one, other):
            if not walk.ended:
                await walk.step()
    one.judge(keys, keys)
    other.judge(keys, keys)


@law("S1")
async def scans_of_several_tasks_are_complete(world: World) -> None:
    """Scans that several tasks make at once are each complete, while another task writes."""
    memory = world.memory
    keys = _numbered("k", 20)
    await memory.set_many(_items("k", 20))

    async def write() -> list[str]:
        for at in range(20):
            await memory.set(f"new{at}", 1)
            await memory.delete(f"new{at}")
        return []

    found = await asyncio.gather(
        *(memory.scan("k*", batch_size=size) for size in (1, 2, 7, 1000)), write()
    )
    for listed in found[:-1]:
        expect_keys(listed, keys, "scan('k*') of one of several tasks")


@law(
    "S1", examples=[{"taken": taken, "closed": closed} for taken in (0, 1, 4) for closed in (0, 1)]
)
async def a_scan_that_is_left_early_is_in_nobody_s_way(
    world: World, taken: int, closed: bool
) -> None:
    """After a scan that was left before its end everything works, closing the backend included."""
    memory = world.memory
    keys = _numbered("k", 9)
    for key in keys:
        await memory.set(key, 1)
    walk = Walk(world, memory, "*", 2)
    await walk.take(taken)
    if closed:
        await walk.close()
    await memory.set("new", 1)
    expect(await memory.get("new"), 1, "get('new') after a scan was left early")
    expect_keys(await memory.scan(batch_size=2), [*keys, "new"], "scan() after one was left early")
    expect(await memory.delete_many(keys), len(keys), "delete_many of the scanned keys")
    await memory.clear()
    expect_keys(await memory.keys(), [], "keys() after clear")
    await memory.aclose()


@law("S1", examples=[{"turns": turns} for turns in range(5)])
async def a_cancelled_scan_leaves_nothing_behind(world: World, turns: int) -> None:
    """A scan whose task is cancelled does not disturb what comes after it."""
    memory = world.memory
    keys = _numbered("k", 12)
    await memory.set_many(_items("k", 12))
    world.trace.note("# a task that scans is cancelled:")
    task = asyncio.create_task(memory.scan("*", batch_size=1))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    for _ in range(2):
        expect_keys(await memory.scan("*", batch_size=5), keys, "scan() after one was cancelled")
    await memory.delete_many(keys[1:])
    expect_keys(await memory.scan(), keys[:1], "scan() after delete_many")
