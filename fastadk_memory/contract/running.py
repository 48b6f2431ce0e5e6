"""`fastadk-memory check`: runs the contract in front of somebody, and writes the reports."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fastadk_memory.certificate import certify
from fastadk_memory.cli import complain
from fastadk_memory.contract.checking import check, laws_named
from fastadk_memory.contract.display import Progress, show_report
from fastadk_memory.contract.htmlpage import html_page
from fastadk_memory.contract.limits import profile_named
from fastadk_memory.contract.references import factory_named, options_given
from fastadk_memory.contract.report import Report
from fastadk_memory.contract.violations import ContractError
from fastadk_memory.defaults import backends
from fastadk_memory.errors import ConfigurationError
from fastadk_memory.installed import Installed, installed
from fastadk_memory.screen import Screen
from fastadk_memory.secrets import shown
from fastadk_memory.verifying import present_versions

__all__ = ["run_check"]


def run_check(
    screen: Screen,
    name: str,
    options: Sequence[str],
    *,
    profile: str,
    only: Sequence[str],
    blob: str | None,
    json_file: str | None,
    html_file: str | None,
    certificate_file: str | None = None,
) -> int:
    """Put a backend to the contract and show what came out.

    Args:
        screen: Where to show it.
        name: The backend's name, or `module:Class`.
        options: Its options, each as `name=value`.
        profile: How long to search.
        only: Only these clauses or laws.
        blob: Only this example.
        json_file: Where to write the report as JSON; `-` is the output, instead of the table.
        html_file: Where to write it as a page.
        certificate_file: Where to write a certificate, if nothing fails.

    Returns:
        The exit status: 0 if the backend keeps the contract, 1 if not.

    Raises:
        ConfigurationError: An argument is wrong, or the store is not the suite's own.
        FastADKMemoryError: The backend cannot be found, loaded or constructed.
    """
    for file in (json_file, html_file, certificate_file):
        _refuse_unwritable(file)
    before = None
    if certificate_file is not None:
        before = _subject(name, whole=not only and blob is None)
    silent = json_file == "-"
    try:
        total = len(laws_named(only))
        with Progress(screen, total, silent=silent) as progress:
            report = check(
                factory_named(name),
                options_given(options),
                profile=profile_named(profile),
                only=only,
                blob=blob,
                watcher=progress,
            )
    except ContractError as error:
        raise ConfigurationError(str(error)) from error
    report.backend = name
    if not silent:
        show_report(screen, report)
    _write(report, json_file, html_file)
    if before is not None:
        _certify(Path(str(certificate_file)), report, before, options_given(options))
    return 0 if report.ok else 1


def _refuse_unwritable(file: str | None) -> None:
    # Before the run, which may take long.
    if file not in (None, "-") and not Path(str(file)).resolve().parent.is_dir():
        raise ConfigurationError(f"{file}: there is no such folder to write to")


def _write(report: Report, json_file: str | None, html_file: str | None) -> None:
    if json_file is not None:
        text = json.dumps(report.as_json(), indent=2) + "\n"
        if json_file == "-":
            sys.stdout.write(text)
        else:
            Path(json_file).write_text(text, encoding="utf-8")
    if html_file is not None:
        Path(html_file).write_text(html_page(report), encoding="utf-8")


def _subject(name: str, *, whole: bool) -> Installed:
    """Return what is about to be certified, or refuse to certify it."""
    if not whole:
        raise ConfigurationError(
            "--certify goes with a whole run; leave out --only and --blob, or --certify"
        )
    if ":" in name:
        raise ConfigurationError(
            f"--certify is about an installed distribution, and {name} names a class; install "
            "its distribution and give the name of the backend"
        )
    return installed(backends.info(name))


def _certify(file: Path, report: Report, before: Installed, options: dict[str, object]) -> None:
    if not report.ok:
        complain(f"the run failed, so that no certificate is written to {file}")
        return
    if installed(backends.info(report.backend)) != before:
        raise ConfigurationError(
            f"the files of {before.name} changed while the contract ran; run it again"
        )
    given = {option: shown(option, value) for option, value in options.items()}
    certificate = certify(report, before, given, present_versions())
    file.write_text(certificate.text(), encoding="utf-8")
    complain(f"the certificate is in {file}")
