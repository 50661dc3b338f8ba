"""What an operator asks of a real Kafka: watermarks of a live group, dead letters sent back, the doctor."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.worker.assembly import open_worker
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import DayRun, small_days, until
from tests.stage.programs import App, started
from topics.bus import Producer
from topics.kafka.bus import KafkaBus

pytestmark = pytest.mark.broker


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    """A small day on Kafka, with topics of its own that go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    days = small_days(tmp_path / "history")
    run = DayRun.on(bus, days, tmp_path / "run", f"test-{uuid4().hex[:12]}", partitions=2)
    yield run
    bus.admin().delete([run.topic(kind) for kind in ("trade", "quote", "aligned", "late", "dead")])


def verdicts(run_app: App, run: DayRun) -> tuple[int, list[str], Any]:
    answer = run_app("watermarks", "--config", run.config, "--json")
    told = json.loads(answer.out)
    return answer.code, [task["verdict"] for task in told["tasks"]], told


def test_a_group_is_seen_from_outside_from_before_its_first_worker_until_it_is_done(
    run: DayRun, run_app: App
) -> None:
    assert verdicts(run_app, run)[:2] == (1, ["empty", "empty"])
    publication = run.publication(step_rows_max=6_000)
    publication.step()
    code, found, told = verdicts(run_app, run)
    assert (code, found, told["state"]) == (1, ["unowned"] * 2, "empty")
    assert all(figures["tail_ns"] for task in told["tasks"] for figures in task["inputs"])
    worker = open_worker(run.pipeline)
    until(lambda: worker.turn() == 0 and len(worker.tasks) == 2, "all is read")
    worker.commit()
    _, found, told = verdicts(run_app, run)
    assert set(found) <= {"running", "quiet", "lag"}, told
    assert [task["workers"] for task in told["tasks"]] == [[f"{run.pipeline.settings.pipeline.prefix}-0"]] * 2
    waiting = [task["inputs"][0]["rows_waiting"] for task in told["tasks"]]
    assert waiting == [worker.tasks[n].operator.held("trade")[0] for n in range(2)]
    publication.run()
    publication.close()
    tasks = worker.tasks.values()
    until(lambda: worker.turn() == 0 and all(task.operator.final for task in tasks), "all is final")
    worker.close()
    assert verdicts(run_app, run)[:2] == (0, ["final"] * 2)
    shown = run_app("watermarks", "--config", run.config)
    assert "2 of 2 tasks: done" in shown.out


def send(producer: Producer, run: DayRun, value: bytes) -> None:
    producer.produce(run.topic("quote"), partition=1, key=b"A", value=value)


def test_dead_letters_are_listed_shown_and_sent_back_once(run: DayRun, run_app: App) -> None:
    run.publish()
    producer = run.pipeline.bus.producer()
    send(producer, run, b"garbage")
    send(producer, run, b"\x00\x7f\xff\xff\xff nobody knows this schema")
    producer.flush()
    run.join()
    worker = open_worker(run.pipeline)
    until(lambda: worker.turn() == 0 and len(worker.tasks) == 2, "all is read")
    worker.close()
    listed = run_app("dead", "list", "--config", run.config, "--json")
    letters = [json.loads(line) for line in listed.out.splitlines()]
    assert [(letter["topic"], letter["partition"]) for letter in letters] == [(run.topic("quote"), 1)] * 2
    shown = run_app("dead", "show", letters[0]["place"], "--config", run.config)
    assert b"garbage".hex(" ") in shown.out
    chosen = ["dead", "replay", "--config", run.config, "--reason", "schema id"]
    assert "1 letters would be sent" in run_app(*chosen, "--dry-run").out
    assert "1 letters sent to their topics" in run_app(*chosen).out
    again = run_app(*chosen)
    assert "0 letters sent to their topics" in again.out
    assert "1 passed over: sent before" in again.out
    listed = run_app("dead", "list", "--config", run.config)
    assert listed.out.count("replayed") == 1
    assert "2 dead letters" in listed.out


def test_the_doctor_finds_a_pipeline_that_runs_well(run: DayRun, run_app: App) -> None:
    run.publish()
    answer = run_app("doctor", "--config", run.config, "--json")
    found = {finding["what"]: finding for finding in json.loads(answer.out)}
    assert answer.code == 0, answer.err
    assert found["broker"]["level"] == found["topics"]["level"] == found["streams"]["level"] == "ok"


def test_a_watch_looks_again_and_again_until_it_is_told_to_stop(run: DayRun) -> None:
    with started("app", "watermarks", "--config", run.config, "--watch", "--json") as watching:
        assert watching.stdout is not None
        first, second = (json.loads(watching.stdout.readline()) for _ in range(2))
        assert first["now_ns"] < second["now_ns"]
        assert {task["verdict"] for task in second["tasks"]} == {"empty"}
        watching.send_signal(signal.SIGTERM)
        assert watching.wait(10) == 0
