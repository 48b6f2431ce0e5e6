"""Clauses C1 and C4: what clearing and deleting reach, and that reaching nothing is no error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.hooks import settled
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.batches import batch_law
from fastadk_memory.contract.tools.stock import (
    expect_nothing,
    fill,
    fill_in_every_way,
    fill_numbered,
    remove_all,
    store_itself,
    view,
)
from fastadk_memory.contract.world import World
from fastadk_memory.errors import ConflictError
from fastadk_memory.keys import escape_pattern

# ------------------------------------------------------------------ C1: clear removes all


@law("C1", examples=lambda domain: [{"keys": ["a", "b", "c"]}, {"keys": domain.all_nasty_keys()}])
async def clear_removes_everything(world: World, keys: list[str]) -> None:
    """After `clear` no method finds anything of what was stored, however it was stored."""
    memory = world.memory
    await fill_in_every_way(memory, keys)
    await memory.clear()
    await expect_nothing(memory, keys, "after clear()")


@law("C1")
async def clear_removes_more_than_a_page(world: World) -> None:
    """`clear` removes all entries, however many there are."""
    memory = world.memory
    keys = await fill_numbered(memory, world.limits.many_entries)
    await memory.clear()
    expect_keys(await memory.keys(), [], f"keys() after clear() of {len(keys):_} entries")
    left = await memory.get_many([*keys[:5], *keys[-5:]])
    expect(left, {}, "get_many of the first and the last keys after clear()")


@law("C1", examples=[{"method": "clear"}, {"method": "clear_pattern"}, {"method": "delete"}])
async def other_stores_stay_as_they_are(world: World, method: str) -> None:
    """Clearing one store changes nothing in another, whose keys are the same."""
    other = await world.fresh()
    keys = ["a", "b", "*"]
    for memory in (world.memory, other):
        await fill(memory, keys)
    await remove_all(world.memory, method, keys)
    expect_keys(await other.keys(), keys, f"keys() of another store after {method}")
    expect(await other.get_many(keys), dict.fromkeys(keys, 1), "get_many of the other store")
    expect_keys(await world.memory.keys(), [], f"keys() after {method}")


_WAYS = ("clear", "clear_pattern", "delete", "delete_many")


@law("C1", hooks=("plant",), examples=[{"method": way, "used": u} for way in _WAYS for u in (0, 1)])
async def what_others_keep_there_survives(world: World, method: str, used: int) -> None:
    """What other programs keep in the same place survives, and is not shown as ours."""
    memory = world.memory
    world.need("plant")
    keys = ["a", "b", "other", "*"]
    if used:
        await fill(memory, keys)
    unharmed: Callable[[], object] = await settled(world.hooks.plant(memory.backend))
    world.trace.note("# another program stores something of its own in the same place")
    await fill(memory, keys)
    expect_keys(await memory.keys(), keys, "keys() beside what others keep there")
    await remove_all(memory, method, keys)
    expect_keys(await memory.keys(), [], f"keys() after {method}")
    if not await settled(unharmed()):
        fail(f"what another program keeps in the same place is gone or changed after {method}")


@law("C1", hooks=("plant",))
async def clearing_an_empty_store_harms_nobody(world: World) -> None:
    """Clearing a store that holds nothing leaves alone what others keep in the same place."""
    world.need("plant")
    unharmed: Callable[[], object] = await settled(world.hooks.plant(world.memory.backend))
    world.trace.note("# another program stores something of its own in the same place")
    for method in ("clear", "clear_pattern"):
        await remove_all(world.memory, method, [])
        if not await settled(unharmed()):
            fail(f"what another program keeps in the same place is gone or changed after {method}")


@law("C1", hooks=("damage",), examples=[{"damaged": ["a"]}, {"damaged": ["a", "b", "c", "d"]}])
async def clear_removes_what_cannot_be_read(world: World, damaged: list[str]) -> None:
    """`clear` removes entries that are damaged like any others."""
    memory, keys = world.memory, ["a", "b", "c", "d"]
    await fill(memory, keys)
    for key in damaged:
        await world.damage(key)
    await memory.clear()
    await expect_nothing(memory, keys, f"after clear() where {damaged} had been damaged")


@law("C1")
async def clearing_a_namespace_leaves_the_rest(world: World) -> None:
    """`clear` of a namespace removes what it holds, and nothing of the store or its neighbours."""
    memory = world.memory
    tenant, other, inner = view(world, "a"), view(world, "ab"), view(world, "a", "b")
    for handle in (memory, tenant, other, inner):
        await fill(handle, ["x", "y"])
    await tenant.clear()
    await expect_nothing(tenant, ["x", "y"], "of the namespace after its clear()")
    for handle, called in ((other, "'ab'"), (inner, "'b' inside of 'a'")):
        expect_keys(await handle.keys(), ["x", "y"], f"keys() of the namespace {called}")
    expect(await memory.get_many(["x", "y"]), {"x": 1, "y": 1}, "the store's own entries")


@batch_law("C1", corpus=Domain.all_nasty_keys)
async def clearing_a_namespace_removes_every_key(world: World, items: Sequence[str]) -> None:
    """`clear` of a namespace removes all that it holds, whatever the keys are made of."""
    tenant = view(world, "a")
    fitting = [key for key in items if len(key.encode()) <= tenant.max_key_bytes]
    await tenant.set_many(dict.fromkeys(fitting, 1))
    await tenant.clear()
    expect_keys(await tenant.keys(), [], "keys() of the namespace after its clear()")
    expect(await tenant.get_many(fitting), {}, "get_many of all that was in the namespace")


@law("C1")
async def clear_of_the_store_removes_its_namespaces(world: World) -> None:
    """`clear` of the store itself removes what its namespaces hold, too."""
    memory = store_itself(world)
    tenant, inner = view(world, "a"), view(world, "a", "b")
    for handle in (memory, tenant, inner):
        await fill(handle, ["x", "y"])
    await memory.clear()
    for handle in (memory, tenant, inner):
        await expect_nothing(handle, ["x", "y"], "after clear() of the store")


@law("C1", hooks=("second",))
async def other_clients_see_that_all_is_gone(world: World) -> None:
    """After `clear` another client of the same store finds nothing either."""
    memory, second = world.memory, await world.second()
    await fill_in_every_way(memory, ["a", "b", "c"])
    await second.set("d", 1)
    expect(await second.get("a"), [0], "get('a') of another client")
    expect_keys(await second.keys(), ["a", "b", "c", "d"], "keys() of another client")
    await memory.clear()
    for client in (memory, second):
        told = f"of {client.name} after clear(); another client had set 'd',"
        await expect_nothing(client, ["a", "b", "c", "d"], told)


@law("C1", needs=Capability.PERSISTENT, hooks=("reopen",))
async def what_was_cleared_stays_away(world: World) -> None:
    """What was cleared does not come back when the store is opened again."""
    memory = world.memory
    await fill_in_every_way(memory, ["a", "b", "c"])
    await memory.clear()
    await memory.set("d", 1)
    again = await world.reopen()
    expect_keys(await again.keys(), ["d"], "keys() of the reopened store")
    expect(await again.get_many(["a", "b", "c", "d"]), {"d": 1}, "get_many of the reopened store")


@law("C1", needs=Capability.PERSISTENT, hooks=("reopen",))
async def what_was_stored_before_is_cleared_too(world: World) -> None:
    """`clear` removes what was stored before the store was opened this time."""
    await fill_in_every_way(world.memory, ["a", "b", "c"])
    again = await world.reopen()
    await again.clear()
    await expect_nothing(again, ["a", "b", "c"], "of a reopened store after clear()")


# ------------------------------------------------------------- C4: deleting what is absent


@law("C4", given={"key": Domain.keys}, examples=[{"key": "a"}])
async def deleting_an_absent_key_is_no_error(world: World, key: str) -> None:
    """`delete` of a key that was never there, or is gone, does nothing and raises nothing."""
    memory = world.memory
    await memory.delete(key)
    await memory.set(key, 1)
    await memory.delete(key)
    await memory.delete(key)
    expect(await memory.exists(key), False, f"exists({key!r}) after two deletes")


@law("C4", examples=lambda domain: [{"keys": ["a"]}, {"keys": domain.all_nasty_keys()}])
async def nothing_can_be_deleted_from_an_empty_store(world: World, keys: list[str]) -> None:
    """Every method that removes works on a store that holds nothing, as often as it is called."""
    memory = world.memory
    for _ in range(2):
        for key in keys:
            await memory.delete(key)
        expect(await memory.delete_many(keys), 0, "delete_many of an empty store")
        for key in keys[:20]:
            await memory.clear_pattern(escape_pattern(key))
        await memory.clear_pattern("*")
        await memory.clear()
    await expect_nothing(memory, keys, "of a store in which nothing was ever stored")


_EARLIER = ("never", "deleted", "cleared")


@law("C4", examples=[{"method": way, "earlier": each} for way in _WAYS for each in _EARLIER])
async def an_absent_key_is_absent_after_deleting_it(
    world: World, method: str, earlier: str
) -> None:
    """Deleting an absent key leaves no trace: it is absent for every method, and can be set."""
    memory, keys = world.memory, ["a", "b", "c"]
    if earlier != "never":
        await fill(memory, keys)
        await remove_all(memory, "delete" if earlier == "deleted" else "clear", keys)
    told = f"after {method} of absent keys"
    for _ in range(2):
        await remove_all(memory, method, keys)
        await expect_nothing(memory, keys, told)
    await expect_absent_for_writers(memory, "a", "b", told)
    await memory.set("c", 3, 3600)
    expect_keys(await memory.keys(), ["a", "b", "c"], f"keys() {told} and new sets")
    expect(await memory.get_many(keys), {"a": 1, "b": 2, "c": 3}, f"get_many {told} and new sets")


async def expect_absent_for_writers(memory: Handle, first: str, other: str, when: str) -> None:
    """Require that two keys are absent for what stores only where an entry is or is not."""
    if memory.declares(Capability.TOUCH):
        expect(await memory.touch(first, 3600), False, f"touch({first!r}, 3600) {when}")
    if not memory.declares(Capability.CAS):
        await memory.set_many({first: 1, other: 2})
        return
    for at, key in enumerate((first, other), start=1):
        try:
            await memory.compare_and_set(key, at, expect=ABSENT)
        except ConflictError:
            fail(f"compare_and_set({key!r}, {at}, expect=ABSENT) raised ConflictError {when}")


@law("C4", examples=[{"names": ()}, {"names": ("tenant",)}])
async def deleting_an_absent_key_changes_no_other(world: World, names: tuple[str, ...]) -> None:
    """Deleting a key that is absent leaves alone the keys that resemble it."""
    memory = view(world, *names) if names else world.memory
    there = {"a": 1, "ab": None, "a:b": 3, "A b": 4, "é": 5, "b*": 6, "/": 7}
    absent = [
        "A",
        "a ",
        "a:",
        "b",
        "*",
        "a*",
        "?",
        "e\u0301",
        "a\x00",
        "ab/..",
        "[a]",
        "b",
        "//",
        ".",
    ]
    await memory.set_many(there)
    for key in absent:
        await memory.delete(key)
        expect_keys(await memory.keys(), there, f"keys() after delete({key!r}), which is absent")
    expect(await memory.delete_many(absent), 0, f"delete_many of {len(absent)} absent keys")
    expect(await memory.delete_many(["a", "x", "ab"]), 2, "delete_many(['a', 'x', 'ab'])")
    expect(await memory.delete_many(["a", "x", "ab"]), 0, "the same delete_many once more")
    await memory.clear_pattern("x*")
    left = {"a:b": 3, "A b": 4, "é": 5, "b*": 6, "/": 7}
    expect(await memory.get_many(list(there)), left, "get_many of what was not deleted")


@law("C4", waits=True)
async def deleting_an_expired_key_is_no_error(world: World) -> None:
    """Deleting a key that has expired does nothing and raises nothing, however it is done."""
    memory = world.memory
    step = world.limits.step_seconds
    for key in ("a", "b", "c", "d"):
        await memory.set(key, 1, step)
    await world.advance(step + world.limits.margin_seconds)
    await memory.delete("a")
    expect(await memory.delete_many(["a", "b"]), 0, "delete_many of two expired keys")
    await memory.clear_pattern("c")
    await memory.clear()
    await memory.delete("d")
    expect_keys(await memory.keys(), [], "keys() after expired keys were deleted")


@law("C4")
async def all_who_delete_a_key_are_content(world: World) -> None:
    """Of calls that delete the same key at once each succeeds, whichever comes first."""
    memory = world.memory
    for number in range(5):
        await memory.set_many({"a": number, "b": number})
        await asyncio.gather(
            memory.delete("a"),
            memory.delete("a"),
            memory.delete_many(["a", "b"]),
            memory.clear_pattern("[ab]"),
            memory.delete("b"),
            memory.clear(),
        )
        expect_keys(await memory.keys(), [], "keys() after all was deleted several times at once")
