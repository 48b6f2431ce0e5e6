"""The processes that this one has asked its keeper for: start, wait, forget."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from redis_rig import keeper


class Kept:
    """Speaks to the keeper of this process; may be used from any thread."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="rig-"))
        self.process = subprocess.Popen(
            [sys.executable, "-I", keeper.__file__, str(self.folder), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the tests
        )
        self.guard = threading.Lock()
        self.owner = os.getpid()
        self.folders = 0
        atexit.register(self.close)

    def ask(self, **request: object) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.guard:
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
            answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"the keeper of the servers says: {answer['error']}")
        return answer["answer"]

    def new_folder(self) -> Path:
        with self.guard:
            self.folders += 1
            folder = self.folder / str(self.folders)
        folder.mkdir()
        return folder

    def close(self) -> None:
        if os.getpid() != self.owner:
            return  # a forked child of the tests
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process.wait()


_first = threading.Lock()


def kept() -> Kept:
    """Return the one of this process, whichever thread asks first."""
    with _first:
        return _only()


@functools.cache
def _only() -> Kept:
    return Kept()
