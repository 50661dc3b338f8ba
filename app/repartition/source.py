"""The source of a copy as the settings know it: the stream that reads it, and how that gets its keys."""

from dataclasses import dataclass
from typing import Literal

from app.config import Settings
from app.errors import UsageError
from app.process.clock import monotonic_ns, pause
from app.repartition.homes import ColumnHomes
from app.wiring.schemas import stream_now
from topics.bus import Bus
from topics.registry.unknown import UnknownIds
from topics.wire import SchemaRegistry

Schemas = Literal["avro", "protobuf", "none"]


@dataclass(frozen=True, slots=True)
class Source:
    """What the settings say of a topic that is copied; `stream` is None where no stream reads it.

    `schemas` says which schemas its rows need in the registry.
    """

    topic: str
    stream: str | None
    schemas: Schemas

    @property
    def foreign(self) -> bool:
        """Whether its rows are no Avro with ids, so that a message may be any bytes."""
        return self.schemas != "avro"

    def caution(self, settings: Settings) -> str:
        """What the record times of the topic do not show, "" where they are the rows' times."""
        if self.stream is None:
            return ""
        wanted = settings.stream(self.stream).event_time
        if wanted is None or wanted.field is None:
            return ""
        return (
            f"{self.topic} is merged by record time, and streams.{self.stream}.event_time is the field "
            f"{wanted.field}: grace_ns must also cover how unevenly the records' times trail it, or rows are "
            "late"
        )

    def homes(
        self, settings: Settings, registry: SchemaRegistry, bus: Bus, partitions: int
    ) -> ColumnHomes | None:
        """What finds the partition of each message by its columns; None where the message key says it.

        Raises RunError and CodecError where the stream cannot be read yet, StreamError where its columns
        make no stream.
        """
        if self.stream is None:
            return None
        own = settings.stream(self.stream)
        if own.key_from == "message" or not own.key:
            return None
        known = UnknownIds(registry, monotonic_ns, pause)
        reading = stream_now(settings, self.stream, known, bus)
        return ColumnHomes(reading.decoder(settings, known), partitions)


def source_of(settings: Settings, topic: str) -> Source:
    """Return what the settings say of a topic; raises UsageError for one that cannot be copied."""
    name = next((name for name in settings.stream_names if settings.topic(name) == topic), None)
    if name is None:
        return Source(topic, None, "avro")
    own = settings.stream(name)
    if own.format == "arrow":
        raise UsageError(
            f"--from {topic}: each frame says how far its own partition is complete, which would not hold in "
            "a copy: let the pipeline that writes it have as many partitions as you need (its bus.partitions)"
        )
    if own.format in ("avro", "protobuf") and own.prefixed:
        return Source(topic, name, own.format)
    return Source(topic, name, "none")
