"""Many keys and items as arguments, with a counterexample that can still be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastadk_memory.contract.show import Name
from fastadk_memory.contract.trace import Call
from fastadk_memory.contract.world import World

__all__ = ["Items", "Keys", "brief", "numbered"]


class Items(dict[Any, Any]):
    """A `dict` that is shown as the expression that makes it.

    Args:
        items: What it holds.
        source: The expression.
    """

    def __init__(self, items: Mapping[Any, Any], source: str) -> None:
        super().__init__(items)
        self._source = source

    def __repr__(self) -> str:
        return self._source


class Keys(list[Any]):
    """A `list` that is shown as the expression that makes it.

    Args:
        keys: What it holds.
        source: The expression.
    """

    def __init__(self, keys: Iterable[Any], source: str) -> None:
        super().__init__(keys)
        self._source = source

    def __repr__(self) -> str:
        return self._source


def brief(world: World, kind: str = "keys") -> None:
    """Let the script show only how many the last call returned, not all of them."""
    call = world.trace.steps[-1]
    if isinstance(call, Call) and isinstance(call.result, (list, dict)):
        call.result = Name(f"{len(call.result)} {kind}")


def numbered(size: int) -> Items:
    """Return many items: `key0` with the value 0, and so on."""
    source = f"{{f'key{{at}}': at for at in range({size})}}"
    return Items({f"key{at}": at for at in range(size)}, source)
