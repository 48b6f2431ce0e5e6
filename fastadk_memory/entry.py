"""`MemoryEntry`: a value together with what the store knows about it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeAlias

__all__ = ["Metadata", "MemoryEntry", "Version"]

Version: TypeAlias = str
"""What identifies one state of one key. Opaque: compare it for equality, nothing else."""

Metadata: TypeAlias = dict[str, Any]
"""What an application keeps beside a value; of the same domain as values (clause V1)."""


@dataclass(frozen=True, slots=True)
class MemoryEntry:
    """One entry, as it stood when it was read.

    It is a plain frozen dataclass: it works as a field of a pydantic model and in
    `msgspec.json.encode`.

    Attributes:
        key: The key, exactly as it was set.
        value: The value; a copy that belongs to the caller (clause V4).
        created_at: When this value was set, in UTC; `None` if the backend does not record
            it (without the capability `ENTRIES`).
        expires_at: When the entry expires, in UTC; `None` when never.
        metadata: What `set_entry` was given; empty otherwise.
        version: Never repeats for a key, not even after delete and re-create; `None`
            without the capability `ENTRIES`.
    """

    key: str
    value: Any
    created_at: datetime | None = None
    expires_at: datetime | None = None
    metadata: Metadata = field(default_factory=dict)
    version: Version | None = None

    def is_expired(self, now: datetime | None = None) -> bool:
        """Tell whether the entry has expired since it was read (clause T2).

        Args:
            now: The moment to judge by, an aware `datetime`; the system's clock by default.

        Returns:
            `True` from the very moment of `expires_at` on; `False` without expiry.
        """
        if self.expires_at is None:
            return False
        return (now or datetime.now(timezone.utc)) >= self.expires_at

    def ttl(self, now: datetime | None = None) -> int | None:
        """Return the whole seconds left, rounded up (clause T5).

        Args:
            now: The moment to judge by, an aware `datetime`; the system's clock by default.

        Returns:
            At least 1 while the entry lives, 0 once it has expired, `None` without expiry.
        """
        if self.expires_at is None:
            return None
        left = (self.expires_at - (now or datetime.now(timezone.utc))).total_seconds()
        return max(0, math.ceil(left))
