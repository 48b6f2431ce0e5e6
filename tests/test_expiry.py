"""`ExpiryQueue` against a dict that is gone through whole."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory.expiry import ExpiryQueue

keys = st.sampled_from("abc")
steps = st.lists(
    st.tuples(st.just("put"), keys, st.integers(0, 9))
    | st.tuples(st.just("drop"), keys)
    | st.tuples(st.just("due"), st.integers(0, 9), st.integers(1, 3)),
    max_size=40,
)


@given(steps)
def test_it_gives_out_what_is_due_and_nothing_else(steps: list[tuple]) -> None:
    queue = ExpiryQueue()
    expected: dict[str, int] = {}
    for name, *args in steps:
        if name == "put":
            key, when = args
            queue.put(key, when)
            expected[key] = when
        elif name == "drop":
            queue.drop(args[0])
            expected.pop(args[0], None)
        else:
            now, limit = args
            due = {key for key, when in expected.items() if when <= now}
            given_out = queue.due(now, limit)
            assert set(given_out) <= due
            assert len(given_out) == min(limit, len(due))
            for key in given_out:
                del expected[key]
        assert len(queue) == len(expected)
        assert queue.next <= min(expected.values(), default=inf)


def test_changing_one_key_for_ever_does_not_grow_it() -> None:
    queue = ExpiryQueue()
    for when in range(10_000):
        queue.put("k", when)
    assert len(queue._heap) < 100


def test_dropping_the_last_key_leaves_nothing_to_wait_for() -> None:
    queue = ExpiryQueue()
    queue.put("k", 5)
    queue.drop("k")
    assert queue.next == inf
