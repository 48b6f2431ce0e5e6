"""Clause B1: bulk calls equal the same single calls; a bad item changes nothing at all."""

from __future__ import annotations

from collections import OrderedDict, UserDict, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.many import Items, Keys, brief, numbered
from fastadk_memory.contract.inputs.subclassed import Colour, Text
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.timing.lifespan import EARLY
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.entries import entry_at
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.errors import InvalidKeyError, InvalidTTLError, UnsupportedValueError

_LONG = 36_000

Step: TypeAlias = "tuple[Any, ...]"
"""A bulk call: its method and its arguments."""


class Once:
    """An iterable that can be gone through once, as a generator, and tells what it holds."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._told = f"iter({show(list(items))})"
        self._items = iter(list(items))

    def __iter__(self) -> Iterator[Any]:
        return self._items

    def __repr__(self) -> str:
        return self._told


# --------------------------------------------------------------------- equal to singles


def _steps(domain: Domain) -> SearchStrategy[list[Step]]:
    keys = st.lists(domain.few_keys(), max_size=6)
    items = st.dictionaries(domain.few_keys(), domain.values(), max_size=5)
    ttls = st.sampled_from([None, None, 60, 3_600, 86_400.5])
    return st.lists(
        st.one_of(
            st.tuples(st.just("set_many"), items, ttls),
            st.tuples(st.just("delete_many"), keys),
            st.tuples(st.just("get_many"), keys),
        ),
        min_size=1,
        max_size=6,
    )


_FULL = {"a": 1, "b": None, "ab": [1, (2,)], "a*": b"x", "é": {"k": True}}

_EXAMPLES: tuple[list[Step], ...] = (
    [("set_many", _FULL, None), ("get_many", ["é", "a", "none", "a", "b"])],
    [("set_many", _FULL, 60), ("set_many", {"a": 2, "b": 3}, 3_600), ("delete_many", ["ab", "a"])],
    [("set_many", _FULL, 60), ("set_many", {"a": 2, "b": 0}, None), ("get_many", list(_FULL))],
    [("set_many", _FULL, None), ("set_many", {"a": 2}, 60), ("delete_many", ["a*", "none"])],
    [("set_many", _FULL, 60), ("delete_many", ["a", "a", "b"]), ("set_many", {"a": "new"}, None)],
    [("delete_many", ["a"]), ("set_many", {"a": 1}, 60), ("set_many", {"a": 1}, 60)],
    [("set_many", {}, 60), ("delete_many", []), ("get_many", []), ("set_many", {}, None)],
    [("set_many", _FULL, 60), ("set_many", {}, None), ("delete_many", []), ("get_many", ["a"])],
)


@law("B1", given={"steps": _steps}, examples=[{"steps": steps} for steps in _EXAMPLES])
async def bulk_calls_equal_single_calls(world: World, steps: Sequence[Step]) -> None:
    """Bulk calls answer and leave what the same single calls on another store do."""
    bulk, single = world.memory, await world.fresh("single")
    began = world.now()
    for method, *arguments in steps:
        answer = await bulk.call(method, *arguments)
        expected = await _SINGLES[method](single, *arguments)
        expect(answer, expected, f"what {method} returned, compared with single calls,")
        await _expect_alike(world, bulk, single, began)


async def _set_each(memory: Handle, items: Mapping[str, Any], ttl: Any) -> None:
    for key, value in items.items():
        await memory.set(key, value, ttl)


async def _get_each(memory: Handle, keys: Iterable[str]) -> dict[str, Any]:
    return {key: await memory.get(key) for key in keys if await memory.exists(key)}


async def _delete_each(memory: Handle, keys: Iterable[str]) -> int:
    existed = 0
    for key in keys:
        existed += await memory.exists(key)
        await memory.delete(key)
    return existed


_SINGLES: dict[str, Callable[..., Awaitable[Any]]] = {
    "set_many": _set_each,
    "get_many": _get_each,
    "delete_many": _delete_each,
}


async def _expect_alike(world: World, bulk: Handle, single: Handle, began: float) -> None:
    keys = sorted(await single.keys())
    expect_keys(await bulk.keys(), keys, "keys() after bulk calls")
    for key in keys:
        told = "after bulk calls, compared with single calls,"
        expect(await bulk.get(key), await single.get(key), f"get({show(key)}) {told}")
        one, other = await bulk.ttl(key), await single.ttl(key)
        slack = 0 if world.exact else world.now() - began + 1
        same = one is other if one is None or other is None else abs(one - other) <= slack
        if not same:
            fail(f"ttl({show(key)}) {told} is {one}, expected {other}")


# -------------------------------------------------------------------------- what is taken


def _all_nasty_keys(domain: Domain) -> Sequence[str]:
    return domain.all_nasty_keys()


@batch_law("B1", corpus=_all_nasty_keys, drawn=Domain.keys, share=0.5)
async def bulk_calls_take_every_key(world: World, items: Sequence[str]) -> None:
    """Keys of every kind, all in one batch, are stored, found and removed as single ones are."""
    memory = world.memory
    wanted = {key: at for at, key in enumerate(items)}
    await memory.set_many(wanted)
    expect_keys(await memory.keys(), wanted, "keys() after set_many")
    for key, at in wanted.items():
        expect(await memory.get(key), at, f"get({show(key)}) after set_many")
    turned = list(reversed(wanted))
    expected = {key: wanted[key] for key in turned}
    expect(
        await memory.get_many(turned), expected, "get_many of all keys, from the last to the first"
    )
    rest = turned[1::2]
    expect(
        await memory.delete_many(turned[::2]), len(turned[::2]), "delete_many of every other key"
    )
    expect_keys(await memory.keys(), rest, "keys() after delete_many")


@batch_law("B1", corpus=lambda _: NASTY_VALUES, drawn=Domain.values, share=0.5)
async def bulk_calls_take_every_value(world: World, items: Sequence[Any]) -> None:
    """What `set_many` stores `get` reads, and what `set` stores `get_many` reads, exactly."""
    memory = world.memory
    # What a value comes back as is a matter of V2: here both ways have to agree.
    values = {f"key{at}": value for at, value in enumerate(items)}
    single: dict[str, Any] = {}
    for key, value in values.items():
        await memory.set(key, value)
        single[key] = await memory.get(key)
    expect(await memory.get_many(values), single, "get_many after as many calls of set")
    await memory.clear()
    await memory.set_many(values)
    for key, value in single.items():
        expect(await memory.get(key), value, f"get({key!r}) after set_many")
    expect(await memory.get_many(values), single, "get_many after set_many")


def _mappings() -> list[Mapping[str, Any]]:
    items = {"b": 1, "a": None, "c": [2]}
    return [items, OrderedDict(items), MappingProxyType(items), UserDict(items)]


@batch_law("B1", corpus=lambda _: _mappings())
async def set_many_takes_any_mapping(world: World, items: Sequence[Mapping[str, Any]]) -> None:
    """`set_many` takes any mapping, not only a `dict`, and leaves it as it was."""
    memory = world.memory
    for mapping in items:
        before = dict(mapping)
        await memory.set_many(mapping, _LONG)
        expect(dict(mapping), before, "the mapping after set_many")
        found = await memory.get_many(["b", "a", "c"])
        expect(found, before, "get_many after set_many")
        await memory.clear()


def _iterables() -> list[Any]:
    keys = ["c", "a", "none", "b", "a"]
    some: list[Any] = [keys, tuple(keys), deque(keys), Once(keys), dict.fromkeys(keys)]
    return [*some, dict.fromkeys(keys).keys(), Once(keys[:1]), [Text("c"), Colour.RED, "a"]]


@batch_law("B1", corpus=lambda _: _iterables())
async def bulk_calls_take_any_iterable_of_keys(world: World, items: Sequence[Any]) -> None:
    """`get_many` and `delete_many` take any iterable, one that is gone through once as well."""
    memory = world.memory
    stored = {"a": 1, "b": 2, "c": 3, "red": 4, "kept": 5}
    for iterable in items:
        # What can be gone through once is needed several times here.
        listed = [str.__str__(key) for key in iterable]
        asked = dict.fromkeys(key for key in listed if key in stored)
        one, other = (
            (Once(listed), Once(listed)) if isinstance(iterable, Once) else (iterable, iterable)
        )
        await memory.set_many(stored)
        expected = {key: stored[key] for key in asked}
        expect(await memory.get_many(one), expected, f"get_many({show(one)})")
        expect(await memory.delete_many(other), len(asked), f"delete_many({show(other)})")
        left = [key for key in stored if key not in asked]
        expect_keys(await memory.keys(), left, f"keys() after delete_many({show(other)})")


@law("B1")
async def empty_batches_do_nothing(world: World) -> None:
    """An empty batch is no error: it stores, returns and removes nothing."""
    memory = world.memory
    for stored in ({}, {"a": 1, "b": None}):
        await memory.set_many(stored, _LONG)
        nothings: tuple[Any, ...] = ([], (), Once([]), {})
        for nothing in nothings:
            expect(await memory.get_many(nothing), {}, f"get_many({show(nothing)})")
            expect(await memory.delete_many(nothing), 0, f"delete_many({show(nothing)})")
        await memory.set_many({})
        await memory.set_many({}, 5)
        expect(await memory.get_many(["a", "b"]), stored, "get_many(['a', 'b'])")
        expect_keys(await memory.keys(), stored, "keys() after empty batches")
    left = await memory.ttl("a")
    if left is None or left < _LONG - 600:
        fail(f"ttl('a') after set_many({{}}, 5) is {left}, it was set to {_LONG}")


# -------------------------------------------------------------------- what it answers


@law("B1")
async def get_many_answers_in_the_order_asked(world: World) -> None:
    """`get_many` returns a `dict` of the present keys, each once, in the order asked for."""
    memory = world.memory
    await memory.set_many({key: key.upper() for key in ("d", "b", "e", "a", "c")})
    await memory.delete("e")
    for asked in (["a", "b", "c", "d"], ["d", "c", "b", "a"], ["c", "e", "a", "c", "x", "d", "a"]):
        expected = {key: key.upper() for key in asked if key not in ("e", "x")}
        found = await memory.get_many(asked)
        expect(found, expected, f"get_many({asked})")
        if list(found) != list(expected):
            fail(f"get_many({asked}) has the order {list(found)}, expected {list(expected)}")


@law("B1")
async def delete_many_counts_what_was_there(world: World) -> None:
    """`delete_many` returns how many keys were there; one that is named twice counts once."""
    memory = world.memory
    for asked, count in (
        (["a"], 1),
        (["a", "a", "a"], 1),
        (["none"], 0),
        (["none", "a", "x", "b"], 2),
        (["a", "b", "c"], 3),
        (["c", "none", "c", "b", "none"], 2),
    ):
        await memory.set_many({"a": 1, "b": None, "c": []})
        expect(await memory.delete_many(asked), count, f"delete_many({asked})")
        expect(await memory.delete_many(asked), 0, f"delete_many({asked}) once more")
        left = [key for key in ("a", "b", "c") if key not in asked]
        expect_keys(await memory.keys(), left, f"keys() after delete_many({asked})")


@law("B1", waits=True, given={"ms": Domain.step_ms}, share=0.5)
async def expired_keys_are_absent_in_bulk(world: World, ms: int) -> None:
    """`get_many` leaves expired keys out, `delete_many` does not count them; all expire at once."""
    memory, ttl = world.memory, ms / 1000
    await memory.set_many({"kept": 0, "c": 1, "e": 1})
    began = world.now()
    await memory.set_many({"a": 1, "b": None, "c": 3, "d": 4}, ttl)
    await memory.set("e", 5, ttl)
    if world.exact:
        await world.advance(ttl - 1 / 1024)
    found = await memory.get_many(["a", "b", "kept", "c", "d", "e"])
    if world.exact or world.now() < began + ttl - EARLY:
        expect(list(found), ["a", "b", "kept", "c", "d", "e"], "what get_many found in time")
    # A little past the moment itself: halves of a TTL need not add up to it exactly.
    await world.advance(2 / 1024 if world.exact else ttl + world.limits.margin_seconds)
    asked = ["a", "kept", "b", "c"]
    expect(await memory.get_many(asked), {"kept": 0}, f"get_many({asked}) past the expiry")
    asked += ["d", "e"]
    expect(await memory.delete_many(asked), 1, f"delete_many({asked}) past the expiry")
    expect_keys(await memory.keys(), [], "keys() after that")
    await memory.set_many({"a": "new"}, _LONG)
    expect(await memory.get_many(["a", "b"]), {"a": "new"}, "get_many(['a', 'b']) after set_many")


@law("B1", waits=True)
async def set_many_replaces_each_old_expiry(world: World) -> None:
    """Each key of the batch gets the batch's TTL, whatever it had; other keys keep theirs."""
    memory = world.memory
    step = 0.5 if world.exact else world.limits.step_seconds
    olds: Mapping[str, Any] = {"short": step, "long": _LONG, "none": None}
    for key, old in olds.items():
        for what in ("longer", "shorter"):
            await memory.set(f"{what} {key}", "old", old)
    await memory.set("other", "other", _LONG)
    await memory.set_many({f"longer {key}": "new" for key in olds}, _LONG)
    await memory.set_many({f"shorter {key}": "new" for key in olds}, step)
    await world.advance(step if world.exact else step + world.limits.margin_seconds)
    kept = [f"longer {key}" for key in olds]
    for key in (f"shorter {old}" for old in olds):
        expect(await memory.exists(key), False, f"exists({key!r}) past the shorter expiry")
    for key in (*kept, "other"):
        expect(await memory.exists(key), True, f"exists({key!r}) past the shorter expiry")
        left = await memory.ttl(key)
        if left is None or left > _LONG:
            fail(f"ttl({key!r}) is {left}, it was set to {_LONG}")
    expect(await memory.get_many(kept), dict.fromkeys(kept, "new"), f"get_many({kept})")


@law("B1", needs=Capability.ENTRIES)
async def set_many_makes_new_entries(world: World) -> None:
    """As `set` does, `set_many` drops the metadata and gives each key a version of its own."""
    memory = world.memory
    olds = {
        key: await memory.set_entry(key, "value", metadata={"old": key}) for key in ("a", "b", "c")
    }
    if world.exact:
        await world.advance(2)
    await memory.set_many(dict.fromkeys(olds, "value"))
    for key, old in olds.items():
        entry = await entry_at(memory, key)
        expect(dict(entry.metadata), {}, f"get_entry({key!r}).metadata after set_many")
        if entry.version is None or entry.version == old.version:
            fail(f"the version of {key!r} after set_many is {entry.version}, as it was before")
        if world.exact and entry.created_at is not None and old.created_at is not None:
            passed = (entry.created_at - old.created_at).total_seconds()
            expect(passed, 2.0, f"by how many seconds created_at of {key!r} moved")


@law("B1")
async def values_of_one_answer_share_nothing(world: World) -> None:
    """Values that `get_many` returns together are as many objects, equal ones included."""
    memory = world.memory
    await memory.set_many({"a": [1], "b": [1], "c": {"part": [1]}, "d": {"part": [1]}})
    found = await memory.get_many(["a", "b", "c", "d"])
    world.trace.note("# in what it returned, the values of 'a' and 'c' are changed")
    found["a"].append(2)
    found["c"]["part"].append(2)
    expect(found["b"], [1], "the value of 'b' when that of 'a' was changed")
    expect(found["d"], {"part": [1]}, "the value of 'd' when that of 'c' was changed")


# --------------------------------------------------------------------------- large ones


def _sizes(domain: Domain) -> Sequence[Mapping[str, Any]]:
    return [{"size": size} for size in (100, 101, 257, domain.limits.many_entries)]


@law("B1", examples=_sizes)
async def large_batches_are_whole(world: World, size: int) -> None:
    """A batch of many items is stored, returned in order and removed to the last of them."""
    memory = world.memory
    items = numbered(size)
    await memory.set_many(items, _LONG)
    stored = await memory.keys()
    brief(world)
    expect_keys(stored, items, f"keys() after set_many of {size} items")
    # Not in the order in which they were set, and some of them twice.
    order = f"[f'key{{at * 7 % {size}}}' for at in range({size + 20})]"
    asked = Keys([f"key{at * 7 % size}" for at in range(size + 20)], order)
    found = await memory.get_many(asked)
    brief(world, "items")
    _expect_batch(found, {key: items[key] for key in asked}, f"get_many of {size} keys")
    for at in (0, size // 2, size - 1):
        left = await memory.ttl(f"key{at}")
        if left is None or left < _LONG - 3_600:
            fail(f"ttl('key{at}') after set_many of {size} items is {left}, it was set to {_LONG}")
    gone = set(asked)
    expect(await memory.delete_many(asked), len(gone), f"delete_many of {len(gone)} keys")
    rest = [key for key in items if key not in gone]
    expect_keys(await memory.keys(), rest, f"keys() after delete_many of {len(gone)} keys")


def _expect_batch(found: object, expected: Mapping[str, Any], told: str) -> None:
    if not isinstance(found, dict):
        fail(f"{told} is a {type(found).__name__}, expected a dict")
    expect_keys(list(found), expected, f"what {told} returned")
    if list(found) != list(expected):
        at = next(
            at for at, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
        )
        fail(f"{told} are not in the order asked for: at {at} comes {list(found)[at]!r}")
    for key, value in expected.items():
        expect(found[key], value, f"the value of {key!r} in what {told} returned")


# ---------------------------------------------------------------------- all or nothing


async def _keep(world: World, *more: str) -> None:
    """Store what a batch that is refused must leave as it is."""
    await world.memory.set_many(dict.fromkeys(("a", "b", "c", *more), "kept"), _LONG)


async def _expect_kept(world: World, told: str, *more: str) -> None:
    memory = world.memory
    kept = ["a", "b", "c", *more]
    expect_keys(await memory.keys(), kept, f"keys() {told}")
    expect(await memory.get_many(["a", "b", "c"]), dict.fromkeys("abc", "kept"), f"get_many {told}")
    left = await memory.ttl("a")
    if left is None or left < _LONG - 3_600:
        fail(f"ttl('a') {told} is {left}, it was set to {_LONG}")


def _at(good: Mapping[str, Any], bad: tuple[Any, Any], at: int) -> dict[Any, Any]:
    items = list(good.items())
    return dict([*items[:at], bad, *items[at:]])


def _bad_values() -> list[Any]:
    cycle: list[Any] = []
    cycle.append(cycle)
    deep: Any = {1, 2}
    for _ in range(5):
        deep = [deep]
    return [{1, 2}, 1j, {1: 2}, [None, {"k": (0, bytearray())}], cycle, deep, iter([])]


@batch_law("B1", corpus=lambda _: _bad_values())
async def a_bad_value_changes_nothing(world: World, items: Sequence[Any]) -> None:
    """Wherever in a batch a value stands that cannot be stored, nothing of it is stored."""
    await _keep(world)
    good = {"a": "new", "new": 1, "b": None, "newer": 2}
    for bad in items:
        for at in (0, 2, 4):
            for key in ("c", "bad"):
                batch = _at(good, (key, bad), at)
                await world.expect_error(UnsupportedValueError, "set_many", batch, 5)
        await _expect_kept(world, "after the refused set_many")


_BAD_KEYS: tuple[Any, ...] = ("", None, 1, b"a", "\ud800", ("a",), 1.5, True)


@batch_law("B1", corpus=lambda domain: [*_BAD_KEYS, "k" * (domain.max_key_bytes + 1)])
async def a_bad_key_changes_nothing(world: World, items: Sequence[Any]) -> None:
    """Wherever in a batch a key stands that is none, nothing is stored, removed or returned."""
    await _keep(world)
    for bad in items:
        for at in (0, 1, 3):
            batch = _at({"a": "new", "new": 1, "b": None}, (bad, "new"), at)
            await world.expect_error(InvalidKeyError, "set_many", batch, 5)
            keys = list(_at(dict.fromkeys(["a", "b", "none"]), (bad, None), at))
            for given in (keys, Once(keys)):
                await world.expect_error(InvalidKeyError, "delete_many", given)
            await world.expect_error(InvalidKeyError, "get_many", keys)
        await _expect_kept(world, "after the refused calls")


@law("B1")
async def a_bad_ttl_changes_nothing(world: World) -> None:
    """`set_many` with what is no TTL stores nothing; not even an empty batch gets through."""
    await _keep(world)
    for bad in (0, -1, True, "60", float("nan"), float("inf"), 10**12):
        for batch in ({"a": "new", "new": 1}, {"new": 1}, {}):
            await world.expect_error(InvalidTTLError, "set_many", batch, bad)
        await _expect_kept(world, f"after the refused set_many with the TTL {bad}")


def _ends(domain: Domain) -> Sequence[Mapping[str, Any]]:
    sizes = (100, domain.limits.many_entries)
    return [{"size": size, "what": what} for size in sizes for what in ("key", "value")]


@law("B1", examples=_ends)
async def a_bad_item_at_the_end_of_many_changes_nothing(world: World, size: int, what: str) -> None:
    """A large batch is refused whole, too, if only its last item is bad."""
    await _keep(world, "last")
    good = numbered(size)
    bad, kind = ("", InvalidKeyError) if what == "key" else ("last", UnsupportedValueError)
    last = "'': 'new'" if what == "key" else "'last': {1, 2}"
    items = {"a": "new", **good, bad: "new" if what == "key" else {1, 2}}
    batch = Items(items, f"{{'a': 'new', **{good!r}, {last}}}")
    await world.expect_error(kind, "set_many", batch, 5)
    await _expect_kept(world, f"after a set_many whose last {what} is bad", "last")
    if what == "value":
        return
    for method in ("delete_many", "get_many"):
        keys = Keys(["a", *good, "b", ""], f"['a', *{good!r}, 'b', '']")
        await world.expect_error(InvalidKeyError, method, keys)
        await _expect_kept(world, f"after a {method} whose last key is bad", "last")


@batch_law("B1", corpus=lambda _: ["abc", "a", "", b"abc", Text("ab"), Colour.RED])
async def a_single_str_is_no_batch(world: World, items: Sequence[Any]) -> None:
    """`get_many` and `delete_many` refuse a single `str`, which is no list of its characters."""
    await _keep(world)
    for single in items:
        await world.expect_error(InvalidKeyError, "get_many", single)
        await world.expect_error(InvalidKeyError, "delete_many", single)
        await _expect_kept(world, f"after delete_many({show(single)})")


@batch_law("B1", corpus=lambda _: [[("a", 1)], "a", None, 7, {"a"}, Once([("a", 1)]), ["ab"]])
async def set_many_refuses_what_is_no_mapping(world: World, items: Sequence[Any]) -> None:
    """`set_many` refuses what is no mapping, such as a list of pairs, and stores nothing."""
    await _keep(world)
    for wrong in items:
        await world.expect_error(UnsupportedValueError, "set_many", wrong, 5)
        await _expect_kept(world, "after the refused set_many")


# -------------------------------------------------------------------- through a namespace


@law("B1")
async def bulk_calls_of_a_namespace_stay_inside(world: World) -> None:
    """A namespace's bulk calls reach its own keys, and name them as they were given."""
    memory = world.memory
    if memory.max_key_bytes < 512 + 16:
        raise NotApplicable("the keys are too short for a namespace")
    await memory.set_many({"a": "outer", "b": "outer"})
    view = memory.namespace("n")
    await view.set_many({"a": 1, "c": None}, _LONG)
    expect(await view.get_many(["c", "b", "a"]), {"c": None, "a": 1}, "get_many of the namespace")
    expect(await view.delete_many(["b", "c", "c"]), 1, "delete_many of the namespace")
    expect_keys(await view.keys(), ["a"], "keys() of the namespace")
    found = await memory.get_many(["a", "b"])
    expect(found, {"a": "outer", "b": "outer"}, "get_many of the store around the namespace")
