"""Clause N1: namespaces never see each other, whatever their names."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.corpus import NASTY_PATTERNS
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.globs import matching
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.calls import Sample
from fastadk_memory.contract.tools.stock import (
    expect_absent,
    expect_matches,
    expect_nothing,
    fill,
    store_itself,
    view,
)
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError, InvalidPatternError
from fastadk_memory.keys import MAX_PATTERN_BYTES

# ---------------------------------------------------------------------- all names at once


@batch_law("N1", corpus=Domain.all_nasty_names, drawn=Domain.names, share=1)
async def no_name_reaches_into_another(world: World, items: Sequence[str]) -> None:
    """Whatever the names of namespaces, each holds its own keys, and clears nothing else."""
    names = list(dict.fromkeys(items))
    views = {name: view(world, name) for name in names}
    for at, (name, handle) in enumerate(views.items()):
        await handle.set("k", name)
        await handle.set(f"own {at}", name)
    for at, (name, handle) in enumerate(views.items()):
        expect(await handle.get("k"), name, f"get('k') in the namespace {name!r}")
        own = ["k", f"own {at}"]
        expect_keys(await handle.keys(), own, f"keys() of the namespace {name!r}")
        expect_keys(await handle.scan("*k*"), ["k"], f"scan('*k*') of the namespace {name!r}")
    left = dict(views)
    for at, (name, handle) in enumerate(views.items()):
        del left[name]
        await (handle.clear_pattern("*") if at % 2 else handle.clear())
        for other, neighbour in left.items():
            if not await neighbour.exists("k"):
                fail(f"'k' in the namespace {other!r} is gone after {name!r} was cleared")
        expect_keys(await handle.keys(), [], f"keys() of the namespace {name!r} after clearing it")


@law(
    "N1",
    given={"one": Domain.names, "other": Domain.names},
    examples=[
        {"one": one, "other": other}
        for one, other in [
            ("a", "ab"), ("ab", "a"), ("a", "a:b"), ("a:b", "a"), ("a*", "ab"), ("*", "a"),
            ("?", "a"), ("[ab]", "a"), ("a", "A"), ("é", "e\u0301"), ("a", "a\x00"),
            ("a\x00b", "a"), ("..", "."), ("a", "a/b"), ("a/b", "a"), ("%41", "A"), ("a_b", "a%b"),
            ("ß", "ss"), ("a ", "a"), ("a.b", "a-b"), ("\u212a", "k"),
        ]
    ],
    share=0.5,
)  # fmt: skip
async def no_method_changes_another(world: World, one: str, other: str) -> None:
    """Whatever is done in one namespace, entries of the same keys in another stay as they are."""
    if one == other:
        return
    mine, theirs = view(world, one), view(world, other)
    await fill_namespace(mine, "mine")
    before = await known(mine)
    for act in ACTS:
        if act.needs is None or mine.declares(act.needs):
            await act.make(theirs)
            told = f"what the namespace {one!r} holds after {act.method} in {other!r}"
            expect(await known(mine), before, told)


ACTS = (
    Sample("set", ("k", "theirs")),
    Sample("set", ("m", "theirs", 3600)),
    Sample("set_many", ({"k": 1, "m": 2, "x": 3},)),
    Sample("set_entry", ("k", "theirs"), {"metadata": {"of": "theirs"}}, Capability.ENTRIES),
    Sample("touch", ("m", 7200), {}, Capability.TOUCH),
    Sample("touch", ("k", None), {}, Capability.TOUCH),
    Sample("delete", ("k",)),
    Sample("compare_and_set", ("k", "theirs"), {"expect": ABSENT}, Capability.CAS),
    Sample("clear_pattern", ("k",)),
    Sample("clear_pattern", ("*",)),
    Sample("set_many", ({"k": 1, "m": 2, "x": 3},)),
    Sample("delete_many", (["k", "m", "x"],)),
    Sample("set", ("k", "theirs")),
    Sample(
        "clear",
    ),
)
"""What is done in one namespace with the keys of another."""


async def fill_namespace(handle: Handle, value: Any) -> None:
    """Store entries of all kinds."""
    await handle.set("k", value, 3600)
    await handle.set("m", value)
    if handle.declares(Capability.ENTRIES):
        await handle.set_entry("m", value, metadata={"of": value})


async def known(handle: Handle) -> list[Any]:
    """Return all that a namespace tells of what it holds, the seconds left aside."""
    told: list[Any] = [sorted(await handle.keys()), await handle.get_many(["k", "m", "x"])]
    for key in ("k", "m"):
        told.append(await handle.ttl(key) is None)
        entry = await handle.get_entry(key)
        if entry is not None:
            told += [entry.key, entry.value, dict(entry.metadata), entry.version]
    return told


@law("N1", examples=[{"one": "a", "other": "ab"}, {"one": "a:b", "other": "a"}])
async def no_method_shows_what_another_holds(world: World, one: str, other: str) -> None:
    """For every method what another namespace holds is absent."""
    mine, theirs = view(world, one), view(world, other)
    await fill_namespace(mine, "mine")
    await expect_nothing(theirs, ["k", "m"], f"of the namespace {other!r}, which is empty,")
    if theirs.declares(Capability.TOUCH):
        expect(await theirs.touch("k", 60), False, f"touch('k', 60) in {other!r}")
    if theirs.declares(Capability.CAS):
        await theirs.compare_and_set("k", "theirs", expect=ABSENT)
    expect(await mine.get("k"), "mine", f"get('k') in {one!r}")


_ALIKE = (
    ("user-4385", "user-39375"),  # md5: the first 32 bits are the same
    ("user-8625", "user-52855"),  # md5: the last ones
    ("user-94641", "user-115688"),  # sha1
    ("user-16205", "user-155966"),
    ("user-20491", "user-32057"),  # sha256
    ("user-120283", "user-150898"),
    ("user-8326", "user-128458"),  # blake2b
    ("user-38775", "user-131399"),
    ("user-385", "user-4000"),  # crc16, as Redis spreads keys over its slots
    ("user-1bfe33b6", "user-25ea23da"),  # crc32, whatever stands before or behind
    ("user-120", "user-201"),  # adler32
    ("user-1e27dd7", "user-10173e36"),  # fnv1a
    ("user-1bed86e", "user-cc8cc63"),  # fnv1
    ("user-36153", "user-226846"),  # murmur3 of 32 bits
    ("Aa", "BB"),  # the hash of strings in Java
)
"""Names that short hashes do not tell apart: all 32 bits are the same."""

_MANY = 1_000  # of 16 bits for each name, some two would be the same


def many_names(domain: Domain) -> list[str]:
    """Return names that hashes do not tell apart, and a thousand others."""
    alike = [name for pair in _ALIKE for name in pair]
    numbered = [f"user-{number}" for number in range(_MANY)]
    return [name for name in dict.fromkeys([*alike, *numbered]) if domain.has_room(name)]


@batch_law("N1", corpus=many_names)
async def a_thousand_namespaces_stay_apart(world: World, items: Sequence[str]) -> None:
    """However many namespaces there are, each has its own keys: a short hash is no name."""
    views = {name: view(world, name) for name in items}
    for name, handle in views.items():
        await handle.set("k", name)
    for name, handle in views.items():
        expect(await handle.get("k"), name, f"get('k') in the namespace {name!r}")
    for name in items[: 2 * len(_ALIKE)]:
        expect_keys(await views[name].keys(), ["k"], f"keys() of the namespace {name!r}")


# ---------------------------------------------------------------------- what a view is like


@law("N1", examples=[{"names": ("a",)}, {"names": ("a*", "[b]")}])
async def the_same_name_is_the_same_namespace(world: World, names: tuple[str, ...]) -> None:
    """Two views of one name hold the same; a view holds nothing that the name does not."""
    first, second = view(world, *names), view(world, *names)
    await first.set("k", 1)
    expect(await second.get("k"), 1, "get('k') of another view of the same name")
    await second.set("k", 2)
    expect(await first.get("k"), 2, "get('k') after it was set by another view")
    await second.clear()
    await expect_nothing(first, ["k"], "after another view of the same name was cleared")


_PATHS = (("a",), ("a*",), ("ab",), ("é/%",), ("a", "b"), ("a/b",), ("b", "a"))


@law("N1", hooks=("second",))
async def another_client_sees_the_same_namespaces(world: World) -> None:
    """A name means the same namespace for every client of a store, whoever uses it first."""
    other = await world.second()
    mine = {names: view(world, *names) for names in _PATHS}
    for names, handle in mine.items():
        await handle.set("k", list(names))
    theirs = {names: view(world, *names, of=other) for names in reversed(_PATHS)}
    for names, handle in theirs.items():
        told = f"of another client in the namespace {names}"
        expect(await handle.get("k"), list(names), f"get('k') {told}")
        expect_keys(await handle.keys(), ["k"], f"keys() {told}")
    await theirs[("a",)].clear()
    expect(
        await mine[("a",)].exists("k"), False, "exists('k') in 'a' after another client's clear()"
    )
    for names in _PATHS[1:]:
        told = f"get('k') in {names} after another client cleared 'a'"
        expect(await mine[names].get("k"), list(names), told)


@law("N1", needs=Capability.PERSISTENT, hooks=("reopen",))
async def namespaces_are_there_again(world: World) -> None:
    """What a namespace holds is in the namespace of that name when the store is opened again."""
    for names in _PATHS:
        await view(world, *names).set("k", list(names))
    again = await world.reopen()
    for names in reversed(_PATHS):
        handle = view(world, *names, of=again)
        told = f"in the namespace {names} of the reopened store"
        expect(await handle.get("k"), list(names), f"get('k') {told}")
        expect_keys(await handle.keys(), ["k"], f"keys() {told}")


@law("N1")
async def a_namespace_of_a_namespace_is_apart_from_both(world: World) -> None:
    """A namespace inside of another shares nothing with it, nor with one of its own name."""
    paths = [
        ("a",),
        ("b",),
        ("a", "b"),
        ("b", "a"),
        ("a", "a"),
        ("a", "b", "c"),
        ("a/b",),
        ("a:b",),
    ]
    views = {names: view(world, *names) for names in paths}
    for names, handle in views.items():
        await handle.set("k", list(names))
    for names, handle in views.items():
        expect(await handle.get("k"), list(names), f"get('k') in the namespace {names}")
        expect_keys(await handle.keys(), ["k"], f"keys() of the namespace {names}")
    left = dict(views)
    for names, handle in views.items():
        await handle.clear()
        del left[names]
        for others, other in left.items():
            told = f"get('k') in the namespace {others} after clear() of {names}"
            expect(await other.get("k"), list(others), told)


@law("N1")
async def a_view_can_do_what_the_store_can(world: World) -> None:
    """A view has the capabilities of its store, and speaks of keys as its caller does."""
    memory, tenant = world.memory, view(world, "a*b")
    declared = sorted(each.name for each in memory.capabilities)
    told = "what the view declares"
    expect(sorted(each.name for each in tenant.capabilities), declared, told)
    await tenant.set("k", 1)
    entry = await tenant.get_entry("k")
    expect(entry and entry.key, "k", "the key of get_entry('k')")
    if tenant.declares(Capability.ENTRIES):
        entry = await tenant.set_entry("k", 2, metadata={})
        expect(entry.key, "k", "the key of what set_entry('k', ...) returns")
    if tenant.declares(Capability.CAS):
        error = await world.raises(ConflictError, tenant, "compare_and_set", "k", 3, expect=ABSENT)
        expect(error.key, "k", "the key that the ConflictError names")
    expect(list(await tenant.get_many(["x", "k"])), ["k"], "the keys of get_many(['x', 'k'])")
    expect(await tenant.health_check(), True, "health_check()")


@law("N1")
async def patterns_are_for_the_keys_of_the_view(world: World) -> None:
    """In a namespace a pattern is matched with its own keys, exactly as in the store itself."""
    tenant = view(world, "a*")
    keys = ["a", "ab", "b", "a*", "a*:a", ":", "a:b", "*", "[a]", "é", "a\n", "/", "%2A", "]"]
    await fill(view(world, "ab"), ["a", "*", "foreign"])
    await fill(tenant, keys)
    for pattern in NASTY_PATTERNS:
        await expect_matches(tenant, pattern, keys, " of a namespace")
    await tenant.clear_pattern("a?*")
    left = set(keys) - set(matching("a?*", keys))
    expect_keys(await tenant.keys(), left, "keys() of a namespace after clear_pattern('a?*')")


def long_patterns(domain: Domain) -> list[dict[str, str]]:
    """Return patterns that match any key, or `k` alone, up to the longest that are allowed."""
    sizes = [MAX_PATTERN_BYTES - less for less in (0, 1, 2, 3, 5, 8, 64)]
    heads = ("", "k", "[k]", "[!a]", "*k")
    return [{"pattern": head + "*" * (size - len(head))} for head in heads for size in sizes]


@law("N1", examples=long_patterns)
async def long_patterns_reach_no_other(world: World, pattern: str) -> None:
    """A pattern so long that no prefix fits in front of it sees and clears the view's own keys."""
    memory, tenant, other = world.memory, view(world, "a"), view(world, "b")
    await memory.set("k", "raw")
    await other.set("k", "theirs")
    for own in ([], ["k", "ka"]):
        await fill(tenant, own)
        try:
            await expect_matches(tenant, pattern, own, " of the namespace 'a'")
            await tenant.clear_pattern(pattern)
        except InvalidPatternError:
            return  # which another law looks into
        told = f"after clear_pattern({show(pattern)}) in 'a'"
        expect_keys(await tenant.keys(), [], f"keys() of 'a' {told}")
        expect(await other.get("k"), "theirs", f"get('k') in 'b' {told}")
        expect(await memory.get("k"), "raw", f"get('k') of the store {told}")


@law("N1")
async def the_store_itself_sees_every_namespace(world: World) -> None:
    """The store is no namespace: its own keys are the raw ones, each namespace's among them."""
    memory = store_itself(world)
    await memory.set("raw", 1)
    for names in (("a",), ("b*",), ("a", "c")):
        await fill(view(world, *names), ["k", "l"])
    for told, shown in (("keys()", await memory.keys()), ("scan()", await memory.scan())):
        expect("raw" in shown, True, f"that {told} of the store shows its own key 'raw'")
        expect(len(shown), 7, f"how many keys {told} of the store shows, six in namespaces,")


@law("N1", waits=True)
async def an_expiry_is_that_of_one_namespace(world: World) -> None:
    """What expires in one namespace does not in another, nor in the store itself."""
    step = world.limits.step_seconds
    short, other, inner = view(world, "a"), view(world, "b"), view(world, "a", "b")
    for handle in (other, inner, world.memory):
        await handle.set("k", "stays")
        await handle.set("l", "stays", 3600)
    await short.set("k", "goes", step)
    await short.set("l", "goes", step)
    await world.advance(step + world.limits.margin_seconds)
    for handle in (other, inner, world.memory):
        await handle.set("another", 1)  # a write may be what removes expired entries
        found = await handle.get_many(["k", "l"])
        told = f"{handle.name}.get_many(['k', 'l']) when those of 'a' have expired"
        expect(found, {"k": "stays", "l": "stays"}, told)
    await expect_absent(short, ["k", "l"], "in 'a' after their time")


@law("N1")
async def namespaces_are_apart_under_load(world: World) -> None:
    """Namespaces do not mix when many calls of different ones are under way at once."""
    views = {name: view(world, name) for name in ("a", "ab", "a:b", "b", "a*")}

    async def use(name: str, handle: Handle) -> None:
        for number in range(10):
            value = f"{name} {number}"
            await handle.set("k", value)
            expect(await handle.get("k"), value, f"get('k') in {name!r}, beside others' calls")
            expect_keys(await handle.keys(), ["k"], f"keys() of {name!r}, beside others' calls")
            await handle.clear()

    await asyncio.gather(*(use(name, handle) for name, handle in views.items()))
    expect_keys(await world.memory.keys(), [], "keys() of the store after all were cleared")


@law("N1")
async def closing_a_view_takes_nothing_along(world: World) -> None:
    """Closing a view removes nothing, and closes neither the store nor other views."""
    tenant, same, other = view(world, "a"), view(world, "a"), view(world, "ab")
    inner = view(world, "b", of=tenant)
    for handle in (tenant, other, inner):
        await handle.set("k", 1)
    await tenant.aclose()
    for handle in (same, other, inner, view(world, "a"), view(world, "a", "b")):
        expect(await handle.get("k"), 1, f"{handle.name}.get('k') after a view was closed")
    await world.memory.set("raw", 1)
