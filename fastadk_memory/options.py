"""A backend's options: the keyword parameters of its constructor, checked and converted.

A plugin's author writes no validation code: the signature says which options there are,
which are required, and of which types. Values from URLs, the environment and the command
line are text and are converted; values of other types are checked. No message repeats a
value, which may be a secret.

```text
int, float        12, 0.5                  timedelta     seconds: 30, 0.5
bool              true/false, yes/no,      Path          any text
                  on/off, 1/0              Enum          a member's value or name
X | None          none, or an X            Literal       one of its values
X | str           always stays text        list, tuple,  separated by commas: a,b,c
bytes             its UTF-8                set of X
```

A type that is not in this table (a callable, a clock, a client) cannot be written as text:
its option takes an object, from Python.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fastadk_memory.conversion import RefusedError, convert, type_text
from fastadk_memory.errors import ConfigurationError

__all__ = ["OptionInfo", "check_options", "describe_options", "option_names"]


@dataclass(frozen=True, slots=True)
class OptionInfo:
    """One option of a backend, as text, for people to read.

    Attributes:
        name: The name of the constructor's parameter.
        type: What it takes, such as `int or None`; `anything` without an annotation.
        required: Whether it must be given.
        default: What it is otherwise; `None` if it is required.
    """

    name: str
    type: str
    required: bool
    default: str | None


def describe_options(factory: Callable[..., object]) -> list[OptionInfo]:
    """Describe what a backend can be given, in the order of its constructor.

    Args:
        factory: The backend's class, or the callable that makes it.

    Returns:
        One line for each keyword parameter; none for a constructor whose signature is
        not known, and none for its `**options`.

    Raises:
        ConfigurationError: `factory` is not callable.
    """
    return [
        OptionInfo(
            parameter.name,
            type_text(parameter.annotation),
            parameter.required,
            None if parameter.required else _default_text(parameter.default),
        )
        for parameter in _parameters(factory).known.values()
    ]


def option_names(factory: Callable[..., object]) -> tuple[frozenset[str], bool]:
    """Return which options a backend names, and whether it takes any others, too.

    Args:
        factory: The backend's class, or the callable that makes it.

    Returns:
        The names of the keyword parameters, and whether there is a `**options` (or no
        signature to know by).

    Raises:
        ConfigurationError: `factory` is not callable.
    """
    parameters = _parameters(factory)
    return frozenset(parameters.known), parameters.any_other


def check_options(
    factory: Callable[..., object],
    options: Mapping[str, object],
    *,
    backend: str,
    sources: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """Check options against a constructor's signature, and convert those given as text.

    Args:
        factory: The backend's class, or the callable that makes it.
        options: Option names to values; a `str` counts as text.
        backend: The backend's name, for messages.
        sources: Where each option came from, for messages, such as `fastadk.toml`.

    Returns:
        The options, ready to be passed as keywords.

    Raises:
        ConfigurationError: An option is unknown, is of a wrong type, or is required and
            missing. The message names it, what it takes and where it came from, and
            never shows the value.
    """
    if not isinstance(options, Mapping):
        raise ConfigurationError(
            f"the options of {backend!r} must be a mapping of names to values, "
            f"not {type(options).__name__}"
        )
    parameters = _parameters(factory)
    checked: dict[str, object] = {}
    for name, value in options.items():
        origin = f" (from {sources[name]})" if sources and name in sources else ""
        if not isinstance(name, str):
            raise ConfigurationError(
                f"an option of {backend!r} is named by a {type(name).__name__}; "
                "names of options are str"
            )
        parameter = parameters.known.get(name)
        if parameter is None:
            if not parameters.any_other:
                raise ConfigurationError(_unknown(name, origin, backend, parameters))
            checked[name] = value
        else:
            checked[name] = _checked(parameter, value, origin, backend)
    for parameter in parameters.known.values():
        if parameter.required and parameter.name not in checked:
            raise ConfigurationError(
                f"the backend {backend!r} needs the option {parameter.name!r} "
                f"({type_text(parameter.annotation)}); pass {parameter.name}=... or set "
                f"FASTADK_MEMORY_OPTIONS__{parameter.name.upper()}"
            )
    return checked


def _checked(parameter: _Parameter, value: object, origin: str, backend: str) -> object:
    if value is parameter.default:
        return value
    try:
        return convert(value, parameter.annotation)
    except RefusedError as refused:
        raise ConfigurationError(
            f"the option {parameter.name!r} of {backend!r}{origin} must be "
            f"{type_text(parameter.annotation)}; {refused}"
        ) from None
    except RecursionError:
        raise ConfigurationError(
            f"the option {parameter.name!r} of {backend!r}{origin} is nested too deep"
        ) from None


def _unknown(name: str, origin: str, backend: str, parameters: _Parameters) -> str:
    from difflib import get_close_matches

    shown = repr(name[:60])
    nearest = get_close_matches(name[:200], parameters.known, n=1)
    guess = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    if not parameters.known:
        return f"the backend {backend!r} has no option {shown}{origin}; it takes no options"
    return (
        f"the backend {backend!r} has no option {shown}{origin}{guess} "
        f"its options are {', '.join(parameters.known)}"
    )


def _default_text(default: object) -> str:
    if default is None or isinstance(default, (bool, int, float, str, bytes, tuple, frozenset)):
        return repr(default)
    name = getattr(default, "__qualname__", None)
    return name if isinstance(name, str) else f"a {type(default).__name__}"


# -------------------------------------------------------------------- the signature

_MISSING = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    annotation: object
    default: object

    @property
    def required(self) -> bool:
        return self.default is _MISSING


@dataclass(frozen=True, slots=True)
class _Parameters:
    known: dict[str, _Parameter]
    any_other: bool


def _parameters(factory: object) -> _Parameters:
    if not callable(factory):
        raise ConfigurationError(
            f"a backend is a class or a callable, not {type(factory).__name__}"
        )
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        # Something built in: its own errors are all that can be had.
        return _Parameters({}, any_other=True)
    hints = _Hints(factory)
    known: dict[str, _Parameter] = {}
    any_other = False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            any_other = True
        elif parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            annotation = hints.of(parameter)
            known[parameter.name] = _Parameter(parameter.name, annotation, parameter.default)
    return _Parameters(known, any_other)


class _Hints:
    """The annotations of a constructor, with those that are text evaluated."""

    def __init__(self, factory: Callable[..., object]) -> None:
        from typing import get_type_hints

        self._function = _annotated_function(factory)
        try:
            self._hints: dict[str, object] = get_type_hints(self._function, include_extras=True)
        except Exception:  # noqa: BLE001 (an annotation is code and can raise anything)
            # One name imported for type checkers only spoils them all: take them singly.
            self._hints = {}

    def of(self, parameter: inspect.Parameter) -> object:
        """Return the annotation as a type; as the text it is if nothing else can be had."""
        if parameter.name in self._hints:
            return self._hints[parameter.name]
        if not isinstance(parameter.annotation, str):
            return parameter.annotation
        from types import SimpleNamespace
        from typing import get_type_hints

        alone = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
        names = getattr(inspect.unwrap(self._function), "__globals__", {})
        try:
            found: dict[str, object] = get_type_hints(alone, names, include_extras=True)
        except Exception:  # noqa: BLE001
            return parameter.annotation
        return found[parameter.name]


def _annotated_function(factory: Callable[..., object]) -> Callable[..., object]:
    import functools

    while isinstance(factory, functools.partial):
        factory = factory.func
    if isinstance(factory, type):
        initialiser: Callable[..., object] = getattr(factory, "__init__")  # noqa: B009
        return factory.__new__ if initialiser is object.__init__ else initialiser
    if inspect.isroutine(factory):
        return factory
    return type(factory).__call__
