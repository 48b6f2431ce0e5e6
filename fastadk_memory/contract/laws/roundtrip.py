"""Clause V2: what comes back is what was stored, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import as_stored, expect
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.subclassed import SUBCLASSED
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.naming import named
from fastadk_memory.contract.world import World

# Numbers that are equal in Python, floats that differ in a bit, and what may turn into None.
_ALIKE: tuple[Any, ...] = (
    [[True, False, 1]], [True, 1, 1.0], [False, 0, 0.0, -0.0], {"a": [True, {"b": 1.0}]},
    [[1.0, [1, [True]]]],
    [0.1 + 0.2, 0.3, 1 / 3], [5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e16],
    [float(2**53), 2**53, 2**53 + 1], [1e15, 1e22, 1e23, 123456789012345680.0, 100.0],
    [float("nan"), float("inf"), float("-inf"), None], {"nan": float("nan"), "-0": -0.0},
    ["", b"", [], {}, None, False, 0], [[], [[]], {}, [{}], {"": {}}], ["1", 1, b"1", 1.0, True],
    ["abc", b"abc"], [b"\xc3\xa9", "é"], ["YWJj", b"abc"], ["2026-01-02T03:04:05Z", "1.50"],
    {"$type": "bytes", "data": "YWJj"}, {"__tuple__": [1]}, {"__set__": [1]}, ["__none__", "nil"],
    {"1": 1, "true": True, "null": None}, ((), ((),), [()]), (1, [2, (3, {"k": (4,)})]),
    "trailing\n", " padded ", "\r\n", "tab\t", "\ufeffmark", "nul\x00", "back\\slash", '"quoted"',
    "-0.0", "1e5", "Infinity", "None", "undefined",
)  # fmt: skip


def _corpus(_: Domain) -> Sequence[Any]:
    return [*_ALIKE, *NASTY_VALUES]


def _subclassed(_: Domain) -> Sequence[Any]:
    return SUBCLASSED


@batch_law("V2", corpus=_corpus, drawn=Domain.values, share=2.0)
async def values_come_back_exactly(world: World, items: Sequence[Any]) -> None:
    """`get` returns what was set, types, signs, NaN and order included; a tuple as a list."""
    for at, value in enumerate(items):
        await world.memory.set(f"key{at}", value)
    for at, value in enumerate(items):
        expect(await world.memory.get(f"key{at}"), as_stored(value), f"get('key{at}')")


@batch_law("V2", corpus=_corpus, drawn=Domain.values)
async def bulk_calls_bring_values_back_exactly(world: World, items: Sequence[Any]) -> None:
    """`get_many` returns what was set, and `get` what `set_many` stored, to the last bit."""
    memory = world.memory
    values = {f"key{at}": value for at, value in enumerate(items)}
    await memory.set_many(values)
    found = await memory.get_many(list(values))
    for key, value in values.items():
        expect(await memory.get(key), as_stored(value), f"get({key!r}) after set_many")
        expect(found.get(key), as_stored(value), f"get_many(...)[{key!r}]")


@batch_law("V2", corpus=_corpus, drawn=Domain.values)
async def entries_hold_values_exactly(world: World, items: Sequence[Any]) -> None:
    """`get_entry` returns what was set, to the last bit."""
    for value in items:
        await world.memory.set("key", value)
        entry = await entry_at(world.memory, "key")
        expect(entry.value, as_stored(value), "get_entry('key').value")


@batch_law("V2", corpus=_corpus, drawn=Domain.values, needs=Capability.ENTRIES)
async def set_entry_brings_values_back_exactly(world: World, items: Sequence[Any]) -> None:
    """What `set_entry` stored comes back exactly, value and metadata, also in what it returns."""
    memory = world.memory
    for value in items:
        metadata = {"part": value, "list": [value]}
        entry = await memory.set_entry("key", value, metadata=metadata)
        for told, found in (
            ("set_entry(...)", entry),
            ("get_entry", await entry_at(memory, "key")),
        ):
            expect(found.value, as_stored(value), f"the value in the entry of {told}")
            expect(
                dict(found.metadata), as_stored(metadata), f"the metadata in the entry of {told}"
            )
        expect(await memory.get("key"), as_stored(value), "get('key') after set_entry")


@batch_law("V2", corpus=_corpus, drawn=Domain.values, needs=Capability.CAS)
async def compare_and_set_brings_values_back_exactly(world: World, items: Sequence[Any]) -> None:
    """What `compare_and_set` stored comes back exactly, for a new key and an old one."""
    memory = world.memory
    for value in items:
        version = await memory.compare_and_set("key", value, expect=ABSENT)
        expect(await memory.get("key"), as_stored(value), "get('key') after compare_and_set")
        await memory.compare_and_set("key", [value], expect=version)
        expect(await memory.get("key"), [as_stored(value)], "get('key') after compare_and_set")
        await memory.delete("key")


# ---------------------------------------------------------------- what Python holds for equal

_EQUALS: tuple[tuple[Any, Any], ...] = (
    (1, True), (1, 1.0), (True, 1.0), (0, False), (0.0, -0.0), (0, 0.0), (2**53, float(2**53)),
    ([1], [True]), ([0.0], [-0.0]), ({"a": 1}, {"a": 1.0}), ({"a": [True]}, {"a": [1]}),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]),
    ("", b""), ("a", b"a"), ([], {}), (None, False), (None, 0), (None, ""), (float("nan"), None),
    ("1", 1), ("é", "e\u0301"), ("a", "A"), ("a", "a "), ("a\n", "a\r\n"),
)  # fmt: skip


@batch_law("V2", corpus=lambda _: _EQUALS)
async def a_value_replaces_one_that_is_almost_the_same(
    world: World, items: Sequence[tuple[Any, Any]]
) -> None:
    """A value replaces another that Python holds for equal, such as `True` for `1`, or like it."""
    memory = world.memory
    for one, other in items:
        for old, new in ((one, other), (other, one)):
            await memory.set("key", old)
            await memory.set("key", new)
            expect(await memory.get("key"), new, "get('key') after the second set")
            await memory.set_many({"a": old, "b": new})
            expect(await memory.get_many(["a", "b"]), {"a": old, "b": new}, "get_many(['a', 'b'])")


# ------------------------------------------------------------- what is different at the end

_BASES: tuple[Any, ...] = (0, 1, 1.0, 0.0, True, None, "a", b"a", [])
_ODD_ONES: tuple[Any, ...] = (True, False, 0, 1, 1.0, -0.0, None, "", b"", 300, 2**64, [], {})


@batch_law("V2", corpus=lambda _: [(one, size) for one in _BASES for size in (15, 100, 300)])
async def one_part_may_differ_from_many(world: World, items: Sequence[tuple[Any, int]]) -> None:
    """In a long list of parts of one type, a part of another type keeps its own."""
    memory = world.memory
    for one, size in items:
        for odd in _ODD_ONES:
            value = [*[one] * size, odd]
            with named(world, value, f"value = [*[{show(one)}] * {size}, {show(odd)}]"):
                await memory.set("key", value)
            expect(await memory.get("key"), value, "get('key')")


# ------------------------------------------------------------------- one object, set again

_CHANGES: dict[tuple[str, str], tuple[Callable[[], Any], Callable[[Any], object]]] = {
    ("[1]", "value.append(2)"): (lambda: [1], lambda value: value.append(2)),
    ("[1, 2]", "value.reverse()"): (lambda: [1, 2], lambda value: value.reverse()),
    ("[1]", "value.clear()"): (lambda: [1], lambda value: value.clear()),
    ("[[1]]", "value[0].append(2)"): (lambda: [[1]], lambda value: value[0].append(2)),
    ("{'a': 1}", "value.update(a=True)"): (lambda: {"a": 1}, lambda value: value.update(a=True)),
    ("{'a': 1}", "value.update(b=2)"): (lambda: {"a": 1}, lambda value: value.update(b=2)),
    ("{'a': {}}", "value['a'].update(b=2)"): (
        lambda: {"a": {}}, lambda value: value["a"].update(b=2)
    ),
    ("([1],)", "value[0].append(2)"): (lambda: ([1],), lambda value: value[0].append(2)),
}  # fmt: skip
"""Values and changes to them, by their sources."""


@batch_law("V2", corpus=lambda _: list(_CHANGES))
async def an_object_is_stored_as_it_now_is(world: World, items: Sequence[tuple[str, str]]) -> None:
    """A list or dict that is set, changed and set again is stored as it is the second time."""
    memory = world.memory
    for source, change in items:
        for method in _writes(memory):
            value = _CHANGES[source, change][0]()
            with named(world, value, f"value = {source}"):
                await _write(memory, method, value)
            _CHANGES[source, change][1](value)
            now = as_stored(value)
            with named(world, value, change):
                await _write(memory, method, value)
            expect(await memory.get("key"), now, f"get('key') after the second {method}")
            await memory.delete("key")


def _writes(memory: Handle) -> list[str]:
    """Return the methods by which a value can be stored."""
    of = {"set_entry": Capability.ENTRIES, "compare_and_set": Capability.CAS}
    return ["set", "set_many", *(method for method in of if memory.declares(of[method]))]


async def _write(memory: Handle, method: str, value: Any) -> None:
    if method == "set_many":
        await memory.set_many({"key": value})
    elif method == "set_entry":
        await memory.set_entry("key", value, metadata={})
    elif method == "compare_and_set":
        entry = await memory.get_entry("key")
        expected = ABSENT if entry is None else entry.version
        await memory.compare_and_set("key", value, expect=expected)
    else:
        await memory.set("key", value)


# ----------------------------------------------------------------------- the order of dicts


def _orders(_: Domain) -> Sequence[dict[str, Any]]:
    names = ["b", "a", "10", "9", "é", "", "B", "key"]
    shuffled = [str(at) for at in range(600)]
    Random(17).shuffle(shuffled)
    short = [dict.fromkeys(order, 1) for order in permutations(["b", "a", "c"])]
    return [*short, dict.fromkeys(names, 1), dict.fromkeys(names[::-1], 1), *(
        {name: at for at, name in enumerate(shuffled[:size])} for size in (9, 33, 600)
    )]  # fmt: skip


def _order(domain: Domain) -> SearchStrategy[dict[str, Any]]:
    names = st.text("abAB019é", max_size=3)
    return st.lists(names, unique=True, max_size=12).map(lambda order: dict.fromkeys(order, 1))


@batch_law("V2", corpus=_orders, drawn=_order)
async def the_order_of_a_dict_survives(world: World, items: Sequence[dict[str, Any]]) -> None:
    """The names of a dict come back in the order they were in, however deep the dict stands."""
    memory = world.memory
    for value in items:
        moved = dict(value)
        if moved:  # what was put in again comes last
            first = next(iter(moved))
            moved[first] = moved.pop(first)
        for stored in (value, [{"deep": value}], moved):
            await memory.set("key", stored)
            expect(await memory.get("key"), stored, "get('key')")
            expect((await entry_at(memory, "key")).value, stored, "get_entry('key').value")
            expect(await memory.get_many(["key"]), {"key": stored}, "get_many(['key'])")


# ------------------------------------------------------------------------------ subclasses


@batch_law("V2", corpus=_subclassed)
async def subclasses_come_back_as_their_base_type(world: World, items: Sequence[Any]) -> None:
    """An enum's member, a named tuple, a Counter and the like come back as their base type."""
    memory = world.memory
    for value in items:
        plain = as_stored(value)
        await memory.set("key", value)
        expect(await memory.get("key"), plain, f"get('key') of a {type(value).__name__}")
        await memory.set("key", {"part": [value]})
        expect(await memory.get("key"), {"part": [plain]}, "get('key')")
        await memory.set_many({"bulk": value})
        found = await memory.get_many(["bulk"])
        expect(found, {"bulk": plain}, f"get_many(['bulk']) of a {type(value).__name__}")
        entry = await entry_at(memory, "bulk")
        expect(entry.value, plain, f"get_entry('bulk').value of a {type(value).__name__}")


@batch_law("V2", corpus=_subclassed, needs=Capability.ENTRIES)
async def set_entry_turns_subclasses_into_base_types(world: World, items: Sequence[Any]) -> None:
    """In what `set_entry` stores and returns, instances of subclasses are of their base type."""
    memory = world.memory
    for value in items:
        plain = as_stored(value)
        entry = await memory.set_entry("key", value, metadata={"part": value})
        for told, found in (("set_entry", entry), ("get_entry", await entry_at(memory, "key"))):
            expect(found.value, plain, f"the value in the entry of {told}")
            expect(dict(found.metadata), {"part": plain}, f"the metadata in the entry of {told}")


@batch_law("V2", corpus=_subclassed, needs=Capability.CAS)
async def compare_and_set_turns_subclasses_into_base_types(
    world: World, items: Sequence[Any]
) -> None:
    """In what `compare_and_set` stores, instances of subclasses are of their base type."""
    for value in items:
        await world.memory.compare_and_set("key", value, expect=ABSENT)
        expect(await world.memory.get("key"), as_stored(value), "get('key')")
        await world.memory.delete("key")
