"""A server that forgets its scripts."""

from __future__ import annotations

from redis_rig.backends import patient
from redis_rig.load import Load
from redis_rig.scenario import in_a_loop
from redis_rig.servers import Server


@in_a_loop
async def test_nobody_notices_script_flush() -> None:
    with Server() as server, server.control() as control:
        async with patient(server.url) as memory, Load(memory) as load:
            for _ in range(30):
                control.script_flush()
                await load.progress(3)
            assert not load.failed
            assert await memory.touch("absent", 5) is False
