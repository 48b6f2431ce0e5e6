"""The demo: what it does on real backends, what it finds wrong, and that it leaves no trace."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import signal
import subprocess
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine, install_store, with_store
from distributions import backend_source, install
from fastadk_memory_inmemory import InMemoryBackend
from hypothesis import given
from hypothesis import strategies as st

from fastadk_memory import BackendUnavailableError, WrapperBackend
from fastadk_memory.base import MemoryBackend
from fastadk_memory.replay import Replay, Step, replay
from fastadk_memory.transcript import (
    Conversation,
    FactFinder,
    TranscriptError,
    key_part,
    read_transcript,
)

SAMPLE = Path(read_transcript.__code__.co_filename).with_name("data") / (
    "sample-conversations.jsonl"
)


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def store(cli: CommandLine, tmp_path: Path) -> CommandLine:
    return with_store(cli, tmp_path / "store.pickle")


class Quiet:
    """A listener that keeps what it hears."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def begin(self, title: str) -> None: ...
    def end(self, run: Replay) -> None: ...
    def note(self, text: str) -> None: ...

    def done(self, step: Step) -> None:
        self.steps.append(step)

    def doing(self, what: str) -> AbstractContextManager[object]:
        return nullcontext()


def run(memory: MemoryBackend, conversations: list[Conversation]) -> Replay:
    return asyncio.run(replay(memory, conversations, backend="x", listener=Quiet(), short_ttl=0.1))


def call(tool: str, arguments: object, identifier: str | None = "c1") -> dict[str, Any]:
    function = {"name": tool, "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": identifier, "type": "function", "function": function}],
    }


def result(content: object, identifier: str | None = "c1", **more: object) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": content, **more}


def write(path: Path, *records: object) -> Path:
    lines = (json.dumps(record) + "\n" for record in records)
    path.write_text("".join(lines), encoding="utf-8")
    return path


# ------------------------------------------------------------------ on a backend


def test_the_sample_has_several_users_and_one_that_comes_back() -> None:
    conversations = read_transcript(SAMPLE)
    users = [each.user for each in conversations]
    assert len(conversations) == 6
    assert users.count("ada") == 2
    assert {"ada", "bruno", "chiyo.t", "dana-88", "anonymous-c-1004"} == set(users)


def test_every_turn_is_stored_read_back_and_removed_and_nothing_else_is_touched() -> None:
    async def main() -> tuple[Replay, list[str]]:
        memory = InMemoryBackend()
        await memory.set("user:ada:mine", "not the demo's")
        run = await replay(
            memory, read_transcript(SAMPLE), backend="inmemory", listener=Quiet(), short_ttl=0.1
        )
        return run, await memory.keys()

    run, left = asyncio.run(main())
    assert run.problems == []
    turns = sum(len(each.turns) for each in read_transcript(SAMPLE))
    assert (run.counts["turns"], run.counts["turns_verified"]) == (turns, turns)
    assert run.counts["conversations"] == 6
    assert run.counts["facts_lasting"] > 0
    assert run.counts["facts_with_ttl"] > 0
    assert run.counts["facts_recalled"] > 0
    assert run.counts["expired"] > 0
    assert run.counts["forgotten"] > 0
    assert run.counts["untouched"] > 0
    assert left == ["user:ada:mine"]


def test_the_counts_of_the_table_are_those_of_the_calls() -> None:
    class Counting(WrapperBackend):
        def namespace(self, name: str) -> MemoryBackend:
            return self

    counted: dict[str, int] = {}
    for name in ("get", "set", "set_many", "get_many", "keys", "ttl", "clear", "clear_pattern"):

        def method(self: Counting, *arguments: Any, name: str = name) -> Any:
            counted[name] = counted.get(name, 0) + 1
            return getattr(self.inner, name)(*arguments)

        setattr(Counting, name, method)
    done = run(Counting(InMemoryBackend()), read_transcript(SAMPLE))
    assert {each.name: each.calls for each in done.operations} == counted
    for each in done.operations:
        assert 0 < each.p50_us <= each.total_ms * 1e3 + 1e-6
        assert each.per_call_us == pytest.approx(each.total_ms * 1e3 / each.calls)


@pytest.mark.parametrize(
    ("method", "wrong", "told"),
    [
        ("get_many", lambda found: dict(list(found.items())[1:]), "turns read back differ"),
        (
            "get_many",
            lambda found: {key: {"role": "user"} for key in found},
            "turns read back differ",
        ),
        ("keys", lambda found: found[1:], "are missing"),
        ("keys", lambda found: [*found, "user:ada:conv:extra:turn:0000"], "should not be"),
        ("get", lambda found: 1 if found else found, "fact read back differs"),
    ],
)
def test_what_a_backend_gets_wrong_is_found(method: str, wrong: Any, told: str) -> None:
    class Wrong(WrapperBackend):
        def namespace(self, name: str) -> MemoryBackend:
            return self

    async def broken(self: Wrong, *arguments: Any) -> Any:
        return wrong(await getattr(self.inner, method)(*arguments))

    setattr(Wrong, method, broken)
    one = [
        Conversation(
            "c",
            "ada",
            [call("get_user", {"user_id": "ada"}), result('{"name": "Ada"}')],
        )
    ]
    done = run(Wrong(InMemoryBackend()), one)
    assert any(told in problem for problem in done.problems), done.problems


def test_an_entry_that_outlives_its_ttl_is_found() -> None:
    class Forever(WrapperBackend):
        def namespace(self, name: str) -> MemoryBackend:
            return self

        async def set_many(self, items: Any, ttl: Any = None) -> None:
            await self.inner.set_many(items)

    done = run(Forever(InMemoryBackend()), read_transcript(SAMPLE))
    assert any("outlived their TTL" in problem for problem in done.problems)


@pytest.mark.parametrize("instead", ["*", "user:ada:conv:*"])
def test_a_clear_pattern_that_forgets_too_much_or_too_little_is_found(instead: str) -> None:
    class Sloppy(WrapperBackend):
        def namespace(self, name: str) -> MemoryBackend:
            return self

        async def clear_pattern(self, pattern: str) -> None:
            await self.inner.clear_pattern(instead)

    assert run(Sloppy(InMemoryBackend()), read_transcript(SAMPLE)).problems


def test_what_was_stored_is_removed_when_a_call_fails() -> None:
    class Failing(WrapperBackend):
        left = 20

        async def set(self, key: str, value: Any, ttl: Any = None) -> None:
            Failing.left -= 1
            if Failing.left < 0:
                raise BackendUnavailableError("gone")
            await self.inner.set(key, value, ttl)

    async def main() -> list[str]:
        memory = Failing(InMemoryBackend())
        with pytest.raises(BackendUnavailableError, match="gone"):
            await replay(memory, read_transcript(SAMPLE), backend="x", listener=Quiet())
        return await memory.keys()

    assert asyncio.run(main()) == []


def test_where_the_removal_fails_too_the_error_names_the_namespace() -> None:
    class Gone(WrapperBackend):
        async def set(self, key: str, value: Any, ttl: Any = None) -> None:
            raise BackendUnavailableError("gone")

        async def clear_pattern(self, pattern: str) -> None:
            raise BackendUnavailableError("still gone")

    with pytest.raises(BackendUnavailableError, match=r"^gone") as caught:
        run(Gone(InMemoryBackend()), read_transcript(SAMPLE))
    assert re.search(r"namespace 'demo-[0-9a-f]{12}'", caught.value.__notes__[0])


def test_cancelling_removes_what_was_stored() -> None:
    async def main() -> list[str]:
        memory = InMemoryBackend()
        task = asyncio.create_task(
            replay(memory, read_transcript(SAMPLE), backend="x", listener=Quiet())
        )
        while not await memory.keys():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await memory.keys()

    assert asyncio.run(main()) == []


# ------------------------------------------------------------------ transcripts


def test_a_user_is_found_wherever_a_recording_tells_it(tmp_path: Path) -> None:
    hello = {"role": "user", "content": "hello"}
    path = write(
        tmp_path / "t.jsonl",
        {"user": "field", "messages": [{**hello, "name": "other"}]},
        {"user": None, "user_id": 17, "messages": [hello]},
        {"messages": [hello, {**hello, "name": "named"}]},
        {"messages": [hello, call("f", '{"user_id": "argued"}')]},
        {"messages": [hello, call("f", {"customerId": "table"})]},
        {"messages": [call("f", '{"user_id": "wrong"}'), *[call("f", '{"user_id": "r"}')] * 2]},
        {"messages": [call("f", "{}"), result('{"user_id": "answered"}')]},
        {"id": "x", "messages": [call("f", "no json"), result("no json"), hello]},
        [hello],
    )
    assert [each.user for each in read_transcript(path)] == [
        "field", "17", "named", "argued", "table", "r", "answered", "anonymous-x",
        "anonymous-line-9",
    ]  # fmt: skip


def test_conversations_of_one_id_stay_apart(tmp_path: Path) -> None:
    same = {"id": "c", "user": "u", "messages": [{"role": "user", "content": "hello"}]}
    conversations = read_transcript(write(tmp_path / "t.jsonl", same, same, {**same, "id": "c~2"}))
    assert len({each.id for each in conversations}) == 3
    done = run(InMemoryBackend(), conversations)
    assert (done.problems, done.counts["turns_verified"]) == ([], 3)


def test_a_gzipped_transcript_is_told_by_its_content(tmp_path: Path) -> None:
    plain, zipped = SAMPLE.read_bytes(), tmp_path / "misnamed.txt"
    zipped.write_bytes(gzip.compress(plain))
    assert read_transcript(zipped) == read_transcript(SAMPLE)
    zipped.write_bytes(gzip.compress(plain)[:-20])
    with pytest.raises(TranscriptError, match="cannot be read"):
        read_transcript(zipped)


def test_a_byte_order_mark_blank_lines_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    text = SAMPLE.read_text(encoding="utf-8").replace("\n", "\r\n\r\n")
    other = tmp_path / "t.jsonl"
    other.write_text(text, encoding="utf-8-sig", newline="")
    assert [c.turns for c in read_transcript(other)] == [c.turns for c in read_transcript(SAMPLE)]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"{", "not JSON"),
        (b"17", "'messages'"),
        (b"{}", "'messages'"),
        (b'{"messages": null}', "'messages'"),
        (b'{"messages": [null]}', r"messages\[0\]"),
        (b'{"messages": [{"role": "user"}, {"role": 1}]}', r"messages\[1\]"),
        (b'{"messages": [{"role": "user", "content": ' + b"[" * 200 + b"]" * 200 + b"}]}", "deep"),
        (b"[" * 100_000, "deep"),
        (b'{"messages": [{"role": "user", "n": ' + b"1" * 5000 + b"}]}", "too long"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_bad_line_is_an_error_with_file_and_line(tmp_path: Path, line: bytes, told: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(b'{"messages": []}\n\n' + line + b"\n")
    with pytest.raises(TranscriptError, match=told) as caught:
        read_transcript(path)
    assert str(caught.value).startswith(f"{path}:3: ") or f"{path}:3" in str(caught.value)


def test_an_empty_or_missing_file_is_an_error_that_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n")
    with pytest.raises(TranscriptError, match="no conversation"):
        read_transcript(empty)
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(TranscriptError, match="cannot be read"):
            read_transcript(path)


def test_facts_are_what_tools_tell_about_users_and_things() -> None:
    finder = FactFinder("ada")
    assert finder.see({"role": "user", "content": '{"a": 1}'}) == []
    finder.see(call("get_user_details", '{"user_id": "ada"}'))
    [profile] = finder.see(result('{"name": "Ada"}'))
    assert (profile.name, profile.value, profile.goes_stale) == ("profile", {"name": "Ada"}, False)
    finder.see(call("update_booking", '{"booking_id": "B:1"}'))
    [booking] = finder.see(result('{"user_id": "ada", "booking_id": "B:1", "total": 3}'))
    assert (booking.name, booking.goes_stale) == ("booking:B%3A1", False)
    finder.see(call("search_flights", '{"origin": "JFK", "day": 3}'))
    first, second = finder.see(result('[{"price": 1}, [{"price": 2}]]'))
    assert (first.name, second.name) == ("search_flights:JFK:3:1", "search_flights:JFK:3:2")
    assert first.goes_stale
    assert second.goes_stale
    assert finder.see(result([{"type": "text", "text": '{"booking_id": "x"}'}])) != []
    for content in (
        "Error: no",
        "17.5",
        "null",
        "",
        None,
        '{"error": "no"}',
        "{}",
        "[]",
        17,
        [None],
    ):
        assert finder.see(result(content)) == []


def test_a_result_belongs_to_the_latest_call_of_its_id_or_to_the_last_call() -> None:
    finder = FactFinder("ada")
    finder.see(call("search_a", "{}", "same"))
    finder.see(call("search_b", "{}", "same"))
    assert finder.see(result("[1]", "same"))[0].name.startswith("search_b")
    assert finder.see(result("[1]", None))[0].name.startswith("search_b")
    older = {"role": "assistant", "function_call": {"name": "search_c", "arguments": "{}"}}
    finder.see(older)
    assert finder.see({"role": "function", "content": "[1]"})[0].name.startswith("search_c")


@given(st.text(), st.text())
def test_no_two_texts_share_a_part_of_a_key(one: str, other: str) -> None:
    one, other = (text.encode("utf-8", "replace").decode() for text in (one * 9, other * 9))
    assert (key_part(one) == key_part(other)) is (one == other)
    assert 1 <= len(key_part(one).encode()) <= 64
    assert ":" not in key_part(one)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["search_x", "get_user", "update_booking", "", "a" * 200, "é:*"]) | junk
calls = st.fixed_dictionaries(
    {}, optional={"id": st.sampled_from(["c1", "c2"]) | junk,
                  "function": st.fixed_dictionaries({}, optional={
                      "name": names, "arguments": junk | junk.map(json.dumps)}) | junk},
)  # fmt: skip
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool", "function", "odd"])},
    optional={
        "content": junk | junk.map(json.dumps) | st.lists(
            st.fixed_dictionaries({"type": st.just("text")}, optional={"text": junk})
        ),
        "name": names,
        "tool_calls": st.lists(calls, max_size=2) | junk,
        "tool_call_id": st.sampled_from(["c1", "c2"]) | junk,
        "function_call": junk,
    },
)  # fmt: skip
recordings = st.fixed_dictionaries(
    {"messages": st.lists(messages, max_size=6)}, optional={"user": junk, "id": junk}
)


@given(st.lists(recordings, min_size=1, max_size=4))
def test_whatever_shape_a_recording_has_every_turn_and_fact_can_be_stored(
    tmp_path_factory: pytest.TempPathFactory, records: list[Any]
) -> None:
    path = write(tmp_path_factory.getbasetemp() / "any.jsonl", *records)
    conversations = read_transcript(path)
    assert [len(each.turns) for each in conversations] == [len(r["messages"]) for r in records]

    async def main() -> None:
        memory = InMemoryBackend()
        for each in conversations:
            finder = FactFinder(each.user)
            for turn in each.turns:
                facts = {f"{key_part(each.user)}:{f.name}": f.value for f in finder.see(turn)}
                assert all(len(key.encode()) < 500 for key in facts)
                await memory.set_many({"turn": turn, **facts})

    asyncio.run(main())


# ------------------------------------------------------------------ the command


def test_the_demo_runs_on_the_default_and_the_same_on_a_second_backend(store: CommandLine) -> None:
    store.environ.pop("FASTADK_MEMORY_BACKEND")
    store.environ.pop("FASTADK_MEMORY_OPTIONS__PATH")
    ran = store("demo", "--second", "inmemory", "--json")
    assert (ran.status, ran.err) == (0, "")
    outcome = json.loads(ran.out)
    one, two = outcome["runs"]
    assert (one["backend"], two["backend"], outcome["agree"]) == ("inmemory", "inmemory", True)
    assert one["counts"] == two["counts"]
    assert one["seconds"] > 1  # a second was really waited
    assert {each["name"] for each in one["operations"]} >= {"set", "get", "get_many", "keys"}


def test_the_screen_shows_each_step_the_figures_and_both_backends(store: CommandLine) -> None:
    before = store("set", "user:ada:mine", "1", "-n", "kept")
    assert before.status == 0
    ran = store("demo", "--second", "inmemory")
    assert (ran.status, ran.err) == (0, "")
    for word in ("replay", "remember", "read back", "recall", "expiry", "forget", "clean up"):
        assert len(re.findall(rf"^{word} ", ran.out, re.MULTILINE)) >= 2, word
    assert "60 of 60 turns as they were stored" in ran.out
    assert "store (chosen by FASTADK_MEMORY_BACKEND)" in ran.out
    assert "inmemory (the same again, with nothing changed but the name)" in ran.out
    assert "came to the same figures" in ran.out
    assert store("keys").out == "kept:user:ada:mine\n"


def test_lines_fit_a_narrow_terminal(store: CommandLine) -> None:
    ran = store("demo", "--second", "inmemory", environ={"COLUMNS": "80"})
    assert max(len(line) for line in ran.out.splitlines()) <= 80


def test_it_takes_another_installed_backend_that_needs_no_options(cli: CommandLine) -> None:
    install_store(cli.site)
    install(cli.site, "acme-bad", backends={"aaa": "acme_bad:B"}, modules={"acme_bad.py": "1/0"})
    source = backend_source("def __init__(self): self.health = False").replace(
        "return True", "return self.health"
    )
    install(cli.site, "acme-ill", backends={"aab": "acme_ill:Backend"},
            modules={"acme_ill.py": source})  # fmt: skip
    install(cli.site, "acme-fine", backends={"aac": "fine:make"}, modules={
        "fine.py": "from fastadk_memory_inmemory import InMemoryBackend\n"
                   "def make(): return InMemoryBackend()\n"
    })  # fmt: skip
    policy = {"FASTADK_MEMORY_PLUGINS__BLOCK": "fastadk-memory-file"}
    outcome = json.loads(cli("demo", "--json", environ=policy).out)
    assert [each["backend"] for each in outcome["runs"]] == ["inmemory", "aac"]
    notes = " ".join(outcome["notes"])
    assert "aaa is passed over: it cannot be loaded" in notes
    assert "aab is passed over: it does not answer" in notes


def test_it_gives_a_folder_to_a_backend_that_needs_no_more(cli: CommandLine) -> None:
    outcome = json.loads(cli("demo", "--json").out)
    assert [each["backend"] for each in outcome["runs"]] == ["inmemory", "file"]
    assert (outcome["ok"], outcome["notes"]) == (True, [])


def test_without_a_second_backend_it_says_so_and_how_to_install_one(cli: CommandLine) -> None:
    policy = {"FASTADK_MEMORY_PLUGINS__ALLOW": "fastadk-memory-inmemory"}
    ran = cli("demo", environ=policy)
    assert ran.status == 0
    assert "there is no second backend" in ran.out
    assert "-m pip install fastadk-memory-file" in ran.out


def test_different_figures_on_the_two_backends_are_status_1(store: CommandLine) -> None:
    # So small a store that most of what is stored is pushed out again.
    ran = store("demo", "-b", "inmemory", "-o", "max_entries=10", "--second", "inmemory")
    assert ran.status == 1
    assert "turns read back differ" in ran.out
    assert "came to different figures" in ran.out


def test_a_failing_backend_is_status_3_and_leaves_nothing(store: CommandLine) -> None:
    ran = store("demo", environ={"FASTADK_MEMORY_OPTIONS__FAIL_AFTER": "30"})
    assert (ran.status, len(ran.err.splitlines())) == (3, 1)
    assert store("keys").out == ""


def test_keep_leaves_what_it_stored_in_its_namespace(store: CommandLine) -> None:
    outcome = json.loads(store("demo", "--keep", "--json", "--second", "inmemory").out)
    namespace = outcome["runs"][0]["namespace"]
    kept = store("keys", "-n", namespace).out.splitlines()
    assert "user:bruno:conv:c-1002:turn:0000" in kept
    assert not [key for key in kept if key.startswith("user:ada:")]
    assert all(key.startswith(f"{namespace}:") for key in store("keys").out.splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing(store: CommandLine, number: signal.Signals) -> None:
    process = subprocess.Popen(
        store.command("demo"),
        cwd=store.cwd,
        # It hangs in the end, so that it is surely under way.
        env={**store.environment(), "FASTADK_MEMORY_OPTIONS__HANG_AFTER": "5"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # Where the tests run in the background, a shell has them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    path = Path(store.environ["FASTADK_MEMORY_OPTIONS__PATH"])
    until = time.monotonic() + 30
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert err in ("fastadk-memory: interrupted\n", "fastadk-memory: terminated\n")
    assert store("keys").out == ""


def test_a_bad_transcript_is_status_2_with_file_and_line(cli: CommandLine) -> None:
    write(cli.cwd / "t.jsonl", {"messages": []}, {"messages": 1})
    ran = cli("demo", "--transcript", "t.jsonl")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("fastadk-memory: t.jsonl:2: ")
