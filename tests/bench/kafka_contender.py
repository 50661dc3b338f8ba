"""`python -m tests.bench.kafka_contender NAME CONFIG.json` reads the offered rows once.

Each contender is a process of its own, so that its CPU time (all its threads) and its memory are its own.
The clock runs from the moment the inputs are assigned, when fetching begins, to the last row done with.
"""

import gc
import json
import resource
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro
import numpy as np
import structlog
from confluent_kafka import Consumer, Producer, TopicPartition

from app.config import Settings
from app.wiring.pipeline import Pipeline, member_config, warm_up
from app.wiring.schemas import registered_streams
from app.worker.assembly import open_worker
from app.worker.endpoint import Endpoint
from app.worker.worker import Worker
from schemas.frame import LEFT_OFFSET, FrameHeaders, decode_frame
from tests.bench.asof_memory import status_mb
from tests.bench.kafka_processes import note_messages, ready_until_told
from topics.kafka.bus import KafkaBus
from topics.kafka.settings import CONSUMER, PRODUCER
from topics.registry.open import open_registry

if TYPE_CHECKING:
    from schemas.batch import Int64s

CONSUME_MESSAGES = 20_000
CONSUME_WAIT_S = 0.05  # `consume` waits this long for the last, partial block
SAMPLE_S = 0.5
# What `watch` writes down.
SEEN_COLUMNS = ("partition", "event_ns", LEFT_OFFSET, "seen_ns", "released_ns", "sealed_ns")
QUIX_SECONDS = 20.0  # it is some thirty times slower: a share of the rows tells its speed


class Measure:
    """Wall and CPU time between `begin` and `end`, and what the process then holds."""

    def __init__(self) -> None:
        self.begun_ns = 0
        self._cpu_ns = 0

    def begin(self, now_ns: int | None = None, cpu_ns: int | None = None) -> None:
        """Fetching begins, now or at a moment noted before; only the first call counts."""
        if not self.begun_ns:
            self.begun_ns = time.monotonic_ns() if now_ns is None else now_ns
            self._cpu_ns = time.process_time_ns() if cpu_ns is None else cpu_ns

    def end(self, rows: int) -> dict[str, Any]:
        """The figures of `rows` input rows."""
        ended_ns, cpu_ns = time.monotonic_ns(), time.process_time_ns() - self._cpu_ns
        return self.figures(rows, ended_ns, cpu_ns)

    def figures(self, rows: int, ended_ns: int, cpu_ns: int) -> dict[str, Any]:
        """The figures where the end was seen earlier."""
        return {
            "rows": rows,
            "begun_ns": self.begun_ns,
            "ended_ns": ended_ns,
            "cpu_s": cpu_ns / 1e9,
            "rss_mb": status_mb("VmRSS"),
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        }

    @property
    def cpu_ns(self) -> int:
        """CPU time of the process since `begin`."""
        return time.process_time_ns() - self._cpu_ns


def bare(config: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The bare client: consume and join the values, which is what every Python program pays first."""
    consumer, measure = _assigned(settings, config["group"])
    messages = size = 0
    while messages < config["messages"]:
        block = consumer.consume(CONSUME_MESSAGES, CONSUME_WAIT_S)
        values = b"".join([message.value() for message in block])
        messages += len(block)
        size += len(values)
    figures = measure.end(config["rows"])
    consumer.close()
    return figures


def copy(config: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The bare client, copying every message to another topic in transactions of the worker's interval."""
    consumer, measure = _assigned(settings, config["group"])
    producer = Producer(
        {
            **PRODUCER,
            "bootstrap.servers": settings.bus.bootstrap,
            "transactional.id": config["group"],
        }
    )
    producer.init_transactions()
    messages = 0
    while messages < config["messages"]:
        producer.begin_transaction()
        until = time.monotonic() + settings.worker.commit_interval_ms / 1e3
        while time.monotonic() < until and messages < config["messages"]:
            block = consumer.consume(CONSUME_MESSAGES, CONSUME_WAIT_S)
            for message in block:
                producer.produce(config["to"], message.value(), message.key())
            messages += len(block)
        producer.send_offsets_to_transaction(
            consumer.position(consumer.assignment()), consumer.consumer_group_metadata()
        )
        producer.commit_transaction()
    figures = measure.end(config["rows"])
    consumer.close()
    return figures


def quix(config: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Quix Streams' join_asof over the same topics, exactly once; counts input rows for some seconds."""
    from quixstreams import Application
    from quixstreams.models.serializers import Deserializer
    from quixstreams.models.serializers.exceptions import IgnoreMessage

    registry = open_registry(settings.bus.schema_registry)
    schemas: dict[int, Any] = {}

    class Avro(Deserializer):
        """The Confluent wire format, read by fastavro as Quix' own deserializer does."""

        def __init__(self) -> None:
            """Hide the base's constructor, which has no types."""

        def __call__(self, value: bytes, ctx: Any) -> Any:
            number = int.from_bytes(value[1:5], "big")
            if number not in schemas:
                schemas[number] = fastavro.parse_schema(json.loads(registry.schema(number)))
            if schemas[number]["name"] == "tidemark.Progress":
                raise IgnoreMessage
            return fastavro.schemaless_reader(BytesIO(value[5:]), schemas[number], None)

    measure = Measure()
    app = Application(
        broker_address=settings.bus.bootstrap,
        consumer_group=config["group"],
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        state_dir=config["state"],
        loglevel="ERROR",
    )
    done = [0]
    last = [0, 0]

    def count(row: Any) -> Any:
        measure.begin()
        done[0] += 1
        if done[0] % 500 == 0:
            last[:] = [time.monotonic_ns(), measure.cpu_ns]
            if last[0] - measure.begun_ns > QUIX_SECONDS * 1e9:
                app.stop()
        return row

    trade, quote = (
        app.dataframe(app.topic(settings.topic(name), value_deserializer=Avro())).apply(count)
        for name in ("trade", "quote")
    )
    joined = trade.join_asof(quote, how="left", on_merge=lambda left, right: {**(right or {}), **left})
    joined.to_topic(app.topic(config["to"], value_serializer="json"))
    app.run(timeout=10)
    return measure.figures(done[0], last[0], last[1])


def tidemark(config: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The worker, as `python -m app align` runs it."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    bus = KafkaBus(settings.bus.bootstrap, member_config(settings))
    registry = open_registry(settings.bus.schema_registry)
    streams = registered_streams(settings, registry, wait_s=5, on_wait=lambda _: None)
    pipeline = Pipeline(settings, bus, registry, streams)
    warm_up(settings)
    measure = Measure()
    worker = open_worker(pipeline, until_final=True)
    ended_ns = cpu_ns = 0
    samples: list[tuple[float, int, float]] = []  # second, rows, resident MB
    while not worker.finished():
        waited_from_ns, cpu_from_ns = time.monotonic_ns(), time.process_time_ns()
        messages = worker.turn()
        if worker.tasks:
            measure.begin(waited_from_ns, cpu_from_ns)
        if messages and measure.begun_ns:
            ended_ns, cpu_ns = time.monotonic_ns(), measure.cpu_ns
            second = (ended_ns - measure.begun_ns) / 1e9
            if not samples or second - samples[-1][0] >= SAMPLE_S:
                samples.append((second, _rows(worker), status_mb("VmRSS")))
    figures = measure.figures(_rows(worker), ended_ns, cpu_ns) | {"samples": samples}
    worker.close()
    return figures


def _rows(worker: Worker) -> int:
    return sum(one.rows_in for task in worker.tasks.values() for one in task.readings.values())


def serve(config: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The worker without an end: says `ready` once it owns its tasks, runs until a line comes in."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    bus = KafkaBus(settings.bus.bootstrap, member_config(settings))
    registry = open_registry(settings.bus.schema_registry)
    streams = registered_streams(settings, registry, wait_s=5, on_wait=lambda _: None)
    warm_up(settings)
    gc.freeze()  # as `app align` does
    endpoint = Endpoint(settings)
    pipeline = Pipeline(settings, bus, registry, streams)
    worker = open_worker(pipeline, ledger=endpoint.ledger, health=endpoint.health)
    endpoint.opened(worker)
    while len(worker.tasks) < settings.bus.partitions:
        worker.turn()
    measure = Measure()
    measure.begin()
    worker.run(ready_until_told().is_set)
    figures = measure.end(_rows(worker))
    worker.close()
    endpoint.close()
    return figures


def watch(config: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """A reader of outputs, by name in `seen`, that does nothing but note when each frame was in its hands.

    Says `ready`, reads until a line comes in, and only then opens the frames: an entry per row in the file of
    its output.
    """
    files = {settings.topic(name): file for name, file in config["seen"].items()}
    noted = note_messages(settings, *files)
    for topic, file in files.items():
        of_topic = [(seen_ns, message) for seen_ns, message in noted if message.topic() == topic]
        columns: dict[str, list[Int64s]] = {name: [np.empty(0, np.int64)] for name in SEEN_COLUMNS}
        for seen_ns, message in of_topic:
            headers = FrameHeaders.from_kafka(message.headers())
            rows = decode_frame(message.value())
            for name in ("event_ns", LEFT_OFFSET):
                columns[name].append(rows.column(name).to_numpy())
            for name, value in (
                ("partition", message.partition()),
                ("seen_ns", seen_ns),
                ("released_ns", headers.released_ns),
                ("sealed_ns", headers.sealed_ns),
            ):
                columns[name].append(np.full(rows.num_rows, value))
        np.save(file, np.stack([np.concatenate(columns[name]) for name in SEEN_COLUMNS]))
    return {"frames": len(noted)}


CONTENDERS: dict[str, Callable[[dict[str, Any], Settings], dict[str, Any]]] = {
    "bare": bare,
    "copy": copy,
    "quix": quix,
    "tidemark": tidemark,
    "serve": serve,
    "watch": watch,
}


def _assigned(settings: Settings, group: str) -> tuple[Consumer, Measure]:
    """A bare consumer of both inputs from their beginning, fetching as our own does but for the checksums."""
    consumer = Consumer(
        {
            **CONSUMER,
            "check.crcs": False,
            "enable.partition.eof": False,
            "bootstrap.servers": settings.bus.bootstrap,
            "group.id": group,
        }
    )
    consumer.list_topics()  # connected, as a member of a group is when it is given its partitions
    measure = Measure()
    measure.begin()
    consumer.assign(
        [
            TopicPartition(settings.topic(name), number, 0)
            for name in settings.stream_names
            for number in range(settings.bus.partitions)
        ]
    )
    return consumer, measure


def main(name: str, file: str) -> None:
    """Run one contender and print its figures."""
    config = json.loads(Path(file).read_text())
    settings = Settings.model_validate(config["settings"])
    print(json.dumps(CONTENDERS[name](config, settings)), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
