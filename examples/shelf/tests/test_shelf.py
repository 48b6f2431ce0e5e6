"""What is special to this backend; test_shelf_contract.py has the contract."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fastadk_memory import BackendUnavailableError, Capability, open_memory

from fastadk_memory_shelf import ShelfBackend


def test_it_is_opened_by_name_and_by_url(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_memory("shelf", path=tmp_path / "store") as memory:
            await memory.set("greeting", "hello")
        url = f"shelf://{(tmp_path / 'store').as_posix()}"
        async with open_memory(url) as memory:
            assert await memory.get("greeting") == "hello"

    asyncio.run(scenario())


def test_entries_survive_closing_and_reopening(tmp_path: Path) -> None:
    key = "k/../\n" * 100

    async def scenario() -> None:
        async with ShelfBackend(tmp_path / "store") as memory:
            entry = await memory.set_entry(key, [1], 60, metadata={"a": 1})
        async with ShelfBackend(tmp_path / "store") as memory:
            assert await memory.get_entry(key) == entry

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


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BackendUnavailableError, match="store"):
        asyncio.run(ShelfBackend(tmp_path / "file" / "store").get("k"))


def test_without_its_folder_it_is_not_healthy(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with ShelfBackend(tmp_path / "store") as memory:
            assert await memory.health_check()
            (tmp_path / "store").rmdir()
            assert not await memory.health_check()

    asyncio.run(scenario())
