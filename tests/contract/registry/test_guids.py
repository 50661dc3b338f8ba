"""Schemas by GUID, as Confluent's serializers name them in a header; the headers are those they write."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient, header_schema_id_serializer
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.common.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext

from tests.contract.registry.http_registry import http_registry
from tests.contract.registry.schemas import LEG, QUOTE, TRADE, put
from tests.stage.blocks import headed_block
from tests.stage.protobuf_types import message_of, proto_file
from topics.avro.decode import AvroValues
from topics.protobuf.decode import ProtobufValues
from topics.protobuf.message_type import message_type_of_files
from topics.protobuf.types import RegistryTypes
from topics.registry.confluent import ConfluentRegistry
from topics.registry.folder import FileRegistry
from topics.values import FieldPath
from topics.wire import (
    CodecError,
    GuidRegistry,
    OtherFormatError,
    RegistryUnavailableError,
    UnknownSchemaError,
)

SCHEMA = json.dumps(
    {
        "type": "record",
        "name": "Quote",
        "fields": [{"name": "symbol", "type": "string"}, {"name": "n", "type": ["null", "long"]}],
    }
)


def test_both_registries_answer_to_guids_if_only_with_no(tmp_path: Path) -> None:
    assert isinstance(ConfluentRegistry("mock://g"), GuidRegistry)
    folder = FileRegistry(tmp_path)
    assert isinstance(folder, GuidRegistry)
    for ask in (folder.schema_of_guid, folder.protobuf_files_of_guid):
        with pytest.raises(CodecError, match="gives schemas ids, not GUIDs: name the registry"):
            ask(str(uuid4()))
    assert folder.guids("any") == frozenset()


@pytest.mark.parametrize("kind", ["http", "mock"])
def test_a_schema_is_found_by_its_guid(kind: str) -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url if kind == "http" else "mock://guids")
        for subject, schema in (("quotes-value", TRADE), ("quotes-value", QUOTE), ("other", TRADE)):
            registry.register(subject, schema)
        guids = registry.guids("quotes-value")
        assert len(guids) == 2
        assert {registry.schema_of_guid(guid) for guid in guids} == {TRADE, QUOTE}
        assert registry.guids("nobody's") == frozenset()
        with pytest.raises(UnknownSchemaError, match="has no schema of this GUID"):
            registry.schema_of_guid(str(uuid4()))


def test_protobuf_files_are_found_by_guid_and_another_format_is_named_as_such() -> None:
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        put(registry, server, "leg", LEG)
        registry.register("quotes-value", TRADE)
        (leg,), (trade,) = registry.guids("leg"), registry.guids("quotes-value")
        for _ in range(2):
            with pytest.raises(OtherFormatError, match=f"schema GUID {leg} is a Protobuf schema, not Avro"):
                registry.schema_of_guid(leg)
            files = registry.protobuf_files_of_guid(leg)
            assert message_type_of_files(files, (0,)).name == "leg.Leg"
        with pytest.raises(OtherFormatError, match=f"schema GUID {trade} is an Avro schema, not Protobuf"):
            registry.protobuf_files_of_guid(trade)
        server.failing = 503
        with pytest.raises(RegistryUnavailableError):
            registry.schema_of_guid(str(uuid4()))


def test_a_client_that_knows_no_guids_says_so() -> None:
    registry = ConfluentRegistry("mock://old")
    registry._client = object()  # noqa: SLF001
    with pytest.raises(CodecError, match="looks up no GUIDs: install a newer one"):
        registry.schema_of_guid(str(uuid4()))


def test_what_the_avro_serializer_writes_is_read() -> None:
    with http_registry() as server:
        client = SchemaRegistryClient({"url": server.url})
        write = AvroSerializer(client, SCHEMA, conf={"schema.id.serializer": header_schema_id_serializer})
        messages = []
        for number in (None, 7):
            headers: list[Any] = []
            context = SerializationContext("quotes", MessageField.VALUE, headers)
            value = write({"symbol": "A", "n": number}, context)
            assert value == b"\x02A" + (b"\0" if number is None else b"\x02\x0e")
            messages.append((value, headers))
        columns = pa.schema([pa.field("symbol", pa.string()), pa.field("n", pa.int64())])
        decoder = AvroValues(columns, ConfluentRegistry(server.url), stream="quote", headed=True)
        read = decoder.read(headed_block(*messages), np.arange(2))
    assert read.dead == []
    assert read.columns is not None
    assert read.columns.to_pylist() == [{"symbol": "A", "n": None}, {"symbol": "A", "n": 7}]


@pytest.mark.parametrize("index", [0, 1])
def test_what_the_protobuf_serializer_writes_is_read(index: int) -> None:
    """`SchemaId` and `header_schema_id_serializer` are what that serializer writes its header with."""
    file = proto_file(("Other", [("n", 1, "int64")]), ("Quote", [("n", 2, "int64")]))
    message_type = message_type_of_files([file.SerializeToString()], (index,))
    with http_registry() as server:
        registry = ConfluentRegistry(server.url)
        schema_id = put(registry, server, "quotes-value", file)
        (guid,) = registry.guids("quotes-value")
        headers: list[Any] = []
        value = header_schema_id_serializer(
            message_of(message_type, n=5),
            SerializationContext("quotes", MessageField.VALUE, headers),
            SchemaId("PROTOBUF", schema_id, guid, [index]),
        )
        columns = [FieldPath(pa.field("n", pa.int64()), ("n",))]
        decoder = ProtobufValues(RegistryTypes(registry), columns, headed=True)
        read = decoder.read(headed_block((value, headers)), np.arange(1))
    assert read.dead == []
    assert read.columns is not None
    assert read.columns.to_pylist() == [{"n": 5}]
