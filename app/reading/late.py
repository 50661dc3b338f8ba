"""The late topic read back: which rows of a task's inputs have been set aside."""

from app.reading.partition import read_partition, require_settled
from app.wiring.pipeline import Pipeline
from schemas.letters import LateLetter
from topics.block import TopicPartition


def late_places(pipeline: Pipeline, partition: int, *, group: str) -> dict[str, list[tuple[int, int]]]:
    """The committed late rows of one partition, per stream as (offset, index) in the order of the topic.

    `group` only names the reader.  With `worker.late = "drop"` the topic is empty.
    """
    places: dict[str, list[tuple[int, int]]] = {name: [] for name in pipeline.settings.stream_names}
    source = TopicPartition(pipeline.settings.topic("late"), partition)
    require_settled(pipeline.bus, [source])
    for block in read_partition(pipeline.bus, source, group=group):
        for message in range(block.messages):
            headers = LateLetter.from_kafka(block.originals[message].headers)
            places[headers.stream] += [(headers.offset, index) for index in headers.indexes]
    return places
