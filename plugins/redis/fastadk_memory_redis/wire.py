"""Commands as the bytes that Redis reads (RESP)."""

from __future__ import annotations

__all__ = ["pack", "pack_get_head", "pack_set"]


def pack(*parts: bytes) -> bytes:
    """Return a command as bytes.

    Args:
        *parts: The command's name and its arguments.
    """
    packed = [b"*%d\r\n" % len(parts)]
    packed += [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"".join(packed)


# The two commands that matter for speed, in one formatting each: a third of the time.


def pack_get_head(key: bytes, last: bytes) -> bytes:
    """Return `GETRANGE key 0 last`: the beginning of a value, and all of a small one.

    Args:
        key: The key as the server knows it.
        last: The last byte's place, in decimal.
    """
    return b"*4\r\n$8\r\nGETRANGE\r\n$%d\r\n%b\r\n$1\r\n0\r\n$%d\r\n%b\r\n" % (
        len(key),
        key,
        len(last),
        last,
    )


def pack_set(key: bytes, value: bytes, ttl_ms: int | None) -> bytes:
    """Return `SET key value`, with `PX ttl_ms` unless that is `None`.

    Args:
        key: The key as the server knows it.
        value: The record.
        ttl_ms: Milliseconds until it expires.
    """
    if ttl_ms is None:
        return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
            len(key),
            key,
            len(value),
            value,
        )
    return pack(b"SET", key, value, b"PX", b"%d" % ttl_ms)
