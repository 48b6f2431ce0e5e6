"""`World`: the fresh store that one example of a law plays on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastadk_memory.base import Capability, MemoryBackend
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.hooks import Hooks, settled
from fastadk_memory.contract.limits import Limits
from fastadk_memory.contract.trace import Trace
from fastadk_memory.contract.violations import ContractError, NotApplicable, Violation

__all__ = ["World"]


class World:
    """A fresh store with a backend on it, its clock, and what has been done to it.

    Attributes:
        memory: The backend under test, on an empty store.
        trace: What has been called so far.
        exact: Whether time is moved by hand: then it stands still between two calls, and
            an expiry can be hit to the millisecond.
        limits: What may be configured.
    """

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.trace = Trace()
        self.limits: Limits = hooks.limits
        self.exact = hooks.provides("advance")
        self.memory: Handle
        self._elapsed = 0.0
        self._handles: list[Handle] = []
        self._stores: list[Handle] = []

    async def begin(self) -> None:
        """Make the store and the backend."""
        self.memory = await self._new("memory")

    async def end(self) -> None:
        """Close every backend, whatever the law has done to it."""
        for handle in reversed(self._handles):
            try:
                async with asyncio.timeout(self.limits.operation_seconds):
                    if handle in self._stores:
                        await settled(self.hooks.discard(handle.backend))
                    await handle.backend.aclose()
            except Exception as error:  # noqa: BLE001 (laws about closing look for themselves)
                self.trace.note(f"# {handle.name}.aclose() raised {type(error).__name__}")

    # ------------------------------------------------------------------- other backends

    async def fresh(self, name: str = "other") -> Handle:
        """Return a backend on another new, empty store."""
        self.trace.note(self.hooks.made_by("make_backend", name, ""))
        return await self._new(name)

    async def adopt(self, backend: MemoryBackend, name: str) -> Handle:
        """Return a handle of a backend that a law has made itself, on a store of its own."""
        self.trace.note(self.hooks.made_by("make_backend", name, ""))
        handle = await self._add(name, backend)
        self._stores.append(handle)
        return handle

    async def second(self, name: str = "second") -> Handle:
        """Return another client of the store of `memory`.

        Raises:
            NotApplicable: The hook is missing, and no declared capability asks for it.
        """
        self._need("second", Capability.MULTI_PROCESS, Capability.MULTI_HOST)
        self.trace.note(self.hooks.made_by("second", name))
        return await self._add(name, self.hooks.second(self.memory.backend))

    async def reopen(self, name: str = "reopened") -> Handle:
        """Close `memory` and return a new backend on its store.

        Raises:
            NotApplicable: The hook is missing, and no declared capability asks for it.
        """
        self._need("reopen", Capability.PERSISTENT, Capability.DURABLE_PROCESS)
        await self.memory.aclose()
        self.trace.note(self.hooks.made_by("reopen", name))
        return await self._add(name, self.hooks.reopen(self.memory.backend))

    def opener(self) -> Callable[[], MemoryBackend]:
        """Return a picklable callable that opens the store of `memory` in another process.

        Raises:
            NotApplicable: The hook is missing, and no declared capability asks for it.
        """
        self._need("opener", Capability.MULTI_PROCESS, Capability.DURABLE_PROCESS)
        return self.hooks.opener(self.memory.backend)

    async def _new(self, name: str) -> Handle:
        handle = await self._add(name, self.hooks.make_backend())
        self._stores.append(handle)
        return handle

    async def _add(self, name: str, made: Any) -> Handle:
        backend = await settled(made)
        if not isinstance(backend, MemoryBackend):
            raise ContractError(
                f"a hook has to return a MemoryBackend, not a {type(backend).__name__}"
            )
        handle = Handle(backend, self.trace, name, self.limits.operation_seconds)
        self._handles.append(handle)
        return handle

    def _need(self, hook: str, *capabilities: Capability) -> None:
        if self.hooks.provides(hook):
            return
        declared = [each.name for each in capabilities if self.memory.declares(each)]
        if declared:
            raise ContractError(
                f"the backend declares {', '.join(declared)}, which is tested by way of the "
                f"hook {hook}: define {hook}(self, backend)"
            )
        raise NotApplicable(f"the hook {hook} is not defined")

    # ------------------------------------------------------------------------- the rest

    def need(self, hook: str) -> None:
        """Require an optional hook.

        Raises:
            NotApplicable: It is not defined.
        """
        self._need(hook)

    def now(self) -> float:
        """Return the time in seconds: what has been advanced, or what has really passed."""
        return self._elapsed if self.exact else time.monotonic()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass for the store."""
        if seconds <= 0:
            return
        self.trace.note(self.hooks.passing(seconds))
        self._elapsed += seconds
        await self.hooks.advance(self.memory.backend, seconds)

    async def damage(self, key: str) -> None:
        """Damage what is stored under `key`.

        Raises:
            NotApplicable: The hook is not defined.
        """
        self.need("damage")
        self.trace.note(f"# what is stored under {key!r} gets damaged")
        await settled(self.hooks.damage(self.memory.backend, key))

    @asynccontextmanager
    async def trouble(self, hook: str) -> AsyncGenerator[None]:
        """Enter `outage` or `hang`.

        Raises:
            NotApplicable: The hook is not defined.
        """
        self.need(hook)
        self.trace.note("# the service goes away" if hook == "outage" else "# the service hangs")
        async with getattr(self.hooks, hook)(self.memory.backend):
            yield
        self.trace.note("# the service is back")

    def waived(self, clause: str) -> bool:
        """Tell whether the backend has a waiver for some law of a clause."""
        return any(waiver.clause == clause for waiver in self.hooks.waivers)

    async def expect_error(self, kind: type[Exception], method: str, *args: Any, **kw: Any) -> Any:
        """Require that a call of `memory` raises an error of `kind`, and return that error."""
        return await self.raises(kind, self.memory, method, *args, **kw)

    async def raises(
        self, kind: type[Exception], handle: Handle, method: str, *args: Any, **kwargs: Any
    ) -> Any:
        """Require that a call raises an error of `kind`, and return that error.

        Raises:
            Violation: It returned, or raised something else.
        """
        try:
            if method == "namespace":
                handle.namespace(*args)
            elif method == "scan":
                await handle.scan(*args, **kwargs)
            else:
                await handle.call(method, *args, **kwargs)
        except kind as error:
            return error
        except Violation:
            raise
        except Exception as error:  # noqa: BLE001 (a backend may raise anything)
            told = f"raised {type(error).__name__}: {error}"
        else:
            told = "raised nothing"
        call = self.trace.steps[-1]
        raise Violation(f"{call} {told}; expected {kind.__name__}")
