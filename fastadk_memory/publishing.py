"""The commands for authors of backends: `new`, `check`, `verify`, `badge`.

What they do is in modules of their own: `scaffold`, the package `contract`, `certificate`,
`verifying`, `badge`. They take no flags of the configuration: nothing that is configured is
touched.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fastadk_memory.cli import INTERRUPTED, NO, OK, PIPE_CLOSED, Ended
from fastadk_memory.commands import Json, app, backend_names, examples, print_json, screen
from fastadk_memory.errors import ConfigurationError

__all__ = ["app", "badge", "check", "new", "verify"]

Certificate = Annotated[
    Path, typer.Argument(metavar="FILE", help="The certificate.", show_default=False)
]


@app.command(
    "new",
    epilog=examples(
        "fastadk-memory new notes",
        "fastadk-memory new notes --dir work/notes",
    ),
)
def new(
    name: Annotated[
        str,
        typer.Argument(
            help="What users will call it: lower-case letters, digits, single dashes.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="FOLDER",
            help="Where to; ./fastadk-memory-NAME without.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Write a new backend that keeps the contract.

    It is a whole distribution: a working backend over files, the contract as its tests, and
    what is needed to publish it. Change it step by step, and let the contract tell what is
    still missing.
    """
    from fastadk_memory.scaffold import scaffold

    target, files = scaffold(name, folder)
    if as_json:
        print_json({"folder": str(target), "files": [file.as_posix() for file in files]})
    else:
        screen().written(target, files)
    return OK


@app.command(
    "check",
    epilog=examples(
        "fastadk-memory check inmemory",
        "fastadk-memory check notes -o path={tmp}/a.notes --profile full",
        "fastadk-memory check my_package.backend:MyBackend --only T4",
        "fastadk-memory check inmemory --json report.json --html report.html",
        "fastadk-memory check notes --certify contract.json",
    ),
)
def check(
    name: Annotated[
        str,
        typer.Argument(
            help="A backend's name, or module:Class.",
            show_default=False,
            autocompletion=backend_names,
        ),
    ],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--option",
            "-o",
            metavar="NAME=VALUE",
            help="An option of the backend; {unique} in it is a new name, {tmp} a new folder.",
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", metavar="NAME", help="quick, full or soak.")
    ] = "quick",
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="CLAUSE", help="Only this clause or law; repeatable."),
    ] = None,
    blob: Annotated[
        str | None,
        typer.Option("--blob", metavar="BLOB", help="Only the example that a failure printed."),
    ] = None,
    json_file: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write a report; - is the output.")
    ] = None,
    html_file: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a report to look at.")
    ] = None,
    certificate_file: Annotated[
        str | None,
        typer.Option("--certify", metavar="FILE", help="Write a certificate, if nothing fails."),
    ] = None,
) -> int:
    """Put a backend to the contract, clause by clause.

    It works on stores of its own: in an option {unique} stands for a new name and {tmp} for a
    new folder, one for each store, and a store that is not empty is refused. The exit status
    is 0 if the backend keeps the contract, 1 if not. A certificate says so of the installed
    files; a run that fails writes none.
    """
    try:
        from fastadk_memory.contract.running import run_check
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"the contract needs {error.name}, which is not installed: "
            f"{sys.executable} -m pip install 'fastadk-memory[contract]'"
        ) from error
    try:
        return run_check(
            screen(),
            name,
            list(option or ()),
            profile=profile,
            only=list(only or ()),
            blob=blob,
            json_file=json_file,
            html_file=html_file,
            certificate_file=certificate_file,
        )
    except BrokenPipeError as error:
        raise Ended(PIPE_CLOSED) from error
    except KeyboardInterrupt as error:
        raise Ended(INTERRUPTED) from error


@app.command(
    "verify",
    epilog=examples(
        "fastadk-memory verify contract.json", "fastadk-memory verify contract.json --json"
    ),
)
def verify(file: Certificate, as_json: Json = False) -> int:
    """Compare a certificate with what is installed.

    It tells whether the certificate is about the very files that are installed, and what
    differs. The exit status is 0 if it is, 1 if not. What it was made with (the core, Python,
    Hypothesis) may differ, and is told. The contract is not run: that does check.
    """
    from fastadk_memory.certificate import read_certificate
    from fastadk_memory.verifying import verify as compare

    certificate = read_certificate(file)
    comparison = compare(certificate)
    if as_json:
        print_json(
            {
                "ok": comparison.ok,
                "backend": comparison.backend,
                "date": certificate.date.isoformat(),
                "remarks": [asdict(each) for each in comparison.remarks],
            }
        )
    else:
        screen().comparison(certificate, comparison)
    return OK if comparison.ok else NO


@app.command(
    "badge",
    epilog=examples(
        "fastadk-memory badge contract.json --output contract.svg",
        "fastadk-memory badge contract.json --output contract.svg --table CONTRACT.md",
    ),
)
def badge(
    file: Certificate,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="FILE", help="Where to write it; printed without."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", metavar="FILE", help="Write the clauses as Markdown, too."),
    ] = None,
) -> int:
    """Make the badge of a certificate, for a README.

    It is an SVG that needs nothing else; no service is asked for anything.
    """
    from fastadk_memory.badge import badge as picture
    from fastadk_memory.badge import clause_table
    from fastadk_memory.certificate import read_certificate

    certificate = read_certificate(file)
    if table is not None:
        _write(table, clause_table(certificate))
    if output is not None:
        _write(output, picture(certificate))
    else:
        typer.echo(picture(certificate), nl=False)
    return OK


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be written: {error.strerror}") from error
