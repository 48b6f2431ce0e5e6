"""The interface: what every backend offers, and what it means.

The paragraphs below are the specification. Clause ids such as [K1][] point into
[the contract](../../contract.md), whose tests hold every backend to them. Three things
are true of every method and are not repeated:

* **Errors.** Whatever fails raises a `FastADKMemoryError` with the driver's error as its
  cause ([E1][]). Bad arguments are refused before anything is read or changed. After
  `aclose` every call raises `BackendClosedError`, except `health_check`, which answers
  `False`, and `aclose` itself ([L1][]). A backend that talks to a service raises
  `BackendUnavailableError` when the service is away and `BackendTimeoutError` when it
  does not answer in time ([E2][]).
* **Cancellation.** A cancelled call has happened whole or not at all, and the backend
  stays usable ([X2][]).
* **Loops and threads.** One object serves any number of event loops, one after another
  and at once in several threads ([X3][]).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar

from fastadk_memory.entry import MemoryEntry, Metadata, Version
from fastadk_memory.errors import ConfigurationError, UnsupportedOperationError
from fastadk_memory.keys import DEFAULT_MAX_KEY_BYTES, check_key, check_keys, check_pattern
from fastadk_memory.ttl import Ttl, ttl_to_ms

if TYPE_CHECKING:
    from typing import Self

__all__ = [
    "ABSENT",
    "API_VERSION",
    "Absent",
    "Capability",
    "MemoryBackend",
    "MemoryEntry",
    "Metadata",
    "Ttl",
    "Version",
    "check_batch_size",
]

API_VERSION = 1
"""The version of the interface on this page. A plugin built for another one is refused."""


class Capability(Enum):
    """What a backend can do beyond the nine methods.

    A declared capability is tested by the contract; an undeclared one is tested to be
    refused with `UnsupportedOperationError`.
    """

    ENTRIES = "entries"
    """`set_entry` works, and `get_entry` knows creation time, metadata and version."""

    CAS = "cas"
    """`compare_and_set` works ([U1][])."""

    TOUCH = "touch"
    """`touch` works ([M1][])."""

    BULK = "bulk"
    """`get_many`, `set_many` and `delete_many` are native: faster than the single calls."""

    SCAN = "scan"
    """`scan` is native: its memory is bounded by the batch, not by the number of keys."""

    PERSISTENT = "persistent"
    """What was stored survives `aclose` and reopening ([D1][])."""

    DURABLE_PROCESS = "durable_process"
    """An acknowledged write survives `kill -9` of the process ([D2][])."""

    DURABLE_POWER = "durable_power"
    """An acknowledged write survives the loss of power."""

    MULTI_PROCESS = "multi_process"
    """Several processes may use one store at once ([X1][])."""

    MULTI_HOST = "multi_host"
    """Processes on several machines may use one store at once."""


class Absent(Enum):
    """The type of `ABSENT`."""

    ABSENT = "absent"

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent.ABSENT
"""What `compare_and_set` expects where there must be no entry yet."""


class MemoryBackend(ABC):
    """An agent's memory: keys, values, and how long they live.

    Subclass it, write the nine abstract methods, and the result can be registered, opened
    by name and put to the contract. To get the whole contract right with less, subclass
    [`RecordBackend`][fastadk_memory.records.RecordBackend] instead.

    Attributes:
        capabilities: What this backend can do beyond the nine methods. Of the class; an
            instance may differ by its options.
        max_key_bytes: How long a key may be, in bytes of UTF-8; at least 512. A wrapper
            that lengthens keys lowers it.
        api_version: The version of this interface that the class was written for. A class
            that says nothing follows the core; one that names a version is refused by a
            core of another ([`IncompatibleBackendError`]
            [fastadk_memory.errors.IncompatibleBackendError]).
        contract_options: Options with which the contract may make any number of stores
            apart from each other, where no options would not do: `{tmp}` in a text stands
            for a new folder, `{unique}` for a new name. So `fastadk-memory check NAME`
            needs no options.
    """

    capabilities: frozenset[Capability] = frozenset()
    max_key_bytes: int = DEFAULT_MAX_KEY_BYTES
    api_version: ClassVar[int] = API_VERSION
    contract_options: ClassVar[Mapping[str, str]] = {}

    # ------------------------------------------------------------------ the nine

    @abstractmethod
    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        """Store `value` under `key`, replacing what was there, its expiry included.

        Args:
            key: A `str` of 1 to `max_key_bytes` bytes of UTF-8, taken literally
                ([K1][], [K2][]).
            value: `None`, `bool`, `int` of any size, `float`, `str`, `bytes`, or a `list`,
                `tuple` or `dict` with `str` keys of these, nested up to 100 deep
                ([V1][]). It is copied: changing it later changes nothing stored
                ([V4][]). A tuple comes back as a list, an instance of a subclass as its
                base type ([V2][]).
            ttl: How long the entry lives: seconds as `int` or `float`, or a `timedelta`;
                1 ms to 100 years, counted in milliseconds, a fraction of one rounded up
                ([T1][]). `None` is no expiry, whatever the key had before ([T4][]).

        Raises:
            InvalidKeyError: `key` is no key.
            UnsupportedValueError: `value` lies outside the domain; its message names the
                path to the offending part. The old value is still there ([V5][]).
            InvalidTTLError: `ttl` is none.

        A cancelled call has stored the whole value or nothing ([X2][], [X4][]).
        """

    @abstractmethod
    async def get(self, key: str) -> Any:
        """Return the value under `key`, or `None` when there is none.

        To tell a stored `None` from an absent key, ask `exists` or `get_entry` ([V3][]).
        Reading does not extend the entry's life ([T6][]).

        Args:
            key: The key, as it was set.

        Returns:
            A copy of the value that belongs to the caller ([V4][]); `None` if the key is
            absent or has expired ([T2][]).

        Raises:
            InvalidKeyError: `key` is no key.
            CorruptEntryError: What is stored cannot be read back ([E3][]).

        A cancelled call changes nothing, and no later call gets its answer ([X2][]).
        """

    @abstractmethod
    async def delete(self, key: str) -> None:
        """Remove `key`. An absent key is no error ([C4][]).

        Args:
            key: The key, as it was set.

        Raises:
            InvalidKeyError: `key` is no key.

        A cancelled call has removed the entry or left it whole.
        """

    @abstractmethod
    async def exists(self, key: str) -> bool:
        """Tell whether `key` holds an entry that has not expired ([T2][], [V3][]).

        Args:
            key: The key, as it was set.

        Returns:
            `True` if it does, a stored `None` included.

        Raises:
            InvalidKeyError: `key` is no key.

        A cancelled call changes nothing.
        """

    @abstractmethod
    async def keys(self, pattern: str = "*") -> list[str]:
        """Return the keys that match `pattern`, in no particular order.

        Args:
            pattern: At most 4,096 bytes of UTF-8. `*` is any run of code points, `?`
                exactly one, `[abc]` one of a set, `[!abc]` one outside of it; a backslash
                and a `[` that is never closed mean themselves: exactly what
                [`fnmatchcase`](https://docs.python.org/3/library/fnmatch.html#fnmatch.fnmatchcase)
                says ([P1][]). Put [`escape_pattern`][fastadk_memory.keys.escape_pattern]
                around text that comes from outside ([P3][]).

        Returns:
            Every live key that matches, each once, however many there are ([P1][],
            [K3][]).

        Raises:
            InvalidPatternError: `pattern` is none ([P2][]).

        A cancelled call changes nothing.
        """

    @abstractmethod
    async def clear(self) -> None:
        """Remove everything this store or namespace holds, and nothing else ([C1][]).

        What other programs and other namespaces keep in the same server, folder or file
        stays. The backend works on afterwards ([C3][]).

        A cancelled call may have removed some entries, each of them whole.
        """

    @abstractmethod
    async def clear_pattern(self, pattern: str) -> None:
        """Remove exactly the keys that `keys(pattern)` returns ([C2][]).

        Args:
            pattern: As for `keys`.

        Raises:
            InvalidPatternError: `pattern` is none ([P2][]).

        A cancelled call may have removed some entries, each of them whole.
        """

    @abstractmethod
    async def ttl(self, key: str) -> int | None:
        """Return how many whole seconds `key` has left, rounded up.

        Args:
            key: The key, as it was set.

        Returns:
            At least 1 for a live key with an expiry, so that it never shows 0; `None` if
            the key is absent or never expires ([T5][]).

        Raises:
            InvalidKeyError: `key` is no key.

        A cancelled call changes nothing.
        """

    @abstractmethod
    async def health_check(self) -> bool:
        """Tell whether the backend could serve a call right now. It never raises ([H1][]).

        Returns:
            `True` if it could; `False` when it is closed or its service does not answer
            within the backend's time limit.
        """

    # ------------------------------------------------------------------ lifetime

    async def open(self) -> None:  # noqa: B027 (a class of nine methods needs no opening)
        """Make ready what the backend needs: files, connections.

        Calling it is never necessary: the first call opens by itself. Calling it early
        brings errors of configuration to light early. Idempotent ([L1][]).

        Raises:
            BackendClosedError: After `aclose`: closing is final.

        A cancelled call leaves the backend unopened or open, and usable either way.
        """

    async def aclose(self) -> None:  # noqa: B027 (see open)
        """Close: finish the writes that are under way, then let go of everything.

        Nothing that was acknowledged is lost ([L2][]); no task, thread, socket or file is
        left ([L3][]). Idempotent and final ([L1][]).

        A cancelled call may have closed or not; call it again to be sure.
        """

    async def __aenter__(self) -> Self:
        """Open, and return the backend itself."""
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close, whether or not the block failed."""
        await self.aclose()

    # ----------------------------------- correct on any backend, slow by default

    async def get_entry(self, key: str) -> MemoryEntry | None:
        """Return the value under `key` with what the store knows about it.

        Without the capability `ENTRIES` the answer is put together from the nine methods:
        `created_at` and `version` are then `None`, `metadata` is empty, and `expires_at`
        is exact only to the second.

        Args:
            key: The key, as it was set.

        Returns:
            The entry, a copy that belongs to the caller; `None` if the key is absent or
            has expired.

        Raises:
            InvalidKeyError: `key` is no key.
            CorruptEntryError: What is stored cannot be read back ([E3][]).

        A cancelled call changes nothing.
        """
        from datetime import datetime, timedelta, timezone

        key = check_key(key, self.max_key_bytes)
        value = await self.get(key)
        if value is None:
            if not await self.exists(key):
                return None
            value = await self.get(key)  # it may have come between the two calls
            if value is None and not await self.exists(key):
                return None  # or gone again
        left = await self.ttl(key)
        if left is None:
            return MemoryEntry(key, value)
        return MemoryEntry(
            key, value, expires_at=datetime.now(timezone.utc) + timedelta(seconds=left)
        )

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        """Return the values of those `keys` that are present ([B1][]).

        Args:
            keys: Any iterable of keys; duplicates count once. A single `str` is refused.

        Returns:
            Key to value for the present ones, in the order asked for, each a copy.

        Raises:
            InvalidKeyError: One of them is no key; nothing has been read.
            CorruptEntryError: One of the entries cannot be read back.

        A cancelled call changes nothing.
        """
        wanted = check_keys(keys, self.max_key_bytes)
        if not wanted:
            await self.open()  # which refuses when it is closed
        found: dict[str, Any] = {}
        for key in wanted:
            value = await self.get(key)
            if value is None:
                if not await self.exists(key):
                    continue
                value = await self.get(key)  # it may have come between the two calls
                if value is None and not await self.exists(key):
                    continue  # or gone again
            found[key] = value
        return found

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        """Store several values with one TTL; the same as that many `set` calls ([B1][]).

        Args:
            items: Keys to values, each as for `set`.
            ttl: One TTL for all of them, as for `set`.

        Raises:
            InvalidKeyError: One of the keys is none; nothing at all has been changed.
            UnsupportedValueError: One of the values lies outside the domain, or `items`
                is no mapping; nothing at all has been changed.
            InvalidTTLError: `ttl` is none; nothing at all has been changed.

        A cancelled call may have stored some of the items, each of them whole.
        """
        from fastadk_memory.codec import check_items

        ttl_to_ms(ttl)
        checked = check_items(items, self.max_key_bytes)
        if not checked:
            await self.open()  # which refuses when it is closed
        for key, value in checked.items():
            await self.set(key, value, ttl)

    async def delete_many(self, keys: Iterable[str]) -> int:
        """Remove several keys ([B1][]).

        Args:
            keys: Any iterable of keys; duplicates count once. A single `str` is refused.

        Returns:
            How many of them were there.

        Raises:
            InvalidKeyError: One of them is no key; nothing at all has been removed.

        A cancelled call may have removed some of them, each of them whole.
        """
        wanted = check_keys(keys, self.max_key_bytes)
        if not wanted:
            await self.open()  # which refuses when it is closed
        existed = 0
        for key in wanted:
            if await self.exists(key):
                await self.delete(key)
                existed += 1
        return existed

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        """Go through the keys that match `pattern`, without holding all of them at once.

        Args:
            pattern: As for `keys`.
            batch_size: How many keys to fetch at a time, at least 1; a hint.

        Returns:
            An iterator over every key that was there throughout, no key twice, and no key
            that was never there ([S1][]). Keys that come or go meanwhile may appear or
            not.

        Raises:
            InvalidPatternError: `pattern` is none; raised at the call, not at the first
                step.
            ConfigurationError: `batch_size` is not an `int` of at least 1.

        Leaving the iteration early, or cancelling it, leaves nothing behind.
        """
        pattern = check_pattern(pattern)
        check_batch_size(batch_size)
        return self._scan_keys(pattern)

    async def _scan_keys(self, pattern: str) -> AsyncIterator[str]:
        for key in await self.keys(pattern):
            yield key

    def namespace(self, name: str) -> MemoryBackend:
        """Return a view of this store that has its keys to itself.

        No two namespaces ever see each other's keys, whatever their names ([N1][],
        [N2][]); a namespace of a namespace is one more, apart from both. The view has the
        capabilities of the store and shorter keys: `max_key_bytes` shrinks by the name.
        Closing the view does not close the store; the view ends with it.

        The store itself is no namespace: its own keys are the raw ones, those of every
        namespace among them, and its `clear` removes them all.

        Args:
            name: Any `str` but the empty one, such as a tenant's or a user's id.

        Raises:
            InvalidKeyError: `name` is empty, no `str`, holds a lone surrogate, or is so
                long that fewer than 512 bytes would be left for a key.
        """
        from fastadk_memory.wrappers import NamespacedBackend

        return NamespacedBackend(self, name)

    # ---------------------------------------------------------------- capabilities

    async def set_entry(
        self,
        key: str,
        value: Any,
        ttl: Ttl | None = None,
        *,
        metadata: Mapping[str, Any],
    ) -> MemoryEntry:
        """Store `value` with `metadata` beside it. Capability `ENTRIES`.

        Args:
            key: As for `set`.
            value: As for `set`.
            ttl: As for `set`.
            metadata: What to keep beside the value; a mapping of the same domain as
                values ([V1][]). A plain `set` or `compare_and_set` of the key drops it.

        Returns:
            The entry as it is now stored.

        Raises:
            InvalidKeyError: `key` is no key.
            UnsupportedValueError: `value` or `metadata` lies outside the domain.
            InvalidTTLError: `ttl` is none.
            UnsupportedOperationError: The backend does not declare `ENTRIES`.

        A cancelled call has stored all of it or nothing.
        """
        raise self._unsupported("set_entry", Capability.ENTRIES)

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Version | Absent, ttl: Ttl | None = None
    ) -> Version:
        """Store `value` only if the entry is still at the version `expect`. Capability `CAS`.

        Of any number of concurrent calls with one expectation exactly one wins ([U1][]).
        Get the version from `get_entry` (or `set_entry`, or the last call of this one).

        Args:
            key: As for `set`.
            value: As for `set`.
            expect: The version that the entry must have, or `ABSENT` if there must be no
                live entry.
            ttl: As for `set`; the old expiry does not stay.

        Returns:
            The new version.

        Raises:
            ConflictError: The entry is at another version, is gone, or is there although
                `ABSENT` was expected; nothing has been changed.
            InvalidKeyError: `key` is no key.
            UnsupportedValueError: `value` lies outside the domain, or `expect` is neither
                a version nor `ABSENT`.
            InvalidTTLError: `ttl` is none.
            UnsupportedOperationError: The backend does not declare `CAS`.

        A cancelled call has stored the whole value or nothing; read the entry to learn
        which.
        """
        raise self._unsupported("compare_and_set", Capability.CAS)

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        """Change when `key` expires, and nothing else. Capability `TOUCH` ([M1][]).

        Value, metadata, creation time and version stay as they are.

        Args:
            key: The key, as it was set.
            ttl: How long the entry lives from now on, as for `set`; `None` to keep it for
                good.

        Returns:
            `True` if the key was there; `False` if it was absent or had expired, which
            does not bring it back.

        Raises:
            InvalidKeyError: `key` is no key.
            InvalidTTLError: `ttl` is none.
            UnsupportedOperationError: The backend does not declare `TOUCH`.

        A cancelled call has set the new expiry or left the old.
        """
        raise self._unsupported("touch", Capability.TOUCH)

    def _unsupported(self, method: str, capability: Capability) -> UnsupportedOperationError:
        return UnsupportedOperationError(
            f"{type(self).__name__} cannot {method}: it does not declare the capability "
            f"{capability.name}; choose a backend that does"
        )

    # ------------------------------------------------------------------- opening

    @classmethod
    def from_url(cls, url: str) -> Mapping[str, object]:
        """Turn a URL into the options of this backend: its constructor's parameters.

        The core calls it when the URL's scheme, up to a `+`, is the backend's name, after
        taking out its own `namespace` and `default_ttl`. Override it to give host and path
        a meaning. By default the query's parameters become the options, and the rest
        becomes the option `url` or, failing that, `path`, if the constructor has it.

        Args:
            url: The whole URL.

        Returns:
            Options by name; values may be `str`, which the registry converts to the types
            that the constructor's signature names.

        Raises:
            ConfigurationError: The URL says something that the backend cannot use.
        """
        from fastadk_memory.urls import default_options

        return default_options(cls, url)


def check_batch_size(batch_size: object) -> int:
    """Return `batch_size`, or refuse what is not an `int` of at least 1.

    Raises:
        ConfigurationError: It is of another type (`bool` included) or under 1.
    """
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ConfigurationError("batch_size must be an int of at least 1")
    return batch_size
