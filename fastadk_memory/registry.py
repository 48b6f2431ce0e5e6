"""Backends by name: what is installed, what the application registered, and their loading.

```python
from fastadk_memory import backends

backends.names()                      # imports no plugin
backends.create("file", path="a.db")  # imports exactly this one
```

A distribution offers a backend by an entry point in the group `fastadk.memory_backends`,
whose name is the backend's name and whose object is its class, or any callable that
returns a `MemoryBackend`. Everything is decided before anything is imported: whether the
name is known, whether the policy permits its distribution, whether two distributions
claim it. A broken plugin, or a malformed package beside it, stops nothing but itself.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from fastadk_memory.base import MemoryBackend
from fastadk_memory.discovery import Discovery, Problem, discover
from fastadk_memory.errors import (
    BackendConflictError,
    BackendLoadError,
    BackendNotFoundError,
    ConfigurationError,
)
from fastadk_memory.loading import (
    Factory,
    check_factory,
    construct,
    load_object,
    origin_of,
    url_options,
)
from fastadk_memory.policy import Policy
from fastadk_memory.selection import BackendInfo, Selection, check_name, install_command

__all__ = [
    "GROUP",
    "BackendInfo",
    "BackendRegistry",
    "Factory",
    "Policy",
    "Problem",
    "install_command",
]

GROUP = "fastadk.memory_backends"
"""The group of entry points in which a distribution offers its backends."""


class BackendRegistry:
    """Finds, chooses, loads and constructs backends by name.

    The environment is searched at first use and again after `refresh`, or when the path
    has changed; a plugin that is installed into a folder already searched is seen after
    `refresh`. Safe from several threads; no lock is held while a plugin is imported.

    Args:
        path: Where to look for installed distributions; `sys.path` by default. Modules
            are imported from `sys.path` in any case.
        policy: What the operator permits, or a callable that says so, which is asked anew
            at every decision; everything by default.
    """

    def __init__(
        self,
        *,
        path: Sequence[str] | None = None,
        policy: Policy | Callable[[], Policy] | None = None,
    ) -> None:
        if policy is not None and not isinstance(policy, Policy) and not callable(policy):
            raise ConfigurationError(
                f"policy must be a Policy or a callable that returns one, "
                f"not {type(policy).__name__}"
            )
        self._path = _checked_path(path)
        self._policy = policy
        self._lock = threading.Lock()
        self._searched: tuple[list[str], Discovery] | None = None
        self._round = 0
        self._loaded: dict[tuple[str, str], Factory] = {}
        self._registered: dict[str, Factory] = {}
        self._overrides: list[tuple[str, Factory]] = []

    # -------------------------------------------------------------------- what is there

    def names(self) -> list[str]:
        """Return the names that can be opened, aliases included, sorted. Imports no plugin."""
        return sorted({*self._selection().names(), *self._overridden()})

    def infos(self) -> list[BackendInfo]:
        """Return one line for each backend, sorted by name. Imports no plugin.

        Further names of one object are folded into its line. Blocked and conflicting
        backends are there, too, with their status and what to do; of two distributions
        that claim one name each has its line.
        """
        overridden = self._overridden()
        lines = [line for line in self._selection().infos() if line.name not in overridden]
        lines += [_override_info(name, factory) for name, factory in overridden.items()]
        return sorted(lines, key=lambda line: (line.name, line.distribution or ""))

    def info(self, name: str) -> BackendInfo:
        """Return the line of the backend that `load(name)` would load, without importing it.

        Args:
            name: The name of a backend, or one of its aliases.

        Raises:
            BackendNotFoundError: Nothing of this name is installed or registered.
            BackendBlockedError: The policy forbids its distribution.
            BackendConflictError: Several distributions claim the name.
            ConfigurationError: `name` is no `str`, or is pinned to something that is not
                installed.
        """
        name = _checked_str(name)
        override = self._overridden().get(name)
        if override is not None:
            return _override_info(name, override)
        return self._selection().info(name)

    def problems(self) -> list[Problem]:
        """Return what is wrong in the environment beside the lines of `infos`.

        Unreadable or malformed metadata, leftovers of interrupted installations, invalid
        names, pins to what is not installed. Imports no plugin.
        """
        return [*self._search().problems, *self._selection().problems()]

    # ------------------------------------------------------------------------ loading

    def load(self, name: str) -> Factory:
        """Return the class of a backend, or the callable that makes it; imports only that.

        Args:
            name: The name of a backend, or one of its aliases.

        Returns:
            One and the same object for every call, from whatever thread, until `refresh`.

        Raises:
            BackendNotFoundError: Nothing of this name is installed or registered; the
                message has the nearest name, what is installed, and the command to
                install an official one.
            BackendBlockedError: The policy forbids its distribution.
            BackendConflictError: Several distributions claim the name.
            BackendLoadError: Importing it failed, or it is no backend.
            IncompatibleBackendError: It was written for another version of the backend
                API.
            ConfigurationError: `name` is no `str`, or is pinned to something that is not
                installed.
        """
        return self._load(_checked_str(name))[0]

    def create(self, name: str, /, **options: object) -> MemoryBackend:
        """Make the bare backend of this name, without any wrapper.

        Args:
            name: The name of a backend, or one of its aliases.
            options: The keyword parameters of its constructor. Text is converted to the
                types of its annotations, all else is checked against them.

        Raises:
            ConfigurationError: An option is unknown, required and missing, of a wrong
                type, or refused by the constructor; no message shows a value.
            BackendLoadError: The plugin cannot be imported or constructed.
            FastADKMemoryError: All else that `load` raises.
        """
        return self.create_from(name, options)

    def create_from(
        self, name: str, options: Mapping[str, object], *, sources: Mapping[str, str] | None = None
    ) -> MemoryBackend:
        """Make the bare backend of this name from options that came from somewhere.

        Args:
            name: As for `create`.
            options: As for `create`, as a mapping.
            sources: Where options came from, for messages: name of the option to, say,
                `fastadk.toml [memory.options]`.

        Raises:
            FastADKMemoryError: As for `create`.
        """
        name = _checked_str(name)
        factory, origin = self._load(name)
        return construct(factory, options, backend=name, origin=origin, sources=sources)

    def backend_for_url(self, url: str) -> tuple[str, dict[str, object]]:
        """Return the name of the backend that a URL asks for, and the options it gives.

        Args:
            url: The URL, without the core's own parameters
                ([`split_core_options`][fastadk_memory.urls.split_core_options] takes them
                out).

        Raises:
            ConfigurationError: It is no URL, is malformed, or says something that the
                backend cannot use.
            FastADKMemoryError: All else that `load` raises.
        """
        from fastadk_memory.urls import backend_name, split_core_options

        name = backend_name(url)
        _, core = split_core_options(url)
        if core:
            raise ConfigurationError(
                f"the URL of {name!r} still holds {' and '.join(core)}, which the core applies to "
                "every backend; take them out with split_core_options first"
            )
        factory, origin = self._load(name)
        return name, url_options(factory, url, backend=name, origin=origin)

    # -------------------------------------------------------------------- registering

    def register(self, name: str, factory: Factory) -> None:
        """Add a backend of the application's own, for this process.

        Args:
            name: Lower-case letters, digits, `_`, `.` and `-`, beginning with a letter or
                digit.
            factory: A subclass of `MemoryBackend`, or a callable that returns one's
                instance.

        Raises:
            ConfigurationError: `name` or `factory` is none.
            IncompatibleBackendError: It was written for another version of the backend
                API.
            BackendConflictError: The name is installed (and not blocked) or registered
                already; for a test use `override`.
        """
        name, factory = check_name(name), _checked_factory(name, factory)
        selection = self._selection()
        with self._lock:
            if name in self._registered:
                raise BackendConflictError(
                    f"the name {name!r} is registered already, for "
                    f"{_describe(self._registered[name])}; unregister it first, or use override "
                    "in tests"
                )
            claims = selection.claimed(name)
            if claims:
                raise BackendConflictError(
                    f"the name {name!r} is taken by {claims[0].distribution} "
                    f"{claims[0].version} ({claims[0].value}), which is installed; register under "
                    f"another name, block {claims[0].distribution} in [memory.plugins], or use "
                    "override in tests"
                )
            self._registered[name] = factory

    def unregister(self, name: str) -> None:
        """Remove what `register` added.

        Args:
            name: The name it was registered under.

        Raises:
            BackendNotFoundError: No backend is registered under it; an installed one is
                uninstalled or blocked instead.
            ConfigurationError: `name` is no `str`.
        """
        name = _checked_str(name)
        with self._lock:
            if self._registered.pop(name, None) is None:
                have = ", ".join(sorted(self._registered)) or "none"
                raise BackendNotFoundError(
                    f"no backend {name[:60]!r} is registered; registered: {have} "
                    "(an installed one is uninstalled, or blocked in [memory.plugins])"
                )

    @contextmanager
    def override(self, name: str, factory: Factory) -> Generator[None, None, None]:
        """Let a name stand for something else within a `with` block, for tests.

        It wins over whatever is installed, registered, blocked or in conflict under the
        name, in every thread. Blocks may be nested and overlap: the last one begun counts.

        Args:
            name: As for `register`.
            factory: As for `register`.

        Raises:
            ConfigurationError: `name` or `factory` is none.
            IncompatibleBackendError: It was written for another version of the backend
                API.
        """
        ours = (check_name(name), _checked_factory(name, factory))
        with self._lock:
            self._overrides.append(ours)
        try:
            yield
        finally:
            with self._lock:
                # By identity: an overlapping block may have begun with an equal pair.
                self._overrides[:] = [each for each in self._overrides if each is not ours]

    def refresh(self) -> None:
        """Forget what was found and loaded, so that newly installed plugins are seen.

        Registered backends stay. Modules stay imported: a new version of a plugin that is
        in use takes a new process.
        """
        from importlib import invalidate_caches

        invalidate_caches()
        with self._lock:
            self._round += 1
            self._searched = None
            self._loaded.clear()

    # ------------------------------------------------------------------------ within

    def _search(self) -> Discovery:
        path = list(sys.path) if self._path is None else self._path
        with self._lock:
            found, now = self._searched, self._round
        if found is not None and found[0] == path:
            return found[1]
        # Without the lock: reading foreign metadata may import what reads it.
        discovery = discover(GROUP, path)
        with self._lock:
            if self._round == now:
                self._searched = (path, discovery)
        return discovery

    def _selection(self) -> Selection:
        policy = self._policy() if callable(self._policy) else self._policy
        if policy is not None and not isinstance(policy, Policy):
            raise ConfigurationError(
                f"the policy's callable must return a Policy, not {type(policy).__name__}"
            )
        with self._lock:
            registered = {name: _describe(each) for name, each in self._registered.items()}
        return Selection(self._search().entry_points, policy or Policy(), registered)

    def _overridden(self) -> dict[str, Factory]:
        with self._lock:
            return dict(self._overrides)

    def _load(self, name: str) -> tuple[Factory, str]:
        """Return the factory of a name, and where it came from in words."""
        override = self._overridden().get(name)
        if override is not None:
            return override, f"the backend {name!r} ({_describe(override)})"
        entry = self._selection().choose(name)
        if entry is None:
            return self._registered_factory(name)
        key = (entry.location, entry.value)
        with self._lock:
            loaded, now = self._loaded.get(key), self._round
        if loaded is None:
            loaded = load_object(entry)
            with self._lock:
                if self._round == now:
                    loaded = self._loaded.setdefault(key, loaded)
        return loaded, origin_of(entry)

    def _registered_factory(self, name: str) -> tuple[Factory, str]:
        with self._lock:
            factory = self._registered.get(name)
        if factory is None:
            raise BackendNotFoundError(f"the backend {name!r} has just been unregistered")
        return factory, f"the backend {name!r} ({_describe(factory)})"


def _checked_path(path: object) -> list[str] | None:
    if path is None:
        return None
    if isinstance(path, (str, bytes)) or not isinstance(path, Sequence):
        raise ConfigurationError("path must be a sequence of folders, such as a list of str")
    return [str(folder) for folder in path]


def _checked_str(name: object) -> str:
    if not isinstance(name, str):
        raise ConfigurationError(
            f"the name of a backend must be a str, not {type(name).__name__}; backends.names() "
            "lists them"
        )
    return name


def _checked_factory(name: str, factory: object) -> Factory:
    try:
        return check_factory(factory, f"the backend {name!r}", "it")
    except BackendLoadError as error:
        raise ConfigurationError(str(error)) from None


def _describe(factory: Factory) -> str:
    target = factory if hasattr(factory, "__qualname__") else type(factory)
    module = getattr(target, "__module__", "?")
    return f"registered: {module}:{getattr(target, '__qualname__', '?')}"


def _override_info(name: str, factory: Factory) -> BackendInfo:
    target = _describe(factory).replace("registered", "override", 1)
    return BackendInfo(name, (), None, None, target, None, "ok", None)
