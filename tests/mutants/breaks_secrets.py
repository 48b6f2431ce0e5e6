"""Mutants that break E4."""

from __future__ import annotations

import logging
import warnings
from typing import Any
from urllib.parse import quote

from fastadk_memory import (
    BackendClosedError,
    BackendUnavailableError,
    ConflictError,
    CorruptEntryError,
    InvalidTTLError,
    MemoryBackend,
    NamespacedBackend,
    Ttl,
    UnsupportedValueError,
)

from .catalogue import mutant
from .reference import PREFIX, DriverError, Reference, ReferenceHooks

logger = logging.getLogger("mutants.store")


@mutant("E4")
class ReprShowsItsOptions(Reference):
    """Its repr is that of a dataclass: every option, the password among them."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(password={self.password!r})"


class TellingView(NamespacedBackend):
    def __repr__(self) -> str:
        return f"<namespace {self.path} of store://:{self.inner.password}@localhost>"


@mutant("E4")
class ReprOfAViewShowsTheUrl(Reference):
    """The repr of a namespace shows the URL of its store."""

    def namespace(self, name: str) -> MemoryBackend:
        return TellingView(self, name)


@mutant("E4")
class OpenReprShowsTheConnection(Reference):
    """Once it is open, its repr shows the connection, with the password in its URL."""

    connection = ""

    async def open_store(self) -> None:
        await super().open_store()
        self.connection = f"store://:{quote(self.password)}@localhost"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.connection or 'unopened'}>"


@mutant("E4")
class FailedOpeningShowsTheUrl(Reference):
    """The error of opening names the whole URL."""

    async def open_store(self) -> None:
        try:
            await super().open_store()
        except BackendUnavailableError as error:
            told = f"cannot reach store://:{self.password}@localhost"
            raise BackendUnavailableError(told) from error


@mutant("E4")
class DriversMessageShowsThePassword(Reference):
    """The message is clean; that of the driver's error, its cause, is not."""

    async def reach(self) -> None:
        try:
            await super().reach()
        except BackendUnavailableError as error:
            cause = DriverError(f"AUTH {self.password} failed")
            raise type(error)(str(error)) from cause


@mutant("E4")
class NoteShowsThePassword(Reference):
    """A note on the error of a hung call says how to try by hand, password included."""

    async def reach(self) -> None:
        try:
            await super().reach()
        except TimeoutError as error:
            error.add_note(f"try: store-cli -a {self.password} ping")
            raise


@mutant("E4")
class LogsHowItConnects(Reference):
    """Connecting is logged for debugging, with everything."""

    async def open_store(self) -> None:
        logger.debug("connecting with %s", {"host": "localhost", "password": self.password})
        await super().open_store()


@mutant("E4")
class LogsItsReconnections(Reference):
    """Only what is logged when a call fails has the password, in the traceback's cause."""

    async def write_record(self, key: str, record: bytes) -> None:
        try:
            await super().write_record(key, record)
        except BackendUnavailableError:
            try:
                raise DriverError(f"HELLO 3 AUTH default {self.password}")
            except DriverError:
                logger.warning("write failed, will reconnect", exc_info=True)
            raise


@mutant("E4")
class WarnsWithThePassword(Reference):
    """A short password is warned about, by name."""

    async def health_check(self) -> bool:
        warnings.warn(f"{self.password!r} is a weak password", stacklevel=1)
        return await super().health_check()


class AwkwardHooks(ReferenceHooks):
    secrets = ("p@ss/w:rd of 'ours'",)


@mutant("E4", hooks=AwkwardHooks)
class EncodedPasswordIsShown(Reference):
    """Masking looks for the password as it is; in the URL it stands percent-encoded."""

    def __repr__(self) -> str:
        url = f"store://:{quote(self.password, safe='')}@localhost"
        return f"<Store {url.replace(self.password, '***')}>"


@mutant("E4")
class ClosedErrorShowsTheUrl(Reference):
    """The error of a call after closing says which store it was, with its URL."""

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except BackendClosedError as error:
            raise BackendClosedError(f"store://:{self.password}@localhost is closed") from error


# ------------------------------------------------------------------- values of the users


@mutant("E4")
class UnsupportedValueIsShown(Reference):
    """The error of a value that cannot be stored shows the whole value."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        try:
            await super().set(key, value, ttl)
        except UnsupportedValueError as error:
            raise UnsupportedValueError(f"cannot store {value!r}", path=error.path) from error


@mutant("E4")
class OffendingPartIsShown(Reference):
    """The error names the offending part by its repr, where its type would do."""

    async def set_many(self, items: Any, ttl: Ttl | None = None) -> None:
        try:
            await super().set_many(items, ttl)
        except UnsupportedValueError as error:
            parts = [each for each in dict(items).values() if type(each).__module__ != "builtins"]
            raise UnsupportedValueError(f"{error}: {parts}", path=error.path) from error


@mutant("E4")
class InvalidTtlShowsTheCall(Reference):
    """The error of a wrong TTL repeats the call."""

    async def set(self, key: str, value: Any, ttl: Ttl | None = None) -> None:
        try:
            await super().set(key, value, ttl)
        except InvalidTTLError as error:
            raise InvalidTTLError(f"set({key!r}, {value!r}, {ttl!r}): {error}") from error


@mutant("E4")
class ConflictShowsTheOther(Reference):
    """A lost compare_and_set shows the value that won."""

    async def compare_and_set(self, key: str, value: Any, **rest: Any) -> str:
        try:
            return await super().compare_and_set(key, value, **rest)
        except ConflictError as error:
            raise ConflictError(f"{key!r} holds {await self.get(key)!r}", key=key) from error


@mutant("E4")
class DamagedBytesAreShown(Reference):
    """The error of a damaged entry shows its bytes."""

    async def get(self, key: str) -> Any:
        try:
            return await super().get(key)
        except CorruptEntryError as error:
            data = self.store.records[PREFIX + key]
            raise CorruptEntryError(f"cannot decode {data!r}", key=key) from error


@mutant("E4")
class FailedCommandIsShown(Reference):
    """When the service is away, the error repeats the command that could not be sent."""

    async def write_record(self, key: str, record: bytes) -> None:
        try:
            await super().write_record(key, record)
        except BackendUnavailableError as error:
            raise type(error)(f"{error}: SET {key} {record!r}") from error
