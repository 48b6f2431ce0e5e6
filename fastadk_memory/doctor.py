"""What `fastadk-memory doctor` finds: is everything that is installed and configured well?

A finding is a *problem* if something cannot work: a plugin that cannot be loaded, a name
that two distributions claim, metadata that cannot be read, an impossible configuration, a
backend that does not answer. It is a *warning* if everything works but perhaps not as it
was meant, such as a file that another one hides. All is well if there is no problem.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from fastadk_memory.config import Configuration, Flags, load_policy, resolve
from fastadk_memory.defaults import backends, policy_in_force
from fastadk_memory.discovery import normalise
from fastadk_memory.errors import ConfigurationError, FastADKMemoryError
from fastadk_memory.policy import Policy
from fastadk_memory.probe import DEFAULT_LIMIT, Probe, probe_all
from fastadk_memory.selection import BackendInfo, install_command, pip_command

if TYPE_CHECKING:
    from fastadk_memory.base import MemoryBackend

__all__ = ["Diagnosis", "Finding", "examine"]

_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `ok`, `warning` or `problem`.
        what: What was found.
        cure: The command that mends it; `None` where nothing is to be mended.
    """

    level: Literal["ok", "warning", "problem"]
    what: str
    cure: str | None = None


@dataclass(slots=True)
class Diagnosis:
    """Everything that was found.

    Attributes:
        findings: In the order of looking.
        backend: The name of the configured backend; `None` if the configuration is wrong.
        healthy: What its health check said; `None` if it was not asked.
        open_ms: Milliseconds that opening it took.
        latency_ms: Milliseconds of a small read, the median of several.
    """

    findings: list[Finding] = field(default_factory=list)
    backend: str | None = None
    healthy: bool | None = None
    open_ms: float | None = None
    latency_ms: float | None = None

    @property
    def ok(self) -> bool:
        """Whether no finding is a problem."""
        return all(finding.level != "problem" for finding in self.findings)

    def fine(self, what: str) -> None:
        """Add what is as it should be."""
        self.findings.append(Finding("ok", what))

    def warning(self, what: str, cure: str) -> None:
        """Add what works, but perhaps not as it was meant."""
        self.findings.append(Finding("warning", what, cure))

    def problem(self, what: str, cure: str) -> None:
        """Add what cannot work."""
        self.findings.append(Finding("problem", what, cure))


async def examine(flags: Flags, *, limit: float = DEFAULT_LIMIT) -> Diagnosis:
    """Look at the plugins, the configuration and the configured backend.

    Each plugin is loaded in a process of its own; only the configured backend, if that
    went well, and the plugins around it are loaded in this one. Of the backend only a key
    that does not exist is read; nothing is changed.

    Args:
        flags: The flags of the command.
        limit: Seconds for loading each plugin, and for all calls of the backend.

    Returns:
        The findings. What is wrong is among them, and never raised.
    """
    diagnosis = Diagnosis()
    _look_at_core(diagnosis)
    configuration = _look_at_configuration(diagnosis, flags)
    policy = _policy(configuration, flags)
    broken = _look_at_plugins(diagnosis, policy, limit=limit)
    if configuration is not None:
        _look_at_hooks(diagnosis, configuration)
        await _look_at_backend(diagnosis, configuration, broken, limit=limit)
    return diagnosis


def _look_at_core(diagnosis: Diagnosis) -> None:
    import platform

    from fastadk_memory import __version__

    diagnosis.fine(
        f"fastadk-memory {__version__} on Python {platform.python_version()} ({sys.executable})"
    )


# ------------------------------------------------------------------ configuration


def _look_at_configuration(diagnosis: Diagnosis, flags: Flags) -> Configuration | None:
    try:
        configuration = resolve(flags=flags)
    except ConfigurationError as error:
        diagnosis.problem(
            f"the configuration is wrong: {error}",
            "mend it in the place that is named, then check it: fastadk-memory config",
        )
        return None
    diagnosis.backend = configuration.backend
    read = [file.path.name for file in configuration.files if file.status == "read"]
    diagnosis.fine(
        f"configuration: backend {configuration.backend!r} from "
        f"{configuration.source('backend')}; files read: {', '.join(read) or 'none'}"
    )
    blocked = {f"{plugin} is blocked by the policy" for plugin in configuration.hooks.blocked}
    failed = {f"nothing can be opened: {problem}" for problem in configuration.hooks.problems}
    for note in configuration.notes:
        if note in blocked:
            diagnosis.fine(note)
        elif note not in failed:
            diagnosis.warning(note, "fastadk-memory config")
    return configuration


def _policy(configuration: Configuration | None, flags: Flags) -> Policy | None:
    """Return what may be loaded; `None` if that cannot be known."""
    if configuration is not None:
        return configuration.policy
    try:
        return load_policy(config=flags.config)
    except ConfigurationError:
        return None


# ------------------------------------------------------------------ plugins


def _look_at_plugins(diagnosis: Diagnosis, policy: Policy | None, *, limit: float) -> set[str]:
    """Report on every installed backend; return the names that cannot be opened."""
    with policy_in_force(policy or Policy()):
        infos, problems = backends.infos(), backends.problems()
    for problem in problems:
        diagnosis.problem(f"{problem.where}: {problem.what}", problem.cure)
    if not any(info.status == "ok" for info in infos):
        diagnosis.problem("no backend is installed", str(install_command("inmemory")))
    if policy is None:
        diagnosis.warning(
            f"installed backends: {', '.join(info.name for info in infos) or 'none'}; none was "
            "loaded, as the configuration does not tell what may be",
            "mend the configuration first",
        )
        return set()
    _report_conflicts(diagnosis, infos, policy)
    usable = [info.name for info in infos if info.status == "ok"]
    probes = probe_all(usable, policy, limit=limit)
    block = sorted(policy.block)
    broken: set[str] = set()
    for info in infos:
        if info.status == "ok":
            _report_probe(diagnosis, info, probes[info.name], block)
        elif info.status == "blocked":
            diagnosis.fine(f"{_titled(info)}: kept out; {info.problem}")
        if info.status == "conflict" or (info.status == "ok" and not probes[info.name].ok):
            broken |= {info.name, *info.aliases}
    return broken


def _report_conflicts(diagnosis: Diagnosis, infos: Iterable[BackendInfo], policy: Policy) -> None:
    pins = [f"{pinned}={distribution}" for pinned, distribution in policy.pins.items()]
    claims: dict[str, list[BackendInfo]] = {}
    for info in infos:
        if info.status == "conflict":
            claims.setdefault(info.name, []).append(info)
    for name, rivals in claims.items():
        what = str(rivals[0].problem).split("; ")[0]
        trusted = next(
            (info.distribution for info in rivals if info.distribution == f"fastadk-memory-{name}"),
            rivals[0].distribution,
        )
        cure = _export("PINS", pins, f"{name}={trusted}")
        diagnosis.problem(what, f"{cure}  # the distribution that you trust")


def _export(key: str, listed: list[str], addition: str) -> str:
    """Return the command that adds to a list of the policy, and add to `listed` itself.

    The environment's list replaces any other, so each command repeats what was there, and
    what the commands before it have added.
    """
    listed.append(addition)
    return f"export FASTADK_MEMORY_PLUGINS__{key}={','.join(listed)}"


def _report_probe(diagnosis: Diagnosis, info: BackendInfo, result: Probe, block: list[str]) -> None:
    if result.ok:
        diagnosis.fine(f"{_titled(info)}: loads in {result.seconds * 1e3:.0f} ms")
        return
    distribution = normalise(str(info.distribution))
    upgrade = pip_command(f"install --upgrade --force-reinstall {distribution}")
    without = _export("BLOCK", block, distribution)
    diagnosis.problem(str(result.error), f"{upgrade}\n{without}  # or do without it")


def _titled(info: BackendInfo) -> str:
    names = ", ".join((info.name, *info.aliases))
    return f"{names} ({info.distribution} {info.version or ''}".rstrip() + ")"


def _look_at_hooks(diagnosis: Diagnosis, configuration: Configuration) -> None:
    hooks = configuration.hooks
    for plugin in hooks.plugins:
        diagnosis.fine(f"{plugin}: takes part in every opening")
    for finding in hooks.findings:
        diagnosis.problem(f"{finding.where}: {finding.what}", finding.cure)
    for error in hooks.problems:
        what, _, cure = str(error).partition("; ")
        diagnosis.problem(what, cure or "fastadk-memory config")


# ------------------------------------------------------------------ the backend


async def _look_at_backend(
    diagnosis: Diagnosis, configuration: Configuration, broken: set[str], *, limit: float
) -> None:
    name = configuration.backend
    if name in broken:
        diagnosis.problem(
            f"the configured backend {name!r} was not opened: it has the problem above",
            f"fastadk-memory backends --probe --backend {name}",
        )
        return
    from fastadk_memory.opening import open_configuration

    try:
        async with asyncio.timeout(limit):
            began = time.perf_counter()
            async with open_configuration(configuration) as memory:
                diagnosis.open_ms = (time.perf_counter() - began) * 1e3
                await _ask(diagnosis, memory, name)
    except TimeoutError as error:
        if isinstance(error, FastADKMemoryError):
            _report_failure(diagnosis, name, error)
        else:
            diagnosis.healthy = False
            diagnosis.problem(
                f"the configured backend {name!r} did not answer within {limit:g} s",
                "start the service it needs, then: fastadk-memory doctor",
            )
    except FastADKMemoryError as error:
        _report_failure(diagnosis, name, error)
    except Exception as error:  # noqa: BLE001 (whatever a broken backend raises is a finding)
        diagnosis.healthy = False
        diagnosis.problem(
            f"the configured backend {name!r} raised {type(error).__name__}, which is no error of "
            "this package: a fault of the plugin",
            "FASTADK_MEMORY_DEBUG=1 fastadk-memory keys  # for the traceback; tell its authors",
        )


async def _ask(diagnosis: Diagnosis, memory: MemoryBackend, name: str) -> None:
    """Ask for the health, and measure a read that changes nothing."""
    diagnosis.healthy = await memory.health_check()
    durations: list[float] = []
    for _ in range(_SAMPLES):
        began = time.perf_counter()
        await memory.exists("fastadk-memory:doctor")
        durations.append(time.perf_counter() - began)
    await _ask_for_warnings(diagnosis, memory)
    diagnosis.latency_ms = sorted(durations)[_SAMPLES // 2] * 1e3
    took = (
        f"opened in {diagnosis.open_ms or 0:.1f} ms, a read takes {diagnosis.latency_ms:.3f} ms "
        f"(median of {_SAMPLES})"
    )
    if diagnosis.healthy is True:
        diagnosis.fine(f"the configured backend {name!r} is healthy: {took}")
    else:
        diagnosis.problem(
            f"the configured backend {name!r} says that it is not healthy, though it answers: "
            f"{took}",
            "look after the service or the disk it needs, then: fastadk-memory doctor",
        )


class _Report(Protocol):
    @property
    def warnings(self) -> Iterable[str]: ...


@runtime_checkable
class _SelfCritical(Protocol):
    """A backend with a method `health`, whose report has warnings.

    Each is a text that says what is wrong and, after a semicolon, what to do.
    """

    async def health(self) -> _Report: ...


async def _ask_for_warnings(diagnosis: Diagnosis, memory: MemoryBackend) -> None:
    """Show what the bare backend warns of itself, if it does."""
    from fastadk_memory.wrappers import WrapperBackend

    while isinstance(memory, WrapperBackend):
        memory = memory.inner
    if isinstance(memory, _SelfCritical):
        for warning in (await memory.health()).warnings:
            what, _, cure = warning.partition("; ")
            diagnosis.warning(what, cure)


def _report_failure(diagnosis: Diagnosis, name: str, error: FastADKMemoryError) -> None:
    from fastadk_memory.errors import BackendNotFoundError, BackendUnavailableError

    diagnosis.healthy = False
    if isinstance(error, BackendNotFoundError):
        cure = install_command(name) or "fastadk-memory backends"
    elif isinstance(error, BackendUnavailableError):
        cure = "start the service it needs, then: fastadk-memory doctor"
    else:
        cure = "mend what is named, then: fastadk-memory doctor"
    diagnosis.problem(f"the configured backend {name!r} cannot be used: {error}", cure)
