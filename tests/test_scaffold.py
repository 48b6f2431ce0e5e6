"""`fastadk-memory new`: what it writes, what it refuses; test_publishing.py proves it at work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory.errors import ConfigurationError
from fastadk_memory.scaffold import MAX_NAME, TEMPLATES, Names, core_range, rendered, scaffold

SHELF = Path(__file__).parents[1] / "examples" / "shelf"
AGAIN = "generate it anew: rm -r examples/shelf; fastadk-memory new shelf --dir examples/shelf"


def shipped(path: Path) -> Path:
    """Return a file of the example; its package is elsewhere where wheels are tested."""
    if path.parts[0] != "fastadk_memory_shelf":
        return SHELF / path
    found = find_spec(path.parts[0])
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).with_name(path.name)


def test_the_example_is_what_the_command_writes() -> None:
    files = rendered(Names("shelf"))
    differing = [
        path.as_posix()
        for path, text in files.items()
        if not shipped(path).is_file() or shipped(path).read_text("utf-8") != text
    ]
    assert differing == [], AGAIN


def test_the_example_holds_no_file_that_the_command_does_not_write() -> None:
    expected = rendered(Names("shelf"))
    ignored = {line.strip("/") for line in expected[Path(".gitignore")].splitlines()}
    found = {
        path.relative_to(SHELF)
        for path in SHELF.rglob("*")
        if path.is_file() and not ignored & {*path.relative_to(SHELF).parts}
    }
    assert found <= set(expected), AGAIN


def test_no_placeholder_is_left_in_any_file_or_name() -> None:
    for path, text in rendered(Names("my-notes")).items():
        assert not re.search(r"@\w+@", f"{path}\n{text}"), path


def test_nothing_of_another_backend_is_in_what_is_written() -> None:
    for path, text in rendered(Names("notes")).items():
        assert "shelf" not in f"{path}\n{text}".lower(), path


def test_one_name_makes_all_the_others() -> None:
    names = Names("my-2nd-notes")
    assert names.distribution == "fastadk-memory-my-2nd-notes"
    assert names.package == "fastadk_memory_my_2nd_notes"
    assert names.class_name == "My2ndNotesBackend"


def test_it_writes_a_complete_distribution(tmp_path: Path) -> None:
    folder, files = scaffold("notes", tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b"
    assert all((folder / file).is_file() for file in files)
    assert {file.as_posix() for file in files} >= {
        ".github/workflows/publish.yml",
        ".github/workflows/tests.yml",
        "CHANGELOG.md",
        "CONTRACT.md",
        "LICENSE",
        "README.md",
        "contract.svg",
        "fastadk_memory_notes/backend.py",
        "fastadk_memory_notes/py.typed",
        "noxfile.py",
        "pyproject.toml",
        "tests/test_notes_contract.py",
    }
    project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["fastadk.memory_backends"] == {
        "notes": "fastadk_memory_notes:NotesBackend"
    }


def test_by_default_the_folder_is_called_like_the_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder, _ = scaffold("notes")
    assert folder == Path("fastadk-memory-notes")
    assert (tmp_path / folder / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("My_Notes", "'my-notes' would do"),
        ("NotesBackend", "'notes-backend' would do"),
        ("notes.sqlite", "'notes-sqlite' would do"),
        ("2nd", "begins with a letter"),
        ("fastadk-memory-notes", "name the backend alone: notes"),
        ("fastadk_memory_notes", "'notes' would do"),
        ("-notes", "begins with a letter"),
        ("notes-", "single dashes"),
        ("no--tes", "single dashes"),
        ("", "begins with a letter"),
        ("../notes", "'notes' would do"),
        ("é", "begins with a letter"),
        ("notes\n", "begins with a letter"),
        ("n" * (MAX_NAME + 1), "longer than"),
        ("redis", "fastadk-memory-redis is published under it"),
        ("memory", "fastadk-memory-inmemory is published under it"),
    ],
)
def test_a_name_that_cannot_be_one_is_refused_and_nothing_written(
    name: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        scaffold(name, tmp_path / "new")
    assert told in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=30))
def test_what_is_suggested_in_the_place_of_a_bad_name_would_do(name: str) -> None:
    try:
        scaffold(name, Path(__file__).parent)  # occupied: a good name is refused for that
    except ConfigurationError as error:
        suggested = re.search(r"'([^']*)' would do", str(error))
        if suggested is not None:
            with pytest.raises(ConfigurationError, match=r"holds something|is taken"):
                scaffold(suggested[1], Path(__file__).parent)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="holds something already"):
        scaffold("notes", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigurationError, match="is no folder"):
        scaffold("notes", tmp_path / "file")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        scaffold("notes", tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert scaffold("notes", tmp_path)[0] == tmp_path


def test_a_plugin_works_with_the_cores_that_keep_the_interface() -> None:
    assert core_range("0.1.0") == ">=0.1,<0.2"
    assert core_range("0.12.3.dev1") == ">=0.12,<0.13"
    assert core_range("1.4.0") == ">=1.4,<2"


@pytest.mark.parametrize("name", ["x", "n" * MAX_NAME, "a-b-c-d-e-f-g-h-i-j-k-l"])
def test_python_files_fit_whatever_the_length_of_the_name(name: str) -> None:
    # The end-to-end test asks ruff and mypy; this one asks all lengths, without them.
    for path, text in rendered(Names(name)).items():
        if path.suffix == ".py":
            compile(text, str(path), "exec")
            assert max(map(len, text.splitlines()), default=0) <= 100, path


def test_every_template_ends_in_tmpl_so_that_no_tool_takes_it_for_code() -> None:
    strangers = [
        path
        for path in TEMPLATES.rglob("*")
        if path.is_file() and path.suffix != ".tmpl" and "__pycache__" not in path.parts
    ]
    assert strangers == []


def test_writing_a_new_backend_needs_nothing_but_the_core(tmp_path: Path) -> None:
    script = (
        "import sys; from fastadk_memory.scaffold import scaffold; scaffold('notes'); "
        "assert not {'typer', 'rich', 'pytest', 'hypothesis'} & set(sys.modules)"
    )
    root = Path(TEMPLATES).parents[1]
    environ = {**os.environ, "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environ, check=True)
