"""Authors may pin the version of the contract that their backend is held to."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutants.reference import ReferenceHooks

from fastadk_memory.contract.checking import laws_named
from fastadk_memory.contract.clauses import CONTRACT_VERSION
from fastadk_memory.contract.engine import run_law
from fastadk_memory.contract.outcome import Outcome, Status
from fastadk_memory.contract.pinning import belongs_to

LAW = "C4_deleting_an_absent_key_is_no_error"


def tried(pin: object, *, since: str = "1.0") -> Outcome:
    [law] = laws_named([LAW])
    pinned = type("Pinned", (ReferenceHooks,), {"contract_version": pin})
    return run_law(replace(law, since=since), pinned())


def test_without_a_pin_every_law_of_the_suite_is_tried() -> None:
    assert tried(None, since="1.7").status is Status.PASSED


def test_laws_of_the_pinned_version_and_before_are_tried() -> None:
    assert tried(CONTRACT_VERSION, since=CONTRACT_VERSION).status is Status.PASSED


def test_a_law_of_a_later_version_is_told_and_not_tried() -> None:
    outcome = tried("1.0", since="1.1")
    assert outcome.status is Status.NOT_APPLICABLE
    assert outcome.reason == ("it came with contract 1.1, and contract_version is pinned to 1.0")
    assert outcome.examples == 0


@pytest.mark.parametrize(
    ("pin", "told"),
    [
        ("2.0", "differ in meaning"),
        ("0.9", "differ in meaning"),
        ("1.999", "upgrade fastadk-memory"),
        ("1", "no version of the contract"),
        ("1.0.0", "no version of the contract"),
        (1.0, "no version of the contract"),
    ],
)
def test_a_pin_that_the_suite_cannot_honour_is_an_error_and_never_a_pass(
    pin: object, told: str
) -> None:
    outcome = tried(pin)
    assert outcome.status is Status.ERROR
    assert told in outcome.reason


def test_versions_are_compared_as_numbers() -> None:
    assert belongs_to("1.9", "1.10")
    assert not belongs_to("1.10", "1.9")


def test_no_law_is_of_a_later_contract_than_the_suite() -> None:
    assert all(belongs_to(law.since, CONTRACT_VERSION) for law in laws_named())
