"""Clause V6: large values."""

from __future__ import annotations

from random import Random
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.naming import named
from fastadk_memory.contract.world import World

# No part is like another, so that one that is lost, doubled or moved shows.


def _bytes(size: int) -> tuple[bytes, str]:
    return Random(0).randbytes(size), f"Random(0).randbytes({size})"


def _text(size: int) -> tuple[str, str]:
    # Some of its characters take more than one byte of UTF-8.
    data, source = _bytes(size * 8 // 17)
    return data.hex().replace("0", "é"), f"{source}.hex().replace('0', 'é')"


def _parts(size: int) -> tuple[list[Any], str]:
    number = size // 2_048
    source = f"[{{'at': at, 'text': 'x' * 2_000, 'more': [at, None]}} for at in range({number})]"
    return [{"at": at, "text": "x" * 2_000, "more": [at, None]} for at in range(number)], source


def _names(size: int) -> tuple[dict[str, Any], str]:
    number = size // 512
    source = f"{{f'name{{at}}': 'y' * 500 for at in range({number})}}"
    return {f"name{at}": "y" * 500 for at in range(number)}, source


_MAKERS = {"bytes": _bytes, "text": _text, "list": _parts, "dict": _names}


async def _store(world: World, kind: str) -> Any:
    """Store a large value under `large`, between two small ones, and return it."""
    value, source = _MAKERS[kind](world.limits.large_value_bytes)
    await world.memory.set("large", "small")
    await world.memory.set("before", "small")
    with named(world, value, *_defined(source)):
        await world.memory.set("large", value)
    await world.memory.set("after", "small")
    return value


def _defined(source: str) -> list[str]:
    return ["from random import Random"] * ("Random" in source) + [f"value = {source}"]


@law("V6", examples=[{"kind": kind} for kind in ("bytes", "text", "list")])
async def large_values_come_back_whole(world: World, kind: str) -> None:
    """A large text, bytes or list comes back whole, and leaves its neighbours alone."""
    memory = world.memory
    value = await _store(world, kind)
    expect(await memory.get("large"), value, "get('large')")
    expect(await memory.get_many(["before", "after"]), dict.fromkeys(("before", "after"), "small"),
           "get_many(['before', 'after'])")  # fmt: skip
    listed = ["before", "large", "after"]
    expect_keys(await memory.keys(), listed, "keys() with a large value stored")
    expect_keys(await memory.scan(), listed, "scan() with a large value stored")
    await memory.set("large", "small again")
    expect(await memory.get("large"), "small again", "get('large') after a small value replaced it")


_WIDE = ("é", "€", "🔑", "a€🔑é")


@law("V6", examples=[{"part": part} for part in _WIDE])
async def large_texts_come_back_whatever_their_letters(world: World, part: str) -> None:
    """A large text comes back whole, wherever in it the bytes of a character may be parted."""
    size = min(world.limits.large_value_bytes, 2_500_000) // len(part.encode())
    for start in ("", "a", "ab", "abc"):
        value = start + part * size
        with named(world, value, f"value = {start!r} + {part!r} * {size}"):
            await world.memory.set("large", value)
        if await world.memory.get("large") != value:
            expect(await world.memory.get("large"), value, "get('large')")


@law("V6", examples=[{"kind": kind} for kind in ("bytes", "dict")])
async def large_values_pass_through_bulk_calls(world: World, kind: str) -> None:
    """A large value comes back whole from `get_many`, `get_entry` and after `set_many`."""
    memory = world.memory
    value = await _store(world, kind)
    found = await memory.get_many(["before", "large", "after"])
    expect(found.get("large"), value, "get_many(['before', 'large', 'after'])['large']")
    expect((await entry_at(memory, "large")).value, value, "get_entry('large').value")
    with named(world, value):
        await memory.set_many({"large": "small", "bulk": value})
    expect(await memory.get("bulk"), value, "get('bulk') after set_many")


@law("V6")
async def several_large_values_pass_through_one_call(world: World) -> None:
    """`get_many` returns large values whole, also where there are several in one answer."""
    value, source = _bytes(world.limits.large_value_bytes)
    keys = ["a", "b", "c"]
    with named(world, value, *_defined(source)):
        for key in keys:
            await world.memory.set(key, value)
    found = await world.memory.get_many(keys)
    expect_keys(list(found), keys, f"the keys of what get_many({keys}) returned")
    for key in keys:
        expect(found[key], value, f"get_many({keys})[{key!r}]")


@law("V6", examples=[{"kind": kind} for kind in ("list", "dict")])
async def values_of_very_many_parts_come_back_whole(world: World, kind: str) -> None:
    """A list or dict of very many small parts comes back whole, though it has few bytes."""
    number = world.limits.large_value_bytes // 64
    source = f"range({number})" if kind == "list" else f"(str(at) for at in range({number}))"
    source = f"list({source})" if kind == "list" else f"dict.fromkeys({source}, 1)"
    value: Any = list(range(number))
    if kind == "dict":
        value = dict.fromkeys(map(str, value), 1)
    with named(world, value, f"value = {source}"):
        await world.memory.set("key", value)
    found = await world.memory.get("key")
    if found != value:  # quicker than to look at each part; their types are V2's affair
        expect(found, value, "get('key')")


@law("V6", needs=Capability.ENTRIES)
async def large_values_pass_through_set_entry(world: World) -> None:
    """A large value, and large metadata, come back whole after `set_entry`."""
    memory = world.memory
    value, source = _text(world.limits.large_value_bytes)
    with named(world, value, *_defined(source)):
        entry = await memory.set_entry("large", value, metadata={"small": 1})
    expect(entry.value, value, "the value in the entry that set_entry returned")
    expect(await memory.get("large"), value, "get('large') after set_entry")
    metadata, source = _names(world.limits.large_value_bytes // 10)
    with named(world, metadata, f"metadata = {source}", name="metadata"):
        await memory.set_entry("large", "small", metadata=metadata)
    expect(dict((await entry_at(memory, "large")).metadata), metadata, "the large metadata")


@law("V6", needs=Capability.CAS)
async def large_values_pass_through_compare_and_set(world: World) -> None:
    """A large value comes back whole after `compare_and_set`, and can be replaced by it."""
    memory = world.memory
    value, source = _bytes(world.limits.large_value_bytes)
    with named(world, value, *_defined(source)):
        version = await memory.compare_and_set("large", value, expect=ABSENT)
    expect(await memory.get("large"), value, "get('large') after compare_and_set")
    await memory.compare_and_set("large", "small", expect=version)
    expect(await memory.get("large"), "small", "get('large') after replacing the large value")
