"""Patterns made from keys, keys made from patterns, and the oracle of clause P1.

A random pattern hardly ever matches a random key. One that is a key with a part of it replaced
matches often, and shows where a store's own globs differ from `fnmatch`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TypeAlias

from fastadk_memory.keys import MAX_PATTERN_BYTES, escape_pattern

__all__ = ["HOSTILE_PATTERNS", "WAYS", "Item", "as_items", "lookalikes", "matching", "parted"]
__all__ += ["resembling", "varied"]

Item: TypeAlias = tuple[str, str]
"""A key to store, `("key", ...)`, or a pattern to try, `("pattern", ...)`."""

HOSTILE_PATTERNS = (
    "*a" * 12 + "*b",
    "a*" * 12 + "b",
    "*?" * 12 + "b",
    "?*" * 15 + "b",
    "[a-z]*" * 12 + "[!a-z]",
    "*[!b]" * 12 + "b",
    "*aa" * 8 + "*b*b",
    "*" * 30 + "b",
    "*" * 30 + "b" + "*" * 30,
    "a" + "**a" * 10 + "b",
    "*[a]*?" * 6 + "\n",
    "*[" * 8 + "b",
    "a*" * 12 + "?" * 40 + "b",
    "*a*a*a*a*a*a*a*a*",  # which matches, and must
    "*" + "?" * 200 + "*" * 20 + "a",
    "[" * 500 + "*a" * 8,
)
"""Patterns that take a backtracking matcher longer than anyone lives, on a key of many `a`s."""

WAYS = (
    "?", "*", "[]", "[!]", "[^]", "[-]", "[", "escaped", "\\", "raw", "gone", "case", "more", "a-z",
)  # fmt: skip
"""In which ways `varied` replaces a part of a key."""


def matching(pattern: str, keys: Iterable[str]) -> list[str]:
    """Return those `keys` that a pattern matches: what clause P1 says, in its own words."""
    return [key for key in keys if fnmatchcase(key, pattern)]


def varied(key: str, at: int, length: int, way: str) -> str:
    """Return a pattern that is `key`, but for one part.

    Args:
        key: A key.
        at: Where the part begins; beyond the end it counts from the beginning again.
        length: How long the part is.
        way: One of `WAYS`.
    """
    at %= len(key)
    part = key[at : at + length]
    first = part[:1] or "a"
    replaced = {
        "?": "?" * len(part),
        "*": "*",
        "[]": f"[{part}]",
        "[!]": f"[!{part}]",
        "[^]": f"[^{part}]",
        "[-]": f"[{_neighbour(first, -1)}-{_neighbour(first, 1)}]",
        "[": f"[{part}",
        "escaped": escape_pattern(part),
        "\\": f"\\{part}",
        "raw": part,
        "gone": "",
        "case": escape_pattern(part.swapcase()),
        "more": f"{escape_pattern(part)}*?",
        "a-z": "[!a-z]",
    }[way]
    made = escape_pattern(key[:at]) + replaced + escape_pattern(key[at + length :])
    return made if len(made.encode()) <= MAX_PATTERN_BYTES else "*"


def _neighbour(char: str, step: int) -> str:
    code = min(max(ord(char) + step, 0), 0x10FFFF)
    return char if 0xD800 <= code <= 0xDFFF else chr(code)


def resembling(key: str) -> list[str]:
    """Return patterns that match `key`, or nearly do."""
    middle = len(key) // 2
    made = [varied(key, middle, 1, way) for way in WAYS]
    made += [varied(key, at, length, "*") for at, length in ((0, middle + 1), (middle, len(key)))]
    made += ["?" * len(key), "?" * (len(key) + 1), f"*{escape_pattern(key)}*", key]
    return [pattern for pattern in made if len(pattern.encode()) <= MAX_PATTERN_BYTES]


def lookalikes(key: str) -> list[str]:
    """Return other keys, such as `key` would match if it were read as a pattern of some kind."""
    made = [
        key.replace("*", ""),
        key.replace("*", "zz"),
        key.replace("?", "z"),
        key.replace("?", ""),
        re.sub(r"\[[!^]?(.)[^]]*\]", r"\1", key, flags=re.DOTALL),
        re.sub(r"\[[!^][^]]*\]", "z", key),
        key.replace("\\", ""),
        escape_pattern(key),
        re.sub(r"([*?[\]\\])", r"\\\1", key),
        key.swapcase(),
        f"{key}z",
        f"z{key}",
        key[:-1],
    ]
    return [each for each in dict.fromkeys(made) if each and each != key]


def as_items(keys: Iterable[str], patterns: Iterable[str]) -> list[Item]:
    """Return keys and patterns as the items of a batch, each once."""
    both = [("key", key) for key in keys] + [("pattern", pattern) for pattern in patterns]
    return list(dict.fromkeys(both))


def parted(items: Iterable[Item]) -> tuple[list[str], list[str]]:
    """Return the keys and the patterns among the items of a batch."""
    kinds: dict[str, list[str]] = {"key": [], "pattern": []}
    for kind, text in items:
        kinds[kind].append(text)
    return kinds["key"], kinds["pattern"]
