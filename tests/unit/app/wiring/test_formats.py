"""How an input is read follows from its settings and from what says its fields."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2
from structlog.testing import capture_logs

from app.config import Settings
from app.errors import RunError, UsageError
from app.settings.streams import StreamSettings
from app.wiring.formats import StreamFormat, meaning, stream_format
from app.wiring.schemas import registered_streams
from app.wiring.sources import AvroSource, FrameSource, JsonSource, Source
from schemas.frame import FrameHeaders, encode_frame
from schemas.stream import Stream, StreamError
from topics.avro.schema import avro_schema
from topics.bus import TopicSpec
from topics.foreign import ForeignDecoder
from topics.memory.bus import MemoryBus
from topics.registry.folder import FileRegistry
from topics.shape import ShapedDecoder
from topics.wire import CodecError

_AT = ("at", pa.timestamp("us", "UTC"))
_FILL = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), ("px", pa.float64()), _AT])
RECORD = avro_schema(Stream(name="fill", schema=_FILL))


def formed(source: Source, **table: Any) -> StreamFormat:
    """How a stream `s` of these settings is read."""
    return stream_format(StreamSettings.model_validate(table), "s", source)


def columns_of(one: StreamFormat) -> dict[str, str]:
    """The columns of the rows with their types."""
    return {column.name: str(column.type) for column in one.stream.schema}


def test_avro_is_read_as_it_stands() -> None:
    one = formed(AvroSource(RECORD))
    assert columns_of(one) == {
        "event_ns": "int64",
        "symbol": "string",
        "px": "double",
        "at": "timestamp[us, tz=UTC]",
    }
    assert one.shape.plain


def test_a_field_that_is_only_a_time_is_no_column_unless_asked_for() -> None:
    one = formed(AvroSource(RECORD), event_time={"field": "at"})
    assert columns_of(one) == {"event_ns": "int64", "symbol": "string", "px": "double"}
    one = formed(AvroSource(RECORD), event_time={"field": "at"}, columns=["px", "at"])
    assert list(columns_of(one)) == ["event_ns", "symbol", "px", "at"]


def test_columns_can_have_other_names() -> None:
    one = formed(AvroSource(RECORD), fields={"symbol": {}, "price": {"path": "px"}, "event_ns": {}})
    assert columns_of(one) == {"symbol": "string", "price": "double", "event_ns": "int64"}
    with pytest.raises(CodecError, match="has no field prize"):
        formed(AvroSource(RECORD), fields={"price": {"path": "prize"}, "event_ns": {}})


def test_json_has_the_columns_of_its_settings() -> None:
    fields = {"price": "decimal128(18, 4)", "size": {"path": "q.n", "type": "int32"}, "ok": "bool"}
    at = {"field": "t", "form": "ms"}
    one = formed(JsonSource(), format="json", fields=fields, event_time=at, sequence="size")
    assert columns_of(one) == {
        "event_ns": "int64",
        "symbol": "string",
        "price": "decimal128(18, 4)",
        "size": "int64",
        "ok": "bool",
    }
    assert [(path.path, path.token) for path in one.values] == [
        (("price",), False),
        (("q", "n"), False),
        (("ok",), False),
        (("t",), True),
    ]
    assert (one.shape.key_column, one.shape.casts) == ("symbol", ("size",))


@pytest.mark.parametrize("kind", ["text", "decimal128(4)", "decimal128(0, 9)", "list<int64>", ""])
def test_what_is_no_type_is_refused(kind: str) -> None:
    with pytest.raises(CodecError, match=r"fields.price: .* is no type: write bool"):
        formed(JsonSource(), format="json", fields={"price": {"type": kind}}, event_time={"record": True})


def test_a_form_that_does_not_fit_its_field_is_refused() -> None:
    with pytest.raises(StreamError, match=r"streams.s.event_time: field px is double: say in which form"):
        formed(AvroSource(RECORD), event_time={"field": "px"})
    with pytest.raises(StreamError, match=r"streams.s.known_time: field at is timestamp.* leave the form"):
        formed(AvroSource(RECORD), known_time={"field": "at", "form": "ms"})


def test_a_stream_without_any_time_is_refused() -> None:
    with pytest.raises(StreamError, match=r"needs event_ns or known_ns: .*event_time = .*columns are price"):
        formed(JsonSource(), format="json", fields={"price": "double"})


def test_several_key_columns_are_all_in_the_values() -> None:
    with pytest.raises(StreamError, match="has no column 'venue'"):
        formed(AvroSource(RECORD), key=("symbol", "venue"))


def test_frames_lose_the_places_of_the_other_pipeline() -> None:
    place = [("left_offset", pa.int64()), ("left_index", pa.int32())]
    schema = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string()), *place])
    table = {"format": "arrow", "key_from": "columns"}
    assert list(columns_of(formed(FrameSource(schema), **table))) == ["event_ns", "symbol"]
    with pytest.raises(CodecError, match="frames have no column bid; they have event_ns, symbol"):
        formed(FrameSource(schema), **table, columns=["bid"])
    with pytest.raises(CodecError, match="columns of frames keep their names"):
        formed(FrameSource(schema), **table, fields={"sym": {"path": "symbol"}})


def test_only_what_differs_from_avro_as_it_stands_is_in_the_meaning() -> None:
    assert meaning(StreamSettings(topic="t", grace_ns=3)) == ""
    by_file = StreamSettings.model_validate({"framing": "bare", "schema_file": "a.avsc"})
    assert meaning(by_file) == "{'framing': 'bare'}"
    by_header = StreamSettings.model_validate({"framing": "header"})
    assert meaning(by_header) == "{'framing': 'header'}"
    assert "'ms'" in meaning(StreamSettings.model_validate({"event_time": {"field": "t", "form": "ms"}}))


def test_fields_that_cannot_be_columns_are_said() -> None:
    nested = RECORD[:-2] + ', {"name": "deep", "type": {"type": "map", "values": "int"}}]}'
    with capture_logs() as logs:
        formed(AvroSource(nested), key=("sym",))
    assert [(line["event"], line.get("field") or line.get("column")) for line in logs] == [
        ("field is no column", "deep"),
    ]


def settings_of(folder: Path, trade: dict[str, Any]) -> Settings:
    """A pipeline whose quotes are JSON."""
    quote = {"format": "json", "fields": {"bid": "double"}, "event_time": {"record": True}}
    return Settings.model_validate(
        {
            "bus": {"partitions": 1, "schema_registry": str(folder)},
            "streams": {"trade": trade, "quote": quote},
        }
    )


def formats_of(folder: Path, trade: dict[str, Any], bus: MemoryBus | None = None) -> dict[str, StreamFormat]:
    """How the inputs are read, without waiting."""
    settings = settings_of(folder, trade)
    return registered_streams(settings, FileRegistry(folder), bus, wait_s=0, on_wait=lambda _: None)


def test_a_schema_that_is_not_there_yet_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no schema is registered under tidemark.trade-value"):
        formats_of(tmp_path, {})
    with pytest.raises(CodecError, match="a folder serves Avro schemas only"):
        formats_of(tmp_path, {"format": "protobuf"})


def test_files_say_schemas(tmp_path: Path) -> None:
    (tmp_path / "fill.avsc").write_text(RECORD)
    one = formats_of(tmp_path, {"schema_file": str(tmp_path / "fill.avsc")})["trade"]
    assert list(columns_of(one)) == ["event_ns", "symbol", "px", "at"]
    with pytest.raises(UsageError, match=r"streams.trade.schema_file: .*gone.avsc cannot be read"):
        formats_of(tmp_path, {"schema_file": str(tmp_path / "gone.avsc")})
    message = descriptor_pb2.DescriptorProto(name="Fill")
    kind = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="event_ns", number=1, type=kind.TYPE_INT64, label=1)
    message.field.add(name="tags", number=2, type=kind.TYPE_STRING, label=3)
    file = descriptor_pb2.FileDescriptorProto(name="fill.proto", package="md", syntax="proto3")
    file.message_type.append(message)
    files = descriptor_pb2.FileDescriptorSet(file=[file])
    (tmp_path / "fill.desc").write_bytes(files.SerializeToString())
    table = {"format": "protobuf", "schema_file": str(tmp_path / "fill.desc")}
    by_field = {**table, "fields": {"event_ns": {}}, "known_time": {"field": "event_ns", "form": "ns"}}
    known = formats_of(tmp_path, by_field)["trade"].shape.times["known_ns"]
    assert known is not None
    assert known.form.zero_is_none  # proto3 does not tell a 0 from a field that is not there
    assert list(columns_of(formats_of(tmp_path, table)["trade"])) == ["symbol", "event_ns"]
    with pytest.raises(UsageError, match=r"streams.trade.schema_file: .* has no message md.Fil"):
        formats_of(tmp_path, {**table, "message": "md.Fil"})


def test_the_newest_frame_says_the_columns(tmp_path: Path) -> None:
    bus = MemoryBus()
    table = {"format": "arrow", "key_from": "columns", "topic": "others.aligned"}
    bus.admin().create([TopicSpec(name="others.aligned", partitions=1, configs={})])
    with pytest.raises(RunError, match=r"topic others.aligned has no frame yet that says its columns"):
        formats_of(tmp_path, table, bus)
    producer = bus.producer()
    plain = pa.schema([("event_ns", pa.int64()), ("symbol", pa.string())])
    grown = plain.append(pa.field("bid", pa.float64()))
    said = FrameHeaders(layout="", complete_ns=0, rows=0, released_ns=0, sealed_ns=0, newest_ns=0)
    for time_ms, schema in ((1, plain), (2, grown)):
        value = encode_frame(pa.RecordBatch.from_pylist([], schema=schema))
        producer.produce(
            "others.aligned",
            partition=0,
            key=None,
            value=value,
            headers=said.to_kafka(),
            timestamp_ms=time_ms,
        )
    producer.produce("others.aligned", partition=0, key=None, value=b"?", timestamp_ms=3)
    assert list(columns_of(formats_of(tmp_path, table, bus)["trade"])) == ["event_ns", "symbol", "bid"]


def test_messages_whose_header_names_their_schema_are_read_so(tmp_path: Path) -> None:
    registry = FileRegistry(tmp_path)
    registry.register("tidemark.trade-value", RECORD)
    headed = formats_of(tmp_path, {"framing": "header"})["trade"]
    plain = formats_of(tmp_path, {})["trade"]
    assert columns_of(headed) == columns_of(plain)
    settings = settings_of(tmp_path, {"framing": "header"})
    assert isinstance(headed.decoder(settings, registry), ForeignDecoder)
    assert isinstance(plain.decoder(settings, registry), ShapedDecoder)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"price": "date32"}, r"streams.trade: column price is date32\[day\], which JSON is not read as"),
        ({"price": "flaot"}, r"streams.trade: fields.price: 'flaot' is no type"),
        ({"t": "int64", "v": {"path": "t.v", "type": "int64"}}, r"streams.trade: column v is within t"),
    ],
)
def test_columns_that_json_cannot_give_are_refused_at_the_start(
    tmp_path: Path, fields: dict[str, Any], words: str
) -> None:
    with pytest.raises(StreamError, match=words):
        formats_of(tmp_path, {"format": "json", "fields": fields, "event_time": {"record": True}})


def test_a_column_may_have_any_name_beside_a_time() -> None:
    one = formed(
        JsonSource(),
        format="json",
        fields={"event_ns in t": {"path": "x", "type": "int64"}},
        event_time={"field": "t", "form": "ms"},
    )
    assert [path.column.name for path in one.values] == ["event_ns in t", "event_ns in t "]


@pytest.mark.parametrize(
    ("table", "checked"),
    [
        ({"key": ["sym"]}, True),
        ({"key": ["sym"], "key_from": "columns"}, False),
        ({"key": []}, False),
        ({"key": ["n"]}, False),
        ({}, False),
    ],
)
def test_key_columns_of_text_must_make_the_message_key(table: dict[str, Any], checked: bool) -> None:
    fields = {"sym": "string", "n": "int64"}
    one = formed(JsonSource(), format="json", fields=fields, event_time={"record": True}, **table)
    assert one.shape.checks_keys is checked
