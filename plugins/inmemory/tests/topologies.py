"""The ways in which `inmemory` may be run, for the table of backends in the documentation."""

from __future__ import annotations

from test_inmemory_contract import TestBoundedInMemory, TestInMemory

TOPOLOGIES = {
    "unbounded": lambda: TestInMemory,
    "bounded by `max_entries`": lambda: TestBoundedInMemory,
}
