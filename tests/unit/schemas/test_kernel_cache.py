"""Laws of where compiled kernels are kept; numba and the processes are real."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.kernel_cache import ROOT, compiled_sources, fingerprint, kernel_cache

STEP = "from numba import njit\n\n@njit(cache=True)\ndef step(number):\n    return number + {0}\n"
WALK = (
    "from numba import njit\nfrom operators.step import step\nfrom schemas import (\n    ground,\n)\n"
    "from schemas.pace import PACE\n\nLOWEST = ground.LOWEST\n\n"
    "@njit(cache=True)\ndef walk(number):\n    return step(number) * PACE + LOWEST\n"
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small program with our packages' doors: one kernel that calls another and holds a number."""
    for package in ("operators", "topics", "schemas"):
        (tmp_path / package).mkdir()
        shutil.copy(ROOT / package / "__init__.py", tmp_path / package)
    shutil.copy(ROOT / "schemas" / "kernel_cache.py", tmp_path / "schemas")
    (tmp_path / "operators" / "step.py").write_text(STEP.format(1))
    (tmp_path / "operators" / "walk.py").write_text(WALK)
    (tmp_path / "operators" / "plain.py").write_text("PLAIN = 1\n")
    (tmp_path / "schemas" / "pace.py").write_text("PACE = 10\n")
    (tmp_path / "schemas" / "ground.py").write_text("LOWEST = 0\n")
    return tmp_path


def walked(tree: Path) -> int:
    """What the kernel gives for 0, in a process of its own."""
    script = "from operators.walk import walk; print(walk(0))"
    # Python's own cache takes a file of one size that is changed twice in a second for the same.
    own = {"PYTHONDONTWRITEBYTECODE": "1"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA")} | own
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tree, env=environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.takes_s(15)
def test_a_kernel_is_compiled_anew_where_what_it_calls_or_holds_has_changed(tree: Path) -> None:
    assert walked(tree) == 10
    (tree / "operators" / "step.py").write_text(STEP.format(2))
    assert walked(tree) == 20
    (tree / "schemas" / "pace.py").write_text("PACE = 100\n")
    assert walked(tree) == 200
    (tree / "schemas" / "ground.py").write_text("LOWEST = 7\n")
    assert walked(tree) == 207


def test_the_folder_changes_with_sources_of_kernels_alone(tree: Path) -> None:
    before = kernel_cache("", tree)
    assert Path(before).is_dir()
    fingerprint.cache_clear()
    (tree / "operators" / "plain.py").write_text("PLAIN = 2\n")
    assert kernel_cache("", tree) == before
    fingerprint.cache_clear()
    (tree / "schemas" / "pace.py").write_text("PACE = 20\n")
    assert kernel_cache("", tree) != before


def test_a_folder_that_numba_was_given_has_one_inside_and_is_not_nested_again(tree: Path) -> None:
    inside = kernel_cache("/kept", tree)
    assert inside == f"/kept/kernels-{fingerprint(tree)}"
    assert kernel_cache(inside, tree) == inside


def test_where_sources_cannot_be_written_kernels_are_kept_in_the_home(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "operators" / "__pycache__").write_text("no folder")
    monkeypatch.setenv("HOME", str(tree / "home"))
    folder = Path(kernel_cache("", tree))
    assert folder.is_dir()
    assert folder.parent == tree / "home" / ".cache" / "tidemark"
    shutil.rmtree(tree / "home")
    (tree / "home").write_text("no folder")
    assert kernel_cache("", tree) == ""


def test_every_module_that_compiles_and_all_that_it_imports_count() -> None:
    names = {str(file.relative_to(ROOT)) for file in compiled_sources()}
    assert {"topics/avro/decode_kernel.py", "topics/avro/varint.py", "topics/raw_access.py"} <= names
    assert {"operators/join/seal_kernel.py", "schemas/clocks.py"} <= names
    assert "operators/streaming.py" not in names
