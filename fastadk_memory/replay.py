"""An agent's day on one backend: replay conversations, recall, let expire, forget.

It works in a namespace of its own with a random name, and removes it at the end, also when
it fails; what the store held before is never touched. Everything that is stored is also
read back and compared, so that mistakes of a backend show instead of hiding.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fastadk_memory.keys import escape_pattern
from fastadk_memory.transcript import Conversation, Fact, FactFinder, Turn, key_part

if TYPE_CHECKING:
    from fastadk_memory.base import MemoryBackend

__all__ = ["Listener", "Operation", "Replay", "Step", "replay"]

T = TypeVar("T")

SHELF_LIFE = 900
"""Seconds that a price or an availability is trusted."""

SHORT_TTL = 1.0
"""Seconds of the TTL that the demo waits out."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the demo did.

    Attributes:
        title: What was done, in a word or three.
        result: What came of it, with its figures.
        seconds: How long it took.
        ok: Whether what came back was what had to.
    """

    title: str
    result: str
    seconds: float
    ok: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """The calls of one method of the backend.

    Attributes:
        name: The method.
        calls: How often it was called.
        keys: How many keys those calls wrote, read, listed or removed.
        total_ms: Milliseconds in all of them.
        per_call_us: Microseconds a call, the mean.
        p50_us: Microseconds of the median call.
    """

    name: str
    calls: int
    keys: int
    total_ms: float
    per_call_us: float
    p50_us: float


@dataclass(slots=True)
class Replay:
    """What one run did on one backend.

    Attributes:
        backend: The backend's name.
        namespace: The namespace that the run worked in.
        steps: What was done, in order.
        operations: Counts and timings for each method that was called.
        counts: Figures by name: conversations, users, turns, facts, ...
        problems: What was not as it had to be; empty when all is well.
        seconds: How long the run took, the waiting included.
    """

    backend: str
    namespace: str
    steps: list[Step] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Listener(Protocol):
    """Hears what is done while it is done; the screen is one."""

    def begin(self, title: str) -> None:
        """Show that a run begins."""
        ...

    def doing(self, what: str) -> AbstractContextManager[object]:
        """Show `what` as under way for the time of a `with` block."""
        ...

    def done(self, step: Step) -> None:
        """Show a finished step."""
        ...

    def end(self, run: Replay) -> None:
        """Show the figures of a finished run."""
        ...

    def note(self, text: str) -> None:
        """Show a line that belongs to no run."""
        ...


async def replay(
    memory: MemoryBackend,
    conversations: list[Conversation],
    *,
    backend: str,
    listener: Listener,
    keep: bool = False,
    short_ttl: float = SHORT_TTL,
) -> Replay:
    """Put a backend through an agent's day: replay, recall, expiry, forgetting.

    Args:
        memory: The backend, open or not; left open.
        conversations: What to replay, at least one.
        backend: The backend's name, for the report.
        listener: Hears each step.
        keep: Leave what was stored in its namespace instead of removing it.
        short_ttl: Seconds of the TTL that is waited out.

    Returns:
        What was done, with counts, timings and whatever was wrong.

    Raises:
        FastADKMemoryError: A call of the backend failed. What the demo had stored until
            then has been removed; where even that failed, a note on the error names the
            namespace to clear.
    """
    from secrets import token_hex

    run = Replay(backend, f"demo-{token_hex(6)}")
    day = _Day(memory.namespace(run.namespace), conversations, run, listener)
    began = time.perf_counter()
    try:
        await day.replay()
        await day.verify()
        await day.recall()
        await day.expire(short_ttl)
        await day.forget()
    except BaseException as error:
        if not keep:
            await _clean_up_after(error, day)
        raise
    if not keep:
        await day.clean_up()
    run.operations = day.calls.summary()
    run.seconds = time.perf_counter() - began
    listener.end(run)
    return run


async def _clean_up_after(error: BaseException, day: _Day) -> None:
    try:
        await day.clean_up()
    except Exception as second:  # noqa: BLE001 (the first error is the one to report)
        error.add_note(
            f"what the demo stored could not be removed ({type(second).__name__}): "
            f"it is in the namespace {day.run.namespace!r}"
        )


class _Calls:
    """Counts and times the calls of each method."""

    def __init__(self) -> None:
        self._durations: dict[str, list[float]] = {}
        self._keys: dict[str, int] = {}

    async def __call__(self, name: str, keys: int, call: Awaitable[T]) -> T:
        began = time.perf_counter()
        result = await call
        self._durations.setdefault(name, []).append(time.perf_counter() - began)
        self.add_keys(name, keys)
        return result

    def add_keys(self, name: str, keys: int) -> None:
        self._keys[name] = self._keys.get(name, 0) + keys

    def summary(self) -> list[Operation]:
        return [
            Operation(
                name,
                len(durations),
                self._keys[name],
                sum(durations) * 1e3,
                sum(durations) / len(durations) * 1e6,
                sorted(durations)[len(durations) // 2] * 1e6,
            )
            for name, durations in self._durations.items()
        ]


class _Day:
    """The steps of the demo, over one namespace of one backend."""

    def __init__(
        self,
        memory: MemoryBackend,
        conversations: list[Conversation],
        run: Replay,
        listener: Listener,
    ) -> None:
        self.memory = memory
        self.conversations = conversations
        self.run = run
        self.listener = listener
        self.calls = _Calls()
        self.lasting: dict[str, Any] = {}
        self.stale: dict[str, Any] = {}
        self.indexes: set[str] = set()
        self.star = _busiest_user(conversations)
        self._began = time.monotonic()

    # ------------------------------------------------------------------ remembering

    async def replay(self) -> None:
        """Store every turn as it is spoken, and each fact as a tool tells it."""
        with self._step("replay") as step:
            recalled = 0
            for conversation in self.conversations:
                known = await self._recall_facts(conversation.user)
                recalled += len(known)
                await self._replay_one(conversation, known)
            counts = self.run.counts
            counts["conversations"] = len(self.conversations)
            counts["users"] = len({c.user for c in self.conversations})
            counts["turns"] = sum(len(c.turns) for c in self.conversations)
            counts["facts_recalled"] = recalled
            step(
                f"{counts['conversations']:,} conversations of {counts['users']:,} users, "
                f"{counts['turns']:,} turns"
            )
        self._report_facts()

    async def _recall_facts(self, user: str) -> list[str]:
        """Read what the agent knows of the user already; return the keys that were there."""
        # An index by user: looking for keys by a pattern may cost a walk over the store.
        known = await self.calls("get", 1, self.memory.get(_user_key(user, "known")))
        if not known:
            return []
        found = await self.calls("get_many", len(known), self.memory.get_many(known))
        return list(found)

    async def _replay_one(self, conversation: Conversation, known: list[str]) -> None:
        finder, learned = FactFinder(conversation.user), dict.fromkeys(known)
        for key, turn in _turns(conversation):
            await self.calls("set", 1, self.memory.set(key, turn))
            facts = finder.see(turn)
            if facts:
                learned.update(dict.fromkeys(await self._remember(conversation.user, facts)))
        if len(learned) > len(known):
            index = _user_key(conversation.user, "known")
            await self.calls("set", 1, self.memory.set(index, list(learned)))
            self.indexes.add(index)

    async def _remember(self, user: str, facts: list[Fact]) -> list[str]:
        """Keep what one result told; all of its facts go stale, or none does."""
        goes_stale = facts[0].goes_stale
        ttl = SHELF_LIFE if goes_stale else None
        items = {_user_key(user, "fact", fact.name): fact.value for fact in facts}
        if len(items) == 1:
            ((key, value),) = items.items()
            await self.calls("set", 1, self.memory.set(key, value, ttl))
        else:
            await self.calls("set_many", len(items), self.memory.set_many(items, ttl))
        for key, value in items.items():
            self.lasting.pop(key, None)
            self.stale.pop(key, None)
            (self.stale if goes_stale else self.lasting)[key] = value
        return list(items)

    def _report_facts(self) -> None:
        counts = self.run.counts
        counts["facts_lasting"] = len(self.lasting)
        counts["facts_with_ttl"] = len(self.stale)
        result = f"{len(self.lasting):,} facts for good, {len(self.stale):,} for {SHELF_LIFE} s"
        self._finish(Step("remember", result, 0.0, True))

    async def verify(self) -> None:
        """Read every turn back, and compare it with what was stored."""
        with self._step("read back") as step:
            same = 0
            for conversation in self.conversations:
                stored = dict(_turns(conversation))
                found = await self.calls(
                    "get_many", len(stored), self.memory.get_many(list(stored))
                )
                same += sum(
                    key in found and _same(found[key], turn) for key, turn in stored.items()
                )
            turns = self.run.counts["turns"]
            self.run.counts["turns_verified"] = same
            self._expect(same == turns, f"{turns - same} of {turns} turns read back differ")
            step(f"{same:,} of {turns:,} turns as they were stored")

    # -------------------------------------------------------------------- recalling

    async def recall(self) -> None:
        """Recall one fact by its key, and conversations by patterns."""
        lasting = self._of_star(self.lasting)
        if lasting:
            await self._recall_by_key(next(iter(lasting)))
        star = escape_pattern(_user_key(self.star, ""))
        await self._recall_by_pattern(f"{star}conv:*")
        await self._recall_by_pattern("user:*:conv:*:turn:0000")

    async def _recall_by_key(self, key: str) -> None:
        with self._step("recall") as step:
            value = await self.calls("get", 1, self.memory.get(key))
            left = await self.calls("ttl", 1, self.memory.ttl(key))
            self._expect(_same(value, self.lasting[key]), "a fact read back differs")
            size = f"{len(value)} fields" if isinstance(value, dict) else "one value"
            lives = "for good" if left is None else f"for {left} s"
            step(f"by key {key}: {size}, {lives}")

    async def _recall_by_pattern(self, pattern: str) -> None:
        with self._step("recall") as step:
            found = await self._keys(pattern)
            self._expect_keys(pattern, found, lambda key: fnmatchcase(key, pattern))
            step(f"by pattern {pattern}: {len(found):,} keys")

    # ----------------------------------------------------------------- expiry, forgetting

    async def expire(self, short_ttl: float) -> None:
        """Store what a fresh search found with a short TTL, and wait until it is gone."""
        fresh = self._of_star(self.stale) or {_user_key(self.star, "fact", "last-seen"): "now"}
        with self._step("expiry", f"waiting for a TTL of {short_ttl:g} s to pass") as step:
            stored = time.monotonic()
            await self.calls("set_many", len(fresh), self.memory.set_many(fresh, short_ttl))
            at_once = await self.calls("get_many", len(fresh), self.memory.get_many(list(fresh)))
            in_time = time.monotonic() - stored < short_ttl
            self._expect(
                len(at_once) == len(fresh) or not in_time,
                f"{len(fresh) - len(at_once)} keys were gone before their TTL had passed",
            )
            await asyncio.sleep(short_ttl + 0.05)
            after = await self.calls("get_many", len(fresh), self.memory.get_many(list(fresh)))
            self._expect(not after, f"{len(after)} keys outlived their TTL")
            for key in fresh:
                self.stale.pop(key, None)
            self.run.counts["expired"] = len(fresh) - len(after)
            step(
                f"{len(at_once):,} of {len(fresh):,} there at once, "
                f"{len(after):,} after waiting {short_ttl + 0.05:g} s"
            )

    async def forget(self) -> None:
        """Forget one user entirely, and make sure that the others are untouched."""
        with self._step("forget") as step:
            pattern = escape_pattern(_user_key(self.star, "")) + "*"
            theirs = await self._keys(pattern)
            await self.calls("clear_pattern", len(theirs), self.memory.clear_pattern(pattern))
            left = await self._keys(pattern)
            others = await self._keys("*")
            prefix = _user_key(self.star, "")
            self._expect_keys("before forgetting", theirs, lambda key: key.startswith(prefix))
            self._expect_keys("forgotten", left, lambda key: False)
            self._expect_keys("others", others, lambda key: not key.startswith(prefix))
            self.run.counts["forgotten"] = len(theirs) - len(left)
            self.run.counts["untouched"] = len(others)
            step(
                f"user {self.star}: {len(theirs):,} keys gone, {len(left):,} left; "
                f"{len(others):,} of others untouched"
            )

    async def clean_up(self) -> None:
        """Remove everything the demo stored."""
        with self._step("clean up") as step:
            await self.calls("clear", 0, self.memory.clear())
            left = await self._keys("*")
            self._expect_keys("cleaned up", left, lambda key: False)
            step(f"namespace {self.run.namespace} removed, {len(left):,} keys left")

    # ------------------------------------------------------------------------ helpers

    async def _keys(self, pattern: str) -> list[str]:
        found = await self.calls("keys", 0, self.memory.keys(pattern))
        self.calls.add_keys("keys", len(found))
        return found

    def _of_star(self, facts: dict[str, Any]) -> dict[str, Any]:
        prefix = _user_key(self.star, "")
        return {key: value for key, value in facts.items() if key.startswith(prefix)}

    def _expect_keys(self, what: str, found: list[str], wanted: Callable[[str], bool]) -> None:
        """Compare a listing with those stored keys that it should consist of."""
        turns = {key for c in self.conversations for key, _ in _turns(c)}
        late = time.monotonic() - self._began > SHELF_LIFE
        stored = turns | self.indexes | set(self.lasting) | set(self.stale)
        expected = {key for key in stored if wanted(key)}
        missing = expected - set(found) - (set(self.stale) if late else set())
        extra = len(found) - len(expected & set(found))
        self._expect(
            not missing and not extra,
            f"{what}: {len(missing)} keys are missing, {extra} are there that should not be",
        )

    def _expect(self, condition: bool, otherwise: str) -> None:
        if not condition:
            self.run.problems.append(otherwise)

    @contextmanager
    def _step(
        self, title: str, doing: str | None = None
    ) -> Generator[Callable[[str], None], None, None]:
        began, problems, results = time.perf_counter(), len(self.run.problems), [""]
        with self.listener.doing(doing or title):
            yield lambda result: results.append(result)
        seconds = time.perf_counter() - began
        self._finish(Step(title, results[-1], seconds, len(self.run.problems) == problems))

    def _finish(self, step: Step) -> None:
        self.run.steps.append(step)
        self.listener.done(step)


def _user_key(user: str, *below: str) -> str:
    return ":".join(["user", key_part(user), *below])


def _turns(conversation: Conversation) -> Iterator[tuple[str, Turn]]:
    prefix = _user_key(conversation.user, "conv", key_part(conversation.id), "turn")
    for number, turn in enumerate(conversation.turns):
        yield f"{prefix}:{number:04d}", turn


def _busiest_user(conversations: Iterable[Conversation]) -> str:
    turns: dict[str, int] = {}
    for conversation in conversations:
        turns[conversation.user] = turns.get(conversation.user, 0) + len(conversation.turns)
    return max(turns, key=lambda user: turns[user])


def _same(found: object, stored: object) -> bool:
    """Tell whether two values are equal, types included; NaN equals NaN here."""
    try:
        return json.dumps(found) == json.dumps(stored)
    except (TypeError, ValueError):
        return False
