"""`Clients`: one client for each event loop that uses the backend (clause X3).

A client lives as long as its loop runs. It learns of the loop's end through an asynchronous
generator of its own, which the loop closes in `shutdown_asyncgens`, as `asyncio.run` and
`asyncio.Runner` see to: the connections are gone when the loop is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine
from contextlib import suppress

from fastadk_memory import BackendClosedError
from fastadk_memory_redis.client import Client
from fastadk_memory_redis.forks import forks
from fastadk_memory_redis.layouts import make_client
from fastadk_memory_redis.nearcache import NearCache
from fastadk_memory_redis.settings import Settings

__all__ = ["Clients"]

_LOOK_AGAIN = 0.02
"""After how many seconds `aclose` looks whether another loop still runs."""


class Clients:
    """The clients of one backend.

    Args:
        settings: The backend's options.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clients: dict[asyncio.AbstractEventLoop, Client] = {}
        self._sentries: dict[asyncio.AbstractEventLoop, AsyncGenerator[None, None]] = {}
        self._nears: list[NearCache] = []
        self._guard = threading.Lock()
        self._closed = False
        self._forks = forks.count

    def current(self) -> Client:
        """Return the client of the running loop. Use it as a context for each call.

        Raises:
            BackendClosedError: After `aclose`.
        """
        client = self._clients.get(asyncio.get_running_loop())
        if client is None or self._closed or self._forks != forks.count:
            client = self._make()
        return client

    async def aclose(self) -> None:
        """Let the calls under way finish, in all loops, and let go of every connection."""
        with self._guard:
            self._closed = True
            self._leave_to_parent()
            clients = list(self._clients.items())
        here = asyncio.get_running_loop()
        for loop, client in clients:
            if loop is here:
                await self._close(loop, client)
            else:
                await _run_in(loop, self._close(loop, client), client)

    def _make(self) -> Client:
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._closed:
                raise BackendClosedError(
                    "this RedisBackend is closed, which is final; create a new one"
                )
            self._leave_to_parent()
            client = self._clients.get(loop)
            if client is None:
                for other in [each for each in self._clients if each.is_closed()]:
                    # Closed without shutdown_asyncgens; nothing can be said to it any more.
                    self._forget(other)
                self._clients[loop] = client = make_client(self._settings, self._nears)
                self._sentries[loop] = sentry = self._watch(loop, client)
                # Its first step, up to the yield, makes the loop know it.
                with suppress(StopIteration):
                    sentry.asend(None).send(None)
        return client

    async def _close(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        await client.close()
        sentry = self._sentries.get(loop)
        if sentry is not None:
            await sentry.aclose()

    async def _watch(
        self, loop: asyncio.AbstractEventLoop, client: Client
    ) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._forget(loop)
            await client.close_at_once()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        # Each is one step, which needs no guard.
        client = self._clients.pop(loop, None)
        self._sentries.pop(loop, None)
        if client is not None and client.near is not None:
            self._nears.remove(client.near)

    def _leave_to_parent(self) -> None:
        """After a fork, forget the connections: they are the parent's. Under the guard."""
        if self._forks != forks.count:
            self._forks = forks.count
            _parents.append((self._clients, self._sentries))
            self._clients, self._sentries = {}, {}
            self._nears.clear()


_parents: list[object] = []
"""What a forked process keeps, and never touches, lest it end what its parent uses."""


async def _run_in(
    loop: asyncio.AbstractEventLoop, closing: Coroutine[object, object, None], client: Client
) -> None:
    """Close a client of another loop, unless that loop does not run (any more)."""
    try:
        if not loop.is_running():
            raise RuntimeError("it stands still")
        done = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(closing, loop))
    except RuntimeError:
        closing.close()
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(client.topology.close)
        return
    while not done.done() and loop.is_running():
        await asyncio.wait({done}, timeout=_LOOK_AGAIN)
    if not done.done():
        done.cancel()
        return
    with suppress(asyncio.CancelledError):
        await done
