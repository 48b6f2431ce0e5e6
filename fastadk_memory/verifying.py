"""`fastadk-memory verify`: compares a certificate with what is installed.

What the certificate is about has to be the same: the distribution, its version, its files,
the versions of contract and interface. What it was made with may differ, and is told: the
core, Python, Hypothesis.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from fastadk_memory.certificate import Certificate
from fastadk_memory.defaults import backends
from fastadk_memory.discovery import normalise
from fastadk_memory.installed import Installed, installed

__all__ = ["Comparison", "Remark", "present_versions", "verify"]

_FILES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was compared.

    Attributes:
        level: `ok`, `warning` if it differs and may, `problem` if it must not.
        what: What was found.
    """

    level: Literal["ok", "warning", "problem"]
    what: str


@dataclass(slots=True)
class Comparison:
    """A certificate beside what is installed.

    Attributes:
        backend: The name of the backend.
        remarks: What was found, in the order of looking.
    """

    backend: str
    remarks: list[Remark] = field(default_factory=list[Remark])

    @property
    def ok(self) -> bool:
        """Whether the certificate is about what is installed."""
        return all(each.level != "problem" for each in self.remarks)


def verify(certificate: Certificate) -> Comparison:
    """Compare a certificate with what is installed. Imports nothing of the backend.

    Args:
        certificate: The certificate, as `read_certificate` returns it.

    Raises:
        BackendNotFoundError: No backend of its name is installed.
        BackendBlockedError: The policy forbids whoever provides it.
        BackendConflictError: Several distributions provide it.
        ConfigurationError: The files of its distribution cannot be read.
    """
    comparison = Comparison(certificate.backend)
    here = installed(backends.info(certificate.backend))
    for remarks in (_of_distribution, _of_files):
        comparison.remarks += remarks(certificate.distribution, here)
    comparison.remarks += _of_versions(certificate)
    return comparison


def _of_distribution(certified: Installed, here: Installed) -> Iterator[Remark]:
    if normalise(certified.name) != normalise(here.name):
        yield Remark("problem", f"distribution: certified {certified.name}, installed {here.name}")
    elif certified.version != here.version:
        yield Remark(
            "problem",
            f"version of {here.name}: certified {certified.version}, installed {here.version}",
        )
    else:
        yield Remark("ok", f"distribution: {here.name} {here.version}")


def _of_files(certified: Installed, here: Installed) -> Iterator[Remark]:
    before, now = certified.files, here.files
    told = [
        *(f"changed: {path}" for path in before if path in now and before[path] != now[path]),
        *(f"missing: {path}" for path in before if path not in now),
        *(f"added: {path}" for path in now if path not in before),
    ]
    if not told:
        where = " of an editable installation" if here.how == "editable" else ""
        digest = f"{here.total[:16]}..."
        yield Remark("ok", f"files: all {len(now)}{where} as certified, sha256 {digest}")
    for line in told[:_FILES_SHOWN]:
        yield Remark("problem", f"files: {line}")
    if len(told) > _FILES_SHOWN:
        yield Remark("problem", f"files: and {len(told) - _FILES_SHOWN} more differ")


def _of_versions(certificate: Certificate) -> Iterator[Remark]:
    from fastadk_memory.base import API_VERSION
    from fastadk_memory.contract.clauses import CONTRACT_VERSION

    for what, before, now in (
        ("contract", certificate.contract, CONTRACT_VERSION),
        ("interface", str(certificate.api), str(API_VERSION)),
    ):
        if before == now:
            yield Remark("ok", f"{what}: {now}")
        else:
            yield Remark("problem", f"{what}: certified {before}, installed {now}")
    present = present_versions()
    for name, before in certificate.versions.items():
        here = present.get(name)
        if here is not None and here != before:
            yield Remark("warning", f"{name}: certified with {before}, here is {here}")


def present_versions() -> dict[str, str]:
    """Return the versions of the core, Python and, if it is installed, Hypothesis."""
    from importlib.metadata import PackageNotFoundError, version

    from fastadk_memory import __version__

    versions = {"fastadk-memory": __version__, "python": platform.python_version()}
    with suppress(PackageNotFoundError):
        versions["hypothesis"] = version("hypothesis")
    return versions
