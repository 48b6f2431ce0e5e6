"""`Together`: calls that are under way at once, in a law and in the script that shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.show import Name, show_call
from fastadk_memory.contract.tools.calls import Sample, pass_turns
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import Violation
from fastadk_memory.contract.world import World

__all__ = ["Together"]

_EVERYTHING = """\
async def everything(steps):
    return [step async for step in steps]"""


class Together:
    """Starts calls as tasks; they have the time limit of any other call.

    Args:
        world: Where they are written down.
        memory: The backend that is called.
        calls: What is called, in this order.
        name: What the script calls the list of tasks.
    """

    def __init__(
        self, world: World, memory: Handle, calls: Collection[Sample], name: str = "calls"
    ) -> None:
        self.calls = list(calls)
        self._world = world
        self._memory = memory
        self._name = name
        # Not in the trace itself, which would show them as if they came one after another.
        handle = Handle(memory.backend, Trace(), memory.name, world.limits.operation_seconds)
        self.tasks = [asyncio.create_task(each.make(handle)) for each in self.calls]
        for task in self.tasks:
            # Else asyncio would complain on top of the finding that made a law stop early.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._note_beginning()

    def _note_beginning(self) -> None:
        shown = [self.shown(each) for each in self.calls]
        if any(each.method == "scan" for each in self.calls):
            self._world.trace.note(_EVERYTHING)
            shown = [
                f"everything({each})" if call.method == "scan" else each
                for call, each in zip(self.calls, shown, strict=True)
            ]
        self._world.trace.note(
            f"{self._name} = [asyncio.create_task(each) for each in [{', '.join(shown)}]]"
        )

    def shown(self, call: Sample) -> str:
        """Return a call as Python source."""
        args = tuple(Name(each) for each in call.source) if call.source else call.args
        return show_call(self._memory.name, call.method, args, dict(call.kwargs))

    async def turns(self, number: int) -> None:
        """Let the event loop go round."""
        if number:
            self._world.trace.note(f"for _ in range({number}): await asyncio.sleep(0)")
        await pass_turns(number)

    def cancel(self, *which: int) -> None:
        """Cancel some of the calls by their places, or all."""
        chosen = which or range(len(self.tasks))
        for each in chosen:
            self.tasks[each].cancel()
        listed = ", ".join(f"{self._name}[{each}]" for each in which) if which else self._name
        self._world.trace.note(f"for call in {f'[{listed}]' if which else listed}: call.cancel()")

    async def wait(self) -> list[Any]:
        """Wait until all have ended; return what each returned, or its error."""
        self._world.trace.note(
            f"print(await asyncio.gather(*{self._name}, return_exceptions=True))"
        )
        return await asyncio.gather(*self.tasks, return_exceptions=True)

    async def ended(self, *allowed: type[BaseException]) -> list[Any]:
        """Wait until all have ended, each in success or with an error of a kind that is allowed.

        Returns:
            What each returned, or its error.

        Raises:
            Violation: One ended with another error, or not in time.
        """
        found = await self.wait()
        self.judge(found, *allowed)
        return found

    def judge(self, found: Sequence[Any], *allowed: type[BaseException]) -> None:
        """Require that of what `wait` returned all errors are of a kind that is allowed.

        Raises:
            Violation: One is not.
        """
        for call, outcome in zip(self.calls, found, strict=True):
            if isinstance(outcome, Violation):
                raise outcome
            if isinstance(outcome, BaseException) and not isinstance(outcome, allowed):
                raise Violation(f"{self.shown(call)} raised {type(outcome).__name__}: {outcome}")
