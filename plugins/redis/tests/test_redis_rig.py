"""The rig itself: servers end with whoever started them, and the load has eyes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fastadk_memory_inmemory import InMemoryBackend
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server
from redis_rig.waiting import until

from fastadk_memory import ConflictError

START_AND_DIE = """
import os, signal
from redis_rig.servers import Server
server = Server()
print(server.pid, server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_ends_when_its_tests_are_killed() -> None:
    died = subprocess.run(
        [sys.executable, "-c", START_AND_DIE],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    pid, folder = died.stdout.split(maxsplit=1)

    def gone() -> bool:
        return not Path(folder.strip()).exists() and not alive(int(pid))

    until(gone, "the server and its folder are gone")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_keeps_its_port_and_data_while_it_is_closed_to_the_public() -> None:
    with Server() as server, server.client() as client:
        client.set("a", 1)
        with server.closed_to_the_public(), pytest.raises(ConnectionRefusedError):
            _connect(server.port)
        with server.client() as again:
            assert again.get("a") == b"1"


def _connect(port: int) -> None:
    async def connect() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    asyncio.run(connect())


class Forgets(InMemoryBackend):
    calls = 0

    async def set(self, key, value, ttl=None) -> None:
        type(self).calls += 1
        if self.calls % 50:
            await super().set(key, value, ttl)


class Swaps(InMemoryBackend):
    calls = 0

    async def get(self, key):
        type(self).calls += 1
        return await super().get(key if self.calls % 50 else "load 0")


class DeletesTwice(InMemoryBackend):
    async def delete_many(self, keys) -> int:
        keys = list(keys)
        await super().delete_many(keys)
        return await super().delete_many(keys)


class ComparesTwice(InMemoryBackend):
    async def compare_and_set(self, key, value, *, expect, ttl=None):
        await super().compare_and_set(key, value, expect=expect, ttl=ttl)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@pytest.mark.parametrize("broken", [Forgets, Swaps, DeletesTwice, ComparesTwice])
@in_a_loop
async def test_the_load_sees_what_goes_wrong(broken) -> None:
    with pytest.raises((AssertionError, ConflictError)):
        async with Load(broken()) as load:
            await load.progress(200)


@in_a_loop
async def test_the_load_is_content_with_what_is_right() -> None:
    async with Load(InMemoryBackend()) as load:
        await load.progress(50)
    assert not load.failed
