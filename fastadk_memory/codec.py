"""Values to bytes and back, exactly; and which values there are (clauses V1 to V6).

Values are written as MessagePack by msgspec. What MessagePack cannot say, three extension
types do: integers beyond 64 bits, strings with lone surrogates (real language models cut
emoji in half), and mappings with such strings as keys.

A value of exact built-in types is encoded as it stands, after a quick look at its types:
msgspec alone would also take sets, dates or dataclasses, and hand back something else.
Anything else takes the slow way: it is rebuilt from the types of the domain, which turns
an instance of a subclass into its base type, or is refused with the path to the part
that does not belong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, ItemsView, Mapping
from typing import Any, TypeVar, cast

import msgspec

from fastadk_memory.errors import CorruptEntryError, UnsupportedValueError
from fastadk_memory.keys import DEFAULT_MAX_KEY_BYTES, check_key

__all__ = ["IMMUTABLE", "MAX_DEPTH", "check_items", "check_metadata", "check_value"]
__all__ += ["decode", "encode"]

T = TypeVar("T")

MAX_DEPTH = 128
"""How deep lists, tuples and dicts may be nested; the contract asks for at least 100."""

IMMUTABLE = frozenset({type(None), bool, int, float, str, bytes})
"""The exact types whose instances need no copy to be safe from changes."""

_BIG_INT, _SURROGATES, _PAIRS = 1, 2, 3

_encoder = msgspec.msgpack.Encoder()


def encode(value: Any) -> bytes:
    """Return `value` as bytes from which `decode` restores it exactly.

    Args:
        value: Any value of the domain: `None`, `bool`, `int` of any size, `float`, `str`,
            `bytes`, and `list`, `tuple` and `dict` with `str` keys of these, nested up to
            128 deep.

    Returns:
        MessagePack.

    Raises:
        UnsupportedValueError: Some part lies outside the domain, or holds itself; the
            message and the attribute `path` name the first such part.
    """
    try:
        return _encode(value)
    except RecursionError:
        # Called from deep in somebody's stack; the value itself is not too deep.
        return _on_fresh_stack(_encode, value)
    except RuntimeError as error:
        raise UnsupportedValueError(
            "$: the value was changed by another thread while it was being stored"
        ) from error


def decode(data: bytes, *, key: str) -> Any:
    """Return the value that `encode` wrote; a new object on each call.

    Args:
        data: What `encode` returned.
        key: The key it was stored under, for the error.

    Raises:
        CorruptEntryError: `data` is not what `encode` writes.
    """
    try:
        try:
            return _decoder.decode(data)
        except RecursionError:
            return _on_fresh_stack(_decoder.decode, data)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise CorruptEntryError(
            f"the entry {key!r} is damaged: its value cannot be decoded; "
            "delete the key or set it anew",
            key=key,
        ) from error


def check_value(value: Any) -> None:
    """Refuse what `encode` would refuse, without encoding.

    Raises:
        UnsupportedValueError: Some part of `value` lies outside the domain.
    """
    if not _is_plain(value):
        _rebuild(value, "$", [])


def check_items(items: object, max_key_bytes: int = DEFAULT_MAX_KEY_BYTES) -> dict[str, Any]:
    """Return the items of a bulk `set`, every key and value of them checked.

    Args:
        items: A mapping of keys to values.
        max_key_bytes: The backend's `max_key_bytes`.

    Returns:
        The same items under keys of type `str` itself; the values as they came.

    Raises:
        UnsupportedValueError: `items` is no mapping, or a value lies outside the domain.
        InvalidKeyError: One of the keys is none.
    """
    if not isinstance(items, Mapping):
        raise UnsupportedValueError(
            f"set_many takes a mapping of keys to values, not {type(items).__name__}"
        )
    checked = {check_key(key, max_key_bytes): value for key, value in items.items()}
    for value in checked.values():
        check_value(value)
    return checked


def check_metadata(metadata: object) -> dict[str, Any]:
    """Return metadata as a `dict`, or refuse what is no mapping of the domain.

    Raises:
        UnsupportedValueError: It is no mapping, or some part of it lies outside the domain.
    """
    if not isinstance(metadata, Mapping):
        raise UnsupportedValueError(
            f"metadata must be a mapping with str keys, not {type(metadata).__name__}"
        )
    plain = dict(metadata)
    if not _is_plain(plain):
        _rebuild(plain, "$", [])
    return plain


# ----------------------------------------------------------------- the fast way


def _encode(value: Any) -> bytes:
    if _is_plain(value):
        try:
            return _encoder.encode(value)
        except (OverflowError, UnicodeEncodeError):
            pass  # an integer beyond 64 bits or a lone surrogate: the slow way knows how
    return _encoder.encode(_rebuild(value, "$", []))


def _on_fresh_stack(function: Callable[[Any], T], argument: Any) -> T:
    """Call a function where the whole depth of the stack is left: in a thread of its own."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, argument).result()


def _is_plain(value: Any, depth: int = 1) -> bool:
    """Tell whether `value` holds nothing but exact built-in types, and is not too deep.

    `False` is no verdict yet: the slow way gives that.
    """
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str:
                return False
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind in IMMUTABLE
    for part in value:
        kind = type(part)
        if kind in IMMUTABLE:
            continue
        if kind is not dict and kind is not list and kind is not tuple:
            return False
        if depth == MAX_DEPTH or not _is_plain(part, depth + 1):
            return False
    return True


# ----------------------------------------------------------------- the slow way


def _rebuild(value: Any, path: str, around: list[int]) -> Any:
    """Return `value` in the terms of MessagePack, or refuse it by its path."""
    if value is None or value is True or value is False:
        return value
    kind = type(value)  # not isinstance, which believes what an object says of itself
    if issubclass(kind, str):
        return _text(str.__str__(value))
    if issubclass(kind, int):
        return _integer(int.__index__(value))
    if issubclass(kind, float):
        return float.__float__(value)
    if issubclass(kind, bytes):
        return memoryview(value).tobytes()
    if issubclass(kind, (list, tuple, dict)):
        return _container(value, path, around)
    raise UnsupportedValueError(
        f"{path}: {type(value).__name__} cannot be stored; the domain of values is None, bool, "
        "int, float, str, bytes, and list, tuple and dict of these",
        path=path,
    )


def _container(value: Any, path: str, around: list[int]) -> Any:
    if id(value) in around:
        raise UnsupportedValueError(f"{path}: the value holds itself", path=path)
    if len(around) >= MAX_DEPTH:
        raise UnsupportedValueError(
            f"{path}: nested more than {MAX_DEPTH} deep, which cannot be stored", path=path
        )
    around.append(id(value))
    if issubclass(type(value), dict):
        rebuilt = _mapping(value, path, around)
    else:
        parts = (list if issubclass(type(value), list) else tuple).__iter__(value)
        rebuilt = [_rebuild(part, f"{path}[{at}]", around) for at, part in enumerate(parts)]
    around.pop()
    return rebuilt


def _mapping(value: dict[Any, Any], path: str, around: list[int]) -> Any:
    pairs: list[tuple[Any, Any]] = []
    items: ItemsView[Any, Any]
    if issubclass(type(value), OrderedDict):  # which has an order of its own
        items = OrderedDict.items(cast("OrderedDict[Any, Any]", value))
    else:
        items = dict.items(value)
    for key, part in items:
        if not issubclass(type(key), str):
            raise UnsupportedValueError(
                f"{path}: a dict with a key of type {type(key).__name__} cannot be stored; "
                "keys must be str",
                path=path,
            )
        text = str.__str__(key)
        pairs.append((_text(text), _rebuild(part, path + _step(text), around)))
    if all(type(key) is str for key, _ in pairs):
        return dict(pairs)
    # MessagePack's decoders do not take extensions as keys of a map.
    return msgspec.msgpack.Ext(_PAIRS, _encoder.encode(pairs))


def _step(key: str) -> str:
    if key.isidentifier():
        return f".{key}"
    return f"[{key!r}]" if len(key) <= 40 else f"[{key[:40]!r}...]"


def _text(text: str) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError:
        return msgspec.msgpack.Ext(_SURROGATES, text.encode("utf-8", "surrogatepass"))
    return text


def _integer(number: int) -> Any:
    if -(2**63) <= number < 2**64:
        return number
    size = number.bit_length() // 8 + 1
    return msgspec.msgpack.Ext(_BIG_INT, number.to_bytes(size, "big", signed=True))


def _from_extension(code: int, data: memoryview) -> Any:
    if code == _BIG_INT:
        return int.from_bytes(data, "big", signed=True)
    if code == _SURROGATES:
        return str(data, "utf-8", "surrogatepass")
    if code == _PAIRS:
        return dict(_decoder.decode(data))
    raise ValueError(f"unknown extension type {code}")


_decoder = msgspec.msgpack.Decoder(ext_hook=_from_extension)
