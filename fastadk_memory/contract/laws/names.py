"""Clause N1: which names a namespace may have. Clause N2: name and key never collide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.show import show
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import view
from fastadk_memory.contract.world import World
from fastadk_memory.errors import InvalidKeyError
from fastadk_memory.keys import MIN_MAX_KEY_BYTES

# ----------------------------------------------------------------- N1: which names there are

NO_NAMES: tuple[Any, ...] = (
    "", None, 0, 7, True, 1.5, b"", b"a", ["a"], ("a",), {"a"}, object(), str,
    "\ud800", "a\udfff", "\udc80b",
)  # fmt: skip
"""What is no name: no `str`, the empty one, a lone surrogate."""


@law("N1", examples=[{"name": name} for name in NO_NAMES])
async def what_is_no_name_is_refused(world: World, name: Any) -> None:
    """The empty name, one that is no `str` or holds a lone surrogate raises `InvalidKeyError`."""
    await world.memory.set("a", 1)
    await world.raises(InvalidKeyError, world.memory, "namespace", name)
    expect(await world.memory.get("a"), 1, "get('a') after a refused name")
    await world.raises(InvalidKeyError, view(world, "tenant"), "namespace", name)


@law("N1", examples=lambda domain: [{"name": name} for name in domain.all_nasty_names() or "a"])
async def a_view_takes_keys_as_long_as_it_says(world: World, name: str) -> None:
    """A view's `max_key_bytes` is at least 512, and what it says holds for its keys."""
    await try_longest_keys(view(world, name), name)


def long_names(domain: Domain) -> list[Mapping[str, Any]]:
    """Return names of all lengths, most of which leave less room than a key must have."""
    room = domain.max_key_bytes - MIN_MAX_KEY_BYTES
    lengths = {64, 255, 256, 1_000, 5_000, 100_000}
    lengths |= {room // part + more for part in (1, 2, 3) for more in (-2, -1, 0, 1)}
    return [
        {"char": char, "length": length}
        for length in sorted(each for each in lengths if each > 0)
        for char in ("n", "é", "*")
    ]


@law("N1", examples=long_names)
async def a_name_that_leaves_no_room_is_refused(world: World, char: str, length: int) -> None:
    """A name is refused if fewer than 512 bytes would be left for a key; else they are."""
    name = char * length
    try:
        handle = world.memory.namespace(name)
    except InvalidKeyError:
        if Domain(max_key_bytes=world.memory.max_key_bytes).has_room(name):
            fail(f"namespace({show(name)}) was refused, though there is room for it")
        return
    await try_longest_keys(handle, name)


async def try_longest_keys(handle: Handle, name: str) -> None:
    """Require that a view takes keys of as many bytes as it says, and none with more."""
    longest = handle.max_key_bytes
    if longest < MIN_MAX_KEY_BYTES:
        fail(f"max_key_bytes of namespace({show(name)}) is {longest}, under {MIN_MAX_KEY_BYTES}")
    keys = ["k" * longest, "k" * (longest - 1) + "z", "é" * (longest // 2)]
    for key in keys:
        await handle.set(key, key)
    for key in keys:
        told = f"get({show(key)}) in namespace({show(name)})"
        expect(await handle.get(key) == key, True, f"that {told} is what was set")
    expect_keys(await handle.keys(), keys, f"keys() of namespace({show(name)})")
    await handle.delete(keys[0])
    expect_keys(await handle.scan(), keys[1:], f"scan() of namespace({show(name)})")
    try:
        await handle.set("k" * (longest + 1), 1)
    except InvalidKeyError:
        return
    fail(f"a key of {longest + 1} bytes was taken; max_key_bytes of the view is {longest}")


@law("N1")
async def inner_views_leave_room_for_keys(world: World) -> None:
    """However deep namespaces are nested, each leaves room for keys of 512 bytes, or is refused."""
    handle = view(world, "level")
    for depth in range(2, 200):
        shorter = handle.max_key_bytes
        try:
            handle = handle.namespace("level")
        except InvalidKeyError:
            return
        if handle.max_key_bytes > shorter:
            fail(f"max_key_bytes grew from {shorter} to {handle.max_key_bytes} at depth {depth}")
        if depth in (2, 10, 199):
            await try_longest_keys(handle, "level")


# ------------------------------------------------------------------- N2: pairs never collide

Pair: TypeAlias = tuple[tuple[str, ...], str]
"""The names of a namespace, one inside of the other, and a key in it."""

_TRICKY: tuple[Pair, ...] = (
    (("a:b",), "c"), (("a",), "b:c"), (("a::b",), "c"), (("a",), "b::c"), (("a",), ":b:c"),
    (("a",), "/b:c"), (("a/b",), "c"), (("a", "b"), "c"), (("a",), "b/c"), (("a", "b:c"), "d"),
    (("a", "b"), "c:d"), (("a:b", "c"), "d"), (("a", "b", "c"), "d"), (("a/b", "c"), "d"),
    (("a", "b/c"), "d"), (("a/b/c",), "d"), (("A",), "k"), (("%41",), "k"), (("%2541",), "k"),
    (("%",), "41:k"), (("a%3Ab",), "c"), (("a%3ab",), "c"), (("a%2Fb",), "c"), (("%3A",), "k"),
    ((":",), "k"), ((":",), ":"), (("::",), "k"), ((":",), ":k"), (("/",), "k"), (("%2F",), "k"),
    (("a ",), "k"), (("a",), " k"), (("a+",), "k"), (("a\x00",), "k"), (("a",), "\x00k"),
    (("a\x00b",), "k"), (("a",), "b\x00k"), (("a", "\x00b"), "k"), (("é",), "k"),
    (("e\u0301",), "k"), (("%C3%A9",), "k"), (("%E9",), "k"), (("Ã©",), "k"), (("a.b",), "k"),
    (("a",), ".b.k"), (("ü",), "k"), (("?",), "k"), (("??",), "k"), (("\ufffd",), "k"),
    (("🔑",), "k"),
    (("a_b",), "k"), (("a",), "_b_k"), (("a-b",), "k"), (("a",), "-b-k"), (("a|b",), "k"),
    (("a",), "|b|k"), (("a\\b",), "k"), (("a", "..", "b"), "k"), (("b",), "k"), (("..",), "b"),
    (("a", "a"), "a"), (("a",), "a"), (("aa",), "a"), (("a",), "aa"), (("a",), "a:a"),
    (("1",), "11"), (("11",), "1"), (("1", "1"), "1"), (("a*",), "k"), (("a[*]",), "k"),
    (("['a']",), "k"),
    (("a', 'b",), "k"), (('a", "b',), "k"), (("a,b",), "k"), (("a", "b,"), "k"), (("a;",), "k"),
)  # fmt: skip


def measured_pairs() -> Iterator[Pair]:
    """Return pairs that meet where names stand behind or before their lengths, without an end.

    `11` and eleven letters may as well be `1`, a name of one letter, and a key.
    """
    for length, (base, form) in product((1, 10, 11, 12, 16, 21, 100), ((10, "d"), (16, "x"))):
        name, digits = "n" * length, format(length, form)
        yield (name + digits,), "k"  # the length behind the name
        yield (name,), f"{format(length + len(digits), form)}k"
        for cut in range(1, len(digits)):
            text = digits[cut:] + name
            shorter = int(digits[:cut], base)
            yield (name,), "k"
            yield (text[:shorter],), f"{text[shorter:]}k"


def pairs(domain: Domain) -> list[Pair]:
    """Return pairs that meet in some encoding or other, and all short ones of separators."""
    short = ["".join(chars) for size in (1, 2) for chars in product("a:/%", repeat=size)]
    made: list[Pair] = [((name,), key) for name in short for key in short]
    made += [((one, other), key) for one, other, key in product("a:/%", "a:/%", short)]
    made += _TRICKY
    made += dict.fromkeys(measured_pairs())
    return [pair for pair in dict.fromkeys(made) if domain.has_room(*pair[0])]


def random_pairs(domain: Domain) -> SearchStrategy[Pair]:
    """Draw a pair, often one of few characters, so that it resembles others."""
    text = st.text("a:/%3A\x00", min_size=1, max_size=3)
    names = st.lists(st.one_of(text, domain.names()), min_size=1, max_size=3).map(tuple)
    roomy = names.filter(lambda drawn: domain.has_room(*drawn) or not domain.has_room("abc"))
    return st.tuples(roomy, st.one_of(text, domain.keys().filter(lambda key: len(key) < 100)))


@batch_law("N2", corpus=pairs, drawn=random_pairs, share=1)
async def no_pair_collides_with_another(world: World, items: Sequence[Pair]) -> None:
    """Each pair of a namespace's name and a key has an entry of its own."""
    wanted: dict[tuple[str, ...], dict[str, Any]] = {}
    for names, key in items:
        wanted.setdefault(names, {})[key] = [*names, key]
    views = {names: view(world, *names) for names in wanted}
    for names, handle in views.items():
        for key, value in wanted[names].items():
            await handle.set(key, value)
    await expect_pairs(views, wanted, "after all were set")
    for names, handle in views.items():
        for key in list(wanted[names])[::2]:
            await handle.delete(key)
            del wanted[names][key]
    await expect_pairs(views, wanted, "after others were deleted")


async def expect_pairs(
    views: Mapping[tuple[str, ...], Handle],
    wanted: Mapping[tuple[str, ...], Mapping[str, Any]],
    when: str,
) -> None:
    """Require that each namespace holds just what it should."""
    for names, handle in views.items():
        told = f"of the namespace {'/'.join(map(repr, names))} {when}"
        entries = wanted[names]
        expect_keys(await handle.keys(), entries, f"keys() {told}")
        for key, value in entries.items():
            expect(await handle.get(key), value, f"get({key!r}) {told}")


_COLLIDING: tuple[tuple[Pair, Pair], ...] = (
    ((("a:b",), "c"), (("a",), "b:c")),
    ((("a",), "/b:c"), (("a", "b"), "c")),
    ((("a/b",), "c"), (("a", "b"), "c")),
    ((("%41",), "k"), (("A",), "k")),
    ((("a%3Ab",), "c"), (("a:b",), "c")),
    ((("a\x00b",), "c"), (("a",), "b\x00c")),
    ((("a", "b:c"), "d"), (("a", "b"), "c:d")),
)


@law(
    "N2",
    given={"one": random_pairs, "other": random_pairs},
    examples=[{"one": pair[at], "other": pair[1 - at]} for pair in _COLLIDING for at in (0, 1)],
    share=0.5,
)
async def no_method_takes_one_pair_for_another(world: World, one: Pair, other: Pair) -> None:
    """Whatever is done to one pair of namespace and key, another one has nothing of it."""
    if one == other:
        return
    mine, theirs = view(world, *one[0]), view(world, *other[0])
    key, there = one[1], other[1]
    await mine.set(key, "mine", 3600)
    expect(await theirs.get(there), None, f"get({there!r}) in {other[0]} after a set elsewhere")
    expect(await theirs.exists(there), False, f"exists({there!r}) in {other[0]}")
    expect(await theirs.ttl(there), None, f"ttl({there!r}) in {other[0]}")
    expect(await theirs.delete_many([there]), 0, f"delete_many([{there!r}]) in {other[0]}")
    if theirs.declares(Capability.CAS):
        await theirs.compare_and_set(there, "theirs", expect=ABSENT)
    await theirs.set_many({there: "theirs"})
    expect(await theirs.get(there), "theirs", f"get({there!r}) in {other[0]} after set_many")
    expect(await mine.get_many([key]), {key: "mine"}, f"get_many([{key!r}]) in {one[0]}")
    await theirs.set(there, "theirs")
    expect(await mine.get(key), "mine", f"get({key!r}) in {one[0]} after a set elsewhere")
    expect(await mine.ttl(key) is None, False, f"that ttl({key!r}) in {one[0]} is None")
    await theirs.delete(there)
    expect(await mine.get(key), "mine", f"get({key!r}) in {one[0]} after a delete elsewhere")


@law("N2", examples=[{"length": length} for length in (40, 64, 100, 128, 200, 250, 255, 256, 400)])
async def long_names_and_keys_stay_apart(world: World, length: int) -> None:
    """Long names that differ only at their ends are two namespaces; so with keys in them."""
    made: list[tuple[str, Handle]] = []
    for end in ("a", "b", "A"):
        name = "n" * (length - 1) + end
        try:
            made.append((name, world.memory.namespace(name)))
        except InvalidKeyError:
            return  # which another law looks into
    for name, handle in made:
        longest = handle.max_key_bytes
        for key in ("k", "k" * (longest - 1) + "y", "k" * (longest - 1) + "z"):
            await handle.set(key, f"{name[-1]} {key[-1]}")
    for name, handle in made:
        longest = handle.max_key_bytes
        for key in ("k", "k" * (longest - 1) + "y", "k" * (longest - 1) + "z"):
            told = f"get({show(key)}) in a namespace of {length} bytes that ends in {name[-1]!r}"
            expect(await handle.get(key), f"{name[-1]} {key[-1]}", told)
        expect(len(await handle.keys()), 3, "how many keys that namespace shows")
