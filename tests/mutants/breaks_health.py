"""Mutants that break H1."""

from __future__ import annotations

import asyncio
from typing import Any

from fastadk_memory import BackendTimeoutError

from .breaks_lifetime import HurriedHooks
from .catalogue import mutant
from .reference import PREFIX, Reference


@mutant("H1")
class HealthIsANumber(Reference):
    """The answer is 1, which is as good as true and no bool."""

    async def health_check(self) -> bool:
        return int(await super().health_check())  # type: ignore[return-value]


@mutant("H1")
class ClosedHealthIsNone(Reference):
    """A closed backend falls through to the end of the function: None."""

    async def health_check(self) -> bool:
        if not self._life.closed:
            return await super().health_check()
        return None  # type: ignore[return-value]


@mutant("H1")
class ClosedHealthRaises(Reference):
    """A closed backend raises BackendClosedError, as every other method does."""

    async def health_check(self) -> bool:
        async with self._life:
            pass
        return await super().health_check()


@mutant("H1")
class UnopenedHealthIsFalse(Reference):
    """Before the first call there is no connection, so the answer is no."""

    async def health_check(self) -> bool:
        return self.store.connections > 0 and await super().health_check()


@mutant("H1")
class UnopenedOutageRaises(Reference):
    """While it cannot connect at first, the error of opening comes through."""

    async def health_check(self) -> bool:
        if not self._life.closed:
            await self.open()
        return await super().health_check()


@mutant("H1", hooks=HurriedHooks)
class HealthWaitsForTheAnswer(Reference):
    """Nothing limits the time that the check takes."""

    async def health_check(self) -> bool:
        while self.store.hung:
            await asyncio.sleep(0.01)
        return await super().health_check()


@mutant("H1")
class TimeoutEscapes(Reference):
    """Errors of the connection are answered with no, timeouts are not expected."""

    async def health_check(self) -> bool:
        if self._life.closed:
            return False
        if self.store.hung:
            raise BackendTimeoutError("no answer to PING")
        return await super().health_check()


@mutant("H1")
class HealthIsRemembered(Reference):
    """The answer is kept, so that an outage goes unnoticed."""

    last = False

    async def health_check(self) -> bool:
        self.last = (self.last and not self._life.closed) or await super().health_check()
        return self.last


@mutant("H1")
class IllnessIsRemembered(Reference):
    """After one bad answer it stays bad, though the service is back."""

    ill = False

    async def health_check(self) -> bool:
        healthy = not self.ill and await super().health_check()
        self.ill = self.ill or not healthy
        return healthy


@mutant("H1")
class HealthLeavesItsProbe(Reference):
    """The check writes a key, and deletes it only when reading it back fails."""

    async def check_store(self) -> bool:
        if not any(self.store.ours()):
            self.store.records[PREFIX + "__health__"] = b"ok"
        return await super().check_store()


@mutant("H1")
class HealthProbesSomebodysKey(Reference):
    """The check sets and deletes the key `ping`, which a user may have, too."""

    async def check_store(self) -> bool:
        self.store.records.pop(PREFIX + "ping", None)
        return await super().check_store()


@mutant("H1")
class OneCheckAtATime(Reference):
    """A check while another one is under way answers no."""

    checking = False

    async def health_check(self) -> bool:
        if self.checking:
            return False
        self.checking = True
        try:
            return await super().health_check()
        finally:
            self.checking = False


@mutant("H1")
class CancelledCheckCountsForever(Reference):
    """A cancelled check is never taken off the list of the checks under way."""

    checks = 0

    async def check_store(self) -> bool:
        self.checks += 1
        healthy = await super().check_store()
        self.checks -= 1
        return healthy

    async def health_check(self) -> bool:
        healthy = await super().health_check()
        return healthy and self.checks == 0


@mutant("H1", hooks=HurriedHooks)
class HealthQueuesBehindOthers(Reference):
    """One call at a time is sent, so the check waits for all that wait for a hung service."""

    health_timeout = 60

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = asyncio.Lock()

    async def read_record(self, key: str) -> bytes | None:
        async with self.queue:
            return await super().read_record(key)

    async def check_store(self) -> bool:
        async with self.queue:
            return await super().check_store()


@mutant("H1")
class ViewOfAClosedStoreIsHealthy(Reference):
    """Closing ends the calls, but the check looks at the service alone."""

    async def health_check(self) -> bool:
        return not self.store.away and not self.store.hung
