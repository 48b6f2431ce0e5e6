"""`Client`: what one event loop needs to talk to the server, and the policy of repeating.

A command is given again only if that cannot do harm: if it surely has not been carried out
(it never left, or the server said so), or if it only reads. Where a write was sent and its
answer never came, the call fails, and says that the outcome is unknown: to repeat it might
undo what another client has written since, and bring an old version back to life.

A read that is cancelled ends at once. A write that is cancelled ends when its answer has come:
another lane's commands, or another client's, could otherwise overtake it, and it would take
effect after it had ended (clause X2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar, cast

from fastadk_memory import BackendTimeoutError, BackendUnavailableError, FastADKMemoryError
from fastadk_memory_redis.connecting import UnreachableError
from fastadk_memory_redis.lane import Lane, LaneLostError
from fastadk_memory_redis.link import Pauses
from fastadk_memory_redis.nearcache import NearCache
from fastadk_memory_redis.replicas import Replicas
from fastadk_memory_redis.replies import Reply, ReplyError, Verdict, refusal, verdict
from fastadk_memory_redis.topology import Node, Topology, Track
from fastadk_memory_redis.wire import pack

__all__ = ["Call", "Client"]

T = TypeVar("T")

_ASKING = pack(b"ASKING")

_UNKNOWN = (
    "; whether the write was carried out is unknown: read the entry to find out, "
    "and repeat the call if you want it done"
)


class Call:
    """One command and what may be done with it.

    Args:
        name: The key's name on the server, which says where it belongs.
        command: The packed command.
        key: The key, for errors.
        reads: Whether it only reads.
        repeatable: Whether running it twice does no harm; what only reads always is.
        track: Which lane it takes.
        then: A second command, which follows it directly; the answer is then that of both.
    """

    __slots__ = ("command", "key", "name", "repeatable", "then", "track", "writes")

    def __init__(
        self,
        name: bytes,
        command: bytes,
        key: str | None = None,
        *,
        reads: bool = False,
        repeatable: bool = False,
        track: Track = Track.SMALL,
        then: bytes | None = None,
    ) -> None:
        self.name = name
        self.command = command
        self.key = key
        self.writes = not reads
        self.repeatable = reads or repeatable
        self.track = track
        self.then = then


class Client:
    """Carries out commands in one event loop.

    Args:
        topology: Where keys live.
        timeout: Seconds that a call may take, repetitions and reconnecting included.
        near: What is kept in the process, if anything.
        replicas: What makes writes wait for replicas, if anything.

    Attributes:
        time: The event loop's clock.
    """

    def __init__(
        self,
        topology: Topology,
        timeout: float,
        near: NearCache | None = None,
        replicas: Replicas | None = None,
    ) -> None:
        self.topology = topology
        self.near = near
        self._replicas = replicas
        self._notes_writes = near is not None or replicas is not None
        self.loop = asyncio.get_running_loop()
        self.time = self.loop.time
        self._timeout = timeout
        self._calls = 0
        self._idle: list[asyncio.Future[None]] = []
        self._closed = False

    # ------------------------------------------------------------------ calls under way

    def __enter__(self) -> Client:
        """Begin a call of the backend."""
        self._calls += 1
        return self

    def __exit__(self, *_: object) -> None:
        """End a call of the backend."""
        self._calls -= 1
        if self._idle and not self._calls:
            for future in self._idle:
                if not future.done():
                    future.set_result(None)

    async def close(self) -> None:
        """Wait for the calls under way, which their time limits bound; then let go."""
        while self._calls and not self._closed:
            idle: asyncio.Future[None] = self.loop.create_future()
            self._idle.append(idle)
            try:
                await idle
            finally:
                self._idle.remove(idle)
        await self.close_at_once()

    async def close_at_once(self) -> None:
        """Let go, whatever is under way."""
        self._closed = True
        self.topology.close()
        await self.topology.closed()

    # ------------------------------------------------------------------ commands

    def deadline(self) -> float:
        """Return when a call that begins now has to have ended."""
        return self.time() + self._timeout

    async def run(self, call: Call, *, noted: bool = False) -> Reply:
        """Carry a command out, and return its answer.

        Args:
            call: The command.
            noted: Whether what has to happen around a write is being seen to already.

        Raises:
            BackendUnavailableError: The server is away or refuses.
            BackendTimeoutError: It did not answer in time.
            CorruptEntryError: There is something of another type under the key.
        """
        if self._notes_writes and call.writes and not noted:
            return await self._write(call)
        deadline = self.time() + self._timeout
        lane = self.topology.ready(call.name, call.track)
        if lane is None or lane.full or call.then is not None:
            return await self._insist(call, deadline, None, None)
        future = lane.send(call.command, deadline)
        try:
            reply = await future
        except LaneLostError as lost:
            return await self._insist(call, deadline, lane, lost)
        except asyncio.CancelledError:
            if call.writes:
                await lane.answered(future)
            raise
        if isinstance(reply, ReplyError):
            return await self._insist(call, deadline, lane, reply)
        return reply

    async def read(self, name: bytes, command: bytes, key: str | None = None) -> Reply:
        """Carry out a command that only reads, and whose answer is small; as `run` does.

        A `get` spends its time here: what is only needed when something is wrong is made then.

        Args:
            name: The key's name on the server.
            command: The packed command.
            key: The key, for errors.
        """
        deadline = self.time() + self._timeout
        lane = self.topology.ready(name, Track.SMALL)
        trouble: LaneLostError | ReplyError | None = None
        if lane is None or lane.full:
            lane = None
        else:
            try:
                reply = await lane.send(command, deadline)
            except LaneLostError as lost:
                trouble = lost
            else:
                if not isinstance(reply, ReplyError):
                    return reply
                trouble = reply
        return await self._insist(Call(name, command, key, reads=True), deadline, lane, trouble)

    async def run_all(self, calls: Sequence[Call]) -> list[Reply]:
        """Carry out commands that do not depend on each other; return their answers in order.

        Args:
            calls: Either only reads or only writes.

        Raises:
            FastADKMemoryError: As for `run`, if one of them fails; others may have been
                carried out.
        """
        if not self._notes_writes or not calls[0].writes:
            return await self._run_all(calls, Track.BATCH)
        with self._forgetting([call.key for call in calls]):
            if self._replicas is None:
                return await self._run_all(calls, Track.BATCH)
            return await self._run_all(calls, Track.WRITES, self._replicas)

    async def _write(self, call: Call) -> Reply:
        with self._forgetting([call.key]):
            if self._replicas is None:
                return await self.run(call, noted=True)
            call.then, call.track = self._replicas.wait, Track.WRITES
            reply, confirmed = cast("list[Reply]", await self.run(call, noted=True))
            self._replicas.check(confirmed)
            return reply

    def _forgetting(self, keys: Sequence[str | None]) -> AbstractContextManager[None]:
        return nullcontext() if self.near is None else self.near.changing(keys)

    async def _run_all(
        self, calls: Sequence[Call], track: Track, replicas: Replicas | None = None
    ) -> list[Reply]:
        deadline = self.deadline()
        replies: list[Reply] = [None] * len(calls)
        groups: dict[Lane, list[int]] = {}
        for at, call in enumerate(calls):
            lane = self.topology.ready(call.name, track)
            if lane is None:
                lane = await self._lane(call, track, deadline)
            groups.setdefault(lane, []).append(at)
        tail = [] if replicas is None else [replicas.wait]
        troubles: list[tuple[int, Lane, LaneLostError | ReplyError]] = []
        sent: list[tuple[Lane, list[int], asyncio.Future[list[Reply]]]] = []
        for lane, places in groups.items():
            if lane.full:
                await self._wait_for_room(lane, deadline)
            commands = [calls[at].command for at in places] + tail
            sent.append((lane, places, lane.send_together(commands, deadline)))
        outcomes = await _settled(
            [(lane, future) for lane, _, future in sent], writes=calls[0].writes
        )
        for (lane, places, _), outcome in zip(sent, outcomes, strict=True):
            if isinstance(outcome, LaneLostError):
                troubles += [(at, lane, outcome) for at in places]
                continue
            if replicas is not None:
                replicas.check(outcome.pop())
            for at, reply in zip(places, outcome, strict=True):
                if isinstance(reply, ReplyError):
                    troubles.append((at, lane, reply))
                else:
                    replies[at] = reply
        for at, lane, trouble in sorted(troubles, key=lambda each: each[0]):
            if replicas is not None:
                calls[at].then = replicas.wait
            reply = await self._insist(calls[at], deadline, lane, trouble, track)
            if replicas is not None:
                reply, confirmed = cast("list[Reply]", reply)
                replicas.check(confirmed)
            replies[at] = reply
        return replies

    async def on_node(
        self, node: Node, command: bytes, deadline: float, track: Track = Track.BATCH
    ) -> Reply:
        """Carry out one command on one node, once; the answer may be an error of the server's.

        Raises:
            UnreachableError: The node cannot be reached, or was lost.
        """
        lane = await node.links[track].connect(deadline)
        try:
            return await lane.send(command, deadline)
        except LaneLostError as lost:
            error = UnreachableError(str(lost), late=lost.late)
            error.patient = not lost.late
            raise error from lost

    # ------------------------------------------------------------------ repeating

    async def _insist(
        self,
        call: Call,
        deadline: float,
        lane: Lane | None,
        trouble: LaneLostError | ReplyError | None,
        track: Track | None = None,
    ) -> Reply:
        """Carry a command out although it did not work at once."""
        track = call.track if track is None else track
        pauses = Pauses()
        while True:
            ask: tuple[str, int] | None = None
            if trouble is not None and lane is not None:
                ask = await self._react(call, lane, trouble, pauses, deadline)
            try:
                if ask is not None and lane is not None:
                    lane = await self._asked(call, ask, lane, track, deadline)
                else:
                    lane = await self._lane(call, track, deadline)
            except BackendTimeoutError:
                if isinstance(trouble, ReplyError) and lane is not None:
                    # The time is up, and what was wrong all along is known better.
                    raise refusal(trouble, lane.where, call.key) from trouble
                raise
            if lane.full:
                await self._wait_for_room(lane, deadline)
            try:
                reply = await _give(lane, call, ask is not None, deadline)
            except LaneLostError as lost:
                trouble = lost
                continue
            if not isinstance(reply, ReplyError):
                return reply
            trouble = reply

    async def _react(
        self,
        call: Call,
        lane: Lane,
        trouble: LaneLostError | ReplyError,
        pauses: Pauses,
        deadline: float,
    ) -> tuple[str, int] | None:
        """Do what has to be done before the command is given again; or raise.

        Returns:
            The node to ask this once, if the server says so.
        """
        late = self.time() >= deadline
        if isinstance(trouble, LaneLostError):
            if late or (trouble.sent and not call.repeatable):
                raise _lost(trouble, call) from trouble
            await self._pause(pauses, deadline, brief=True)
            return None
        kind = verdict(trouble)
        if kind is Verdict.REFUSED or late:
            raise refusal(trouble, lane.where, call.key) from trouble
        if kind in (Verdict.ASK, Verdict.MOVED):
            host, _, port = trouble.words[2].rpartition(":")
            if kind is Verdict.ASK:
                return host, int(port)
            self.topology.moved(call.name, host, int(port), lane)
            # A map that is being redrawn may send a call back and forth for a moment.
            await self._pause(pauses, deadline, brief=True)
            return None
        if kind is Verdict.ELSEWHERE:
            self.topology.distrust(lane)
            await self.topology.look_again(deadline)
        await self._pause(pauses, deadline)
        return None

    async def _lane(self, call: Call, track: Track, deadline: float) -> Lane:
        return await self._reach(lambda: self.topology.lane(call.name, track, deadline), deadline)

    async def _asked(
        self, call: Call, ask: tuple[str, int], lane: Lane, track: Track, deadline: float
    ) -> Lane:
        host, port = ask
        try:
            return await self.topology.elsewhere(host, port, lane, track, deadline)
        except UnreachableError:
            # The slot's old home may know better by now.
            return await self._lane(call, track, deadline)

    async def _reach(self, attempt: Callable[[], Awaitable[T]], deadline: float) -> T:
        """Try until it succeeds, as long as there is hope and time."""
        pauses = Pauses()
        while True:
            try:
                return await attempt()
            except UnreachableError as error:
                if not error.patient or self.time() >= deadline:
                    raise unavailable(error) from error
                await self._pause(pauses, deadline)
                await self.topology.look_again(deadline)

    async def reach(self, attempt: Callable[[float], Awaitable[T]]) -> T:
        """Try something that may raise `UnreachableError` until it succeeds, in the time there is.

        Raises:
            BackendUnavailableError: It does not succeed.
            BackendTimeoutError: The server does not answer in time.
        """
        deadline = self.deadline()
        return await self._reach(lambda: attempt(deadline), deadline)

    async def _wait_for_room(self, lane: Lane, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline):
                await lane.room()
        except TimeoutError as error:
            raise BackendTimeoutError(
                f"{lane.where} does not take commands as fast as they are given; nothing was sent"
            ) from error

    async def _pause(self, pauses: Pauses, deadline: float, *, brief: bool = False) -> None:
        pause = pauses.next()
        left = max(0.0, deadline - self.time())
        await asyncio.sleep(min(pause / 10 if brief else pause, left))


async def _give(lane: Lane, call: Call, asking: bool, deadline: float) -> Reply:
    """Give a call's commands; an error among the answers is the answer."""
    commands = [call.command] if call.then is None else [call.command, call.then]
    if asking:
        commands = [each for command in commands for each in (_ASKING, command)]
    future = lane.send_together(commands, deadline)
    try:
        replies = await future
    except asyncio.CancelledError:
        if call.writes:
            await lane.answered(future)
        raise
    if asking:
        replies = replies[1::2]
    if call.then is None or isinstance(replies[0], ReplyError):
        return replies[0]
    return replies


def unavailable(error: UnreachableError) -> FastADKMemoryError:
    """Return the error of ours for an attempt to connect that failed."""
    if error.refused is not None:
        return refusal(error.refused, "the server")
    if error.late:
        return BackendTimeoutError(f"{error}; is the server overloaded, or a firewall in between?")
    return BackendUnavailableError(f"{error}; is the server running, and the URL right?")


def _lost(lost: LaneLostError, call: Call) -> FastADKMemoryError:
    text = str(lost) + (_UNKNOWN if lost.sent and not call.repeatable else "")
    return BackendTimeoutError(text) if lost.late else BackendUnavailableError(text)


async def _settled(
    given: Sequence[tuple[Lane, asyncio.Future[list[Reply]]]], *, writes: bool
) -> list[list[Reply] | LaneLostError]:
    """Wait for all of them; a cancellation reaches all of them."""
    outcomes: list[list[Reply] | LaneLostError] = []
    try:
        for _, future in given:
            try:
                outcomes.append(await future)
            except LaneLostError as lost:
                outcomes.append(lost)
    except asyncio.CancelledError:
        for lane, future in given:
            future.cancel()
            if writes and future.cancelled():
                await lane.answered(future)
        raise
    finally:
        for _, future in given:
            if not future.cancel() and not future.cancelled():
                future.exception()  # seen
    return outcomes
