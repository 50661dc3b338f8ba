"""The laws of batches made ahead: as many as there are slots, and a slow consumer pauses the source."""

from collections.abc import Iterator, Mapping
from threading import Event

import pyarrow as pa
import pytest

from gpu_sink.batches.batches import Batches
from gpu_sink.frames import Frame, Place
from gpu_sink.options import BatchOptions
from gpu_sink.reading.iterable import IterableReader
from gpu_sink.reading.source import Position
from tests.stage.aligned import rows_of

WAIT_S = 30.0


class Endless:
    """A source that always has one more frame of four rows, and notes what is asked of it."""

    name = "endless"
    bounded = False

    def __init__(self) -> None:
        self.reader = EndlessReader()

    def partitions(self) -> list[int]:
        return [0]

    def newest_schemas(self) -> Iterator[pa.Schema]:
        """There is no end."""
        return iter(())

    def open(self, starts: Mapping[int, Position | None]) -> "EndlessReader":
        return self.reader


class EndlessReader(IterableReader):
    """Counts frames; events say when it was paused and resumed."""

    def __init__(self) -> None:
        super().__init__(self._endless(), {0: None})
        self.read_count = 0
        self.paused, self.resumed, self.closed = Event(), Event(), Event()

    def _endless(self) -> Iterator[Frame]:
        while True:
            first = 4 * self.read_count
            self.read_count += 1
            rows = rows_of([first, first + 1, first + 2, first + 3])
            yield Frame(rows, None, Place("endless", 0, self.read_count - 1))

    def pause(self) -> None:
        assert not self.paused.is_set()
        self.resumed.clear()
        self.paused.set()

    def resume(self) -> None:
        assert self.paused.is_set()
        self.paused.clear()
        self.resumed.set()

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Endless:
    """A source whose consumer counts as slow after a hundredth of a second."""
    monkeypatch.setattr("gpu_sink.batches.prefetch.PAUSE_AFTER_S", 0.01)
    return Endless()


def test_a_slow_consumer_pauses_the_source_and_memory_does_not_grow(source: Endless) -> None:
    batches = iter(Batches(source, BatchOptions(batch_rows=4, prefetch=2)))
    next(batches)
    assert source.reader.paused.wait(WAIT_S)
    assert source.reader.read_count == 3  # one in use, two ahead, and no more
    next(batches)
    assert source.reader.resumed.wait(WAIT_S)
    assert source.reader.paused.wait(WAIT_S)
    assert source.reader.read_count == 4
    batches.close()  # type: ignore[attr-defined]


def test_after_a_pause_no_row_is_missing(source: Endless) -> None:
    batches = iter(Batches(source, BatchOptions(batch_rows=6, prefetch=1, copy=True)))
    found = [next(batches)["event_ns"]]
    assert source.reader.paused.wait(WAIT_S)
    found += [next(batches)["event_ns"] for _ in range(5)]
    assert [n for batch in found for n in batch.tolist()] == list(range(36))
    batches.close()  # type: ignore[attr-defined]


def test_a_batch_in_hand_does_not_change_while_others_are_made(source: Endless) -> None:
    batches = iter(Batches(source, BatchOptions(batch_rows=4, prefetch=2)))
    for number in range(5):
        batch = next(batches)
        assert source.reader.paused.wait(WAIT_S) or number
        assert batch["event_ns"].tolist() == list(range(4 * number, 4 * number + 4))
    batches.close()  # type: ignore[attr-defined]


def test_leaving_a_stream_stops_its_thread_and_closes_its_source(source: Endless) -> None:
    for _ in Batches(source, BatchOptions(batch_rows=4)):
        break
    assert source.reader.closed.wait(WAIT_S)
