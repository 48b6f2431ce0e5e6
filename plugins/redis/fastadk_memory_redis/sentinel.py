"""Who the primary is, according to Sentinels.

Every attempt to connect asks anew. What a Sentinel says is believed only when the server
itself says that it is a primary: during a failover the two differ for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import cast

from fastadk_memory_redis.connecting import Connector, UnreachableError
from fastadk_memory_redis.lane import Lane
from fastadk_memory_redis.replies import Reply, ReplyError
from fastadk_memory_redis.target import Address
from fastadk_memory_redis.wire import pack

__all__ = ["SentinelDiscovery"]

_ROLE = pack(b"ROLE")


class SentinelDiscovery:
    """Connects to the primary of a service.

    Args:
        sentinels: Connects to Sentinels.
        servers: Connects to the servers that they watch.
        addresses: The Sentinels.
        service: What the Sentinels call the primary and its replicas together.
    """

    def __init__(
        self,
        sentinels: Connector,
        servers: Connector,
        addresses: Sequence[Address],
        service: str,
    ) -> None:
        self._sentinels = sentinels
        self._servers = servers
        self._addresses = list(addresses)
        self._service = service

    async def connect(self, on_push: Callable[[Reply], None] | None = None) -> Lane:
        """Return a lane to the primary.

        Args:
            on_push: See `Connector.connect`.

        Raises:
            UnreachableError: No Sentinel answers, none knows the service, or what they name
                is no primary that can be reached.
        """
        questions = [asyncio.ensure_future(self._ask(each)) for each in self._addresses]
        lane: Lane | None = None
        try:
            lane = await self._first_primary(asyncio.as_completed(questions), on_push)
            return lane
        finally:
            for each in questions:
                each.cancel()
            try:
                await asyncio.wait(questions)
            except BaseException:
                if lane is not None:
                    lane.end("the attempt to connect was given up", late=False)
                raise

    async def _first_primary(
        self,
        answers: Iterable[Awaitable[tuple[Address, Address]]],
        on_push: Callable[[Reply], None] | None,
    ) -> Lane:
        """Return a lane to the first primary that is named and is one."""
        troubles: list[UnreachableError] = []
        tried: set[Address] = set()
        for answer in answers:
            try:
                sentinel, primary = await answer
                self._prefer(sentinel)
                if primary not in tried:
                    tried.add(primary)
                    return await self._primary(primary, on_push)
            except UnreachableError as error:
                troubles.append(error)
        raise _summary(self._service, troubles)

    async def _ask(self, sentinel: Address) -> tuple[Address, Address]:
        question = pack(b"SENTINEL", b"get-master-addr-by-name", self._service.encode())
        lane, answer = await self._sentinels.connect(sentinel, greeting=question)
        lane.end("the Sentinel has answered", late=False)
        if isinstance(answer, ReplyError):
            raise UnreachableError(str(answer), refused=answer)
        if not isinstance(answer, list):
            raise UnreachableError(f"the Sentinel at {sentinel} does not know the service")
        host, port = cast("list[bytes]", answer)
        return sentinel, Address(host.decode(), int(port))

    async def _primary(self, address: Address, on_push: Callable[[Reply], None] | None) -> Lane:
        lane, role = await self._servers.connect(address, on_push=on_push, greeting=_ROLE)
        if isinstance(role, ReplyError):
            lane.end("its role is not known", late=False)
            raise UnreachableError(str(role), refused=role)
        if cast("list[bytes]", role)[0] != b"master":
            lane.end("it is a replica", late=False)
            raise UnreachableError(f"{address} is a replica, though the Sentinels name it")
        return lane

    def _prefer(self, sentinel: Address) -> None:
        self._addresses.remove(sentinel)
        self._addresses.insert(0, sentinel)


def _summary(service: str, troubles: list[UnreachableError]) -> UnreachableError:
    """Return one error for what all Sentinels answered."""
    told = "; ".join(dict.fromkeys(str(each) for each in troubles))
    refused = [each.refused for each in troubles if each.refused is not None]
    return UnreachableError(
        f"the primary of the service {service!r} cannot be found: {told}",
        late=any(each.late for each in troubles),
        refused=refused[0] if len(refused) == len(troubles) else None,
    )
