"""`Draws`: what may be drawn for a random sequence of operations on one backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, product
from typing import TYPE_CHECKING, Any, NamedTuple

from fastadk_memory.base import Capability
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.stateful.actions import Action, Move, available
from fastadk_memory.contract.stateful.model import Model
from fastadk_memory.contract.stateful.seat import LOOKS, Seat

if TYPE_CHECKING:
    from fastadk_memory.contract.world import World

__all__ = ["FRESH", "NAMES", "Aside", "Draws"]

FRESH = "another value each time"
"""Stands for a value that nothing else in the sequence has."""

NAMES = ("a", "ab", "a:b")
"""The names of the namespaces that take part."""

_EMPTY: tuple[Any, ...] = (None, 0, "", False, [], {})
_EXACT = (None, 2, 0.5, 8, None, 2, 3_600)
_LONG = (None, 60, 3_600, 1e6)
_PATTERNS = ("a*", "*", "a", "?", "a[*]", "[!a]", "*b", "z*", "")
_ROUNDS = 5  # how often an action of weight 1 stands in the list of all moves

# Mostly the same key, so that operations meet; where one key is enough, the first counts.
_KEYS = (
    ("a", "b"), ("b", "a", "ab"), ("a", "ab"), ("a",), ("ab", "a"), ("a", "a", "c"), ("a", "b"),
    ("a*", "b"), ("a", "b"),
)  # fmt: skip


class Aside(NamedTuple):
    """What is drawn beside an operation.

    Attributes:
        keys: The keys that it is about.
        who: A number that chooses who does it.
        look: In which way the next client then looks at these keys, if it does.
    """

    keys: tuple[str, ...]
    who: int
    look: int | None


@dataclass(frozen=True)
class Draws:
    """What may be drawn for one backend.

    The lists are short enough for Hypothesis to draw evenly from them: from longer ones it
    prefers what stands first.

    Attributes:
        moves: All operations, each action as often as its weight says; the first does nothing.
        seeds: Operations that store something to begin with.
        asides: What is drawn beside each of them.
        stages: Who takes part: `one` client, `two` clients, or several namespaces, `names`.
    """

    moves: Sequence[Move]
    seeds: Sequence[Move]
    asides: Sequence[Aside]
    stages: Sequence[str]

    @classmethod
    def for_backend(cls, world: World, domain: Domain) -> Draws:
        """Return what may be drawn for the backend of a world."""
        exact, provides = world.exact, world.hooks.provides
        actions = available(Seat(world, world.memory, Model(world)))
        # In real time nothing expires: what is seen must not depend on how long it took.
        actions = [action for action in actions if exact or action.name != "pass"]
        if provides("reopen") and world.memory.declares(Capability.PERSISTENT):
            actions.append(Action("reopen", _nothing, 1))
        ttls = _EXACT if exact else _LONG
        stages = ["one"] * 2 + ["two"] * provides("second")
        stages += ["names"] * all(map(domain.has_room, NAMES))
        seeds = [Move("set", keys, FRESH, ttl) for ttl in ttls for keys in _KEYS[:2]]
        return cls(_interleaved(actions, ttls), seeds, _asides(), stages)


async def _nothing(seat: Seat, move: Move) -> None:
    """Do nothing: the machine itself opens the store again."""


def _interleaved(actions: Sequence[Action], ttls: Sequence[Any]) -> list[Move]:
    """Return the operations, those of all actions mixed, and the simpler ones of each first."""
    endless = {action.name: cycle(_variants(action.name, ttls)) for action in actions}
    moves = [Move("rest")]
    for _ in range(_ROUNDS):
        for action in actions:
            moves += islice(endless[action.name], action.weight)
    return moves


def _variants(action: str, ttls: Sequence[Any]) -> list[Move]:
    """Return an operation with all the arguments that are tried."""
    metadata: tuple[Mapping[str, Any], ...] = ({"m": 1}, {}, {"n": [None]})
    fields: dict[str, dict[str, Sequence[Any]]] = {
        "set": {"ttl": ttls},
        "set_entry": {"metadata": metadata, "ttl": ttls},
        "compare_and_set": {"expect": ("right", "absent", "right", "stale", "right"), "ttl": ttls},
        "set_many": {"ttl": ttls},
        "touch": {"ttl": ttls},
        "clear_pattern": {"pattern": _PATTERNS},
        "keys": {"pattern": _PATTERNS},
        "scan": {"pattern": _PATTERNS},
        "pass": {"to": ("at", "before", "at", "after", "at", "on")},
    }
    chosen = fields.get(action, {})
    diagonal = sorted(product(*(range(len(each)) for each in chosen.values())), key=sum)
    moves = [
        Move(action, value=FRESH, **{n: chosen[n][at] for n, at in zip(chosen, place, strict=True)})
        for place in diagonal
    ]
    if action == "set":
        moves += [Move(action, value=value, ttl=ttls[1]) for value in _EMPTY]
    return moves


def _asides() -> list[Aside]:
    looks = [*[None] * len(LOOKS), *range(len(LOOKS))]
    return [Aside(*each) for each in product(_KEYS, range(len(NAMES) + 1), looks)]
