"""Whatever a header holds: it is read as Confluent's own reader reads it, and never beyond its end."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
from confluent_kafka.schema_registry.common.serde import SchemaId

from schemas.batch import Int64s
from tests.stage.blocks import block_of
from tests.stage.guarded import guarded_page
from topics.block import NO_HEADER, HeaderValues
from topics.protobuf.framing import parse_indexes
from topics.schema_header import CONFLUENT, read_schema_headers

CASES = 6_000
BYTES = (0, 0, 0, 1, 1, 2, 4, 127, 128, 255)


class AtTheEdge:
    """Originals of one message, whose header ends where memory does."""

    def __init__(self, address: int, size: int) -> None:
        self._values = HeaderValues(np.array([address]), np.array([size]))

    def header_values(self, messages: Int64s, name: str) -> HeaderValues:
        if name == CONFLUENT and messages.size:
            return self._values
        return HeaderValues(np.zeros(messages.size, np.int64), np.full(messages.size, NO_HEADER))


def drawn(draw: np.random.Generator) -> bytes:
    """A header as it might be, or cut, or with bytes behind it."""
    size = int(draw.choice([0, 1, 4, 5, 5, 6, 7, 16, 17, 17, 18, 19, 30]))
    first = bytes(draw.choice([0, 1, 1, 2, 255], 1).astype(np.uint8))
    return (first + bytes(draw.choice(BYTES, 40).astype(np.uint8)))[:size]


def expected(value: bytes, form: str) -> Any:
    """What Confluent's reader makes of a header: the schema, the indexes, and how many bytes are left."""
    schema, data = SchemaId(form), io.BytesIO(value)
    try:
        schema.from_bytes(data)
    except Exception:  # of any kind: those of struct and io, ValueError, its own
        return None
    name = schema.id if schema.guid is None else str(schema.guid)
    return name, schema.message_indexes, len(value) - data.tell()


def test_a_header_is_read_as_confluents_own_reader_reads_it() -> None:
    draw = np.random.default_rng(20)
    block = block_of([(b"K", b"v", 0)])
    good = 0
    with guarded_page() as page:
        for _ in range(CASES):
            value = drawn(draw)
            originals: Any = AtTheEdge(int(page.at_the_edge(value)[0]), len(value))
            read = read_schema_headers(replace(block, originals=originals), np.arange(1))
            avro = expected(value, "AVRO")
            if avro is None:
                assert read.read == {}, value
                assert read.bad[0].startswith(f"its header {CONFLUENT} names no schema: "), value
                continue
            rest = read.read[0].rest
            assert rest is not None
            assert (read.read[0].name, len(rest)) == (avro[0], avro[2]), value
            indexes, protobuf = parse_indexes(rest), expected(value, "PROTOBUF")
            if protobuf is None or protobuf[2] > 0 or min(protobuf[1]) < 0 or len(protobuf[1]) > 64:
                assert indexes is None, value
            elif indexes is not None:  # numbers of more than 64 bits are none here
                assert list(indexes) == protobuf[1], value
                good += 1
    assert good > 50
