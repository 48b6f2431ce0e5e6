"""What a backend lets others hear: log records, warnings, and the texts of its errors."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

__all__ = ["Overheard", "chain", "forms", "overhearing", "texts_of"]


@dataclass
class Overheard:
    """Texts, each with where it was heard."""

    texts: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def add(self, where: str, text: str) -> None:
        """Take down a text."""
        self.texts.append((where, text))

    def add_error(self, where: str, error: BaseException) -> None:
        """Take down all that a traceback of an error would print, its causes included."""
        for each in chain(error):
            told = where if each is error else f"the cause of {where}"
            for text in texts_of(each):
                self.add(told, text)

    def find(self, secrets: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Find the texts in which one of the secrets stands, with the secret blackened."""
        for where, text in self.texts:
            for secret in secrets:
                for form in forms(secret):
                    if form in text:
                        yield where, text.replace(form, "*****")


def forms(secret: str) -> set[str]:
    """Return how a secret may be written: as it is, in a URL, in a repr."""
    return {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]} - {""}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Go through an error, its causes and contexts."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [each.__cause__, each.__context__]


def texts_of(error: BaseException) -> list[str]:
    """Return what is printed of one error: its message, its repr, and its notes."""
    return [str(error), repr(error), *getattr(error, "__notes__", ())]


class _Ear(logging.Handler):
    def __init__(self, heard: Overheard) -> None:
        super().__init__(logging.NOTSET)
        self._heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        where = f"a log record of {record.name!r} ({record.levelname})"
        self._heard.add(where, record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            self._heard.add_error(where, record.exc_info[1])


@contextmanager
def overhearing() -> Generator[Overheard]:
    """Take down everything that is logged, at whatever level, and every warning."""
    heard = Overheard()
    ear = _Ear(heard)
    root = logging.getLogger()
    level = root.level
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield heard
        for warning in caught:
            heard.add("a warning", str(warning.message))
    finally:
        root.setLevel(level)
        root.removeHandler(ear)
