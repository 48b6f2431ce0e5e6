"""Where a URL says that the server is, and what a wrong one is told."""

from __future__ import annotations

import pytest
from fastadk_memory_redis import RedisBackend
from fastadk_memory_redis.target import Address, Kind, parse

from fastadk_memory import ConfigurationError, open_memory

ONE, SENTINEL, CLUSTER = Kind.ONE, Kind.SENTINEL, Kind.CLUSTER

TABLE = [
    # URL, kind, addresses, TLS, db, user, password
    ("redis://h", ONE, [("h", 6379)], False, None, None, None),
    ("redis://", ONE, [("localhost", 6379)], False, None, None, None),
    ("redis:///3", ONE, [("localhost", 6379)], False, 3, None, None),
    ("redis://h:7000/2", ONE, [("h", 7000)], False, 2, None, None),
    ("valkey://h:7000/2", ONE, [("h", 7000)], False, 2, None, None),
    ("rediss://h/", ONE, [("h", 6379)], True, None, None, None),
    ("valkeys://h/", ONE, [("h", 6379)], True, None, None, None),
    ("redis://[::1]:7000/0", ONE, [("::1", 7000)], False, 0, None, None),
    ("redis://:p%40ss%2F%23@h", ONE, [("h", 6379)], False, None, None, "p@ss/#"),
    ("redis://a%3Ab:c%25d@h", ONE, [("h", 6379)], False, None, "a:b", "c%d"),
    ("redis://us:pa:ss@h", ONE, [("h", 6379)], False, None, "us", "pa:ss"),
    ("unix:///run/redis.sock", ONE, [("/run/redis.sock", 0)], False, None, None, None),
    ("redis+unix:///run/r%20s.sock", ONE, [("/run/r s.sock", 0)], False, None, None, None),
    ("unix://u:hunter2@/run/r.sock", ONE, [("/run/r.sock", 0)], False, None, "u", "hunter2"),
    (
        "redis+sentinel://h1,h2:1,[::2]:3/main/4",
        SENTINEL, [("h1", 26379), ("h2", 1), ("::2", 3)], False, 4, None, None,
    ),
    ("redis+sentinel://h1/main", SENTINEL, [("h1", 26379)], False, None, None, None),
    ("rediss+cluster://h1,h2:7/", CLUSTER, [("h1", 6379), ("h2", 7)], True, None, None, None),
    ("redis+cluster://u:hunter2@h1", CLUSTER, [("h1", 6379)], False, None, "u", "hunter2"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "kind", "addresses", "tls", "db", "user", "password"), TABLE)
def test_a_url_says_where_the_server_is(url, kind, addresses, tls, db, user, password) -> None:
    target, rest = parse(url)
    assert rest == {}
    assert (target.kind, target.tls, target.db) == (kind, tls, db)
    assert target.addresses == tuple(Address(*each) for each in addresses)
    assert (target.username, target.password) == (user, password)
    assert password is None or password not in f"{target} {target!r}"


WRONG = [
    "redis://h/zero",
    "redis://h/0/1",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:x",
    "redis://h1,h2",
    "redis://h/-1",
    "redis://user:hunter2/x@h",
    "redis://user:hunter2@x@h",
    "redis://user:hunter2%zz@h",
    "redis://user:hunter2%ff@h",
    "redis+cluster://h/1",
    "redis+sentinel://h",
    "redis+sentinel://h/main/0/1",
    "redis+what://h",
    "http://user:hunter2@h",
    "unix://host/run/redis.sock",
    "unix://",
    "rediss+unix:///run/redis.sock",
    "redis://h?hunter2=1",
    "redis://h?timeout=hunter2",
    "redis://h?timeout=-1",
    "redis://h?db=1&db=2",
    "redis://h/1?db=2",
    "redis://h?tls_ca_file=/ca.pem",
    "rediss://h?tls_key_file=/key.pem",
    "redis://user@h",
    "",
]


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_url_is_refused_at_once_without_telling_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        RedisBackend(url)
    if "hunter2" in url.partition("?")[0]:
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"prefix": ""},
        {"prefix": "x" * 600},
        {"prefix": "\ud800"},
        {"db": -1},
        {"db": 1, "url": "redis://h/2"},
        {"password": "a", "url": "redis://:b@h"},
        {"username": "a"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": True},
        {"connect_timeout": -1},
        {"health_timeout": float("inf")},
        {"near_cache_entries": 0},
        {"min_replicas": -1},
        {"min_replicas": 1.5},
        {"max_value_bytes": 1},
        {"client_name": "with space"},
        {"tls_ca_file": "/ca.pem"},
        {"tls_check_hostname": False},
        {"sentinel_username": "x"},
        {"url": 7},
    ],
    ids=str,
)
def test_an_impossible_option_is_refused_at_once(options) -> None:
    with pytest.raises(ConfigurationError):
        RedisBackend(**options)


def test_options_may_stand_in_the_url() -> None:
    in_url = RedisBackend("redis://h/1?timeout=7&near_cache=true&prefix=my%20bot&min_replicas=2")
    given = RedisBackend(
        "redis://h", db=1, timeout=7.0, near_cache=True, prefix="my bot", min_replicas=2
    )
    assert in_url._settings.timeout == given._settings.timeout == 7.0
    assert in_url._settings.near_cache is given._settings.near_cache is True
    assert in_url._settings.prefix == given._settings.prefix == "my bot"
    assert in_url._settings.min_replicas == given._settings.min_replicas == 2
    assert in_url._settings.target.db == given._settings.target.db == 1


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_every_scheme_opens_by_name_and_by_url(scheme: str) -> None:
    memory = open_memory(f"{scheme}://:hunter2@localhost:1/2?namespace=bot&timeout=3")
    assert "hunter2" not in repr(memory)
    assert type(memory.inner).__name__ == "RedisBackend"


@pytest.mark.parametrize(
    "url", ["redis+sentinel://:hunter2@h1,h2/main/1", "redis+cluster://:hunter2@h1,h2:7"]
)
def test_the_url_of_many_opens_too(url: str) -> None:
    memory = open_memory(url)
    assert type(memory).__name__ == "RedisBackend"
    assert "hunter2" not in repr(memory)
