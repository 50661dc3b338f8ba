"""After the first day, on a real Kafka and by commands: joined once more, let out, looked at."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.audit.topics import audit
from tests.contract.bus.conftest import HASTY
from tests.contract.registry.http_registry import http_registry
from tests.stage.day_runs import DayRun, small_days
from tests.stage.foreign import JSON_TRADE, ForeignMarket
from tests.stage.programs import ROOT, App, started
from topics.kafka.bus import KafkaBus
from topics.registry.open import open_registry

pytestmark = [pytest.mark.broker, pytest.mark.takes_s(30)]


@pytest.fixture
def run(kafka_bootstrap: str, tmp_path: Path) -> Iterator[DayRun]:
    """A small day on Kafka, with topics of its own that go with the test."""
    bus = KafkaBus(kafka_bootstrap, HASTY)
    prefix = f"test-{uuid4().hex[:12]}"
    run = DayRun.on(bus, small_days(tmp_path / "history"), tmp_path / "run", prefix, partitions=2)
    yield run
    settings = run.pipeline.settings
    bus.admin().delete([run.topic(name) for name in (*settings.stream_names, *settings.output_names)])


def test_a_day_is_joined_once_more_with_the_same_hash_after_a_reset(run: DayRun, run_app: App) -> None:
    run.publish()
    run.join()
    before = run.hash()
    group = run.pipeline.settings.pipeline.prefix
    admin = run.pipeline.bus.admin()
    shown = run_app("reset", "--config", run.config)
    assert shown.code == 0, shown.err
    for name in run.pipeline.settings.output_names:
        assert f"delete  {run.topic(name)}: 2 partitions" in shown.out
    assert f"delete  group {group}: offsets of 4 partitions" in shown.out
    assert f"keep    {run.topic('trade')}: 2 partitions" in shown.out
    assert "nothing is deleted yet" in shown.out
    assert admin.group(group).committed
    done = run_app("reset", "--config", run.config, "--yes")
    assert done.code == 0, done.err
    assert f"next: `python -m app topics apply -c {run.config}`" in done.out
    assert "nothing to delete" in run_app("reset", "--config", run.config, "--yes").out
    assert "python -m app topics apply" in run_app("align", "--config", run.config).error
    assert run_app("topics", "apply", "--config", run.config).code == 0
    run.join()
    assert run.hash() == before
    assert audit(run.pipeline).violations == []
    assert run_app("reset", "--config", run.config, "--inputs", "--yes").code == 0
    assert admin.group(f"{group}-publisher").committed == {}
    assert run_app("topics", "apply", "--config", run.config).code == 0
    run.publish()
    run.join()
    assert run.hash() == before


def test_a_pipeline_at_work_is_not_reset_and_a_worker_ends_with_its_counts(run: DayRun, run_app: App) -> None:
    run.publish()
    with started("app", "align", "--config", run.config) as worker:
        assert worker.stderr is not None
        assert any("task opened" in line for line in worker.stderr)
        shown = run_app("reset", "--config", run.config)
        assert f"the group has {run.pipeline.settings.pipeline.prefix}-0 on " in shown.out
        assert shown.code == 0, shown.err
        worker.terminate()
        *_, last = worker.stderr
        assert worker.wait(20) == 0
    counts = re.fullmatch(r"stopped: ([\d,]+) rows? sealed, 0 late, ([\d,]+) waits?\n", last)
    assert counts is not None, last


def test_nothing_late_or_dead_is_a_sentence_before_any_schema_is_known(
    kafka_bootstrap: str, run_app: App, tmp_path: Path
) -> None:
    config = tmp_path / "quiet.toml"
    prefix = f"test-{uuid4().hex[:12]}"
    config.write_text(
        f'[pipeline]\nprefix = "{prefix}"\n[bus]\nbootstrap = "{kafka_bootstrap}"\n'
        f'schema_registry = "{tmp_path / "schemas"}"\n[worker]\nlate = "drop"\n'
    )
    assert run_app("topics", "apply", "-c", config).code == 0
    said = {
        command: run_app(*command.split(), "-c", config).out
        for command in ("late list", "late summary", "dead list", "dead summary")
    }
    dropped = "; late rows of trade, quote are dropped (worker.late)"
    assert said["late list"] == said["late summary"] == f"no late rows in {prefix}.late{dropped}\n"
    assert said["dead list"] == said["dead summary"] == f"no dead letters in {prefix}.dead\n"
    assert "names no late letter" in run_app("late", "show", "3", "-c", config).error
    told = run_app("progress", "-c", config, "--upper", "2024-01-15T21:00:00.5", "--final")
    assert "trade: final progress up to 2024-01-15 21:00:00.500000000 UTC into 4 partitions" in told.out
    assert "--upper 'noon' is no time" in run_app("progress", "-c", config, "--upper", "noon").error
    assert run_app("reset", "-c", config, "--inputs", "--yes").code == 0


def page_producer() -> Callable[..., None]:
    """The producer of `docs/running.md`, as it stands there."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/running.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  # the page is ours
    send: Callable[..., None] = names["send_progress"]
    return send


def test_the_producer_of_the_page_lets_the_last_rows_out(
    kafka_bootstrap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    quote = {**JSON_TRADE, "fields": {"symbol": "string", "bid": "double"}}
    with http_registry() as server:
        market = ForeignMarket(
            tmp_path,
            {"trade": JSON_TRADE, "quote": quote},
            pipeline={"prefix": f"test-{uuid4().hex[:12]}"},
            bus=KafkaBus(kafka_bootstrap, HASTY),
            registry=open_registry(server.url),
        )
        market.send_json("quote", [{"symbol": "A", "bid": 1.5, "ts": 10}])
        market.send_json("trade", [{"symbol": "A", "price": 2.0, "size": 3, "ts": 11}])
        market.flush()
        for stream in ("trade", "quote"):
            topic = market.settings.topic(stream)
            page_producer()(kafka_bootstrap, server.url, topic, 3, stream, 12_000_000, final=True)
        (row,) = market.run().to_pylist()
    assert (row["event_ns"], row["quote_bid"]) == (11_000_000, 1.5)
    settings = market.settings
    names = [settings.topic(name) for name in (*settings.stream_names, *settings.output_names)]
    market.bus.admin().delete(names)
