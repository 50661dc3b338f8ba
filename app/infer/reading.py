"""How the messages of a kind are read: their source, and every column that it can give."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.infer.json_fields import JsonField, JsonFields, json_fields
from app.infer.kinds import Kind, Kinds
from app.infer.sample import Sample
from app.wiring.sources import AvroSource, FrameSource, JsonSource, Source
from schemas.clocks import EVENT_NS, KNOWN_NS
from schemas.frame import FrameError, decode_frame
from topics.avro.encode import value_subjects
from topics.avro.subjects import newest_row_schema
from topics.avro.types import AvroType, parse_record
from topics.values import FieldPath
from topics.wire import CodecError, ProtobufRegistry, SchemaRegistry

OTHER: Final = " as written"  # behind the name of a column that only a time can be taken from
_DEPTH_MAX: Final = 4  # Avro records within each other whose fields are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The messages of one kind, and what reads them.

    `settings` are the keys that say the format.  `named` says that the settings must list the columns, since
    some lie within others.  `fields` are those of JSON.
    """

    numbers: Sequence[int]
    settings: Mapping[str, str]
    source: Source
    paths: Sequence[FieldPath]
    left_out: Mapping[str, str]
    notes: tuple[str, ...] = ()
    named: bool = False
    fields: JsonFields | None = field(default=None)


def reading_of(kind: Kind, sample: Sample, kinds: Kinds, registry: SchemaRegistry) -> Reading:
    """Return how the messages of a readable kind are read.

    Raises CodecError where their schema cannot be columns, and RegistryUnavailableError.
    """
    if kind is Kind.AVRO:
        return _avro(sample, kinds, registry)
    if kind is Kind.PROTOBUF:
        return _protobuf(sample, kinds, registry)
    if kind is Kind.FRAME:
        return _frames(sample, kinds)
    return _json(kind, sample, kinds)


def _avro(sample: Sample, kinds: Kinds, registry: SchemaRegistry) -> Reading:
    newest = newest_row_schema(registry, sample.topic)
    if newest is None:
        text = registry.schema(kinds.most_common_id(Kind.AVRO))
        subject = value_subjects(sample.topic)[parse_record(text).blocks]
        notes = _subject_notes(kinds, Kind.AVRO, subject, None)
    else:
        text = newest.record
        notes = _subject_notes(kinds, Kind.AVRO, newest.subject, newest.schema_id)
    record = parse_record(text)
    source = AvroSource(text)
    paths = [
        FieldPath(source.at(path, path.replace(".", "_")).column, tuple(path.split(".")))
        for path in _avro_leaves(record.type, "", 1)
        if _is_column(source, path)
    ]
    names = [path.column.name for path in paths]
    paths = [path for place, path in enumerate(paths) if names.index(path.column.name) == place]
    inner = {path.path[0] for path in paths if len(path.path) > 1}
    return Reading(
        numbers=kinds.numbers[Kind.AVRO],
        settings={},
        source=source,
        paths=paths,
        left_out={name: reason for name, reason in source.left_out().items() if name not in inner},
        notes=notes,
        named=bool(inner),
    )


def _protobuf(sample: Sample, kinds: Kinds, registry: SchemaRegistry) -> Reading:
    from app.wiring.protobuf_source import ProtobufSource
    from topics.protobuf.message_type import message_type_of_files

    assert isinstance(registry, ProtobufRegistry), "it has given a Protobuf schema"
    subject, _ = value_subjects(sample.topic)
    newest = registry.latest_protobuf(subject)
    schema_id = kinds.most_common_id(Kind.PROTOBUF) if newest is None else newest
    source = ProtobufSource(message_type_of_files(registry.protobuf_files(schema_id), (0,)))
    return Reading(
        numbers=kinds.numbers[Kind.PROTOBUF],
        settings={"format": "protobuf"},
        source=source,
        paths=source.columns("infer", (), None),
        left_out=source.left_out(),
        notes=_subject_notes(kinds, Kind.PROTOBUF, subject, newest),
    )


def _frames(sample: Sample, kinds: Kinds) -> Reading:
    numbers = kinds.numbers[Kind.FRAME]
    by_age = sorted(numbers, key=lambda number: -sample.messages[number].original.timestamp_ms)
    reason = ""
    for number in by_age:
        try:
            source = FrameSource(decode_frame(sample.messages[number].original.value).schema)
        except FrameError as broken:
            reason = reason or str(broken)
            continue
        return Reading(
            numbers=numbers,
            settings={"format": "arrow"},
            source=source,
            paths=source.columns("infer", (), None),
            left_out={},
        )
    raise CodecError(f"no frame can be read: {reason}")


def _json(kind: Kind, sample: Sample, kinds: Kinds) -> Reading:
    numbers = kinds.numbers[kind]
    keys = (sample.messages[number].original.key for number in numbers)
    texts = frozenset(key.decode(errors="replace") for key in keys if key is not None)
    fields = json_fields((kinds.rows[number] for number in numbers), texts)
    source = JsonSource(prefixed=kind is Kind.JSON_ID)
    columns = [one for one in fields.columns if one.column not in (EVENT_NS, KNOWN_NS) or one.type == "int64"]
    if not columns:
        raise CodecError("no field can be a column")
    return Reading(
        numbers=numbers,
        settings={"format": "json", **({"framing": "prefix"} if kind is Kind.JSON_ID else {})},
        source=source,
        paths=[
            source.at(one.name, f"{one.column}{OTHER * _is_other_clock(one)}", kind=one.type)
            for one in fields.columns
        ],
        left_out=fields.left_out,
        fields=JsonFields(tuple(columns), fields.left_out, fields.rows),
    )


def _is_other_clock(one: JsonField) -> bool:
    """Whether a field has the name of a clock, and may be its time only in another form."""
    return one.column in (EVENT_NS, KNOWN_NS) and one.type != "int64"


def _subject_notes(kinds: Kinds, kind: Kind, subject: str, newest: int | None) -> tuple[str, ...]:
    ids = kinds.ids[kind]
    common = kinds.most_common_id(kind)
    if newest is None:
        missing = f"no schema is registered under {subject}, where a worker looks for the columns"
        return (f"{missing}: register that of id {common} there too",)
    if newest not in ids:
        return (f"no message has the newest schema of {subject}, id {newest}, which says the columns",)
    return ()


def _avro_leaves(record: AvroType, outer: str, depth: int) -> Iterator[str]:
    for declared in record.fields:
        path = f"{outer}{declared.name}"
        inner = _record_in(declared.type)
        if inner is None:
            yield path
        elif depth < _DEPTH_MAX:
            yield from _avro_leaves(inner, f"{path}.", depth + 1)


def _record_in(declared: AvroType) -> AvroType | None:
    if declared.kind == "record":
        return declared
    if declared.kind == "union":
        records = [branch for branch in declared.branches if branch.kind == "record"]
        if len(records) == 1 and len(declared.branches) <= 2:
            return records[0]
    return None


def _is_column(source: AvroSource, path: str) -> bool:
    try:
        source.at(path, path)
    except CodecError:
        return False
    return True
