"""Clause V5: what cannot be stored is refused whole, with the path to the part that offends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.offences import Offence, foreign_parts, offences, placed
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.tools.naming import named
from fastadk_memory.contract.world import World
from fastadk_memory.errors import UnsupportedValueError

Call: TypeAlias = "tuple[str, tuple[Any, ...], dict[str, Any]]"
Write: TypeAlias = "Callable[[Any, Any], Call]"
"""Makes the call that would store a value; the second argument is the key's version."""

_OLD_TTL = 36_000
_NEW_TTL = 60


def _offences(_: Domain) -> Sequence[Offence]:
    return offences()


def _offence(_: Domain) -> SearchStrategy[Offence]:
    names = st.sampled_from(["a", "messages", "_x", "when"])
    step = st.one_of(names, st.integers(0, 4), st.tuples(st.integers(0, 4)))
    parts = st.integers(0, len(foreign_parts()) - 1).map(lambda at: foreign_parts()[at])
    return st.tuples(parts, st.lists(step, max_size=5).map(tuple)).map(lambda it: placed(*it))


@batch_law("V5", corpus=_offences, drawn=_offence)
async def set_refuses_what_cannot_be_stored(world: World, items: Sequence[Offence]) -> None:
    """`set` refuses what cannot be stored by its path, and the old value is still there."""
    for offence in items:
        await _refused(world, offence, lambda value, _: ("set", ("key", value, _NEW_TTL), {}))


@batch_law("V5", corpus=_offences, drawn=_offence)
async def set_many_refuses_what_cannot_be_stored(world: World, items: Sequence[Offence]) -> None:
    """`set_many` refuses what cannot be stored by its path, and stores none of its items."""

    def write(value: Any, _: Any) -> Call:
        return "set_many", ({"before": 1, "key": value, "after": 1}, _NEW_TTL), {}

    for offence in items:
        await _refused(world, offence, write)


@batch_law("V5", corpus=_offences, drawn=_offence, needs=Capability.ENTRIES)
async def set_entry_refuses_what_cannot_be_stored(world: World, items: Sequence[Offence]) -> None:
    """`set_entry` refuses what cannot be stored by its path, and the old entry is still there."""

    def write(value: Any, _: Any) -> Call:
        return "set_entry", ("key", value, _NEW_TTL), {"metadata": {"new": 1}}

    for offence in items:
        await _refused(world, offence, write)


@batch_law("V5", corpus=_offences, drawn=_offence, needs=Capability.ENTRIES)
async def set_entry_refuses_metadata_that_cannot_be_stored(
    world: World, items: Sequence[Offence]
) -> None:
    """`set_entry` refuses metadata that cannot be stored by the path inside of it."""

    def write(value: Any, _: Any) -> Call:
        return "set_entry", ("key", "new", _NEW_TTL), {"metadata": {"part": value}}

    for offence in items:
        await _refused(world, offence, write, inside=".part")


@batch_law("V5", corpus=_offences, drawn=_offence, needs=Capability.CAS)
async def compare_and_set_refuses_what_cannot_be_stored(
    world: World, items: Sequence[Offence]
) -> None:
    """`compare_and_set` refuses what cannot be stored, whether or not its expectation holds."""

    def write(value: Any, version: Any) -> Call:
        return "compare_and_set", ("key", value), {"expect": version, "ttl": _NEW_TTL}

    for offence in items:
        await _refused(world, offence, write)


_WRITES: dict[str, Write] = {
    "set": lambda value, _: ("set", ("key", value), {}),
    "set_many": lambda value, _: ("set_many", ({"other": 1, "key": value},), {}),
    "set_entry": lambda value, _: ("set_entry", ("key", value), {"metadata": {}}),
    "compare_and_set": lambda value, version: (
        "compare_and_set", ("key", value), {"expect": version}
    ),
}  # fmt: skip


def _writes(domain: Domain) -> list[dict[str, str]]:
    needed = {"set_entry": Capability.ENTRIES, "compare_and_set": Capability.CAS}
    entries = Capability.ENTRIES in domain.capabilities  # which tell the version to expect
    return [
        {"method": method}
        for method in _WRITES
        if method not in needed or (entries and needed[method] in domain.capabilities)
    ]


@law("V5", examples=_writes)
async def a_refused_write_without_a_ttl_lifts_none(world: World, method: str) -> None:
    """After a refused write without a TTL the old value has the expiry that it had."""
    memory, version = world.memory, None
    await memory.set("key", "old", _OLD_TTL)
    if memory.declares(Capability.ENTRIES):
        version = (await entry_at(memory, "key")).version
    for offence in offences()[:3]:
        await _raises(world, offence, _WRITES[method](offence.value, version), "")
        if await memory.ttl("key") is None:
            fail(f"ttl('key') after the refusal of a {method} is None, it was set to {_OLD_TTL}")
    expect(await memory.get("key"), "old", "get('key') after the refusals")


@batch_law("V5", corpus=_offences, needs=Capability.CAS)
async def compare_and_set_refuses_before_it_compares(
    world: World, items: Sequence[Offence]
) -> None:
    """`compare_and_set` refuses what cannot be stored also where its expectation does not hold."""
    memory = world.memory
    stale = await memory.compare_and_set("key", "older", expect=ABSENT)
    await memory.compare_and_set("key", "old", expect=stale)
    for offence in items:
        for key, expected in (("key", ABSENT), ("key", stale), ("absent", stale)):
            call: Call = ("compare_and_set", (key, offence.value), {"expect": expected})
            await _raises(world, offence, call, "")
        expect(await memory.get("key"), "old", "get('key') after the refusal")
        expect(await memory.exists("absent"), False, "exists('absent') after the refusal")


async def _refused(world: World, offence: Offence, write: Write, inside: str = "") -> None:
    """Require that a write is refused, for a key that is absent and one that is there."""
    memory = world.memory
    await _raises(world, offence, write(offence.value, ABSENT), inside)
    expect_keys(await memory.keys(), [], "keys() after the refusal")
    version: Any = None
    if memory.declares(Capability.ENTRIES):
        await memory.set_entry("key", "old", _OLD_TTL, metadata={"old": 1})
        version = (await entry_at(memory, "key")).version
    else:
        await memory.set("key", "old", _OLD_TTL)
    await _raises(world, offence, write(offence.value, version or ABSENT), inside)
    expect_keys(await memory.keys(), ["key"], "keys() after the refusal")
    expect(await memory.get("key"), "old", "get('key') after the refusal")
    left = await memory.ttl("key")
    if left is None or left <= _NEW_TTL:
        fail(f"ttl('key') after the refusal is {left}, it was set to {_OLD_TTL}")
    if memory.declares(Capability.ENTRIES):
        entry = await entry_at(memory, "key")
        found = [dict(entry.metadata), entry.version]
        expect(found, [{"old": 1}, version], "metadata and version after the refusal")
    await memory.delete("key")


async def _raises(world: World, offence: Offence, call: Call, inside: str) -> None:
    method, args, kwargs = call
    if offence.lines:
        with named(world, offence.value, *offence.lines):
            error = await world.expect_error(UnsupportedValueError, method, *args, **kwargs)
    else:
        error = await world.expect_error(UnsupportedValueError, method, *args, **kwargs)
    path = offence.path.replace("$", f"${inside}", 1)
    told = str(error)
    # What offends in a dict's key, or in a cycle, may be told in more than one way.
    if not offence.kind:
        if not error.path.startswith("$") or "$" not in told:
            fail(f"the error of {method} names no path: {told!r}, path {error.path!r}")
        return
    if error.path != path:
        fail(f"the error of {method} has the path {error.path!r}, expected {path!r}")
    if path not in told or offence.kind not in told:
        fail(
            f"the message of the error of {method} has to name the path {path} and the type "
            f"{offence.kind}, such as '{path}: {offence.kind} cannot be stored': {told!r}"
        )


# ------------------------------------------------------------------- beside single parts


@law("V5", examples=[{"depth": depth} for depth in (101, 128, 129, 200, 1_000, 20_000)])
async def what_is_too_deep_is_refused_or_stored(world: World, depth: int) -> None:
    """A value nested deeper than 100 is stored exactly, or refused like any other; no crash."""
    memory = world.memory
    lists: Any = "core"
    dicts: Any = "core"
    for _ in range(depth):
        lists, dicts = [lists], {"k": dicts}
    for value, around in ((lists, "[value]"), (dicts, "{'k': value}")):
        await memory.set("key", "old", _OLD_TTL)
        lines = ["value = 'core'", f"for _ in range({depth}):", f"    value = {around}"]
        try:
            with named(world, value, *lines):
                await memory.set("key", value, _OLD_TTL)
        except UnsupportedValueError as error:
            if not error.path.startswith("$"):
                fail(f"the error has the path {error.path!r}, expected one that begins with $")
            expect(await memory.get("key"), "old", "get('key') after the refusal")
        else:
            expect(await memory.get("key"), value, "get('key') of what set has taken")


@batch_law("V5", corpus=lambda _: [[("a", 1)], ["a"], 7, None, "a", {"a"}, iter([("a", 1)])])
async def set_many_refuses_what_is_no_mapping(world: World, items: Sequence[Any]) -> None:
    """`set_many` raises UnsupportedValueError for what is no mapping of keys to values."""
    await world.memory.set("a", "old")
    for wrong in items:
        await world.expect_error(UnsupportedValueError, "set_many", wrong)
        expect(await world.memory.get("a"), "old", "get('a') after the refusal")


@batch_law(
    "V5",
    corpus=lambda _: [[("a", 1)], ["a"], 7, None, "a", {1: 2}, {None: 1}, {"a", "b"}],
    needs=Capability.ENTRIES,
)
async def set_entry_refuses_metadata_that_is_no_mapping(world: World, items: Sequence[Any]) -> None:
    """`set_entry` refuses metadata that is no mapping with `str` keys; the old entry stays."""
    memory = world.memory
    for wrong in items:
        await memory.set("key", "old")
        await world.expect_error(UnsupportedValueError, "set_entry", "key", "new", metadata=wrong)
        expect(await memory.get("key"), "old", "get('key') after the refusal")


@law("V5", examples=[{"size": size} for size in (1, 100, 2_000)])
async def a_bad_part_at_the_very_end_is_found_in_time(world: World, size: int) -> None:
    """What offends at the end of a long value is found before anything is changed."""
    memory = world.memory
    await memory.set("key", "old", _OLD_TTL)
    offence = placed(object(), ("parts", size))
    await _raises(world, offence, ("set", ("key", offence.value), {}), "")
    expect(await memory.get("key"), "old", "get('key') after the refusal")
    items: Mapping[str, Any] = {**{f"key{at}": at for at in range(size)}, "last": {1, 2}}
    await world.expect_error(UnsupportedValueError, "set_many", items)
    expect_keys(await memory.keys(), ["key"], "keys() after the refused set_many")


@law("V5")
async def the_path_is_found_in_the_value_of_its_item(world: World) -> None:
    """The path in the error of `set_many` begins at the item's value, not at the mapping."""
    offence = placed(complex(1, 2), ("messages", 3, "when"))
    for at in (0, 1, 2):
        items = [("a", 1), ("b", 2)]
        items.insert(at, ("bad", offence.value))
        await _raises(world, offence, ("set_many", (dict(items),), {}), "")
