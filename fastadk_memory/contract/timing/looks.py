"""`Look`: a call that shows whether the backend takes a key for present."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.show import show
from fastadk_memory.errors import ConflictError
from fastadk_memory.keys import escape_pattern

__all__ = ["LOOKS", "READS", "Look", "looks"]


@dataclass(frozen=True, slots=True)
class Look:
    """A call that shows whether the backend takes a key for present.

    The value under the key must not be `None`, which `get` does not tell from an absent key.

    Attributes:
        call: The call as source, with `{key}` for the key.
        finds: Makes the call, and tells what it says.
        needs: The capability that it belongs to.
    """

    call: str
    finds: Callable[[Handle, str], Awaitable[bool]]
    needs: Capability | None = None

    def told(self, key: str) -> str:
        """Return the call as source."""
        return self.call.format(key=show(key), pattern=show(escape_pattern(key)))


async def _get(memory: Handle, key: str) -> bool:
    return await memory.get(key) is not None


async def _exists(memory: Handle, key: str) -> bool:
    return bool(await memory.exists(key))


async def _ttl(memory: Handle, key: str) -> bool:
    return await memory.ttl(key) is not None


async def _get_entry(memory: Handle, key: str) -> bool:
    return await memory.get_entry(key) is not None


async def _get_many(memory: Handle, key: str) -> bool:
    return _listed(await memory.get_many(["never set", key]), key, dict, "get_many")


async def _keys(memory: Handle, key: str) -> bool:
    return _listed(await memory.keys(), key, list, "keys")


async def _keys_like(memory: Handle, key: str) -> bool:
    return _listed(await memory.keys(escape_pattern(key)), key, list, "keys")


async def _scan(memory: Handle, key: str) -> bool:
    return key in await memory.scan()


async def _scan_like(memory: Handle, key: str) -> bool:
    return key in await memory.scan(escape_pattern(key))


async def _delete_many(memory: Handle, key: str) -> bool:
    return await memory.delete_many(["never set", key]) != 0


async def _touch(memory: Handle, key: str) -> bool:
    return bool(await memory.touch(key, 36_000))


async def _compare_and_set(memory: Handle, key: str) -> bool:
    try:
        await memory.compare_and_set(key, "new", expect=ABSENT)
    except ConflictError:
        return True
    return False


def _listed(found: Collection[str], key: str, kind: type, method: str) -> bool:
    if not isinstance(found, kind):
        fail(f"{method} returns {show(found)}: it is a {type(found).__name__}")
    return key in found


READS = (
    Look("get({key})", _get),
    Look("exists({key})", _exists),
    Look("ttl({key})", _ttl),
    Look("get_entry({key})", _get_entry),
    Look("get_many(['never set', {key}])", _get_many),
    Look("keys()", _keys),
    Look("keys({pattern})", _keys_like),
    Look("scan()", _scan),
    Look("scan({pattern})", _scan_like),
)
"""What only reads; of a key that has an expiry, as `ttl` says nothing of others."""

LOOKS = (
    *READS,
    Look("delete_many(['never set', {key}])", _delete_many),
    Look("touch({key}, 36_000)", _touch, Capability.TOUCH),
    Look("compare_and_set({key}, 'new', expect=ABSENT)", _compare_and_set, Capability.CAS),
)
"""Every call that shows it; those that are no `READS` leave the key changed."""


def looks(capabilities: Collection[Capability]) -> list[Look]:
    """Return the looks that a backend with these capabilities must serve."""
    return [each for each in LOOKS if each.needs is None or each.needs in capabilities]
