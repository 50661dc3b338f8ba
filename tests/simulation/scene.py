"""A small market on the embedded bus: seeded rows, arrival within grace or beyond, workers that may die."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from app.config import Settings
from app.wiring import Pipeline, registered_streams, topic_specs
from schemas.stream import Stream
from topics.avro_schema import avro_schema
from topics.catalogue import apply, plan
from topics.encode import RowEncoder
from topics.memory import MemoryBus
from topics.partitioner import partition_of
from topics.progress import encode_progress
from topics.registry import open_registry
from topics.wire import Progress

TRADE = Stream(
    name="trade",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.string(), nullable=False),
            ("price", pa.float64()),
            ("condition", pa.string()),
        ]
    ),
)
QUOTE = Stream(
    name="quote",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.string(), nullable=False),
            ("bid", pa.float64()),
            ("ask", pa.float64()),
            ("venue", pa.string()),
        ]
    ),
)
SYMBOLS = ("A", "BB", "CCC", "D", "E")


def settings_of(rng: random.Random, folder: Path) -> Settings:
    """Draw a pipeline."""
    tolerance_ns = rng.choice([None, None, 0, 5, 40])
    return Settings.model_validate(
        {
            "pipeline": {
                "grace_ns": rng.choice([0, 7, 20]),
                "carry": rng.choice(["row", "column"]),
                "allow_exact": rng.random() < 0.7,
                "tolerance_ns": tolerance_ns,
            },
            "bus": {"partitions": rng.choice([1, 2, 3]), "schema_registry": str(folder / "schemas")},
            "worker": {
                "state": str(folder / "state"),
                "commit_interval_ms": 1,
                "checkpoint_interval_ms": rng.choice([1, 1_000_000]),
                "poll_messages_max": rng.choice([3, 17, 1_000]),
                "frame_rows_max": rng.choice([2, 1_000]),
                "last_known_interval_ms": rng.choice([1, 5, 1_000_000]),
                "guarantee": rng.choice(["exactly_once", "exactly_once", "at_least_once"]),
            },
        }
    )


def pipeline_of(settings: Settings) -> Pipeline:
    """Make the bus, its topics and schemas."""
    bus = MemoryBus()
    admin = bus.admin()
    apply(admin, plan(admin, topic_specs(settings)))
    registry = open_registry(settings.bus.schema_registry)
    for stream in (TRADE, QUOTE):
        registry.register(f"{settings.topic(stream.name)}-value", avro_schema(stream))
    streams = registered_streams(settings, registry, wait_s=0, on_wait=lambda _: None)
    return Pipeline(settings, bus, registry, streams)


class Feed:
    """Publishes the rows a step at a time, some of them out of order, as records or as blocks."""

    def __init__(self, rng: random.Random, pipeline: Pipeline, *, rows: int, disorder_ns: int) -> None:
        self._rng = rng
        self._pipeline = pipeline
        self._disorder_ns = disorder_ns
        settings = pipeline.settings
        self._encoders = {
            stream.name: RowEncoder(stream, pipeline.registry, settings.topic(stream.name))
            for stream in (TRADE, QUOTE)
        }
        self._producer = pipeline.bus.producer(transactional_id="feed")
        times = sorted(rng.randrange(rows) for _ in range(rows))
        self._left = [(now, "quote" if rng.random() < 0.7 else "trade") for now in times]
        self._upper_ns = rows + 1

    def steps(self) -> Iterator[None]:
        """Publish everything, in transactions of which some are aborted and sent again."""
        while self._left:
            tile, self._left = self._left[:10], self._left[10:]
            jitter = self._disorder_ns
            tile = sorted(tile, key=lambda row: row[0] + self._rng.randint(0, jitter))
            messages = list(self._messages(tile))
            if self._rng.random() < 0.2:
                self._send(messages)
                self._producer.abort()
            self._send(messages)
            if self._left and self._rng.random() < 0.3:
                self._send_progress(self._left[0][0] - self._disorder_ns, final=False)
            self._producer.commit()
            yield
        self._producer.begin()
        self._send_progress(self._upper_ns, final=True)
        self._producer.commit()
        yield

    def _messages(self, tile: list[tuple[int, str]]) -> Iterator[tuple[str, bytes, bytes]]:
        for now, stream in tile:
            symbol = self._rng.choice(SYMBOLS)
            rows = self._rows(stream, symbol, [now] * self._rng.choice([1, 1, 3]))
            encoder = self._encoders[stream]
            blocks = self._rng.random() < 0.5
            cuts = np.array([0, rows.num_rows], dtype=np.int64)
            encoded = encoder.blocks(rows, cuts) if blocks else encoder.records(rows)
            data = encoded.data.tobytes()
            for lower, upper in zip(encoded.starts[:-1], encoded.starts[1:], strict=True):
                yield stream, symbol.encode(), data[lower:upper]

    def _rows(self, stream: str, symbol: str, times: list[int]) -> pa.RecordBatch:
        rng = self._rng
        maybe = [rng.choice([None, float(rng.randrange(100))]) for _ in times]
        if stream == "trade":
            columns = [times, [symbol] * len(times), maybe, [rng.choice([None, "", "x" * 40]) for _ in times]]
            return pa.RecordBatch.from_arrays(
                [pa.array(c, f.type) for c, f in zip(columns, TRADE.schema, strict=True)], schema=TRADE.schema
            )
        other = [rng.choice([None, float(rng.randrange(100))]) for _ in times]
        columns = [times, [symbol] * len(times), maybe, other, [rng.choice(["N", "Q", None]) for _ in times]]
        return pa.RecordBatch.from_arrays(
            [pa.array(c, f.type) for c, f in zip(columns, QUOTE.schema, strict=True)], schema=QUOTE.schema
        )

    def _send(self, messages: list[tuple[str, bytes, bytes]]) -> None:
        self._producer.begin()
        for stream, key, value in messages:
            topic = self._pipeline.settings.topic(stream)
            partition = partition_of(key, self._pipeline.settings.bus.partitions)
            self._producer.produce(topic, partition=partition, key=key, value=value)

    def _send_progress(self, upper_ns: int, *, final: bool) -> None:
        settings = self._pipeline.settings
        for stream in settings.stream_names:
            value = encode_progress(self._pipeline.registry, Progress(stream, upper_ns, final, "simulation"))
            for partition in range(settings.bus.partitions):
                self._producer.produce(settings.topic(stream), partition=partition, key=None, value=value)
