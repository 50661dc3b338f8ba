"""A silenced quote partition on a real Kafka: the frontier goes on by the idle rule, and frames say so."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest

from app.config import Settings
from app.reading.partition import read_partition
from app.task.metadata import from_position
from app.wiring.pipeline import Pipeline, topic_specs
from app.wiring.schemas import registered_streams
from app.worker.assembly import open_worker
from schemas.frame import FrameHeaders
from tests.contract.bus.conftest import HASTY
from tests.simulation.scene import QUOTE, TRADE
from tests.stage.day_runs import until
from topics.avro.encode import RowEncoder
from topics.avro.schema import avro_schema
from topics.block import TopicPartition
from topics.catalogue import apply, plan
from topics.kafka.bus import KafkaBus
from topics.registry.open import open_registry

pytestmark = pytest.mark.broker

IDLE_AFTER_MS = 300


@pytest.fixture
def pipeline(kafka_bootstrap: str, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of one partition on topics of its own."""
    settings = Settings.model_validate(
        {
            "pipeline": {"prefix": f"test-{uuid4().hex[:12]}", "grace_ns": 0, "idle_after_ms": IDLE_AFTER_MS},
            "bus": {"partitions": 1, "schema_registry": str(tmp_path / "schemas")},
            "worker": {"state": str(tmp_path / "state")},
        }
    )
    bus = KafkaBus(kafka_bootstrap, HASTY)
    specs = topic_specs(settings)
    apply(bus.admin(), plan(bus.admin(), specs))
    registry = open_registry(settings.bus.schema_registry)
    for stream in (TRADE, QUOTE):
        registry.register(f"{settings.topic(stream.name)}-value", avro_schema(stream))
    streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
    yield Pipeline(settings, bus, registry, streams)
    bus.admin().delete([spec.name for spec in specs])


def publish(pipeline: Pipeline, stream: str, *times_ns: int) -> None:
    """Rows of one symbol, in one committed transaction."""
    shape = TRADE if stream == "trade" else QUOTE
    topic = pipeline.settings.topic(stream)
    rows = [{"event_ns": event_ns, "symbol": "A"} for event_ns in times_ns]
    encoded = RowEncoder(shape, pipeline.registry, topic).records(
        pa.RecordBatch.from_pylist(rows, schema=shape.schema)
    )
    data = encoded.data.tobytes()
    producer = pipeline.bus.producer(transactional_id=f"{topic}-feed")
    producer.begin()
    for lower, upper in zip(encoded.starts[:-1], encoded.starts[1:], strict=True):
        producer.produce(topic, partition=0, key=b"A", value=data[lower:upper])
    producer.commit()
    producer.close()


def test_the_frontier_passes_a_silenced_partition_and_the_frames_and_offsets_say_so(
    pipeline: Pipeline,
) -> None:
    settings = pipeline.settings
    publish(pipeline, "quote", 10)
    publish(pipeline, "trade", 5, 20, 30)
    worker = open_worker(pipeline)
    until(lambda: worker.turn() == 0 and 0 in worker.tasks, "the worker has its task")
    task = worker.tasks[0]

    def turned(holds: bool) -> bool:
        worker.turn()
        return holds

    until(lambda: turned(task.operator.progress().inputs["quote"].idle), "the quotes are idle")
    publish(pipeline, "trade", 40)
    until(lambda: turned(task.counts.rows_sealed == 3), "the trades below 40 are sealed")
    assert task.counts.rows_assumed == 2
    publish(pipeline, "quote", 35)
    quotes = task.readings[settings.topic("quote")]
    until(lambda: turned(quotes.rows_late == 1), "the quote that returned too late is late")
    worker.close()
    place = TopicPartition(settings.topic("aligned"), 0)
    headers = [
        FrameHeaders.from_kafka(block.originals[message].headers)
        for block in read_partition(pipeline.bus, place, group="test")
        for message in range(block.messages)
    ]
    assert sum(told.rows for told in headers) == 3
    assert sum(told.assumed_rows for told in headers) == 2
    reader = pipeline.bus.consumer(group=settings.pipeline.prefix)
    source = TopicPartition(settings.topic("quote"), 0)
    position = reader.committed([source])[source]
    reader.close()
    assert position is not None
    assert not from_position(position, "quote").progress.idle
