"""Clause E4: no password in a message, a repr or a log; and no user's value in a message."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastadk_memory.base import ABSENT, Capability
from fastadk_memory.contract.compare import fail
from fastadk_memory.contract.concurrent.together import Together
from fastadk_memory.contract.handle import Handle
from fastadk_memory.contract.law import law
from fastadk_memory.contract.tools.calls import OPENING, Sample, samples
from fastadk_memory.contract.tools.overheard import Overheard, forms, overhearing, texts_of
from fastadk_memory.contract.violations import NotApplicable
from fastadk_memory.contract.world import World

# ------------------------------------------------------------------------------ passwords


@asynccontextmanager
async def nothing_told(world: World) -> AsyncGenerator[Overheard]:
    """Require that none of the secrets is heard meanwhile."""
    if not world.hooks.secrets:
        raise NotApplicable("no secrets are declared: set `secrets` to the configured password")
    with overhearing() as heard:
        yield heard
    for where, text in heard.find(world.hooks.secrets):
        fail(f"{where} holds a secret: {text}")


def look_at(heard: Overheard, handle: Handle, state: str) -> None:
    """Take down how a backend shows itself."""
    for text in (repr(handle.backend), str(handle.backend)):
        heard.add(f"the repr of {handle.name}, {state},", text)


async def make_all(world: World, heard: Overheard, memory: Handle, calls: list[Sample]) -> None:
    """Make calls all at once, and take down the errors that they raise."""
    together = Together(world, memory, calls)
    for call, outcome in zip(calls, await together.wait(), strict=True):
        if isinstance(outcome, BaseException):
            heard.add_error(f"the {type(outcome).__name__} of {together.shown(call)}", outcome)


@law("E4")
async def no_repr_shows_a_secret(world: World) -> None:
    """No password stands in the repr of a backend or of a namespace, opened or not."""
    memory = world.memory
    async with nothing_told(world) as heard:
        view = memory.namespace("tenant")
        for state in ("not yet opened", "open", "closed"):
            look_at(heard, memory, state)
            look_at(heard, view, state)
            await (memory.set("a", 1) if state == "not yet opened" else memory.aclose())


@law("E4")
async def no_call_tells_a_secret(world: World) -> None:
    """Calls that succeed and calls that fail tell no password: in no error, log or warning."""
    memory = world.memory
    wrong = [Sample("get", (7,)), Sample("set", ("a", {1})), Sample("set", ("a", 1, 0))]
    wrong += [Sample("keys", (7,)), Sample("scan", (), {"batch_size": 0})]
    capabilities = Capability.__members__.values()
    async with nothing_told(world) as heard:
        await make_all(world, heard, memory, [*OPENING, *samples(capabilities), *wrong])
        await make_all(world, heard, memory.namespace("tenant"), [*samples(capabilities), *wrong])
        await memory.health_check()
        await memory.aclose()
        await make_all(world, heard, memory, [*OPENING, *samples(capabilities)])


@law("E4", hooks=("outage",), examples=[{"opened": True}, {"opened": False}])
async def no_outage_tells_a_secret(world: World, opened: bool) -> None:
    """While the service is away, and when it is back, no password is told."""
    await _in_trouble(world, "outage", opened)


@law("E4", hooks=("hang",), examples=[{"opened": True}, {"opened": False}])
async def no_hang_tells_a_secret(world: World, opened: bool) -> None:
    """While the service hangs, and when it is back, no password is told."""
    await _in_trouble(world, "hang", opened)


async def _in_trouble(world: World, trouble: str, opened: bool) -> None:
    memory = world.memory
    if opened:
        await memory.set("a", 1)
    async with nothing_told(world) as heard:
        async with world.trouble(trouble):
            calls = [*OPENING, *samples(memory.capabilities), Sample("health_check")]
            await make_all(world, heard, memory, calls)
            look_at(heard, memory, "while its service does not answer")
        await make_all(world, heard, memory, [Sample("get", ("a",)), Sample("keys")])
        await memory.aclose()


@law("E4", hooks=("damage",))
async def no_damage_tells_a_secret(world: World) -> None:
    """The error of a damaged entry tells no password."""
    memory = world.memory
    await memory.set("a", 1)
    await world.damage("a")
    async with nothing_told(world) as heard:
        await make_all(world, heard, memory, samples(memory.capabilities))


# --------------------------------------------------------------------------- users' values

PRIVATE = "what the user said in private"
_PARTS = ("what the user", "said in private")
"""Either is enough to give it away: damage may have cut the other off."""


class Diary:
    """An object that no store takes, and that tells everything when it is shown."""

    def __repr__(self) -> str:
        return f"Diary({PRIVATE!r})"


def _looped() -> list[Any]:
    loop: list[Any] = [PRIVATE]
    loop.append(loop)
    return loop


def _deep() -> Any:
    deep: Any = PRIVATE
    for _ in range(300):
        deep = [deep]
    return deep


_ENTRIES, _CAS = Capability.ENTRIES, Capability.CAS
_TELLING = (
    Sample("set", ("a", [PRIVATE, {1}])),
    Sample("set", ("a", {"said": PRIVATE, "bad": {1}})),
    Sample("set", ("a", {PRIVATE})),
    Sample("set", ("a", Diary())),
    Sample("set", ("a", {"deep": [{"x": (PRIVATE, Diary())}]})),
    Sample("set", ("a", {7: PRIVATE})),
    Sample("set", ("a", {Diary(): PRIVATE})),
    Sample("set", ("a", bytearray(PRIVATE.encode()))),
    Sample("set", ("a", _looped()), source=("'a'", "[PRIVATE, <itself>]")),
    Sample("set", ("a", _deep()), source=("'a'", "[[[...PRIVATE...]]]")),
    Sample("set", ("a", PRIVATE, 0)),
    Sample("set", ("", PRIVATE)),
    Sample("set", (7, PRIVATE)),
    Sample("set_many", ({"a": PRIVATE, "b": {1}},)),
    Sample("set_many", ({"a": PRIVATE, "b": Diary()},)),
    Sample("set_many", ({"a": PRIVATE, 7: 1},)),
    Sample("set_many", ([("a", PRIVATE)],)),
    Sample("set_many", ({"a": PRIVATE}, -1)),
    Sample("set_entry", ("a", PRIVATE), {"metadata": {"m": Diary()}}, _ENTRIES),
    Sample("set_entry", ("a", PRIVATE), {"metadata": [PRIVATE]}, _ENTRIES),
    Sample("set_entry", ("a", Diary()), {"metadata": {"m": PRIVATE}}, _ENTRIES),
    Sample("compare_and_set", ("a", PRIVATE), {"expect": ABSENT}, _CAS),
    Sample("compare_and_set", ("a", Diary()), {"expect": ABSENT}, _CAS),
    Sample("compare_and_set", ("a", [PRIVATE]), {"expect": 7}, _CAS),
)


async def keeps_to_itself(memory: Handle, call: Sample) -> None:
    """Require that the error of a call, if it raises one, does not show the user's value."""
    try:
        await call.make(memory)
    except Exception as error:  # noqa: BLE001 (of which kind it is, other clauses say)
        for text in texts_of(error):
            if any(form in text for part in _PARTS for form in forms(part)):
                fail(f"the message of {type(error).__name__} holds the user's value: {text[:200]}")


@law(
    "E4",
    examples=lambda domain: [
        {"call": call}
        for call in _TELLING
        if call.needs is None or call.needs in domain.capabilities
    ],
)
async def no_error_shows_a_value(world: World, call: Sample) -> None:
    """The error of a call that is refused does not repeat the value that it was given."""
    memory = world.memory
    await memory.set("a", [PRIVATE])
    await keeps_to_itself(memory, call)
    await keeps_to_itself(memory.namespace("tenant"), call)


@law("E4")
async def no_closed_backend_shows_a_value(world: World) -> None:
    """`BackendClosedError` does not repeat what was to be stored."""
    memory = world.memory
    await memory.set("a", PRIVATE)
    await memory.aclose()
    await _try_all(memory)


@law("E4", hooks=("outage",))
async def no_failed_write_shows_its_value(world: World) -> None:
    """The error of a write that failed because the service is away does not repeat its value."""
    memory = world.memory
    await memory.set("a", PRIVATE)
    async with world.trouble("outage"):
        await _try_all(memory)


@law("E4", hooks=("damage",))
async def no_damaged_value_is_shown(world: World) -> None:
    """`CorruptEntryError` does not show what is left of the value."""
    memory = world.memory
    for value in (PRIVATE, [PRIVATE], {"said": PRIVATE}):
        await memory.set("a", value)
        await world.damage("a")
        for method in ("get", "get_entry"):
            await keeps_to_itself(memory, Sample(method, ("a",)))
        await keeps_to_itself(memory, Sample("get_many", (["a"],)))


async def _try_all(memory: Handle) -> None:
    calls = [Sample("set", ("a", PRIVATE)), Sample("set_many", ({"a": [PRIVATE]},))]
    if memory.declares(Capability.ENTRIES):
        calls.append(Sample("set_entry", ("a", PRIVATE), {"metadata": {"m": PRIVATE}}))
    if memory.declares(Capability.CAS):
        calls.append(Sample("compare_and_set", ("a", PRIVATE), {"expect": ABSENT}))
    for call in calls:
        await keeps_to_itself(memory, call)
