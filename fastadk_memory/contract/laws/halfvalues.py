"""Clause X4: a reader never sees half a value, nor one value with the version of another."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from itertools import count
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability, MemoryEntry
from fastadk_memory.contract.compare import identical
from fastadk_memory.contract.concurrent.clients import Clients, Through, declared
from fastadk_memory.contract.concurrent.operations import Operation
from fastadk_memory.contract.concurrent.preemption import MOST_POINTS, hold_up, hold_up_everywhere
from fastadk_memory.contract.concurrent.stepper import holding
from fastadk_memory.contract.concurrent.threads import in_threads
from fastadk_memory.contract.concurrent.timetable import timetable
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.calls import pass_turns
from fastadk_memory.contract.violations import Violation
from fastadk_memory.contract.world import World

_WRITERS = ("set", "set_ttl", "set_many", "set_entry", "compare_and_set")
_READERS = ("get", "get_many", "get_entry")
_HUGE = 5 * 2**18

# ------------------------------------------------------------ values that certify themselves


def _document(marker: str) -> dict[str, Any]:
    """Return a value of many parts that all say `marker`; another marker, another size."""
    parts = 50 + 100 * (sum(map(ord, marker)) % 7)
    words = _HUGE // (len(marker) + 1) if marker.startswith("huge") else 100 * parts
    return {
        "begin": marker,
        "parts": [marker] * parts,
        "text": f"{marker} " * words,
        "nested": {"a": marker, "b": [{"c": marker}] * 10},
        "end": marker,
    }


def _marker(value: Any) -> str:
    """Return the marker of a whole document; for anything else a description."""
    begin = value.get("begin") if isinstance(value, dict) else None
    if isinstance(begin, str) and identical(value, _document(begin)):
        return begin
    markers = sorted(_markers_in(value))
    if len(markers) > 1:
        return f"half of {' and half of '.join(markers)}"
    return f"a part of {markers[0]}" if markers else show(value)


def _markers_in(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {marker for part in value.values() for marker in _markers_in(part)}
    if isinstance(value, list):
        return {marker for part in value for marker in _markers_in(part)}
    return set(value.split()) if isinstance(value, str) else set()


def _clients(world: World) -> Clients:
    limit = world.limits.operation_seconds
    return Clients(world.memory.backend, limit, write=_document, read=_marker)


def _expect_whole(clients: Clients, what: str) -> None:
    """Require that each read saw a document whole, as it was written, and its own version."""
    history = clients.history()
    written = {each.written for each in history if not each.reads}
    of_version: dict[str, str] = {}
    for each in sorted(history, key=lambda call: call.reads):
        value, version = _seen(each)
        if value is not None and value not in written:
            _fail(history, each, f"{what}: it saw {value}")
        if value is not None and version is not None:
            known = of_version.setdefault(version, value)
            if known != value:
                _fail(history, each, f"{what}: it saw {value} with the version of {known}")


def _seen(call: Operation) -> tuple[Any, str | None]:
    """Return the value and the version that a call tells of, as far as it does."""
    if call.kind == "get":
        return call.result, None
    if call.kind == "get_entry" and call.result is not None:
        value, version = call.result
        return value, version
    return (call.written, call.result) if isinstance(call.result, str) else (None, None)


def _fail(history: list[Operation], reader: Operation, message: str) -> None:
    """Say what was seen, with the calls that were under way."""
    assert reader.end is not None
    around = [
        each
        for each in history
        if each.key == reader.key and each.start < reader.end
        if each.end is None or each.end > reader.start or not each.reads
    ]
    raise Violation(message, history=timetable(around[-8:]))


# ---------------------------------------------------------- a write in its middle, a read


@law("X4")
async def a_reader_in_the_middle_of_a_write_sees_old_or_new(world: World) -> None:
    """While a write of a large value waits, at any point of it, readers see a whole value."""
    names = declared(world.memory.capabilities)
    numbers = count(1)
    for writer in [each for each in _WRITERS if each in names]:
        for present in (True, False):
            for point in range(1, MOST_POINTS + 1):
                key = f"key-{next(numbers)}"
                if not await _read_during(world, writer, point, key, present=present):
                    break
    for point in range(1, MOST_POINTS + 1):
        # Another one of the same length may be written over the old one, part by part.
        if not await _read_during(world, "set", point, f"key-{next(numbers)}", new="dlo"):
            break
    for point in range(1, MOST_POINTS + 1):
        # Some stores cut only what is very large.
        if not await _read_during(world, "set", point, f"key-{next(numbers)}", new="huge"):
            break


async def _read_during(
    world: World, writer: str, point: int, key: str, *, present: bool = True, new: str = "new"
) -> bool:
    clients = _clients(world)
    readers = [each for each in declared(world.memory.capabilities) if each in _READERS]
    # What a bulk call writes for other keys is whole, too.
    keys = [key, f"{key}-too"] if writer == "set_many" else [key]

    async def write(through: Through) -> None:
        await clients.perform("writer", writer, key, new, through)

    async def read() -> None:
        for reader in readers:
            for each in keys:
                await clients.call("reader", reader, each)

    for each in keys if present else ():
        await clients.call("writer", "set", each, "old")
    reached = await hold_up(write, point, read, limit=4 * clients.limit)
    await read()
    _expect_whole(clients, f"{writer} was held up at its suspension point {point}, and read")
    return reached


@law("X4")
async def a_write_in_the_middle_of_a_reader_leaves_its_answer_whole(world: World) -> None:
    """What a reader returns is one whole value, though others write while it waits anywhere."""
    names = declared(world.memory.capabilities)
    numbers = count(1)
    for reader in [each for each in _READERS if each in names]:
        for writer in [each for each in (*_WRITERS, "delete") if each in names]:
            await _write_at_each(world, reader, writer, f"key-{next(numbers)}")
            for point in range(1, MOST_POINTS + 1):
                if not await _write_during(world, reader, writer, point, f"key-{next(numbers)}"):
                    break
    for point in range(1, MOST_POINTS + 1):
        key = f"key-{next(numbers)}"
        if not await _write_during(world, "get", "set", point, key, old="huge", new="huge-too"):
            break


async def _write_during(
    world: World,
    reader: str,
    writer: str,
    point: int,
    key: str,
    *,
    old: str = "old",
    new: str = "new",
) -> bool:
    clients = _clients(world)

    async def read(through: Through) -> None:
        await clients.call("reader", reader, key, through=through)

    async def write() -> None:
        await clients.perform("writer", writer, key, None if writer == "delete" else new)

    await clients.call("writer", "set", key, old)
    reached = await hold_up(read, point, write, limit=4 * clients.limit)
    _expect_whole(clients, f"{reader} was held up at its suspension point {point}")
    return reached


async def _write_at_each(world: World, reader: str, writer: str, key: str) -> None:
    clients = _clients(world)

    async def read(through: Through) -> None:
        await clients.call("reader", reader, key, through=through)

    async def write(point: int) -> None:
        await clients.perform("writer", writer, key, None if writer == "delete" else f"new{point}")
        if writer == "delete":
            await clients.call("writer", "set", key, f"again{point}")

    await clients.call("writer", "set", key, "old")
    await hold_up_everywhere(read, write, limit=8 * clients.limit)
    _expect_whole(clients, f"{reader} was held up at each of its suspension points")


# ------------------------------------------------------------------ an entry is one piece


_LATE = 100_000


class _Entries:
    """Writes entries all of whose parts say who wrote them, and knows them again."""

    def __init__(self, world: World, key: str) -> None:
        self._memory = world.memory.backend
        self._key = key
        # What was written with each value, and the version that its writer was told.
        self._metadata: dict[str, dict[str, Any]] = {}
        self._versions: dict[str, str | None] = {}

    async def write(self, how: str, marker: str) -> None:
        # Entries differ in their expiry, so that it tells its entry, too.
        ttl = _LATE if marker == "new" else 3600
        self._metadata[marker] = {"of": marker, "more": [marker] * 50} if how == "set_entry" else {}
        if how == "set_entry":
            entry = await self._memory.set_entry(
                self._key, marker, ttl, metadata=self._metadata[marker]
            )
            self._versions[marker] = entry.version
            self.expect_one_piece(entry, f"set_entry({self._key!r}, {marker!r}, ...) returned")
        elif how == "set":
            await self._memory.set(self._key, marker, ttl)
        else:
            old = await self._memory.get_entry(self._key)
            expect = ABSENT if old is None or old.version is None else old.version
            self._versions[marker] = await self._memory.compare_and_set(
                self._key, marker, expect=expect, ttl=ttl
            )

    async def read(self) -> MemoryEntry | None:
        return await self._memory.get_entry(self._key)

    def expect_one_piece(self, entry: MemoryEntry | None, what: str) -> None:
        """Require that value, metadata, expiry and version are of the same write."""
        if entry is None:
            return
        marker = entry.value
        if marker not in self._metadata:
            raise Violation(f"{what} the value {show(marker)}, which nobody wrote")
        if not identical(entry.metadata, self._metadata[marker]):
            raise Violation(f"{what} the value of {marker!r} with metadata that are not its own")
        if self._versions.get(marker, entry.version) != entry.version:
            raise Violation(f"{what} the value of {marker!r} with a version that is not its own")
        if entry.expires_at is None or entry.created_at is None:
            return
        late = (entry.expires_at - entry.created_at).total_seconds() > _LATE / 2
        if late is not (marker == "new"):
            raise Violation(f"{what} the value of {marker!r} with the expiry of another")


@law("X4", needs=Capability.ENTRIES)
async def an_entry_is_of_one_piece(world: World) -> None:
    """Value, metadata, version and expiry that `get_entry` returns belong to one write."""
    numbers = count(1)
    writes = ["set_entry", "set"]
    if world.memory.declares(Capability.CAS):
        writes.append("compare_and_set")
    for writer in writes:
        for held in ("get_entry", writer):
            for point in range(1, MOST_POINTS + 1):
                key = f"key-{next(numbers)}"
                if not await _entry_during(world, writer, held, point, key):
                    break


async def _entry_during(world: World, writer: str, held: str, point: int, key: str) -> bool:
    entries = _Entries(world, key)
    read: list[MemoryEntry | None] = []

    async def reading(through: Through = _directly) -> None:
        read.append(await through(entries.read()))

    async def writing(through: Through = _directly) -> None:
        await through(entries.write(writer, "new"))

    first, other = (reading, writing) if held == "get_entry" else (writing, reading)
    await entries.write("set_entry", "old")
    try:
        reached = await hold_up(first, point, other, limit=4 * world.limits.operation_seconds)
        await reading()
        for entry in read:
            entries.expect_one_piece(entry, "get_entry returned")
    except Violation as violation:
        meanwhile = writer if held == "get_entry" else "get_entry"
        told = [
            f"set_entry({key!r}, 'old', metadata={{'of': 'old', ...}})",
            f"{held}({key!r}, ...) begins, and is held up at its suspension point {point}",
            f"{meanwhile}({key!r}, ...) runs",
            f"{held}({key!r}, ...) goes on",
        ]
        raise Violation(str(violation), history="\n".join(told)) from None
    return reached


def _directly(call: Awaitable[Any]) -> Awaitable[Any]:
    return call


# ------------------------------------------------------------------- schedules and threads


def _plans(domain: Domain) -> SearchStrategy[list[list[tuple[str, tuple[int, ...]]]]]:
    names = [each for each in declared(domain.capabilities) if each in (*_WRITERS, *_READERS)]
    turns = st.lists(st.integers(0, 6), max_size=5).map(tuple)
    steps = st.tuples(st.sampled_from(names), turns)
    return st.lists(st.lists(steps, min_size=1, max_size=4), min_size=2, max_size=4)


@law("X4", given={"plan": _plans})
async def readers_among_writers_see_whole_values(
    world: World, plan: list[list[tuple[str, tuple[int, ...]]]]
) -> None:
    """Tasks that read a key while others overwrite it with large values see whole ones."""
    clients = _clients(world)

    async def client(number: int, steps: list[tuple[str, tuple[int, ...]]]) -> None:
        for at, (name, turns) in enumerate(steps, start=1):
            await pass_turns(turns[0] if turns else 0)
            marker = None if name in _READERS else f"value{number}.{at}"
            await clients.perform(f"task {number}", name, "key", marker, holding(turns[1:]))

    await asyncio.gather(*(client(number, steps) for number, steps in enumerate(plan, start=1)))
    _expect_whole(clients, f"{len(plan)} tasks at once")


@law("X4")
async def threads_see_whole_values(world: World) -> None:
    """Threads that read keys while others overwrite them with large values see whole ones."""
    names = declared(world.memory.capabilities)
    clients = _clients(world)

    def client(number: int, chosen: list[str]) -> Callable[[], Coroutine[Any, Any, None]]:
        chance = random.Random(number)

        async def calls() -> None:
            for at in range(30):
                name, key = chance.choice(chosen), chance.choice("ab")
                marker = None if name in _READERS else f"value{number}.{at}"
                await clients.perform(f"thread {number}", name, key, marker)

        return calls

    writers = [each for each in _WRITERS if each in names]
    readers = [each for each in _READERS if each in names]
    roles = [writers, writers, writers, readers, readers]
    mains = [client(number, chosen) for number, chosen in enumerate(roles, start=1)]
    await in_threads(mains, 2 * clients.limit)
    _expect_whole(clients, "5 threads at once")
