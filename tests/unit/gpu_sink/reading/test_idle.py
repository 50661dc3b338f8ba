"""The laws of leaving a live stream: it ends when nothing comes, and goes on where it was left."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

import pytest

from gpu_sink.batches.batches import Batches
from gpu_sink.errors import OptionError
from gpu_sink.frames import Frame, Place
from gpu_sink.options import BatchOptions, Windows
from gpu_sink.reading.iterable import IterableFrames, IterableReader
from gpu_sink.reading.source import Position
from tests.stage.aligned import equal, trades

FRAMES = trades(4)


class Live(IterableFrames):
    """Has the frames that were put so far and never ends; waits as long as it is told, by its own clock."""

    def __init__(self, frames: list[Frame]) -> None:
        self.put = frames
        super().__init__(self.put, range(4))

    def open(self, starts: Mapping[int, Position | None]) -> IterableReader:
        return LiveReader(iter(self.put), starts)


class LiveReader(IterableReader):
    """Waits in vain after the last frame."""

    def read(self, wait_s: float) -> Frame | None:
        frame = super().read(wait_s)
        self.ended = False
        until_s = monotonic() + (0 if frame else wait_s)
        while monotonic() < until_s:
            continue
        return frame


def batches_of(source: Live, **options: Any) -> Batches:
    """Batches of 64 rows, left after 5 ms."""
    made: dict[str, Any] = {"batch_rows": 64, "idle_ms": 5, "copy": True, "columns": ["event_ns"], **options}
    return Batches(source, BatchOptions(**made))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_stream_that_is_silent_ends_behind_its_short_batch(prefetch: int) -> None:
    found = list(batches_of(Live(FRAMES), prefetch=prefetch))
    rows = sum(frame.rows.num_rows for frame in FRAMES)
    assert [batch.rows for batch in found] == [64] * (rows // 64) + [rows % 64]


@pytest.mark.parametrize("windows", [None, Windows(steps=3, columns=["price"])])
def test_the_next_iteration_goes_on_where_a_silent_one_ended(windows: Windows | None) -> None:
    whole = [row for batch in batches_of(Live(FRAMES), windows=windows, batch_rows=1) for row in [batch]]
    live = Live([])
    batches = batches_of(live, windows=windows, batch_rows=1)
    assert list(batches) == []
    found = []
    for lower in range(0, len(FRAMES), 7):
        live.put.extend(FRAMES[lower : lower + 7])
        found += list(batches)
    assert list(batches) == []
    assert all(map(equal, found, whole))
    assert len(found) == len(whole)


def test_a_state_is_kept_by_an_iteration_that_goes_on_to_no_row() -> None:
    options: dict[str, Any] = {"windows": Windows(steps=3, columns=["price"]), "columns": ["symbol"]}
    before, after = batches_of(Live(FRAMES), **options), batches_of(Live(FRAMES), **options)
    list(before)
    after.load_state_dict(before.state_dict())
    assert list(after) == []
    assert after.state_dict() == before.state_dict()


def test_an_iteration_that_was_left_by_its_consumer_starts_over() -> None:
    batches = batches_of(Live(FRAMES))
    first = next(iter(batches))
    assert equal(next(iter(batches)), first)


def test_time_that_the_consumer_takes_is_not_silence() -> None:
    going = iter(batches_of(Live(FRAMES), batch_rows=1, prefetch=0))
    for _ in range(3):
        until_s = monotonic() + 0.02
        while monotonic() < until_s:
            continue
        assert next(going).rows == 1


def test_a_stream_without_any_row_ends_without_a_batch_when_nobody_is_to_wait() -> None:
    assert list(batches_of(Live([]))) == []
    with pytest.raises(OptionError, match="idle_ms is 0: say 1 or more"):
        BatchOptions(idle_ms=0)


def test_a_frame_is_named_with_its_place_in_a_live_stream_too() -> None:
    (batch,) = batches_of(Live([Frame(FRAMES[0].rows, None, Place("aligned", 0, 7))]))
    assert batch.runs[0].offset == 7
