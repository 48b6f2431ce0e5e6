"""Values as JSON, for the command line: every value of the domain has one form, and back.

JSON knows no bytes, no NaN and no infinities. They are written as an object with one key:

```text
b"hi"             {"$bytes": "aGk="}            Base64
nan, inf, -inf    {"$float": "nan"}             or "inf", "-inf"
{"$bytes": 1}     {"$dict": {"$bytes": 1}}      a dict that would be mistaken for one of these
```
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from fastadk_memory.errors import UnsupportedValueError

__all__ = ["from_json", "to_json"]

_MARKS = frozenset({"$bytes", "$float", "$dict"})
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_CONTROLS = re.compile("[\x7f-\x9f\u2028\u2029]")


def to_json(value: Any, *, indent: int | None = None, ascii_only: bool = False) -> str:
    """Return the JSON form of a value.

    Args:
        value: A value as a backend returned it.
        indent: Spaces a level; `None` for one line.
        ascii_only: Escape whatever is not ASCII, for an output that cannot show it.

    Returns:
        JSON in which control characters are escaped, so that it is safe on a terminal.
    """
    with _integers_of_any_size():
        text = json.dumps(_outward(value), indent=indent, ensure_ascii=ascii_only)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def from_json(text: str) -> Any:
    """Return the value that a JSON form stands for.

    Args:
        text: JSON, with the three special objects where they are needed. `NaN` and
            `Infinity`, which Python writes though JSON does not know them, are taken, too.

    Returns:
        The value; `from_json(to_json(value))` equals `value`, types included.

    Raises:
        UnsupportedValueError: `text` is not JSON, is nested too deep to be read, or holds
            a `$bytes`, `$float` or `$dict` that is not of the right form.
    """
    try:
        with _integers_of_any_size():
            return _inward(json.loads(text))
    except json.JSONDecodeError as error:
        raise UnsupportedValueError(
            f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except RecursionError as error:
        raise UnsupportedValueError("nested too deep to be read") from error


def _outward(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float):
        if value != value:
            return {"$float": "nan"}
        if value in (float("inf"), float("-inf")):
            return {"$float": "inf" if value > 0 else "-inf"}
        return value
    if isinstance(value, (list, tuple)):
        return [_outward(item) for item in value]
    if isinstance(value, dict):
        form = {key: _outward(item) for key, item in value.items()}
        return {"$dict": form} if len(form) == 1 and not _MARKS.isdisjoint(form) else form
    return value


def _inward(form: Any) -> Any:
    if isinstance(form, list):
        return [_inward(item) for item in form]
    if not isinstance(form, dict):
        return form
    if len(form) == 1:
        ((mark, content),) = form.items()
        if mark in _MARKS:
            return _special(mark, content)
    return {key: _inward(item) for key, item in form.items()}


def _special(mark: str, content: Any) -> Any:
    if mark == "$float" and isinstance(content, str) and content in _FLOATS:
        return _FLOATS[content]
    if mark == "$dict" and isinstance(content, dict):
        return {key: _inward(item) for key, item in content.items()}
    if mark == "$bytes" and isinstance(content, str):
        try:
            return base64.b64decode(content, validate=True)
        except (binascii.Error, ValueError) as error:
            raise UnsupportedValueError("the text of a $bytes must be Base64") from error
    expected = {
        "$bytes": "Base64 text",
        "$float": '"nan", "inf" or "-inf"',
        "$dict": "an object",
    }[mark]
    raise UnsupportedValueError(
        f'{{"{mark}": ...}} must hold {expected}; '
        f'for a dict with that very key write {{"$dict": {{"{mark}": ...}}}}'
    )


@contextmanager
def _integers_of_any_size() -> Generator[None, None, None]:
    """Lift, for this moment, Python's limit of 4,300 digits: the user's own data is read."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)
