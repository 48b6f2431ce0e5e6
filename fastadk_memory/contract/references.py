"""From what a command line says to a backend and its options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from fastadk_memory.errors import BackendLoadError, ConfigurationError
from fastadk_memory.loading import Factory, check_factory

__all__ = ["factory_named", "options_given"]


def factory_named(text: str) -> str | Factory:
    """Return the name of a backend, or the class that `module:Class` refers to.

    Modules are looked for in the working directory, too: a class can be put to the contract
    before it is packaged.

    Args:
        text: What was given.

    Raises:
        BackendLoadError: There is no such module or class, or it is no backend.
        IncompatibleBackendError: It was written for another version of the interface.
    """
    module, colon, path = text.partition(":")
    if not colon:
        return text
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise BackendLoadError(f"{text} cannot be imported: {error}") from error
    return check_factory(found, text, module.partition(".")[0])


def options_given(given: Sequence[str]) -> dict[str, object]:
    """Return options by name from `name=value` each.

    Raises:
        ConfigurationError: One of them has no name or no `=`, or comes twice.
    """
    options: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError("an option is given as name=value, as in max_entries=1000")
        if name in options:
            raise ConfigurationError(f"the option {name} is given twice; keep one of them")
        options[name] = value
    return options
