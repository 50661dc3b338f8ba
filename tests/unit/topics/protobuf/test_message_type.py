"""Which message type a descriptor file or a registry's schema means, and what is said where there is none."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from tests.stage.protobuf_types import add_fields, proto_file
from topics.protobuf.message_type import (
    NoSuchMessageError,
    message_type_of_files,
    message_type_of_set,
    read_message_type,
)
from topics.wire import CodecError

QUOTE = ("Quote", [("bid", 1, "double")])
TRADE = ("Trade", [("price", 1, "double"), ("at", 2, ".google.protobuf.Timestamp")])


def set_of(*files: Any) -> bytes:
    return bytes(descriptor_pb2.FileDescriptorSet(file=files).SerializeToString())


def test_a_message_is_found_by_its_full_name(tmp_path: Path) -> None:
    path = tmp_path / "types.pb"
    path.write_bytes(set_of(proto_file(QUOTE, TRADE)))
    assert read_message_type(path, "p.Trade").name == "p.Trade"


def test_the_only_message_beside_the_imports_needs_no_name() -> None:
    common = proto_file(TRADE, name="common.proto", package="c")
    quote = proto_file(("Quote", [("last", 1, ".c.Trade")]), imports=["common.proto"])
    assert message_type_of_set(set_of(common, quote)).name == "p.Quote"


def test_of_several_messages_one_must_be_named() -> None:
    with pytest.raises(CodecError, match=r"it has p\.Quote, p\.Trade: say which message"):
        message_type_of_set(set_of(proto_file(QUOTE, TRADE)))


def test_a_message_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(CodecError, match=r"no message p\.Quotes \(did you mean p\.Quote.*it has p\.Quote, p"):
        message_type_of_set(set_of(proto_file(QUOTE, TRADE)), "p.Quotes")


def test_a_nested_message_has_the_names_around_it() -> None:
    file = proto_file(QUOTE)
    add_fields(file.message_type[0].nested_type.add(name="Leg"), [("n", 1, "int64")])
    assert message_type_of_set(set_of(file), "p.Quote.Leg").name == "p.Quote.Leg"


def test_a_file_that_cannot_be_read_says_which(tmp_path: Path) -> None:
    with pytest.raises(CodecError, match=r"descriptor file .*none\.pb cannot be read: No such file"):
        read_message_type(tmp_path / "none.pb")


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b'syntax = "proto3"; message Q {}', b"\x0a\x05abc"])
def test_a_file_of_other_bytes_is_no_descriptor_set(data: bytes) -> None:
    with pytest.raises(CodecError, match="is no FileDescriptorSet: make it with protoc"):
        message_type_of_set(data)


def test_an_empty_file_holds_no_file() -> None:
    with pytest.raises(CodecError, match="holds no file"):
        message_type_of_set(b"")


def test_a_missing_import_is_named_with_the_option_that_includes_it() -> None:
    quote = proto_file(QUOTE, imports=["common/side.proto"])
    with pytest.raises(CodecError, match=r"q\.proto imports common/side\.proto.*--include_imports"):
        message_type_of_set(set_of(quote))


def test_imports_in_a_circle_are_refused() -> None:
    left = proto_file(QUOTE, name="a.proto", imports=["b.proto"])
    right = proto_file(TRADE, name="b.proto", package="b", imports=["a.proto"])
    with pytest.raises(CodecError, match=r"imports of a\.proto go in a circle"):
        message_type_of_set(set_of(left, right))


def test_a_file_that_the_library_refuses_says_why() -> None:
    with pytest.raises(CodecError, match=r"the library refuses q\.proto"):
        message_type_of_set(set_of(proto_file(("Quote", [("x", 1, ".p.Nothing")]))))


def test_the_librarys_own_files_may_be_missing() -> None:
    assert message_type_of_set(set_of(proto_file(TRADE))).name == "p.Trade"


def test_a_package_may_be_missing() -> None:
    assert message_type_of_set(set_of(proto_file(QUOTE, package="", enum=()))).name == "Quote"


def test_indexes_lead_to_nested_messages() -> None:
    file = proto_file(TRADE, QUOTE)
    inner = file.message_type[1].nested_type.add(name="Leg")
    inner.nested_type.add(name="First")
    add_fields(inner.nested_type.add(name="Second"), [("n", 1, "int64")])
    files = [file.SerializeToString()]
    assert message_type_of_files(files, (0,)).name == "p.Trade"
    assert message_type_of_files(files, (1, 0, 1)).name == "p.Quote.Leg.Second"


@pytest.mark.parametrize("indexes", [(2,), (0, 0), (-1,), ()])
def test_indexes_out_of_range_are_a_message_that_does_not_exist(indexes: tuple[int, ...]) -> None:
    with pytest.raises(NoSuchMessageError, match="message type"):
        message_type_of_files([proto_file(TRADE, QUOTE).SerializeToString()], indexes)


def test_the_first_file_is_meant_even_where_it_has_no_name() -> None:
    common = proto_file(TRADE, name="common.proto", package="c")
    quote = proto_file(("Quote", [("last", 1, ".c.Trade")]), name="", imports=["common.proto"])
    files = [quote.SerializeToString(), common.SerializeToString()]
    assert message_type_of_files(files, (0,)).name == "p.Quote"


def test_bytes_that_are_no_file_are_refused() -> None:
    with pytest.raises(CodecError, match="no serialized FileDescriptorProto"):
        message_type_of_files([b"\xff\xff"], (0,))
