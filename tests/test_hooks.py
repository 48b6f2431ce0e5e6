"""fastadk_memory.hooks: real distributions with plugins, in order, and never passed over."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import hooks
from fastadk_memory.base import MemoryBackend
from fastadk_memory.config import resolve
from fastadk_memory.errors import (
    BackendClosedError,
    BackendLoadError,
    ConfigurationError,
    FastADKMemoryError,
    InvalidPatternError,
)
from fastadk_memory.hooks import hookimpl, load_hooks, register_plugin, unregister_plugin
from fastadk_memory.lifecycle import LifecycleBackend
from fastadk_memory.opening import open_configuration
from fastadk_memory.registry import BackendRegistry, Policy
from fastadk_memory.wrappers import WrapperBackend

_numbers = count()


class Dict(MemoryBackend):
    """Nine methods over a dict."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.log: list[str] = []

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        self.data[key] = value

    async def get(self, key: str) -> Any:
        return self.data.get(key)

    async def delete(self, key: str) -> None:
        self.data.pop(key, None)

    async def exists(self, key: str) -> bool:
        return key in self.data

    async def keys(self, pattern: str = "*") -> list[str]:
        return list(self.data)

    async def clear(self) -> None:
        self.data.clear()

    async def clear_pattern(self, pattern: str) -> None:
        self.data.clear()

    async def ttl(self, key: str) -> int | None:
        return None

    async def health_check(self) -> bool:
        return True

    async def open(self) -> None:
        if "closed" in self.log:
            raise BackendClosedError("closed")
        self.log.append("opened")

    async def aclose(self) -> None:
        self.log.append("closed")


class Tagged(WrapperBackend):
    def __init__(self, inner: MemoryBackend, tag: str) -> None:
        super().__init__(inner)
        self.tag = tag


class Site:
    """A folder on `sys.path` into which distributions are installed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(
        self, distribution: str, source: str, *, name: str = "hooks", target: str = "{}"
    ) -> str:
        module = f"hook_module_{next(_numbers)}"
        (self.path / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        info = self.path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n", encoding="utf-8"
        )
        points = info / "entry_points.txt"
        old = points.read_text() if points.exists() else f"[{hooks.GROUP}]\n"
        points.write_text(f"{old}{name} = {target.format(module)}\n", encoding="utf-8")
        # What was found is remembered until the folder changes; a clock tick may be coarse.
        os.utime(self.path, ns=(0, 1_000_000_000 * next(_numbers)))
        return module


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return Site(folder)


@pytest.fixture
def registry() -> BackendRegistry:
    registry = BackendRegistry(path=[])
    registry.register("dict", Dict)
    return registry


@pytest.fixture
def registered() -> Iterator[list[object]]:
    """Plugins to register for one test."""
    plugins: list[object] = []
    yield plugins
    for plugin in plugins:
        unregister_plugin(plugin)


def open_dict(registry: BackendRegistry, **arguments: Any) -> MemoryBackend:
    arguments = {"environ": {}, "cwd": "/nowhere", "registry": registry, **arguments}
    return open_configuration(resolve(backend="dict", **arguments), registry=registry)


def tags(backend: MemoryBackend) -> list[str]:
    """The tags from the outside in."""
    found = []
    while isinstance(backend, WrapperBackend):
        if isinstance(backend, Tagged):
            found.append(backend.tag)
        backend = backend.inner
    return found


TAGGING = """
    import sys
    from fastadk_memory.hooks import hookimpl
    test_hooks = sys.modules[{tests!r}]

    @hookimpl{options}
    def fastadk_memory_wrap_backend(backend):
        return test_hooks.Tagged(backend, {tag!r})
"""


def tagging(tag: str, options: str = "") -> str:
    return TAGGING.format(tag=tag, options=options, tests=__name__)


# ------------------------------------------------------------------ wrapping


def test_plugins_wrap_in_the_order_of_distributions_and_names_the_first_innermost(
    site: Site, registry: BackendRegistry, registered: list[object]
) -> None:
    class Own:
        @hookimpl
        def fastadk_memory_wrap_backend(self, backend: MemoryBackend, name: str) -> MemoryBackend:
            return Tagged(backend, f"own {name}")

    own = Own()
    register_plugin(own)
    registered.append(own)
    site.install("zeta", tagging("zeta"))
    site.install("Alpha", tagging("alpha 2"), name="two")
    site.install("Alpha", tagging("alpha 1"), name="one")
    site.install("first", tagging("first", "(tryfirst=True)"))
    site.install("last", tagging("last", "(trylast=True)"))
    assert tags(open_dict(registry)) == ["last", "own dict", "zeta", "alpha 2", "alpha 1", "first"]


def test_none_leaves_the_backend_as_it_is(site: Site, registry: BackendRegistry) -> None:
    site.install(
        "nothing",
        """
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        def fastadk_memory_wrap_backend():
            return None
        """,
    )
    assert type(open_dict(registry)) is Dict


def test_what_the_core_puts_around_goes_around_the_plugins(
    site: Site, registry: BackendRegistry
) -> None:
    site.install("tracer", tagging("tracer"))
    memory = open_dict(registry, namespace="bot", default_ttl=60)
    kinds = []
    while isinstance(memory, WrapperBackend):
        kinds.append(type(memory).__name__)
        memory = memory.inner
    assert kinds == ["NamespacedBackend", "DefaultTtlBackend", "Tagged"]


def test_a_class_is_a_plugin_too(site: Site, registry: BackendRegistry) -> None:
    site.install(
        "classy",
        f"""
        import sys
        from fastadk_memory.hooks import hookimpl

        class Outer:
            class Plugin:
                @hookimpl
                def fastadk_memory_wrap_backend(self, name, backend):
                    return sys.modules[{__name__!r}].Tagged(backend, name)
        """,
        target="{}:Outer.Plugin",
    )
    assert tags(open_dict(registry)) == ["dict"]


def test_two_names_of_one_plugin_wrap_once(site: Site, registry: BackendRegistry) -> None:
    module = site.install("twice", tagging("twice"), name="one")
    points = site.path / "twice-1.0.dist-info" / "entry_points.txt"
    points.write_text(f"{points.read_text()}two = {module}\n")
    assert tags(open_dict(registry)) == ["twice"]


def test_a_plugin_installed_later_counts_from_the_next_opening_on(
    site: Site, registry: BackendRegistry
) -> None:
    assert tags(open_dict(registry)) == []
    site.install("late", tagging("late"))
    assert tags(open_dict(registry)) == ["late"]


@pytest.mark.parametrize("answer", ["42", "'text'", "object()", "type(backend)"])
def test_a_wrap_that_returns_no_backend_is_an_error_that_names_the_plugin(
    site: Site, registry: BackendRegistry, answer: str
) -> None:
    site.install(
        "odd",
        f"""
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        def fastadk_memory_wrap_backend(backend):
            return {answer}
        """,
    )
    with pytest.raises(BackendLoadError, match=r"'hooks' of odd 1.0 returned .* MemoryBackend"):
        open_dict(registry)


def test_a_coroutine_from_a_plain_function_is_refused(
    site: Site, registry: BackendRegistry
) -> None:
    site.install(
        "sneaky",
        """
        from fastadk_memory.hooks import hookimpl

        async def wrap(backend):
            return backend

        @hookimpl
        def fastadk_memory_wrap_backend(backend):
            return wrap(backend)
        """,
    )
    with pytest.raises(BackendLoadError, match="to be awaited"):
        open_dict(registry)


def test_what_a_wrap_raises_is_the_cause_and_its_text_is_not_repeated(
    site: Site, registry: BackendRegistry
) -> None:
    site.install(
        "raising",
        """
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        def fastadk_memory_wrap_backend(backend):
            raise RuntimeError("the key hunter2 is too short")
        """,
    )
    with pytest.raises(BackendLoadError, match=r"raising 1.0 raised RuntimeError") as caught:
        open_dict(registry)
    assert "hunter2" not in str(caught.value)
    assert isinstance(caught.value.__cause__, RuntimeError)


# ------------------------------------------------------------------ broken plugins

BROKEN = {
    "import": ("import no_such_module_anywhere", "{}", "cannot be loaded: ModuleNotFoundError"),
    "syntax": ("def (", "{}", "cannot be loaded: SyntaxError"),
    "exit": ("raise SystemExit(3)", "{}", "cannot be loaded: SystemExit"),
    "attribute": ("", "{}:absent", "cannot be loaded: AttributeError"),
    "nothing": ("x = 1", "{}", "implements no hook"),
    "async": (
        """
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        async def fastadk_memory_wrap_backend(backend):
            return backend
        """,
        "{}",
        "as async, and hooks are synchronous",
    ),
    "unknown": (
        """
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        def fastadk_memory_wrap_backends(backend):
            return backend
        """,
        "{}",
        "does not fit the hooks",
    ),
    "arguments": (
        """
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        def fastadk_memory_wrap_backend(backend, store):
            return backend
        """,
        "{}",
        "does not fit the hooks",
    ),
    "wrapper": (
        """
        from fastadk_memory.hooks import hookimpl

        @hookimpl(wrapper=True)
        def fastadk_memory_wrap_backend(backend):
            return (yield)
        """,
        "{}",
        "as a wrapper of other plugins' hooks",
    ),
}


@pytest.mark.parametrize("fault", sorted(BROKEN))
def test_a_broken_plugin_stops_every_opening_and_nothing_else(
    site: Site, registry: BackendRegistry, fault: str
) -> None:
    source, target, message = BROKEN[fault]
    site.install("broken-dist", source, target=target)
    site.install("sound", tagging("sound"))
    with pytest.raises(BackendLoadError) as caught:
        open_dict(registry)
    assert message in str(caught.value)
    assert "of broken-dist 1.0" in str(caught.value)
    # What opens nothing goes on, and tells.
    configuration = resolve(environ={}, cwd="/nowhere", registry=registry)
    assert [str(problem) for problem in configuration.hooks.problems] == [str(caught.value)]
    assert configuration.hooks.plugins == ("the plugin 'hooks' of sound 1.0",)
    assert any("broken-dist" in note for note in configuration.notes)


def test_a_broken_plugin_that_is_blocked_stops_nothing_and_is_not_imported(
    site: Site, registry: BackendRegistry
) -> None:
    module = site.install("Broken_Dist", "raise RuntimeError")
    with pytest.raises(BackendLoadError, match="FASTADK_MEMORY_PLUGINS__BLOCK=broken-dist"):
        open_dict(registry)
    environ = {"FASTADK_MEMORY_PLUGINS__BLOCK": "broken-dist"}
    configuration = resolve(environ=environ, cwd="/nowhere", registry=registry)
    assert configuration.hooks.blocked == ("the plugin 'hooks' of Broken_Dist 1.0",)
    open_dict(registry, environ=environ)
    assert module not in sys.modules


def test_an_allow_list_keeps_out_the_plugins_it_does_not_name(
    site: Site, registry: BackendRegistry
) -> None:
    site.install("wanted", tagging("wanted"))
    site.install("unwanted", tagging("unwanted"))
    environ = {"FASTADK_MEMORY_PLUGINS__ALLOW": "wanted"}
    assert tags(open_dict(registry, environ=environ)) == ["wanted"]


def test_malformed_metadata_beside_a_plugin_is_a_finding_not_an_error(
    site: Site, registry: BackendRegistry
) -> None:
    site.install("sound", tagging("sound"))
    other = site.path / "other-1.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Name: other\nVersion: 1\n")
    (other / "entry_points.txt").write_bytes(f"[{hooks.GROUP}]\nno equals sign \xff\n".encode())
    os.utime(site.path, ns=(0, 1_000_000_000 * next(_numbers)))
    assert tags(open_dict(registry)) == ["sound"]
    assert len(load_hooks(Policy()).findings) == 1


# ------------------------------------------------------------------ configuration


def contributing(table: object) -> str:
    return f"""
        from fastadk_memory.hooks import hookimpl

        @hookimpl
        def fastadk_memory_configure():
            return {table!r}
        """


def test_a_contribution_counts_for_more_than_the_default_and_less_than_a_file(
    site: Site, tmp_path: Path
) -> None:
    site.install(
        "giver",
        contributing({"backend": "dict", "namespace": "a", "profiles": {"p": {"default_ttl": 5}}}),
    )
    found = resolve(environ={}, cwd=tmp_path, profile="p")
    assert (found.backend, found.namespace, found.default_ttl) == ("dict", "a", 5)
    assert found.source("backend") == "the plugin 'hooks' of giver 1.0 [memory]"
    (tmp_path / "fastadk.toml").write_text('[memory]\nnamespace = "b"')
    found = resolve(environ={}, cwd=tmp_path)
    assert (found.backend, found.namespace) == ("dict", "b")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"bakend": "x"}, "unknown key 'bakend'"),
        (["backend"], "must be a table"),
        ({"plugins": {"block": ["x"]}}, "decided before any plugin"),
    ],
)
def test_a_wrong_contribution_stops_every_opening_and_nothing_else(
    site: Site, registry: BackendRegistry, table: object, message: str
) -> None:
    site.install("giver", contributing(table))
    assert resolve(environ={}, cwd="/nowhere").hooks.problems
    with pytest.raises(BackendLoadError, match=message) as caught:
        open_dict(registry)
    assert "giver 1.0 [memory" in str(caught.value)


def test_none_contributes_nothing(site: Site) -> None:
    site.install("giver", contributing(None))
    assert resolve(environ={}, cwd="/nowhere").backend == "inmemory"


# ------------------------------------------------------------------ lifecycle


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, MemoryBackend, str]] = []
        self.fail_next: set[str] = set()

    def _hear(self, event: str, backend: MemoryBackend, name: str) -> None:
        if event in self.fail_next:
            self.fail_next.discard(event)
            raise RuntimeError(event)
        self.heard.append((event, backend, name))

    @hookimpl
    def fastadk_memory_backend_created(self, backend: MemoryBackend, name: str) -> None:
        self._hear("created", backend, name)

    @hookimpl
    def fastadk_memory_backend_opened(self, backend: MemoryBackend, name: str) -> None:
        self._hear("opened", backend, name)

    @hookimpl
    def fastadk_memory_backend_closed(self, backend: MemoryBackend, name: str) -> None:
        self._hear("closed", backend, name)

    @property
    def events(self) -> list[str]:
        return [event for event, _, _ in self.heard]


@pytest.fixture
def listener(registered: list[object]) -> Listener:
    listener = Listener()
    register_plugin(listener)
    registered.append(listener)
    return listener


FIRST_CALLS = {
    "open": lambda memory: memory.open(),
    "set": lambda memory: memory.set("k", 1),
    "get": lambda memory: memory.get("k"),
    "delete": lambda memory: memory.delete("k"),
    "exists": lambda memory: memory.exists("k"),
    "keys": lambda memory: memory.keys(),
    "clear": lambda memory: memory.clear(),
    "clear_pattern": lambda memory: memory.clear_pattern("k"),
    "ttl": lambda memory: memory.ttl("k"),
    "get_entry": lambda memory: memory.get_entry("k"),
    "get_many": lambda memory: memory.get_many(["k"]),
    "set_many": lambda memory: memory.set_many({"k": 1}),
    "delete_many": lambda memory: memory.delete_many(["k"]),
    "scan": lambda memory: _all(memory.scan()),
}


async def _all(steps: Any) -> list[str]:
    return [key async for key in steps]


@pytest.mark.parametrize("namespace", [None, "bot"])
@pytest.mark.parametrize("first", sorted(FIRST_CALLS))
def test_opened_and_closed_are_told_once_with_the_backend_that_the_user_has(
    registry: BackendRegistry, listener: Listener, first: str, namespace: str | None
) -> None:
    memory = open_dict(registry, namespace=namespace)

    async def use() -> None:
        assert await memory.health_check()
        assert listener.events == ["created"]
        await FIRST_CALLS[first](memory)
        assert listener.events == ["created", "opened"]
        for call in FIRST_CALLS.values():
            await call(memory)
        await asyncio.gather(memory.aclose(), memory.aclose())

    asyncio.run(use())
    assert listener.heard == [(event, memory, "dict") for event in ("created", "opened", "closed")]


def test_capability_methods_open_too(registry: BackendRegistry, listener: Listener) -> None:
    calls = [
        lambda memory: memory.touch("k", 1),
        lambda memory: memory.set_entry("k", 1, metadata={}),
        lambda memory: memory.compare_and_set("k", 1, expect="v"),
    ]
    for call in calls:
        memory = open_dict(registry)
        with pytest.raises(FastADKMemoryError, match="does not declare"):
            asyncio.run(call(memory))
        assert listener.events[-1] == "opened"


def test_views_keep_their_keys_whether_or_not_somebody_listens(
    registry: BackendRegistry, registered: list[object]
) -> None:
    async def stored(memory: MemoryBackend) -> list[str]:
        await memory.namespace("view").set("k", 1)
        inner = memory
        while isinstance(inner, WrapperBackend):
            inner = inner.inner
        return await inner.keys()

    before = asyncio.run(stored(open_dict(registry, namespace="bot")))
    listener = Listener()
    register_plugin(listener)
    registered.append(listener)
    assert asyncio.run(stored(open_dict(registry, namespace="bot"))) == before
    assert listener.events == ["created", "opened"]


def test_wrong_arguments_of_scan_show_at_the_call(
    registry: BackendRegistry, listener: Listener
) -> None:
    memory = open_dict(registry)
    with pytest.raises(InvalidPatternError):
        memory.scan(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        memory.scan(batch_size=0)


def test_a_listener_that_fails_at_opening_fails_the_call_and_is_told_again(
    registry: BackendRegistry, listener: Listener
) -> None:
    memory = open_dict(registry)
    listener.fail_next = {"opened"}
    with pytest.raises(BackendLoadError, match=r"raised RuntimeError in .*_opened"):
        asyncio.run(memory.get("k"))
    assert asyncio.run(memory.get("k")) is None
    assert listener.events == ["created", "opened"]


def test_a_listener_that_fails_at_closing_keeps_nobody_from_hearing_and_nothing_open(
    registry: BackendRegistry, listener: Listener, registered: list[object]
) -> None:
    second = Listener()
    register_plugin(second)
    registered.append(second)
    memory = open_dict(registry)
    listener.fail_next = {"closed"}
    with pytest.raises(BackendLoadError, match=r"raised RuntimeError in .*_closed"):
        asyncio.run(memory.aclose())
    assert second.events[-1] == "closed"
    assert isinstance(memory, LifecycleBackend)
    assert isinstance(memory.inner, Dict)
    assert memory.inner.log == ["closed"]
    asyncio.run(memory.aclose())
    assert second.events.count("closed") == 1


def test_nothing_is_told_after_closing(registry: BackendRegistry, listener: Listener) -> None:
    memory = open_dict(registry)
    asyncio.run(memory.aclose())
    with pytest.raises(BackendClosedError):
        asyncio.run(memory.get("k"))
    assert listener.events == ["created", "closed"]


def test_opening_is_told_once_even_while_another_thread_is_telling_it(
    registry: BackendRegistry, registered: list[object]
) -> None:
    second_is_inside = threading.Event()

    class Slow(Listener):
        @hookimpl
        def fastadk_memory_backend_opened(self, backend: MemoryBackend, name: str) -> None:
            assert second_is_inside.wait(30)
            super().fastadk_memory_backend_opened(backend, name)

    class Watched(Dict):
        async def open(self) -> None:
            await super().open()
            if len(self.log) == 2:
                second_is_inside.set()

    registry.register("watched", Watched)
    listener = Slow()
    register_plugin(listener)
    registered.append(listener)
    configuration = resolve(backend="watched", environ={}, cwd="/nowhere", registry=registry)
    memory = open_configuration(configuration, registry=registry)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: asyncio.run(memory.get("k")), range(2)))
    assert listener.events == ["created", "opened"]


def test_only_who_listens_costs_a_wrapper(registry: BackendRegistry) -> None:
    assert type(open_dict(registry)) is Dict


# ------------------------------------------------------------------ in the process


def test_a_plugin_counts_from_its_registration_to_its_removal(registry: BackendRegistry) -> None:
    listener = Listener()
    register_plugin(listener)
    with pytest.raises(ConfigurationError, match="already registered"):
        register_plugin(listener)
    open_dict(registry)
    unregister_plugin(listener)
    open_dict(registry)
    assert listener.events == ["created"]
    with pytest.raises(ConfigurationError, match="is not registered"):
        unregister_plugin(listener)


def test_two_plugins_of_one_name_both_count(
    registry: BackendRegistry, registered: list[object]
) -> None:
    for listener in (Listener(), Listener()):
        register_plugin(listener)
        registered.append(listener)
    open_dict(registry)
    assert [len(each.heard) for each in registered if isinstance(each, Listener)] == [1, 1]


@given(plugin=st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.just(Dict))
def test_what_is_no_plugin_is_refused_at_registration(plugin: object) -> None:
    with pytest.raises(BackendLoadError, match="implements no hook"):
        register_plugin(plugin)
    with pytest.raises(ConfigurationError):
        unregister_plugin(plugin)


def test_a_plugin_that_cannot_be_looked_into_is_refused() -> None:
    class Hostile:
        @property
        def fastadk_memory_configure(self) -> object:
            raise ZeroDivisionError

    with pytest.raises(BackendLoadError):
        register_plugin(Hostile())


# ------------------------------------------------------------------ what it costs


def test_without_a_plugin_pluggy_is_not_even_imported(tmp_path: Path) -> None:
    script = """
import asyncio, sys
import fastadk_memory.hooks
from fastadk_memory.opening import open_memory
from fastadk_memory.registry import BackendRegistry

class Backend(__import__("fastadk_memory.base").base.MemoryBackend):
    pass

Backend.__abstractmethods__ = frozenset()
registry = BackendRegistry(path=[])
registry.register("own", Backend)
open_memory("own", registry=registry, namespace="a", default_ttl=5)
assert "pluggy" not in sys.modules
fastadk_memory.hooks.hookimpl
assert "pluggy" in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if "FASTADK" not in name}
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, env=environment)
