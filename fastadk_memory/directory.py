"""The directory of published backends, which ships with the core: `data/backends.toml`.

It is what `fastadk-memory backends` shows beside the installed ones, and the only source of
the names in a command to install something: what stands here has been reviewed. It is read
when it is first asked for, which is after something went wrong, or by the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Published", "directory_text", "distributions", "known_names", "published"]
__all__ += ["published_as"]


def directory_text() -> str:
    """Return the file as it is."""
    # Not at the top: loading a backend that is there needs none of it.
    from pathlib import Path

    return (Path(__file__).with_name("data") / "backends.toml").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Published:
    """One backend of the directory.

    Attributes:
        name: The name to open it by.
        aliases: Further names of it.
        distribution: What pip installs.
        summary: Where the data lives, in a line.
        certified: The date of the certificate that was reviewed; `None` for an official
            backend, which every test run of the core's repository puts to the contract.
        official: Whether it comes from the core's own repository.
    """

    name: str
    aliases: tuple[str, ...]
    distribution: str
    summary: str
    certified: date | None
    official: bool


@cache
def published() -> tuple[Published, ...]:
    """Return the backends of the directory: the official ones, then the others by name."""
    import tomllib

    entries: list[dict[str, Any]] = tomllib.loads(directory_text())["backend"]
    return tuple(
        Published(
            each["name"],
            tuple(each.get("aliases", ())),
            each["distribution"],
            each["summary"],
            each.get("certified"),
            each.get("official", False),
        )
        for each in entries
    )


def published_as(name: str) -> Published | None:
    """Return the backend that is published under a name or alias; `None` if none is.

    Args:
        name: Any string, such as what a user typed.
    """
    return next((each for each in published() if name in (each.name, *each.aliases)), None)


def known_names() -> list[str]:
    """Return all names and aliases of the directory, those of official backends first."""
    return [name for each in published() for name in (each.name, *each.aliases)]


def distributions() -> frozenset[str]:
    """Return the distributions of the directory."""
    return frozenset(each.distribution for each in published())
