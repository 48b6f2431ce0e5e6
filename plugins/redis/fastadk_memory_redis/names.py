"""How keys are called on the server, and which of them a pattern may match there.

```text
fm1:support%20bot:{}user:17:name
│   │             │ └ the key, as UTF-8
│   │             └ an empty hash tag: a cluster hashes the whole name, whatever braces follow
│   └ the prefix, percent-encoded: no prefix holds a colon, so none reaches into another's keys
└ the layout's version
```
"""

from __future__ import annotations

import re
from urllib.parse import quote

__all__ = ["Names"]

_MOST_STARS = 3
_SPECIAL = re.compile(rb"[*?\[\]\\]")


class Names:
    """The names on the server of the keys under one prefix.

    Args:
        prefix: What sets the store apart from others on the same server.
    """

    def __init__(self, prefix: str) -> None:
        # quote() leaves "~" alone as well, which means nothing to Redis.
        self.stem = b"fm1:" + quote(prefix, safe="").encode() + b":{}"
        self._size = len(self.stem)

    def name(self, key: str) -> bytes:
        """Return what a key is called on the server."""
        return self.stem + key.encode()

    def key(self, name: bytes) -> str | None:
        """Return the key of a name that SCAN found; `None` if it is none of this store."""
        if not name.startswith(self.stem):
            return None
        try:
            return name[self._size :].decode() or None
        except UnicodeDecodeError:
            return None  # nobody can have set it through this backend

    def glob(self, pattern: str) -> bytes:
        r"""Return a pattern of the server's that every match of `pattern` matches, too.

        The server matches bytes where the contract matches code points, negates with `^`,
        and takes an unclosed `[` for a class and `\` for an escape. So whatever is not
        literal becomes a wildcard, and the exact matcher has the last word. It has few
        wildcards, because older servers take time exponential in their number, and newer
        ones match nothing where there are more than a thousand.

        Args:
            pattern: A checked pattern.
        """
        loose = [_escape(self.stem)]
        stars = at = 0
        while at < len(pattern) and stars < _MOST_STARS:
            char = pattern[at]
            end = _end_of_set(pattern, at) if char == "[" else at
            if end == at + 2 and pattern[at + 1] != "!":
                loose.append(_escape(pattern[at + 1].encode()))  # a set of one, as in [*]
            elif char in "*?" or end > at:
                loose.append(b"*" if char == "*" else b"?*")
                stars += 1  # several in a row do no harm, but count
            else:
                loose.append(_escape(char.encode()))
            at = end + 1
        return b"".join(loose)


def _escape(text: bytes) -> bytes:
    return _SPECIAL.sub(rb"\\\g<0>", text)


def _end_of_set(pattern: str, start: int) -> int:
    """Return where the set that opens at `start` closes; `start` if it never does."""
    at = start + 1
    at += pattern.startswith("!", at)
    at += pattern.startswith("]", at)  # one that comes first does not close
    end = pattern.find("]", at)
    return start if end < 0 else end
