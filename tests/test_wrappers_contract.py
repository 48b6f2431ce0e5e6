"""The wrappers keep the contract of what they wrap; a default TTL differs in one law."""

from __future__ import annotations

import pytest
from mutants.reference import ReferenceHooks

from fastadk_memory import DefaultTtlBackend, MemoryBackend, NamespacedBackend, WrapperBackend
from fastadk_memory.contract import BackendContract, Hooks, Waiver


class Around(ReferenceHooks):
    """Wraps the reference, and hands the hooks what is inside."""

    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        raise NotImplementedError

    def make_backend(self) -> MemoryBackend:
        return self.wrap(super().make_backend())

    def reopen(self, backend: MemoryBackend) -> MemoryBackend:
        return self.wrap(super().reopen(bare(backend)))

    def second(self, backend: MemoryBackend) -> MemoryBackend:
        return self.wrap(super().second(bare(backend)))

    def plant(self, backend):
        return super().plant(bare(backend))

    def outage(self, backend):
        return super().outage(bare(backend))

    def hang(self, backend):
        return super().hang(bare(backend))

    def held(self, backend: MemoryBackend) -> int:
        return super().held(bare(backend))

    def damage(self, backend: MemoryBackend, key: str) -> None:
        prefix = getattr(backend, "_prefix", "")
        super().damage(bare(backend), prefix + key)


def bare(backend: MemoryBackend) -> MemoryBackend:
    while isinstance(backend, WrapperBackend):
        backend = backend.inner
    return backend


@pytest.mark.thorough
class TestWrapper(Around, BackendContract):
    """A wrapper that changes nothing."""

    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        return WrapperBackend(backend)


@pytest.mark.thorough
class TestNamespaced(Around, BackendContract):
    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        return NamespacedBackend(backend, "user:17/é*", close_inner=True)


@pytest.mark.thorough
class TestTwiceNestedNamespace(Around, BackendContract):
    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        outer = NamespacedBackend(backend, "a", close_inner=True)
        return NamespacedBackend(outer, "b", close_inner=True)


@pytest.mark.thorough
class TestDefaultTtl(Around, BackendContract):
    waivers = (
        Waiver(
            "T4",
            "set_without_a_ttl_lives_for_good",
            "giving an expiry to what is set without one is what this wrapper is for",
        ),
    )

    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        return DefaultTtlBackend(backend, 50 * 365 * 86_400)


@pytest.mark.thorough
class TestNamespaceWithDefaultTtl(TestDefaultTtl):
    """As `open_memory` puts them around each other."""

    def wrap(self, backend: MemoryBackend) -> MemoryBackend:
        return NamespacedBackend(super().wrap(backend), "bot", close_inner=True)


def test_the_hooks_of_the_wrappers_reach_the_reference() -> None:
    for contract in (TestNamespaced, TestTwiceNestedNamespace, TestDefaultTtl):
        hooks: Hooks = contract()
        assert type(bare(hooks.make_backend())).__name__ == "Reference"
