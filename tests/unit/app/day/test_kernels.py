"""Laws of compiling beside other work; numba's cache and the processes are real."""

import os
import secrets
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.day import kernels
from app.day.kernels import Kernels
from app.errors import RunError

pytestmark = pytest.mark.takes_s(20)


def test_kernels_are_compiled_once_for_each_state_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with closing(Kernels(said.append, nodes=frozenset())) as first:
        first.wait()
    with closing(Kernels(pytest.fail, nodes=frozenset())) as second:
        second.wait()
    monkeypatch.setattr(kernels, "compiler", lambda: "another numba")
    with closing(Kernels(said.append, nodes=frozenset())) as other:
        assert said[-1] == "compiling kernels (once)"
    assert [child.process.poll() for child in other.children] != []
    assert None not in [child.process.poll() for child in other.children]


@pytest.mark.parametrize("changed", ["NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT"])
def test_a_second_process_says_nothing_wherever_numba_keeps_kernels(changed: str, tmp_path: Path) -> None:
    """A module that compiles nothing stands for all: what is compiled belongs in the cache of this test."""
    script = """if True:
        from app.day import kernels
        kernels.PARTS = ("string",)
        run = kernels.Kernels(print, nodes=frozenset())
        run.wait()
    """
    said = [
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {changed: {"NUMBA_DISABLE_JIT": "1"}.get(changed, str(tmp_path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    ]
    assert said == ["" if changed == "NUMBA_DISABLE_JIT" else "compiling kernels (once)", ""]


def test_formulas_bars_and_labels_are_compiled_for_graphs_with_them_alone_and_nothing_else_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "PARTS", ("string",))
    monkeypatch.setattr(kernels, "OF_FORMULAS", "token")
    monkeypatch.setattr(kernels, "OF_NODES", "this")
    numba = secrets.token_hex()
    monkeypatch.setattr(kernels, "compiler", lambda: numba)
    for kinds, parts in (
        ([], ["string"]),
        (["formula", "asof"], ["token"]),
        (["label", "formula", "bars"], ["this.bars", "this.label"]),
        (["bars"], []),
        ([], []),
    ):
        with closing(Kernels(print, nodes=frozenset(kinds))) as run:
            assert [child.name for child in run.children] == parts
            run.wait()


def test_kernels_that_cannot_be_compiled_end_the_run_with_the_reason_and_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "PARTS", ("operators.warm", "no_such_module"))
    monkeypatch.setattr(kernels, "compiler", lambda: "a numba that nobody has")
    for _ in range(2):
        said: list[str] = []
        with (
            closing(Kernels(said.append, nodes=frozenset())) as broken,
            pytest.raises(RunError, match="no_such_module ended with exit code 1"),
        ):
            broken.wait()
        assert said
