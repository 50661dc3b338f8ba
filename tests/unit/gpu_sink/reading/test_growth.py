"""The laws of a stream whose columns grow: nulls where a frame lacks a column, and one layout throughout."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gpu_sink.batches.batches import Batches
from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, OptionError
from gpu_sink.frames import Frame, Place, decode_frame
from gpu_sink.options import Windows
from gpu_sink.segment_writer import write_segments
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of, rows_of

CHOSEN = ["event_ns", "price", "bid_size", "venue"]


def grown(numbers: list[int]) -> pa.RecordBatch:
    """Rows as `rows_of` has them, with a size that is the number and the venue X."""
    rows = rows_of(numbers)
    field = pa.field("bid_size", pa.int32(), nullable=False)
    rows = rows.add_column(1, field, pa.array(numbers, pa.int32()))
    return rows.append_column("venue", pa.array(["X"] * len(numbers)))


def frames(*batches: pa.RecordBatch) -> list[Frame]:
    """Messages of one partition, one after another."""
    return [decode_frame(*message_of(rows), Place("aligned", 0, at)) for at, rows in enumerate(batches)]


CHANGED = frames(rows_of([0, 1]), rows_of([2]), grown([3, 4]), grown([5]), rows_of([6, 7]), grown([8]))


def batches_of(made: list[Frame], **options: Any) -> Batches:
    """Batches of two rows with nulls for missing columns."""
    chosen: dict[str, Any] = {
        "batch_rows": 2,
        "columns": CHOSEN,
        "columns_missing": "null",
        "copy": True,
    } | options
    return AlignedStream.from_frames(made).batches(**chosen)


def column(batches: Any, name: str) -> list[Any]:
    """The values of a column, None where its mask says so."""
    return [
        value if valid else None
        for batch in batches
        for value, valid in zip(batch[name].tolist(), batch[f"{name}_valid"].tolist(), strict=True)
    ]


@pytest.mark.parametrize("small_rows", [0, 2_560])
@pytest.mark.parametrize("shuffle_rows", [0, 10])
def test_a_column_is_null_where_frames_lack_it_and_there_where_they_have_it(
    small_rows: int, shuffle_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu_sink.batches.fill.SMALL_ROWS", small_rows)
    batches = batches_of(CHANGED, shuffle_rows=shuffle_rows)
    seen = list(batches)
    rows = sorted(zip(*(column(seen, name) for name in ("event_ns", "bid_size", "venue")), strict=True))
    code = batches.dictionaries["venue"].index("X")
    there = {3, 4, 5, 8}
    assert rows == [(n, n if n in there else None, code if n in there else None) for n in range(9)]
    assert sorted(column(seen, "price"), key=str) == sorted(
        [None if n % 2 else n / 2 for n in range(9)], key=str
    )
    missing = [batch["bid_size"][~batch["bid_size_valid"]] for batch in seen]
    assert np.concatenate(missing).tolist() == [0] * 5


def test_batches_have_one_layout_wherever_reading_begins() -> None:
    layouts = {
        tuple((name, values.dtype.str) for name, values in batch.items())
        for made in (CHANGED, CHANGED[2:], CHANGED[:2] + CHANGED[-1:])
        for batch in batches_of(made)
    }
    assert len(layouts) == 1


@pytest.mark.parametrize("count", range(5))
def test_a_stream_resumes_over_the_change(count: int) -> None:
    options: dict[str, Any] = {"windows": Windows(steps=3, columns=["bid_size"], by="venue")}
    whole = list(batches_of(CHANGED, **options))
    before, after = batches_of(CHANGED, **options), batches_of(CHANGED, **options)
    going = iter(before)
    seen = [next(going) for _ in range(count)]
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    seen += after
    for name in whole[0]:
        ours, theirs = ([batch[name].tolist() for batch in each] for each in (seen, whole))
        np.testing.assert_equal(ours, theirs)


def test_without_the_option_a_frame_that_lacks_a_column_is_refused_and_the_option_named() -> None:
    with pytest.raises(ColumnError, match=r'no column bid_size; .* say columns_missing="null"'):
        list(batches_of(CHANGED, columns_missing="raise"))
    with pytest.raises(FrameError, match=r'it lacks bid_size: int32 not null.*or say columns_missing="null"'):
        list(batches_of(CHANGED[2:], columns_missing="raise"))
    with pytest.raises(OptionError, match='columns_missing="null" needs columns='):
        batches_of(CHANGED, columns=None)
    with pytest.raises(OptionError, match="columns_missing is 'nulls'"):
        batches_of(CHANGED, columns_missing="nulls")


def test_a_column_that_no_frame_has_yet_is_made_as_the_options_name_it() -> None:
    with pytest.raises(ColumnError, match="no column bid_size in the first frame, nor in the newest ones"):
        list(batches_of(CHANGED[:2]))
    live = iter(CHANGED)  # can be read once, so nobody looks ahead
    source = AlignedStream.from_frames(live, partitions=[0])
    batches = source.batches(
        columns=CHOSEN,
        columns_missing="null",
        dtypes={"bid_size": "float64"},
        dictionaries={"venue": ["X"]},
    )
    (batch,) = batches
    assert batch["bid_size"].dtype == np.float64
    assert column([batch], "bid_size") == [None, None, None, 3, 4, 5, None, None, 8]
    assert batch["venue"].tolist() == [-1, -1, -1, 0, 0, 0, -1, -1, 0]
    with pytest.raises(ColumnError, match="column bid_size: 'wide' is not a NumPy dtype"):
        list(batches_of(CHANGED[:2], dtypes={"bid_size": "wide"}, dictionaries={"venue": None}))


def test_a_column_that_comes_back_in_another_type_is_refused() -> None:
    other = rows_of([9]).append_column("bid_size", pa.array(["nine"]))
    made = [*CHANGED, *frames(*[rows_of([])] * 6, other)[6:], *frames(*[rows_of([])] * 7, grown([10]))[7:]]
    with pytest.raises(FrameError, match="it has bid_size: string"):
        list(batches_of(made, columns=["event_ns", "bid_size"]))


def test_days_before_and_after_the_change_are_one_stream_as_files_and_as_segments(tmp_path: Path) -> None:
    folders, segments = [tmp_path / "1", tmp_path / "2"], [tmp_path / "3", tmp_path / "4"]
    for folder, stored, rows in zip(folders, segments, (rows_of([0, 1]), grown([2, 3])), strict=True):
        folder.mkdir()
        pq.write_table(pa.Table.from_batches([rows]), folder / "part-0.parquet")
        write_segments(AlignedStream.from_folder(folder), stored)
    for places in (folders, segments):
        stream = AlignedStream.from_folder(places)
        batches = stream.batches(columns=CHOSEN, columns_missing="null", copy=True)
        assert column(batches, "bid_size") == [None, None, 2, 3]
        assert column(batches, "venue") == [None, None, 0, 0]
        assert column(batches, "event_ns") == [0, 1, 2, 3]
    assert AlignedStream.from_folder(folders).words("venue") == ["X"]
    with pytest.raises(ColumnError, match="no column vonue"):
        AlignedStream.from_folder(folders).words("vonue")


def test_a_group_is_told_apart_where_frames_have_its_column() -> None:
    options = {"windows": Windows(steps=2, columns=["event_ns"], by="venue"), "columns": ["event_ns"]}
    seen = list(batches_of(CHANGED, **options))
    valid = [steps for batch in seen for steps in batch["windows_valid"].tolist()]
    assert [steps[0] for steps in valid] == [False, False, False, False, True, True, False, False, True]
    assert set(seen[0]) == {"event_ns", "event_ns_valid", "windows", "windows_valid"}
