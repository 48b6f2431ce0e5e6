"""Finds and reads the configuration files: which are looked for, and the table `memory` of each.

In the order in which they count: the file that was asked for, `fastadk.toml` (else
`fastadk.yaml`) and `pyproject.toml` in the working directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastadk_memory.errors import ConfigurationError
from fastadk_memory.layers import Layer, from_table
from fastadk_memory.secrets import quoted, shown

__all__ = ["ConfigFile", "read_files"]

Status = Literal["read", "no table", "missing", "ignored"]

_YAML = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file that was looked for.

    Attributes:
        path: Where.
        status: `read`; `no table` if it is there but says nothing about memory;
            `missing`; `ignored` if it is there but another one counts instead of it.
        table: The table that counts, such as `memory` or `tool.fastadk.memory`.
        note: What else there is to say.
    """

    path: Path
    status: Status
    table: str
    note: str | None = None


def read_files(
    explicit: tuple[object, str] | None, cwd: Path
) -> tuple[list[ConfigFile], list[Layer]]:
    """Read the configuration files.

    Args:
        explicit: The file that was asked for, and what asked for it; `None` if nothing.
        cwd: The folder to look for the others in, and what `explicit` is relative to.

    Returns:
        Every file that was looked for, and what those say that say something, highest
        first.

    Raises:
        ConfigurationError: The file asked for is missing, has no such table or is of an
            unknown kind; or any of the files cannot be read or says something wrong.
    """
    files: list[ConfigFile] = []
    layers: list[Layer] = []

    def read(path: Path, label: str, asked_by: str | None = None) -> Status:
        is_pyproject = path.name == "pyproject.toml"
        keys = ("tool", "fastadk", "memory") if is_pyproject else ("memory",)
        text = _read_text(path, label, asked_by)
        status: Status = "missing"
        if text is not None:
            table = _find_table(_parse(text, label, keys), keys, label)
            status = "no table" if table is None else "read"
            if table is not None:
                name = ".".join(keys)
                layer = from_table(table, lambda part: f"{label} [{name}{part}]", path.parent)
                layers.append(layer)
        files.append(ConfigFile(path, status, ".".join(keys)))
        return status

    asked: Path | None = None
    if explicit is not None:
        asked = _explicit_path(*explicit, cwd)
        if read(asked, shown("", str(explicit[0])), explicit[1]) == "no table":
            raise ConfigurationError(
                f"{explicit[1]} names {quoted(str(explicit[0]))}, which has no table "
                f"[{files[-1].table}]; add it, or name another file"
            )
    toml, yaml, pyproject = (
        cwd / name for name in ("fastadk.toml", "fastadk.yaml", "pyproject.toml")
    )
    for path, other in ((toml, None), (yaml, toml), (pyproject, None)):
        if asked is not None and _same_file(asked, path):
            note = f"already read: {explicit[1]} names it" if explicit else None
            files.append(ConfigFile(path, "ignored", files[0].table, note))
        elif other is not None and _exists(other):
            if _exists(path):
                note = f"{other.name} in the same folder counts instead"
                files.append(ConfigFile(path, "ignored", "memory", note))
        else:
            read(path, path.name)
    return files, layers


def _explicit_path(given: object, asked_by: str, cwd: Path) -> Path:
    if not isinstance(given, (str, Path)) or not str(given):
        raise ConfigurationError(f"{asked_by} must be the path of a file")
    path = cwd / given
    if path.suffix not in (".toml", *_YAML):
        raise ConfigurationError(
            f"{asked_by} names {quoted(str(given))}, which is neither .toml nor .yaml; "
            "the ending tells how to read it"
        )
    return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError) as error:
        raise _unreadable(path.name, error) from error


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise _unreadable(other.name, error) from error


def _read_text(path: Path, label: str, asked_by: str | None) -> str | None:
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        if asked_by is None:
            return None
        raise ConfigurationError(
            f"{asked_by} names {quoted(label)}, which does not exist; create it, or correct "
            "the path"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(label, error) from error
    try:
        # Some editors put a byte order mark in front.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{label}, line {line}: this is no UTF-8 text; save the file as UTF-8"
        ) from error


def _unreadable(label: str, error: Exception) -> ConfigurationError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "no valid path"
    return ConfigurationError(
        f"{label} cannot be read: {reason}; check the path and its permissions"
    )


def _parse(text: str, label: str, keys: tuple[str, ...]) -> object:
    if label.endswith(_YAML):
        return _parse_yaml(text, label)
    if len(keys) > 1 and "fastadk" not in text:
        return None  # Most projects' pyproject.toml: not worth parsing.
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{label} is no valid TOML: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{label} is no valid TOML: a number is too long, or something nested too deep"
        ) from error


def _parse_yaml(text: str, label: str) -> object:
    try:
        import yaml  # type: ignore[import-untyped, unused-ignore]
    except ImportError as error:
        import sys

        raise ConfigurationError(
            f"{label} is there, but reading YAML needs PyYAML; install it with "
            f"{sys.executable} -m pip install 'fastadk-memory[yaml]', or write fastadk.toml"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        # The parser's own text quotes the line, which may hold a secret.
        raise ConfigurationError(f"{label}{line}: this is no valid YAML; correct it") from None
    except Exception as error:  # noqa: BLE001 (a malformed date or tag raises whatever it hits)
        raise ConfigurationError(
            f"{label} is no valid YAML: a number, date or tag in it is malformed "
            f"({type(error).__name__})"
        ) from None


def _find_table(document: object, keys: tuple[str, ...], label: str) -> object:
    """Go down to the table; `None` if it is not there."""
    found = document
    for depth, key in enumerate(keys):
        if found is None:
            return None
        if not isinstance(found, Mapping):
            where = f"[{'.'.join(keys[:depth])}]" if depth else "the whole file"
            raise ConfigurationError(f"{label}: {where} must be a table")
        if key not in found:
            return None
        found = found[key]
    # A table without anything in it, as YAML writes it.
    return {} if found is None else found
