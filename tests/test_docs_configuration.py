"""docs/configuration.md: the files and variables that it shows say what it says.

Its Python is run by test_docs.py, as that of every page.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastadk_memory.config import Configuration, resolve
from fastadk_memory.layers import ENVIRONMENT
from fastadk_memory.policy import Policy

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
TEXT = PAGE.read_text(encoding="utf-8")
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
BLOCKS = [found.groups() for found in FENCE.finditer(TEXT)]
FILES = [(name, body) for kind, name, body in BLOCKS if kind in ("toml", "yaml")]
SECRETS = {"REDIS_PASSWORD": "secret", "REDIS_USER": "agent"}


def found_with(name: str, body: str, folder: Path, profile: str | None = None) -> Configuration:
    (folder / name).write_text(body, encoding="utf-8")
    return resolve(environ=SECRETS, cwd=folder, profile=profile)


def test_every_file_of_the_page_has_its_name() -> None:
    assert len(FILES) == 5
    assert {name for name, _ in FILES} == {"fastadk.toml", "fastadk.yaml", "pyproject.toml"}


@pytest.mark.parametrize(("name", "body"), FILES)
def test_every_file_of_the_page_is_read_without_an_error(
    name: str, body: str, tmp_path: Path
) -> None:
    found = found_with(name, body, tmp_path)
    assert [file.path.name for file in found.files if file.status == "read"] == [name]
    assert any(setting.source.startswith(name) for setting in found.settings)


def test_the_first_file_says_what_the_page_says(tmp_path: Path) -> None:
    found = found_with(*FILES[0], tmp_path)
    assert (found.backend, found.namespace, found.default_ttl) == ("redis", "support-bot", 3600)
    assert found.read_options() == {
        "url": "redis://localhost:6379/0",
        "prefix": "fastadk",
        "password": "secret",
    }
    test = found_with(*FILES[0], tmp_path, profile="test")
    assert (test.backend, test.options, test.namespace) == ("inmemory", {}, "support-bot")


def test_fastadks_own_file_is_read_as_the_page_says(tmp_path: Path) -> None:
    [(name, body)] = [file for file in FILES if file[0] == "fastadk.yaml"]
    found = found_with(name, body, tmp_path)
    assert (found.backend, found.url) == ("redis", "redis://localhost:6379/0")
    assert found.default_ttl == 3600


def test_the_secrets_of_the_page_are_found(tmp_path: Path) -> None:
    [(name, body)] = [file for file in FILES if '"secrets/redis"' in file[1]]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis").write_text("hidden\n")
    options = found_with(name, body, tmp_path).read_options()
    assert (options["username"], options["password"]) == ("agent", "hidden")


def test_the_policy_of_the_page_is_the_one_it_describes(tmp_path: Path) -> None:
    [(name, body)] = [file for file in FILES if "memory.plugins" in file[1]]
    assert found_with(name, body, tmp_path).policy == Policy(
        allow=frozenset({"fastadk-memory-inmemory", "fastadk-memory-redis"}),
        block=frozenset({"some-other-distribution"}),
        pins={"redis": "fastadk-memory-redis"},
    )


def test_the_variables_of_the_page_are_read(tmp_path: Path) -> None:
    [body] = [body for kind, _, body in BLOCKS if kind == "bash"]
    environ = dict(re.findall(r"^export (\w+)=(.*)$", body, re.MULTILINE))
    found = resolve(environ=environ, cwd=tmp_path)
    assert (found.backend, found.namespace) == ("file", "support-bot")
    assert found.options == {"path": "/var/lib/agent/memory.db"}


def test_the_page_lists_every_variable_there_is() -> None:
    section = TEXT.partition("\n## The environment\n")[2].partition("\n## ")[0]
    listed = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    names = {name for cell in listed for name in re.findall(r"`([\w<>]+)`", cell)}
    names = {f"FASTADK_MEMORY_PLUGINS{name}" if name[0] == "_" else name for name in names}
    assert names == set(ENVIRONMENT)
