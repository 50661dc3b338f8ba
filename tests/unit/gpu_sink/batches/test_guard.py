"""The laws of the debug mode: a batch that is read or held for too long is reported, any other is not."""

import copy
import warnings
from typing import Any

import pytest

from gpu_sink.batches.batch import Batch, GuardedBatch
from gpu_sink.batches.batches import Batches
from gpu_sink.errors import HeldWarning, OverwrittenError
from gpu_sink.frames import Frame, Place
from gpu_sink.options import Windows
from gpu_sink.source import AlignedStream
from tests.stage.aligned import equal, rows_of, trades


def batches_of(**options: Any) -> Batches:
    """Six batches of two rows."""
    frames = [Frame(rows_of([n, n + 1, n + 2]), None, Place("aligned", 0, n)) for n in range(0, 12, 3)]
    return AlignedStream.from_frames(frames).batches(
        batch_rows=2, **{"debug": True, "prefetch": 0, **options}
    )


READS = [
    lambda batch: batch["event_ns"],
    lambda batch: batch.get("event_ns"),
    lambda batch: list(batch.values()),
    lambda batch: list(batch.items()),
    lambda batch: dict(batch),
    lambda batch: {**batch},
    copy.copy,
]


@pytest.mark.parametrize("read", READS)
def test_a_batch_is_read_as_any_other_until_its_slot_is_filled_again(read: Any) -> None:
    going = iter(batches_of())
    first = next(going)
    read(first)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HeldWarning)
        next(going)
        with pytest.raises(OverwrittenError, match=r"batch 0 \(counted from 0\) is read after its slot went"):
            read(first)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_list_of_batches_is_reported_while_it_is_made_and_when_it_is_read(prefetch: int) -> None:
    with pytest.warns(HeldWarning) as reports:
        kept = list(batches_of(prefetch=prefetch))
    assert [str(each.message)[:18] for each in reports] == [f"columns of batch {n}" for n in range(5)]
    with pytest.raises(OverwrittenError, match="batch 0"):
        kept[0]["event_ns"]
    if prefetch:  # the last one's slot went to nobody
        assert kept[-1]["event_ns"].tolist() == [10, 11]


@pytest.mark.parametrize(
    "cut", [lambda column: column, lambda column: column[1:], lambda column: column[:1].T]
)
def test_a_column_that_is_kept_is_reported_however_it_was_cut(cut: Any) -> None:
    going = iter(batches_of())
    kept = cut(next(going)["event_ns"])
    next(going)
    with pytest.warns(HeldWarning, match="columns of batch 0"):
        next(going)
    assert kept.tolist() != cut(next(iter(batches_of(copy=True)))["event_ns"]).tolist()


@pytest.mark.parametrize("options", [{"prefetch": 2}, {"pad": True}, {"shuffle_rows": 4}])
def test_batches_that_are_let_go_are_reported_by_nobody_and_hold_the_same(options: Any) -> None:
    expected = list(batches_of(debug=False, copy=True, **options))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        total = 0
        for number, batch in enumerate(batches_of(**options)):
            assert equal(batch, expected[number])
            assert (batch.rows, batch.runs) == (expected[number].rows, expected[number].runs)
            total += int(batch["event_ns"][: batch.rows].sum())
    assert total == sum(range(12))


def test_windows_are_watched_like_any_column() -> None:
    windows = Windows(steps=3, columns=["price"])
    frames = trades(3)
    plain, watched = (
        AlignedStream.from_frames(frames).batches(batch_rows=16, windows=windows, **options)
        for options in ({"copy": True}, {"debug": True})
    )
    expected = list(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(equal(batch, expected[number]) for number, batch in enumerate(watched))


def test_without_the_mode_and_where_batches_own_their_memory_nothing_is_watched() -> None:
    for options in ({"debug": False}, {"copy": True}):
        batch = next(iter(batches_of(**options)))
        assert type(batch) is Batch
        assert not isinstance(batch, GuardedBatch)
