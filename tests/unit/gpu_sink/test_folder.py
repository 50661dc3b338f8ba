"""The laws of reading aligned Parquet files as a stream."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.errors import SourceError
from gpu_sink.source import AlignedStream
from tests.unit.gpu_sink.scene import numbers_in, rows_of


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


def test_a_folder_gives_tensors(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed (TORCH=0)")
    write(tmp_path / "a.parquet", [2, 3], group_rows=2)
    (batch,) = AlignedStream.from_folder(tmp_path).batches(columns=["price"])
    assert batch.tensors["price"][0] == 1.0
    assert batch.tensors["price_valid"].tolist() == [True, False]


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
