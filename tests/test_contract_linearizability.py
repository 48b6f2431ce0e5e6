"""The search for an order: right where brute force can tell, fast where it cannot."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from itertools import count, permutations, product

import pytest

from fastadk_memory.base import ABSENT
from fastadk_memory.contract import ContractError
from fastadk_memory.contract.concurrent.linearizability import (
    CONFLICT,
    Answer,
    Operation,
    check,
    require_linearizable,
)
from fastadk_memory.contract.violations import Violation


def op(kind, argument=None, result=None, *, at, client="one", key="k", cancelled=False):
    start, end = at
    return Operation(key, kind, argument, result, start, end, client, cancelled)


# --------------------------------------------------------------------- known histories

KNOWN = [
    ("nothing at all", True, []),
    ("set, then get", True, [op("set", 1, at=(0, 1)), op("get", None, 1, at=(2, 3))]),
    ("a stale read", False, [op("set", 1, at=(0, 1)), op("get", None, None, at=(2, 3))]),
    ("a read of what nobody wrote", False, [op("get", None, 7, at=(0, 1))]),
    (
        "a read during a set may see either",
        True,
        [op("set", 1, at=(0, 5)), op("get", None, None, at=(1, 2)), op("get", None, 1, at=(3, 4))],
    ),
    (
        "what was seen stays seen",
        False,
        [op("set", 1, at=(0, 5)), op("get", None, 1, at=(1, 2)), op("get", None, None, at=(3, 4))],
    ),
    (
        "an old value returns",
        False,
        [
            op("set", 1, at=(0, 1)),
            op("set", 2, at=(2, 3)),
            op("get", None, 2, at=(4, 5)),
            op("get", None, 1, at=(6, 7)),
        ],
    ),
    (
        "two readers disagree on the order of two sets",
        False,
        [
            op("set", 1, at=(0, 9)),
            op("set", 2, at=(0, 9)),
            op("get", None, 1, at=(10, 11)),
            op("get", None, 2, at=(12, 13)),
        ],
    ),
    (
        "a deleted key comes back",
        False,
        [
            op("set", 1, at=(0, 1)),
            op("delete", at=(2, 3)),
            op("exists", None, True, at=(4, 5)),
        ],
    ),
    (
        "two win on one version",
        False,
        [
            op("compare_and_set", (ABSENT, 1), "v1", at=(0, 5)),
            op("compare_and_set", (ABSENT, 2), "v2", at=(0, 5)),
        ],
    ),
    (
        "one wins, one is told",
        True,
        [
            op("compare_and_set", (ABSENT, 1), "v1", at=(0, 5)),
            op("compare_and_set", (ABSENT, 2), CONFLICT, at=(0, 5)),
            op("get_entry", None, (1, "v1"), at=(6, 7)),
        ],
    ),
    (
        "a conflict with nobody",
        False,
        [
            op("set", 1, at=(0, 1)),
            op("get_entry", None, (1, "v1"), at=(2, 3)),
            op("compare_and_set", ("v1", 2), CONFLICT, at=(4, 5)),
        ],
    ),
    (
        "a lost update",
        False,
        [
            op("set", 1, at=(0, 1)),
            op("get_entry", None, (1, "v1"), at=(2, 3)),
            op("set", 2, at=(4, 5)),
            op("compare_and_set", ("v1", 3), "v3", at=(6, 7)),
        ],
    ),
    (
        "one version for two values",
        False,
        [
            op("compare_and_set", (ABSENT, 1), "v1", at=(0, 1)),
            op("get_entry", None, (1, "v2"), at=(2, 3)),
        ],
    ),
    ("a call without an end never happened", True, [op("set", 1, at=(0, None)),
        op("get", None, None, at=(5, 6))]),
    ("a call without an end happened late", True, [op("set", 1, at=(0, None)),
        op("get", None, None, at=(5, 6)), op("get", None, 1, at=(7, 8))]),
    ("a call without an end happens once", False, [op("set", 1, at=(0, None)),
        op("get", None, 1, at=(5, 6)), op("set", 2, at=(7, 8)), op("get", None, 2, at=(9, 10)),
        op("get", None, 1, at=(11, 12))]),
    ("a call cannot happen before it starts", False, [op("get", None, 1, at=(0, 1)),
        op("set", 1, at=(2, None))]),
    ("a cancelled call has happened", True, [op("set", 1, at=(0, 1), cancelled=True),
        op("get", None, 1, at=(2, 3))]),
    ("a cancelled call has not happened", True, [op("set", 1, at=(0, 1), cancelled=True),
        op("get", None, None, at=(2, 3))]),
    ("a cancelled call happens later", False, [op("set", 1, at=(0, 1), cancelled=True),
        op("get", None, None, at=(2, 3)), op("get", None, 1, at=(4, 5))]),
    ("a cancelled delete happens later", False, [op("set", 1, at=(0, 1)),
        op("delete", at=(2, 3), cancelled=True), op("set", 2, at=(4, 5)),
        op("get", None, None, at=(6, 7))]),
    ("values need not be hashable", True, [op("set", [1], at=(0, 1)),
        op("get", None, [1], at=(2, 3))]),
    ("True is not 1", False, [op("set", 1, at=(0, 1)), op("get", None, True, at=(2, 3))]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "fine", "history"), KNOWN, ids=[each[0] for each in KNOWN])
def test_known_histories(what: str, fine: bool, history: list[Operation]) -> None:
    assert check(history).ok is fine


def test_keys_are_independent() -> None:
    a = [op("set", 1, at=(0, 1), key="a"), op("get", None, None, at=(2, 3), key="b")]
    assert check(a).ok
    assert check([*a, op("get", None, None, at=(4, 5), key="a")]).key == "a"


# ------------------------------------------------------------------------- brute force


def explained(order: Sequence[Operation], happened: Sequence[bool]) -> bool:
    """Play the calls one after another; a version that nobody was told is a new object."""
    state: list[object] | None = None
    for each, took_effect in zip(order, happened, strict=True):
        unknown = each.cancelled or each.end is None
        if not took_effect:
            continue
        if each.kind == "set":
            state = [each.argument, each.result]
        elif each.kind == "delete":
            state = None
        elif each.kind == "compare_and_set":
            expect, value = each.argument
            fits = state is None if expect is ABSENT else state is not None and state[1] == expect
            if unknown:
                state = [value, None] if fits else state
            elif (each.result is CONFLICT) is fits:
                return False
            elif fits:
                state = [value, each.result]
        elif unknown:
            continue
        elif each.kind == "exists":
            if each.result != (state is not None):
                return False
        elif each.kind == "get":
            if each.result != (None if state is None else state[0]):
                return False
        elif state is None or each.result is None:
            if state is not each.result:
                return False
        elif state[0] != each.result[0]:
            return False
        elif state[1] is None:
            state[1] = each.result[1]
        elif state[1] != each.result[1]:
            return False
    return True


def in_time(order: Sequence[Operation]) -> bool:
    return not any(
        later.end is not None and later.end < earlier.start
        for at, earlier in enumerate(order)
        for later in order[at + 1 :]
    )


def brute_force(history: Sequence[Operation]) -> bool:
    choices = [(True, False) if each.cancelled or each.end is None else (True,) for each in history]
    for order in permutations(range(len(history))):
        calls = [history[at] for at in order]
        if in_time(calls):
            for happened in product(*(choices[at] for at in order)):
                if explained(calls, happened):
                    return True
    return False


def random_history(chance: random.Random) -> list[Operation]:
    """Draw a few calls whose answers are plausible, and often wrong."""
    versions = ["v1", "v2"]
    history: list[Operation] = []
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, 12)
        end = start + chance.randint(1, 8)
        kind = chance.choice(["set", "set", "get", "get", "get", "exists", "get_entry", "delete",
            "compare_and_set"])  # fmt: skip
        value = chance.randint(1, 3)
        argument, result = None, None
        if kind == "set":
            argument = value
        elif kind == "get":
            result = chance.choice([None, value, value])
        elif kind == "exists":
            result = chance.choice([True, False])
        elif kind == "get_entry":
            result = chance.choice([None, (value, chance.choice(versions))])
        elif kind == "compare_and_set":
            argument = (chance.choice([ABSENT, *versions]), value)
            result = chance.choice([CONFLICT, *versions])
        fate = chance.random()
        history.append(
            Operation(
                "k", kind, argument, result, start * 2, None if fate < 0.1 else end * 2 + 1,
                chance.randint(1, 3), cancelled=0.1 <= fate < 0.25,
            )
        )  # fmt: skip
    return history


def test_it_agrees_with_brute_force() -> None:
    chance = random.Random(1)
    verdicts = {True: 0, False: 0}
    for _ in range(1_500):
        history = random_history(chance)
        expected = brute_force(history)
        assert check(history).ok is expected, history
        verdicts[expected] += 1
    assert min(verdicts.values()) > 300, verdicts


# ------------------------------------------------------------------- large histories


def valid_history(chance: random.Random, clients: int, calls: int, keys: int = 1):
    """Simulate clients whose calls take effect at a moment between their start and end."""
    clock = count()
    state: dict[str, tuple[int, str] | None] = {}
    versions = count()
    busy: dict[int, tuple[str, str, object, int, object]] = {}
    history: list[Operation] = []
    waiting: dict[int, tuple[str, str, object, int]] = {}
    while len(history) < calls:
        client = chance.randrange(clients)
        if client in busy:
            key, kind, argument, start, result = busy.pop(client)
            history.append(Operation(key, kind, argument, result, start, next(clock), client))
        elif client in waiting:
            key, kind, argument, start = waiting.pop(client)
            result: object = None
            current = state.get(key)
            if kind == "set":
                state[key] = (argument, f"v{next(versions)}")
            elif kind == "delete":
                state[key] = None
            elif kind == "get":
                result = current and current[0]
            elif kind == "get_entry":
                result = current
            elif (current[1] if current else ABSENT) == argument[0]:
                result = f"v{next(versions)}"
                state[key] = (argument[1], result)
            else:
                result = CONFLICT
            busy[client] = (key, kind, argument, start, result)
        else:
            kind = chance.choice(["set", "get", "get", "delete", "get_entry", "compare_and_set"])
            key = f"k{chance.randrange(keys)}"
            argument: object = None
            start = next(clock)
            if kind == "set":
                argument = start
            elif kind == "compare_and_set":
                current = state.get(key)
                known = [e for e in history if e.key == key and e.kind == "get_entry" and e.result]
                argument = (known[-1].result[1] if known else ABSENT, start)
            waiting[client] = (key, kind, argument, start)
    for client, (key, kind, argument, start, *_) in {**waiting, **busy}.items():
        history.append(Operation(key, kind, argument, None, start, None, client))
    return history


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_calls_of_ten_clients_on_one_key_are_decided_fast(seed: int) -> None:
    history = valid_history(random.Random(seed), clients=10, calls=1_000)
    began = time.perf_counter()
    assert check(history).answer is Answer.YES
    # It takes about 0.1 s; a search without memory would not end at all.
    assert time.perf_counter() - began < 5


def test_a_wrong_answer_among_a_thousand_calls_is_found_and_shown_small() -> None:
    history = valid_history(random.Random(7), clients=5, calls=1_000, keys=2)
    reads = [at for at, each in enumerate(history) if each.kind == "get" and each.result]
    at = reads[len(reads) // 2]
    old = history[at]
    history[at] = Operation(old.key, "get", None, -1, old.start, old.end, old.client)
    verdict = check(history)
    assert verdict.answer is Answer.NO
    assert verdict.operations == (history[at],)


# ------------------------------------------------------------------------ what is shown


def test_the_offending_calls_are_few_and_true() -> None:
    history = [
        op("set", "old", at=(0, 1), client="task 1"),
        op("get", None, "old", at=(2, 3), client="task 2"),
        op("set", "new", at=(4, 8), client="task 1"),
        op("get", None, "new", at=(5, 6), client="task 2"),
        op("exists", None, True, at=(6.2, 6.4), client="task 1"),
        op("get", None, "old", at=(7, 9), client="task 2"),
        op("delete", at=(10, 11), client="task 2"),
        op("get", None, None, at=(12, 13), client="task 1"),
    ]
    verdict = check(history)
    assert set(verdict.operations) == {history[0], history[2], history[3], history[5]}
    assert verdict.text().splitlines() == [
        "no order of the calls on 'k' explains these 4 calls of 8",
        "",
        "    task 1                  task 2",
        "  1 set('k', 'old')",
        "  2 set('k', 'new') begins",
        "  3                         get('k') -> 'new'",
        "  4                         get('k') begins",
        "  5 set('k', 'new') ends",
        "  6                         get('k') ends -> 'old'",
    ]


@pytest.mark.parametrize("seed", range(60))
def test_what_is_shown_does_not_invent_a_fault(seed: int) -> None:
    """The calls that are left out are no explanation of what the calls that are shown saw."""
    chance = random.Random(seed)
    history = random_history(chance)
    verdict = check(history)
    if verdict.ok:
        return
    shown = list(verdict.operations)
    assert not brute_force(shown)
    written = {each.argument for each in history if each.kind == "set"}
    for each in shown:
        if each.kind == "get" and each.end is not None and not each.cancelled:
            sources = {call.argument for call in shown if call.kind == "set"}
            sources |= {call.argument[1] for call in shown if call.kind == "compare_and_set"}
            assert each.result is None or each.result not in written or each.result in sources


def test_versions_and_conflicts_are_shown_by_short_names() -> None:
    history = [
        op("compare_and_set", (ABSENT, "x"), "9f31c0", at=(0, 5), client="a"),
        op("compare_and_set", (ABSENT, "y"), "17aa00", at=(1, 6), client="b"),
        op("get_entry", None, ("y", "17aa00"), at=(7, 8), client="b"),
    ]
    with pytest.raises(Violation) as caught:
        require_linearizable(history, "two clients")
    assert caught.value.history is not None
    assert "compare_and_set('k', 'x', expect=ABSENT) begins" in caught.value.history
    assert "compare_and_set('k', 'y', expect=ABSENT) ends -> version" in caught.value.history


def test_a_search_that_is_given_up_is_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    history = valid_history(random.Random(3), clients=4, calls=50)
    verdict = check(history, budget=10)
    assert verdict.answer is Answer.UNKNOWN
    assert not verdict.ok
    monkeypatch.setattr(
        "fastadk_memory.contract.concurrent.linearizability.check", lambda _: verdict
    )
    with pytest.raises(ContractError, match="could not decide"):
        require_linearizable(history)
