"""The ways in which `file` may be run, for the table of backends in the documentation."""

from __future__ import annotations

from test_file_contract import TestFileInProcess, TestFileOverPower

TOPOLOGIES = {
    "`power`: synced to the disk": lambda: TestFileOverPower,
    "`process`: handed to the system": lambda: TestFileInProcess,
}
