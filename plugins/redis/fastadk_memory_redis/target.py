"""Where the server is: a URL taken apart.

```text
redis://user:password@host:6379/0            one server
rediss://host:6380/0                         the same over TLS
redis+unix://user:password@/run/redis.sock   a socket in the file system; also unix://
redis+sentinel://h1:26379,h2,h3/service/0    the primary that the Sentinels name
redis+cluster://h1:6379,h2,h3                a cluster, entered through any of its nodes
```

`valkey` may stand for `redis` and `valkeys` for `rediss`; before a `+`, too. Each part is
percent-decoded once. No message repeats a part that may be a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote

from fastadk_memory import ConfigurationError
from fastadk_memory.urls import split_query

__all__ = ["Address", "Kind", "Target", "parse"]

_PORT = 6379
_SENTINEL_PORT = 26379
_URL = re.compile(r"(redis|rediss|valkey|valkeys)(?:\+(unix|sentinel|cluster))?://(.*)\Z", re.I)
_UNIX = re.compile(r"unix://(.*)\Z", re.I)
_HOST = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]*))(?::(\d{1,5}))?\Z")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Kind(Enum):
    """How the server is laid out."""

    ONE = "one server"
    SENTINEL = "Sentinel"
    CLUSTER = "cluster"


class Address(NamedTuple):
    """Where one process listens: a host and port, or a path with port 0."""

    host: str
    port: int

    def __str__(self) -> str:
        if self.port == 0:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """What a URL says, beside the options in its query."""

    kind: Kind
    addresses: tuple[Address, ...]
    tls: bool = False
    service: str = ""
    db: int | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        hosts = ", ".join(str(each) for each in self.addresses)
        if self.kind is Kind.SENTINEL:
            return f"service {self.service!r} of the Sentinels at {hosts}"
        return f"the cluster at {hosts}" if self.kind is Kind.CLUSTER else hosts


def parse(url: str) -> tuple[Target, dict[str, str]]:
    """Take a URL apart.

    Args:
        url: As shown above.

    Returns:
        Where the server is, and the options in the query, as text.

    Raises:
        ConfigurationError: It is no such URL.
    """
    base, options = split_query(url)
    socket = _UNIX.match(base)
    if socket is not None:
        return _socket(socket[1], options)
    found = _URL.match(base)
    if found is None:
        raise ConfigurationError(
            "the URL of a Redis server begins with redis://, rediss://, valkey://, valkeys:// or "
            "unix://, with +unix, +sentinel or +cluster after the name where it applies"
        )
    tls = found[1].lower() in ("rediss", "valkeys")
    form, rest = (found[2] or "").lower(), found[3]
    if form == "unix":
        if tls:
            raise ConfigurationError("a unix socket has no TLS; write redis+unix://")
        return _socket(rest, options)
    return _hosts(form, rest, tls), options


def _hosts(form: str, rest: str, tls: bool) -> Target:
    userinfo, authority, path = _parts(rest)
    username, password = _credentials(userinfo)
    port = _SENTINEL_PORT if form == "sentinel" else _PORT
    # Without a host it is this machine, as in redis:///0.
    addresses = tuple(_address(each, port) for each in authority.split(",")) if authority else ()
    addresses = addresses or (Address("localhost", port),)
    segments = [_decode(each) for each in path.split("/") if each]
    if form == "sentinel":
        if not 1 <= len(segments) <= 2:
            raise ConfigurationError(
                "the URL of Sentinels ends in the service's name, and a database if it is not 0: "
                "redis+sentinel://host1,host2/service/0"
            )
        return Target(
            Kind.SENTINEL, addresses, tls, segments[0], _db(segments[1:]), username, password
        )
    if form == "cluster":
        if _db(segments) not in (None, 0):
            raise ConfigurationError("a cluster has only the database 0; leave the path out")
        return Target(Kind.CLUSTER, addresses, tls, "", None, username, password)
    if len(addresses) > 1:
        raise ConfigurationError(
            "the URL of one server names one host; for several write redis+sentinel:// "
            "or redis+cluster://"
        )
    return Target(Kind.ONE, addresses, tls, "", _db(segments), username, password)


def _socket(rest: str, options: dict[str, str]) -> tuple[Target, dict[str, str]]:
    userinfo, authority, path = _parts(rest)
    if authority or not path:
        raise ConfigurationError(
            "the URL of a unix socket has its absolute path after the slashes: "
            "redis+unix:///run/redis.sock?db=0"
        )
    username, password = _credentials(userinfo)
    address = Address(_decode(path), 0)
    return Target(Kind.ONE, (address,), username=username, password=password, db=None), options


def _parts(rest: str) -> tuple[str, str, str]:
    """Return the userinfo, the hosts, and the path with its slash."""
    authority, slash, path = rest.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    if "@" in path or "@" in userinfo:
        raise ConfigurationError(
            "the URL holds a raw / or @ in its user name or password; percent-encode it there "
            "(/ is %2F, @ is %40), or use the options username and password"
        )
    return userinfo, hosts, slash + path


def _credentials(userinfo: str) -> tuple[str | None, str | None]:
    username, colon, password = userinfo.partition(":")
    return _decode(username) or None, (_decode(password) if colon else None)


def _address(text: str, port: int) -> Address:
    found = _HOST.match(text)
    if found is None:
        raise ConfigurationError(
            "a host in the URL is not written as host, host:port or [IPv6]:port"
        )
    host = _decode(found[1] or found[2]) or "localhost"
    number = int(found[3]) if found[3] else port
    if not 0 < number < 65_536:
        raise ConfigurationError("a port in the URL does not lie between 1 and 65535")
    return Address(host, number)


def _db(segments: list[str]) -> int | None:
    if not segments:
        return None
    if len(segments) > 1 or not re.fullmatch(r"\d{1,6}", segments[0], re.ASCII):
        raise ConfigurationError(
            "the path of the URL is the database, a number: redis://localhost:6379/0"
        )
    return int(segments[0])


def _decode(text: str) -> str:
    if _STRAY_PERCENT.search(text):
        raise ConfigurationError(
            "the URL holds a % that is not followed by two hexadecimal digits; write %25 for a "
            "percent sign that is meant"
        )
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        # The cause would repeat the bytes, which may be a password.
        raise ConfigurationError(
            "the URL percent-encodes bytes that are not UTF-8; encode the text as UTF-8"
        ) from None
