"""fastadk_memory.cli and .commands: what each command prints, and how it ends."""

from __future__ import annotations

import io
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from commandline import CommandLine, install_store, with_store
from distributions import backend_source, install
from hypothesis import example, given
from hypothesis import strategies as st

import fastadk_memory
from fastadk_memory import UnsupportedValueError, __version__
from fastadk_memory.cli import main
from fastadk_memory.directory import published
from fastadk_memory.jsonform import from_json, to_json
from fastadk_memory.publishing import app

FOR_AUTHORS = {"badge", "check", "new", "verify"}  # which go by no configuration
OF_A_MEMORY = {
    "backends", "clear", "config", "delete", "demo", "doctor", "get", "keys", "set", "ttl",
}  # fmt: skip
COMMANDS = OF_A_MEMORY | FOR_AUTHORS
SECRET = "hunter2-s3cr3t"

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["$bytes", "$float", "$dict"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


@pytest.fixture
def store(cli: CommandLine, tmp_path: Path) -> CommandLine:
    """A command line that is configured for a backend that keeps what it is given."""
    return with_store(cli, tmp_path / "store.pickle")


class Here:
    """Calls the command in this process, which is quick."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> None:
        self.monkeypatch, self.captured = monkeypatch, capfdbinary

    def __call__(self, *arguments: str, stdin: bytes = b"") -> tuple[int, bytes, str]:
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8"))
        status = main(list(arguments))
        out, err = self.captured.readouterr()
        return status, out, err.decode()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: Any) -> Here:
    install_store(tmp_path / "site")
    (tmp_path / "work").mkdir()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("FASTADK_MEMORY_BACKEND", "store")
    monkeypatch.setenv("FASTADK_MEMORY_OPTIONS__PATH", str(tmp_path / "store.pickle"))
    return Here(monkeypatch, capfdbinary)


# ------------------------------------------------------------------ the JSON of values


@given(values)
@example({"$bytes": "not Base64"})
@example({"$dict": {"$dict": {}}})
@example([math.nan, math.inf, -math.inf, -0.0, 10**5000, b"", "\x1b[31m\x9b"])
def test_every_value_has_a_form_in_json_that_stands_for_it_alone(value: object) -> None:
    for indent in (None, 2):
        for ascii_only in (False, True):
            form = to_json(value, indent=indent, ascii_only=ascii_only)
            assert repr_of(from_json(form)) == repr_of(value)
            assert all(char.isprintable() or char == "\n" for char in form if ord(char) < 0xA0)


def repr_of(value: object) -> str:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        return repr(value)
    finally:
        sys.set_int_max_str_digits(limit)


@given(st.text() | values.map(repr))
def test_text_that_is_no_json_is_refused_and_no_other_error_is_raised(text: str) -> None:
    try:
        from_json(text)
    except UnsupportedValueError as error:
        assert "not JSON" in str(error) or "must" in str(error)


@pytest.mark.parametrize(
    "text", ['{"$bytes": 1}', '{"$bytes": "a"}', '{"$float": "one"}', '{"$dict": []}']
)
def test_a_special_form_of_the_wrong_shape_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedValueError, match="must"):
        from_json(text)


def test_json_that_is_nested_too_deep_is_refused() -> None:
    with pytest.raises(UnsupportedValueError, match="nested"):
        from_json("[" * 100_000 + "]" * 100_000)


# ------------------------------------------------------------------ get, set and the others


def test_a_value_that_one_process_sets_another_gets(store: CommandLine) -> None:
    assert store("set", "user:17", '{"name": "Ada", "n": [1, 1.0, true]}').status == 0
    ran = store("get", "user:17")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == '{"name": "Ada", "n": [1, 1.0, true]}\n'


def test_an_absent_key_is_status_1_and_one_line_on_standard_error(here: Here) -> None:
    for command in ("get", "ttl"):
        status, out, err = here(command, "nobody")
        assert (status, out) == (1, b"")
        assert err == "fastadk-memory: no such key: 'nobody'\n"


def test_a_stored_null_is_not_an_absent_key(here: Here) -> None:
    here("set", "k", "null")
    assert here("get", "k") == (0, b"null\n", "")
    assert here("ttl", "k") == (0, b"never\n", "")


def test_a_value_may_be_text_or_come_from_a_file_or_from_standard_input(
    here: Here, tmp_path: Path
) -> None:
    (tmp_path / "v.json").write_text('{"a": 1}', encoding="utf-8")
    (tmp_path / "v.bin").write_bytes(b"\xff\x00")
    cases: list[tuple[list[str], bytes, bytes]] = [
        (["--text", "Ada"], b"", b'"Ada"\n'),
        (["Ada", "--text"], b"", b'"Ada"\n'),
        (["--", "-1"], b"", b"-1\n"),
        (["--file", str(tmp_path / "v.json")], b"", b'{"a": 1}\n'),
        (["--file", "-"], b"[1]", b"[1]\n"),
        (["--file", "-", "--text"], b"[1]\n", b'"[1]\\n"\n'),
        (["--file", str(tmp_path / "v.bin"), "--bytes"], b"", b'{"$bytes": "/wA="}\n'),
        (['{"$float": "-inf"}'], b"", b'{"$float": "-inf"}\n'),
    ]
    for arguments, stdin, printed in cases:
        assert here("set", "k", *arguments, stdin=stdin) == (0, b"", ""), arguments
        assert here("get", "k") == (0, printed, "")


def test_raw_prints_strings_and_bytes_as_they_are(here: Here) -> None:
    for stdin, flag, raw in [
        (b"h\xc3\xa9", "--text", b"h\xc3\xa9\n"),
        (b"\xff", "--bytes", b"\xff"),
    ]:
        here("set", "k", "--file", "-", flag, stdin=stdin)
        assert here("get", "k", "--raw") == (0, raw, "")
        assert here("get", "k", "--text") == (0, raw, "")
    here("set", "k", "[1]")
    assert here("get", "k", "--raw") == (0, b"[1]\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["set", "k"], "either VALUE or --file"),
        (["set", "k", "1", "--file", "-"], "either VALUE or --file"),
        (["set", "k", "Ada"], "--text"),
        (["set", "k", "1", "--bytes"], "--file"),
        (["set", "k", "--file", "-", "--bytes", "--text"], "exclude each other"),
        (["set", "k", "--file", "no/such/file"], "no/such/file"),
        (["set", "k", "1", "--ttl", "0"], "TTL"),
        (["set", "k", "1", "--ttl", "nan"], "TTL"),
        (["set", "k", "1", "--ttl", "soon"], "--ttl"),
        (["set", "", "1"], "empty"),
        (["set", "k" * 2000, "1"], "1024 bytes"),
        (["get", ""], "empty"),
        (["keys", "*" * 5000], "4096 bytes"),
        (["get"], "key"),
        (["get", "k", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["get", "k", "-o", "path"], "name=value"),
        (["get", "k", "-o", "path=1", "-o", "path=2"], "twice"),
        (["get", "k", "-o", "colour=red"], "colour"),
        (["get", "k", "-b", "nosuch"], "nosuch"),
        (["get", "k", "-b", "redis-typo"], "installed"),
        (["get", "k", "--url", "nosuch://x"], "nosuch"),
        (["get", "k", "--url", "no url"], "URL"),
        (["get", "k", "--profile", "nosuch"], "nosuch"),
        (["get", "k", "--config", "nosuch.toml"], "nosuch.toml"),
        (["get", "k", "-n", ""], "namespace"),
        (["demo", "--transcript", "nosuch.jsonl"], "nosuch.jsonl"),
        (["demo", "--second", "nosuch"], "nosuch"),
    ],
)
def test_a_mistake_is_status_2_and_at_most_two_lines_that_name_it(
    here: Here, arguments: list[str], told: str
) -> None:
    here("set", "k", '"before"')
    status, _, err = here(*arguments)
    assert status == 2
    assert told.lower() in err.lower()
    assert err.startswith("fastadk-memory: ")
    assert 1 <= len(err.splitlines()) <= 2
    assert here("get", "k")[1] == b'"before"\n'


def test_bytes_that_are_no_text_are_refused_with_the_flag_that_takes_them(here: Here) -> None:
    status, _, err = here("set", "k", "--file", "-", stdin=b"\xff")
    assert (status, "--bytes" in err) == (2, True)


def test_ttl_shows_seconds_and_a_plain_set_lifts_the_expiry(here: Here) -> None:
    here("set", "k", "1", "--ttl", "3600")
    status, out, _ = here("ttl", "k")
    assert (status, 3590 <= int(out) <= 3600) == (0, True)
    here("set", "k", "1")
    assert here("ttl", "k", "--json") == (0, b"null\n", "")


def test_keys_are_sorted_one_a_line_and_exact_in_json(here: Here) -> None:
    names = ["user:2", "user:10", "a\nb", "é", "esc\x1b[31m"]
    for name in names:
        here("set", name, "1")
    _, out, _ = here("keys")
    assert out.decode().splitlines() == ["a\\nb", "esc\\x1b[31m", "user:10", "user:2", "é"]
    assert json.loads(here("keys", "--json")[1]) == sorted(names)
    assert here("keys", "user:*")[1] == b"user:10\nuser:2\n"
    assert here("keys", "nobody:*") == (0, b"", "")


def test_delete_says_how_many_were_there(here: Here) -> None:
    here("set", "a", "1")
    here("set", "b", "1")
    assert here("delete", "a", "c") == (0, b"removed 1 of 2\n", "")
    assert here("delete", "a") == (0, b"removed 0 of 1\n", "")
    assert here("keys")[1] == b"b\n"


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 2), (b"", 2), (b"\n", 2), (b"y\n", 0)])
def test_clear_asks_and_does_nothing_without_a_yes(here: Here, answer: bytes, left: int) -> None:
    here("set", "a", "1")
    here("set", "b", "1")
    status, _, err = here("clear", stdin=answer)
    assert (status, "Remove 2 keys from the backend 'store'?" in err) == (int(left > 0), True)
    assert len(here("keys")[1].splitlines()) == left


def test_clear_removes_what_matches_and_no_more(here: Here) -> None:
    for name in ("a:1", "a:2", "b:1"):
        here("set", name, "1")
    assert here("clear", "a:*", "--yes") == (0, b"removed 2 keys\n", "")
    assert here("keys")[1] == b"b:1\n"


def test_clear_of_a_namespace_leaves_the_others_alone(here: Here) -> None:
    for arguments in ([], ["-n", "bot"], ["-n", "other"]):
        here("set", "k", "1", *arguments)
    assert here("clear", "-n", "bot", "--yes")[1] == b"removed 1 key\n"
    assert here("keys", "-n", "bot")[1] == b""
    assert here("keys", "-n", "other")[1] == b"k\n"
    assert here("get", "k")[0] == 0


def test_set_says_so_where_nothing_will_remain(here: Here) -> None:
    assert "note:" in here("set", "k", "1", "-b", "inmemory")[2]
    assert here("set", "k", "1")[2] == ""


# ------------------------------------------------------------------ which memory


def test_flags_win_over_the_environment_and_files(cli: CommandLine, tmp_path: Path) -> None:
    install_store(cli.site)
    (cli.cwd / "fastadk.toml").write_text('[memory]\nbackend = "inmemory"\n', encoding="utf-8")
    path = str(tmp_path / "a.pickle")
    assert cli("set", "k", "1", "--backend", "store", "--option", f"path={path}").status == 0
    assert cli("get", "k", "--url", f"store:?path={path}").status != 0
    assert cli("get", "k", "--url", f"store://?path={path}").out == "1\n"
    other = tmp_path / "other.toml"
    other.write_text(
        f"[memory.profiles.kept]\nbackend = 'store'\noptions = {{ path = '{path}' }}\n",
        encoding="utf-8",
    )
    assert cli("get", "k", "--config", str(other), "--profile", "kept").out == "1\n"
    assert cli("get", "k").status == 1


def test_config_shows_each_value_with_its_source_and_masks_secrets(cli: CommandLine) -> None:
    (cli.cwd / "fastadk.toml").write_text(
        "[memory]\nbackend = 'redis'\ndefault_ttl = 60\n"
        f"[memory.options]\npassword = '{SECRET}'\nhost = 'h'\n",
        encoding="utf-8",
    )
    for arguments in (["config"], ["config", "--json"]):
        ran = cli(*arguments, "--namespace", "bot")
        assert ran.status == 0
        assert SECRET not in ran.out + ran.err
    settings = {each["key"]: each for each in json.loads(ran.out)["settings"]}
    assert settings["namespace"] == {"key": "namespace", "value": "bot", "source": "--namespace"}
    assert settings["default_ttl"]["source"] == "fastadk.toml [memory]"
    assert settings["options.password"]["value"] == "***"
    assert settings["options.host"]["value"] == "h"


def test_no_command_prints_a_password(cli: CommandLine) -> None:
    install_store(cli.site)
    url = f"store://user:{SECRET}@host/0?password={SECRET}"
    for command in (["get", "k"], ["config"], ["doctor"], ["demo"], ["keys", "--json"]):
        ran = cli(*command, "--url", url, "-o", f"password={SECRET}")
        assert SECRET not in ran.out + ran.err, command


# ------------------------------------------------------------------ backends


def test_a_listing_imports_no_plugin(cli: CommandLine, tmp_path: Path) -> None:
    touch = f"open({str(tmp_path / 'imported')!r}, 'w').close()\n"
    install(
        cli.site, "acme-loud", backends={"loud": "loud:Backend"},
        modules={"loud.py": backend_source() + touch},
    )  # fmt: skip
    ran = cli("backends")
    assert (ran.status, "loud" in ran.out, "acme-loud" in ran.out) == (0, True, True)
    listed = {each["name"]: each for each in json.loads(cli("backends", "--json").out)}
    assert listed["loud"]["target"] == "loud:Backend"
    assert listed["inmemory"]["aliases"] == ["memory"]
    assert "probe" not in listed["loud"]
    assert not (tmp_path / "imported").exists()
    assert cli("backends", "--probe", "-b", "loud").status == 0
    assert (tmp_path / "imported").exists()


def test_probing_tells_of_each_plugin_what_is_wrong_with_it(cli: CommandLine) -> None:
    sources = {
        "fine": backend_source("def __init__(self, path): pass"),
        "missing": "import no_such_module_at_all",
        "exits": "import os; print('chatter'); os._exit(7)",
        "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "hangs": "import time; time.sleep(600)",
        "prints": backend_source() + "print('{}')\n",
    }
    for name, source in sources.items():
        install(
            cli.site, f"acme-{name}", backends={name: f"acme_{name}:Backend"},
            modules={f"acme_{name}.py": source},
        )  # fmt: skip
    ran = cli("backends", "--probe", "--json", "--limit", "15")
    assert ran.status == 1
    probes = {each["name"]: each["probe"] for each in json.loads(ran.out)}
    assert probes["fine"]["ok"]
    assert probes["fine"]["needs"] == ["path"]
    assert probes["prints"]["ok"]
    assert "cas" in probes["inmemory"]["capabilities"]
    assert "no_such_module_at_all" in probes["missing"]["error"]
    assert "status 7" in probes["exits"]["error"]
    assert "SIGKILL" in probes["crashes"]["error"]
    assert "over 15 s" in probes["hangs"]["error"]
    table = cli("backends", "--probe", "--limit", "15", "-b", "missing")
    assert (table.status, "broken" in table.out, table.err) == (1, True, "")
    assert "no_such_module_at_all" in table.out


def test_policy_of_a_file_counts_for_the_listing_and_for_probes(cli: CommandLine) -> None:
    install(
        cli.site, "acme-b", backends={"b": "acme_b:Backend"},
        modules={"acme_b.py": "raise SystemExit"},
    )  # fmt: skip
    policy = cli.cwd / "policy.toml"
    policy.write_text("[memory.plugins]\nblock = ['acme-b']\n", encoding="utf-8")
    ran = cli("backends", "--probe", "--json", "--config", "policy.toml")
    assert ran.status == 0
    listed = {each["name"]: each for each in json.loads(ran.out)}
    assert listed["b"]["status"] == "blocked"
    assert "probe" not in listed["b"]


def test_a_broken_plugin_takes_nothing_else_down(store: CommandLine) -> None:
    install(
        store.site, "acme-bad", backends={"bad": "acme_bad:B"},
        modules={"acme_bad.py": "raise RuntimeError('no')"},
    )  # fmt: skip
    (store.site / "junk-1.dist-info").mkdir()
    (store.site / "junk-1.dist-info/entry_points.txt").write_bytes(b"[x]\nno equals\n\xff\n")
    assert store("set", "k", "1").status == 0
    assert store("get", "k").out == "1\n"
    assert store("backends").status == 0
    ran = store("get", "k", "--backend", "bad")
    assert (ran.status, len(ran.err.splitlines())) == (3, 1)
    assert "acme-bad" in ran.err


def test_what_is_published_and_not_installed_is_listed_apart(cli: CommandLine) -> None:
    listed, _, below = cli("backends").out.partition("\npublished, not installed\n")
    assert "fastadk-memory-inmemory" in listed
    assert "fastadk-memory-inmemory" not in below
    for each in published():
        installed = f" {each.distribution} " in listed
        assert (f" {each.distribution} " in below) is not installed
    assert "published" not in cli("backends", "-b", "inmemory").out


def test_all_that_is_published_is_listed_on_demand(cli: CommandLine) -> None:
    known = json.loads(cli("backends", "--known", "--json").out)
    assert [each["name"] for each in known] == [each.name for each in published()]
    assert {each["name"]: each["installed"] for each in known}["inmemory"] is True
    table = cli("backends", "--known").out
    assert all(each.summary in table for each in published())
    assert "known" not in json.dumps(json.loads(cli("backends", "--json").out))


def test_removing_tells_programs_how_many(store: CommandLine) -> None:
    for key in ("a", "b", "c"):
        store("set", key, "1")
    assert json.loads(store("delete", "a", "z", "--json").out) == {"removed": 1, "asked": 2}
    assert json.loads(store("clear", "--yes", "--json").out) == {"removed": 2}


def test_no_line_of_a_table_ends_in_spaces_where_no_terminal_is(cli: CommandLine) -> None:
    for command in ("backends", "config", "doctor"):
        assert [line for line in cli(command).out.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_flags_and_backends(cli: CommandLine, shell: str) -> None:
    def completed(line: str) -> str:
        words = line.split(" ")
        environ = {
            "_FASTADK_MEMORY_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1),
            "_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }  # fmt: skip
        return cli(environ=environ).out

    assert "backends" in completed("fastadk-memory back")
    assert "--namespace" in completed("fastadk-memory get --na")
    assert "inmemory" in completed("fastadk-memory keys --backend inm")
    assert "inmemory" in completed("fastadk-memory check inm")


# ------------------------------------------------------------------ how it ends


def test_a_failing_backend_is_status_3(store: CommandLine) -> None:
    ran = store("set", "k", "1", environ={"FASTADK_MEMORY_OPTIONS__FAIL_AFTER": "0"})
    assert (ran.status, ran.out) == (3, "")
    assert ran.err == "fastadk-memory: the shelf fell off the wall; put it back\n"


def test_an_unexpected_error_is_status_4_without_its_text_and_tells_how_to_see_it(
    cli: CommandLine,
) -> None:
    source = backend_source().replace(
        "async def get(self, key): ...", f"async def get(self, key): raise ValueError({SECRET!r})"
    )
    install(cli.site, "acme-x", backends={"x": "acme_x:Backend"}, modules={"acme_x.py": source})
    ran = cli("get", "k", "-b", "x")
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (4, "", 1)
    assert "ValueError" in ran.err
    assert "FASTADK_MEMORY_DEBUG=1" in ran.err
    assert SECRET not in ran.err
    debugged = cli("get", "k", "-b", "x", environ={"FASTADK_MEMORY_DEBUG": "1"})
    assert (debugged.status, "Traceback" in debugged.err) == (4, True)


def test_a_reader_that_goes_away_causes_no_noise(store: CommandLine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        store.command("demo", "--second", "inmemory"),
        cwd=store.cwd,
        env={**store.environment(), "PYTHONUNBUFFERED": "1"},
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (141, b"")


def test_without_the_extra_it_prints_the_command_that_installs_it(tmp_path: Path) -> None:
    package = Path(fastadk_memory.__file__).parent
    shutil.copytree(package, tmp_path / "bare" / package.name)
    # -S leaves out what is installed, typer and rich among it.
    ran = subprocess.run(
        [sys.executable, "-S", "-P", "-m", "fastadk_memory", "get", "k"],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "bare")},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert f"{sys.executable} -m pip install 'fastadk-memory[cli]'" in ran.stderr
    assert len(ran.stderr.splitlines()) == 2


def test_version_and_help(cli: CommandLine) -> None:
    assert cli("--version").out.startswith(f"fastadk-memory {__version__} (Python ")
    ran = cli()
    assert (ran.status, "Commands:" in ran.out) == (2, True)
    assert cli("--help").status == 0


@pytest.mark.parametrize("command", sorted(OF_A_MEMORY))
def test_every_command_takes_the_shared_flags_and_shows_examples(here: Here, command: str) -> None:
    status, out, _ = here(command, "--help")
    text = out.decode()
    assert status == 0
    for flag in ("--backend", "-b", "--url", "--option", "-o", "--profile", "--config"):
        assert f"{flag} " in text or f"{flag}," in text, flag
    assert f"Examples:\n    fastadk-memory {command}" in text


def test_the_commands_are_these() -> None:
    assert {command.name for command in app.registered_commands} == COMMANDS


def test_a_plain_get_loads_no_tables_no_hooks_and_no_demo() -> None:
    code = (
        "import sys; from fastadk_memory.cli import main; main(['get', 'k']); "
        "print(*sys.modules, file=sys.stdout)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "fastadk_memory_inmemory" in loaded
    ours = {"demo", "doctor", "probe", "replay", "screen", "transcript"}
    assert not loaded & {"pluggy", "importlib_metadata", *(f"fastadk_memory.{m}" for m in ours)}


def test_colour_only_on_a_terminal(cli: CommandLine) -> None:
    assert "\x1b" not in cli("doctor").out + cli("backends").out
    coloured = cli("doctor", environ={"FORCE_COLOR": "1", "TERM": "xterm"})
    assert "\x1b[" in coloured.out
    plain = cli("doctor", environ={"FORCE_COLOR": "1", "TERM": "xterm", "NO_COLOR": "1"})
    assert "\x1b[3" not in plain.out


def test_commands_in_the_output_are_never_broken_into_lines(cli: CommandLine) -> None:
    install(
        cli.site, "acme-with-a-rather-long-name", backends={"bad": "acme_bad:B"},
        modules={"acme_bad.py": "raise RuntimeError('no')"},
    )  # fmt: skip
    for environ in ({}, {"COLUMNS": "60"}):
        lines = [line.strip() for line in cli("doctor", environ=environ).out.splitlines()]
        cure = "-m pip install --upgrade --force-reinstall acme-with-a-rather-long-name"
        assert any(line.endswith(cure) for line in lines)


# ------------------------------------------------------------------ the page


def test_the_page_has_a_section_for_each_command_and_its_flags() -> None:
    page = Path(__file__).parents[1] / "docs" / "cli.md"
    text = page.read_text(encoding="utf-8")
    sections = {
        line.removeprefix("## `").removesuffix("`")
        for line in text.splitlines()
        if line.startswith("## `")
    }
    assert sections == COMMANDS
    command = typer.main.get_command(app)
    for name in COMMANDS:
        section = text.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
        sub = command.commands[name]  # type: ignore[attr-defined]
        for parameter in sub.params:
            if parameter.param_type_name == "option" and parameter.name not in SHARED:
                assert any(f"`{flag}" in section for flag in parameter.opts), parameter.opts


SHARED = {"backend", "url", "option", "namespace", "profile", "config", "help"}


def test_the_session_on_the_page_is_what_a_shell_shows(cli: CommandLine) -> None:
    page = Path(__file__).parents[1] / "docs" / "cli.md"
    install_store(cli.site)
    cli.environ["FASTADK_MEMORY_URL"] = f"store://?path={cli.folder / 'page.pickle'}"
    program = cli.folder / "bin" / "fastadk-memory"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(cli.command())} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    cli.environ["PATH"] = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    blocks = page.read_text(encoding="utf-8").split("```console\n")[1:]
    assert blocks
    for block in blocks:
        _replay(cli, block.partition("```")[0])


def _replay(cli: CommandLine, block: str) -> None:
    for part in ("\n" + block).split("\n$ ")[1:]:
        line, _, expected = part.partition("\n")
        ran = subprocess.run(
            ["sh", "-c", line],
            cwd=cli.cwd,
            env=cli.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            timeout=60,
        )
        assert ran.stdout.strip() == expected.strip(), line
