"""The laws of missing and repeated rows: a frame's parity counts all rows of its partition."""

import json
from typing import Any

import pytest

from gpu_sink.batches.batches import Batches
from gpu_sink.contract import PARITY, FrameError, read_headers
from gpu_sink.errors import GapError, GapWarning, OptionError
from gpu_sink.frames import Frame, Place, decode_frame
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of, rows_of

HASH = "0" * 32


def frame_of(lower: int, upper: int, *, offset: int, partition: int = 0) -> Frame:
    """Rows number `lower` to `upper` of a partition, which says so in its parity."""
    value, headers = message_of(rows_of(list(range(lower, upper))))
    said = [*headers, (PARITY, f"{upper}-{HASH}".encode())]
    return decode_frame(value, said, Place("aligned", partition, offset))


def batches_of(*frames: Frame, **options: Any) -> Batches:
    """Batches of two rows."""
    return AlignedStream.from_frames(list(frames)).batches(batch_rows=2, copy=True, **options)


def test_frames_that_follow_each_other_have_no_gap_whatever_their_offsets() -> None:
    batches = batches_of(frame_of(0, 3, offset=0), frame_of(3, 5, offset=4), frame_of(5, 9, offset=11))
    assert sum(batch.rows for batch in batches) == 9
    assert (batches.gap_count, batches.missing_rows, batches.repeated_rows) == (0, 0, 0)


def test_a_missing_frame_is_reported_with_its_place_and_rows() -> None:
    batches = batches_of(frame_of(0, 3, offset=0), frame_of(5, 9, offset=7))
    with pytest.warns(GapWarning, match=r"aligned \[0\] offset 7: 2 rows are missing before this frame"):
        assert sum(batch.rows for batch in batches) == 7
    assert (batches.gap_count, batches.missing_rows) == (1, 2)


def test_a_missing_frame_stops_a_stream_that_may_have_no_gap() -> None:
    batches = batches_of(frame_of(0, 2, offset=0), frame_of(5, 9, offset=7), gaps="raise", prefetch=0)
    going = iter(batches)
    assert next(going)["event_ns"].tolist() == [0, 1]
    with pytest.raises(GapError, match=r"offset 7: 3 rows are missing"):
        next(going)


def test_where_a_stream_begins_is_no_gap() -> None:
    batches = batches_of(frame_of(100, 103, offset=40), frame_of(103, 104, offset=41), gaps="raise")
    assert sum(batch.rows for batch in batches) == 4


def test_each_partition_counts_for_itself() -> None:
    frames = [frame_of(0, 3, offset=0), frame_of(0, 1, offset=0, partition=1), frame_of(3, 4, offset=1)]
    assert sum(batch.rows for batch in batches_of(*frames, gaps="raise")) == 5


def test_rows_that_an_at_least_once_worker_wrote_again_are_repeats_and_no_gap() -> None:
    frames = [
        frame_of(0, 4, offset=0),
        frame_of(4, 8, offset=1),
        frame_of(4, 6, offset=2),  # written again after a crash, cut elsewhere
        frame_of(6, 11, offset=3),
        frame_of(11, 12, offset=4),
    ]
    batches = batches_of(*frames, gaps="raise")
    assert sum(batch.rows for batch in batches) == 16
    assert (batches.gap_count, batches.repeated_rows) == (0, 4)


@pytest.mark.parametrize("handed_over", [1, 2, 3])
def test_a_gap_is_seen_over_a_resume(handed_over: int) -> None:
    """Three batches are four rows and two: a state in the middle of a frame, and at its end."""
    before = batches_of(frame_of(0, 3, offset=0), frame_of(3, 6, offset=1), prefetch=0)
    going = iter(before)
    for _ in range(handed_over):
        next(going)
    state = json.loads(json.dumps(before.state_dict()))
    going.close()  # type: ignore[attr-defined]
    after = batches_of(frame_of(0, 3, offset=0), frame_of(3, 6, offset=1), frame_of(8, 9, offset=2))
    after.load_state_dict(state)
    with pytest.warns(GapWarning, match="2 rows are missing"):
        assert sum(batch.rows for batch in after) == 7 - 2 * handed_over
    assert (after.missing_rows, after.repeated_rows) == (2, 0)


def test_frames_without_a_parity_are_not_counted() -> None:
    value, headers = message_of(rows_of([1]))
    bare = decode_frame(value, headers, Place("aligned", 0, 1))
    frames = [frame_of(0, 2, offset=0), bare, frame_of(2, 3, offset=2)]
    assert sum(batch.rows for batch in batches_of(*frames, gaps="raise")) == 4


def test_a_parity_that_counts_no_rows_is_refused() -> None:
    _, headers = message_of(rows_of([1]))
    with pytest.raises(FrameError, match="tidemark-parity is 'x-1', not ROWS-HASH"):
        read_headers([*headers, (PARITY, b"x-1")])


def test_what_to_do_about_gaps_is_one_of_two() -> None:
    with pytest.raises(OptionError, match="gaps is 'ignore': say"):
        batches_of(gaps="ignore")
