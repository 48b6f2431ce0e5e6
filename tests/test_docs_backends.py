"""docs/backends.md: its tables say what the official backends declare, and how they were tried.

The measured table is written by `nox -s backends -- --write`.
"""

from __future__ import annotations

import re

import pytest
from backends_page import PAGE, ROOT, declared_table, official, section

from fastadk_memory import Capability
from fastadk_memory.contract import CLAUSES, CONTRACT_VERSION

TEXT = PAGE.read_text(encoding="utf-8")
MEASURED = section(TEXT, "measured")


def test_the_table_of_capabilities_is_what_the_classes_declare() -> None:
    assert section(TEXT, "declared").strip() == declared_table().strip(), (
        "bring it up to date: nox -s backends -- --write"
    )


def test_the_table_explains_every_capability() -> None:
    assert re.findall(r"^\| `([A-Z_]+)`", declared_table(), re.MULTILINE) == [
        each.name for each in Capability
    ]


@pytest.mark.parametrize("name", official())
def test_every_official_backend_tells_its_topologies_and_each_was_measured(name: str) -> None:
    file = ROOT / "plugins" / name / "tests" / "topologies.py"
    labels = re.findall(r'^    "(.+)":', file.read_text(encoding="utf-8"), re.MULTILINE)
    assert labels
    assert re.findall(rf"^\| `{name}` \| (.*?) \|", MEASURED, re.MULTILINE) == labels


def test_what_was_measured_is_about_the_contract_of_today_and_nothing_was_broken() -> None:
    assert f"Contract {CONTRACT_VERSION}" in MEASURED
    lines = [line for line in MEASURED.splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows
    for row in rows:
        assert row[2].endswith(f"of {len(CLAUSES)} clauses")
        assert row[3] == "", "a clause is not kept"
