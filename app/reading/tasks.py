"""The tasks topic read back: the newest record of one task."""

from app.reading.partition import read_partition
from app.task.record import KEY, TaskRecord, decode_record
from app.wiring.pipeline import Pipeline
from topics.block import TopicPartition
from topics.catalogue import TASKS


def task_record(pipeline: Pipeline, partition: int, *, group: str) -> TaskRecord | None:
    """The committed record of a task, None before its first; `group` only names the reader."""
    source = TopicPartition(pipeline.settings.topic(TASKS), partition)
    newest: bytes | None = None
    for block in read_partition(pipeline.bus, source, group=group):
        for message in range(block.messages):
            original = block.originals[message]
            if original.key == KEY and original.value is not None:
                newest = original.value
    return None if newest is None else decode_record(newest, f"{source.topic}[{partition}]")
