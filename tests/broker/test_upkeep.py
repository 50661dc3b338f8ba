"""A group on a real Kafka is drained, kept, forgotten and given back, and its rows come once."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from uuid import uuid4

import pytest

from app.wiring.pipeline import Pipeline, member_config
from app.worker.assembly import open_worker
from app.worker.worker import Worker
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import TRADES, DayRun, small_days, until
from tests.stage.programs import App
from topics.kafka.bus import KafkaBus

pytestmark = pytest.mark.broker

SESSION_S = 45  # as in Kubernetes: whoever waited for it would be seen to


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    bus = KafkaBus(kafka_bootstrap, HASTY)
    days = small_days(tmp_path / "history")
    prefix = f"test-{uuid4().hex[:12]}"
    run = DayRun.on(
        bus,
        days,
        tmp_path / "run",
        prefix,
        partitions=2,
        session_timeout_ms=SESSION_S * 1_000,
        state=tmp_path,
    )
    yield run
    bus.admin().delete([run.topic(kind) for kind in ("trade", "quote", "aligned", "late", "dead")])
    bus.admin().delete_group(prefix)


def static_worker(run: DayRun, slot: str, *, until_final: bool = False) -> Worker:
    """A worker that keeps its tasks as it ends."""
    own = run.pipeline.with_slot(slot)
    bus = KafkaBus(own.settings.bus.bootstrap, {**HASTY, **member_config(own.settings)})
    return open_worker(Pipeline(own.settings, bus, own.registry, own.formats), until_final=until_final)


def test_a_slot_is_drained_and_commits_outlive_the_group_that_made_them(run: DayRun, run_app: App) -> None:
    publication = run.publication(step_rows_max=6_000)
    publication.step()
    workers = [static_worker(run, "0"), static_worker(run, "1")]
    until(
        lambda: [w.turn() for w in workers] == [0, 0] and all(len(w.tasks) == 1 for w in workers),
        "a task each",
    )
    admin, group = run.pipeline.bus.admin(), run.pipeline.settings.pipeline.prefix
    until(
        lambda: [w.turn() for w in workers] == [0, 0] and len(admin.group(group).committed) == 4,
        "all is read, and the first commits are there",
    )
    stays, goes = workers
    goes.close()
    begun_s = monotonic()
    told = run_app("drain", "--slot", "1", "--config", run.config)
    assert (told.code, "2 partitions given up; the group has 1 workers left" in told.out) == (0, True), told
    until(lambda: stays.turn() == 0 and len(stays.tasks) == 2, "it has the tasks of both")
    assert monotonic() - begun_s < SESSION_S / 2
    stays.close()
    assert run_app("drain", "--slot", "0", "--config", run.config).code == 0

    commits = run.folder / "commits.json"
    assert run_app("group", "export", commits, "--config", run.config).code == 0
    before = admin.group(group).committed
    admin.delete_group(group)
    assert "4 positions committed" in run_app("group", "import", commits, "--config", run.config).out
    assert admin.group(group).committed == before
    again = run_app("group", "import", commits, "--config", run.config)
    assert (again.code, "has committed 4 positions already" in again.err) == (2, True)
    checked = run_app("upgrade-check", "--config", run.config)
    assert checked.code == 0, checked
    assert "offsets.retention.minutes" in checked.out

    publication.run()
    publication.close()
    worker = static_worker(run, "0", until_final=True)
    worker.run(lambda: monotonic() > begun_s + 120)
    worker.close()
    assert run.aligned().num_rows == TRADES
    assert run_app("drain", "--slot", "0", "--config", run.config).code == 0
