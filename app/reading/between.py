"""The rows of an output between two commits: their parities say which rows of the partition these are."""

from collections.abc import Iterator
from typing import Final

import pyarrow as pa

from app.errors import RunError
from app.wiring.pipeline import Pipeline
from operators.hashing.parity import Parity
from schemas.frame import FrameError, FrameHeaders, decode_frame
from topics.block import Original, TopicPartition
from topics.bus import Consumer

FRAMES_MAX: Final = 64  # of a reading
WAIT_MS: Final = 50


def rows_between(
    pipeline: Pipeline, name: str, partition: int, lower: Parity, upper: Parity, *, group: str
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an output that came behind `lower`, up to `upper`, in their order.

    Where they begin is found by halving, since each frame says how many rows there are with it.  Raises
    RunError where the topic does not hold them any more, or something else writes to it.
    """
    if lower.rows == upper.rows:
        return
    source = TopicPartition(pipeline.settings.topic(name), partition)
    consumer = pipeline.bus.consumer(group=group, client_id=group, to_end=True)
    try:
        low, high = consumer.offsets(source)
        at = _first_behind(consumer, source, low, high, lower.rows)
        consumer.assign({source: at})
        seen = lower.rows
        while seen < upper.rows:
            block = consumer.poll(messages_max=FRAMES_MAX, wait_ms=WAIT_MS)
            ended = any(end >= high for _, end in block.ends)
            for message in range(block.messages):
                original, offset = block.originals[message], int(block.offset[message])
                count = _rows_with(original, source, offset)
                rows = _rows_of(original, source, offset)
                begin = count - rows.num_rows
                if begin > seen:
                    raise RunError(
                        f"{source.topic}[{partition}]: rows {seen:,} to {begin:,} are there no more: "
                        "retention has removed them"
                    )
                yield rows.slice(seen - begin, min(upper.rows, count) - seen)
                seen = min(upper.rows, count)
                if seen == upper.rows:
                    return
            del block
            if ended:
                raise RunError(
                    f"{source.topic}[{partition}] has {seen:,} rows, and {upper.rows:,} were committed"
                )
    finally:
        consumer.close()


def _first_behind(consumer: Consumer, source: TopicPartition, low: int, high: int, rows: int) -> int:
    """The offset from which on frames have rows beyond so many."""
    while low < high:
        middle = (low + high) // 2
        consumer.assign({source: middle})
        frame = _next(consumer, high)
        if frame is None or _rows_with(frame[1], source, frame[0]) > rows:
            high = middle
        else:
            low = frame[0] + 1
    return low


def _next(consumer: Consumer, high: int) -> tuple[int, Original] | None:
    """The next frame and its offset; None at the end."""
    while True:
        block = consumer.poll(messages_max=1, wait_ms=WAIT_MS)
        if block.messages:
            return int(block.offset[0]), block.originals[0]
        if any(end >= high for _, end in block.ends):
            return None
        del block


def _rows_with(frame: Original, source: TopicPartition, offset: int) -> int:
    """How many rows there are with a frame."""
    try:
        return Parity.parse(FrameHeaders.from_kafka(frame.headers).parity).rows
    except (FrameError, ValueError) as broken:
        raise _foreign(source, offset, broken) from None


def _rows_of(frame: Original, source: TopicPartition, offset: int) -> pa.RecordBatch:
    try:
        return decode_frame(frame.value)
    except FrameError as broken:
        raise _foreign(source, offset, broken) from None


def _foreign(source: TopicPartition, offset: int, broken: Exception) -> RunError:
    return RunError(f"{source.topic}[{source.partition}]@{offset}: {broken}; something else writes there")
