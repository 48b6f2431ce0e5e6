"""`Replicas`: writes that are acknowledged only when replicas have them, too.

WAIT covers what was written on its own connection. So it follows each write, or each batch,
directly on the same lane; that lane has nothing else to do, as WAIT keeps it waiting.
"""

from __future__ import annotations

from fastadk_memory import BackendUnavailableError
from fastadk_memory_redis.replies import Reply, ReplyError, refusal
from fastadk_memory_redis.wire import pack

__all__ = ["Replicas"]


class Replicas:
    """How many replicas a write waits for.

    Args:
        number: How many.
        seconds: For how long.

    Attributes:
        wait: The command that follows a write.
    """

    def __init__(self, number: int, seconds: float) -> None:
        self._number = number
        self._seconds = seconds
        self.wait = pack(b"WAIT", b"%d" % number, b"%d" % max(1, round(seconds * 1000)))

    def check(self, answer: Reply) -> None:
        """Look at how many replicas have confirmed.

        Raises:
            BackendUnavailableError: Too few; the write has been carried out, and may be lost
                if the primary fails now.
        """
        told = "the write was carried out, and may be lost if the primary fails now"
        if isinstance(answer, ReplyError):
            raise BackendUnavailableError(f"replicas cannot be waited for; {told}") from refusal(
                answer, "the server"
            )
        if not isinstance(answer, int) or answer < self._number:
            raise BackendUnavailableError(
                f"{answer} of {self._number} replicas have confirmed within {self._seconds:g} s; "
                f"{told}; see the options min_replicas and replica_timeout"
            )
