"""How much the suite tries, and how long it waits: what may be configured, and is reported."""

from __future__ import annotations

from dataclasses import dataclass

from fastadk_memory.contract.violations import ContractError

__all__ = ["FULL", "PROFILES", "QUICK", "SOAK", "Limits", "Profile", "profile_named"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits, sizes and margins. A slow service may raise them; the report shows them.

    Attributes:
        operation_seconds: How long one call may take.
        blocking_seconds: How long a single law may hold the thread without answering.
        health_seconds: How long `health_check` may take.
        pattern_seconds: How long `keys` may take with a hostile pattern (clause P4).
        reclaim_seconds: How long the space of expired entries may take to come back while
            other keys are being used (clause T7).
        margin_seconds: Where the backend owns its clock: how late it may notice an expiry.
        step_seconds: Where the backend owns its clock: the TTL that laws use and wait for.
        large_value_bytes: The size of a large value (clause V6).
        many_entries: How many entries a store gets where number matters.
        listed_entries: How many small entries one listing has to hold (clause P1).
    """

    operation_seconds: float = 20.0
    blocking_seconds: float = 120.0
    health_seconds: float = 10.0
    pattern_seconds: float = 2.0
    reclaim_seconds: float = 10.0
    margin_seconds: float = 0.1
    step_seconds: float = 0.3
    large_value_bytes: int = 10 * 1024 * 1024
    many_entries: int = 1_200
    listed_entries: int = 10_050


@dataclass(frozen=True, slots=True)
class Profile:
    """How long the suite searches.

    Attributes:
        name: `quick`, `full` or `soak`.
        examples: Random examples for each law, beside its fixed ones.
        slow_examples: The same for a law that waits in real time or starts processes.
        machine_runs: Random sequences of operations.
        machine_steps: Operations in one of them.
        schedules: Random histories of concurrent calls.
        kills: Processes killed at random moments.
        derandomized: Whether every run tries the same examples.
    """

    name: str
    examples: int
    slow_examples: int
    machine_runs: int
    machine_steps: int
    schedules: int
    kills: int
    derandomized: bool


QUICK = Profile("quick", 20, 2, 60, 30, 30, 3, derandomized=True)
FULL = Profile("full", 200, 8, 600, 50, 400, 20, derandomized=False)
SOAK = Profile("soak", 3_000, 50, 10_000, 60, 6_000, 500, derandomized=False)
PROFILES = {profile.name: profile for profile in (QUICK, FULL, SOAK)}


def profile_named(name: str) -> Profile:
    """Return a profile by its name.

    Raises:
        ContractError: There is none of this name.
    """
    if name not in PROFILES:
        raise ContractError(f"no profile is called {name!r}; there are {', '.join(PROFILES)}")
    return PROFILES[name]
