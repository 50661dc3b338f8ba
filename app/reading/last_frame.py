"""The last frame of an output: which columns its rows have so far, by which rule, and how many there are."""

from typing import Final, NamedTuple

import pyarrow as pa

from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity
from schemas.frame import FrameHeaders, decode_frame
from topics.block import Original, TopicPartition
from topics.bus import Bus

WAIT_MS: Final = 100
BACK_FIRST: Final = 8  # offsets from the end: the last ones may be transaction markers
BACK_TIMES: Final = 16


class LastFrame(NamedTuple):
    """Of one partition: the columns of the last rows, their rule's text, and how many rows there are."""

    schema: pa.Schema
    rule: str
    rows: int


def last_frame(pipeline: Pipeline, topic: str, partition: int, *, group: str) -> LastFrame | None:
    """The last committed frame of a topic that is there, None before its first; `group` names the reader.

    Raises FrameError where something else writes to that topic.
    """
    source = TopicPartition(topic, partition)
    original = last_message(pipeline.bus, source, group)
    if original is None:
        return None
    headers = FrameHeaders.from_kafka(original.headers)
    rows = Parity.parse(headers.parity).rows if headers.parity else 0
    return LastFrame(decode_frame(original.value).schema, headers.rule, rows)


def last_message(bus: Bus, source: TopicPartition, group: str) -> Original | None:
    """The last committed message of a partition, None of an empty one; `group` names the reader."""
    consumer = bus.consumer(group=group, client_id=group, to_end=True)
    try:
        low, high = consumer.offsets(source)
        back = BACK_FIRST
        while low < high:
            lower = max(low, high - back)
            consumer.assign({source: lower})
            last: Original | None = None
            reached = False
            while not reached:
                block = consumer.poll(messages_max=BACK_FIRST, wait_ms=WAIT_MS)
                if block.messages:
                    last = block.originals[block.messages - 1]
                    reached = int(block.offset[-1]) >= high - 1
                reached = reached or any(end >= high for _, end in block.ends)
                del block
            if last is not None or lower == low:
                return last
            back *= BACK_TIMES
        return None
    finally:
        consumer.close()
