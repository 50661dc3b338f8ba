"""Definitions are put where they are named first, under their own names."""

import json
from typing import Any

import fastavro
import pytest

from topics.registry.references import with_references
from topics.wire import CodecError


def whole(schema: Any, *definitions: Any) -> Any:
    text = with_references(json.dumps(schema), [json.dumps(each) for each in definitions])
    fastavro.parse_schema(json.loads(text))
    return json.loads(text)


def record(name: str, *fields: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": n, "type": t} for n, t in fields], **more}


FIXED = {"type": "fixed", "name": "acme.Id", "size": 4}


@pytest.mark.parametrize(
    "kind",
    [
        "acme.Id",
        ["null", "acme.Id"],
        {"type": "array", "items": "acme.Id"},
        {"type": "map", "values": ["acme.Id"]},
        {"type": "acme.Id"},
    ],
)
def test_a_name_is_found_wherever_a_type_stands(kind: Any) -> None:
    assert '"size": 4' in json.dumps(whole(record("Row", ("a", kind)), FIXED))


def test_a_name_without_namespace_is_that_of_the_enclosing_type() -> None:
    made = whole(record("Row", ("a", "Id"), namespace="acme"), FIXED)
    assert made["fields"][0]["type"]["size"] == 4


def test_a_definition_keeps_the_namespace_it_was_written_in() -> None:
    inner = record("Inner", ("id", "Id"), namespace="acme")
    made = whole(record("Row", ("a", "acme.Inner"), ("b", "acme.Id"), namespace="other"), inner, FIXED)
    assert made["fields"][0]["type"]["namespace"] == "acme"
    assert made["fields"][0]["type"]["fields"][0]["type"]["size"] == 4
    assert made["fields"][1]["type"] == "acme.Id"


def test_what_a_definition_defines_itself_can_be_named_too() -> None:
    outer = record("Outer", ("id", FIXED), namespace="acme")
    made = whole(record("Row", ("a", "acme.Id"), ("b", "acme.Outer")), outer)
    assert made["fields"][0]["type"]["size"] == 4
    assert made["fields"][1]["type"]["fields"][0]["type"] == "acme.Id"


def test_a_record_that_holds_itself_ends() -> None:
    linked = record("acme.Linked", ("next", ["null", "acme.Linked"]))
    made = whole(record("Row", ("a", "acme.Linked")), linked)
    assert made["fields"][0]["type"]["fields"][0]["type"] == ["null", "acme.Linked"]


@pytest.mark.parametrize("broken", ["{", "[1]", '{"fields": []}', '{"type": "record"}'])
def test_what_is_no_schema_is_refused(broken: str) -> None:
    with pytest.raises(CodecError, match="not an Avro schema"):
        with_references(broken, ['"int"'])
