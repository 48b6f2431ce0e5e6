"""Clause P3: what `escape_pattern` returns matches its text, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from fastadk_memory.contract.compare import expect_keys
from fastadk_memory.contract.inputs.corpus import NASTY_PATTERNS
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.globs import lookalikes
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import fill
from fastadk_memory.contract.world import World
from fastadk_memory.keys import MAX_PATTERN_BYTES, escape_pattern

_SPECIAL = set("*?[]\\")


def keys_to_escape(domain: Domain) -> list[str]:
    """Return the corpus of keys, and more keys that look like patterns, very long ones too."""
    longest = min(domain.max_key_bytes, MAX_PATTERN_BYTES // 3)
    long = [char * (longest - 1) + end for char in "*[" for end in (char, "z")]
    return list(dict.fromkeys([*domain.all_nasty_keys(), *long, *NASTY_PATTERNS[2::2]]))


def keys_like_patterns(domain: Domain) -> list[str]:
    """Return those of them that some store or other may take for patterns."""
    return [key for key in keys_to_escape(domain) if _SPECIAL & set(key)]


def with_lookalikes(keys: Sequence[str], longest: int) -> list[str]:
    """Return keys, and for those that look like patterns what these would match."""
    made = list(keys)
    for key in keys:
        if _SPECIAL & set(key):
            made += lookalikes(key)
    return [key for key in dict.fromkeys(made) if len(key.encode()) <= longest]


@batch_law("P3", corpus=keys_to_escape, drawn=Domain.keys)
async def an_escaped_key_matches_itself_alone(world: World, items: Sequence[str]) -> None:
    """`keys(escape_pattern(key))` returns that key, and no other; so does `scan`."""
    memory = world.memory
    await fill(memory, with_lookalikes(items, memory.max_key_bytes))
    for at, key in enumerate(items):
        escaped = escape_pattern(key)
        expect_keys(await memory.keys(escaped), [key], f"keys({show(escaped)})")
        if at % 3 == 0:
            expect_keys(await memory.scan(escaped), [key], f"scan({show(escaped)})")


@batch_law("P3", corpus=keys_like_patterns, drawn=Domain.keys)
async def clearing_an_escaped_key_clears_it_alone(world: World, items: Sequence[str]) -> None:
    """`clear_pattern(escape_pattern(key))` removes that key, and no other."""
    memory = world.memory
    there = dict.fromkeys(with_lookalikes(items, memory.max_key_bytes))
    await fill(memory, there)
    for key in dict.fromkeys(items):
        escaped = escape_pattern(key)
        await memory.clear_pattern(escaped)
        del there[key]
        expect_keys(await memory.keys(), there, f"keys() after clear_pattern({show(escaped)})")


_USERS = ("*", "?", "a", "b", "ab", "[a-z]", "[!a]", "[", "]", "!", "\\", "a*", "*b", "[*]", "[[]")


@law("P3", examples=[{"users": ("*", "a")}, {"users": ("[ab]", "a", "\\*")}, {"users": _USERS}])
async def patterns_are_built_from_escaped_parts(world: World, users: Sequence[str]) -> None:
    """`escape_pattern(user) + ":*"` finds what is one user's, whatever the user is called."""
    memory = world.memory
    await fill(memory, [f"{user}:{part}" for user in users for part in ("name", "*")])
    for user in users:
        own = escape_pattern(user) + ":*"
        wanted = [f"{user}:name", f"{user}:*"]
        expect_keys(await memory.keys(own), wanted, f"keys({show(own)})")
        star = escape_pattern(user) + ":" + escape_pattern("*")
        expect_keys(await memory.keys(star), [f"{user}:*"], f"keys({show(star)})")
    for at, user in enumerate(users):
        await memory.clear_pattern(escape_pattern(user) + ":*")
        left = [f"{other}:{part}" for other in users[at + 1 :] for part in ("name", "*")]
        expect_keys(await memory.keys(), left, f"keys() after {user!r} was forgotten")
