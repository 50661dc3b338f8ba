"""A walk that names a call which is not made is found out."""

from pathlib import Path

import pytest

from tests.tidy.calls import calls, fault

WORKER = """
from app.worker.task import Task, opened

class Worker:
    def turn(self):
        self._take()

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

def opened(): ...
def closed(): ...
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "app/worker").mkdir(parents=True)
    (tmp_path / "app/worker/worker.py").write_text(WORKER)
    (tmp_path / "app/worker/task.py").write_text(TASK)
    return tmp_path


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        ("app.worker.worker.Worker._take", "app.worker.task.Task.take"),
        ("app.worker.worker.Worker.turn", "app.worker.worker.Worker._take"),
        ("app.worker.worker.Worker._take", "app.worker.task.Task"),
        ("app.worker.worker.Worker._take", "app.worker.task.Task.__init__"),
        ("app.worker.worker.main", "app.worker.task.opened"),
    ],
)
def test_a_call_that_is_made_has_no_fault(root: Path, caller: str, callee: str) -> None:
    assert fault(root, caller, callee) is None


@pytest.mark.parametrize(
    ("caller", "callee", "wrong"),
    [
        (
            "app.worker.worker.Worker.turn",
            "app.worker.task.Task.checkpoint",
            "app/worker/worker.py does not name checkpoint",
        ),
        (
            "app.worker.task.Task.take",
            "app.worker.worker.Worker.turn",
            "app/worker/task.py does not name turn",
        ),
        ("app.worker.worker.main", "app.worker.task.closed", "app/worker/worker.py does not name closed"),
        (
            "app.worker.worker.Worker.sleep",
            "app.worker.task.Task.take",
            "there is no app.worker.worker.Worker.sleep",
        ),
        ("app.worker.worker.Worker.turn", "app.task.task.Task.take", "there is no app.task.task.Task.take"),
        ("app.worker.worker.turn", "app.worker.task.Task.take", "there is no app.worker.worker.turn"),
    ],
)
def test_a_wrong_caller_or_callee_is_named(root: Path, caller: str, callee: str, wrong: str) -> None:
    assert fault(root, caller, callee) == wrong


def test_a_chain_is_one_call_for_each_arrow() -> None:
    assert calls("| 1 | `a.b -> c.D.e -> f.g` | and `h.i` |\n| 2 | `j.k -> l.m` |") == [
        ("a.b", "c.D.e"),
        ("c.D.e", "f.g"),
        ("j.k", "l.m"),
    ]
