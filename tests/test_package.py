"""The package itself: its public names, and how little importing it loads."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import fastadk_memory

HEAVY = [
    "asyncio", "importlib.metadata", "importlib_metadata", "inspect", "msgspec", "pluggy",
    "pydantic", "rich", "tomllib", "typer", "typing_extensions", "urllib.request", "yaml",
]  # fmt: skip


def loaded_by(code: str) -> set[str]:
    script = f"import sys; before = set(sys.modules); {code}; print(*set(sys.modules) - before)"
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import fastadk_memory") & set(HEAVY)


def test_importing_the_interface_loads_no_client_library_and_no_plugin() -> None:
    loaded = loaded_by("from fastadk_memory import MemoryBackend, open_memory, backends")
    unwanted = {"asyncio", "pluggy", "importlib_metadata", "msgspec", "rich", "typer", "yaml"}
    assert not loaded & unwanted
    assert not [name for name in loaded if name.startswith("fastadk_memory_")]


@pytest.mark.parametrize("name", fastadk_memory.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(fastadk_memory, name)
    if isinstance(value, type):
        assert value.__doc__


def test_the_lazy_names_are_those_that_type_checkers_see() -> None:
    tree = ast.parse(Path(fastadk_memory.__file__).read_text(encoding="utf-8"))
    imported = {
        (str(node.module), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fastadk_memory.")
        for alias in node.names
    }
    lazy = {
        (f"fastadk_memory.{home}", name)
        for home, names in fastadk_memory._HOMES.items()
        for name in names
    }
    assert imported == lazy


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'open_memroy'"):
        fastadk_memory.open_memroy  # noqa: B018


def test_dir_lists_the_public_names() -> None:
    assert set(fastadk_memory.__all__) <= set(dir(fastadk_memory))


# Which way imports go: a module may import only from the layers below its own.
LAYERS = [
    {"errors", "entry", "keys", "ttl", "codec", "expiry", "concurrency", "envelope"},
    {"base", "urls"},
    {"records", "wrappers"},
]


@pytest.mark.parametrize("module", sorted(set().union(*LAYERS)))
def test_imports_point_downwards(module: str) -> None:
    path = Path(importlib.import_module(f"fastadk_memory.{module}").__file__)
    allowed: set[str] = set()
    for layer in LAYERS:
        allowed |= layer
        if module in layer:
            break
    for node in ast.parse(path.read_text(encoding="utf-8")).body:  # top level: not the lazy ones
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("fastadk_memory."):
            assert node.module.removeprefix("fastadk_memory.") in allowed
