"""Values to types: checks a value against an annotation, and reads text as that type.

The table of what text can be read as stands in `fastadk_memory.options`.
"""

from __future__ import annotations

import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import timedelta
from enum import Enum
from typing import Annotated, Any, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

__all__ = ["RefusedError", "convert", "type_text"]

_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_NONE = frozenset({"none", "null"})


class RefusedError(Exception):
    """The value is not of the type; the message says what it is, without showing it."""


def convert(value: object, annotation: object) -> object:
    """Return `value` as `annotation` wants it.

    Args:
        value: Text to be read as the type, or an object of the type.
        annotation: A type, or anything that may stand as an annotation. One that says
            nothing (`Any`, a type variable, text that could not be evaluated, what is no
            type at all) takes any value as it is.

    Raises:
        RefusedError: It is neither.
    """
    annotation = _resolved(annotation)
    if annotation is None or annotation is types.NoneType:
        return _to_none(value)
    if _says_nothing(annotation):
        return value
    origin = get_origin(annotation)
    if origin is Literal:
        return _to_literal(value, get_args(annotation))
    if origin in (Union, types.UnionType):
        return _to_union(value, get_args(annotation))
    kind = origin or annotation
    if not isinstance(kind, type):
        return value  # somebody's own notation
    return _to_class(value, kind, get_args(annotation))


def _to_class(value: object, kind: type, args: tuple[Any, ...]) -> object:
    if kind is bool:
        return _to_bool(value)
    if kind in (int, float, timedelta):
        return _to_number(value, kind)
    if kind is bytes and isinstance(value, str):
        return _encoded(value)
    if issubclass(kind, Enum):
        return _to_enum(value, kind)
    if kind is os.PathLike or _is_path(kind):
        return _to_path(value, kind)
    if issubclass(kind, Mapping):
        return _to_mapping(value, args)
    if _is_collection(kind):
        return _to_collection(value, kind, args)
    return _as_object(value, kind)


def _resolved(annotation: object) -> object:
    """Take off what only carries the type: Annotated, NewType, `type X = ...`, Final."""
    while True:
        if get_origin(annotation) in (Annotated, typing.Final):
            annotation = get_args(annotation)[0]
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        elif _is_alias(annotation):
            try:
                annotation = annotation.__value__  # type: ignore[attr-defined]
            except Exception:  # noqa: BLE001 (it is evaluated only now and can raise anything)
                return str(annotation)
        else:
            return annotation


def _is_alias(annotation: object) -> bool:
    return sys.version_info >= (3, 12) and isinstance(annotation, typing.TypeAliasType)


def _says_nothing(annotation: object) -> bool:
    # Not "in": what stands as an annotation may compare itself in any way.
    nothing = (Any, object, inspect.Parameter.empty)
    return any(annotation is each for each in nothing) or isinstance(
        annotation, (str, ForwardRef, TypeVar)
    )


def _to_none(value: object) -> object:
    if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
        return None
    raise RefusedError(_not(value))


def _to_bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise RefusedError("write true or false (or yes/no, on/off, 1/0)")
    raise RefusedError(_not(value))


def _to_number(value: object, kind: type) -> object:
    wanted = (int, float) if kind is float else kind
    if isinstance(value, wanted) and not isinstance(value, bool):
        return value
    try:
        if isinstance(value, str):
            number: int | float = int(value) if kind is int else float(value)
        elif kind is timedelta and isinstance(value, (int, float)) and not isinstance(value, bool):
            number = value
        else:
            raise RefusedError(_not(value))
        return timedelta(seconds=number) if kind is timedelta else number
    except (ValueError, OverflowError):
        # From None everywhere: the cause would repeat the value.
        raise RefusedError(_not_readable(value)) from None


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RefusedError("this text holds a lone surrogate") from None


def _to_enum(value: object, kind: type[Enum]) -> object:
    if isinstance(value, kind):
        return value
    members = list(kind.__members__.items())
    for _, member in members:
        same = member.value == value and type(member.value) is type(value)
        if same or (isinstance(value, str) and str(member.value) == value):
            return member
    if isinstance(value, str):
        for name, member in members:
            if name.lower() == value.strip().lower():
                return member
        raise RefusedError("this text is none of them")
    raise RefusedError(_not(value))


def _to_literal(value: object, allowed: tuple[Any, ...]) -> object:
    for each in allowed:
        if type(each) is type(value) and each == value:
            return each
    for each in allowed:
        if isinstance(value, str) and not isinstance(each, str):
            try:
                if convert(value, type(each)) == each:
                    return each
            except RefusedError:
                continue
    raise RefusedError("this text is none of them" if isinstance(value, str) else _not(value))


def _to_union(value: object, members: tuple[Any, ...]) -> object:
    if isinstance(value, str) and any(_resolved(member) is str for member in members):
        return value
    # What is of one of the types already must not be converted to an earlier one.
    exact = [member for member in members if _is_exactly(value, member)]
    reasons: list[str] = []
    for member in (*exact, *members):
        try:
            return convert(value, member)
        except RefusedError as refused:
            reasons.append(str(refused))
    raise RefusedError(reasons[0] if len(set(reasons)) == 1 else _not_readable(value))


def _is_exactly(value: object, annotation: object) -> bool:
    annotation = _resolved(annotation)
    return type(value) is (get_origin(annotation) or annotation)


def _is_path(kind: type) -> bool:
    return issubclass(kind, os.PathLike)  # pyright: ignore[reportGeneralTypeIssues]


def _to_path(value: object, kind: type) -> object:
    from pathlib import Path, PurePath

    if isinstance(value, kind):
        return value
    if not isinstance(value, (str, PurePath)) or not issubclass(Path, kind):
        if isinstance(value, str) and issubclass(kind, PurePath):
            return kind(value)
        raise RefusedError(_not(value) if not isinstance(value, str) else _NEEDS_AN_OBJECT)
    return Path(value)


def _to_mapping(value: object, args: tuple[Any, ...]) -> object:
    if isinstance(value, str):
        raise RefusedError(
            "a table cannot be written as text here; use a configuration file or Python"
        )
    if not isinstance(value, Mapping):
        raise RefusedError(_not(value))
    if len(args) != 2:
        return value
    return {convert(key, args[0]): convert(part, args[1]) for key, part in value.items()}


def _is_collection(kind: type) -> bool:
    if issubclass(kind, (str, bytes, bytearray, memoryview)):
        return False
    # Of the rest only the abstract ones, such as Sequence: a class of somebody's own is an object.
    abstract = kind.__module__ == "collections.abc" and issubclass(kind, Collection)
    return abstract or kind in (Iterable, list, tuple, set, frozenset)


def _to_collection(value: object, kind: type, args: tuple[Any, ...]) -> object:
    if isinstance(value, str):
        parts: list[object] = [part.strip() for part in value.split(",")] if value.strip() else []
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = list(value)
    elif isinstance(value, kind) and not isinstance(value, (bytes, bytearray)):
        return value
    else:
        raise RefusedError(_not(value))
    if kind is tuple and args and args[-1] is not Ellipsis:
        wanted = [] if args == ((),) else list(args)
        if len(parts) != len(wanted):
            raise RefusedError(f"this has {len(parts)} parts, not {len(wanted)}")
    else:
        wanted = [args[0] if args else Any] * len(parts)
    converted = [convert(part, each) for part, each in zip(parts, wanted, strict=True)]
    try:
        return _container(kind)(converted)
    except TypeError:
        raise RefusedError("one of its parts is not hashable") from None


def _container(kind: type) -> Callable[[list[object]], object]:
    if kind is tuple:
        return tuple
    if issubclass(kind, AbstractSet):
        return set if issubclass(set, kind) and kind is not AbstractSet else frozenset
    return list


_NEEDS_AN_OBJECT = "this cannot be written as text; pass the object from Python"


def _as_object(value: object, kind: type) -> object:
    try:
        fits = isinstance(value, kind)
    except TypeError:
        # A protocol that is not made for run time: only text is known to be wrong.
        fits = not isinstance(value, str)
    if fits:
        return value
    raise RefusedError(
        _NEEDS_AN_OBJECT if isinstance(value, str) and kind is not str else _not(value)
    )


def _not(value: object) -> str:
    return f"this is of the type {type(value).__name__}"


def _not_readable(value: object) -> str:
    return "this text cannot be read as that" if isinstance(value, str) else _not(value)


# ------------------------------------------------------------------- types as text


def type_text(annotation: object) -> str:
    """Return an annotation as people read it, such as `int or None`.

    Args:
        annotation: A type, or anything that may stand as an annotation.
    """
    if _is_alias(annotation):
        return str(annotation)  # by its name: it may be defined by itself
    annotation = _resolved(annotation)
    if annotation is None or annotation is types.NoneType:
        return "None"
    if isinstance(annotation, str):
        return f"{annotation} (not checked)"
    if _says_nothing(annotation):
        return "anything"
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(repr(each) for each in args)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(each) for each in args))
    kind = origin or annotation
    if not isinstance(kind, type):
        return f"{str(annotation).replace('typing.', '')} (not checked)"
    return _class_text(kind, args)


def _class_text(kind: type, args: tuple[Any, ...]) -> str:
    if issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    if kind is timedelta:
        return "timedelta (or seconds)"
    if kind.__module__ == "collections.abc" and kind.__name__ == "Callable":
        return "a callable"
    if args and (_is_collection(kind) or issubclass(kind, Mapping)):
        parts = dict.fromkeys(type_text(each) for each in args if each is not Ellipsis)
        return f"{kind.__name__} of {', '.join(parts)}"
    return kind.__name__
