"""The operations of a memory as data: how each is done to a client and to the model of it.

Answers of calls that change something are judged here, those of calls that read in `seat`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from fastadk_memory.base import ABSENT, Absent, Capability, Ttl, Version
from fastadk_memory.contract.show import show
from fastadk_memory.contract.stateful.seat import Seat
from fastadk_memory.contract.timing.lifespan import BLINK, Fate
from fastadk_memory.errors import ConflictError

__all__ = ["ACTIONS", "Action", "Move", "available"]


@dataclass(frozen=True, slots=True)
class Move:
    """One operation to carry out; each action uses those of the arguments that it knows.

    Attributes:
        action: The name of the action.
        keys: The keys; where one is enough, the first.
        value: What to store; the second of several keys gets a list of it.
        ttl: The TTL to pass.
        metadata: What to store beside the value.
        pattern: The pattern.
        expect: What `compare_and_set` expects: `right` is what there is, `absent` that there
            is nothing, `stale` a version from before, or no version of anything.
        to: Where a step in time leads: `before`, `at` or `after` the next expiry; `on`, a
            little further; or `over`, until the TTL of the move is over.
    """

    action: str
    keys: tuple[str, ...] = ("a",)
    value: Any = 1
    ttl: Ttl | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pattern: str = "*"
    expect: str = "right"
    to: str = "at"

    @property
    def key(self) -> str:
        """The first key."""
        return self.keys[0]


@dataclass(frozen=True, slots=True)
class Action:
    """A kind of operation.

    Attributes:
        name: What it is called: the method, or `pass`.
        play: Does it, and judges the answer.
        weight: How often it comes in a random sequence.
        needs: The capability that it belongs to.
        clauses: It is left out if one of these is waived: what follows would be unknown.
    """

    name: str
    play: Callable[[Seat, Move], Awaitable[None]]
    weight: int = 1
    needs: Capability | None = None
    clauses: tuple[str, ...] = ()


def available(seat: Seat) -> list[Action]:
    """Return the actions that a client's capabilities and waivers leave."""
    declares, waived = seat.handle.declares, seat.world.waived
    return [
        action
        for action in ACTIONS.values()
        if (action.needs is None or declares(action.needs)) and not any(map(waived, action.clauses))
    ]


# ------------------------------------------------------------------------------ writing


async def _set(seat: Seat, move: Move) -> None:
    seat.model.count("set", [move.key])
    _, span = await seat.ask("set", move.key, move.value, move.ttl)
    seat.model.store(move.key, move.value, move.ttl, span.began, "set")


async def _set_many(seat: Seat, move: Move) -> None:
    values = [move.value, [move.value], [[move.value]]]
    items = dict(zip(move.keys, values, strict=False))
    seat.model.count("set_many", items)
    _, span = await seat.ask("set_many", items, move.ttl)
    for key, value in items.items():
        seat.model.store(key, value, move.ttl, span.began, "set_many")


async def _set_entry(seat: Seat, move: Move) -> None:
    seat.model.count("set_entry", [move.key])
    entry, span = await seat.ask(
        "set_entry", move.key, move.value, move.ttl, metadata=move.metadata
    )
    seat.model.store(
        move.key, move.value, move.ttl, span.began, "set_entry", metadata=move.metadata
    )
    told = f"the answer of set_entry({show(move.key)}, ...)"
    seat.judge_entry(move.key, entry, span, told)


async def _compare_and_set(seat: Seat, move: Move) -> None:
    key, model = move.key, seat.model
    expected = await _expectation(seat, key, move.expect)
    model.count(f"compare_and_set, {move.expect},", [key])
    cell, since = model.slot(key).cell, model.now()
    given: dict[str, Any] = {"expect": expected, "ttl": move.ttl}
    try:
        version, span = await seat.ask("compare_and_set", key, move.value, **given)
    except ConflictError:
        version, span = None, type(since)(since.began, model.world.now())
    call = seat.world.trace.steps[-1]
    fate = model.fate(key, span)
    fits = cell is not None and expected == cell.version
    wanted = fate is Fate.GONE if expected is ABSENT else fits and fate is Fate.ALIVE
    open_ended = fate is Fate.EITHER and (expected is ABSENT or fits)
    if not open_ended and (version is not None) is not wanted:
        told = "raised ConflictError" if version is None else f"returned {show(version)}"
        fitting = "fits" if wanted else "does not fit"
        seat.deny("U1", f"{call} {told}, but what it expects {fitting}: {_found(seat, key)}")
    if version is None:
        if open_ended and fits:
            model.expire(key)
        return model.tried(key, "compare_and_set")
    if type(version) is not str or version in model.slot(key).versions:
        seat.deny("U1", f"{call} returned {show(version)}, expected a version never seen before")
    model.store(key, move.value, move.ttl, span.began, "compare_and_set", version=version)
    return None


def _found(seat: Seat, key: str) -> str:
    """Tell what there is under a key for `compare_and_set` to find."""
    slot = seat.model.slot(key)
    if seat.model.fate(key, seat.model.now()) is Fate.GONE or slot.cell is None:
        return f"there is nothing under {show(key)}"
    return f"{slot.cell.made_by} gave {show(key)} the version {show(slot.cell.version)}"


async def _expectation(seat: Seat, key: str, kind: str) -> Version | Absent:
    """Return something for `compare_and_set` to expect."""
    slot, gone = seat.model.slot(key), seat.model.fate(key, seat.model.now()) is Fate.GONE
    if kind == "absent" or (kind == "right" and gone):
        return ABSENT
    cell = None if gone else slot.cell
    if kind == "right" and cell is not None:
        if cell.version is None:
            await seat.get_entry(key)
        return cell.version or ABSENT
    current = None if cell is None else cell.version
    older = [version for version in slot.versions if version != current]
    return older[-1] if older else "no version of anything"


async def _touch(seat: Seat, move: Move) -> None:
    key, model = move.key, seat.model
    model.count("touch", [key])
    seen, span = await seat.ask("touch", key, move.ttl)
    fate = model.fate(key, span)
    told = f"touch({show(key)}, {show(move.ttl)}) is {show(seen)}"
    if type(seen) is not bool:
        seat.deny("M1", f"{told}, expected a bool")
    elif seen and fate is Fate.GONE:
        seat.deny("M1", f"{told}, but there is nothing under {show(key)}: nothing was changed")
    elif not seen and fate is Fate.ALIVE:
        seat.judge_presence(key, False, span, "touch", told)
    if seen is True and fate is not Fate.GONE:
        model.touch(key, move.ttl, span.began)
    elif fate is Fate.EITHER:
        model.expire(key)
    else:
        model.tried(key, "touch")


# ----------------------------------------------------------------------------- removing


async def _delete(seat: Seat, move: Move) -> None:
    seat.model.count("delete", [move.key])
    await seat.ask("delete", move.key)
    seat.model.remove([move.key], "delete")


async def _delete_many(seat: Seat, move: Move) -> None:
    keys = list(dict.fromkeys(move.keys))
    seat.model.count("delete_many", keys)
    seen, span = await seat.ask("delete_many", list(move.keys))
    fates = [seat.model.fate(key, span) for key in keys]
    least = fates.count(Fate.ALIVE)
    most = least + fates.count(Fate.EITHER)
    if type(seen) is not int or not least <= seen <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        seat.deny("B1", f"{seat.world.trace.steps[-1]} is {show(seen)}, expected {wanted}")
    seat.model.remove(keys, "delete_many")


async def _clear(seat: Seat, move: Move) -> None:
    seat.model.count("clear", seat.model.slots)
    await seat.ask("clear")
    seat.model.remove(seat.model.slots, "clear")


async def _clear_pattern(seat: Seat, move: Move) -> None:
    matching = [key for key in seat.model.slots if fnmatchcase(key, move.pattern)]
    seat.model.count("clear_pattern", matching)
    await seat.ask("clear_pattern", move.pattern)
    seat.model.remove(matching, "clear_pattern")


# --------------------------------------------------------------------- reading and time


def _reading(method: str) -> Callable[[Seat, Move], Awaitable[None]]:
    async def read(seat: Seat, move: Move) -> None:
        seat.model.count(method, [move.key])
        await getattr(seat, method)(move.key)

    return read


async def _get_many(seat: Seat, move: Move) -> None:
    seat.model.count("get_many", move.keys)
    await seat.get_many(*move.keys)


def _listing(method: str) -> Callable[[Seat, Move], Awaitable[None]]:
    async def read(seat: Seat, move: Move) -> None:
        seat.model.count(
            method, [key for key in seat.model.slots if fnmatchcase(key, move.pattern)]
        )
        await getattr(seat, method)(move.pattern)

    return read


async def _pass(seat: Seat, move: Move) -> None:
    """Let time pass; only where it is moved by hand."""
    if move.to == "over":
        return await seat.world.advance(float(move.ttl))  # type: ignore[arg-type]
    expiry, now = seat.model.next_expiry(), seat.world.now()
    seat.model.tally[f"pass {move.to}{'' if expiry is None else ' an expiry'}"] += 1
    if move.to == "on" or expiry is None:
        return await seat.world.advance(0.25)
    target = expiry + {"before": -BLINK, "at": 0, "after": BLINK}[move.to]
    return await seat.world.advance(target - now)


_T = ("T2", "T3")
ACTIONS: dict[str, Action] = {
    action.name: action
    for action in (
        Action("set", _set, 12),
        Action("set_entry", _set_entry, 6, Capability.ENTRIES),
        Action("compare_and_set", _compare_and_set, 8, Capability.CAS, ("U1",)),
        Action("set_many", _set_many, 5, clauses=("B1",)),
        Action("touch", _touch, 8, Capability.TOUCH, ("M1",)),
        Action("delete", _delete, 4, clauses=("C4",)),
        Action("delete_many", _delete_many, 3, clauses=("B1",)),
        Action("clear_pattern", _clear_pattern, 3, clauses=("C2", "P1")),
        Action("clear", _clear, 2, clauses=("C1",)),
        Action("pass", _pass, 16, clauses=_T),
        Action("get", _reading("get"), 2),
        Action("exists", _reading("exists")),
        Action("ttl", _reading("ttl")),
        Action("get_entry", _reading("get_entry")),
        Action("get_many", _get_many, clauses=("B1",)),
        Action("keys", _listing("keys"), clauses=("P1",)),
        Action("scan", _listing("scan"), clauses=("P1", "S1")),
    )
}
"""Every action by its name."""
