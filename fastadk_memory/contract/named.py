"""`NamedHooks`: the way to a backend that is known by its name, or as a class, and its options."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, ClassVar

from fastadk_memory.base import Capability, MemoryBackend
from fastadk_memory.contract.hooks import Hooks
from fastadk_memory.contract.violations import ContractError
from fastadk_memory.defaults import backends
from fastadk_memory.errors import BackendClosedError
from fastadk_memory.loading import Factory, construct
from fastadk_memory.ttl import ManualClock

__all__ = ["NamedHooks", "hooks_for"]


class NamedHooks(Hooks):
    """Makes backends by their name or class, each on a store of its own.

    In the text of an option `{unique}` stands for a name that no one else uses, `{tmp}` for a
    new, empty folder; both are new for every store. A backend whose constructor takes a
    `clock` gets one that the suite moves by hand.

    Attributes:
        backend: The name of an installed or registered backend, or a class or callable.
        options: Its options, over those that its class proposes as `contract_options`.
    """

    backend: ClassVar[str | Factory]
    options: ClassVar[Mapping[str, object]] = {}

    @cached_property
    def factory(self) -> Factory:
        """The class, or the callable that makes backends."""
        if isinstance(self.backend, str):
            return backends.load(self.backend)
        return self.backend

    @cached_property
    def clock(self) -> ManualClock | None:
        """The clock that backends are given, if they take one."""
        if "clock" in self.options or "clock" not in _parameters(self.factory):
            return None
        # Not far from the real time, by which children of this process go; but always the same
        # part of a second, or what becomes of one that rounds would depend on the moment.
        return ManualClock(int(time.time()) + 0.375)

    @cached_property
    def _templates(self) -> dict[str, object]:
        proposed: Mapping[str, object] = getattr(self.factory, "contract_options", {})
        return {**proposed, **self.options}

    @cached_property
    def _made(self) -> dict[int, dict[str, object]]:
        return {}

    @cached_property
    def _capabilities(self) -> frozenset[Capability]:
        return self.make_backend().capabilities

    # ------------------------------------------------------------------------ the hooks

    def make_backend(self) -> MemoryBackend:
        """Make a backend with options of its own."""
        return self._make({name: self._filled(each) for name, each in self._templates.items()})

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        """Make one more backend with the same options."""
        return self._make(self._made[id(backend)])

    def second(self, backend: MemoryBackend) -> MemoryBackend:
        """Make one more backend with the same options."""
        return self._make(self._made[id(backend)])

    def opener(self, backend: MemoryBackend) -> Callable[[], MemoryBackend]:
        """Make one more backend with the same options, wherever it is called."""
        return partial(_create, self.backend, self._made[id(backend)])

    async def advance(self, backend: MemoryBackend, seconds: float) -> None:
        """Move the clock, or wait."""
        if self.clock is None:
            await super().advance(backend, seconds)
        else:
            self.clock.advance(seconds)

    async def discard(self, backend: MemoryBackend) -> None:
        """Empty a store that would stay behind: one with a name of its own somewhere."""
        if not any("{unique}" in str(each) for each in self._templates.values()):
            return
        try:
            await backend.clear()
        except BackendClosedError:
            async with self.reopen(backend) as again:
                await again.clear()

    def provides(self, hook: str) -> bool:
        """Tell which hooks make sense for what the backend declares."""
        if hook == "advance":
            return self.clock is not None
        if hook in _HOOKS_OF:
            return bool(_HOOKS_OF[hook] & self._capabilities)
        return super().provides(hook)

    def tidy(self) -> None:
        """Forget what was made, and remove the folders."""
        self._made.clear()
        self._keep.clear()
        super().tidy()

    def construction(self) -> list[str]:
        """Return the lines that make the same backend."""
        lines = ["clock = ManualClock()"] if self.clock is not None else []
        module = getattr(self.backend, "__module__", None)
        if module is not None and not isinstance(self.backend, str):
            lines.append(f"from {module} import {self._name}")
        return [*lines, self.made_by("make_backend", "memory")]

    def made_by(self, hook: str, variable: str, of: str = "memory") -> str:
        """Return a line of Python that makes a backend on the same store."""
        options = [f"{name}={_shown(each)}" for name, each in self._templates.items()]
        if self.clock is not None:
            options.append("clock=clock")
        if isinstance(self.backend, str):
            return f"{variable} = backends.create({', '.join([repr(self.backend), *options])})"
        return f"{variable} = {self._name}({', '.join(options)})"

    def passing(self, seconds: float) -> str:
        """Return a line of Python that lets time pass."""
        if self.clock is not None:
            return f"clock.advance({seconds!r})"
        return super().passing(seconds)

    @property
    def _name(self) -> str:
        return getattr(self.backend, "__name__", "make_backend")

    # ------------------------------------------------------------------------- inside

    def _filled(self, option: object) -> object:
        if not isinstance(option, str):
            return option
        if "{unique}" in option:
            option = option.replace("{unique}", self.make_name())
        if "{tmp}" in option:
            option = option.replace("{tmp}", str(self.make_folder()))
        return option

    def _make(self, options: dict[str, object]) -> MemoryBackend:
        given = dict(options) if self.clock is None else {**options, "clock": self.clock}
        backend = _create(self.backend, given)
        if not isinstance(backend, MemoryBackend):
            raise ContractError(f"{self.backend!r} makes a {type(backend).__name__}, no backend")
        self._made[id(backend)] = options
        # An id is only good as long as its object lives.
        self._keep.append(backend)
        return backend

    @cached_property
    def _keep(self) -> list[MemoryBackend]:
        return []


_HOOKS_OF = {
    "reopen": {Capability.PERSISTENT, Capability.DURABLE_PROCESS},
    "second": {Capability.MULTI_PROCESS, Capability.MULTI_HOST},
    "opener": {Capability.MULTI_PROCESS, Capability.DURABLE_PROCESS},
}


def hooks_for(
    backend: str | Factory, options: Mapping[str, object] | None = None, **attributes: Any
) -> type[NamedHooks]:
    """Return the hooks of a backend by its name or class.

    Args:
        backend: See `NamedHooks`.
        options: See `NamedHooks`.
        attributes: Attributes of `Hooks` to set: `profile`, `limits`, `waivers`, `secrets`.
    """
    # A function among the attributes of a class would become a method.
    kept = backend if isinstance(backend, (str, type)) else staticmethod(backend)
    settings = {"backend": kept, "options": dict(options or {}), **attributes}
    return type("NamedHooks", (NamedHooks,), settings)


def _shown(option: object) -> str:
    if isinstance(option, str):
        option = option.replace("{unique}", "example").replace("{tmp}", "example")
    return repr(option)


def _create(backend: str | Factory, options: Mapping[str, object]) -> MemoryBackend:
    if isinstance(backend, str):
        return backends.create(backend, **options)
    # As by name: text is converted to the types of the constructor's annotations.
    name = getattr(backend, "__name__", "the backend")
    return construct(backend, options, backend=name, origin=name)


def _parameters(factory: Factory) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(factory).parameters
    except (TypeError, ValueError):  # a callable written in C need not tell
        return {}
