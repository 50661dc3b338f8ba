"""Audits of a pipeline that runs on a real Kafka: no healthy row is called wrong, and a fault is found.

make kafka    # prints host:port
python -m tests.broker.test_audit_living --bootstrap HOST:PORT --runs 20
"""

import argparse
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pyarrow as pa
import pytest
from confluent_kafka import TopicPartition as Place

from app.audit.cut import read_cuts
from app.audit.report import AuditReport
from app.audit.topics import audit
from app.config import Settings
from app.process.clock import now_ns, pause
from app.reading.partition import read_partition
from app.wiring.pipeline import Pipeline, topic_specs
from app.wiring.schemas import registered_streams
from app.worker.assembly import open_worker
from schemas.clocks import NS_PER_MS
from schemas.frame import FrameHeaders
from tests.contract.bus.conftest import HASTY
from tests.simulation.scene import QUOTE, TRADE
from tests.stage.day_runs import until
from tests.stage.programs import compile_kernels
from tests.stage.retention import delete_records
from topics.avro.encode import RowEncoder
from topics.avro.schema import avro_schema
from topics.block import TopicPartition
from topics.catalogue import apply, plan
from topics.kafka.bus import KafkaBus
from topics.partitioner import partition_of
from topics.registry.open import open_registry

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(60)]

PARTITIONS = 3
RUNS = 3
GRACE_MS = 40
WIDE_NS, NARROW_NS = 400 * NS_PER_MS, 30 * NS_PER_MS
PATIENCE_S = 120.0  # while other tests use the machine
SYMBOLS = [f"S{n}" for n in range(9)]


def tolerances_of(seed: int) -> tuple[int, int]:
    """The tolerance of the first half and that of the second: odd seeds raise it, even ones lower it."""
    return (NARROW_NS, WIDE_NS) if seed % 2 else (WIDE_NS, NARROW_NS)


def change_of(seed: int) -> str:
    """How an audit tells of it."""
    return "tolerance 30 ms -> 400 ms" if seed % 2 else "tolerance 400 ms -> 30 ms"


def settings_of(folder: Path, tolerance_ns: int) -> Settings:
    return Settings.model_validate(
        {
            "pipeline": {
                "prefix": f"test-{uuid4().hex[:12]}",
                "grace_ns": GRACE_MS * NS_PER_MS,
                "idle_after_ms": 250,
                "tolerance_ns": tolerance_ns,
            },
            "bus": {"partitions": PARTITIONS, "schema_registry": str(folder / "schemas")},
            "worker": {"state": str(folder / "state"), "commit_interval_ms": 50, "frame_rows_max": 3},
            "graph": {"cost": {"from": "aligned", "features": {"twice": "price * 2"}, "out": {}}},
        }
    )


class Pair:
    """Two workers, each in a thread, of a pipeline whose settings may change from one start to the next."""

    def __init__(self, bootstrap: str, settings: Settings) -> None:
        self._bus = KafkaBus(bootstrap, HASTY)
        self._registry = open_registry(settings.bus.schema_registry)
        specs = topic_specs(settings)
        self.topics = [spec.name for spec in specs]
        apply(self._bus.admin(), plan(self._bus.admin(), specs))
        for stream in (TRADE, QUOTE):
            self._registry.register(f"{settings.topic(stream.name)}-value", avro_schema(stream))
        self.pipeline = self._plan(settings)
        self._workers: dict[str, tuple[threading.Event, threading.Thread]] = {}
        self._raised: list[Exception] = []

    def start(self, slot: str) -> None:
        """Start a worker with the settings of now."""
        stop, pipeline = threading.Event(), self.pipeline.with_slot(slot)

        def work() -> None:
            try:
                worker = open_worker(pipeline)
                worker.run(stop.is_set)
                worker.close()
            except Exception as raised:
                self._raised.append(raised)
                raise

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        self._workers[slot] = (stop, thread)

    def restart(self, slot: str) -> None:
        """Let a worker leave its group, and come again."""
        self._stop(slot)
        self.start(slot)

    def set_tolerance(self, tolerance_ns: int) -> None:
        """Take other settings, for workers started from now on, and for audits."""
        settings = self.pipeline.settings
        own = settings.pipeline.model_copy(update={"tolerance_ns": tolerance_ns})
        self.pipeline = self._plan(settings.model_copy(update={"pipeline": own}))

    def close(self) -> None:
        """Stop the workers and delete their topics."""
        for slot in list(self._workers):
            self._stop(slot)
        self._bus.admin().delete(self.topics)
        assert not self._raised, self._raised

    def _stop(self, slot: str) -> None:
        stop, thread = self._workers.pop(slot)
        stop.set()
        thread.join()

    def _plan(self, settings: Settings) -> Pipeline:
        streams = registered_streams(settings, self._registry, wait_s=0, on_wait=lambda _: None)
        return Pipeline(settings, self._bus, self._registry, streams)


class Feed:
    """Publishes rows of now, out of order, a few of them late, with silences longer than the idle limit."""

    def __init__(self, pipeline: Pipeline, seed: int) -> None:
        self._rng = random.Random(seed)
        self._settings = pipeline.settings
        self._producer = pipeline.bus.producer()
        self._stop = threading.Event()
        self._encoders = {
            shape.name: RowEncoder(shape, pipeline.registry, pipeline.settings.topic(shape.name))
            for shape in (TRADE, QUOTE)
        }
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._producer.flush()
        self._producer.close()

    def _run(self) -> None:
        silent_until_ns = 0
        while not self._stop.is_set():
            if self._rng.random() < 0.02:
                silent_until_ns = now_ns() + 600 * NS_PER_MS
            for shape in (TRADE, QUOTE):
                if shape is TRADE or now_ns() > silent_until_ns:
                    self._send(shape.name, shape.schema)
            pause(0.02)

    def _send(self, stream: str, schema: pa.Schema) -> None:
        for symbol in self._rng.sample(SYMBOLS, 4):
            age_ms = self._rng.choice([0, 5, 30, 30, 200 if self._rng.random() < 0.1 else 0])
            row = {"event_ns": now_ns() - age_ms * NS_PER_MS, "symbol": symbol}
            row |= {"price": 2.5} if stream == "trade" else {"bid": float(self._rng.randrange(9))}
            encoded = self._encoders[stream].records(pa.RecordBatch.from_pylist([row], schema=schema))
            self._producer.produce(
                self._settings.topic(stream),
                partition=partition_of(symbol.encode(), PARTITIONS),
                key=symbol.encode(),
                value=encoded.data.tobytes(),
            )


@contextmanager
def scene(bootstrap: str, folder: Path, seed: int) -> Iterator[Pair]:
    with ExitStack() as ends:
        pair = Pair(bootstrap, settings_of(folder, tolerances_of(seed)[0]))
        ends.callback(pair.close)
        for slot in ("0", "1"):
            pair.start(slot)
        ends.callback(Feed(pair.pipeline, seed).close)
        until(lambda: len(read_cuts(pair.pipeline)) == PARTITIONS, "every task has committed")
        yield pair


def audited(pair: Pair) -> AuditReport:
    return audit(pair.pipeline, read_cuts(pair.pipeline))


def play(bootstrap: str, folder: Path, runs: int, seed: int) -> list[AuditReport]:
    """Audit under load, while workers leave and come again and from half-way on by another tolerance."""
    reports = []
    with scene(bootstrap, folder, seed) as pair:
        for run in range(runs):
            if run == runs // 2:
                pair.set_tolerance(tolerances_of(seed)[1])
            moving = threading.Thread(target=pair.restart, args=(str(run % 2),))
            moving.start()
            report = audited(pair)
            moving.join()
            assert not report.violations, (seed, run, report.violations)
            # Grace and idle limits are what they were all the time, so every letter can be judged.
            assert report.reach.passed_over.letters == 0, (seed, run)
            reports.append(report)
        pair.restart("0")
        pair.restart("1")
        until(
            lambda: len([c for c in audited(pair).rule_changes if c.words == change_of(seed)]) == PARTITIONS,
            "rows are matched by the new tolerance",
            PATIENCE_S,
        )
        reports.append(audited(pair))
        assert not reports[-1].violations, (seed, reports[-1].violations)
        _forget(bootstrap, pair, random.Random(seed))
        reports.append(audited(pair))
        assert not reports[-1].violations, (seed, reports[-1].violations)
        assert reports[-1].reach.passed_over.rows.total() > 0
        _send_again(pair)
        until(lambda: bool(audited(pair).violations), "a frame that was sent again is found")
        kinds = {violation.kind for _, violation in audited(pair).violations}
        assert "duplicated" in kinds, kinds
    return reports


def _forget(bootstrap: str, pair: Pair, rng: random.Random) -> None:
    """Delete the beginnings of partitions, as retention would, as far as no worker needs them."""
    settings = pair.pipeline.settings
    admin = pair.pipeline.bus.admin()
    positions = admin.group(settings.pipeline.prefix).committed
    sources = [TopicPartition(topic, n) for topic in pair.topics for n in range(PARTITIONS)]
    ends = {source: log.stable for source, log in admin.ranges(sources).items()}
    ends |= {source: position.offset for source, position in positions.items()}
    kept = {settings.topic("tasks")}  # which workers read back
    cuts = [
        Place(source.topic, source.partition, rng.randint(end // 4, end // 2))
        for source, end in ends.items()
        if source.topic not in kept
    ]
    delete_records(bootstrap, cuts)


def _send_again(pair: Pair) -> None:
    """Plant a fault: the first frame of a partition once more."""
    source = TopicPartition(pair.pipeline.settings.topic("aligned"), 0)
    block = next(read_partition(pair.pipeline.bus, source, group="test"))
    frame = block.originals[0]
    assert FrameHeaders.from_kafka(frame.headers).rows
    producer = pair.pipeline.bus.producer()
    producer.produce(source.topic, partition=0, key=None, value=frame.value, headers=frame.headers)
    producer.flush()
    producer.close()


def test_audits_of_a_pipeline_that_runs_are_right(kafka_bootstrap: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1_000)
    reports = play(kafka_bootstrap, tmp_path, RUNS, seed)
    assert all(report.rows_aligned for report in reports)
    assert sum(report.reach.rows_since + report.reach.unread.total() for report in reports) > 0


def main() -> None:
    """Play as many runs as are asked for, and print what each audit saw."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--bootstrap", required=True, help="host:port of a Kafka")
    parser.add_argument("--runs", type=int, default=20, help="how many audits")
    parser.add_argument("--seed", type=int, default=1, help="of the feed; odd: the tolerance is raised")
    asked = parser.parse_args()
    compile_kernels()  # a worker that compiles them is away from its group for too long
    with TemporaryDirectory() as folder:
        reports = play(asked.bootstrap, Path(folder), asked.runs, asked.seed)
    for report in reports:
        reach = report.reach
        sys.stdout.write(
            f"{report.rows_aligned} rows right, {dict(report.rows_late)} late, {reach.rows_waiting} wait, "
            f"{reach.rows_since} sealed since, {dict(reach.unread)} unread\n"
        )


if __name__ == "__main__":
    main()
