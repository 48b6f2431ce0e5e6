"""docs/versions.md tells the versions that are, and what the core does with others."""

from __future__ import annotations

import re
from pathlib import Path

import fastadk_memory
from fastadk_memory.certificate import FORMAT
from fastadk_memory.contract.clauses import CONTRACT_VERSION

TEXT = (Path(__file__).parents[1] / "docs" / "versions.md").read_text(encoding="utf-8")


def test_the_page_tells_the_versions_of_today() -> None:
    told = dict(re.findall(r"<!-- (\w+) -->(.*?)<!-- /\w+ -->", TEXT))
    assert told == {
        "core": fastadk_memory.__version__,
        "api": str(fastadk_memory.API_VERSION),
        "contract": CONTRACT_VERSION,
        "certificate": str(FORMAT),
    }
