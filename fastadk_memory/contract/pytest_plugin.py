"""The options that the contract adds to pytest, and the rule that a run of nothing fails.

Loaded in every pytest run of an environment that holds fastadk-memory: it imports nothing that
is not there already.
"""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest

__all__ = ["option", "pytest_addoption", "pytest_configure", "pytest_unconfigure"]

_config: list[pytest.Config] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("fastadk-memory", "the contract of memory backends")
    group.addoption(
        "--memory-backend",
        metavar="NAME",
        help="with --pyargs fastadk_memory.contract: the backend to put to the contract, by its "
        "name or as module:Class",
    )
    group.addoption(
        "--memory-option",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="an option of the backend; {unique} stands for a new name, {tmp} for a new folder",
    )
    group.addoption(
        "--memory-profile",
        metavar="NAME",
        help="how long to search: quick, full or soak; without it, what the test class says",
    )
    group.addoption(
        "--memory-blob",
        metavar="BLOB",
        help="try only the example that a failure of the contract printed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Keep the options where the tests find them."""
    _config.append(config)
    config.pluginmanager.register(_Witness(), "fastadk-memory-contract")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Forget the options."""
    if config in _config:  # another plugin's failure may have come first
        _config.remove(config)


def option(name: str) -> object:
    """Return what was given for an option of this plugin; `None` outside of a pytest run."""
    return _config[-1].getoption(name) if _config else None


class _Witness:
    """Sees to it that a contract of which every test was skipped does not count as kept."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._tried: set[str] = set()
        self._untried: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Write the contract's name on the report, which may go to another process (xdist)."""
        report = yield
        name = _contract_of(item)
        if name is not None:
            report.user_properties.append((_PROPERTY, name))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note which contracts have a law that was really tried."""
        name = dict(report.user_properties).get(_PROPERTY)
        if name is None:
            return
        self._seen.add(str(name))
        if report.failed or (report.when == "call" and not report.skipped):
            self._tried.add(str(name))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Fail a run in which a contract was collected and nothing of it tried."""
        part_of_a_run = hasattr(session.config, "workerinput")  # a worker of xdist
        if exitstatus == pytest.ExitCode.OK and not part_of_a_run:
            self._untried = self._seen - self._tried
        if self._untried:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why."""
        for name in sorted(self._untried):
            terminalreporter.write_line(
                f"{name}: no law of the contract was tried, so nothing is proven", red=True
            )


_PROPERTY = "fastadk-memory-contract"


def _contract_of(item: pytest.Item) -> str | None:
    """Return the name of the contract class that a test is a law of."""
    suite = sys.modules.get("fastadk_memory.contract.suite")
    cls = getattr(item, "cls", None)
    if suite is None or not isinstance(cls, type) or not issubclass(cls, suite.BackendContract):
        return None
    return cls.__name__
