"""A pytest plugin for the mutation check: a failing example is enough, the smallest one is not asked for."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Have hypothesis stop at the first failing example, and draw the same ones for every mutant."""
    from hypothesis import Phase, settings

    settings.register_profile(
        "mutation", phases=[Phase.explicit, Phase.generate], derandomize=True, database=None
    )
    settings.load_profile("mutation")
