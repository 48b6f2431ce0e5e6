"""What the command line shows: tables and steps on a terminal, through rich.

Everything here goes to standard output, in colour only on a terminal and only if the
environment does not set `NO_COLOR`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from shlex import quote
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pathlib import Path

    from fastadk_memory.certificate import Certificate
    from fastadk_memory.config import Configuration
    from fastadk_memory.directory import Published
    from fastadk_memory.doctor import Diagnosis
    from fastadk_memory.probe import Probe
    from fastadk_memory.registry import BackendInfo
    from fastadk_memory.replay import Operation, Replay, Step
    from fastadk_memory.verifying import Comparison

__all__ = ["Screen"]

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Let the command end as it does at any other print, instead of exiting here."""
        raise


class Screen:
    """Prints for people. Implements the demo's `Listener`."""

    def __init__(self) -> None:
        self.console = _Console(highlight=False)
        if not self.console.is_terminal and "COLUMNS" not in os.environ:
            # A file or a program reads: nothing is to be broken into lines for it.
            self.console.width = 1000

    def say(self, text: str = "") -> None:
        """Print one line of plain text."""
        self.console.print(Text(text))

    def heading(self, text: str) -> None:
        """Print a line that begins a part."""
        self.console.print(Text(text, style="bold"))

    def finding(self, level: str, what: str, cure: str | None = None) -> None:
        """Print one finding and below it the command that mends it.

        Args:
            level: `ok`, `warning` or `problem`.
            what: What was found.
            cure: What to do about it.
        """
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=8)
        grid.add_column(overflow="fold")
        grid.add_row(Text(level, style=_STYLES[level]), Text(what))
        self.console.print(grid)
        for line in (cure or "").splitlines():
            self.command(line, indent=9)

    def command(self, line: str, *, indent: int = 2) -> None:
        """Print a command. It is never broken by us: it is there to be copied."""
        self.console.print(Text(" " * indent + line, style="cyan"), soft_wrap=True)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False
    ) -> None:
        """Print a table.

        Args:
            columns: The headings.
            rows: One sequence of cells for each row.
            numbers: Whether all columns but the first hold numbers, set to the right.
        """
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for index, column in enumerate(columns):
            right = numbers and index > 0
            table.add_column(column, justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        self.show(table)

    def show(self, table: Table) -> None:
        """Print a table of rich's making."""
        if self.console.is_terminal:
            self.console.print(table)
            return
        with self.console.capture() as captured:
            self.console.print(table)
        for line in captured.get().splitlines():
            self.say(line.rstrip())  # rich fills each line up to the width

    # ------------------------------------------------------------------------ the demo

    def doing(self, what: str) -> AbstractContextManager[object]:
        """Show `what` as under way, on a terminal only."""
        if not self.console.is_terminal:
            return nullcontext()
        return self.console.status(Text(what))

    def done(self, step: Step) -> None:
        """Show a finished step of the demo."""
        grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
        grid.add_column(width=9)
        grid.add_column(ratio=1, overflow="fold")
        grid.add_column(width=7, justify="right")
        style = "green" if step.ok else "bold red"
        took = f"{step.seconds:.2f} s" if step.seconds else ""
        grid.add_row(Text(step.title, style=style), Text(step.result), Text(took, style="dim"))
        self.console.print(grid, width=min(self.console.width, 110))

    def begin(self, title: str) -> None:
        """Show that a run of the demo begins."""
        self.say()
        self.heading(title)
        self.say()

    def note(self, text: str) -> None:
        """Show a line that belongs to no run."""
        self.say()
        self.say(text)

    def end(self, run: Replay) -> None:
        """Show the figures of a finished run of the demo."""
        self.say()
        self.table(
            ("operation", "calls", "keys", "total ms", "µs/call", "p50 µs"),
            map(_figures, run.operations),
            numbers=True,
        )
        self.say()
        for problem in run.problems:
            self.finding("problem", problem)
        if not run.problems:
            calls = sum(operation.calls for operation in run.operations)
            self.finding(
                "ok", f"{run.backend}: {calls:,} calls, nothing amiss, {run.seconds:.1f} s in all"
            )

    # ------------------------------------------------------------------------ the others

    def backends(self, infos: Sequence[BackendInfo], probes: Mapping[str, Probe]) -> None:
        """Show the installed backends, and below them what is wrong with which."""
        if not infos:
            from fastadk_memory.selection import install_command

            self.say("no backend is installed; to install one:")
            self.say(str(install_command("inmemory")))
            return
        columns = ["name", "also", "distribution", "version", "status"]
        if probes:
            columns.append("loads in")
        self.table(columns, [_info_row(info, probes) for info in infos])
        conflicts = [info.problem for info in infos if info.status == "conflict"]
        # A conflict stands in the line of each who takes part in it.
        told = dict.fromkeys([*conflicts, *(found.error for found in probes.values())])
        for problem in filter(None, told):
            self.say()
            self.finding("problem", problem)
        for info in infos:
            if info.status == "blocked":
                self.say()
                self.finding("warning", f"{info.name} ({info.distribution}): {info.problem}")

    def published(self, missing: Sequence[Published]) -> None:
        """Show the published backends that are not installed, apart from those that are."""
        if not missing:
            return
        from fastadk_memory.selection import install_command

        self.say()
        self.heading("published, not installed")
        self._directory(missing)
        self.say()
        self.say("to install one, for example:")
        self.command(str(install_command(missing[0].name)))

    def directory(self, entries: Sequence[Published], missing: Sequence[Published]) -> None:
        """Show the whole directory of published backends."""
        self._directory(entries, lambda each: "no" if each in missing else "yes")

    def _directory(
        self, entries: Sequence[Published], installed: Callable[[Published], str] | None = None
    ) -> None:
        columns = ["name", "also", "distribution", "data lives", "certified"]
        rows = [
            [
                each.name,
                ", ".join(each.aliases),
                each.distribution,
                each.summary,
                each.certified.isoformat() if each.certified else "official",
            ]
            for each in entries
        ]
        if installed is not None:
            columns.append("installed")
            rows = [[*row, installed(each)] for row, each in zip(rows, entries, strict=True)]
        self.table(columns, rows)

    def configuration(self, configuration: Configuration) -> None:
        """Show every setting with its source, the files, and what was dropped."""
        rows = [(each.key, each.value, each.source) for each in configuration.settings]
        self.table(("setting", "value", "from"), rows)
        self.say()
        files = [
            (str(file.path), file.status, file.note or "" if file.status == "ignored" else "")
            for file in configuration.files
        ]
        self.table(("file", "status", ""), files)
        for plugin in configuration.hooks.plugins:
            self.say()
            self.say(f"around each backend: {plugin}")
        for note in configuration.notes:
            self.say()
            self.finding("warning", note)

    def diagnosis(self, diagnosis: Diagnosis) -> None:
        """Show the findings of the doctor."""
        for finding in diagnosis.findings:
            self.finding(finding.level, finding.what, finding.cure)
        problems = sum(finding.level == "problem" for finding in diagnosis.findings)
        self.say()
        self.heading("all is well" if diagnosis.ok else f"{problems} to mend")

    # --------------------------------------------------------------------- for authors

    def written(self, folder: Path, files: Sequence[Path]) -> None:
        """Show what `new` has written, and what to do next."""
        self.say(f"{len(files)} files in {folder}:")
        for file in files:
            self.say(f"  {file.as_posix()}")
        self.say()
        self.heading("Next, in a virtual environment:")
        for command in (
            f"cd {quote(str(folder))}",
            "python -m pip install -e '.[test]'",
            "pytest",
        ):
            self.command(command)

    def comparison(self, certificate: Certificate, comparison: Comparison) -> None:
        """Show what `verify` found."""
        self.say(
            f"{certificate.backend}: certified on {certificate.date:%Y-%m-%d}, profile "
            f"{certificate.profile}"
        )
        self.say()
        for remark in comparison.remarks:
            self.finding(remark.level, remark.what)
        self.say()
        good = "the certificate is about what is installed"
        self.heading(good if comparison.ok else "the certificate is about something else")


def _info_row(info: BackendInfo, probes: Mapping[str, Probe]) -> list[str]:
    row = [
        info.name,
        ", ".join(info.aliases),
        info.distribution or info.target,
        info.version or "",
        info.status,
    ]
    found = probes.get(info.name)
    if found is not None:
        row[4] = "ok" if found.ok else "broken"
        row.append(f"{found.seconds * 1e3:.0f} ms" if found.ok else "")
    return row


def _figures(operation: Operation) -> tuple[str, ...]:
    return (
        operation.name,
        f"{operation.calls:,}",
        f"{operation.keys:,}",
        f"{operation.total_ms:,.1f}",
        f"{operation.per_call_us:,.1f}",
        f"{operation.p50_us:,.1f}",
    )
