"""`fastadk-memory check` and `check()`: progress, the table, reports, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from commandline import TERMINAL
from mutants.reference import Reference, ReferenceHooks

from fastadk_memory import MemoryBackend, RecordBackend, backends
from fastadk_memory.cli import main
from fastadk_memory.contract import CLAUSES, ContractError, Waiver
from fastadk_memory.contract.checking import check, laws_named
from fastadk_memory.contract.htmlpage import html_page
from fastadk_memory.contract.law import LAWS
from fastadk_memory.contract.outcome import Outcome, Status
from fastadk_memory.contract.report import worst

MINE = '''
"""A backend of nine methods that folds the case of keys."""
import fnmatch
from fastadk_memory import MemoryBackend

class Folding(MemoryBackend):
    def __init__(self, suffix: str = ""):
        self.data = {}
        self.suffix = suffix
    async def set(self, key, value, ttl=None):
        self.data[key.lower()] = value
    async def get(self, key):
        return self.data.get(key.lower())
    async def delete(self, key):
        self.data.pop(key.lower(), None)
    async def exists(self, key):
        return key.lower() in self.data
    async def keys(self, pattern="*"):
        return [key for key in self.data if fnmatch.fnmatchcase(key, pattern)]
    async def clear(self):
        self.data.clear()
    async def clear_pattern(self, pattern):
        for key in await self.keys(pattern):
            del self.data[key]
    async def ttl(self, key):
        return None
    async def health_check(self):
        return True
'''


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no width of a terminal break the table into lines, and no colour get between."""
    for name in list(os.environ):
        if name.startswith(TERMINAL):
            monkeypatch.delenv(name)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory that holds the module `mine` with the backend `Folding`."""
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(["check", *arguments])
    out, err = capsys.readouterr()
    return status, out, err


# ---------------------------------------------------------------------- the command


def test_a_backend_that_keeps_the_clauses_gets_a_table_and_status_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "inmemory", "--only", "K3", "--only", "C4")
    assert status == 0
    assert re.search(r"^K3 +Keys come back as they were set +passed", out, re.M)
    assert re.search(r"^C4 +Deleting what is absent is no error +passed", out, re.M)
    assert "inmemory keeps the clauses that were asked for: 2 passed" in out
    assert re.search(r"^K3 +passed \(\d+ laws?, ", err, re.M), "no progress was shown"


def test_a_class_in_the_working_directory_is_checked_and_its_faults_are_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, "mine:Folding", "--only", "K3", "--only", "C3")
    assert status == 1
    assert re.search(r"^K3 +Keys come back as they were set +failed", out, re.M)
    assert "mine:Folding breaks K3" in out
    script = re.search(r"^    import asyncio$.*?^    asyncio\.run\(main\(\)\)$", out, re.M | re.S)
    assert script is not None
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script[0])],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_the_reports_hold_every_law_and_what_it_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reports = ("--json", "r.json", "--html", "r.html")
    status, _, _ = run(capsys, "mine:Folding", "--only", "K3", "--only", "M1", *reports)
    assert status == 1
    report = json.loads((folder / "r.json").read_text(encoding="utf-8"))
    assert report["ok"] is False
    assert report["capabilities"] == []
    clauses = {each["clause"]: each for each in report["clauses"]}
    assert clauses["K3"]["status"] == "failed"
    assert clauses["M1"]["status"] == "refused"
    laws = {law["law"] for clause in report["clauses"] for law in clause["laws"]}
    assert laws == {law.id for law in LAWS if law.clause in ("K3", "M1")}
    page = (folder / "r.html").read_text(encoding="utf-8")
    assert "mine:Folding" in page
    assert all(law in page for law in laws)


def test_json_to_the_output_is_nothing_but_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "inmemory", "--only", "C4", "--json", "-")
    assert status == 0
    assert json.loads(out)["backend"] == "inmemory"
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nosuch"], "no backend 'nosuch'"),
        (["mine:Nosuch"], "cannot be imported"),
        (["nosuch_module:Class"], "cannot be imported"),
        (["inmemory", "--only", "Q9"], "no clause or law 'Q9'"),
        (["inmemory", "--profile", "endless"], "quick, full, soak"),
        (["inmemory", "-o", "max_entries"], "name=value"),
        (["inmemory", "-o", "max_entries=many"], "max_entries"),
        (["inmemory", "--html", "no/such/folder/r.html"], "no such folder"),
        (["inmemory", "--blob", "x:y"], "one law"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    status, out, err = run(capsys, *arguments)
    assert status in (2, 3)
    assert told in err
    assert out == ""


# --------------------------------------------------------------- data that is not its own


def test_a_store_with_data_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def put() -> None:
        async with backends.create("shelf", path=tmp_path) as memory:
            await memory.set("precious", "data")

    asyncio.run(put())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    status, _, err = run(capsys, "shelf", "-o", f"path={tmp_path}")
    assert status == 2
    assert "the store is not empty: it holds 1 keys" in err
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_one_empty_store_for_all_examples_is_refused_and_stays_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, "shelf", "-o", f"path={tmp_path / 'one'}")
    assert status == 2
    assert "{tmp}" in err
    assert list((tmp_path / "one").iterdir()) == []


def test_placeholders_make_every_store_a_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("path={tmp}/a", f"path={tmp_path}/{{unique}}"):
        status, _, err = run(capsys, "shelf", "-o", option, "--only", "C4")
        assert status == 0, err


def test_a_store_with_a_name_of_its_own_is_emptied_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = f"path={tmp_path}/{{unique}}"
    assert run(capsys, "shelf", "-o", option, "--only", "K3")[0] == 0
    assert list(tmp_path.iterdir()), "no store was made there"
    assert list(tmp_path.glob("*/*")) == []


# -------------------------------------------------------------------------- in Python


def test_check_takes_a_registered_name_a_class_a_callable_and_hooks() -> None:
    class Mine(RecordBackend):
        def __init__(self) -> None:
            super().__init__()
            self.data: dict[str, bytes] = {}

        async def read_record(self, key):
            return self.data.get(key)

        async def write_record(self, key, record):
            self.data[key] = record

        async def delete_record(self, key):
            self.data.pop(key, None)

        async def list_records(self, prefix):
            for key, record in self.data.copy().items():
                yield key, record

    def make(*, name: str = "x") -> MemoryBackend:
        return Mine()

    with backends.override("mine", Mine):
        reports = [check(way, only=["C4"]) for way in ("mine", Mine, make, ReferenceHooks)]
    assert [report.ok for report in reports] == [True] * 4
    assert [report.backend for report in reports] == ["mine", "Mine", "make", "ReferenceHooks"]


def test_a_run_that_tries_no_law_is_not_ok() -> None:
    report = check(ReferenceHooks, only=["D2"])
    statuses = {outcome.status for outcome in report.outcomes}
    assert statuses == {Status.NOT_APPLICABLE}
    assert not report.ok


def test_a_waiver_shows_in_the_report() -> None:
    class Raises(Reference):
        async def delete(self, key: str) -> None:
            if not await self.exists(key):
                raise KeyError(key)
            await super().delete(key)

    class Way(ReferenceHooks):
        backend_class = Raises

    law = "deleting_an_absent_key_is_no_error"
    report = check(Way, only=[f"C4_{law}"], waivers=[Waiver("C4", law, "so it has always been")])
    row = report.rows()[0]
    assert row.status is Status.WAIVED
    assert "so it has always been" in row.reason
    assert "so it has always been" in html_page(report)


def test_every_clause_has_a_law() -> None:
    laws_named()
    assert {law.clause for law in LAWS} >= set(CLAUSES)


def test_an_unknown_clause_is_refused() -> None:
    with pytest.raises(ContractError, match="Q9"):
        laws_named(["Q9"])


def test_a_clause_is_as_bad_as_the_worst_of_its_laws() -> None:
    assert worst([Status.PASSED, Status.FAILED, Status.REFUSED]) is Status.FAILED
    assert worst([Status.PASSED, Status.NOT_APPLICABLE]) is Status.PASSED
    assert worst([Status.REFUSED, Status.NOT_APPLICABLE]) is Status.REFUSED
    assert worst([Status.NOT_APPLICABLE]) is Status.NOT_APPLICABLE
    assert worst([]) is Status.NOT_APPLICABLE


def test_the_page_escapes_what_a_backend_says() -> None:
    law = laws_named(["C4"])[0]
    report = check(ReferenceHooks, only=[law.id])
    report.outcomes = [Outcome(law, Status.FAILED, "C4", "<script>alert(1)</script>", "a < b")]
    page = html_page(report)
    assert "<script>" not in page
    assert "a &lt; b" in page
