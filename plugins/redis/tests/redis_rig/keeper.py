"""A process that starts servers for another one, and stops them when that one is gone.

It is run as a script. Each line of its input asks for one thing and gets one line of answer:
`{"start": [argv], "folder": cwd}` a pid, `{"wait": pid}` an exit status, `{"forget": pid}`
an end. When its input closes, or its parent has died without closing it, the keeper kills all
that it started, removes its folder, and ends.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

PATIENCE = 60.0


class Keeper:
    def __init__(self) -> None:
        self.servers: dict[int, subprocess.Popen[bytes]] = {}

    def answer(self, request: dict) -> int:
        if "start" in request:
            server = subprocess.Popen(
                request["start"],
                cwd=request["folder"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self.servers[server.pid] = server
            return server.pid
        if "wait" in request:
            return self.servers[request["wait"]].wait(PATIENCE)
        server = self.servers.pop(request["forget"])
        return self.end(server)

    def end(self, server: subprocess.Popen[bytes]) -> int:
        server.kill()  # SIGKILL ends a stopped process, too
        return server.wait(PATIENCE)


def requests(parent: int) -> Iterator[dict]:
    """Yield each request, until the input closes or the parent has died."""
    pending = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], 1.0)[0]:
            continue
        read = os.read(0, 65536)
        if not read:
            return
        pending += read
        *lines, pending = pending.split(b"\n")
        yield from map(json.loads, lines)


def main(folder: str, parent: int) -> None:
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)  # it ends with its parent, and not before
    keeper = Keeper()
    try:
        for request in requests(parent):
            try:
                answer = {"answer": keeper.answer(request)}
            except (OSError, subprocess.SubprocessError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            os.write(1, json.dumps(answer).encode() + b"\n")
    finally:
        for server in keeper.servers.values():
            keeper.end(server)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
