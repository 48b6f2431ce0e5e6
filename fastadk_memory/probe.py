"""Finds out whether a plugin can be loaded, in a process of its own with a time limit.

Importing a plugin runs its code, which may be broken, slow, or end the process. A probe
keeps that away from the process that asks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastadk_memory.policy import Policy
    from fastadk_memory.registry import Factory

__all__ = ["DEFAULT_LIMIT", "Probe", "probe", "probe_all"]

DEFAULT_LIMIT = 15.0
"""Seconds that a plugin may take to be imported."""

_CHILD = (
    "import json, sys; task = json.loads(sys.argv[1]); sys.path[:] = task['path']; "
    "from fastadk_memory.probe import answer; answer(task)"
)


@dataclass(frozen=True, slots=True)
class Probe:
    """What loading one backend in a process of its own showed.

    Attributes:
        name: The backend's name.
        ok: Whether it was loaded.
        seconds: How long that took, without the start of the process.
        error: What went wrong, in a line; `None` if nothing.
        capabilities: The capabilities that the class declares, sorted.
        needs: The options that have to be given to open it.
    """

    name: str
    ok: bool
    seconds: float
    error: str | None = None
    capabilities: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


def probe(name: str, policy: Policy, *, limit: float = DEFAULT_LIMIT) -> Probe:
    """Load the backend `name` in a process of its own.

    Args:
        name: The backend's name.
        policy: What may be loaded.
        limit: Seconds until the process, with all it has started, is ended.

    Returns:
        What came of it. Nothing that the plugin does is raised here.
    """
    began = perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, json.dumps(_task(name, policy))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        return Probe(name, False, perf_counter() - began, _failed(name, f"took over {limit:g} s"))
    finally:
        # On every way out, an interruption by the user included.
        if child.returncode is None:
            _end(child)
    return _read(name, output, child.wait(), perf_counter() - began)


def probe_all(
    names: Iterable[str], policy: Policy, *, limit: float = DEFAULT_LIMIT
) -> dict[str, Probe]:
    """Probe several backends, a few at a time.

    Args:
        names: The backends' names.
        policy: What may be loaded.
        limit: Seconds for each.

    Returns:
        Name to result, in the order of `names`.
    """
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=4) as threads:
        results = threads.map(lambda name: probe(name, policy, limit=limit), names)
        return {result.name: result for result in results}


def _task(name: str, policy: Policy) -> dict[str, Any]:
    return {
        "name": name,
        "path": list(map(str, sys.path)),
        "allow": None if policy.allow is None else sorted(policy.allow),
        "block": sorted(policy.block),
        "pins": dict(policy.pins),
    }


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it has started and left behind."""
    if hasattr(os, "killpg"):
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            child.kill()  # does nothing to a process that has ended
    else:
        child.kill()
    child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _read(name: str, output: bytes, status: int, seconds: float) -> Probe:
    try:
        found: dict[str, Any] = json.loads(output)
        return Probe(
            name,
            found["error"] is None,
            found["seconds"],
            found["error"],
            tuple(found["capabilities"]),
            tuple(found["needs"]),
        )
    except (ValueError, KeyError, TypeError):
        return Probe(name, False, seconds, _failed(name, _ending(status)))


def _failed(name: str, how: str) -> str:
    return f"the backend {name!r}: importing it {how}"


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended the process with status {status}"
    try:
        return f"crashed the process ({signal.Signals(-status).name})"
    except ValueError:
        return f"crashed the process (signal {-status})"


# ---------------------------------------------------------------- in the other process


def answer(task: dict[str, Any]) -> None:
    """Do what `probe` asked this process for, write the outcome to its output, and end.

    Args:
        task: What `probe` passed on: the backend's name, and the policy.
    """
    # What the plugin prints must not get into the answer.
    channel = os.dup(1)
    os.dup2(2, 1)
    began = perf_counter()
    error, capabilities, needs = _load(task)
    found = {
        "error": error,
        "seconds": perf_counter() - began,
        "capabilities": capabilities,
        "needs": needs,
    }
    with os.fdopen(channel, "wb") as stream:
        stream.write(json.dumps(found).encode())
    # A plugin's threads and exit handlers are none of our business.
    os._exit(0)


def _load(task: dict[str, Any]) -> tuple[str | None, list[str], list[str]]:
    from fastadk_memory import FastADKMemoryError, Policy, backends
    from fastadk_memory.defaults import policy_in_force

    allow = task["allow"]
    policy = Policy(
        None if allow is None else frozenset(allow), frozenset(task["block"]), task["pins"]
    )
    try:
        with policy_in_force(policy):
            factory = backends.load(task["name"])
    except FastADKMemoryError as error:
        return " ".join(str(error).split()), [], []
    declared: Iterable[object] = getattr(factory, "capabilities", frozenset())
    capabilities = sorted(str(getattr(one, "value", one)) for one in declared)
    return None, capabilities, _needed(factory)


def _needed(factory: Factory) -> list[str]:
    from fastadk_memory.options import describe_options

    return [option.name for option in describe_options(factory) if option.required]
