"""The badge of a certificate: a small picture for a README, and the table it leads to.

Both are made here, from the certificate alone; nothing is asked of any service.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from fastadk_memory.contract.clauses import ALL_TOGETHER

if TYPE_CHECKING:
    from fastadk_memory.certificate import Certificate

__all__ = ["badge", "clause_table", "empty_badge", "empty_table"]

_GREEN, _GREY = "#2a7d46", "#6b6b6b"

# How wide the letters of the badge are, of those that are not 7 pixels, in an 11-pixel
# sans-serif. A viewer's own font differs a little: `textLength` makes it keep to the room.
_WIDTHS = {
    **dict.fromkeys("fijlrt.,:·'|() ", 4.0),
    **dict.fromkeys("mwMW%", 10.0),
    **dict.fromkeys("0123456789", 7.0),
}

_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{told}">
<title>{told}</title>
<clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)">
<rect width="{left}" height="20" fill="#444"/>
<rect x="{left}" width="{right}" height="20" fill="{colour}"/>
</g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">
<text x="6" y="14" textLength="{left_text}">{label}</text>
<text x="{at}" y="14" textLength="{right_text}">{message}</text>
</g>
</svg>
"""

_LABEL = "memory contract"


def badge(certificate: Certificate) -> str:
    """Return the badge of a certificate, as an SVG picture that needs nothing else.

    Args:
        certificate: The certificate.
    """
    clauses = [each for each in certificate.clauses if each.clause != ALL_TOGETHER]
    kept = sum(each.status in ("passed", "refused") for each in clauses)
    label = f"{_LABEL} {certificate.contract}"
    message = f"{kept} of {len(clauses)} clauses kept"
    waived = sum(each.status == "waived" for each in clauses)
    if waived:
        message += f", {waived} waived"
    return _picture(label, message, _GREEN)


def empty_badge() -> str:
    """Return the badge of a backend that has no certificate yet."""
    return _picture(_LABEL, "not certified yet", _GREY)


def _picture(label: str, message: str, colour: str) -> str:
    left_text, right_text = _width(label), _width(message)
    left, right = left_text + 12, right_text + 12
    return _SVG.format(
        width=left + right,
        left=left,
        right=right,
        left_text=left_text,
        right_text=right_text,
        at=left + 6,
        colour=colour,
        label=escape(label),
        message=escape(message),
        told=escape(f"{label}: {message}"),
    )


def _width(text: str) -> int:
    return round(sum(_WIDTHS.get(char, 7.0) for char in text))


def clause_table(certificate: Certificate) -> str:
    """Return the clauses of a certificate and what became of them, as a page in Markdown.

    Args:
        certificate: The certificate.
    """
    of = certificate.distribution
    versions = ", ".join(f"{name} {version}" for name, version in certificate.versions.items())
    made = f"made on {certificate.date:%Y-%m-%d} with {versions}"
    lines = [
        f"# {of.name} {of.version} and the contract",
        "",
        f"Contract {certificate.contract}, profile {certificate.profile}, {made}.",
        "",
        f"Capabilities: {', '.join(certificate.capabilities) or 'none'}.",
        "",
        "| Clause | What it asks for | Status | Laws | |",
        "| --- | --- | --- | ---: | --- |",
    ]
    for each in certificate.clauses:
        cells = (each.clause, each.title, each.status, str(each.laws), each.reason)
        lines.append(f"| {' | '.join(map(_cell, cells))} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def empty_table(distribution: str) -> str:
    """Return the page of a backend that has no certificate yet.

    Args:
        distribution: The name of the distribution.
    """
    return (
        f"# {distribution} and the contract\n\n"
        "There is no certificate yet. `nox --session certify` puts the backend to the contract\n"
        "and writes this page.\n"
    )


def _cell(text: str) -> str:
    return escape(" ".join(text.split()), quote=False).replace("|", r"\|")
