"""What goes wrong in other processes, in a module that those can import."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from fastadk_memory import MemoryBackend

from .file_reference import FileReference


class Hangs(FileReference):
    """Never comes back from a write."""

    def write(self, key: str, record: bytes) -> None:
        time.sleep(600)


class Exits(FileReference):
    """Takes its process with it."""

    def write(self, key: str, record: bytes) -> None:
        print("the driver has crashed", flush=True)
        os._exit(3)


def no_backend() -> MemoryBackend:
    """Make no backend."""
    raise RuntimeError("no such server")


def slow_after_a_fork(path: Path) -> MemoryBackend:
    """Make a sound backend in a process that stands still after each fork, as on a busy machine."""
    os.register_at_fork(after_in_parent=partial(time.sleep, 0.3))
    return FileReference(path)
