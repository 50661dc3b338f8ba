"""What is seen of a group from outside, as Prometheus reads it: figures of hung workers as well."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from prometheus_client.metrics_core import Metric

from app.config import Settings
from app.metrics.collector import gauge
from app.watch.watermarks import InputFigures, Picture
from app.wiring.sessions import graph_sessions
from operators.sessions.sessions import OUTSIDE, CalendarError, Sessions
from schemas.clocks import BEGINNING_NS, NS_PER_S

STALE_NS: Final = 60 * NS_PER_S  # a picture older than this says nothing any more

Values = dict[tuple[str, ...], float]


class GroupCollector:
    """Shows the last picture of a group, however many scrape it; `picture` is replaced at each look."""

    def __init__(self, settings: Settings) -> None:
        """Whether a session is open is said where the graph has an anchor."""
        self.picture: Picture | None = None
        self.now_ns = 0  # wall clock of the last look, with an answer or without
        self._sessions = None if settings.graph.anchor is None else graph_sessions(settings)

    def collect(self) -> Iterator[Metric]:
        """All metrics of the exporter; none where the broker has not answered for long."""
        picture = self.picture
        if picture is None or self.now_ns - picture.now_ns > STALE_NS:
            return
        values = {**_of_tasks(picture), **_of_inputs(picture)}
        unowned = sum(not task.owners for task in picture.tasks)
        values["tidemark_group_tasks_unowned"] = {(): float(unowned)}
        values["tidemark_session_open"] = _session_open(self._sessions, picture.now_ns)
        for name, samples in values.items():
            yield gauge(name, samples)


def _of_tasks(picture: Picture) -> dict[str, Values]:
    frontier: Values = {}
    moved: Values = {}
    for task in picture.tasks:
        if task.frontier_ns != BEGINNING_NS:
            frontier[str(task.number),] = task.frontier_ns / NS_PER_S
        if task.moved_ns:
            moved[str(task.number),] = task.moved_ns / NS_PER_S
    return {
        "tidemark_frontier_timestamp_seconds": frontier,
        "tidemark_frontier_moved_timestamp_seconds": moved,
    }


def _of_inputs(picture: Picture) -> dict[str, Values]:
    values: dict[str, Values] = {}
    for task in picture.tasks:
        for figures in task.inputs:
            labels = (figures.stream, str(task.number))
            for name, value in _figures(figures).items():
                samples = values.setdefault(f"tidemark_{name}", {})
                if value is not None:
                    samples[labels] = value
    return values


def _figures(figures: InputFigures) -> dict[str, float | None]:
    """The figures of one input; None where nothing is known."""
    report = figures.report
    return {
        "watermark_timestamp_seconds": (
            None if figures.watermark_ns == BEGINNING_NS else figures.watermark_ns / NS_PER_S
        ),
        "newest_timestamp_seconds": report.newest_ns / NS_PER_S if report and report.newest_ns else None,
        "input_read_timestamp_seconds": report.read_ns / NS_PER_S if report and report.read_ns else None,
        "waiting_rows": report.rows if report else None,
        "waiting_bytes": report.size if report else None,
        "input_idle": float(figures.idle),
        "input_paused": float(report is not None and report.paused),
        "lag_messages": figures.lag,
        "uncommitted_messages": figures.hidden,
    }


def _session_open(sessions: Sessions | None, now_ns: int) -> Values:
    """Whether the venue trades now; nothing where there is no calendar, or none of this time."""
    if sessions is None:
        return {}
    try:
        session = int(sessions.ids(np.array([now_ns], np.int64))[0])
    except CalendarError:
        return {}
    return {(): float(session != OUTSIDE)}
