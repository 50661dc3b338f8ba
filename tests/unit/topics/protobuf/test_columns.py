"""Which fields can be columns, of which type, and whether they may be null."""

from typing import Any

import pyarrow as pa
import pytest

from tests.stage.protobuf_types import KINDS, proto_file, type_of
from topics.protobuf.columns import FIELDS_MAX, STEPS_MAX, leaf_at, message_columns, require_leaf
from topics.wire import CodecError

SCALARS = {
    "double": pa.float64(), "float": pa.float32(), "int32": pa.int32(), "sint32": pa.int32(),
    "sfixed32": pa.int32(), "int64": pa.int64(), "sint64": pa.int64(), "sfixed64": pa.int64(),
    "uint32": pa.uint32(), "fixed32": pa.uint32(), "uint64": pa.uint64(), "fixed64": pa.uint64(),
    "bool": pa.bool_(), "string": pa.string(), "bytes": pa.binary(),
}  # fmt: skip
NODE = ("Node", [("n", 1, "int64"), ("next", 2, ".p.Node")])


def columns_of(*fields: tuple[str, int, str], **file: Any) -> dict[str, tuple[pa.DataType, bool]]:
    leaves = message_columns(type_of(proto_file(("M", fields), **file))).leaves
    return {leaf.name: (leaf.type, leaf.nullable) for leaf in leaves}


def test_every_scalar_has_its_column_and_is_never_null_without_presence() -> None:
    assert set(SCALARS) == set(KINDS)
    fields = [(f"f_{kind}", number, kind) for number, kind in enumerate(SCALARS, 1)]
    assert columns_of(*fields) == {f"f_{kind}": (arrow, False) for kind, arrow in SCALARS.items()}


def test_an_enum_is_text_and_a_timestamp_a_time() -> None:
    assert columns_of(("side", 1, "Side"), ("at", 2, ".google.protobuf.Timestamp")) == {
        "side": (pa.string(), False),
        "at": (pa.timestamp("ns", "UTC"), True),
    }


@pytest.mark.parametrize(
    ("name", "arrow"), [("Double", pa.float64()), ("UInt32", pa.uint32()), ("String", pa.string())]
)
def test_a_wrapper_is_its_value_or_null(name: str, arrow: pa.DataType) -> None:
    assert columns_of(("w", 1, f".google.protobuf.{name}Value")) == {"w": (arrow, True)}


def test_what_may_be_absent_may_be_null() -> None:
    columns = columns_of(("a", 1, "?int64"), ("b", 2, "|int64"), ("c", 3, "|string"), ("d", 4, "int64"))
    assert [nullable for _, nullable in columns.values()] == [True, True, True, False]


def test_of_proto2_only_a_default_keeps_a_field_from_being_null() -> None:
    columns = columns_of(("a", 1, "int64"), ("b", 2, "int64 = 7"), ("c", 3, "|int64 = 7"), syntax="proto2")
    assert [nullable for _, nullable in columns.values()] == [True, False, True]


def test_whatever_is_inside_a_message_may_be_null() -> None:
    file = proto_file(("M", [("leg", 1, ".p.Leg")]), ("Leg", [("n", 1, "int64")]))
    (leaf,) = message_columns(type_of(file)).leaves
    assert (leaf.path, leaf.type, leaf.nullable) == (("leg", "n"), pa.int64(), True)


def test_what_is_no_column_has_its_reason() -> None:
    file = proto_file(("M", [("sizes", 1, "*int64"), ("legs", 2, "*.p.Node")]), NODE)
    entry = file.message_type[0].nested_type.add(name="TagsEntry")
    entry.options.map_entry = True
    for number, name in enumerate(("key", "value"), 1):
        entry.field.add(name=name, number=number, type=9, label=1)
    file.message_type[0].field.add(name="tags", number=3, type=11, label=3, type_name=".p.M.TagsEntry")
    columns = message_columns(type_of(file))
    assert columns.leaves == ()
    reasons = {path[0]: reason for path, reason in columns.refused.items()}
    assert reasons["sizes"].startswith("is repeated")
    assert reasons["legs"].startswith("is repeated")
    assert reasons["tags"].startswith("is a map")


def test_a_group_is_no_column() -> None:
    file = proto_file(("M", []), syntax="proto2", imports=())
    file.message_type[0].nested_type.add(name="G")
    file.message_type[0].field.add(name="g", number=1, type=10, label=1, type_name=".p.M.G")
    columns = message_columns(type_of(file))
    assert columns.refused[("g",)].startswith("is a group")


def test_a_type_within_itself_is_walked_as_far_as_a_path_goes() -> None:
    node = type_of(proto_file(NODE))
    columns = message_columns(node)
    assert [leaf.name for leaf in columns.leaves] == ["n"]
    assert "within itself" in columns.refused[("next",)]
    leaf = leaf_at(node, ("next", "next", "n"))
    assert leaf is not None
    assert (leaf.name, leaf.nullable) == ("next.next.n", True)


def test_the_list_of_fields_has_its_limit() -> None:
    doubling = [(f"M{n}", [("a", 1, f".p.M{n + 1}"), ("b", 2, f".p.M{n + 1}")]) for n in range(30)]
    columns = message_columns(type_of(proto_file(*doubling, ("M30", [("n", 1, "int64")]))))
    assert 0 < len(columns.leaves) + len(columns.refused) <= FIELDS_MAX + 2


def test_a_path_has_its_limit() -> None:
    with pytest.raises(CodecError, match=f"1 to {STEPS_MAX} names"):
        leaf_at(type_of(proto_file(NODE)), ("next",) * STEPS_MAX + ("n",))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("price",), r"field price: message p\.M has no field price \(did you mean prices\?\)"),
        (("leg", "size"), r"field leg\.size: message p\.Leg has no field size; its fields are n"),
        (("leg",), r"field leg is a message \(p\.Leg\): name one of its fields \(n\)"),
        (("prices",), "field prices is repeated, which is no column"),
        (("prices", "x"), "field prices is repeated"),
        (("side", "x"), r"field side is an enum \(p\.Side\), not a message: it has no x"),
        (("leg", "n", "x"), r"field leg\.n is int64, not a message: it has no x"),
    ],
)
def test_a_path_that_leads_to_no_column_says_why(path: tuple[str, ...], words: str) -> None:
    fields = [("prices", 1, "*double"), ("leg", 2, ".p.Leg"), ("side", 3, "Side")]
    file = proto_file(("M", fields), ("Leg", [("n", 1, "int64")]))
    with pytest.raises(CodecError, match=words):
        require_leaf(type_of(file), path)


def test_the_parts_of_a_time_and_of_a_wrapper_can_be_named() -> None:
    fields = [("at", 1, ".google.protobuf.Timestamp"), ("w", 2, ".google.protobuf.BoolValue")]
    message = type_of(proto_file(("M", fields)))
    assert require_leaf(message, ("at", "nanos")).type == pa.int32()
    assert require_leaf(message, ("w", "value")).type == pa.bool_()


def test_a_type_that_is_only_named_like_the_librarys_is_a_message() -> None:
    own = proto_file(
        ("Timestamp", [("seconds", 1, "string")]), ("BoolValue", [("value", 1, "*bool")]),
        name="google/protobuf/timestamp.proto", package="google.protobuf", imports=(), enum=(),
    )  # fmt: skip
    fields = [("at", 1, ".google.protobuf.Timestamp"), ("w", 2, ".google.protobuf.BoolValue")]
    file = proto_file(("M", fields), imports=["google/protobuf/timestamp.proto"])
    assert [leaf.name for leaf in message_columns(type_of(file, others=[own])).leaves] == ["at.seconds"]
