"""Writes the tables of docs/backends.md: `nox -s backends`, with `-- --write` into the page.

What each official backend declares is read from its class, and what it keeps comes from a run
of the contract on each topology that the plugin's `tests/topologies.py` lists: a mapping
`TOPOLOGIES` of labels to callables that start what is needed and return the way to the
backend, a subclass of `Hooks`.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from fastadk_memory import Capability, backends
from fastadk_memory.contract import CONTRACT_VERSION, Hooks, Report, check
from fastadk_memory.contract.outcome import Status
from fastadk_memory.directory import published

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "backends.md"

MEANING = {
    Capability.ENTRIES: "metadata, creation time and versions",
    Capability.CAS: "compare-and-set",
    Capability.TOUCH: "a new expiry without a new value",
    Capability.BULK: "bulk calls faster than single ones",
    Capability.SCAN: "listing in bounded memory",
    Capability.PERSISTENT: "survives closing and reopening",
    Capability.DURABLE_PROCESS: "a write survives `kill -9`",
    Capability.DURABLE_POWER: "a write survives a loss of power",
    Capability.MULTI_PROCESS: "shared by processes",
    Capability.MULTI_HOST: "shared by machines",
}


def official() -> list[str]:
    """Return the names of the official backends whose sources are here, in their order."""
    return [
        each.name
        for each in published()
        if each.official and (ROOT / "plugins" / each.name / "pyproject.toml").is_file()
    ]


def declared_table() -> str:
    """Return what the classes declare: a row for each capability, a column for each backend."""
    names = official()
    declared = {name: backends.load(name).capabilities for name in names}  # type: ignore[union-attr]
    lines = [
        f"| Capability | What it means | {' | '.join(f'`{name}`' for name in names)} |",
        f"| --- | --- |{' :---: |' * len(names)}",
    ]
    for capability, meaning in MEANING.items():
        cells = ("yes" if capability in declared[name] else "" for name in names)
        row = " | ".join([f"`{capability.name}`", meaning, *cells])
        lines.append(re.sub(r"  +", " ", f"| {row} |"))
    return "\n".join(lines) + "\n"


def topologies() -> Iterator[tuple[str, str, Callable[[], type[Hooks]]]]:
    """Yield each official backend with each topology: name, label, and what leads to it."""
    for name in official():
        file = ROOT / "plugins" / name / "tests" / "topologies.py"
        sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(f"topologies_of_{name}", file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for label, way in module.TOPOLOGIES.items():
            yield name, label, way


def measured_table() -> str:
    """Run the contract on each topology, and return a row for each."""
    contract = f"Contract {CONTRACT_VERSION}"
    lines = [
        f"| Backend | Topology | {contract} | Not kept | Not tried | Laws | Examples |",
        "| --- | --- | --- | --- | --- | ---: | ---: |",
    ]
    for name, label, way in topologies():
        print(f"{name}, {label} ...", flush=True)
        report = check(way())
        print(f"  {'ok' if report.ok else 'FAILED'} in {report.seconds:.0f} s", flush=True)
        lines.append(_row(name, label, report))
    return "\n".join(lines) + "\n"


def _row(name: str, label: str, report: Report) -> str:
    rows = [row for row in report.rows() if row.clause != "ALL"]
    kept = sum(row.status in (Status.PASSED, Status.REFUSED) for row in rows)
    bad = ", ".join(row.clause for row in rows if not row.status.good)
    untried = ", ".join(row.clause for row in rows if row.status is Status.NOT_APPLICABLE)
    examples = sum(each.examples for each in report.outcomes)
    cells = (
        f"`{name}`", label, f"{kept} of {len(rows)} clauses", bad, untried,
        str(len(report.outcomes)), f"{examples:,}",
    )  # fmt: skip
    return re.sub(r"  +", " ", f"| {' | '.join(cells)} |")


def section(text: str, name: str) -> str:
    """Return what stands between the marks of a section."""
    return text.partition(f"<!-- {name}: begin -->\n")[2].partition(f"<!-- {name}: end -->")[0]


def with_section(text: str, name: str, content: str) -> str:
    """Return the page with a section replaced."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    head, _, rest = text.partition(begin)
    return f"{head}{begin}\n{content}\n{end}{rest.partition(end)[2]}"


def main() -> int:
    """Print the tables, or write them into the page."""
    tables = {"declared": declared_table(), "measured": measured_table()}
    if "--write" in sys.argv[1:]:
        text = PAGE.read_text(encoding="utf-8")
        for name, content in tables.items():
            text = with_section(text, name, content)
        PAGE.write_text(text, encoding="utf-8", newline="\n")
    else:
        print("\n".join(tables.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
