"""The smallest `RecordBackend`, four methods over a dict, keeps the contract; so in real time."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from fastadk_memory import MemoryBackend, RecordBackend
from fastadk_memory.contract import BackendContract

# The example of the docstring: whoever starts from it shall start from what was tried.
_EXAMPLE = re.search(r"```python\n(.*?)```", inspect.getdoc(RecordBackend) or "", re.DOTALL)
assert _EXAMPLE is not None
_defined: dict[str, Any] = {"__name__": "docstring_of_record_backend"}
exec(_EXAMPLE[1], _defined)


@pytest.mark.thorough
class TestMinimalRecordBackend(BackendContract):
    def make_backend(self) -> MemoryBackend:
        backend: MemoryBackend = _defined["DictBackend"]()
        return backend
