"""The laws of reading aligned Parquet files as a stream."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.errors import SourceError
from gpu_sink.source import AlignedStream
from tests.stage.aligned import numbers_in, rows_of


def write(file: Path, numbers: list[int], group_rows: int) -> None:
    """Numbered rows in a Parquet file."""
    pq.write_table(pa.Table.from_batches([rows_of(numbers)]), file, row_group_size=group_rows)


def test_files_come_in_the_order_of_their_names_and_rows_as_they_lie(tmp_path: Path) -> None:
    write(tmp_path / "part-1.parquet", [5, 6, 7], group_rows=2)
    write(tmp_path / "part-0.parquet", [1, 2, 3, 4], group_rows=3)
    frames = list(AlignedStream.from_folder(tmp_path))
    assert numbers_in([frame.rows for frame in frames]) == [1, 2, 3, 4, 5, 6, 7]
    assert [frame.place[1:] for frame in frames] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_folder_can_be_read_twice(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [1, 2], group_rows=2)
    stream = AlignedStream.from_folder(tmp_path)
    assert numbers_in([f.rows for f in stream]) == numbers_in([f.rows for f in stream]) == [1, 2]


def test_a_file_without_rows_gives_no_frame(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [], group_rows=2)
    assert list(AlignedStream.from_folder(tmp_path)) == []


def test_frame_files_are_read_beside_parquet(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [1, 2], group_rows=2)
    with (
        pa.OSFile(str(tmp_path / "b.arrows"), "wb") as sink,
        pa.ipc.new_stream(sink, rows_of([]).schema) as file,
    ):
        for numbers in ([3], [], [4, 5]):
            file.write_batch(rows_of(numbers))
    stream = AlignedStream.from_folder(tmp_path)
    assert numbers_in([frame.rows for frame in stream]) == [1, 2, 3, 4, 5]
    batches = stream.batches(batch_rows=2, copy=True)
    assert [batch["event_ns"].tolist() for batch in batches] == [[1, 2], [3, 4], [5]]


def test_a_state_goes_on_in_the_middle_of_a_row_group(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", list(range(10)), group_rows=4)
    batches = AlignedStream.from_folder(tmp_path).batches(batch_rows=3, copy=True)
    for batch in batches:
        if 5 in batch["event_ns"]:
            break
    again = AlignedStream.from_folder(tmp_path).batches(batch_rows=3, copy=True)
    again.load_state_dict(batches.state_dict())
    assert [batch["event_ns"].tolist() for batch in again] == [[6, 7, 8], [9]]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no folder .*absent"):
        AlignedStream.from_folder(tmp_path / "absent")


def test_a_folder_without_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no \*.parquet in"):
        AlignedStream.from_folder(tmp_path)


def test_a_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"not at all")
    with pytest.raises(SourceError, match=r"cannot read .*a.parquet"):
        list(AlignedStream.from_folder(tmp_path))
