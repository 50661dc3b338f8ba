"""The laws of batches: how rows are cut, what is refused, and what a slow consumer does not do."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpu_sink.batches.batches import Batches
from gpu_sink.contract import FrameError
from gpu_sink.errors import ColumnError, OptionError, OrderWarning, ReaderWarning, SourceError
from gpu_sink.frames import Frame, Place, decode_frame
from gpu_sink.options import BatchOptions
from gpu_sink.reading.iterable import IterableFrames
from gpu_sink.source import AlignedStream
from schemas.labels import as_label
from tests.stage.aligned import equal, message_of, rows_of, trades
from tests.unit.gpu_sink.slots.late_copies import LateCopies


def frame(numbers: list[int], partition: int = 0, offset: int = 0) -> Frame:
    """A frame of numbered rows."""
    return Frame(rows_of(numbers), None, Place("aligned", partition, offset))


def read(frames: list[Frame], **options: Any) -> list[list[int]]:
    """The numbers in each batch."""
    batches = AlignedStream.from_frames(frames).batches(**options)
    return [batch["event_ns"].tolist() for batch in batches]


FIVE = [frame([0, 1, 2]), frame([], offset=1), frame([3, 4], offset=2)]


@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_batches_have_the_rows_asked_for_wherever_frames_end(prefetch: int) -> None:
    assert read(FIVE, batch_rows=2, prefetch=prefetch) == [[0, 1], [2, 3], [4]]
    assert read(FIVE, batch_rows=5, prefetch=prefetch) == [[0, 1, 2, 3, 4]]
    assert read(FIVE, batch_rows=9, prefetch=prefetch) == [[0, 1, 2, 3, 4]]


def test_a_batch_names_its_columns_that_are_labels() -> None:
    schema = pa.schema([pa.field("event_ns", pa.int64()), as_label(pa.field("label", pa.int8()))])
    rows = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([-1], pa.int8())], schema=schema)
    stream = AlignedStream.from_frames([Frame(rows, None, Place("outcome", 0, 0))])
    assert [batch.labels for batch in stream.batches(batch_rows=1)] == [("label",)]
    assert [batch.labels for batch in stream.batches(batch_rows=1, columns=["event_ns"])] == [()]


def test_the_last_batch_can_be_left_out_where_it_is_short() -> None:
    assert read(FIVE, batch_rows=2, drop_last=True) == [[0, 1], [2, 3]]
    assert read(FIVE, batch_rows=5, drop_last=True) == [[0, 1, 2, 3, 4]]


def test_a_padded_batch_says_which_rows_are_rows() -> None:
    *_, last = AlignedStream.from_frames(FIVE).batches(batch_rows=3, pad=True, copy=True)
    assert last["row_valid"].tolist() == [True, True, False]
    assert last["event_ns"].tolist() == [3, 4, 0]
    assert last["price_valid"].tolist() == [False, True, False]
    assert np.isnan(last["price"][[0, 2]]).all()
    assert last.rows == 2


def test_a_batch_names_the_rows_it_is_made_of() -> None:
    runs = [batch.runs for batch in AlignedStream.from_frames(FIVE).batches(batch_rows=4)]
    assert runs == [((0, 0, 0, 3), (0, 2, 0, 1)), ((0, 2, 1, 1),)]


def test_no_batch_spans_two_tiles_or_in_tiles_two_partitions() -> None:
    frames = [frame([0, 5, 9, 10, 11]), frame([19, 40], offset=1), frame([41], partition=1)]
    found = AlignedStream.from_frames(frames).batches(
        batch_rows=9, tile_ns=10, time_column="event_ns", copy=True
    )
    tiles = [(batch.tile_lower_ns, batch["event_ns"].tolist()) for batch in found]
    assert tiles == [(0, [0, 5, 9]), (10, [10, 11, 19]), (40, [40]), (40, [41])]


def test_a_tile_that_does_not_fit_comes_in_pieces() -> None:
    frames = [frame([0, 1, 2, 3, 10])]
    assert read(frames, batch_rows=3, tile_ns=10, time_column="event_ns") == [[0, 1, 2], [3], [10]]


def test_rows_that_waited_long_enough_are_handed_over() -> None:
    class Quiet(IterableFrames):
        """After its frames nothing comes, but it does not end."""

        def open(self, starts: Any) -> Any:
            reader = super().open(starts)
            taken = reader.read

            def read(wait_s: float) -> Frame | None:
                found = taken(wait_s)
                reader.ended = False
                return found

            reader.read = read  # type: ignore[method-assign]
            return reader

    batches = iter(Batches(Quiet(FIVE), BatchOptions(batch_rows=4, max_wait_ms=20)))
    assert [len(next(batches)["event_ns"]), len(next(batches)["event_ns"])] == [4, 1]
    batches.close()  # type: ignore[attr-defined]


def test_the_columns_of_a_batch_are_valid_until_the_next_unless_they_are_copies() -> None:
    first, *_ = AlignedStream.from_frames(FIVE).batches(batch_rows=2, copy=True, prefetch=0)
    assert first["event_ns"].tolist() == [0, 1]
    views = iter(AlignedStream.from_frames(FIVE).batches(batch_rows=2, prefetch=0))
    kept = next(views)
    assert next(views)["event_ns"] is kept["event_ns"]


def test_batches_are_the_same_over_an_engine_that_copies_late() -> None:
    frames = trades(5)
    plain = list(AlignedStream.from_frames(frames).batches(batch_rows=16, copy=True))
    for seed in range(5):
        options = BatchOptions(batch_rows=16, copy=True, prefetch=0)
        late = list(Batches(IterableFrames(frames), options, engine=LateCopies(seed)))
        assert all(map(equal, late, plain))
        assert len(late) == len(plain)


def test_chosen_columns_are_the_only_ones_and_others_may_be_added() -> None:
    wider = pa.RecordBatch.from_pydict({"bid": [1.0], "event_ns": [9], "price": [2.5]})
    wider = wider.cast(pa.schema([pa.field("bid", pa.float64()), *rows_of([]).schema]))
    frames = [*FIVE, Frame(wider, None, Place("aligned", 0, 3))]
    assert read(frames, batch_rows=6, columns=["event_ns"]) == [[0, 1, 2, 3, 4, 9]]
    with pytest.raises(FrameError, match=r"aligned \[0\] offset 3: a frame of layout \w+, the stream began"):
        read(frames, batch_rows=6)


def test_a_chosen_column_that_changes_is_refused_with_both_layouts() -> None:
    other = pa.RecordBatch.from_pydict({"event_ns": ["text"], "price": [2.5]})
    frames = [*FIVE, Frame(other, None, Place("aligned", 0, 3))]
    with pytest.raises(FrameError, match=r"it has event_ns: string.*and it lacks event_ns: int64 not null"):
        read(frames, batch_rows=6, columns=["event_ns"])


@pytest.mark.parametrize("prefetch", [0, 2])
def test_what_is_broken_is_raised_behind_the_batches_before_it(prefetch: int) -> None:
    def frames() -> Any:
        yield frame([0, 1])
        yield decode_frame(b"{}", message_of(rows_of([1]))[1], Place("aligned", 0, 1))

    batches = iter(
        AlignedStream.from_frames(frames(), partitions=[0]).batches(batch_rows=2, prefetch=prefetch)
    )
    assert next(batches)["event_ns"].tolist() == [0, 1]
    with pytest.raises(FrameError, match=r"aligned \[0\] offset 1: not a frame"):
        next(batches)


def test_a_value_that_does_not_fit_is_named_with_its_place() -> None:
    with pytest.raises(ColumnError, match=r"aligned \[0\] offset 0: column event_ns: 400 does not fit int8"):
        read([frame([1, 400])], dtypes={"event_ns": "int8"})


def test_a_frame_that_comes_twice_is_refused() -> None:
    with pytest.raises(SourceError, match=r"aligned \[0\] offset 0 was read already"):
        read([frame([0]), frame([0])])


def test_rows_that_go_back_in_time_are_reported_and_counted() -> None:
    frames = [frame([5, 6]), frame([6, 7], offset=1), frame([6], offset=2), frame([1], partition=1)]
    batches = AlignedStream.from_frames(frames).batches(time_column="event_ns")
    with pytest.warns(OrderWarning, match=r"aligned \[0\] offset 2: its first event_ns is 6"):
        list(batches)
    assert batches.order_break_count == 1


def test_a_frontier_that_goes_back_is_reported() -> None:
    messages = [message_of(rows_of([n]), frontier=frontier) for n, frontier in enumerate((7, 9, 8))]
    frames = [decode_frame(*message, Place("aligned", 0, n)) for n, message in enumerate(messages)]
    with pytest.warns(OrderWarning, match=r"aligned \[0\] offset 2: its frontier is 8"):
        read(frames)


def test_readers_share_the_partitions_and_nothing_comes_twice() -> None:
    frames = trades(1)
    for readers in (1, 2, 3, 4):
        stream = AlignedStream.from_frames(frames)
        options = {"batch_rows": 32, "columns": ["event_ns"], "copy": True}
        shares = [list(stream.batches(reader=r, readers=readers, **options)) for r in range(readers)]
        found = [n for share in shares for batch in share for n in batch["event_ns"].tolist()]
        assert sorted(found) == list(range(len(found)))
        assert len(found) == sum(one.rows.num_rows for one in frames)


def test_a_reader_without_a_partition_is_told_and_gets_nothing() -> None:
    batches = AlignedStream.from_frames(FIVE).batches(reader=1, readers=2)
    with pytest.warns(ReaderWarning, match="reader 1 of 2 has nothing to read"):
        assert list(batches) == []


def test_readers_may_not_each_give_words_codes_of_their_own_unasked() -> None:
    stream = AlignedStream.from_frames(trades(2))
    with pytest.raises(OptionError, match="2 readers would give the words of symbol codes that differ"):
        list(stream.batches(readers=2))
    words = stream.words("symbol")
    codes: dict[int, int] = {}
    for reader in range(2):
        for batch in stream.batches(reader=reader, readers=2, dictionaries={"symbol": words}, copy=True):
            codes.update(zip(batch["event_ns"].tolist(), batch["symbol"].tolist(), strict=True))
    rows = pa.Table.from_batches([one.rows for one in trades(2)]).to_pylist()
    assert all(words[codes[row["event_ns"]]] == row["symbol"] for row in rows)


def test_each_iteration_starts_over_and_codes_stay() -> None:
    batches = AlignedStream.from_frames(trades(3)).batches(batch_rows=50, copy=True)
    first, second = list(batches), list(batches)
    assert all(map(equal, first, second))
    assert sorted(batches.dictionaries["symbol"]) == ["AAA", "BB", "C", "DDDD"]


def test_no_rows_give_no_batches() -> None:
    assert read([frame([])]) == []


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"batch_rows": 0}, "batch_rows is 0"),
        ({"shuffle_rows": 5, "batch_rows": 2}, "not a multiple of batch_rows 2"),
        ({"tile_ns": 5}, "needs time_column"),
        ({"pad": True, "drop_last": True}, "choose one"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"prefetch": 65}, "prefetch is 65"),
        ({"columns": "price"}, r"columns is 'price': say columns=\[\"price\"\]"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(OptionError, match=reason):
        BatchOptions(**options)


@pytest.mark.parametrize("small_rows", [0, 4, 1_000])
def test_rows_are_the_same_whether_small_frames_are_joined_or_not(
    small_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = trades(9)
    plain = list(AlignedStream.from_frames(frames).batches(batch_rows=64, copy=True))
    monkeypatch.setattr("gpu_sink.batches.fill.SMALL_ROWS", small_rows)
    monkeypatch.setattr("gpu_sink.batches.fill.JOINED_ROWS_MAX", 40)
    found = list(AlignedStream.from_frames(frames).batches(batch_rows=64, copy=True))
    assert all(map(equal, found, plain))
    numbers = [n for batch in found for n in batch["event_ns"].tolist()]
    rows = pa.Table.from_batches([one.rows for one in frames])
    assert numbers == rows.column("event_ns").to_pylist()
    assert [n for batch in found for n in batch["size"][batch["size_valid"]].tolist()] == (
        rows.column("size").drop_null().to_pylist()
    )


def test_a_value_that_does_not_fit_is_named_with_its_place_among_small_frames_too() -> None:
    with pytest.raises(ColumnError, match=r"aligned \[0\] offset 1: column event_ns: 400 does not fit int8"):
        read([frame([1]), frame([400], offset=1), frame([2], offset=2)], dtypes={"event_ns": "int8"})
