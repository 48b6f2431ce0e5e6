"""What has to happen at one moment on the server: small scripts, each on one key.

They run on every version from Redis 6.2 on, on Valkey and in a cluster. None of them looks
into values: they compare the version, which stands at a fixed place of the entry, and pass
everything else through untouched.
"""

from __future__ import annotations

from hashlib import sha1

from fastadk_memory import BackendUnavailableError
from fastadk_memory_redis.client import Call, Client
from fastadk_memory_redis.envelope import VERSION_BYTES, VERSION_FROM
from fastadk_memory_redis.replies import Reply, ReplyError
from fastadk_memory_redis.topology import Track
from fastadk_memory_redis.wire import pack

__all__ = ["KEEP_FOR_GOOD", "READ", "REPLACE", "STORE", "Script", "run_script"]


class Script:
    """One script.

    Args:
        source: In Lua.
        reads: Whether it changes nothing, so that it may be run again.
    """

    def __init__(self, source: str, *, reads: bool = False) -> None:
        self.source = source.encode()
        self.reads = reads
        # That is how the server calls it; no secret is involved.
        self.digest = sha1(self.source, usedforsecurity=False).hexdigest().encode()


_EXPIRES_AT = """
local function expires_at()
  local at = redis.pcall('PEXPIRETIME', KEYS[1])
  if type(at) == 'number' then
    return at
  end
  -- Redis 6.2 does not know it. What is left, and since when, must be of one millisecond.
  local left, before, now
  repeat
    before = redis.call('TIME')
    left = redis.call('PTTL', KEYS[1])
    now = redis.call('TIME')
    before = before[1] * 1000 + math.floor(before[2] / 1000)
    now = now[1] * 1000 + math.floor(now[2] / 1000)
  until left < 0 or before == now
  return left < 0 and left or now + left
end
"""

READ = Script(
    f"""{_EXPIRES_AT}
return {{redis.call('GETRANGE', KEYS[1], 0, ARGV[1]), expires_at()}}
""",
    reads=True,
)
"""The entry, up to the byte at a place, and when it expires: milliseconds since 1970."""

STORE = Script(
    f"""{_EXPIRES_AT}
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return expires_at()
"""
)
"""Puts an entry there, and tells when it expires."""

REPLACE = Script(
    f"""
local version = redis.call('GETRANGE', KEYS[1], {VERSION_FROM}, {VERSION_FROM + VERSION_BYTES - 1})
if version ~= ARGV[1] then
  return 0
end
if ARGV[3] then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
  redis.call('SET', KEYS[1], ARGV[2])
end
return 1
"""
)
"""Puts an entry in the place of one that has a certain version."""

KEEP_FOR_GOOD = Script(
    """
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('PERSIST', KEYS[1])
return 1
"""
)
"""Takes the expiry away from a key that is there."""


async def run_script(
    client: Client,
    script: Script,
    name: bytes,
    *arguments: bytes,
    key: str,
    track: Track = Track.SMALL,
) -> Reply:
    """Run a script on one key.

    Args:
        client: Who carries it out.
        script: The script.
        name: The key's name on the server.
        *arguments: What the script calls ARGV.
        key: The key, for errors.
        track: Which lane it takes.

    Raises:
        FastADKMemoryError: As for `Client.run`.
    """
    rest = (b"1", name, *arguments)

    def call(verb: bytes, subject: bytes) -> Call:
        command = pack(verb, subject, *rest)
        return Call(name, command, key, reads=script.reads, track=track)

    try:
        return await client.run(call(b"EVALSHA", script.digest))
    except BackendUnavailableError as error:
        cause = error.__cause__
        if not isinstance(cause, ReplyError) or cause.code != "NOSCRIPT":
            raise
    # The server does not know it (any more): EVAL teaches it in passing.
    return await client.run(call(b"EVAL", script.source))
