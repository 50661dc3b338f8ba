"""Real market data lies beside the repository, where it is there at all."""

from pathlib import Path
from typing import Final

import pytest

MARKET_DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"


def market_data(name: str) -> Path:
    """Return the data set `name`, a file or a folder; skips the test, saying so, where it is absent."""
    found = MARKET_DATA / name
    if not found.exists():
        pytest.skip(f"no market data {name}: expected it at ../shared/data/{name} beside the repository")
    return found
