"""What a backend's URL means: which backend, which options, and how it is shown.

```text
redis+sentinel://user:password@h1:26379,h2:26379/service/0?prefix=bot&namespace=support
└─┬─┘            └───────────────────┬───────────────────┘ └────┬───┘ └───────┬───────┘
backend          the backend's own, never taken apart here   option    the core's own
```

Everything but the query belongs to the backend and is passed on exactly as written. Each
name and value of the query is percent-decoded once; a ``+`` is a plus sign, as it is in
the rest of a URL. What would be lost or cut off elsewhere is refused here: a raw ``#``
(which ends a URL early), a ``%`` that encodes nothing, control characters, a parameter
given twice. No message repeats a part of the URL that may hold a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from fastadk_memory.errors import ConfigurationError

__all__ = ["backend_name", "default_options", "mask", "split_core_options", "split_query"]

CORE_OPTIONS = ("namespace", "default_ttl")
"""The query parameters that work for every backend, because the core applies them."""

_SCHEME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)(\+[A-Za-z0-9_.+-]*)?://")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PLAIN_HOST = re.compile(r"(?:[^:\[\]]+|\[[^\[\]]*\])(?::\d{1,5})?\Z")
_PLAIN_QUERY = re.compile(r"[\w.-]+=")
_WINDOWS_PATH = re.compile(r"/[A-Za-z]:(?:[/\\]|\Z)")


def backend_name(url: str) -> str:
    """Return the name of the backend that a URL asks for: its scheme up to a `+`.

    Args:
        url: A URL such as `redis+sentinel://host/0`.

    Returns:
        The name in lower case, such as `redis`.

    Raises:
        ConfigurationError: It is no URL: no `str`, or without a scheme and `://`.
    """
    _check(url)
    found = _SCHEME.match(url)
    if found is None:
        raise ConfigurationError(
            "this is no URL of a backend; write it as backend://..., such as inmemory:// "
            "or redis://localhost:6379/0"
        )
    return found[1].lower()


def split_query(url: str) -> tuple[str, dict[str, str]]:
    """Take the query off a URL; for a backend's own `from_url`.

    Args:
        url: The whole URL.

    Returns:
        The URL without its query, exactly as written, and the query's parameters,
        percent-decoded once.

    Raises:
        ConfigurationError: It is no URL, holds a raw `#`, a control character or a space,
            or its query has a parameter twice, without a name, without `=`, or encoded
            wrongly.
    """
    base, parts = _split(url)
    options: dict[str, str] = {}
    for part in parts:
        name, value = _parameter(part, backend_name(url))
        _add(options, name, value)
    return base, options


def split_core_options(url: str) -> tuple[str, dict[str, str]]:
    """Take the core's own parameters, `namespace` and `default_ttl`, out of a URL.

    Args:
        url: The whole URL.

    Returns:
        The URL without them, otherwise exactly as written, and their values by name,
        percent-decoded once; only those that were there.

    Raises:
        ConfigurationError: It is no URL, holds a raw `#`, a control character or a space,
            or has one of the two twice, without `=`, or encoded wrongly.
    """
    base, parts = _split(url)
    core: dict[str, str] = {}
    kept: list[str] = []
    for part in parts:
        if _is_core(part):
            _add(core, *_parameter(part, backend_name(url)))
        else:
            kept.append(part)
    return (f"{base}?{'&'.join(kept)}" if kept else base), core


def default_options(factory: Callable[..., object], url: str) -> dict[str, object]:
    """Turn a URL into options for a backend that has no `from_url` of its own.

    The query's parameters are options. What stands before it is the option `url`, as
    written, if the constructor has one (or takes any keyword); failing that, the part
    after `://`, percent-decoded, is the option `path`: `file:///var/m.db` is
    `/var/m.db`, `file://m.db` is `m.db`.

    Args:
        factory: The backend's class, or the callable that makes it.
        url: The whole URL, without the core's own parameters.

    Returns:
        Options by name; all values are `str`.

    Raises:
        ConfigurationError: The URL is malformed (as for `split_query`), says `url` or
            `path` twice, or names a host or path that the backend has no option for.
    """
    from fastadk_memory.options import option_names

    base, query = split_query(url)
    names, takes_any = option_names(factory)
    rest = base.partition("://")[2]
    options: dict[str, object] = dict(query)
    if "url" in names or (takes_any and "path" not in names and rest):
        target, value = "url", base
    elif "path" in names:
        target, value = "path", _path(rest, backend_name(url))
    elif rest not in ("", "/"):
        raise ConfigurationError(
            f"the backend {backend_name(url)!r} has no option url or path, so the host or path "
            f"in its URL means nothing to it; write {backend_name(url)}:// and give its options "
            "after a ?"
        )
    else:
        return options
    if target in options and value:
        raise ConfigurationError(
            f"the URL of {backend_name(url)!r} says {target} twice, before the ? and in the "
            "query; keep one of them"
        )
    if value:
        options[target] = value
    return options


def mask(url: str) -> str:
    """Return a URL as it may be shown: what is, or may be, a secret replaced by `***`.

    The password of the userinfo is replaced (a lone user name too, as tokens are written
    that way), the values of query parameters with secret-looking names, values that are
    URLs themselves, and whatever follows a raw `#`. When a raw special character in a
    password makes its end unclear, more is replaced rather than less.

    Args:
        url: Any text; it need not be a URL at all.

    Returns:
        The text to show.

    Raises:
        ConfigurationError: `url` is no `str`.
    """
    _check(url)
    found = _SCHEME.match(url)
    scheme = found[0] if found else ""
    rest = url[len(scheme) :]
    end = _end_of_userinfo(rest)
    if end >= 0:
        user, colon, _ = rest[:end].partition(":")
        # A user name with a delimiter in it is a password that began too early.
        shown = f"{user}:***" if colon and not re.search(r"[/?#@]", user) else "***"
        hosts, rest = f"{shown}@", rest[end + 1 :]
    else:
        hosts = ""
    rest, hash_sign, fragment = rest.partition("#")
    before, question, query = rest.partition("?")
    parts = [_masked_parameter(part) for part in re.split(r"([&;])", query)]
    tail = "#***" if hash_sign and fragment else hash_sign
    return f"{scheme}{hosts}{before}{question}{''.join(parts)}{tail}"


def _check(url: object) -> None:
    if not isinstance(url, str):
        raise ConfigurationError(f"a URL must be a str, not {type(url).__name__}")


def _end_of_userinfo(rest: str) -> int:
    """The place of the `@` that ends the userinfo, or -1.

    A raw `/`, `?` or `#` in a password moves the `@` behind the end of the authority. Only
    where the authority is plainly hosts with ports is a later `@` believed to be no end.
    """
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    before_query, _, query = rest.partition("?")
    real_query = _PLAIN_QUERY.match(query) is not None or "@" not in query
    if "@" in authority:
        return (before_query if real_query else rest).rfind("@")
    if ":" not in authority:
        return -1
    plain = all(_PLAIN_HOST.match(host) for host in authority.split(","))
    if plain and "@" not in before_query and real_query:
        return -1
    return rest.rfind("@")


def _masked_parameter(part: str) -> str:
    from urllib.parse import unquote

    from fastadk_memory.secrets import looks_secret

    name, equals, value = part.partition("=")
    if not value:
        return part
    decoded = unquote(value)
    if looks_secret(unquote(name)) or "://" in decoded:
        return f"{name}{equals}***"
    return part


def _split(url: str) -> tuple[str, list[str]]:
    name = backend_name(url)
    if "#" in url:
        raise ConfigurationError(
            f"the URL of {name!r} holds a raw #, which would cut it off there; "
            "write %23 for a # that is meant, e.g. in a password or a path"
        )
    if _CONTROL.search(url):
        raise ConfigurationError(
            f"the URL of {name!r} holds a space or a control character; percent-encode it "
            "(a space is %20) or remove it"
        )
    base, _, query = url.partition("?")
    return base, [part for part in query.split("&") if part]


def _parameter(part: str, backend: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not name or not equals:
        raise ConfigurationError(
            f"the query of the URL of {backend!r} has a part that is not name=value; write a & "
            "that belongs to a value as %26"
        )
    return _decode(name, backend), _decode(value, backend)


def _decode(text: str, backend: str) -> str:
    from urllib.parse import unquote

    if _STRAY_PERCENT.search(text):
        raise ConfigurationError(
            f"the URL of {backend!r} holds a % that is not followed by two hexadecimal digits; "
            "write %25 for a percent sign that is meant"
        )
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        # The cause would repeat the bytes, which may be a password.
        raise ConfigurationError(
            f"the URL of {backend!r} percent-encodes bytes that are not UTF-8; encode the text "
            "as UTF-8, e.g. with urllib.parse.quote"
        ) from None


def _is_core(part: str) -> bool:
    from urllib.parse import unquote

    return unquote(part.partition("=")[0]) in CORE_OPTIONS


def _add(options: dict[str, str], name: str, value: str) -> None:
    if name in options:
        raise ConfigurationError(
            f"the URL gives the parameter {name[:60]!r} twice; keep one of them"
        )
    options[name] = value


def _path(rest: str, backend: str) -> str:
    path = _decode(rest, backend)
    if os.name == "nt" and _WINDOWS_PATH.match(path):
        return path[1:]
    return path
