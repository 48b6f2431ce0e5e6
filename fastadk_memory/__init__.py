"""fastadk-memory: an agent's memory behind one small async interface, on any backend.

```python
from fastadk_memory import open_memory

async with open_memory("inmemory") as memory:
    await memory.set("user:17:name", "Ada", ttl=3600)
    print(await memory.get("user:17:name"))
```

Importing the package is cheap: each public name is imported from its module when it is
first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastadk_memory.base import ABSENT as ABSENT
    from fastadk_memory.base import API_VERSION as API_VERSION
    from fastadk_memory.base import Absent as Absent
    from fastadk_memory.base import Capability as Capability
    from fastadk_memory.base import MemoryBackend as MemoryBackend
    from fastadk_memory.defaults import backends as backends
    from fastadk_memory.entry import MemoryEntry as MemoryEntry
    from fastadk_memory.entry import Metadata as Metadata
    from fastadk_memory.entry import Version as Version
    from fastadk_memory.errors import BackendBlockedError as BackendBlockedError
    from fastadk_memory.errors import BackendClosedError as BackendClosedError
    from fastadk_memory.errors import BackendConflictError as BackendConflictError
    from fastadk_memory.errors import BackendLoadError as BackendLoadError
    from fastadk_memory.errors import BackendNotFoundError as BackendNotFoundError
    from fastadk_memory.errors import BackendTimeoutError as BackendTimeoutError
    from fastadk_memory.errors import BackendUnavailableError as BackendUnavailableError
    from fastadk_memory.errors import ConfigurationError as ConfigurationError
    from fastadk_memory.errors import ConflictError as ConflictError
    from fastadk_memory.errors import CorruptEntryError as CorruptEntryError
    from fastadk_memory.errors import FastADKMemoryError as FastADKMemoryError
    from fastadk_memory.errors import IncompatibleBackendError as IncompatibleBackendError
    from fastadk_memory.errors import InvalidKeyError as InvalidKeyError
    from fastadk_memory.errors import InvalidPatternError as InvalidPatternError
    from fastadk_memory.errors import InvalidTTLError as InvalidTTLError
    from fastadk_memory.errors import UnsupportedOperationError as UnsupportedOperationError
    from fastadk_memory.errors import UnsupportedValueError as UnsupportedValueError
    from fastadk_memory.keys import escape_pattern as escape_pattern
    from fastadk_memory.opening import open_memory as open_memory
    from fastadk_memory.records import RecordBackend as RecordBackend
    from fastadk_memory.registry import BackendInfo as BackendInfo
    from fastadk_memory.registry import BackendRegistry as BackendRegistry
    from fastadk_memory.registry import Policy as Policy
    from fastadk_memory.ttl import Clock as Clock
    from fastadk_memory.ttl import ManualClock as ManualClock
    from fastadk_memory.ttl import Ttl as Ttl
    from fastadk_memory.wrappers import DefaultTtlBackend as DefaultTtlBackend
    from fastadk_memory.wrappers import NamespacedBackend as NamespacedBackend
    from fastadk_memory.wrappers import WrapperBackend as WrapperBackend

__version__ = "0.1.0"

# Where each public name lives. A test holds this table and the imports above together.
_HOMES = {
    "base": ("ABSENT", "API_VERSION", "Absent", "Capability", "MemoryBackend"),
    "defaults": ("backends",),
    "entry": ("MemoryEntry", "Metadata", "Version"),
    "errors": (
        "BackendBlockedError",
        "BackendClosedError",
        "BackendConflictError",
        "BackendLoadError",
        "BackendNotFoundError",
        "BackendTimeoutError",
        "BackendUnavailableError",
        "ConfigurationError",
        "ConflictError",
        "CorruptEntryError",
        "FastADKMemoryError",
        "IncompatibleBackendError",
        "InvalidKeyError",
        "InvalidPatternError",
        "InvalidTTLError",
        "UnsupportedOperationError",
        "UnsupportedValueError",
    ),
    "keys": ("escape_pattern",),
    "opening": ("open_memory",),
    "records": ("RecordBackend",),
    "registry": ("BackendInfo", "BackendRegistry", "Policy"),
    "ttl": ("Clock", "ManualClock", "Ttl"),
    "wrappers": ("DefaultTtlBackend", "NamespacedBackend", "WrapperBackend"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Import a public name from its module, once."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted({*globals(), *__all__})
