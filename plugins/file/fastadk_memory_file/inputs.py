"""What comes from the caller: options, keys and values, checked and encoded.

Long lists are gone through in slices, between which the event loop gets a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, cast, get_args

from fastadk_memory import ConfigurationError, UnsupportedValueError
from fastadk_memory.codec import encode
from fastadk_memory.concurrency import run_in_thread
from fastadk_memory.keys import check_key, check_keys
from fastadk_memory_file.connections import Durability

__all__ = ["MAX_VALUE_BYTES", "check_durability", "check_timeout", "checked_keys"]
__all__ += ["encoded", "encoded_at_once", "encoded_items"]

MAX_VALUE_BYTES = 900_000_000
"""How large an encoded value may be; SQLite takes rows of up to a gigabyte."""

_LONGEST_TIMEOUT = 3_600

_SLICE_ITEMS = 200
_SLICE_BYTES = 256 * 1024


def check_durability(durability: object) -> Durability:
    """Return the option `durability`, or refuse it.

    Raises:
        ConfigurationError: It is neither `"power"` nor `"process"`.
    """
    for known in get_args(Durability):
        if durability == known:
            return known  # type: ignore[no-any-return]
    raise ConfigurationError(
        'durability must be "power" (a write survives the loss of power) or "process" (a write '
        f"survives the kill of the process), not {str(durability)[:40]!r}"
    )


def check_timeout(timeout: object) -> float:
    """Return the option `timeout`, or refuse it.

    Raises:
        ConfigurationError: It is no number of seconds from more than 0 to an hour.
    """
    number = isinstance(timeout, (int, float)) and not isinstance(timeout, bool)
    if number and 0 < cast("float", timeout) <= _LONGEST_TIMEOUT:  # false for NaN, too
        return float(cast("float", timeout))
    raise ConfigurationError(
        f"timeout must be a number of seconds, more than 0 and at most {_LONGEST_TIMEOUT}"
    )


async def encoded(value: Any) -> bytes:
    """Return a value as bytes.

    A large text cannot change meanwhile, so it is encoded in a thread; a list or a dict could,
    so it is encoded at once.

    Raises:
        UnsupportedValueError: It lies outside the domain, or is too large.
    """
    return encoded_at_once(value) or _checked(await run_in_thread(encode, value))


def encoded_at_once(value: Any) -> bytes | None:
    """Return a value as bytes, unless it is a large text; see `encoded`."""
    if (type(value) is str or type(value) is bytes) and len(value) > _SLICE_BYTES:
        return None
    return _checked(encode(value))


def _checked(data: bytes) -> bytes:
    if len(data) > MAX_VALUE_BYTES:
        raise UnsupportedValueError(
            f"$: a value of {len(data)} bytes cannot be stored; the limit is {MAX_VALUE_BYTES}"
        )
    return data


async def encoded_items(items: object, max_key_bytes: int) -> list[tuple[bytes, bytes]]:
    """Return the items of `set_many`, every key checked and every value encoded.

    Raises:
        UnsupportedValueError: `items` is no mapping, or one of the values lies outside the
            domain or is too large.
        InvalidKeyError: One of the keys is none.
    """
    if not isinstance(items, Mapping):
        raise UnsupportedValueError(
            f"set_many takes a mapping of keys to values, not {type(items).__name__}"
        )
    pairs: dict[bytes, bytes] = {}
    number = size = 0
    for key, value in list(items.items()):
        data = _checked(encode(value))
        pairs[check_key(key, max_key_bytes).encode()] = data
        number, size = number + 1, size + len(data)
        if number >= _SLICE_ITEMS or size >= _SLICE_BYTES:
            number = size = 0
            await asyncio.sleep(0)
    return list(pairs.items())


async def checked_keys(keys: object, max_key_bytes: int) -> list[str]:
    """Return the keys of a bulk call, checked, each once, in their order.

    Raises:
        InvalidKeyError: One of them is none, or `keys` is itself a `str` or no iterable.
    """
    if isinstance(keys, (str, bytes)) or not isinstance(keys, Iterable):
        return check_keys(keys, max_key_bytes)  # which says what is wrong
    listed = list(keys)
    checked: dict[str, None] = {}
    for at in range(0, len(listed), _SLICE_ITEMS):
        if at:
            await asyncio.sleep(0)
        checked.update(dict.fromkeys(check_keys(listed[at : at + _SLICE_ITEMS], max_key_bytes)))
    return list(checked)
