"""What the laws of concurrency are made of: steppers, gates, cancelling at a point, threads."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest
from mutants.reference import Reference, Store

from fastadk_memory import ManualClock
from fastadk_memory.contract.concurrent.clients import Clients
from fastadk_memory.contract.concurrent.linearizability import check
from fastadk_memory.contract.concurrent.preemption import hold_up, hold_up_everywhere
from fastadk_memory.contract.concurrent.stepper import Stepper, cancelled_at, delayed
from fastadk_memory.contract.concurrent.threads import in_threads, loop_threads
from fastadk_memory.contract.violations import Violation


async def three_points(log: list[str]) -> str:
    for name in ("first", "second"):
        await asyncio.sleep(0)
        log.append(name)
    await asyncio.get_running_loop().run_in_executor(None, threading.Event().wait, 0.001)
    log.append("third")
    return "done"


def test_a_stepper_counts_the_points_and_returns_the_answer() -> None:
    async def main() -> None:
        stepper = Stepper(three_points([]))
        assert await stepper == "done"
        assert stepper.points == 3

    asyncio.run(main())


def test_a_stepper_raises_what_the_call_raises() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("gone")

    async def main() -> None:
        with pytest.raises(LookupError, match="gone"):
            await Stepper(fails())

    asyncio.run(main())


@pytest.mark.parametrize(
    ("point", "late", "log"),
    [
        (0, False, []),
        (1, False, []),
        (2, False, ["first"]),
        (3, False, ["first", "second"]),
        (3, True, ["first", "second"]),
    ],
)
def test_a_call_is_cancelled_at_a_point(point: int, late: bool, log: list[str]) -> None:
    async def main() -> None:
        seen: list[str] = []
        fate = await cancelled_at(point, three_points(seen), late=late)
        assert (fate.asked, fate.cancelled, fate.swallowed) == (True, True, False)
        assert seen == log

    asyncio.run(main())


def test_a_call_that_ends_before_the_point_is_not_cancelled() -> None:
    async def main() -> None:
        fate = await cancelled_at(4, three_points([]))
        assert (fate.asked, fate.cancelled, fate.result) == (False, False, "done")

    asyncio.run(main())


def test_a_cancellation_that_is_swallowed_shows() -> None:
    async def stubborn() -> str:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "still here"
        return "undisturbed"

    async def main() -> None:
        for late in (False, True):
            fate = await cancelled_at(1, stubborn(), late=late)
            assert fate.swallowed
            assert fate.result == "still here"

    asyncio.run(main())


def test_a_delayed_call_lets_others_go_first() -> None:
    async def main() -> None:
        log: list[str] = []

        async def quick() -> None:
            for _ in range(3):
                await asyncio.sleep(0)
            log.append("quick")

        await asyncio.gather(delayed(three_points(log), [10]), quick())
        assert log[0] == "quick"

    asyncio.run(main())


def test_a_call_is_held_up_while_others_run() -> None:
    async def main() -> None:
        for point, reached in ((1, True), (2, True), (4, False)):
            log: list[str] = []

            async def first(through, log=log) -> None:
                await through(three_points(log))

            async def others(log=log) -> None:
                log.append("others")

            assert await hold_up(first, point, others, limit=5) is reached
            assert log.index("others") == (point - 1 if reached else 3)

        log = []
        await hold_up_everywhere(
            lambda through: _through(through, log),
            lambda point: _append(log, str(point)),
            limit=5,
        )
        assert log == ["1", "first", "2", "second", "3", "third"]

    asyncio.run(main())


def test_a_call_is_held_up_until_a_busy_thread_has_had_its_turns() -> None:
    async def busy() -> None:
        threading.Event().wait(0.05)  # which blocks the thread's loop

    async def main() -> None:
        log: list[str] = []
        with loop_threads(1, 5) as (thread,):
            thread.begin(busy())
            await hold_up(
                lambda through: _through(through, log),
                1,
                lambda: _append(log, "others"),
                thread,
                limit=5,
            )
        assert log[0] == "others"

    asyncio.run(main())


async def _through(through, log: list[str]) -> None:
    await through(three_points(log))


async def _append(log: list[str], text: str) -> None:
    log.append(text)


def test_clients_write_a_history_down() -> None:
    async def main() -> None:
        memory = Reference(Store(), ManualClock())
        clients = Clients(memory, 5)
        await asyncio.gather(
            *(clients.perform(f"task {at}", "compare_and_set", "k", f"v{at}") for at in range(3))
        )
        await clients.perform("task 0", "set_many", "k", "last")
        assert await clients.call("task 1", "get", "k") == "last"
        history = clients.history()
        assert {each.kind for each in history} == {"get_entry", "compare_and_set", "set", "get"}
        assert {each.key for each in history} == {"k", "k-too"}
        assert check(history).ok

    asyncio.run(main())


def test_an_error_of_a_client_is_told_with_its_calls() -> None:
    class Broken(Reference):
        async def get(self, key):
            raise LookupError("no such thing")

    async def main() -> None:
        clients = Clients(Broken(Store(), ManualClock()), 5)
        await clients.call("task 1", "set", "k", "v")
        with pytest.raises(Violation) as caught:
            await clients.call("task 2", "get", "k")
        assert str(caught.value) == "get('k') of task 2 raised LookupError: no such thing"
        assert caught.value.history is not None
        assert "get('k'), raising LookupError" in caught.value.history

    asyncio.run(main())


def test_a_blocked_thread_is_given_up() -> None:
    release = threading.Event()

    async def blocks() -> None:
        release.wait(30)

    async def fine() -> str:
        return threading.current_thread().name

    async def main() -> None:
        assert await in_threads([fine, fine], 5) == ["thread 1", "thread 2"]
        with pytest.raises(Violation, match="thread 2 is stuck"):
            await in_threads([fine, blocks], 2)

    try:
        asyncio.run(main())
    finally:
        release.set()


def test_an_error_in_a_thread_is_raised_here() -> None:
    async def fails(error: Exception) -> None:
        raise error

    async def main() -> None:
        with pytest.raises(LookupError, match="there"):
            await in_threads([partial(fails, LookupError("there"))], 5)

    asyncio.run(main())
