"""`Mutex`, `Lifetime` and `run_in_thread`: across tasks, loops and threads."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory.concurrency import Lifetime, Mutex, run_in_thread
from fastadk_memory.errors import BackendClosedError


def in_threads(count: int, scenario) -> None:
    """Run a scenario in several threads at once, each with its own loop."""
    with ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(asyncio.run, scenario()) for _ in range(count)]:
            future.result(timeout=60)


def test_a_mutex_lets_one_in_at_a_time_across_threads() -> None:
    mutex = Mutex()
    inside = 0
    counter = 0

    async def worker() -> None:
        nonlocal inside, counter
        for _ in range(50):
            async with mutex:
                inside += 1
                assert inside == 1
                before = counter
                await asyncio.sleep(0)
                counter = before + 1
                inside -= 1

    async def scenario() -> None:
        await asyncio.gather(*(worker() for _ in range(4)))

    in_threads(4, scenario)
    assert counter == 4 * 4 * 50


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=8))
def test_cancelled_waits_never_lose_a_mutex(plan: list[tuple[int, bool]]) -> None:
    async def scenario() -> None:
        mutex = Mutex()

        async def worker(turns: int) -> None:
            async with mutex:
                for _ in range(turns):
                    await asyncio.sleep(0)

        tasks = [asyncio.ensure_future(worker(turns)) for turns, _ in plan]
        await asyncio.sleep(0)
        for task, (turns, cancelled) in zip(tasks, plan, strict=True):
            for _ in range(turns):
                await asyncio.sleep(0)
            if cancelled:
                task.cancel()
        await asyncio.wait(tasks)
        async with asyncio.timeout(5), mutex:
            pass

    asyncio.run(scenario())


def test_a_mutex_passes_over_a_waiter_whose_loop_is_gone() -> None:
    mutex = Mutex()

    async def scenario() -> None:
        await mutex.__aenter__()
        lost = asyncio.new_event_loop()
        task = lost.create_task(mutex.__aenter__())

        def begin_and_vanish() -> None:
            lost.call_soon(lost.stop)
            lost.run_forever()

        await asyncio.to_thread(begin_and_vanish)
        task._log_destroy_pending = False
        lost.close()
        await mutex.__aexit__(None, None, None)
        async with asyncio.timeout(5), mutex:
            pass

    asyncio.run(scenario())


def test_opening_happens_once_for_all_who_come_meanwhile() -> None:
    opened = 0

    async def open_slowly() -> None:
        nonlocal opened
        opened += 1
        await asyncio.sleep(0.01)

    life = Lifetime("it", open_slowly)

    async def scenario() -> None:
        async def call() -> None:
            async with life:
                pass

        await asyncio.gather(*(call() for _ in range(10)))

    in_threads(4, scenario)
    assert opened == 1


def test_a_failure_to_open_is_shared_and_the_next_call_tries_again() -> None:
    attempts = 0

    async def fail_once() -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0)
        if attempts == 1:
            raise OSError("not yet")

    async def scenario() -> None:
        life = Lifetime("it", fail_once)
        results = await asyncio.gather(*(life.open() for _ in range(5)), return_exceptions=True)
        assert [str(result) for result in results] == ["not yet"] * 5
        await life.open()
        assert attempts == 2

    asyncio.run(scenario())


def test_a_cancelled_opening_is_taken_over_by_one_who_waits() -> None:
    attempts = 0

    async def open_slowly() -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.01)

    async def scenario() -> None:
        life = Lifetime("it", open_slowly)
        first = asyncio.ensure_future(life.open())
        second = asyncio.ensure_future(life.open())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first, second])
        assert first.cancelled()
        assert second.exception() is None
        assert attempts == 2

    asyncio.run(scenario())


def test_closing_waits_for_what_is_under_way_and_is_final() -> None:
    events: list[str] = []

    async def close() -> None:
        events.append("closed")

    async def scenario() -> None:
        life = Lifetime("the thing", None, close)
        release = asyncio.Event()

        async def call() -> None:
            async with life:
                await release.wait()
                events.append("done")

        task = asyncio.ensure_future(call())
        await asyncio.sleep(0)
        closing = [asyncio.ensure_future(life.aclose()) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(BackendClosedError, match="the thing is closed"):
            await life.open()
        release.set()
        await asyncio.gather(task, *closing)
        await life.aclose()
        assert events == ["done", "closed"]

    asyncio.run(scenario())


def test_a_cancelled_close_can_be_finished() -> None:
    closed = 0

    async def close() -> None:
        nonlocal closed
        await asyncio.sleep(0)
        closed += 1

    async def scenario() -> None:
        for turns in range(3):
            life = Lifetime("it", None, close)
            task = asyncio.ensure_future(life.aclose())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await life.aclose()
            assert life.closed
        assert closed == 3

    asyncio.run(scenario())


def test_what_was_never_opened_is_not_closed() -> None:
    async def never() -> None:
        raise AssertionError("called")

    asyncio.run(Lifetime("it", never, never).aclose())


def test_a_cancelled_call_waits_for_its_thread() -> None:
    started, release = threading.Event(), threading.Event()
    ended = []

    def work() -> None:
        started.set()
        release.wait(10)
        ended.append(True)

    async def scenario() -> None:
        task = asyncio.ensure_future(run_in_thread(work))
        while not started.is_set():
            await asyncio.sleep(0.001)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        release.set()
        await asyncio.wait([task])
        assert task.cancelled()
        assert ended == [True]

    asyncio.run(scenario())


def test_a_thread_returns_and_raises_as_the_function_does() -> None:
    assert asyncio.run(run_in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(run_in_thread(divmod, 7, 0))


def test_a_thread_is_waited_for_when_its_loop_ends() -> None:
    """The end of asyncio.run cancels every task; the work in the thread goes on all the same."""
    release, ended = threading.Event(), []

    async def call() -> None:
        try:
            await run_in_thread(lambda: (release.wait(10), ended.append("work")))
        finally:
            ended.append("call")

    async def scenario() -> None:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.01)
        threading.Timer(0.05, release.set).start()
        task.get_name()

    asyncio.run(scenario())
    assert ended == ["work", "call"]


def test_a_mutex_is_not_freed_by_one_that_never_held_it() -> None:
    mutex = Mutex()

    async def scenario() -> None:
        await mutex.__aenter__()
        lost = asyncio.new_event_loop()
        coroutine = mutex.__aenter__()

        def wait_in_a_loop_that_closes() -> None:
            async def begin() -> None:
                coroutine.send(None)

            lost.run_until_complete(begin())
            lost.close()

        await asyncio.to_thread(wait_in_a_loop_that_closes)
        await mutex.__aexit__(None, None, None)
        await mutex.__aenter__()
        coroutine.close()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await mutex.__aenter__()

    asyncio.run(scenario())


def test_a_waiter_in_a_loop_that_stands_still_does_not_hold_up_the_others() -> None:
    mutex = Mutex()
    idle = asyncio.new_event_loop()

    async def scenario() -> None:
        await mutex.__aenter__()
        tasks = []

        def begin_and_stop() -> None:
            tasks.append(idle.create_task(mutex.__aenter__()))
            idle.call_soon(idle.stop)
            idle.run_forever()

        await asyncio.to_thread(begin_and_stop)
        waiting = asyncio.ensure_future(mutex.__aenter__())
        await asyncio.sleep(0)
        await mutex.__aexit__(None, None, None)
        async with asyncio.timeout(5):
            await waiting
        await mutex.__aexit__(None, None, None)
        await asyncio.to_thread(idle.run_until_complete, tasks[0])
        idle.close()

    asyncio.run(scenario())


def test_closing_during_a_failing_opening_closes() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise OSError("down")

    async def scenario() -> None:
        life = Lifetime("it", fail)
        opening = asyncio.ensure_future(life.open())
        await asyncio.sleep(0)
        closing = asyncio.ensure_future(life.aclose())
        await asyncio.sleep(0)
        assert life.closed
        await closing
        with pytest.raises(OSError, match="down"):
            await opening
        with pytest.raises(BackendClosedError):
            await life.open()

    asyncio.run(scenario())
