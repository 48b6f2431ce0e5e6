"""The contract on a terminal: progress while it runs, and the table at the end."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from fastadk_memory.contract.clauses import ALL_TOGETHER
from fastadk_memory.contract.law import Law
from fastadk_memory.contract.outcome import Outcome, Status
from fastadk_memory.contract.report import Report, Row, worst
from fastadk_memory.screen import Screen

__all__ = ["Progress", "show_report"]

_STYLES = {
    Status.PASSED: "green",
    Status.REFUSED: "green",
    Status.WAIVED: "yellow",
    Status.NOT_APPLICABLE: "dim",
    Status.FAILED: "bold red",
    Status.ERROR: "bold red",
}


class Progress:
    """Shows how a run goes on: a bar on a terminal, else a line on standard error per clause.

    Args:
        screen: Where the bar goes.
        total: How many laws there are.
        silent: Whether to show nothing at all.
    """

    def __init__(self, screen: Screen, total: int, *, silent: bool = False) -> None:
        self._bar: Bar | None = None
        self._lines = not silent and not screen.console.is_terminal
        if not silent and screen.console.is_terminal:
            self._bar = Bar(
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.description}", markup=False),
                console=screen.console,
                transient=True,
            )
            self._task = self._bar.add_task("", total=total)
        self._clause: list[Outcome] = []

    def __enter__(self) -> Progress:
        """Begin."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End, and leave nothing of the bar behind."""
        if self._bar is not None:
            self._bar.stop()
        if kind is None:
            self._finish_clause()

    def begins(self, law: Law, number: int, total: int) -> None:
        """Show which law is being tried."""
        if self._clause and self._clause[-1].law.clause != law.clause:
            self._finish_clause()
        if self._bar is not None:
            told = f"{law.clause} {law.name.replace('_', ' ')}"
            self._bar.update(self._task, description=told)

    def ended(self, outcome: Outcome) -> None:
        """Note what became of it."""
        self._clause.append(outcome)
        if self._bar is not None:
            self._bar.advance(self._task)
            if not outcome.status.good:
                self._bar.console.print(
                    Text(f"{outcome.law.id} {outcome.status.value}", "bold red")
                )

    def _finish_clause(self) -> None:
        ended, self._clause = self._clause, []
        if self._lines and ended:
            status = worst(each.status for each in ended)
            seconds = sum(each.seconds for each in ended)
            laws = f"{len(ended)} law{'s' if len(ended) > 1 else ''}"
            line = f"{ended[0].law.clause:4} {status.value} ({laws}, {seconds:.1f} s)\n"
            sys.stderr.write(line)
            sys.stderr.flush()


def show_report(screen: Screen, report: Report) -> None:
    """Show each failure with its counterexample, then the table of clauses, then the verdict."""
    for failure in report.failures:
        screen.say()
        first, *rest = failure.text().splitlines()
        screen.console.print(Text(first, "bold red"))
        for line in rest:
            # Never broken: the lines are there to be copied.
            screen.console.print(Text(line), soft_wrap=True)
    screen.say()
    screen.show(_table(report))
    screen.say()
    capabilities = ", ".join(report.capabilities) or "none"
    screen.say(f"capabilities: {capabilities}")
    limits = report.limits
    screen.say(
        f"profile {report.profile.name}, {len(report.outcomes)} laws, "
        f"{sum(each.examples for each in report.outcomes):,} examples, {report.seconds:.1f} s; "
        f"a call may take {limits.operation_seconds:g} s"
    )
    screen.finding("ok" if report.ok else "problem", _verdict(report))


def _table(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("clause")
    table.add_column("")
    table.add_column("status")
    table.add_column("laws", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("", overflow="fold")
    for row in report.rows():
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[Text, ...]:
    reason = row.reason if row.status.good else row.reason.splitlines()[0]
    return (
        Text(row.clause),
        Text(row.title),
        Text(row.status.value, _STYLES[row.status]),
        Text(str(len(row.outcomes))),
        Text(f"{row.seconds:.1f}"),
        Text(reason, "dim" if row.status.good else ""),
    )


def _verdict(report: Report) -> str:
    counts = ", ".join(f"{number} {status}" for status, number in report.counts().items())
    asked = "the clauses that were asked for" if report.partial else "the contract"
    if report.ok:
        return f"{report.backend} keeps {asked}: {counts}"
    if not report.failures:
        return f"{report.backend}: no law was tried, so nothing is proven"
    broken = dict.fromkeys(
        row.clause for row in report.rows() if not row.status.good and row.clause != ALL_TOGETHER
    )
    return f"{report.backend} breaks {', '.join(broken) or asked}: {counts}"
