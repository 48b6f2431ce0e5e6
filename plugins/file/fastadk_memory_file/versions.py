"""New versions of entries: 64 random bits, which nobody can make repeat.

A generator of our own, as programs seed the global one, and seeded anew in a forked child;
asking the operating system each time would cost a tenth of a write.
"""

from __future__ import annotations

from random import Random

from fastadk_memory_file.forks import in_child

__all__ = ["new_version"]

_BYTES = 8
_random = Random()


def new_version() -> bytes:
    """Return a version that has not been there before."""
    return _random.getrandbits(8 * _BYTES).to_bytes(_BYTES, "big")


in_child(_random.seed)
