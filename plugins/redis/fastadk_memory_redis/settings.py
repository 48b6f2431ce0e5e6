"""`Settings`: what a `RedisBackend` was told, checked, in one frozen object."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastadk_memory import ConfigurationError
from fastadk_memory_redis.target import Kind, Target, parse

__all__ = ["Settings", "merge"]

MAX_PREFIX_BYTES = 512

_NEEDED = ("url", "prefix", "client_name")
_TEXTS = (
    *_NEEDED,
    *("username", "password", "sentinel_username", "sentinel_password"),
    *("tls_ca_file", "tls_cert_file", "tls_key_file", "tls_key_password"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every option of the backend, as its constructor explains them."""

    url: str = field(repr=False)
    prefix: str
    username: str | None
    password: str | None = field(repr=False)
    db: int | None
    sentinel_username: str | None
    sentinel_password: str | None = field(repr=False)
    timeout: float
    connect_timeout: float
    health_timeout: float
    near_cache: bool
    near_cache_entries: int
    near_cache_seconds: float
    min_replicas: int
    replica_timeout: float
    tls_ca_file: str | None
    tls_cert_file: str | None
    tls_key_file: str | None
    tls_key_password: str | None = field(repr=False)
    tls_check_hostname: bool
    client_name: str
    max_value_bytes: int
    target: Target = field(init=False)

    def __post_init__(self) -> None:
        for name in _TEXTS:
            value = getattr(self, name)
            if not isinstance(value, str) and (value is not None or name in _NEEDED):
                raise ConfigurationError(f"{name} must be a str, not {type(value).__name__}")
        for name in ("near_cache", "tls_check_hostname"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"{name} must be True or False")
        target, _ = parse(self.url)  # whose query is among the options already
        object.__setattr__(self, "target", self._completed(target))
        self._check_texts()
        for name in ("timeout", "connect_timeout", "health_timeout", "near_cache_seconds"):
            _check_seconds(name, getattr(self, name))
        _check_seconds("replica_timeout", self.replica_timeout)
        _check_count("near_cache_entries", self.near_cache_entries, 1)
        _check_count("min_replicas", self.min_replicas, 0)
        _check_count("max_value_bytes", self.max_value_bytes, 1024)
        self._check_tls()

    def _completed(self, target: Target) -> Target:
        """Add the user, password and database that were given as options."""
        for name in ("username", "password", "db"):
            given, in_url = getattr(self, name), getattr(target, name)
            if given is not None and in_url is not None and given != in_url:
                raise ConfigurationError(
                    f"the URL and the option {name!r} say different things; keep one of them"
                )
        db = self.db if target.db is None else target.db
        if db is not None:
            _check_count("db", db, 0)
        if target.kind is Kind.CLUSTER and db not in (None, 0):
            raise ConfigurationError("a cluster has only the database 0; leave db out")
        password = self.password if target.password is None else target.password
        username = self.username if target.username is None else target.username
        if username is not None and password is None:
            raise ConfigurationError("a user name needs a password; give the option password")
        return Target(
            target.kind, target.addresses, target.tls, target.service, db, username, password
        )

    def _check_texts(self) -> None:
        try:
            size = len(self.prefix.encode())
            texts = (self.username, self.password, self.sentinel_username, self.sentinel_password)
            for each in (*texts, self.target.username, self.target.password):
                (each or "").encode()
        except UnicodeEncodeError:
            raise ConfigurationError(
                "the prefix, user names and passwords must be encodable as UTF-8"
            ) from None
        if not 0 < size <= MAX_PREFIX_BYTES:
            raise ConfigurationError(
                f"the prefix must have 1 to {MAX_PREFIX_BYTES} bytes of UTF-8, not {size}"
            )
        if not self.client_name or not all("!" <= char <= "~" for char in self.client_name):
            raise ConfigurationError("client_name must be ASCII without spaces, and not empty")
        if self.sentinel_username is not None and self.sentinel_password is None:
            raise ConfigurationError("sentinel_username needs sentinel_password")

    def _check_tls(self) -> None:
        given = [
            name
            for name in ("tls_ca_file", "tls_cert_file", "tls_key_file", "tls_key_password")
            if getattr(self, name) is not None
        ]
        if not self.tls_check_hostname:
            given.append("tls_check_hostname")
        if given and not self.target.tls:
            raise ConfigurationError(
                f"{given[0]} means nothing without TLS; write rediss:// for redis://"
            )
        if self.tls_key_file is not None and self.tls_cert_file is None:
            raise ConfigurationError("tls_key_file needs tls_cert_file")

    def shown(self) -> str:
        """Return where the server is and under which prefix, without any secret."""
        return f"{self.target}, prefix {self.prefix!r}"


def merge(
    cls: type, url: str, options: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options with those in the query of the URL, read as their types.

    Args:
        cls: The backend's class, whose constructor tells the types.
        url: The URL, which may have a query.
        options: The options that were given, all of them, by name.
        defaults: What they are where they were not given.

    Raises:
        ConfigurationError: The URL is none, names an option that there is not, or says
            something else than an option that was given.
    """
    from fastadk_memory.options import check_options
    from fastadk_memory.urls import split_query

    if not isinstance(url, str):
        raise ConfigurationError(f"url must be a str, not {type(url).__name__}")
    base, query = split_query(url)
    merged = {"url": base, **options}
    if "url" in query:
        raise ConfigurationError("the query of the URL cannot hold another url")
    if not query:
        return merged
    for name, value in check_options(cls, query, backend="redis").items():
        if options[name] != defaults[name] and options[name] != value:
            raise ConfigurationError(
                f"the URL and the option {name!r} say different things; keep one of them"
            )
        merged[name] = value
    return merged


def _check_seconds(name: str, value: object) -> None:
    kind_is_right = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not kind_is_right or not math.isfinite(value) or value <= 0:  # type: ignore[arg-type, operator]
        raise ConfigurationError(f"{name} must be a number of seconds above 0")


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigurationError(f"{name} must be an int of at least {least}")
