"""The version of this program: of the clone that it runs from, or of what is installed."""

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

NAME: Final = "tidemark"  # what is installed where this is no clone
_CLONE: Final = Path(__file__).parents[2] / "pyproject.toml"


@cache
def program_version() -> str:
    """The version as text; empty where nothing says it, such as a copy of the folders alone."""
    if _CLONE.exists():
        return str(tomllib.loads(_CLONE.read_text())["project"]["version"])
    try:
        return version(NAME)
    except PackageNotFoundError:
        return ""
