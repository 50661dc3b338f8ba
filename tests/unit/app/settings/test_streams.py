"""What the table of a stream may say of its messages: what contradicts itself is refused with what to do."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.settings.streams import StreamSettings

FIELDS = {"price": "double"}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"format": "json"}, 'format = "json" needs fields'),
        (
            {"format": "json", "fields": {"price": {"path": "p"}}},
            "fields.price needs a type, such as price",
        ),
        ({"format": "json", "fields": FIELDS, "schema_file": "x"}, "JSON has its columns in fields"),
        ({"format": "json", "fields": FIELDS, "columns": ["price"]}, "fields and columns are both given"),
        ({"format": "json", "fields": FIELDS, "message": "a.B"}, "message is the name of a Protobuf type"),
        ({"fields": FIELDS}, "fields.price: messages of avro say their types: leave the type out"),
        ({"framing": "bare"}, 'framing = "bare" needs schema_file: bare Avro'),
        ({"framing": "prefix", "schema_file": "x"}, 'schema_file is for framing = "bare"'),
        ({"format": "protobuf", "framing": "bare"}, "a bare Protobuf message does not say its type"),
        ({"format": "protobuf", "framing": "prefix", "schema_file": "x"}, "leave one of them out"),
        ({"format": "arrow"}, 'format = "arrow" needs key_from = "columns"'),
        ({"format": "arrow", "key_from": "columns", "framing": "bare"}, "says its schema in each message"),
        ({"framing": "header", "schema_file": "x"}, 'schema_file is for framing = "bare"'),
        ({"format": "protobuf", "framing": "header", "schema_file": "x"}, "a header says the schema"),
        ({"format": "json", "fields": FIELDS, "framing": "header"}, "JSON is read by its fields"),
        ({"format": "arrow", "key_from": "columns", "framing": "header"}, "says its schema in each message"),
        ({"framing": "footer"}, "'prefix', 'bare' or 'header'"),
        (
            {"format": "arrow", "key_from": "columns", "event_time": {"record": True}},
            "leave event_time and known_time out",
        ),
        ({"format": "xml"}, "'avro', 'json', 'protobuf' or 'arrow'"),
        ({"event_time": {}}, 'say where the time is: field = "NAME", or record = true'),
        ({"event_time": {"field": "t", "record": True}}, "say where the time is"),
        ({"known_time": {"record": True, "form": "ms"}}, "the record's own time has no form and no zone"),
        ({"event_time": {"field": "t", "form": "min"}}, "'ns', 'us', 'ms', 's' or 'iso'"),
        ({"event_time": {"field": "", "form": "ms"}}, "at least 1 character"),
        ({"event_time": {"field": "t", "form": "iso", "zone": ""}}, "at least 1 character"),
        ({"event_time": "t"}, 'a time needs a table: { field = "t", form = "ms" }'),
        (
            {"fields": {"event_ns": {"path": "t"}}, "event_time": {"field": "t", "form": "ms"}},
            "fields.event_ns and event_time both say the column event_ns",
        ),
        (
            {"fields": {"known_ns": {}}, "known_time": {"record": True}},
            "fields.known_ns and known_time both say the column known_ns",
        ),
        ({"fields": {"": {"path": "p"}}}, "a column without a name"),
        ({"fields": {"p": {"path": ""}}}, "at least 1 character"),
        ({"key": ["symbol", "symbol"]}, "key has symbol twice"),
        ({"key": ["event_ns"]}, "key has event_ns, which is the time and no key"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        StreamSettings.model_validate(table)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("table", "prefixed"),
    [
        ({}, True),
        ({"schema_file": "x", "framing": "bare"}, False),
        ({"schema_file": "x"}, False),
        ({"framing": "header"}, False),
        ({"format": "protobuf", "framing": "header"}, False),
        ({"format": "protobuf"}, True),
        ({"format": "protobuf", "schema_file": "x"}, False),
        ({"format": "json", "fields": FIELDS}, False),
        ({"format": "json", "fields": FIELDS, "framing": "prefix"}, True),
    ],
)
def test_a_prefix_is_expected_where_a_format_usually_has_one(table: dict[str, Any], prefixed: bool) -> None:
    assert StreamSettings.model_validate(table).prefixed is prefixed


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_a_header_names_the_schema_where_the_settings_say_so(form: str) -> None:
    assert StreamSettings.model_validate({"format": form, "framing": "header"}).headed
    assert not StreamSettings.model_validate({"format": form}).headed
