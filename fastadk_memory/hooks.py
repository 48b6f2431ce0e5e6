"""Plugins that cut across backends: they wrap, contribute configuration, and listen.

They are found in the group `fastadk.memory_plugins`, or registered in the process with
`register_plugin`. [`fastadk_memory.hookspecs`][fastadk_memory.hookspecs] says what there is
to implement:

```python
from fastadk_memory import WrapperBackend
from fastadk_memory.hooks import hookimpl


class Counting(WrapperBackend):
    reads = 0

    async def get(self, key):
        self.reads += 1
        return await super().get(key)


@hookimpl
def fastadk_memory_wrap_backend(backend, name):
    return Counting(backend)
```

**Order.** Plugins are asked by the names of their distributions and entry points, then
those registered in the process in the order of their registration; pluggy's `tryfirst` and
`trylast` move one to the front or the end. The first to wrap is innermost.

**Failure.** A plugin that cannot be loaded may be the one that encrypts, so it is never
passed over: nothing is opened until it works, is uninstalled or is blocked. What opens
nothing (a listing, `doctor`) goes on.

Everything is resolved once per opening: nothing of pluggy is on the path of `get` and
`set`, and without a plugin pluggy is not even imported.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastadk_memory.base import MemoryBackend
from fastadk_memory.errors import BackendLoadError, ConfigurationError, FastADKMemoryError

if TYPE_CHECKING:
    import pluggy

    from fastadk_memory.discovery import Discovery, EntryPoint, Problem
    from fastadk_memory.hookspecs import hookimpl as hookimpl
    from fastadk_memory.policy import Policy

__all__ = [
    "GROUP",
    "Hook",
    "Hooks",
    "hookimpl",
    "load_hooks",
    "register_plugin",
    "unregister_plugin",
]

GROUP = "fastadk.memory_plugins"

_WRAP = "fastadk_memory_wrap_backend"
_CONFIGURE = "fastadk_memory_configure"
_CREATED = "fastadk_memory_backend_created"
_OPENED = "fastadk_memory_backend_opened"
_CLOSED = "fastadk_memory_backend_closed"

_registered: list[object] = []
_guard = threading.Lock()
_searched: tuple[object, Discovery] | None = None


def __getattr__(name: str) -> object:
    """Import pluggy for `hookimpl`, and only then."""
    if name != "hookimpl":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fastadk_memory.hookspecs import hookimpl

    return hookimpl


@dataclass(frozen=True, slots=True)
class Hook:
    """One plugin's implementation of one hook.

    Attributes:
        plugin: Which plugin, for messages.
        name: The name of the hook.
        function: The implementation.
        arguments: Which arguments it takes.
    """

    plugin: str
    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def __call__(self, **given: object) -> Any:
        """Call the implementation with those arguments that it takes.

        Raises:
            BackendLoadError: It raised something that is none of our errors, or returned
                something to be awaited.
        """
        try:
            answer = self.function(*(given[argument] for argument in self.arguments))
        except FastADKMemoryError:
            raise
        except Exception as error:
            # Its text may tell a secret, such as a key that could not be used.
            raise BackendLoadError(
                f"{self.plugin} raised {type(error).__name__} in {self.name}; {_CURE}"
            ) from error
        if hasattr(answer, "__await__"):
            if hasattr(answer, "close"):
                answer.close()
            raise BackendLoadError(
                f"{self.plugin} returned something to be awaited from {self.name}, and hooks "
                f"are synchronous; {_CURE}"
            )
        return answer


_CURE = "mend it, or uninstall or block its distribution"


@dataclass(frozen=True, slots=True)
class Hooks:
    """All implementations, in the order in which they are called.

    Attributes:
        wrap: Of `fastadk_memory_wrap_backend`; the first is innermost.
        configure: Of `fastadk_memory_configure`.
        created: Of `fastadk_memory_backend_created`.
        opened: Of `fastadk_memory_backend_opened`.
        closed: Of `fastadk_memory_backend_closed`.
        plugins: The plugins that take part, for people to read.
        blocked: The plugins that the policy keeps out.
        problems: Why the others could not be loaded. With one of them nothing is opened.
        findings: What is wrong with the metadata of the environment, for `doctor`.
    """

    wrap: tuple[Hook, ...] = ()
    configure: tuple[Hook, ...] = ()
    created: tuple[Hook, ...] = ()
    opened: tuple[Hook, ...] = ()
    closed: tuple[Hook, ...] = ()
    plugins: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    problems: tuple[BackendLoadError, ...] = ()
    findings: tuple[Problem, ...] = ()

    def check(self) -> None:
        """Refuse to go on without a plugin that could not be loaded.

        Raises:
            BackendLoadError: There is one; the message names its distribution and tells
                how to block it.
        """
        for problem in self.problems:
            raise problem

    def wrapped(self, backend: MemoryBackend, name: str) -> MemoryBackend:
        """Return `backend` with what the plugins put around it.

        Args:
            backend: The bare backend.
            name: The name under which it is opened.

        Raises:
            BackendLoadError: A plugin failed, or returned no backend.
        """
        for hook in self.wrap:
            answer = hook(backend=backend, name=name)
            if answer is None:
                continue
            if not isinstance(answer, MemoryBackend):
                raise BackendLoadError(
                    f"{hook.plugin} returned {type(answer).__name__} from {hook.name}, which "
                    f"must return a MemoryBackend or None; {_CURE}"
                )
            backend = answer
        return backend


def register_plugin(plugin: object) -> None:
    """Add a plugin of this process, for an application's own hooks and for tests.

    It counts for every opening from now on, after the installed plugins. The policy, which
    is about distributions, does not apply to it.

    Args:
        plugin: A module or an object with functions marked with `hookimpl`.

    Raises:
        BackendLoadError: It implements no hook, an unknown one, with unknown arguments, or
            an asynchronous one.
        ConfigurationError: It is already registered.
    """
    manager = _new_manager()
    _add(manager, plugin, _own_label(plugin))
    with _guard:
        if any(plugin is other for other in _registered):
            raise ConfigurationError(f"{_own_label(plugin)} is already registered")
        _registered.append(plugin)


def unregister_plugin(plugin: object) -> None:
    """Take back `register_plugin`. Backends that are open keep what the plugin gave them.

    Args:
        plugin: The same object.

    Raises:
        ConfigurationError: It is not registered.
    """
    with _guard:
        for index, other in enumerate(_registered):
            if other is plugin:
                del _registered[index]
                return
    raise ConfigurationError(f"{_own_label(plugin)} is not registered")


def load_hooks(policy: Policy, *, path: Sequence[str] | None = None) -> Hooks:
    """Load the plugins that the policy allows, each on its own.

    Args:
        policy: Which distributions may be loaded; it is applied before anything is
            imported.
        path: Where to look for distributions; `sys.path` by default.

    Returns:
        What they implement. A plugin that cannot be loaded is among the `problems` and
        keeps none of the others from being loaded. The metadata of the distributions is
        read again only when a folder on the path has changed.
    """
    from fastadk_memory.discovery import normalise

    with _guard:
        registered = list(_registered)
    discovery = _search(list(sys.path if path is None else path))
    found = discovery.entry_points
    if not found and not registered:
        return Hooks(findings=discovery.problems)
    blocked: list[str] = []
    problems: list[BackendLoadError] = []
    plugins: dict[str, object] = {}
    for entry in sorted(found, key=lambda entry: (normalise(entry.distribution), entry.name)):
        label = _label(entry)
        if not policy.permits(entry.distribution):
            blocked.append(label)
            continue
        try:
            plugin = _load(entry, label)
            if all(plugin is not other for other in plugins.values()):
                _add(_new_manager(), plugin, label)
                plugins[label] = plugin
        except BackendLoadError as problem:
            problems.append(problem)
    for plugin in registered:
        label = _own_label(plugin)
        plugins[f"{label} ({len(plugins)})" if label in plugins else label] = plugin
    hooks = _resolved(plugins)
    return replace(
        hooks,
        blocked=tuple(blocked),
        problems=tuple(problems),
        findings=discovery.problems,
    )


def _search(path: list[str]) -> Discovery:
    """Find the installed plugins; again only when a folder of the path has changed."""
    from fastadk_memory.discovery import discover

    global _searched
    key = ([(folder, _changed(folder)) for folder in path], [id(each) for each in sys.meta_path])
    with _guard:
        searched = _searched
    if searched is not None and searched[0] == key:
        return searched[1]
    discovery = discover(GROUP, path)
    with _guard:
        _searched = (key, discovery)
    return discovery


def _changed(folder: object) -> int:
    try:
        return os.stat(folder or ".").st_mtime_ns  # type: ignore[arg-type]  # noqa: PTH116
    except (OSError, ValueError, TypeError):
        return 0


def _resolved(plugins: Mapping[str, object]) -> Hooks:
    manager = _new_manager()
    # pluggy calls the last one first.
    for label, plugin in reversed([*plugins.items()]):
        manager.register(plugin, name=label)

    def hooks(name: str) -> tuple[Hook, ...]:
        implementations = getattr(manager.hook, name).get_hookimpls()
        return tuple(
            Hook(each.plugin_name, name, each.function, tuple(each.argnames))
            for each in reversed(implementations)
        )

    return Hooks(
        wrap=hooks(_WRAP),
        configure=hooks(_CONFIGURE),
        created=hooks(_CREATED),
        opened=hooks(_OPENED),
        closed=hooks(_CLOSED),
        plugins=tuple(plugins),
    )


def _new_manager() -> pluggy.PluginManager:
    import pluggy

    from fastadk_memory import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def _label(entry: EntryPoint) -> str:
    version = f" {entry.version}" if entry.version else ""
    return f"the plugin {entry.name!r} of {entry.distribution}{version}"


def _own_label(plugin: object) -> str:
    name = getattr(plugin, "__name__", None)
    return f"the plugin {name if isinstance(name, str) else type(plugin).__name__} of this process"


def _load(entry: EntryPoint, label: str) -> object:
    """Import one plugin; a class is instantiated, as hooks are methods of an object."""
    from importlib import import_module

    module, _, attributes = entry.value.partition("[")[0].strip().partition(":")
    try:
        plugin: object = import_module(module.strip())
        for attribute in filter(None, attributes.strip().split(".")):
            plugin = getattr(plugin, attribute)
        return plugin() if isinstance(plugin, type) else plugin
    except (Exception, SystemExit) as error:
        raise BackendLoadError(
            f"{label} ({entry.value}) cannot be loaded: {type(error).__name__}: {error}. "
            "As it may encrypt or check what is stored, nothing is opened without it; "
            f"{_cure(entry)}"
        ) from error


def _cure(entry: EntryPoint) -> str:
    from fastadk_memory.discovery import normalise
    from fastadk_memory.selection import pip_command

    name = normalise(entry.distribution)
    return (
        f"mend it, uninstall it with {pip_command(f'uninstall {name}')}, or block it with "
        f"FASTADK_MEMORY_PLUGINS__BLOCK={name}"
    )


def _add(manager: pluggy.PluginManager, plugin: object, label: str) -> None:
    """Register a plugin with a manager of its own, so that what is wrong is surely its own."""
    import inspect

    import pluggy

    try:
        manager.register(plugin, name=label)
        manager.check_pending()
        implementations = [
            (name, implementation)
            for name in (_WRAP, _CONFIGURE, _CREATED, _OPENED, _CLOSED)
            for implementation in getattr(manager.hook, name).get_hookimpls()
        ]
    except pluggy.PluginValidationError as error:
        raise BackendLoadError(f"{label} does not fit the hooks: {error}; {_CURE}") from error
    except Exception as error:
        raise BackendLoadError(
            f"{label} cannot be looked into: {type(error).__name__}; {_CURE}"
        ) from error
    if not implementations:
        raise BackendLoadError(
            f"{label} implements no hook; mark its functions with "
            f"fastadk_memory.hooks.hookimpl, or uninstall or block its distribution"
        )
    for name, each in implementations:
        function = inspect.unwrap(each.function)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise BackendLoadError(
                f"{label} implements {name} as async, and hooks are synchronous; make it a "
                "plain function, and wait in the methods of the backend that it returns"
            )
        if each.hookwrapper or each.wrapper:
            raise BackendLoadError(
                f"{label} implements {name} as a wrapper of other plugins' hooks, which is not "
                "supported; return a backend around the one given"
            )
