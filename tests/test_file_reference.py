"""The reference on a disk keeps the contract, its parts about processes and kills included."""

from __future__ import annotations

import pytest
from mutants.file_reference import FileReferenceHooks

from fastadk_memory.contract import BackendContract


@pytest.mark.thorough
class TestFileReference(FileReferenceHooks, BackendContract):
    pass
