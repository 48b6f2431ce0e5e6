"""`Child` and `Zygote`: other processes that use the store under test, or die while writing."""

from __future__ import annotations

import asyncio
import linecache
import os
import pickle
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, TypeAlias

import fastadk_memory
from fastadk_memory.base import ABSENT, Absent, MemoryBackend, Version
from fastadk_memory.contract.children.writes import Write
from fastadk_memory.contract.show import show, show_call
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import ContractError, NotApplicable, Violation

__all__ = ["Answer", "Child", "Line", "Victim", "Zygote", "lines_to_try", "where"]

# The path comes first: the child has to find the same modules as this process.
_BOOT = """\
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from fastadk_memory.contract.children._child import main
main()
"""

_START_SECONDS = 60.0
_CALLS_IN_TIME = 50  # how many calls, one after another, the time limit of one is enough for

Opener = Callable[[], MemoryBackend]
Line: TypeAlias = tuple[str, int]
"""A line of source: file and number."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a call in another process.

    Attributes:
        start: When it began, in nanoseconds on a clock that all processes share.
        end: When it ended.
        error: The name of the error's class; empty if it returned.
        result: What it returned, or the error's message.
        expect: What it expected, if it was a `compare_and_set` of a run.
    """

    start: int
    end: int
    error: str
    result: Any
    expect: Version | Absent = ABSENT


class _Process:
    """A Python process of ours, and the pipes to it.

    Args:
        opener: Opens the store there.
        limit: Seconds to wait for an answer.
        name: What to call it in messages.
    """

    mode = ""

    def __init__(self, opener: Opener, limit: float, name: str = "another process") -> None:
        self.name = name
        self._limit = limit
        self._opener = _pickled(opener)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        try:
            await asyncio.to_thread(self._start)
            answer = await self._receive(_START_SECONDS)
        except BaseException:
            await self._end()
            raise
        if answer[0] != "ready":
            await self._end()
            raise ContractError(f"{_ABOUT_OPENERS}; in a process of its own it raised {answer[1]}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it, and all that it has forked."""
        await self._end()

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed at its end)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            # A group of its own, so that what it forks can be ended with it.
            start_new_session=True,
        )
        self._write(sys.path)
        self._write((self.mode, self._opener))

    async def _end(self) -> None:
        # Killed, not asked: there is nothing in it that anyone still needs.
        if self._process is not None:
            await asyncio.to_thread(_end, self._process)
        if self._errors is not None:
            self._errors.close()

    def _write(self, frame: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pickle.dumps(frame))
            self._process.stdin.flush()
        except BrokenPipeError:
            return  # it has died; whoever waits for its answer will hear

    async def _send(self, *frame: object) -> None:
        await asyncio.to_thread(self._write, frame)

    async def _receive(self, limit: float | None = None) -> tuple[Any, ...]:
        limit = limit or self._limit
        try:
            async with asyncio.timeout(limit):
                return await asyncio.to_thread(self._read)
        except TimeoutError:
            raise Violation(f"{self.name} did not answer within {limit:g} s") from None

    def _read(self) -> tuple[Any, ...]:
        assert self._process is not None
        assert self._process.stdout is not None
        head = self._process.stdout.read(4)
        data = self._process.stdout.read(*struct.unpack("<I", head)) if len(head) == 4 else b""
        if not data:
            raise Violation(f"{self.name} died: {self._last_words()}")
        frame: tuple[Any, ...] = pickle.loads(data)
        return frame

    def _last_words(self) -> str:
        assert self._process is not None
        assert self._errors is not None
        _kill(self._process)
        status = self._process.wait()
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        return f"exit status {status}" + (f"; {text[-500:]}" if text else "")


_ABOUT_OPENERS = (
    "the hook opener has to return something picklable that makes a backend in another process, "
    "such as functools.partial(MyBackend, path=path)"
)


def _pickled(opener: Opener) -> bytes:
    try:
        return pickle.dumps(opener)
    except Exception as error:
        raise ContractError(f"{_ABOUT_OPENERS}; pickling it raised {error!r}") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            _close(pipe)
    process.wait()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is not None:
        return  # waited for: its number may be somebody else's by now
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # dead already, and all of its group
        os.killpg(process.pid, signal.SIGKILL)


def _close(pipe: IO[bytes]) -> None:
    try:
        pipe.close()
    except BrokenPipeError:
        return  # what was still to be written has no reader any more


class Child(_Process):
    """Another process with a backend on the same store, which does what it is told.

    Use it as `async with Child(world.opener(), limit, "process 1", world.trace) as child:`.

    Args:
        opener: Opens the store there.
        limit: Seconds to wait for an answer.
        name: What to call it in messages.
        trace: Where to write its calls down.
    """

    mode = "serve"

    def __init__(self, opener: Opener, limit: float, name: str, trace: Trace) -> None:
        super().__init__(opener, limit, name)
        self._trace = trace

    async def ask(
        self, method: str, *args: Any, namespace: str | None = None, **kwargs: Any
    ) -> Answer:
        """Call a method there, in a namespace if one is given, and return what became of it."""
        receiver = "memory" if namespace is None else f"memory.namespace({namespace!r})"
        call = show_call(receiver, method, args, kwargs)
        answer = Answer(*await self._ask("call", namespace, method, args, kwargs))
        told = f"raised {answer.error}" if answer.error else show(answer.result)
        self._trace.note(f"# {self.name}: await {call}  # {told}")
        return answer

    async def call(
        self, method: str, *args: Any, namespace: str | None = None, **kwargs: Any
    ) -> Any:
        """Call a method there, and return what it returns.

        Raises:
            Violation: It raised.
        """
        answer = await self.ask(method, *args, namespace=namespace, **kwargs)
        if answer.error:
            raise Violation(f"{method} in {self.name} raised {answer.result}")
        return answer.result

    async def run(self, steps: Sequence[tuple[str, str, Any]], at: int) -> list[Answer]:
        """Carry out steps there, one after another.

        Args:
            steps: Method, key, and the value if it takes one. A `compare_and_set` expects
                what the process has seen last.
            at: When to begin, by `time.monotonic_ns`.
        """
        answers = await self._ask("run", steps, at)
        return [
            Answer(start, end, error, result, expect)
            for (start, end, error, result), expect in answers
        ]

    async def count(self, key: str, times: int, at: int) -> int:
        """Add one to a number there, over and over; return how often it met a conflict.

        Args:
            key: Where the number stands.
            times: How often to add.
            at: When to begin, by `time.monotonic_ns`.
        """
        limit = self._limit * max(1, times // _CALLS_IN_TIME)
        return int(await self._ask("count", key, times, at, limit=limit))

    async def _ask(self, *frame: object, limit: float | None = None) -> Any:
        await self._send(*frame)
        return (await self._receive(limit))[1]

    @staticmethod
    def soon() -> int:
        """Return a moment so near that several children told now begin together."""
        return time.monotonic_ns() + 3_000_000


class Zygote(_Process):
    """A process that forks others which write to the store, and get killed.

    It never opens the store itself.
    """

    mode = "fork"

    async def __aenter__(self) -> Self:
        """Start it.

        Raises:
            NotApplicable: There is no `fork` here.
        """
        if not hasattr(os, "fork"):
            raise NotApplicable("this platform has no fork, by which the suite makes its victims")
        return await super().__aenter__()

    @asynccontextmanager
    async def victim(self, plans: Sequence[Sequence[Write]]) -> AsyncGenerator[Victim]:
        """Have a new process carry out each of `plans` in a task; kill it at the latest in the end.

        Raises:
            Violation: It could not, for another reason than being killed.
        """
        await self._send("write_on", self._opener, plans)
        victim = Victim(await self._started(), self._receive)
        try:
            yield victim
        finally:
            victim.kill()
            await victim.wait()

    async def written(
        self,
        write: Write,
        kill_at: int | None,
        *,
        opening: bool = False,
        opener: Opener | None = None,
    ) -> list[Line] | None:
        """Have a new process carry out one write, and be killed on the way or right after it.

        Args:
            write: What to do.
            kill_at: At which executed line, the first being 0; `None` to let it end, and
                acknowledge.
            opening: Whether the lines of opening the store count, too.
            opener: Opens another store than that of this object.

        Returns:
            The lines that were executed, as file and number; `None` if the write was not
            acknowledged.

        Raises:
            Violation: The write raised.
        """
        used = self._opener if opener is None else _pickled(opener)
        await self._send("write_traced", used, write, kill_at, opening)
        lines: list[Line] | None = None
        while True:
            kind, *told = await self._receive()
            if kind == "failed":
                raise Violation(f"{write} in {self.name} raised {told[0]}")
            if kind == "done":
                lines = told[0]
            if kind == "ended":
                self._expect_killed(str(write), told[0])
                return lines

    async def held_up(
        self,
        call: tuple[str, tuple[Any, ...], dict[str, Any]],
        hold_at: int | None,
        meanwhile: Callable[[], Awaitable[None]],
        patience: float,
    ) -> tuple[Answer, list[Line]]:
        """Have a new process make a call, and hold it up at a line while something else happens.

        Args:
            call: Method, positional and keyword arguments.
            hold_at: At which executed line to hold it up; `None` for none.
            meanwhile: What to do at that time.
            patience: After how many seconds to let the process go on, done or not: what it
                was doing may be what everyone else has to wait for.

        Returns:
            What became of the call, and the lines that were executed if nothing held it up.
        """
        await self._send("call_held_up", self._opener, call, hold_at)
        await self._started()
        kind, *told = await self._receive()
        if kind == "held":
            other = asyncio.ensure_future(meanwhile())
            try:
                await asyncio.wait({other}, timeout=patience)
                await asyncio.to_thread(self._let_go)
                kind, *told = await self._receive()
                await other
            finally:
                other.cancel()
        if kind != "answer":
            raise Violation(f"{call[0]} in {self.name} ended it: {told}")
        await self._receive()
        return Answer(*told[0]), told[1]

    async def _started(self) -> int:
        """Return the number of the process that has just been forked."""
        kind, told = await self._receive()
        if kind != "started":
            raise Violation(f"{self.name} ended before it had begun: {told}")
        return int(told)

    def _let_go(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(b".")
        self._process.stdin.flush()

    def _expect_killed(self, what: str, status: int) -> None:
        if status != -signal.SIGKILL:
            raise Violation(f"{what} in {self.name} ended it, with exit status {status}")


def lines_to_try(lines: Sequence[Line], own: int | None, others: int) -> list[int]:
    """Return the numbers of the lines to interfere at; all of them if there is no limit.

    Else the lines of the backend come first, since what is special about it is there, and
    each of them once, though in a later round if it is part of a loop.

    Args:
        lines: The executed lines, in order.
        own: How many of the backend's modules at the most.
        others: How many of the core's.
    """
    if own is None:
        return list(range(len(lines)))
    core = str(Path(fastadk_memory.__file__).parent)
    rounds: dict[Line, list[int]] = {}
    for at, line in enumerate(lines):
        if not line[0].startswith(core):
            rounds.setdefault(line, []).append(at)
    mine = [those[at % len(those)] for at, those in enumerate(rounds.values())]
    core_s = [at for at, (file, _) in enumerate(lines) if file.startswith(core)]
    return sorted(_spread(mine, own) + _spread(core_s, others))


def _spread(several: Sequence[int], most: int) -> list[int]:
    """Return `most` of them at the most, evenly spread."""
    if len(several) <= most:
        return list(several)
    return [several[at * len(several) // most] for at in range(most)]


def where(line: Line) -> str:
    """Return a line of source, and where it stands, in words."""
    file, number = line
    return f"line {number} of {Path(file).name}, `{linecache.getline(file, number).strip()}`"


class Victim:
    """A process that writes and acknowledges until it is killed."""

    def __init__(self, process: int, receive: Callable[[], Any]) -> None:
        self._process = process
        self._receive = receive
        self._ended = False
        self.failure: str | None = None

    async def acknowledged(self) -> tuple[int, int] | None:
        """Return the next acknowledged write: number of its plan, place in it.

        Returns:
            `None` when there will be no more.
        """
        while not self._ended:
            kind, *told = await self._receive()
            if kind == "done":
                return (told[0], told[1])
            if kind == "failed":
                self.failure = told[0]
            if kind == "ended":
                self._ended = True
                if told[0] != -signal.SIGKILL:
                    self.failure = f"ended by itself, with exit status {told[0]}"
        return None

    def kill(self) -> None:
        """Kill it at once."""
        if self._ended:
            return
        with suppress(ProcessLookupError):  # it has crashed by itself
            os.kill(self._process, signal.SIGKILL)

    async def wait(self) -> None:
        """Wait until it has ended."""
        while await self.acknowledged() is not None:
            pass
