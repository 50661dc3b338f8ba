"""Laws of co-partitioning on a real Kafka: another partitioner, and partitions that are added."""

import tomllib
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import tomli_w

from app.audit.topics import audit
from app.config import load_settings
from app.errors import RunError
from app.reading.aligned import read_aligned
from app.wiring.pipeline import Pipeline
from app.worker.assembly import open_worker
from tests.contract.bus.conftest import HASTY
from tests.contract.bus.grown import add_partitions
from tests.stage.day_runs import TRADES, DayRun, small_days, until
from tests.stage.programs import App, started
from topics.bus import TopicSpec
from topics.kafka.bus import KafkaBus
from topics.kafka.producer import KafkaProducer
from topics.memory.bus import MemoryBus
from topics.outgoing import Outgoing

pytestmark = [pytest.mark.broker, pytest.mark.takes_s(25)]

PARTITIONS = 3


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    """A small day on Kafka, with topics of its own that go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    prefix = f"test-{uuid4().hex[:12]}"
    run = DayRun.on(bus, small_days(tmp_path / "history"), tmp_path / "run", prefix, partitions=PARTITIONS)
    yield run
    kinds = ("trade", "quote", "aligned", "late", "dead", "last-known")
    copies = [f"{run.topic('quote')}-{kind}" for kind in ("copy", "short")]
    copies += (f"{prefix}-again.{kind}" for kind in kinds[2:])
    bus.admin().delete([*(run.topic(kind) for kind in kinds), *copies])


def publish_quotes_by_crc32(run: DayRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish the day as if quotes came from a producer with librdkafka's own partitioner."""
    written, quotes = KafkaProducer.produce_many, run.topic("quote")

    def by_crc32(producer: KafkaProducer, topic: str, messages: Outgoing) -> None:
        if topic == quotes:
            homes = np.array([zlib.crc32(key) % PARTITIONS for key in messages.keys], np.int32)
            messages = replace(messages, partition=homes[messages.key_code])
        written(producer, topic, messages)

    monkeypatch.setattr(KafkaProducer, "produce_many", by_crc32)
    run.publish("record")


def with_copied_quotes(run: DayRun, copy: str) -> DayRun:
    """The same inputs, but for the quotes, under another prefix."""
    config = tomllib.loads(run.config.read_text())
    config["streams"]["trade"]["topic"] = run.topic("trade")
    config["streams"]["quote"]["topic"] = copy
    config["pipeline"]["prefix"] += "-again"
    config["pipeline"]["grace_ns"] += 1_000_000  # record times have milliseconds
    config["worker"]["state"] = str(run.folder / "state-again")
    folder = run.folder / "again"
    folder.mkdir()
    (folder / "tidemark.toml").write_text(tomli_w.dumps(config))
    settings = load_settings(folder / "tidemark.toml")
    pipeline = Pipeline(settings, run.pipeline.bus, run.pipeline.registry, run.pipeline.formats)
    return DayRun(pipeline, run.days, folder)


def test_quotes_of_another_partitioner_are_refused_repartitioned_and_joined(
    run: DayRun, run_app: App, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish_quotes_by_crc32(run, monkeypatch)
    quotes = run.topic("quote")
    doctor = run_app("doctor", "--config", run.config)
    assert doctor.code == 1
    assert "problem: keys: stream quote: key '" in doctor.err
    refused = run_app("align", "--config", run.config, "--until-final")
    assert refused.code == 1
    last = refused.err.strip().splitlines()[-1]
    assert last.startswith("stopped: stream quote: key '")
    assert f"python -m app topics repartition --from {quotes} --to {quotes}-repartitioned" in last
    assert sum(rows.num_rows for n in range(PARTITIONS) for rows in read_aligned(run.pipeline, n)) == 0
    run.pipeline.bus.admin().create([TopicSpec(name=f"{quotes}-short", partitions=PARTITIONS, configs={})])
    short = run_app("topics", "repartition", "--from", quotes, "--to", f"{quotes}-short", "-c", run.config)
    assert short.code == 2
    assert "retention.ms is 604800000, not -1.  Delete the topic" in short.error
    copied = run_app("topics", "repartition", "--from", quotes, "--to", f"{quotes}-copy", "-c", run.config)
    assert copied.code == 0, copied.err
    assert f"15,000 messages copied from {quotes} (3 partitions) to {quotes}-copy (3)" in copied.out
    assert "Record times run back in what was copied by up to " in copied.out
    assert f'streams.quote.topic = "{quotes}-copy"' in copied.out
    again = with_copied_quotes(run, f"{quotes}-copy")
    assert run_app("topics", "apply", "--config", again.config).code == 0
    assert run_app("doctor", "--config", again.config).code == 0
    joined = run_app("align", "--config", again.config, "--until-final")
    assert joined.code == 0, joined.err
    report = audit(again.pipeline)
    assert report.violations == []
    assert (report.rows_aligned, report.rows_late.total()) == (TRADES, 0)
    embedded = DayRun.on(MemoryBus(), run.days, tmp_path / "embedded", "tidemark", partitions=1)
    embedded.publish()
    embedded.join()
    assert again.hash() == embedded.hash()
    more = run_app("topics", "repartition", "--from", quotes, "--to", f"{quotes}-copy", "-c", run.config)
    assert "0 messages copied" in more.out


def test_partitions_added_under_a_worker_stop_it_with_the_figures(run: DayRun) -> None:
    publication = run.publication(step_rows_max=6_000)
    publication.step()
    quotes = run.topic("quote")
    with started("app", "align", "--config", run.config) as worker:
        until(lambda: any(True for _ in read_aligned(run.pipeline, 0)), "the worker commits")
        add_partitions(run.pipeline.bus, quotes, PARTITIONS + 2)
        publication.run()
        publication.close()
        _, told = worker.communicate(timeout=30)
        assert worker.returncode == 1, told
    last = told.strip().splitlines()[-1]
    assert last.startswith("stopped: the inputs are joined by partition number over bus.partitions = 3")
    assert f"{quotes} has 5 partitions" in last
    assert f"--from {quotes} --to {quotes}-repartitioned --partitions 3" in last


def test_a_quiet_worker_hears_of_added_partitions_from_its_group(run: DayRun) -> None:
    worker = open_worker(run.pipeline)
    until(lambda: worker.turn() == 0 and len(worker.tasks) == PARTITIONS, "it has its tasks")
    for stream in ("trade", "quote"):
        add_partitions(run.pipeline.bus, run.topic(stream), PARTITIONS + 1)

    with pytest.raises(RunError, match=r"trade has 4, \S+quote has 4 partitions"):
        until(lambda: worker.turn() < 0, "the group gives it the new partitions")
    worker.close(failed=True)
