"""Nodes may read a stream that the pipeline does not join, which holds the frontier as any other input."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from app.audit.topics import audit
from tests.stage.graph_lives import (
    OF_THE_DISK,
    each_death,
    live,
    require_death_changes_nothing,
    rows_of,
    run_on,
)
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

BESIDE: Mapping[str, Any] = {"signal": {}}
GRAPH: Mapping[str, Any] = {
    "scored": {"from": "signal", "features": {"mean": "rolling_mean(score, rows=2)"}, "out": {}},
    "tick": {"from": "aligned", "features": {"slow": "ewma(quote_bid, alpha=0.3)"}},
    "joined": {"kind": "asof", "from": "tick", "right": ["scored"], "tolerance_ns": 6, "out": {}},
}


def test_signals_reach_trades_and_the_aligned_rows_know_nothing_of_them(tmp_path: Path) -> None:
    market = Market(tmp_path / "beside", graph=GRAPH, streams=BESIDE)
    live(market, range(1, 21))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    plain = Market(tmp_path / "plain")
    run_on(plain, range(1, 21))
    assert rows["aligned", 0] == rows_of(plain)["aligned", 0]
    signals = [(row["symbol"], row["event_ns"]) for row in rows["scored", 0]]
    assert signals == sorted(signals, key=lambda one: one[1])
    assert rows["joined", 0]
    for row in rows["joined", 0]:
        earlier = [at for symbol, at in signals if symbol == row["symbol"] and at <= row["event_ns"]]
        met = earlier[-1] if earlier and row["event_ns"] - earlier[-1] <= 6 else None
        assert row["scored_event_ns"] == met
        assert row["scored_score"] == met
    report = audit(market.pipeline)
    assert report.violations == []


def test_a_stream_beside_the_join_holds_the_frontier(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=GRAPH, streams=BESIDE)
    market.quote(1)
    market.trade(1)
    market.progress(9, "trade", "quote")
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == []
    market.progress(9, "signal")
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.aligned() == [(1, 1)]


@each_death(OF_THE_DISK)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    market = require_death_changes_nothing(tmp_path, GRAPH, point, guarantee, lose, streams=BESIDE)
    assert audit(market.pipeline).violations == []
