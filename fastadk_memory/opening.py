"""`open_memory`: from a name, a URL or the configuration to a memory that is ready to use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from fastadk_memory.base import MemoryBackend
from fastadk_memory.config import DEFAULT, Configuration, resolve
from fastadk_memory.errors import ConfigurationError, FastADKMemoryError, InvalidKeyError
from fastadk_memory.hooks import Hook
from fastadk_memory.ttl import Ttl

if TYPE_CHECKING:
    from fastadk_memory.registry import BackendRegistry

__all__ = ["open_configuration", "open_memory"]


def open_memory(
    backend: str | None = None,
    /,
    *,
    url: str | None = None,
    profile: str | None = None,
    namespace: str | None = None,
    default_ttl: Ttl | None = None,
    config: str | os.PathLike[str] | None = None,
    registry: BackendRegistry | None = None,
    **options: Any,
) -> MemoryBackend:
    """Return an agent's memory: the backend that is asked for, wrapped as configured.

    What is not passed comes from the configuration: the environment, `fastadk.toml` and so
    on ([`fastadk_memory.config`][fastadk_memory.config]). Nothing but configuration files
    is read; the memory opens by itself at the first use, and `async with` closes it:

    ```python
    async with open_memory("inmemory", max_entries=1000) as memory: ...
    async with open_memory("inmemory://?max_entries=1000&namespace=bot") as memory: ...
    async with open_memory(namespace="bot") as memory: ...  # the configured backend
    ```

    From the inside out: the bare backend; what plugins put around it; the default TTL; the
    namespace. The namespace is outermost so that its views (`memory.namespace(...)`) keep
    the default TTL and the plugins, too.

    Args:
        backend: The name of a backend, or a URL (anything with `://`). `None` for the
            configured one.
        url: Without `backend`, a URL, as above. With the name of a backend, the backend's
            own option `url`: `open_memory("redis", url="redis://localhost")`.
        profile: A profile of the configuration, for what is not passed.
        namespace: A part of the store to have to itself; any `str` but the empty one.
        default_ttl: The TTL of what is stored without one, in seconds or as a `timedelta`.
        config: A configuration file, `.toml` or `.yaml`. It counts for more than the other
            files, not for more than the environment.
        registry: Where to find the backend; `fastadk_memory.backends` by default. Another
            one goes by its own policy.
        options: Options of the backend: keyword parameters of its constructor. Without
            `backend` they are laid over those of the configured one. One that is called
            like a parameter above can only be set in a file or in the environment.

    Returns:
        The memory, not yet opened.

    Raises:
        ConfigurationError: What is passed or configured is impossible. The message names
            where it came from, and never shows a value.
        BackendNotFoundError: No such backend is installed or registered.
        BackendBlockedError: The policy forbids it.
        BackendConflictError: Two distributions claim its name.
        BackendLoadError: It, or a plugin around it, cannot be loaded or constructed.
        IncompatibleBackendError: It was built for another version of the backend API.
    """
    if backend is not None and not isinstance(backend, str):
        raise ConfigurationError(
            f"open_memory takes the name of a backend or a URL, not {type(backend).__name__}; "
            "to use a class, register it: backends.register(name, cls)"
        )
    if backend is not None and "://" in backend:
        if url is not None:
            raise ConfigurationError("open_memory was given two URLs; keep one of them")
        backend, url = None, backend
    elif backend is not None and url is not None:
        options["url"], url = url, None
    configuration = resolve(
        backend=backend,
        url=url,
        options=options,
        namespace=namespace,
        default_ttl=default_ttl,
        profile=profile,
        config=config,
        registry=registry,
    )
    return open_configuration(configuration, registry=registry)


def open_configuration(
    configuration: Configuration, *, registry: BackendRegistry | None = None
) -> MemoryBackend:
    """Return the memory that a resolved configuration describes, as `open_memory` does.

    Args:
        configuration: What [`resolve`][fastadk_memory.config.resolve] returned.
        registry: As for `open_memory`.

    Returns:
        The memory, not yet opened.

    Raises:
        FastADKMemoryError: As for `open_memory`.
    """
    hooks = configuration.hooks
    hooks.check()
    name = configuration.backend
    bare = _create(configuration, registry)
    memory = hooks.wrapped(bare, name)
    if configuration.default_ttl is not None:
        from fastadk_memory.wrappers import DefaultTtlBackend

        memory = DefaultTtlBackend(memory, configuration.default_ttl)
    lifecycle = None
    if hooks.opened or hooks.closed:
        from fastadk_memory.lifecycle import LifecycleBackend

        # Inside of the namespace, whose views would otherwise have other keys.
        memory = lifecycle = LifecycleBackend(
            memory,
            [_telling(hook, name) for hook in hooks.opened],
            [_telling(hook, name) for hook in hooks.closed],
        )
    if configuration.namespace is not None:
        memory = _namespaced(memory, configuration)
    if lifecycle is not None:
        lifecycle.outermost = memory
    for hook in hooks.created:
        hook(backend=memory, name=name)
    return memory


def _create(configuration: Configuration, registry: BackendRegistry | None) -> MemoryBackend:
    """Make the bare backend; what the registry refuses names its place in the configuration."""
    from fastadk_memory.defaults import backends, policy_in_force

    options = configuration.read_options()
    sources = dict(configuration.sources)
    with policy_in_force(configuration.policy) if registry is None else nullcontext():
        registry = backends if registry is None else registry
        name = configuration.backend
        if configuration.url is not None:
            source = configuration.source("url")
            name, given = _located(source, lambda: registry.backend_for_url(str(configuration.url)))
            options, sources = _joined(configuration, given, options, source)
        else:
            source = configuration.source("backend")
            _located(source, lambda: registry.load(name))
        return registry.create_from(name, options, sources=sources)


def _joined(
    configuration: Configuration,
    given: Mapping[str, object],
    options: Mapping[str, object],
    source: str,
) -> tuple[dict[str, object], dict[str, str]]:
    """The options of the URL with those beside and above it."""
    for name in sorted(configuration.beside_url & given.keys()):
        if str(given[name]) != str(options[name]):
            raise ConfigurationError(
                f"{source}: the URL and {configuration.sources[name]} both give the option "
                f"{name}, and differ; keep one of them"
            )
    return {**given, **options}, {**dict.fromkeys(given, source), **configuration.sources}


def _located(source: str, call: Callable[[], Any]) -> Any:
    """Put in front of an error where the backend was chosen, unless the caller did so."""
    try:
        return call()
    except FastADKMemoryError as error:
        if source in ("the call", DEFAULT):
            raise
        raise type(error)(f"{source}: {error}") from error.__cause__ or error


def _namespaced(memory: MemoryBackend, configuration: Configuration) -> MemoryBackend:
    from fastadk_memory.wrappers import NamespacedBackend

    try:
        return NamespacedBackend(memory, str(configuration.namespace), close_inner=True)
    except InvalidKeyError as error:
        raise ConfigurationError(
            f"{configuration.source('namespace')}: namespace: {error}"
        ) from error


def _telling(hook: Hook, name: str) -> Callable[[MemoryBackend], object]:
    return lambda backend: hook(backend=backend, name=name)
