"""Clocks that are Avro's timestamps become int64 nanoseconds, as those of files do at import."""

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.oracles.avro_writer import varint
from tests.stage.blocks import block_of
from tests.stage.fakes import DictRegistry
from topics.avro.decode import Decoder
from topics.avro.header import message_header
from topics.avro.schema import stream_schema
from topics.wire import CodecError, Decoded

UNITS = {"timestamp-millis": 10**6, "timestamp-micros": 10**3, "timestamp-nanos": 1}
NANOS = "long"


def schema(kind: Any, *more: dict[str, Any]) -> str:
    fields = [{"name": "event_ns", "type": kind}, {"name": "symbol", "type": "string"}, *more]
    return json.dumps({"type": "record", "name": "Row", "fields": fields})


def stamp(logical: str) -> dict[str, str]:
    return {"type": "long", "logicalType": logical}


def decode(reader: str, writer: str, *bodies: bytes) -> Decoded:
    registry = DictRegistry()
    header = message_header(registry.register("s", writer))
    block = block_of([(b"K", header + body, offset) for offset, body in enumerate(bodies)])
    return Decoder(stream_schema(reader, name="row"), "event", registry).decode(block, np.arange(len(bodies)))


@pytest.mark.parametrize("logical", UNITS)
def test_a_clock_of_any_unit_is_nanoseconds(logical: str) -> None:
    own = schema(stamp(logical))
    assert stream_schema(own, name="row").schema.field("event_ns").type == pa.int64()
    body = varint(1_705_329_000_123) + varint(1) + b"A"
    for reader in (own, schema(NANOS)):
        decoded = decode(reader, own, body)
        assert decoded.batch is not None
        assert decoded.batch.time_ns.tolist() == [1_705_329_000_123 * UNITS[logical]]


LOCAL = [*(stamp(f"local-{logical}") for logical in UNITS), {"type": "long", "arrowType": "timestamp[s]"}]


@pytest.mark.parametrize("written", LOCAL)
@pytest.mark.parametrize("nullable", [False, True])
def test_a_clock_of_local_time_is_refused_since_its_zone_is_not_known(
    written: dict[str, str], nullable: bool
) -> None:
    """As the stream's own schema, as a writer's, and of either clock: hours of error would be look-ahead."""
    kind = ["null", written] if nullable else written
    words = r"field event_ns is written as timestamp\[\w+\], a local time .* write it in UTC"
    with pytest.raises(CodecError, match=words):
        stream_schema(schema(kind), name="row")
    with pytest.raises(CodecError, match="cannot be the clock known_ns"):
        stream_schema(schema(NANOS, {"name": "known_ns", "type": kind}), name="row")
    decoded = decode(schema(["null", NANOS]), schema(kind), varint(1) + varint(1) + varint(1) + b"A")
    assert decoded.batch is None
    assert re.search(words, decoded.dead[0].reason)


def test_a_clock_by_path_is_no_local_time_either() -> None:
    local = {"name": "ns", "type": stamp("local-timestamp-micros")}
    inner = {"type": "record", "name": "In", "fields": [local]}
    row = {"type": "record", "name": "Row", "fields": [{"name": "event", "type": inner}]}
    with pytest.raises(CodecError, match=r"field event\.ns is .* cannot be the clock event_ns"):
        stream_schema(json.dumps(row), name="row", key=(), columns=["event.ns"])


@pytest.mark.parametrize("extra", [b"", varint(0)])
@pytest.mark.parametrize("logical", ["timestamp-millis", "timestamp-micros"])
def test_a_time_beyond_int64_nanoseconds_is_a_bad_row(logical: str, extra: bytes) -> None:
    """In a flat record and in one that is not."""
    arrays = [{"name": "all", "type": {"type": "array", "items": "int"}}] if extra else []
    writer = schema(["null", stamp(logical)], *arrays)
    highest, lowest = (2**63 - 1) // UNITS[logical], -(2**63 // UNITS[logical])
    bodies = [
        varint(1) + varint(ticks) + varint(1) + b"A" + extra
        for ticks in (highest, lowest, highest + 1, lowest - 1, 0)
    ]
    decoded = decode(schema(["null", "long"]), writer, *bodies)
    assert decoded.batch is not None
    factor = UNITS[logical]
    assert decoded.batch.time_ns.tolist() == [highest * factor, lowest * factor, 0]
    assert [(dead.message, dead.reason) for dead in decoded.dead] == [
        (number, "row 0, field event_ns: a number outside the range of its type") for number in (2, 3)
    ]


def test_a_column_that_is_no_clock_keeps_its_unit() -> None:
    stamped = {"name": "sent", "type": stamp("timestamp-micros")}
    stream = stream_schema(schema(NANOS, stamped), name="row")
    assert stream.schema.field("sent").type == pa.timestamp("us", tz="UTC")


@pytest.mark.parametrize("logical", UNITS)
@pytest.mark.parametrize("more", [{}, {"aliases": ["seen"]}])
def test_the_default_of_a_clock_is_nanoseconds_too(logical: str, more: dict[str, Any]) -> None:
    """A writer that lacks `known_ns` gives the reader's default, which is in the unit of its timestamp."""
    known = {"name": "known_ns", "type": stamp(logical), "default": 1_700_000_000, **more}
    decoded = decode(schema(NANOS, known), schema(NANOS), varint(1) + varint(1) + b"A")
    assert decoded.batch is not None
    assert decoded.batch.columns.column("known_ns").to_pylist() == [1_700_000_000 * UNITS[logical]]


def test_the_default_of_a_clock_by_path_is_nanoseconds_too() -> None:
    known = {"name": "ns", "type": stamp("timestamp-micros"), "default": 7}
    inner = {"type": "record", "name": "In", "fields": [known]}
    reader = schema(NANOS, {"name": "known", "type": inner})
    empty = {"type": "record", "name": "In", "fields": [{"name": "n", "type": "int"}]}
    registry = DictRegistry()
    header = message_header(registry.register("s", schema(NANOS, {"name": "known", "type": empty})))
    block = block_of([(b"K", header + varint(1) + varint(1) + b"A" + varint(5), 0)])
    stream = stream_schema(reader, name="row", columns=["known.ns"])
    decoded = Decoder(stream, "event", registry).decode(block, np.arange(1))
    assert decoded.batch is not None
    assert decoded.batch.columns.column("known_ns").to_pylist() == [7_000]


def test_a_default_of_a_clock_beyond_int64_nanoseconds_is_refused() -> None:
    known = {"name": "known_ns", "type": stamp("timestamp-micros"), "default": 2**62}
    decoded = decode(schema(NANOS, known), schema(NANOS), varint(1) + varint(1) + b"A")
    assert "column known_ns: default 4611686018427387904000 is no int64" in decoded.dead[0].reason
