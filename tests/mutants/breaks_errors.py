"""Mutants that break E1 and E2."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from fastadk_memory import (
    BackendTimeoutError,
    BackendUnavailableError,
    Capability,
    FastADKMemoryError,
    MemoryBackend,
    MemoryEntry,
    NamespacedBackend,
    Ttl,
)
from fastadk_memory.keys import check_key

from .breaks_lifetime import HurriedHooks
from .catalogue import mutant
from .reference import CALL_LIMIT, PREFIX, DriverError, Reference

# ------------------------------------------------------------------------------------- E1


@mutant("E1")
class DriverErrorOfABulkDelete(Reference):
    """`delete_many` lets the driver's error through."""

    async def delete_many(self, keys: Iterable[str]) -> int:
        try:
            return await super().delete_many(keys)
        except BackendUnavailableError as error:
            raise DriverError("connection refused") from error


@mutant("E1")
class CauseIsSuppressed(Reference):
    """What fails in a listing is raised `from None`."""

    async def list_records(self, prefix: str) -> AsyncIterator[tuple[str, bytes]]:
        try:
            async for found in super().list_records(prefix):
                yield found
        except BackendUnavailableError as error:
            raise type(error)("the store is away") from None


@mutant("E1")
class CauseIsOnlyContext(Reference):
    """`ttl` raises inside of `except`, without `from`: there is a context, and no cause."""

    async def ttl(self, key: str) -> int | None:
        try:
            return await super().ttl(key)
        except BackendUnavailableError:
            raise BackendUnavailableError("the store is away; start it")  # noqa: B904


@mutant("E1")
class SecondFailureHasNoCause(Reference):
    """Who tries to open again after a failure is told so without its reason."""

    failed = False

    async def open_store(self) -> None:
        if self.failed and self.store.away:
            raise BackendUnavailableError("opening has failed before")
        self.failed = True
        await super().open_store()
        self.failed = False


@mutant("E1")
class PythonsOwnConnectionError(Reference):
    """`get_entry` raises Python's ConnectionError, which is what ours derives from, too."""

    async def get_entry(self, key: str) -> MemoryEntry | None:
        try:
            return await super().get_entry(key)
        except BackendUnavailableError as error:
            raise ConnectionError("connection refused") from error


@mutant("E1")
class BatchSizeGoesUnchecked(Reference):
    """`scan` of batches of no size fails with a ValueError of range, or not at all."""

    def scan(self, pattern: str = "*", *, batch_size: int = 1000) -> AsyncIterator[str]:
        if not isinstance(batch_size, int):
            return super().scan(pattern, batch_size=batch_size)
        range(0, 10, batch_size)
        return super().scan(pattern)


@mutant("E1")
class RefusesLikePython(Reference):
    """What it does not declare raises a plain NotImplementedError."""

    capabilities = Reference.capabilities - {Capability.TOUCH}

    async def touch(self, key: str, ttl: Ttl | None) -> bool:
        raise NotImplementedError("touch")


@mutant("E1")
class UnknownVersionIsAnIndexError(Reference):
    """A version that it did not make itself breaks the parsing."""

    async def compare_and_set(
        self, key: str, value: Any, *, expect: Any, ttl: Ttl | None = None
    ) -> str:
        if isinstance(expect, str):
            bytes.fromhex(expect)
        return await super().compare_and_set(key, value, expect=expect, ttl=ttl)


@mutant("E1")
class EmptyNamespaceIsAValueError(Reference):
    """The name of a namespace is checked by the driver's means."""

    def namespace(self, name: str) -> MemoryBackend:
        if name == "":
            raise ValueError("empty prefix")
        return super().namespace(name)


class ForgetfulView(NamespacedBackend):
    async def _run(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super()._run(method, *args, **kwargs)
        except FastADKMemoryError as error:
            if type(error) is not BackendUnavailableError:
                raise
            raise BackendUnavailableError(f"in namespace {self.path}") from None


@mutant("E1")
class ViewForgetsTheCause(Reference):
    """A namespace wraps errors to tell its name, and drops their cause."""

    def namespace(self, name: str) -> MemoryBackend:
        return ForgetfulView(self, name)


@mutant("E1")
class StringPassesForKeys(Reference):
    """`get_many` takes a str for an iterable of keys, one for each character."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        return await super().get_many(list(keys))


# ------------------------------------------------------------------------------------- E2


@mutant("E2")
class NeverReconnects(Reference):
    """After the first failure the connection is gone for good."""

    broken = False

    async def reach(self) -> None:
        if self.broken:
            raise BackendUnavailableError("not connected") from DriverError("broken pipe")
        try:
            await super().reach()
        except BackendUnavailableError as error:
            self.broken = not isinstance(error, BackendTimeoutError)
            raise


@mutant("E2")
class FirstCallAfterwardsFails(Reference):
    """A stale connection stays in the pool: the first call after an outage fails once more."""

    stale = False

    async def reach(self) -> None:
        if self.stale and not self.store.away:
            self.stale = False
            raise BackendUnavailableError("reset by peer") from DriverError("reset")
        try:
            await super().reach()
        except BackendUnavailableError as error:
            self.stale = not isinstance(error, BackendTimeoutError)
            raise


@mutant("E2")
class OnlyReadsReconnect(Reference):
    """After an outage, writing finds the broken connection until something has been read."""

    broken = False

    async def write_record(self, key: str, record: bytes) -> None:
        if self.broken:
            raise BackendUnavailableError("broken pipe") from DriverError("broken pipe")
        try:
            await super().write_record(key, record)
        except BackendUnavailableError:
            self.broken = True
            raise

    async def read_record(self, key: str) -> bytes | None:
        found = await super().read_record(key)
        self.broken = False
        return found


@mutant("E2")
class AwayPassesForAbsent(Reference):
    """`exists` answers False when it cannot ask."""

    async def exists(self, key: str) -> bool:
        try:
            return await super().exists(key)
        except BackendUnavailableError:
            return False


@mutant("E2")
class AwayListsNothing(Reference):
    """`scan` ends early when the service is away, as if there were no more keys."""

    async def _scan_open(self, pattern: str) -> AsyncIterator[str]:
        try:
            async for key in super()._scan_open(pattern):
                yield key
        except BackendUnavailableError:
            return


@mutant("E2")
class SomeOfABatchIsLeftOut(Reference):
    """`get_many` returns what it could get, and leaves the rest out."""

    async def get_many(self, keys: Iterable[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key in keys:
            try:
                found |= await super().get_many([key])
            except BackendUnavailableError:
                continue
        return found


@mutant("E2")
class HungIsAway(Reference):
    """A service that does not answer is reported as one that is away."""

    async def delete(self, key: str) -> None:
        try:
            await super().delete(key)
        except BackendTimeoutError as error:
            raise BackendUnavailableError("no answer") from error


@mutant("E2")
class AsynciosTimeout(Reference):
    """`ttl` lets the timeout of asyncio through."""

    async def ttl(self, key: str) -> int | None:
        try:
            return await super().ttl(key)
        except BackendTimeoutError as error:
            raise TimeoutError from error


@mutant("E2", hooks=HurriedHooks)
class ClearNeverTimesOut(Reference):
    """Listing has no time limit."""

    async def clear(self) -> None:
        while self.store.hung:
            await asyncio.sleep(0.01)
        await super().clear()


@mutant("E2", hooks=HurriedHooks)
class CallsWaitInAQueue(Reference):
    """Each call waits for the one before it, so that their time limits add up."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = asyncio.Lock()

    async def reach(self) -> None:
        async with self.queue:
            await super().reach()


@mutant("E2")
class TimedOutWriteComesLate(Reference):
    """A write that timed out is sent again in the background, after newer ones."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.again: list[tuple[str, bytes]] = []

    async def write_record(self, key: str, record: bytes) -> None:
        try:
            await super().write_record(key, record)
        except BackendTimeoutError:
            self.again.append((key, record))
            raise
        while self.again:
            late, old = self.again.pop()
            self.store.records[PREFIX + late] = old


@mutant("E2")
class LateAnswerGoesToTheNext(Reference):
    """The answer to a read that timed out is what the next read gets."""

    late: str | None = None

    async def read_record(self, key: str) -> bytes | None:
        late, self.late = self.late, None
        try:
            await self.reach()
        except BackendTimeoutError:
            self.late = key
            raise
        return self.store.records.get(PREFIX + (late or key))


@mutant("E2")
class FailedOpeningIsFinal(Reference):
    """The error of opening is remembered, and raised for good."""

    error: BackendUnavailableError | None = None

    async def open_store(self) -> None:
        if self.error is not None:
            raise self.error
        try:
            await super().open_store()
        except BackendUnavailableError as error:
            self.error = error
            raise


@mutant("E2", hooks=HurriedHooks)
class LostAnswersAreWaitedFor(Reference):
    """A call that is under way when the service goes away waits for its answer for ever."""

    async def read_record(self, key: str) -> bytes | None:
        await self.reach()
        await asyncio.sleep(0)
        while self.store.away:
            await asyncio.sleep(0.01)
        return self.store.records.get(PREFIX + key)

    async def exists(self, key: str) -> bool:
        return await super().exists(key)

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        await asyncio.sleep(0)
        if self.store.away:
            await asyncio.Event().wait()
        self.store.records[PREFIX + key] = record


@mutant("E2")
class FailedWriteIsQueued(Reference):
    """A write that raised, as the service was away, is carried out when it is back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queued: dict[str, bytes] = {}

    async def write_record(self, key: str, record: bytes) -> None:
        try:
            await super().write_record(key, record)
        except BackendUnavailableError:
            self.queued[key] = record
            raise

    async def read_record(self, key: str) -> bytes | None:
        found = await super().read_record(key)
        for name, record in self.queued.items():
            self.store.records[PREFIX + name] = record
        self.queued.clear()
        return found


@mutant("E2")
class AcknowledgedUnsent(Reference):
    """A write on its way when the service goes away is acknowledged, and lost."""

    async def set_many(self, items: Mapping[str, Any], ttl: Ttl | None = None) -> None:
        await super().set_many(items, ttl)

    async def write_record(self, key: str, record: bytes) -> None:
        await self.reach()
        await asyncio.sleep(0)
        if not self.store.away:
            self.store.records[PREFIX + key] = record


@mutant("E2")
class FailedClearEmptiesTheCache(Reference):
    """`clear` empties the local index first, also when the service then refuses."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hidden: set[str] = set()

    async def clear(self) -> None:
        if self.store.away:
            self.hidden = set(self.store.ours())
        await super().clear()

    async def read_record(self, key: str) -> bytes | None:
        found = await super().read_record(key)
        return None if key in self.hidden else found


@mutant("E2")
class CannotCloseWhileAway(Reference):
    """Closing says goodbye to the service, and lets the driver's error through."""

    async def close_store(self) -> None:
        if self.store.away:
            raise DriverError("connection refused")
        await super().close_store()


@mutant("E2", hooks=HurriedHooks)
class CannotCloseWhileHung(Reference):
    """Closing says goodbye to the service, and waits for the answer."""

    async def close_store(self) -> None:
        while self.store.hung:
            await asyncio.sleep(CALL_LIMIT)
        await super().close_store()


@mutant("E2")
class CacheDuringOutage(Reference):
    """`get` answers from a cache when the service is away, with what may be long outdated."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cache: dict[str, Any] = {}

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        await super().set(key, value, ttl)
        self.cache[key] = value

    async def get(self, key: str) -> Any:
        check_key(key)
        try:
            return await super().get(key)
        except BackendUnavailableError:
            if key in self.cache:
                return self.cache[key]
            raise
