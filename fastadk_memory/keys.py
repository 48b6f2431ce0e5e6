r"""What a key is, and what a pattern matches (clauses K1 to K3 and P1 to P4).

A key is a `str` of 1 to 1,024 bytes of UTF-8 and means nothing but itself. A pattern
matches a key exactly when
[`fnmatch.fnmatchcase`](https://docs.python.org/3/library/fnmatch.html#fnmatch.fnmatchcase)
says so: `*` is any run of code points, `?` one of them, `[...]` one of a set, `[!...]` one
outside of it, and a `[` that is never closed is a plain `[`. A backslash is a plain
backslash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from functools import lru_cache
from typing import cast

from fastadk_memory.errors import InvalidKeyError, InvalidPatternError

__all__ = [
    "DEFAULT_MAX_KEY_BYTES",
    "MAX_PATTERN_BYTES",
    "MIN_MAX_KEY_BYTES",
    "check_key",
    "check_keys",
    "check_pattern",
    "escape_pattern",
    "filter_keys",
    "literal_prefix",
    "matcher",
]

DEFAULT_MAX_KEY_BYTES = 1024
"""How long a key may be, in bytes of UTF-8, unless a backend says otherwise."""

MIN_MAX_KEY_BYTES = 512
"""The least that a backend's ``max_key_bytes`` may be."""

MAX_PATTERN_BYTES = 4096
"""How long a pattern may be: enough for `escape_pattern` of the longest key."""

_SPECIAL = re.compile(r"[*?[]")


def check_key(key: object, max_bytes: int = DEFAULT_MAX_KEY_BYTES) -> str:
    """Return `key` as an exact `str`, or refuse it.

    Args:
        key: What the caller passed. An instance of a subclass of `str`, such as a
            member of a `StrEnum`, stands for its text.
        max_bytes: The backend's `max_key_bytes`.

    Returns:
        The key, of type `str` itself.

    Raises:
        InvalidKeyError: It is no `str`, is empty, is longer than `max_bytes` in UTF-8,
            or holds a lone surrogate, which UTF-8 cannot express (clause K1).
    """
    if type(key) is not str:
        if not issubclass(type(key), str):  # not isinstance, which believes what it is told
            raise InvalidKeyError(
                f"a key must be a str, not {type(key).__name__}; convert it, e.g. with str()"
            )
        key = str.__str__(cast("str", key))
    # Four bytes a code point at the most: short keys need no encoding to be measured.
    if key.isascii():
        size = len(key)
    else:
        size = _utf8_size(key, "key", InvalidKeyError)
    if 0 < size <= max_bytes:
        return key
    if size == 0:
        raise InvalidKeyError("a key must not be empty")
    raise InvalidKeyError(
        f"a key may have at most {max_bytes} bytes of UTF-8, this one has {size}: "
        f"{key[:40]!r}...; store the long part in the value, or a hash of it in the key"
    )


def check_keys(keys: object, max_bytes: int = DEFAULT_MAX_KEY_BYTES) -> list[str]:
    """Return every key of a bulk call, checked, without duplicates and in their order.

    Args:
        keys: Any iterable of keys. A single `str` is refused: it would be taken apart
            into its characters.
        max_bytes: The backend's `max_key_bytes`.

    Returns:
        The keys, each once, in the order of their first appearance.

    Raises:
        InvalidKeyError: One of them is none, or `keys` is itself a `str` or no iterable.
    """
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        raise InvalidKeyError(
            f"expected an iterable of keys, not {type(keys).__name__}; "
            "for one key use the single call or a list of one"
        )
    return list(dict.fromkeys([check_key(key, max_bytes) for key in keys]))


def check_pattern(pattern: object) -> str:
    """Return `pattern` as an exact `str`, or refuse it.

    Raises:
        InvalidPatternError: It is no `str`, is longer than 4,096 bytes in UTF-8, or
            holds a lone surrogate (clause P2). The empty pattern is allowed; it
            matches nothing, as no key is empty.
    """
    if type(pattern) is not str:
        if not issubclass(type(pattern), str):
            raise InvalidPatternError(f"a pattern must be a str, not {type(pattern).__name__}")
        pattern = str.__str__(cast("str", pattern))
    size = len(pattern)
    if not pattern.isascii():
        size = _utf8_size(pattern, "pattern", InvalidPatternError)
    if size > MAX_PATTERN_BYTES:
        raise InvalidPatternError(
            f"a pattern may have at most {MAX_PATTERN_BYTES} bytes of UTF-8, this one has {size}"
        )
    return pattern


def escape_pattern(text: str) -> str:
    """Return a pattern that matches `text` and nothing else (clause P3).

    Use it to build patterns from parts that come from outside:
    `keys(escape_pattern(user_id) + ":*")`.

    Args:
        text: Any string.

    Returns:
        `text` with `*`, `?` and `[` each put in brackets: `a*` becomes `a[*]`.
    """
    return _SPECIAL.sub(lambda found: f"[{found[0]}]", text)


def literal_prefix(pattern: str) -> str:
    """Return what every key that matches `pattern` begins with, so that an index can help.

    Args:
        pattern: A checked pattern.

    Returns:
        The part before the first wildcard, with one-character sets such as `[*]`
        resolved; possibly empty.
    """
    prefix: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char in "*?":
            break
        if char == "[":
            # Only "[x]" is sure to stand for one character; "[!]" or "[]" begin a longer set.
            if pattern[at + 2 : at + 3] != "]" or pattern[at + 1] in "!]":
                break
            char = pattern[at + 1]
            at += 2
        prefix.append(char)
        at += 1
    return "".join(prefix)


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Callable[[str], object]:
    """Return the exact test of clause P1: a function of a key, true where the key matches.

    Args:
        pattern: A checked pattern.

    Returns:
        A function whose result is true or false in a boolean sense. It takes time linear
        in the key for each `*` of the pattern, however hostile (clause P4).
    """
    if pattern == "*":
        return _matches_everything
    plain = _SPECIAL.search(pattern)
    if plain is None:
        return pattern.__eq__
    if pattern.endswith("*") and plain.start() == len(pattern) - 1:
        prefix = pattern[:-1]
        return lambda key: key.startswith(prefix)
    # fnmatch translates "*" to atomic groups, which is why no pattern can blow up.
    return re.compile(translate(_literal_brackets(pattern))).match


def filter_keys(pattern: str, keys: Iterable[str]) -> list[str]:
    """Return those `keys` that `pattern` matches, in their order (clause P1).

    The same as asking `matcher(pattern)` of each key, and faster for the commonest patterns.

    Args:
        pattern: A checked pattern.
        keys: Any keys.
    """
    if pattern == "*":
        return list(keys)
    wild = _SPECIAL.search(pattern)
    if wild is not None and pattern.endswith("*") and wild.start() == len(pattern) - 1:
        prefix = pattern[:-1]
        return [key for key in keys if key.startswith(prefix)]
    return list(filter(matcher(pattern), keys))


def _literal_brackets(pattern: str) -> str:
    """Return the same pattern with each `[` that nothing can close written as `[[]`.

    fnmatch looks to the end of the pattern at each of them: 4,096 take it a second.
    """
    at = pattern.find("[")
    while at >= 0:
        start = at + 1
        start += pattern.startswith("!", start)
        start += pattern.startswith("]", start)  # one that comes first does not close
        end = pattern.find("]", start)
        if end < 0:
            # Where this one finds none, those after it do not either.
            return pattern[:at] + pattern[at:].replace("[", "[[]")
        at = pattern.find("[", end)
    return pattern


def _matches_everything(key: str) -> bool:
    return True


def _utf8_size(
    text: str, what: str, error: type[InvalidKeyError] | type[InvalidPatternError]
) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as cause:
        raise error(
            f"a {what} must be encodable as UTF-8; this one holds a lone surrogate "
            f"at position {cause.start}"
        ) from cause
