"""fastadk_memory.opening: what is passed, what is configured, and what comes of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import open_memory
from fastadk_memory.base import MemoryBackend
from fastadk_memory.defaults import backends, policy_in_force
from fastadk_memory.errors import (
    BackendBlockedError,
    BackendLoadError,
    BackendNotFoundError,
    ConfigurationError,
    FastADKMemoryError,
)
from fastadk_memory.registry import BackendRegistry, Policy
from fastadk_memory.wrappers import DefaultTtlBackend, NamespacedBackend

SECRET = "hunter2-s3cr3t"


class Recorder(MemoryBackend):
    """Nine methods, and a constructor with options of several types."""

    def __init__(
        self,
        url: str | None = None,
        port: int = 1,
        prefix: str = "",
        password: str | None = None,
        clock: object = None,
    ) -> None:
        self.options = {"url": url, "port": port, "prefix": prefix, "password": password}
        self.clock = clock
        self.calls: list[tuple[object, ...]] = []

    async def set(self, key: str, value: Any, ttl: Any = None) -> None:
        self.calls.append(("set", key, value, ttl))

    async def get(self, key: str) -> Any:
        return None

    async def delete(self, key: str) -> None:
        pass

    async def exists(self, key: str) -> bool:
        return False

    async def keys(self, pattern: str = "*") -> list[str]:
        return []

    async def clear(self) -> None:
        pass

    async def clear_pattern(self, pattern: str) -> None:
        pass

    async def ttl(self, key: str) -> int | None:
        return None

    async def health_check(self) -> bool:
        return True

    async def open(self) -> None:
        self.calls.append(("open",))

    async def aclose(self) -> None:
        self.calls.append(("aclose",))


class Addressed(Recorder):
    """A backend whose URL means more than its query."""

    @classmethod
    def from_url(cls, url: str) -> Mapping[str, object]:
        _, _, port = url.partition("://")[2].partition(":")
        return {"port": port.partition("?")[0], "prefix": "from-url"}


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration but what the test writes."""
    import os

    for name in list(os.environ):
        if name.startswith("FASTADK_MEMORY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def new_registry() -> BackendRegistry:
    registry = BackendRegistry(path=[])
    registry.register("rec", Recorder)
    registry.register("addr", Addressed)
    registry.register("inmemory", Recorder)
    return registry


@pytest.fixture
def registry() -> BackendRegistry:
    return new_registry()


def bare(memory: MemoryBackend) -> Recorder:
    while not isinstance(memory, Recorder):
        memory = memory.inner  # type: ignore[attr-defined]
    return memory


# ------------------------------------------------------------------ what is passed


def test_a_name_with_options_opens_that_backend_with_them(registry: BackendRegistry) -> None:
    clock = object()
    memory = open_memory("rec", port=7, clock=clock, registry=registry)
    assert isinstance(memory, Recorder)
    assert memory.options["port"] == 7
    assert memory.clock is clock


@pytest.mark.parametrize("as_keyword", [False, True])
def test_a_url_opens_the_backend_that_its_scheme_names(
    registry: BackendRegistry, as_keyword: bool
) -> None:
    url = "rec+tls://host/0?port=7&namespace=bot&default_ttl=60"
    memory = (
        open_memory(url=url, registry=registry)
        if as_keyword
        else open_memory(url, registry=registry)
    )
    assert isinstance(memory, NamespacedBackend)
    assert bare(memory).options | {"url": "rec+tls://host/0", "port": 7} == bare(memory).options
    asyncio.run(memory.set("k", 1))
    assert bare(memory).calls[-1] == ("set", "bot:k", 1, 60)


def test_url_beside_a_name_is_the_backends_own_option(registry: BackendRegistry) -> None:
    memory = open_memory("rec", url="else://host", registry=registry)
    assert bare(memory).options["url"] == "else://host"


def test_without_arguments_the_configuration_counts(
    empty_folder: Path, registry: BackendRegistry
) -> None:
    (empty_folder / "fastadk.toml").write_text(
        '[memory]\nbackend = "rec"\nnamespace = "bot"\ndefault_ttl = 60\n'
        '[memory.options]\nport = 5\n[memory.profiles.prod]\nnamespace = "live"\n'
    )
    memory = open_memory(registry=registry)
    assert isinstance(memory, NamespacedBackend)
    assert (memory.path, bare(memory).options["port"]) == ("bot", 5)
    live = open_memory(profile="prod", registry=registry)
    assert isinstance(live, NamespacedBackend)
    assert live.path == "live"
    other = open_memory(port=6, registry=registry)
    assert bare(other).options["port"] == 6


def test_the_backend_is_inmemory_where_nothing_is_configured(registry: BackendRegistry) -> None:
    assert type(open_memory(registry=registry)) is Recorder


def test_a_configuration_file_can_be_passed(empty_folder: Path, registry: BackendRegistry) -> None:
    (empty_folder / "a.toml").write_text('[memory]\nbackend = "rec"\n[memory.options]\nport = 5')
    assert bare(open_memory(config="a.toml", registry=registry)).options["port"] == 5
    path = empty_folder / "a.toml"
    assert bare(open_memory(config=path, registry=registry)).options["port"] == 5


def test_text_from_the_environment_is_converted(
    monkeypatch: pytest.MonkeyPatch, registry: BackendRegistry
) -> None:
    monkeypatch.setenv("FASTADK_MEMORY_BACKEND", "rec")
    monkeypatch.setenv("FASTADK_MEMORY_OPTIONS__PORT", "7")
    assert bare(open_memory(registry=registry)).options["port"] == 7


def test_a_secret_reaches_the_backend_and_nothing_else(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch, registry: BackendRegistry
) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", SECRET)
    (empty_folder / "fastadk.toml").write_text(
        '[memory]\nbackend = "rec"\n[memory.options]\npassword = { env = "REDIS_PASSWORD" }'
    )
    memory = open_memory(registry=registry)
    assert bare(memory).options["password"] == SECRET
    assert SECRET not in repr(memory)


# ------------------------------------------------------------------ how it is wrapped


def test_the_namespace_is_outermost_and_then_the_default_ttl(registry: BackendRegistry) -> None:
    memory = open_memory("rec", namespace="a", default_ttl=timedelta(minutes=1), registry=registry)
    assert isinstance(memory, NamespacedBackend)
    assert isinstance(memory.inner, DefaultTtlBackend)
    assert isinstance(memory.inner.inner, Recorder)

    async def use() -> None:
        await memory.namespace("b").set("k", 1)

    asyncio.run(use())
    assert bare(memory).calls == [("set", "a/b:k", 1, timedelta(minutes=1))]


def test_nothing_is_opened_until_it_is_used_and_closing_closes_the_bare_backend(
    registry: BackendRegistry,
) -> None:
    memory = open_memory("rec", namespace="a", default_ttl=5, registry=registry)
    assert bare(memory).calls == []

    async def use() -> None:
        async with memory:
            pass

    asyncio.run(use())
    assert bare(memory).calls == [("open",), ("aclose",)]


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rec://a",), "two URLs"),
        (("rec",), "must be a string"),
    ],
)
def test_contradictory_arguments_are_refused(
    registry: BackendRegistry, arguments: tuple[str, ...], message: str
) -> None:
    keywords: dict[str, Any] = {"url": "rec://b"} if "://" in arguments[0] else {"profile": 3}
    with pytest.raises(ConfigurationError, match=message):
        open_memory(*arguments, registry=registry, **keywords)


def test_a_class_is_not_a_name(registry: BackendRegistry) -> None:
    with pytest.raises(ConfigurationError, match="to use a class, register it"):
        open_memory(Recorder, registry=registry)  # type: ignore[arg-type]


def test_an_unknown_option_names_where_it_is_set_and_the_nearest_right_one(
    empty_folder: Path, registry: BackendRegistry
) -> None:
    (empty_folder / "fastadk.toml").write_text(
        f'[memory]\nbackend = "rec"\n[memory.options]\nportt = "{SECRET}"'
    )
    with pytest.raises(ConfigurationError) as caught:
        open_memory(registry=registry)
    message = str(caught.value)
    assert "'portt'" in message
    assert "fastadk.toml [memory.options]" in message
    assert "did you mean 'port'?" in message
    assert SECRET not in message


def test_an_option_of_a_wrong_type_names_where_it_is_set(
    monkeypatch: pytest.MonkeyPatch, registry: BackendRegistry
) -> None:
    monkeypatch.setenv("FASTADK_MEMORY_OPTIONS__PORT", SECRET)
    with pytest.raises(ConfigurationError, match="FASTADK_MEMORY_OPTIONS__PORT") as caught:
        open_memory("rec", registry=registry)
    assert SECRET not in str(caught.value)


def test_an_option_out_of_a_url_names_the_url(
    monkeypatch: pytest.MonkeyPatch, registry: BackendRegistry
) -> None:
    monkeypatch.setenv("FASTADK_MEMORY_URL", f"rec://:{SECRET}@h?portt=5")
    with pytest.raises(ConfigurationError, match=r"'portt'.*FASTADK_MEMORY_URL") as caught:
        open_memory(registry=registry)
    assert SECRET not in str(caught.value)


def test_what_only_the_backend_can_tell_apart_in_a_url_is_compared_at_opening(
    empty_folder: Path, registry: BackendRegistry
) -> None:
    table = '[memory]\nurl = "addr://h:7"\n[memory.options]\n'
    (empty_folder / "fastadk.toml").write_text(f"{table}port = 7")
    assert bare(open_memory(registry=registry)).options["port"] == 7
    assert bare(open_memory(port=8, registry=registry)).options["port"] == 8
    (empty_folder / "fastadk.toml").write_text(f"{table}port = 8")
    with pytest.raises(ConfigurationError, match="both give the option port"):
        open_memory(registry=registry)
    # Of a higher layer it is no contradiction but an overlay.
    (empty_folder / "fastadk.toml").write_text('[memory]\nurl = "addr://h:7"')
    assert bare(open_memory(port=8, registry=registry)).options["port"] == 8


def test_an_unknown_backend_names_where_it_was_chosen(
    empty_folder: Path, registry: BackendRegistry
) -> None:
    (empty_folder / "fastadk.toml").write_text('[memory]\nbackend = "rek"')
    with pytest.raises(BackendNotFoundError) as caught:
        open_memory(registry=registry)
    assert str(caught.value).startswith("fastadk.toml [memory]: no backend 'rek'")
    with pytest.raises(BackendNotFoundError, match=r"^no backend 'rek'"):
        open_memory("rek", registry=registry)


def test_a_namespace_that_is_too_long_names_where_it_is_set(
    monkeypatch: pytest.MonkeyPatch, registry: BackendRegistry
) -> None:
    monkeypatch.setenv("FASTADK_MEMORY_NAMESPACE", "n" * 1000)
    with pytest.raises(ConfigurationError, match=r"^FASTADK_MEMORY_NAMESPACE: namespace: "):
        open_memory("rec", registry=registry)


def test_a_missing_secret_stops_the_opening(registry: BackendRegistry) -> None:
    with pytest.raises(ConfigurationError, match="password refers to the environment variable"):
        open_memory("rec", password={"env": "ABSENT"}, registry=registry)


ANYTHING = (
    st.none() | st.integers() | st.floats() | st.text(max_size=6) | st.binary(max_size=4)
    | st.lists(st.integers(), max_size=2) | st.just(f"rec://u:{SECRET}@h") | st.just(SECRET)
)  # fmt: skip


@given(
    backend=st.sampled_from([None, "rec", "addr", "absent", f"rec://:{SECRET}@h?x=1", "a://b#c"])
    | st.integers(),
    arguments=st.dictionaries(
        st.sampled_from("url port password clock portt profile config".split()), ANYTHING
    ),
)
def test_any_arguments_open_a_memory_or_raise_the_clear_error_without_a_secret(
    backend: Any, arguments: dict[str, Any]
) -> None:
    if arguments.get("config") == SECRET or arguments.get("profile") == SECRET:
        return  # Names of profiles and files are shown.
    try:
        memory = open_memory(backend, registry=new_registry(), **arguments)
    except FastADKMemoryError as error:
        assert SECRET not in str(error)
    else:
        assert isinstance(memory, MemoryBackend)


# ------------------------------------------------------------------ the default registry


def test_the_default_registry_goes_by_the_policy_of_the_files(empty_folder: Path) -> None:
    with backends.override("rec", Recorder):
        assert type(open_memory("rec")) is Recorder
    (empty_folder / "fastadk.toml").write_text("[memory.plugins]\nalow = []")
    with pytest.raises(ConfigurationError, match="unknown key 'alow'"):
        backends.names()


def test_the_policy_of_a_passed_file_binds_the_default_registry(empty_folder: Path) -> None:
    site = empty_folder / "site"
    info = site / "acme-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[fastadk.memory_backends]\nacmedb = acme_absent:X\n")
    (empty_folder / "a.toml").write_text('[memory.plugins]\nblock = ["acme"]')
    sys.path.insert(0, str(site))
    try:
        with pytest.raises(BackendLoadError):
            open_memory("acmedb")
        with pytest.raises(BackendBlockedError, match="acme 1"):
            open_memory("acmedb", config="a.toml")
        with policy_in_force(Policy(block=frozenset({"acme"}))):
            assert "acmedb" not in backends.names()
        assert "acmedb" in backends.names()
    finally:
        sys.path.remove(str(site))


def test_opening_imports_no_plugin_but_the_one_that_is_opened(empty_folder: Path) -> None:
    script = """
import sys
from fastadk_memory import open_memory
from fastadk_memory.config import resolve
resolve(url="other://x", backend=None)
assert "other_backend_module" not in sys.modules
"""
    site = empty_folder / "site"
    info = site / "other-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[fastadk.memory_backends]\nother = other_backend_module:X\n"
    )
    (site / "other_backend_module.py").write_text("raise SystemExit(1)")
    runner = f"import sys; sys.path.insert(0, {str(site)!r})\n{script}"
    subprocess.run([sys.executable, "-c", runner], check=True, cwd=empty_folder)
