"""`Opened`: a reference whose records mutants can get at."""

from __future__ import annotations

from dataclasses import replace

from fastadk_memory.envelope import Record, pack, unpack

from .catalogue import Reference
from .reference import PREFIX


class Opened(Reference):
    """A backend that can look at the records behind its own back."""

    def raw(self, key: str) -> Record | None:
        data = self.store.records.get(PREFIX + key)
        return None if data is None else unpack(data, key=key)

    def put_raw(self, key: str, record: Record) -> None:
        self.store.records[PREFIX + key] = pack(record)
        self._note_expiry(key, record.expires_at)

    def expired(self, key: str) -> bool:
        record = self.raw(key) if isinstance(key, str) else None
        return record is not None and not record.alive(self._clock())

    def half_over(self, record: Record) -> bool:
        end = record.expires_at
        return end is not None and self._clock() > (record.created_at + end) / 2

    def move(self, key: str, expires_at: float | None) -> None:
        record = self.raw(key) if isinstance(key, str) else None
        if record is not None and record.alive(self._clock()):
            self.put_raw(key, replace(record, expires_at=expires_at))
