"""A watchdog against code that blocks the event loop, which no asyncio timeout can stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from fastadk_memory.contract.violations import Violation

__all__ = ["watchdog"]


_AGAIN = 1.0  # a task that swallows the violation, and blocks once more, is interrupted again


@contextmanager
def watchdog(seconds: float) -> Generator[None]:
    """Interrupt the block with a `Violation` if it takes longer than `seconds`.

    It needs SIGALRM and the main thread; elsewhere the block simply runs. A timer that
    somebody else has set, such as pytest-timeout's, is put back with what it had left.

    Args:
        seconds: How long the block may take.

    Raises:
        Violation: It took longer.
    """
    usable = hasattr(signal, "setitimer")
    if not usable or threading.current_thread() is not threading.main_thread():
        yield
        return

    def bark(number: int, frame: FrameType | None) -> None:
        raise Violation(
            f"nothing happened for {seconds:g} s: the backend blocks the event loop, or hangs"
        )

    handler = signal.signal(signal.SIGALRM, bark)
    left, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left, interval)
        signal.signal(signal.SIGALRM, handler)
