"""`MemoryEntry` in the company of other libraries, and its expiry."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import datetime, timedelta, timezone

import msgspec
import pydantic
import pytest

from fastadk_memory.base import MemoryEntry

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
ENTRY = MemoryEntry(
    key="k",
    value={"a": [1, None]},
    created_at=NOW,
    expires_at=NOW + timedelta(seconds=2),
    metadata={"by": "Ada"},
    version="v1",
)


def test_it_expires_at_the_very_moment() -> None:
    assert not ENTRY.is_expired(NOW + timedelta(seconds=1.999999))
    assert ENTRY.is_expired(NOW + timedelta(seconds=2))
    assert ENTRY.is_expired()
    assert not MemoryEntry("k", 1).is_expired()


def test_its_ttl_is_rounded_up_and_never_negative() -> None:
    assert ENTRY.ttl(NOW) == 2
    assert ENTRY.ttl(NOW + timedelta(seconds=0.5)) == 2
    assert ENTRY.ttl(NOW + timedelta(seconds=1.999)) == 1
    assert ENTRY.ttl(NOW + timedelta(seconds=9)) == 0
    assert ENTRY.ttl() == 0
    assert MemoryEntry("k", 1).ttl() is None


def test_it_cannot_be_changed_and_has_no_dict() -> None:
    with pytest.raises(FrozenInstanceError):
        ENTRY.value = 1
    assert not hasattr(ENTRY, "__dict__")


def test_it_is_a_field_of_a_pydantic_model() -> None:
    class Answer(pydantic.BaseModel):
        entry: MemoryEntry

    answer = Answer(entry=ENTRY)
    assert answer.entry == ENTRY
    assert Answer.model_validate_json(answer.model_dump_json()).entry == ENTRY


def test_msgspec_encodes_it() -> None:
    assert msgspec.json.decode(msgspec.json.encode(ENTRY), type=MemoryEntry) == ENTRY
