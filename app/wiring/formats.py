"""Formats: how each input is read, from its settings and from what its schema, its file or a frame says."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import structlog

from app.config import Settings
from app.settings.streams import StreamSettings, TimeSettings
from app.wiring.sources import Source, ValueNeeds
from schemas.clocks import EVENT_NS, KNOWN_NS, clock_column
from schemas.key_types import is_text
from schemas.stream import Stream, StreamError
from topics.avro.encode import value_subjects
from topics.decoder import RowDecoder
from topics.foreign import ForeignDecoder
from topics.shape import Shape, ShapedDecoder, Shaper, TimeField
from topics.times import TimeForm, TimeFormError, require_form
from topics.values import DecodeLimits, FieldPath
from topics.wire import SchemaRegistry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamFormat:
    """How one input is read: its rows, the values they are made of, and where messages have these."""

    stream: Stream
    shape: Shape
    values: tuple[FieldPath, ...]
    source: Source

    def decoder(self, settings: Settings, registry: SchemaRegistry) -> RowDecoder:
        """A new decoder of the input."""
        name, clock = self.stream.name, settings.pipeline.clock
        shaper = Shaper(self.stream, clock, self.shape)
        stops = settings.stream(name).incompatible == "fail"
        needs = ValueNeeds(
            stream=name,
            registry=registry,
            limits=DecodeLimits(message_size_max=settings.worker.message_size_max),
            subjects=value_subjects(settings.topic(name)) if stops else (),
            required=self._required(clock_column(clock)),
            takes_null_keys=shaper.takes_null_keys,
        )
        values = self.source.values(self.values, needs)
        if self.source.reads_progress:
            return ShapedDecoder(values, shaper)
        return ForeignDecoder(values, shaper, registry, headed=self.source.headed)

    def _required(self, clock: str) -> str | None:
        """The column of the values that a row's time is in, None for the record's own."""
        if clock not in self.shape.times:
            return clock
        source = self.shape.times[clock]
        return None if source is None else source.column


def stream_format(own: StreamSettings, name: str, source: Source) -> StreamFormat:
    """Return how the input is read; raises CodecError and StreamError naming the field that will not do.

    Without `columns` and `fields` all fields are columns that can be, and the log says which cannot.
    """
    clocks = {clock: times for clock, times in _clocks(own).items() if times is not None}
    chosen = [
        path
        for path in _chosen(
            own, name, source, [clock for clock in (EVENT_NS, KNOWN_NS) if clock not in clocks]
        )
        if path.column.name not in clocks
    ]
    times, raw = _times(name, source, clocks, {path.column.name for path in chosen})
    source.require_readable((*chosen, *raw))
    made = [pa.field(clock, pa.int64()) for clock in clocks]
    names = {path.column.name for path in chosen}
    key_column = None
    if own.key_from == "message" and len(own.key) == 1 and own.key[0] not in names:
        (key_column,) = own.key
        made.append(pa.field(key_column, pa.string(), nullable=False))
    if not {EVENT_NS, KNOWN_NS} & {*clocks, *names}:
        raise StreamError(_no_time(name, chosen))
    casts = [path.column.name for path in chosen if _is_other_sequence(path.column, own.sequence)]
    columns = [
        path.column.with_type(pa.int64()) if path.column.name in casts else path.column for path in chosen
    ]
    return StreamFormat(
        stream=Stream(name=name, schema=pa.schema([*made, *columns]), key=own.key, sequence=own.sequence),
        shape=Shape(
            times=times,
            key_from_columns=own.key_from == "columns",
            key_column=key_column,
            checks_keys=_checks_keys(own, columns),
            casts=tuple(casts),
        ),
        values=(*chosen, *raw),
        source=source,
    )


def meaning(own: StreamSettings) -> str:
    """What of a stream's format decides which rows its messages are; empty for Avro as it stands."""
    said = own.model_dump(
        include={"format", "framing", "message", "fields", "event_time", "known_time", "key_from"},
        exclude_defaults=True,
    )
    return str(said) if said else ""


def file_meaning(own: StreamSettings) -> str:
    """Tells a schema file from another that has the same columns elsewhere in messages; empty without one."""
    if own.schema_file is None:
        return ""
    return f" {hashlib.sha256(own.schema_file.read_bytes()).hexdigest()[:16]}"


def _clocks(own: StreamSettings) -> Mapping[str, TimeSettings | None]:
    return {EVENT_NS: own.event_time, KNOWN_NS: own.known_time}


def _chosen(own: StreamSettings, name: str, source: Source, clocks: list[str]) -> list[FieldPath]:
    """The columns that the settings ask for, or all there are, but for fields that only hold a time."""
    if own.fields:
        return [
            source.at(wanted.path or column, column, kind=wanted.type)
            for column, wanted in own.fields.items()
        ]
    needed = {*own.key, *clocks, *own.rules.columns(), *([own.sequence] if own.sequence else [])}
    chosen = source.columns(name, needed, own.columns)
    only_times = {times.field for times in _clocks(own).values() if times is not None} - needed
    only_times -= {*(own.columns or ())}
    if own.columns is None:
        for field, reason in source.left_out().items():
            if field not in only_times:
                log.info("field is no column", stream=name, field=field, reason=reason)
    return [path for path in chosen if ".".join(path.path) not in only_times]


def _times(
    stream: str, source: Source, clocks: Mapping[str, TimeSettings], taken: set[str]
) -> tuple[dict[str, TimeField | None], list[FieldPath]]:
    """Where the clocks' times are, and the columns of the values that are for these alone."""
    times: dict[str, TimeField | None] = {}
    raw = []
    for clock, wanted in clocks.items():
        if wanted.field is None:
            times[clock] = None
            continue
        column = f"{clock} in {wanted.field}"
        while column in taken:
            column = f"{column} "
        path = source.at(wanted.field, column, token=True)
        form = TimeForm(form=wanted.form, zone=wanted.zone, zero_is_none=path.zero_is_none)
        try:
            require_form(f"field {wanted.field}", path.column.type, form)
        except TimeFormError as wrong:
            table = "event_time" if clock == EVENT_NS else "known_time"
            raise StreamError(f"streams.{stream}.{table}: {wrong}") from None
        times[clock] = TimeField(column, form, wanted.field)
        raw.append(path)
    return times, raw


def _no_time(stream: str, chosen: list[FieldPath]) -> str:
    """What to say of a stream without any clock, with the fields that are times by their type."""
    dated = [".".join(path.path) for path in chosen if pa.types.is_timestamp(path.column.type)]
    field = dated[0] if dated else "NAME"
    form = "" if dated else ', form = "ms"'
    return (
        f"stream {stream} needs {EVENT_NS} or {KNOWN_NS}: say where the time is, such as "
        f'streams.{stream}.event_time = {{ field = "{field}"{form} }}; its columns are '
        f"{', '.join('.'.join(path.path) for path in chosen) or 'none'}"
    )


def _checks_keys(own: StreamSettings, columns: list[pa.Field]) -> bool:
    """Whether a row's key columns must make the key of its message.

    Our own Avro is taken at its word, which the audit checks.  A number has more than one text, so that only
    those who wrote it know which one is the key.
    """
    kinds = {column.name: column.type for column in columns}
    texts = bool(own.key) and all(name in kinds and is_text(kinds[name]) for name in own.key)
    return own.key_from == "message" and texts and not (own.format == "avro" and own.prefixed)


def _is_other_sequence(column: pa.Field, sequence: str | None) -> bool:
    """Whether a column orders rows and is another whole number than int64."""
    whole: bool = pa.types.is_integer(column.type)
    return column.name == sequence and whole and column.type != pa.int64()
