"""From nothing to proven: a generated backend, with real wheels and real environments.

It follows what a stranger does after `fastadk-memory new`: install it for development, run
its tests, its types and its style, build the wheel, install that elsewhere, and open it by
name.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import fastadk_memory

ROOT = Path(__file__).parents[1]
LIMIT = 900  # seconds for one command: pip and the contract on a machine that has other work

OPEN = """
import asyncio
from fastadk_memory import backends, open_memory

assert backends.names() == ["my-notes"], backends.names()
assert type(backends.create("my-notes")).__name__ == "MyNotesBackend"

async def main():
    async with open_memory("my-notes", path="kept") as memory:
        await memory.set("greeting", "hello")
    async with open_memory("my-notes", path="kept") as memory:
        print(await memory.get("greeting"))

asyncio.run(main())
"""


class Environment:
    """A virtual environment that is empty at first, and takes wheels from a folder first."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        venv.create(folder, with_pip=False)
        self.bin = folder / ("Scripts" if sys.platform == "win32" else "bin")
        self.wheels = wheels

    def __call__(self, *command: str, cwd: Path) -> str:
        return self.run([str(self.bin / command[0]), *command[1:]], cwd)

    def install(self, *what: str, cwd: Path) -> None:
        # The pip of the tests, so that none has to be installed first.
        pip = [sys.executable, "-m", "pip", "--python", str(self.bin / "python"), "install"]
        self.run([*pip, "--quiet", *what], cwd)

    def run(self, command: list[str], cwd: Path) -> str:
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FASTADK", "PYTHON", "COVERAGE", "PYTEST"))
        }
        ran = subprocess.run(
            command,
            cwd=cwd,
            env={**environ, "PYTHONUTF8": "1", "PIP_FIND_LINKS": str(self.wheels)},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=LIMIT,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout


def core_wheel(folder: Path) -> Path:
    """Return a folder with a wheel of the core that is being tested."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir"]
    subprocess.run([*command, str(folder), str(ROOT)], check=True, timeout=LIMIT)
    return folder


@pytest.mark.thorough
def test_what_the_command_writes_is_proven_built_and_opened_by_name(tmp_path: Path) -> None:
    wheels = core_wheel(tmp_path / "wheels")
    author = Environment(tmp_path / "author", wheels)
    tools = ("mypy", "ruff", "build", "pytest-xdist", "hatchling", "editables")
    author.install("fastadk-memory[cli]", *tools, cwd=tmp_path)
    author("fastadk-memory", "new", "my-notes", cwd=tmp_path)
    project = tmp_path / "fastadk-memory-my-notes"

    author.install("-e", ".[test]", cwd=project)
    assert str(fastadk_memory.__version__) in author("fastadk-memory", "--version", cwd=project)
    author("mypy", cwd=project)
    author("ruff", "check", ".", cwd=project)
    author("ruff", "format", "--check", ".", cwd=project)
    tested = author("pytest", "-q", "-n", "2", cwd=project)
    assert " passed" in tested
    assert "failed" not in tested

    # Without isolation, so that the build tool need not be fetched once more.
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist")]
    author("python", *build, cwd=project)
    [wheel] = (tmp_path / "dist").glob("*.whl")
    user = Environment(tmp_path / "user", wheels)
    user.install(str(wheel), cwd=tmp_path)
    assert user("python", "-c", OPEN, cwd=tmp_path) == "hello\n"
