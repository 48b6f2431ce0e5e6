"""Clause D2: what a killed process has acknowledged is there, and nothing is torn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

from fastadk_memory.base import Capability, MemoryBackend
from fastadk_memory.contract.bench import Bench
from fastadk_memory.contract.children.processes import Line, Victim, Zygote, lines_to_try, where
from fastadk_memory.contract.children.writes import LONG, State, Write, observed, random_writes
from fastadk_memory.contract.compare import expect, expect_keys
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import campaign
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import NotApplicable, Violation
from fastadk_memory.contract.world import World

Opener = Callable[[], MemoryBackend]

_NEIGHBOURS = ("neighbour-1", "neighbour-2")
_QUICK_OWN, _QUICK_OTHER = 24, 5
"""How many lines a quick run tries: of the backend's modules, of the core's."""

_KILLS_AT_ONCE = 20

_SIZES = (20, 5_000, 70_000)


# ---------------------------------------------------------------- right after the answer


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_write_survives_a_kill_right_after_it_returned(bench: Bench) -> None:
    """A process that is killed as soon as a write has returned has written it."""

    async def body(world: World) -> None:
        async with _Sweep.of(world) as sweep:
            for method in _usable(world, *_SINGLE, *_MANY):
                for size, ttl in zip(_SIZES, (None, LONG, None), strict=True):
                    await sweep.trial(Write(method, _keys(method), size=size, ttl=ttl))

    bench.example(body)


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_first_write_survives_a_kill_right_after_it_returned(bench: Bench) -> None:
    """The same of a key that was absent, in a store that was empty."""

    async def body(world: World) -> None:
        async with _Sweep.of(world) as sweep:
            for method in _usable(world, "set", "set_many", "set_entry", "compare_and_set"):
                for size in _SIZES[:2]:
                    await sweep.trial(Write(method, _keys(method), size=size), over=None)

    bench.example(body)


# ------------------------------------------------------------------ at every single line


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_set_killed_at_any_line_leaves_the_old_value_or_the_new(bench: Bench) -> None:
    """A process killed at any executed line of `set` leaves the old value or the new one."""
    # The expiry belongs to the value: each of these gains one, or loses one.
    bench.example(
        _at_every_line,
        profile=bench.profile,
        writes=[Write("set", ("key",), size=5_000), Write("set", ("key",), ttl=LONG)],
    )


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_set_many_killed_at_any_line_leaves_old_values_or_new(bench: Bench) -> None:
    """A process killed at any executed line of `set_many` leaves each key old or new."""
    bench.example(
        _at_every_line,
        profile=bench.profile,
        writes=[Write("set_many", _keys("set_many"), size=300)],
    )


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_delete_killed_at_any_line_has_deleted_or_has_not(bench: Bench) -> None:
    """A process killed at any executed line of a delete leaves the old value or nothing."""
    bench.example(
        _at_every_line,
        profile=bench.profile,
        writes=[Write("delete", ("key",)), Write("delete_many", _keys("delete_many"))],
    )


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_compare_and_set_killed_at_any_line_leaves_old_or_new(bench: Bench) -> None:
    """A process killed at any executed line of `compare_and_set` leaves the old value or the new.

    So it is with `set_entry` and `touch`, where they are declared.
    """
    bench.example(
        _at_every_line,
        profile=bench.profile,
        writes=[
            Write("compare_and_set", ("key",)),
            Write("set_entry", ("key",), ttl=LONG),
            Write("touch", ("key",), ttl=LONG),
        ],
    )


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_kill_while_a_store_is_made_leaves_it_usable(bench: Bench) -> None:
    """A process killed at any executed line of opening a new store leaves one that works."""

    async def body(world: World) -> None:
        async with _Sweep.of(world) as sweep:
            write = Write("set", ("key",))
            # The store that is tried first is the one of `world.memory`, which is new, too.
            lines = await sweep.new_store(world.opener(), write, None)
            for at in _chosen(lines, bench.profile.name == "quick"):
                other = await world.fresh(f"store{at}")
                await sweep.new_store(world.hooks.opener(other.backend), write, at, lines[at])

    bench.example(body)


async def _at_every_line(world: World, profile: object, writes: Sequence[Write]) -> None:
    """Let processes carry out a write, and be killed at one line after another."""
    quick = getattr(profile, "name", "") == "quick"
    usable = _usable(world, *(write.method for write in writes))
    if not usable:
        raise NotApplicable("the backend declares none of the capabilities for it")
    async with _Sweep.of(world) as sweep:
        for write in writes:
            if write.method not in usable:
                continue
            lines = await sweep.trial(write)
            for at in _chosen(lines, quick):
                await sweep.trial(write, kill_at=at, line=lines[at])


def _chosen(lines: Sequence[Line], quick: bool) -> list[int]:
    return lines_to_try(lines, _QUICK_OWN if quick else None, _QUICK_OTHER)


# ------------------------------------------------------------------- at random moments


@campaign("D2", needs=Capability.DURABLE_PROCESS)
def a_process_killed_at_random_has_kept_what_it_acknowledged(bench: Bench) -> None:
    """Processes write, acknowledge, and are killed at random: what was acknowledged is there."""
    # Each portion on a store of its own, as the time for one example is limited.
    for first in range(0, bench.profile.kills, _KILLS_AT_ONCE):
        kills = min(_KILLS_AT_ONCE, bench.profile.kills - first)
        bench.example(_killed_at_random, first=first, kills=kills)


async def _killed_at_random(world: World, first: int, kills: int) -> None:
    opener, limit = world.opener(), world.limits.operation_seconds
    usable = {method: method in _usable(world, method) for method in _SINGLE}
    await world.memory.aclose()
    ledger = _Ledger()
    async with Zygote(opener, limit, "a process that writes") as zygote:
        for number in range(first, first + kills):
            random = Random(number)
            plans = [
                random_writes(random, _plan_keys(number, task), 1 + 1_000 * task, 300, usable)
                for task in range(2)
            ]
            async with zygote.victim(plans) as victim:
                await _let_it_write(victim, plans, ledger, random)
            async with _opened(opener, limit) as memory:
                await ledger.check(memory, _plan_keys(number, 0) + _plan_keys(number, 1))
                await _expect_writable(memory)
    async with _opened(opener, limit) as memory:
        await ledger.check(memory)


def _plan_keys(number: int, task: int) -> tuple[str, ...]:
    # New keys each time: what a server still has of a dead client comes too late to disturb.
    return tuple(f"{number}-{task}-{letter}" for letter in "abcd")


async def _let_it_write(
    victim: Victim, plans: Sequence[Sequence[Write]], ledger: _Ledger, random: Random
) -> None:
    """Kill the victim at a random moment, and enter what it has acknowledged."""
    done = [0] * len(plans)
    moment = random.randint(1, 80)
    while (acknowledged := await victim.acknowledged()) is not None:
        task, at = acknowledged
        ledger.enter(plans[task][at])
        done[task] = at + 1
        if sum(done) == moment:
            await asyncio.sleep(random.random() / 500)
            victim.kill()
    if victim.failure is not None:
        raise Violation(f"a process that writes, and was not killed yet, got {victim.failure}")
    for plan, at in zip(plans, done, strict=True):
        for write in plan[at : at + 1]:
            ledger.enter(write, acknowledged=False)


# --------------------------------------------------------------------- what may be seen


@dataclass
class _Ledger:
    """What each key may hold, given which writes were acknowledged."""

    may: dict[str, set[State]] = field(default_factory=dict[str, set[State]])
    told: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def enter(self, write: Write, *, acknowledged: bool = True, line: Line | None = None) -> None:
        """Enter a write that was acknowledged, or one that the kill may have interrupted."""
        for key in write.keys:
            before = self.may.get(key, {None})
            after = {write.effect(state) for state in before}
            self.may[key] = after if acknowledged else before | after
            told = self.told.setdefault(key, [])
            told.append(f"await memory.{write}")
            if not acknowledged:
                at = "" if line is None else f", before {where(line)}"
                told.append(f"# Killed during this call{at}")

    async def check(self, memory: Handle, keys: Sequence[str] = ()) -> None:
        """Look whether keys hold what they may; all of them without any.

        Raises:
            Violation: One does not.
        """
        there: list[str] = []
        for key in keys or list(self.may):
            try:
                state = await observed(memory, key)
            except Violation as torn:
                raise Violation(str(torn), history=self.history(key, f"# {torn}")) from None
            except Exception as error:  # noqa: BLE001 (a backend may raise anything)
                told = f"{type(error).__name__}: {error}"
                seen = self.history(key, f"# reading {key!r} raises {told}")
                raise Violation(f"after the kill {key!r} raises {told}", history=seen) from None
            if state not in self.may.get(key, {None}):
                raise self._wrong(key, state)
            there += [key] * (state is not None)
        found = await memory.keys()
        looked_for = [key for key in found if not keys or key in keys]
        try:
            expect_keys(looked_for, there, "keys() after the kill")
        except Violation as violation:
            wrong = sorted(set(there) ^ set(looked_for)) or there
            violation.history = self.history(wrong[0], "print(await memory.keys())")
            raise

    def _wrong(self, key: str, state: State) -> Violation:
        allowed = " or ".join(sorted(map(_told, self.may.get(key, {None}))))
        return Violation(
            f"after the kill {key!r} is {_told(state)}, expected {allowed}",
            history=self.history(key, f"print(await memory.get({key!r}))  # {_told(state)}"),
        )

    def history(self, key: str, seen: str) -> str:
        """Return what was done to a key, and what is seen of it in a new process."""
        told = self.told.get(key, [])[-6:]
        killed = [] if told and told[-1].startswith("#") else ["# Killed after that"]
        return "\n".join(
            ["# In a process of its own:", *told, *killed, "# Opened anew, in another one:", seen]
        )


def _told(state: State) -> str:
    return "absent" if state is None else str(state)


# -------------------------------------------------------------------- one write, one kill


class _Sweep:
    """Trials on one store: a process carries out one write, and is killed.

    Each trial has keys of its own, so that no trial can mend what another one broke.
    """

    def __init__(self, opener: Opener, zygote: Zygote, limit: float, old: str) -> None:
        self._opener = opener
        self._zygote = zygote
        self._limit = limit
        self._old = old
        self._trials = 0
        self._ledger = _Ledger()
        self._set_neighbours = False

    @classmethod
    @asynccontextmanager
    async def of(cls, world: World) -> AsyncGenerator[_Sweep]:
        """Begin on the store of `world.memory`, which is closed: one process at a time."""
        opener, limit = world.opener(), world.limits.operation_seconds
        old = "set_entry" if world.memory.declares(Capability.ENTRIES) else "set"
        await world.memory.aclose()
        async with Zygote(opener, limit, "a process that writes") as zygote:
            yield cls(opener, zygote, limit, old)

    async def trial(
        self,
        write: Write,
        *,
        over: int | None = 10,
        kill_at: int | None = None,
        line: Line | None = None,
    ) -> list[Line]:
        """Let a process carry out `write`, killed at a line or right after it; look what is there.

        Args:
            write: What it does; its keys and number are made its own.
            over: The number of the old value; `None` for none.
            kill_at: See `Zygote.written`.
            line: Where that is.

        Returns:
            The lines that were executed.
        """
        self._trials += 1
        keys = tuple(f"{key}-{self._trials}" for key in write.keys)
        write = replace(write, keys=keys, number=11)
        if over is not None:
            # One of the keys of a batch is new, the others have an old value.
            held = keys[:2] if write.method == "set_many" else keys
            await self._prepare(Write(self._old, held, over, ttl=None if write.ttl else LONG))
        lines = await self._zygote.written(write, kill_at)
        self._ledger.enter(write, acknowledged=lines is not None, line=line)
        async with _opened(self._opener, self._limit) as memory:
            touched = [*keys, *(_NEIGHBOURS if over is not None else ())]
            await self._ledger.check(memory, touched)
            await _expect_writable(memory)
        return lines or []

    async def _prepare(self, old: Write) -> None:
        """Write the old values, and those of the neighbours."""
        writes = [replace(old, keys=(key,)) for key in old.keys]
        if not self._set_neighbours:
            writes += [Write("set", (key,), 1) for key in _NEIGHBOURS]
            self._set_neighbours = True
        async with _opened(self._opener, self._limit) as memory:
            for write in writes:
                await _carry_out(memory, write)
                self._ledger.enter(write)

    async def new_store(
        self,
        opener: Opener,
        write: Write,
        kill_at: int | None,
        line: Line | None = None,
    ) -> list[Line]:
        """Let a process open a new store and write to it, killed on the way; look what is there."""
        write = replace(write, number=1)
        lines = await self._zygote.written(write, kill_at, opening=True, opener=opener)
        ledger = _Ledger()
        ledger.enter(write, acknowledged=lines is not None, line=line)
        try:
            async with _opened(opener, self._limit) as memory:
                await ledger.check(memory)
                await _expect_writable(memory)
        except Violation as violation:
            if violation.history is None:
                violation.history = ledger.history(write.keys[0], f"# {violation}")
            raise
        return lines or []


async def _carry_out(memory: Handle, write: Write) -> None:
    from fastadk_memory.contract.children.writes import prepared

    await (await prepared(memory, write))()


async def _expect_writable(memory: Handle) -> None:
    """The store can be written to after the kill."""
    await memory.set("afterwards", 1)
    expect(await memory.get("afterwards"), 1, "get of what was set after the kill")
    await memory.delete("afterwards")


@asynccontextmanager
async def _opened(opener: Opener, limit: float) -> AsyncGenerator[Handle]:
    """Open the store here, as the next process would, and close it again."""
    trace = Trace()
    memory = Handle(opener(), trace, "memory", limit)
    try:
        yield memory
    except Violation:
        raise
    except Exception as error:
        call = trace.failed_call(error)
        if call is None:
            raise
        told = f"{type(error).__name__}: {error}"
        raise Violation(f"after the kill {call} raised {told}") from error
    finally:
        await memory.aclose()


# ------------------------------------------------------------------------- which writes

_SINGLE = {
    "set": None,
    "delete": None,
    "set_entry": Capability.ENTRIES,
    "compare_and_set": Capability.CAS,
    "touch": Capability.TOUCH,
}
_MANY = {"set_many": None, "delete_many": None}


def _keys(method: str) -> tuple[str, ...]:
    return ("key-1", "key-2", "key-3") if method in _MANY else ("key",)


def _usable(world: World, *methods: str) -> list[str]:
    """Return those of the methods that the backend declares."""
    needs = {**_SINGLE, **_MANY}
    return [each for each in methods if needs[each] in (None, *world.memory.capabilities)]
