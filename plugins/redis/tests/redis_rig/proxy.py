"""A TCP proxy in front of a server, which cuts, stalls and delays replies when it is told to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis_rig.servers import HOST, Server, free_port
from redis_rig.waiting import until

LARGE = 1 << 20
ABORT = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


class Proxy:
    """Forwards to a server, from an event loop in a thread of its own.

    Args:
        server: Where to forward to.
        tls: Speak TLS to the clients.

    Attributes:
        accepted: How many connections have been made so far.
        reply_bytes: How many bytes of replies have been forwarded so far.
        delay: Seconds by which each piece of a reply is delayed.
        piece: How many bytes of replies are forwarded at a time.
    """

    def __init__(self, server: Server, *, tls: ssl.SSLContext | None = None) -> None:
        self.server = server
        self.tls = tls
        self.accepted = 0
        self.reply_bytes = 0
        self.delay = 0.0
        self.piece = 65536
        self._ending = False
        self._left: int | None = None
        self._held = 0
        self._holding = False
        self._let_go = asyncio.Event()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._run(self._find_port())

    @property
    def url(self) -> str:
        scheme = "redis" if self.tls is None else "rediss"
        return f"{scheme}://{self.server.login}{HOST}:{self.port}/0"

    # ------------------------------------------------------------- what it is told

    def reset_after(self, count: int) -> None:
        """Forward so many more bytes of replies, then reset every connection, once."""

        async def arm() -> None:
            self._left = count

        self._run(arm())

    @property
    def armed(self) -> bool:
        """Tell whether a reset that was asked for is still to come."""
        return self._left is not None

    def reset(self) -> None:
        """Reset every connection now."""
        self._run(self._abort_all())

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Hold every reply back; connections stay open, new ones are accepted."""
        self._run(self._flow(False))
        try:
            yield
        finally:
            self._run(self._flow(True))

    @contextmanager
    def holding_large(self) -> Iterator[None]:
        """Hold back the rest of each reply, or run of replies, that is larger than a megabyte."""
        self._run(self._hold(True))
        try:
            yield
        finally:
            self._run(self._hold(False))

    def wait_until_holding(self) -> None:
        until(lambda: self._held > 0, "a large reply is on its way")

    @contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections, after resetting those that are open."""
        self._run(self._unlisten())
        try:
            yield
        finally:
            self._run(self._listen())

    def close(self) -> None:
        self._run(self._unlisten())
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------- its thread

    def _run(self, coroutine) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def _find_port(self) -> None:
        for _ in range(20):
            self.port = free_port()
            with suppress(OSError):  # somebody was faster
                return await self._listen()
        raise RuntimeError("there is no port for a proxy")

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, HOST, self.port, ssl=self.tls)

    async def _unlisten(self) -> None:
        self._server.close()
        await self._abort_all()

    async def _flow(self, on: bool) -> None:
        (self._flowing.set if on else self._flowing.clear)()

    async def _hold(self, on: bool) -> None:
        self._holding = on
        if on:
            self._held = 0
            self._let_go.clear()
        else:
            self._let_go.set()

    async def _end(self) -> None:
        self._ending = True
        self._flowing.set()
        self._let_go.set()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await self._abort_all()
            await asyncio.wait(others, timeout=0.1)

    async def _abort_all(self) -> None:
        self._left = None
        for writer in tuple(self._open):
            raw = writer.get_extra_info("socket")  # None once TLS has let go of it
            with suppress(OSError, AttributeError):
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._open.add(writer)
        try:
            if self._ending:
                raise ConnectionAbortedError
            to_server = await asyncio.open_connection(HOST, self.server.port)
        except OSError:
            writer.transport.abort()
            self._open.discard(writer)
            return
        pumps = [
            asyncio.ensure_future(self._requests(reader, to_server[1])),
            asyncio.ensure_future(self._replies(to_server[0], writer)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._open.discard(writer)
            for each in (writer, to_server[1]):
                each.transport.abort()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def _replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Without this the kernel would put small pieces together again.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        passed = 0
        while data := await reader.read(self.piece):
            passed = passed + len(data) if self._holding else 0
            if passed > LARGE:
                self._held += 1
                await self._let_go.wait()
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._flowing.wait()
            if self._left is not None and len(data) >= self._left:
                await self._cut(writer, data[: self._left])
                return
            if self._left is not None:
                self._left -= len(data)
            self.reply_bytes += len(data)
            writer.write(data)
            await writer.drain()
            if self.piece == 1:
                await asyncio.sleep(0)  # each byte in a packet of its own

    async def _cut(self, writer: asyncio.StreamWriter, last: bytes) -> None:
        """Let the last bytes arrive, then reset; a reset at once would swallow them."""
        self._left = None
        self.reply_bytes += len(last)
        if last:
            writer.write(last)
            await writer.drain()
            await asyncio.sleep(0.005)
        await self._abort_all()
