"""Protobuf schemas in a registry: descriptors of a schema and of all that it refers to."""

import base64
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema

from tests.contract.registry.http_registry import HttpRegistry, http_registry
from tests.contract.registry.schemas import LEG, TRADE, put
from tests.stage.protobuf_types import proto_file
from topics.protobuf.message_type import message_type_of_files
from topics.registry.confluent import ConfluentRegistry
from topics.registry.folder import FileRegistry
from topics.wire import (
    CodecError,
    OtherFormatError,
    ProtobufRegistry,
    RegistryUnavailableError,
    UnknownSchemaError,
)

PAIR = proto_file(
    ("Pair", [("near", 1, ".leg.Leg"), ("at", 2, ".google.protobuf.Timestamp")]),
    name="default",
    package="pair",
    imports=("legs/leg.proto", "google/protobuf/timestamp.proto"),
    enum=(),
)
QUOTE = proto_file(
    ("Quote", [("pair", 1, ".pair.Pair"), ("leg", 2, ".leg.Leg")]),
    name="default",
    imports=("pair.proto", "legs/leg.proto"),
)


def put_all(registry: ConfluentRegistry, server: HttpRegistry) -> int:
    put(registry, server, "leg", LEG)
    put(registry, server, "pair", PAIR, ("legs/leg.proto", "leg"))
    return put(registry, server, "q-value", QUOTE, ("pair.proto", "pair"), ("legs/leg.proto", "leg"))


def test_both_registries_may_hold_protobuf(tmp_path: Path) -> None:
    assert isinstance(ConfluentRegistry("mock://p"), ProtobufRegistry)
    assert isinstance(FileRegistry(tmp_path), ProtobufRegistry)


def test_a_schema_comes_with_all_that_it_refers_to_each_once() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        files = registry.protobuf_files(put_all(registry, server))
    assert len(files) == 3
    message = message_type_of_files(files, (0,))
    assert message.name == "p.Quote"
    pair = message.descriptor.fields_by_name["pair"].message_type
    assert pair.fields_by_name["at"].message_type.full_name == "google.protobuf.Timestamp"


def test_a_schema_that_was_asked_for_as_avro_is_still_given_as_a_descriptor() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        schema_id = put(registry, server, "leg", LEG)
        with pytest.raises(OtherFormatError, match="is a Protobuf schema, not Avro"):
            registry.schema(schema_id)
        assert message_type_of_files(registry.protobuf_files(schema_id), (0,)).name == "leg.Leg"
        with pytest.raises(OtherFormatError):
            registry.latest("leg")


def test_the_newest_id_of_a_subject_is_asked_for_each_time() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        assert registry.latest_protobuf("q-value") is None
        schema_id = put_all(registry, server)
        assert registry.latest_protobuf("q-value") == schema_id
        assert registry.ids("q-value") == {schema_id}


def test_an_avro_schema_is_named_as_such() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        schema_id = registry.register("t", TRADE)
        for ask in (lambda: registry.protobuf_files(schema_id), lambda: registry.latest_protobuf("t")):
            with pytest.raises(OtherFormatError, match=f"id {schema_id} is an Avro schema, not Protobuf"):
                ask()


def test_an_id_that_nobody_registered_is_unknown() -> None:
    with http_registry() as server, pytest.raises(UnknownSchemaError):
        ConfluentRegistry(server.url).protobuf_files(99)


def test_a_registry_that_fails_is_away() -> None:
    with http_registry() as server:
        server.failing = 503
        with pytest.raises(RegistryUnavailableError):
            ConfluentRegistry(server.url).protobuf_files(1)


def test_a_reference_to_nothing_is_a_broken_schema() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        schema_id = put(registry, server, "pair", PAIR, ("legs/leg.proto", "nobody"))
        with pytest.raises(CodecError, match="refers to a schema that http"):
            registry.protobuf_files(schema_id)


def test_a_registry_that_sends_text_does_not_know_the_format() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        schema_id = put(registry, server, "leg", LEG)
        server.descriptors.clear()
        with pytest.raises(CodecError, match=r"as text, not as a descriptor.*name a descriptor file"):
            registry.protobuf_files(schema_id)


def test_a_mock_gives_what_was_registered() -> None:
    registry = ConfluentRegistry("mock://descriptors")
    text = base64.b64encode(LEG.SerializeToString()).decode()
    client: Any = registry._client  # noqa: SLF001
    schema_id = client.register_schema("leg", Schema(text, "PROTOBUF"))
    assert message_type_of_files(registry.protobuf_files(schema_id), (0,)).name == "leg.Leg"


def test_a_folder_says_that_it_serves_avro_only(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path)
    for ask in (lambda: registry.protobuf_files(1), lambda: registry.latest_protobuf("q-value")):
        with pytest.raises(OtherFormatError, match="serves Avro schemas only: name a descriptor file"):
            ask()
