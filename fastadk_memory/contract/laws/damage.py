"""Clause E3: a damaged entry is told from an absent one, and harms no other."""

from __future__ import annotations

from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError, CorruptEntryError

OTHERS: dict[str, Any] = {"b": 1, "c": None, "d": [True, "x"], "e": "k" * 300}

VALUES: tuple[Any, ...] = ("text", 0, None, True, "", [], {"k": [1, 2]}, b"x")

_TIME_TO_DAMAGE = 3.0  # seconds; a hook may have to connect to a service first


async def damaged(world: World, value: Any = "whole") -> Handle:
    """Return a store whose entry `a` is damaged, and whose others are not."""
    memory = world.memory
    await memory.set_many({**OTHERS, "a": value})
    await world.damage("a")
    return memory


async def reported(world: World, memory: Handle, key: str, *call: Any) -> None:
    """Require that a call raises `CorruptEntryError` for a key."""
    error = await world.raises(CorruptEntryError, memory, *call)
    told = f"the attribute key of the CorruptEntryError that {call[0]} raised"
    expect(getattr(error, "key", None), key, told)


async def others_are_whole(memory: Handle) -> None:
    """Require that every way to read the other entries works."""
    for key, value in OTHERS.items():
        expect(await memory.get(key), value, f"get({key!r}) beside a damaged entry")
        expect(await memory.exists(key), True, f"exists({key!r}) beside a damaged entry")
        entry = await memory.get_entry(key)
        if entry is None:
            fail(f"get_entry({key!r}) beside a damaged entry is None")
        expect(entry.value, value, f"the value of get_entry({key!r}) beside a damaged entry")
    expect(await memory.get_many(list(OTHERS)), OTHERS, "get_many of all but the damaged entry")


# -------------------------------------------------------------------------------- reading


@law(
    "E3",
    hooks=("damage",),
    examples=[{"value": value} for value in VALUES],
)
async def reading_a_damaged_entry_says_so(world: World, value: Any) -> None:
    """`get`, `get_entry` and `get_many` of a damaged entry raise `CorruptEntryError`."""
    memory = await damaged(world, value)
    for _ in range(2):
        await reported(world, memory, "a", "get", "a")
        await reported(world, memory, "a", "get_entry", "a")
        await reported(world, memory, "a", "get_many", ["b", "a", "c"])


@law("E3", hooks=("damage",))
async def the_error_names_the_key(world: World) -> None:
    """`CorruptEntryError` has the key as it was set, whatever characters and length it has."""
    memory = world.memory
    domain = Domain(memory.max_key_bytes)
    keys = domain.all_nasty_keys()
    await memory.set_many(dict.fromkeys(keys, "whole"))
    for key in keys:
        await world.damage(key)
        await reported(world, memory, key, "get", key)


@law("E3", hooks=("damage",))
async def the_others_stay_readable(world: World) -> None:
    """Beside a damaged entry every other one is read as ever."""
    await others_are_whole(await damaged(world))


@law("E3", hooks=("damage",))
async def a_damaged_entry_is_not_absent(world: World) -> None:
    """A damaged entry is listed, so that it can be found, and never passes for absent."""
    memory = await damaged(world)
    expect_keys(await memory.keys(), [*OTHERS, "a"], "keys() with a damaged entry")
    expect_keys(await memory.keys("[ab]"), ["a", "b"], "keys('[ab]') with a damaged entry")
    expect_keys(await memory.scan(), [*OTHERS, "a"], "scan() with a damaged entry")
    if await or_corrupt(memory, "exists", "a") is False:
        fail("exists('a') of a damaged entry is False; True or CorruptEntryError would be right")
    await or_corrupt(memory, "ttl", "a")


async def or_corrupt(memory: Handle, method: str, *args: Any, **kwargs: Any) -> Any:
    """Make a call, and return what it returned, or `CorruptEntryError` if it raised that."""
    try:
        return await memory.call(method, *args, **kwargs)
    except CorruptEntryError as error:
        return error


@law("E3", hooks=("reopen", "damage"))
async def damage_does_not_keep_a_store_from_opening(world: World) -> None:
    """A store with a damaged entry opens, and has all the others."""
    memory = await damaged(world)
    memory = await world.reopen()
    await others_are_whole(memory)
    await reported(world, memory, "a", "get", "a")


@law("E3", hooks=("damage",), waits=True)
async def damage_does_not_stop_expiry(world: World) -> None:
    """Beside a damaged entry that had an expiry the others expire, and every call works."""
    memory = world.memory
    step = world.limits.step_seconds
    # The hook has to find the entry: where time passes by itself, that leaves it some.
    longest = step if world.exact else step + _TIME_TO_DAMAGE
    await memory.set_many({"a": 1, "passing": 2}, longest)
    await memory.set("stays", 3)
    await world.damage("a")
    await world.advance(longest + world.limits.margin_seconds)
    for number in range(3):
        await memory.set(f"new{number}", number)
    expect(await memory.get("passing"), None, "get('passing') after its expiry")
    expect(await memory.get("stays"), 3, "get('stays')")
    await memory.delete("new0")
    await memory.set("a", "mended")
    expect(await memory.get("a"), "mended", "get('a') after it was set anew")


# -------------------------------------------------------------------------------- mending


@law(
    "E3",
    hooks=("damage",),
    examples=lambda domain: [
        {"method": method}
        for method, needs in {
            "set": None,
            "set_many": None,
            "set_entry": Capability.ENTRIES,
        }.items()
        if needs is None or needs in domain.capabilities
    ],
)
async def setting_it_anew_mends_it(world: World, method: str) -> None:
    """`set`, `set_many` and `set_entry` put a whole entry in the place of a damaged one."""
    memory = await damaged(world)
    if method == "set_many":
        await memory.set_many({"b": 1, "a": "new"})
    elif method == "set_entry":
        await memory.set_entry("a", "new", metadata={"m": 1})
    else:
        await memory.set("a", "new")
    expect(await memory.get("a"), "new", f"get('a') after {method} of a damaged entry")
    expect(await memory.exists("a"), True, f"exists('a') after {method} of a damaged entry")
    await others_are_whole(memory)


@law(
    "E3",
    hooks=("damage",),
    examples=[
        {"method": "delete", "args": ("a",)},
        {"method": "delete_many", "args": (["absent", "a"],)},
        {"method": "clear", "args": ()},
        {"method": "clear_pattern", "args": ("*",)},
        {"method": "clear_pattern", "args": ("a",)},
    ],
)
async def removing_it_works(world: World, method: str, args: tuple[Any, ...]) -> None:
    """`delete`, `clear` and `clear_pattern` remove a damaged entry like any other."""
    memory = await damaged(world)
    if method == "delete_many":
        # Made of single calls, it may need to know whether the entry is there.
        answer = await or_corrupt(memory, method, *args)
        if isinstance(answer, CorruptEntryError):
            return
        expect(answer, 1, "delete_many(['absent', 'a']) where 'a' is damaged")
    else:
        await memory.call(method, *args)
    told = f"after {method} where 'a' was damaged"
    expect(await memory.get("a"), None, f"get('a') {told}")
    expect(await memory.exists("a"), False, f"exists('a') {told}")
    left = [] if method.startswith("clear") and args != ("a",) else list(OTHERS)
    expect_keys(await memory.keys(), left, f"keys() {told}")
    await memory.set("a", "again")
    expect(await memory.get("a"), "again", f"get('a') after a new set {told}")


@law("E3", hooks=("damage",))
async def all_may_be_damaged_at_once(world: World) -> None:
    """`clear` removes many damaged entries, and the store works on."""
    memory = world.memory
    keys = [f"k{number}" for number in range(12)]
    await memory.set_many(dict.fromkeys(keys, 1))
    for key in keys:
        await world.damage(key)
    expect_keys(await memory.keys(), keys, "keys() where all entries are damaged")
    await memory.clear_pattern("k1*")
    rest = [key for key in keys if not key.startswith("k1")]
    expect_keys(await memory.keys(), rest, "keys() after clear_pattern('k1*')")
    await memory.clear()
    expect_keys(await memory.keys(), [], "keys() after clear() of damaged entries")
    await memory.set("k0", 2)
    expect(await memory.get("k0"), 2, "get('k0') set anew after clear()")


# --------------------------------------------------------------------------- capabilities


@law("E3", needs=Capability.CAS, hooks=("damage",))
async def compare_and_set_does_not_take_it_for_absent(world: World) -> None:
    """`compare_and_set` that expects no entry must not overwrite a damaged one."""
    memory = await damaged(world)
    try:
        version = await memory.compare_and_set("a", "new", expect=ABSENT)
    except (CorruptEntryError, ConflictError) as error:
        expect(error.key, "a", f"the attribute key of the {type(error).__name__}")
    else:
        fail(f"compare_and_set('a', ..., expect=ABSENT) of a damaged entry returned {version!r}")
    await reported(world, memory, "a", "get", "a")
    await others_are_whole(memory)


@law("E3", needs=Capability.TOUCH, hooks=("damage",))
async def touch_does_not_take_it_for_absent(world: World) -> None:
    """`touch` of a damaged entry is no `False`, and does not make it pass for whole."""
    memory = await damaged(world)
    if await or_corrupt(memory, "touch", "a", 3600) is False:
        fail("touch('a', 3600) of a damaged entry is False; True or CorruptEntryError is right")
    await reported(world, memory, "a", "get", "a")
    await others_are_whole(memory)


# ------------------------------------------------------------------------------ namespaces


@law("E3", hooks=("damage",))
async def in_a_view_the_error_has_the_key_of_the_view(world: World) -> None:
    """`CorruptEntryError` in a namespace names the key as it is called there."""
    memory = world.memory
    view, other = memory.namespace("tenant"), memory.namespace("other")
    before = set(await memory.keys())
    await view.set("a", "whole")
    full = set(await memory.keys()) - before
    await other.set("a", "whole")
    await view.set_many(OTHERS)
    if len(full) != 1:
        return  # it keeps its namespaces where the hook cannot reach
    await world.damage(full.pop())
    await reported(world, view, "a", "get", "a")
    await reported(world, view, "a", "get_entry", "a")
    await reported(world, view, "a", "get_many", ["b", "a"])
    await others_are_whole(view)
    expect(await other.get("a"), "whole", "get('a') of another namespace")
    expect_keys(await view.keys(), [*OTHERS, "a"], "keys() of the namespace")
    await view.clear()
    expect_keys(await view.keys(), [], "keys() of the namespace after clear()")
