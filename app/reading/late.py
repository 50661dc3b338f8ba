"""The late topic read back: which rows of a task's inputs have been set aside."""

from collections.abc import Iterator

from app.config import Settings
from app.reading.letters import StoredLetter, read_stored
from app.reading.partition import read_partition, require_settled
from app.wiring.pipeline import Pipeline
from schemas.letters import LateLetter
from topics.block import TopicPartition
from topics.bus import Bus


def read_late(bus: Bus, settings: Settings, partition: int) -> Iterator[StoredLetter[LateLetter]]:
    """Yield the letters of one partition's late rows, oldest first; what is none is passed over."""
    source = TopicPartition(settings.topic("late"), partition)
    return read_stored(bus, source, LateLetter.from_kafka, group=f"{settings.pipeline.prefix}-late")


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
