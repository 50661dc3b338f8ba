"""Whatever the cut into frames and batches: windows are their definition, a resumed stream misses nothing."""

import json
import random
from dataclasses import replace
from itertools import accumulate, islice, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_sink.batches.batches import Batches
from gpu_sink.errors import StateError
from gpu_sink.frames import Frame, Place
from gpu_sink.options import BatchOptions, Windows
from gpu_sink.reading.iterable import IterableFrames
from gpu_sink.source import AlignedStream
from tests.oracles.windows import windows_slowly
from tests.stage.aligned import equal, trades

if TYPE_CHECKING:
    from gpu_sink.batches.batch import Batch

SCHEMA = pa.schema(
    [pa.field("symbol", pa.string()), pa.field("event_ns", pa.int64()), pa.field("price", pa.float32())]
)
symbols = st.lists(st.sampled_from(["A", "B", "C", None]), min_size=1, max_size=40)


def frames_of(names: list[str | None], cuts: set[int]) -> list[Frame]:
    """Rows in one partition, cut into frames; every third price is null, event_ns is the row's number."""
    frames = []
    places = sorted({0, len(names), *(cut for cut in cuts if cut < len(names))})
    for offset, (lower, upper) in enumerate(pairwise(places)):
        numbers = range(lower, upper)
        columns = {
            "symbol": names[lower:upper],
            "event_ns": list(numbers),
            "price": [None if n % 3 == 2 else n / 2 for n in numbers],
        }
        frames.append(Frame(pa.RecordBatch.from_pydict(columns, SCHEMA), None, Place("aligned", 0, offset)))
    return frames


@settings(max_examples=60)
@given(
    names=symbols,
    cuts=st.sets(st.integers(1, 39), max_size=6),
    steps=st.integers(1, 5),
    batch_rows=st.integers(1, 9),
    shuffled=st.booleans(),
)
def test_windows_are_their_definition(
    names: list[str | None], cuts: set[int], steps: int, batch_rows: int, shuffled: bool
) -> None:
    frames = frames_of(names, cuts)
    features = ["price", "event_ns"]
    batches = AlignedStream.from_frames(frames).batches(
        batch_rows=batch_rows,
        windows=Windows(steps=steps, columns=features, dtype="float64"),
        shuffle_rows=3 * batch_rows if shuffled else 0,
        prefetch=0,
        copy=True,
    )
    rows = pa.Table.from_batches([frame.rows for frame in frames]).to_pylist()
    expected = windows_slowly(rows, steps, features, "symbol")
    seen = 0
    for batch in batches:
        for number, window, valid in zip(
            batch["event_ns"].tolist(), batch["windows"], batch["windows_valid"], strict=True
        ):
            np.testing.assert_array_equal(window, np.array(expected[number][0]))
            assert valid.tolist() == expected[number][1]
            seen += 1
    assert seen == len(names)


@settings(max_examples=40)
@given(
    names=symbols, venues=symbols, batch_rows=st.integers(1, 9), stop=st.integers(0, 12), closed=st.booleans()
)
def test_windows_of_several_columns_are_those_of_one_that_has_all_their_words(
    names: list[str | None], venues: list[str | None], batch_rows: int, stop: int, closed: bool
) -> None:
    """Resumed anywhere.  What a closed dictionary lacks, here C, is in no group."""
    venues = (venues * len(names))[: len(names)]
    known = [None if closed and venue == "C" else venue for venue in venues]
    joined = [None if None in pair else "".join(pair) for pair in zip(names, known, strict=True)]  # type: ignore[arg-type]
    plain, keyed = frames_of(joined, {7, 20}), frames_of(names, {7, 20})
    lowers = accumulate((frame.rows.num_rows for frame in keyed), initial=0)
    keyed = [
        replace(
            frame,
            rows=frame.rows.append_column(
                "venue", pa.array(venues[lower:][: frame.rows.num_rows], pa.string())
            ),
        )
        for frame, lower in zip(keyed, lowers, strict=False)
    ]
    options: dict[str, Any] = {"batch_rows": batch_rows, "columns": ["event_ns"], "copy": True}
    expected = list(
        AlignedStream.from_frames(plain).batches(**options, windows=Windows(steps=3, columns=["price"]))
    )
    options["windows"] = Windows(steps=3, columns=["price"], by=["venue", "symbol"])
    options["dictionaries"] = {"venue": ["A", "B"]} if closed else {}
    before, after = (AlignedStream.from_frames(keyed).batches(**options) for _ in range(2))
    going = iter(before)
    found = list(islice(going, stop))
    after.load_state_dict(json.loads(json.dumps(before.state_dict())))
    if len(found) == stop:
        found += after
    assert all(map(equal, found, expected))
    assert len(found) == len(expected)


def reader(frames: list[Frame], number: int, readers: int, options: dict[str, Any]) -> Batches:
    """One of the readers of a stream."""
    made = BatchOptions(copy=True, dictionaries={"symbol": None}, **options)
    return Batches(IterableFrames(frames), made, reader=number, readers=readers)


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    readers=st.sampled_from([1, 2, 4]),
    shuffle_rows=st.sampled_from([0, 16, 64]),
    windowed=st.booleans(),
    prefetch=st.sampled_from([0, 3]),
)
def test_a_stream_resumed_anywhere_gives_every_row_exactly_once_and_as_if_never_stopped(
    seed: int, readers: int, shuffle_rows: int, windowed: bool, prefetch: int
) -> None:
    draw = random.Random(seed)
    frames = trades(seed)
    options = {
        "batch_rows": 16,
        "shuffle_rows": shuffle_rows,
        "seed": seed,
        "windows": Windows(steps=4, columns=["price", "size"]) if windowed else None,
        "prefetch": prefetch,
    }
    seen = []
    for number in range(readers):
        whole = list(reader(frames, number, readers, options))
        found: list[Batch] = []
        state: dict[str, Any] | None = None
        while len(found) < len(whole):
            batches = reader(frames, number, readers, options)
            if state is not None:
                batches.load_state_dict(json.loads(json.dumps(state)))
            going = iter(batches)
            found += [next(going) for _ in range(draw.randint(0, min(4, len(whole) - len(found))))]
            state = batches.state_dict()
            going.close()  # type: ignore[attr-defined]
            if draw.random() < 0.2:
                batches.load_state_dict(state)
                found += list(batches)
        assert all(map(equal, found, whole))
        assert len(found) == len(whole)
        seen += [n for batch in found for n in batch["event_ns"].tolist()]
    assert sorted(seen) == list(range(sum(frame.rows.num_rows for frame in frames)))


@settings(max_examples=20)
@given(seed=st.integers(0, 100))
def test_rows_come_the_same_however_partitions_arrive_once_a_buffer_was_begun(seed: int) -> None:
    """Partitions arrive in another order after a restart; the buffer in hand does not change."""
    frames = trades(seed, partitions=3, frames=6)
    later = sorted(frames, key=lambda frame: (frame.place.partition, frame.place.offset))
    options = {"batch_rows": 8, "shuffle_rows": 40, "seed": seed}
    batches = reader(frames, 0, 1, options)
    going = iter(batches)
    found = [next(going) for _ in range(3)]
    state = batches.state_dict()
    rest_of_buffer = [next(going) for _ in range(2)]
    resumed = reader(later, 0, 1, options)
    resumed.load_state_dict(state)
    after = list(resumed)
    assert [batch["event_ns"].tolist() for batch in after[:2]] == [
        batch["event_ns"].tolist() for batch in rest_of_buffer
    ]
    numbers = [n for batch in [*found, *after] for n in batch["event_ns"].tolist()]
    assert sorted(numbers) == list(range(sum(frame.rows.num_rows for frame in frames)))
    going.close()  # type: ignore[attr-defined]


def test_a_state_of_another_stream_is_refused_with_both() -> None:
    frames = trades(1)
    state = reader(frames, 0, 2, {}).state_dict()
    for other, match in (
        (reader(frames, 1, 2, {}), "reader 0, this stream is of 1"),
        (reader(frames, 0, 4, {}), "readers 2, this stream is of 4"),
        (reader(frames, 0, 2, {"shuffle_rows": 4_096}), "shuffle_rows 0, this stream is of 4096"),
        (
            reader(frames, 0, 2, {"windows": Windows(steps=2, columns=["price"])}),
            "windows '', this stream is",
        ),
        (
            reader(frames, 0, 2, {"windows": Windows(steps=2, columns=["price"], by=["symbol", "size"])}),
            "stream is of '2 of price by symbol, size, float32'",
        ),
        (
            AlignedStream.from_frames(frames).batches(dictionaries={"symbol": ["C"]}, readers=2),
            "words '', this",
        ),
    ):
        with pytest.raises(StateError, match=match):
            other.load_state_dict(state)


@pytest.mark.parametrize("broken", [{"positions": 3}, {"buffer": {}}, {"positions": {"x": [1, 2]}}])
def test_a_state_that_was_spoilt_is_refused(broken: dict[str, Any]) -> None:
    batches = reader(trades(1), 0, 1, {})
    next(iter(batches))
    with pytest.raises(StateError, match="not the state of a stream"):
        batches.load_state_dict({**batches.state_dict(), **broken})
