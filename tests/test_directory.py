"""The directory of published backends: every entry of `data/backends.toml` has its form."""

from __future__ import annotations

import re
import sys
import tomllib
from datetime import date, datetime, timedelta, timezone

import pytest

from fastadk_memory.directory import (
    Published,
    directory_text,
    distributions,
    known_names,
    published,
    published_as,
)
from fastadk_memory.discovery import normalise
from fastadk_memory.errors import BackendNotFoundError
from fastadk_memory.registry import BackendRegistry
from fastadk_memory.selection import check_name

ENTRIES = tomllib.loads(directory_text())["backend"]
REQUIRED = {"name", "distribution", "summary"}
OPTIONAL = {"aliases", "certified", "official"}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_an_entry_has_its_form(entry: dict) -> None:
    assert set(entry) >= REQUIRED
    assert set(entry) <= REQUIRED | OPTIONAL
    for name in [entry["name"], *entry.get("aliases", [])]:
        check_name(name)
    assert entry["distribution"] == normalise(entry["distribution"])
    assert re.fullmatch(r"[ -~]{10,72}[^. ]", entry["summary"]), "one line, without a full stop"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["name"])
def test_an_entry_has_a_certificates_date_or_is_official(entry: dict) -> None:
    official = entry.get("official", False)
    assert official is True or "official" not in entry
    if official:
        assert entry["distribution"] == f"fastadk-memory-{entry['name']}"
    if "certified" in entry or not official:
        certified = entry["certified"]
        assert type(certified) is date
        tomorrow = datetime.now(timezone.utc).date() + timedelta(days=1)
        assert date(2026, 1, 1) <= certified <= tomorrow


def test_no_name_stands_for_two_backends() -> None:
    names = known_names()
    assert len(names) == len(set(names))


def test_no_distribution_has_two_entries() -> None:
    assert len(distributions()) == len(ENTRIES)


def test_the_official_ones_come_first_and_the_others_in_the_order_of_their_names() -> None:
    official = [each.official for each in published()]
    assert official == sorted(official, reverse=True)
    others = [each.name for each in published() if not each.official]
    assert others == sorted(others)


def test_the_core_offers_an_extra_for_each_official_backend() -> None:
    from importlib.metadata import metadata

    extras = set(metadata("fastadk-memory").get_all("Provides-Extra") or [])
    assert {each.name for each in published() if each.official} <= extras


def test_a_backend_is_found_by_its_name_and_its_aliases_only() -> None:
    assert published_as("redis") is published_as("valkey") is not None
    assert published_as("fastadk-memory-redis") is None
    assert published_as("Redis") is None


def test_the_error_for_an_unknown_name_knows_the_directory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs = Published("notes", ("jotter",), "acme-notes", "on paper", date(2026, 3, 1), False)
    monkeypatch.setattr("fastadk_memory.directory.published", lambda: (theirs,))
    for asked in ("notes", "jotter", "nots"):
        with pytest.raises(BackendNotFoundError) as caught:
            BackendRegistry(path=[]).load(asked)
        assert str(caught.value).endswith(f"{sys.executable} -m pip install acme-notes")
    with pytest.raises(BackendNotFoundError) as caught:
        BackendRegistry(path=[]).load("zzz")
    assert "pip" not in str(caught.value)
