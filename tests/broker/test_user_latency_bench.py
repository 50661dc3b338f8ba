"""Laws of the latency bench: it follows every trade to its reader, and reports all that it says it does."""

import json
from pathlib import Path

import pytest

from tests.bench.user_latency import PROCESSES, Contest, lines, measure, report
from tests.bench.user_latency_legs import LEGS, QUANTILES

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.takes_s(40)]


def test_a_short_run_follows_every_trade_to_its_reader(kafka_bootstrap: str, tmp_path: Path) -> None:
    contest = Contest(1_000, "exactly_once")
    for contender in PROCESSES:
        contest.rounds[contender] = [measure(kafka_bootstrap, tmp_path, contest, contender, seconds=0.5)]
    assert contest.wrong == 0
    report(tmp_path, [contest], quick=True)
    (figures,) = json.loads((tmp_path / "user-latency.json").read_text())["contests"]
    for contender in PROCESSES:
        assert figures["medians"][contender]["rows"] > 0
        assert set(figures["medians"][contender]["total_ms"]) == {*QUANTILES, "max"}
    assert set(figures["medians"]["tidemark"]["legs_ms"]) == set(LEGS)
    assert figures["medians"]["tidemark"]["legs_ms"]["watermark"]["p50"] > 0
    assert (tmp_path / "user-latency.png").stat().st_size > 0
    table = "\n".join(lines(contest))
    assert "of at most 180" in table
    assert "LOST" not in table
