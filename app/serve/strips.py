"""Fifteen minutes of a group, a point a look: how many rows left, how old they were, how far it trails."""

from collections import deque
from typing import Final, NamedTuple

import numpy as np

from app.watch.watermarks import Picture
from app.watch.words import answer
from schemas.clocks import BEGINNING_NS, NS_PER_MS, NS_PER_S

POINTS_MAX: Final = 1_800  # half a second each
HOLDERS_MAX: Final = 100  # changes of who holds a task that are remembered


class Departed(NamedTuple):
    """What left the workers since the look before: rows by the counts of their frames, and seal delays."""

    rows: int
    delays_ns: tuple[int, ...]


class Point(NamedTuple):
    """One look.

    `rows`      joined rows that left since the look before, and `rows_per_s` their rate.
    `p50`       of the delay from the message that let rows be sealed to the frame, in ms, as `p99` and
                `longest`; None where no frame was seen.
    `trails_s`  seconds of market time between the newest row read and the frontier, of the task that trails
                most.
    `late`      rows and `dead` ones since the workers took their tasks.
    """

    now_ns: int
    rows: int
    rows_per_s: float
    p50: float | None
    p99: float | None
    longest: float | None
    trails_s: float | None
    late: int
    dead: int


class Holding(NamedTuple):
    """From `since_ns` on, an input held the frontier of a task, and why."""

    since_ns: int
    holder: str
    verdict: str
    sentence: str


class Strips:
    """The points of the last minutes, and who held each task."""

    def __init__(self) -> None:
        self.points: deque[Point] = deque(maxlen=POINTS_MAX)
        self.holders: dict[int, deque[Holding]] = {}

    def add(self, picture: Picture, departed: Departed) -> Point:
        """Remember a look; returns its point."""
        p50, p99, longest = _delays(departed.delays_ns)
        inputs = [figures for task in picture.tasks for figures in task.inputs]
        reports = [figures.report for figures in inputs if figures.report]
        since_ns = picture.now_ns - self.points[-1].now_ns if self.points else 0
        point = Point(
            picture.now_ns,
            departed.rows,
            round(departed.rows * NS_PER_S / since_ns, 1) if since_ns > 0 else 0.0,
            p50,
            p99,
            longest,
            _trails_s(picture),
            sum(report.late for report in reports),
            sum(max((f.report.dead for f in task.inputs if f.report), default=0) for task in picture.tasks),
        )
        self.points.append(point)
        for task in picture.tasks:
            now = answer(task, picture)
            past = self.holders.setdefault(task.number, deque(maxlen=HOLDERS_MAX))
            if not past or (past[-1].holder, past[-1].verdict) != (task.holder.name, now.verdict):
                past.append(Holding(picture.now_ns, task.holder.name, now.verdict, now.sentence))
        return point


def _delays(delays_ns: tuple[int, ...]) -> tuple[float | None, float | None, float | None]:
    if not delays_ns:
        return None, None, None
    p50, p99, longest = np.percentile(np.array(delays_ns), (50, 99, 100)) / NS_PER_MS
    return round(float(p50), 3), round(float(p99), 3), round(float(longest), 3)


def _trails_s(picture: Picture) -> float | None:
    trails = [
        figures.report.newest_ns - task.frontier_ns
        for task in picture.tasks
        for figures in task.inputs
        if figures.report and figures.report.newest_ns and task.frontier_ns != BEGINNING_NS
    ]
    return round(max(0, max(trails)) / NS_PER_S, 3) if trails else None
