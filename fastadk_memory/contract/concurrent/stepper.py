"""`Stepper`: awaits a call and has a say at each of its suspension points.

Which of two calls goes first is chance; a fault that needs a certain order shows on one day and
not on the next. A stepper makes the order part of the example: it holds a call up at a chosen
point, or cancels it there, the same in every run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

__all__ = [
    "Fate",
    "Gate",
    "Stepper",
    "cancelled_at",
    "delayed",
    "held_at",
    "held_at_each",
    "holding",
]

T = TypeVar("T")
Before = Callable[[int], None]
After = Callable[[int], Generator[None, None, None]]


class Stepper(Generic[T]):
    """Awaits a call on behalf of its caller: `await Stepper(memory.get("key"))`.

    A suspension point is a place where the call gives control back to the event loop; they
    are counted from 1.

    Args:
        call: What to await.
        before: Called with the number of a suspension point just before the event loop gets
            control.
        after: Called with the number of a suspension point when the event loop has given
            control back, and before the call goes on. Each `yield` of its generator is one
            more turn of the loop.

    Attributes:
        points: How many suspension points the call has come to.
    """

    def __init__(
        self, call: Awaitable[T], before: Before | None = None, after: After | None = None
    ) -> None:
        self.points = 0
        self._call = call
        self._before = before
        self._after = after

    def __await__(self) -> Generator[Any, Any, T]:
        """Drive the call to its end."""
        call = _awaited(self._call)
        resume: Callable[[Any], Any] = call.send
        given: Any = None
        while True:
            try:
                waits_for = resume(given)
            except StopIteration as end:
                result: T = end.value
                return result
            self.points += 1
            try:
                if self._before is not None:
                    self._before(self.points)
                given = yield waits_for
                if self._after is not None:
                    yield from self._after(self.points)
                resume = call.send
            except BaseException as error:  # noqa: BLE001 (a cancellation is for the call, too)
                resume, given = call.throw, error


async def _awaited(call: Awaitable[T]) -> T:
    return await call


def delayed(call: Awaitable[T], turns: Sequence[int]) -> Stepper[T]:
    """Return a call that waits a number of turns more at each of its suspension points.

    Args:
        call: The call.
        turns: How many turns, for the first points; none for the rest.
    """

    def wait(point: int) -> Generator[None, None, None]:
        for _ in range(turns[point - 1] if point <= len(turns) else 0):
            yield

    return Stepper(call, after=wait)


def holding(turns: Sequence[int]) -> Callable[[Awaitable[Any]], Stepper[Any]]:
    """Return what makes `delayed` calls with these turns."""
    return lambda call: delayed(call, turns)


# ------------------------------------------------------------------------- holding a call up


class Gate:
    """Holds a call up at one of its suspension points, until it is opened.

    Attributes:
        reached: Whether the call has come there.
        opened: Whether it may go on.
    """

    def __init__(self) -> None:
        self.reached = False
        self.opened = False

    async def come(self, ended: Callable[[], bool]) -> None:
        """Wait until the call has come here, or has ended without that."""
        while not (self.reached or ended()):  # noqa: ASYNC110 (one turn after the other)
            await asyncio.sleep(0)

    async def pass_while(
        self, busy: Callable[[], bool], *, turns: int = 30, seconds: float = 0.001
    ) -> None:
        """Wait until others are no longer busy, but not for ever; then open.

        What is held up may hold a lock that the others wait for. So they get some turns of
        the loop and some time, and then the call goes on.

        Args:
            busy: Tells whether the others are still busy.
            turns: The least number of turns they get.
            seconds: The least time they get.
        """
        began = perf_counter()
        passed = 0
        while busy() and (passed < turns or perf_counter() - began < seconds):
            passed += 1
            await asyncio.sleep(0)
        self.opened = True


def held_at(call: Awaitable[T], point: int, gate: Gate) -> Stepper[T]:
    """Return a call that is held up at a suspension point until the gate is opened.

    The gate is reached when the call begins to wait there, so that others run while what it
    waits for is under way, too.
    """
    return _held(call, lambda at: gate if at == point else None)


def held_at_each(call: Awaitable[T], gates: Sequence[Gate]) -> Stepper[T]:
    """Return a call that is held up at each of its first suspension points, by a gate each."""
    return _held(call, lambda at: gates[at - 1] if at <= len(gates) else None)


def _held(call: Awaitable[T], gate_at: Callable[[int], Gate | None]) -> Stepper[T]:
    def reach(at: int) -> None:
        gate = gate_at(at)
        if gate is not None:
            gate.reached = True

    def hold(at: int) -> Generator[None, None, None]:
        gate = gate_at(at)
        while gate is not None and not gate.opened:
            yield

    return Stepper(call, reach, hold)


# ------------------------------------------------------------------------ cancelling a call


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a call that was to be cancelled.

    Attributes:
        asked: Whether it was cancelled: not, if it ended before the point in question.
        cancelled: Whether it ended with `CancelledError`.
        result: What it returned otherwise.
        error: What else it raised.
    """

    asked: bool
    cancelled: bool
    result: Any = None
    error: Exception | None = None

    @property
    def swallowed(self) -> bool:
        """Whether it was cancelled and took no notice."""
        return self.asked and not self.cancelled

    def __str__(self) -> str:
        if self.cancelled:
            return "CancelledError"
        return repr(self.result) if self.error is None else repr(self.error)


def cancelled_at(point: int, call: Awaitable[Any], *, late: bool = False) -> Awaitable[Fate]:
    """Start a call, cancel it at one of its suspension points, and tell what became of it.

    It starts as a task of its own, at once; awaiting it gives its fate.

    Args:
        point: Which one, from 1 on; 0 is before the call has begun.
        call: The call, such as `memory.set("key", "new")`.
        late: Whether to cancel not when the call begins to wait there, but when what it
            waits for has come, and before it goes on.
    """
    asked = point == 0

    def cancel() -> None:
        nonlocal asked
        asked = True
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    def before(at: int) -> None:
        if at == point and not late:
            cancel()

    def after(at: int) -> Generator[None, None, None]:
        if at == point and late:
            cancel()
            yield

    # A task of its own: a cancellation that is swallowed must not reach what comes after.
    task = asyncio.ensure_future(_awaited(Stepper(call, before, after)))
    if point == 0:
        task.cancel()
    return _fate(task, call, lambda: asked)


async def _fate(task: asyncio.Future[Any], call: Awaitable[Any], asked: Callable[[], bool]) -> Fate:
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
        if asyncio.iscoroutine(call):
            call.close()  # one that has not begun would complain
    if task.cancelled():
        return Fate(asked(), cancelled=True)
    error = task.exception()
    if error is None:
        return Fate(asked(), cancelled=False, result=task.result())
    if not isinstance(error, Exception):
        raise error
    return Fate(asked(), cancelled=False, error=error)
