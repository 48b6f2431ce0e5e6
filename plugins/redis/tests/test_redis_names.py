"""How keys are called on the server: apart for every prefix, whole for the cluster's hash."""

from __future__ import annotations

import fnmatch
import re

import pytest
from fastadk_memory_redis.names import Names
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.crc import key_slot
from redis_rig.servers import Server

from fastadk_memory import escape_pattern

PREFIXES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.text(
    "ab:{}%*[]\\ /~é", min_size=1, max_size=6
)
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12) | st.text(
    "ab:{}%*[]^!-\\ é", min_size=1, max_size=8
)
PATTERNS = st.text("ab*?[]!^-\\éz{}", max_size=8)
NASTY_PATTERNS = [
    "*", "?", "??", "[ab]", "[!ab]", "[^a]", "[", "[]", "[]]", "[!]", "[!]a]", "[a-", "[a-z]",
    "[z-a]", "[\\]", "\\", "\\*", "\\a", "a\\", "[é]", "?é", "[!é]", "[a*b]", "[[]", "]", "^", "-",
    "[a-é]", "[]-a]", "[--0]", "a[!^]*", "**", "*?*", "{}", "{a}", "[a-]", "[\\a]*",
]  # fmt: skip


@given(PREFIXES, KEYS, PREFIXES, KEYS)
def test_no_two_pairs_of_prefix_and_key_share_a_name(prefix, key, other, another) -> None:
    same = (prefix, key) == (other, another)
    assert (Names(prefix).name(key) == Names(other).name(another)) is same


@given(PREFIXES, KEYS, PREFIXES)
def test_a_name_is_read_back_by_its_own_prefix_only(prefix, key, other) -> None:
    name = Names(prefix).name(key)
    assert Names(prefix).key(name) == key
    if other != prefix:
        assert Names(other).key(name) is None


@given(PREFIXES, KEYS)
def test_a_name_is_the_layout_the_prefix_and_the_key(prefix, key) -> None:
    """Worked out apart: whatever a key holds, it stands there byte for byte."""
    name = Names(prefix).name(key)
    head, tag, rest = name.partition(b":{}")
    assert (tag, rest) == (b":{}", key.encode())
    assert re.fullmatch(rb"fm1:(?:[A-Za-z0-9_.~-]|%[0-9A-F]{2})+", head)


@given(PREFIXES, KEYS)
def test_a_cluster_hashes_the_whole_name(prefix, key) -> None:
    name = Names(prefix).name(key)
    plain = name.replace(b"{", b"(").replace(b"}", b")")
    # The same slot as that of a name without any braces has, if only braces had no meaning.
    assert key_slot(name) == crc16(name) % 16384
    assert key_slot(plain) == crc16(plain) % 16384


def crc16(data: bytes) -> int:
    """CRC-16 as the cluster's specification has it (XMODEM), a bit at a time."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xFFFF
    return crc


@given(st.binary(max_size=40) | KEYS.map(lambda key: Names("p").name(key)))
def test_the_client_finds_the_slots_that_redis_py_finds(name) -> None:
    from fastadk_memory_redis.slots import slot_of

    assert slot_of(name) == key_slot(name)


@pytest.fixture(scope="module")
def server():
    with Server() as server, server.control() as control:
        yield control


def found_by_server(server, names: Names, keys: list[str], pattern: str) -> set[str | None]:
    server.flushdb()
    for key in keys:
        server.set(names.name(key), b"")
    scanned = server.scan_iter(match=names.glob(pattern), count=1_000)
    return {names.key(name) for name in scanned}


@settings(max_examples=300)
@given(PREFIXES, st.lists(KEYS, min_size=1, max_size=6), PATTERNS, st.data())
def test_the_server_finds_all_that_the_pattern_matches(server, prefix, keys, pattern, data) -> None:
    if data.draw(st.booleans()):
        # A pattern that one of the keys really matches, made of that key.
        pattern = "".join(
            data.draw(st.sampled_from([char, "?", "*", f"[{char}]", f"[!{char}x]"]))
            for char in data.draw(st.sampled_from(keys))
        )
    wanted = {key for key in keys if fnmatch.fnmatchcase(key, pattern)}
    assert wanted <= found_by_server(server, Names(prefix), keys, pattern)


@pytest.mark.parametrize("pattern", NASTY_PATTERNS)
def test_the_server_finds_all_that_a_nasty_pattern_matches(server, pattern) -> None:
    keys = [*NASTY_PATTERNS, "a", "ab", "é", "éé", "aé", "a*b", "z", "a^", "[a", "a-", "-"]
    wanted = {key for key in keys if fnmatch.fnmatchcase(key, pattern)}
    assert wanted <= found_by_server(server, Names("p*[x]"), keys, pattern)


@given(PREFIXES, KEYS, KEYS)
def test_an_escaped_key_is_filtered_by_the_server(server, prefix, key, other) -> None:
    """Looking for one key must not fetch them all."""
    found = found_by_server(server, Names(prefix), [key, other], escape_pattern(key))
    assert key in found
    if not set(key) & set("*?["):
        assert found == {key}


@given(PREFIXES, PREFIXES, KEYS)
def test_the_server_finds_nothing_of_another_prefix(server, prefix, other, key) -> None:
    if prefix != other:
        server.flushdb()
        server.set(Names(other).name(key), b"")
        assert list(server.scan_iter(match=Names(prefix).glob("*"))) == []
