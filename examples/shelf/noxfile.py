"""What must hold before a release: `nox` runs all of it, `nox -l` lists it."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "types", "tests"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting."""
    session.install("ruff>=0.12")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    session.install("-e", ".[test]", "mypy>=1.15")
    session.run("mypy")


@nox.session(python=["3.11", "3.12", "3.13", "3.14"])
def tests(session: nox.Session) -> None:
    """Run the tests, the contract among them; what follows `--` goes to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def certify(session: nox.Session) -> None:
    """Run the contract, and write the certificate, the badge and the table of the README."""
    session.install("-e", ".[test]")
    check = ["check", "shelf", "--certify", "contract.json"]
    session.run("fastadk-memory", *check, *session.posargs)
    badge = ["badge", "contract.json", "--output", "contract.svg", "--table", "CONTRACT.md"]
    session.run("fastadk-memory", *badge)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source distribution into `dist/`."""
    session.install("build")
    session.run("python", "-m", "build")
