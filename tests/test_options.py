"""Options are checked against the constructor's signature; no message repeats a value."""

from __future__ import annotations

import functools
import math
import os
import sys
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import Enum, IntEnum
from pathlib import Path, PurePosixPath
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    LiteralString,
    NewType,
    Optional,
    Protocol,
    TypeVar,
)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory.conversion import type_text
from fastadk_memory.errors import ConfigurationError
from fastadk_memory.options import OptionInfo, check_options, describe_options, option_names
from fastadk_memory.ttl import Clock, ManualClock, Ttl

if TYPE_CHECKING:
    from nowhere import Unknown


class Level(Enum):
    LOW = "low"
    HIGH = 2


class Port(IntEnum):
    STANDARD = 6379


class Shape(Protocol):
    def area(self) -> float: ...


Name = NewType("Name", str)
T = TypeVar("T")


def taking(annotation: object, default: object = ...) -> Callable[..., object]:
    """A constructor with one option of this type."""

    def factory(*, option=default): ...

    if default is ...:

        def factory(*, option): ...

    factory.__annotations__ = {"option": annotation}
    return factory


def converted(value: object, annotation: object) -> object:
    return check_options(taking(annotation), {"option": value}, backend="x")["option"]


def refused(value: object, annotation: object) -> str:
    with pytest.raises(ConfigurationError) as caught:
        converted(value, annotation)
    return str(caught.value)


# ---------------------------------------------------------------- text becomes a type


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("12", int, 12),
        ("-1_000", int, -1000),
        ("0.5", float, 0.5),
        ("5", float, 5.0),
        ("true", bool, True),
        ("OFF", bool, False),
        ("1", bool, True),
        ("text", str, "text"),
        ("text", Name, "text"),
        ("é", bytes, "é".encode()),
        ("1.5", timedelta, timedelta(seconds=1.5)),
        ("a/b", Path, Path("a/b")),
        ("a/b", os.PathLike, Path("a/b")),
        ("a/b", os.PathLike[str], Path("a/b")),
        ("a/b", PurePosixPath, PurePosixPath("a/b")),
        ("low", Level, Level.LOW),
        ("HIGH", Level, Level.HIGH),
        ("2", Level, Level.HIGH),
        ("6379", Port, Port.STANDARD),
        ("a", Literal["a", "b"], "a"),
        ("2", Literal[1, 2], 2),
        ("false", Literal[True, False], False),
        ("3", Optional[int], 3),  # noqa: UP045
        ("none", int | None, None),
        ("NULL", int | None, None),
        ("none", str | None, "none"),
        ("5", int | str, "5"),
        ("5", str | Path, "5"),
        ("30", Ttl, 30),
        ("0.5", Ttl, 0.5),
        ("true", int | bool, True),
        ("a, b,c", list[str], ["a", "b", "c"]),
        ("1,2", tuple[int, ...], (1, 2)),
        ("a,2", tuple[str, int], ("a", 2)),
        ("1,1", set[int], {1}),
        ("1,2", frozenset[int], frozenset({1, 2})),
        ("a,b", Sequence[str], ["a", "b"]),
        ("a,b", Iterable[str], ["a", "b"]),
        ("a,b", list, ["a", "b"]),
        ("", list[str], []),
        ("1", Annotated[int, "positive"], 1),
        ("x", Any, "x"),
        ("x", object, "x"),
        ("x", T, "x"),
        ("x", LiteralString, "x"),
        ("x", 5, "x"),
    ],
)
def test_text_is_read_as_the_type_of_the_annotation(text, annotation, value):
    result = converted(text, annotation)
    assert (result, type(result)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        ("x", int),
        ("1.5", int),
        ("9" * 5000, int),
        ("x", float),
        ("maybe", bool),
        ("", bool),
        ("x", timedelta),
        ("nan", timedelta),
        ("1e300", timedelta),
        ("low ", Literal["low"]),
        ("medium", Level),
        ("x", int | None),
        ("1,x", list[int]),
        ("1,2,3", tuple[int, int]),
        ("x", dict[str, str]),
        ("\ud800", bytes),
        ("x", None),
    ],
)
def test_text_that_cannot_be_read_as_the_type_is_refused(text, annotation):
    assert "the option 'option' of 'x' must be" in refused(text, annotation)


@pytest.mark.parametrize(
    "annotation", [Clock, Callable[[], float], Callable, Shape, type[int], ManualClock]
)
def test_what_cannot_be_written_as_text_says_so(annotation):
    assert "pass the object from Python" in refused("now", annotation)


# ------------------------------------------------------------- objects are checked


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (5, int),
        (5, float),
        (10**400, float),
        (math.inf, float),
        (True, bool),
        (b"x", bytes),
        (timedelta(1), timedelta),
        (Path("x"), Path),
        (Level.LOW, Level),
        (None, int | None),
        ("a", Literal["a"]),
        (timedelta(1), Ttl),
        (ManualClock(), Clock),
        (len, Callable[..., int]),
        (int, type[int]),
        ({"a": 1}, dict[str, int]),
        (object(), Any),
        (object(), Shape),
        ([1, 2], list[int]),
        (5, timedelta | int),
    ],
)
def test_an_object_of_the_type_is_passed_on_as_it_is(value, annotation):
    result = converted(value, annotation)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("value", "annotation", "result"),
    [
        (5, timedelta, timedelta(seconds=5)),
        ([1, "2"], tuple[int, ...], (1, 2)),
        ({"a": "1"}, Mapping[str, int], {"a": 1}),
        (["a"], set[str], {"a"}),
        (2, Level, Level.HIGH),
        (PurePosixPath("x"), Path, Path("x")),
    ],
)
def test_what_a_configuration_file_can_say_is_converted_too(value, annotation, result):
    assert converted(value, annotation) == result


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (True, int),
        (True, float),
        (True, timedelta),
        (1, bool),
        (1.0, int),
        (5, str),
        (b"x", str),
        (None, int),
        (5, Path),
        (5, list[int]),
        (b"ab", list[int]),
        ([[]], set[list[int]]),
        (1, Literal[True]),
        (object(), Level),
        (5, Callable[[], int]),
        (5, ManualClock),
        ([1], dict[str, int]),
        ([], int | None),
    ],
)
def test_an_object_of_another_type_is_refused_by_the_names_of_the_types(value, annotation):
    assert "the option 'option' of 'x' must be" in refused(value, annotation)


def test_the_default_is_always_accepted():
    nothing = object()
    assert check_options(taking(int, None), {"option": None}, backend="x") == {"option": None}
    assert check_options(taking(int, nothing), {"option": nothing}, backend="x") == {
        "option": nothing
    }


# ------------------------------------------------------------------- which options


class Backend:
    def __init__(self, url: str, *, prefix: str = "p", max_entries: int | None = None) -> None: ...


def test_an_unknown_option_is_refused_with_the_nearest_and_all_of_them():
    with pytest.raises(ConfigurationError) as caught:
        check_options(
            Backend, {"url": "u", "prefx": "x"}, backend="redis", sources={"prefx": "fastadk.toml"}
        )
    for part in ("'redis'", "'prefx'", "fastadk.toml", "'prefix'", "url, prefix, max_entries"):
        assert part in str(caught.value)


def test_a_backend_without_options_says_so():
    with pytest.raises(ConfigurationError, match="takes no options"):
        check_options(lambda: None, {"a": 1}, backend="x")


def test_a_missing_required_option_is_named_with_ways_to_give_it():
    with pytest.raises(ConfigurationError) as caught:
        check_options(Backend, {}, backend="redis")
    for part in ("'redis'", "'url'", "str", "url=...", "FASTADK_MEMORY_OPTIONS__URL"):
        assert part in str(caught.value)


def test_a_wrong_type_names_option_type_and_source_but_never_the_value():
    with pytest.raises(ConfigurationError) as caught:
        check_options(
            Backend,
            {"url": "u", "max_entries": "hunter2"},
            backend="redis",
            sources={"max_entries": "FASTADK_MEMORY_OPTIONS__MAX_ENTRIES"},
        )
    for part in ("'max_entries'", "int or None", "FASTADK_MEMORY_OPTIONS__MAX_ENTRIES"):
        assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_constructor_that_takes_anything_gets_anything_but_what_it_names_is_checked():
    def factory(size: int = 1, **rest: object) -> None: ...

    assert check_options(factory, {"size": "2", "b": "x"}, backend="x") == {"size": 2, "b": "x"}
    with pytest.raises(ConfigurationError):
        check_options(factory, {"size": "b"}, backend="x")


def test_without_annotation_or_signature_everything_is_passed_on():
    assert check_options(lambda a: a, {"a": "1"}, backend="x") == {"a": "1"}
    assert check_options(dict, {"a": "1"}, backend="x") == {"a": "1"}


def test_annotations_as_text_are_evaluated_and_one_that_cannot_be_spoils_no_other():
    def factory(size: int, thing: Unknown, other: Optional[Unknown] = None) -> None: ...  # noqa: UP045

    checked = check_options(factory, {"size": "5", "thing": "t", "other": 3}, backend="x")
    assert checked == {"size": 5, "thing": "t", "other": 3}
    assert [info.type for info in describe_options(factory)] == [
        "int",
        "Unknown (not checked)",
        "Optional[Unknown] (not checked)",
    ]


def test_the_signature_is_that_of_what_will_be_called():
    class ByNew:
        def __new__(cls, port: Port = Port.STANDARD) -> ByNew:
            return super().__new__(cls)

    class Child(Backend):
        pass

    class Instance:
        def __call__(self, size: int) -> None: ...

    @functools.wraps(Backend)
    def wrapped(*args: object, **kwargs: object) -> None: ...

    def plain(size: int, unit: str) -> None: ...

    def positional(size: int, /, *rest: int, unit: int = 1) -> None: ...

    assert option_names(ByNew) == ({"port"}, False)
    assert option_names(Child) == ({"url", "prefix", "max_entries"}, False)
    assert option_names(Instance()) == ({"size"}, False)
    assert option_names(wrapped) == ({"url", "prefix", "max_entries"}, False)
    assert option_names(functools.partial(plain, 5)) == ({"unit"}, False)
    assert option_names(positional) == ({"unit"}, False)
    assert option_names(object) == (frozenset(), False)
    assert check_options(ByNew, {"port": "6379"}, backend="x") == {"port": Port.STANDARD}
    assert check_options(Instance(), {"size": "3"}, backend="x") == {"size": 3}
    assert check_options(functools.partial(plain, unit="m"), {"size": "3"}, backend="x") == {
        "size": 3
    }


def test_options_are_described_in_their_order():
    def factory(
        path: str | os.PathLike[str],
        ttl: Ttl | None = 60,
        clock: Clock = ManualClock(),  # noqa: B008
        level: Level = Level.LOW,
        mode=None,
    ) -> None: ...

    assert describe_options(factory) == [
        OptionInfo("path", "str or PathLike", True, None),
        OptionInfo("ttl", "int or float or timedelta (or seconds) or None", False, "60"),
        OptionInfo("clock", "Clock", False, "a ManualClock"),
        OptionInfo("level", "one of low, 2", False, "a Level"),
        OptionInfo("mode", "anything", False, "None"),
    ]


def test_a_forward_reference_that_nobody_resolved_takes_anything():
    assert converted(["x", 5], list[typing.ForwardRef("Missing")]) == ["x", 5]


if sys.version_info >= (3, 12):

    def test_a_type_that_is_defined_by_itself_ends():
        namespace: dict[str, Any] = {}
        exec("type Nested = list[Nested] | int\ntype Gone = Missing", namespace)
        nested = namespace["Nested"]
        assert type_text(nested) == "Nested"
        assert converted([1, [2, []]], nested) == [1, [2, []]]
        assert converted("x", namespace["Gone"]) == "x"
        cycle: list[object] = []
        cycle.append(cycle)
        assert "nested too deep" in refused(cycle, nested)


# ------------------------------------------------------------------------ bad input

ANNOTATIONS = [
    int, float, bool, str, bytes, timedelta, Path, Level, Port, Literal["a", 1, True], int | None,
    Ttl, list[int], tuple[int, str], set[str], dict[str, int], Clock, Callable[[], int], Any, Shape,
    Level | None, Sequence[bool], "int", "no such thing", 5, [int], {"a": 1}, math.nan, None, T,
    Annotated[list[int | None], ...], type[int], typing.Iterator[int], Name, "a b", "\ud800",
]  # fmt: skip
SECRET = "Xq7Zj4"
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(),
        st.timedeltas(),
        st.just(SECRET),
        st.sampled_from([f"{SECRET}{char}" for char in ",:1\ud800"]),
        st.builds(object),
    ),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=5,
)


@given(values, st.sampled_from(ANNOTATIONS))
def test_any_value_for_any_annotation_is_converted_or_refused_without_being_shown(
    value, annotation
):
    try:
        converted(value, annotation)
    except ConfigurationError as error:
        assert SECRET not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__


@given(values, st.sampled_from(ANNOTATIONS))
def test_converting_what_was_converted_changes_nothing(value, annotation):
    try:
        once = converted(value, annotation)
    except ConfigurationError:
        return
    assert repr(converted(once, annotation)) == repr(once)


@given(values, values)
def test_options_that_are_none_are_refused(options, factory):
    for call in (
        lambda: check_options(Backend, options, backend="x"),
        lambda: check_options(factory, {}, backend="x"),
        lambda: describe_options(factory),
        lambda: option_names(factory),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert SECRET not in str(caught.value)


@given(st.dictionaries(st.text(), values))
def test_any_names_of_options_are_passed_or_refused_by_name(options):
    try:
        checked = check_options(Backend, options, backend="x")
    except ConfigurationError as error:
        assert str(error)
    else:
        assert checked.keys() == options.keys()


def test_an_option_named_by_no_text_is_refused():
    with pytest.raises(ConfigurationError, match="names of options are str"):
        check_options(Backend, {5: 1}, backend="x")
