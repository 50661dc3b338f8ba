"""A small market on the embedded bus: rows within grace or beyond it, silences, and times too far ahead."""

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
MAX_AHEAD_NS = 1_000  # beyond the longest market
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
                "idle_after_ms": rng.choice([None, None, 1, 5]),
                "max_ahead_ns": rng.choice([None, MAX_AHEAD_NS]),
                "max_ahead_of": rng.choice(["wall", "inputs"]),
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
    """Publishes the rows a step at a time, some of them out of order, as records or as blocks.

    Now and then a stream falls silent and returns, a heartbeat goes into one partition alone, and, where
    there is a limit, a row or a heartbeat lies beyond it.  `wall_ns` is the wall clock, which leaps at times.
    """

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
        self._newest_ns = self._last_ns = rows
        self._held: dict[str, list[tuple[int, str]]] = {}  # what silent streams have not said yet
        self.wall_ns = 0

    def steps(self) -> Iterator[None]:
        """Publish everything, in transactions of which some are aborted and sent again."""
        self._producer.begin()
        self._send_progress(0, final=False)  # by the inputs the first word is taken, whatever its time
        self._producer.commit()
        while self._left:
            tile, self._left = self._left[:10], self._left[10:]
            jitter = self._disorder_ns
            tile = sorted(tile, key=lambda row: row[0] + self._rng.randint(0, jitter))
            messages = list(self._messages([*self._audible(tile), *self._too_far_ahead()]))
            if self._rng.random() < 0.2:
                self._send(messages)
                self._producer.abort()
            self._send(messages)
            if self._left and self._rng.random() < 0.3:
                self._send_progress(self._left[0][0] - self._disorder_ns, final=False)
            self._producer.commit()
            yield
        self.wall_ns = max(self.wall_ns, self._newest_ns)
        self._send(list(self._messages([row for rows in self._held.values() for row in rows])))
        self._held = {}
        self._send_progress(self._newest_ns + 1, final=True)
        self._producer.commit()
        yield

    def _audible(self, tile: list[tuple[int, str]]) -> list[tuple[int, str]]:
        """The rows of the streams that speak now; a stream that returns says first what it held back."""
        said: list[tuple[int, str]] = []
        if self._held and self._rng.random() < 0.3:
            _, said = self._held.popitem()
        elif not self._held and self._rng.random() < 0.15:
            self._held[self._rng.choice(["trade", "quote"])] = []
        for row in tile:
            self._held.get(row[1], said).append(row)
        return said

    def _too_far_ahead(self) -> list[tuple[int, str]]:
        """Rows beyond the limit as it stands; the wall clock may have moved when they are read."""
        asked = self._pipeline.settings.pipeline
        if asked.max_ahead_ns is None or self._rng.random() < 0.7:
            return []
        # After a restart the inputs are taken to have come up to a grace further than they have.
        time_ns = self._last_ns + asked.grace_ns + asked.max_ahead_ns + self._rng.randint(2, 50)
        if asked.max_ahead_of == "wall":
            time_ns += self.wall_ns
            self.wall_ns += self._rng.choice([0, 0, 2 * asked.max_ahead_ns])
            self._newest_ns = max(self._newest_ns, time_ns)
        return [(time_ns, self._rng.choice(["trade", "quote"]))]

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
        """A heartbeat into every partition of the streams that speak, or into one of them alone."""
        settings = self._pipeline.settings
        places = [
            (stream, partition)
            for stream in settings.stream_names
            for partition in range(settings.bus.partitions)
            if stream not in self._held
        ]
        if not final and upper_ns and self._rng.random() < 0.3:
            places = [self._rng.choice(places)]
        for stream, partition in places:
            value = encode_progress(self._pipeline.registry, Progress(stream, upper_ns, final, "simulation"))
            self._producer.produce(settings.topic(stream), partition=partition, key=None, value=value)
