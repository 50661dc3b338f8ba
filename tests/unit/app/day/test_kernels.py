"""Laws of compiling beside other work; numba's cache and the processes are real."""

from contextlib import closing

import pytest

from app.day import kernels
from app.day.kernels import Kernels
from app.errors import RunError

pytestmark = pytest.mark.takes_s(20)


def test_kernels_are_compiled_once_for_each_state_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    with closing(Kernels(said.append)) as first:
        first.wait()
    with closing(Kernels(pytest.fail)) as second:
        second.wait()
    monkeypatch.setattr(kernels, "compiler", lambda: "another numba")
    with closing(Kernels(said.append)) as other:
        assert said[-1] == "compiling kernels (once)"
    assert [child.process.poll() for child in other.children] != []
    assert None not in [child.process.poll() for child in other.children]


def test_kernels_that_cannot_be_compiled_end_the_run_with_the_reason_and_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kernels, "HALVES", ("operators.warm", "no_such_module"))
    monkeypatch.setattr(kernels, "compiler", lambda: "a numba that nobody has")
    for _ in range(2):
        said: list[str] = []
        with (
            closing(Kernels(said.append)) as broken,
            pytest.raises(RunError, match="no_such_module ended with exit code 1"),
        ):
            broken.wait()
        assert said
