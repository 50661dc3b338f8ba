"""Values become rows: keys and clocks from where they are, and dead rows where there are none."""

import numpy as np
import pyarrow as pa
import pytest

from schemas.stream import Stream, StreamError
from tests.stage.blocks import block_of
from topics.block import MessageBlock
from topics.shape import Shape, Shaper, TimeField
from topics.times import TimeForm
from topics.values import Values
from topics.wire import DeadRow, Decoded, Progress

EVENT = pa.field("event_ns", pa.int64())


def shaped(
    shaper: Shaper, block: MessageBlock, columns: pa.RecordBatch, rows_of: list[int] | None = None
) -> Decoded:
    """What becomes of values, by default a row of each message."""
    counts = np.array(rows_of or [1] * block.messages, np.int64)
    index = np.concatenate([np.arange(rows, dtype=np.int32) for rows in counts])
    return shaper.decoded(block, Values(columns, np.arange(block.messages), counts, index))


def keys_of(decoded: Decoded) -> list[bytes]:
    """The key of each row."""
    assert decoded.batch is not None
    return [decoded.batch.keys[code].as_py() for code in decoded.batch.key_code]


def test_values_are_rows_as_they_stand() -> None:
    stream = Stream(
        name="s", schema=pa.schema([EVENT, ("symbol", pa.string()), ("n", pa.int64())]), sequence="n"
    )
    block = block_of([(b"B", b"", 3), (b"A", b"", 5)])
    columns = pa.RecordBatch.from_pydict(
        {"event_ns": [1, None, 3], "symbol": ["B", "B", "A"], "n": [7, 8, None]}, schema=stream.schema
    )
    decoded = shaped(Shaper(stream, "event"), block, columns, [2, 1])
    assert decoded.batch is not None
    assert decoded.batch.time_ns.tolist() == [1, 3]
    assert decoded.batch.sequence.tolist() == [7, 0]
    assert decoded.batch.offset.tolist() == [3, 5]
    assert keys_of(decoded) == [b"B", b"A"]
    assert decoded.dead == [DeadRow(0, 1, "no event_ns")]


def test_a_slice_of_columns_has_its_own_times() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT]), key=())
    columns = pa.RecordBatch.from_pydict({"event_ns": [1, 2, 3]}, schema=stream.schema).slice(1)
    decoded = shaped(Shaper(stream, "event"), block_of([(None, b"", 0), (None, b"", 1)]), columns)
    assert decoded.batch is not None
    assert decoded.batch.time_ns.tolist() == [2, 3]


def test_keys_made_of_columns_need_no_message_key() -> None:
    stream = Stream(
        name="s", schema=pa.schema([EVENT, ("a", pa.string()), ("b", pa.int64())]), key=("a", "b")
    )
    block = block_of([(None, b"", 0), (b"x", b"", 1), (b"y", b"", 2), (b"z", b"", 3)])
    columns = pa.RecordBatch.from_pydict(
        {"event_ns": [1, 2, 3, 4], "a": ["u", "u", None, "v:w"], "b": [1, 1, 1, 2]}, schema=stream.schema
    )
    shaper = Shaper(stream, "event", Shape(key_from_columns=True))
    assert shaper.takes_null_keys
    decoded = shaped(shaper, block, columns)
    assert keys_of(decoded) == [b"u:1", b"u:1", b"v\\:w:2"]
    assert decoded.dead == [DeadRow(2, 0, "null key", "null_key")]


def test_a_column_can_be_the_message_key() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT, ("symbol", pa.string())]))
    shaper = Shaper(stream, "event", Shape(key_column="symbol"))
    block = block_of([("ÄÖ".encode(), b"", 0), (b"\xff", b"", 1), (b"", b"", 2)])
    decoded = shaped(shaper, block, pa.RecordBatch.from_pydict({"event_ns": [1, 2, 3]}))
    assert decoded.batch is not None
    assert decoded.batch.columns.column("symbol").to_pylist() == ["ÄÖ", ""]
    assert decoded.dead == [DeadRow(1, 0, "the message key is not UTF-8")]


def test_clocks_come_from_fields_and_from_the_record() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT, ("known_ns", pa.int64())]), key=())
    shape = Shape(times={"event_ns": TimeField("raw", TimeForm(form="ms"), "at"), "known_ns": None})
    block = block_of([(None, b"", offset) for offset in range(3)], timestamp_ms=12)
    columns = pa.RecordBatch.from_pydict({"raw": [5, None, 2**62]}, schema=pa.schema([("raw", pa.int64())]))
    decoded = shaped(Shaper(stream, "event", shape), block, columns)
    assert decoded.batch is not None
    assert decoded.batch.columns.to_pylist() == [{"event_ns": 5_000_000, "known_ns": 12_000_000}]
    words = "is beyond what int64 nanoseconds can say: from 1677-09-21 to 2262-04-11"
    assert decoded.dead == [DeadRow(1, 0, "no event_ns"), DeadRow(2, 0, f"event_ns: at = {2**62} {words}")]
    by_known = shaped(Shaper(stream, "known", shape), block, columns)
    assert by_known.batch is not None
    # The other clock may be missing; what is wrong in it is not passed over.
    assert by_known.batch.columns.column("event_ns").to_pylist() == [5_000_000, None]
    assert [row.message for row in by_known.dead] == [2]


def test_a_sequence_is_int64_whatever_it_is_written_as() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT, ("n", pa.int64())]), key=(), sequence="n")
    for kind in (pa.int32(), pa.uint64()):
        values = pa.schema([EVENT, ("n", kind)])
        columns = pa.RecordBatch.from_pydict({"event_ns": [1, 2], "n": [5, None]}, schema=values)
        shaper = Shaper(stream, "event", Shape(casts=("n",)))
        decoded = shaped(shaper, block_of([(None, b"", 0), (None, b"", 1)]), columns)
        assert decoded.batch is not None
        assert decoded.batch.sequence.tolist() == [5, 0]
        assert decoded.batch.columns.schema == stream.schema
    columns = pa.RecordBatch.from_pydict(
        {"event_ns": [1, 2], "n": [2**63, 2**63 - 1]}, schema=pa.schema([EVENT, ("n", pa.uint64())])
    )
    decoded = shaped(
        Shaper(stream, "event", Shape(casts=("n",))), block_of([(None, b"", 0), (None, b"", 1)]), columns
    )
    assert decoded.batch is not None
    assert decoded.batch.sequence.tolist() == [2**63 - 1]
    assert decoded.dead == [DeadRow(0, 0, f"n = {2**63} is beyond int64")]


def test_progress_and_dead_rows_are_in_order() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT]), key=())
    progress = [(5, Progress("s", 1, False, "")), (2, Progress("s", 0, False, ""))]
    dead = [DeadRow(3, -1, "b"), DeadRow(1, -1, "a")]
    none = np.empty(0, np.int64)
    values = Values(None, none, none, np.empty(0, np.int32), progress, dead)
    decoded = Shaper(stream, "event").decoded(block_of([]), values)
    assert decoded.batch is None
    assert [offset for offset, _ in decoded.progress] == [2, 5]
    assert [row.reason for row in decoded.dead] == ["a", "b"]


def test_a_stream_without_the_clock_is_refused() -> None:
    with pytest.raises(StreamError, match="known_ns"):
        Shaper(Stream(name="s", schema=pa.schema([EVENT]), key=()), "known")


def test_a_row_of_another_key_than_its_message_is_dead() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT, ("symbol", pa.string())]))
    block = block_of([(b"A", b"", 0), (b"A", b"", 1), (b'"B"', b"", 2)])
    columns = pa.RecordBatch.from_pydict(
        {"event_ns": [1, 2, 3, 4], "symbol": ["A", "B", None, "B"]}, schema=stream.schema
    )
    decoded = shaped(Shaper(stream, "event", Shape(checks_keys=True)), block, columns, [2, 1, 1])
    assert keys_of(decoded) == [b"A"]
    assert [(row.message, row.index) for row in decoded.dead] == [(0, 1), (1, 0), (2, 0)]
    assert decoded.dead[0].reason.startswith("the message key is 'A', and symbol would make 'B'")
    assert "symbol would make none" in decoded.dead[1].reason
    assert 'key_from = "columns"' in decoded.dead[2].reason


def test_a_key_that_can_be_read_in_two_ways_is_left_to_the_join() -> None:
    stream = Stream(
        name="s", schema=pa.schema([EVENT, ("a", pa.string()), ("b", pa.string())]), key=("a", "b")
    )
    block = block_of([(b"u:v", b"", 0), (b"u:v:w", b"", 1), (b"u:x", b"", 2)])
    columns = pa.RecordBatch.from_pydict(
        {"event_ns": [1, 2, 3], "a": ["u", "u:v", "u"], "b": ["v", "w", "v"]}, schema=stream.schema
    )
    decoded = shaped(Shaper(stream, "event", Shape(checks_keys=True)), block, columns)
    assert keys_of(decoded) == [b"u:v", b"u:v:w"]
    assert [row.message for row in decoded.dead] == [2]


def test_a_record_without_time_or_with_one_beyond_all_is_dead() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT, pa.field("known_ns", pa.int64())]), key=())
    block = block_of([(None, b"", 0), (None, b"", 1), (None, b"", 2)], timestamp_ms=[-1, 2**62, 7])
    columns = pa.RecordBatch.from_pydict({"x": [1, 2, 3]})
    decoded = shaped(
        Shaper(stream, "event", Shape(times={"event_ns": None, "known_ns": None})), block, columns
    )
    assert decoded.batch is not None
    assert decoded.batch.time_ns.tolist() == [7_000_000]
    assert [row.message for row in decoded.dead] == [0, 1]
    assert decoded.dead[0].reason == "no event_ns: the record has no time"
    assert "4611686018427387904 ms, is beyond what int64 nanoseconds can say" in decoded.dead[1].reason


def test_rows_of_one_message_are_dead_for_one_reason() -> None:
    stream = Stream(name="s", schema=pa.schema([EVENT]), key=())
    block = block_of([(None, b"", 0), (None, b"", 1)])
    texts = ["soon", "1", "later", "never", "2"]
    columns = pa.RecordBatch.from_pydict({"t": texts})
    source = TimeField("t", TimeForm(form="ns"), "t")
    decoded = shaped(Shaper(stream, "event", Shape(times={"event_ns": source})), block, columns, [3, 2])
    assert [(row.message, row.index, row.reason) for row in decoded.dead] == [
        (0, 0, "event_ns: t = 'soon' is no time"),
        (0, 2, "event_ns: t = 'soon' is no time"),
        (1, 0, "event_ns: t = 'never' is no time"),
    ]
