"""When a bounded run is over for the whole group, as its commits tell."""

from app.wiring.logs import read_positions, require_same_logs
from app.wiring.pipeline import Pipeline
from topics.block import TopicPartition
from topics.bus import Consumer


def group_is_done(pipeline: Pipeline, observer: Consumer) -> bool:
    """Whether every task of the group has committed that it is complete, with nothing behind that.

    `observer` is no member: a static one cannot ask while it waits to join, as it does for a session timeout
    when another one has ended.  Raises RunError where the commits belong to topics that are no more.
    """
    partitions = pipeline.settings.bus.partitions
    sources = [TopicPartition(topic, n) for topic in pipeline.input_topics for n in range(partitions)]
    committed = read_positions(sources, observer.committed(sources))
    read_next: dict[TopicPartition, int] = {}
    for source, one in committed.items():
        if one is None or not one.complete:
            return False
        read_next[source] = one.progress.next_offset
    if not all(observer.offsets(source)[1] <= offset for source, offset in read_next.items()):
        return False
    require_same_logs(committed, pipeline.log_ids(), pipeline.settings)
    return True
