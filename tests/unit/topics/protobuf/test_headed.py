"""Bare Protobuf messages whose header names their type: each is read by it, or says why it cannot be."""

from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pytest

from tests.stage.blocks import Headed, headed_block
from tests.stage.fakes import guid_of_text
from tests.stage.protobuf_types import message_of, proto_file
from topics.block import Headers
from topics.protobuf.decode import ProtobufValues
from topics.protobuf.framing import message_prefix, parse_indexes
from topics.protobuf.message_type import message_type_of_files
from topics.protobuf.types import RegistryTypes
from topics.schema_header import APICURIO, CONFLUENT, MISSING
from topics.values import DecodeLimits, FieldPath, Values
from topics.wire import IncompatibleSchemaError, OtherFormatError, UnknownSchemaError

SUBJECT = "quotes-value"
COLUMNS = [
    FieldPath(pa.field("symbol", pa.string(), nullable=False), ("symbol",)),
    FieldPath(pa.field("n", pa.int64()), ("n",)),
]
FIELDS = [("symbol", 1, "string"), ("n", 2, "int64")]
QUOTE = proto_file(("Quote", FIELDS))
TWO = proto_file(("Other", [("n", 2, "string")]), ("Quote", [("n", 7, "int32"), ("symbol", 9, "string")]))
UNKNOWN = guid_of_text("nobody's")


class Registry:
    """A `ProtobufRegistry` and `GuidRegistry` of files in a list; None is a schema of another format."""

    def __init__(self, *files: Any) -> None:
        self.files: list[Any] = list(files)
        self.own: set[int] = set()

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        if not 1 <= schema_id <= len(self.files):
            raise UnknownSchemaError("no such schema")
        file = self.files[schema_id - 1]
        if file is None:
            raise OtherFormatError(f"schema id {schema_id} is an Avro schema")
        return [file.SerializeToString()]

    def latest_protobuf(self, subject: str) -> int | None:
        return max(self.own, default=None)

    def ids(self, subject: str) -> frozenset[int]:
        return frozenset(self.own if subject == SUBJECT else ())

    def guids(self, subject: str) -> frozenset[str]:
        return frozenset(guid_of_text(str(schema_id)) for schema_id in self.ids(subject))

    def schema_of_guid(self, guid: str) -> str:
        raise OtherFormatError(f"schema GUID {guid} is a Protobuf schema")

    def protobuf_files_of_guid(self, guid: str) -> list[bytes]:
        for schema_id in range(1, len(self.files) + 1):
            if guid_of_text(str(schema_id)) == guid:
                return self.protobuf_files(schema_id)
        raise UnknownSchemaError("no such schema")


class OnlyIds:
    """The same registry without GUIDs."""

    def __init__(self, registry: Registry) -> None:
        self.protobuf_files = registry.protobuf_files
        self.latest_protobuf = registry.latest_protobuf
        self.ids = registry.ids


class Scene:
    """A registry and a decoder of a stream."""

    def __init__(self, *files: Any, guids: bool = True) -> None:
        self.registry = Registry(*(files or (QUOTE, TWO)))
        self.decoder = ProtobufValues(
            RegistryTypes(self.registry if guids else OnlyIds(self.registry)),
            COLUMNS,
            DecodeLimits(message_size_max=1_000),
            stream="quote",
            subjects=(SUBJECT,),
            headed=True,
        )

    def message(self, schema_id: int, *indexes: int, **values: Any) -> bytes:
        files = [self.registry.files[schema_id - 1].SerializeToString()]
        return message_of(message_type_of_files(files, indexes or (0,)), **values)

    def read(self, *messages: Headed) -> Values:
        return self.decoder.read(headed_block(*messages), np.arange(len(messages)))


def by_guid(guid: str, indexes: bytes = b"\0") -> Headers:
    return [(CONFLUENT, b"\1" + UUID(guid).bytes + indexes)]


def by_number(schema_id: int, indexes: bytes = b"\0") -> Headers:
    return by_guid(guid_of_text(str(schema_id)), indexes)


def by_id(schema_id: int, *indexes: int) -> Headers:
    return [(CONFLUENT, message_prefix(schema_id, indexes or (0,)))]


def apicurio(schema_id: int) -> Headers:
    return [(APICURIO[1], schema_id.to_bytes(8, "big"))]


def rows(values: Values) -> list[tuple[Any, ...]]:
    assert values.columns is not None
    values.columns.validate(full=True)
    return list(zip(*[column.to_pylist() for column in values.columns], strict=True))


def test_each_message_is_read_by_the_type_that_its_header_names() -> None:
    scene = Scene()
    values = scene.read(
        (scene.message(1, symbol="A", n=1), by_number(1)),
        (scene.message(2, 1, symbol="B", n=2), by_number(2, b"\x02\x02")),
        (scene.message(1, symbol="C", n=3), by_id(1)),
        (scene.message(2, 1, symbol="D", n=4), by_id(2, 1)),
        (scene.message(1, symbol="E", n=5), apicurio(1)),
        (scene.message(1, symbol="F", n=6), by_number(1, b"\x02\x00")),
        (b"", by_number(1)),
    )
    assert rows(values) == [("A", 1), ("B", 2), ("C", 3), ("D", 4), ("E", 5), ("F", 6), ("", 0)]
    assert values.dead == []
    assert values.message.tolist() == list(range(7))


def test_what_cannot_be_read_is_dead_and_the_others_live() -> None:
    scene = Scene(QUOTE, TWO, None)
    good = scene.message(1, symbol="A", n=1)
    values = scene.read(
        (good, []),
        (good, by_number(1)),
        (good, by_guid(UNKNOWN)),
        (good, by_id(99)),
        (good, by_id(3)),
        (good, by_number(1, b"")),
        (good, by_number(1, b"\x04\x02")),
        (good, by_number(1, b"\0\0")),
        (good, by_number(1, b"\x02\x02")),
        (good, apicurio(2)),
        (good, [(CONFLUENT, b"")]),
        (None, by_number(1)),
        (bytes(1_001), by_number(1)),
        (good[:-1], by_number(1)),
        (good, by_number(1)),
    )
    assert rows(values) == [("A", 1)] * 2
    indexes = "the indexes of its message type, in the schema's header, cannot be read"
    guid = guid_of_text("1")
    assert {dead.message: dead.reason for dead in values.dead} == {
        0: MISSING,
        2: f"schema GUID {UNKNOWN}: no such schema",
        3: "schema id 99: no such schema",
        4: "schema id 3 is an Avro schema",
        5: indexes,
        6: indexes,
        7: indexes,
        8: f"schema GUID {guid}: the schema has no message type at the indexes [1]",
        9: "schema id 2: the schema has 2 message types, and the message does not say which it is of",
        10: f"its header {CONFLUENT} names no schema: it is empty",
        11: "the message is null",
        12: "larger than message_size_max",
        13: "field n, byte 3: the message ends inside it, or what encloses it does",
    }


def test_a_schema_of_its_own_that_cannot_be_read_stops_the_stream() -> None:
    scene = Scene(QUOTE, proto_file(("Quote", [("n", 1, "string")])))
    good = scene.message(1, symbol="A")
    (dead,) = scene.read((b"", by_number(2)), (good, by_number(1))).dead
    assert dead.reason.startswith(f"schema GUID {guid_of_text('2')}: field n of p.Quote is string")
    scene = Scene(*scene.registry.files)
    scene.registry.own = {1, 2}
    for _ in range(2):
        with pytest.raises(IncompatibleSchemaError) as stopped:
            scene.read((good, by_number(1)), (b"", by_number(2)))
        for word in ("stream quote", f"schema GUID {guid_of_text('2')}", SUBJECT, "field n", "incompatible"):
            assert word in str(stopped.value)


def test_a_registry_without_guids_says_so() -> None:
    scene = Scene(guids=False)
    scene.registry.own = {1}
    good = scene.message(1, symbol="A")
    values = scene.read((good, by_number(1)), (good, by_id(1)))
    assert rows(values) == [("A", 0)]
    (dead,) = values.dead
    assert dead.reason == f"schema GUID {guid_of_text('1')}: the schema registry of this process has no GUIDs"


def test_with_a_prefix_expected_a_message_with_a_header_says_what_to_do() -> None:
    scene = Scene()
    prefixed = ProtobufValues(RegistryTypes(scene.registry), COLUMNS)
    good, header = scene.message(1, symbol="A", n=1), by_number(1)
    values = prefixed.read(
        headed_block(
            (good, header),
            (good, []),
            (b"\x08", header),
            (message_prefix(9) + good, header),
            (message_prefix(9) + good, []),
            (message_prefix(1) + good, header),
            (None, header),
        ),
        np.arange(7),
    )
    assert rows(values) == [("A", 1)]
    hint = f'; its header {CONFLUENT} names a schema: say framing = "header"'
    assert {dead.message: dead.reason for dead in values.dead} == {
        0: "does not begin with the byte 0 of the Confluent wire format" + hint,
        1: "does not begin with the byte 0 of the Confluent wire format",
        2: "shorter than the 5 bytes that name its schema" + hint,
        3: "schema id 9: no such schema" + hint,
        4: "schema id 9: no such schema",
        6: "the message is null",
    }


@pytest.mark.parametrize("indexes", [(0,), (1,), (0, 0), (5, 300, 2**31), tuple(range(64))])
def test_indexes_are_read_as_they_are_written(indexes: tuple[int, ...]) -> None:
    data = message_prefix(1, indexes)[5:]
    assert parse_indexes(data) == indexes
    assert parse_indexes(data + b"\0") is None
    for size in range(len(data)):
        assert parse_indexes(data[:size]) is None


def test_programs_of_corrupt_headers_do_not_pile_up() -> None:
    scene = Scene()
    for start in range(1, 10_000, 1_000):
        scene.read(*[(b"", by_id(1, index)) for index in range(start, start + 1_000)])
    assert len(scene.decoder._programs) <= 6_000  # noqa: SLF001
