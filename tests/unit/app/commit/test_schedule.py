"""When what a task keeps in a topic goes along with a commit."""

from types import SimpleNamespace
from typing import Any, Final, cast

from app.commit.schedule import KeptSchedule
from app.task.task import Task

MS: Final = 1_000_000
INTERVAL_MS: Final = 30
LATE_MS: Final = 1_000  # on a clock that has run for long


def opened(*, had: bool) -> Task:
    """A task that is caught up, and that was opened with what it had, or without."""
    return cast("Task", SimpleNamespace(operator=SimpleNamespace(caught_up=True), had=had))


class Clock:
    """A schedule, and the time of its clock."""

    def __init__(self) -> None:
        self.now_ms = LATE_MS
        self.schedule = KeptSchedule(INTERVAL_MS, lambda _: True, lambda: self.now_ms * MS, self._had)

    def _had(self, task: Any) -> bool:
        return bool(task.had)


def test_what_a_task_without_anything_kept_has_is_due_at_once_and_then_each_interval() -> None:
    clock, tasks = Clock(), {0: opened(had=False)}
    assert clock.schedule.due(tasks) == [0]
    clock.schedule.record([0], tasks)
    clock.now_ms += INTERVAL_MS - 1
    assert clock.schedule.due(tasks) == []
    clock.now_ms += 1
    assert clock.schedule.due(tasks) == [0]


def test_what_a_task_was_opened_with_is_due_an_interval_later() -> None:
    clock, tasks = Clock(), {0: opened(had=True)}
    assert clock.schedule.due(tasks) == []
    clock.now_ms += INTERVAL_MS - 1
    assert clock.schedule.due(tasks) == []
    clock.now_ms += 1
    assert clock.schedule.due(tasks) == [0]


def test_a_task_that_is_opened_again_is_judged_anew() -> None:
    clock, tasks = Clock(), {0: opened(had=True)}
    clock.schedule.due(tasks)
    clock.now_ms += INTERVAL_MS
    clock.schedule.forget(0)
    assert clock.schedule.due(tasks) == []
    assert clock.schedule.due({0: opened(had=False)}) == []  # it was seen, and nobody closed it
    clock.schedule.forget(0)
    assert clock.schedule.due({0: opened(had=False)}) == [0]
