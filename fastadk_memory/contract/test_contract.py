"""What `pytest --pyargs fastadk_memory.contract --memory-backend NAME` collects."""

from __future__ import annotations

from typing import cast

from fastadk_memory.contract.named import NamedHooks
from fastadk_memory.contract.pytest_plugin import option
from fastadk_memory.contract.references import factory_named, options_given
from fastadk_memory.contract.suite import BackendContract
from fastadk_memory.contract.violations import ContractError


def _named() -> str:
    name = option("--memory-backend")
    if name is None:
        raise ContractError("say which backend: --memory-backend NAME")
    return cast("str", name)


class TestBackend(NamedHooks, BackendContract):
    """The backend that the command line names."""

    backend = factory_named(_named())
    options = options_given(cast("list[str]", option("--memory-option") or []))
