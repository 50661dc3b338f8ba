"""Relief: an input whose buffers are full is paused until they are half empty, so that others catch up."""

from collections.abc import Iterable

import structlog

from app.task.task import Task
from topics.block import TopicPartition
from topics.bus import Consumer

log = structlog.get_logger()


class Relief:
    """Pauses inputs and resumes them; nobody else does.

    Each pause has a price: the client throws away what it had read ahead.  An input that the frontier waits
    for is never paused, however much it buffers (`Inputs.is_full`).
    """

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer

    def relieve(self, task: Task) -> None:
        """Pause the inputs of a task that are full now, and resume those that are half empty again."""
        for topic, reading in task.readings.items():
            held = task.operator.held(reading.stream)
            full = task.operator.inputs.is_full(reading.stream, held, paused=reading.paused)
            if full == reading.paused:
                continue
            source = TopicPartition(topic, task.partition)
            if full:
                self._consumer.pause([source])
            else:
                self._consumer.resume([source])
            reading.paused = full
            log.info("paused" if full else "resumed", topic=topic, partition=task.partition)

    def read_on(self, task: Task) -> None:
        """Resume what is paused in vain, where a bounded run's other inputs have ended their period."""
        if task.paused and task.awaits_ended_inputs():
            self._consumer.resume(self.paused_inputs([task]))
            for reading in task.readings.values():
                reading.paused = False

    def paused_inputs(self, tasks: Iterable[Task]) -> list[TopicPartition]:
        """The inputs that are paused now."""
        return [TopicPartition(topic, task.partition) for task in tasks for topic in task.paused]

    def resume(self, sources: Iterable[TopicPartition]) -> None:
        """Resume what was paused before its task was opened anew: its buffers are empty now."""
        self._consumer.resume(list(sources))
