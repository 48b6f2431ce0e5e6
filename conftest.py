"""Which examples Hypothesis tries, for every test folder of the repository.

`HYPOTHESIS_PROFILE=soak nox -s tests-3.12` searches long and at random; without it each run
tries the same examples, so that a failure is the change's and not the day's.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A shared, loaded machine must not fail a test for being slow.
_SLOW = [HealthCheck.too_slow]

settings.register_profile(
    "default", deadline=None, derandomize=True, print_blob=True, suppress_health_check=_SLOW
)
settings.register_profile("ci", settings.get_profile("default"))
settings.register_profile(
    "soak",
    deadline=None,
    derandomize=False,
    max_examples=5_000,
    print_blob=True,
    suppress_health_check=_SLOW,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is generated: all contract runs, and that of the example as `thorough`, too."""
    examples = Path(__file__).with_name("examples")
    for item in items:
        if item.path.stem.endswith("_contract"):
            item.add_marker(pytest.mark.contract)
            if item.path.is_relative_to(examples):
                item.add_marker(pytest.mark.thorough)
