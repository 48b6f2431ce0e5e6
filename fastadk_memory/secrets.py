"""What is a secret, how a configuration refers to one, and how one is masked when shown.

In a configuration the value of an option may be `{ env = "NAME" }` or
`{ file = "/run/secrets/redis" }` instead of the secret itself. It is read when a backend is
opened, never before, and is shown as the reference that it is. Whatever else looks like a
secret, by its name or as the password of a URL, is shown as `***`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastadk_memory.errors import ConfigurationError

__all__ = [
    "MASK",
    "SecretReference",
    "find_references",
    "looks_secret",
    "quoted",
    "read_secrets",
    "shown",
]

MASK = "***"

_MAX_DEPTH = 50
_MAX_PARTS = 100_000
_MAX_SHOWN = 200

_SECRET_WORDS = frozenset(
    {
        "apikey",
        "auth",
        "authorization",
        "credential",
        "credentials",
        "dsn",
        "pass",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pwd",
        "secret",
        "secrets",
        "token",
        "tokens",
    }
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def looks_secret(name: str) -> bool:
    """Tell whether something of this name is to be masked wherever it is shown.

    Args:
        name: The name of an option or of a query parameter, such as `redis_password`,
            `apiKey` or `encryption_key`; `max_key_bytes` and `prefix` are none.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    if not words:
        return False
    squeezed = "".join(words)
    return (
        not _SECRET_WORDS.isdisjoint(words)
        or words[-1] in {"key", "keys"}
        or any(part in squeezed for part in ("password", "passwd", "secret", "apikey"))
    )


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Says where a secret is to be read from.

    Attributes:
        kind: `env` or `file`.
        where: The name of the environment variable, or the path of the file.
        key: The option that it is for, for messages.
        source: Where the configuration says so, for messages.
        folder: What a relative path is relative to: the folder of the configuration file.
    """

    kind: str
    where: str
    key: str
    source: str
    folder: Path

    def __str__(self) -> str:
        return f"{MASK} (from {self.kind} {self.where!r})"

    def read(self, environ: Mapping[str, str]) -> str:
        """Return the secret.

        Args:
            environ: The environment to take `{ env = ... }` from.

        Returns:
            The variable as it is; the file as UTF-8 without the newline that ends it.

        Raises:
            ConfigurationError: There is no such variable or file, or it cannot be read.
        """
        if self.kind == "env":
            try:
                return environ[self.where]
            except KeyError:
                raise self._error("is not set", "set it, or change the reference") from None
        try:
            # newline="" keeps the secret's own line endings as they are.
            with (self.folder / self.where).open(encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError as error:
            raise self._error("does not exist", "create it, or change the path") from error
        except UnicodeDecodeError as error:
            raise self._error("is no UTF-8 text", "save it as such") from error
        except (OSError, ValueError) as error:
            raise self._error(
                f"cannot be read ({type(error).__name__})", "check its path and permissions"
            ) from error
        return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text

    def _error(self, problem: str, cure: str) -> ConfigurationError:
        what = "environment variable" if self.kind == "env" else "file"
        return ConfigurationError(
            f"{self.source}: {self.key} refers to the {what} {self.where!r}, which {problem}; "
            f"{cure}"
        )


def find_references(value: object, key: str, source: str, folder: Path) -> object:
    """Return the value of an option with every reference to a secret made explicit.

    Args:
        value: What the configuration says. A table with the one key `env` or `file` is a
            reference, also inside of lists and tables.
        key: The option's name.
        source: Where the configuration says so.
        folder: What a relative path of a secret is relative to.

    Returns:
        `value` itself where it holds no reference; otherwise a copy with
        `SecretReference` objects in it.

    Raises:
        ConfigurationError: A reference does not name anything, or the value is nested over
            50 deep or has over 100,000 parts, as a file with circular anchors has.
    """

    def replace(part: object) -> object:
        if isinstance(part, dict) and len(part) == 1:
            [(kind, where)] = part.items()
            if kind in ("env", "file"):
                if not isinstance(where, str) or not where:
                    raise ConfigurationError(
                        f"{source}: {key} is to be read from {kind}, which must be a string "
                        f'that is not empty, as in {{ {kind} = "..." }}'
                    )
                return SecretReference(kind, where, key, source, folder)
        return part

    return _walk(value, replace, f"{source}: {key}")


def read_secrets(value: object, environ: Mapping[str, str]) -> object:
    """Return the value of an option with every reference replaced by the secret.

    Args:
        value: What `find_references` returned.
        environ: The environment to take `{ env = ... }` from.

    Raises:
        ConfigurationError: A variable or file is missing, or cannot be read.
    """

    def replace(part: object) -> object:
        return part.read(environ) if isinstance(part, SecretReference) else part

    return _walk(value, replace, "option")


def shown(name: str, value: object) -> str:
    """Return `value` as it may be shown to anybody, on one line.

    Args:
        name: The name of the option; where it looks secret the value is masked.
        value: Any value. Of objects other than plain data only the type is shown, as
            nobody knows what their `repr` tells.

    Returns:
        At most 200 characters.
    """
    masked = _masked(name, value)
    if not isinstance(masked, str):
        import json

        masked = json.dumps(masked, ensure_ascii=False)
    elif not masked.isprintable():
        masked = ascii(masked)
    return masked if len(masked) <= _MAX_SHOWN else masked[: _MAX_SHOWN - 3] + "..."


def quoted(name: str) -> str:
    """Return the name of a key, profile or file for a message, in quotes.

    Args:
        name: Any text. A URL that got into the wrong place is masked.
    """
    text = _masked_text(name)
    return repr(text if len(text) <= 80 else f"{text[:77]}...")


def _masked(name: str, value: object) -> Any:
    if isinstance(value, SecretReference):
        return str(value)
    if looks_secret(name) and value is not None:
        return MASK
    if isinstance(value, str):
        return _masked_text(value)
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**20 else "a number of over 20 digits"
    # A list has as many parts as one can read; the rest would be cut off anyway.
    if isinstance(value, dict):
        return {
            _masked_text(str(key)): _masked(str(key), part)
            for key, part in list(value.items())[:_MAX_SHOWN]
        }
    if isinstance(value, (list, tuple)):
        return [_masked(name, part) for part in value[:_MAX_SHOWN]]
    if type(value).__module__ in ("datetime", "pathlib"):
        return str(value)
    return f"<{type(value).__name__}>"


def _masked_text(text: str) -> str:
    if "://" not in text:
        return text
    from fastadk_memory.urls import mask

    return mask(text)


def _walk(value: object, replace: Callable[[object], object], where: str) -> object:
    parts = 0

    def walk(part: object, depth: int) -> object:
        nonlocal parts
        parts += 1
        if depth > _MAX_DEPTH or parts > _MAX_PARTS:
            raise ConfigurationError(
                f"{where} is nested over {_MAX_DEPTH} deep or has over {_MAX_PARTS} parts; "
                "simplify it"
            )
        replaced = replace(part)
        if replaced is not part:
            return replaced
        # Only plain containers: those of other types are the caller's own objects.
        if type(part) is dict:
            table = {key: walk(inner, depth + 1) for key, inner in part.items()}
            return part if all(table[key] is part[key] for key in part) else table
        if type(part) is list:
            row = [walk(inner, depth + 1) for inner in part]
            return part if all(new is old for new, old in zip(row, part, strict=True)) else row
        return part

    return walk(value, 0)
