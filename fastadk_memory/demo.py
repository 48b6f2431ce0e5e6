"""What `fastadk-memory demo` does: one agent's day on two backends, by changing the name.

The first backend is the configured one, `inmemory` if nothing is configured; the second is
the one that is asked for, or else another installed one that needs no options, or none but
a place for its files: then it gets a folder that goes away with the demo.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fastadk_memory.config import Configuration, Flags, resolve
from fastadk_memory.directory import known_names
from fastadk_memory.errors import FastADKMemoryError
from fastadk_memory.opening import open_configuration
from fastadk_memory.probe import probe
from fastadk_memory.replay import Listener, Replay, replay
from fastadk_memory.selection import install_command

if TYPE_CHECKING:
    from fastadk_memory.transcript import Conversation

__all__ = ["Outcome", "demonstrate"]

_ANSWER_WITHIN = 5.0
"""Seconds that a backend nobody asked for may take to show that it is there."""


@dataclass(slots=True)
class Outcome:
    """What the demo did.

    Attributes:
        runs: One for each backend.
        notes: Why there is no second run, or which backends were passed over.
        agree: Whether both runs came to the same figures.
    """

    runs: list[Replay] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    agree: bool = True

    @property
    def ok(self) -> bool:
        """Whether everything read back was what had been stored."""
        return self.agree and not any(run.problems for run in self.runs)

    def as_json(self, transcript: str) -> dict[str, object]:
        """Return all figures as plain data.

        Args:
            transcript: What was replayed.
        """
        return {"ok": self.ok, "transcript": transcript, **asdict(self)}


async def demonstrate(
    flags: Flags,
    conversations: list[Conversation],
    listener: Listener,
    *,
    second: str | None = None,
    keep: bool = False,
) -> Outcome:
    """Live through an agent's day on the configured backend, and again on a second one.

    Args:
        flags: Which memory; what is not given comes from the configuration.
        conversations: What to replay, at least one.
        listener: Hears each step.
        second: The name of the second backend; by default another installed one that
            needs no options but a folder.
        keep: Leave what was stored in its namespaces.

    Returns:
        What was done.

    Raises:
        FastADKMemoryError: A backend cannot be opened, or a call of it failed.
    """
    with TemporaryDirectory(prefix="fastadk-memory-demo-") as folder:
        return await _demonstrate(flags, conversations, listener, second, keep, folder)


async def _demonstrate(
    flags: Flags,
    conversations: list[Conversation],
    listener: Listener,
    second: str | None,
    keep: bool,
    folder: str,
) -> Outcome:
    outcome = Outcome()
    configuration = resolve(flags=flags)
    first = configuration.backend
    listener.begin(f"{first} ({_chosen_by(configuration)})")
    outcome.runs.append(await _run_on(configuration, conversations, listener, keep))
    if second is None:
        other = await _find_second(flags, configuration, outcome.notes, folder)
    else:
        other = _renamed(flags, second)
    for note in outcome.notes:
        listener.note(note)
    if other is None:
        return outcome
    listener.begin(f"{other.backend} (the same again, with nothing changed but the name)")
    outcome.runs.append(await _run_on(other, conversations, listener, keep))
    one, two = outcome.runs
    outcome.agree = one.counts == two.counts
    listener.note(
        f"{first} and {other.backend} came to the same figures"
        if outcome.agree
        else f"{first} and {other.backend} came to different figures"
    )
    return outcome


def _chosen_by(configuration: Configuration) -> str:
    source = configuration.source("backend")
    return "embedded, the default" if source == "default" else f"chosen by {source}"


async def _run_on(
    configuration: Configuration,
    conversations: list[Conversation],
    listener: Listener,
    keep: bool,
) -> Replay:
    async with open_configuration(configuration) as memory:
        name = configuration.backend
        return await replay(memory, conversations, backend=name, listener=listener, keep=keep)


def _renamed(flags: Flags, name: str, options: Mapping[str, object] | None = None) -> Configuration:
    """Return the same configuration for another backend."""
    return resolve(flags=replace(flags, backend=name, url=None, options=options))


async def _find_second(
    flags: Flags, first: Configuration, notes: list[str], folder: str
) -> Configuration | None:
    """Return another backend that is installed and answers; the notes tell of the others."""
    for name in _candidates(first):
        tried = probe(name, first.policy)
        options = _own_options(name, first) if tried.ok and tried.needs else {}
        if not options.keys() >= set(tried.needs):
            notes.append(f"{name} is passed over: it needs {', '.join(tried.needs)}")
            continue
        if not tried.ok:
            notes.append(f"{name} is passed over: it cannot be loaded; see fastadk-memory doctor")
            continue
        placed = {each: text.replace("{tmp}", folder) for each, text in options.items()}
        configuration = await _answering(flags, name, placed or None)
        if configuration is not None:
            return configuration
        notes.append(f"{name} is passed over: it does not answer; see fastadk-memory doctor")
    missing = next((name for name in ("file", "redis") if name != first.backend), "file")
    notes.append(
        "there is no second backend to show the same on; to install one: "
        f"{install_command(missing)}"
    )
    return None


def _candidates(first: Configuration) -> Iterator[str]:
    """Yield the names of the other backends, the official ones first."""
    from fastadk_memory.defaults import backends, policy_in_force

    with policy_in_force(first.policy):
        infos = backends.infos()
    usable = [
        info.name
        for info in infos
        if info.status == "ok" and first.backend not in (info.name, *info.aliases)
    ]
    known = known_names()
    yield from (name for name in known if name in usable)
    yield from (name for name in usable if name not in known)


def _own_options(name: str, first: Configuration) -> dict[str, str]:
    """Return the options with which a backend makes a store of its own, in the folder `{tmp}`."""
    from fastadk_memory.defaults import backends, policy_in_force

    with policy_in_force(first.policy):
        proposed: Mapping[str, str] = getattr(backends.load(name), "contract_options", {})
    return dict(proposed)


async def _answering(
    flags: Flags, name: str, options: Mapping[str, object] | None
) -> Configuration | None:
    try:
        configuration = _renamed(flags, name, options)
        async with asyncio.timeout(_ANSWER_WITHIN):
            async with open_configuration(configuration) as memory:
                return configuration if await memory.health_check() else None
    except (FastADKMemoryError, TimeoutError):
        return None
