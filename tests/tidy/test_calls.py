"""A walk that names a call which is not made, or opens a file twice, is found out."""

from pathlib import Path

import pytest

from tests.tidy.calls import fault, walk

WORKER = """
from app.worker.task import Task, opened

class Worker:
    def __init__(self, opened):
        self._opened = opened

    def turn(self):
        self._take()
        self._opened()

    def _take(self):
        Task(3).take([])

def main():
    opened
"""
TASK = """
class Task:
    def __init__(self, partition): ...
    def take(self, rows): ...
    def checkpoint(self): ...

class Worker:
    def _take(self): ...

def opened(): ...
def closed(): ...
"""
TURN, TAKE = "app.worker.worker.Worker.turn", "app.worker.worker.Worker._take"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app/worker").mkdir(parents=True)
    (tmp_path / "app/worker/worker.py").write_text(WORKER)
    (tmp_path / "app/worker/task.py").write_text(TASK)
    return tmp_path


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        (TAKE, "app.worker.task.Task.take"),
        (TURN, TAKE),
        (TAKE, "app.worker.task.Task"),
        (TAKE, "app.worker.task.Task.__init__"),
        ("app.worker.worker.main", "app.worker.task.opened"),
        (TURN, "app.worker.task.opened"),
    ],
)
def test_a_call_that_is_made_has_no_fault(root: Path, caller: str, callee: str) -> None:
    assert fault(root, caller, callee) is None


@pytest.mark.parametrize(
    ("caller", "callee", "wrong"),
    [
        (TURN, "app.worker.task.Task.checkpoint", f"{TURN} does not name checkpoint"),
        (TURN, "app.worker.task.Task.take", f"{TURN} does not name take"),
        ("app.worker.task.Task.take", TURN, "app.worker.task.Task.take does not name turn"),
        ("app.worker.worker.main", "app.worker.task.closed", "app.worker.worker.main does not name closed"),
        ("app.worker.worker.Worker.sleep", TAKE, "there is no app.worker.worker.Worker.sleep"),
        (TURN, "app.task.task.Task.take", "there is no app.task.task.Task.take"),
        ("app.worker.worker.turn", TAKE, "there is no app.worker.worker.turn"),
    ],
)
def test_a_wrong_caller_or_callee_is_named(root: Path, caller: str, callee: str, wrong: str) -> None:
    assert fault(root, caller, callee) == wrong


def test_a_chain_is_one_call_for_each_arrow_and_names_are_short_once_a_file_is_open(root: Path) -> None:
    text = (
        f"| 1 | `{TURN}` | `some` words |\n| 2 | `Worker.turn -> Worker._take -> app.worker.task.Task.take` |"
    )
    assert walk(root, text) == (
        ["app.worker.worker", "app.worker.task"],
        [(TURN, TAKE), (TAKE, "app.worker.task.Task.take")],
        [],
    )


@pytest.mark.parametrize(
    ("steps", "wrong"),
    [
        ([TURN, TAKE], f"{TAKE}: app.worker.worker is open already"),
        (["Worker.turn -> Worker._take"], "Worker.turn is in 0 of the files that are open"),
        (
            ["app.worker.task.Task", TURN, "Worker.turn -> Worker._take"],
            "Worker._take is in 2 of the files that are open",
        ),
        ([f"{TURN} -> Worker._take"], "app.worker.worker is opened before the end of a step"),
        ([TURN, "Worker.turn -> app.worker.task.closed"], f"{TURN} does not name closed"),
    ],
)
def test_a_walk_that_goes_astray_is_told_where(root: Path, steps: list[str], wrong: str) -> None:
    faults = walk(root, " ".join(f"`{step}`" for step in steps)).faults
    assert any(wrong in one for one in faults), faults
