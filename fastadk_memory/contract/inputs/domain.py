"""`Domain`: what may be drawn for a backend: keys, values, TTLs and patterns.

Each strategy mixes random examples with those of the corpus.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from unicodedata import normalize
from urllib.parse import quote, unquote

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import Capability
from fastadk_memory.contract.inputs.corpus import (
    KEY_PAIRS,
    NASTY_KEYS,
    NASTY_NAMES,
    NASTY_PATTERNS,
    NASTY_VALUES,
)
from fastadk_memory.contract.inputs.globs import WAYS, varied
from fastadk_memory.contract.limits import Limits
from fastadk_memory.keys import DEFAULT_MAX_KEY_BYTES, MIN_MAX_KEY_BYTES

__all__ = ["Domain"]


@dataclass(frozen=True)
class Domain:
    """What may be drawn for one backend.

    Attributes:
        max_key_bytes: How long its keys may be.
        capabilities: What it declares.
        exact: Whether its time is moved by hand.
        limits: What may be configured.
    """

    max_key_bytes: int = DEFAULT_MAX_KEY_BYTES
    capabilities: frozenset[Capability] = frozenset()
    exact: bool = False
    limits: Limits = field(default_factory=Limits)

    # -------------------------------------------------------------------------- keys

    def boundary_keys(self) -> list[str]:
        """Return keys around the lengths where stores change their minds."""
        lengths = [100, 127, 128, 199, 200, 249, 250, 251, 254, 255, 256, 257, 511, 512]
        lengths += [self.max_key_bytes - 1, self.max_key_bytes]
        fitting = [length for length in lengths if length <= self.max_key_bytes]
        keys = ["k" * length for length in fitting]
        # The same beginning, and a difference at the very end.
        keys += ["k" * (length - 1) + "z" for length in fitting]
        return [*keys, "é" * (self.max_key_bytes // 2), "🔑" * (self.max_key_bytes // 4)]

    def all_nasty_keys(self) -> list[str]:
        """Return the whole corpus of keys that this backend must take."""
        return list(dict.fromkeys([*NASTY_KEYS, *self.boundary_keys()]))

    def keys(self) -> SearchStrategy[str]:
        """Draw any key."""
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
        return st.one_of(
            st.sampled_from(self.all_nasty_keys()),
            text,
            st.text("ab:*?[]/\\.\x00éé", min_size=1, max_size=6),
        )

    def longest_keys(self) -> list[str]:
        """Return keys of exactly `max_key_bytes` bytes, of characters of each size."""
        return [
            one * (self.max_key_bytes // size) + "k" * (self.max_key_bytes % size)
            for one, size in (("k", 1), ("é", 2), ("鍵", 3), ("🔑", 4))
        ]

    def key_pairs(self) -> list[tuple[str, str]]:
        """Return pairs of keys that differ in little: those of the corpus, and long ones."""
        lengths = [*(99, 127, 199, 249, 254, 255, 511), self.max_key_bytes]
        long = [("k" * (n - 1) + "y", "k" * (n - 1) + "z") for n in lengths]
        longest = "é" * (self.max_key_bytes // 2)
        return [*KEY_PAIRS, *long, (longest, longest[:-1]), ("k" * 255, "k" * 256)]

    def key_pair(self) -> SearchStrategy[tuple[str, str]]:
        """Draw a key, and another that some store may take for the same."""
        twins = st.sampled_from(_TWINS)
        return (
            st.tuples(self.keys(), twins)
            .map(lambda drawn: (drawn[0], drawn[1](drawn[0])))
            .filter(lambda pair: pair[0] != pair[1] and self._is_key(pair[1]))
        )

    def _is_key(self, text: str) -> bool:
        return 0 < len(text.encode()) <= self.max_key_bytes

    def no_keys(self) -> list[tuple[Any, str]]:
        """Return things that are no keys, each with a key that it may be taken for."""
        size = self.max_key_bytes
        foreign = [
            (1, "1"), (0, "0"), (-1, "-1"), (True, "True"), (False, "False"), (1.5, "1.5"),
            (None, "None"), (b"key", "key"), (b"", "b''"), (bytearray(b"key"), "key"),
            (("key",), "key"), (["key"], "key"), ({"key": 1}, "key"), (PurePosixPath("key"), "key"),
        ]  # fmt: skip
        texts = [
            ("", " "),
            ("\ud800", "?"),
            ("a\udcff", "a"),
            ("\ud83d\udd11", "🔑"),
            ("é\udfff", "é"),
        ]
        texts += [(f"{longest}k", longest) for longest in self.longest_keys()]
        return [*foreign, *texts, ("é" * size, "é" * (size // 2)), ("k" * 100_000, "k" * size)]

    def no_key(self) -> SearchStrategy[tuple[Any, str]]:
        """Draw something that is no key, with a key that it may be taken for."""
        lone = st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2)
        beside = st.text("aé", max_size=3)
        return st.one_of(
            st.one_of(st.integers(), st.floats(), st.binary(max_size=9), st.none()),
            st.tuples(beside, lone, beside).map("".join),
            st.integers(1, 600).map(lambda more: "k" * (self.max_key_bytes + more)),
        ).map(lambda found: (found, _nearest_key(found)))

    def few_keys(self) -> SearchStrategy[str]:
        """Draw one of a few keys, so that operations meet on the same."""
        return st.sampled_from(["a", "b", "ab", "a:b", "a*", "é"])

    # ------------------------------------------------------------------------ values

    def scalars(self) -> SearchStrategy[Any]:
        """Draw a value without parts."""
        return st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.integers(-(2**80), 2**80),
            st.floats(),
            st.text(st.characters(), max_size=20),
            st.binary(max_size=20),
        )

    def values(self) -> SearchStrategy[Any]:
        """Draw any value of the domain."""
        return st.one_of(st.sampled_from(NASTY_VALUES), self.nested_values())

    def nested_values(self) -> SearchStrategy[Any]:
        """Draw a value, often with parts that are values."""
        names = st.text(st.characters(), max_size=6)
        return st.recursive(
            self.scalars(),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.tuples(inner, inner),
                st.dictionaries(names, inner, max_size=4),
            ),
            max_leaves=10,
        )

    def containers(self) -> SearchStrategy[Any]:
        """Draw a value with parts, often nested, in which something can be changed."""
        inner = self.nested_values()
        names = st.text("abc", max_size=2)
        return st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(names, inner, max_size=4),
            st.tuples(st.lists(inner, max_size=2), st.dictionaries(names, inner, max_size=2)),
        )

    # -------------------------------------------------------------------------- TTLs

    def ttls(self) -> SearchStrategy[Any]:
        """Draw a TTL so long that nothing expires during an example."""
        return st.one_of(
            st.sampled_from(
                [60, 60.0, 3600, 86_400, timedelta(hours=1), 36_525 * 86_400, 1e6, 90.5]
            ),
            st.integers(60, 10**9),
        )

    def step_ms(self) -> SearchStrategy[int]:
        """Draw a TTL in milliseconds that a law can wait for.

        Where time is moved by hand, all sizes; else a short one.
        """
        if self.exact:
            return st.one_of(
                st.sampled_from([1, 2, 125, 500, 999, 1000, 1001, 1500, 60_000, 86_400_000]),
                st.integers(1, 10_000_000),
            )
        step = int(self.limits.step_seconds * 1000)
        return st.sampled_from([step, step + 1, step + 50])

    # ---------------------------------------------------------------------- patterns

    def patterns(self) -> SearchStrategy[str]:
        """Draw any pattern, often one that resembles the keys."""
        return st.one_of(
            st.sampled_from(NASTY_PATTERNS),
            st.text("ab:*?[]!-^\\/.é\x00", max_size=8),
            self.few_keys().map(lambda key: f"{key}*"),
        )

    def keys_and_patterns(self) -> SearchStrategy[tuple[list[str], list[str]]]:
        """Draw a few keys, and patterns: most are a key with a part of it replaced."""
        short = st.text("abAB/*?[]!^-\\.é🔑\n", min_size=1, max_size=4)
        change = st.tuples(
            st.integers(0, 4), st.integers(0, 40), st.integers(0, 3), st.sampled_from(WAYS)
        )

        def made(
            keys: list[str], changes: list[tuple[int, int, int, str]], others: list[str]
        ) -> tuple[list[str], list[str]]:
            alike = [
                varied(keys[which % len(keys)], at, length, way)
                for which, at, length, way in changes
            ]
            return keys, [*alike, *others]

        return st.builds(
            made,
            st.lists(st.one_of(short, short, self.keys()), min_size=1, max_size=5, unique=True),
            st.lists(change, min_size=3, max_size=8),
            st.lists(self.patterns(), max_size=3),
        )

    # -------------------------------------------------------------------- namespaces

    def has_room(self, *names: str) -> bool:
        """Tell whether a namespace of these names, one inside of the other, must be possible.

        However a backend writes names down, three bytes for one are enough, and a few more.
        """
        taken = sum(3 * len(name.encode()) + 4 for name in names)
        return taken <= self.max_key_bytes - MIN_MAX_KEY_BYTES

    def all_nasty_names(self) -> list[str]:
        """Return the whole corpus of names that this backend must take."""
        return [name for name in NASTY_NAMES if self.has_room(name)]

    def names(self) -> SearchStrategy[str]:
        """Draw any name of a namespace that this backend must take."""
        text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
        separators = st.text("ab:/*%4.\\\x00é", min_size=1, max_size=4)
        if not self.has_room("abc"):
            return st.just("a")  # there is nothing to choose from
        drawn = st.one_of(st.sampled_from(NASTY_NAMES), text, separators)
        return drawn.filter(self.has_room)


_TWINS: tuple[Callable[[str], str], ...] = (
    str.lower,
    str.upper,
    str.casefold,
    str.strip,
    partial(normalize, "NFC"),
    partial(normalize, "NFD"),
    partial(normalize, "NFKC"),
    posixpath.normpath,
    unquote,
    quote,
    lambda key: key[:-1],
    lambda key: key[1:],
    lambda key: key[:1] * 2 + key[1:],
    lambda key: key.split("\x00")[0],
    lambda key: f"{key} ",
    lambda key: f"{key}\n",
    lambda key: f"{key}\x00",
    lambda key: f"{key}/",
    lambda key: f"{key}.",
    lambda key: f"{key}x",
)
"""What stores do to keys that they cannot hold as they are, and other small changes."""


def _nearest_key(found: object) -> str:
    """Return what a store makes of something that is no key."""
    if isinstance(found, bytes):
        return found.decode(errors="replace") or "b"
    text = str(found).encode(errors="replace").decode()
    return text[:400]
