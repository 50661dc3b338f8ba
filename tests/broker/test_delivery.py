"""Laws of delivery on a real Kafka: rebuilt from topics alone, scaled while running, killed at least once."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition as Place

from app.audit.topics import audit
from app.worker.assembly import open_worker
from replay.store.day import Day
from tests.contract.bus.conftest import HASTY, HASTY_CONSUMER_PROTOCOL
from tests.stage.day_runs import TRADES, DayRun, small_days, until
from tests.stage.programs import started
from tests.stage.retention import delete_records
from topics.block import TopicPartition
from topics.kafka.bus import KafkaBus
from topics.kafka.settings import GroupProtocol
from topics.memory.bus import MemoryBus

pytestmark = pytest.mark.broker

MakeRun = Callable[..., DayRun]
KINDS = ("trade", "quote", "aligned", "late", "dead", "last-known")


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> list[Day]:
    return small_days(tmp_path_factory.mktemp("history"))


@pytest.fixture(scope="module")
def embedded_hash(days: list[Day], tmp_path_factory: pytest.TempPathFactory) -> str:
    run = DayRun.on(MemoryBus(), days, tmp_path_factory.mktemp("embedded"), "tidemark", partitions=1)
    run.publish()
    run.join()
    return run.hash()


@pytest.fixture
def make_run(kafka_bootstrap: str, days: list[Day], tmp_path: Path) -> Iterator[MakeRun]:
    topics: list[str] = []

    def make(group_protocol: GroupProtocol = "classic", **worker: object) -> DayRun:
        hasty = HASTY if group_protocol == "classic" else HASTY_CONSUMER_PROTOCOL
        bus = KafkaBus(kafka_bootstrap, hasty, group_protocol=group_protocol)
        name = f"test-{uuid4().hex[:12]}"
        run = DayRun.on(bus, days, tmp_path / "run", name, group_protocol=group_protocol, **worker)
        topics.extend(run.topic(kind) for kind in KINDS)
        return run

    yield make
    KafkaBus(kafka_bootstrap, HASTY).admin().delete(topics)


def drop_what_is_not_needed(run: DayRun, bootstrap: str) -> None:
    """Cut the quotes off below the restart offsets, as retention might."""
    reader = run.pipeline.bus.consumer(group=run.pipeline.settings.pipeline.prefix)
    quotes = [TopicPartition(run.topic("quote"), number) for number in range(3)]
    cuts = [
        Place(place.topic, place.partition, position.offset)
        for place, position in reader.committed(quotes).items()
        if position is not None
    ]
    reader.close()
    assert len(cuts) == 3
    assert all(cut.offset > 0 for cut in cuts)
    delete_records(bootstrap, cuts)


@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_a_worker_is_rebuilt_from_topics_alone(
    make_run: MakeRun, embedded_hash: str, kafka_bootstrap: str, guarantee: str
) -> None:
    run = make_run(guarantee=guarantee)
    publication = run.publication("record", step_rows_max=9_000)
    publication.step()
    first = open_worker(run.pipeline)
    until(lambda: first.turn() == 0 and bool(first.tasks) and not first.turn(), "the first half is read")
    first.close()
    shutil.rmtree(run.pipeline.settings.worker.state)
    drop_what_is_not_needed(run, kafka_bootstrap)
    publication.run()
    publication.close()
    run.join()
    assert run.hash() == embedded_hash


@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_workers_come_and_go_while_rows_flow(
    make_run: MakeRun, embedded_hash: str, group_protocol: GroupProtocol
) -> None:
    run = make_run(group_protocol)
    publication = run.publication(step_rows_max=4_000)
    workers = [open_worker(run.pipeline.with_slot("0"))]

    def owned() -> list[int]:
        for worker in workers:
            worker.turn()
        return [len(worker.tasks) for worker in workers]

    publication.step()
    until(lambda: owned() == [3], "one worker has every task")
    workers.append(open_worker(run.pipeline.with_slot("1")))
    until(lambda: sorted(owned()) == [1, 2], "two workers share them")
    publication.step()
    owned()
    workers.pop(0).close()
    until(lambda: owned() == [3], "the one that stays has them all")
    publication.run()
    publication.close()
    until(lambda: owned() == [3] and all(t.operator.final for t in workers[0].tasks.values()), "all is read")
    workers[0].close()
    assert run.hash() == embedded_hash
    assert audit(run.pipeline).violations == []


def test_killed_at_least_once_no_row_is_lost_and_those_that_come_again_are_equal(make_run: MakeRun) -> None:
    run = make_run(guarantee="at_least_once", failpoint="commit-end")
    run.publish()
    with started("app", "align", "--config", run.config, "--until-final") as worker:
        assert worker.wait(30) == -signal.SIGKILL, worker.stderr.read() if worker.stderr else ""
    shutil.rmtree(run.pipeline.settings.worker.state)
    run.config.write_text(run.config.read_text().replace("commit-end", ""))
    with started("app", "align", "--config", run.config, "--until-final") as worker:
        assert worker.wait(40) == 0, worker.stderr.read() if worker.stderr else ""
    report = audit(run.pipeline)
    assert report.violations == []
    assert report.rows_aligned == TRADES
