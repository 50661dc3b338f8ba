"""Two workers with one slot on a real Kafka: the newcomer is refused, unless the other one has ended."""

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import Popen
from time import monotonic
from uuid import uuid4

import pytest

from app.wiring.slot import occupant_of
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import DayRun, small_days, until
from tests.stage.programs import started
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(60)]

SESSION_S = 60  # longer than anybody here waits


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    """A day without its end, for workers that stay."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    days = small_days(tmp_path / "history")
    settings = {"partitions": 1, "session_timeout_ms": SESSION_S * 1_000}
    made = DayRun.on(bus, days, tmp_path / "run", f"test-{uuid4().hex[:12]}", **settings)
    publication = made.publication(step_rows_max=6_000)
    publication.step()
    yield made
    publication.close()
    kinds = ("trade", "quote", "aligned", "late", "dead", "last-known")
    bus.admin().delete([made.topic(kind) for kind in kinds])


def has_joined(run: DayRun) -> bool:
    standing = run.pipeline.bus.admin().group(run.pipeline.settings.pipeline.prefix)
    return any(member.partitions for member in standing.members)


def pid_in_slot(run: DayRun) -> int:
    occupant = occupant_of(run.pipeline.bus.admin(), run.pipeline.settings)
    return 0 if occupant is None else occupant.pid


def errors_of(worker: Popen[str]) -> str:
    return worker.communicate(timeout=40)[1]


def test_a_newcomer_is_refused_while_the_slot_is_in_use_and_takes_it_over_only_when_asked(
    run: DayRun,
) -> None:
    align = ("app", "align", "--config", run.config)
    with started(*align) as older:
        until(lambda: has_joined(run), "the worker joins")
        with started(*align) as newcomer:
            words = errors_of(newcomer)
            assert newcomer.returncode == 2, words
        host = re.escape(socket.gethostname())
        at = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        assert re.search(rf"slot 0 is in use by {host} \(pid {older.pid}\) since {at}; take another", words)
        assert older.poll() is None
        with started(*align, "--take-over") as heir:
            last = errors_of(older).strip().splitlines()[-1]
            assert older.returncode == 1, last
            assert re.search(rf"slot 0 was started again at {at} on {host} \(pid {heir.pid}\)", last), last
            heir.send_signal(signal.SIGTERM)
            assert heir.wait(20) == 0


def test_the_heir_of_a_killed_worker_starts_at_once_in_its_slot(run: DayRun) -> None:
    align = ("app", "align", "--config", run.config)
    with started(*align) as killed:
        until(lambda: has_joined(run), "the worker joins")
        killed.kill()
        begun_s = monotonic()
        with started(*align) as heir:
            until(lambda: pid_in_slot(run) == heir.pid, "a commit names the heir")
            assert monotonic() - begun_s < SESSION_S / 2
            heir.send_signal(signal.SIGTERM)
            assert heir.wait(20) == 0, errors_of(heir)


def test_a_worker_without_tasks_that_came_again_is_not_put_out_by_a_newcomer(run: DayRun) -> None:
    align = ("app", "align", "--config", run.config)
    with started(*align) as owner:
        until(lambda: has_joined(run), "the worker joins")
        with started(*align, "--slot", "1") as killed:
            until(lambda: members(run) == 2, "the other one joins")
            killed.kill()
        note = run.pipeline.settings.worker.state / run.pipeline.settings.pipeline.prefix / "slot-1"
        with started(*align, "--slot", "1") as heir:
            until(lambda: f":{heir.pid}:" in note.read_text(), "the heir has the slot")
            with started(*align, "--slot", "1") as newcomer:
                words = errors_of(newcomer)
                assert newcomer.returncode == 2, words
            assert f"(pid {heir.pid})" in words
            heir.send_signal(signal.SIGTERM)
            assert heir.wait(20) == 0
        owner.send_signal(signal.SIGTERM)
        assert owner.wait(20) == 0


def members(run: DayRun) -> int:
    return len(run.pipeline.bus.admin().group(run.pipeline.settings.pipeline.prefix).members)
