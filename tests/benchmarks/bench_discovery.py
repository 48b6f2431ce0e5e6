"""What finding and loading a plugin costs, against one call of the standard library.

In an environment of 400 distributions, one of which offers a trivial backend. Wanted:
`load` within 1.5x of one `importlib.metadata.entry_points(group=...)`. The contenders take
turns within one run, and only ratios mean anything on another machine.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from distributions import BACKENDS, backend_source, install  # noqa: E402

DISTRIBUTIONS = 400
ROUNDS = 25

PROCESSES = {
    "bare Python": "",
    "import fastadk_memory.registry": "import fastadk_memory.registry",
    "our load": "from fastadk_memory.registry import BackendRegistry as R; R().load('trivial')",
    "entry_points(group=)": (
        f"from importlib.metadata import entry_points; list(entry_points(group={BACKENDS!r}))"
    ),
    "entry_points(group=) and load": (
        "import fastadk_memory.base; from importlib.metadata import entry_points; "
        f"[e for e in entry_points(group={BACKENDS!r}) if e.name == 'trivial'][0].load()"
    ),
}


def build(folder: Path) -> None:
    for number in range(DISTRIBUTIONS - 1):
        groups = {"console_scripts": {f"tool{number}": f"tool{number}.cli:main"}}
        # About as many have entry points as in real environments.
        declared = groups if number % 3 == 0 else None
        install(folder, f"distribution-{number}", groups=declared)
        (folder / f"distribution_{number}").mkdir()
    install(
        folder,
        "fastadk-memory-trivial",
        backends={"trivial": "trivial_plugin:Backend"},
        modules={"trivial_plugin.py": backend_source()},
    )


def cpu_of_process(script: str, folder: Path) -> float:
    """User and system time of a fresh process, in milliseconds."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Without site: the environment is the synthetic one alone.
    subprocess.run([sys.executable, "-S", "-c", script], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def in_process(folder: Path) -> dict[str, Callable[[], object]]:
    from importlib.metadata import entry_points

    from fastadk_memory.registry import BackendRegistry

    sys.path.insert(0, str(folder))
    ready = BackendRegistry()
    ready.load("trivial")
    return {
        "our load, first": lambda: BackendRegistry().load("trivial"),
        "our load, again": lambda: ready.load("trivial"),
        "entry_points(group=)": lambda: list(entry_points(group=BACKENDS)),
    }


def interleaved(contenders: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median of each, taken in turns, so that a busy moment hits all of them."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for measure in contenders.values():
        measure()
    for _ in range(ROUNDS):
        for name, measure in contenders.items():
            taken[name].append(measure())
    return {name: statistics.median(times) for name, times in taken.items()}


def cpu_of_call(call: Callable[[], object]) -> float:
    before = time.process_time()
    call()
    return 1000 * (time.process_time() - before)


def show(title: str, medians: dict[str, float], limit: str) -> None:
    print(f"\n{title}, median of {ROUNDS}, CPU")
    for name, median in medians.items():
        print(f"  {name:32} {median:9.3f} ms   {median / medians[limit]:6.3f}x")


def main() -> int:
    """Print the table and tell whether the target is met."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        build(folder)
        print(f"{DISTRIBUTIONS} distributions, Python {sys.version.split()[0]}")
        processes = interleaved(
            {
                name: (lambda script=script: cpu_of_process(script, folder))
                for name, script in PROCESSES.items()
            }
        )
        show("Fresh process", processes, "entry_points(group=)")
        calls = in_process(folder)
        within = interleaved(
            {name: (lambda call=call: cpu_of_call(call)) for name, call in calls.items()}
        )
        show("In one process", within, "entry_points(group=)")
    ratio = within["our load, first"] / within["entry_points(group=)"]
    whole = processes["our load"] / processes["entry_points(group=)"]
    print(f"\nload / entry_points(group=): {ratio:.2f} in process, {whole:.2f} as whole processes")
    print("target: at most 1.5")
    return 0 if max(ratio, whole) <= 1.5 else 1


if __name__ == "__main__":
    raise SystemExit(main())
