"""`named`: a large or changing value under the name of a variable in the counterexample."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from fastadk_memory.contract.show import Name
from fastadk_memory.contract.trace import Call
from fastadk_memory.contract.world import World

__all__ = ["named"]


@contextmanager
def named(world: World, value: object, *lines: str, name: str = "value") -> Generator[None]:
    """Write `name` down in place of `value` in the calls of the block, whatever comes of them.

    Args:
        world: Whose calls.
        value: The object that is handed to the calls, itself or inside a dict.
        lines: What defines the variable, in Python.
        name: What it is called.
    """
    for line in lines:
        world.trace.note(line)
    first = len(world.trace.steps)
    try:
        yield
    finally:
        for step in world.trace.steps[first:]:
            if isinstance(step, Call):
                step.args = tuple(_renamed(each, value, name) for each in step.args)
                step.kwargs = {at: _renamed(each, value, name) for at, each in step.kwargs.items()}


def _renamed(given: object, value: object, name: str) -> object:
    if given is value:
        return Name(name)
    if type(given) is dict:
        return {at: _renamed(each, value, name) for at, each in given.items()}
    return given
