"""`ExpiryQueue`: which keys expire next, at a cost proportional to what expires."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf

__all__ = ["ExpiryQueue"]

_SLACK = 64


class ExpiryQueue:
    """The keys with an expiry, soonest first.

    Changing a key's expiry leaves its old place in the heap behind; such places are passed
    over when they come up, and swept out together once they outnumber the others. The
    owner guards it against threads.
    """

    def __init__(self) -> None:
        self._when: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []
        self.next: float = inf
        """No key expires before this moment, in seconds since 1970."""

    def __len__(self) -> int:
        """Return how many keys have an expiry."""
        return len(self._when)

    def put(self, key: str, expires_at: float) -> None:
        """Note that `key` expires at `expires_at`, in seconds since 1970, and not before."""
        if self._when.get(key) == expires_at:
            return
        self._when[key] = expires_at
        heappush(self._heap, (expires_at, key))
        self.next = self._heap[0][0]
        self._compact_if_worth_it()

    def hasten(self, key: str, expires_at: float) -> None:
        """Note that `key` may expire at `expires_at`, unless it is already due earlier."""
        if expires_at < self._when.get(key, inf):
            self.put(key, expires_at)

    def drop(self, key: str) -> None:
        """Note that `key` has no expiry any more, if it had one."""
        if self._when.pop(key, None) is None:
            return
        if self._when:
            self._compact_if_worth_it()
        else:
            self.clear()

    def clear(self) -> None:
        """Forget every key."""
        self._when = {}
        self._heap = []
        self.next = inf

    def due(self, now: float, limit: int) -> list[str]:
        """Remove and return keys that have expired by `now`, `limit` of them at the most."""
        heap, when = self._heap, self._when
        keys: list[str] = []
        while heap and heap[0][0] <= now and len(keys) < limit:
            expires_at, key = heappop(heap)
            if when.get(key) == expires_at:
                del when[key]
                keys.append(key)
        self.next = heap[0][0] if heap else inf
        return keys

    def _compact_if_worth_it(self) -> None:
        if len(self._heap) <= 2 * len(self._when) + _SLACK:
            return
        self._heap = [(expires_at, key) for key, expires_at in self._when.items()]
        heapify(self._heap)
        self.next = self._heap[0][0] if self._heap else inf
