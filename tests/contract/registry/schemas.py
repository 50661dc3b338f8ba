"""Schemas for registries to hold: two of Avro, one of Protobuf, and how any of Protobuf is put there."""

import json
from typing import Any

from confluent_kafka.schema_registry import Schema, SchemaReference

from tests.contract.registry.http_registry import HttpRegistry
from tests.stage.protobuf_types import proto_file

TRADE = json.dumps({"type": "record", "name": "Trade", "fields": [{"name": "event_ns", "type": "long"}]})

QUOTE = json.dumps({"type": "record", "name": "Quote", "fields": [{"name": "event_ns", "type": "long"}]})

LEG = proto_file(("Leg", [("n", 1, "int64")]), name="", package="leg", imports=(), enum=())


def put(registry: Any, server: HttpRegistry, subject: str, file: Any, *references: tuple[str, str]) -> int:
    """Register a file whose text is its subject: only the descriptor is read here."""
    parts = [SchemaReference(name, of, 1) for name, of in references]
    server.descriptors[f"text of {subject}"] = file.SerializeToString()
    schema = Schema(f"text of {subject}", "PROTOBUF", parts)
    return int(registry._client.register_schema(subject, schema))  # noqa: SLF001
