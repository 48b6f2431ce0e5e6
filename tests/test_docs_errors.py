"""docs/errors.md has every error of the tree, with its cause, its cure and what else it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fastadk_memory import errors

TEXT = (Path(__file__).parents[1] / "docs" / "errors.md").read_text(encoding="utf-8")
SECTIONS = {
    title: " ".join(body.split())
    for title, body in re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
}
LEAVES = sorted(set(errors.__all__) - {"FastADKMemoryError"})


def test_the_page_has_every_error_and_no_other() -> None:
    assert sorted(SECTIONS) == LEAVES


@pytest.mark.parametrize("name", LEAVES)
def test_a_section_tells_cause_and_cure(name: str) -> None:
    section = SECTIONS[name]
    assert section.count("**Cause.**") == 1
    assert section.count("**Cure.**") == 1


@pytest.mark.parametrize("name", LEAVES)
def test_a_section_tells_what_else_the_error_is(name: str) -> None:
    kinds = {
        base.__name__
        for base in getattr(errors, name).__bases__
        if base is not errors.FastADKMemoryError
    }
    opening = re.match(r"\*(.*?)\*(?!\*)", SECTIONS[name])
    told = set(re.findall(r"`(\w+)`", opening[1])) if opening else set()
    assert told == kinds
