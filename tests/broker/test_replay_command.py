"""Laws of `python -m app replay` and `topics` on a real Kafka, as processes that can be killed."""

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import polars as pl
import pytest

from app.config import Settings, load_settings
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.stage.day_runs import DATE, QUOTES, TRADES, messages_seen, small_days, until
from tests.stage.programs import App, children, started
from topics.bus import TopicSpec
from topics.catalogue import HISTORY_CONFIGS
from topics.kafka.bus import KafkaBus

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(110)]


def _has_started(replay: int, command: str) -> bool:
    return command in children(replay)


def _has_seen(bus: KafkaBus, settings: Settings, messages: int) -> bool:
    return messages_seen(bus, settings) >= messages


def test_a_replay_whose_worker_and_then_publisher_is_killed_goes_on_to_the_same_rows(
    kafka_bootstrap: str, tmp_path: Path, run_app: App
) -> None:
    small_days(tmp_path / "history")
    asked = ["--date", DATE, "--store", tmp_path / "history", "--partitions", 2]
    embedded = run_app("backtest", *asked, "--out", tmp_path / "embedded")
    assert embedded.code == 0, embedded.err
    asked += ["--bootstrap", kafka_bootstrap, "--out", tmp_path / "out"]
    bus = KafkaBus(kafka_bootstrap)
    seen = 0
    for victim, name in (("align", "worker-0"), ("publish", "publisher")):
        with started("app", "replay", *asked, "--speed", 500) as replay:
            until(partial(_has_started, replay.pid, victim), "the processes have started")
            settings = load_settings(tmp_path / "out/tidemark.toml")
            until(partial(_has_seen, bus, settings, seen + 100), "the replay is under way")
            os.kill(children(replay.pid)[victim], signal.SIGKILL)
            _, said = replay.communicate(timeout=40)
            assert replay.returncode == 1, said
            last = said.strip().splitlines()[-1]
            assert last.startswith(f"stopped: {name} was killed by SIGKILL"), said
            assert "the same command goes on" in last
        seen = messages_seen(bus, settings)
    with started("app", "replay", *asked, "--speed", 1_000_000) as replay:
        _, said = replay.communicate(timeout=60)
        assert replay.returncode == 0, said
    bus.admin().delete(
        [settings.topic(kind) for kind in ("trade", "quote", "aligned", "late", "dead", "last-known")]
    )
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    expected = json.loads((tmp_path / "embedded/summary.json").read_text())
    assert summary["resumed"]
    assert summary["hash"] == expected["hash"]
    assert summary["rows_in"] == {"trade": TRADES, "quote": QUOTES}
    assert summary["rows_aligned"] == TRADES
    assert summary["audit_violations"] == 0


@pytest.fixture
def prefix(kafka_bootstrap: str) -> Iterator[str]:
    """Begins the names of topics that go with the test."""
    prefix = f"test-{uuid4().hex[:12]}"
    yield prefix
    names = [f"{prefix}.{kind}" for kind in ("trade", "quote", "aligned", "late", "dead", "last-known")]
    KafkaBus(kafka_bootstrap).admin().delete(names)


def test_topics_are_created_once(kafka_bootstrap: str, prefix: str, tmp_path: Path, run_app: App) -> None:
    config = tmp_path / "tidemark.toml"
    config.write_text(f"[pipeline]\nprefix = '{prefix}'\n[bus]\npartitions = 2")
    asked = ["--config", config, "--bootstrap", kafka_bootstrap]
    planned = run_app("topics", "plan", *asked)
    assert planned.code == 0
    assert f"create  {prefix}.trade: 2 partitions, replication 1" in planned.out
    assert planned.out.count("create") == 6
    first = run_app("topics", "apply", *asked)
    assert first.out.count("created") == 6
    again = run_app("topics", "apply", *asked)
    assert (again.code, again.out) == (0, "6 topics were there already, as they should be\n")
    assert run_app("topics", "plan", *asked).out.count("fine") == 6


def test_unequal_partition_counts_are_refused_with_the_figures_and_nothing_is_created(
    kafka_bootstrap: str, prefix: str, tmp_path: Path, run_app: App
) -> None:
    config = tmp_path / "tidemark.toml"
    config.write_text(f"[pipeline]\nprefix = '{prefix}'\n[bus]\npartitions = 2")
    admin = KafkaBus(kafka_bootstrap).admin()
    admin.create([TopicSpec(name=f"{prefix}.quote", partitions=3, configs=HISTORY_CONFIGS)])
    asked = ["--config", config, "--bootstrap", kafka_bootstrap]
    for command in (["topics", "plan"], ["topics", "apply"], ["align"], ["audit"]):
        refused = run_app(*command, *asked)
        assert refused.code == 2, refused
        assert f"{prefix}.quote has partitions 3, wanted 2" in refused.out + refused.error
    assert admin.describe([f"{prefix}.trade"]) == {f"{prefix}.trade": None}


def test_several_days_are_each_read_back_and_open_as_one_folder(
    kafka_bootstrap: str, tmp_path: Path, run_app: App
) -> None:
    dates = ["2024-01-15", "2024-01-16"]
    for date in dates:
        generate_day(HistoryStore(tmp_path / "history"), date, symbols=3, trades=300, quotes=900)
    asked = ["--date", "..".join(dates), "--store", tmp_path / "history", "--partitions", 2]
    embedded = run_app("backtest", *asked, "--out", tmp_path / "embedded")
    assert embedded.code == 0, embedded.err
    answer = run_app("replay", *asked, "--bootstrap", kafka_bootstrap, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    days, expected = (
        json.loads((tmp_path / at / "summary.json").read_text())["days"] for at in ("out", "embedded")
    )
    assert {date: day["hash"] for date, day in days.items()} == {
        d: day["hash"] for d, day in expected.items()
    }
    assert pl.read_parquet(tmp_path / "out/aligned").height == 600
    for date in dates:
        settings = load_settings(tmp_path / "out" / date / "tidemark.toml")
        names = [settings.topic(kind) for kind in ("trade", "quote", "aligned", "late", "dead", "last-known")]
        KafkaBus(kafka_bootstrap).admin().delete(names)
