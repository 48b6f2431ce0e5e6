"""What happens to an open store when its process forks.

A connection of SQLite must not be used in a forked child, not even to close it
(https://sqlite.org/howtocorrupt.html, 2.6): the child holds none of the locks that it
believes in. So in a child every open store is given up: its calls are refused, and its
connections are kept for good.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Protocol
from weakref import WeakSet

__all__ = ["in_child", "keep_for_good", "watch", "watch_no_more"]


class Forkable(Protocol):
    """A store that does not outlive a fork."""

    def give_up(self) -> None:
        """Let no call through any more; in a forked child."""
        ...


_watched: WeakSet[Forkable] = WeakSet()


def watch(store: Forkable) -> None:
    """Give a store up in every child that is forked from now on."""
    _watched.add(store)


def watch_no_more(store: Forkable) -> None:
    """Let children have a store that is closed."""
    _watched.discard(store)


def keep_for_good(objects: Iterable[object]) -> None:
    """See to it that objects are never destroyed, not even when the interpreter ends."""
    import ctypes

    for each in objects:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(each))


def _give_up_all() -> None:
    for store in list(_watched):
        store.give_up()


def in_child(work: Callable[[], object]) -> None:
    """Do something in every child that is forked from now on, where there are forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=work)


in_child(_give_up_all)
