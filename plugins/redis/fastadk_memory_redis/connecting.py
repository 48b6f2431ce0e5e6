"""One attempt to connect: the socket, TLS, and the handshake."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastadk_memory import ConfigurationError
from fastadk_memory_redis.lane import Lane, LaneLostError
from fastadk_memory_redis.replies import Reply, ReplyError
from fastadk_memory_redis.settings import Settings
from fastadk_memory_redis.target import Address
from fastadk_memory_redis.wire import pack

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Connector", "UnreachableError"]


class UnreachableError(Exception):
    """An attempt to connect failed.

    Attributes:
        late: Whether the server did not answer in time, rather than being away.
        refused: What the server answered, if it was there and refused.
        patient: Whether it is worth trying again, because the server was there just now.
        began: When the attempt began, by the event loop's clock, where others may share it.
    """

    def __init__(self, why: str, *, late: bool = False, refused: ReplyError | None = None) -> None:
        super().__init__(why)
        self.late = late
        self.refused = refused
        self.patient = False
        self.began = 0.0


class Connector:
    """Connects to addresses, always with the same credentials and options.

    Args:
        settings: The backend's options.
        username: Whom to connect as; those of the servers and of the Sentinels may differ.
        password: The password.
        db: The database to select, if it is not the first.
    """

    def __init__(
        self,
        settings: Settings,
        username: str | None,
        password: str | None,
        db: int | None,
    ) -> None:
        self._settings = settings
        self._username = username
        self._password = password
        self._db = db
        self._tls: SSLContext | None = None

    async def connect(
        self,
        address: Address,
        *,
        on_push: Callable[[Reply], None] | None = None,
        greeting: bytes = b"",
    ) -> tuple[Lane, Reply]:
        """Connect, introduce oneself, and see that the server answers.

        Args:
            address: Where to.
            on_push: For connections on which the server tells of changed keys; their
                protocol is RESP3.
            greeting: One more command, packed, whose answer is wanted.

        Returns:
            The lane, ready for use, and the answer to the greeting (`None` without one).

        Raises:
            UnreachableError: It did not succeed within `connect_timeout`.
            ConfigurationError: A certificate or key cannot be read.

        A cancelled call leaves no connection behind.
        """
        tls = self._context()
        loop = asyncio.get_running_loop()
        lane = Lane(loop, str(address), self._settings.timeout, on_push)
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                await self._reach(loop, lane, address, tls)
                answer = await self._introduce(loop, lane, on_push is not None, greeting)
        except BaseException as error:
            lane.end("the attempt to connect was given up", late=False)
            if isinstance(error, TimeoutError):
                raise UnreachableError(f"{address} does not answer", late=True) from error
            if isinstance(error, LaneLostError):
                raise UnreachableError(str(error), late=error.late) from error
            if isinstance(error, OSError):
                raise UnreachableError(_told(address, error)) from error
            raise
        return lane, answer

    async def _reach(
        self, loop: asyncio.AbstractEventLoop, lane: Lane, address: Address, tls: SSLContext | None
    ) -> None:
        if address.port == 0:
            await loop.create_unix_connection(lambda: lane, address.host)
            return
        transport, _ = await loop.create_connection(
            lambda: lane,
            address.host,
            address.port,
            ssl=tls,
            server_hostname=address.host if tls else None,
        )
        _keep_alive(transport.get_extra_info("socket"))

    async def _introduce(
        self, loop: asyncio.AbstractEventLoop, lane: Lane, resp3: bool, greeting: bytes
    ) -> Reply:
        """Log in, choose the database and name the connection: all in one round trip."""
        commands: list[tuple[bytes, bool]] = []
        credentials = _credentials(self._username, self._password)
        if resp3:
            if len(credentials) == 1:
                credentials = [b"default", *credentials]
            login = [b"AUTH", *credentials] if credentials else []
            commands.append((pack(b"HELLO", b"3", *login), True))
            commands.append((pack(b"CLIENT", b"TRACKING", b"ON"), True))
        elif credentials:
            commands.append((pack(b"AUTH", *credentials), True))
        if self._db:
            commands.append((pack(b"SELECT", b"%d" % self._db), True))
        # An ACL may well forbid naming connections, which is a courtesy to the operator.
        name = self._settings.client_name.encode()
        commands.append((pack(b"CLIENT", b"SETNAME", name), False))
        if greeting:
            commands.append((greeting, False))
        deadline = loop.time() + self._settings.connect_timeout
        replies = await lane.send_together([command for command, _ in commands], deadline)
        for reply, (_, needed) in zip(replies, commands, strict=True):
            if isinstance(reply, ReplyError) and (needed or _shut_out(reply)):
                raise UnreachableError(str(reply), refused=reply) from reply
        return replies[-1] if greeting else None

    def _context(self) -> SSLContext | None:
        if not self._settings.target.tls:
            return None
        if self._tls is None:
            self._tls = _tls_context(self._settings)
        return self._tls


def _credentials(username: str | None, password: str | None) -> list[bytes]:
    if password is None:
        return []
    return [password.encode()] if username is None else [username.encode(), password.encode()]


def _shut_out(reply: ReplyError) -> bool:
    """Tell whether no command at all would be carried out on the connection."""
    return reply.code == "NOAUTH" or "max number of clients" in str(reply)


def _told(address: Address, error: OSError) -> str:
    """Say why, without the parts of an OSError that differ from system to system."""
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {address}"
    if isinstance(error, socket.gaierror):
        return f"the host {address.host!r} cannot be resolved: {error.strerror}"
    return f"{address} cannot be reached: {error.strerror or error}"


def _keep_alive(connection: socket.socket) -> None:
    """Let the system notice a peer that has vanished while nothing was being said."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        option = getattr(socket, name, None)
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _tls_context(settings: Settings) -> SSLContext:
    import ssl

    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
        context.check_hostname = settings.tls_check_hostname
        if settings.tls_cert_file is not None:
            context.load_cert_chain(
                settings.tls_cert_file,
                settings.tls_key_file,
                # Never the terminal's: OpenSSL would ask there for a password it lacks.
                password=settings.tls_key_password or "",
            )
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "a certificate or key cannot be read; see the options tls_ca_file, tls_cert_file, "
            f"tls_key_file and tls_key_password: {error}"
        ) from error
    return context
