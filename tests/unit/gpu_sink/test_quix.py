"""Frames in an application of Quix Streams: what is read, what is refused, and each row written once."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, SourceError
from schemas.frame import FrameHeaders, encode_frame, layout_fingerprint

quixstreams = pytest.importorskip(
    "quixstreams", reason="tests/broker/test_quix.py runs these in its own place"
)

from gpu_sink.quix import FrameDeserializer, TrainingSink  # noqa: E402

ROWS = pa.RecordBatch.from_pydict(
    {"symbol": ["A", "B", None], "event_ns": pa.array([1, 2, 2**62 + 1], pa.int64()), "bid": [0.5, None, 1.5]}
)
TOPIC = "tidemark.aligned"


def message(rows: pa.RecordBatch, before: int = 0) -> tuple[bytes, list[tuple[str, bytes | None]]]:
    """A frame whose parity counts these rows behind `before` others."""
    headers = FrameHeaders(
        layout=layout_fingerprint(rows.schema),
        complete_ns=9,
        rows=rows.num_rows,
        released_ns=1,
        sealed_ns=2,
        newest_ns=3,
        parity=f"{before + rows.num_rows}-0000000000000000",
    )
    return encode_frame(rows), list(headers.to_kafka())


def context(headers: Any) -> SimpleNamespace:
    return SimpleNamespace(topic=TOPIC, headers=headers)


def written(folder: Path) -> list[int]:
    files = sorted(folder.rglob("*.parquet"))
    return [ns for file in files for ns in pq.ParquetFile(file).read().column("event_ns").to_pylist()]


def add(sink: TrainingSink, value: Any, headers: Any, partition: int = 0, offset: int = 7) -> None:
    """What Quix calls for each message, by these names."""
    others = {"key": None, "timestamp": 0}
    sink.add(value=value, headers=headers, topic=TOPIC, partition=partition, offset=offset, **others)


def hand_over(sink: TrainingSink, times_ns: Sequence[int], before: int, partition: int = 0) -> None:
    rows = pa.RecordBatch.from_pydict({"event_ns": pa.array(times_ns, pa.int64())})
    add(sink, rows, message(rows, before)[1], partition)


def test_each_row_is_a_dict_and_nanoseconds_stay_whole() -> None:
    read = FrameDeserializer(["symbol", "event_ns"])
    assert read.split_values
    value, headers = message(ROWS)
    assert read(value, context(headers)) == [
        {"symbol": "A", "event_ns": 1},
        {"symbol": "B", "event_ns": 2},
        {"symbol": None, "event_ns": 2**62 + 1},
    ]


def test_a_frame_is_a_batch_where_rows_are_not_asked_for() -> None:
    read = FrameDeserializer(rows=False)
    assert not read.split_values
    value, headers = message(ROWS)
    assert read(value, context(headers)).equals(ROWS)


def test_what_is_no_frame_is_refused_with_its_topic() -> None:
    value, headers = message(ROWS)
    with pytest.raises(FrameError, match=r"^tidemark\.aligned: not a frame"):
        FrameDeserializer()(b"garbage", context(headers))
    with pytest.raises(FrameError, match=r"^tidemark\.aligned: "):
        FrameDeserializer()(value, context(None))
    with pytest.raises(FrameError, match="expected 0000"):
        FrameDeserializer(layout="0000")(value, context(headers))
    with pytest.raises(FrameError, match=r"^tidemark\.aligned: "):
        FrameDeserializer(decoded_size_max=8)(value, context(headers))
    with pytest.raises(ColumnError, match="no column ask; there are symbol, event_ns, bid"):
        FrameDeserializer(["ask"])(value, context(headers))


def test_rows_that_come_again_are_written_once_whatever_the_frames_are_cut_into(tmp_path: Path) -> None:
    sink = TrainingSink(tmp_path)
    hand_over(sink, [1, 2, 3], 0)
    hand_over(sink, [2, 3, 4], 1)
    sink.flush()
    hand_over(sink, [3, 4], 2)
    hand_over(sink, [5], 4)
    sink.flush()
    assert (written(tmp_path), sink.repeated_rows) == ([1, 2, 3, 4, 5], 4)


def test_a_process_that_starts_anew_goes_on_behind_what_is_written(tmp_path: Path) -> None:
    first = TrainingSink(tmp_path)
    hand_over(first, [1, 2], 0)
    first.flush()
    hand_over(first, [3], 2)  # dies before it is flushed
    second = TrainingSink(tmp_path)
    hand_over(second, [1, 2], 0)
    hand_over(second, [3], 2)
    second.flush()
    assert (written(tmp_path), second.repeated_rows) == ([1, 2, 3], 2)


def test_partitions_are_apart_and_a_new_folder_begins_where_its_reader_does(tmp_path: Path) -> None:
    sink = TrainingSink(tmp_path)
    hand_over(sink, [1], 100, partition=0)
    hand_over(sink, [2], 0, partition=1)
    sink.flush()
    files = sorted(str(file.relative_to(tmp_path / TOPIC)) for file in tmp_path.rglob("*.parquet"))
    assert files == [f"partition-00000/{100:020d}.parquet", f"partition-00001/{0:020d}.parquet"]


def test_missing_rows_and_values_that_are_no_frames_are_refused(tmp_path: Path) -> None:
    sink = TrainingSink(tmp_path)
    hand_over(sink, [1], 0)
    with pytest.raises(SourceError, match=r"tidemark\.aligned \[0\] offset 7: 2 rows before it are missing"):
        hand_over(sink, [4], 3)
    _, headers = message(ROWS)
    with pytest.raises(SourceError, match=r"takes whole frames: .*rows=False"):
        add(sink, {"symbol": "A"}, headers)
    bare = FrameHeaders.from_kafka(headers)
    with pytest.raises(SourceError, match="says no parity"):
        add(sink, ROWS, list(replace(bare, parity="").to_kafka()))


def test_what_is_dropped_for_backpressure_comes_again(tmp_path: Path) -> None:
    sink = TrainingSink(tmp_path)
    hand_over(sink, [1], 0)
    sink.on_paused()
    sink.flush()
    assert written(tmp_path) == []
    hand_over(sink, [1], 0)
    sink.flush()
    assert written(tmp_path) == [1]
