"""Certificates: what a run of the contract found, about which files, for others to check.

`fastadk-memory check NAME --certify FILE` writes one after a whole run in which nothing
failed, `fastadk-memory verify FILE` compares it with what is installed. A certificate is
its author's word: whoever wants to know for sure runs the contract. What it adds is which
code that word is about, to the byte.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastadk_memory.errors import ConfigurationError
from fastadk_memory.installed import Installed, total_of

if TYPE_CHECKING:
    from fastadk_memory.contract.report import Report

__all__ = ["Certificate", "CertifiedClause", "certify", "read_certificate", "seal_of"]

FORMAT = 1
"""The version of the form of a certificate's file."""

GOOD = ("passed", "refused", "not applicable", "waived")
"""How a clause may have ended in a run that is certified."""


@dataclass(frozen=True, slots=True)
class CertifiedClause:
    """What became of one clause.

    Attributes:
        clause: Its id, or `ALL`.
        title: Its title.
        status: One of `GOOD`.
        reason: What there was to say.
        laws: How many laws were tried for it.
    """

    clause: str
    title: str
    status: str
    reason: str
    laws: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """A run of the contract in which nothing failed, and what it was about.

    Attributes:
        backend: The name of the backend.
        date: When the run ended, in UTC.
        contract: The version of the contract.
        api: The version of the interface.
        profile: How long was searched.
        options: The options that were given, as they may be shown to anybody.
        capabilities: What the backend declared, sorted.
        versions: Of the core, Python and Hypothesis, by name.
        distribution: The distribution and its files.
        clauses: What became of each clause.
    """

    backend: str
    date: datetime
    contract: str
    api: int
    profile: str
    options: dict[str, str]
    capabilities: tuple[str, ...]
    versions: dict[str, str]
    distribution: Installed
    clauses: tuple[CertifiedClause, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON's types, sealed: with a checksum over all the rest."""
        content: dict[str, Any] = {
            "format": FORMAT,
            "backend": self.backend,
            "date": self.date.isoformat(timespec="seconds"),
            "contract": self.contract,
            "api": self.api,
            "profile": self.profile,
            "options": self.options,
            "capabilities": list(self.capabilities),
            "versions": self.versions,
            "distribution": {
                "name": self.distribution.name,
                "version": self.distribution.version,
                "installed": self.distribution.how,
                "sha256": self.distribution.total,
                "files": self.distribution.files,
            },
            "clauses": [asdict(each) for each in self.clauses],
        }
        return {**content, "seal": seal_of(content)}

    def text(self) -> str:
        """Return the content of the file."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"


def certify(
    report: Report, distribution: Installed, options: dict[str, str], versions: dict[str, str]
) -> Certificate:
    """Make the certificate of a run.

    Args:
        report: What the run found.
        distribution: What was installed while it ran.
        options: The options that were given, as they may be shown to anybody.
        versions: Of the core, Python and Hypothesis.

    Raises:
        ConfigurationError: It was not a whole run, or something failed.
    """
    if report.partial or not report.ok:
        raise ConfigurationError("only a whole run in which nothing failed is certified")
    from fastadk_memory.base import API_VERSION
    from fastadk_memory.contract.clauses import CONTRACT_VERSION

    return Certificate(
        backend=report.backend,
        date=datetime.now(timezone.utc),
        contract=CONTRACT_VERSION,
        api=API_VERSION,
        profile=report.profile.name,
        options=options,
        capabilities=report.capabilities,
        versions=versions,
        distribution=distribution,
        clauses=tuple(
            CertifiedClause(row.clause, row.title, row.status.value, row.reason, len(row.outcomes))
            for row in report.rows()
        ),
    )


def seal_of(content: dict[str, Any]) -> str:
    """Return the checksum over a certificate without its seal.

    It tells a file that was damaged or edited by hand; it is no signature.

    Args:
        content: The certificate as JSON's types.
    """
    plain = {key: value for key, value in content.items() if key != "seal"}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return sha256(text.encode()).hexdigest()


def read_certificate(file: Path) -> Certificate:
    """Read a certificate, and see that it is one of a good run.

    Args:
        file: The file.

    Raises:
        ConfigurationError: It cannot be read, is no certificate or one of another form, was
            changed after it was written, or tells of a run that fails or that did not try
            every clause.
    """
    try:
        content: Any = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{file}: is no certificate: not JSON") from error
    if not isinstance(content, dict) or "seal" not in content:
        raise ConfigurationError(f"{file}: is no certificate; write one with check --certify")
    if content.get("format") != FORMAT:
        raise ConfigurationError(
            f"{file}: has the form {content.get('format')!r} of certificates, and this "
            f"fastadk-memory reads {FORMAT}; upgrade it, or certify the backend anew"
        )
    if content["seal"] != seal_of(content):
        raise ConfigurationError(f"{file}: was changed after it was written; certify anew")
    try:
        certificate = _parsed(content)
        _refuse_what_proves_nothing(certificate)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, ConfigurationError):
            raise ConfigurationError(f"{file}: {error}") from error
        raise ConfigurationError(f"{file}: lacks what a certificate has: {error}") from error
    return certificate


def _parsed(content: dict[str, Any]) -> Certificate:
    of: dict[str, Any] = content["distribution"]
    files = {str(path): str(digest) for path, digest in of["files"].items()}
    if total_of(files) != of["sha256"]:
        raise ConfigurationError("its files and their common hash disagree")
    return Certificate(
        backend=str(content["backend"]),
        date=datetime.fromisoformat(content["date"]),
        contract=str(content["contract"]),
        api=int(content["api"]),
        profile=str(content["profile"]),
        options=dict(content["options"]),
        capabilities=tuple(content["capabilities"]),
        versions=dict(content["versions"]),
        distribution=Installed(of["name"], of["version"], of["installed"], files),
        clauses=tuple(CertifiedClause(**each) for each in content["clauses"]),
    )


def _refuse_what_proves_nothing(certificate: Certificate) -> None:
    bad = [each.clause for each in certificate.clauses if each.status not in GOOD]
    if bad:
        raise ConfigurationError(f"it tells of a run that fails: {', '.join(bad)}")
    if not any(each.status == "passed" for each in certificate.clauses):
        raise ConfigurationError("it tells of a run in which no clause passed")
    if not certificate.distribution.files:
        raise ConfigurationError("it names no files, so that it is about nothing")
    from fastadk_memory.contract.clauses import CLAUSES, CONTRACT_VERSION

    told = {each.clause for each in certificate.clauses}
    missing = [clause for clause in CLAUSES if clause not in told]
    # Another version of the contract may have had fewer.
    if certificate.contract == CONTRACT_VERSION and missing:
        raise ConfigurationError(f"it says nothing of {', '.join(missing)}")
