"""fastadk_memory.doctor: what it finds, the command that mends it, and the exit status."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from commandline import CommandLine, install_store
from distributions import backend_source, install

SECRET = "hunter2-s3cr3t"


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def diagnose(cli: CommandLine, *arguments: str, **environ: str) -> dict[str, Any]:
    ran = cli("doctor", "--json", *arguments, environ=environ)
    assert ran.err == ""
    found: dict[str, Any] = json.loads(ran.out)
    assert ran.status == (0 if found["ok"] else 1)
    assert found["ok"] is not any(each["level"] == "problem" for each in found["findings"])
    for each in found["findings"]:
        assert (each["cure"] is None) is (each["level"] == "ok"), each
    return found


def problems(found: dict[str, Any]) -> list[dict[str, str]]:
    return [each for each in found["findings"] if each["level"] == "problem"]


def plugin(cli: CommandLine, name: str, source: str, **more: Any) -> None:
    install(
        cli.site, f"acme-{name}", backends={name: f"acme_{name}:Backend"},
        modules={f"acme_{name}.py": source}, **more,
    )  # fmt: skip


def exports(found: dict[str, Any]) -> dict[str, str]:
    """Run the `export` commands among the cures in a shell; return what they set."""
    cures = [line for each in problems(found) for line in each["cure"].splitlines()]
    commands = [line for line in cures if line.startswith("export ")]
    script = "\n".join([*commands, "env"])
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    return dict(
        line.split("=", 1)
        for line in ran.stdout.splitlines()
        if line.startswith("FASTADK_MEMORY_PLUGINS__")
    )


def test_all_is_well_with_the_default_backend_and_the_figures_are_there(cli: CommandLine) -> None:
    found = diagnose(cli)
    assert found["ok"]
    assert (found["backend"], found["healthy"]) == ("inmemory", True)
    assert found["open_ms"] >= 0
    assert 0 < found["latency_ms"] < 1000
    ran = cli("doctor")
    assert (ran.status, ran.out.splitlines()[-1], ran.err) == (0, "all is well", "")


def test_a_plugin_that_cannot_be_loaded_is_a_problem_until_it_is_blocked(cli: CommandLine) -> None:
    plugin(cli, "missing", "import no_such_module_at_all")
    plugin(cli, "exits", "import os; os._exit(3)")
    found = diagnose(cli)
    assert len(problems(found)) == 2
    assert all("install --upgrade --force-reinstall acme-" in p["cure"] for p in problems(found))
    # Neither keeps the doctor from the backend that is in use.
    assert found["healthy"] is True
    mended = diagnose(cli, **exports(found))
    assert mended["ok"]
    assert [each["what"] for each in mended["findings"] if "kept out" in each["what"]]


def test_the_commands_keep_what_a_file_blocks_and_pins(cli: CommandLine) -> None:
    (cli.cwd / "fastadk.toml").write_text(
        "[memory.plugins]\nblock = ['acme-exits']\n"
        "pins = { inmemory = 'fastadk-memory-inmemory' }\n",
        encoding="utf-8",
    )
    plugin(cli, "exits", "import os; os._exit(3)")
    plugin(cli, "missing", "import no_such_module_at_all")
    for distribution in ("acme-one", "acme-two"):
        install(cli.site, distribution, backends={"both": "acme_both:Backend"})
    found = diagnose(cli)
    assert exports(found) == {
        "FASTADK_MEMORY_PLUGINS__BLOCK": "acme-exits,acme-missing",
        "FASTADK_MEMORY_PLUGINS__PINS": "inmemory=fastadk-memory-inmemory,both=acme-one",
    }


def test_a_plugin_that_hangs_is_ended_after_the_limit(cli: CommandLine) -> None:
    plugin(cli, "hangs", "import time; time.sleep(600)")
    [problem] = problems(diagnose(cli, "--limit", "15"))
    assert "took over 15 s" in problem["what"]


def test_a_conflict_is_a_problem_that_the_printed_pin_settles(cli: CommandLine) -> None:
    install(cli.site, "acme-rival", backends={"inmemory": "rival:Backend"})
    found = diagnose(cli)
    assert "claimed by 2 distributions" in problems(found)[0]["what"]
    assert exports(found) == {"FASTADK_MEMORY_PLUGINS__PINS": "inmemory=fastadk-memory-inmemory"}
    assert found["healthy"] is None  # not opened
    assert diagnose(cli, **exports(found))["ok"]


def test_malformed_metadata_is_a_problem_with_its_place(cli: CommandLine) -> None:
    info = install(cli.site, "acme-bad", backends={"bad": "x"})
    (info / "entry_points.txt").write_bytes(
        b"[fastadk.memory_backends]\nno equals sign\nbad\xff = x:y\n"
    )
    found = problems(diagnose(cli))
    assert len(found) == 2
    assert all(str(info) in each["what"] for each in found)


def test_a_malformed_package_that_is_none_of_ours_is_none_of_our_business(
    cli: CommandLine,
) -> None:
    for name, text in [("junk-1.dist-info", b"[x]\nno equals\n"), ("-x.dist-info", b"\xff\xfe")]:
        (cli.site / name).mkdir(parents=True)
        (cli.site / name / "entry_points.txt").write_bytes(text)
    assert diagnose(cli)["ok"]


def test_a_wrong_configuration_is_a_problem_and_the_plugins_are_listed_all_the_same(
    cli: CommandLine, tmp_path: Path
) -> None:
    marker = tmp_path / "imported"
    plugin(cli, "loud", f"{backend_source()}\nopen({str(marker)!r}, 'w').close()")
    for text in ("[memory", "[memory]\nbackend = 1", "[memory]\nbackand = 'x'"):
        (cli.cwd / "fastadk.toml").write_text(text, encoding="utf-8")
        found = diagnose(cli)
        assert "the configuration is wrong: fastadk.toml" in problems(found)[0]["what"]
        assert (found["backend"], found["healthy"]) == (None, None)
        assert any("loud" in each["what"] for each in found["findings"])
        # What the policy says is not known, so nothing may be loaded.
        assert not marker.exists()


def test_an_unknown_backend_comes_with_the_command_that_installs_it(cli: CommandLine) -> None:
    # It may be installed where the tests run: an empty one of its name comes first.
    install(cli.site, "fastadk-memory-redis")
    [problem] = problems(diagnose(cli, "-b", "redis"))
    assert problem["cure"].endswith("-m pip install fastadk-memory-redis")
    [problem] = problems(diagnose(cli, "-b", "nosuch"))
    assert problem["cure"] == "fastadk-memory backends"


def test_options_that_are_wrong_are_a_problem(cli: CommandLine) -> None:
    [problem] = problems(diagnose(cli, "-o", "colour=red"))
    assert "colour" in problem["what"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return False", "not healthy"),
        ("raise RuntimeError(SECRET)", "raised RuntimeError"),
        ("await __import__('asyncio').sleep(600)", "did not answer within 5 s"),
        (
            "raise __import__('fastadk_memory').BackendUnavailableError('away: start it')",
            "away: start it",
        ),
        (
            "raise __import__('fastadk_memory').BackendTimeoutError('slow: start it')",
            "slow: start it",
        ),
    ],
)
def test_a_backend_that_is_not_well_is_a_problem(cli: CommandLine, body: str, told: str) -> None:
    source = backend_source().replace("return True", body).replace("SECRET", repr(SECRET))
    plugin(cli, "ill", source)
    # Which of the other plugins is looked at in so short a time depends on the machine.
    only = {"FASTADK_MEMORY_PLUGINS__ALLOW": "acme-ill"}
    found = diagnose(cli, "-b", "ill", "--limit", "5" if "sleep" in body else "30", **only)
    [problem] = problems(found)
    assert told in problem["what"]
    assert SECRET not in json.dumps(found)
    assert found["healthy"] is False
    assert diagnose(cli)["ok"]  # it is not in use by default


def test_what_a_backend_warns_of_itself_is_shown_and_is_no_problem(cli: CommandLine) -> None:
    method = """
    async def health(self):
        from types import SimpleNamespace
        return SimpleNamespace(warnings=("it forgets; buy more memory", "it is old; renew it"))
"""
    plugin(cli, "frank", backend_source() + method)
    for url in ("frank://", "frank://?namespace=a&default_ttl=5"):
        found = diagnose(cli, FASTADK_MEMORY_URL=url)
        assert found["ok"]
        warnings = [each for each in found["findings"] if each["level"] == "warning"]
        assert [(each["what"], each["cure"]) for each in warnings] == [
            ("it forgets", "buy more memory"),
            ("it is old", "renew it"),
        ]


def test_a_backend_that_is_well_but_cannot_read_is_a_problem(cli: CommandLine) -> None:
    source = backend_source().replace(
        "async def exists(self, key): return False",
        "async def exists(self, key): raise OSError('disk')",
    )
    plugin(cli, "ill", source)
    assert "raised OSError" in problems(diagnose(cli, "-b", "ill"))[0]["what"]


def test_the_doctor_changes_nothing(cli: CommandLine, tmp_path: Path) -> None:
    install_store(cli.site)
    path = tmp_path / "store.pickle"
    options = ("-b", "store", "-o", f"path={path}")
    cli("set", "k", "1", *options)
    before = path.read_bytes()
    assert diagnose(cli, *options)["healthy"] is True
    assert path.read_bytes() == before


def test_what_is_passed_over_is_a_warning_and_does_not_count(cli: CommandLine) -> None:
    (cli.cwd / "fastadk.toml").write_text("[memory]\nbackend = 'inmemory'\n", encoding="utf-8")
    (cli.cwd / "fastadk.yaml").write_text("memory: {}\n", encoding="utf-8")
    found = diagnose(cli)
    assert found["ok"]
    assert [e["what"] for e in found["findings"] if e["level"] == "warning"] == [
        "fastadk.yaml is ignored: fastadk.toml in the same folder counts instead"
    ]


def test_a_plugin_around_backends_that_cannot_be_loaded_is_a_problem(cli: CommandLine) -> None:
    install(
        cli.site, "acme-audit", groups={"fastadk.memory_plugins": {"audit": "acme_audit"}},
        modules={"acme_audit.py": "raise RuntimeError('no')"},
    )  # fmt: skip
    found = problems(diagnose(cli))
    assert found
    assert all("acme-audit" in each["what"] for each in found)


def test_without_any_backend_the_cure_is_to_install_one(cli: CommandLine) -> None:
    found = diagnose(cli, FASTADK_MEMORY_PLUGINS__ALLOW="nothing")
    cures = [each["cure"] for each in problems(found)]
    assert any(re.search(r"-m pip install fastadk-memory-inmemory$", cure) for cure in cures)
