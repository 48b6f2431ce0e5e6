"""Which of the contract's versions a backend is held to, where its author has pinned one.

docs/versions.md tells what a version of the contract may change.
"""

from __future__ import annotations

import re

from fastadk_memory.contract.clauses import CONTRACT_VERSION
from fastadk_memory.contract.violations import ContractError

__all__ = ["belongs_to", "check_pin"]

_VERSION = re.compile(r"(\d+)\.(\d+)\Z")


def check_pin(pin: str | None) -> None:
    """Refuse a pin that this suite cannot honour.

    Args:
        pin: The version that the author has pinned, or `None`.

    Raises:
        ContractError: It is no version, a later one than the suite's, or one of another
            major version, whose clauses mean something else.
    """
    if pin is None:
        return
    asked, have = _parsed(pin), _parsed(CONTRACT_VERSION)
    if asked[0] != have[0]:
        raise ContractError(
            f"contract_version is {pin!r}, and this suite holds backends to {CONTRACT_VERSION}, "
            "whose clauses differ in meaning; install the fastadk-memory that has the contract "
            f"{asked[0]}, or look at the changes and move the pin"
        )
    if asked > have:
        raise ContractError(
            f"contract_version is {pin!r}, and this suite is only at {CONTRACT_VERSION}; "
            "upgrade fastadk-memory, or move the pin"
        )


def belongs_to(since: str, pin: str | None) -> bool:
    """Tell whether a law that came with version `since` belongs to the pinned contract.

    Args:
        since: The version that added the law.
        pin: The version that the author has pinned; `None` pins nothing.
    """
    return pin is None or _parsed(since) <= _parsed(pin)


def _parsed(version: object) -> tuple[int, int]:
    found = _VERSION.match(version) if isinstance(version, str) else None
    if found is None:
        raise ContractError(f"{version!r} is no version of the contract; one looks like '1.0'")
    return int(found[1]), int(found[2])
