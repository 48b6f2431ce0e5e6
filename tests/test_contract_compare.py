from __future__ import annotations

import math
import struct
from collections import OrderedDict
from copy import deepcopy
from itertools import combinations

import pytest
from hypothesis import given, settings

from fastadk_memory.codec import decode, encode
from fastadk_memory.contract.compare import as_stored, expect, expect_keys, fail, identical
from fastadk_memory.contract.inputs.corpus import NASTY_VALUES
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.contract.inputs.subclassed import SUBCLASSED, Text
from fastadk_memory.contract.violations import Violation

OTHER_NAN = struct.unpack("d", struct.pack("Q", 0xFFF8000000000001))[0]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True), (0, False), (1, 1.0), (True, 1.0), (0.0, -0.0), (0, -0.0), ("", b""),
        ("a", b"a"), ([], ()), ([], {}), ([1], (1,)), (None, False), ([1], [True]),
        ([[1.0]], [[1]]), ({"a": 1}, {"a": True}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([{"a": 1, "b": 2}], [{"b": 2, "a": 1}]), ([1], [1, 1]), ([], [None]), ({}, {"a": None}),
        (math.inf, -math.inf), (math.nan, None), (math.nan, math.inf), (2**53, 2**53 + 1),
        (0.1 + 0.2, 0.3), ("é", "e\u0301"), ("text", Text("text")), ({"a": 1}, OrderedDict(a=1)),
        ({Text("a"): 1}, {"a": 1}), (1.0, math.nextafter(1.0, 2)),
    ],
)  # fmt: skip
def test_what_differs_in_anything_is_not_identical(left: object, right: object) -> None:
    for one, other in ((left, right), ([left], [right]), ({"k": left}, {"k": right})):
        assert not identical(one, other)
        assert not identical(other, one)
        with pytest.raises(Violation):
            expect(one, other, "it")


def test_all_values_of_the_corpus_are_identical_to_themselves_alone() -> None:
    for value in NASTY_VALUES:
        assert identical(value, deepcopy(value))
    distinct = [each for each in NASTY_VALUES if type(each) is not float or each == each]
    for one, other in combinations(distinct, 2):
        assert not identical(one, other), (one, other)


def test_any_nan_is_as_good_as_another() -> None:
    assert identical(math.nan, OTHER_NAN)
    assert identical([{"a": math.nan}], [{"a": -math.nan}])


def test_depth_is_no_matter() -> None:
    one: object = 1
    other: object = 1
    for _ in range(50_000):
        one, other = [one], [other]
    assert identical(one, other)
    assert not identical(one, [other])


@given(Domain().values())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_as_stored_is_what_the_codec_gives_back(value: object) -> None:
    assert identical(as_stored(value), decode(encode(value), key="k"))


@pytest.mark.parametrize("value", SUBCLASSED, ids=repr)
def test_as_stored_leaves_no_subclass(value: object) -> None:
    stored = as_stored(value)
    assert identical(stored, decode(encode(value), key="k"))
    level = [stored]
    for part in level:
        assert type(part) in (type(None), bool, int, float, str, bytes, list, dict)
        if isinstance(part, list):
            level += part
        elif isinstance(part, dict):
            level += [*part, *part.values()]


# ------------------------------------------------------------------------- what is told


def told(seen: object, expected: object) -> str:
    with pytest.raises(Violation) as caught:
        expect(seen, expected, "get('k')")
    return str(caught.value)


def test_small_values_are_told_whole() -> None:
    assert told([1], [True]) == "get('k') is [1], expected [True]"


@pytest.mark.parametrize(
    ("seen", "expected", "said"),
    [
        ([{"a": [0] * 300}, 1], [{"a": [0] * 300}, True], "not the same at $[1]: 1, expected True"),
        (
            {"a": [0] * 299 + [1.0]},
            {"a": [0] * 300},
            "not the same at $['a'][299]: 1.0, expected 0",
        ),
        ([0] * 300, [0] * 301, "not the same at $: a list of 300 parts, expected 301"),
        (
            {str(at): at for at in range(100)},
            {str(at): at for at in reversed(range(100))},
            "not the same at $: a dict with other names, or in another order,",
        ),
        ("x" * 10 + "y" * 5_000 + "z", "x" * 10 + "y" * 5_001, "not the same at $[5002:5026]"),
    ],
)
def test_of_large_values_only_the_difference_is_told(
    seen: object, expected: object, said: str
) -> None:
    assert told(seen, expected).startswith(f"get('k') is {said}")


def test_a_large_value_that_can_be_told_shortly_is_told_whole() -> None:
    message = told(b"\x00\x01" * 9_000 + b"1", b"\x00\x01" * 9_000 + b"2")
    assert message == (
        "get('k') is b'\\x00\\x01' * 9_000 + b'1', expected b'\\x00\\x01' * 9_000 + b'2'"
    )


def test_a_difference_at_the_end_of_ten_megabytes_is_found_quickly() -> None:
    message = told("x" * 10_000_000 + "".join(map(str, range(500))), "x" * 10_000_000)
    assert "10_001_390 and 10_000_000 long" in message


def test_the_clause_may_be_another() -> None:
    with pytest.raises(Violation) as caught:
        expect(1, 2, "it", clause="T4")
    assert caught.value.clause == "T4"
    with pytest.raises(Violation, match=r"^broken$") as caught:
        fail("broken", clause="V1")
    assert caught.value.clause == "V1"


# --------------------------------------------------------------------------- listings


def test_a_listing_may_come_in_any_order() -> None:
    expect_keys(["b", "a"], ["a", "b"], "keys()")
    expect_keys([], {}, "keys()")
    expect_keys(["a"], ["a", "a"], "keys()")


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (["a"], "keys() is ['a']: it lacks ['b']"),
        (["a", "b", "c"], "it must not hold ['c']"),
        (["a", "b", "b"], "it names a key twice"),
        (["a", "c"], "it lacks ['b']; it must not hold ['c']"),
        (("a", "b"), "it is a tuple, not a list"),
        ({"a", "b"}, "it is a set, not a list"),
        (None, "keys() is None: it is a NoneType, not a list"),
        (["a", b"b"], "keys() holds b'b', which is a bytes, not a str"),
        (["a", Text("b")], "keys() holds Text('b'), which is a Text, not a str"),
        ([["a"], "b"], "keys() holds ['a'], which is a list, not a str"),
    ],
)
def test_a_listing_is_told_by_its_faults(seen, said: str) -> None:
    with pytest.raises(Violation) as caught:
        expect_keys(seen, ["a", "b"], "keys()")
    assert said in str(caught.value)


def test_of_many_keys_a_few_are_told() -> None:
    with pytest.raises(Violation) as caught:
        expect_keys([], [f"{at:03}" for at in range(500)], "keys()")
    assert "'009'] and 490 more" in str(caught.value)
    with pytest.raises(Violation, match=r"^keys\(\) is 500 keys: it lacks \['x'\]$"):
        expect_keys([str(at) for at in range(500)], [*map(str, range(500)), "x"], "keys()")
