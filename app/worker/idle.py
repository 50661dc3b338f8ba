"""Idle inputs: who has been silent at the end of its log for so long that the frontier no longer waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from app.config import Settings
from app.task.reading import Reading
from app.task.task import Task
from schemas.clocks import NS_PER_MS
from topics.block import TopicPartition
from topics.bus import BusUnavailableError, Consumer

log = structlog.get_logger()


@dataclass(slots=True)
class _Silence:
    """An input was read to `end`, the end of its log, and nothing has come since `since_ns` (monotonic)."""

    end: int
    since_ns: int
    idle: bool = False  # the operator leaves it out


class IdleWatch:
    """Tells operators which of their inputs are idle, where `idle_after_ms` allows it.

    An input is idle when the bus has told the end of its log, nothing came from it for the timeout since, and
    the log has no more now.  The time in which it is paused, or its task reads again what an earlier life had
    read, does not count.  An input that was idle at the last commit need not wait out the timeout again if
    its log still ends where it did; but that must be seen in this life.
    """

    def __init__(self, settings: Settings, consumer: Consumer, elapsed_ns: Callable[[], int]) -> None:
        """`elapsed_ns` is monotonic: a step of the wall clock makes nothing idle."""
        self._after_ns = {
            settings.topic(name): after_ms * NS_PER_MS
            for name in settings.stream_names
            if (after_ms := settings.idle_after_ms(name)) is not None
        }
        self._consumer = consumer
        self._elapsed_ns = elapsed_ns
        self._silences: dict[TopicPartition, _Silence] = {}  # of inputs that may become idle

    def heard(self, source: TopicPartition) -> None:
        """Messages of an input came."""
        self._silences.pop(source, None)

    def ended(self, source: TopicPartition, end: int) -> None:
        """An input has been read to the end of its log."""
        if source.topic in self._after_ns:
            self._silences[source] = _Silence(end, self._elapsed_ns())

    def forget(self, number: int) -> None:
        """A task was closed: its inputs' silence ends with it."""
        for source in [source for source in self._silences if source.partition == number]:
            del self._silences[source]

    def leave_out(self, tasks: Mapping[int, Task]) -> set[int]:
        """Leave inputs that have become idle out of the frontier; returns the tasks that can seal more."""
        moved: set[int] = set()
        if not self._silences:
            return moved
        now_ns = self._elapsed_ns()
        for source, silence in self._silences.items():
            if silence.idle:
                continue
            task = tasks[source.partition]
            reading = task.readings[source.topic]
            if reading.paused or not task.operator.inputs.caught_up:
                silence.since_ns = now_ns
                continue
            short = now_ns - silence.since_ns < self._after_ns[source.topic]
            if short and not _was_idle(reading, silence.end):
                continue
            if not self._is_end(source, silence.end):
                silence.since_ns = now_ns
                continue
            task.operator.inputs.leave_out(reading.stream)
            silence.idle = True
            moved.add(source.partition)
            log.info("idle: left out of the frontier", topic=source.topic, partition=source.partition)
        return moved

    def _is_end(self, source: TopicPartition, end: int) -> bool:
        """Whether the log still ends there: rows may have come that nobody delivered yet."""
        try:
            _, high = self._consumer.offsets(source)
        except BusUnavailableError:
            return False
        return high <= end


def _was_idle(reading: Reading, end: int) -> bool:
    """Whether the input was idle at the last commit and has got nothing since."""
    return reading.opened.idle and end <= reading.opened.next_offset
