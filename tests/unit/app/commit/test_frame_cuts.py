"""Rows are cut into frames by bytes as well as by rows, and the cut changes nothing else."""

from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.topics import audit
from app.commit.frame_cuts import HEADERS_SIZE, Piece, cut_frames
from app.errors import RunError
from schemas.frame import Compression, FrameEncoder, FrameHeaders, decode_frame
from tests.stage.market import Market
from tests.stage.small_topics import with_limits, with_notes
from tests.stage.turns import turn_until_quiet
from topics.bus import MessageLimit
from topics.message_size import message_size

WIDE = pa.schema([pa.field(f"level_{n}", pa.float64()) for n in range(100)])


def limit(size: int) -> MessageLimit:
    return MessageLimit(size, "max.message.bytes of the topic")


def cut(rows: pa.RecordBatch, size: int, *, compression: Compression = "none", **given: Any) -> list[Piece]:
    settings: dict[str, Any] = {"rows_max": 16_384, "where": "t[0]", **given}
    return list(cut_frames(rows, limit(size), encoder=FrameEncoder(rows.schema, compression), **settings))


@given(
    sizes=st.lists(st.integers(0, 20_000), min_size=1, max_size=40),
    rows_max=st.integers(1, 50),
    size=st.integers(60_000, 120_000),
    compression=st.sampled_from(get_args(Compression)),
)
def test_every_frame_fits_and_together_they_are_the_rows_in_order(
    sizes: list[int], rows_max: int, size: int, compression: Compression
) -> None:
    notes = [None if n % 7 == 3 else chr(97 + n % 26) * n for n in sizes]
    rows = pa.RecordBatch.from_pydict(
        {"note": notes, "n": list(range(len(sizes))), "tags": [[note] for note in notes]}
    )
    pieces = cut(rows, size, rows_max=rows_max, compression=compression)
    assert [lower for lower, _, _ in pieces] == [0, *(upper for _, upper, _ in pieces[:-1])]
    assert all(upper - lower <= rows_max for lower, upper, _ in pieces)
    assert all(len(value) + HEADERS_SIZE <= size for _, _, value in pieces)
    frames = pa.Table.from_batches([decode_frame(value) for _, _, value in pieces])
    assert frames.equals(pa.Table.from_batches([rows]))
    assert all(decode_frame(value).num_rows == upper - lower for lower, upper, value in pieces)


def test_rows_that_fit_are_cut_by_rows_alone() -> None:
    rows = pa.RecordBatch.from_pydict({"n": list(range(10))})
    assert [(lower, upper) for lower, upper, _ in cut(rows, 1 << 20, rows_max=4)] == [(0, 4), (4, 8), (8, 10)]


def test_rows_of_equal_width_are_cut_into_few_frames() -> None:
    rows = pa.RecordBatch.from_pydict({name: [1.0] * 16_000 for name in WIDE.names}, WIDE)
    assert rows.nbytes == 12_800_000
    assert 2 <= len(cut(rows, 8 << 20)) <= 3


@pytest.mark.parametrize("compression", get_args(Compression))
def test_a_compression_changes_no_cut(compression: Compression) -> None:
    rows = pa.RecordBatch.from_pydict({name: [1.0] * 4_000 for name in WIDE.names}, WIDE)
    bounds = [(lower, upper) for lower, upper, _ in cut(rows, 1 << 20)]
    assert [(lower, upper) for lower, upper, _ in cut(rows, 1 << 20, compression=compression)] == bounds


def test_rows_larger_than_their_columns_promise_are_halved_until_they_fit() -> None:
    """Names and metadata of columns are in each frame, and no estimate knows how long they are."""
    name = "n" * 30_000
    rows = pa.RecordBatch.from_pydict({name: [float(n) for n in range(8_000)]})
    pieces = cut(rows, 80_000)
    assert len(pieces) > 1
    assert all(len(value) + HEADERS_SIZE <= 80_000 for _, _, value in pieces)


def test_a_row_too_large_is_named_with_its_largest_columns_and_what_to_do() -> None:
    texts = {"note": ["", "x" * 50_000], "word": ["a", "b" * 20_000]}
    rows = pa.RecordBatch.from_pydict({"left_offset": [7, 8], "left_index": [0, 3], **texts})
    with pytest.raises(
        RunError,
        match=r"^t\[0\]: the row of left_offset 8, left_index 3 makes a message of 7\d,\d{3} bytes, and "
        r"60,000 are taken \(max\.message\.bytes of the topic\); its largest columns are note \(50,00\d\), "
        r"word \(20,00\d\), left_offset \(8\) bytes: raise that setting, or leave columns out with columns",
    ):
        cut(rows, 60_000)


def noted(folder: Path, notes: list[str], limits: dict[str, int], **worker: object) -> Market:
    """A market in which trades with these notes were sealed, the output topics having limits."""
    market = with_limits(with_notes(Market(folder, worker=worker)), **limits)
    market.keyed("trade", "A", market.block("trade", range(1, 1 + len(notes)), columns={"note": notes}))
    market.quote(0)
    market.progress(100)
    with closing(market.worker()) as joined:
        turn_until_quiet(joined)
    return market


@pytest.mark.parametrize("size", [12_000, 20_000, 8 << 20])
def test_a_seal_cut_by_bytes_keeps_the_law_of_completeness_its_parity_and_a_clean_audit(
    tmp_path: Path, size: int
) -> None:
    notes = ["x" * (700 * n) for n in range(8)]
    market = noted(tmp_path, notes, {"aligned": size})
    frames = market.messages("aligned")
    headers = [FrameHeaders.from_kafka(frame.headers) for frame in frames]
    assert (len(frames) > 1) == (size < 8 << 20)
    assert all(message_size(frame.key, frame.value, frame.headers) <= size for frame in frames)
    whole = FrameHeaders.from_kafka(noted(tmp_path / "whole", notes, {}).messages("aligned")[-1].headers)
    assert headers[-1].parity == whole.parity
    out: list[int] = []
    for frame, told in zip(frames, headers, strict=True):
        out += decode_frame(frame.value).column("event_ns").to_pylist()
        assert [ns for ns in range(1, 9) if ns < told.complete_ns] == [
            ns for ns in out if ns < told.complete_ns
        ]
    assert out == list(range(1, 9))
    assert all(before.complete_ns <= after.complete_ns for before, after in pairwise(headers))
    assert audit(market.pipeline).violations == []


def test_an_aligned_row_too_large_ends_the_worker_by_name_at_each_start(tmp_path: Path) -> None:
    market = with_limits(with_notes(Market(tmp_path)), aligned=20_000)
    market.keyed("trade", "A", market.block("trade", [1, 2], columns={"note": ["", "x" * 30_000]}))
    market.progress(9)
    for _ in range(2):
        worker = market.worker()
        with pytest.raises(RunError, match=r"aligned\[0\]: the row of left_offset 0, left_index 1 makes"):
            turn_until_quiet(worker)
        worker.close(failed=True)
    assert market.messages("aligned") == []


def test_an_avro_row_too_large_is_named(tmp_path: Path) -> None:
    market = with_limits(with_notes(Market(tmp_path, worker={"format": "avro"})), aligned=20_000)
    market.keyed("trade", "A", market.block("trade", [1, 2], columns={"note": ["", "x" * 19_500]}))
    market.progress(9)
    worker = market.worker()
    with pytest.raises(RunError, match=r"left_offset 0, left_index 1 .* and 20,000 are taken .* note \(19,5"):
        turn_until_quiet(worker)
    worker.close(failed=True)


def test_a_topic_that_is_not_there_is_named_before_a_worker_starts(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.bus.admin().delete(["tidemark.aligned"])
    with pytest.raises(Exception, match=r"topic tidemark\.aligned does not exist: create it first"):
        market.worker()
