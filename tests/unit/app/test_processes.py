"""Real processes: each is `python -m` of a small module that the test writes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from app.errors import RunError
from app.processes import Child, start, wait_all

Begin: TypeAlias = Callable[[str, str], Child]
LASTING = "import signal; signal.pause()"


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def begin(name: str, code: str) -> Child:
        (tmp_path / f"{name}.py").write_text(code)
        return start(name, [name], tmp_path)

    return begin


def test_all_children_end_well(begin: Begin) -> None:
    children = [begin(name, "") for name in ("one", "two")]
    wait_all(children)
    assert [child.process.returncode for child in children] == [0, 0]


def test_a_child_that_fails_is_named_with_its_last_words_and_log_and_the_others_are_ended(
    begin: Begin, tmp_path: Path
) -> None:
    lasting = begin("publisher", LASTING)
    failing = begin("worker_0", "import sys; print('first'); sys.exit('no such topic')")
    with pytest.raises(RunError) as stopped:
        wait_all([lasting, failing])
    assert str(stopped.value) == (
        f"worker_0 ended with exit code 1: no such topic (log: {tmp_path / 'worker_0.log'}); "
        "the same command goes on from the last commit"
    )
    assert lasting.process.returncode is not None


def test_a_killed_child_is_named_with_the_signal(begin: Begin) -> None:
    child = begin("worker_1", LASTING)
    os.kill(child.process.pid, signal.SIGKILL)
    with pytest.raises(RunError, match=r"worker_1 was killed by SIGKILL \(log: .*worker_1\.log\)"):
        wait_all([child])
