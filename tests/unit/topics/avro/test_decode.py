"""What the decoder makes of messages: rows, progress, and dead rows with their reason."""

import numpy as np
import pyarrow as pa
import pytest

from schemas.clocks import Clock
from schemas.stream import Stream, StreamError
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro import decode
from topics.avro.decode import Decoder
from topics.avro.encode import RowEncoder
from topics.avro.header import message_header
from topics.avro.progress import encode_progress
from topics.avro.schema import avro_schema, block_schema
from topics.values import DecodeLimits
from topics.wire import DeadRow, Decoded, Progress, RegistryUnavailableError

COLUMNS = [("event_ns", pa.int64()), ("known_ns", pa.int64()), ("symbol", pa.string()), ("n", pa.int64())]
STREAM = Stream(name="quote", schema=pa.schema(COLUMNS), sequence="n")
Message = tuple[bytes | None, bytes | None, int]


def rows_at(*event_ns: int | None, n: int | None = None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"event_ns": at, "known_ns": 5, "symbol": "A", "n": n} for at in event_ns], schema=STREAM.schema
    )


class Scene:
    """A registry, an encoder and a decoder of one stream."""

    def __init__(self, clock: Clock = "event", limits: DecodeLimits | None = None) -> None:
        self.registry = DictRegistry()
        self.encoder = RowEncoder(STREAM, self.registry, "quotes")
        self.decoder = Decoder(STREAM, clock, self.registry, limits)

    def record(self, event_ns: int | None, n: int | None = None) -> bytes:
        return self.encoder.records(rows_at(event_ns, n=n)).data.tobytes()

    def block(self, *event_ns: int | None) -> bytes:
        return self.encoder.blocks(rows_at(*event_ns), np.array([0, len(event_ns)])).data.tobytes()

    def decode(self, *messages: Message) -> Decoded:
        return self.decoder.decode(block_of(messages), np.arange(len(messages)))


def times(decoded: Decoded) -> list[int]:
    assert decoded.batch is not None
    return [int(at) for at in decoded.batch.time_ns]


def test_records_and_blocks_of_one_topic_stay_in_offset_order() -> None:
    scene = Scene()
    decoded = scene.decode(
        (b"A", scene.record(1), 3), (b"B", scene.block(2, 3), 4), (b"A", scene.record(4), 9)
    )
    assert times(decoded) == [1, 2, 3, 4]
    assert decoded.batch is not None
    assert decoded.batch.offset.tolist() == [3, 4, 4, 9]
    assert decoded.batch.index.tolist() == [0, 0, 1, 0]
    assert [decoded.batch.keys[code].as_py() for code in decoded.batch.key_code] == [b"A", b"B", b"B", b"A"]


def test_only_the_messages_asked_for_are_read() -> None:
    scene = Scene()
    block = block_of([(b"A", scene.record(at), at) for at in (1, 2, 3)])
    assert times(scene.decoder.decode(block, np.array([0, 2]))) == [1, 3]


def test_a_key_whose_rows_are_all_dead_is_not_a_key_of_the_batch() -> None:
    scene = Scene()
    decoded = scene.decode((b"bad", scene.record(1)[:-1], 0), (b"A", scene.record(2), 1))
    assert decoded.batch is not None
    assert decoded.batch.keys.to_pylist() == [b"A"]


def test_keys_of_any_length_are_told_apart() -> None:
    scene = Scene()
    keys = [b"", b"\0", b"\0\0", b"ABCDEFGH", b"ABCDEFGHI", b"ABCDEFGHJ", b"", b"ABCDEFGHI"]
    decoded = scene.decode(*[(key, scene.record(1), i) for i, key in enumerate(keys)])
    assert decoded.batch is not None
    assert [decoded.batch.keys[code].as_py() for code in decoded.batch.key_code] == keys
    assert len(decoded.batch.keys) == 6


def test_the_clock_of_the_pipeline_gives_the_times() -> None:
    scene = Scene(clock="known")
    assert times(scene.decode((b"A", scene.record(None), 0))) == [5]


def test_a_stream_without_the_clock_is_refused() -> None:
    stream = Stream(name="s", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())]))
    with pytest.raises(StreamError, match="known_ns"):
        Decoder(stream, "known", DictRegistry())


def test_a_row_without_its_time_is_dead_and_its_neighbours_live() -> None:
    scene = Scene()
    decoded = scene.decode((b"A", scene.block(1, None, 3), 7), (b"A", scene.record(None), 8))
    assert times(decoded) == [1, 3]
    assert decoded.batch is not None
    assert decoded.batch.index.tolist() == [0, 2]
    assert decoded.dead == [DeadRow(0, 1, "no event_ns"), DeadRow(1, 0, "no event_ns")]


def test_a_null_sequence_orders_as_zero() -> None:
    scene = Scene()
    decoded = scene.decode((b"A", scene.record(1, n=None), 0), (b"A", scene.record(1, n=-3), 1))
    assert decoded.batch is not None
    assert decoded.batch.sequence.tolist() == [0, -3]


def test_a_null_key_or_value_is_a_dead_message() -> None:
    scene = Scene()
    decoded = scene.decode((None, scene.record(1), 0), (b"A", None, 1), (b"A", b"", 2))
    assert decoded.batch is None
    assert [(dead.message, dead.index) for dead in decoded.dead] == [(0, -1), (1, -1), (2, -1)]
    assert [dead.reason for dead in decoded.dead[:2]] == ["null key", "null value"]


def test_progress_records_come_with_their_offsets_and_need_no_key() -> None:
    scene = Scene()
    progress = Progress("quote", 77, final=True, run="r1")
    value = encode_progress(scene.registry, progress)
    decoded = scene.decode((b"A", scene.record(1), 0), (None, value, 1), (b"A", scene.record(2), 2))
    assert decoded.progress == [(1, progress)]
    assert times(decoded) == [1, 2]
    assert decoded.dead == []


def test_a_broken_progress_record_is_dead() -> None:
    scene = Scene()
    value = encode_progress(scene.registry, Progress("quote", 77, final=True, run="r1"))
    decoded = scene.decode((None, value + b"\0", 0))
    assert decoded.progress == []
    assert decoded.dead == [DeadRow(0, -1, "bytes follow the last row")]


def test_an_unknown_schema_is_dead_and_read_once_it_is_known() -> None:
    scene = Scene()
    value = message_header(1) + scene.record(1)[5:]
    stranger = Decoder(STREAM, "event", late := DictRegistry())
    assert stranger.decode(block_of([(b"A", value, 0)]), np.arange(1)).batch is None
    late.register("quotes-value", avro_schema(STREAM))
    assert stranger.decode(block_of([(b"A", value, 0)]), np.arange(1)).dead == []


def test_a_registry_that_is_away_loses_nothing() -> None:
    scene = Scene()
    message = (b"A", scene.record(1), 0)
    scene.registry.away = True
    with pytest.raises(RegistryUnavailableError):
        scene.decode(message)
    scene.registry.away = False
    assert times(scene.decode(message)) == [1]
    scene.registry.away = True
    assert times(scene.decode(message)) == [1]


def test_a_known_schema_is_looked_up_once() -> None:
    scene = Scene()
    for _ in range(3):
        scene.decode((b"A", scene.record(1), 0))
    assert scene.registry.asked == 1


def test_a_schema_that_does_not_fit_names_the_field() -> None:
    scene = Scene()
    other = Stream(name="quote", schema=pa.schema([("event_ns", pa.int64()), ("symbol", pa.int64())]))
    schema_id = scene.registry.register("quotes-value", avro_schema(other))
    decoded = scene.decode((b"A", message_header(schema_id) + b"\0\0\0\0", 0))
    assert "field symbol is written as int64" in decoded.dead[0].reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "the row count of an array block cannot be read"),
        (b"\x02", "an array block promises more rows than the message can hold"),
        (b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", "an array block promises more rows"),
        (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02", "an array block does not end where its size says"),
        (b"\x02\x04\x00\x00\x00", "row 0, field event_ns: no such branch in the union"),
        (b"\x02\x00\x00\x02\x01\x00", "row 0, field symbol: a negative length"),
        (b"\x02\x00\x00\x02\x02\xff\x00\x00", "row 0, field symbol: text that is not UTF-8"),
        (b"\x02\x00\x00\x02\x40\x00\x00\x00", "row 0, field symbol: the message ends inside a value"),
        (b"\x02\x00\x00\x02" + b"\x80" * 9 + b"\x01\x00\x00", "row 0, field symbol: the message ends inside"),
        (b"\x02" + b"\x02" + b"\xff" * 11 + b"\0\0\0", "row 0, field event_ns: a variable-length integer"),
        (b"\x00\x00", "bytes follow the last row"),
        (b"\x01\x0a\x00\x00\x00\x00\x00\x00", "an array block does not end where its size says"),
    ],
)
def test_a_broken_block_says_where_it_breaks(body: bytes, reason: str) -> None:
    scene = Scene()
    header = message_header(scene.registry.register("quotes-value-block", block_schema(STREAM)))
    decoded = scene.decode((b"A", header + body, 0), (b"A", scene.block(2), 1))
    assert times(decoded) == [2]
    assert [(dead.message, dead.index) for dead in decoded.dead] == [(0, -1)]
    assert decoded.dead[0].reason.startswith(reason)


def test_a_block_in_several_array_blocks_with_and_without_sizes_is_one_block() -> None:
    scene = Scene()
    row = scene.record(1)[5:]
    header = message_header(scene.registry.register("quotes-value-block", block_schema(STREAM)))
    sized = b"\x05" + bytes([2 * 3 * len(row)]) + 3 * row
    decoded = scene.decode((b"A", header + b"\x02" + row + sized + b"\x04" + 2 * row + b"\0", 0))
    assert decoded.dead == []
    assert decoded.batch is not None
    assert decoded.batch.index.tolist() == [0, 1, 2, 3, 4, 5]


def test_rows_that_take_no_bytes_are_refused_whatever_their_number() -> None:
    """Of such a block a few bytes could promise any number of rows."""
    scene = Scene()
    empty = '{"type": "array", "items": {"type": "record", "name": "quote", "fields": []}}'
    header = message_header(scene.registry.register("quotes-value-block", empty))
    decoded = scene.decode((b"A", header + b"\xfe\xff\xff\xff\x0f\x00", 0), (b"A", scene.block(2), 1))
    assert times(decoded) == [2]
    assert [(dead.message, dead.index) for dead in decoded.dead] == [(0, -1)]
    assert "event_ns" in decoded.dead[0].reason


def test_a_block_that_stays_below_the_limit_piece_by_piece_is_dead_as_a_whole() -> None:
    scene = Scene(limits=DecodeLimits(rows_max=4))
    row = scene.record(1)[5:]
    header = message_header(scene.registry.register("quotes-value-block", block_schema(STREAM)))
    decoded = scene.decode((b"A", header + 3 * (b"\x04" + 2 * row) + b"\0", 0))
    assert decoded.dead == [DeadRow(0, -1, "more rows than rows_max")]


def test_more_rows_than_the_limit_are_a_dead_message() -> None:
    scene = Scene(limits=DecodeLimits(rows_max=2))
    decoded = scene.decode((b"A", scene.block(1, 2, 3), 0), (b"A", scene.block(4, 5), 1))
    assert times(decoded) == [4, 5]
    assert decoded.dead == [DeadRow(0, -1, "more rows than rows_max")]


def test_a_message_larger_than_the_limit_is_dead() -> None:
    scene = Scene(limits=DecodeLimits(message_size_max=10))
    assert scene.decode((b"A", scene.record(1), 0)).dead[0].reason == "larger than message_size_max"


def test_an_empty_block_has_no_rows_and_is_not_dead() -> None:
    scene = Scene()
    assert scene.decode((b"A", scene.block(), 0)) == Decoded(None, [], [])


def test_no_messages_decode_to_nothing() -> None:
    assert Scene().decode() == Decoded(None, [], [])


def test_programs_of_schemas_are_kept_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "PROGRAMS_MAX", 2)
    scene = Scene()
    for number in range(6):
        wider = Stream(name="quote", schema=STREAM.schema.append(pa.field(f"more_{number}", pa.int64())))
        encoder = RowEncoder(wider, scene.registry, f"quotes-{number}")
        rows = pa.RecordBatch.from_pylist(
            [{"event_ns": number, "known_ns": 5, "symbol": "A", "n": 0}], wider.schema
        )
        value = encoder.records(rows).data.tobytes()
        for _ in range(2):
            batch = scene.decoder.decode(block_of([(b"A", value, 0)]), np.arange(1)).batch
            assert batch is not None
            assert batch.time_ns.tolist() == [number]
    assert len(scene.decoder._values._programs) <= 3  # type: ignore[attr-defined]  # noqa: SLF001
