"""Calls from many tasks at once, each answer of which is checked: what runs while faults happen.

Every value tells the key and the write that it comes from. Each task has keys that nobody else
writes, so it knows what each may hold: after an acknowledged write nothing else; after a write
whose outcome is unknown that write or what was there before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable
from typing import TypeVar

from fastadk_memory import ABSENT, BackendUnavailableError, MemoryBackend
from redis_rig.waiting import eventually

T = TypeVar("T")
Known = set[int | None]
"""The numbers of the writes that a key may hold; `None` if it may be absent."""


def certified(key: str, number: int) -> dict[str, object]:
    """Return a value that tells which write of which key it comes from."""
    return {"key": key, "number": number, "body": f"{key}#{number};" * (1 + number % 7)}


def number_in(key: str, value: object) -> int | None:
    """Return which write of `key` a value comes from; refuse what was never written there."""
    if value is None:
        return None
    assert isinstance(value, dict), f"{key!r} holds what nobody wrote: {value!r}"
    assert value == certified(key, value["number"]), f"{key!r} holds another's: {value!r}"
    return value["number"]


class Load:
    """Tasks that set, read, delete and count up, until it is left.

    Args:
        memory: The backend.
        tasks: How many tasks.
        seconds: What no call may exceed: the backend's own limit with a wide margin.
        loses_writes: Whether acknowledged writes may be lost, as they may in a failover;
            then only what values say about themselves is checked.

    Attributes:
        done: How many calls each task has seen succeed.
        failed: How often each kind of error was raised; all of them say "unavailable".
    """

    def __init__(
        self,
        memory: MemoryBackend,
        *,
        tasks: int = 12,
        seconds: float = 30.0,
        loses_writes: bool = False,
    ) -> None:
        self.memory = memory
        self.seconds = seconds
        self.loses_writes = loses_writes
        self.done = [0] * tasks
        self.failed: Counter[str] = Counter()
        self._tasks: list[asyncio.Task[None]] = []
        self._over = False

    async def __aenter__(self) -> Load:
        stories = (self._plain, self._deleting, self._counting)
        self._tasks = [
            asyncio.ensure_future(self._repeat(number, stories[number % len(stories)]))
            for number in range(len(self.done))
        ]
        try:
            await self.progress()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        for result in await self._stop():
            if result is not None and kind is None:
                raise result

    async def _stop(self) -> list[BaseException | None]:
        self._over = True
        return await asyncio.gather(*self._tasks, return_exceptions=True)

    async def progress(self, calls: int = 5) -> None:
        """Wait until every task has seen so many more calls succeed."""
        before = list(self.done)

        async def enough() -> bool:
            for task in self._tasks:
                if task.done():
                    task.result()  # it ends early only with an error
            return all(now >= then + calls for now, then in zip(self.done, before, strict=True))

        await eventually(enough, f"every task sees {calls} more calls succeed")

    # --------------------------------------------------------------------- the tasks

    async def _repeat(self, task: int, story) -> None:
        key, known, number = f"load {task}", {None}, 0
        while not self._over:
            number += 1
            known = await story(task, key, known, number)
            await asyncio.sleep(0)

    async def _plain(self, task: int, key: str, known: Known, number: int) -> Known:
        """Set, and read back."""
        known = await self._write(task, key, number, known)
        return await self._read(task, key, known)

    async def _deleting(self, task: int, key: str, known: Known, number: int) -> Known:
        """Set, delete and count: a deletion that ran twice would find nothing to delete."""
        known = await self._write(task, key, number, known)
        try:
            count = await self._call(task, self.memory.delete_many([key]))
        except BackendUnavailableError:
            return known | {None}
        if None not in known and not self.loses_writes:
            assert count == 1, f"{key!r} was there, and delete_many says {count}"
        return await self._read(task, key, {None})

    async def _counting(self, task: int, key: str, known: Known, number: int) -> Known:
        """Compare and set: nobody else writes the key, so a conflict would be with itself."""
        try:
            entry = await self._call(task, self.memory.get_entry(key))
            self._check(key, None if entry is None else entry.value, known)
            expect = ABSENT if entry is None else entry.version
            found = None if entry is None else number_in(key, entry.value)
        except BackendUnavailableError:
            return known
        try:
            value = certified(key, number)
            await self._call(task, self.memory.compare_and_set(key, value, expect=expect))
        except BackendUnavailableError:
            return {found, number}
        return await self._read(task, key, {number})

    async def _write(self, task: int, key: str, number: int, known: Known) -> Known:
        try:
            await self._call(task, self.memory.set(key, certified(key, number)))
        except BackendUnavailableError:
            return known | {number}
        return {number}

    async def _read(self, task: int, key: str, known: Known) -> Known:
        try:
            value = await self._call(task, self.memory.get(key))
        except BackendUnavailableError:
            return known
        self._check(key, value, known)
        return known

    def _check(self, key: str, value: object, known: Known) -> None:
        number = number_in(key, value)
        if not self.loses_writes:
            assert number in known, f"{key!r} holds write {number}, but may only hold {known}"

    async def _call(self, task: int, call: Awaitable[T]) -> T:
        limit = asyncio.timeout(self.seconds)
        try:
            async with limit:
                answer = await call
        except BackendUnavailableError as error:
            self.failed[type(error).__name__] += 1
            await asyncio.sleep(0.01)  # who fails at once shall not starve the others
            raise
        except TimeoutError:
            raise AssertionError(f"a call took more than {self.seconds:g} s") from None
        self.done[task] += 1
        return answer
