"""Messages that name their schema: the type of each id is read by the names of the columns' paths."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.stage.blocks import block_of
from tests.stage.guarded import guarded_page
from tests.stage.protobuf_cases import varint
from tests.stage.protobuf_types import add_fields, message_of, proto_file
from topics.protobuf.decode import ProtobufValues
from topics.protobuf.framing import message_prefix, parse_prefix
from topics.protobuf.message_type import MessageType, message_type_of_files
from topics.protobuf.types import RegistryTypes
from topics.values import DecodeLimits, FieldPath, Values
from topics.wire import (
    IncompatibleSchemaError,
    OtherFormatError,
    RegistryUnavailableError,
    UnknownSchemaError,
)

SUBJECT = "quotes-value"
COLUMNS = [
    FieldPath(pa.field("symbol", pa.string(), nullable=False), ("symbol",)),
    FieldPath(pa.field("n", pa.int64()), ("n",)),
]
QUOTE = proto_file(("Quote", [("symbol", 1, "string"), ("n", 2, "int64")]))


class Registry:
    """A `ProtobufRegistry` in a list, which may be told to be away; `asked` counts look-ups by id."""

    def __init__(self, *files: Any) -> None:
        self.files: list[Any] = list(files)
        self.own: set[int] = set()
        self.away = False
        self.asked = 0

    def protobuf_files(self, schema_id: int) -> list[bytes]:
        self.asked += 1
        if self.away:
            raise RegistryUnavailableError("the registry is away")
        if not 1 <= schema_id <= len(self.files):
            raise UnknownSchemaError("no such id")
        file = self.files[schema_id - 1]
        if file is None:
            raise OtherFormatError(f"schema id {schema_id} is an Avro schema")
        return [file.SerializeToString()]

    def latest_protobuf(self, subject: str) -> int | None:
        return max(self.own, default=None)

    def ids(self, subject: str) -> frozenset[int]:
        return frozenset(self.own if subject == SUBJECT else ())


class Scene:
    """A registry and a decoder of a stream of its messages."""

    def __init__(self, *files: Any, subjects: tuple[str, ...] = (SUBJECT,), columns: Any = COLUMNS) -> None:
        self.registry = Registry(*(files or (QUOTE,)))
        self.decoder = ProtobufValues(
            RegistryTypes(self.registry),
            columns,
            DecodeLimits(message_size_max=1_000),
            stream="quote",
            subjects=subjects,
        )

    def type(self, schema_id: int, *indexes: int) -> MessageType:
        return message_type_of_files(
            [self.registry.files[schema_id - 1].SerializeToString()], indexes or (0,)
        )

    def message(self, schema_id: int, *indexes: int, **values: Any) -> bytes:
        body = message_of(self.type(schema_id, *indexes), **values)
        return message_prefix(schema_id, indexes or (0,)) + body

    def read(self, *messages: bytes | None) -> Values:
        block = block_of([(b"K", message, offset) for offset, message in enumerate(messages)])
        return self.decoder.read(block, np.arange(len(messages)))


def rows(values: Values) -> list[tuple[Any, ...]]:
    assert values.columns is not None
    values.columns.validate(full=True)
    return list(zip(*[column.to_pylist() for column in values.columns], strict=True))


def reasons(values: Values) -> list[str]:
    return [row.reason for row in values.dead]


def test_each_message_is_read_by_the_type_that_it_names() -> None:
    other = proto_file(("Quote", [("n", 1, "int32"), ("extra", 2, "string"), ("symbol", 9, "string")]))
    scene = Scene(QUOTE, other)
    values = scene.read(
        scene.message(1, symbol="A", n=1),
        scene.message(2, symbol="B", n=-2, extra="x"),
        scene.message(1, symbol="C"),
    )
    assert rows(values) == [("A", 1), ("B", -2), ("C", 0)]
    assert scene.registry.asked == 2
    assert values.message.tolist() == [0, 1, 2]


def test_indexes_lead_to_inner_types_in_any_of_their_forms() -> None:
    file = proto_file(("Other", []), ("Outer", []))
    add_fields(
        file.message_type[1].nested_type.add(name="Quote"), [("symbol", 7, "string"), ("n", 8, "?int64")]
    )
    scene = Scene(file)
    good = scene.message(1, 1, 0, symbol="A", n=3)
    assert good[5:8] == b"\x04\x02\x00"
    longer = good[:5] + b"\x84\x00\x82\x00\x80\x00" + good[8:]
    assert rows(scene.read(good, longer)) == [("A", 3), ("A", 3)]


def test_the_first_type_has_a_short_form_and_a_long_one() -> None:
    scene = Scene()
    good = scene.message(1, symbol="A", n=3)
    assert good[:6] == b"\0\0\0\0\1\0"
    assert rows(scene.read(good, good[:5] + b"\x02\x00" + good[6:])) == [("A", 3), ("A", 3)]


def test_a_prefix_is_written_as_it_is_read() -> None:
    for indexes in [(0,), (1,), (0, 0), (3, 200, 70_000)]:
        assert parse_prefix(message_prefix(2**31, indexes)) == (2**31, indexes)


def test_an_empty_message_behind_its_header_is_a_row() -> None:
    assert rows(Scene().read(message_prefix(1))) == [("", 0)]


def test_a_field_that_a_type_lacks_is_null_or_zero() -> None:
    scene = Scene(proto_file(("Quote", [("x", 1, "string")])))
    assert rows(scene.read(scene.message(1, x="a"))) == [("", None)]


def test_a_column_that_must_not_be_null_has_zero_for_what_is_absent() -> None:
    columns = [FieldPath(pa.field("side", pa.string(), nullable=False), ("side",))]
    scene = Scene(proto_file(("Quote", [("side", 1, "?Side")])), columns=columns)
    assert rows(scene.read(message_prefix(1))) == [("NONE",)]


def test_what_names_no_schema_is_dead() -> None:
    good = Scene().message(1, symbol="A")
    values = Scene().read(None, b"", b"\0\0\0\0", b"\1" + good[1:], good + bytes(2_000), good)
    assert reasons(values) == [
        "the message is null",
        "shorter than the 5 bytes that name its schema",
        "shorter than the 5 bytes that name its schema",
        "does not begin with the byte 0 of the Confluent wire format",
        "larger than message_size_max",
    ]
    assert values.message.tolist() == [5]


@pytest.mark.parametrize("indexes", [b"", b"\x80", b"\x02", b"\x04\x02", b"\x01", b"\x02\x01", varint(130)])
def test_indexes_that_cannot_be_read_are_dead(indexes: bytes) -> None:
    (reason,) = reasons(Scene().read(b"\0\0\0\0\1" + indexes))
    assert reason == "the indexes of its message type, from byte 5 on, cannot be read"


@pytest.mark.parametrize("indexes", [(1,), (0, 0), (63,)])
def test_indexes_of_no_type_are_no_fault_of_the_schema(
    indexes: tuple[int, ...],
) -> None:
    scene = Scene()
    scene.registry.own = {1}
    values = scene.read(message_prefix(1, indexes), scene.message(1, symbol="A"))
    assert rows(values) == [("A", 0)]
    (reason,) = reasons(values)
    assert reason == f"schema id 1: the schema has no message type at the indexes {list(indexes)}"


def test_an_unknown_id_is_dead_and_is_asked_for_again() -> None:
    scene = Scene()
    message = message_prefix(2)
    assert reasons(scene.read(message, message)) == ["schema id 2: no such id"] * 2
    scene.registry.files.append(QUOTE)
    assert rows(scene.read(message)) == [("", 0)]


def test_nothing_is_lost_while_the_registry_is_away() -> None:
    scene = Scene()
    scene.registry.away = True
    with pytest.raises(RegistryUnavailableError):
        scene.read(scene.message(1))
    scene.registry.away = False
    assert rows(scene.read(scene.message(1))) == [("", 0)]


def test_a_schema_of_its_own_that_cannot_be_read_stops_the_stream() -> None:
    scene = Scene(QUOTE, proto_file(("Quote", [("n", 1, "string")])))
    scene.registry.own = {1, 2}
    for _ in range(2):
        with pytest.raises(IncompatibleSchemaError) as stopped:
            scene.read(scene.message(1), message_prefix(2))
        for word in ("stream quote", "schema id 2", SUBJECT, "field n", "string", "incompatible"):
            assert word in str(stopped.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("string", "field n of p.Quote is string, column n is int64"),
        ("uint64", "field n of p.Quote is uint64"),
        ("*int64", "field n is repeated"),
        (".p.Quote", "field n is a message"),
    ],
)
def test_a_strangers_schema_that_cannot_be_read_has_dead_messages(kind: str, words: str) -> None:
    scene = Scene(QUOTE, proto_file(("Quote", [("n", 1, kind)])))
    scene.registry.own = {1}
    values = scene.read(message_prefix(2), scene.message(1, symbol="A"))
    assert rows(values) == [("A", 0)]
    (reason,) = reasons(values)
    assert reason.startswith(f"schema id 2: {words}")
    scene.read(message_prefix(2))
    assert scene.registry.asked == 2


def test_a_schema_of_another_format_says_so() -> None:
    scene = Scene(QUOTE, None)
    assert reasons(scene.read(message_prefix(2))) == ["schema id 2 is an Avro schema"]


@pytest.mark.parametrize("kind", ["int32", "uint32", "sfixed32", "fixed32", "sint64"])
def test_narrower_numbers_widen(kind: str) -> None:
    scene = Scene(proto_file(("Quote", [("n", 1, kind)])))
    assert rows(scene.read(scene.message(1, n=2**31 - 1))) == [("", 2**31 - 1)]


def test_places_of_faults_count_from_the_message_behind_its_header() -> None:
    assert reasons(Scene().read(message_prefix(1) + b"\x10\x01\x0a\x01\xff")) == [
        "field symbol, byte 2: text that is not UTF-8"
    ]


def test_no_header_is_read_beyond_its_end() -> None:
    scene = Scene()
    whole = scene.message(1, 0, symbol="A")[:5] + b"\x04\x02\x02"
    with guarded_page() as page:
        for size in range(len(whole) + 1):
            block = block_of([(b"K", whole[:size], 0)])
            block.value[:] = page.at_the_edge(whole[:size])
            assert len(scene.decoder.read(block, np.arange(1)).dead) == 1


def test_programs_of_corrupt_headers_do_not_pile_up() -> None:
    scene = Scene()
    for start in range(1, 10_000, 1_000):
        scene.read(*[message_prefix(1, (index,)) for index in range(start, start + 1_000)])
    assert len(scene.decoder._programs) <= 6_000  # noqa: SLF001
    assert scene.registry.asked == 1
