"""The tables of mutants in the documentation: docs/contract.md in short, docs/teeth.md in full."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from fastadk_memory.contract import CLAUSES

if TYPE_CHECKING:
    from .teeth import Catch

ROOT = Path(__file__).parents[2]
SHORT = ROOT / "docs/contract.md"
FULL = ROOT / "docs/teeth.md"
BEGIN, END = "<!-- teeth: begin -->", "<!-- teeth: end -->"


def bring_up_to_date(catches: list[Catch], *, write: bool) -> int:
    """Compare the documentation with what was found, or write it.

    What was caught first by which law, and after how many examples and seconds, is shown and
    not compared: that differs with the machine and with the versions of Python and Hypothesis.

    Returns:
        1 if the documentation tells of other mutants and was not to be written.
    """
    status = 0
    for page, text, columns in ((SHORT, short_table(catches), 2), (FULL, full_table(catches), 1)):
        old = page.read_text(encoding="utf-8")
        new = _between_markers(old, text)
        before, after = _first_columns(old, columns), _first_columns(new, columns)
        if write:
            page.write_text(new, encoding="utf-8")
        elif before != after:
            lines = difflib.unified_diff(before, after, lineterm="", n=0)
            print(f"{page.name} is out of date; run: nox -s teeth -- --write", *lines, sep="\n")
            status = 1
    return status


def short_table(catches: list[Catch]) -> str:
    """Return a row for each clause."""
    lines = [
        "| Clause | Mutants | Killed by | Examples | Seconds |",
        "| --- | --: | --- | --: | --: |",
    ]
    for clause in CLAUSES:
        mine = [catch for catch in catches if catch.clause == clause]
        laws = dict.fromkeys(_law(catch) for catch in mine)
        seconds = sum(catch.seconds for catch in mine)
        examples = sum(catch.examples for catch in mine)
        lines.append(
            f"| [{clause}](#{clause}) | {len(mine)} | {', '.join(laws)} "
            f"| {examples:,} | {seconds:.1f} s |"
        )
    killed = sum(catch.law is not None for catch in catches)
    lines.append(f"| all | {len(catches)} | {killed} killed | | |")
    return "\n".join(lines)


def full_table(catches: list[Catch]) -> str:
    """Return a heading for each clause, and below it a row for each mutant."""
    lines: list[str] = []
    for clause, described in CLAUSES.items():
        lines += [f"## {clause} {described.title}", ""]
        lines += ["| What is wrong | Killed by | Examples | Seconds |", "| --- | --- | --: | --: |"]
        lines += [
            f"| {catch.fault.replace('|', '&#124;')} | {_law(catch)} "
            f"| {catch.examples:,} | {catch.seconds:.2f} s |"
            for catch in catches
            if catch.clause == clause
        ]
        lines.append("")
    return "\n".join(lines).rstrip()


def _law(catch: Catch) -> str:
    law = (catch.law or "survives").removeprefix(f"{catch.clause}_")
    return law.replace("_", " ")


def _between_markers(page: str, text: str) -> str:
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert rest, f"the page has no {BEGIN}"
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _first_columns(page: str, number: int) -> list[str]:
    """Return the rows of a page's tables, each cut after some columns."""
    rows = (line for line in page.splitlines() if line.startswith("| "))
    return ["|".join(row.split("|")[: number + 1]) for row in rows]
