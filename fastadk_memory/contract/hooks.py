"""`Hooks`: what a backend's author tells the suite about a backend."""

from __future__ import annotations

import asyncio
import inspect
import shutil
import tempfile
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import ClassVar, TypeAlias, TypeVar

from fastadk_memory.base import MemoryBackend
from fastadk_memory.contract.limits import QUICK, Limits, Profile
from fastadk_memory.contract.waivers import Waiver

__all__ = ["Hooks", "Made", "settled"]

T = TypeVar("T")
Made: TypeAlias = MemoryBackend | Awaitable[MemoryBackend]
"""A backend, or a coroutine that makes one."""


class Hooks:
    """How the suite gets at a backend. `make_backend` must be overridden; the rest may be.

    Hooks may be plain methods or coroutines; only `advance` must be a coroutine, and `opener`,
    `outage` and `hang` must not.
    They are called in the event loop that the backend is then used in.

    Attributes:
        profile: How long to search; `QUICK`, `FULL`, `SOAK` or one of your own.
        limits: Time limits, sizes and margins.
        waivers: Known deviations, each with its law and reason.
        secrets: Strings that may appear in no message, repr or log record: the password
            that `make_backend` configures, for instance (clause E4).
        contract_version: The contract that the backend is held to, such as `"1.0"`: laws
            that a later version added are reported as not applicable. `None` is the
            contract of the suite that is installed, whichever that is.
    """

    profile: ClassVar[Profile] = QUICK
    limits: ClassVar[Limits] = Limits()
    waivers: ClassVar[tuple[Waiver, ...]] = ()
    secrets: ClassVar[tuple[str, ...]] = ()
    contract_version: ClassVar[str | None] = None

    # ------------------------------------------------------------------ to be overridden

    def make_backend(self) -> Made:
        """Return a backend on a new, empty store that nobody else uses."""
        raise NotImplementedError("define make_backend(self): it returns a new, empty backend")

    # -------------------------------------------------------- for backends that can do more

    def reopen(self, backend: MemoryBackend) -> Made:
        """Return a new backend on the store of `backend`, which has been closed.

        Needed for `PERSISTENT` and `DURABLE_PROCESS`.
        """
        raise NotImplementedError

    def second(self, backend: MemoryBackend) -> Made:
        """Return another client of the store of `backend`, which stays open.

        Needed for `MULTI_PROCESS`.
        """
        raise NotImplementedError

    def opener(self, backend: MemoryBackend) -> Callable[[], MemoryBackend]:
        """Return a callable that opens the store of `backend` in another process.

        It must be picklable, and importable there: `functools.partial(MyBackend, path=path)`.
        Needed for `DURABLE_PROCESS` and `MULTI_PROCESS`.
        """
        raise NotImplementedError

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        """Let `seconds` pass for `backend`. By default they really do.

        A backend that takes its clock as an argument lets the suite move it: then expiry
        is checked to the millisecond, and without waiting. All backends that one object
        of this class has made share the time.
        """
        await asyncio.sleep(seconds)

    def damage(self, backend: MemoryBackend, key: str) -> object:
        """Damage what is stored under `key`, as a bad disk would, behind the backend's back.

        For clause E3.
        """
        raise NotImplementedError

    def plant(self, backend: MemoryBackend) -> Callable[[], object]:
        """Put something of another program's into the place where `backend` keeps its entries.

        Returns a callable, or a coroutine function, that tells whether it is still there
        and unchanged. For clause C1.
        """
        raise NotImplementedError

    def outage(self, backend: MemoryBackend) -> AbstractAsyncContextManager[object]:
        """Return a context in which the service behind `backend` is away.

        When it is left the service answers again, and holds what it held before. For
        clauses E1, E2, E4, H1, L1 and L3.
        """
        raise NotImplementedError

    def hang(self, backend: MemoryBackend) -> AbstractAsyncContextManager[object]:
        """Return a context in which the service behind `backend` does not answer.

        When it is left the service answers again, and holds what it held before. For
        clauses E2, E4, H1 and L3.
        """
        raise NotImplementedError

    def held(self, backend: MemoryBackend) -> object:
        """Return how much the store of `backend` holds, expired entries included: an `int`.

        Entries or bytes, whichever is easier to know. Without it the suite looks at the
        memory of the process. For clause T7.
        """
        raise NotImplementedError

    def discard(self, backend: MemoryBackend) -> object:
        """Remove the store of `backend`, which is no longer needed.

        Called once for each backend that `make_backend` made, before it is closed; what is in
        folders of `make_folder` goes by itself. By default nothing is done.
        """
        return None

    # --------------------------------------------------------------- for counterexamples

    def construction(self) -> list[str]:
        """Return lines of Python that make `memory`, a new backend."""
        name = type(self).__name__
        return [
            f"from {type(self).__module__} import {name}",
            f"contract = {name}()",
            self.made_by("make_backend", "memory", ""),
        ]

    def made_by(self, hook: str, variable: str, of: str = "memory") -> str:
        """Return a line of Python that calls a hook which returns a backend."""
        awaited = "await " if inspect.iscoroutinefunction(getattr(self, hook)) else ""
        return f"{variable} = {awaited}contract.{hook}({of})"

    def passing(self, seconds: float) -> str:
        """Return a line of Python that lets time pass."""
        if self.provides("advance"):
            return f"await contract.advance(memory, {seconds!r})"
        return f"await asyncio.sleep({seconds!r})"

    # --------------------------------------------------------------- what hooks may use

    def make_folder(self) -> Path:
        """Return a new, empty folder, which is removed after the law; for `make_backend`."""
        folder = Path(tempfile.mkdtemp(prefix="fastadk-memory-contract-"))
        self.__dict__.setdefault("_folders", []).append(folder)
        return folder

    def make_name(self) -> str:
        """Return a name that no one else uses: a prefix or a table, for `make_backend`."""
        return f"contract-{uuid.uuid4().hex}"

    # ------------------------------------------------------------------- for the suite

    def provides(self, hook: str) -> bool:
        """Tell whether this class overrides a hook."""
        return getattr(type(self), hook) is not getattr(Hooks, hook)

    def tidy(self) -> None:
        """Remove the folders that `make_folder` made."""
        for folder in self.__dict__.pop("_folders", []):
            shutil.rmtree(folder, ignore_errors=True)


async def settled(made: T | Awaitable[T]) -> T:
    """Return what a hook returned, awaited if it is a coroutine."""
    if inspect.isawaitable(made):
        return await made
    return made
