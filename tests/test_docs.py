"""The documentation: its Python runs and prints what it says, its references lead somewhere."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise, zip_longest
from pathlib import Path

import pytest

import fastadk_memory

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("plugins/*/README.md"),
        *ROOT.glob("examples/*/README.md"),
    ]
)
SECONDS = re.compile(r"(\d{2,}|None)( (\d{2,}|None))*\n")
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
CLAUSE_HEADING = re.compile(r"^### (?P<id>[A-Z]\d) .*\{ #(?P<anchor>\w+) \}$", re.MULTILINE)
CLAUSES = re.findall(
    r"\w+",
    "K1 K2 K3 V1 V2 V3 V4 V5 V6 T1 T2 T3 T4 T5 T6 T7 P1 P2 P3 P4 C1 C2 C3 C4 N1 N2 "
    "X1 X2 X3 X4 L1 L2 L3 H1 E1 E2 E3 E4 D1 D2 U1 M1 B1 S1",
)

# Runs a page's snippets in one namespace, `await` at the top level included.
RUNNER = """
import ast, asyncio, inspect, sys

page, snippets = ast.literal_eval(sys.stdin.read())
names = {"__name__": "__main__"}
with asyncio.Runner() as runner:
    for line, source in snippets:
        code = compile("\\n" * line + source, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(eval(code, names))
        else:
            exec(code, names)
"""


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _fences(page: Path) -> list[tuple[int, str, str]]:
    """Return the line number, the kind and the text of each fenced block."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start()) + 1, found["info"].strip(), found["body"])
        for found in FENCE.finditer(text)
    ]


def _python(page: Path) -> list[tuple[int, str]]:
    return [(line, body) for line, info, body in _fences(page) if info == "python"]


def _promised_output(page: Path) -> str:
    fences = _fences(page)
    return "".join(
        body
        for (_, before, _), (_, info, body) in pairwise(fences)
        if before == "python" and info == "text"
    )


@pytest.mark.thorough
@pytest.mark.parametrize("page", [page for page in PAGES if _python(page)], ids=_name)
def test_the_python_of_a_page_runs_and_prints_what_the_page_shows(
    page: Path, tmp_path: Path
) -> None:
    # A process of its own, in an empty folder: nothing configured, nothing registered.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FASTADK", "PYTHON"))
    }
    ran = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", RUNNER],
        input=repr((_name(page), _python(page))),
        cwd=tmp_path,
        env={**environment, "PYTHONUTF8": "1", **_sources()},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    promised = _promised_output(page)
    assert _timeless(ran.stdout, promised) == promised


def _timeless(printed: str, promised: str) -> str:
    """Return what was printed, but seconds left as they were promised, unless far from it."""
    lines, wanted = printed.splitlines(keepends=True), promised.splitlines(keepends=True)
    return "".join(
        want if SECONDS.fullmatch(want) and _near(here, want) else here
        for here, want in zip_longest(lines, wanted, fillvalue="")
    )


def _near(printed: str, promised: str) -> bool:
    pairs = list(zip_longest(printed.split(), promised.split(), fillvalue=""))
    return all(
        here == want or (here.isdigit() and want.isdigit() and 0 <= int(want) - int(here) <= 10)
        for here, want in pairs
    )


def _sources() -> dict[str, str]:
    # Where the tests run from the sources without an installation, the pages do, too.
    package = Path(fastadk_memory.__file__).parents[1]
    return {"PYTHONPATH": str(package)} if package == ROOT else {}


def test_the_pages_that_must_hold_python_do() -> None:
    for name in ("README.md", "docs/quickstart.md", "docs/api/memory/base.md"):
        assert _python(ROOT / name), name


def test_the_contract_page_has_every_clause_under_its_id_and_no_other() -> None:
    text = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
    headings = CLAUSE_HEADING.findall(text)
    assert [clause for clause, _ in headings] == CLAUSES
    assert all(clause == anchor for clause, anchor in headings)
    assert text.count("\n### ") == len(CLAUSES)


def test_every_clause_of_the_contract_page_tells_why() -> None:
    text = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        assert section.count("*Why.*") == 1, section.splitlines()[0]


def test_every_clause_that_a_docstring_or_a_page_links_to_exists() -> None:
    sources = [*PAGES, *Path(fastadk_memory.__file__).parent.rglob("*.py")]
    linked = {
        (clause, source.name)
        for source in sources
        for clause in re.findall(r"\[([A-Z]\d+)\]\[\]", source.read_text(encoding="utf-8"))
    }
    assert linked, "no docstring links to a clause any more"
    assert {clause for clause, _ in linked} <= set(CLAUSES)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_relative_link_of_a_page_leads_to_a_file(page: Path) -> None:
    prose = FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)", prose)
    assert [target for target in targets if not _leads_to_a_file(page, target)] == []


def _leads_to_a_file(page: Path, target: str) -> bool:
    if (page.parent / target).exists():
        return True
    # Where the tests run on installed wheels, the packages are not beside the pages.
    package, _, rest = target.partition("/")
    found = find_spec(package) if package.startswith("fastadk_memory") else None
    return found is not None and Path(str(found.origin)).with_name(rest).exists()


def test_the_interface_page_renders_the_base_classes() -> None:
    page = (ROOT / "docs/api/memory/base.md").read_text(encoding="utf-8")
    for name in ("MemoryBackend", "MemoryEntry"):
        assert f"\n::: fastadk_memory.base.{name}\n" in page
        assert hasattr(__import__("fastadk_memory.base", fromlist=[name]), name)


def test_ci_runs_exactly_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.partition("\n## Run the tests\n")[2]
    command = FENCE.search(section)
    assert command is not None
    assert command["info"] == "bash"
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert script == (
        "#!/usr/bin/env bash\n"
        "set -euo pipefail\n"
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."\n' + command["body"]
    )


def test_the_command_of_the_readme_installs_what_there_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    command = readme.partition("\n## Try it\n")[2]
    folders = re.findall(r"\./((?:plugins|examples)/\w+)", command.partition("\n```\n")[0])
    projects = [path.parent for path in ROOT.glob("plugins/*/pyproject.toml")]
    assert {f"plugins/{path.name}" for path in projects} <= set(folders)
    assert all((ROOT / folder / "pyproject.toml").is_file() for folder in folders)


def test_no_page_has_a_python_snippet_that_is_not_python() -> None:
    for page in PAGES:
        for line, source in _python(page):
            compile(source, f"{_name(page)}:{line}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
