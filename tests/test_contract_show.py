from __future__ import annotations

import enum
import math
from collections import Counter, OrderedDict
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings

from fastadk_memory import ABSENT, MemoryEntry
from fastadk_memory.contract.compare import identical
from fastadk_memory.contract.inputs import subclassed
from fastadk_memory.contract.inputs.corpus import NASTY_KEYS, NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.offences import foreign_parts, loops, offences
from fastadk_memory.contract.show import Name, show, show_call

NAMES = {
    "ABSENT": ABSENT,
    "timedelta": timedelta,
    "OrderedDict": OrderedDict,
    "Counter": Counter,
    **{name: value for name, value in vars(subclassed).items() if isinstance(value, type)},
}
SHORT = [value for value in NASTY_VALUES if not (isinstance(value, list) and len(value) > 80)]


def evaluated(text: str) -> object:
    return eval(text, dict(NAMES))


@pytest.mark.parametrize("value", SHORT, ids=show)
def test_what_is_shown_evaluates_to_the_value(value: object) -> None:
    assert identical(evaluated(show(value)), value)


@given(Domain().nested_values())
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_value_of_the_domain_evaluates_back(value: object) -> None:
    assert identical(evaluated(show(value)), value)


@pytest.mark.parametrize("key", [*NASTY_KEYS, *Domain().all_nasty_keys()], ids=show)
def test_a_key_evaluates_back_and_is_short(key: str) -> None:
    assert evaluated(show(key)) == key
    assert len(show(key)) < 100


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("k" * 1024, "'k' * 1_024"),
        ("k" * 1023 + "z", "'k' * 1_023 + 'z'"),
        ("é" * 512 + "k", "'é' * 512 + 'k'"),
        ("ab" * 100 + "a", "'ab' * 100 + 'a'"),
        (b"\x00" * 300, r"b'\x00' * 300"),
        (bytes(range(256)) * 3, None),
        ("x" * 81, "'x' * 81"),
        ("x" * 80, repr("x" * 80)),
        ("".join(map(str, range(200))), None),
        (2**10_000, "(2**10000)"),
        (2**10_000 - 1, "(2**10000 -1)"),
        (-(2**200) - 1, None),
        (10**50, None),
        (12, "12"),
        (True, "True"),
        (None, "None"),
        (-0.0, "-0.0"),
        (math.inf, 'float("inf")'),
        ((1,), "(1,)"),
        ((), "()"),
        ({"a": (1, [2])}, "{'a': (1, [2])}"),
        ({1: "a", None: b"b"}, "{1: 'a', None: b'b'}"),
        (ABSENT, "ABSENT"),
        (timedelta(milliseconds=1500), "timedelta(seconds=1.5)"),
        (Name("value"), None),
    ],
)
def test_texts_and_numbers(value: object, text: str | None) -> None:
    shown = show(value)
    if text is not None:
        assert shown == text
    if not isinstance(value, Name):
        assert identical(evaluated(shown), value)


def test_a_name_stands_for_itself() -> None:
    assert show(Name("value")) == "value"
    assert show({"key": Name("value")}) == "{'key': value}"
    call = show_call("memory", "set", ("k", Name("value")), {"ttl": 1.5})
    assert call == "memory.set('k', value, ttl=1.5)"


@pytest.mark.parametrize("value", subclassed.SUBCLASSED, ids=show)
def test_an_instance_of_a_subclass_does_not_pass_for_its_base_type(value: object) -> None:
    assert show(value) != show(base_of(value))


def base_of(value: object) -> object:
    if isinstance(value, list):
        return [base_of(part) for part in value]
    if isinstance(value, dict):
        return {str.__str__(name): base_of(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return tuple(base_of(part) for part in value)
    for base in (str, int, float, bytes):
        if isinstance(value, base):
            return base.__new__(base, base.__str__(value) if base is str else value)
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (subclassed.Text("a"), "Text('a')"),
        (subclassed.Colour.RED, "Colour.RED"),
        (subclassed.Rows([1]), "Rows([1])"),
        (subclassed.Point(1, [2]), "Point(x=1, y=[2])"),
        (enum.Flag("Both", "A B").B, "Both.B"),
        ([subclassed.Number(7)], "[Number(7)]"),
    ],
)
def test_subclasses_are_named(value: object, text: str) -> None:
    assert show(value) == text


def test_an_entry_is_shown_without_what_it_lacks() -> None:
    assert show(MemoryEntry("a", 1)) == "MemoryEntry(key='a', value=1)"
    made = datetime(2026, 1, 2, tzinfo=timezone.utc)
    shown = show(MemoryEntry("a", 1, created_at=made, metadata={"b": 2}, version="v"))
    assert shown == (
        "MemoryEntry(key='a', value=1, created_at=2026-01-02 00:00:00+00:00, "
        "metadata={'b': 2}, version='v')"
    )


@pytest.mark.parametrize(
    "value",
    [
        "".join(map(str, range(5_000))),
        "".join(map(str, range(5_000))).encode(),
        list(range(10_000)),
        {str(at): at for at in range(10_000)},
        ["x" * 70 + str(at) for at in range(100)],
        [[[["deep " * 30] * 50] * 50] * 50],
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_long_is_cut_and_stays_one_expression(value: object) -> None:
    shown = show(value)
    assert len(shown) < 2_500
    if type(value) is not object:
        compile(shown, "shown", "eval")
        compile(show_call("memory", "set", ("k", value), {}), "call", "eval")


def test_what_is_deep_is_cut() -> None:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    assert show(value) == "[" * 13 + "..." + "]" * 13


@pytest.mark.parametrize("offence", loops(), ids=lambda offence: offence.lines[-1])
def test_what_holds_itself_is_cut_where_it_begins_again(offence) -> None:
    assert show(offence.value).count("...") == 1
    made: dict[str, object] = {}
    exec("\n".join(offence.lines), made)
    assert show(made["value"]) == show(offence.value)


def test_strange_objects_are_shown_whatever_they_do() -> None:
    class Strange:
        def __repr__(self) -> str:
            raise KeyError("no")

    assert show([Strange()]) == "[<Strange whose repr raises KeyError>]"
    for part in foreign_parts():
        assert " at 0x" not in show(part)
    for offence in offences():
        assert "0x" not in show(offence.value)
