"""The laws of putting our folders below one name: every import follows, and nothing else moves."""

import ast
import os
import tomllib
from pathlib import Path

import pytest

from distribution.__main__ import ROOT, ROOTS, lay_out
from distribution.rewrite import RewriteError, rewritten
from schemas.kernel_cache import compiled_sources

SOURCE = '''"""From app.errors import nothing; `python -m app align`, `python -m replay import`."""
from app.errors import (  # why
    RunError,
)
import json, os  # not of tidemark-gpu-sink[kafka]
from apparel import app
from tidy.app import schemas
from collections.abc import Mapping; from topics import wire
def late() -> "app.x":
    from state.x import A; é = "from app.x import y"; from state.y import B
    return "from app.x import y", "app.errors", A, B, "`make kafka`, `make kafka-stop`"
'''
INSTALLED = '''"""From app.errors import nothing; `tidemark align`, `python -m tidemark.replay import`."""
from tidemark.app.errors import (  # why
    RunError,
)
import json, os  # not of tidemark[kafka]
from apparel import app
from tidy.app import schemas
from collections.abc import Mapping; from tidemark.topics import wire
def late() -> "app.x":
    from tidemark.state.x import A; é = "from app.x import y"; from tidemark.state.y import B
    return "from app.x import y", "app.errors", A, B, "`tidemark kafka start`, `tidemark kafka stop`"
'''


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the wheel is built from."""
    folder = tmp_path_factory.mktemp("tidemark")
    lay_out(ROOT, folder)
    return folder


def test_imports_of_our_folders_follow_and_everything_else_stays() -> None:
    assert rewritten(SOURCE, ROOTS, "x.py") == INSTALLED


@pytest.mark.parametrize(
    "source", ["import app.errors\n", "import json, state\n", "from  app import errors\n"]
)
def test_an_import_that_would_mean_something_else_is_refused_with_its_place(source: str) -> None:
    with pytest.raises(RewriteError, match=r"x.py:2: .*import"):
        rewritten(f"\n{source}", ROOTS, "x.py")


def test_every_file_keeps_its_lines_and_imports_nothing_of_ours_by_its_old_name(laid_out: Path) -> None:
    files = sorted((laid_out / "tidemark").rglob("*.py"))
    assert len(files) > 300
    for file in files:
        text = file.read_text()
        modules = [n.module or "" for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)]
        assert not [module for module in modules if module.split(".")[0] in ROOTS], file
        original = ROOT / file.relative_to(laid_out / "tidemark")
        if file.parent.name != "tidemark":
            assert text.count("\n") == original.read_text().count("\n"), file


def test_kernels_are_kept_by_the_same_sources_where_they_are_installed(laid_out: Path) -> None:
    package = laid_out / "tidemark"
    ours, theirs = (
        {file.relative_to(root).as_posix() for file in compiled_sources(root)} for root in (ROOT, package)
    )
    assert ours == theirs
    assert "schemas/kernel_cache.py" not in ours


def test_the_wheel_needs_what_the_client_needs_and_the_compiler_and_names_the_rest_as_extras(
    laid_out: Path,
) -> None:
    project = tomllib.loads((laid_out / "pyproject.toml").read_text())["project"]
    assert [need.split(">")[0] for need in project["dependencies"]] == ["numpy", "pyarrow", "numba"]
    extras = {"kafka", "metrics", "polars", "torch", "app", "calendar", "dbn", "quix"}
    assert set(project["optional-dependencies"]) == extras
    assert project["scripts"] == {"tidemark": "tidemark:main"}
    assert os.access(laid_out / "tidemark/docker/kafka/kafka.sh", os.X_OK)
