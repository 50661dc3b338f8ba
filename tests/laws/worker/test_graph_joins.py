"""A node may join nodes and streams: its rows wait for the others, and go on after any death."""

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.audit.cut import read_cuts
from app.audit.topics import audit
from app.config import Settings
from schemas.reasons import REASONS
from tests.stage.deaths import buried
from tests.stage.graph_lives import (
    OF_THE_DISK,
    SYMBOLS,
    each_death,
    live,
    lose_disk,
    require_death_changes_nothing,
    require_lost_nodes_are_made_anew,
    require_moved_tasks_go_on,
    require_state_behind_is_brought_up,
    rows_of,
    run_on,
    uninterrupted,
)
from tests.stage.market import Market
from tests.stage.planted_joins import LosesARow, NextRow, OneRowLate, in_place_of
from tests.stage.turns import turn_until_quiet

# Features of quotes reach trades, and the other way round; nodes with memory on all sides of the joins.
JOINS: Mapping[str, Any] = {
    "flow": {
        "from": "quote",
        "features": {"sum": "rolling_sum(bid, '4ns')", "slow": "ewma(bid, alpha=0.3, memory='genesis')"},
    },
    "tick": {"from": "aligned", "features": {"mean": "rolling_mean(quote_bid, rows=3)"}},
    "joined": {"kind": "asof", "from": "tick", "right": ["flow"], "tolerance_ns": 3, "out": {}},
    "plain": {"from": "joined", "features": {"twice": "flow_sum * 2"}},
    "later": {
        "from": "plain",
        "features": {"last": "rolling_sum(twice, '4ns')", "ewma": "ewma(flow_slow, alpha=0.5)"},
        "out": {},
    },
    "back": {
        "kind": "asof",
        "from": "quote",
        "right": ["later"],
        "columns": {"later": ["last"]},
        "allow_exact": False,
        "out": {},
    },
    "own": {"kind": "asof", "from": "tick", "right": ["later"], "carry": "column", "out": {}},
    "before": {
        "kind": "asof",
        "from": "tick",
        "right": ["flow"],
        "columns": {"flow": ["sum"]},
        "lag_ns": 2,
        "out": {"columns": ["mean", "flow_sum", "flow_age_ns"], "status": "column", "available": True},
    },
}


def test_features_of_quotes_reach_trades(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=JOINS)
    live(market, range(1, 11))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    sums: dict[tuple[str, int], float] = {}
    for row in rows["back", 0]:  # of all quotes
        own = [b["bid"] for b in rows["back", 0] if b["symbol"] == row["symbol"]]
        window = range(row["event_ns"] - 3, row["event_ns"] + 1)
        sums[row["symbol"], row["event_ns"]] = sum(bid for bid in own if bid in window)
    assert rows["joined", 0]
    for row in rows["joined", 0]:
        assert row["flow_event_ns"] == row["event_ns"]  # each trade comes with a quote of its time
        assert row["flow_sum"] == sums[row["symbol"], row["event_ns"]]
    earlier = [row for row in rows["back", 0] if row["later_event_ns"] is not None]
    assert earlier
    assert all(row["later_event_ns"] < row["event_ns"] for row in earlier)
    assert [row["event_ns"] for row in rows["own", 0]] == [row["event_ns"] for row in rows["aligned", 0]]


def test_a_join_with_a_lag_looks_up_what_was_there_before_and_says_why_values_are_null(
    tmp_path: Path,
) -> None:
    market = Market(tmp_path, graph=JOINS)
    live(market, range(1, 11))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    quotes = {symbol: [q["event_ns"] for q in rows["back", 0] if q["symbol"] == symbol] for symbol in SYMBOLS}
    for row in rows["before", 0]:
        met = max((at for at in quotes[row["symbol"]] if at <= row["event_ns"] - 2), default=None)
        assert row["flow_age_ns"] == (None if met is None else row["event_ns"] - met)
        why = REASONS[row["mean_status"]], REASONS[row["flow_sum_status"]]
        assert why == (
            "ok" if row["mean"] is not None else "warming",
            "ok" if met is not None else "null_in",
        )
        # The next row of all, or the progress record at the end, shows that no quote of its time follows.
        assert row["available_ns"] == row["event_ns"] + 1
    assert {row["mean_status"] for row in rows["before", 0]} > {REASONS.index("warming")}
    assert audit(market.pipeline).violations == []


@each_death(OF_THE_DISK)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None]
) -> None:
    market = require_death_changes_nothing(tmp_path, JOINS, point, guarantee, lose)
    report = audit(market.pipeline)
    assert report.violations == []
    assert report.reach.passed_over.nodes == {}


@pytest.mark.parametrize(
    ("at", "node", "kind"),
    [
        ("joined", OneRowLate, "wrong match"),
        ("joined", NextRow, "look-ahead"),
        ("flow", LosesARow, "missing node row"),
    ],
)
def test_the_audit_names_what_a_join_or_a_node_on_a_stream_did_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, node: Any, kind: str
) -> None:
    graph = {
        "flow": {"from": "quote", "features": {"twice": "bid * 2"}, "out": {}},
        "joined": {"kind": "asof", "from": "aligned", "right": ["flow"], "out": {}},
        "later": {"from": "joined", "features": {"more": "flow_twice * 2"}, "out": {}},
    }
    market = Market(tmp_path, graph=graph)
    live(market, range(1, 21))
    monkeypatch.setattr("operators.graph.graph.make_node", in_place_of(at, node))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    report = audit(market.pipeline, read_cuts(market.pipeline))
    assert kind in {violation.kind for _, violation in report.violations}
    named = [example for _, one in report.violations for example in one.examples if one.kind == kind]
    assert any(f"{at} row" in words or f"'node': '{at}'" in words for words in named), named


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
def test_rows_that_wait_for_a_join_that_looks_ahead_come_once(tmp_path: Path, direction: str) -> None:
    out = {**JOINS["before"]["out"], "available": False}  # of rows that wait for later ones nothing is said
    settings: Mapping[str, Any] = {
        "graph": {**JOINS, "before": {**JOINS["before"], "out": out}},
        "pipeline": {"direction": direction, "tolerance_ns": 4},
        "worker": {"state_interval_ms": 1_000_000},
    }
    market = Market(tmp_path / "mortal", **settings)
    run_on(market, range(1, 11))
    doomed = market.worker()
    for lower in (11, 21):
        live(market, range(lower, lower + 10))
        market.pass_commit_interval()
        turn_until_quiet(doomed)
    doomed.commit()
    buried(market, doomed)
    lose_disk(market)
    run_on(market, range(31, 41))
    assert rows_of(market) == uninterrupted(tmp_path / "one", stop=41, **settings)


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, JOINS)


def test_nodes_that_lost_all_are_made_anew_from_aligned_rows_and_streams(tmp_path: Path) -> None:
    require_lost_nodes_are_made_anew(tmp_path, JOINS)


def test_a_join_that_is_new_or_changed_has_the_past_of_what_it_reads(tmp_path: Path) -> None:
    before = {name: JOINS[name] for name in ("flow", "tick", "joined")}
    changed = {**JOINS, "joined": {**JOINS["joined"], "tolerance_ns": 5}}
    market = Market(tmp_path / "grown", graph=before)
    for lower in (1, 11):
        run_on(market, range(lower, lower + 10))
    market.add_graph(changed)
    run_on(market, range(21, 31))
    one = uninterrupted(tmp_path / "one", stop=31, graph=changed)
    for key, rows in rows_of(market).items():
        assert [row for row in rows if row["event_ns"] > 20] == [
            row for row in one[key] if row["event_ns"] > 20
        ], key


def test_a_graph_of_joins_is_the_same_over_partitions_that_move(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, JOINS)


@pytest.mark.parametrize(
    ("node", "message"),
    [
        ({"kind": "asof", "from": "aligned"}, "needs right"),
        ({"kind": "asof", "from": "aligned", "right": ["quote"], "features": {"x": "1"}}, "has no features"),
        ({"kind": "asof", "from": "aligned", "right": ["quote"], "direction": "forward"}, "looks ahead"),
        ({"kind": "asof", "from": "quote", "right": ["quote"]}, "must be different"),
        (
            {"kind": "asof", "from": "aligned", "right": ["quote"], "columns": {"bar": []}},
            "columns names bar",
        ),
        ({"from": "aligned", "features": {"x": "1"}, "tolerance_ns": 5}, "is a key of a join"),
    ],
)
def test_a_join_that_cannot_be_is_refused_with_its_key(node: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.model_validate({"graph": {"tick": node}})
