"""Seal latency under an offered load: how long from its release to its seal, and to being seen.

A row is released by the last message it waited for: the first on each input of its partition whose time is
beyond the row's by more than the grace.  Times are the wall clock's, so that both ends of the wire compare.
"""

import json
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from confluent_kafka import Consumer, Producer, TopicPartition

from app.config import Settings
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S
from schemas.frame import FrameHeaders, decode_frame
from tests.bench.kafka_load import (
    PARTITIONS,
    QUOTE,
    TRADE,
    Load,
    bench_settings,
    compose,
    make_topics,
    send,
)
from topics.encode import RowEncoder
from topics.kafka import KafkaBus
from topics.partitioner import partition_of
from topics.registry import open_registry

TICK_NS: Final = 5 * NS_PER_MS  # a request per partition and tick is what a broker can take
SYMBOLS: Final = 1_000
SETTLE_S: Final = 2.0  # the first rows pay for connections
DRAIN_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds at an offered rate: `seal` inside the worker, from a row's release being read to its frame
    being produced; `seen` from the release being produced to the row being in a reader's hands.
    """

    guarantee: str
    rows_per_second: int
    rows: int
    lost: int
    seal_ms: dict[str, float]
    seen_ms: dict[str, float]

    def line(self) -> str:
        """One line of the table."""
        told = "   ".join(
            f"{name} " + ", ".join(f"{q} {value:.2f}" for q, value in ms.items())
            for name, ms in (("seal ms", self.seal_ms), ("seen ms", self.seen_ms))
        )
        lost = f"   LOST {self.lost}" if self.lost else ""
        return f"{self.guarantee:<14}{self.rows_per_second:>8,} rows/s offered   {told}{lost}"

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values."""
        return asdict(self)


class Offer:
    """Publishes rows as they come due, each stamped with the moment, and remembers when each was sent."""

    def __init__(self, settings: Settings, load: Load) -> None:
        registry = open_registry(settings.bus.schema_registry)
        self._settings, self._load = settings, load
        self._encoders = {s.name: RowEncoder(s, registry, settings.topic(s.name)) for s in (TRADE, QUOTE)}
        self._producer = Producer({"bootstrap.servers": settings.bus.bootstrap, "linger.ms": 0})
        self._draw = np.random.default_rng(load.seed)
        self._names = pa.array([f"S{number:05d}" for number in range(SYMBOLS)])
        self._partition = np.array([partition_of(n.encode(), PARTITIONS) for n in self._names.to_pylist()])
        self.sent: dict[str, list[tuple[Int64s, Int64s, int]]] = {TRADE.name: [], QUOTE.name: []}

    def run(self, rows_per_second: int, seconds: float) -> None:
        """Offer for some seconds."""
        begun_ns = time.time_ns()
        offered = 0
        while (now_ns := time.time_ns()) - begun_ns < seconds * NS_PER_S:
            due = int((now_ns - begun_ns) * rows_per_second / NS_PER_S) - offered
            quotes = due * 4 // 5
            for stream, count in ((QUOTE, quotes), (TRADE, due - quotes)):
                if count > 0:
                    self._send(stream, count, now_ns)
            offered += due
            self._producer.poll(0)
            time.sleep(max(0, (now_ns + TICK_NS - time.time_ns()) / NS_PER_S))
        self._producer.flush()

    def _send(self, stream: Any, count: int, now_ns: int) -> None:
        symbol = self._draw.integers(0, SYMBOLS, count)
        event_ns = now_ns + np.arange(count)
        columns: list[pa.Array] = [pa.array(event_ns), self._names.take(pa.array(symbol))]
        for column in list(stream.schema)[2:]:
            text = column.type == pa.string()
            columns.append(pa.array(["N"] * count) if text else pa.array(self._draw.random(count)))
        rows = pa.RecordBatch.from_arrays(columns, schema=stream.schema)
        topic = self._settings.topic(stream.name)
        send(self._producer, topic, *compose(self._load, self._encoders[stream.name], rows))
        self.sent[stream.name].append((event_ns, self._partition[symbol], time.time_ns()))


class Reader(threading.Thread):
    """Reads the aligned topic as a model service would, and notes when each row was in hand."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.rows: list[tuple[int, Int64s, int, float]] = []  # partition, event_ns, seen_ns, seal ns
        self._consumer = Consumer(
            {
                "bootstrap.servers": settings.bus.bootstrap,
                "group.id": "bench-reader",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
            }
        )
        topic = settings.topic("aligned")
        self._consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])

    def run(self) -> None:
        """Read until told to stop."""
        while not self.stopping.is_set():
            message = self._consumer.poll(0.1)
            if message is None:
                continue
            assert message.error() is None, message.error()
            seen_ns = time.time_ns()
            headers = FrameHeaders.from_kafka(message.headers())
            rows = decode_frame(message.value())
            event_ns = rows.column("event_ns").to_numpy()
            self.rows.append(
                (message.partition(), event_ns, seen_ns, headers.sealed_ns - headers.released_ns)
            )
        self._consumer.close()


def measure_latency(
    bootstrap: str, folder: Path, rows_per_second: int, guarantee: str, *, seconds: float
) -> Latency:
    """Offer rows at a rate to one worker and read what it seals."""
    run = f"bench-{uuid4().hex[:8]}"
    load = Load(name="offered", quotes=1)
    settings = bench_settings(bootstrap, folder, load, prefix=run, inputs=run, guarantee=guarantee)
    make_topics(settings)
    told = {"settings": settings.model_dump(mode="json"), "rows": 0}
    file = folder / "latency.json"
    file.write_text(json.dumps(told))
    with (folder / "latency.log").open("w") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.kafka_contender", "serve", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert worker.stdout is not None
    assert worker.stdout.readline().strip() == "ready", f"the worker did not start: see {folder}/latency.log"
    reader = Reader(settings)
    reader.start()
    offer = Offer(settings, load)
    offer.run(rows_per_second, SETTLE_S + seconds)
    time.sleep(DRAIN_S / 5)
    worker.communicate("stop\n", timeout=60)
    time.sleep(DRAIN_S / 5)
    reader.stopping.set()
    reader.join()
    admin = KafkaBus(bootstrap).admin()
    admin.delete([f"{run}.{kind}" for kind in ("trade", "quote", "aligned", "late", "dead")])
    shutil.rmtree(folder / "state", ignore_errors=True)
    return _latency(offer, reader, rows_per_second, guarantee)


def _latency(offer: Offer, reader: Reader, rows_per_second: int, guarantee: str) -> Latency:
    """Compare when each row was released with when it was seen; the settling time does not count."""
    from_ns = int(offer.sent["quote"][0][0][0]) + int(SETTLE_S * NS_PER_S)
    seal, seen, lost = [], [], 0
    for partition in range(PARTITIONS):
        got = [rows for rows in reader.rows if rows[0] == partition]
        event_ns = np.concatenate([rows[1] for rows in got]) if got else np.empty(0, np.int64)
        seen_ns = np.concatenate([np.full(len(rows[1]), rows[2]) for rows in got]) if got else event_ns
        seal_ns = np.concatenate([np.full(len(rows[1]), rows[3]) for rows in got]) if got else event_ns
        released_ns = np.zeros(event_ns.size, np.int64)
        last_ns = np.iinfo(np.int64).max
        for name in ("trade", "quote"):
            times, sent_ns = _sent(offer, name, partition)
            place = np.searchsorted(times, event_ns, side="right")
            released_ns = np.maximum(released_ns, sent_ns[np.minimum(place, times.size - 1)])
            last_ns = min(last_ns, int(times[-1]))
        times, _ = _sent(offer, "trade", partition)
        lost += int(np.count_nonzero(times < last_ns)) - int(np.count_nonzero(event_ns < last_ns))
        counted = (event_ns >= from_ns) & (event_ns < last_ns)
        seen.append((seen_ns - released_ns)[counted])
        seal.append(seal_ns[counted])
    every = np.concatenate(seen)
    return Latency(
        guarantee=guarantee,
        rows_per_second=rows_per_second,
        rows=every.size,
        lost=lost,
        seal_ms=_quantiles(np.concatenate(seal)),
        seen_ms=_quantiles(every),
    )


def _sent(offer: Offer, name: str, partition: int) -> tuple[Int64s, Int64s]:
    """The times of a stream's rows in a partition, and when each was sent."""
    times, sent = [], []
    for event_ns, partitions, sent_ns in offer.sent[name]:
        here = event_ns[partitions == partition]
        times.append(here)
        sent.append(np.full(here.size, sent_ns))
    return np.concatenate(times), np.concatenate(sent)


def _quantiles(ns: npt.NDArray[Any]) -> dict[str, float]:
    if not ns.size:
        return {}
    p50, p99, most = np.quantile(ns, [0.5, 0.99, 1.0]) / NS_PER_MS
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(most), 3)}
