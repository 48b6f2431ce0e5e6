"""One layer of a configuration: what a table, the environment or a call says, checked.

A layer knows nothing of the others. Each of its values carries where it came from, and
whatever is wrong with it is found here: unknown keys, wrong types, two spellings of one
key, a URL that contradicts what stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from fastadk_memory.errors import ConfigurationError, InvalidTTLError
from fastadk_memory.secrets import find_references, quoted, shown
from fastadk_memory.ttl import Ttl, ttl_to_ms

__all__ = [
    "ENVIRONMENT",
    "Layer",
    "Value",
    "from_arguments",
    "from_environment",
    "from_table",
    "own_variables",
]

PREFIX = "FASTADK_MEMORY_"
_OPTION_PREFIX = f"{PREFIX}OPTIONS__"

_CORE_VARIABLES = {
    f"{PREFIX}BACKEND": "backend",
    f"{PREFIX}URL": "url",
    f"{PREFIX}NAMESPACE": "namespace",
    f"{PREFIX}DEFAULT_TTL": "default_ttl",
    f"{PREFIX}PROFILE": "profile",
}
_POLICY_VARIABLES = {
    f"{PREFIX}PLUGINS__ALLOW": "allow",
    f"{PREFIX}PLUGINS__BLOCK": "block",
    f"{PREFIX}PLUGINS__PINS": "pins",
}
CONFIG_VARIABLE = f"{PREFIX}CONFIG"
DEBUG_VARIABLE = f"{PREFIX}DEBUG"
"""Not a setting of the memory: it makes the command line show tracebacks."""

QUERY = "its query"
ENVIRONMENT = (*_CORE_VARIABLES, CONFIG_VARIABLE, *_POLICY_VARIABLES, f"{_OPTION_PREFIX}<NAME>")
"""The environment variables that count. Others with the same prefix are errors."""

_CORE_KEYS = ("backend", "url", "namespace", "default_ttl", "profile")
_TABLE_KEYS = (*_CORE_KEYS, "options", "profiles", "plugins")
_PROFILE_KEYS = ("backend", "url", "namespace", "default_ttl", "options")
_POLICY_KEYS = ("allow", "block", "pins")
# How FastADK's own files spell them, and what stands beside them there that is not ours.
_SPELLINGS = {"backend_type": "backend", "connection_string": "url", "ttl_seconds": "default_ttl"}
_FOREIGN_KEYS = ("context_policy",)
_RESERVED_OPTIONS = ("namespace", "default_ttl")

_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Value:
    """A checked value and where it came from, such as `fastadk.toml [memory.options]`."""

    value: object = field(repr=False)
    source: str


@dataclass(slots=True)
class Layer:
    """What one source says.

    Attributes:
        core: `backend`, `url`, `namespace`, `default_ttl`, `profile`, as far as given.
        options: The backend's options.
        url_core: `namespace` and `default_ttl` out of the query of this layer's URL.
        policy: `allow`, `block`, `pins`.
        profiles: The named profiles, each a layer of its own.
    """

    core: dict[str, Value] = field(default_factory=dict)
    options: dict[str, Value] = field(default_factory=dict)
    url_core: dict[str, Value] = field(default_factory=dict)
    policy: dict[str, Value] = field(default_factory=dict)
    profiles: dict[str, Layer] = field(default_factory=dict)


def own_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables that are this package's, checked.

    `FASTADK_MEMORY__...`, with two underscores, is how frameworks write nested settings of
    their own; those are left alone.

    Raises:
        ConfigurationError: One is unknown, or is set but empty. Only an option may be
            empty: an empty namespace, say, is a variable that was not filled in.
    """
    found: dict[str, str] = {}
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name.startswith(f"{PREFIX}_"):
            continue
        if name == DEBUG_VARIABLE:
            continue
        if name.startswith(_OPTION_PREFIX):
            if name == _OPTION_PREFIX:
                raise ConfigurationError(
                    f"{name}: the name of the option is missing; write {_OPTION_PREFIX}<NAME>"
                )
        elif name not in ENVIRONMENT:
            raise _unknown("the environment", name, ENVIRONMENT, "variable")
        elif not environ[name]:
            raise ConfigurationError(f"{name} is set but empty; give it a value, or unset it")
        found[name] = environ[name]
    return found


def from_environment(variables: Mapping[str, str]) -> Layer:
    """Return what the environment says.

    Args:
        variables: What `own_variables` returned.

    Raises:
        ConfigurationError: A value is none of its kind, or two variables give one option.
    """
    layer = Layer()
    for name, text in variables.items():
        if name in _CORE_VARIABLES:
            key = _CORE_VARIABLES[name]
            layer.core[key] = Value(_checked(key, text, name, is_text=True), name)
        elif name in _POLICY_VARIABLES:
            key = _POLICY_VARIABLES[name]
            layer.policy[key] = Value(_policy_from_text(key, text, name), name)
        elif name.startswith(_OPTION_PREFIX):
            option = name.removeprefix(_OPTION_PREFIX).lower()
            if option in layer.options:
                raise ConfigurationError(
                    f"{layer.options[option].source} and {name} both give the option "
                    f"{quoted(option)}; keep one of them"
                )
            _add_option(layer, option, text, name, Path())
    return _with_url(layer)


def from_arguments(
    arguments: Mapping[str, object],
    options: object,
    source: Callable[[str], str],
    *,
    is_text: bool = False,
) -> Layer:
    """Return what the arguments of a call, or the flags of a command, say.

    Args:
        arguments: Core keys to what was passed; `None` is not given.
        options: The backend's options; `None` is none.
        source: Tells how to call the place of a key, or of `option NAME`.
        is_text: Whether a number may be given as text.

    Raises:
        ConfigurationError: One of them is of a wrong type or says something impossible.
    """
    layer = Layer()
    for key, given in arguments.items():
        if given is not None:
            where = source(key)
            layer.core[key] = Value(_checked(key, given, where, is_text=is_text), where)
    if options is not None and not isinstance(options, Mapping):
        raise ConfigurationError(
            f"{source('options')}: options must be a mapping of names to values, "
            f"not {_kind(options)}"
        )
    for name, value in (options or {}).items():
        where = source(f"option {name}" if isinstance(name, str) else "options")
        _add_option(layer, name, value, where, Path())
    return _with_url(layer)


def from_table(table: object, source: Callable[[str], str], folder: Path) -> Layer:
    """Return what the table `memory` of a file, or of a plugin, says.

    Args:
        table: The table as the parser returned it.
        source: Tells how to call a table: `""` is the table itself, `.options` one in it.
        folder: What a relative path of a secret is relative to.

    Raises:
        ConfigurationError: It has an unknown key or a value that is none of its kind, in a
            profile that nobody chose as well.
    """
    checked = _as_table(table, source(""))
    layer = _with_url(_plain_table(checked, source, folder, _TABLE_KEYS))
    where = source(".profiles")
    for key, inner in _as_table(checked.get("profiles"), where).items():
        name = _check_key(key, where)

        def of_profile(part: str, name: str = name) -> str:
            return source(f".profiles.{shown('', name)}{part}")

        inner = _as_table(inner, of_profile(""))
        layer.profiles[name] = _with_url(_plain_table(inner, of_profile, folder, _PROFILE_KEYS))
    where = source(".plugins")
    for key, inner in _as_table(checked.get("plugins"), where).items():
        name = _check_key(key, where)
        if name not in _POLICY_KEYS:
            raise _unknown(where, name, _POLICY_KEYS)
        if inner is not None:
            layer.policy[name] = Value(_policy(name, inner, where), where)
    return layer


def _plain_table(
    table: Mapping[object, object],
    source: Callable[[str], str],
    folder: Path,
    known: tuple[str, ...],
) -> Layer:
    """The core keys and the options of a table; profiles and policy are the caller's."""
    layer = Layer()
    where = source("")
    spelled: dict[str, str] = {}
    for given, value in table.items():
        written = _check_key(given, where)
        key = _SPELLINGS.get(written, written)
        if key not in known:
            if written in _FOREIGN_KEYS:
                continue
            raise _unknown(where, written, known)
        if key in spelled:
            raise ConfigurationError(
                f"{where}: {spelled[key]} and {written} mean the same; keep one of them"
            )
        spelled[key] = written
        # YAML writes "not given" as null.
        if key in _CORE_KEYS and value is not None:
            layer.core[key] = Value(_checked(key, value, where, written=written), where)
    where = source(".options")
    for name, value in _as_table(table.get("options"), where).items():
        _add_option(layer, name, value, where, folder)
    return layer


def _add_option(layer: Layer, name: object, value: object, source: str, folder: Path) -> None:
    name = _check_key(name, source)
    if name in _RESERVED_OPTIONS:
        raise ConfigurationError(
            f"{source}: {name} is no option of a backend but works for all of them; "
            "set it beside the options, not among them"
        )
    layer.options[name] = Value(find_references(value, name, source, folder), source)


def _with_url(layer: Layer) -> Layer:
    """Check this layer's URL against what stands beside it, and take out the core's part."""
    given = layer.core.get("url")
    if given is None:
        return layer
    from fastadk_memory.urls import split_core_options, split_query

    url = str(given.value)
    with _From(given.source):
        url, core = split_core_options(url)
        _, query = split_query(url)
    layer.core["url"] = Value(url, given.source)
    for key, text in core.items():
        value = _checked(key, text, f"{given.source} ({QUERY})", is_text=True)
        beside = layer.core.get(key)
        if beside is not None and not _same(key, beside.value, value):
            raise _contradiction(given.source, key, beside.source)
        layer.url_core[key] = Value(value, f"{given.source} ({QUERY})")
    # What the backend's from_url makes of the rest is compared when it is opened.
    for name, text in {"url": url, **query}.items():
        if name in layer.options and str(layer.options[name].value) != text:
            raise _contradiction(given.source, f"the option {name}", layer.options[name].source)
    return layer


def _contradiction(url_source: str, what: str, source: str) -> ConfigurationError:
    return ConfigurationError(
        f"{url_source}: the URL and {source} both give {what}, and differ; keep one of them"
    )


def _same(key: str, one: object, other: object) -> bool:
    return ttl_to_ms(one) == ttl_to_ms(other) if key == "default_ttl" else one == other


# ------------------------------------------------------------------ values of the core


def _checked(
    key: str, value: object, source: str, *, is_text: bool = False, written: str | None = None
) -> object:
    name = written or key
    if key == "default_ttl":
        return _ttl(name, value, source, is_text=is_text)
    if not isinstance(value, str):
        raise ConfigurationError(f"{source}: {name} must be a string, not {_kind(value)}")
    if not value:
        raise ConfigurationError(f"{source}: {name} must not be empty; leave it out instead")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigurationError(f"{source}: {name} must be text that UTF-8 can express") from None
    if key == "backend" and "://" in value:
        raise ConfigurationError(f"{source}: {name} is a name, not a URL; give the URL as url")
    if key == "url":
        from fastadk_memory.urls import backend_name

        with _From(source):
            backend_name(value)
    return value


def _ttl(name: str, value: object, source: str, *, is_text: bool) -> Ttl:
    if is_text and isinstance(value, str):
        value = _number(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, timedelta)):
        raise ConfigurationError(f"{source}: {name} must be a number of seconds")
    try:
        ttl_to_ms(value)
    except InvalidTTLError as error:
        raise ConfigurationError(f"{source}: {name}: {error}") from error
    return value


def _number(text: str) -> object:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# ------------------------------------------------------------------ the policy


def _policy(key: str, value: object, source: str) -> object:
    if key == "pins":
        return {
            _check_key(name, source): _distribution(inner, f"{source}: pins.{name}")
            for name, inner in _as_table(value, f"{source}: pins").items()
        }
    if not isinstance(value, list):
        raise ConfigurationError(
            f"{source}: {key} must be a list of names of distributions, not {_kind(value)}"
        )
    return frozenset(_distribution(name, f"{source}: {key}") for name in value)


def _policy_from_text(key: str, text: str, source: str) -> object:
    parts = [part for part in (part.strip() for part in text.split(",")) if part]
    if key != "pins":
        return frozenset(_distribution(part, source) for part in parts)
    pins: dict[str, str] = {}
    for part in parts:
        name, equals, distribution = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise ConfigurationError(
                f"{source}: a pin must be written as backend=distribution, several of them "
                "separated by commas"
            )
        if name in pins:
            raise ConfigurationError(f"{source}: the backend {quoted(name)} is pinned twice")
        pins[name] = _distribution(distribution, source)
    return pins


def _distribution(value: object, source: str) -> str:
    from fastadk_memory.discovery import normalise

    if not isinstance(value, str) or not _DISTRIBUTION.match(value):
        raise ConfigurationError(
            f"{source}: this is no name of a distribution; write it as pip does, without a "
            "version, e.g. fastadk-memory-redis"
        )
    return normalise(value)


# ------------------------------------------------------------------ what is wrong


def _as_table(value: object, source: str) -> Mapping[object, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{source} must be a table, not {_kind(value)}")
    return value


def _check_key(key: object, source: str) -> str:
    if not isinstance(key, str):
        raise ConfigurationError(f"{source}: a key must be a string, not {_kind(key)}")
    return key


def _unknown(source: str, key: str, known: Iterable[str], what: str = "key") -> ConfigurationError:
    from difflib import get_close_matches

    known = list(known)
    nearest = get_close_matches(key[:200], known, n=1)
    cure = f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
    return ConfigurationError(f"{source}: unknown {what} {quoted(key)}; {cure}")


def _kind(value: object) -> str:
    """How people call the type of a value in a file."""
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        (str, "a string"),
        (int, "an integer"),
        (float, "a number"),
        (Mapping, "a table"),
        ((list, tuple), "a list"),
    )
    for types, name in kinds:
        if isinstance(value, types):
            return name
    return "nothing" if value is None else f"a {type(value).__name__}"


class _From:
    """Puts in front of an error where the bad value came from."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, ConfigurationError):
            raise ConfigurationError(f"{self._source}: {error}") from error.__cause__
