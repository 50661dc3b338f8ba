"""What the decoder makes of messages of one type: rows, or dead ones with their reason."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from schemas.clocks import NS_PER_S
from tests.stage.blocks import block_of
from tests.stage.protobuf_cases import field_bytes, varint
from tests.stage.protobuf_types import message_of, proto_file, type_of
from topics.protobuf.columns import message_columns
from topics.protobuf.decode import ProtobufValues
from topics.protobuf.message_type import MessageType
from topics.values import DecodeLimits, FieldPath, Values
from topics.wire import CodecError, DeadRow

TIMESTAMP_TYPE = ".google.protobuf.Timestamp"
QUOTE = type_of(proto_file(("Quote", [("symbol", 1, "string"), ("bid", 2, "double"), ("n", 3, "int64")])))


def all_fields(message_type: MessageType) -> list[FieldPath]:
    leaves = message_columns(message_type).leaves
    return [FieldPath(pa.field(leaf.name, leaf.type, leaf.nullable), leaf.path) for leaf in leaves]


def read(
    message_type: MessageType,
    *messages: bytes | None,
    fields: list[FieldPath] | None = None,
    limits: DecodeLimits | None = None,
) -> Values:
    decoder = ProtobufValues(message_type, fields or all_fields(message_type), limits)
    block = block_of([(b"K", message, offset) for offset, message in enumerate(messages)])
    return decoder.read(block, np.arange(len(messages)))


def rows(values: Values) -> list[dict[str, Any]]:
    assert values.dead == []
    assert values.columns is not None
    values.columns.validate(full=True)
    bare = [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column for column in values.columns
    ]
    listed: list[dict[str, Any]] = pa.record_batch(bare, names=values.columns.schema.names).to_pylist()
    return listed


def fields_of(*fields: tuple[str, int, str], **file: Any) -> MessageType:
    return type_of(proto_file(("M", fields), ("Leg", [("n", 1, "int64"), ("tag", 2, "?string")]), **file))


def reason(message_type: MessageType, message: bytes) -> str:
    values = read(message_type, message)
    assert values.columns is None
    (dead,) = values.dead
    return dead.reason


def test_a_message_is_a_row() -> None:
    values = read(QUOTE, message_of(QUOTE, symbol="A", bid=1.5, n=-3), message_of(QUOTE, symbol="é"))
    assert rows(values) == [{"symbol": "A", "bid": 1.5, "n": -3}, {"symbol": "é", "bid": 0.0, "n": 0}]
    assert values.message.tolist() == [0, 1]
    assert values.rows_of.tolist() == [1, 1]
    assert values.index.tolist() == [0, 0]
    assert values.index.dtype == np.int32
    assert values.progress == ()


def test_the_schema_is_that_of_the_columns() -> None:
    decoder = ProtobufValues(QUOTE, all_fields(QUOTE))
    assert decoder.schema == pa.schema([field.column for field in all_fields(QUOTE)])


def test_an_empty_message_is_a_row_of_zeros() -> None:
    assert rows(read(QUOTE, b"")) == [{"symbol": "", "bid": 0.0, "n": 0}]


def test_only_the_messages_that_are_wanted_are_read() -> None:
    decoder = ProtobufValues(QUOTE, all_fields(QUOTE))
    block = block_of([(b"K", message_of(QUOTE, n=n), n) for n in range(4)])
    values = decoder.read(block, np.array([1, 3]))
    assert [row["n"] for row in rows(values)] == [1, 3]
    assert values.message.tolist() == [1, 3]
    assert decoder.read(block, np.array([], dtype=np.int64)).columns is None


def test_what_cannot_be_read_is_dead_and_its_neighbours_live() -> None:
    good = message_of(QUOTE, symbol="A")
    values = read(QUOTE, good, b"\x0a\x05A", None, good, b"x" * 99, limits=DecodeLimits(message_size_max=50))
    assert values.dead == [
        DeadRow(1, -1, "field symbol, byte 0: the message ends inside it, or what encloses it does"),
        DeadRow(2, -1, "the message is null"),
        DeadRow(4, -1, "larger than message_size_max"),
    ]
    assert values.columns is not None
    assert values.columns.column("symbol").to_pylist() == ["A", "A"]
    assert values.message.tolist() == [0, 1, 3]
    assert values.rows_of.tolist() == [1, 0, 1]


def test_a_row_keeps_nothing_of_a_dead_one_before_it() -> None:
    optional = fields_of(("a", 1, "?string"), ("b", 2, "?int64"))
    values = read(optional, message_of(optional, a="gone", b=9) + b"\x0a", b"")
    assert values.columns is not None
    assert values.columns.to_pylist() == [{"a": None, "b": None}]
    assert values.columns.column("b").buffers()[1].to_pybytes()[:8] == bytes(8)  # equal rows are equal bytes


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\x00\x01", "byte 0: a tag with the field number 0"),
        (b"\x18\x01\x0e", "field symbol, byte 2: a tag with a wire type that does not exist"),
        (b"\x0c", "field symbol, byte 0: the end of a group that was not begun"),
        (b"\x18", "field n, byte 0: the message ends inside it"),
        (
            b"\x18" + b"\x80" * 10 + b"\x01",
            "field n, byte 0: a variable-length integer of more",
        ),
        (b"\x80" * 5 + b"\x01", "byte 0: a tag of more than 32 bits"),
        (b"\x0a" + varint(2**31), "field symbol, byte 0: a length of more than 31 bits"),
        (b"\x0a\x01\xff", "field symbol, byte 0: text that is not UTF-8"),
        (b"\x11\x00", "field bid, byte 0: the message ends inside it"),
        (b"\x18\x01\x7a\x09", r"field 15 (not of this type), byte 2: the message ends inside it"),
        (b"\x7b\x0c\x7c", "field 15 (not of this type), byte 0: the end of a group that was not begun"),
        (b"\x7b" * 101 + b"\x7c" * 101, "messages and groups more than 100 deep"),
    ],
)
def test_a_dead_message_says_what_is_wrong_and_where(message: bytes, words: str) -> None:
    assert words in reason(QUOTE, message)


def test_a_fault_within_a_message_has_the_whole_path() -> None:
    outer = fields_of(("leg", 4, ".p.Leg"))
    assert reason(outer, field_bytes(4, 2, b"\x08\x01\x12\x01\xff")) == (
        "field leg.tag, byte 4: text that is not UTF-8"
    )
    assert reason(outer, field_bytes(4, 2, b"\x08\x01\x00")) == (
        "message leg, byte 4: a tag with the field number 0"
    )
    # What lies behind a message's end is not its own.
    assert "byte 2: the message ends inside it" in reason(outer, field_bytes(4, 2, b"\x08") + b"\x05\x00")


def test_the_last_value_of_a_field_wins_and_messages_merge() -> None:
    outer = fields_of(("leg", 4, ".p.Leg"), ("a", 1, "int64"))
    message = b"".join(
        [
            field_bytes(1, 0, 5),
            field_bytes(4, 2, field_bytes(1, 0, 7)),
            field_bytes(1, 0, 6),
            field_bytes(4, 2, field_bytes(2, 2, b"x")),
        ]
    )
    assert rows(read(outer, message)) == [{"a": 6, "leg.n": 7, "leg.tag": "x"}]


def test_a_message_that_is_absent_is_null_and_one_that_is_empty_holds_zeros() -> None:
    outer = fields_of(("leg", 4, ".p.Leg"))
    absent, empty = {"leg.n": None, "leg.tag": None}, {"leg.n": 0, "leg.tag": None}
    assert rows(read(outer, b"", field_bytes(4, 2, b""))) == [absent, empty]


def test_a_field_of_another_wire_type_is_unknown() -> None:
    packed = field_bytes(3, 2, varint(5))
    assert rows(read(QUOTE, field_bytes(1, 0, 9) + packed + field_bytes(2, 5, 1))) == [
        {"symbol": "", "bid": 0.0, "n": 0}
    ]


def test_unknown_fields_are_skipped_by_their_wire_type() -> None:
    group = varint(9 << 3 | 3) + field_bytes(1, 0, 4) + varint(8 << 3 | 3) + varint(8 << 3 | 4)
    unknown = [
        field_bytes(100, 0, 2**64 - 1),
        field_bytes(101, 1, 1),
        field_bytes(102, 2, b"\xff" * 300),
        field_bytes(103, 5, 1),
        group + varint(9 << 3 | 4),
    ]
    assert rows(read(QUOTE, b"".join([*unknown, field_bytes(3, 0, 8), *unknown])))[0]["n"] == 8


def test_a_whole_number_takes_the_low_bits_of_its_varint() -> None:
    numbers = fields_of(("i", 1, "int32"), ("u", 2, "uint32"), ("b", 3, "bool"), ("s", 4, "sint32"))
    minus = varint(-1)
    assert len(minus) == 10
    message = b"".join(varint(n << 3) + minus for n in (1, 2, 4)) + varint(24) + varint(2**40)
    assert rows(read(numbers, message)) == [{"i": -1, "u": 2**32 - 1, "b": True, "s": -(2**31)}]
    assert rows(read(numbers, field_bytes(1, 0, 2**33 + 5)))[0]["i"] == 5


def test_an_enum_is_its_first_name_or_its_digits() -> None:
    sides = (("NONE", 0), ("BUY", 1), ("FAR", 1_000_000), ("LOW", -5))
    side = fields_of(("side", 1, "Side"), ("other", 2, "?Side"), enum=sides)
    numbers = [0, 1, 1_000_000, -5, 77, -9]
    listed = rows(read(side, b"", *[field_bytes(1, 0, number) for number in numbers]))
    assert [row["side"] for row in listed] == ["NONE", "NONE", "BUY", "FAR", "LOW", "77", "-9"]
    assert {row["other"] for row in listed} == {None}


def test_names_of_one_number_are_its_first() -> None:
    file = proto_file(("M", [("side", 1, "Side")]), enum=(("NONE", 0), ("BUY", 1), ("B", 1)))
    file.enum_type[0].options.allow_alias = True
    assert rows(read(type_of(file), b"\x08\x01", b"\x08\x05", b"\x08\x02")) == [
        {"side": "BUY"},
        {"side": "5"},
        {"side": "2"},
    ]


def test_a_later_member_of_a_oneof_clears_the_earlier_ones() -> None:
    which = fields_of(
        ("a", 1, "|int64"), ("leg", 2, "|.p.Leg"), ("at", 3, f"|{TIMESTAMP_TYPE}"), ("c", 4, "|string")
    )
    a, leg = field_bytes(1, 0, 5), field_bytes(2, 2, field_bytes(1, 0, 7))
    at, c = field_bytes(3, 2, field_bytes(1, 0, 9)), field_bytes(4, 2, b"x")
    nothing = {"a": None, "leg.n": None, "leg.tag": None, "at": None, "c": None}
    listed = rows(read(which, a + leg, leg + a, leg + a + field_bytes(2, 2, b""), at + c, c + at))
    assert listed == [
        {**nothing, "leg.n": 7},
        {**nothing, "a": 5},
        {**nothing, "leg.n": 0},
        {**nothing, "c": "x"},
        {**nothing, "at": 9 * NS_PER_S},
    ]


def test_a_member_that_no_column_wants_clears_the_others_too() -> None:
    which = fields_of(("a", 1, "|int64"), ("b", 2, "|int64"), ("leg", 3, "|.p.Leg"))
    wanted = [FieldPath(pa.field("a", pa.int64()), ("a",))]
    a = field_bytes(1, 0, 5)
    values = read(
        which, a + field_bytes(2, 0, 1), a + field_bytes(3, 2, b""), a + field_bytes(2, 1, 1), fields=wanted
    )
    assert [row["a"] for row in rows(values)] == [None, None, 5]


def test_a_default_of_proto2_stands_for_what_is_absent() -> None:
    defaults = fields_of(
        ("a", 1, "int64 = -7"), ("b", 2, "string = dé"), ("c", 3, "bytes = \\001\\377"),
        ("d", 4, "float = 0.5"), ("e", 5, "Side = SELL"), ("f", 6, "int64"),
        ("g", 7, "uint64 = 18446744073709551615"),
        syntax="proto2",
    )  # fmt: skip
    filled = {"a": -7, "b": "dé", "c": b"\x01\xff", "d": 0.5, "e": "SELL", "f": None, "g": 2**64 - 1}
    assert rows(read(defaults, b"", field_bytes(1, 0, 3))) == [filled, {**filled, "a": 3}]


def time_of(seconds: int, nanos: int) -> bytes:
    return field_bytes(1, 2, field_bytes(1, 0, seconds) + field_bytes(2, 0, nanos))


def test_a_timestamp_is_seconds_and_nanoseconds() -> None:
    at = fields_of(("at", 1, TIMESTAMP_TYPE))
    edges = [-(2**63), 2**63 - 1, 0, -1]
    parts = [divmod(time_ns, NS_PER_S) for time_ns in edges]
    values = read(at, *[time_of(*part) for part in parts], b"", field_bytes(1, 2, b""))
    assert [row["at"] for row in rows(values)] == [*edges, None, 0]


@pytest.mark.parametrize(
    ("seconds", "nanos"),
    [
        (0, NS_PER_S),
        (0, -1),
        divmod(2**63, NS_PER_S),
        divmod(-(2**63) - 1, NS_PER_S),
        (2**63 - 1, 0),
        (-(2**63), 0),
    ],
)
def test_a_time_that_no_column_holds_is_a_dead_message(seconds: int, nanos: int) -> None:
    at = fields_of(("n", 2, "int64"), ("at", 1, TIMESTAMP_TYPE))
    assert reason(at, time_of(seconds, nanos)) == (
        "field at: a time that nanoseconds of 64 bits do not hold, or nanos outside 0 to 999999999"
    )


def test_a_wrapper_is_null_where_it_is_absent() -> None:
    wrapped = fields_of(("d", 1, ".google.protobuf.DoubleValue"), ("s", 2, ".google.protobuf.StringValue"))
    listed = rows(read(wrapped, b"", field_bytes(1, 2, b"") + field_bytes(2, 2, field_bytes(1, 2, b"x"))))
    assert listed == [{"d": None, "s": None}, {"d": 0.0, "s": "x"}]


def test_one_field_may_be_several_columns() -> None:
    at = fields_of(("at", 1, TIMESTAMP_TYPE), ("f", 2, "float"), ("i", 3, "int32"))
    columns = [
        ("event", pa.timestamp("ns", "UTC"), ("at",)),
        ("known", pa.timestamp("ns", "UTC"), ("at",)),
        ("seconds", pa.int64(), ("at", "seconds")),
        ("f", pa.float32(), ("f",)),
        ("wide", pa.float64(), ("f",)),
        ("i", pa.int64(), ("i",)),
    ]
    wanted = [FieldPath(pa.field(name, kind), path) for name, kind, path in columns]
    message = time_of(3, 5) + message_of(at, f=-0.1, i=-4)
    f = float(np.float32(-0.1))
    time_ns = 3 * NS_PER_S + 5
    (row,) = rows(read(at, message, fields=wanted))
    assert row == {"event": time_ns, "known": time_ns, "seconds": 3, "f": f, "wide": f, "i": -4}


@pytest.mark.parametrize("number", [0.0, -0.0, 1e-45, -3e-39, 1.5, 3.4e38, float("inf"), float("-inf")])
def test_a_float_widens_to_the_equal_double(number: float) -> None:
    one = fields_of(("f", 1, "?float"))
    wanted = [FieldPath(pa.field("f", pa.float64()), ("f",))]
    (row,) = rows(read(one, message_of(one, f=number), fields=wanted))
    assert repr(row["f"]) == repr(float(np.float32(number)))


def test_fields_of_any_number_are_found() -> None:
    numbers = [1, 15, 16, 127, 128, 2047, 2048, 18_999, 2**29 - 1]
    wide = fields_of(*[(f"f{number}", number, "int64") for number in numbers])
    message = b"".join(field_bytes(number, 0, number) for number in reversed(numbers))
    assert rows(read(wide, message)) == [{f"f{number}": number for number in numbers}]


@pytest.mark.parametrize(
    ("column", "path", "words"),
    [
        (pa.field("x", pa.int64()), ("bit",), r"no field bit \(did you mean bid\?\)"),
        (pa.field("x", pa.int64()), ("bid",), "field bid of p.Quote is double, column x is int64"),
        (pa.field("x", pa.int32()), ("n",), "field n of p.Quote is int64, column x is int32"),
        (pa.field("x", pa.uint64()), ("n",), "field n of p.Quote is int64, column x is uint64"),
    ],
)
def test_a_column_that_its_field_cannot_be_is_refused(
    column: pa.Field, path: tuple[str, ...], words: str
) -> None:
    with pytest.raises(CodecError, match=words):
        ProtobufValues(QUOTE, [FieldPath(column, path)])


def test_a_column_must_be_allowed_the_nulls_of_its_field() -> None:
    wanted = [FieldPath(pa.field("n", pa.int64(), nullable=False), ("leg", "n"))]
    with pytest.raises(CodecError, match=r"column n: field leg\.n of p\.M may be absent: let"):
        ProtobufValues(fields_of(("leg", 1, ".p.Leg")), wanted)


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int64()), pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.large_string(), pa.int8()],
)
def test_a_column_of_a_type_that_no_field_has_is_refused(kind: pa.DataType) -> None:
    with pytest.raises(
        CodecError, match=r"column n is .*, which no Protobuf field is: make it one of binary"
    ):
        ProtobufValues(QUOTE, [FieldPath(pa.field("n", kind), ("n",))])


def test_a_field_is_not_read_as_its_text() -> None:
    with pytest.raises(CodecError, match="column n: a Protobuf field has a type"):
        ProtobufValues(QUOTE, [FieldPath(pa.field("n", pa.string()), ("n",), token=True)])
