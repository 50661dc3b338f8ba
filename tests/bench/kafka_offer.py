"""Rows offered at a rate, each partition in its turn: encoded before, so that the feed costs little."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
from confluent_kafka import Producer

from app.config import Settings
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from schemas.stream import Stream
from tests.bench.kafka_load import OPEN_NS, PARTITIONS, QUOTE, TRADE, Load, compose
from topics.avro.encode import RowEncoder
from topics.kafka.native.writer import NativeWriter
from topics.outgoing import Outgoing
from topics.partitioner import partition_of
from topics.registry.open import open_registry
from topics.wire import Encoded

# One partition's turn comes after another's, as a client's linger spreads them.  Every 2 ms, the requests by
# themselves fill the core that the broker has here, at 10,000 rows a second as at 50,000.
STEP_NS: Final = 10 * NS_PER_MS
SYMBOLS: Final = 1_000
QUOTE_SHARE: Final = 0.8
_CLIENT: Final = "bench-feed"
_POLL_NS_MIN: Final = NS_PER_MS  # the client waits in whole milliseconds


@dataclass(slots=True)
class Lane:
    """One stream's rows of one partition.  Row `i` is due `due_ns[i]` after the start; `stops[k]` rows were
    sent by `sent_ns[k]`, and acknowledged by `acked_ns[k]`.
    """

    topic: str
    partition: int
    event_ns: Int64s
    messages: Outgoing
    due_ns: Int64s
    stops: list[int] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)
    acked_ns: list[int] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """How many rows were sent."""
        return self.stops[-1] if self.stops else 0

    def send(self, client: Any, writer: NativeWriter, elapsed_ns: int) -> None:
        """Send what is due; the last message alone tells when all of them are acknowledged."""
        first, stop = self.sent, int(np.searchsorted(self.due_ns, elapsed_ns))
        if first == stop:
            return
        last = stop - 1
        written, error = writer.write(self.topic, self.messages, first, last)
        assert error is None, f"the feed's queue took {written - first} of {last - first} messages: {error}"
        place = len(self.stops)

        def acknowledged(error: Any, _: Any) -> None:
            assert error is None, error
            self.acked_ns[place] = time.time_ns()

        starts = self.messages.values.starts
        client.produce(
            self.topic,
            self.messages.values.data[starts[last] : starts[stop]].tobytes(),
            self.messages.keys[int(self.messages.key_code[last])],
            self.partition,
            on_delivery=acknowledged,
        )
        self.stops.append(stop)
        self.sent_ns.append(time.time_ns())
        self.acked_ns.append(0)


class Offer:
    """All rows of a number of seconds, ready to be sent as they come due."""

    def __init__(self, settings: Settings, rows_per_second: int, seconds: float) -> None:
        self.lanes: dict[tuple[str, int], Lane] = {}
        for stream, share in ((QUOTE, QUOTE_SHARE), (TRADE, 1 - QUOTE_SHARE)):
            self._prepare(settings, stream, rows_per_second * share, seconds)
        self._client = Producer(
            {
                "bootstrap.servers": settings.bus.bootstrap,
                "client.id": _CLIENT,
                "linger.ms": 0,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        self._writer = NativeWriter(self._client, _CLIENT)

    def run(self) -> None:
        """Offer everything."""
        begun_ns, step = time.monotonic_ns(), 0
        while any(lane.sent < lane.due_ns.size for lane in self.lanes.values()):
            self._wait_until(begun_ns + step * STEP_NS)
            for lane in self.lanes.values():
                if lane.partition == step % PARTITIONS:
                    lane.send(self._client, self._writer, time.monotonic_ns() - begun_ns)
            step += 1
        self._client.flush()

    def _wait_until(self, due_ns: int) -> None:
        """Serve the client meanwhile: acknowledgements are noted as they come."""
        self._client.poll(0)
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            if left_ns >= _POLL_NS_MIN:
                self._client.poll(left_ns / NS_PER_S)
            else:
                time.sleep(left_ns / NS_PER_S)

    def _prepare(self, settings: Settings, stream: Stream, rows_per_second: float, seconds: float) -> None:
        count = int(rows_per_second * seconds)
        due_ns = (np.arange(1, count + 1) * (NS_PER_S / rows_per_second)).astype(np.int64)
        lanes = stream_lanes(settings, stream, OPEN_NS + due_ns, due_ns)
        self.lanes |= {(stream.name, lane.partition): lane for lane in lanes}


def stream_lanes(settings: Settings, stream: Stream, event_ns: Int64s, due_ns: Int64s) -> list[Lane]:
    """Rows of a stream with these times as the messages of each partition, in the order of `due_ns`."""
    draw = np.random.default_rng([7, stream is TRADE])
    names = [f"S{number:05d}" for number in range(SYMBOLS)]
    partition_by_name = np.array([partition_of(name.encode(), PARTITIONS) for name in names])
    symbol = draw.integers(0, SYMBOLS, event_ns.size)
    topic = settings.topic(stream.name)
    encoder = RowEncoder(stream, open_registry(settings.bus.schema_registry), topic)
    lanes = []
    for partition in range(PARTITIONS):
        mine = np.flatnonzero(partition_by_name[symbol] == partition)
        columns: list[pa.Array] = [pa.array(event_ns[mine]), pa.array(names).take(pa.array(symbol[mine]))]
        for column in list(stream.schema)[2:]:
            text = column.type == pa.string()
            values = ["N"] * mine.size if text else draw.random(mine.size)
            columns.append(pa.array(values))
        rows = pa.RecordBatch.from_arrays(columns, schema=stream.schema)
        encoded, keys, codes = compose(Load(name="offered", quotes=mine.size), encoder, rows)
        messages = _outgoing(encoded, keys, codes, partition)
        lanes.append(Lane(topic, partition, event_ns[mine], messages, due_ns[mine]))
    return lanes


def _outgoing(encoded: Encoded, keys: list[bytes], codes: Int64s, partition: int) -> Outgoing:
    count = encoded.messages
    return Outgoing(
        encoded,
        keys,
        codes.astype(np.int32),
        np.full(count, partition, np.int32),
        np.zeros(count, np.int64),
    )
