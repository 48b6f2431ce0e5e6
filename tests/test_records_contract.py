"""The smallest `RecordBackend`, four methods over a dict, keeps the contract; so in real time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fastadk_memory import MemoryBackend, RecordBackend
from fastadk_memory.contract import BackendContract


class DictBackend(RecordBackend):
    def __init__(self) -> None:
        super().__init__()
        self._records: dict[str, bytes] = {}

    async def read_record(self, key: str) -> bytes | None:
        return self._records.get(key)

    async def write_record(self, key: str, record: bytes) -> None:
        self._records[key] = record

    async def delete_record(self, key: str) -> None:
        self._records.pop(key, None)

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        for key, record in self._records.copy().items():
            if key.startswith(prefix):
                yield key, record


@pytest.mark.thorough
class TestMinimalRecordBackend(BackendContract):
    def make_backend(self) -> MemoryBackend:
        return DictBackend()
