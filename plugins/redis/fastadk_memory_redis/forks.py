"""Which process this is, counted in forks: what a child must not share with its parent."""

from __future__ import annotations

import os

__all__ = ["Forks", "forks"]


class Forks:
    """Counts the forks that lie between this process and the one that imported the package.

    Attributes:
        count: How many. Reading it costs less than asking the system for the process's number.
    """

    def __init__(self) -> None:
        self.count = 0

    def forked(self) -> None:
        """Note that this process is a new child."""
        self.count += 1


forks = Forks()

if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=forks.forked)
