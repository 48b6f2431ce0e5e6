"""Clauses P2 and P4: what a pattern is, and how long it may take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from enum import Enum
from typing import Any

from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.globs import HOSTILE_PATTERNS, matching
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.stock import expect_matches, fill, fill_numbered, view
from fastadk_memory.contract.watchdog import watchdog
from fastadk_memory.contract.world import World
from fastadk_memory.errors import InvalidPatternError
from fastadk_memory.keys import MAX_PATTERN_BYTES, escape_pattern

METHODS = ("keys", "scan", "clear_pattern")
"""What takes a pattern."""

NO_PATTERNS: tuple[Any, ...] = (
    None, 0, 7, 1.5, True, b"*", b"", bytearray(b"a"), ["*"], ("a", "*"), {"a"}, {}, object(), str,
    "\ud800", "a\udfff*", "[\ud83d]*", "*\udcff",
    "*" * 4_097, "a" * 4_097, "[" + "a" * 4_096, "?" * 10_000, "*" * 1_000_000,
    "é" * 2_048 + "*", "*" + "鍵" * 1_366, "🔑" * 1_024 + "a", "a" * 4_095 + "é",
)  # fmt: skip
"""What is no pattern: no `str`, a lone surrogate, more than 4,096 bytes of UTF-8."""

_STORED = {"a": 1, "*": 2, "7": 3, "None": 4, "b'*'": 5, "b": 6, "a?": 7, "é": 8}


# ------------------------------------------------------------------ P2: what a pattern is


@law("P2", examples=[{"method": each, "pattern": bad} for each in METHODS for bad in NO_PATTERNS])
async def what_is_no_pattern_is_refused(world: World, method: str, pattern: Any) -> None:
    """What is no `str` of at most 4,096 bytes of UTF-8 raises `InvalidPatternError`."""
    memory = world.memory
    for key, value in _STORED.items():
        await memory.set(key, value)
    await world.expect_error(InvalidPatternError, method, pattern)
    left = {key: await memory.get(key) for key in _STORED}
    expect(left, _STORED, f"what is stored, after the refused {method},")
    expect_keys(await memory.keys(), _STORED, f"keys() after the refused {method}")


@law("P2", examples=[{"method": method} for method in METHODS])
async def an_empty_store_refuses_it_too(world: World, method: str) -> None:
    """What is no pattern is refused also where nothing is stored that it could match."""
    for pattern in (7, None, b"*", "\ud800", "*" * 4_097):
        await world.expect_error(InvalidPatternError, method, pattern)


@law("P2", examples=[{"pattern": each} for each in (7, None, b"*", "\ud800", "*" * 4_097)])
async def scan_refuses_at_the_call(world: World, pattern: Any) -> None:
    """`scan` refuses what is no pattern at the call, not when the first key is asked for."""
    world.trace.note(f"memory.scan({show(pattern)})  # has to raise here")
    try:
        world.memory.iterate(pattern)
    except InvalidPatternError:
        return
    fail(f"scan({show(pattern)}) raised nothing at the call; expected InvalidPatternError")


@law("P2", examples=[{"method": method} for method in METHODS])
async def a_namespace_refuses_it_too(world: World, method: str) -> None:
    """A namespace refuses what is no pattern as the store itself does."""
    tenant = view(world, "tenant")
    await tenant.set("a", 1)
    for pattern in (None, 7, b"*", ["*"], "\ud800", "*" * 4_097, "🔑" * 1_024 + "a"):
        await world.raises(InvalidPatternError, tenant, method, pattern)
        expect(await tenant.get("a"), 1, f"get('a') after the refused {method}")


def longest_patterns(domain: Domain) -> list[Mapping[str, Any]]:
    """Return patterns of 4,096 bytes, which are allowed."""
    key = "🔑" * (domain.max_key_bytes // 4)
    made = [
        "*" * 4_096,
        "?" * 4_096,
        "é" * 2_048,
        "🔑" * 1_024,
        "*" + "鍵" * 1_365,
        "[" + "ab" * 2_047 + "]",
        "[!" + "a" * 4_093 + "]",
        "[a" * 8 + "a" * 4_080,
        key + "*" * (MAX_PATTERN_BYTES - len(key.encode())),
        escape_pattern("*" * 1_000) + "*" * 1_096,
        "a" + "*" * 4_095,
    ]
    return [{"pattern": each} for each in made]


@law("P2", examples=longest_patterns)
async def a_pattern_may_have_4096_bytes(world: World, pattern: str) -> None:
    """A pattern of 4,096 bytes of UTF-8 works in every method that takes one."""
    await works(world.memory, pattern)


@law("P2", examples=longest_patterns)
async def in_a_namespace_it_may_have_as_many(world: World, pattern: str) -> None:
    """A namespace takes patterns of 4,096 bytes, as the store itself does."""
    await works(view(world, "tenant"), pattern)


async def works(memory: Handle, pattern: str) -> None:
    """Require that all methods take a pattern, and understand it."""
    longest = memory.max_key_bytes
    keys = ["a", "b", "ab", "é", "🔑", "*" * (longest - 3), "🔑" * (longest // 4), "é" * 200]
    await fill(memory, keys)
    await expect_matches(memory, pattern, keys)
    await memory.clear_pattern(pattern)
    left = set(keys) - set(matching(pattern, keys))
    expect_keys(await memory.keys(), left, "keys() after clear_pattern")


@law("P2", examples=[{"names": ()}, {"names": ("tenant",)}])
async def the_empty_pattern_matches_nothing(world: World, names: tuple[str, ...]) -> None:
    """The empty pattern is allowed, and matches nothing, as no key is empty."""
    memory = view(world, *names) if names else world.memory
    keys = ["a", "*", " ", "\x00"]
    await fill(memory, keys)
    await expect_matches(memory, "", [])
    await memory.clear_pattern("")
    expect_keys(await memory.keys(), keys, "keys() after clear_pattern('')")


class Choice(str, Enum):  # noqa: UP042 (its str() is not its text, as that of a StrEnum is)
    """Patterns that a program has given names to."""

    FROM_A = "a*"


@law("P2")
async def an_instance_of_a_subclass_stands_for_its_text(world: World) -> None:
    """A pattern of a subclass of `str`, such as an enum's member, is taken for its text."""
    memory = world.memory
    keys = ["a", "ab", "b", "a*", "Choice.FROM_A", "FROM_A"]
    wanted = ["a", "ab", "a*"]
    await fill(memory, keys)
    expect_keys(await memory.keys(Choice.FROM_A), wanted, "keys of an enum's member 'a*'")
    expect_keys(await memory.scan(Choice.FROM_A), wanted, "scan of an enum's member 'a*'")
    await memory.clear_pattern(Choice.FROM_A)
    expect_keys(await memory.keys(), set(keys) - set(wanted), "keys() after clear_pattern of it")


# ------------------------------------------------------------------ P4: hostile patterns


@law("P4", examples=[{"pattern": pattern} for pattern in HOSTILE_PATTERNS])
async def a_hostile_pattern_finishes_quickly(world: World, pattern: str) -> None:
    """However many wildcards a pattern has, on long keys too, every method answers soon."""
    memory = world.memory
    longest = memory.max_key_bytes
    keys = ["a" * longest, "a" * (longest - 1) + "\n", "ab" * (longest // 2), "a" * 60]
    await fill(memory, keys)
    wanted = matching(pattern, keys)
    for method in ("keys", "scan"):
        found = await quickly(world, memory, method, pattern)
        expect_keys(found, wanted, f"{method}({show(pattern)})")
    await quickly(world, memory, "clear_pattern", pattern)
    expect_keys(await memory.keys(), set(keys) - set(wanted), "keys() after clear_pattern")


@law("P4", examples=[{"pattern": HOSTILE_PATTERNS[0]}, {"pattern": HOSTILE_PATTERNS[5]}])
async def it_finishes_among_many_keys_too(world: World, pattern: str) -> None:
    """A hostile pattern finishes quickly where it meets many keys, in a namespace as well."""
    tenant = view(world, "tenant")
    await fill_numbered(world.memory, 300, head="a" * 60)
    keys = await fill_numbered(tenant, 20, head="a" * 60)
    for memory in (world.memory, tenant):
        for method in METHODS:
            await quickly(world, memory, method, pattern)
    expect_keys(await tenant.keys(), keys, "keys() of the namespace after clear_pattern")


async def quickly(world: World, memory: Handle, method: str, pattern: str) -> Any:
    """Return what a method answers to a pattern, within the time that a pattern may take."""
    limit = world.limits.pattern_seconds
    answer: Any = None
    for _ in range(2):  # a machine may stand still for a while, but hardly twice
        started = time.monotonic()
        try:
            # The timeout ends what waits, the watchdog what blocks. It barks later, for it
            # would hit the event loop itself while something waits.
            with watchdog(1.5 * limit + 0.5):
                async with asyncio.timeout(limit):
                    answer = await getattr(memory, method)(pattern)
        except Exception:  # a backend may turn what ends it into any error
            if time.monotonic() - started <= limit:
                raise
        if time.monotonic() - started <= limit:
            break
    else:
        fail(f"{memory.name}.{method}({show(pattern)}) took more than {limit:g} s, twice")
    return answer
