"""Which examples Hypothesis tries, for every test folder of the repository.

`HYPOTHESIS_PROFILE=soak nox -s tests-3.12` searches long and at random; without it each run
tries the same examples, so that a failure is the change's and not the day's.
"""

from __future__ import annotations

import os

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
