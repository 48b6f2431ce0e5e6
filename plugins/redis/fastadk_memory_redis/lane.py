"""`Lane`: one connection that any number of calls share at once.

Commands that are given within one turn of the event loop go out in one write; answers come
back in the same order, so a queue of futures is all the bookkeeping there is. A call that is
cancelled leaves its place in the queue: its answer is read, and dropped.

A lane never repeats anything, and knows nothing of what commands mean. When it ends, every
call that waits learns whether its command may have reached the server.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import hiredis

from fastadk_memory_redis.replies import Reply, ReplyError

__all__ = ["Lane", "LaneLostError"]

MAX_WAITING = 4096
"""How many commands may wait for their answers on one lane."""

MAX_UNSENT = 1 << 20
"""How many bytes of commands may wait to be sent before further calls have to wait."""

_LOOKS = 10
"""How often within a call's time limit its lane looks whether it will have passed soon."""


class LaneLostError(Exception):
    """The connection ended, or did not answer in time.

    Attributes:
        sent: Whether the command may have reached the server.
        late: Whether the time limit passed, rather than the connection breaking.
    """

    def __init__(self, why: str, *, sent: bool, late: bool) -> None:
        super().__init__(why)
        self.sent = sent
        self.late = late


class _Waiting(Protocol):
    """What waits for an answer: a future, or something that behaves like one."""

    def done(self) -> bool: ...
    def set_result(self, result: Reply, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...


class _Batch:
    """Collects the answers to commands that were given together."""

    __slots__ = ("_replies", "_size", "future")

    def __init__(self, future: asyncio.Future[list[Reply]], size: int) -> None:
        self.future = future
        self._size = size
        self._replies: list[Reply] = []

    def done(self) -> bool:
        return False  # it goes on counting after a cancellation, so that its end is known

    def set_result(self, result: Reply) -> None:
        self._replies.append(result)
        if len(self._replies) == self._size and not self.future.done():
            self.future.set_result(self._replies)

    def set_exception(self, exception: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(exception)


class Lane(asyncio.Protocol):
    """One multiplexed connection, used in one event loop only.

    Args:
        loop: The event loop.
        where: The server, for messages.
        limit: How many seconds a call may take, as a rule.
        on_push: Called with each push message (near cache).

    Attributes:
        where: The server, for messages.
        full: Whether to wait for `room` before giving it another command.
        usable: Whether it takes commands: not before it is connected, nor after its end.
        hung: Whether it ended because the server did not answer.
        on_end: Called once, when it takes no more commands.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        where: str,
        limit: float,
        on_push: Callable[[Reply], None] | None = None,
    ) -> None:
        self.where = where
        self.full = False
        self.usable = False
        self.hung = False
        self.on_end: Callable[[], None] | None = None
        self._loop = loop
        self._limit = limit
        self._on_push = on_push
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=_MORE)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[_Waiting, float]] = deque()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._flush_planned = False
        self._writing_paused = False
        self._room_wanted: list[asyncio.Future[None]] = []
        self._watch: asyncio.TimerHandle | None = None
        self._heard = False
        self._silent_since = 0.0
        self._retiring = False
        self._ending = ""
        self._gone: asyncio.Future[None] = loop.create_future()

    # ------------------------------------------------------------------ giving commands

    def send(self, command: bytes, deadline: float) -> asyncio.Future[Reply]:
        """Give a command; the result is its answer, an error of the server's included.

        Args:
            command: A packed command.
            deadline: By the event loop's clock.

        Returns:
            A future. It fails with `LaneLostError`, and may be cancelled at any time.
        """
        future: asyncio.Future[Reply] = self._loop.create_future()
        if not self.usable:
            future.set_exception(LaneLostError(self._why(), sent=False, late=False))
            return future
        waiting = self._waiting
        if waiting:
            waiting.append((future, deadline))
            self._unsent.append(command)
            self._unsent_bytes += len(command)
            self._plan_flush()
        else:
            # Nobody to share a write with: the answer comes a turn of the loop earlier.
            waiting.append((future, deadline))
            self._begin_watch()
            self._transport.write(command)  # type: ignore[union-attr]
        return future

    def send_together(
        self, commands: Sequence[bytes], deadline: float
    ) -> asyncio.Future[list[Reply]]:
        """Give several commands, with nothing between them; the result is all answers.

        Args:
            commands: Packed commands, at least one.
            deadline: By the event loop's clock.

        Returns:
            A future, as for `send`.
        """
        future: asyncio.Future[list[Reply]] = self._loop.create_future()
        if not self.usable:
            future.set_exception(LaneLostError(self._why(), sent=False, late=False))
            return future
        entry = (_Batch(future, len(commands)), deadline)
        self._waiting.extend([entry] * len(commands))
        self._unsent.extend(commands)
        self._unsent_bytes += sum(map(len, commands))
        self._plan_flush()
        return future

    async def answered(self, given: asyncio.Future[Reply] | asyncio.Future[list[Reply]]) -> None:
        """Wait until a command has its answer, though whoever gave it was cancelled.

        The command's own time limit bounds that. Further cancellations do not.

        Args:
            given: The future, cancelled, that `send` or `send_together` has returned.
        """
        following = self._follow(given)
        while following is not None and not following.done():
            try:
                await asyncio.wait({following})
            except asyncio.CancelledError:
                continue
        if following is not None:
            following.exception()  # seen

    def _follow(
        self, given: asyncio.Future[Reply] | asyncio.Future[list[Reply]]
    ) -> asyncio.Future[Reply] | asyncio.Future[list[Reply]] | None:
        """Let another future take the place of a cancelled one; `None` if it has its answer."""
        for place, (entry, deadline) in enumerate(self._waiting):
            if entry is given:
                single: asyncio.Future[Reply] = self._loop.create_future()
                self._waiting[place] = (single, deadline)
                return single
            if isinstance(entry, _Batch) and entry.future is given:
                entry.future = self._loop.create_future()
                return entry.future
        return None

    async def room(self) -> None:
        """Wait until the lane takes more commands, or has ended."""
        while self.full and self.usable:
            wanted: asyncio.Future[None] = self._loop.create_future()
            self._room_wanted.append(wanted)
            try:
                await wanted
            finally:
                if wanted in self._room_wanted:
                    self._room_wanted.remove(wanted)

    def _plan_flush(self) -> None:
        if not self._flush_planned:
            self._flush_planned = True
            self._loop.call_soon(self._flush)
            self._begin_watch()
        if self._unsent_bytes >= MAX_UNSENT or len(self._waiting) >= MAX_WAITING:
            self.full = True
            self._flush_unsent()

    def _begin_watch(self) -> None:
        if self._watch is None:
            self._silent_since = self._loop.time()
            self._watch = self._loop.call_later(self._limit / _LOOKS, self._look)

    def _flush(self) -> None:
        self._flush_planned = False
        self._flush_unsent()

    def _flush_unsent(self) -> None:
        unsent = self._unsent
        if unsent and self._transport is not None:
            self._unsent, self._unsent_bytes = [], 0
            self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    # ------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; see `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        if self._ending:  # the attempt was given up in the meantime
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=MAX_UNSENT)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Hand each answer to whoever has waited the longest."""
        self._heard = True
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            gets = reader.gets
            while (reply := gets()) is not _MORE:
                if reply.__class__ is hiredis.PushNotification:
                    if self._on_push is not None:
                        self._on_push(reply)
                    continue
                entry = waiting.popleft()[0]
                if not entry.done():
                    entry.set_result(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.end(f"{self.where} answered what is no answer of Redis's: {error}", late=False)
            return
        if self.full and not self._writing_paused and len(waiting) <= MAX_WAITING // 2:
            self._make_room()
        if self._retiring and not waiting:
            self.end(f"the connection to {self.where} was given up", late=False)

    def pause_writing(self) -> None:
        """Stop taking commands: the system's buffer is full."""
        self._writing_paused = self.full = True

    def resume_writing(self) -> None:
        """Take commands again."""
        self._writing_paused = False
        if len(self._waiting) <= MAX_WAITING // 2:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell all who wait; see `asyncio.Protocol`."""
        told = f"{self.where} closed the connection"
        self.end(told if exc is None else f"{told} ({exc})", late=False)
        if not self._gone.done():
            self._gone.set_result(None)

    # ------------------------------------------------------------------ time limits

    def _look(self) -> None:
        """Fail calls whose time will be up before the next look.

        If nothing has been heard at all for long, end the lane.
        """
        self._watch = None
        now, period = self._loop.time(), self._limit / _LOOKS
        if self._heard:
            self._heard, self._silent_since = False, now
        if not self._waiting:
            return
        overdue = [entry for entry, deadline in self._waiting if deadline <= now + period]
        if overdue and now - self._silent_since >= self._limit / 2:
            self.end(f"{self.where} does not answer", late=True)
            return
        for entry in overdue:
            if not entry.done():
                entry.set_exception(
                    LaneLostError(f"{self.where} did not answer in time", sent=True, late=True)
                )
        self._watch = self._loop.call_at(now + period, self._look)

    # ------------------------------------------------------------------ the end

    def retire(self) -> None:
        """Take no more commands, and end when those given have been answered."""
        self._stop_taking()
        self._retiring = True
        if not self._waiting:
            self.end(f"the connection to {self.where} was given up", late=False)

    def end(self, why: str, *, late: bool) -> None:
        """End at once; calls that wait fail.

        Args:
            why: What to tell them.
            late: Whether it is because the server did not answer in time.
        """
        if self._ending:
            return
        self._ending, self.hung = why, late
        self._stop_taking()
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        unsent, self._unsent = len(self._unsent), []
        waiting, self._waiting = self._waiting, deque()
        surely_not_sent = len(waiting) - unsent
        for place, (entry, _) in enumerate(waiting):
            if not entry.done():
                sent = place < surely_not_sent
                entry.set_exception(LaneLostError(why, sent=sent, late=late))
        if self._transport is not None:
            self._transport.abort()
        elif not self._gone.done():
            self._gone.set_result(None)

    async def gone(self) -> None:
        """Wait until the socket is closed, after `end`."""
        await asyncio.shield(self._gone)

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Have a function called when the socket is closed."""
        self._gone.add_done_callback(lambda _: callback())

    def _stop_taking(self) -> None:
        self.usable = False
        self._make_room()
        if self.on_end is not None:
            on_end, self.on_end = self.on_end, None
            on_end()

    def _make_room(self) -> None:
        self.full = False
        wanted, self._room_wanted = self._room_wanted, []
        for future in wanted:
            if not future.done():
                future.set_result(None)

    def _why(self) -> str:
        return self._ending or f"{self.where} is not connected"


_MORE = object()
