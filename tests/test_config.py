"""fastadk_memory.config: the layers, each value with its source, and what is refused."""

from __future__ import annotations

import string
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastadk_memory.config import Configuration, Flags, load_policy, resolve
from fastadk_memory.errors import ConfigurationError, FastADKMemoryError
from fastadk_memory.registry import BackendRegistry, Policy
from fastadk_memory.secrets import MASK, looks_secret, shown


class Folder:
    """A working directory with files in it, an environment, and nothing else."""

    def __init__(self, path: Path, **files: str) -> None:
        self.path = path
        for name, text in files.items():
            self.write(name.replace("__", "."), text)

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.write_text(text, encoding="utf-8")
        return file

    def resolve(self, environ: dict[str, str] | None = None, **arguments: object) -> Configuration:
        return resolve(environ=environ or {}, cwd=self.path, **arguments)  # type: ignore[arg-type]

    def refuse(self, environ: dict[str, str] | None = None, **arguments: object) -> str:
        with pytest.raises(ConfigurationError) as caught:
            self.resolve(environ, **arguments)
        return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def sources(configuration: Configuration) -> dict[str, str]:
    return {each.key: each.source for each in configuration.settings}


def values(configuration: Configuration) -> dict[str, str]:
    return {each.key: each.value for each in configuration.settings}


# ------------------------------------------------------------------ the layers


def test_with_nothing_configured_the_backend_is_inmemory_by_default(folder: Folder) -> None:
    found = folder.resolve()
    assert (found.backend, found.url, found.options) == ("inmemory", None, {})
    assert (found.namespace, found.default_ttl, found.profile) == (None, None, None)
    assert found.policy == Policy()
    assert set(sources(found).values()) == {"default"}


LAYERS = (
    "the call",
    "--namespace",
    "FASTADK_MEMORY_NAMESPACE",
    "asked.toml [memory]",
    "fastadk.toml [memory]",
    "pyproject.toml [tool.fastadk.memory]",
)


@pytest.mark.parametrize("highest", range(len(LAYERS)), ids=LAYERS)
def test_of_all_layers_the_highest_that_has_a_key_counts(folder: Folder, highest: int) -> None:
    for index, (name, table) in enumerate(
        [
            ("asked.toml", "memory"),
            ("fastadk.toml", "memory"),
            ("pyproject.toml", "tool.fastadk.memory"),
        ],
        3,
    ):
        key = f'namespace = "n{index}"' if index >= highest else "default_ttl = 60"
        folder.write(name, f"[{table}]\n{key}\n")
    found = folder.resolve(
        {"FASTADK_MEMORY_NAMESPACE": "n2"} if highest <= 2 else {},
        namespace="n0" if highest == 0 else None,
        flags=Flags(namespace="n1" if highest <= 1 else None, config="asked.toml"),
    )
    assert found.namespace == f"n{highest}"
    assert sources(found)["namespace"] == LAYERS[highest]


def test_each_key_is_resolved_on_its_own(folder: Folder) -> None:
    folder.write("pyproject.toml", '[tool.fastadk.memory]\nnamespace = "bot"\ndefault_ttl = 60')
    folder.write("fastadk.toml", '[memory]\nbackend = "file"\n[memory.options]\npath = "a"\nx = 1')
    found = folder.resolve({"FASTADK_MEMORY_OPTIONS__PATH": "b"}, default_ttl=5)
    assert (found.backend, found.namespace, found.default_ttl) == ("file", "bot", 5)
    assert found.options == {"path": "b", "x": 1}
    assert found.sources == {
        "path": "FASTADK_MEMORY_OPTIONS__PATH",
        "x": "fastadk.toml [memory.options]",
    }


def test_every_variable_of_the_environment_counts(folder: Folder) -> None:
    folder.write("else.toml", "[memory.profiles.p]\n[memory.options]\na = 1")
    found = folder.resolve(
        {
            "FASTADK_MEMORY_BACKEND": "file",
            "FASTADK_MEMORY_NAMESPACE": "bot",
            "FASTADK_MEMORY_DEFAULT_TTL": "1.5",
            "FASTADK_MEMORY_PROFILE": "p",
            "FASTADK_MEMORY_CONFIG": "else.toml",
            "FASTADK_MEMORY_OPTIONS__PATH": "m.db",
            "FASTADK_MEMORY_OPTIONS__EMPTY": "",
            "FASTADK_MEMORY_PLUGINS__ALLOW": "One_dist, two",
            "FASTADK_MEMORY_PLUGINS__BLOCK": "three",
            "FASTADK_MEMORY_PLUGINS__PINS": "file=two, redis = One.Dist",
            "FASTADK_MEMORY__BACKEND_TYPE": "somebody else's",
            "FASTADK_MEMORY": "somebody else's",
            "HOME": "/",
        }
    )
    assert (found.backend, found.namespace, found.profile) == ("file", "bot", "p")
    assert found.default_ttl == 1.5
    assert found.options == {"path": "m.db", "empty": "", "a": 1}
    assert found.policy == Policy(
        allow=frozenset({"one-dist", "two"}),
        block=frozenset({"three"}),
        pins={"file": "two", "redis": "one-dist"},
    )


def test_the_url_of_the_environment_selects_the_backend(folder: Folder) -> None:
    found = folder.resolve({"FASTADK_MEMORY_URL": "redis+sentinel://h:1/0?prefix=p"})
    assert (found.backend, found.url) == ("redis", "redis+sentinel://h:1/0?prefix=p")
    assert sources(found)["backend"] == "FASTADK_MEMORY_URL"


@pytest.mark.parametrize(
    ("files", "read", "ignored"),
    [
        (["fastadk.toml", "fastadk.yaml"], "fastadk.toml", "fastadk.yaml"),
        (["fastadk.toml"], "fastadk.toml", None),
        (["fastadk.yaml"], "fastadk.yaml", None),
    ],
)
def test_fastadk_toml_counts_before_fastadk_yaml(
    folder: Folder, files: list[str], read: str, ignored: str | None
) -> None:
    texts = {
        "fastadk.toml": '[memory]\nnamespace = "fastadk.toml"',
        "fastadk.yaml": "memory:\n  namespace: fastadk.yaml",
    }
    for name in files:
        folder.write(name, texts[name])
    found = folder.resolve()
    assert found.namespace == read
    status = {file.path.name: file.status for file in found.files}
    assert status[read] == "read"
    assert [name for name, each in status.items() if each == "ignored"] == (
        [ignored] if ignored else []
    )
    assert any(ignored in note for note in found.notes) if ignored else found.notes == []


def test_the_file_that_is_asked_for_is_not_read_twice(folder: Folder) -> None:
    folder.write("fastadk.toml", "[memory]\ndefault_ttl = 5")
    found = folder.resolve(config="fastadk.toml")
    assert [file.status for file in found.files].count("read") == 1
    assert found.default_ttl == 5


def test_tables_of_others_are_left_alone(folder: Folder) -> None:
    folder.write("fastadk.toml", '[model]\nbackend = 3\n[memory]\nnamespace = "a"')
    folder.write("pyproject.toml", '[project]\nname = "x"\n[tool.fastadk.other]\nmemory = 1')
    found = folder.resolve()
    assert found.namespace == "a"
    assert {file.path.name: file.status for file in found.files} == {
        "fastadk.toml": "read",
        "pyproject.toml": "no table",
    }


def test_a_pyproject_that_does_not_mention_fastadk_is_not_even_parsed(folder: Folder) -> None:
    folder.write("pyproject.toml", "[project\n")
    assert folder.resolve().backend == "inmemory"
    folder.write("pyproject.toml", "[tool.fastadk.memory\n")
    assert folder.refuse().startswith("pyproject.toml is no valid TOML")


def test_a_file_of_fastadk_is_read_with_its_own_spellings(folder: Folder) -> None:
    folder.write(
        "fastadk.yaml",
        """
environment: dev
model: {provider: gemini}
memory:
  backend_type: redis
  connection_string: redis://localhost:6379/0
  ttl_seconds: 3600
  options:
  context_policy: {policy_type: most_recent}
""",
    )
    found = folder.resolve()
    assert (found.backend, found.url) == ("redis", "redis://localhost:6379/0")
    assert found.default_ttl == 3600


def test_null_in_yaml_is_not_given(folder: Folder) -> None:
    folder.write("fastadk.yaml", "memory:\n  backend_type: file\n  connection_string: null\n")
    assert folder.resolve().url is None


# ------------------------------------------------------------------ profiles

PROFILES = """
[memory]
backend = "redis"
namespace = "bot"
profile = "dev"
[memory.options]
prefix = "live"
[memory.profiles.dev]
namespace = "dev"
[memory.profiles.test]
backend = "inmemory"
[memory.profiles.test.options]
max_entries = 10
"""


def test_a_profile_overlays_the_base_of_its_file(folder: Folder) -> None:
    folder.write("fastadk.toml", PROFILES)
    found = folder.resolve(profile="test")
    assert (found.backend, found.namespace, found.profile) == ("inmemory", "bot", "test")
    assert found.options == {"max_entries": 10}
    assert found.sources["max_entries"] == "fastadk.toml [memory.profiles.test.options]"


def test_the_highest_layer_that_chooses_a_profile_counts(folder: Folder) -> None:
    folder.write("fastadk.toml", PROFILES)
    environ = {"FASTADK_MEMORY_PROFILE": "test"}
    assert folder.resolve().profile == "dev"
    assert folder.resolve().namespace == "dev"
    assert folder.resolve(environ).profile == "test"
    assert folder.resolve(environ, flags=Flags(profile="dev")).profile == "dev"
    assert folder.resolve(environ, profile="test", flags=Flags(profile="dev")).profile == "test"


def test_a_profile_counts_for_more_than_the_base_of_a_higher_file(folder: Folder) -> None:
    # What pyproject.toml calls "test" must not be sent into production by fastadk.toml.
    folder.write("fastadk.toml", '[memory]\nurl = "redis://production"')
    folder.write("pyproject.toml", '[tool.fastadk.memory.profiles.test]\nbackend = "inmemory"')
    found = folder.resolve(profile="test")
    assert (found.backend, found.url) == ("inmemory", None)


def test_the_environment_counts_for_more_than_a_profile(folder: Folder) -> None:
    folder.write("fastadk.toml", PROFILES)
    assert folder.resolve({"FASTADK_MEMORY_NAMESPACE": "x"}, profile="dev").namespace == "x"


def test_a_profile_that_is_defined_nowhere_is_refused_with_those_that_are(folder: Folder) -> None:
    folder.write("fastadk.toml", PROFILES)
    message = folder.refuse({"FASTADK_MEMORY_PROFILE": "tset"})
    assert message.startswith("FASTADK_MEMORY_PROFILE: no profile 'tset'")
    assert "did you mean 'test'?" in message
    assert "'dev', 'test'" in message


# --------------------------------------------------------- a backend and its options


def test_another_backend_drops_the_options_of_the_layers_below_and_says_so(
    folder: Folder,
) -> None:
    folder.write("fastadk.toml", '[memory]\nbackend = "redis"\n[memory.options]\nprefix = "p"')
    found = folder.resolve({"FASTADK_MEMORY_BACKEND": "file"}, options={"path": "m"})
    assert found.options == {"path": "m"}
    (note,) = found.notes
    assert note == (
        "FASTADK_MEMORY_BACKEND selects the backend 'file' and so drops "
        "the option prefix of fastadk.toml [memory.options]"
    )


def test_the_same_backend_keeps_them(folder: Folder) -> None:
    folder.write("fastadk.toml", '[memory]\nbackend = "redis"\n[memory.options]\nprefix = "p"')
    found = folder.resolve(backend="redis", options={"db": 1})
    assert found.options == {"prefix": "p", "db": 1}
    assert found.notes == []


def test_options_without_a_backend_are_for_the_one_that_is_named_above(folder: Folder) -> None:
    folder.write("fastadk.toml", '[memory.options]\nprefix = "p"')
    found = folder.resolve({"FASTADK_MEMORY_OPTIONS__DB": "1"}, backend="redis")
    assert found.options == {"prefix": "p", "db": "1"}
    assert folder.resolve(url="redis://h").options == {}


def test_a_further_name_of_the_same_backend_keeps_them(tmp_path: Path) -> None:
    metadata = tmp_path / "site" / "acme_redis-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-redis\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(
        "[fastadk.memory_backends]\nredis = acme_redis:B\nrediss = acme_redis:B\nfile = other:B\n"
    )
    registry = BackendRegistry(path=[str(tmp_path / "site")])
    folder = Folder(tmp_path)
    folder.write("fastadk.toml", '[memory]\nbackend = "redis"\n[memory.options]\nprefix = "p"')
    assert folder.resolve(backend="rediss", registry=registry).options == {"prefix": "p"}
    assert folder.resolve(backend="file", registry=registry).options == {}
    folder.write("fastadk.toml", '[memory]\nbackend = "redis"\nurl = "rediss://h"')
    assert folder.resolve(registry=registry).url == "rediss://h"
    folder.write("fastadk.toml", '[memory]\nbackend = "file"\nurl = "rediss://h"')
    assert "selects the backend 'rediss'" in folder.refuse(registry=registry)


def test_a_url_replaces_backend_url_and_options_of_the_layers_below(folder: Folder) -> None:
    # The same backend, but another server: it must not be sent the old one's password.
    folder.write(
        "fastadk.toml",
        '[memory]\nbackend = "redis"\ndefault_ttl = 9\n[memory.options]\npassword = "old"',
    )
    found = folder.resolve({"FASTADK_MEMORY_URL": "redis://new"}, options={"db": 2})
    assert (found.url, found.options, found.default_ttl) == ("redis://new", {"db": 2}, 9)
    assert "the option password of fastadk.toml" in found.notes[0]


def test_options_above_a_url_are_laid_over_it(folder: Folder) -> None:
    folder.write("fastadk.toml", '[memory]\nurl = "redis://h?prefix=a"')
    found = folder.resolve({"FASTADK_MEMORY_OPTIONS__PREFIX": "b"})
    assert (found.url, found.options) == ("redis://h?prefix=a", {"prefix": "b"})
    assert found.beside_url == frozenset()


def test_another_name_above_a_url_drops_the_url(folder: Folder) -> None:
    folder.write("fastadk.toml", '[memory]\nurl = "redis://h"')
    assert folder.resolve(backend="redis").url == "redis://h"
    assert folder.resolve(backend="inmemory").url is None


def test_namespace_and_default_ttl_in_a_url_are_the_cores_own(folder: Folder) -> None:
    found = folder.resolve(url="redis://h?namespace=a%2Fb&default_ttl=2&prefix=x")
    assert (found.namespace, found.default_ttl) == ("a/b", 2)
    assert found.url == "redis://h?prefix=x"
    assert sources(found)["namespace"] == "the call (its query)"


def test_what_a_url_says_about_the_namespace_goes_with_the_url(folder: Folder) -> None:
    folder.write("pyproject.toml", '[tool.fastadk.memory]\nnamespace = "base"')
    folder.write("fastadk.toml", '[memory]\nurl = "redis://h?namespace=a"')
    assert folder.resolve().namespace == "a"
    found = folder.resolve(url="redis://other")
    assert found.namespace == "base"
    assert "with what its query says" in found.notes[0]


def test_equal_statements_in_url_and_layer_are_no_conflict(folder: Folder) -> None:
    found = folder.resolve(url="redis://h?namespace=a&default_ttl=60", namespace="a")
    assert found.namespace == "a"
    assert folder.resolve(url="a://?default_ttl=60", default_ttl=timedelta(minutes=1)).backend


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"url": "redis://h?namespace=a", "namespace": "b"}, "namespace"),
        ({"url": "redis://h?default_ttl=60", "default_ttl": 61}, "default_ttl"),
        ({"url": "redis://h?prefix=a", "options": {"prefix": "b"}}, "the option prefix"),
        ({"url": "redis://h", "options": {"url": "redis://i"}}, "the option url"),
        ({"url": "redis://h", "backend": "file"}, "selects the backend 'redis'"),
    ],
)
def test_a_url_that_contradicts_its_own_layer_is_refused(
    folder: Folder, arguments: dict[str, object], what: str
) -> None:
    message = folder.refuse(**arguments)
    assert message.startswith("the call: the URL")
    assert what in message


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "fastadk.toml",
            '[memory]\nbakend = "x"',
            "fastadk.toml [memory]: unknown key 'bakend'; did you mean 'backend'?",
        ),
        (
            "fastadk.toml",
            "[memory.profiles.a]\nprofiles = {}",
            "fastadk.toml [memory.profiles.a]: unknown key 'profiles'",
        ),
        (
            "fastadk.toml",
            "[memory.plugins]\nblok = []",
            "fastadk.toml [memory.plugins]: unknown key 'blok'; did you mean 'block'?",
        ),
        (
            "pyproject.toml",
            "[tool.fastadk.memory]\nnamespace = 5",
            "pyproject.toml [tool.fastadk.memory]: namespace must be a string, not an integer",
        ),
        (
            "fastadk.toml",
            '[memory]\ndefault_ttl = "60"',
            "fastadk.toml [memory]: default_ttl must be a number of seconds",
        ),
        (
            "fastadk.toml",
            "[memory]\nttl_seconds = 0",
            "fastadk.toml [memory]: ttl_seconds: a TTL must lie between",
        ),
        (
            "fastadk.toml",
            "[memory]\ndefault_ttl = nan",
            "fastadk.toml [memory]: default_ttl: a TTL must lie between",
        ),
        (
            "fastadk.toml",
            '[memory]\nnamespace = ""',
            "fastadk.toml [memory]: namespace must not be empty",
        ),
        (
            "fastadk.toml",
            "[memory]\noptions = 3",
            "fastadk.toml [memory.options] must be a table, not an integer",
        ),
        (
            "fastadk.toml",
            '[memory]\nbackend = "redis://x"',
            "fastadk.toml [memory]: backend is a name, not a URL",
        ),
        (
            "fastadk.toml",
            '[memory]\nurl = "localhost"',
            "fastadk.toml [memory]: this is no URL of a backend",
        ),
        (
            "fastadk.toml",
            '[memory]\nbackend = "a"\nbackend_type = "a"',
            "fastadk.toml [memory]: backend and backend_type mean the same; keep one of them",
        ),
        (
            "fastadk.toml",
            '[memory.options]\nnamespace = "a"',
            "fastadk.toml [memory.options]: namespace is no option of a backend",
        ),
        ("fastadk.toml", "memory = 3", "fastadk.toml [memory] must be a table, not an integer"),
        ("pyproject.toml", "tool.fastadk = 3", "pyproject.toml: [tool.fastadk] must be a table"),
        (
            "fastadk.toml",
            '[memory.plugins]\nblock = "a"',
            "fastadk.toml [memory.plugins]: block must be a list",
        ),
        (
            "fastadk.toml",
            '[memory.plugins]\nallow = ["redis>=1"]',
            "fastadk.toml [memory.plugins]: allow: this is no name of a distribution",
        ),
        ("fastadk.toml", "[memory]\na = = 1", "fastadk.toml is no valid TOML: "),
        ("fastadk.toml", "x = " + "[" * 100_000, "fastadk.toml is no valid TOML: "),
        ("fastadk.toml", "x = " + "1" * 5_000, "fastadk.toml is no valid TOML: "),
        ("fastadk.yaml", "memory:\n  a: [", "fastadk.yaml, line 2: this is no valid YAML"),
        ("fastadk.yaml", "memory: !!timestamp x", "fastadk.yaml is no valid YAML: "),
        ("fastadk.yaml", "memory:\n  1: a", "fastadk.yaml [memory]: a key must be a string"),
        ("fastadk.yaml", "- a", "fastadk.yaml: the whole file must be a table"),
        (
            "fastadk.yaml",
            "memory: {options: {a: &a [*a]}}",
            "fastadk.yaml [memory.options]: a is nested over 50 deep",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_the_key(
    folder: Folder, name: str, text: str, message: str
) -> None:
    folder.write(name, text)
    assert folder.refuse().startswith(message)


def test_a_document_that_unfolds_without_end_is_refused(folder: Folder) -> None:
    lines = ["memory:", "  options:", "    a0: &a0 [x, x]"]
    lines += [f"    a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    folder.write("fastadk.yaml", "\n".join(lines))
    assert "over 100000 parts" in folder.refuse()


def test_a_syntax_error_names_the_line(folder: Folder) -> None:
    folder.write("fastadk.toml", '[memory]\n\npassword = "s3cret\n')
    message = folder.refuse()
    assert "line 3" in message
    assert "s3cret" not in message


def test_bytes_that_are_no_utf8_are_refused_with_their_line(folder: Folder) -> None:
    (folder.path / "fastadk.toml").write_bytes(b"[memory]\n# \xff\n")
    assert folder.refuse().startswith("fastadk.toml, line 2: this is no UTF-8 text")


def test_a_byte_order_mark_is_no_error(folder: Folder) -> None:
    (folder.path / "fastadk.toml").write_bytes(b'\xef\xbb\xbf[memory]\nnamespace = "a"')
    assert folder.resolve().namespace == "a"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"FASTADK_MEMORY_NAMESPACE": ""}, "FASTADK_MEMORY_NAMESPACE is set but empty"),
        ({"FASTADK_MEMORY_DEFAULT_TTL": "soon"}, "FASTADK_MEMORY_DEFAULT_TTL: default_ttl must"),
        ({"FASTADK_MEMORY_DEFAULT_TTL": "nan"}, "FASTADK_MEMORY_DEFAULT_TTL: default_ttl: a TTL"),
        ({"FASTADK_MEMORY_DEFAULT_TTL": "0"}, "FASTADK_MEMORY_DEFAULT_TTL: default_ttl: a TTL"),
        ({"FASTADK_MEMORY_NAMESPCE": "a"}, "the environment: unknown variable"),
        ({"FASTADK_MEMORY_OPTIONS__": "a"}, "FASTADK_MEMORY_OPTIONS__: the name of the option"),
        ({"FASTADK_MEMORY_URL": "x"}, "FASTADK_MEMORY_URL: this is no URL"),
        ({"FASTADK_MEMORY_PLUGINS__PINS": "redis"}, "FASTADK_MEMORY_PLUGINS__PINS: a pin must"),
        ({"FASTADK_MEMORY_PLUGINS__PINS": "a=b,a=c"}, "FASTADK_MEMORY_PLUGINS__PINS: the backend"),
        ({"FASTADK_MEMORY_PLUGINS__BLOCK": "a b"}, "FASTADK_MEMORY_PLUGINS__BLOCK: this is no"),
        (
            {"FASTADK_MEMORY_OPTIONS__A": "1", "FASTADK_MEMORY_OPTIONS__a": "2"},
            "FASTADK_MEMORY_OPTIONS__A and FASTADK_MEMORY_OPTIONS__a both give the option",
        ),
    ],
)
def test_a_bad_variable_is_refused_with_its_name(
    folder: Folder, environ: dict[str, str], message: str
) -> None:
    assert folder.refuse(environ).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": 3}, "the call: backend must be a string"),
        ({"namespace": ""}, "the call: namespace must not be empty"),
        ({"namespace": "\ud800"}, "the call: namespace must be text that UTF-8 can express"),
        ({"default_ttl": "60"}, "the call: default_ttl must be a number"),
        ({"default_ttl": True}, "the call: default_ttl must be a number"),
        ({"default_ttl": -1}, "the call: default_ttl: a TTL must lie"),
        ({"options": [1]}, "the call: options must be a mapping"),
        ({"flags": Flags(default_ttl="x")}, "--default-ttl: default_ttl must be a number"),
        ({"flags": Flags(options={"default_ttl": "5"})}, "--option default_ttl: default_ttl is no"),
        ({"config": "absent.toml"}, "the call names 'absent.toml', which does not exist"),
        ({"config": "memory.json"}, "the call names 'memory.json', which is neither .toml nor"),
        ({"config": ""}, "the call must be the path of a file"),
        ({"config": "a\0.toml"}, "'a\\x00.toml' cannot be read: no valid path"),
        ({"cwd": 3}, "cwd must be the path of a folder"),
    ],
)
def test_a_bad_argument_is_refused_with_its_name(
    folder: Folder, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(**{"environ": {}, "cwd": folder.path, **arguments})  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_a_missing_file_that_was_asked_for_is_refused_with_who_asked(folder: Folder) -> None:
    message = folder.refuse({"FASTADK_MEMORY_CONFIG": "absent.toml"})
    assert message.startswith("FASTADK_MEMORY_CONFIG names 'absent.toml', which does not exist")
    assert folder.refuse(flags=Flags(config="b.toml")).startswith("--config names 'b.toml'")


def test_a_file_that_was_asked_for_must_have_the_table(folder: Folder) -> None:
    folder.write("a.toml", "[other]")
    assert "which has no table [memory]" in folder.refuse(config="a.toml")


def test_yaml_without_pyyaml_tells_the_command_that_installs_it(tmp_path: Path) -> None:
    (tmp_path / "fastadk.yaml").write_text("memory: {namespace: a}\n")
    script = (
        "import sys; sys.modules['yaml'] = None\n"
        "from fastadk_memory.config import resolve\n"
        f"try: resolve(environ={{}}, cwd={str(tmp_path)!r})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ran.stdout.startswith("ConfigurationError fastadk.yaml is there"), ran.stderr
    assert f"{sys.executable} -m pip install 'fastadk-memory[yaml]'" in ran.stdout


# ------------------------------------------------------------------ secrets


def test_a_secret_is_read_at_opening_and_shown_as_the_reference_that_it_is(
    folder: Folder,
) -> None:
    folder.write("redis-password", "s3cret-from-file\n\n")
    folder.write(
        "fastadk.toml",
        """[memory]
backend = "redis"
[memory.options]
user = { env = "REDIS_USER" }
login = { file = "redis-password" }
nodes = [{ host = "a", key = { env = "REDIS_USER" } }, { host = "b" }]
""",
    )
    environ = {"REDIS_USER": "s3cret-from-env"}
    found = folder.resolve(environ)
    assert "s3cret" not in repr(found) + str(found.settings) + repr(found.options)
    assert values(found)["options.user"] == f"{MASK} (from env 'REDIS_USER')"
    assert found.read_options() == {
        "user": "s3cret-from-env",
        "login": "s3cret-from-file\n",
        "nodes": [{"host": "a", "key": "s3cret-from-env"}, {"host": "b"}],
    }


@pytest.mark.parametrize(
    ("data", "secret"),
    [
        (b"a", "a"),
        (b"a\n", "a"),
        (b"a\r\n", "a"),
        (b"a\r\n\r\n", "a\r\n"),
        (b"a\r", "a\r"),
        (b"", ""),
        (b" a \n", " a "),
    ],
)
def test_one_newline_at_the_end_of_a_secret_file_is_not_part_of_it(
    folder: Folder, data: bytes, secret: str
) -> None:
    (folder.path / "secret").write_bytes(data)
    found = folder.resolve(options={"login": {"file": str(folder.path / "secret")}})
    assert found.read_options() == {"login": secret}


def test_a_relative_secret_file_lies_beside_the_configuration_file(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "secret").write_text("x")
    (tmp_path / "etc" / "memory.toml").write_text('[memory.options]\na = { file = "secret" }')
    found = resolve(config="etc/memory.toml", environ={}, cwd=tmp_path)
    assert found.read_options() == {"a": "x"}


@pytest.mark.parametrize("reference", ['{ env = "ABSENT" }', '{ file = "absent" }'])
def test_a_missing_secret_is_refused_with_option_and_source(folder: Folder, reference: str) -> None:
    folder.write("fastadk.toml", f"[memory.options]\npassword = {reference}")
    found = folder.resolve()
    with pytest.raises(ConfigurationError, match="password refers to the") as caught:
        found.read_options()
    assert str(caught.value).startswith("fastadk.toml [memory.options]: ")


def test_a_secret_file_that_is_no_text_is_refused_without_its_bytes(folder: Folder) -> None:
    (folder.path / "secret").write_bytes(b"hunter2\xff")
    folder.write("fastadk.toml", '[memory.options]\npassword = { file = "secret" }')
    with pytest.raises(ConfigurationError, match="is no UTF-8 text") as caught:
        folder.resolve().read_options()
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("reference", ["{ env = 3 }", '{ file = "" }'])
def test_a_reference_to_nothing_is_refused(folder: Folder, reference: str) -> None:
    folder.write("fastadk.toml", f"[memory.options]\na = {reference}")
    assert folder.refuse().startswith("fastadk.toml [memory.options]: a is to be read from")


def test_options_of_a_call_without_references_are_passed_as_the_objects_they_are(
    folder: Folder,
) -> None:
    nodes: list[object] = [{"host": "a"}, object()]
    found = folder.resolve(options={"nodes": nodes})
    assert found.read_options()["nodes"] is nodes


@pytest.mark.parametrize(
    "name",
    "password redis_password PASSWORD passwd pwd token api_key apiKey apikey access-key secret "
    "client_secret auth credentials encryption_key private_key passphrase db_pass".split(),
)
def test_names_that_look_secret_are_masked(name: str) -> None:
    assert looks_secret(name)
    assert shown(name, "hunter2") == MASK
    assert shown("options", {name: ["hunter2", {"a": "hunter2"}]}) == f'{{"{name}": "{MASK}"}}'


@pytest.mark.parametrize("name", "path prefix host max_key_bytes keyspace key_prefix url".split())
def test_other_names_are_shown(name: str) -> None:
    assert not looks_secret(name)
    assert shown(name, "x") == "x"


def test_passwords_in_urls_are_masked_wherever_the_url_stands(folder: Folder) -> None:
    found = folder.resolve(
        {"FASTADK_MEMORY_OPTIONS__SERVERS": "redis://u:hunter2@h"},
        url="redis://u:hunter2@h/0?password=hunter2&x=1",
        options={"nodes": ["redis://:hunter2@i"]},
    )
    assert "hunter2" not in repr(found) + str(found.settings) + str(found.notes)
    assert values(found)["url"] == "redis://u:***@h/0?password=***&x=1"


def test_of_objects_only_the_type_is_shown() -> None:
    class Clock:
        def __repr__(self) -> str:
            return "hunter2"

    assert shown("clock", Clock()) == "<Clock>"
    assert shown("text", "\x1b[31m") == "'\\x1b[31m'"
    assert len(shown("long", "x" * 10_000)) == 200
    assert shown("many", 10**5_000) == "a number of over 20 digits"


# ------------------------------------------------------------------ the policy


def test_each_key_of_the_policy_comes_from_the_highest_layer_that_has_it(folder: Folder) -> None:
    folder.write(
        "pyproject.toml",
        '[tool.fastadk.memory.plugins]\nallow = ["a", "b"]\nblock = ["c"]\npins = { x = "a" }',
    )
    folder.write("fastadk.toml", '[memory.plugins]\nblock = ["D_d"]')
    environ = {"FASTADK_MEMORY_PLUGINS__ALLOW": "e"}
    expected = Policy(allow=frozenset({"e"}), block=frozenset({"d-d"}), pins={"x": "a"})
    assert load_policy(environ, folder.path) == expected
    found = folder.resolve(environ)
    assert found.policy == expected
    assert values(found)["plugins.block"] == '["d-d"]'
    assert sources(found)["plugins.allow"] == "FASTADK_MEMORY_PLUGINS__ALLOW"
    assert sources(found)["plugins.block"] == "fastadk.toml [memory.plugins]"


def test_an_empty_allow_list_allows_nothing(folder: Folder) -> None:
    folder.write("fastadk.toml", "[memory.plugins]\nallow = []")
    assert load_policy({}, folder.path).allow == frozenset()


def test_the_policy_of_a_file_that_was_asked_for_counts(folder: Folder) -> None:
    folder.write("a.toml", '[memory.plugins]\nblock = ["x"]')
    for environ, config in (({"FASTADK_MEMORY_CONFIG": "a.toml"}, None), ({}, "a.toml")):
        assert load_policy(environ, folder.path, config).block == {"x"}


def test_no_policy_is_read_from_a_table_with_an_unknown_key(folder: Folder) -> None:
    folder.write("fastadk.toml", '[memory.plugin]\nblock = ["x"]')
    with pytest.raises(ConfigurationError, match="unknown key 'plugin'; did you mean 'plugins'"):
        load_policy({}, folder.path)


# ------------------------------------------------------------------ open input

SECRET = "hunter2-s3cr3t"
KEYS = st.sampled_from(
    "backend url namespace default_ttl profile options profiles plugins backend_type "
    "connection_string ttl_seconds context_policy allow block pins prefix password env file "
    "bakend".split()
) | st.text(max_size=5)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [f"redis://u:{SECRET}@h", f"redis://:{SECRET}@h?namespace=a", "redis", "file://x#y", "a://"]
    )
)
TABLES = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=4),
    lambda inner: st.dictionaries(KEYS, LEAVES | inner | st.lists(LEAVES | inner), max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(
    "FASTADK_MEMORY_BACKEND FASTADK_MEMORY_URL FASTADK_MEMORY_NAMESPACE FASTADK_MEMORY_DEFAULT_TTL "
    "FASTADK_MEMORY_PROFILE FASTADK_MEMORY_CONFIG FASTADK_MEMORY_OPTIONS__A FASTADK_MEMORY_BACKND "
    "FASTADK_MEMORY_OPTIONS__ FASTADK_MEMORY_PLUGINS__ALLOW FASTADK_MEMORY_PLUGINS__BLOCK "
    "FASTADK_MEMORY_PLUGINS__PINS FASTADK_MEMORY_OPTIONS__PASSWORD FASTADK_MEMORY_".split()
)
# Where only a secret may stand; a backend called like one is the user's own doing.
SECRET_PLACES = {
    "FASTADK_MEMORY_URL": f"redis://u:{SECRET}@h?password={SECRET}&a=1",
    "FASTADK_MEMORY_OPTIONS__PASSWORD": SECRET,
    "FASTADK_MEMORY_OPTIONS__URL": f"redis://:{SECRET}@h",
}


def outcome(**arguments: object) -> str:
    """Everything that one could see of a configuration, or of the error instead of it."""
    try:
        found = resolve(**arguments)  # type: ignore[arg-type]
    except FastADKMemoryError as error:
        return str(error)
    assert isinstance(found, Configuration)
    return f"{found!r} {found.settings} {found.notes} {found.files}"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@given(table=TABLES, profile=st.none() | KEYS)
def test_any_yaml_table_gives_a_configuration_or_the_clear_error_and_no_secret(
    scratch: Path, table: dict[str, object], profile: str | None
) -> None:
    import json

    (scratch / "fastadk.yaml").write_text(json.dumps({"memory": table}), encoding="utf-8")
    assert SECRET not in outcome(environ={}, cwd=scratch, profile=profile)


@given(text=st.text(max_size=60) | st.binary(max_size=60))
def test_any_file_gives_a_configuration_or_the_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str | bytes
) -> None:
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    folder = tmp_path_factory.mktemp("any")
    for name in ("a.toml", "a.yaml"):
        (folder / name).write_bytes(data)
        outcome(config=name, environ={}, cwd=folder)
        (folder / name).write_bytes(b"memory:\n " + data)
        outcome(config=name, environ={}, cwd=folder)
        (folder / name).write_bytes(b"[memory]\n" + data)
        outcome(config=name, environ={}, cwd=folder)


@given(
    environ=st.dictionaries(NAMES, st.text(max_size=12), max_size=4),
    secret=st.sampled_from(sorted(SECRET_PLACES)),
)
def test_any_environment_gives_a_configuration_or_the_clear_error_and_no_secret(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str], secret: str
) -> None:
    folder = tmp_path_factory.mktemp("environ")
    environ = {**environ, secret: SECRET_PLACES[secret]}
    assert SECRET not in outcome(environ=environ, cwd=folder)


ANYTHING = st.none() | st.integers() | st.text(max_size=8) | st.binary(max_size=3) | st.just(SECRET)


@given(
    arguments=st.fixed_dictionaries(
        {},
        optional={
            "url": st.just(f"redis://u:{SECRET}@h") | st.integers(),
            "namespace": st.none() | st.integers() | st.text(max_size=5),
            "default_ttl": st.none() | st.floats() | st.integers() | st.text() | st.timedeltas(),
            "options": st.dictionaries(
                st.sampled_from(["password", "token", "api_key"]), ANYTHING | TABLES
            )
            | st.integers(),
            "backend": st.sampled_from(["redis", "file", "", 5]),
            "config": st.integers() | st.text(alphabet=string.ascii_letters + ".\0", max_size=6),
        },
    )
)
def test_any_arguments_give_a_configuration_or_the_clear_error_and_no_secret(
    scratch: Path, arguments: dict[str, object]
) -> None:
    empty = scratch / "empty"
    empty.mkdir(exist_ok=True)
    assert SECRET not in outcome(environ={}, cwd=empty, **arguments)


@given(name=st.text(min_size=1), value=st.recursive(LEAVES, st.lists))
def test_anything_can_be_shown_on_one_line(name: str, value: object) -> None:
    text = shown(name, value)
    assert isinstance(text, str)
    assert len(text) <= 200
    assert "\n" not in text
    assert SECRET not in text


@given(text=st.text(max_size=30), name=st.text(min_size=1, max_size=10))
def test_a_value_that_is_not_secret_is_shown_as_it_is(text: str, name: str) -> None:
    assume("://" not in text and text.isprintable() and not looks_secret(name))
    assert shown(name, text) == text
