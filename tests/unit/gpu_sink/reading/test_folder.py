"""The laws of reading aligned Parquet files as a stream."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.errors import SourceError, StateError
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


def days(folder: Path, *, count: int = 3, files: int = 2) -> list[Path]:
    """Folders of a day each; 102 in event_ns is the third row of file 1 on the first day."""
    made = []
    for day in range(count):
        made.append(folder / f"day={day}" / "aligned")
        made[-1].mkdir(parents=True)
        for file in range(files):
            first = 1000 * day + 100 * file
            write(made[-1] / f"part-{file}.parquet", list(range(first, first + 3)), group_rows=2)
    return made


def numbers(stream: AlignedStream, **options: Any) -> list[int]:
    """The rows' numbers, in the order they come."""
    return [n for batch in stream.batches(batch_rows=4, **options) for n in batch["event_ns"].tolist()]


ALL = [1000 * day + 100 * file + row for day in range(3) for file in range(2) for row in range(3)]


def test_days_come_one_after_another_however_they_are_named(tmp_path: Path) -> None:
    folders = days(tmp_path)
    assert numbers(AlignedStream.from_folder(folders)) == ALL
    assert numbers(AlignedStream.from_folder(tmp_path / "*" / "aligned")) == ALL
    assert numbers(AlignedStream.from_folder(f"{tmp_path}/day=*/aligned")) == ALL
    assert numbers(AlignedStream.from_folder(list(reversed(folders))))[:3] == [2000, 2001, 2002]


def test_a_folder_of_days_is_read_as_its_days(tmp_path: Path) -> None:
    for folder in days(tmp_path):
        for file in folder.iterdir():
            file.rename(folder.parent / file.name)
        folder.rmdir()
    shutil.copytree(tmp_path / "day=0", tmp_path / "_day=0.unfinished")
    assert numbers(AlignedStream.from_folder(tmp_path)) == ALL
    write(tmp_path / "part-9.parquet", [1], group_rows=1)
    with pytest.raises(SourceError, match=r"holds part-9.parquet beside day=0: give one of the two"):
        AlignedStream.from_folder(tmp_path)


def test_files_of_one_name_are_one_readers_on_all_days(tmp_path: Path) -> None:
    stream = AlignedStream.from_folder(days(tmp_path, files=3))
    shares = [numbers(stream, reader=reader, readers=2) for reader in range(2)]
    assert shares[1] == [n for n in range(3000) if n % 1000 in (100, 101, 102)]
    assert len(shares[0]) == 18


@pytest.mark.parametrize("batches_before", range(5))
def test_a_state_goes_on_over_days_and_belongs_to_them(tmp_path: Path, batches_before: int) -> None:
    folders = days(tmp_path)
    before = AlignedStream.from_folder(folders).batches(batch_rows=4, copy=True)
    going = iter(before)
    seen = [n for _ in range(batches_before) for n in next(going)["event_ns"].tolist()]
    state = json.loads(json.dumps(before.state_dict()))
    after = AlignedStream.from_folder(folders).batches(batch_rows=4)
    after.load_state_dict(state)
    assert seen + [n for batch in after for n in batch["event_ns"].tolist()] == ALL
    for others in (folders[:2], [folders[1], folders[0], folders[2]]):
        with pytest.raises(StateError, match="the state is of source '6 files of 3 folders"):
            AlignedStream.from_folder(others).batches(batch_rows=4).load_state_dict(state)


def test_days_can_be_moved_without_their_state_being_lost(tmp_path: Path) -> None:
    days(tmp_path / "here")
    state = AlignedStream.from_folder(tmp_path / "here/*/aligned").batches().state_dict()
    (tmp_path / "here").rename(tmp_path / "there")
    AlignedStream.from_folder(tmp_path / "there/*/aligned").batches().load_state_dict(state)


def test_nanoseconds_are_the_same_as_integers_and_as_timestamps(tmp_path: Path) -> None:
    old, new = days(tmp_path, count=2, files=1)
    rows = pq.read_table(new / "part-0.parquet")
    field = pa.field("event_ns", pa.timestamp("ns", "UTC"), nullable=False)
    times = rows["event_ns"].cast(field.type)
    pq.write_table(rows.set_column(0, field, times), new / "part-0.parquet")
    stream = AlignedStream.from_folder([old, new])
    expected = [0, 1, 2, 1000, 1001, 1002]
    assert numbers(stream) == numbers(stream, time_column="event_ns", columns=["event_ns"]) == expected
    assert numbers(AlignedStream.from_folder([new, old])) == [1000, 1001, 1002, 0, 1, 2]
    assert next(iter(AlignedStream.from_folder(new).batches()))["event_ns"].dtype == "int64"


def test_a_folder_that_comes_twice_and_a_pattern_without_a_match_are_named(tmp_path: Path) -> None:
    first, *_ = days(tmp_path)
    with pytest.raises(SourceError, match="aligned is there twice"):
        AlignedStream.from_folder([first, first])
    (tmp_path / "link").symlink_to(first, target_is_directory=True)
    with pytest.raises(SourceError, match="link is there twice"):
        AlignedStream.from_folder([first, tmp_path / "link"])
    with pytest.raises(SourceError, match=r"no folder matches .*nights"):
        AlignedStream.from_folder(tmp_path / "nights*")
    with pytest.raises(SourceError, match="no folder is named"):
        AlignedStream.from_folder([])
