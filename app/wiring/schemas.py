"""Schemas: what says which fields an input has is looked up, and waited for where it is not there yet."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from app.config import Settings
from app.errors import RunError, UsageError
from app.process.clock import monotonic_ns, pause
from app.settings.streams import StreamSettings
from app.wiring.formats import StreamFormat, stream_format
from app.wiring.sources import AvroSource, FrameSource, JsonSource, Source
from schemas.frame import FrameError, decode_frame
from schemas.stream import StreamError
from topics.avro.encode import value_subjects
from topics.avro.schema import NAMESPACE, PROGRESS_NAME
from topics.avro.subjects import named_schema, newest_row_schema
from topics.avro.types import parse_record
from topics.block import TopicPartition
from topics.bus import Bus, BusError
from topics.registry.open import registry_name
from topics.sample import newest_messages
from topics.wire import (
    CodecError,
    RegistryRefusedError,
    RegistryUnavailableError,
    SchemaRegistry,
)

log = structlog.get_logger()

_PAUSE_S: Final = 0.2
_NEWEST: Final = 20  # messages of each partition that are looked at for the newest columns


def registered_streams(
    settings: Settings,
    registry: SchemaRegistry,
    bus: Bus | None = None,
    *,
    wait_s: float,
    on_wait: Callable[[str], None],
) -> dict[str, StreamFormat]:
    """Return how each input is read, as its topic's newest schema, its file or its newest frame says.

    Waits up to `wait_s` for what is not there yet, and for a registry that is away; raises RunError then, and
    at once where the registry refuses us.  `bus` is for inputs that are frames, and says what is there.
    """
    deadline = monotonic_ns() + int(wait_s * 1e9)
    streams: dict[str, StreamFormat] = {}
    for name in settings.stream_names:
        said = False
        while name not in streams:
            found: Source | None = None
            away = ""
            try:
                found = _find(settings, name, registry, bus)
            except RegistryRefusedError as refused:
                raise RunError(str(refused)) from None
            except RegistryUnavailableError as unavailable:
                away = str(unavailable)
            if found is not None:
                streams[name] = _format_of(settings, name, found)
            elif monotonic_ns() >= deadline:
                raise RunError(f"{away or _why_not(settings, name, registry, bus)} (waited {wait_s:.0f} s)")
            elif not said:
                on_wait(f"waiting up to {wait_s:.0f} s: {away or _why_not(settings, name, registry, bus)}")
                said = True
            else:
                pause(_PAUSE_S)
    return streams


def stream_now(settings: Settings, name: str, registry: SchemaRegistry, bus: Bus) -> StreamFormat:
    """Return how one input is read, without waiting; raises RunError where nothing says its fields yet."""
    source = _find(settings, name, registry, bus)
    if source is None:
        raise RunError(_why_not(settings, name, registry, bus))
    return _format_of(settings, name, source)


def _format_of(settings: Settings, name: str, source: Source) -> StreamFormat:
    """How an input is read; raises StreamError where its settings ask for what is not there."""
    try:
        return stream_format(settings.stream(name), name, source)
    except CodecError as wrong:
        raise StreamError(f"streams.{name}: {wrong}") from None


def _find(settings: Settings, name: str, registry: SchemaRegistry, bus: Bus | None) -> Source | None:
    """What says the fields of an input, None where nothing does yet."""
    own, topic = settings.stream(name), settings.topic(name)
    if own.format == "json":
        return JsonSource(prefixed=own.prefixed)
    if own.format == "arrow":
        assert bus is not None, "frames say their columns themselves"
        return _newest_frame(bus, topic, settings.bus.partitions)
    if own.schema_file is not None:
        return _from_file(own, name, own.schema_file)
    if own.format == "protobuf":
        from app.wiring.protobuf_source import ProtobufSource

        return ProtobufSource.newest(registry, value_subjects(topic)[0], headed=own.headed)
    found = newest_row_schema(registry, topic)
    return None if found is None else AvroSource(found.record, headed=own.headed)


def _why_not(settings: Settings, name: str, registry: SchemaRegistry, bus: Bus | None) -> str:
    """What is missing that would say the fields of an input, what its topic holds, and so what to do."""
    own, topic = settings.stream(name), settings.topic(name)
    if own.format == "arrow":
        return f"topic {topic} has no frame yet that says its columns"
    subjects = value_subjects(topic)[: 1 if own.format == "protobuf" else 2]
    where = registry_name(settings.bus.schema_registry)
    missing = f"no schema is registered under {' or '.join(subjects)} in {where}"
    if bus is None:
        return missing
    places = [TopicPartition(topic, number) for number in range(settings.bus.partitions)]
    try:
        held = sum(log.high - log.low for log in bus.admin().ranges(places).values())
    except BusError as unknown:
        return f"{missing}; what {topic} holds is not known: {unknown}"
    if held == 0:
        return f"{missing}; {topic} is empty: nobody has published to it yet"
    cause = (own.format == "avro" and own.prefixed and _elsewhere(settings, name, registry, bus)) or (
        "their producers use another registry (bus.schema_registry), or write no Avro "
        f"(streams.{name}.format); `python -m app topics infer {topic}{settings.flag}` proposes its settings"
    )
    return f"{missing}; {topic} holds about {held:,} messages: {cause}"


def _elsewhere(settings: Settings, name: str, registry: SchemaRegistry, bus: Bus) -> str:
    """What to do where the newest messages name a schema that stands under another subject; else ""."""
    topic = settings.topic(name)
    partitions = settings.bus.partitions
    for block in newest_messages(bus, topic, partitions, group=f"{topic}-columns", messages=_NEWEST):
        for message in range(block.messages):
            schema_id = named_schema(block.originals[message].value)
            try:
                record = None if schema_id is None else parse_record(registry.schema(schema_id))
            except (CodecError, RegistryUnavailableError):
                continue
            if record is not None and record.name != f"{NAMESPACE}.{PROGRESS_NAME}":
                subject = value_subjects(topic)[record.blocks]
                return (
                    f"they name schema id {schema_id}, {record.name}, which that registry has under another "
                    "subject, as producers name it by record and not by topic: register it under "
                    f"{subject} too"
                )
    return ""


def _from_file(own: StreamSettings, name: str, path: Path) -> Source:
    if own.format == "protobuf":
        from app.wiring.protobuf_source import ProtobufSource

        try:
            return ProtobufSource.from_file(path.absolute(), own.message)
        except CodecError as broken:
            raise UsageError(f"streams.{name}.schema_file: {broken}") from None
    try:
        return AvroSource(path.read_text(encoding="utf-8"), bare=True)
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"streams.{name}.schema_file: {path.absolute()} cannot be read: {broken}") from None


def _newest_frame(bus: Bus, topic: str, partitions: int) -> FrameSource | None:
    """The columns of the newest frame of a topic, None where there is none yet."""
    newest_ms, schema = -1, None
    for block in newest_messages(bus, topic, partitions, group=f"{topic}-columns", messages=_NEWEST):
        for message in range(block.messages):
            original = block.originals[message]
            if original.timestamp_ms >= newest_ms:
                try:
                    schema = decode_frame(original.value).schema
                except FrameError as broken:
                    log.info(
                        "message is no frame",
                        topic=topic,
                        offset=int(block.offset[message]),
                        reason=str(broken),
                    )
                    continue
                newest_ms = original.timestamp_ms
    return None if schema is None else FrameSource(schema)
