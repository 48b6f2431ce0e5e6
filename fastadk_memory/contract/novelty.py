"""Sees to it that the suite works on stores of its own, before it writes into any."""

from __future__ import annotations

import asyncio

from fastadk_memory.base import MemoryBackend
from fastadk_memory.contract.hooks import Hooks, settled
from fastadk_memory.contract.violations import ContractError
from fastadk_memory.contract.watchdog import watchdog

__all__ = ["examine"]

_examined: dict[type[Hooks], frozenset[str]] = {}


def examine(hooks: Hooks) -> frozenset[str]:
    """Return the names of the capabilities, having seen that each store is new and empty.

    Done once for each class of hooks.

    Raises:
        ContractError: A store holds something already, or two backends share one.
    """
    kind = type(hooks)
    if kind not in _examined:
        try:
            with watchdog(hooks.limits.blocking_seconds):
                _examined[kind] = asyncio.run(_look(hooks))
        except (ContractError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 (it cannot even do this: its laws will tell how)
            _examined[kind] = frozenset()
        finally:
            hooks.tidy()
    return _examined[kind]


async def _look(hooks: Hooks) -> frozenset[str]:
    first, second = await _made(hooks), await _made(hooks)
    try:
        async with asyncio.timeout(hooks.limits.operation_seconds):
            await _refuse_what_is_not_new(first, second)
            for backend in (first, second):
                await settled(hooks.discard(backend))
    finally:
        async with asyncio.timeout(hooks.limits.operation_seconds):
            await first.aclose()
            await second.aclose()
    return frozenset(each.name for each in first.capabilities)


async def _made(hooks: Hooks) -> MemoryBackend:
    try:
        return await settled(hooks.make_backend())
    except (KeyboardInterrupt, SystemExit, asyncio.CancelledError):
        raise
    except BaseException as error:  # pytest.skip raises none that is an Exception
        if isinstance(error, NotImplementedError):
            raise ContractError(str(error)) from error
        raise ContractError(
            f"make_backend raised {type(error).__name__}: {error}; a law is never skipped"
        ) from error


async def _refuse_what_is_not_new(first: MemoryBackend, second: MemoryBackend) -> None:
    found = await first.keys()
    if found:
        raise ContractError(
            f"the store is not empty: it holds {len(found)} keys; the contract runs on stores of "
            f"its own and will not touch this one. {_ADVICE}"
        )
    key = "fastadk-memory-contract"
    await first.set(key, 1)
    try:
        shared = await second.exists(key)
    finally:
        await first.delete(key)
    if shared:
        raise ContractError(
            "two backends made one after the other share one store, but every example needs a "
            f"new one. {_ADVICE}"
        )


_ADVICE = (
    "Let make_backend use make_folder() or make_name(); on the command line put {tmp} or "
    "{unique} into an option, as in -o path={tmp}/memory or -o prefix={unique}"
)
