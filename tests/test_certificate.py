"""Certificates: only a good whole run gets one, and verifying tells every difference."""

from __future__ import annotations

import json
import shutil
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from commandline import CommandLine

from fastadk_memory.badge import badge, clause_table, empty_badge
from fastadk_memory.certificate import (
    Certificate,
    CertifiedClause,
    certify,
    read_certificate,
    seal_of,
)
from fastadk_memory.cli import main
from fastadk_memory.contract.clauses import ALL_TOGETHER, CLAUSES, CONTRACT_VERSION
from fastadk_memory.contract.law import LAWS
from fastadk_memory.contract.laws import load
from fastadk_memory.contract.limits import QUICK, Limits
from fastadk_memory.contract.outcome import Outcome, Status
from fastadk_memory.contract.report import Report
from fastadk_memory.errors import ConfigurationError
from fastadk_memory.installed import installed, total_of
from fastadk_memory.registry import BackendInfo, BackendRegistry
from fastadk_memory.verifying import present_versions

PACKAGE = '''
from fastadk_memory import MemoryBackend

class NotesBackend(MemoryBackend):
    """Not opened here: only its files count."""
'''


def lay_wheel(site: Path, **changed: str) -> None:
    """Lay an installed distribution into a folder, with a `RECORD` as pip writes it."""
    files = {
        "acme_notes/__init__.py": PACKAGE,
        "acme_notes/data.txt": "some data",
        "acme_notes-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme-notes\n"
        f"Version: {changed.get('version', '1.0')}\n",
        "acme_notes-1.0.dist-info/entry_points.txt": "[fastadk.memory_backends]\n"
        "notes = acme_notes:NotesBackend\n",
        "acme_notes-1.0.dist-info/INSTALLER": "pip\n",
    }
    record = [*files, "acme_notes/__pycache__/__init__.cpython-311.pyc", "../../bin/notes"]
    files["acme_notes-1.0.dist-info/RECORD"] = "".join(f"{name},,\n" for name in record)
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "site"
    lay_wheel(folder)
    monkeypatch.syspath_prepend(str(folder))
    return folder


def info_in(site: Path) -> BackendInfo:
    return BackendRegistry(path=[str(site)]).info("notes")


def report(*, partial: bool = False, **statuses: Status) -> Report:
    """Return a report in which every law passed but those of the clauses that are given."""
    load()
    made = Report("notes", QUICK, Limits(), ("ENTRIES",), partial=partial)
    for clause in [*CLAUSES, ALL_TOGETHER]:
        law = next(law for law in LAWS if law.clause == clause)
        made.outcomes.append(Outcome(law, statuses.get(clause, Status.PASSED), clause, "so it is"))
    return made


@pytest.fixture
def certificate(site: Path) -> Certificate:
    return certify(
        report(D2=Status.NOT_APPLICABLE),
        installed(info_in(site)),
        {"path": "here"},
        present_versions(),
    )


def write(certificate: Certificate, file: Path) -> Path:
    file.write_text(certificate.text(), encoding="utf-8")
    return file


# ------------------------------------------------------------------------ what is hashed


def test_of_an_installation_the_files_of_the_distribution_itself_are_hashed(site: Path) -> None:
    found = installed(info_in(site))
    assert (found.name, found.version, found.how) == ("acme-notes", "1.0", "record")
    assert list(found.files) == ["acme_notes/__init__.py", "acme_notes/data.txt"]
    assert found.total == total_of(found.files)


def test_an_editable_installation_of_the_same_sources_has_the_same_hashes(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = installed(info_in(site))
    sources = tmp_path / "sources"
    shutil.move(site / "acme_notes", sources / "acme_notes")
    (sources / "acme_notes" / "__pycache__").mkdir()
    (sources / "acme_notes" / "__pycache__" / "x.pyc").write_bytes(b"compiled")
    (site / "acme_notes-1.0.dist-info" / "RECORD").write_text("acme_notes.pth,,\n")
    (site / "acme_notes.pth").write_text(str(sources))
    monkeypatch.syspath_prepend(str(sources))
    found = installed(info_in(site))
    assert found.how == "editable"
    assert found.files == before.files


def test_a_single_module_is_hashed_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_lone_notes.py").write_text("x = 1\n")
    (tmp_path / "beside.py").write_text("y = 1\n")
    folder = tmp_path / "acme_notes-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-notes\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[fastadk.memory_backends]\nnotes = acme_lone_notes:N\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert list(installed(info_in(tmp_path)).files) == ["acme_lone_notes.py"]


def test_a_package_that_is_not_there_is_told(site: Path) -> None:
    shutil.rmtree(site / "acme_notes")
    (site / "acme_notes-1.0.dist-info" / "RECORD").write_text("")
    with pytest.raises(ConfigurationError, match="the package acme_notes cannot be found"):
        installed(info_in(site))


def test_looking_at_the_files_imports_none_of_them(site: Path) -> None:
    (site / "acme_notes" / "__init__.py").write_text("raise SystemExit('imported')\n")
    assert installed(info_in(site)).files
    assert "acme_notes" not in sys.modules


def test_what_the_application_registered_cannot_be_certified() -> None:
    registered = BackendInfo("x", (), None, None, "a callable", None, "ok", None)
    with pytest.raises(ConfigurationError, match="registered by the application"):
        installed(registered)


# ------------------------------------------------------------------- what is certified


@pytest.mark.parametrize("status", [Status.FAILED, Status.ERROR])
def test_a_run_that_fails_is_not_certified(site: Path, status: Status) -> None:
    with pytest.raises(ConfigurationError, match="nothing failed"):
        certify(report(T4=status), installed(info_in(site)), {}, {})


def test_a_part_of_a_run_is_not_certified(site: Path) -> None:
    with pytest.raises(ConfigurationError, match="whole run"):
        certify(report(partial=True), installed(info_in(site)), {}, {})


def test_what_is_written_is_what_is_read(certificate: Certificate, tmp_path: Path) -> None:
    again = read_certificate(write(certificate, tmp_path / "c.json"))
    assert again.as_json() == certificate.as_json()
    assert again.contract == CONTRACT_VERSION
    assert {each.clause for each in again.clauses} == {*CLAUSES, ALL_TOGETHER}


def edited(certificate: Certificate, file: Path, **changes: object) -> Path:
    """Write a certificate with changes and a seal that fits them, as a forger would."""
    content = {**certificate.as_json(), **changes}
    content["seal"] = seal_of(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def clauses_with(certificate: Certificate, **statuses: str) -> list[dict[str, object]]:
    return [
        {**clause, "status": statuses.get(clause["clause"], clause["status"])}
        for clause in certificate.as_json()["clauses"]
    ]


@pytest.mark.parametrize("status", ["failed", "error", "perfect"])
def test_a_certificate_of_a_run_that_failed_is_refused_whatever_its_seal(
    certificate: Certificate, tmp_path: Path, status: str
) -> None:
    forged = edited(certificate, tmp_path / "c.json", clauses=clauses_with(certificate, T4=status))
    with pytest.raises(ConfigurationError, match="a run that fails: T4"):
        read_certificate(forged)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"clauses": []}, "no clause passed"),
        ({"format": 2}, "the form 2"),
        ({"distribution": {"name": "x"}}, "lacks what a certificate has"),
        ({"date": "yesterday"}, "lacks what a certificate has"),
        ({"clauses": [{"clause": "K1"}]}, "lacks what a certificate has"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused(
    certificate: Certificate, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_certificate(edited(certificate, tmp_path / "c.json", **changes))


def test_a_certificate_that_leaves_out_a_clause_is_refused(
    certificate: Certificate, tmp_path: Path
) -> None:
    fewer = [each for each in certificate.as_json()["clauses"] if each["clause"] != "T4"]
    with pytest.raises(ConfigurationError, match="nothing of T4"):
        read_certificate(edited(certificate, tmp_path / "c.json", clauses=fewer))


def test_a_certificate_without_files_is_refused(certificate: Certificate, tmp_path: Path) -> None:
    of = {**certificate.as_json()["distribution"], "files": {}, "sha256": total_of({})}
    with pytest.raises(ConfigurationError, match="names no files"):
        read_certificate(edited(certificate, tmp_path / "c.json", distribution=of))


def test_a_certificate_that_was_edited_by_hand_is_refused(
    certificate: Certificate, tmp_path: Path
) -> None:
    file = write(certificate, tmp_path / "c.json")
    file.write_text(file.read_text("utf-8").replace('"quick"', '"soak"'), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="was changed after it was written"):
        read_certificate(file)


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", '{"seal": 1}', "\x00", "[" * 100_000])
def test_a_file_that_is_no_certificate_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"c\.json"):
        read_certificate(file)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_certificate(tmp_path / "none.json")


# ---------------------------------------------------------------------- what is verified


@pytest.fixture
def cli(tmp_path: Path, certificate: Certificate) -> CommandLine:
    line = CommandLine(tmp_path)
    write(certificate, line.cwd / "c.json")
    return line


def verified(cli: CommandLine) -> tuple[int, dict[str, list[str]]]:
    ran = cli("verify", "c.json", "--json")
    told: dict[str, list[str]] = {}
    for remark in json.loads(ran.out)["remarks"]:
        told.setdefault(remark["level"], []).append(remark["what"])
    return ran.status, told


def test_what_is_installed_as_it_was_certified_verifies(cli: CommandLine) -> None:
    status, told = verified(cli)
    assert status == 0
    assert set(told) == {"ok"}
    ran = cli("verify", "c.json")
    assert ran.status == 0
    assert ran.out.endswith("the certificate is about what is installed\n")


def test_every_file_that_differs_is_named(cli: CommandLine, site: Path) -> None:
    (site / "acme_notes" / "__init__.py").write_text("# patched\n")
    (site / "acme_notes" / "data.txt").unlink()
    (site / "acme_notes" / "more.py").write_text("")
    record = site / "acme_notes-1.0.dist-info" / "RECORD"
    record.write_text(record.read_text() + "acme_notes/more.py,,\n")
    status, told = verified(cli)
    assert status == 1
    assert told["problem"] == [
        "files: changed: acme_notes/__init__.py",
        "files: missing: acme_notes/data.txt",
        "files: added: acme_notes/more.py",
    ]
    assert cli("verify", "c.json").out.endswith("the certificate is about something else\n")


def test_another_version_of_the_distribution_is_told(cli: CommandLine, site: Path) -> None:
    lay_wheel(site, version="1.1")
    status, told = verified(cli)
    assert status == 1
    assert told["problem"] == ["version of acme-notes: certified 1.0, installed 1.1"]


def test_another_version_of_the_contract_or_the_interface_is_told(
    cli: CommandLine, certificate: Certificate
) -> None:
    edited(certificate, cli.cwd / "c.json", contract="0.9", api=0)
    status, told = verified(cli)
    assert status == 1
    assert told["problem"] == [
        f"contract: certified 0.9, installed {CONTRACT_VERSION}",
        "interface: certified 0, installed 1",
    ]


def test_what_it_was_made_with_may_differ_and_is_told(
    cli: CommandLine, certificate: Certificate
) -> None:
    versions = {**certificate.versions, "python": "3.9.0"}
    edited(certificate, cli.cwd / "c.json", versions=versions)
    status, told = verified(cli)
    assert status == 0
    assert len(told["warning"]) == 1
    assert told["warning"][0].startswith("python: certified with 3.9.0, here is ")


def test_a_backend_that_is_not_installed_cannot_be_verified(cli: CommandLine, site: Path) -> None:
    shutil.rmtree(site)
    ran = cli("verify", "c.json")
    assert ran.status == 2
    assert "no backend 'notes' is installed" in ran.err


# ------------------------------------------------------------------------- check --certify


def test_check_writes_no_certificate_for_a_run_that_fails(cli: CommandLine, site: Path) -> None:
    # Its nine methods are missing, so that it cannot even be made.
    (cli.cwd / "c.json").unlink()
    ran = cli("check", "notes", "--certify", "c.json")
    assert ran.status != 0
    assert not (cli.cwd / "c.json").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["inmemory", "--only", "C4"], "a whole run"),
        (["fastadk_memory_inmemory:InMemoryBackend"], "an installed distribution"),
        (["zzz"], "no backend 'zzz'"),
    ],
)
def test_what_cannot_be_certified_is_refused_before_the_run(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["check", *arguments, "--certify", str(tmp_path / "c.json")])
    captured = capsys.readouterr()
    assert status == 2
    assert told in captured.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_a_run_in_which_nothing_fails_is_certified_and_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "c.json"
    assert main(["check", "inmemory", "--certify", str(file)]) == 0
    made = read_certificate(file)
    assert made.distribution.name == "fastadk-memory-inmemory"
    assert made.versions.keys() == {"fastadk-memory", "python", "hypothesis"}
    assert made.capabilities == ("BULK", "CAS", "ENTRIES", "SCAN", "TOUCH")
    capsys.readouterr()
    assert main(["verify", str(file)]) == 0
    assert "the certificate is about what is installed" in capsys.readouterr().out


# ------------------------------------------------------------------------------ the badge


def test_the_badge_is_a_picture_that_says_how_many_clauses_are_kept(
    certificate: Certificate,
) -> None:
    picture = ET.fromstring(badge(certificate))
    assert picture.attrib["aria-label"] == "memory contract 1.0: 43 of 44 clauses kept"
    assert "http" not in badge(certificate).replace("http://www.w3.org/2000/svg", "")


def test_the_badge_tells_of_waived_clauses(site: Path) -> None:
    made = certify(report(V6=Status.WAIVED), installed(info_in(site)), {}, {})
    assert "43 of 44 clauses kept, 1 waived" in badge(made)


def test_without_a_certificate_the_badge_says_so() -> None:
    assert "not certified yet" in ET.fromstring(empty_badge()).attrib["aria-label"]


def test_the_table_has_a_row_for_each_clause_and_breaks_at_nothing_in_it(
    certificate: Certificate,
) -> None:
    rows = [line for line in clause_table(certificate).splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(certificate.clauses)
    odd = CertifiedClause("K1", "a | b", "passed", "two\nlines <b>", 1)
    table = clause_table(Certificate(**{**_fields(certificate), "clauses": (odd,)}))
    assert r"| K1 | a \| b | passed | 1 | two lines &lt;b&gt; |" in table.splitlines()


def _fields(certificate: Certificate) -> dict[str, object]:
    return {name: getattr(certificate, name) for name in Certificate.__dataclass_fields__}


def test_the_badge_and_the_table_are_written_where_they_are_asked_for(cli: CommandLine) -> None:
    ran = cli("badge", "c.json", "--output", "c.svg", "--table", "C.md")
    assert (ran.status, ran.out) == (0, "")
    assert (cli.cwd / "c.svg").read_text("utf-8") == cli("badge", "c.json").out
    assert "acme-notes 1.0 and the contract" in (cli.cwd / "C.md").read_text("utf-8")
    assert cli("badge", "c.json", "--output", "no/such/c.svg").status == 2


def test_no_badge_is_made_of_a_certificate_that_is_none(cli: CommandLine) -> None:
    (cli.cwd / "c.json").write_text("{}")
    ran = cli("badge", "c.json")
    assert (ran.status, ran.out) == (2, "")
