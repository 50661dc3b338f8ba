"""A copy has the schemas that its topic has, under its own name, or the words that say which are missing."""

import json

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient

from app.errors import UsageError
from app.repartition.subjects import share_schemas
from tests.contract.registry.http_registry import http_registry
from tests.stage.fakes import DictRegistry
from topics.registry.confluent import ConfluentRegistry
from topics.wire import CodecError


def schema(*names: str) -> str:
    """The text of a record with these fields."""
    fields = [{"name": name, "type": "long", "default": 0} for name in names]
    return json.dumps({"type": "record", "name": "Quote", "fields": fields})


@pytest.fixture
def registry() -> DictRegistry:
    """Knows four schemas of the source: three of rows, of which id 2 is the newest, and one of blocks."""
    registry = DictRegistry()
    for names in ((), ("bid",), ("bid", "ask")):
        registry.register("elsewhere", schema(*names))
    for names in (("bid", "ask"), (), ("bid",)):
        registry.register("old-value", schema(*names))
    registry.register("old-value-block", json.dumps({"type": "array", "items": "long"}))
    return registry


def test_every_schema_of_rows_and_blocks_is_registered_for_the_copy(registry: DictRegistry) -> None:
    assert share_schemas(registry, "old", "new") == []
    assert registry.ids("new-value") == registry.ids("old-value") == {1, 2, 3}
    assert registry.ids("new-value-block") == registry.ids("old-value-block") == {4}


def test_the_newest_schema_of_the_source_is_the_newest_of_the_copy(registry: DictRegistry) -> None:
    share_schemas(registry, "old", "new")
    assert registry.latest("new-value") == registry.latest("old-value") == (2, schema("bid"))
    registry.register("old-value", schema("bid", "size"))
    assert share_schemas(registry, "old", "new") == []
    assert registry.latest("new-value") == registry.latest("old-value") == (5, schema("bid", "size"))


def test_an_older_schema_is_not_made_the_newest(registry: DictRegistry) -> None:
    registry.register("new-value", schema("bid"))
    first, third = share_schemas(registry, "old", "new")
    assert first.startswith("schema id 1 of old-value (registered now, it would")
    assert third.startswith("schema id 3 of old-value")
    assert registry.latest("new-value") == (2, schema("bid"))


def test_the_newest_schema_of_producers_to_the_copy_stays_the_newest(registry: DictRegistry) -> None:
    share_schemas(registry, "old", "new")
    theirs = registry.register("new-value", schema("bid", "ask", "size"))
    registry.register("old-value", schema("size"))
    (left_out,) = share_schemas(registry, "old", "new")
    assert "would stand behind the newest schema of new-value" in left_out
    assert registry.latest("new-value") == (theirs, schema("bid", "ask", "size"))


def test_a_schema_that_refers_to_others_is_named_where_its_text_has_another_id() -> None:
    with http_registry() as server:
        client = SchemaRegistryClient({"url": server.url})
        side = {"type": "enum", "name": "Side", "symbols": ["B", "S"]}
        client.register_schema("side", Schema(json.dumps(side), "AVRO"))
        quote = {"type": "record", "name": "Quote", "fields": [{"name": "side", "type": "Side"}]}
        whole = Schema(json.dumps(quote), "AVRO", [SchemaReference("Side", "side", 1)])
        schema_id = client.register_schema("old-value", whole)
        (left_out,) = share_schemas(ConfluentRegistry(server.url), "old", "new")
    assert left_out.startswith(f"schema id {schema_id} of old-value (under new-value its text has id")
    assert "register it there with its references" in left_out


def test_a_schema_of_another_format_is_named_and_the_others_are_registered() -> None:
    with http_registry() as server:
        client = SchemaRegistryClient({"url": server.url})
        client.register_schema("old-value", Schema('syntax = "proto3";', "PROTOBUF"))
        newest = client.register_schema("old-value", Schema(schema("bid"), "AVRO"))
        registry = ConfluentRegistry(server.url)
        (left_out,) = share_schemas(registry, "old", "new")
        assert registry.ids("new-value") == {newest}
    assert "is a Protobuf schema" in left_out


class Compatible(DictRegistry):
    """Refuses a second schema of a subject, as a registry does where the two are not compatible."""

    def register(self, subject: str, schema: str) -> int:
        if subject == "new-value" and self.ids(subject):
            raise CodecError("not compatible")
        return super().register(subject, schema)


def test_a_schema_that_the_registry_refuses_stops_the_copy_with_the_way_out() -> None:
    registry = Compatible()
    for names in ((), ("bid",)):
        registry.register("old-value", schema(*names))
    with pytest.raises(
        UsageError, match=r"id 2 of old-value cannot be .*: not compatible; give new-value the"
    ):
        share_schemas(registry, "old", "new")
