"""The codec: an exact round trip over the whole domain, and a precise no to all else."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import uuid

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastadk_memory.codec import (
    MAX_DEPTH,
    check_items,
    check_metadata,
    check_value,
    decode,
    encode,
)
from fastadk_memory.contract.compare import as_stored, identical
from fastadk_memory.contract.inputs.domain import Domain
from fastadk_memory.errors import CorruptEntryError, InvalidKeyError, UnsupportedValueError


class Text(str):
    def __str__(self) -> str:
        return "something else"


class Color(enum.StrEnum):
    RED = "red"


class Number(int):
    def __int__(self) -> int:
        return -1


Point = collections.namedtuple("Point", "x y")


@dataclasses.dataclass
class Data:
    a: int = 1


@given(Domain().values())
@example([True, 1, 1.0, [True, {"a": 1}]])
@example({"nan": float("nan"), "zero": -0.0, "inf": float("-inf")})
@example([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400])
@example({"\ud83d": {"\udc00": ["\ud83d", b"", ""]}})
@example({"b": 1, "a": 2, "": 3})
def test_the_round_trip_is_exact(value: object) -> None:
    assert identical(decode(encode(value), key="k"), as_stored(value))
    check_value(value)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ((1, (2,)), [1, [2]]),
        (Text("text"), "text"),
        ({Text("key"): Color.RED}, {"key": "red"}),
        (Number(7), 7),
        (enum.IntEnum("Level", "LOW").LOW, 1),
        (Point(1, 2), [1, 2]),
        (collections.OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
    ],
)
def test_an_instance_of_a_subclass_comes_back_as_its_base_type(value, stored) -> None:
    again = decode(encode(value), key="k")
    assert identical(again, as_stored(stored))


FOREIGN = [
    datetime.datetime.now(datetime.timezone.utc),
    datetime.date(2026, 1, 1),
    datetime.timedelta(1),
    uuid.UUID(int=1),
    decimal.Decimal("1.5"),
    Data(),
    enum.Enum("Plain", "A").A,
    {1},
    frozenset(),
    bytearray(b"x"),
    memoryview(b"x"),
    object(),
    3j,
    range(3),
    msgspec.msgpack.Ext(1, b"x"),
    msgspec.Raw(b"\x01"),
    collections.deque([1]),
    iter([]),
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda value: type(value).__name__)
def test_what_is_foreign_is_refused_with_its_path(foreign: object) -> None:
    kind = type(foreign).__name__
    for value, path in [
        (foreign, "$"),
        ([1, [foreign]], "$[1][0]"),
        ({"messages": [{}, {"when": foreign}]}, "$.messages[1].when"),
        ({"a b": (0, foreign)}, "$['a b'][1]"),
    ]:
        for refuse in (encode, check_value):
            with pytest.raises(UnsupportedValueError) as caught:
                refuse(value)
            assert caught.value.path == path
            assert str(caught.value).startswith(f"{path}: {kind} cannot be stored")


@pytest.mark.parametrize("key", [1, None, b"k", ("k",), True, 1.5])
def test_a_dict_with_other_keys_is_refused_with_its_path(key: object) -> None:
    with pytest.raises(UnsupportedValueError, match=r"^\$\.a\[0\]: a dict with a key of type"):
        encode({"a": [{key: 1}]})


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list = [1]
    loop.append({"again": loop})
    wide: list = []
    wide.extend([wide, wide])
    for value in (loop, wide, {"a": loop}):
        with pytest.raises(UnsupportedValueError, match="holds itself"):
            encode(value)


def test_a_value_held_twice_is_no_loop() -> None:
    part = {"day": Text("monday")}
    assert decode(encode([part, part]), key="k") == [{"day": "monday"}] * 2


def nested(depth: int, wrap) -> object:
    value: object = 2**70
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {"\ud800": v}],
    ids=["list", "tuple", "dict", "dict with surrogates"],
)
def test_nesting_works_to_the_limit_and_is_refused_beyond(wrap) -> None:
    value = nested(MAX_DEPTH, wrap)
    assert identical(decode(encode(value), key="k"), as_stored(value))
    with pytest.raises(UnsupportedValueError, match="more than 128 deep"):
        encode(nested(MAX_DEPTH + 1, wrap))
    with pytest.raises(UnsupportedValueError, match="more than 128 deep"):
        check_value(nested(100_000, wrap))


def test_ten_mebibytes_work() -> None:
    value = {"text": "x" * 5_000_000, "bytes": bytes(5_000_000)}
    assert decode(encode(value), key="k") == value


@given(st.binary())
@example(b"\xc1")
@example(msgspec.msgpack.encode(msgspec.msgpack.Ext(3, b"\x01")))
@example(msgspec.msgpack.encode(msgspec.msgpack.Ext(9, b"")))
@example(b"\x91" * 100_000)
@example(b"\x81\x90\x01")
def test_bytes_that_are_none_of_ours_are_a_corrupt_entry(data: bytes) -> None:
    try:
        decode(data, key="the key")
    except CorruptEntryError as error:
        assert error.key == "the key"
        assert error.__cause__ is not None


def test_the_items_of_a_bulk_call_are_checked_all_together() -> None:
    assert check_items({"a": 1}) == {"a": 1}
    with pytest.raises(UnsupportedValueError, match="mapping of keys to values"):
        check_items([("a", 1)])
    with pytest.raises(InvalidKeyError):
        check_items({"a": 1, 2: 1})
    with pytest.raises(UnsupportedValueError):
        check_items({"a": 1, "b": object()})


def test_metadata_is_a_mapping_of_the_domain() -> None:
    assert check_metadata(collections.ChainMap({"a": 1})) == {"a": 1}
    for bad in (None, [("a", 1)], {1: 1}, {"a": object()}):
        with pytest.raises(UnsupportedValueError):
            check_metadata(bad)
