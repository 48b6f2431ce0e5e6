"""`RedisBackend`: entries in Redis or Valkey."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, ClassVar, cast

from fastadk_memory import (
    Absent,
    Capability,
    ConflictError,
    FastADKMemoryError,
    MemoryBackend,
    MemoryEntry,
    Ttl,
    UnsupportedValueError,
    Version,
)
from fastadk_memory.base import check_batch_size
from fastadk_memory.codec import check_items, check_metadata, decode, encode
from fastadk_memory.keys import check_key, check_keys, check_pattern, filter_keys
from fastadk_memory.records import check_expectation
from fastadk_memory.ttl import from_timestamp, ttl_to_ms
from fastadk_memory_redis.client import Call, Client
from fastadk_memory_redis.envelope import VERSION_BYTES, Versions, pack, unpack, value_of
from fastadk_memory_redis.health import HealthReport, examine, is_healthy
from fastadk_memory_redis.loops import Clients
from fastadk_memory_redis.names import Names
from fastadk_memory_redis.nearcache import NearCache
from fastadk_memory_redis.scanning import pages
from fastadk_memory_redis.scripts import KEEP_FOR_GOOD, READ, REPLACE, STORE, run_script
from fastadk_memory_redis.settings import Settings, merge
from fastadk_memory_redis.topology import Track
from fastadk_memory_redis.wire import pack as command
from fastadk_memory_redis.wire import pack_get_head, pack_set

__all__ = ["RedisBackend"]

_SMALL = 1 << 16
"""Up to how many bytes a value may share the lane of the small commands."""

_HEAD_END = b"%d" % (_SMALL - 1)
_WHOLE = b"-1"

_HITS = 100
"""How many hits of the near cache there may be in a row until other tasks get a turn."""

_SEEN_AT_ONCE = frozenset({Capability.MULTI_PROCESS, Capability.MULTI_HOST})

_BATCH = 500
_BATCH_BYTES = 1 << 20
_PAGE = 1000

# What a version is compared with where what was expected cannot be one of ours.
_NO_VERSION = bytes(VERSION_BYTES + 1)


class RedisBackend(MemoryBackend):
    """Keeps entries in Redis (6.2 or newer), Valkey, or what speaks their protocol.

    One server, the primary that Sentinels name, or a cluster: the URL decides. All calls of
    an event loop share a few connections, so that any number of tasks may call at once. One
    object may be used from several event loops and threads.

    How long what was acknowledged survives is up to the server's configuration. A failover
    can lose acknowledged writes; `min_replicas` makes that unlikely, not impossible.

    Args:
        url: Where the server is: `redis://user:password@host:6379/0`, `rediss://` for TLS,
            `redis+unix:///path` (or `unix:///path`), `redis+sentinel://h1,h2,h3/service/0`,
            `redis+cluster://h1,h2,h3`; `valkey` may stand for `redis`. Its query may hold any
            of the options below.
        prefix: What sets this store apart from others on the same server; 1 to 512 bytes of
            UTF-8. Stores of different prefixes never see each other's keys.
        username: Whom to connect as; without it Redis's user `default`.
        password: The password.
        db: The number of the database; not in a cluster.
        sentinel_username: Whom to connect to the Sentinels as.
        sentinel_password: The Sentinels' password.
        timeout: How many seconds a call may take, with everything that belongs to it.
        connect_timeout: How many seconds one attempt to connect may take.
        health_timeout: After how many seconds without an answer `health_check` says no.
        near_cache: Whether to keep what was read in this process until the server says that
            it has changed.
        near_cache_entries: How many entries to keep at the most, for each event loop.
        near_cache_seconds: For how many seconds to keep one at the most.
        min_replicas: How many replicas must have confirmed a write before it is acknowledged.
        replica_timeout: How many seconds to wait for them.
        tls_ca_file: A file with the certificates to trust; without it, those of the system.
        tls_cert_file: A file with this client's certificate.
        tls_key_file: A file with its key, if that is not in the same file.
        tls_key_password: The password of the key.
        tls_check_hostname: Whether the server's certificate must be for the host in the URL.
        client_name: What the connections are called in `CLIENT LIST`.
        max_value_bytes: How large an entry may be, encoded; the server's limit is its
            `proto-max-bulk-len`, 512 MiB by default.

    Raises:
        ConfigurationError: The URL or an option says something impossible.
    """

    capabilities = frozenset(
        {
            Capability.ENTRIES,
            Capability.CAS,
            Capability.TOUCH,
            Capability.BULK,
            Capability.SCAN,
            Capability.PERSISTENT,
            Capability.MULTI_PROCESS,
            Capability.MULTI_HOST,
        }
    )
    contract_options: ClassVar[Mapping[str, str]] = {"prefix": "{unique}"}

    def __init__(
        self,
        url: str = "redis://localhost:6379/0",
        prefix: str = "fastadk",
        *,
        username: str | None = None,
        password: str | None = None,
        db: int | None = None,
        sentinel_username: str | None = None,
        sentinel_password: str | None = None,
        timeout: float = 5.0,
        connect_timeout: float = 2.0,
        health_timeout: float = 2.0,
        near_cache: bool = False,
        near_cache_entries: int = 10_000,
        near_cache_seconds: float = 60.0,
        min_replicas: int = 0,
        replica_timeout: float = 1.0,
        tls_ca_file: str | None = None,
        tls_cert_file: str | None = None,
        tls_key_file: str | None = None,
        tls_key_password: str | None = None,
        tls_check_hostname: bool = True,
        client_name: str = "fastadk-memory",
        max_value_bytes: int = 512 * 1024 * 1024,
    ) -> None:
        given = dict(locals())
        options = {name: given[name] for name in _DEFAULTS}
        self._settings = Settings(**merge(RedisBackend, url, options, _DEFAULTS))
        self._names = Names(self._settings.prefix)
        self._versions = Versions()
        self._clients = Clients(self._settings)
        self._client = self._clients.current
        if self._settings.near_cache:
            # What another process acknowledges is seen only when the server's word arrives.
            self.capabilities = self.capabilities - _SEEN_AT_ONCE
        self._hits = 0

    def __repr__(self) -> str:
        return f"RedisBackend({self._settings.shown()})"

    # ------------------------------------------------------------------ the nine

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Store a value; see [`MemoryBackend.set`][fastadk_memory.base.MemoryBackend.set]."""
        key = check_key(key, self.max_key_bytes)
        record = self._record(key, encode(value))
        ttl_ms = None if ttl is None else ttl_to_ms(ttl)
        with self._client() as client:
            await client.run(self._set(key, record, ttl_ms))

    async def get(self, key: str) -> Any:
        """Return a value; see [`MemoryBackend.get`][fastadk_memory.base.MemoryBackend.get]."""
        client = self._client()
        if client.near is not None:
            return await self._get_near(client, client.near, key)
        key = check_key(key, self.max_key_bytes)
        name = self._names.name(key)
        with client:
            head = cast("bytes", await client.read(name, pack_get_head(name, _HEAD_END), key))
            data = head if 0 < len(head) < _SMALL else await self._whole(client, key, head)
        return None if data is None else decode(value_of(data, key), key=key)

    async def _get_near(self, client: Client, near: NearCache, key: str) -> Any:
        # What is kept needs no second check; everything else does.
        kept = near.find(key) if type(key) is str else None
        if kept is not None and kept.end > client.time():
            self._hits += 1
            if not self._hits % _HITS:
                await asyncio.sleep(0)  # or a loop of hits would never hear of a change
            return kept.value if kept.encoded is None else decode(kept.encoded, key=key)
        key = check_key(key, self.max_key_bytes)
        name, asked_at = self._names.name(key), client.time()
        mark = near.mark(key)
        try:
            with client:
                reply = await client.run(self._head(key, then=command(b"PTTL", name)))
                head, left = cast("tuple[bytes, int]", reply)
                data = await self._whole(client, key, head)
            if data is None:
                return None
            encoded = value_of(data, key)
            value = decode(encoded, key=key)
            if len(data) < _SMALL and isinstance(left, int):
                near.keep(key, mark, value, encoded, asked_at, left)
            return value
        finally:
            near.unmark(key, mark)

    async def delete(self, key: str) -> None:
        """Remove a key; see [`MemoryBackend.delete`][fastadk_memory.base.MemoryBackend.delete]."""
        key = check_key(key, self.max_key_bytes)
        name = self._names.name(key)
        with self._client() as client:
            await client.run(Call(name, command(b"UNLINK", name), key))

    async def exists(self, key: str) -> bool:
        """Ask for a key; see [`MemoryBackend.exists`][fastadk_memory.base.MemoryBackend.exists]."""
        key = check_key(key, self.max_key_bytes)
        name = self._names.name(key)
        with self._client() as client:
            found = await client.read(name, command(b"EXISTS", name), key)
        return found == 1

    async def keys(self, pattern: str = "*") -> list[str]:
        """Return keys; see [`MemoryBackend.keys`][fastadk_memory.base.MemoryBackend.keys].

        The server is asked for a thousand keys at a time and serves others in between.
        """
        return [key async for key in self.scan(pattern)]

    async def clear(self) -> None:
        """Remove everything; see [`MemoryBackend.clear`][fastadk_memory.base.MemoryBackend.clear].

        Everything under the prefix, that is, and nothing else in the database.
        """
        await self.clear_pattern("*")

    async def clear_pattern(self, pattern: str) -> None:
        """Remove keys; see [`clear_pattern`][fastadk_memory.base.MemoryBackend.clear_pattern]."""
        pattern = check_pattern(pattern)
        with self._client() as client:
            async for page in pages(client, self._names.glob(pattern), _PAGE):
                keys = self._matching(pattern, page.names)
                for some in _slices(keys, _BATCH):
                    # What is set again meanwhile may go, too: that is no harm in repeating it.
                    await client.run_all([self._unlink(key, repeatable=True) for key in some])

    async def ttl(self, key: str) -> int | None:
        """Return the seconds left.

        See [`ttl`][fastadk_memory.base.MemoryBackend.ttl].
        """
        key = check_key(key, self.max_key_bytes)
        name = self._names.name(key)
        with self._client() as client:
            left = await client.read(name, command(b"PTTL", name), key)
        return _seconds(cast("int", left))

    async def health_check(self) -> bool:
        """Return whether every primary takes writes, and within `health_timeout`.

        See [`MemoryBackend.health_check`][fastadk_memory.base.MemoryBackend.health_check].
        """
        try:
            async with asyncio.timeout(self._settings.health_timeout):
                with self._client() as client:
                    return await is_healthy(client, self._names)
        except (TimeoutError, FastADKMemoryError):
            return False

    async def health(self) -> HealthReport:
        """Look at every primary: latency, replication, memory, eviction, persistence, slots.

        `fastadk-memory doctor` shows the warnings. What the user's ACL keeps from INFO is
        missing.

        Returns:
            A report; a node that cannot be reached is part of it, and not raised.

        Raises:
            BackendClosedError: After `aclose`.
        """
        with self._client() as client:
            return await examine(client, self._names, self._settings.min_replicas)

    # ------------------------------------------------------------------ lifetime

    async def open(self) -> None:
        """Connect; see [`MemoryBackend.open`][fastadk_memory.base.MemoryBackend.open]."""
        with self._client() as client:
            name = self._names.stem
            await client.read(name, command(b"EXISTS", name))

    async def aclose(self) -> None:
        """Close the connections of all event loops.

        See [`MemoryBackend.aclose`][fastadk_memory.base.MemoryBackend.aclose].
        """
        await self._clients.aclose()

    # ------------------------------------------------------------------ bulk and scan

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return values; see [`get_many`][fastadk_memory.base.MemoryBackend.get_many]."""
        wanted = check_keys(keys, self.max_key_bytes)
        found: dict[str, Any] = {}
        with self._client() as client:
            for some in _slices(wanted, _BATCH):
                heads = await client.run_all([self._head(key) for key in some])
                if client.near is not None:
                    # Read on another lane, these may be newer than what is kept.
                    for key in some:
                        client.near.drop(key)
                for key, head in zip(some, heads, strict=True):
                    data = await self._whole(client, key, cast("bytes", head))
                    if data is not None:
                        found[key] = decode(value_of(data, key), key=key)
        return found

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Store values; see [`set_many`][fastadk_memory.base.MemoryBackend.set_many]."""
        ttl_ms = ttl_to_ms(ttl)
        records = {
            key: self._record(key, encode(value))
            for key, value in check_items(items, self.max_key_bytes).items()
        }
        with self._client() as client:
            for some in _portions(records):
                calls = [self._set(key, record, ttl_ms) for key, record in some]
                await client.run_all(calls)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove keys; see [`delete_many`][fastadk_memory.base.MemoryBackend.delete_many]."""
        wanted = check_keys(keys, self.max_key_bytes)
        existed = 0
        with self._client() as client:
            for some in _slices(wanted, _BATCH):
                removed = await client.run_all([self._unlink(key) for key in some])
                existed += sum(cast("list[int]", removed))
        return existed

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """Go through keys; see [`MemoryBackend.scan`][fastadk_memory.base.MemoryBackend.scan].

        What it holds grows by about a hundred bytes for each key, so that none comes twice.
        """
        pattern = check_pattern(pattern)
        return self._scan(pattern, min(check_batch_size(batch_size), _PAGE))

    async def _scan(self, pattern: str, batch_size: int) -> AsyncIterator[str]:
        async for page in pages(self._client(), self._names.glob(pattern), batch_size):
            for key in self._matching(pattern, page.names):
                yield key

    # ------------------------------------------------------------------ capabilities

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """Return an entry; see [`get_entry`][fastadk_memory.base.MemoryBackend.get_entry]."""
        key = check_key(key, self.max_key_bytes)
        name = self._names.name(key)
        with self._client() as client:
            reply = await run_script(client, READ, name, _HEAD_END, key=key)
            data, expires_at = cast("tuple[bytes, int]", reply)
            if len(data) == _SMALL:
                reply = await run_script(client, READ, name, _WHOLE, key=key, track=Track.LARGE)
                data, expires_at = cast("tuple[bytes, int]", reply)
        return _entry(key, data, expires_at) if data else None

    async def set_entry(
        self, key: str, value: Any, ttl: Ttl | None = None, *, metadata: Mapping[str, Any]
    ) -> MemoryEntry:
        """Store an entry; see [`set_entry`][fastadk_memory.base.MemoryBackend.set_entry]."""
        key = check_key(key, self.max_key_bytes)
        extra = encode(check_metadata(metadata))
        record = self._record(key, encode(value), extra)
        ttl_ms = ttl_to_ms(ttl)
        name, expires_at = self._names.name(key), -1
        with self._client() as client:
            if ttl_ms is None:
                await client.run(self._set(key, record, None))
            else:
                arguments, track = (record, b"%d" % ttl_ms), _track(record)
                reply = await run_script(client, STORE, name, *arguments, key=key, track=track)
                expires_at = cast("int", reply)
        return _entry(key, record, expires_at)

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store if unchanged.

        See [`compare_and_set`][fastadk_memory.base.MemoryBackend.compare_and_set].
        """
        key = check_key(key, self.max_key_bytes)
        check_expectation(expect)
        record = self._record(key, encode(value))
        ttl_ms = ttl_to_ms(ttl)
        with self._client() as client:
            if isinstance(expect, Absent):
                done = await self._add(client, key, record, ttl_ms)
            else:
                done = await self._replace(client, key, record, ttl_ms, _version_bytes(expect))
        if not done:
            raise ConflictError(
                f"the entry {key!r} is not at the expected version; read it again and retry",
                key=key,
            )
        return unpack(record, key).version.hex()

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """Change the expiry.

        See [`touch`][fastadk_memory.base.MemoryBackend.touch].
        """
        key = check_key(key, self.max_key_bytes)
        ttl_ms = ttl_to_ms(ttl)
        name = self._names.name(key)
        with self._client() as client:
            if ttl_ms is None:
                done = await run_script(client, KEEP_FOR_GOOD, name, key=key)
            else:
                packed = command(b"PEXPIRE", name, b"%d" % ttl_ms)
                done = await client.run(Call(name, packed, key))
        return done == 1

    # ------------------------------------------------------------------ inside

    def _record(self, key: str, value: bytes, metadata: bytes = b"") -> bytes:
        record = pack(self._versions.next(), time.time(), value, metadata)
        if len(record) > self._settings.max_value_bytes:
            # The server would break the connection, for everybody who shares it.
            raise UnsupportedValueError(
                f"the entry {key!r} has {len(record)} bytes, more than the server takes "
                f"({self._settings.max_value_bytes}); see the option max_value_bytes"
            )
        return record

    def _head(self, key: str, then: bytes | None = None) -> Call:
        name = self._names.name(key)
        return Call(name, pack_get_head(name, _HEAD_END), key, reads=True, then=then)

    async def _whole(self, client: Client, key: str, head: bytes) -> bytes | None:
        """Return the whole entry, of which the beginning is known; no entry is empty."""
        if len(head) < _SMALL:
            return head or None
        name = self._names.name(key)
        call = Call(name, command(b"GET", name), key, reads=True, track=Track.LARGE)
        return cast("bytes | None", await client.run(call))

    def _set(self, key: str, record: bytes, ttl_ms: int | None) -> Call:
        name = self._names.name(key)
        return Call(name, pack_set(name, record, ttl_ms), key, track=_track(record))

    def _unlink(self, key: str, *, repeatable: bool = False) -> Call:
        name = self._names.name(key)
        return Call(name, command(b"UNLINK", name), key, repeatable=repeatable)

    async def _add(self, client: Client, key: str, record: bytes, ttl_ms: int | None) -> bool:
        name = self._names.name(key)
        expiry = () if ttl_ms is None else (b"PX", b"%d" % ttl_ms)
        packed = command(b"SET", name, record, b"NX", *expiry)
        return await client.run(Call(name, packed, key, track=_track(record))) is not None

    async def _replace(
        self, client: Client, key: str, record: bytes, ttl_ms: int | None, version: bytes
    ) -> bool:
        expiry = () if ttl_ms is None else (b"%d" % ttl_ms,)
        arguments = (version, record, *expiry)
        name, track = self._names.name(key), _track(record)
        return await run_script(client, REPLACE, name, *arguments, key=key, track=track) == 1

    def _matching(self, pattern: str, names: list[bytes]) -> list[str]:
        keys = [key for name in names if (key := self._names.key(name)) is not None]
        return filter_keys(pattern, keys)


_DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(RedisBackend).parameters.items()
    if name != "url"
}


def _track(record: bytes) -> Track:
    return Track.SMALL if len(record) < _SMALL else Track.LARGE


def _seconds(left_ms: int) -> int | None:
    """Return whole seconds, rounded up; the server says -1 and -2 for no expiry and no key."""
    return None if left_ms < 0 else max(1, -(-left_ms // 1000))


def _version_bytes(version: Version) -> bytes:
    try:
        made = bytes.fromhex(version)
    except ValueError:
        return _NO_VERSION
    # Only what we say ourselves is a version: no capitals, no spaces.
    return made if len(made) == VERSION_BYTES and made.hex() == version else _NO_VERSION


def _entry(key: str, data: bytes, expires_at_ms: int) -> MemoryEntry:
    record = unpack(data, key)
    return MemoryEntry(
        key=key,
        value=decode(record.value, key=key),
        created_at=from_timestamp(record.created_at),
        expires_at=None if expires_at_ms < 0 else from_timestamp(expires_at_ms / 1000),
        metadata=decode(record.metadata, key=key) if record.metadata else {},
        version=record.version.hex(),
    )


def _slices(keys: list[str], size: int) -> Iterable[list[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _portions(records: dict[str, bytes]) -> Iterable[list[tuple[str, bytes]]]:
    """Part a batch by number and size."""
    portion: list[tuple[str, bytes]] = []
    size = 0
    for key, record in records.items():
        if portion and (len(portion) >= _BATCH or size + len(record) > _BATCH_BYTES):
            yield portion
            portion, size = [], 0
        portion.append((key, record))
        size += len(record)
    if portion:
        yield portion
