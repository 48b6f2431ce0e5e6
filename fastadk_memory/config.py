"""One resolved, explained configuration from files, the environment, flags and a call.

Highest first, each key on its own, each value knowing where it came from:

1. the arguments of the call, then the flags of a command;
2. the environment: `FASTADK_MEMORY_BACKEND`, `_URL`, `_NAMESPACE`, `_DEFAULT_TTL`,
   `_PROFILE`, `_OPTIONS__<NAME>`;
3. the chosen profile of each file, then the files themselves: the one that was asked for
   (`--config`, `FASTADK_MEMORY_CONFIG`), `fastadk.toml` or else `fastadk.yaml`, and
   `pyproject.toml`, the latter two in the working directory;
4. what plugins contribute; 5. the backend `inmemory`.

Three rules go beyond a single key. **A profile was asked for by name**, so its values count
for more than the base of any file: the base of one file never sends what another file calls
`test` into production. **A backend comes with its options**: a layer that names another
backend than the layers below drops their options; options below which nobody names a
backend are for whichever is named above. **A URL says everything**: it replaces
backend, URL and options of the layers below even if the backend stays the same, so that no
password goes to a server it was not meant for. The configuration's `notes` tell what was
dropped.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fastadk_memory.configfiles import ConfigFile, read_files
from fastadk_memory.errors import BackendLoadError, ConfigurationError, FastADKMemoryError
from fastadk_memory.hooks import Hooks, load_hooks
from fastadk_memory.layers import (
    CONFIG_VARIABLE,
    Layer,
    Value,
    from_arguments,
    from_environment,
    from_table,
    own_variables,
)
from fastadk_memory.policy import Policy
from fastadk_memory.secrets import quoted, read_secrets, shown
from fastadk_memory.ttl import Ttl

if TYPE_CHECKING:
    from fastadk_memory.registry import BackendRegistry

__all__ = ["ConfigFile", "Configuration", "Flags", "Setting", "load_policy", "resolve"]

DEFAULT_BACKEND = "inmemory"
DEFAULT = "default"
UNSET = "-"
"""What a setting shows that nobody has set."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting, for people to read.

    Attributes:
        key: `backend`, `options.prefix`, `plugins.block` and so on.
        value: The value as text with secrets masked; `-` if nobody has set it.
        source: Where it came from: `the call`, `--url`, `FASTADK_MEMORY_URL`,
            `fastadk.toml [memory.options]`, or `default`.
    """

    key: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class Flags:
    """The layer of a command's flags; `None` is not given.

    Attributes:
        backend: `--backend`.
        url: `--url`.
        options: `--option name=value`, by name.
        namespace: `--namespace`.
        default_ttl: `--default-ttl`, in seconds; may be text.
        profile: `--profile`.
        config: `--config`.
    """

    backend: str | None = None
    url: str | None = field(default=None, repr=False)
    options: Mapping[str, object] | None = field(default=None, repr=False)
    namespace: str | None = None
    default_ttl: Ttl | str | None = None
    profile: str | None = None
    config: str | os.PathLike[str] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Configuration:
    """What is to be opened, and why.

    Its `repr` shows the settings, with secrets masked.

    Attributes:
        backend: The name of the backend.
        url: The URL that selects it, without the core's own parameters; `None` if a name
            does.
        options: The backend's options beside what the URL says. Secrets are still
            references: `read_options` reads them.
        namespace: The namespace to open; `None` for none.
        default_ttl: The TTL of what is stored without one; `None` for none.
        profile: The profile that was chosen; `None` for none.
        policy: Which distributions may be loaded.
        settings: Every effective key with value and source.
        files: The files that were looked for.
        notes: What was dropped or passed over, in sentences.
        hooks: The plugins that cut across backends.
        sources: Where each option came from, by its name.
        beside_url: The options that stand in the same layer as the URL, and must not
            contradict it.
        environ: The environment that secrets are read from.
    """

    backend: str
    url: str | None
    options: dict[str, object]
    namespace: str | None
    default_ttl: Ttl | None
    profile: str | None
    policy: Policy
    settings: list[Setting]
    files: list[ConfigFile]
    notes: list[str]
    hooks: Hooks
    sources: dict[str, str]
    beside_url: frozenset[str]
    environ: Mapping[str, str]

    def __repr__(self) -> str:
        """Return the settings, masked."""
        parts = ", ".join(f"{each.key}={each.value}" for each in self.settings)
        return f"Configuration({parts})"

    def source(self, key: str) -> str:
        """Return where a setting came from.

        Args:
            key: The key of one of the `settings`.
        """
        return next((each.source for each in self.settings if each.key == key), DEFAULT)

    def read_options(self) -> dict[str, object]:
        """Return the options with every reference to a secret replaced by the secret.

        Raises:
            ConfigurationError: A variable or file that one refers to is missing; the
                message names the option and where it is set.
        """
        return {name: read_secrets(value, self.environ) for name, value in self.options.items()}


def resolve(
    *,
    backend: str | None = None,
    url: str | None = None,
    options: Mapping[str, object] | None = None,
    namespace: str | None = None,
    default_ttl: Ttl | None = None,
    profile: str | None = None,
    config: str | os.PathLike[str] | None = None,
    flags: Flags | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    registry: BackendRegistry | None = None,
) -> Configuration:
    """Put the layers together. Reads configuration files, and nothing else.

    No backend is imported. Plugins of the group `fastadk.memory_plugins` are; one that
    cannot be loaded is noted in `hooks.problems` and stops an opening, not this.

    Args:
        backend: The name of the backend.
        url: A URL that selects and configures the backend.
        options: Options of the backend.
        namespace: The namespace to open.
        default_ttl: The TTL of what is stored without one.
        profile: The profile to take.
        config: A configuration file, `.toml` or `.yaml`; it counts for more than the other
            files, not for more than the environment.
        flags: The flags of a command.
        environ: The environment; `os.environ` by default.
        cwd: Where to look for files; the working directory by default.
        registry: Where to look up which names mean one backend; the default one if `None`.

    Returns:
        The configuration.

    Raises:
        ConfigurationError: Any layer says something impossible. The message names the
            file, variable or argument and the key, and never shows a value.
    """
    environ = os.environ if environ is None else environ
    folder = _folder(cwd)
    flags = flags or Flags()
    variables = own_variables(environ)
    call = from_arguments(
        {
            "backend": backend,
            "url": url,
            "namespace": namespace,
            "default_ttl": default_ttl,
            "profile": profile,
        },
        options,
        lambda _: "the call",
    )
    command = from_arguments(
        {
            "backend": flags.backend,
            "url": flags.url,
            "namespace": flags.namespace,
            "default_ttl": flags.default_ttl,
            "profile": flags.profile,
        },
        flags.options,
        _flag,
        is_text=True,
    )
    environment = from_environment(variables)
    files, tables = read_files(_explicit(config, flags.config, variables), folder)
    policy_values = _policy_values([environment, *tables])
    policy = _policy(policy_values)
    hooks, contributed = _contributions(load_hooks(policy))

    above, below = [call, command, environment], [*tables, *contributed]
    chosen = _first("profile", [*above, *below])
    layers = [*above, *_with_profile(chosen, tables, contributed)]
    from fastadk_memory.defaults import policy_in_force

    with policy_in_force(policy):
        result = _Resolution(registry)
        for layer in reversed(layers):
            result.add(layer)
    core = {**result.core(), "profile": chosen}
    notes = [*_file_notes(files), *result.notes, *_plugin_notes(hooks)]
    return Configuration(
        backend=str(result.backend.value),
        url=None if result.url is None else str(result.url.value),
        options={name: each.value for name, each in result.options.items()},
        namespace=cast("str | None", _plain(core["namespace"])),
        default_ttl=cast("Ttl | None", _plain(core["default_ttl"])),
        profile=cast("str | None", _plain(chosen)),
        policy=policy,
        settings=_settings(result, core, policy_values),
        files=files,
        notes=notes,
        hooks=hooks,
        sources={name: each.source for name, each in result.options.items()},
        beside_url=result.beside_url,
        environ=environ,
    )


def load_policy(
    environ: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
) -> Policy:
    """Return which distributions may be loaded, from the environment and the files.

    Each of `allow`, `block` and `pins` is taken whole from the highest layer that has it.

    Args:
        environ: The environment; `os.environ` by default.
        cwd: Where to look for files; the working directory by default.
        config: A configuration file that counts for more than the others.

    Raises:
        ConfigurationError: A file or variable says something impossible, in the rest of
            the table `memory` as well: nothing is loaded under rules that may be misread.
    """
    variables = own_variables(os.environ if environ is None else environ)
    environment = from_environment(variables)
    _, tables = read_files(_explicit(config, None, variables), _folder(cwd))
    return _policy(_policy_values([environment, *tables]))


def _flag(key: str) -> str:
    if key.startswith("option"):
        return f"--{key}" if " " in key else "--option"
    return f"--{key.replace('_', '-')}"


# ------------------------------------------------------------------ putting together


class _Resolution:
    """Takes the layers one by one, the lowest first."""

    def __init__(self, registry: BackendRegistry | None) -> None:
        self.backend = Value(DEFAULT_BACKEND, DEFAULT)
        self.url: Value | None = None
        self.options: dict[str, Value] = {}
        self.beside_url: frozenset[str] = frozenset()
        self.notes: list[str] = []
        # What each layer says, the highest last: that of a URL goes with the URL.
        self._core: dict[str, list[Value]] = {"namespace": [], "default_ttl": []}
        self._of_url: list[Value] = []
        self._registry = registry

    def add(self, layer: Layer) -> None:
        named, url = layer.core.get("backend"), layer.core.get("url")
        if url is not None:
            self._select_url(layer, url, named)
        elif named is not None:
            # Options that no layer below binds to a backend are for whichever is named.
            bound = self.backend.source != DEFAULT
            if bound and not self._same(str(named.value), str(self.backend.value)):
                self._drop(named)
            self.backend = named
        self.options.update(layer.options)
        if self.url is not url:
            self.beside_url -= layer.options.keys()
        for key, values in self._core.items():
            value = layer.core.get(key) or layer.url_core.get(key)
            if value is not None:
                values.append(value)

    def core(self) -> dict[str, Value | None]:
        return {key: values[-1] if values else None for key, values in self._core.items()}

    def _select_url(self, layer: Layer, url: Value, named: Value | None) -> None:
        from fastadk_memory.urls import backend_name

        selected = Value(backend_name(str(url.value)), url.source)
        if named is not None and not self._same(str(named.value), str(selected.value)):
            raise ConfigurationError(
                f"{url.source}: the URL selects the backend {selected.value!r}, but "
                f"{named.source} names {quoted(str(named.value))}; keep one of them"
            )
        self._drop(selected)
        self.backend, self.url = selected, url
        self._of_url = list(layer.url_core.values())
        self.beside_url = frozenset(layer.options)

    def _drop(self, selected: Value) -> None:
        """Forget what belongs to the backend of the layers below."""
        also = " with what its query says" if self._of_url else ""
        dropped = [] if self.url is None else [f"the URL of {self.url.source}{also}"]
        by_source: dict[str, list[str]] = {}
        for name, option in self.options.items():
            by_source.setdefault(option.source, []).append(name)
        dropped += [
            f"the option{'s' if len(names) > 1 else ''} {', '.join(names)} of {source}"
            for source, names in by_source.items()
        ]
        if dropped:
            self.notes.append(
                f"{selected.source} selects the backend {quoted(str(selected.value))} and so drops "
                + " and ".join(dropped)
            )
        for key, values in self._core.items():
            kept = [value for value in values if all(value is not other for other in self._of_url)]
            self._core[key] = kept
        self._of_url = []
        self.url = None
        self.options = {}
        self.beside_url = frozenset()

    def _same(self, one: str, other: str) -> bool:
        if one == other:
            return True
        registry = self._registry
        if registry is None:
            from fastadk_memory.defaults import backends

            registry = backends
        return any({one, other} <= {line.name, *line.aliases} for line in registry.infos())


def _with_profile(
    chosen: Value | None, tables: list[Layer], contributed: list[Layer]
) -> list[Layer]:
    """The layers of files and plugins, highest first, with the chosen profile in its place."""
    if chosen is None:
        return [*tables, *contributed]
    name = str(chosen.value)
    ordered: list[Layer] = []
    for group in (tables, contributed):
        ordered += [layer.profiles[name] for layer in group if name in layer.profiles]
        ordered += group
    if not any(name in layer.profiles for layer in (*tables, *contributed)):
        raise _no_such_profile(chosen, [*tables, *contributed])
    return ordered


def _no_such_profile(chosen: Value, layers: list[Layer]) -> ConfigurationError:
    from difflib import get_close_matches

    name = str(chosen.value)
    known = sorted({profile for layer in layers for profile in layer.profiles})
    nearest = get_close_matches(name[:200], known, n=1)
    guess = f" did you mean {nearest[0]!r}?" if nearest else ""
    there = f"there are {', '.join(map(quoted, known))}" if known else "no file defines any"
    return ConfigurationError(
        f"{chosen.source}: no profile {quoted(name)} is defined;{guess} {there} "
        "(a profile is a table [memory.profiles.NAME])"
    )


def _contributions(hooks: Hooks) -> tuple[Hooks, list[Layer]]:
    """What plugins contribute; one that fails joins the problems, which stop any opening."""
    from dataclasses import replace

    layers: list[Layer] = []
    problems = list(hooks.problems)
    for hook in hooks.configure:

        def source(part: str, plugin: str = hook.plugin) -> str:
            return f"{plugin} [memory{part}]"

        try:
            table = hook()
            if table is None:
                continue
            layer = from_table(table, source, Path())
            if layer.policy:
                raise ConfigurationError(
                    f"{source('.plugins')}: what may be loaded is decided before any plugin is; "
                    "set it in a file or in the environment"
                )
            layers.append(layer)
        except BackendLoadError as error:
            problems.append(error)
        except FastADKMemoryError as error:
            problem = BackendLoadError(str(error))
            problem.__cause__ = error
            problems.append(problem)
    return replace(hooks, problems=tuple(problems)), layers


def _first(key: str, layers: Iterable[Layer]) -> Value | None:
    return next((layer.core[key] for layer in layers if key in layer.core), None)


def _plain(value: Value | None) -> object:
    return None if value is None else value.value


def _explicit(
    call: object, flag: object, variables: Mapping[str, str]
) -> tuple[object, str] | None:
    given = (
        (call, "the call"),
        (flag, "--config"),
        (variables.get(CONFIG_VARIABLE), CONFIG_VARIABLE),
    )
    for path, asked_by in given:
        if path is not None:
            return os.fspath(path) if isinstance(path, os.PathLike) else path, asked_by
    return None


def _folder(cwd: object) -> Path:
    if cwd is None:
        return Path()
    if not isinstance(cwd, (str, os.PathLike)):
        raise ConfigurationError(f"cwd must be the path of a folder, not {type(cwd).__name__}")
    return Path(cwd)


# ------------------------------------------------------------------ policy


def _policy_values(layers: Iterable[Layer]) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for layer in layers:
        for key, value in layer.policy.items():
            values.setdefault(key, value)
    return values


def _policy(values: Mapping[str, Value]) -> Policy:
    given: dict[str, Any] = {key: value.value for key, value in values.items()}
    return Policy(**given)


# ------------------------------------------------------------------ explaining


def _settings(
    result: _Resolution, core: Mapping[str, Value | None], policy: Mapping[str, Value]
) -> list[Setting]:
    named: dict[str, Value | None] = {"backend": result.backend}
    if result.url is not None:
        named["url"] = result.url
    named.update(core)
    settings = [_setting(key, key, value) for key, value in named.items()]
    settings += [
        _setting(f"options.{name}", name, result.options[name]) for name in sorted(result.options)
    ]
    settings += [
        _setting(f"plugins.{key}", key, policy.get(key)) for key in ("allow", "block", "pins")
    ]
    return settings


def _setting(key: str, name: str, value: Value | None) -> Setting:
    if value is None:
        return Setting(key, UNSET, DEFAULT)
    plain = sorted(value.value) if isinstance(value.value, frozenset) else value.value
    return Setting(key, shown(name, plain), value.source)


def _file_notes(files: Iterable[ConfigFile]) -> list[str]:
    return [
        f"{file.path.name} is ignored: {file.note}" for file in files if file.status == "ignored"
    ]


def _plugin_notes(hooks: Hooks) -> list[str]:
    return [
        *(f"{plugin} is blocked by the policy" for plugin in hooks.blocked),
        *(f"nothing can be opened: {problem}" for problem in hooks.problems),
    ]
