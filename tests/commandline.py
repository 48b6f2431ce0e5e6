"""Runs the command line: in this process and as a process, beside plugins laid into a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from distributions import install

import fastadk_memory

# What tells a program about the terminal: the tests say that themselves.
TERMINAL = ("CLICOLOR", "COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "TERM", "TTY_")

STORE = '''\
"""A backend of nine methods over one pickled file, shared by processes one after another."""

import asyncio
import fnmatch
import math
import os
import pickle
import time

from fastadk_memory import BackendUnavailableError, Capability, MemoryBackend


class Store(MemoryBackend):
    capabilities = frozenset({Capability.PERSISTENT})

    def __init__(
        self,
        path: str,
        fail_after: int | None = None,
        hang_after: int | None = None,
        password: str | None = None,
    ):
        self.path, self.calls_left, self.hang_after = path, fail_after, hang_after

    def _read(self):
        if not os.path.exists(self.path):
            return {}
        with open(self.path, "rb") as file:
            data = pickle.load(file)
        return {k: (v, t) for k, (v, t) in data.items() if t is None or t > time.time()}

    def _write(self, data):
        with open(self.path, "wb") as file:
            pickle.dump(data, file)

    async def set(self, key, value, ttl=None):
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left < 0:
                raise BackendUnavailableError("the shelf fell off the wall; put it back")
        data = self._read()
        data[key] = (value, None if ttl is None else time.time() + ttl)
        self._write(data)
        if self.hang_after is not None and len(data) >= self.hang_after:
            await asyncio.sleep(600)

    async def get(self, key):
        return self._read().get(key, (None, None))[0]

    async def delete(self, key):
        data = self._read()
        data.pop(key, None)
        self._write(data)

    async def exists(self, key):
        return key in self._read()

    async def keys(self, pattern="*"):
        return [key for key in self._read() if fnmatch.fnmatchcase(key, pattern)]

    async def clear(self):
        self._write({})

    async def clear_pattern(self, pattern):
        data = self._read()
        self._write({k: v for k, v in data.items() if not fnmatch.fnmatchcase(k, pattern)})

    async def ttl(self, key):
        end = self._read().get(key, (None, None))[1]
        return None if end is None else max(1, math.ceil(end - time.time()))

    async def health_check(self):
        return True
'''


@dataclass(frozen=True)
class Ran:
    """What a call of the command came to."""

    status: int
    out: str
    err: str


@dataclass
class CommandLine:
    """Calls `fastadk-memory` as a process, in a folder of its own."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def site(self) -> Path:
        """Where plugins are installed."""
        path = self.folder / "site"
        path.mkdir(parents=True, exist_ok=True)
        return path

    @property
    def cwd(self) -> Path:
        """The working directory, where configuration files are."""
        path = self.folder / "work"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-P", "-m", "fastadk_memory", *arguments]

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FASTADK", "PYTHON", "_FASTADK", *TERMINAL))
        }
        source = str(Path(fastadk_memory.__file__).parents[1])
        path = os.pathsep.join([str(self.site), source])
        return {**kept, "PYTHONPATH": path, "PYTHONUTF8": "1", **self.environ}

    def __call__(
        self, *arguments: str, stdin: str = "", environ: Mapping[str, str] | None = None
    ) -> Ran:
        ran = subprocess.run(
            self.command(*arguments),
            input=stdin,
            cwd=self.cwd,
            env={**self.environment(), **(environ or {})},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)


def install_store(site: Path) -> None:
    """Install the backend `store`, whose entries survive the process."""
    install(
        site,
        "acme-store",
        backends={"store": "acme_store:Store"},
        modules={"acme_store.py": STORE},
    )


def with_store(cli: CommandLine, path: Path) -> CommandLine:
    """Configure a command line for the backend `store`, which keeps its entries in `path`."""
    install_store(cli.site)
    cli.environ["FASTADK_MEMORY_BACKEND"] = "store"
    cli.environ["FASTADK_MEMORY_OPTIONS__PATH"] = str(path)
    return cli
