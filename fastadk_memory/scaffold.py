"""`fastadk-memory new`: writes a whole plugin distribution, right as it is generated.

What it writes is in `fastadk_memory/templates`, file by file; `@name@` and the like, in a
file and in its name, stand for what depends on the name of the backend. `examples/shelf` of
the repository is what comes out for the name `shelf`, and a test holds the two together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fastadk_memory import __version__
from fastadk_memory.badge import empty_badge, empty_table
from fastadk_memory.base import API_VERSION
from fastadk_memory.contract.clauses import CONTRACT_VERSION
from fastadk_memory.directory import published_as
from fastadk_memory.errors import ConfigurationError

__all__ = ["TEMPLATES", "Names", "core_range", "scaffold"]

TEMPLATES = Path(__file__).with_name("templates")
"""The folder with a template for each file; their names end in `.tmpl`."""

MAX_NAME = 24
"""How long a name may be: lines of the templates hold several, and stay within 100 columns."""

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*\Z")
_PREFIXES = ("fastadk-memory-", "fastadk_memory_")


@dataclass(frozen=True, slots=True)
class Names:
    """What a new backend is called, by the one rule for names.

    Attributes:
        name: The name that users open it by, such as `my-notes`.
    """

    name: str

    @property
    def distribution(self) -> str:
        """What pip installs, such as `fastadk-memory-my-notes`."""
        return f"fastadk-memory-{self.name}"

    @property
    def module(self) -> str:
        """The name as a part of a Python identifier, such as `my_notes`."""
        return self.name.replace("-", "_")

    @property
    def package(self) -> str:
        """What Python imports, such as `fastadk_memory_my_notes`."""
        return f"fastadk_memory_{self.module}"

    @property
    def class_name(self) -> str:
        """The class, such as `MyNotesBackend`."""
        return "".join(part[:1].upper() + part[1:] for part in self.name.split("-")) + "Backend"

    def fill(self, text: str) -> str:
        """Return a template's text, or name, with the names in it."""
        words = {
            "name": self.name,
            "module": self.module,
            "package": self.package,
            "distribution": self.distribution,
            "class": self.class_name,
            "core": core_range(__version__),
            "api": str(API_VERSION),
            "contract": CONTRACT_VERSION,
        }
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        return text


def scaffold(name: str, folder: Path | None = None) -> tuple[Path, list[Path]]:
    """Write a new plugin distribution.

    Args:
        name: The backend's name: lower-case letters, digits and single dashes.
        folder: Where to; it must not exist, or be empty. By default a folder that is
            called like the distribution, in the working directory.

    Returns:
        The folder, and the files in it, relative to it, sorted.

    Raises:
        ConfigurationError: `name` cannot be one or is taken, or `folder` holds something
            or cannot be written to; nothing was changed unless the disk failed midway.
    """
    names = _checked(name)
    target = Path(names.distribution) if folder is None else folder
    _refuse_occupied(target)
    files = rendered(names)
    try:
        for path, text in files.items():
            file = target / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"{target}: cannot be written: {error.strerror}") from error
    return target, sorted(files)


def rendered(names: Names) -> dict[Path, str]:
    """Return the text of every file, by its path.

    Args:
        names: What the backend is called.
    """
    files = {
        _destination(template, names): names.fill(template.read_text("utf-8"))
        for template in sorted(TEMPLATES.rglob("*.tmpl"))
    }
    files[Path("contract.svg")] = empty_badge()
    files[Path("CONTRACT.md")] = empty_table(names.distribution)
    return files


def core_range(version: str) -> str:
    """Return the versions of the core that a plugin built now works with.

    A minor version before 1.0 and a major one after may change the interface.

    Args:
        version: The version of the core, such as `0.1.0`.

    Returns:
        A specifier, such as `>=0.1,<0.2`.
    """
    major, minor = (int(part) for part in version.split(".")[:2])
    following = f"0.{minor + 1}" if major == 0 else str(major + 1)
    return f">={major}.{minor},<{following}"


def _checked(name: str) -> Names:
    if not _NAME.match(name):
        better = _suggestion(name)
        hint = f"; {better!r} would do" if better else ""
        raise ConfigurationError(
            f"{name[:60]!r} cannot be the name of a new backend: it takes lower-case letters, "
            f"digits and single dashes, and begins with a letter{hint}"
        )
    if name.startswith(_PREFIXES):
        raise ConfigurationError(
            f"{name[:60]!r} begins with what every distribution's name begins with; name the "
            f"backend alone: {_suggestion(name)}"
        )
    if len(name) > MAX_NAME:
        raise ConfigurationError(f"the name {name[:60]!r} is longer than {MAX_NAME} characters")
    taken = published_as(name)
    if taken is not None:
        raise ConfigurationError(
            f"the name {name!r} is taken: {taken.distribution} is published under it; two "
            "distributions that claim one name are a conflict for whoever installs both"
        )
    return Names(name)


def _suggestion(name: str) -> str | None:
    """Return the name that was probably meant, if one can be made of it."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1-\2", name).lower()
    parts = re.findall(r"[a-z0-9]+", words)
    if parts[:2] == ["fastadk", "memory"]:
        parts = parts[2:]
    while parts and not parts[0][0].isalpha():
        parts = parts[1:]
    return "-".join(parts)[:MAX_NAME].rstrip("-") or None


def _refuse_occupied(folder: Path) -> None:
    try:
        occupied = folder.is_dir() and any(folder.iterdir())
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be read: {error.strerror}") from error
    if occupied:
        raise ConfigurationError(f"{folder}: holds something already; give a new folder by --dir")
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder}: is no folder; give a new one by --dir")


def _destination(template: Path, names: Names) -> Path:
    relative = template.relative_to(TEMPLATES).with_suffix("")
    return Path(*(names.fill(part).replace("dot-", ".", 1) for part in relative.parts))
