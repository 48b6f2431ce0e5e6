"""Clause V1: the domain of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import as_stored, expect
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.naming import named
from fastadk_memory.contract.world import World

_DEPTH = 100


def _nasty_values(_: Domain) -> Sequence[Any]:
    return NASTY_VALUES


@batch_law("V1", corpus=_nasty_values, drawn=Domain.values)
async def values_of_every_kind_are_taken(world: World, items: Sequence[Any]) -> None:
    """`set` and `set_many` take every value of the domain."""
    memory = world.memory
    for value in items:
        await memory.set("single", value)
        await memory.set_many({"bulk": value, "other": 1})
        for key in ("single", "bulk"):
            expect(await memory.exists(key), True, f"exists({key!r}) after storing it")
        await memory.delete_many(["single", "bulk"])


@batch_law("V1", corpus=_nasty_values, drawn=Domain.values, needs=Capability.ENTRIES)
async def set_entry_takes_values_of_every_kind(world: World, items: Sequence[Any]) -> None:
    """`set_entry` takes every value of the domain, as the value and inside the metadata."""
    for value in items:
        await world.memory.set_entry("key", value, metadata={"part": value})
        expect(await world.memory.exists("key"), True, "exists('key') after storing it")
        await world.memory.delete("key")


@batch_law("V1", corpus=_nasty_values, drawn=Domain.values, needs=Capability.CAS)
async def compare_and_set_takes_values_of_every_kind(world: World, items: Sequence[Any]) -> None:
    """`compare_and_set` takes every value of the domain, for a new key and an old one."""
    for value in items:
        version = await world.memory.compare_and_set("key", value, expect=ABSENT)
        await world.memory.compare_and_set("key", value, expect=version)
        expect(await world.memory.exists("key"), True, "exists('key') after storing it")
        await world.memory.delete("key")


# ----------------------------------------------------------------- how large, how deep


def _integers(_: Domain) -> Sequence[int]:
    # 2**20_000 has more digits than Python turns into text without being asked to.
    powers = [7, 8, 15, 16, 31, 32, 53, 63, 64, 65, 127, 128, 256, 1_000, 20_000]
    sizes = [2**power + more for power in powers for more in (-1, 0, 1)]
    return [0, *sizes, *(-size for size in sizes), 10**50, 10**400]


@batch_law("V1", corpus=_integers)
async def integers_may_have_any_size(world: World, items: Sequence[int]) -> None:
    """Integers of any size and either sign are stored and read back, alone and inside others."""
    for number in items:
        await world.memory.set("key", number)
        expect(await world.memory.get("key"), number, "get('key')")
        await world.memory.set("key", {"a": [number]})
        expect(await world.memory.get("key"), {"a": [number]}, "get('key')")


_WRAPPED: dict[str, Callable[[Any, int], Any]] = {
    "[value]": lambda value, _: [value],
    "(value,)": lambda value, _: (value,),
    "{'k': value}": lambda value, _: {"k": value},
    "[value, 1] if level % 2 else {'k': value}": lambda value, level: (
        [value, 1] if level % 2 else {"k": value}
    ),
    "(0, value) if level % 2 else {'k': value}": lambda value, level: (
        (0, value) if level % 2 else {"k": value}
    ),
}
"""What a level of nesting puts around a value, by its source."""


def _nested(source: str, depth: int) -> Any:
    value: Any = "core"
    for level in range(depth):
        value = _WRAPPED[source](value, level)
    return value


def _defined(source: str, depth: int) -> list[str]:
    return ["value = 'core'", f"for level in range({depth}):", f"    value = {source}"]


@batch_law("V1", corpus=lambda _: [(kind, d) for kind in _WRAPPED for d in (2, 50, 99, _DEPTH)])
async def values_may_be_nested_100_deep(world: World, items: Sequence[tuple[str, int]]) -> None:
    """Lists, tuples and dicts nested to a depth of 100 are stored and read back."""
    memory = world.memory
    for source, depth in items:
        value = _nested(source, depth)
        stored = as_stored(value)
        with named(world, value, *_defined(source, depth)):
            await memory.set("key", value)
            await memory.set_many({"bulk": value})
        found = {
            "get('key')": await memory.get("key"),
            "get_many(['bulk'])['bulk']": (await memory.get_many(["bulk"])).get("bulk"),
            "get_entry('key').value": (await entry_at(memory, "key")).value,
        }
        for told, seen in found.items():  # that tuples come back as lists is V2's affair
            expect(as_stored(seen), stored, f"{told}, nested {depth} deep,")


@batch_law("V1", corpus=lambda _: [1, 50, _DEPTH - 1, _DEPTH], needs=Capability.ENTRIES)
async def metadata_may_be_nested_100_deep(world: World, items: Sequence[int]) -> None:
    """Metadata nested to a depth of 100, counting the mapping itself, is stored and read back."""
    for depth in items:
        value = _nested("{'k': value}", depth)
        with named(world, value, *_defined("{'k': value}", depth)):
            await world.memory.set_entry("key", value, metadata=value)
        entry = await entry_at(world.memory, "key")
        expect(entry.value, value, f"the value, nested {depth} deep,")
        expect(dict(entry.metadata), value, f"the metadata, nested {depth} deep,")


_SIZES = (15, 16, 17, 31, 32, 33, 127, 128, 255, 256, 257, 1_000, 4_096, 65_535, 65_536, 70_000)


@batch_law("V1", corpus=lambda _: _SIZES)
async def values_may_have_many_parts(world: World, items: Sequence[int]) -> None:
    """Texts, bytes, lists and dicts of any length are stored and read back."""
    for size in items:
        await _there_and_back(world, "x" * size)
        await _there_and_back(world, "é" * size)
        await _there_and_back(world, b"\x00" * size)
        if size < 1_000 or size == 65_536:
            await _there_and_back(world, [None] * size)
            await _there_and_back(world, {str(at): at for at in range(size)})


_BESIDE: dict[str, Callable[[int], Any]] = {
    "[] for _": lambda number: [[] for _ in range(number)],
    "{} for _": lambda number: [{} for _ in range(number)],
    "() for _": lambda number: [() for _ in range(number)],
    "[{}, 1] for _": lambda number: [[{}, 1] for _ in range(number)],
    "{'a': []} for _": lambda number: [{"a": []} for _ in range(number)],
}
"""Many small lists, tuples and dicts side by side, by the source of each."""


@batch_law("V1", corpus=lambda _: [(kind, n) for kind in _BESIDE for n in (129, 300, 1_100)])
async def parts_may_stand_side_by_side(world: World, items: Sequence[tuple[str, int]]) -> None:
    """What counts as depth is how deep parts stand, not how many lists and dicts there are."""
    memory = world.memory
    for kind, number in items:
        parts = _BESIDE[kind](number)
        line = f"parts = [{kind} in range({number})]"
        for source, value in (
            ("parts", parts),
            ("{'parts': parts}", {"parts": parts}),
            ("dict(zip(map(str, range(len(parts))), parts))",
             {str(at): part for at, part in enumerate(parts)}),
            ("[*parts, [[[1]]]]", [*parts, [[[1]]]]),
        ):  # fmt: skip
            with named(world, value, line, f"value = {source}"):
                await memory.set("key", value)
            found = await memory.get("key")  # that tuples come back as lists is V2's affair
            expect(as_stored(found), as_stored(value), "get('key')")


def _texts(_: Domain) -> Sequence[str]:
    planes = "".join(chr(at) for at in range(0x10000, 0x110000, 0x101))
    basic = [chr(at) for at in range(0x10000)]
    plain = "".join(char for char in basic if not "\ud800" <= char <= "\udfff")
    return [plain, planes, "".join(basic), "\ud83d", "\udd11\ud83d", "a\udcffb", "\ufffe\uffff"]


@batch_law("V1", corpus=_texts)
async def texts_may_hold_any_character(world: World, items: Sequence[str]) -> None:
    """Texts, and names in dicts, may hold every code point, lone surrogates and NUL included."""
    for text in items:
        await _there_and_back(world, text)
        await _there_and_back(world, [{text: text}])


@batch_law("V1", corpus=lambda _: [[1], {"a": 1}, [[]], {"a": [{"b": 2}]}])
async def a_part_may_stand_in_several_places(world: World, items: Sequence[Any]) -> None:
    """A value may hold one list or dict twice or more, which is not yet a cycle."""
    for part in items:
        for value in ([part, part], {"a": part, "b": [part]}, [[part, [part]], {"c": part}]):
            await _there_and_back(world, value)


async def _there_and_back(world: World, value: Any) -> None:
    await world.memory.set("key", value)
    expect(await world.memory.get("key"), value, "get('key')")
