"""What several laws begin with: stores that hold something, and namespaces of them."""

from __future__ import annotations

from collections.abc import Iterable

from fastadk_memory.base import ABSENT, Capability, MemoryBackend
from fastadk_memory.contract.compare import expect, expect_keys, fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.globs import matching
from fastadk_memory.contract.show import show
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World
from fastadk_memory.wrappers import NamespacedBackend, WrapperBackend

__all__ = ["expect_absent", "expect_matches", "expect_nothing", "fill", "fill_in_every_way"]
__all__ += ["fill_numbered", "remove_all", "store_itself", "view"]

_AT_ONCE = 500  # entries that one set_many stores


async def fill(memory: Handle, keys: Iterable[str]) -> None:
    """Store something under each of some keys."""
    for key in keys:
        await memory.set(key, 1)


class _Batch(dict[str, int]):
    """Entries under numbered keys, which a script can show in one line."""

    def __init__(self, head: str, first: int, last: int) -> None:
        super().__init__((f"{head}{number:06}", 1) for number in range(first, last))
        self._told = f"{{f'{head}{{n:06}}': 1 for n in range({first}, {last})}}"

    def __repr__(self) -> str:
        return self._told


async def fill_numbered(memory: Handle, number: int, head: str = "k") -> list[str]:
    """Store many entries, and return their keys: `head` and a number each, in their order."""
    keys: list[str] = []
    for first in range(0, number, _AT_ONCE):
        batch = _Batch(head, first, min(first + _AT_ONCE, number))
        await memory.set_many(batch)
        keys += batch
    return keys


async def fill_in_every_way(memory: Handle, keys: Iterable[str]) -> None:
    """Store something under each key, none of which is there, by each method in turn."""
    for at, key in enumerate(keys):
        way = at % 6
        if way == 1:
            await memory.set(key, None, 3600)
        elif way == 2 and memory.declares(Capability.ENTRIES):
            await memory.set_entry(key, at, metadata={"m": 1})
        elif way == 4 and memory.declares(Capability.CAS):
            await memory.compare_and_set(key, at, expect=ABSENT)
        else:
            await memory.set(key, [at], *([3600] if way == 5 else []))
            if way in (3, 5) and memory.declares(Capability.TOUCH):
                await memory.touch(key, 3600 if way == 3 else None)


async def remove_all(memory: Handle, method: str, keys: Iterable[str]) -> None:
    """Remove everything by one of the methods that can; `keys` are there."""
    match method:
        case "clear":
            await memory.clear()
        case "clear_pattern":
            await memory.clear_pattern("*")
        case "delete_many":
            await memory.delete_many(keys)
        case _:
            for key in keys:
                await memory.delete(key)


async def expect_nothing(memory: Handle, keys: Iterable[str], when: str) -> None:
    """Require that no method finds anything, least of all one of `keys`."""
    expect_keys(await memory.keys(), [], f"keys() {when}")
    expect_keys(await memory.scan(), [], f"scan() {when}")
    await expect_absent(memory, keys, when)


async def expect_absent(memory: Handle, keys: Iterable[str], when: str) -> None:
    """Require that no method finds one of `keys`."""
    absent = list(keys)
    expect(await memory.get_many(absent), {}, f"get_many {when}")
    for key in absent:
        expect(await memory.get(key), None, f"get({show(key)}) {when}")
        expect(await memory.exists(key), False, f"exists({show(key)}) {when}")
        expect(await memory.ttl(key), None, f"ttl({show(key)}) {when}")
        if await memory.get_entry(key) is not None:
            fail(f"get_entry({show(key)}) returns an entry {when}")
    expect(await memory.delete_many(absent), 0, f"delete_many {when}")


async def expect_matches(memory: Handle, pattern: str, keys: Iterable[str], told: str = "") -> None:
    """Require that `keys` and `scan` return what a pattern matches among the stored `keys`."""
    wanted = matching(pattern, keys)
    expect_keys(await memory.keys(pattern), wanted, f"keys({show(pattern)}){told}")
    expect_keys(await memory.scan(pattern), wanted, f"scan({show(pattern)}){told}")


def view(world: World, *names: str, of: Handle | None = None) -> Handle:
    """Return a namespace of a store, or, with several names, one inside of the other.

    Args:
        world: The world.
        names: At least one name.
        of: The store, if it is not `world.memory`.

    Raises:
        NotApplicable: The backend's keys are so short that the names may be refused.
    """
    handle = of or world.memory
    if not Domain(max_key_bytes=handle.max_key_bytes).has_room(*names):
        raise NotApplicable(
            f"keys of at most {handle.max_key_bytes} bytes leave little room for the name of a "
            "namespace"
        )
    for name in names:
        handle = handle.namespace(name)
        if not isinstance(handle.backend, MemoryBackend):
            fail(f"namespace({name!r}) is a {type(handle.backend).__name__}, not a MemoryBackend")
    return handle


def store_itself(world: World) -> Handle:
    """Return `world.memory`, where it is a whole store.

    Raises:
        NotApplicable: It is a namespace of one: then its own namespaces are apart from it.
    """
    backend = world.memory.backend
    while isinstance(backend, WrapperBackend):
        if isinstance(backend, NamespacedBackend):
            raise NotApplicable("the backend is itself a namespace of a store")
        backend = backend.inner
    return world.memory
