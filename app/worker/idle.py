"""Idle inputs: who has been silent at the end of its log for so long that the frontier no longer waits."""

from collections.abc import Callable, Mapping

import structlog

from app.config import Settings
from app.task.task import Silence, Task
from schemas.clocks import NS_PER_MS
from topics.block import TopicPartition
from topics.bus import BusUnavailableError, Consumer

log = structlog.get_logger()


class IdleWatch:
    """Tells operators which of their inputs are idle, where `idle_after_ms` allows it.

    An input is idle when the bus has told the end of its log, nothing came from it for the timeout since, and
    the log has no more now.  The time in which it is paused, or its task reads again what an earlier life had
    read, does not count.  An input that was idle at the last commit need not wait out the timeout again if
    its log still ends where it did; but that must be seen in this life.
    """

    def __init__(self, settings: Settings, consumer: Consumer, elapsed_ns: Callable[[], int]) -> None:
        """`elapsed_ns` is monotonic: a step of the wall clock makes nothing idle."""
        self._after_ms = {
            settings.topic(name): settings.idle_after_ms(name) for name in settings.stream_names
        }
        self._consumer = consumer
        self._elapsed_ns = elapsed_ns

    def heard(self, task: Task, topic: str) -> None:
        """Messages of an input came."""
        task.silent.pop(topic, None)

    def ended(self, task: Task, topic: str, end: int) -> None:
        """An input has been read to the end of its log."""
        task.silent[topic] = Silence(end, self._elapsed_ns())

    def leave_out(self, tasks: Mapping[int, Task]) -> set[int]:
        """Leave inputs that have become idle out of the frontier; returns the tasks that can seal more."""
        now_ns = self._elapsed_ns()
        moved = set()
        for number, task in tasks.items():
            for topic, silence in task.silent.items():
                after_ms = self._after_ms[topic]
                if after_ms is None or silence.idle:
                    continue
                if topic in task.paused or not task.operator.caught_up:
                    silence.since_ns = now_ns
                    continue
                stream, _ = task.inputs[topic]
                if (
                    not _was_idle(task, stream, silence.end)
                    and now_ns - silence.since_ns < after_ms * NS_PER_MS
                ):
                    continue
                if not self._is_end(TopicPartition(topic, number), silence.end):
                    silence.since_ns = now_ns
                    continue
                task.operator.idle(stream)
                silence.idle = True
                moved.add(number)
                log.info("idle: left out of the frontier", topic=topic, partition=number)
        return moved

    def _is_end(self, source: TopicPartition, end: int) -> bool:
        """Whether the log still ends there: rows may have come that nobody delivered yet."""
        try:
            _, high = self._consumer.offsets(source)
        except BusUnavailableError:
            return False
        return high <= end


def _was_idle(task: Task, stream: str, end: int) -> bool:
    """Whether the input was idle at the last commit and has got nothing since."""
    told = task.opened.get(stream)
    return told is not None and told.idle and end <= told.next_offset
