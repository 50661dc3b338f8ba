"""The worker and the client library speak of the same frames, though neither imports the other."""

from typing import get_args

import pyarrow as pa
import pytest

from gpu_sink import contract
from gpu_sink.frames import Place, decode_frame
from schemas import frame, labels
from tests.golden.frames import GOLDEN_FRAME, GOLDEN_LAYOUT, golden_rows

PLACE = Place("aligned", 3, 41)
HEADERS = frame.FrameHeaders(
    layout=GOLDEN_LAYOUT,
    complete_ns=-(2**63),
    rows=3,
    released_ns=2**62,
    sealed_ns=2**62 + 1,
    newest_ns=5,
    assumed_rows=2,
    rule="event backward exact row tolerance=none columns=00000000 keys=00000000",
    nulls={"vol_5m": {"warming": 2}},
)

SCHEMAS = [
    golden_rows().schema,
    pa.schema([]),
    pa.schema([pa.field("Größe", pa.decimal128(18, 4)), pa.field("at", pa.timestamp("ns", "UTC"))]),
    pa.schema(
        [pa.field("venue", pa.dictionary(pa.int32(), pa.string())), pa.field("l", pa.list_(pa.int8()))]
    ),
    pa.schema([pa.field("s", pa.struct([pa.field("x", pa.float32(), nullable=False)]), nullable=False)]),
]


def test_a_label_is_marked_in_the_same_words() -> None:
    plain = pa.field("label", pa.int8(), metadata={"unit": "ticks"})
    marked = labels.as_label(plain)
    assert (contract.is_label(plain), contract.is_label(marked)) == (False, True)
    assert marked.metadata[b"unit"] == b"ticks"
    rows = pa.RecordBatch.from_arrays(
        [pa.array([1], pa.int8())] * 2, schema=pa.schema([marked, ("x", pa.int8())])
    )
    layout = frame.decode_frame(frame.encode_frame(rows)).schema
    assert [contract.is_label(field) for field in layout] == [True, False]
    assert labels.labels_of(layout) == ["label"]
    assert frame.layout_fingerprint(layout) == frame.layout_fingerprint(layout.remove_metadata())


def test_the_words_on_the_wire_are_the_same() -> None:
    for name in (
        "LAYOUT",
        "FRONTIER",
        "ROWS",
        "RELEASED",
        "SEALED",
        "NEWEST",
        "PARITY",
        "ASSUMED",
        "VERSION",
        "LEFT_OFFSET",
        "LEFT_INDEX",
    ):
        assert getattr(contract, name) == getattr(frame, name)
    assert contract.FRAME_VERSION == frame.FRAME_VERSION


def test_a_frame_of_another_version_is_refused_by_both_and_one_that_names_none_is_of_the_first() -> None:
    headers = dict(HEADERS.to_kafka())
    assert headers.pop(frame.VERSION) == b"1"
    assert contract.read_headers(list(headers.items())).rows == HEADERS.rows
    newer = [*headers.items(), (frame.VERSION, b"2")]
    with pytest.raises(contract.FrameError, match="a frame of version 2, this library reads version 1"):
        contract.read_headers(newer)
    with pytest.raises(frame.FrameError, match="a frame of version b'2', this program reads version 1"):
        frame.FrameHeaders.from_kafka(newer)


def test_headers_written_by_the_worker_are_read_alike() -> None:
    theirs = frame.FrameHeaders.from_kafka(HEADERS.to_kafka())
    ours = contract.read_headers(HEADERS.to_kafka())
    # The rule and the nulls are for who judges rows; who reads them passes over both.
    for name in set(frame.FrameHeaders.__slots__) - {"rule", "nulls"}:
        assert getattr(ours, name) == getattr(theirs, name) == getattr(HEADERS, name)


def test_headers_that_the_worker_refuses_are_refused() -> None:
    for spoilt in range(7):
        for value in (None, b"", b"12x", "٣".encode()):
            headers = HEADERS.to_kafka()
            headers[spoilt] = (headers[spoilt][0], value)
            if spoilt == 0 and value is not None:
                continue  # a layout is any text
            with pytest.raises(contract.FrameError, match="tidemark-"):
                contract.read_headers(headers)
        if spoilt < 6:  # the last one is younger than the others
            with pytest.raises(contract.FrameError, match="is missing"):
                contract.read_headers(HEADERS.to_kafka()[:spoilt])


def test_a_frame_from_before_assumed_rows_were_told_has_none() -> None:
    older = HEADERS.to_kafka()[:6]
    assert contract.read_headers(older).assumed_rows == 0
    assert frame.FrameHeaders.from_kafka(older).assumed_rows == 0


@pytest.mark.parametrize("schema", SCHEMAS)
def test_fingerprints_agree(schema: pa.Schema) -> None:
    assert contract.layout_fingerprint(schema) == frame.layout_fingerprint(schema)


@pytest.mark.parametrize("compression", get_args(frame.Compression))
def test_a_compressed_frame_is_read_by_both(compression: frame.Compression) -> None:
    value = frame.encode_frame(golden_rows(), compression)
    assert frame.decode_frame(value).equals(golden_rows())
    assert decode_frame(value, HEADERS.to_kafka(), PLACE, GOLDEN_LAYOUT).rows.equals(golden_rows())


ANY_ROWS = pa.record_batch(
    {
        "number": pa.array([1.5, None, 3.5, 4.5] * 9),
        "flag": pa.array([True, None, False, True] * 9),
        "text": pa.array(["a", "", None, "long enough to be no view"] * 9),
        "list": pa.array([[1], [], None, [2, 3]] * 9),
        "inner": pa.array([{"x": 1, "y": "b"}, None, {"x": None, "y": ""}, {"x": 2, "y": None}] * 9),
        "code": pa.array(["N", "Q", None, "N"] * 9).dictionary_encode(),
        "codes": pa.array([["N"], [], None, ["Q", "N"]] * 9, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    }
)


@pytest.mark.parametrize("compression", get_args(frame.Compression))
@pytest.mark.parametrize("columns", [[name] for name in ANY_ROWS.schema.names] + [ANY_ROWS.schema.names])
@pytest.mark.parametrize(("first", "count"), [(0, 36), (0, 0), (3, 1), (5, 17), (36, 0)])
def test_a_value_is_what_a_writer_of_arrow_writes(
    columns: list[str], first: int, count: int, compression: frame.Compression
) -> None:
    schema = pa.schema([ANY_ROWS.schema.field(name) for name in columns], {"made": "here"})
    rows = ANY_ROWS.select(columns).cast(schema).slice(first, count)
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_batch(rows)
    assert frame.encode_frame(rows, compression) == sink.getvalue()
    assert frame.decode_frame(frame.encode_frame(rows, compression)).equals(rows)


def test_rows_of_another_layout_are_refused_by_an_encoder() -> None:
    with pytest.raises(AssertionError, match="another layout"):
        frame.FrameEncoder(golden_rows().schema).encode(ANY_ROWS)


def test_the_golden_frame_has_not_changed() -> None:
    value = GOLDEN_FRAME.read_bytes()
    assert frame.decode_frame(value).equals(golden_rows())
    assert frame.layout_fingerprint(golden_rows().schema) == GOLDEN_LAYOUT


def test_both_sides_read_the_golden_frame_alike() -> None:
    value = GOLDEN_FRAME.read_bytes()
    ours = decode_frame(value, HEADERS.to_kafka(), PLACE, layout=GOLDEN_LAYOUT)
    assert ours.rows.equals(frame.decode_frame(value))


def test_a_frame_written_today_is_read() -> None:
    rows = golden_rows()
    assert decode_frame(frame.encode_frame(rows), HEADERS.to_kafka(), PLACE).rows.equals(rows)
