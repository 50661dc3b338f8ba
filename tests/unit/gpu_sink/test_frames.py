"""The laws of reading a frame from a message."""

import random

import pyarrow as pa
import pytest

from gpu_sink.contract import NEWEST, PARITY, FrameError, layout_fingerprint
from gpu_sink.frames import FrameDecoder, Place, decode_frame
from gpu_sink.source import AlignedStream
from tests.stage.aligned import message_of, rows_of

PLACE = Place("aligned", 2, 77)
NAMED = r"aligned \[2\] offset 77: "


def test_a_frame_gives_its_rows_headers_and_place() -> None:
    rows = rows_of([1, 2, 3])
    frame = decode_frame(*message_of(rows), PLACE)
    assert frame.rows.equals(rows)
    assert frame.headers is not None
    assert (frame.headers.rows, frame.headers.frontier_ns, frame.headers.sealed_ns) == (3, 100, 300)
    assert frame.place == PLACE


def test_rows_view_the_message_and_are_not_copied() -> None:
    value, headers = message_of(rows_of(list(range(1_000))))
    frame = decode_frame(value, headers, PLACE)
    message = pa.py_buffer(value)
    column = frame.rows.column("event_ns").buffers()[1]
    assert message.address <= column.address < message.address + message.size


def test_rows_outlive_the_name_of_the_message() -> None:
    def read() -> pa.RecordBatch:
        return decode_frame(*message_of(rows_of([4, 6])), PLACE).rows

    assert read().column("price").to_pylist() == [2.0, 3.0]


def test_an_empty_frame_is_a_frame() -> None:
    assert decode_frame(*message_of(rows_of([])), PLACE).rows.num_rows == 0


def test_a_null_value_is_named_with_its_place() -> None:
    with pytest.raises(FrameError, match=NAMED + "not a frame: the value is null"):
        decode_frame(None, message_of(rows_of([1]))[1], PLACE)


def test_a_message_without_headers_is_named_with_its_place() -> None:
    with pytest.raises(FrameError, match=NAMED + "not a frame: header tidemark-.* is missing"):
        decode_frame(message_of(rows_of([1]))[0], [], PLACE)


@pytest.mark.parametrize(
    ("number", "why"),
    [(b"7.0", "not a number"), (b"1_0", "not a number"), (b"9" * 19, "which is beyond int64")],
)
def test_a_number_that_is_none_is_named_with_its_header(number: bytes, why: str) -> None:
    value, headers = message_of(rows_of([1]))
    malformed = [(name, number if name == NEWEST else text) for name, text in headers]
    with pytest.raises(
        FrameError, match=f"{NAMED}not a frame: header {NEWEST} is '{number.decode()}', {why}"
    ):
        decode_frame(value, malformed, PLACE)


@pytest.mark.parametrize("rows", [b"", b"-5", b"x", b"9223372036854775808", b"9" * 5_000])
def test_a_parity_without_a_count_of_rows_is_named_with_its_header(rows: bytes) -> None:
    value, headers = message_of(rows_of([1]))
    with pytest.raises(FrameError, match=f"{NAMED}not a frame: header {PARITY} is "):
        decode_frame(value, [*headers, (PARITY, rows + b"-" + b"0" * 32)], PLACE)


def test_an_unexpected_layout_is_refused_with_both() -> None:
    found = layout_fingerprint(rows_of([]).schema)
    with pytest.raises(FrameError, match=f"{NAMED}a frame of layout {found}, expected 0123"):
        decode_frame(*message_of(rows_of([1])), PLACE, layout="0123")


def test_headers_that_do_not_fit_the_columns_are_refused() -> None:
    with pytest.raises(FrameError, match=NAMED + "its header says layout 0123, its columns are"):
        decode_frame(*message_of(rows_of([1]), layout="0123"), PLACE)
    with pytest.raises(FrameError, match=NAMED + "its header says 2 rows, it has 1"):
        decode_frame(*message_of(rows_of([1]), rows=2), PLACE)


@pytest.fixture(params=["first", "later"])
def decoder(request: pytest.FixtureRequest) -> FrameDecoder:
    """A decoder that has read nothing, and one that has read a frame of these columns."""
    made = FrameDecoder()
    if request.param == "later":
        made.decode(*message_of(rows_of([7, 8])), PLACE)
    return made


def test_a_later_frame_is_read_as_the_first_is(decoder: FrameDecoder) -> None:
    for rows in (rows_of([1, 2, 3]), rows_of([]), rows_of([2, 2]).select(["price"])):
        frame = decoder.decode(*message_of(rows), PLACE)
        assert frame.rows.equals(rows)
        assert frame.rows.schema.equals(rows.schema)


def test_a_later_frame_of_words_is_read_with_its_own_dictionary() -> None:
    decoder = FrameDecoder()
    for words in (["a", "b"], ["c", "c", "d"]):
        rows = pa.RecordBatch.from_pydict({"x": pa.array(words).dictionary_encode()})
        assert decoder.decode(*message_of(rows), PLACE).rows.column("x").to_pylist() == words


def test_a_cut_frame_is_refused_wherever_it_was_cut(decoder: FrameDecoder) -> None:
    value, headers = message_of(rows_of([1, 2, 3]))
    for size in range(0, len(value) - 8, 5):  # the last 8 bytes only say that the stream ends
        with pytest.raises(FrameError, match=NAMED):
            decoder.decode(value[:size], headers, PLACE)


def test_bytes_behind_the_rows_are_refused(decoder: FrameDecoder) -> None:
    value, headers = message_of(rows_of([1]))
    with pytest.raises(FrameError, match=NAMED + "not a frame: 3 bytes follow the rows"):
        decoder.decode(value + b"abc", headers, PLACE)


def test_two_batches_are_not_a_frame(decoder: FrameDecoder) -> None:
    rows = rows_of([1])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
        writer.write_batch(rows)
    with pytest.raises(FrameError, match=NAMED + "not a frame: 2 batches of rows, expected one"):
        decoder.decode(sink.getvalue().to_pybytes(), message_of(rows)[1], PLACE)


def test_text_that_is_not_text_is_refused() -> None:
    rows = pa.RecordBatch.from_pydict({"symbol": ["ABCD"]})
    value, headers = message_of(rows)
    with pytest.raises(FrameError, match=NAMED + "not a frame: .*UTF8"):
        decode_frame(value.replace(b"ABCD", b"AB\xff\xff"), headers, PLACE)


def test_a_name_that_is_not_text_is_refused(decoder: FrameDecoder) -> None:
    value, headers = message_of(rows_of([1]))
    with pytest.raises(FrameError, match=NAMED + "not a frame: .*invalid start byte"):
        decoder.decode(value.replace(b"price", b"\xffrice"), headers, PLACE)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_bytes_are_damaged_a_frame_is_refused_by_name_or_gives_batches(seed: int) -> None:
    """The damage reaches lengths, offsets, types and ids of dictionaries, of which Arrow says many things."""
    draw = random.Random(seed)
    columns = {
        "word": pa.array(["a", "bb", None]).dictionary_encode(),
        "text": ["x", "", "yy"],
        "n": [1, None, 3],
    }
    value, headers = message_of(pa.RecordBatch.from_pydict(columns))
    decoder, refusals = FrameDecoder(), []
    for _ in range(250):
        decoder.decode(value, headers, PLACE)
        damaged = bytearray(value)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(len(damaged))] = draw.choice([0, 1, 127, 128, 255])
        for one in (decoder, FrameDecoder()):
            try:
                frame = one.decode(bytes(damaged), headers, PLACE)
            except FrameError as refused:
                refusals.append(str(refused))
            else:
                batches = AlignedStream.from_frames([frame]).batches(prefetch=0)
                assert [batch.rows for batch in batches] == [3]
    assert 0 < len(refusals) < 500
    assert all(refusal.startswith(str(PLACE)) for refusal in refusals)
