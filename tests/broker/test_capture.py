"""A capture on a real Kafka while its worker is killed, and its replay without a broker."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.capture.folder import Captured
from app.reading.aligned import read_aligned
from tests.contract.bus.conftest import HASTY
from tests.stage.day_runs import DayRun, small_days, until
from tests.stage.graphs import graph_file
from tests.stage.programs import App, started
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(60)]

GRAPH = """\
[worker]
state_interval_ms = 200
[graph.tick]
from = "aligned"
[graph.tick.features]
mid = "(quote_bid_price + quote_ask_price) / 2"
vol = "rolling_std(mid, rows=20)"
ever = "ewma(mid, span=20, memory='genesis')"
[graph.tick.out]
"""


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    """A graph on Kafka, with topics of its own that go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    config = graph_file(tmp_path, GRAPH)
    days = small_days(tmp_path / "history")
    run = DayRun.on(bus, days, tmp_path / "run", f"test-{uuid4().hex[:12]}", config=config)
    yield run
    settings = run.pipeline.settings
    bus.admin().delete([settings.topic(name) for name in (*settings.stream_names, *settings.output_names)])


def sealed(run: DayRun) -> int:
    return sum(rows.num_rows for number in range(3) for rows in read_aligned(run.pipeline, number))


def test_what_is_captured_while_a_worker_is_killed_is_replayed_to_the_bit(
    run: DayRun, run_app: App, tmp_path: Path
) -> None:
    folder = tmp_path / "captured"
    publication = run.publication(step_rows_max=3_000)
    words = ("graph", "capture", "--edge", "tick", "--for", "9m", "--out", folder, "-c", run.config)
    with started("app", "align", "--config", run.config) as worker:
        publication.step()
        until(lambda: sealed(run) > 0, "the worker commits", 120)
        with started("app", *words) as capture:
            assert capture.stderr is not None
            assert capture.stderr.readline().startswith("capturing tick from row ")
            publication.step()
            before = sealed(run)
            publication.step()
            until(lambda: sealed(run) > before, "the worker goes on", 120)
            worker.kill()
            worker.wait()
            with started("app", "align", "--config", run.config) as successor:
                publication.step()
                before = sealed(run)
                publication.run()
                publication.close()
                until(lambda: sealed(run) > before, "its successor goes on", 120)
                capture.terminate()
                out, err = capture.communicate(timeout=60)
                assert capture.returncode == 0, err
                successor.terminate()
                successor.wait(20)
    assert f"{folder}: tick over " in out
    spans = Captured.read(folder).spans
    assert sum(span.rows["aligned"] for span in spans) > 0
    assert any(span.lower.parity("tick").rows for span in spans), "it began in the middle"
    answer = run_app("graph", "replay", folder, "--to", "tick")
    assert answer.code == 0, answer.out + answer.err
    assert answer.out.splitlines()[-1].split("  ")[-1].startswith("equal, parity ")
