"""Contestants measured in turn, round after round, so that the machine's moods hit all alike."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping


def medians(contestants: Mapping[str, Callable[[], float]], rounds: int = 9) -> dict[str, float]:
    """Return each contestant's median; each call of one returns a figure, such as seconds."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            figures[name].append(measure())
    return {name: statistics.median(values) for name, values in figures.items()}


async def medians_in_a_loop(
    contestants: Mapping[str, Callable[[], Awaitable[float]]], rounds: int = 9
) -> dict[str, float]:
    """Do the same where all contestants share one event loop."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, measure in contestants.items():
            figures[name].append(await measure())
    return {name: statistics.median(values) for name, values in figures.items()}


def report(title: str, figures: Mapping[str, float], one: str) -> None:
    """Print each figure as a multiple of the contestant `one`."""
    print(f"\n{title} (cost, {one} = 1)")
    for name, figure in sorted(figures.items(), key=lambda item: item[1]):
        print(f"  {name:<46} {figure / figures[one]:>8.2f}")
