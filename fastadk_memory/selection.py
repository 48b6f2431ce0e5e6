"""What each name of a backend stands for: decided from metadata alone, before any import.

The policy comes first, so that a blocked distribution cannot spoil the name of another;
then pins; what is then still claimed by two distributions is a conflict, never a matter
of who was found first.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastadk_memory.directory import known_names, published_as
from fastadk_memory.discovery import EntryPoint, Problem, normalise
from fastadk_memory.errors import (
    BackendBlockedError,
    BackendConflictError,
    BackendNotFoundError,
    ConfigurationError,
    FastADKMemoryError,
)
from fastadk_memory.policy import Policy, pin_advice

__all__ = ["BackendInfo", "Selection", "check_name", "install_command", "pip_command"]

Status = Literal["ok", "blocked", "conflict"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*\Z")


@dataclass(frozen=True, slots=True)
class BackendInfo:
    """One backend as a listing shows it.

    Attributes:
        name: The name to open it by.
        aliases: Further names of the same object of the same distribution.
        distribution: Who provides it; `None` if the application registered it.
        version: The distribution's version; `None` if the application registered it.
        target: What would be imported, such as `package.module:Class`; for a registered
            one a description.
        location: Where the distribution's metadata lies; `None` for a registered one.
        status: `ok`; `blocked` by the policy or a pin; or `conflict`.
        problem: Why it cannot be opened, and what to do; `None` if it can.
    """

    name: str
    aliases: tuple[str, ...]
    distribution: str | None
    version: str | None
    target: str
    location: str | None
    status: Status
    problem: str | None


def check_name(name: object) -> str:
    """Return the name of a backend, or refuse it.

    Args:
        name: What the caller passed.

    Raises:
        ConfigurationError: It is no `str` of lower-case letters, digits, `_`, `.` and `-`
            that begins with a letter or digit.
    """
    if isinstance(name, str) and _NAME.match(name):
        return name
    raise ConfigurationError(
        f"{_shown(name)} cannot be the name of a backend; use lower-case letters, digits, "
        "_, . and -, beginning with a letter or digit"
    )


def pip_command(arguments: str) -> str:
    """Return a command for the pip of this very Python.

    Args:
        arguments: What follows `pip`.
    """
    python = sys.executable or "python"
    if not re.fullmatch(r"[\w@%+=:,./\\-]+", python):
        python = f'"{python}"' if os.name == "nt" else "'" + python.replace("'", "'\"'\"'") + "'"
    return f"{python} -m pip {arguments}"


def install_command(name: str) -> str | None:
    """Return the command that installs the published backend of this name.

    Args:
        name: The name of a backend.

    Returns:
        A command for a shell; `None` for every name that is not in the directory of
        published backends. The distribution is never made up from `name`.
    """
    found = published_as(name)
    return None if found is None else pip_command(f"install {found.distribution}")


class Selection:
    """The backends of one moment: what is installed and registered, under one policy.

    Args:
        entry_points: What discovery found.
        policy: What is permitted.
        registered: The names that the application registered, with descriptions.
    """

    def __init__(
        self, entry_points: Iterable[EntryPoint], policy: Policy, registered: Mapping[str, str]
    ) -> None:
        self._policy = policy
        self._registered = registered
        self._claims: dict[str, list[EntryPoint]] = {}
        self._invalid: list[EntryPoint] = []
        for entry in entry_points:
            if _NAME.match(entry.name):
                claims = self._claims.setdefault(entry.name, [])
                if not any(_same(entry, claim) for claim in claims):
                    claims.append(entry)
            else:
                self._invalid.append(entry)

    def names(self) -> list[str]:
        """Return the names that can be opened, aliases included, sorted."""
        return sorted(
            name for name in {*self._claims, *self._registered} if self._error(name) is None
        )

    def infos(self) -> list[BackendInfo]:
        """Return one line for each backend, sorted by name, with its aliases folded in."""
        lines = [self.registered_info(name) for name in self._registered]
        folded: dict[tuple[object, ...], list[tuple[EntryPoint, Status, str | None]]] = {}
        for name in self._claims:
            for entry in self._claims[name]:
                status, problem = self._verdict(entry)
                key = (entry.location, _target(entry), status, status == "conflict" and name)
                folded.setdefault(key, []).append((entry, status, problem))
        for same in folded.values():
            primary = _primary([entry for entry, _, _ in same])
            _, status, problem = next(line for line in same if line[0] is primary)
            aliases = sorted(entry.name for entry, _, _ in same if entry is not primary)
            lines.append(_info(primary, tuple(aliases), status, problem))
        return sorted(lines, key=lambda line: (line.name, line.distribution or ""))

    def choose(self, name: str) -> EntryPoint | None:
        """Return the entry point that a name stands for; `None` if it is a registered one.

        Args:
            name: The name of a backend.

        Raises:
            BackendNotFoundError: Nothing of this name is installed or registered.
            BackendBlockedError: The policy forbids whoever provides it.
            BackendConflictError: Several provide it.
            ConfigurationError: The name is pinned to something that is not there.
        """
        error = self._error(name)
        if error is not None:
            raise error
        if name in self._registered:
            return None
        return self._usable(name)[0]

    def info(self, name: str) -> BackendInfo:
        """Return the line of a backend that can be opened, by any of its names.

        Args:
            name: The name of a backend.

        Raises:
            FastADKMemoryError: As for `choose`.
        """
        entry = self.choose(name)
        if entry is None:
            return self.registered_info(name)
        for line in self.infos():
            if line.status == "ok" and name in (line.name, *line.aliases):
                return line
        return _info(entry, (), "ok", None)

    def registered_info(self, name: str) -> BackendInfo:
        """Return the line of a backend that the application registered."""
        error = self._error(name)
        problem = None if error is None else str(error)
        status: Status = "ok" if error is None else "conflict"
        return BackendInfo(name, (), None, None, self._registered[name], None, status, problem)

    def claimed(self, name: str) -> list[EntryPoint]:
        """Return the permitted entry points of a name: those that a registration would hit."""
        return self._usable(name)

    def problems(self) -> list[Problem]:
        """Return what is wrong with names and pins and stands in no line of `infos`."""
        found = [
            Problem(
                f"{entry.distribution} calls a backend {entry.name[:60]!r}, which cannot be a name",
                entry.location,
                f"tell the authors of {entry.distribution}: names are lower-case letters, digits, "
                "_, . and -",
            )
            for entry in self._invalid
        ]
        for name, distribution in sorted(self._policy.pins.items()):
            if name not in self._claims:
                found.append(
                    Problem(
                        f"the name {name[:60]!r} is pinned to {distribution}, which is not "
                        "installed or has no such backend",
                        "pins in [memory.plugins] or FASTADK_MEMORY_PLUGINS__PINS",
                        self._pin_cure(name, distribution),
                    )
                )
        return found

    # -------------------------------------------------------------- the decisions

    def _usable(self, name: str) -> list[EntryPoint]:
        """The claims that policy and pin leave over."""
        claims = [
            entry
            for entry in self._claims.get(name, ())
            if self._policy.permits(entry.distribution)
        ]
        pin = self._policy.pins.get(name)
        if pin is None:
            return claims
        return [entry for entry in claims if normalise(entry.distribution) == pin]

    def _error(self, name: str) -> FastADKMemoryError | None:
        """Why a name cannot be opened, or `None`."""
        usable = self._usable(name)
        if name in self._registered:
            return self._clash(name, usable[0]) if usable else None
        if len(usable) == 1:
            return None
        if usable:
            return self._conflict(name, usable)
        pin = self._policy.pins.get(name)
        claims = self._claims.get(name, [])
        if pin is not None and not any(normalise(entry.distribution) == pin for entry in claims):
            return self._pinned_to_nothing(name, pin, claims)
        if claims:
            return self._blocked(name, claims, pin)
        return self._not_found(name)

    def _verdict(self, entry: EntryPoint) -> tuple[Status, str | None]:
        """How one line of one distribution stands."""
        if not self._policy.permits(entry.distribution):
            return "blocked", self._policy.refusal(entry.distribution)
        error = self._error(entry.name)
        usable = self._usable(entry.name)
        if entry in usable:
            return ("ok", None) if error is None else ("conflict", str(error))
        if usable:
            return "blocked", f"a pin gives the name to {usable[0].distribution}"
        return "conflict", str(error)

    # --------------------------------------------------------------- the messages

    def _conflict(self, name: str, usable: list[EntryPoint]) -> BackendConflictError:
        providers = {normalise(entry.distribution): entry for entry in usable}
        listed = " and ".join(f"{_provider(entry)} ({_target(entry)})" for entry in usable)
        if len(providers) == 1:
            return BackendConflictError(
                f"the name {name!r} stands for several objects of one distribution: {listed}; "
                f"tell its authors, or block it and install another"
            )
        known = published_as(name)
        best = known.distribution if known and known.distribution in providers else min(providers)
        return BackendConflictError(
            f"the name {name!r} is claimed by {len(providers)} distributions: {listed}; "
            f"say which one you trust, e.g. {pin_advice(name, str(best))}; or uninstall the other"
        )

    def _clash(self, name: str, entry: EntryPoint) -> BackendConflictError:
        return BackendConflictError(
            f"the name {name!r} is registered by this application and provided by "
            f"{_provider(entry)} ({_target(entry)}), too; register under another name, or block "
            f"{entry.distribution} in [memory.plugins] (in tests: use override)"
        )

    def _blocked(self, name: str, claims: list[EntryPoint], pin: str | None) -> BackendBlockedError:
        entry = next((e for e in claims if normalise(e.distribution) == pin), claims[0])
        return BackendBlockedError(
            f"the backend {name!r} comes from {_provider(entry)}: "
            f"{self._policy.refusal(entry.distribution)}"
        )

    def _pinned_to_nothing(
        self, name: str, pin: str, claims: list[EntryPoint]
    ) -> ConfigurationError:
        have = ", ".join(_provider(entry) for entry in claims)
        return ConfigurationError(
            f"the name {_shown(name)} is pinned to the distribution {pin}, which is not installed "
            f"or has no such backend (pins in [memory.plugins] or FASTADK_MEMORY_PLUGINS__PINS); "
            f"{f'installed for this name: {have}; ' if have else ''}{self._pin_cure(name, pin)}"
        )

    def _pin_cure(self, name: str, pin: str) -> str:
        known = published_as(name)
        command = install_command(name) if known and known.distribution == pin else None
        return (
            f"install it ({command}) or change the pin"
            if command
            else ("install it or change the pin")
        )

    def _not_found(self, name: str) -> BackendNotFoundError:
        from difflib import get_close_matches

        installed = [known for known in {*self._claims, *self._registered} if self._opens(known)]
        published = known_names()
        known = sorted({*installed, *published})
        near = get_close_matches(name[:100].lower(), known, n=1)
        guess = f"; did you mean {near[0]!r}?" if near and near[0] != name else ";"
        wanted = name if name in published else (near[0] if near else "")
        command = None if wanted in installed else install_command(wanted)
        have = ", ".join(sorted(installed)) or "none"
        return BackendNotFoundError(
            f"no backend {_shown(name)} is installed{guess} installed: {have}"
            + (f"; to install {wanted!r}: {command}" if command else "")
        )

    def _opens(self, name: str) -> bool:
        return len(self._usable(name)) == 1 or name in self._registered


def _same(one: EntryPoint, other: EntryPoint) -> bool:
    return one.location == other.location and _target(one) == _target(other)


def _target(entry: EntryPoint) -> str:
    """The value without spaces and extras, so that two spellings of an object are one."""
    return re.sub(r"\[.*|\s+", "", entry.value)


def _primary(entries: list[EntryPoint]) -> EntryPoint:
    """Of an object's names the one that its distribution is named after, else the first."""
    for entry in entries:
        if normalise(entry.distribution) == f"fastadk-memory-{normalise(entry.name)}":
            return entry
    return entries[0]


def _info(
    entry: EntryPoint, aliases: tuple[str, ...], status: Status, problem: str | None
) -> BackendInfo:
    return BackendInfo(
        entry.name,
        aliases,
        entry.distribution,
        entry.version,
        _target(entry),
        entry.location,
        status,
        problem,
    )


def _provider(entry: EntryPoint) -> str:
    return f"{entry.distribution} {entry.version}".strip()


def _shown(name: object) -> str:
    """A name in a message: short, and without the password of a URL in the wrong place."""
    if not isinstance(name, str):
        return f"a {type(name).__name__}"
    from fastadk_memory.urls import mask

    text = mask(name) if "://" in name or "@" in name else name
    return repr(text[:60] + ("..." if len(text) > 60 else ""))
