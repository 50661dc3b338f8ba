"""The dead-letter topic read back: which rows of a task's inputs were too far ahead and are not accepted."""

from app.reader import read_partition
from app.wiring import Pipeline
from schemas.letters import DEAD_AHEAD, DeadLetter
from topics.block import TopicPartition


def ahead_places(pipeline: Pipeline, partition: int, *, group: str) -> dict[str, list[tuple[int, int]]]:
    """The committed rows of one partition that were too far ahead, per stream as (offset, index).

    They come in the order of the topic; progress records are left out, they are no rows.  `group` only names
    the reader.  With `worker.dead = "drop"` the topic is empty.
    """
    found: dict[str, list[tuple[int, int]]] = {name: [] for name in pipeline.settings.stream_names}
    source = TopicPartition(pipeline.settings.topic("dead"), partition)
    for block in read_partition(pipeline.bus, source, group=group):
        for message in range(block.messages):
            headers = DeadLetter.from_kafka(block.originals[message].headers)
            if headers.error == DEAD_AHEAD:
                stream = pipeline.input_topics[headers.topic]
                found[stream] += [(headers.offset, index) for index in headers.indexes]
    return found
