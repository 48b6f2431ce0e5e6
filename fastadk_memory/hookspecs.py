"""The hooks that a plugin may implement. Importing this module imports pluggy.

A plugin is a module, or an object, whose functions are marked with `hookimpl`, advertised
as an entry point of the group `fastadk.memory_plugins`. A hook is a plain function, never
`async`; it may take fewer arguments than are listed here.
"""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from fastadk_memory.base import MemoryBackend

__all__ = [
    "PROJECT",
    "fastadk_memory_backend_closed",
    "fastadk_memory_backend_created",
    "fastadk_memory_backend_opened",
    "fastadk_memory_configure",
    "fastadk_memory_wrap_backend",
    "hookimpl",
]

PROJECT = "fastadk_memory"

hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


@_hookspec
def fastadk_memory_wrap_backend(backend: MemoryBackend, name: str) -> MemoryBackend | None:
    """Put something around a backend that is being opened: tracing, encryption, audit.

    It is called once per opening, before anything of the backend is used, and must do no
    I/O. What it returns is given to the next plugin; the core puts the default TTL and the
    namespace around the last.

    Args:
        backend: The backend as the plugins before have left it.
        name: The name under which it is opened.

    Returns:
        The backend to use from here on, best a
        [`WrapperBackend`][fastadk_memory.wrappers.WrapperBackend] around `backend`; `None`
        to leave it as it is.
    """


@_hookspec
def fastadk_memory_configure() -> Mapping[str, object] | None:
    """Contribute configuration, which counts for less than all files.

    Returns:
        A mapping with the keys of the table `memory`, but without `plugins`: what may be
        loaded is decided before any plugin is. `None` to contribute nothing.
    """


@_hookspec
def fastadk_memory_backend_created(backend: MemoryBackend, name: str) -> None:
    """Hear that `open_memory` is about to return `backend`. Nothing has been opened yet.

    Args:
        backend: What the caller gets.
        name: The name under which it is opened.
    """


@_hookspec
def fastadk_memory_backend_opened(backend: MemoryBackend, name: str) -> None:
    """Hear that `backend` is open: told once, by `open()` or before the first call.

    `health_check` does not count as a call. If a plugin raises here the call fails, and
    the next one tells it again.

    Args:
        backend: What the caller of `open_memory` got.
        name: The name under which it was opened.
    """


@_hookspec
def fastadk_memory_backend_closed(backend: MemoryBackend, name: str) -> None:
    """Hear that `backend` has been closed: told once, after everything has been let go.

    Args:
        backend: What the caller of `open_memory` got, whether it was ever used or not.
        name: The name under which it was opened.
    """
