"""Imports one plugin, shakes hands with it, and constructs its backend.

What a plugin raises becomes one error that names the plugin, its version and its target;
the plugin's own error stays its cause. Its text is repeated for an import only: what a
constructor raises may hold a password that it was given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from fastadk_memory.base import API_VERSION, MemoryBackend
from fastadk_memory.directory import distributions
from fastadk_memory.discovery import EntryPoint
from fastadk_memory.errors import (
    BackendLoadError,
    ConfigurationError,
    FastADKMemoryError,
    IncompatibleBackendError,
)
from fastadk_memory.selection import pip_command

__all__ = ["Factory", "check_factory", "construct", "load_object", "origin_of", "url_options"]

Factory: TypeAlias = type[MemoryBackend] | Callable[..., MemoryBackend]
"""What a name of a backend stands for: its class, or a callable that makes one."""

_REFERENCE = re.compile(r"([\w.]+)\s*(?::\s*([\w.]+))?\s*(?:\[.*\]\s*)?\Z")


def load_object(entry: EntryPoint) -> Factory:
    """Import what an entry point names.

    Args:
        entry: The entry point; nothing else is imported.

    Returns:
        The backend's class, or the callable that makes it.

    Raises:
        BackendLoadError: The module or the object is not there, importing failed, or the
            object is no backend.
        IncompatibleBackendError: It was written for another version of the backend API.
    """
    origin = origin_of(entry)
    reference = _REFERENCE.match(entry.value)
    if reference is None:
        raise BackendLoadError(
            f"{origin}: the entry point is not of the form package.module:object; tell its authors"
        )
    module, path = reference[1], reference[2] or ""
    from importlib import import_module

    try:
        found: object = import_module(module)
    except (Exception, SystemExit) as error:
        raise BackendLoadError(f"{origin}: {_import_advice(error, module, entry)}") from error
    try:
        for attribute in path.split(".") if path else ():
            found = getattr(found, attribute)
    except Exception as error:
        raise BackendLoadError(
            f"{origin}: the module {module} has no {path} ({type(error).__name__}); its metadata "
            f"and its code do not belong together: {_reinstall(entry)}"
        ) from error
    return check_factory(found, origin, entry.distribution)


def check_factory(found: object, origin: str, provider: str) -> Factory:
    """Return `found` if it speaks this core's backend API and a backend can be made of it.

    Args:
        found: What was loaded or registered.
        origin: Where it came from, for messages.
        provider: What to upgrade if it is too old, for messages.

    Raises:
        BackendLoadError: It is neither a subclass of `MemoryBackend` nor a callable that
            is no class.
        IncompatibleBackendError: It was written for another version of the backend API.
    """
    _shake_hands(found, origin, provider)
    if isinstance(found, type):
        if issubclass(found, MemoryBackend):
            return found
        raise BackendLoadError(
            f"{origin}: {found.__name__} is a class but no subclass of MemoryBackend; derive it "
            "from fastadk_memory.MemoryBackend"
        )
    if callable(found):
        return cast("Factory", found)
    raise BackendLoadError(
        f"{origin}: this is a {type(found).__name__}, neither a subclass of MemoryBackend nor a "
        "callable that returns a backend"
    )


def construct(
    factory: Factory,
    options: Mapping[str, object],
    *,
    backend: str,
    origin: str,
    sources: Mapping[str, str] | None = None,
) -> MemoryBackend:
    """Check the options against the factory's signature and make the backend.

    Args:
        factory: The class or callable.
        options: Its options by name; text is converted.
        backend: The backend's name, for messages.
        origin: Where the factory came from, for messages.
        sources: Where each option came from, for messages.

    Raises:
        ConfigurationError: An option is unknown, missing or of a wrong type, or the
            constructor refused one with a `ValueError` or `TypeError`.
        BackendLoadError: The class lacks methods, the constructor failed otherwise, or
            what it returned is no `MemoryBackend`.
    """
    from fastadk_memory.options import check_options

    missing: frozenset[str] = getattr(factory, "__abstractmethods__", frozenset())
    if isinstance(factory, type) and missing:
        raise BackendLoadError(
            f"{origin}: the class {factory.__name__} lacks {', '.join(sorted(missing))}; "
            "a backend defines all nine abstract methods of MemoryBackend"
        )
    checked = check_options(factory, options, backend=backend, sources=sources)
    made = _guarded(lambda: factory(**checked), checked, backend, origin, "the constructor")
    if isinstance(made, MemoryBackend):
        return made
    if hasattr(made, "close"):
        _close_coroutine(made)
    raise BackendLoadError(
        f"{origin}: it returned a {type(made).__name__}, not a MemoryBackend; tell its authors"
    )


def url_options(factory: Factory, url: str, *, backend: str, origin: str) -> dict[str, object]:
    """Let a backend turn its URL into options.

    Args:
        factory: The class or callable; a class brings its own `from_url`.
        url: The URL, already checked, without the core's own parameters.
        backend: The backend's name, for messages.
        origin: Where the factory came from, for messages.

    Raises:
        ConfigurationError: The URL says something that the backend cannot use.
        BackendLoadError: `from_url` failed otherwise, or returned no options.
    """
    if not (isinstance(factory, type) and issubclass(factory, MemoryBackend)):
        from fastadk_memory.urls import default_options

        return default_options(factory, url)
    given = {"url": url}
    options: object = _guarded(lambda: factory.from_url(url), given, backend, origin, "from_url")
    if isinstance(options, Mapping) and all(isinstance(name, str) for name in options):
        return dict(options)
    raise BackendLoadError(
        f"{origin}: from_url must return a mapping of option names to values, "
        f"not {type(options).__name__}; tell its authors"
    )


def _guarded(
    call: Callable[[], Any], given: Mapping[str, object], backend: str, origin: str, what: str
) -> object:
    try:
        return call()
    except FastADKMemoryError:
        raise
    except (ValueError, TypeError) as error:
        reason = _harmless_text(error, given)
        raise ConfigurationError(
            f"{what} of the backend {backend!r} ({origin}) refused what it was given: {reason}"
        ) from error
    except Exception as error:
        raise BackendLoadError(
            f"{origin}: {what} failed: {_harmless_text(error, given)}; this is a fault of the "
            "plugin or of what it needs, tell its authors"
        ) from error


# ------------------------------------------------------------------- the messages


def origin_of(entry: EntryPoint) -> str:
    """Return what a message calls the backend of an entry point."""
    version = f" {entry.version}" if entry.version else ""
    return f"the backend {entry.name!r} of {entry.distribution}{version} ({entry.value[:200]})"


def _shake_hands(found: object, origin: str, provider: str) -> None:
    try:
        theirs: object = getattr(found, "api_version", API_VERSION)
        same = bool(theirs == API_VERSION)
    except Exception as error:
        raise BackendLoadError(
            f"{origin}: asking for its api_version failed ({type(error).__name__}); "
            "tell its authors"
        ) from error
    if same:
        return
    newer = isinstance(theirs, int) and theirs > API_VERSION
    shown = (
        repr(theirs)
        if isinstance(theirs, int) and abs(theirs) < 10**9
        else (f"of the type {type(theirs).__name__}")
    )
    raise IncompatibleBackendError(
        f"{origin} was written for version {shown} of the backend API, but this core has version "
        f"{API_VERSION}; "
        + (
            f"upgrade the core: {pip_command('install --upgrade fastadk-memory')}"
            if newer
            else f"upgrade {provider}, or install an older fastadk-memory"
        )
    )


def _import_advice(error: BaseException, module: str, entry: EntryPoint) -> str:
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing and (module == missing or module.startswith(f"{missing}.")):
        return (
            f"there is no module {missing}: the metadata in {entry.location} is stale; "
            f"{_reinstall(entry)}, or remove it: {_uninstall(entry)}"
        )
    if missing:
        return (
            f"it needs the module {missing}, which is not installed; "
            f"see what is incomplete: {pip_command('check')}"
        )
    return (
        f"importing it raised {type(error).__name__}{_first_line(error)}; {_reinstall(entry)}, "
        "or tell its authors"
    )


def _reinstall(entry: EntryPoint) -> str:
    # A name on an index need not be the same project as one that came from elsewhere.
    if entry.distribution in distributions():
        return f"reinstall it: {pip_command(f'install --force-reinstall {entry.distribution}')}"
    return f"reinstall {entry.distribution} from where it came"


def _uninstall(entry: EntryPoint) -> str:
    return pip_command(f"uninstall {entry.distribution}")


def _first_line(error: BaseException) -> str:
    try:
        text = str(error).strip()
    except Exception:  # noqa: BLE001 (somebody else's __str__)
        return ""
    return f": {text.splitlines()[0][:200]}" if text else ""


def _harmless_text(error: Exception, given: Mapping[str, object]) -> str:
    """An error's type, and its text too unless it shares a word with text that it was given."""
    from urllib.parse import unquote

    kind, text = type(error).__name__, _first_line(error)
    words: set[str] = set()
    for value in _texts(given):
        for spelling in (value.lower(), unquote(value).lower()):
            words.update(re.findall(r"\w+", spelling))
            # Of a run of punctuation any part may be the secret: every pair counts.
            words.update(re.findall(r"(?=([^\w\s]{2}))", spelling))
    if not text or any(word in text.lower() for word in words):
        return f"{kind} (its text may repeat what was given; see the cause)" if text else kind
    return f"{kind}{text}"


def _texts(value: object, depth: int = 0) -> list[str]:
    """Every text within options; numbers and the like are no secrets."""
    if isinstance(value, bytes):
        return [value.decode(errors="replace")]
    if value is None or isinstance(value, (bool, int, float)) or depth > 20:
        return []
    if isinstance(value, Mapping):
        # The top level's keys are the names of options.
        parts = [*value.values(), *(value if depth else ())]
        return [text for part in parts for text in _texts(part, depth + 1)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [text for part in value for text in _texts(part, depth + 1)]
    return [value] if isinstance(value, str) else []


def _close_coroutine(made: object) -> None:
    """Keep a coroutine that nobody will await from warning about it."""
    import inspect

    if inspect.iscoroutine(made):
        made.close()
