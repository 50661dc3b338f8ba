"""A pipeline on topics of other people: any bytes go in, workers of the embedded bus join them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pyarrow as pa

from app.audit.report import AuditReport
from app.audit.topics import audit
from app.config import Settings
from app.reading.aligned import read_aligned
from app.reading.dead import read_letters
from app.wiring.pipeline import Pipeline, topic_specs
from app.wiring.schemas import registered_streams
from app.worker.assembly import open_worker
from topics.avro.progress import encode_progress
from topics.block import Headers
from topics.bus import Bus
from topics.catalogue import apply, plan
from topics.memory.bus import MemoryBus
from topics.partitioner import partition_of
from topics.registry.open import open_registry
from topics.wire import Progress, SchemaRegistry

PATIENCE_S = 60
JSON_TRADE: Mapping[str, Any] = {
    "format": "json",
    "fields": {"symbol": "string", "price": "double", "size": "int64"},
    "event_time": {"field": "ts", "form": "ms"},
}


class ForeignMarket:
    """Topics, a registry, and whoever writes to them; `streams` are the tables of the settings."""

    def __init__(
        self,
        folder: Path,
        streams: Mapping[str, Mapping[str, Any]],
        *,
        pipeline: Mapping[str, Any] | None = None,
        partitions: int = 3,
        bus: Bus | None = None,
        registry: SchemaRegistry | None = None,
    ) -> None:
        prefix = (pipeline or {}).get("prefix", "tidemark")
        self.settings = Settings.model_validate(
            {
                "pipeline": {"grace_ns": 0, **(pipeline or {})},
                "bus": {"partitions": partitions, "schema_registry": str(folder / "schemas")},
                "worker": {"state": str(folder / f"state-{prefix}"), "commit_interval_ms": 1},
                "streams": streams,
            }
        )
        self.bus = bus or MemoryBus()
        self.registry = registry or open_registry(self.settings.bus.schema_registry)
        apply(self.bus.admin(), plan(self.bus.admin(), topic_specs(self.settings)))
        self._producer = self.bus.producer()

    def pipeline(self) -> Pipeline:
        """The pipeline as a worker would find it now."""
        streams = registered_streams(self.settings, self.registry, self.bus, wait_s=0, on_wait=lambda _: None)
        return Pipeline(self.settings, self.bus, self.registry, streams)

    def send(
        self,
        stream: str,
        messages: Iterable[tuple[str | bytes | None, bytes | None]],
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
    ) -> None:
        """Publish (key, value) pairs; the key chooses the partition unless one is given."""
        count = self.settings.bus.partitions
        for key, value in messages:
            raw = key.encode() if isinstance(key, str) else key
            home = partition_of(raw or b"", count) if partition is None else partition
            self._producer.produce(
                self.settings.topic(stream),
                partition=home,
                key=raw,
                value=value,
                timestamp_ms=timestamp_ms,
                headers=headers,
            )

    def send_json(self, stream: str, rows: Iterable[Mapping[str, Any]], key: str | None = "symbol") -> None:
        """Publish rows as JSON objects, keyed by one of their members."""
        for row in rows:
            raw = None if key is None else str(row[key])
            self.send(stream, [(raw, json.dumps(row).encode())], partition=None if key else 0)

    def flush(self) -> None:
        """Wait until all that was sent is in the log: before another producer writes behind it."""
        self._producer.flush()

    def end(self, upper_ns: int, *streams: str) -> None:
        """Say in every partition that nothing below `upper_ns` follows, and that this is the end."""
        for stream in streams or self.settings.stream_names:
            value = encode_progress(self.registry, Progress(stream, upper_ns, True, "test"))
            for partition in range(self.settings.bus.partitions):
                self.send(stream, [(None, value)], partition=partition)

    def run(self) -> pa.Table:
        """Let one worker join what is there, to its final records; return the aligned rows."""
        pipeline = self.pipeline()
        deadline_s = monotonic() + PATIENCE_S
        worker = open_worker(pipeline, until_final=True)
        worker.run(lambda: monotonic() > deadline_s)
        worker.close()
        assert monotonic() <= deadline_s, f"the worker is not done within {PATIENCE_S} s"
        schema = pipeline.asof.aligned_schema()
        parts = range(self.settings.bus.partitions)
        return pa.Table.from_batches([b for part in parts for b in read_aligned(pipeline, part)], schema)

    def audit(self) -> AuditReport:
        """Check what is aligned against the inputs."""
        return audit(self.pipeline())

    def dead(self) -> Sequence[str]:
        """The reason of each dead letter."""
        numbers = range(self.settings.bus.partitions)
        return [
            str(stored.letter.reason)
            for number in numbers
            for stored in read_letters(self.bus, self.settings, number)
        ]
