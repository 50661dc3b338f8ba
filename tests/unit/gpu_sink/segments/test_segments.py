"""The laws of raw column segments: stored is what batches hold, and no unchecked row is handed over."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gpu_sink.batches.batch import Batch
from gpu_sink.columns.layout import PAGE_SIZE
from gpu_sink.errors import ColumnError, OptionError, SegmentError, SourceError
from gpu_sink.frames import Frame, Place
from gpu_sink.options import Windows
from gpu_sink.segment_writer import write_segments
from gpu_sink.segments.file import BLOCK_ROWS, checksums, read_footer
from gpu_sink.segments.reads import gds_reads, mode_of
from gpu_sink.source import AlignedStream
from schemas.labels import as_label
from tests.stage.aligned import equal, trades

ROWS = 3 * BLOCK_ROWS + 77
SCHEMA = pa.schema(
    [
        pa.field("event_ns", pa.int64(), nullable=False),
        pa.field("price", pa.float64()),
        pa.field("size", pa.int16()),
        pa.field("up", pa.bool_()),
        pa.field("symbol", pa.string()),
    ]
)


def frames(rows: int = ROWS, *, partition: int = 0, words: tuple[str, ...] = ("A", "B", "C")) -> list[Frame]:
    """One partition, cut anywhere; every column but event_ns has nulls."""
    rng = np.random.default_rng(partition)
    missing = rng.random(rows) < 0.1
    columns = [
        pa.array(np.arange(rows) + 1_000_000 * partition),
        pa.array(rng.random(rows), mask=missing),
        pa.array(rng.integers(-9, 9, rows, np.int16), mask=missing),
        pa.array(rng.random(rows) < 0.5, mask=missing),
        pa.array(np.array(words)[rng.integers(0, len(words), rows)], mask=missing),
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
    cut = rows // 3
    return [
        Frame(batch.slice(lower, cut), None, Place("aligned", partition, offset))
        for offset, lower in enumerate(range(0, rows, cut))
    ]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """One partition in two segments."""
    folder = tmp_path / "segments"
    write_segments(AlignedStream.from_frames(frames()), folder, segment_rows=2 * BLOCK_ROWS)
    return folder


def read(stream: AlignedStream, **options: Any) -> list[Batch]:
    """All batches."""
    return list(stream.batches(copy=True, **options))


def spoil(folder: Path, offset: int) -> Path:
    """Change one bit of the only file."""
    (file,) = folder.iterdir()
    data = bytearray(file.read_bytes())
    data[offset] ^= 4
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("batch_rows", [1_000, BLOCK_ROWS, 2 * BLOCK_ROWS, 3 * BLOCK_ROWS + 1])
def test_batches_of_segments_are_those_of_the_frames_they_were_written_from(
    written: Path, batch_rows: int
) -> None:
    ours = read(AlignedStream.from_folder(written), batch_rows=batch_rows)
    theirs = read(AlignedStream.from_frames(frames()), batch_rows=batch_rows)
    assert all(map(equal, ours, theirs))
    assert [batch.rows for batch in ours] == [batch.rows for batch in theirs]


@pytest.mark.parametrize(
    "options",
    [
        {"dtypes": {"price": "float32", "size": "float64"}},
        {"columns": ["up", "event_ns"]},
        {"pad": True},
        {"windows": Windows(steps=3, columns=["price"])},
        {"shuffle_rows": 4_000},
        {"dictionaries": {"symbol": ["C", "A"]}},
        {"tile_ns": 700, "time_column": "event_ns"},
    ],
    ids=str,
)
def test_every_option_works_on_segments_as_on_frames(written: Path, options: dict[str, Any]) -> None:
    ours = read(AlignedStream.from_folder(written), batch_rows=2_000, **options)
    theirs = read(AlignedStream.from_frames(frames()), batch_rows=2_000, **options)
    assert all(map(equal, ours, theirs))
    assert len(ours) == len(theirs) > 0


def test_frames_of_segments_hold_what_batches_hold(written: Path) -> None:
    found = pa.Table.from_batches([frame.rows for frame in AlignedStream.from_folder(written)])
    expected = pa.Table.from_batches([frame.rows for frame in frames()])
    for name in SCHEMA.names:
        assert found[name].to_pylist() == expected[name].to_pylist()


def test_a_label_is_one_in_segments_too_and_no_window_has_it(tmp_path: Path) -> None:
    label = as_label(pa.field("label", pa.int8()))
    schema = pa.schema([SCHEMA.field("event_ns"), SCHEMA.field("symbol"), label])
    columns = [pa.array([1, 2]), pa.array(["A", "A"]), pa.array([1, None], pa.int8())]
    rows = pa.RecordBatch.from_arrays(columns, schema=schema)
    write_segments(AlignedStream.from_frames([Frame(rows, None, Place("outcome", 0, 0))]), tmp_path / "own")
    stream = AlignedStream.from_folder(tmp_path / "own")
    assert [batch.labels for batch in read(stream)] == [("label",)]
    with pytest.raises(OptionError, match="windows of label, which is a label"):
        read(stream, windows=Windows(steps=2, columns=["label"]))


def test_a_file_per_partition_is_shared_among_readers_and_its_words_agree(tmp_path: Path) -> None:
    both = [*frames(500, words=("A", "B")), *frames(500, partition=1, words=("C", "B", "A"))]
    write_segments(AlignedStream.from_frames(both), tmp_path / "segments")
    stream = AlignedStream.from_folder(tmp_path / "segments")
    assert len(stream.source.partitions()) == 2
    words = stream.words("symbol")
    assert words == ["A", "B", "C"]
    for reader in (0, 1):
        options: dict[str, Any] = {
            "reader": reader,
            "readers": 2,
            "dictionaries": {"symbol": words},
            "copy": True,
        }
        ours = stream.batches(**options)
        theirs = AlignedStream.from_frames(both).batches(**options)
        assert all(map(equal, ours, theirs))
    assert all(map(equal, read(stream), read(AlignedStream.from_frames(both))))


def test_a_state_goes_on_in_the_middle_of_a_block(written: Path) -> None:
    stream = AlignedStream.from_folder(written)
    whole = read(stream, batch_rows=1_234)
    first = stream.batches(batch_rows=1_234, copy=True)
    going = iter(first)
    for _ in range(4):
        next(going)
    state = json.loads(json.dumps(first.state_dict()))
    going.close()  # type: ignore[attr-defined]
    again = AlignedStream.from_folder(written).batches(batch_rows=1_234, copy=True)
    again.load_state_dict(state)
    assert all(map(equal, again, whole[4:]))


def test_segments_of_anything_are_read_as_they_were_sealed(tmp_path: Path) -> None:
    write_segments(AlignedStream.from_frames(trades(3)), tmp_path / "segments")
    found = read(AlignedStream.from_folder(tmp_path / "segments"), batch_rows=64)
    numbers = [number for batch in found for number in batch["event_ns"].tolist()]
    by_partition = sorted(trades(3), key=lambda frame: (frame.place.partition, frame.place.offset))
    assert numbers == [n for frame in by_partition for n in frame.rows.column("event_ns").to_pylist()]


def test_what_was_really_done_to_read_is_said_and_is_no_gpudirect_on_a_host(written: Path) -> None:
    batches = AlignedStream.from_folder(written).batches()
    assert batches.io_mode is None
    list(batches)
    assert batches.io_mode == "posix"


def test_reads_that_the_driver_did_not_count_are_never_called_gpudirect(tmp_path: Path) -> None:
    assert gds_reads(tmp_path / "no driver") is None
    stats = tmp_path / "stats"
    stats.write_text("IO stats: Disabled\nWrites\t: n=3 ok=3 err=0\n")
    assert gds_reads(stats) is None
    stats.write_text("IO stats: Enabled\nReads\t\t: n=9 ok=7 err=2 readMiB=1\nReads\t: Bandwidth(MiB/s)=0\n")
    assert gds_reads(stats) == 7
    assert [mode_of(0, 5), mode_of(3, 5), mode_of(5, 5)] == [
        "kvikio compat",
        "gpudirect in part",
        "gpudirect",
    ]


def test_pieces_begin_on_pages(written: Path) -> None:
    (file,) = written.iterdir()
    footer = read_footer(file)
    assert footer.rows == ROWS
    assert all(piece.offset % PAGE_SIZE == 0 for one in footer.segments for piece in one.pieces.values())


def test_any_changed_bit_of_a_piece_is_found_with_column_and_offset(written: Path) -> None:
    (file,) = written.iterdir()
    piece = read_footer(file).segments[1].pieces["price"]
    spoil(written, piece.offset + 8 * BLOCK_ROWS + 5)
    place = piece.offset + 8 * BLOCK_ROWS
    with pytest.raises(SegmentError, match=rf"0.segments: corrupt: column price at offset {place} does"):
        read(AlignedStream.from_folder(written))
    assert read(AlignedStream.from_folder(written), columns=["event_ns", "up"])


def test_no_row_of_a_corrupt_block_is_handed_over(written: Path) -> None:
    (file,) = written.iterdir()
    spoil(written, read_footer(file).segments[0].pieces["event_ns"].offset + 8 * BLOCK_ROWS)
    going = iter(AlignedStream.from_folder(written).batches(batch_rows=1_024, prefetch=0, copy=True))
    for _ in range(BLOCK_ROWS // 1_024):
        next(going)
    with pytest.raises(SegmentError, match="corrupt: column event_ns"):
        next(going)


@pytest.mark.parametrize("part", [0, 100, PAGE_SIZE, PAGE_SIZE + 40, -1])
def test_a_file_torn_anywhere_is_refused(written: Path, part: int) -> None:
    (file,) = written.iterdir()
    file.write_bytes(file.read_bytes()[:part])
    with pytest.raises(SegmentError, match=r"0.segments: (torn|not a file of segments)"):
        read(AlignedStream.from_folder(written))


def test_a_footer_with_a_changed_bit_is_refused(written: Path) -> None:
    (file,) = written.iterdir()
    spoil(written, file.stat().st_size - 60)
    with pytest.raises(SegmentError, match=r"the footer at offset \d+ does not match its checksum"):
        read(AlignedStream.from_folder(written))


def test_a_file_that_shrinks_while_it_is_read_is_named(written: Path) -> None:
    (file,) = written.iterdir()
    going = iter(AlignedStream.from_folder(written).batches(batch_rows=BLOCK_ROWS, prefetch=0, copy=True))
    next(going)
    with file.open("r+b") as opened:
        opened.truncate(PAGE_SIZE)
    with pytest.raises(SegmentError, match="torn: column event_ns has 0 of"):
        next(going)


def test_a_foreign_file_and_one_of_another_version_are_named(written: Path) -> None:
    (file,) = written.iterdir()
    data = bytearray(file.read_bytes())
    data[16] = 9
    file.write_bytes(data)
    with pytest.raises(SegmentError, match="version 9 of segments, this library reads 1"):
        read(AlignedStream.from_folder(written))
    file.write_bytes(b"PAR1" * 4_000)
    with pytest.raises(SegmentError, match="not a file of segments: it begins with b'PAR1"):
        read(AlignedStream.from_folder(written))


def test_segments_beside_parquet_would_be_rows_twice_and_are_refused(written: Path) -> None:
    (written / "a.parquet").touch()
    with pytest.raises(SourceError, match=r"holds partition-00000.segments beside a.parquet"):
        AlignedStream.from_folder(written)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    good, bad = frames(100), frames(100, partition=1)
    misfit = pa.RecordBatch.from_arrays(
        [pa.array([1, 2**40]), *(pa.nulls(2, field.type) for field in list(SCHEMA)[1:])], schema=SCHEMA
    )
    stream = AlignedStream.from_frames([*good, *bad, Frame(misfit, None, Place("aligned", 1, 9))])
    with pytest.raises(ColumnError, match="event_ns: 1099511627776 does not fit int32"):
        write_segments(stream, tmp_path / "segments", dtypes={"event_ns": "int32"})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_not_written_over(written: Path) -> None:
    with pytest.raises(SourceError, match="is there already: name a new folder"):
        write_segments(AlignedStream.from_frames(frames()), written)
    assert len(list(written.iterdir())) == 1


def test_a_stream_without_rows_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no rows"):
        write_segments(AlignedStream.from_frames([], partitions=[0]), tmp_path / "segments")


def test_every_single_bit_and_every_swap_of_words_changes_a_checksum() -> None:
    words = np.random.default_rng(1).integers(-(2**62), 2**62, (1, 64))
    before = checksums(words)[0]
    for place in range(64):
        for bit in range(64):
            words[0, place] ^= np.int64(1 << bit) if bit < 63 else np.int64(-(2**63))
            assert checksums(words)[0] != before
            words[0, place] ^= np.int64(1 << bit) if bit < 63 else np.int64(-(2**63))
        words[0, [place, (place + 1) % 64]] = words[0, [(place + 1) % 64, place]]
        assert checksums(words)[0] != before
        words[0, [place, (place + 1) % 64]] = words[0, [(place + 1) % 64, place]]
