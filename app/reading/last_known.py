"""A compacted topic read back: the newest entry of each key in a task's partition."""

from app.process.meter import Meter
from app.reading.partition import read_partition
from app.wiring.pipeline import Pipeline
from topics.block import TopicPartition
from topics.catalogue import LAST_KNOWN


def last_known_entries(pipeline: Pipeline, partition: int, *, group: str, meter: Meter) -> dict[bytes, bytes]:
    """The committed last-known entries of one partition; `group` only names the reader."""
    what = f"last rows of partition {partition}"
    return kept_entries(pipeline, LAST_KNOWN, partition, group=group, meter=meter, what=what)


def kept_entries(
    pipeline: Pipeline, name: str, partition: int, *, group: str, meter: Meter, what: str
) -> dict[bytes, bytes]:
    """The committed entries of one partition of an output; `group` only names the reader, `what` the reading.

    An entry without a value takes its key back.  What compaction has removed or transaction markers take up
    leaves gaps in the offsets, so the end is where the log says it is and not at the last entry.
    """
    source = TopicPartition(pipeline.settings.topic(name), partition)
    entries: dict[bytes, bytes] = {}
    low, high = _range(pipeline, source, group)
    with meter.reading(what, low, high) as seen:
        for block in read_partition(pipeline.bus, source, group=group):
            for message in range(block.messages):
                original = block.originals[message]
                if original.key is None:
                    continue  # nothing that this program writes
                if original.value is None:
                    entries.pop(original.key, None)
                else:
                    entries[original.key] = original.value
            seen(int(block.offset[-1]) + 1)
    return entries


def _range(pipeline: Pipeline, source: TopicPartition, group: str) -> tuple[int, int]:
    consumer = pipeline.bus.consumer(group=group, client_id=group)
    try:
        return consumer.offsets(source)
    finally:
        consumer.close()
