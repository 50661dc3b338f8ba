"""Frames of another pipeline as a stream: their rows, and how far they are complete."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from schemas.frame import NEWEST, FrameError, FrameHeaders, encode_frame
from tests.stage.blocks import Originals, block_of
from topics.arrow.decode import FrameValues
from topics.block import MessageBlock
from topics.values import DecodeLimits
from topics.wire import IncompatibleSchemaError, Progress

SCHEMA = pa.schema(
    [pa.field("event_ns", pa.int64(), nullable=False), ("symbol", pa.string()), ("bid", pa.float64())]
)


def frame_of(*times_ns: int, schema: pa.Schema = SCHEMA) -> pa.RecordBatch:
    """Rows of these times, and 1 in every other column that is a number."""
    columns = [
        pa.array(
            times_ns
            if column.name == "event_ns"
            else [None if pa.types.is_string(column.type) else 1] * len(times_ns)
        )
        for column in schema
    ]
    return pa.RecordBatch.from_arrays(
        [a.cast(f.type) for a, f in zip(columns, schema, strict=True)], schema=schema
    )


def framed(*frames: tuple[pa.RecordBatch | bytes, int], rows: int | None = None) -> MessageBlock:
    """A message for each frame and its `complete_ns`, from offset 7 on."""
    values = [frame if isinstance(frame, bytes) else encode_frame(frame) for frame, _ in frames]
    block = block_of([(None, value, 7 + place) for place, value in enumerate(values)])
    originals = Originals()
    for message, (frame, complete_ns) in enumerate(frames):
        count = 0 if isinstance(frame, bytes) else frame.num_rows
        headers = FrameHeaders(
            layout="",
            complete_ns=complete_ns,
            rows=count if rows is None else rows,
            released_ns=0,
            sealed_ns=0,
            newest_ns=0,
        )
        originals.append(block.originals[message]._replace(headers=headers.to_kafka()))
    return replace(block, originals=originals)


def test_frames_give_rows_and_progress() -> None:
    block = framed((frame_of(1, 2), 3), (frame_of(4), 5))
    values = FrameValues(SCHEMA, stream="s").read(block, np.arange(2))
    assert values.columns is not None
    assert values.columns.column("event_ns").to_pylist() == [1, 2, 4]
    assert (values.message.tolist(), values.rows_of.tolist()) == ([0, 1], [2, 1])
    assert values.index.tolist() == [0, 1, 0]
    assert values.progress == [(7, Progress("s", 3, False, "")), (8, Progress("s", 5, False, ""))]
    assert values.dead == []


def test_what_a_frame_lacks_is_null_and_what_it_has_besides_is_left_out() -> None:
    grown = pa.schema([*SCHEMA, ("ask", pa.float64())])
    block = framed((frame_of(1, schema=grown), 2), (frame_of(3, schema=SCHEMA.remove(2)), 4))
    values = FrameValues(SCHEMA).read(block, np.arange(2))
    assert values.columns is not None
    assert values.columns.schema == SCHEMA
    assert values.columns.column("bid").to_pylist() == [1.0, None]


def test_a_column_of_another_type_stops_the_reading_or_is_dead() -> None:
    other = SCHEMA.set(2, pa.field("bid", pa.int64()))
    block = framed((frame_of(1), 2), (frame_of(3, schema=other), 4))
    with pytest.raises(
        IncompatibleSchemaError, match="stream s: a frame's column bid is int64, and double was"
    ):
        FrameValues(SCHEMA, stream="s").read(block, np.arange(2))
    values = FrameValues(SCHEMA, own=False).read(block, np.arange(2))
    assert [row.reason for row in values.dead] == ["column bid is int64, and double was expected"]
    assert values.rows_of.tolist() == [1, 0]
    assert [offset for offset, _ in values.progress] == [7]


def test_messages_that_are_no_frames_are_dead() -> None:
    block = framed((b"no frame", 0), (frame_of(1), 2))
    values = FrameValues(SCHEMA).read(block, np.arange(2))
    assert [row.message for row in values.dead] == [0]
    assert values.dead[0].reason.startswith("not a frame")
    plain = block_of([(None, encode_frame(frame_of(1)), 0)])
    (dead,) = FrameValues(SCHEMA).read(plain, np.arange(1)).dead
    assert dead.reason == "not a frame: header tidemark-layout is missing"
    (dead,) = FrameValues(SCHEMA).read(framed((frame_of(1), 2), rows=3), np.arange(1)).dead
    assert dead.reason == "its header says 3 rows, it has 1"


def test_frames_beyond_the_limits_are_dead() -> None:
    block = framed((frame_of(1, 2), 3))
    (dead,) = FrameValues(SCHEMA, DecodeLimits(rows_max=1)).read(block, np.arange(1)).dead
    assert dead.reason == "2 rows, more than 1"
    (dead,) = FrameValues(SCHEMA, DecodeLimits(message_size_max=10)).read(block, np.arange(1)).dead
    assert dead.reason.endswith("bytes, more than worker.message_size_max = 10")


@pytest.mark.parametrize("other", [b"1_0", b" 7", b"+7", b"7.0", b""])
def test_a_frame_whose_number_is_no_plain_one_is_dead(other: bytes) -> None:
    block = framed((frame_of(1), 3))
    headers = [(name, other if name == NEWEST else text) for name, text in block.originals[0].headers]
    with pytest.raises(FrameError, match=r"not a frame: a header is malformed: .* is no number"):
        FrameHeaders.from_kafka(headers)


@pytest.mark.parametrize("beyond", [2**63, -(2**63) - 1])
def test_a_frame_that_says_more_than_int64_holds_is_dead(beyond: int) -> None:
    values = FrameValues(SCHEMA).read(framed((frame_of(1), beyond), (frame_of(1), 3)), np.arange(2))
    assert [row.reason for row in values.dead] == [
        f"not a frame: a header is malformed: {beyond} is beyond int64"
    ]
    assert len(values.progress) == 1
