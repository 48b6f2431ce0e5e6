"""Everything about a backend is decided before its plugin is imported, and explained."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributions import backend_source, build_wheel, install, unique
from hypothesis import given
from hypothesis import strategies as st

import fastadk_memory
from fastadk_memory.base import API_VERSION, MemoryBackend
from fastadk_memory.errors import (
    BackendBlockedError,
    BackendConflictError,
    BackendLoadError,
    BackendNotFoundError,
    ConfigurationError,
    FastADKMemoryError,
    IncompatibleBackendError,
)
from fastadk_memory.registry import BackendInfo, BackendRegistry, Policy, install_command

ROOT = str(Path(fastadk_memory.__file__).parents[1])


class Site:
    """A folder of its own on `sys.path`, with distributions in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, version: str = "1.0", **names: str) -> str:
        """Install a distribution whose backends all are one class; return its module."""
        module = unique()
        source = names.pop("source", backend_source())
        backends = {name: target.format(module) for name, target in names.items()}
        modules = {f"{module}.py": source}
        install(self.folder, distribution, version, backends=backends, modules=modules)
        return module

    def registry(self, policy: Policy | Callable[[], Policy] | None = None) -> BackendRegistry:
        return BackendRegistry(path=[str(self.folder)], policy=policy)


@pytest.fixture
def site(tmp_path, monkeypatch) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Site(folder)


namespace: dict[str, Any] = {}
exec(backend_source(), namespace)
Nine: type[MemoryBackend] = namespace["Backend"]


def message(error: type[FastADKMemoryError], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return str(caught.value)


# -------------------------------------------------------------------------- listing


def test_listing_imports_no_plugin_and_loading_exactly_the_one_asked_for(site):
    one = site.install("plugin-one", one="{}:Backend")
    two = site.install("plugin-two", two="{}:Backend")
    registry = site.registry()
    assert registry.names() == ["one", "two"]
    assert [info.name for info in registry.infos()] == ["one", "two"]
    registry.info("one")
    registry.problems()
    assert not {one, two} & set(sys.modules)
    assert registry.load("one").__module__ == one
    assert two not in sys.modules


def test_a_line_of_the_listing_says_all_that_the_metadata_says(site):
    module = site.install("Some_Plugin", "1.2", x="{}:Backend [extra]")
    location = str(site.folder / "Some_Plugin-1.2.dist-info")
    info = BackendInfo("x", (), "Some_Plugin", "1.2", f"{module}:Backend", location, "ok", None)
    assert site.registry().infos() == [info]
    assert site.registry().info("x") == info


def test_names_of_one_object_of_one_distribution_fold_into_one_line(site):
    site.install(
        "fastadk-memory-redis",
        valkey="{}:Backend",
        rediss="{}: Backend",
        redis="{}:Backend",
        other="{}:Other",
    )
    site.install("third-party", second="{}:Backend", first="{}:Backend")
    registry = site.registry()
    lines = [(info.name, info.aliases) for info in registry.infos()]
    # Named after its distribution, else the first of its file.
    assert lines == [("other", ()), ("redis", ("rediss", "valkey")), ("second", ("first",))]
    assert registry.names() == ["first", "other", "redis", "rediss", "second", "valkey"]
    assert registry.info("valkey").name == "redis"
    assert registry.load("valkey") is registry.load("redis")


def test_a_broken_plugin_and_a_malformed_package_stop_nothing_but_themselves(site):
    site.install("good", good="{}:Backend")
    site.install("broken", broken="{}:Backend", source="raise RuntimeError('at import')")
    (install(site.folder, "bad") / "entry_points.txt").write_bytes(
        b"[fastadk.memory_backends]\nno equals\n\xff = x:y\n"
    )
    (site.folder / "-x.dist-info").mkdir()
    registry = site.registry()
    assert registry.names() == ["broken", "good"]
    message(BackendLoadError, lambda: registry.load("broken"))
    assert isinstance(registry.create("good"), MemoryBackend)
    assert len(registry.problems()) == 2


def test_an_invalid_name_is_a_problem_and_not_a_backend(site):
    site.install("shouting", ok="{}:Backend", SHOUT="{}:Backend")
    registry = site.registry()
    assert registry.names() == ["ok"]
    (problem,) = registry.problems()
    assert "shouting" in problem.what
    assert "'SHOUT'" in problem.what
    message(BackendNotFoundError, lambda: registry.load("SHOUT"))


# --------------------------------------------------------------------- unknown names


def test_an_unknown_name_gets_the_nearest_and_what_is_installed(site):
    site.install("plugin", sqlite="{}:Backend", lmdb="{}:Backend")
    text = message(BackendNotFoundError, lambda: site.registry().load("sqlit"))
    for part in ("'sqlit'", "did you mean 'sqlite'", "installed: lmdb, sqlite"):
        assert part in text
    assert "pip" not in text


@pytest.mark.parametrize("name", ["redis", "rediss", "valkey"])
def test_an_official_backend_that_is_missing_gets_its_exact_command(site, name):
    text = message(BackendNotFoundError, lambda: site.registry().load(name))
    assert f"{sys.executable} -m pip install fastadk-memory-redis" in text


def test_a_misspelt_official_name_gets_the_command_of_the_right_one(site):
    text = message(BackendNotFoundError, lambda: site.registry().create("reddis"))
    assert "did you mean 'redis'" in text
    assert text.endswith(f"{sys.executable} -m pip install fastadk-memory-redis")


@given(st.text())
def test_no_package_name_is_ever_made_up_from_what_the_user_typed(name):
    official = {f"fastadk-memory-{each}" for each in ("inmemory", "file", "redis")}
    command = install_command(name)
    assert command is None or command.split()[-1] in official
    try:
        BackendRegistry(path=[]).load(name)
    except BackendNotFoundError as error:
        _, pip, package = str(error).rpartition(" -m pip install ")
        assert not pip or package in official


def test_the_command_is_quoted_for_a_shell(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/opt/my python's/bin/python")
    command = install_command("redis")
    assert command is not None
    import shlex

    assert shlex.split(command) == [
        "/opt/my python's/bin/python", "-m", "pip", "install", "fastadk-memory-redis",
    ]  # fmt: skip


def test_a_url_in_the_place_of_a_name_does_not_show_its_password(site):
    text = message(BackendNotFoundError, lambda: site.registry().load("redis://u:hunter2@h"))
    assert "hunter2" not in text


# ------------------------------------------------------------- policy, conflicts, pins


def test_two_distributions_that_claim_a_name_are_a_conflict_that_names_both_and_the_pin(site):
    site.install("fastadk-memory-redis", "1.2", redis="{}:Backend", rediss="{}:Backend")
    site.install("A-Claimant", "0.1", redis="{}:Backend")
    registry = site.registry()
    for call in (registry.load, registry.create, registry.info):
        text = message(BackendConflictError, lambda call=call: call("redis"))
        for part in (
            "fastadk-memory-redis 1.2",
            "A-Claimant 0.1",
            'pins = { redis = "fastadk-memory-redis" }',
            "[memory.plugins]",
            "FASTADK_MEMORY_PLUGINS__PINS=redis=fastadk-memory-redis",
        ):
            assert part in text
    # The name that only one claims works on.
    assert registry.names() == ["rediss"]
    assert [(i.name, i.distribution, i.status) for i in registry.infos()] == [
        ("redis", "A-Claimant", "conflict"),
        ("redis", "fastadk-memory-redis", "conflict"),
        ("rediss", "fastadk-memory-redis", "ok"),
    ]


def test_the_winner_of_a_conflict_does_not_depend_on_the_order_of_the_path(site, tmp_path):
    other = tmp_path / "other"
    install(other, "b", backends={"x": "m:x"})
    site.install("a", x="{}:Backend")
    for path in ([site.folder, other], [other, site.folder]):
        registry = BackendRegistry(path=[str(folder) for folder in path])
        message(BackendConflictError, lambda registry=registry: registry.load("x"))


def test_each_name_of_a_conflict_has_its_own_line_and_advice(site):
    site.install("plugin-a", x="{}:Backend", y="{}:Backend")
    site.install("plugin-b", x="{}:Backend", y="{}:Backend")
    lines = site.registry().infos()
    assert [line.name for line in lines] == ["x", "x", "y", "y"]
    assert all(f"'{line.name}'" in str(line.problem) for line in lines)


@pytest.mark.parametrize("spelling", ["Plugin_B", "plugin-b", "PLUGIN.B"])
def test_a_pin_settles_a_conflict_in_any_spelling(site, spelling):
    site.install("plugin-a", x="{}:Backend")
    module = site.install("Plugin.B", x="{}:Backend")
    registry = site.registry(Policy(pins={"x": spelling}))
    assert registry.names() == ["x"]
    assert registry.load("x").__module__ == module
    assert [(info.distribution, info.status) for info in registry.infos()] == [
        ("Plugin.B", "ok"),
        ("plugin-a", "blocked"),
    ]
    assert registry.problems() == []


def test_the_pin_that_the_message_shows_is_read_as_toml_and_settles_it(site):
    import tomllib

    site.install("plugin-a", **{"x.y": "{}:Backend"})
    site.install("plugin-b", **{"x.y": "{}:Backend"})
    text = message(BackendConflictError, lambda: site.registry().load("x.y"))
    line = "pins = {" + text.partition("pins = {")[2].partition("}")[0] + "}"
    pins = tomllib.loads(line)["pins"]
    assert site.registry(Policy(pins=pins)).load("x.y")


def test_a_pin_to_what_is_not_installed_says_so_even_if_one_other_is(site):
    site.install("plugin-a", redis="{}:Backend")
    registry = site.registry(Policy(pins={"redis": "fastadk_memory_redis", "y": "z"}))
    text = message(ConfigurationError, lambda: registry.load("redis"))
    for part in ("pinned", "fastadk-memory-redis", "not installed", "plugin-a 1.0", "pip install"):
        assert part in text
    assert registry.names() == []
    message(ConfigurationError, lambda: registry.load("y"))
    (problem,) = registry.problems()
    assert "'y'" in problem.what
    assert "z" in problem.what


def test_a_blocked_distribution_cannot_spoil_the_name_of_another(site):
    good = site.install("good", x="{}:Backend")
    bad = site.install("evil", x="{}:Backend", y="{}:Backend")
    registry = site.registry(Policy(block=frozenset({"EVIL"})))
    assert registry.names() == ["x"]
    assert registry.load("x").__module__ == good
    text = message(BackendBlockedError, lambda: registry.load("y"))
    assert "evil 1.0" in text
    assert "FASTADK_MEMORY_PLUGINS__BLOCK" in text
    lines = [(info.distribution, info.name, info.aliases, info.status) for info in registry.infos()]
    assert lines == [("evil", "x", ("y",), "blocked"), ("good", "x", (), "ok")]
    assert bad not in sys.modules


def test_block_wins_over_allow_and_over_a_pin(site):
    site.install("plugin", x="{}:Backend")
    policy = Policy(allow=frozenset({"plugin"}), block=frozenset({"plugin"}), pins={"x": "plugin"})
    message(BackendBlockedError, lambda: site.registry(policy).load("x"))
    assert [info.status for info in site.registry(policy).infos()] == ["blocked"]


def test_an_allow_list_permits_what_it_names_and_nothing_else(site):
    site.install("one", one="{}:Backend")
    site.install("two", two="{}:Backend")
    registry = site.registry(Policy(allow=frozenset({"One"})))
    assert registry.names() == ["one"]
    assert "FASTADK_MEMORY_PLUGINS__ALLOW" in message(
        BackendBlockedError, lambda: registry.load("two")
    )
    assert site.registry(Policy(allow=frozenset())).names() == []


def test_a_policy_that_is_asked_for_counts_from_the_next_decision_on(site):
    site.install("plugin", x="{}:Backend")
    policies = [Policy(), Policy(block=frozenset({"plugin"}))]
    registry = site.registry(lambda: policies[0])
    assert registry.load("x")
    policies.reverse()
    message(BackendBlockedError, lambda: registry.load("x"))


def test_one_distribution_that_gives_a_name_twice_is_a_conflict_too(site):
    info = install(site.folder, "twice")
    (info / "entry_points.txt").write_text("[fastadk.memory_backends]\nx = m:a\nx = m:b\nx=m:b\n")
    text = message(BackendConflictError, lambda: site.registry().load("x"))
    assert "(m:a)" in text
    assert "(m:b)" in text


# -------------------------------------------------------------------------- loading


@pytest.mark.parametrize(
    ("source", "target", "parts", "cause"),
    [
        ("raise RuntimeError('boom')", "{}:Backend", ["RuntimeError: boom"], RuntimeError),
        ("raise SystemExit(3)", "{}:Backend", ["SystemExit: 3"], SystemExit),
        ("def f(:", "{}:Backend", ["SyntaxError"], SyntaxError),
        ("import not_there", "{}:Backend", ["needs the module not_there", "check"], ImportError),
        ("x = 1", "{}:Backend", ["has no Backend"], AttributeError),
        ("x = 1", "{}:x", ["is a int"], None),
        ("x = 1", "{}", ["is a module"], None),
        ("class X: pass", "{}:X", ["X", "subclass of MemoryBackend"], None),
        ("x = 1", "gone.{}:X", ["no module gone", "stale", "pip uninstall"], ImportError),
        ("x = 1", "{}:x y", ["package.module:object"], None),
        ("x = 1", "..{}:x", ["raised"], Exception),
        ("def __getattr__(name): raise OSError('odd')", "{}:X", ["has no X"], OSError),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_named_with_its_distribution_and_what_to_do(
    site, source, target, parts, cause
):
    module = site.install("Broken.Plugin", "3.1", x=target, source=source)
    registry = site.registry()
    with pytest.raises(BackendLoadError) as caught:
        registry.load("x")
    for part in ("'x'", "Broken.Plugin 3.1", target.format(module), *parts):
        assert part in str(caught.value)
    assert cause is None or isinstance(caught.value.__cause__, cause)
    assert registry.names() == ["x"]


def test_a_plugin_that_is_interrupted_by_the_user_stays_interrupted(site):
    site.install("plugin", x="{}:Backend", source="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.registry().load("x")


@pytest.mark.parametrize(
    ("version", "cure"),
    [
        (API_VERSION + 1, "pip install --upgrade fastadk-memory"),
        (0, "upgrade plugin"),
        ("'2'", "upgrade plugin"),
    ],
)
@pytest.mark.parametrize("function", [False, True])
def test_a_plugin_for_another_api_is_refused_with_both_versions(site, version, cure, function):
    source = backend_source(f"api_version = {version}")
    if function:
        source += f"\ndef make(): return Backend()\nmake.api_version = {version}\n"
    site.install("plugin", x="{}:make" if function else "{}:Backend", source=source)
    text = message(IncompatibleBackendError, lambda: site.registry().load("x"))
    assert cure in text
    assert f"this core has version {API_VERSION}" in text
    assert isinstance(version, str) or f"version {version} of" in text


def test_a_class_that_lacks_methods_is_told_which_when_created(site):
    source = backend_source().replace("async def ttl", "async def tll").replace("health", "helth")
    site.install("plugin", x="{}:Backend", source=source)
    registry = site.registry()
    assert registry.load("x")
    assert "lacks health_check, ttl" in message(BackendLoadError, lambda: registry.create("x"))


def test_a_function_may_be_the_backend_if_it_returns_one(site):
    source = (
        backend_source() + "\ndef make(size: int = 1): b = Backend(); b.size = size; return b\n"
    )
    source += "def wrong(): return 5\nasync def late(): return Backend()\n"
    site.install("plugin", x="{}:make", wrong="{}:wrong", late="{}:late", source=source)
    registry = site.registry()
    assert registry.create("x", size="7").size == 7
    assert "returned a int" in message(BackendLoadError, lambda: registry.create("wrong"))
    assert "returned a coroutine" in message(BackendLoadError, lambda: registry.create("late"))


def test_a_wheel_on_the_path_works_from_listing_to_backend(tmp_path, monkeypatch):
    package = unique("package")
    wheel = build_wheel(
        tmp_path,
        "wheeled",
        backends={"w": f"{package}.backend:Backend"},
        modules={f"{package}/__init__.py": "", f"{package}/backend.py": backend_source()},
    )
    monkeypatch.syspath_prepend(str(wheel))
    registry = BackendRegistry()
    assert "w" in registry.names()
    assert registry.info("w").distribution == "wheeled"
    assert isinstance(registry.create("w"), MemoryBackend)


def test_concurrent_loads_give_one_and_the_same_object(site):
    # A new object at every access: only the registry can make them one.
    source = backend_source() + (
        "\nimport threading\nstarted = threading.Barrier(8)\n"
        "def __getattr__(name):\n"
        "    if name != 'make': raise AttributeError(name)\n"
        "    started.wait(30)\n"
        "    return lambda: Backend()\n"
    )
    site.install("plugin", x="{}:make", source=source)
    registry = site.registry()
    loaded: list[object] = []
    threads = [threading.Thread(target=lambda: loaded.append(registry.load("x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(loaded) == 8
    assert len(set(map(id, loaded))) == 1
    assert registry.load("x") is loaded[0]
    registry.refresh()
    sys.modules[registry.info("x").target.partition(":")[0]].started = threading.Barrier(1)
    assert registry.load("x") is not loaded[0]


def test_no_lock_is_held_while_a_plugin_is_imported(site):
    # Importing it waits for another thread that uses the registry.
    source = backend_source() + (
        "\nimport threading\nfrom test_registry_meeting import registry\n"
        "use = lambda: (registry.names(), registry.load('y'))\n"
        "done = threading.Thread(target=use, daemon=True)\n"
        "done.start(); done.join(30)\nassert not done.is_alive()\n"
    )
    site.install("plugin-x", x="{}:Backend", source=source)
    site.install("plugin-y", y="{}:Backend")
    registry = site.registry()
    import types

    meeting = types.ModuleType("test_registry_meeting")
    meeting.registry = registry  # type: ignore[attr-defined]
    sys.modules["test_registry_meeting"] = meeting
    try:
        assert registry.load("x")
    finally:
        del sys.modules["test_registry_meeting"]


# ------------------------------------------------------------------------ creating


def test_options_are_converted_and_checked_before_anything_is_constructed(site):
    init = "def __init__(self, path: str, *, size: Optional[int] = None): self.got = (path, size)"
    site.install("plugin", x="{}:Backend", source=backend_source(init))
    registry = site.registry()
    assert registry.create("x", path="p", size="5").got == ("p", 5)
    for options in ({}, {"path": 5}, {"path": "p", "size": "x"}, {"path": "p", "sise": 1}):
        message(ConfigurationError, lambda options=options: registry.create("x", **options))
    text = message(
        ConfigurationError,
        lambda: registry.create_from("x", {"path": 5}, sources={"path": "fastadk.toml"}),
    )
    assert "(from fastadk.toml)" in text


def test_options_may_be_called_name_and_self(site):
    class Odd(Nine):
        def __init__(self, /, name: str, **rest: object) -> None:
            self.got = (name, rest)

    registry = site.registry()
    registry.register("x", Odd)
    assert registry.create("x", name="n", self="s").got == ("n", {"self": "s"})


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("raise ValueError(text)", ConfigurationError),
        ("raise TypeError(text)", ConfigurationError),
        ("raise OSError(text)", BackendLoadError),
        ("raise KeyError(text)", BackendLoadError),
    ],
)
def test_what_a_constructor_raises_is_translated_without_repeating_a_secret(site, statement, error):
    init = f"def __init__(self, url: str = '', size: int = 0, text: str = ''):\n    {statement}"
    site.install("plugin", x="{}:Backend", source=backend_source(init))
    registry = site.registry()
    for text in ("cannot parse s3cr:t%25x", "cannot parse s3cr", "cannot parse t%x", "S3CR"):
        with pytest.raises(error) as caught:
            registry.create("x", url="redis://:s3cr:t%25x@h", text=text)
        assert "s3cr" not in str(caught.value).lower()
        assert "t%x" not in str(caught.value)
        assert "plugin 1.0" in str(caught.value)
        assert type(caught.value) is error
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("url", "said"), [("x://:%51%57@h", "QW"), ("x://:!!@h", "!!"), ("x://:ABC@h", "xabcx")]
)
def test_no_spelling_of_what_was_given_is_repeated(site, url, said):
    init = f"def __init__(self, url: str): raise ValueError('8 {said} 8')"
    site.install("plugin", x="{}:Backend", source=backend_source(init))
    text = message(ConfigurationError, lambda: site.registry().create("x", url=url))
    assert f"8 {said} 8" not in text
    assert "see the cause" in text


def test_a_text_of_the_constructor_that_repeats_nothing_is_shown(site):
    init = "def __init__(self, size: int = 0): raise ValueError('must be over 5, not 5')"
    site.install("plugin", x="{}:Backend", source=backend_source(init))
    text = message(ConfigurationError, lambda: site.registry().create("x", size="5"))
    assert "must be over 5, not 5" in text


def test_our_own_errors_of_a_constructor_pass_as_they_are(site):
    init = (
        "def __init__(self):\n    from fastadk_memory.errors import BackendUnavailableError\n"
        "    raise BackendUnavailableError('as it is')"
    )
    site.install("plugin", x="{}:Backend", source=backend_source(init))
    with pytest.raises(FastADKMemoryError, match=r"^as it is\Z"):
        site.registry().create("x")


# ---------------------------------------------------------------------------- URLs


def test_a_url_chooses_the_backend_which_turns_it_into_options(site):
    own = (
        "@classmethod\ndef from_url(cls, url): return {'where': url}\ndef __init__(self, where): 0"
    )
    site.install("own", own="{}:Backend", source=backend_source(own))
    site.install(
        "default",
        default="{}:Backend",
        function="{}:make",
        source=backend_source("def __init__(self, path: str, size: int = 0): ...")
        + "\ndef make(path: str): return Backend(path)\n",
    )
    registry = site.registry()
    assert registry.backend_for_url("OWN+x://a,b?c=d") == ("own", {"where": "OWN+x://a,b?c=d"})
    assert registry.backend_for_url("default:///m%20.db?size=5") == (
        "default",
        {"path": "/m .db", "size": "5"},
    )
    assert registry.backend_for_url("function://m") == ("function", {"path": "m"})


def test_a_url_of_an_unknown_backend_is_an_unknown_name(site):
    registry = site.registry()
    by_url = message(BackendNotFoundError, lambda: registry.backend_for_url("redis://:pw@h"))
    assert by_url == message(BackendNotFoundError, lambda: registry.load("redis"))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError(url)", ConfigurationError),
        ("raise IndexError(url)", BackendLoadError),
        ("return None", BackendLoadError),
        ("return {5: 1}", BackendLoadError),
    ],
)
def test_a_from_url_that_fails_does_not_show_the_url(site, body, error):
    source = backend_source(f"@classmethod\ndef from_url(cls, url): {body}")
    site.install("plugin", x="{}:Backend", source=source)
    text = message(error, lambda: site.registry().backend_for_url("x://:hunter2@h"))
    assert "hunter2" not in text
    assert "plugin 1.0" in text


def test_a_url_that_still_holds_what_is_the_cores_is_refused(site):
    site.install("plugin", x="{}:Backend")
    text = message(ConfigurationError, lambda: site.registry().backend_for_url("x://?namespace=a"))
    assert "split_core_options" in text


# --------------------------------------------------------------------- registering


def test_a_registered_backend_is_listed_loaded_and_unregistered(site):
    registry = site.registry(Policy(allow=frozenset()))
    registry.register("mine", Nine)
    assert registry.names() == ["mine"]
    info = registry.info("mine")
    assert registry.infos() == [info]
    assert (info.distribution, info.status, info.location) == (None, "ok", None)
    assert info.target.startswith("registered: ")
    assert registry.load("mine") is Nine
    assert isinstance(registry.create("mine"), Nine)
    registry.unregister("mine")
    assert registry.names() == []
    message(BackendNotFoundError, lambda: registry.unregister("mine"))


def test_a_name_that_is_taken_cannot_be_registered(site):
    site.install("plugin", x="{}:Backend")
    registry = site.registry()
    assert "plugin 1.0" in message(BackendConflictError, lambda: registry.register("x", Nine))
    registry.register("y", Nine)
    message(BackendConflictError, lambda: registry.register("y", Nine))
    assert registry.load("x") is not Nine


def test_a_blocked_distribution_does_not_take_a_name_from_the_application(site):
    site.install("evil", x="{}:Backend")
    registry = site.registry(Policy(block=frozenset({"evil"})))
    registry.register("x", Nine)
    assert registry.load("x") is Nine


def test_what_is_installed_after_the_registration_is_a_conflict_not_a_surprise(site):
    registry = site.registry()
    registry.register("x", Nine)
    site.install("plugin", x="{}:Backend")
    assert registry.load("x") is Nine
    registry.refresh()
    assert "plugin 1.0" in message(BackendConflictError, lambda: registry.load("x"))
    assert {info.status for info in registry.infos()} == {"conflict"}
    registry.unregister("x")
    assert registry.load("x") is not Nine


def test_an_override_wins_over_everything_and_ends(site):
    site.install("plugin", x="{}:Backend")
    site.install("other", x="{}:Backend")
    registry = site.registry(Policy(block=frozenset({"plugin"})))
    before = registry.infos()
    with registry.override("x", Nine), registry.override("new", Nine):
        assert registry.load("x") is Nine
        assert registry.names() == ["new", "x"]
        assert [(info.name, info.status) for info in registry.infos()] == [
            ("new", "ok"),
            ("x", "ok"),
        ]
        with registry.override("x", lambda: Nine()):
            assert registry.load("x") is not Nine
        assert registry.load("x") is Nine
    assert registry.infos() == before
    with pytest.raises(ZeroDivisionError), registry.override("x", Nine):
        raise ZeroDivisionError
    assert registry.load("x") is not Nine


def test_overlapping_overrides_end_in_any_order(site):
    registry = site.registry()
    first, second = registry.override("x", Nine), registry.override("x", Nine)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert registry.load("x") is Nine
    second.__exit__(None, None, None)
    assert registry.names() == []


def test_a_backend_for_another_api_cannot_be_registered(site):
    class Newer(Nine):
        api_version = API_VERSION + 1

    message(IncompatibleBackendError, lambda: site.registry().register("x", Newer))


def test_many_threads_may_register_list_and_unregister(site):
    site.install("plugin", x="{}:Backend")
    registry = site.registry()
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for turn in range(30):
                registry.register(f"n{number}", Nine)
                assert {f"n{number}", "x"} <= set(registry.names())
                assert registry.load(f"n{number}") is Nine
                if turn % 10 == 0:
                    registry.refresh()
                registry.load("x")
                registry.unregister(f"n{number}")
        except Exception as error:  # noqa: BLE001 (shown by the assertion below)
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert registry.names() == ["x"]


# ------------------------------------------------------------------------- refreshing


def test_what_is_installed_later_is_seen_after_refresh_or_when_the_path_changes(
    site, tmp_path, monkeypatch
):
    registry = BackendRegistry()
    assert "later" not in registry.names()
    message(BackendNotFoundError, lambda: registry.load("later"))
    with pytest.raises(ImportError):
        __import__(unique())  # the import system has now read the folder, too
    before = site.folder.stat()
    site.install("later", later="{}:Backend")
    # As within the resolution of a coarse clock.
    os.utime(site.folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "later" not in registry.names()
    registry.refresh()
    assert registry.load("later")
    elsewhere = tmp_path / "elsewhere"
    module = unique()
    install(
        elsewhere,
        "elsewhere",
        backends={"elsewhere": f"{module}:Backend"},
        modules={f"{module}.py": backend_source()},
    )
    monkeypatch.syspath_prepend(str(elsewhere))
    assert registry.load("elsewhere")


def test_what_is_uninstalled_is_gone_after_refresh(site):
    import shutil

    site.install("plugin", x="{}:Backend")
    registry = site.registry()
    assert registry.load("x")
    shutil.rmtree(site.folder / "plugin-1.0.dist-info")
    registry.refresh()
    assert registry.names() == []
    message(BackendNotFoundError, lambda: registry.load("x"))


def test_a_stale_entry_point_is_listed_and_fails_only_when_loaded(site):
    module = site.install("moved", x="{}:Backend")
    (site.folder / f"{module}.py").unlink()
    registry = site.registry()
    assert registry.names() == ["x"]
    text = message(BackendLoadError, lambda: registry.load("x"))
    assert str(site.folder / "moved-1.0.dist-info") in text


# ------------------------------------------------------------------------- bad input

anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.binary(), st.lists(st.text()), st.builds(object)
)
any_name = anything | st.text() | st.sampled_from(["x", "X", "x y", "redis", "é", "\ud800", "x\n"])


@given(any_name)
def test_every_method_answers_any_name_with_our_errors(name):
    registry = BackendRegistry(path=[])
    registry.register("x", Nine)
    for method in (registry.load, registry.create, registry.info, registry.unregister):
        if name == "x":
            continue
        expected = BackendNotFoundError if isinstance(name, str) else ConfigurationError
        assert message(expected, lambda method=method: method(name))
    assert registry.names() == ["x"]


@given(any_name, anything)
def test_only_names_and_factories_can_be_registered(name, factory):
    registry = BackendRegistry(path=[])
    valid = isinstance(name, str) and name in ("x", "redis")
    for call in (registry.register, lambda *args: registry.override(*args).__enter__()):
        message(ConfigurationError, lambda call=call: call("x", factory))
        if not valid and not (isinstance(name, str) and name.isascii()):
            message(ConfigurationError, lambda call=call: call(name, Nine))
    assert registry.names() == []


@given(st.from_regex(r"[a-z0-9][a-z0-9_.-]*", fullmatch=True))
def test_every_name_of_the_documented_form_can_be_registered_and_opened(name):
    registry = BackendRegistry(path=[])
    registry.register(name, Nine)
    assert isinstance(registry.create(name), Nine)
    assert registry.names() == [name]


@given(anything | st.text(), anything | st.text())
def test_a_registry_takes_a_path_and_a_policy_and_nothing_else(path, policy):
    if path is not None and not isinstance(path, list):
        message(ConfigurationError, lambda: BackendRegistry(path=path))
    if policy is not None:
        message(ConfigurationError, lambda: BackendRegistry(policy=policy))
        registry = BackendRegistry(path=[], policy=lambda: policy)
        message(ConfigurationError, registry.names)


@given(anything | st.text() | st.lists(anything), anything | st.text(), anything | st.text())
def test_a_policy_is_made_of_names_or_refused(allow, block, pins):
    def strings(value: object) -> bool:
        return isinstance(value, list) and all(isinstance(v, str) and v.strip() for v in value)

    if (allow is None or strings(allow)) and strings(block):
        assert Policy(allow=allow, block=block).permits("anything") in (True, False)
    else:
        message(ConfigurationError, lambda: Policy(allow=allow, block=block))
    message(ConfigurationError, lambda: Policy(pins=pins))


@given(st.dictionaries(any_name.filter(lambda n: n.__hash__ is not None), any_name, min_size=1))
def test_pins_map_names_to_distributions_or_are_refused(pins):
    good = all(isinstance(k, str) and isinstance(v, str) and v.strip() for k, v in pins.items())
    if good:
        assert Policy(pins=pins).pins.keys() == pins.keys()
    else:
        message(ConfigurationError, lambda: Policy(pins=pins))


urls = st.one_of(
    anything, st.text(), st.text(alphabet="ab:/?#[]@&=%+ ,2é\ud800").map("x://".__add__)
)


@given(urls)
def test_any_url_is_answered_or_refused_by_our_errors(url):
    registry = BackendRegistry(path=[])
    registry.register("x", Nine)
    try:
        name, options = registry.backend_for_url(url)
    except (ConfigurationError, BackendNotFoundError) as error:
        assert str(error)
    else:
        assert name == "x"
        assert all(isinstance(value, str) for value in options.values())


@given(st.dictionaries(st.text(), anything | st.text()))
def test_any_options_are_used_or_refused_by_our_errors(options):
    registry = BackendRegistry(path=[])
    registry.register("x", Nine)
    if options:
        message(ConfigurationError, lambda: registry.create_from("x", options))
        message(ConfigurationError, lambda: registry.create("x", **options))
    for wrong in (None, 5, [("a", 1)], "a"):
        message(ConfigurationError, lambda wrong=wrong: registry.create_from("x", wrong))


# --------------------------------------------------------------------------- cost


def test_loading_by_name_imports_nothing_but_what_it_needs(site):
    module = site.install("plugin", x="{}:Backend", source="def Backend(): ...")
    script = (
        "import sys; from fastadk_memory.registry import BackendRegistry\n"
        f"BackendRegistry().load('x'); assert {module!r} in sys.modules\n"
        "print([name for name in ('importlib.metadata', 'importlib_metadata', 'pluggy', 'msgspec',"
        " 'asyncio', 'urllib.parse', 'tomllib', 'difflib', 'fastadk_memory.options')"
        " if name in sys.modules])"
    )
    path = os.pathsep.join([ROOT, str(site.folder)])
    result = subprocess.run(
        [sys.executable, "-S", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert ast.literal_eval(result.stdout) == []
