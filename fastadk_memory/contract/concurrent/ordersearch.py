"""Wing and Gong's search for an order of the calls on one key, with Lowe's memory."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TypeAlias

from fastadk_memory.base import ABSENT
from fastadk_memory.contract.compare import identical
from fastadk_memory.contract.concurrent.operations import CONFLICT, Operation

__all__ = ["Answer", "search"]


class Answer(Enum):
    """Whether a history is linearizable."""

    YES = "linearizable"
    NO = "not linearizable"
    UNKNOWN = "unknown"
    """The search was given up. That is never a pass."""


# ------------------------------------------------------------------------ one key's states

# Who wrote what is stored now (an index into the calls), and the version if it is known.
_State: TypeAlias = "tuple[int, str | None] | None"


def _outcomes(calls: Sequence[Operation], at: int, state: _State) -> tuple[_State, ...]:
    """Return the states that a call may leave behind, if it takes effect in `state`."""
    call = calls[at]
    if call.open_ended:
        after = _effect(call, at, state)
        # A call without an end can stay out of the order altogether; a cancelled one cannot.
        return (after, state) if call.cancelled else (after,)
    if call.kind == "set":
        return ((at, call.result if isinstance(call.result, str) else None),)
    if call.kind == "delete":
        return (None,)
    if call.kind == "compare_and_set":
        matches = _expected(call, state)
        if call.result is CONFLICT:
            return () if matches else (state,)
        return ((at, str(call.result)),) if matches else ()
    return _read(calls, call, state)


def _effect(call: Operation, at: int, state: _State) -> _State:
    if call.kind == "set" or (call.kind == "compare_and_set" and _expected(call, state)):
        return (at, None)
    return None if call.kind == "delete" else state


def _expected(call: Operation, state: _State) -> bool:
    expect = call.argument[0]
    if expect is ABSENT:
        return state is None
    # Who expects a version has read it, which made it known.
    return state is not None and state[1] == expect


def _read(calls: Sequence[Operation], call: Operation, state: _State) -> tuple[_State, ...]:
    if call.kind == "exists":
        return (state,) if call.result is (state is not None) else ()
    if state is None or call.result is None:
        return (state,) if state is None and call.result is None else ()
    value, version = call.result if call.kind == "get_entry" else (call.result, None)
    if not identical(value, calls[state[0]].written):
        return ()
    if version is None or version == state[1]:
        return (state,)
    return ((state[0], str(version)),) if state[1] is None else ()


# ------------------------------------------------------------------------------ the search


def search(calls: Sequence[Operation], budget: int) -> Answer:
    """Tell whether the calls on one key are linearizable.

    Args:
        calls: All of them; the key was absent at first.
        budget: How many steps to search before giving up.
    """
    return _Search(calls).run(budget)


_NO_CHOICE = -1


class _Search:
    """Wing and Gong's search over the calls on one key.

    The starts and ends of all calls stand in a linked list in the order of time. A call may
    come next if no other call has ended before it starts: if its start stands before the
    first end in the list. Taking a call takes its start and end out of the list.
    """

    def __init__(self, calls: Sequence[Operation]) -> None:
        # A read whose answer nobody knows says nothing.
        self._calls = [call for call in calls if not (call.reads and call.open_ended)]
        events: list[tuple[float, bool, int]] = []
        for at, call in enumerate(self._calls):
            events.append((call.start, False, at))
            if call.end is not None:
                events.append((call.end, True, at))
        # At one moment starts come before ends: what may have overlapped did.
        events.sort(key=lambda event: event[:2])
        self._call_at = [-1, *(at for _, _, at in events), -1]
        self._is_end = [False, *(is_end for _, is_end, _ in events), True]
        self._next = [*range(1, len(events) + 2), 0]
        self._previous = [0, *range(len(events) + 1)]
        self._start_of = [0] * len(self._calls)
        self._end_of = [0] * len(self._calls)
        for node, (_, is_end, at) in enumerate(events, start=1):
            (self._end_of if is_end else self._start_of)[at] = node

        self._state: _State = None
        self._done = 0
        self._left = sum(call.end is not None for call in self._calls)
        self._seen: set[tuple[int, _State]] = set()
        # The starts that were taken, with the outcome to try next and the state before.
        self._taken: list[tuple[int, int, _State]] = []

    def run(self, budget: int) -> Answer:
        """Search for an order that explains every answer."""
        node, choice = self._begin_place()
        while self._left:
            budget -= 1
            if budget < 0:
                return Answer.UNKNOWN
            if self._is_end[node]:
                # This call ended before all that are left began, and none can be next.
                back = self._back()
                if back is None:
                    return Answer.NO
                node, choice = back
                continue
            outcomes = _outcomes(self._calls, self._call_at[node], self._state)
            if choice >= len(outcomes):
                node, choice = self._next[node], 0
            elif self._is_new(node, outcomes[choice]):
                self._take(node, choice + 1, outcomes[choice])
                node, choice = self._begin_place()
            else:
                choice += 1
        return Answer.YES

    def _is_new(self, node: int, after: _State) -> bool:
        place = (self._done | 1 << self._call_at[node], after)
        if place in self._seen:
            return False
        self._seen.add(place)
        return True

    def _begin_place(self) -> tuple[int, int]:
        """Take every read that fits now; return where to go on from there.

        Such a read changes nothing, so no order in which it comes later need be tried.
        """
        node = self._next[0]
        while not self._is_end[node]:
            at = self._call_at[node]
            if self._calls[at].reads:
                outcomes = _outcomes(self._calls, at, self._state)
                if outcomes == (self._state,):
                    self._take(node, _NO_CHOICE, self._state)
                    node = self._next[0]
                    continue
            node = self._next[node]
        return self._next[0], 0

    def _back(self) -> tuple[int, int] | None:
        """Go back to the last place where there is something else to try."""
        while self._taken:
            node, choice, self._state = self._taken.pop()
            self._put_back(self._call_at[node])
            if choice != _NO_CHOICE:
                return node, choice
        return None

    def _take(self, node: int, choice: int, after: _State) -> None:
        at = self._call_at[node]
        for each in (self._start_of[at], self._end_of[at]):
            if each:
                self._next[self._previous[each]] = self._next[each]
                self._previous[self._next[each]] = self._previous[each]
        self._taken.append((node, choice, self._state))
        self._state = after
        self._done |= 1 << at
        self._left -= self._end_of[at] != 0

    def _put_back(self, at: int) -> None:
        for each in (self._end_of[at], self._start_of[at]):
            if each:
                self._next[self._previous[each]] = each
                self._previous[self._next[each]] = each
        self._done &= ~(1 << at)
        self._left += self._end_of[at] != 0
