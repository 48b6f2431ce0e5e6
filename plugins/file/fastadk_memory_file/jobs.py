"""A write that waits for its turn: handed from an event loop to the writer, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from threading import Lock
from typing import Any

from fastadk_memory_file.changes import Change

__all__ = ["Job", "answer", "pick_up"]


class Job:
    """One change, and the call that waits for it.

    A job is either withdrawn by its call or picked up by the writer, never both: a call that
    is cancelled while its change waits has changed nothing, and one that is cancelled later
    ends when the change is done.

    Args:
        change: What is to be done.
        guard: One for all jobs of a writer.
    """

    __slots__ = (
        "_ended",
        "_guard",
        "_settled",
        "change",
        "error",
        "future",
        "loop",
        "picked_up",
        "result",
        "withdrawn",
    )  # fmt: skip

    def __init__(self, change: Change, guard: Lock) -> None:
        self.change = change
        self._guard = guard
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[Any] = self.loop.create_future()
        self.result: Any = None
        self.error: BaseException | None = None
        self.picked_up = False
        self.withdrawn = False
        self._settled = False
        self._ended: asyncio.Future[None] | None = None

    async def wait(self) -> Any:
        """Return what the change returned, or raise its error.

        Cancelled, it withdraws the job, or waits until the writer is done with it.
        """
        try:
            return await self.future
        except asyncio.CancelledError:
            if not self._withdraw():
                await self._until_settled()
            raise
        except GeneratorExit:  # the call is thrown away together with its event loop
            self._withdraw()
            raise

    def _withdraw(self) -> bool:
        with self._guard:
            if not self.picked_up:
                self.withdrawn = True
            return self.withdrawn

    async def _until_settled(self) -> None:
        while not self._settled:
            if self._ended is None:
                self._ended = self.loop.create_future()
            with suppress(asyncio.CancelledError):  # cancelled once more: not before the end
                await asyncio.shield(self._ended)

    def settle(self) -> None:
        """Tell the call how it ended; in its event loop."""
        if not self.future.done():
            if self.error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(self.error)
        self._settled = True
        if self._ended is not None:
            self._ended.set_result(None)


def pick_up(jobs: Iterable[Job], guard: Lock) -> list[Job]:
    """Return those jobs that nobody has withdrawn, and that nobody can withdraw any more."""
    # For a whole batch at once, so that it costs next to nothing.
    with guard:
        taken = [job for job in jobs if not job.withdrawn]
        for job in taken:
            job.picked_up = True
    return taken


def answer(jobs: Sequence[Job]) -> None:
    """Tell all calls how they ended, waking each event loop once; from any thread."""
    loops: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        loops.setdefault(job.loop, []).append(job)
    for loop, of_loop in loops.items():
        with suppress(RuntimeError):  # the loop is closed: its calls are gone with it
            loop.call_soon_threadsafe(_settle, of_loop)


def _settle(jobs: Sequence[Job]) -> None:
    for job in jobs:
        job.settle()
