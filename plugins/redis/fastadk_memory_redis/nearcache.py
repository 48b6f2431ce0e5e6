"""`NearCache`: what was read stays in the process until the server says that it has changed.

The server remembers which keys a connection has read, and pushes their names on that same
connection when they change, in order with its answers (client tracking, RESP3). So an
answer may be kept if nothing was pushed about its key since the question was asked: the
asker leaves a mark, every push and every write of our own takes the mark away, and only
who finds his mark may store. When a connection ends everything is forgotten: what would have
been pushed on it is lost.

Expiries are pushed late, up to a tenth of a second. So each entry has a local end, counted
from before the question was asked: too early by the time the answer took, never too late.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple, cast

from fastadk_memory.codec import IMMUTABLE
from fastadk_memory_redis.names import Names
from fastadk_memory_redis.replies import Reply

__all__ = ["Kept", "NearCache"]

_MOST_BYTES = 64 << 20
"""How much encoded data is kept at the most, whatever the number of entries."""


class Kept(NamedTuple):
    """One entry.

    Attributes:
        end: Until when it may be used, by the event loop's clock.
        value: The value, if it is of an immutable type.
        encoded: The encoded value, if it is not: each reader gets a copy of its own.
        size: How many bytes count for it.
    """

    end: float
    value: Any
    encoded: bytes | None
    size: int


class NearCache:
    """What one event loop has read.

    Other loops of the backend take marks and entries away when they write, from their own
    threads; so whatever changes something holds the guard.

    Args:
        names: How keys are called on the server.
        all_loops: The near caches of all event loops that use the backend, this one too.
        most_entries: How many entries to keep; one more pushes out the oldest.
        most_seconds: For how many seconds to keep one, whatever its expiry.
    """

    def __init__(
        self,
        names: Names,
        all_loops: Sequence[NearCache],
        most_entries: int,
        most_seconds: float,
    ) -> None:
        self._names = names
        self._all_loops = all_loops
        self._guard = Lock()
        self._most_entries = most_entries
        self._most_seconds = most_seconds
        self._entries: dict[str, Kept] = {}
        self._bytes = 0
        self._marks: dict[str, object] = {}
        self.find = self._entries.get  # a method of our own would take longer than the look

    def mark(self, key: str) -> object | None:
        """Leave a mark before asking the server for a key; `None` if there is one already."""
        with self._guard:
            if key in self._marks:
                return None
            mark = self._marks[key] = object()
        return mark

    def unmark(self, key: str, mark: object | None) -> None:
        """Take one's own mark away, if it is still there."""
        with self._guard:
            if mark is not None and self._marks.get(key) is mark:
                del self._marks[key]

    def keep(
        self,
        key: str,
        mark: object | None,
        value: Any,
        encoded: bytes,
        asked_at: float,
        left_ms: int,
    ) -> None:
        """Keep an entry, if the mark is still there.

        Args:
            key: Its key.
            mark: The mark that was left.
            value: Its value, decoded.
            encoded: Its value, encoded.
            asked_at: When the server was asked, by the event loop's clock.
            left_ms: How many milliseconds it then had left; negative without expiry.
        """
        end = asked_at + self._most_seconds
        if left_ms >= 0:
            end = min(end, asked_at + left_ms / 1000)
        size = len(key) + len(encoded)
        plain = type(value) in IMMUTABLE
        kept = Kept(end, value if plain else None, None if plain else encoded, size)
        with self._guard:
            if mark is None or self._marks.get(key) is not mark:
                return
            self._forget(key)
            self._entries[key] = kept
            self._bytes += size
            while len(self._entries) > self._most_entries or self._bytes > _MOST_BYTES:
                self._forget(next(iter(self._entries)))

    def drop(self, key: str) -> None:
        """Forget one key, and take its mark away."""
        with self._guard:
            self._forget(key)

    def clear(self) -> None:
        """Forget everything, and take all marks away."""
        with self._guard:
            self._marks.clear()
            self._entries.clear()
            self._bytes = 0

    @contextmanager
    def changing(self, keys: Iterable[str | None]) -> Generator[None, None, None]:
        """Forget keys before a write of our own, and again when it has ended in any way.

        In all event loops: none may read the old value once the write is acknowledged.
        """
        changed = [key for key in keys if key is not None]
        self._drop_everywhere(changed)
        try:
            yield
        finally:
            self._drop_everywhere(changed)

    def _drop_everywhere(self, keys: list[str]) -> None:
        for near in tuple(self._all_loops):
            for key in keys:
                near.drop(key)

    def _forget(self, key: str) -> None:
        self._marks.pop(key, None)
        kept = self._entries.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size

    def hear(self, push: Reply) -> None:
        """Take in what the server pushes: the names of changed keys, or that all have."""
        parts = cast("list[object]", push)
        if parts[0] != b"invalidate":
            return  # servers tell other things, too
        names = cast("list[bytes] | None", parts[1])
        if names is None:
            self.clear()
            return
        for name in names:
            key = self._names.key(name)
            if key is not None:
                self.drop(key)
