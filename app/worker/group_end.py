"""When a bounded run is over for the whole group, as its commits tell."""

from app.task.metadata import from_position
from app.wiring.pipeline import Pipeline
from topics.block import TopicPartition
from topics.bus import Consumer


def group_is_done(pipeline: Pipeline, observer: Consumer) -> bool:
    """Whether every task of the group has committed that it is complete, with nothing behind that.

    `observer` is no member: a static one cannot ask while it waits to join, as it does for a session timeout
    when another one has ended.
    """
    partitions = pipeline.settings.bus.partitions
    sources = [TopicPartition(topic, n) for topic in pipeline.input_topics for n in range(partitions)]
    read_next: dict[TopicPartition, int] = {}
    for source, position in observer.committed(sources).items():
        if position is None:
            return False
        committed = from_position(position, f"{source.topic}[{source.partition}]")
        if not committed.complete:
            return False
        read_next[source] = committed.progress.next_offset
    return all(observer.offsets(source)[1] <= offset for source, offset in read_next.items())
