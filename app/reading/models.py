"""The topic of models read, followed and written: from which moment of event time on each one is valid."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from app.config import Settings
from app.errors import RunError
from app.reading.partition import MESSAGES_MAX, read_partition
from app.wiring.model_store import ModelRecord, ModelStore, RecordError, read_record
from app.wiring.models import put_records
from app.wiring.pipeline import Pipeline
from schemas.clocks import NS_PER_MS
from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus
from topics.catalogue import MODELS

LOOK_NS: Final = 200 * NS_PER_MS  # between two looks; a record is published long before it is valid


class ModelFeed:
    """Keeps the models of a pipeline as their topic says them, from the moment it is opened.

    A record that is published earlier than `LOOK_NS` before a tile is sealed is known to it.
    """

    def __init__(self, pipeline: Pipeline, elapsed_ns: Callable[[], int]) -> None:
        """Reads the topic to its end; raises RunError for a record that is none."""
        self._pipeline, self._elapsed_ns = pipeline, elapsed_ns
        self._source = models_source(pipeline.settings)
        self._records: dict[bytes, ModelRecord] = {}
        name = f"{pipeline.settings.pipeline.prefix}-models"
        begins: list[int] = []
        next_offset = 0
        for block in read_partition(pipeline.bus, self._source, group=name, begun=begins.append):
            self._take(block)
            next_offset = int(block.offset[-1]) + 1
        self._consumer = pipeline.bus.consumer(group=name, client_id=name)
        self._consumer.assign({self._source: max([next_offset, *begins])})
        self._looked_ns = elapsed_ns()
        put_records(pipeline.models, self._records.values())

    def follow(self) -> None:
        """Look for new records, if the last look was a while ago; raises RunError for one that is none."""
        now_ns = self._elapsed_ns()
        if now_ns - self._looked_ns < LOOK_NS:
            return
        self._looked_ns = now_ns
        changed = False
        while (block := self._consumer.poll(messages_max=MESSAGES_MAX, wait_ms=0)).messages:
            self._take(block)
            changed = True
        if changed:
            put_records(self._pipeline.models, self._records.values())

    def close(self) -> None:
        """Follow no more."""
        self._consumer.close()

    def _take(self, block: MessageBlock) -> None:
        take_records(block, self._records)


def feed_of(pipeline: Pipeline, elapsed_ns: Callable[[], int]) -> ModelFeed | None:
    """What follows the models of a pipeline; None for a graph without any."""
    return ModelFeed(pipeline, elapsed_ns) if pipeline.models else None


def models_source(settings: Settings) -> TopicPartition:
    """Where records of models lie: in the first partition, since every task needs all of them."""
    return TopicPartition(settings.topic(MODELS), 0)


def topic_records(bus: Bus, settings: Settings) -> list[ModelRecord]:
    """The records in the topic, in order; raises RunError for one that is none."""
    records: dict[bytes, ModelRecord] = {}
    for block in read_partition(bus, models_source(settings), group=f"{settings.pipeline.prefix}-models"):
        take_records(block, records)
    return sorted(records.values())


def take_records(block: MessageBlock, records: dict[bytes, ModelRecord]) -> None:
    """Add the records of some messages to others, by key; a message without a value takes its key back."""
    for message in range(block.messages):
        original = block.originals[message]
        if original.key is None or original.value is None:
            records.pop(original.key or b"", None)
            continue
        try:
            records[original.key] = read_record(original.value)
        except RecordError as wrong:
            place = f"{block.sources[int(block.source[message])].topic} at offset {block.offset[message]}"
            raise RunError(f"{place} {wrong}: take its key back, with a message without a value") from None


def send_records(bus: Bus, settings: Settings, records: Mapping[bytes, ModelRecord | None]) -> None:
    """Write records by key, None to take one back; returns when they are acknowledged."""
    source = models_source(settings)
    producer = bus.producer(client_id=f"{settings.pipeline.prefix}-models")
    try:
        for key, record in records.items():
            value = None if record is None else record.value()
            producer.produce(source.topic, partition=source.partition, key=key, value=value)
        producer.flush()
    finally:
        producer.close()


def send_folder(bus: Bus, settings: Settings) -> None:
    """Write the records of the folder to the topic of a run over history, before its first row."""
    if settings.graph.has_models:
        send_records(bus, settings, by_key(ModelStore.of(settings).records()))


def by_key(records: Iterable[ModelRecord]) -> dict[bytes, ModelRecord | None]:
    """Records by their keys."""
    return {record.key: record for record in records}
