"""Progress records are taken out before another format is read; what nobody knows is left to that format."""

import numpy as np
import pyarrow as pa

from schemas.stream import Stream
from tests.stage.blocks import block_of, headed_block
from tests.stage.fakes import DictRegistry
from topics.avro.decode import AvroValues
from topics.avro.header import message_header
from topics.avro.progress import encode_progress
from topics.block import Headers
from topics.foreign import ForeignDecoder
from topics.json.decode import JsonValues
from topics.schema_header import CONFLUENT
from topics.shape import Shape, Shaper
from topics.values import FieldPath
from topics.wire import DeadRow, Progress

EVENT = pa.field("event_ns", pa.int64())


def decoder_of(registry: DictRegistry, *, keyed: bool = True) -> ForeignDecoder:
    """What reads `{"event_ns": 1}`."""
    schema = pa.schema([EVENT, ("symbol", pa.string())])
    stream = Stream(name="s", schema=schema, key=("symbol",) if keyed else ())
    paths = [FieldPath(EVENT, ("event_ns",)), FieldPath(stream.schema.field("symbol"), ("symbol",))]
    return ForeignDecoder(JsonValues(paths), Shaper(stream, "event", Shape()), registry)


def test_progress_records_stand_among_the_rows() -> None:
    registry = DictRegistry()
    record = Progress("s", 5, True, "run")
    block = block_of(
        [
            (b"A", b'{"event_ns": 1}', 3),
            (None, encode_progress(registry, record), 4),
            (None, b'{"event_ns": 2}', 5),
            (None, encode_progress(registry, record)[:-1], 6),
            (None, b"\0\0\0\0\x63torn", 7),
            (b"A", b"\0\0\0\0\x63torn", 8),
        ]
    )
    decoded = decoder_of(registry).decode(block, np.arange(6))
    assert decoded.batch is not None
    assert decoded.batch.offset.tolist() == [3]
    assert decoded.progress == [(4, record)]
    dead = [(row.message, row.rule) for row in decoded.dead]
    assert dead == [(2, "null_key"), (3, ""), (4, "null_key"), (5, "")]
    unkeyed = decoder_of(registry, keyed=False).decode(block, np.arange(6))
    assert unkeyed.batch is not None
    assert unkeyed.batch.offset.tolist() == [3, 5]


def test_only_the_messages_asked_for_are_read() -> None:
    registry = DictRegistry()
    value = encode_progress(registry, Progress("s", 5, False, "run"))
    block = block_of([(None, value, 0), (b"A", b'{"event_ns": 1}', 1), (b"A", b"{", 2), (None, value, 3)])
    decoded = decoder_of(registry).decode(block, np.array([1, 3]))
    assert decoded.batch is not None
    assert decoded.batch.rows == 1
    assert [offset for offset, _ in decoded.progress] == [3]
    assert decoded.dead == []


def test_a_block_of_nothing_but_progress_has_no_rows() -> None:
    registry = DictRegistry()
    block = block_of([(None, encode_progress(registry, Progress("s", 5, False, "run")), 0)])
    decoded = decoder_of(registry).decode(block, np.arange(1))
    assert decoded.batch is None
    assert decoded.dead == list[DeadRow]()


def id_header(schema_id: int) -> Headers:
    """A header that names a schema by its id."""
    return [(CONFLUENT, message_header(schema_id))]


def test_a_row_whose_header_names_its_schema_is_never_taken_for_a_progress_record() -> None:
    """A bare value may begin with a 0: the registry would be asked for the id that seems to follow."""
    registry = DictRegistry()
    schema = '{"type": "record", "name": "R", "fields": [{"name": "event_ns", "type": "long"}]}'
    header = id_header(registry.register("s-value", schema))
    record = encode_progress(registry, Progress("s", 5, False, "run"))
    stream = Stream(name="s", schema=pa.schema([EVENT]), key=())
    values = AvroValues(stream.schema, registry, headed=True)
    bare = [(b"\0", header), (record, []), (b"\0\0\0\x07\x07", header), (record, header)]
    block = headed_block(*bare, key=None)
    decoder = ForeignDecoder(values, Shaper(stream, "event", Shape()), registry, headed=True)
    decoded = decoder.decode(block, np.arange(4))
    assert decoded.batch is not None
    assert decoded.batch.offset.tolist() == [0]
    assert [offset for offset, _ in decoded.progress] == [1]
    assert [(dead.message, dead.reason) for dead in decoded.dead] == [
        (2, "bytes follow the last row"),
        (3, "bytes follow the last row"),
    ]
    assert registry.asked == 3  # its own, and that of progress, which two readers look at


def test_a_message_with_a_key_is_a_row_whatever_its_bytes_look_like() -> None:
    registry = DictRegistry()
    value = encode_progress(registry, Progress("s", 5, False, "run"))
    block = block_of([(b"A", value, 0), (b"A", b"\0\0\0\0\x63row", 1)])
    asked = registry.asked
    decoded = decoder_of(registry).decode(block, np.arange(2))
    assert decoded.progress == []
    assert [row.reason for row in decoded.dead] == ["not JSON: a value expected at byte 0"] * 2
    assert registry.asked == asked
