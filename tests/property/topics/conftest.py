"""These properties hold kernels that read memory by address, which plain Python cannot."""

import os

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip them, visibly, where numba is switched off."""
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        for item in items:
            if "tests/property/topics/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason="reads memory by address: needs numba"))
