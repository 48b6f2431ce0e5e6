"""Clause V4: what is stored shares nothing with its callers' objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, TypeAlias

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import as_stored, expect, expect_keys
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.naming import named
from fastadk_memory.contract.world import World

Call: TypeAlias = Callable[[Handle, Any], Awaitable[Any]]

_CONTAINERS: tuple[Any, ...] = (
    [1], {"a": 1}, [], {}, [[1]], {"a": {"b": 1}}, [{"a": 1}], {"a": [1]}, ([1],), ({"a": 1},),
    (1, ([1], {"a": ()})), {"a": ([1],)}, [[[[[1]]]]], {"a": {"b": {"c": {"d": {}}}}},
    [1, "two", [3, {"four": [5]}]], {"messages": [{"role": "user", "parts": ["hello"]}]},
    ["x" * 2_000, [1]], ["x" * 9_000, [1]], {"a": "x" * 100_000, "b": [1]},
    list(range(300)), {str(at): [at] for at in range(70)}, [b"bytes", [b""]],
)  # fmt: skip


def _containers(_: Domain) -> Sequence[Any]:
    return _CONTAINERS


# --------------------------------------------------------- changing what was handed in


@batch_law("V4", corpus=_containers, drawn=Domain.containers)
async def changing_what_was_set_changes_nothing_stored(world: World, items: Sequence[Any]) -> None:
    """A list or dict that is changed after `set`, at any depth, is stored as it was before."""
    for value in items:
        await _hand_in(world, value, lambda m, v: m.set("key", v))
        # Once more over an old value, which takes another way in some stores.
        await _hand_in(world, value, lambda m, v: m.set("key", v))
        await world.memory.delete("key")


@batch_law("V4", corpus=_containers, drawn=Domain.containers)
async def changing_what_set_many_took_changes_nothing_stored(
    world: World, items: Sequence[Any]
) -> None:
    """What is changed after `set_many`, values and mapping, is stored as it was before."""
    for value in items:
        await _hand_in(world, value, lambda m, v: m.set_many({"key": v, "twin": v}))
        expect(await world.memory.get("twin"), as_stored(value), "get('twin')")


@law("V4")
async def changing_the_mapping_of_set_many_changes_nothing_stored(world: World) -> None:
    """The mapping given to `set_many` may be changed and used again afterwards."""
    items: dict[str, Any] = {"a": [1], "b": [2]}
    await world.memory.set_many(items)
    expected = await world.memory.get_many(["a", "b", "c"])
    items["a"] = "changed"
    items["c"] = items.pop("b")
    expect(await world.memory.get_many(["a", "b", "c"]), expected, "get_many after the change")


@batch_law("V4", corpus=_containers, drawn=Domain.containers, needs=Capability.ENTRIES)
async def changing_what_set_entry_took_changes_nothing_stored(
    world: World, items: Sequence[Any]
) -> None:
    """What is changed after `set_entry`, value or metadata, is stored as it was before."""
    memory = world.memory
    for value in items:
        await _hand_in(world, value, lambda m, v: m.set_entry("key", v, metadata={}))
        metadata = {"part": deepcopy(value)}
        with named(world, metadata, f"metadata = {show(metadata)}", name="metadata"):
            await memory.set_entry("key", "value", metadata=metadata)
        _change(world, metadata, "metadata")
        entry = await entry_at(memory, "key")
        expect(dict(entry.metadata), {"part": as_stored(value)}, "get_entry('key').metadata")


@batch_law("V4", corpus=_containers, drawn=Domain.containers, needs=Capability.CAS)
async def changing_what_compare_and_set_took_changes_nothing_stored(
    world: World, items: Sequence[Any]
) -> None:
    """What is changed after `compare_and_set` is stored as it was before."""
    for value in items:
        await _hand_in(world, value, lambda m, v: m.compare_and_set("key", v, expect=ABSENT))
        await world.memory.delete("key")


async def _hand_in(world: World, value: Any, write: Call) -> None:
    """Store a copy of `value`, change that copy, and require that the store has the original."""
    given = deepcopy(value)
    with named(world, given, f"value = {show(value)}"):
        await write(world.memory, given)
    _change(world, given, "value")
    expect(await world.memory.get("key"), as_stored(value), "get('key') after changing value")


# ------------------------------------------------------- changing what was handed out

_READS: dict[str, Call] = {
    "await memory.get('key')": lambda m, _: m.get("key"),
    "(await memory.get_many(['key']))['key']": lambda m, _: _of_many(m),
    "(await memory.get_entry('key')).value": lambda m, _: _of_entry(m),
}


async def _of_many(memory: Handle) -> Any:
    return (await memory.get_many(["key"])).get("key")


async def _of_entry(memory: Handle) -> Any:
    return (await entry_at(memory, "key")).value


@batch_law("V4", corpus=_containers, drawn=Domain.containers)
async def changing_what_was_read_changes_nothing_stored(world: World, items: Sequence[Any]) -> None:
    """What `get`, `get_many` or `get_entry` returned belongs to the caller, at any depth."""
    for value in items:
        await _set_copy(world, value)
        for source, read in _READS.items():
            await _take_out(world, as_stored(value), source, read)


@batch_law("V4", corpus=_containers, drawn=Domain.containers)
async def two_readers_share_nothing(world: World, items: Sequence[Any]) -> None:
    """What one reader changes does not show in what another has read before."""
    memory = world.memory
    for value in items:
        await _set_copy(world, value)
        for source, read in _READS.items():
            first = await read(memory, None)
            world.trace.steps[-1] = f"first = {source}"
            second = await read(memory, None)
            world.trace.steps[-1] = f"second = {source}"
            _change(world, second, "second")
            expect(first, as_stored(value), "first, after second was changed,")


@batch_law("V4", corpus=_containers, drawn=Domain.containers, needs=Capability.ENTRIES)
async def changing_an_entry_changes_nothing_stored(world: World, items: Sequence[Any]) -> None:
    """The entries that `set_entry` and `get_entry` return belong to the caller, metadata too."""
    memory = world.memory
    for value in items:
        stored = {"part": as_stored(value)}
        for call in ("set_entry", "get_entry"):
            given, beside = deepcopy(value), {"part": deepcopy(value)}
            lines = [f"value = {show(value)}", f"metadata = {show(beside)}"]
            with named(world, given, *lines), named(world, beside, name="metadata"):
                entry = await memory.set_entry("key", given, metadata=beside)
            if call == "get_entry":
                entry = await entry_at(memory, "key")
            world.trace.note(f"entry = ...  # the one that {call} returned")
            _change(world, entry.value, "entry.value")
            for part in entry.metadata.values():
                _change(world, part, "entry.metadata['part']")
            again = await entry_at(memory, "key")
            expect(again.value, stored["part"], f"get_entry('key').value after changing {call}'s")
            expect(
                dict(again.metadata), stored, f"get_entry('key').metadata after changing {call}'s"
            )
            expect(await memory.get("key"), stored["part"], "get('key') after changing the entry")


@batch_law("V4", corpus=_containers, needs=Capability.ENTRIES)
async def a_new_entry_shares_nothing_with_what_was_given(
    world: World, items: Sequence[Any]
) -> None:
    """The entry that `set_entry` returns does not change with what it was given."""
    for value in items:
        given = deepcopy(value)
        with named(world, given, f"value = {show(value)}"):
            entry = await world.memory.set_entry("key", given, metadata={"part": given})
        _change(world, given, "value")
        expect(entry.value, as_stored(value), "the value in the entry that set_entry returned")
        told = "the metadata in the entry that set_entry returned"
        expect(dict(entry.metadata), {"part": as_stored(value)}, told)


@law("V4")
async def changing_the_metadata_of_an_entry_changes_nothing_stored(world: World) -> None:
    """The metadata of an entry belongs to the caller, also where there is none."""
    memory = world.memory
    stored: dict[str, dict[str, Any]] = {"a": {}, "b": {}}
    await memory.set_many({"a": 1, "b": [1]})
    if memory.declares(Capability.ENTRIES):
        for key, metadata in (("c", {}), ("d", {"part": 1})):
            stored[key] = dict(metadata)
            made = await memory.set_entry(key, 1, metadata=metadata)
            world.trace.steps[-1] = (
                f"made = await memory.set_entry({key!r}, 1, metadata={metadata})"
            )
            _change(world, made.metadata, "made.metadata")
    for key in stored:
        entry = await entry_at(memory, key)
        world.trace.steps[-1] = f"entry = await memory.get_entry({key!r})"
        _change(world, entry.metadata, "entry.metadata")
        for other, metadata in stored.items():
            again = (await entry_at(memory, other)).metadata
            expect(again, metadata, f"get_entry({other!r}).metadata after the change")


@law("V4")
async def changing_a_listing_changes_nothing_stored(world: World) -> None:
    """The lists and dicts that `keys` and `get_many` return belong to the caller."""
    memory = world.memory
    await memory.set_many({"a": 1, "b": 2})
    for pattern in ((), ("*",), ("a",)):
        source = f"memory.keys({', '.join(map(repr, pattern))})"
        listed = await memory.keys(*pattern)
        world.trace.steps[-1] = f"listed = await {source}"
        expected = list(listed)
        listed.clear()
        world.trace.note("listed.clear()")
        expect_keys(await memory.keys(*pattern), expected, f"{source} after clearing listed")
    found = await memory.get_many(["a", "b"])
    world.trace.steps[-1] = "found = await memory.get_many(['a', 'b'])"
    found.clear()
    world.trace.note("found.clear()")
    told = "get_many(['a', 'b']) after clearing found"
    expect(await memory.get_many(["a", "b"]), {"a": 1, "b": 2}, told)


async def _set_copy(world: World, value: Any) -> None:
    """Store a copy of `value`: what the backend hands out may be the very object it was given."""
    given = deepcopy(value)
    with named(world, given, f"value = {show(value)}"):
        await world.memory.set("key", given)


async def _take_out(world: World, stored: Any, source: str, read: Call) -> None:
    """Read, change what was read, and require that every way of reading gives the original."""
    got = await read(world.memory, None)
    world.trace.steps[-1] = f"got = {source}"
    expect(got, stored, "got")
    _change(world, got, "got")
    for again, look in _READS.items():
        expect(
            await look(world.memory, None),
            stored,
            f"{again.removeprefix('await ')} after changing got",
        )


# -------------------------------------------------------------------------- the changes


def _change(world: World, value: Any, name: str) -> None:
    """Change every list and dict inside of `value`, and write down how."""
    for part, source in list(_containers_in(value, name)):
        if isinstance(part, list):
            part.append("changed")
            world.trace.note(f"{source}.append('changed')")
        else:
            part["changed"] = True
            world.trace.note(f"{source}['changed'] = True")


def _containers_in(value: Any, source: str) -> Iterator[tuple[Any, str]]:
    if isinstance(value, (list, dict)):
        yield value, source
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _containers_in(part, f"{source}[{show(name)}]")
    elif isinstance(value, (list, tuple)):
        for at, part in enumerate(value):
            yield from _containers_in(part, f"{source}[{at}]")
