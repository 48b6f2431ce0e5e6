"""`Clients`: calls a backend for several clients at once, and writes down what happened when."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeAlias

from fastadk_memory.base import ABSENT, Capability, MemoryBackend
from fastadk_memory.contract.concurrent.operations import CONFLICT, Kind, Operation
from fastadk_memory.contract.concurrent.timetable import called, timetable
from fastadk_memory.contract.show import show
from fastadk_memory.contract.violations import Violation
from fastadk_memory.errors import ConflictError
from fastadk_memory.keys import escape_pattern

__all__ = ["METHODS", "Clients", "Method", "Through", "declared"]

Through: TypeAlias = "Callable[[Awaitable[Any]], Awaitable[Any]]"


@dataclass(frozen=True, slots=True)
class Method:
    """A method as what it does to a single key.

    Attributes:
        kind: What it amounts to.
        call: Calls it with a backend, a key, a value and what is expected.
        result: Takes the answer for a key out of what the method returned.
        shown: The call as source, with the key and the value to be filled in; empty where
            `kind` says it all.
        needs: The capabilities that it takes.
    """

    kind: Kind
    call: Callable[[MemoryBackend, str, Any, Any], Awaitable[Any]]
    result: Callable[[Any, str], Any] = lambda result, key: result
    shown: str = ""
    needs: tuple[Capability, ...] = ()


def _nothing(result: Any, key: str) -> None:
    return None


METHODS: dict[str, Method] = {
    "set": Method("set", lambda memory, key, value, _: memory.set(key, value), _nothing),
    "set_ttl": Method(
        "set",
        lambda memory, key, value, _: memory.set(key, value, 3600),
        _nothing,
        "set({key}, {value}, 3600)",
    ),
    "set_many": Method(
        "set",
        lambda memory, key, value, _: memory.set_many({f"{key}-too": value, key: value}),
        _nothing,
        "set_many({{..., {key}: {value}}})",
    ),
    "set_entry": Method(
        "set",
        lambda memory, key, value, _: memory.set_entry(key, value, metadata={}),
        lambda entry, key: entry.version,
        "set_entry({key}, {value}, metadata={{}})",
        (Capability.ENTRIES,),
    ),
    "compare_and_set": Method(
        "compare_and_set",
        lambda memory, key, value, expect: memory.compare_and_set(key, value, expect=expect),
        needs=(Capability.CAS, Capability.ENTRIES),
    ),
    "delete": Method("delete", lambda memory, key, *_: memory.delete(key), _nothing),
    "delete_many": Method(
        "delete",
        lambda memory, key, *_: memory.delete_many([key]),
        _nothing,
        "delete_many([{key}])",
    ),
    "clear_pattern": Method(
        "delete",
        lambda memory, key, *_: memory.clear_pattern(escape_pattern(key)),
        _nothing,
        "clear_pattern({key})",
    ),
    "clear": Method("delete", lambda memory, *_: memory.clear(), _nothing, "clear()"),
    "touch": Method(
        "exists",
        lambda memory, key, *_: memory.touch(key, 3600),
        shown="touch({key}, 3600)",
        needs=(Capability.TOUCH,),
    ),
    "get": Method("get", lambda memory, key, *_: memory.get(key)),
    "get_many": Method(
        "get",
        lambda memory, key, *_: memory.get_many([key]),
        lambda found, key: found.get(key),
        "get_many([{key}])",
        (Capability.BULK,),
    ),
    "get_entry": Method(
        "get_entry",
        lambda memory, key, *_: memory.get_entry(key),
        lambda entry, key: None if entry is None else (entry.value, entry.version),
        needs=(Capability.ENTRIES,),
    ),
    "exists": Method("exists", lambda memory, key, *_: memory.exists(key)),
    "keys": Method(
        "exists", lambda memory, key, *_: memory.keys(), lambda keys, key: key in keys, "keys()"
    ),
}
"""The methods that histories are made of.

`get_many` and `get_entry` only where they are native: put together from other calls they are
no single calls.
"""


def declared(capabilities: Collection[Capability], *without: str) -> list[str]:
    """Return the names of the methods that a backend with these capabilities serves natively.

    Args:
        capabilities: What it declares.
        without: Methods to leave out.
    """
    return [
        name
        for name, method in METHODS.items()
        if name not in without and all(each in capabilities for each in method.needs)
    ]


@dataclass(slots=True)
class _Entry:
    client: object
    method: Method
    key: str
    argument: Any
    call: str
    start: int
    end: int | None = None
    result: Any = None
    cancelled: bool = False
    failure: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key, f"{self.key}-too") if "..." in self.method.shown else (self.key,)

    def operation(self, key: str) -> Operation:
        return Operation(
            key,
            self.method.kind,
            self.argument,
            self.result,
            self.start,
            self.end,
            self.client,
            self.cancelled,
            self.call,
            self.failure,
        )


# How many of the calls before an error are shown with it.
_LAST = 10


class Clients:
    """Makes the calls of several clients, who may be tasks of any loops in any threads.

    Args:
        backend: The backend under test.
        limit: Seconds that a call may take.
        write: Turns the name of a value into the value that is stored.
        read: Turns what is read into the name of a value.

    Attributes:
        limit: The same.
    """

    def __init__(
        self,
        backend: MemoryBackend,
        limit: float,
        *,
        write: Callable[[Any], Any] = lambda name: name,
        read: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        self._backend = backend
        self.limit = limit
        self._write = write
        self._read = read
        # Both are safe between threads: each is one step of the interpreter.
        self._clock = count(1)
        self._entries: list[_Entry] = []

    async def call(
        self,
        client: object,
        name: str,
        key: str,
        value: Any = None,
        *,
        expect: Any = None,
        through: Through | None = None,
        backend: MemoryBackend | None = None,
    ) -> Any:
        """Make a call, write down when it began and ended, and return its answer.

        Args:
            client: Who calls.
            name: Which of `METHODS`.
            key: The key.
            value: The name of the value to write.
            expect: For `compare_and_set`.
            through: What to put around the call, such as a stepper.
            backend: The backend to call, if it is another client of the same store.

        Raises:
            Violation: It raised an error, or took too long.
        """
        method = METHODS[name]
        argument = (expect, value) if name == "compare_and_set" else value
        text = method.shown.format(key=show(key), value=show(value))
        entry = _Entry(client, method, key, argument, text, next(self._clock))
        self._entries.append(entry)
        stored = None if value is None else self._write(value)
        made = method.call(backend or self._backend, key, stored, expect)
        timer = asyncio.timeout(self.limit)
        try:
            async with timer:
                found = await (made if through is None else through(made))
        except ConflictError:
            entry.result = CONFLICT
        except asyncio.CancelledError:
            entry.cancelled = True
            entry.end = next(self._clock)
            raise
        except Exception as error:
            raise self._failed(entry, error, late=timer.expired()) from error
        else:
            entry.result = self._answer(method, found, key)
        entry.end = next(self._clock)
        return entry.result

    async def perform(
        self,
        client: object,
        name: str,
        key: str,
        value: Any,
        through: Through | None = None,
        backend: MemoryBackend | None = None,
    ) -> Any:
        """Make a call as `call` does; before a `compare_and_set` read what to expect."""
        expect: Any = None
        if name == "compare_and_set":
            read = await self.call(client, "get_entry", key, backend=backend)
            expect = ABSENT if read is None else read[1]
        return await self.call(
            client, name, key, value, expect=expect, through=through, backend=backend
        )

    def history(self, *keys: str) -> list[Operation]:
        """Return the calls on some keys, or all of them."""
        return [
            entry.operation(key)
            for entry in list(self._entries)
            for key in entry.keys
            if not keys or key in keys
        ]

    def _answer(self, method: Method, found: Any, key: str) -> Any:
        answer = method.result(found, key)
        if answer is None or method.kind not in ("get", "get_entry"):
            return answer
        if method.kind == "get":
            return self._read(answer)
        return self._read(answer[0]), answer[1]

    def _failed(self, entry: _Entry, error: Exception, *, late: bool) -> Violation:
        if late and isinstance(error, TimeoutError):
            told = f"did not answer within {self.limit:g} s"
        else:
            told = f"raised {type(error).__name__}: {error}"
        entry.failure = type(error).__name__
        message = f"{called(entry.operation(entry.key))} of {entry.client} {told}"
        return Violation(message, history=timetable(self.history(entry.key)[-_LAST:]))
