"""Laws of whole runs on a real Kafka: the rows of the embedded bus, whatever is killed, and nothing lost."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.audit.topics import audit
from app.reading.aligned import read_aligned
from app.reading.partition import read_partition
from app.worker.assembly import open_worker
from replay.store.day import Day
from schemas.frame import FrameHeaders, encode_frame, layout_fingerprint
from schemas.letters import DeadLetter, LateLetter
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import QUOTES, TRADES, DayRun, small_days, until
from tests.stage.programs import App, started
from topics.avro.encode import RowEncoder
from topics.block import Original, TopicPartition
from topics.bus import TopicSpec
from topics.catalogue import HISTORY_CONFIGS
from topics.kafka.bus import KafkaBus
from topics.memory.bus import MemoryBus
from topics.partitioner import partition_of

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(95)]

MakeRun = Callable[..., DayRun]

GRAPH = """
[graph.tick]
from = "aligned"
[graph.tick.features]
double = "price * 2"
"""


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Day]:
    return small_days(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def embedded_hash(days: list[Day], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the embedded bus makes of the day, with one partition, one worker and blocks."""
    run = DayRun.on(MemoryBus(), days, tmp_path_factory.mktemp("embedded"), "tidemark", partitions=1)
    run.publish()
    run.join()
    return run.hash()


@pytest.fixture
def make_run(kafka_bootstrap: str, days: list[Day], tmp_path: Path) -> Iterator[MakeRun]:
    """Makes a run on Kafka, with topics of its own that go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    topics: list[str] = []

    def make(**worker: object) -> DayRun:
        run = DayRun.on(bus, days, tmp_path / "run", f"test-{uuid4().hex[:12]}", **worker)
        topics.extend(run.topic(kind) for kind in ("trade", "quote", "aligned", "late", "dead", "last-known"))
        return run

    yield make
    bus.admin().delete(topics)


def assert_clean(run: DayRun) -> None:
    report = audit(run.pipeline)
    assert report.violations == []
    assert report.rows_aligned == report.rows_in["trade"] - report.rows_late["trade"] == TRADES


@pytest.mark.parametrize(
    ("partitions", "workers", "shape", "written"),
    [(1, 1, "block", "frame"), (3, 2, "record", "frame"), (3, 1, "record", "avro"), (1, 2, "block", "avro")],
)
def test_kafka_gives_the_rows_of_the_embedded_bus(
    make_run: MakeRun, embedded_hash: str, partitions: int, workers: int, shape: str, written: str
) -> None:
    run = make_run(partitions=partitions, format=written)
    run.publish(shape)
    run.join(workers)
    assert run.hash() == embedded_hash
    assert_clean(run)


def sealed(run: DayRun) -> int:
    return sum(rows.num_rows for number in range(3) for rows in read_aligned(run.pipeline, number))


def test_a_worker_told_to_stop_commits_and_its_successor_goes_on(
    make_run: MakeRun, embedded_hash: str
) -> None:
    run = make_run()
    publication = run.publication(step_rows_max=6_000)
    publication.step()
    with started("app", "align", "--config", run.config) as worker:
        until(lambda: sealed(run) > 0, "the worker commits")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0, worker.stderr.read() if worker.stderr else ""
    assert sealed(run) < TRADES
    publication.run()
    publication.close()
    with started("app", "align", "--config", run.config, "--until-final") as worker:
        assert worker.wait(30) == 0, worker.stderr.read() if worker.stderr else ""
    assert run.hash() == embedded_hash
    assert_clean(run)


def originals(run: DayRun, kind: str, partition: int) -> list[Original]:
    source = TopicPartition(run.topic(kind), partition)
    return [
        block.originals[message]
        for block in read_partition(run.pipeline.bus, source, group="test")
        for message in range(block.messages)
    ]


def test_late_rows_and_dead_letters_lie_in_their_topics_with_the_reason(make_run: MakeRun) -> None:
    run = make_run()
    run.publish()
    worker = open_worker(run.pipeline)
    quote = run.days[1]
    row = next(quote.batches(rows=1))
    key = row.column("symbol")[0].as_py().encode()
    partition = partition_of(key, 3)
    encoded = RowEncoder(quote.stream, run.pipeline.registry, run.topic("quote")).records(row)
    until(
        lambda: worker.turn() == 0 and [task.operator.final for task in worker.tasks.values()] == [True] * 3,
        "all is sealed",
    )
    worker.commit()
    late = encoded.data.tobytes()
    dead = [(key, b"garbage"), (None, late), (key, b"\x00\x7f\xff\xff\xff" + late[5:])]
    producer = run.pipeline.bus.producer()
    for sent_key, value in [(key, late), *dead]:
        producer.produce(run.topic("quote"), partition=partition, key=sent_key, value=value)
    producer.flush()
    task = worker.tasks[partition]
    until(lambda: worker.turn() == 0 and task.counts.dead == 3, "the worker has judged them")
    worker.close()
    (letter,) = originals(run, "late", partition)
    headers = LateLetter.from_kafka(letter.headers)
    assert (letter.key, letter.value) == (key, late)
    assert (headers.stream, headers.topic, headers.partition) == ("quote", run.topic("quote"), partition)
    assert headers.indexes == (0,)
    assert headers.lateness_ns == headers.frontier_ns - row.column("event_ns")[0].as_py()
    letters = originals(run, "dead", partition)
    assert [(letter.key, letter.value) for letter in letters] == dead
    reasons = [DeadLetter.from_kafka(letter.headers) for letter in letters]
    assert [reason.offset for reason in reasons] == [headers.offset + n for n in (1, 2, 3)]
    assert all(reason.topic == run.topic("quote") and reason.reason for reason in reasons)
    report = audit(run.pipeline)
    assert (report.rows_late["quote"], report.rows_dead, report.violations) == (1, 3, [])


def test_the_audit_names_a_row_that_should_not_be_there(make_run: MakeRun, run_app: App) -> None:
    run = make_run()
    run.publish()
    run.join()
    clean = run_app("audit", "--config", run.config)
    assert clean.code == 0, clean.err
    assert f"quote: {QUOTES:,} rows in, 0 late" in clean.out
    assert "audit: clean" in clean.out
    number, rows = next((n, rows) for n in range(3) for rows in read_aligned(run.pipeline, n))
    headers = FrameHeaders(
        layout=layout_fingerprint(rows.schema),
        complete_ns=0,
        rows=1,
        released_ns=0,
        sealed_ns=0,
        newest_ns=0,
    )
    producer = run.pipeline.bus.producer()
    producer.produce(
        run.topic("aligned"),
        partition=number,
        key=None,
        value=encode_frame(rows.slice(0, 1)),
        headers=headers.to_kafka(),
    )
    producer.flush()
    found = run_app("audit", "--config", run.config)
    assert found.code == 1
    assert f"partition {number}: 2 rows duplicated" in found.out
    assert str(rows.column("event_ns")[0].as_py()) in found.out


def test_topics_of_somebody_else_are_joined_as_they_are(
    make_run: MakeRun, run_app: App, embedded_hash: str
) -> None:
    run = make_run()
    admin, inputs = run.pipeline.bus.admin(), [run.topic("trade"), run.topic("quote")]
    admin.delete(inputs)
    configs = {"message.timestamp.type": "LogAppendTime"}
    admin.create([TopicSpec(name=name, partitions=3, configs=configs) for name in inputs])
    planned = run_app("topics", "plan", "--config", run.config)
    assert planned.code == 0
    for name in inputs:
        assert (
            f"note    {name} has message.timestamp.type LogAppendTime: record times say when" in planned.out
        )
        assert (
            f"note    {name} has retention.ms 604800000: a worker that is away for longer than 7 days"
            in planned.out
        )
    run.publish("record")
    run.join()
    assert run.hash() == embedded_hash
    assert_clean(run)


def test_a_topic_that_was_created_anew_under_a_stopped_group_is_refused_in_one_line_with_the_way_out(
    make_run: MakeRun, run_app: App
) -> None:
    run = make_run()
    run.publish()
    run.join()
    rows, group = run.hash(), run.pipeline.settings.pipeline.prefix
    admin, topic = run.pipeline.bus.admin(), run.topic("quote")
    committed = admin.group(group).committed
    admin.delete([topic])
    admin.create([TopicSpec(name=topic, partitions=3, configs=HISTORY_CONFIGS)])
    until(lambda: len(admin.group(group).committed) == 3, "the broker drops the offsets")
    for words in (
        "no offset is committed, but ",
        "before the topic was deleted and created anew (its id was ",
    ):
        refused = run_app("align", "--config", run.config, "--until-final")
        last = refused.err.strip().splitlines()[-1]
        assert (refused.code, last[:9]) == (1, "stopped: "), refused.err
        assert f"{topic}[" in last
        assert words in last
        assert f"stop all workers of {group}, and run `python -m app reset -c " in last
        examined = run_app("doctor", "--config", run.config)
        assert examined.code == 1
        assert words in examined.err
        until(lambda: admin.group(group).state == "empty", "the static member's session is over")
        observer = run.pipeline.bus.consumer(group=group)
        observer.commit(committed)  # as a broker has them that was away when the topic was deleted
        observer.close()
    assert run.hash() == rows


def test_a_worker_with_a_feature_that_changed_under_its_name_is_refused_before_it_joins_the_group(
    make_run: MakeRun, run_app: App
) -> None:
    run = make_run(partitions=1)
    run.publish()
    plain = run.config.read_text()
    run.config.write_text(f"{plain}{GRAPH}")
    locked = run_app("graph", "lock", "-c", run.config)
    assert (locked.code, locked.out.splitlines()[0]) == (0, "added    tick.double@1")
    run.config.write_text(f"{plain}{GRAPH.replace('* 2', '* 3')}")
    refused = run_app("align", "-c", run.config, "--until-final")
    assert refused.code == 2
    assert "tick.double@1 meant price * 2, now price * 3" in refused.err
    assert list(read_aligned(run.pipeline, 0)) == []
    assert run_app("graph", "adopt", "tick.double", "-c", run.config).code == 0
    assert run_app("align", "-c", run.config, "--until-final").code == 0
    assert sum(rows.num_rows for rows in read_aligned(run.pipeline, 0)) == TRADES
