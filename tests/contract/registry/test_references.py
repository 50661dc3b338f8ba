"""Schemas as other teams keep them behind Confluent's protocol: in parts, or in another format."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from tests.contract.registry.http_registry import http_registry
from topics.avro.schema import arrow_schema
from topics.registry.open import open_registry
from topics.wire import CodecError, OtherFormatError, SchemaRegistry

SIDE = {"type": "enum", "name": "Side", "namespace": "acme", "symbols": ["B", "S"]}
LEG = {"type": "record", "name": "Leg", "namespace": "acme", "fields": [{"name": "side", "type": "Side"}]}
LEAF = {"name": "side", "type": "acme.Side"}
QUOTE = {
    "type": "record",
    "name": "Quote",
    "namespace": "acme",
    "fields": [LEAF, {"name": "n", "type": "long"}],
}


@pytest.fixture(params=["http", "mock"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "mock":
        yield f"mock://{tmp_path.name}"
        return
    with http_registry() as server:
        yield server.url


@pytest.fixture
def registry(url: str) -> SchemaRegistry:
    return open_registry(url)


@pytest.fixture
def client(registry: Any) -> SchemaRegistryClient:
    """The registry's own client: each client of a mock keeps schemas of its own."""
    return registry._client  # noqa: SLF001


def put(client: SchemaRegistryClient, subject: str, schema: Any, *references: tuple[str, str]) -> int:
    parts = [SchemaReference(name, of, 1) for name, of in references]
    return int(client.register_schema(subject, Schema(json.dumps(schema), "AVRO", parts)))


def test_a_schema_comes_with_what_it_refers_to(
    registry: SchemaRegistry, client: SchemaRegistryClient
) -> None:
    put(client, "side", SIDE)
    schema_id = put(client, "quotes-value", QUOTE, ("acme.Side", "side"))
    latest = registry.latest("quotes-value")
    assert latest is not None
    assert latest[0] == schema_id
    for text in (registry.schema(schema_id), latest[1]):
        assert [str(field.type) for field in arrow_schema(text)] == ["string", "int64"]
        assert json.loads(text)["fields"][0]["type"]["symbols"] == ["B", "S"]


def test_references_of_references_are_followed_once(
    registry: SchemaRegistry, client: SchemaRegistryClient
) -> None:
    put(client, "side", SIDE)
    put(client, "leg", LEG, ("acme.Side", "side"))
    two = [{"name": "near", "type": "acme.Leg"}, {"name": "far", "type": "acme.Leg"}, LEAF]
    schema = {**QUOTE, "fields": two}
    schema_id = put(client, "quotes-value", schema, ("acme.Leg", "leg"), ("acme.Side", "side"))
    near, far, side = json.loads(registry.schema(schema_id))["fields"]
    assert near["type"]["fields"][0]["type"]["symbols"] == ["B", "S"]
    assert (far["type"], side["type"]) == ("acme.Leg", "acme.Side")


def test_a_reference_to_nothing_is_a_broken_schema(
    registry: SchemaRegistry, client: SchemaRegistryClient
) -> None:
    schema_id = put(client, "quotes-value", QUOTE, ("acme.Side", "nobody"))
    with pytest.raises(CodecError, match="refers to a schema"):
        registry.schema(schema_id)


@pytest.mark.parametrize(("form", "words"), [("PROTOBUF", "a Protobuf schema"), ("JSON", "a JSON schema")])
def test_a_schema_of_another_format_is_named_as_such(
    registry: SchemaRegistry, client: SchemaRegistryClient, form: str, words: str
) -> None:
    schema_id = int(client.register_schema("p", Schema('syntax = "proto3"; message Q {}', form)))
    for ask in (lambda: registry.schema(schema_id), lambda: registry.latest("p")):
        with pytest.raises(OtherFormatError, match=f"schema id {schema_id} is {words}"):
            ask()
