"""The feed of a simulation: periods of rows out of order, silences, bursts, heartbeats, and bad input."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from app.wiring.pipeline import Pipeline
from tests.simulation.scene import RULED, shapes_of
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress
from topics.partitioner import partition_of
from topics.wire import Progress

SYMBOLS = ("A", "BB", "CCC", "D", "E")
WORDS = (None, "", "N", "x" * 40)
BURST = 25  # rows of one symbol and time

Rows = list[tuple[int, str]]  # (event_ns, stream)


@dataclass(frozen=True, slots=True)
class Message:
    """A message for a stream's topic."""

    stream: str
    key: bytes
    value: bytes


class Feed:
    """Publishes periods of rows a step at a time, some of them out of order, as records or as blocks.

    Now and then a stream falls silent and returns, a heartbeat goes into one partition alone, a message
    cannot be read, a row breaks a rule, and, where there is a limit, a row lies beyond it.  Each period ends
    with final records; the last one may do so below the newest row.  `wall_ns` is the wall clock, which leaps
    at times.
    """

    def __init__(
        self, rng: random.Random, pipeline: Pipeline, *, rows: int, periods: int, disorder_ns: int
    ) -> None:
        self._rng = rng
        self._pipeline = pipeline
        self._disorder_ns = disorder_ns
        settings = pipeline.settings
        self._shapes = shapes_of(settings)
        self._encoders = {
            name: RowEncoder(shape, pipeline.registry, settings.topic(name))
            for name, shape in self._shapes.items()
        }
        self._producer = pipeline.bus.producer(transactional_id="feed")
        # A bounded run that looks ahead seals the rest of a period at its end: nothing comes for so long.
        self._night_ns = 1 + (pipeline.asof.hold_ns)
        length_ns = rows // periods + self._night_ns
        self._periods = [self._drawn(n * length_ns, rows // periods) for n in range(periods)]
        self._newest_ns = self._last_ns = periods * length_ns
        self._left: Rows = []
        self._held: dict[str, Rows] = {}  # what silent streams have not said yet
        self._newest_sent_ns = 0
        self.wall_ns = 0

    def steps(self) -> Iterator[None]:
        """Publish everything, in transactions of which some are aborted and sent again."""
        self._producer.begin()
        self._send_progress(0, final=False)  # by the inputs the first word is taken, whatever its time
        self._producer.commit()
        for number, period in enumerate(self._periods):
            yield from self._period(period)
            last = number == len(self._periods) - 1
            self.wall_ns = max(self.wall_ns, self._newest_ns)
            self._send(list(self._messages([row for rows in self._held.values() for row in rows])))
            self._held = {}
            upper_ns = self._newest_sent_ns + self._night_ns
            if last and self._rng.random() < 0.2:
                upper_ns -= self._rng.randrange(40)  # rows lie beyond it
            self._send_progress(upper_ns, final=True)
            self._producer.commit()
            yield

    def _drawn(self, start_ns: int, rows: int) -> Rows:
        rights = [name for name in self._shapes if name != "trade"]
        times = sorted(start_ns + self._rng.randrange(rows) for _ in range(rows))
        return [(now, self._rng.choice(rights) if self._rng.random() < 0.7 else "trade") for now in times]

    def _period(self, rows: Rows) -> Iterator[None]:
        self._left = rows
        while self._left:
            tile, self._left = self._left[:10], self._left[10:]
            jitter = self._disorder_ns
            tile = sorted(tile, key=lambda row: row[0] + self._rng.randint(0, jitter))
            messages = list(self._messages([*self._audible(tile), *self._too_far_ahead()]))
            if self._rng.random() < 0.1:
                stream, symbol = self._rng.choice([*self._shapes]), self._rng.choice(SYMBOLS)
                bad = self._rng.choice([b"", b"\x00junk", b"\x00" * 9])
                messages.insert(self._rng.randint(0, len(messages)), Message(stream, symbol.encode(), bad))
            if self._rng.random() < 0.2:
                self._send(messages)
                self._producer.abort()
            self._send(messages)
            if self._left and self._rng.random() < 0.3:
                self._send_progress(self._left[0][0] - self._disorder_ns, final=False)
            self._producer.commit()
            yield

    def _audible(self, tile: Rows) -> Rows:
        """The rows of the streams that speak now; a stream that returns says first what it held back."""
        said: Rows = []
        if self._held and self._rng.random() < 0.3:
            _, said = self._held.popitem()
        elif not self._held and self._rng.random() < 0.15:
            self._held[self._rng.choice([*self._shapes])] = []
        for row in tile:
            self._held.get(row[1], said).append(row)
        return said

    def _too_far_ahead(self) -> Rows:
        """Rows beyond the limit as it stands; the wall clock may have moved when they are read."""
        asked = self._pipeline.settings.pipeline
        if asked.max_ahead_ns is None or self._rng.random() < 0.7:
            return []
        # After a restart the inputs are taken to have come up to a grace further than they have.
        grace_ns = max(self._pipeline.asof.grace_ns.values())
        time_ns = self._last_ns + self._night_ns + grace_ns + asked.max_ahead_ns + self._rng.randint(2, 50)
        if asked.max_ahead_of == "wall":
            time_ns += self.wall_ns
            self.wall_ns += self._rng.choice([0, 0, 2 * asked.max_ahead_ns])
            self._newest_ns = max(self._newest_ns, time_ns)
        return [(time_ns, self._rng.choice([*self._shapes]))]

    def _messages(self, tile: Rows) -> Iterator[Message]:
        for now, stream in tile:
            if now < self._last_ns or self._pipeline.settings.pipeline.max_ahead_of == "wall":
                self._newest_sent_ns = max(self._newest_sent_ns, now)
            symbol = self._rng.choice(SYMBOLS)
            count = BURST if self._rng.random() < 0.02 else self._rng.choice([1, 1, 1, 3])
            rows = self._rows(stream, symbol, now, count)
            encoder = self._encoders[stream]
            blocks = self._rng.random() < 0.5
            cuts = np.array([0, rows.num_rows], dtype=np.int64)
            encoded = encoder.blocks(rows, cuts) if blocks else encoder.records(rows)
            data = encoded.data.tobytes()
            for lower, upper in zip(encoded.starts[:-1], encoded.starts[1:], strict=True):
                yield Message(stream, symbol.encode(), data[lower:upper])

    def _rows(self, stream: str, symbol: str, now: int, count: int) -> pa.RecordBatch:
        schema = self._shapes[stream].schema
        columns = [
            pa.array([self._value(stream, field, symbol, now) for _ in range(count)], field.type)
            for field in schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=schema)

    def _value(self, stream: str, field: pa.Field, symbol: str, now: int) -> object:
        rng = self._rng
        given: dict[str, object] = {"event_ns": now, "symbol": symbol, "sequence": rng.randrange(4)}
        if field.name in given:
            return given[field.name]
        if field.type == pa.string():
            return rng.choice(WORDS)
        lowest = -5 if field.name == RULED[stream] else 0
        return None if rng.random() < 0.4 else float(rng.randrange(lowest, 60))

    def _send(self, messages: list[Message]) -> None:
        self._producer.begin()
        for message in messages:
            topic = self._pipeline.settings.topic(message.stream)
            partition = partition_of(message.key, self._pipeline.settings.bus.partitions)
            self._producer.produce(topic, partition=partition, key=message.key, value=message.value)

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
