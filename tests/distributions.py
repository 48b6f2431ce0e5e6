"""Builds real small distributions: metadata folders with packages, and wheels."""

from __future__ import annotations

import itertools
import zipfile
from collections.abc import Mapping
from pathlib import Path

BACKENDS = "fastadk.memory_backends"

_numbers = itertools.count()


def unique(stem: str = "plugin") -> str:
    """A name of a module that no other test has imported."""
    return f"{stem}_{next(_numbers)}"


def entry_points_text(entry_points: Mapping[str, Mapping[str, str]]) -> str:
    return "\n".join(
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items())
        for group, entries in entry_points.items()
    )


def metadata_text(name: str, version: str) -> str:
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nA text: with colons\n"


def install(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    backends: Mapping[str, str] | None = None,
    groups: Mapping[str, Mapping[str, str]] | None = None,
    modules: Mapping[str, str] | None = None,
    metadata: bool = True,
    egg: bool = False,
    folder_name: str | None = None,
) -> Path:
    """Lay a distribution into a folder as an installer would; return its metadata folder.

    Args:
        backends: Entry points in the group of backends.
        groups: Entry points in any groups.
        modules: File names of Python modules to their sources.
        metadata: Whether there is a METADATA (or PKG-INFO) file.
        egg: An `.egg-info`, as a development installation of old has it.
        folder_name: Another name for the metadata folder.
    """
    spelled = name.replace("-", "_")
    usual = f"{spelled}.egg-info" if egg else f"{spelled}-{version}.dist-info"
    info = folder / (folder_name or usual)
    info.mkdir(parents=True)
    if metadata:
        text = metadata_text(name, version)
        (info / ("PKG-INFO" if egg else "METADATA")).write_text(text, encoding="utf-8")
    declared = dict(groups or {})
    if backends is not None:
        declared[BACKENDS] = backends
    if declared:
        text = entry_points_text(declared)
        (info / "entry_points.txt").write_text(text, encoding="utf-8")
    write_modules(folder, modules or {})
    return info


def write_modules(folder: Path, modules: Mapping[str, str]) -> None:
    for file, source in modules.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")


def build_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    backends: Mapping[str, str],
    modules: Mapping[str, str],
) -> Path:
    """Write a wheel; put its path on `sys.path` and Python imports from it."""
    spelled = name.replace("-", "_")
    info = f"{spelled}-{version}.dist-info"
    files = {
        **modules,
        f"{info}/METADATA": metadata_text(name, version),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": entry_points_text({BACKENDS: backends}),
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{spelled}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return wheel


def backend_source(init: str = "def __init__(self): pass", name: str = "Backend") -> str:
    """The source of a module with a backend of nine methods and nothing else."""
    return f"""\
from __future__ import annotations
from typing import *
from fastadk_memory.base import MemoryBackend

class {name}(MemoryBackend):
    {init.replace(chr(10), chr(10) + "    ")}

    async def set(self, key, value, ttl=None): ...
    async def get(self, key): ...
    async def delete(self, key): ...
    async def exists(self, key): return False
    async def keys(self, pattern="*"): return []
    async def clear(self): ...
    async def clear_pattern(self, pattern): ...
    async def ttl(self, key): ...
    async def health_check(self): return True
"""
