"""`entry_at`: the entry under a key that has to be there."""

from __future__ import annotations

from fastadk_memory.base import MemoryEntry
from fastadk_memory.contract.compare import fail
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.show import show

__all__ = ["entry_at"]


async def entry_at(memory: Handle, key: str) -> MemoryEntry:
    """Return what `get_entry` answers for a key that is there.

    Raises:
        Violation: It is no entry.
    """
    entry = await memory.get_entry(key)
    if not isinstance(entry, MemoryEntry):
        fail(f"get_entry({show(key)}) is {show(entry)}, though the key is there")
    return entry
