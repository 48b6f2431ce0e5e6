"""`ShelfBackend`: agrees with the model, and keeps what it was given."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastadk_memory_shelf import ShelfBackend
from hypothesis import settings
from model import agrees_with_the_model

from fastadk_memory import BackendUnavailableError, Capability, CorruptEntryError, ManualClock


class TimedShelf(ShelfBackend):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock


# Each operation is a trip to the disk: fewer examples than in memory.
test_it_agrees_with_the_model = settings(max_examples=15)(agrees_with_the_model(TimedShelf))


def test_entries_survive_closing_and_reopening(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ShelfBackend(tmp_path / "shelf") as memory:
            entry = await memory.set_entry("k/../\n" * 100, [1], 60, metadata={"a": 1})
        async with ShelfBackend(tmp_path / "shelf") as memory:
            assert await memory.get_entry("k/../\n" * 100) == entry

    asyncio.run(scenario())


def test_a_temporary_folder_goes_away_and_is_not_called_persistent() -> None:
    async def scenario() -> None:
        memory = ShelfBackend()
        assert Capability.PERSISTENT not in memory.capabilities
        async with memory:
            await memory.set("k", 1)
            folder = memory._folder()
            assert list(folder.iterdir())
        assert not folder.exists()

    asyncio.run(scenario())


def test_a_damaged_file_does_not_hide_the_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ShelfBackend(tmp_path) as memory:
            await memory.set_many({"bad": 1, "good": 2})
            file = memory._file("bad")
            file.write_bytes(file.read_bytes()[:-1])
            with pytest.raises(CorruptEntryError):
                await memory.get("bad")
            assert await memory.get("good") == 2
            assert sorted(await memory.keys()) == ["bad", "good"]

    asyncio.run(scenario())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackendUnavailableError, match="file/shelf"):
        asyncio.run(ShelfBackend(tmp_path / "file" / "shelf").get("k"))
