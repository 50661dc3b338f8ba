"""How hard the property tests look: `ci` the same few examples each time, `dev` more, `nightly` very many."""

import os

from hypothesis import HealthCheck, settings


def load_profile() -> str:
    """Load the profile that HYPOTHESIS_PROFILE names, else `ci` where CI=true, else `dev`; return its name.

    No profile has a deadline: the first call of a kernel compiles it, which takes seconds.
    """
    slow = [HealthCheck.too_slow]
    settings.register_profile(
        "ci", derandomize=True, max_examples=40, deadline=None, database=None, suppress_health_check=slow
    )
    settings.register_profile("dev", max_examples=100, deadline=None, suppress_health_check=slow)
    settings.register_profile("nightly", max_examples=5_000, deadline=None, suppress_health_check=slow)
    name = os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") == "true" else "dev")
    settings.load_profile(name)
    return name
