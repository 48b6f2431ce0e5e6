"""A process that forks: parent and child go on with the same object, apart from each other."""

from __future__ import annotations

import os
import subprocess
import sys

from redis_rig.servers import Server

# In a process of its own: pytest has threads, which do not go well with forking.
FORKING = """
import asyncio, os, sys
from fastadk_memory_redis import RedisBackend

memory = RedisBackend(sys.argv[1], near_cache=sys.argv[2] == "near", timeout=30.0)

async def work(who, rounds):
    versions = []
    for number in range(rounds):
        await asyncio.gather(*(memory.set(f"{who} {n}", [who, n, number]) for n in range(20)))
        found = await asyncio.gather(*(memory.get(f"{who} {n}") for n in range(20)))
        assert found == [[who, n, number] for n in range(20)], found
        versions.append((await memory.set_entry(f"{who} v", number, metadata={})).version)
    return versions

with asyncio.Runner() as runner:
    runner.run(work("before", 3))
    children = []
    for child in range(3):
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                versions = asyncio.run(work(f"child {child}", 20))
                asyncio.run(memory.aclose())
                os.write(into, " ".join(map(str, versions)).encode())
                os._exit(0)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
        os.close(into)
        children.append((pid, out))
    versions = [str(each) for each in runner.run(work("parent", 20))]
    for pid, out in children:
        assert os.waitpid(pid, 0)[1] == 0, "a child failed"
        versions += os.read(out, 65536).decode().split()
        os.close(out)
    assert len(versions) == len(set(versions)) == 80, "versions repeat"
    runner.run(work("parent", 3))
    assert len(runner.run(memory.keys("child 1*"))) == 21
    runner.run(memory.aclose())
print("done")
"""


def run_forking(mode: str) -> None:
    with Server() as server:
        ended = subprocess.run(
            [sys.executable, "-W", "error::ResourceWarning", "-c", FORKING, server.url, mode],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=os.environ,
        )
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr


def test_parent_and_children_go_on_with_connections_of_their_own() -> None:
    run_forking("plain")


def test_a_child_does_not_take_over_the_near_cache() -> None:
    run_forking("near")
