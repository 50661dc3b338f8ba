"""Schedules: when a commit is due, and which tasks' last-known entries and nodes' state go with it."""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from app.settings.worker import WorkerSettings
from app.task.task import Task
from schemas.clocks import NS_PER_MS


class CommitSchedule:
    """A commit is due each `commit_interval_ms`, or once `commit_rows_max` rows are sealed.

    None is due where nothing has come since the last one.
    """

    def __init__(self, settings: WorkerSettings, elapsed_ns: Callable[[], int]) -> None:
        self.dirty = False  # something was read or sealed since the last commit
        self.wait_ms_max = settings.poll_wait_ms_max
        self._rows_max = settings.commit_rows_max
        self._elapsed_ns = elapsed_ns
        self._interval_ns = settings.commit_interval_ms * NS_PER_MS
        self._committed_ns = elapsed_ns()

    def due(self, rows: int) -> bool:
        """Whether to commit now that `rows` are sealed and not committed."""
        if not self.dirty:
            return False
        return self._elapsed_ns() - self._committed_ns >= self._interval_ns or self.crowded(rows)

    def crowded(self, rows: int) -> bool:
        """Whether so many rows are sealed and not committed that the interval does not matter."""
        return rows >= self._rows_max

    def wait_ms(self) -> int:
        """How long a poll may wait for messages before a commit is due."""
        if not self.dirty:
            return self.wait_ms_max
        elapsed_ms = (self._elapsed_ns() - self._committed_ns) // NS_PER_MS
        return max(0, min(self.wait_ms_max, self._interval_ns // NS_PER_MS - elapsed_ms))

    def begin(self) -> None:
        """A commit that nobody waits for has begun: what comes from now on belongs to the next."""
        self._committed_ns = self._elapsed_ns()
        self.dirty = False

    def end(self, begun_ns: int) -> None:
        """A commit that was waited for has ended.

        Rows become visible once an interval, however long a commit takes; but half of the time is for rows.
        """
        self._committed_ns = max(begun_ns, self._elapsed_ns() - self._interval_ns // 2)


class KeptSchedule:
    """What a task keeps in a topic is due each interval, and at once where it was opened.

    Of a task that was opened with what it `had` it is due an interval later: all of it is written then.
    """

    def __init__(
        self,
        interval_ms: int,
        keeps: Callable[[Task], bool],
        elapsed_ns: Callable[[], int],
        had: Callable[[Task], bool] = lambda _: False,
    ) -> None:
        """`keeps` says whether a task keeps any of the kind, `had` whether the topic has earlier ones."""
        self.behind = False  # rows have come since all entries were written
        self._keeps = keeps
        self._had = had
        self._interval_ns = interval_ms * NS_PER_MS
        self._elapsed_ns = elapsed_ns
        self._written_ns: dict[int, int] = {}  # by partition

    def due(self, tasks: Mapping[int, Task]) -> list[int]:
        """The tasks that keep such entries and whose are due."""
        now_ns, able = self._elapsed_ns(), self.able(tasks)
        for n in able:
            self._written_ns.setdefault(n, now_ns if self._had(tasks[n]) else 0)
        return [n for n in able if self._written_ns[n] <= now_ns - self._interval_ns]

    def able(self, tasks: Mapping[int, Task]) -> list[int]:
        """The tasks that keep such entries and have taken again all that was committed."""
        return [n for n, task in tasks.items() if self._keeps(task) and task.operator.caught_up]

    def record(self, numbers: Collection[int], tasks: Mapping[int, Task]) -> None:
        """The entries of these tasks, of all there are, are committed."""
        self._written_ns |= dict.fromkeys(numbers, self._elapsed_ns())
        if all(n in numbers for n, task in tasks.items() if self._keeps(task)):
            self.behind = False

    def forget(self, number: int) -> None:
        """A task was closed."""
        self._written_ns.pop(number, None)


class Along(NamedTuple):
    """The tasks of which entries go along with a commit, by kind."""

    last_known: Collection[int] = ()
    node_state: Collection[int] = ()


class KeptSchedules:
    """The schedules of both kinds of entries: last-known rows, and what nodes remember."""

    def __init__(self, settings: WorkerSettings, elapsed_ns: Callable[[], int]) -> None:
        self._last_known = KeptSchedule(
            settings.last_known_interval_ms, lambda task: task.operator.keeps is not None, elapsed_ns
        )
        self._node_state = KeptSchedule(
            settings.state_interval_ms,
            lambda task: task.operator.nodes.remembers,
            elapsed_ns,
            # A restart that has its disk would send all that nodes remember before its first rows count.
            lambda task: task.operator.nodes.standing.all_the_same,
        )

    @property
    def behind(self) -> bool:
        """Whether rows have come since all entries were written."""
        return self._last_known.behind or self._node_state.behind

    def mark_behind(self) -> None:
        """Rows have come."""
        self._last_known.behind = self._node_state.behind = True

    def due(self, tasks: Mapping[int, Task]) -> Along:
        """The tasks whose entries are due."""
        return Along(self._last_known.due(tasks), self._node_state.due(tasks))

    def able(self, tasks: Mapping[int, Task]) -> Along:
        """The tasks that keep entries and have taken again all that was committed."""
        return Along(self._last_known.able(tasks), self._node_state.able(tasks))

    def record(self, along: Along, tasks: Mapping[int, Task]) -> None:
        """The entries of these tasks, of all there are, are committed."""
        self._last_known.record(along.last_known, tasks)
        self._node_state.record(along.node_state, tasks)

    def forget(self, number: int) -> None:
        """A task was closed."""
        self._last_known.forget(number)
        self._node_state.forget(number)
