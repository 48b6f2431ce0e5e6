"""Conversations in OpenAI's chat format, and the facts an agent learns from them.

A transcript is a file of JSON Lines, plain or gzipped: one conversation a line, each an
object with `messages` (or just the list of messages). Real recordings are not tidy, so
everything but `messages` and each message's `role` may be missing, null or of another shape.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from fastadk_memory.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Conversation", "Fact", "FactFinder", "TranscriptError", "key_part", "read_transcript"]

Turn: TypeAlias = dict[str, Any]

MAX_DEPTH = 90
"""How deep a message may nest; a backend has to take 100 levels."""

_CONVERSATION_FIELDS = ("conversation", "conversation_id", "id", "session_id", "thread_id")
_USER_FIELDS = ("user", "user_id", "customer_id")
_USER_NAMES = frozenset(
    {"userid", "customerid", "clientid", "memberid", "accountid", "username", "user", "customer"}
)
_STALE_WORDS = frozenset(
    "availability available check find forecast list price prices query quote quotes rates "
    "search status stock weather".split()
)
_PROFILE_WORDS = frozenset("account client customer guest member profile user".split())
_IDENTIFIERS = ("id", "number", "code")


class TranscriptError(ConfigurationError):
    """A transcript that cannot be read; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One recorded conversation.

    Attributes:
        id: Its id in the file, or one made of its line number; unique within the file.
        user: Whom the agent talked to; `anonymous-<id>` if the recording does not tell.
        turns: The messages, in their order, as recorded.
    """

    id: str
    user: str
    turns: list[Turn]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something worth remembering that the result of a tool told.

    Attributes:
        name: What it is about, the part of the key below the user's: `profile`,
            `reservation:JG7FMM`, `search_direct_flight:JFK:SEA:2024-05-20:1`.
        value: The fact.
        goes_stale: Whether it holds for a short time only: a price, an availability.
    """

    name: str
    value: Any
    goes_stale: bool


def key_part(text: str) -> str:
    """Return `text` as one part of a key whose parts are joined by colons.

    No two texts share a part: colons and percent signs are percent-encoded, and of a long
    text a beginning and a hash remain.

    Args:
        text: An id, a name; anything from the outside.

    Returns:
        At most 64 bytes of UTF-8, without a colon; never empty.
    """
    part = text.replace("%", "%25").replace(":", "%3A") or "%"
    encoded = part.encode()
    if len(encoded) <= 64:
        return part
    from hashlib import sha256

    digest = sha256(encoded).hexdigest()[:32]
    return f"{encoded[:30].decode(errors='ignore')}%~{digest}"


# ------------------------------------------------------------------------ the file


def read_transcript(path: Path) -> list[Conversation]:
    """Read every conversation of a transcript.

    Args:
        path: A file of JSON Lines, gzipped or not (told by its content, not its name).

    Returns:
        The conversations, in the order of the file; at least one.

    Raises:
        TranscriptError: The file cannot be read or holds no conversation, or a line is
            not one; nothing of the file is used then.
    """
    conversations: list[Conversation] = []
    taken: set[str] = set()
    for number, line in _numbered_lines(path):
        if line.strip():
            conversations.append(_conversation(line, f"{path}:{number}", number, taken))
    if not conversations:
        raise TranscriptError(
            f"{path}: no conversation in it; expected one JSON object with 'messages' a line"
        )
    return conversations


def _numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    import zlib

    number = 0
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, 1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise TranscriptError(
            f"{path}:{number}: not UTF-8 at byte {error.start} of the line"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        where = f"{path}:{number + 1}" if number else str(path)
        raise TranscriptError(f"{where}: cannot be read: {reason}") from error


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    gzipped = file.read(2) == b"\x1f\x8b"
    if not gzipped:
        file.seek(0)
        return file
    file.close()
    import gzip

    return cast("IO[bytes]", gzip.open(path, "rb"))


def _conversation(line: str, where: str, number: int, taken: set[str]) -> Conversation:
    record = _parsed(line, where)
    fields = record if isinstance(record, dict) else {}
    messages = fields.get("messages") if fields else record
    if not isinstance(messages, list):
        raise TranscriptError(
            f"{where}: no conversation: expected a JSON object with a list 'messages'"
        )
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise TranscriptError(
                f"{where}: messages[{index}] is no message: expected an object with a 'role'"
            )
    name = _first_id(fields, _CONVERSATION_FIELDS) or f"line-{number}"
    unique, copy = name, 2
    while unique in taken:
        unique, copy = f"{name}~{copy}", copy + 1
    taken.add(unique)
    user = _first_id(fields, _USER_FIELDS) or _user_of(messages) or f"anonymous-{unique}"
    return Conversation(unique, user, messages)


def _parsed(line: str, where: str) -> Any:
    try:
        return _clean(json.loads(line), MAX_DEPTH)
    except json.JSONDecodeError as error:
        raise TranscriptError(f"{where}: not JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise TranscriptError(f"{where}: nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        # Python itself refuses integers of more than 4,300 digits.
        raise TranscriptError(f"{where}: holds a number too long to read") from error


def _clean(value: Any, depth: int) -> Any:
    """Return `value` without lone surrogates, which JSON can express and UTF-8 cannot."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if depth == 0 and isinstance(value, (list, dict)):
        raise RecursionError
    if isinstance(value, list):
        return [_clean(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {_clean(k, 0): _clean(item, depth - 1) for k, item in value.items()}
    return value


def _first_id(fields: dict[str, Any], names: Iterable[str]) -> str | None:
    for name in names:
        found = _as_id(fields.get(name))
        if found:
            return found
    return None


def _as_id(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value).strip() or None


def _user_of(messages: list[Turn]) -> str | None:
    for message in messages:
        name = _as_id(message.get("name"))
        if message["role"] == "user" and name:
            return name
    calls = [call.arguments for message in messages for call in _calls(message)]
    return _user_among(calls) or _user_among(map(_result, messages))


def _user_among(objects: Iterable[Any]) -> str | None:
    """Return the id of a user that most `objects` carry: a wrong one may be looked up first."""
    seen = Counter(
        found
        for fields in objects
        if isinstance(fields, dict)
        for name, value in fields.items()
        if name.lower().replace("_", "").replace("-", "") in _USER_NAMES
        and (found := _as_id(value))
    )
    return seen.most_common(1)[0][0] if seen else None


# ------------------------------------------------------------------------ the facts


@dataclass(frozen=True, slots=True)
class _Call:
    id: str | None
    tool: str
    arguments: dict[str, Any]


def _calls(message: Turn) -> Iterator[_Call]:
    """Yield the tool calls of a message, those of the format's older form included."""
    listed = message.get("tool_calls")
    for call in listed if isinstance(listed, list) else []:
        if isinstance(call, dict) and isinstance(call.get("function"), dict):
            yield _call(call.get("id"), call["function"])
    older = message.get("function_call")
    if isinstance(older, dict):
        yield _call(None, older)


def _call(identifier: object, function: dict[str, Any]) -> _Call:
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        arguments = _json_or_none(arguments)
    name = function.get("name")
    return _Call(
        identifier if isinstance(identifier, str) else None,
        name if isinstance(name, str) and name else "tool",
        arguments if isinstance(arguments, dict) else {},
    )


class FactFinder:
    """Finds what is worth remembering in the results of tools, turn by turn.

    Args:
        user: Whom the agent talks to, by which a profile is told from another's.
    """

    def __init__(self, user: str) -> None:
        self._user = user
        self._by_id: dict[str, _Call] = {}
        self._last: _Call | None = None

    def see(self, message: Turn) -> list[Fact]:
        """Take one message, and return the facts that it tells.

        A result that is an object is one fact: about the thing whose id it carries, or
        else about the user. A result that is a list tells one fact an item. Results of
        tools that look for prices, offers and the like go stale. Plain text, numbers and
        errors are no facts.

        Args:
            message: The next message of the conversation.

        Returns:
            The facts; none for anything but a tool's result.
        """
        for call in _calls(message):
            self._last = call
            if call.id:
                # Recordings repeat ids; a result belongs to the latest call of its id.
                self._by_id[call.id] = call
        return self._facts(self._call_of(message), _result(message))

    def _call_of(self, message: Turn) -> _Call:
        identifier = message.get("tool_call_id")
        call = self._by_id.get(identifier) if isinstance(identifier, str) else None
        call = call or self._last or _Call(None, "tool", {})
        name = message.get("name")
        return _Call(call.id, name if isinstance(name, str) and name else call.tool, call.arguments)

    def _facts(self, call: _Call, result: Any) -> list[Fact]:
        words = call.tool.lower().replace("-", "_").split("_")
        stale = not _STALE_WORDS.isdisjoint(words)
        if isinstance(result, list):
            prefix = ":".join([key_part(call.tool), *_argument_parts(call.arguments)])
            return [Fact(f"{prefix}:{n}", item, stale) for n, item in enumerate(result, 1)]
        if not isinstance(result, dict) or not result or "error" in result:
            return []
        return [Fact(self._subject(call, words, result, stale), result, stale)]

    def _subject(self, call: _Call, words: list[str], result: dict[str, Any], stale: bool) -> str:
        if not stale:
            if not _PROFILE_WORDS.isdisjoint(words):
                return "profile"
            for name, value in result.items():
                noun, _, suffix = name.rpartition("_")
                found = _as_id(value)
                if noun and suffix in _IDENTIFIERS and found and found != self._user:
                    return f"{key_part(noun)}:{key_part(found)}"
        return ":".join([key_part(call.tool), *_argument_parts(call.arguments)])


def _argument_parts(arguments: dict[str, Any]) -> list[str]:
    """Return what tells one call of a tool from another, short enough for a key."""
    parts = [_as_id(value) for value in arguments.values()]
    if len(parts) <= 3 and all(parts):
        return [key_part(part) for part in parts if part]
    return [key_part(json.dumps(arguments, sort_keys=True))]


def _result(message: Turn) -> Any:
    """Return what a tool answered, if the message is its result and that is JSON."""
    if message["role"] not in ("tool", "function"):
        return None
    return _json_or_none(_text(message.get("content")))


def _text(content: object) -> str:
    """Return the text of a message's content, which may come as a list of parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") if isinstance(part, dict) else part for part in content]
    return "".join(text for text in texts if isinstance(text, str))


def _json_or_none(text: str) -> Any:
    try:
        return _clean(json.loads(text), MAX_DEPTH)
    except (ValueError, RecursionError):
        return None
