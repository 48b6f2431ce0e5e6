"""The reference backend keeps the contract: what fails on a mutant is the mutation's doing."""

from __future__ import annotations

import pytest
from mutants.reference import ReferenceHooks

from fastadk_memory.contract import BackendContract


@pytest.mark.thorough
class TestReference(ReferenceHooks, BackendContract):
    pass
