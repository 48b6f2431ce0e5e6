"""Keys and patterns: exactly `fnmatchcase`, whatever the pattern, and never slow."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fastadk_memory.keys as keys_module
from fastadk_memory.errors import InvalidKeyError, InvalidPatternError
from fastadk_memory.keys import (
    check_key,
    check_keys,
    check_pattern,
    escape_pattern,
    filter_keys,
    literal_prefix,
    matcher,
)

# Few characters, so that keys and patterns meet; all that mean something to some matcher.
meaningful = st.text("ab[]!^-*?\\é\n.(|", max_size=8)
keys = meaningful.filter(bool) | st.text(min_size=1, max_size=20)
patterns = meaningful | st.text(max_size=20)


@given(keys, patterns)
@example("é", "?")
@example("]", "[]]")
@example("a", "[a")
@example("[", "[[]")
@example("b", "[!a]")
@example("\\", "[\\]")
def test_a_pattern_matches_what_fnmatchcase_says(key: str, pattern: str) -> None:
    expected = fnmatchcase(key, pattern)
    assert bool(matcher(pattern)(key)) is expected
    assert filter_keys(pattern, [key]) == ([key] if expected else [])
    if expected:
        assert key.startswith(literal_prefix(pattern))


@given(keys, keys)
def test_an_escaped_text_matches_itself_and_nothing_else(text: str, other: str) -> None:
    matches = matcher(escape_pattern(text))
    assert matches(text)
    assert bool(matches(other)) is (text == other)
    assert literal_prefix(escape_pattern(text)) == text


@pytest.mark.parametrize("part", ["*a", "?*", "*[ab]", "*a*"])
def test_hostile_patterns_finish(part: str) -> None:
    # An engine that backtracks needs longer than the universe is old for any of these.
    pattern = part * (4000 // len(part)) + "b!"
    assert not matcher(pattern)("a" * 1024)


class Name(StrEnum):
    ADA = "ada"


@given(keys)
def test_a_key_is_returned_as_it_is(key: str) -> None:
    assert check_key(key) == key


def test_a_member_of_a_string_enum_stands_for_its_text() -> None:
    assert type(check_key(Name.ADA)) is str
    assert check_key(Name.ADA) == "ada"
    assert check_pattern(Name.ADA) == "ada"


@pytest.mark.parametrize("size", [1, 512, 1024])
def test_length_counts_in_bytes_up_to_the_limit(size: int) -> None:
    assert check_key("é" * (size // 2) + "a" * (size % 2), size)
    with pytest.raises(InvalidKeyError, match=f"at most {size} bytes"):
        check_key("é" * (size // 2) + "aa", size)


@pytest.mark.parametrize("key", ["", None, 1, b"k", ["k"], "\ud800", "k" * 1025])
def test_anything_else_is_no_key(key: object) -> None:
    with pytest.raises(InvalidKeyError):
        check_key(key)
    with pytest.raises(InvalidKeyError):
        check_keys(["good", key])


@pytest.mark.parametrize("keys", ["key", b"key", None, 3])
def test_several_keys_are_no_single_one(keys: object) -> None:
    with pytest.raises(InvalidKeyError, match="iterable of keys"):
        check_keys(keys)


def test_several_keys_count_once_in_their_order() -> None:
    assert check_keys(iter(["b", "a", "b"])) == ["b", "a"]


@pytest.mark.parametrize("pattern", [None, 1, b"*", "\ud800", "é" * 2049])
def test_anything_else_is_no_pattern(pattern: object) -> None:
    with pytest.raises(InvalidPatternError):
        check_pattern(pattern)


def test_the_pattern_of_the_longest_key_is_allowed() -> None:
    assert check_pattern(escape_pattern("*" * 1024))


def test_what_only_claims_to_be_a_string_is_refused() -> None:
    from unittest.mock import Mock

    with pytest.raises(InvalidKeyError):
        check_key(Mock(spec=str))
    with pytest.raises(InvalidPatternError):
        check_pattern(Mock(spec=str))


@pytest.mark.parametrize(
    "pattern", ["[" * 4096, "*[" * 2048, "[a]" + "[!" * 2046, "[]" + "[" * 4000]
)
def test_brackets_that_nothing_closes_are_literal_and_cost_no_time(pattern: str) -> None:
    short = pattern[:40]
    assert bool(matcher(short)(short)) == fnmatchcase(short, short)
    assert bool(matcher(short)("a[!")) == fnmatchcase("a[!", short)
    translated: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        # No timed assertion: what reaches fnmatch has no bracket to look for in vain.
        patch.setattr(keys_module, "translate", lambda text: translated.append(text) or "")
        matcher.__wrapped__(pattern)
    assert "[" not in translated[0].replace("[[]", "").replace("[a]", "").replace("[]", "", 1)


@given(st.text("[]!-a*?", max_size=12), st.text("[]!-a", min_size=1, max_size=6))
def test_brackets_mean_what_fnmatch_says(pattern: str, key: str) -> None:
    assert bool(matcher(pattern)(key)) == fnmatchcase(key, pattern)
