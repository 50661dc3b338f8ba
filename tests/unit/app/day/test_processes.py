"""Real processes: each is `python -m` of a small module that the test writes."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from app.day.processes import Child, start, wait_all
from app.errors import RunError
from tests.stage.day_runs import until

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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc when to send the signal")
def test_whoever_waits_takes_the_children_along_when_told_to_end(begin: Begin, tmp_path: Path) -> None:
    waiting = (
        "from pathlib import Path\nfrom app.day.processes import start, wait_all\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "child = start('lasting', ['lasting'], folder)\n"
        "(folder / 'pid').write_text(str(child.process.pid))\n"
        "wait_all([child])\n"
    )
    (tmp_path / "lasting.py").write_text(LASTING)
    waiter = begin("waiting", waiting)
    until((tmp_path / "pid").exists, "the child has started")
    until(lambda: _handles(waiter.process.pid, signal.SIGTERM), "it waits for the child")
    waiter.process.terminate()
    assert waiter.process.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def _handles(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler of its own for a signal, as /proc tells."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught.split()[1], 16) & (1 << (number - 1)))
