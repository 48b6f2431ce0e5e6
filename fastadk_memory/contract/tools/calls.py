"""`Sample`: one right call of each method, for laws that hold all methods to something."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.handle import Handle

__all__ = ["OPENING", "SAMPLES", "Sample", "outcomes", "pass_turns", "samples"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One call, with arguments that are right on any store.

    Attributes:
        method: The method's name.
        args: Its arguments.
        kwargs: Its keyword arguments.
        needs: The capability that it belongs to.
        source: The arguments as Python source, where that is shorter.
    """

    method: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    needs: Capability | None = None
    source: tuple[str, ...] = ()

    async def make(self, handle: Handle) -> Any:
        """Make the call; a scan goes through to its end."""
        if self.method == "scan":
            return await handle.scan(*self.args, **self.kwargs)
        return await handle.call(self.method, *self.args, **self.kwargs)


SAMPLES = (
    Sample("set", ("a", "new")),
    Sample("get", ("a",)),
    Sample("delete", ("b",)),
    Sample("exists", ("a",)),
    Sample("keys"),
    Sample("keys", ("a*",)),
    Sample("clear_pattern", ("b*",)),
    Sample("ttl", ("a",)),
    Sample("get_entry", ("a",)),
    Sample("get_many", (["a", "b"],)),
    Sample("set_many", ({"c": 1, "d": 2},)),
    Sample("delete_many", (["b", "c"],)),
    Sample("scan"),
    Sample("set_entry", ("a", "new"), {"metadata": {"m": 1}}, Capability.ENTRIES),
    Sample("compare_and_set", ("e", 1), {"expect": ABSENT}, Capability.CAS),
    Sample("touch", ("a", 60), {}, Capability.TOUCH),
    Sample("clear"),
)
"""Every method that does something to entries. They make do with keys `a` to `e`."""

OPENING = (Sample("open"), Sample("__aenter__"))
"""What opens, and does nothing to entries."""


def samples(capabilities: Collection[Capability], *without: str) -> list[Sample]:
    """Return the samples that a backend with these capabilities must serve.

    Args:
        capabilities: What it declares.
        without: Methods to leave out.
    """
    return [
        each
        for each in SAMPLES
        if each.method not in without and (each.needs is None or each.needs in capabilities)
    ]


async def outcomes(calls: Collection[Awaitable[Any]]) -> list[Any]:
    """Make calls all at once; return what each returned, or the `Exception` that it raised."""
    return await asyncio.gather(*calls, return_exceptions=True)


async def pass_turns(number: int, until: Callable[[], bool] = lambda: False) -> None:
    """Let the event loop go round a number of times, or `until` something is so."""
    for _ in range(number):
        if until():
            return
        await asyncio.sleep(0)
