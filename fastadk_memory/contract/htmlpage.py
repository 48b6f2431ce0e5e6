"""A report as one page that needs nothing else."""

from __future__ import annotations

from html import escape

from fastadk_memory.contract.clauses import CONTRACT_VERSION
from fastadk_memory.contract.outcome import Outcome
from fastadk_memory.contract.report import Report, Row

__all__ = ["html_page"]

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem .3rem 0; text-align: left;
  vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.passed, .refused { color: #1a7f37; } .waived { color: #9a6700; }
.failed, .error { color: #cf222e; font-weight: 600; } .not-applicable { opacity: .6; }
pre { background: #8881; border-radius: 6px; overflow-x: auto; padding: .8rem; }
details { margin: 0; } summary { cursor: pointer; }
"""


def html_page(report: Report) -> str:
    """Return the report as HTML."""
    verdict = "keeps the contract" if report.ok else "does not keep the contract"
    failures = "".join(_failure(each) for each in report.failures)
    rows = "".join(_row(row) for row in report.rows())
    facts = (
        f"Contract {CONTRACT_VERSION}, profile {report.profile.name}, {len(report.outcomes)} laws, "
        f"{sum(each.examples for each in report.outcomes):,} examples, {report.seconds:.1f} s. "
        f"Capabilities: {', '.join(report.capabilities) or 'none'}."
    )
    name = escape(report.backend)
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name} {verdict}</title>
<style>{_STYLE}</style>
<h1>{name} <span class="{"passed" if report.ok else "failed"}">{verdict}</span></h1>
<p>{escape(facts)}</p>
<table>
<tr><th>Clause</th><th></th><th>Status</th><th>Seconds</th><th>Laws</th></tr>
{rows}</table>
{failures}</html>
"""


def _row(row: Row) -> str:
    laws = "".join(_law(each) for each in row.outcomes)
    reason = f"<br><small>{escape(row.reason)}</small>" if row.reason else ""
    return (
        f"<tr><td>{escape(row.clause)}</td><td>{escape(row.title)}{reason}</td>"
        f"<td>{_status(row.status.value)}</td><td class=number>{row.seconds:.1f}</td>"
        f"<td><details><summary>{len(row.outcomes)}</summary><ul>{laws}</ul></details></td></tr>\n"
    )


def _law(outcome: Outcome) -> str:
    told = f"{outcome.examples} examples, {outcome.seconds:.2f} s"
    return (
        f"<li>{_status(outcome.status.value)} {escape(outcome.law.statement)} "
        f"<small>{escape(outcome.law.id)}, {told}</small></li>"
    )


def _failure(outcome: Outcome) -> str:
    blob = f"<p><small>{escape(outcome.blob)}</small></p>" if outcome.blob else ""
    return (
        f"<h2>{escape(outcome.law.id)}</h2>\n<p>{escape(outcome.law.statement)}</p>\n"
        f"<p class=failed>{escape(outcome.reason)}</p>\n"
        f"<pre>{escape(outcome.script)}</pre>\n{blob}"
    )


def _status(status: str) -> str:
    return f'<span class="{status.replace(" ", "-")}">{status}</span>'
