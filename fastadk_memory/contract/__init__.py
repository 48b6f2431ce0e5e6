"""The contract: a published test suite that any backend can be put to.

```python
from fastadk_memory.contract import BackendContract


class TestMyBackend(BackendContract):
    def make_backend(self):
        return MyBackend()
```

Three ways, one set of laws: subclass `BackendContract` in a test file of your own; run
`pytest --pyargs fastadk_memory.contract --memory-backend NAME`; or
`fastadk-memory check NAME`. It needs the extra `[contract]`. docs/contract.md explains the
clauses, docs/test-your-backend.md how to get to a green run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastadk_memory.contract.checking import check
    from fastadk_memory.contract.clauses import CLAUSES, CONTRACT_VERSION, Clause
    from fastadk_memory.contract.hooks import Hooks
    from fastadk_memory.contract.limits import FULL, QUICK, SOAK, Limits, Profile
    from fastadk_memory.contract.report import Report
    from fastadk_memory.contract.suite import BackendContract
    from fastadk_memory.contract.violations import ContractError
    from fastadk_memory.contract.waivers import Waiver

__all__ = [
    "CLAUSES",
    "CONTRACT_VERSION",
    "FULL",
    "QUICK",
    "SOAK",
    "BackendContract",
    "Clause",
    "ContractError",
    "Hooks",
    "Limits",
    "Profile",
    "Report",
    "Waiver",
    "check",
]

# Imported when first used: pytest loads this package for its command-line options in every
# run, also where Hypothesis is not installed.
_HOMES = {
    "CLAUSES": "clauses",
    "CONTRACT_VERSION": "clauses",
    "Clause": "clauses",
    "Hooks": "hooks",
    "FULL": "limits",
    "QUICK": "limits",
    "SOAK": "limits",
    "Limits": "limits",
    "Profile": "limits",
    "BackendContract": "suite",
    "Report": "report",
    "check": "checking",
    "ContractError": "violations",
    "Waiver": "waivers",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
