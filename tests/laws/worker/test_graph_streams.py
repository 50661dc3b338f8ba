"""A node may read a stream: its rows, put in order, with features that go on after any death."""

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.audit.topics import audit
from app.process import failpoints
from app.reading.aligned import read_output
from app.wiring.pipeline import topic_specs
from operators.hashing.parity import Parity, sealed_hashes
from schemas.frame import FrameHeaders
from tests.stage.deaths import Death, buried, die_at
from tests.stage.graph_lives import (
    OF_THE_DISK,
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
from tests.stage.turns import turn_until_quiet

# Rows of both streams, and of the join beside them.
PLAIN: Mapping[str, Any] = {
    "half": {"from": "quote", "features": {"half": "bid / 2"}, "out": {}},
    "quarter": {"from": "half", "features": {"quarter": "half / 2"}, "out": {"columns": ["quarter"]}},
    "sold": {"from": "trade", "features": {"twice": "price * 2"}, "out": {}},
    "tick": {"from": "aligned", "features": {"double": "quote_bid * 2"}, "out": {}},
}
MEMORY: Mapping[str, Any] = {
    "rate": {
        "from": "quote",
        "features": {
            "lag": "lag(bid, rows=2)",
            "sum": "rolling_sum(bid, '7ns')",
            "slow": "ewma(bid, alpha=0.3, memory='genesis')",
        },
        "out": {},
    },
    "plain": {"from": "rate", "features": {"twice": "slow * 2"}},
    "later": {"from": "plain", "features": {"sum_4": "rolling_sum(twice, '4ns')"}, "out": {}},
    "sold": {"from": "trade", "features": {"count": "rolling_count(price, rows=3)"}, "out": {}},
    "tick": {"from": "aligned", "features": {"mean": "rolling_mean(quote_bid, rows=3)"}, "out": {}},
}
BOUNDED: Mapping[str, Any] = {
    "rate": {"from": "quote", "features": {"sum": "rolling_sum(bid, '7ns')"}, "out": {}}
}


def shuffled(market: Market) -> None:
    """Quotes out of order within the grace, several of one time, and of symbols by turns."""
    for time_ns in (3, 1, 2, 2, 5, 4, 9, 7, 7):
        for symbol in "AB":
            market.quote(time_ns, symbol=symbol)
    market.trade(1, 2, 3, 9)
    market.progress(10)


def test_rows_of_a_stream_come_out_in_order_with_their_features(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=PLAIN, pipeline={"grace_ns": 10})
    shuffled(market)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    rows = rows_of(market)
    half = rows["half", 0]
    assert [row["event_ns"] for row in half] == sorted([3, 1, 2, 2, 5, 4, 9, 7, 7] * 2)
    assert [(row["event_ns"], row["left_offset"]) for row in half] == sorted(
        (row["event_ns"], row["left_offset"]) for row in half
    )
    assert all(row["half"] == row["bid"] / 2 for row in half)
    assert [row["quarter"] for row in rows["quarter", 0]] == [row["bid"] / 4 for row in half]
    assert set(rows["quarter", 0][0]) == {"event_ns", "symbol", "left_offset", "left_index", "quarter"}
    assert [row["event_ns"] for row in rows["sold", 0]] == [1, 2, 3, 9]
    report = audit(market.pipeline)
    assert (report.violations, report.rows_out["half"], report.rows_out["sold"]) == ([], 18, 4)


def test_the_join_is_the_same_whatever_reads_its_streams(tmp_path: Path) -> None:
    parities: list[str] = []
    for graph in (PLAIN, {"tick": PLAIN["tick"]}, {}):
        market = Market(tmp_path / str(len(parities)), graph=graph, pipeline={"grace_ns": 10})
        shuffled(market)
        with closing(market.worker()) as worker:
            turn_until_quiet(worker)
        parity = Parity()
        for batch in read_output(market.pipeline, "aligned", 0):
            parity = parity.roll(sealed_hashes(batch))
        parities.append(str(parity))
    assert len(set(parities)) == 1


def test_the_audit_names_a_row_of_a_stream_that_is_wrong(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=PLAIN)
    live(market, range(1, 10))
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    frame = market.messages("half")[0]
    market.produce("half", 0, None, frame.value, frame.headers)
    kinds = {violation.kind for _, violation in audit(market.pipeline).violations}
    assert "unexpected node row" in kinds


@pytest.mark.parametrize("graph", [PLAIN, MEMORY], ids=["plain", "memory"])
@each_death(OF_THE_DISK)
def test_a_worker_that_dies_goes_on_with_every_bit(
    tmp_path: Path, point: str, guarantee: str, lose: Callable[[Market], None], graph: Mapping[str, Any]
) -> None:
    market = require_death_changes_nothing(tmp_path, graph, point, guarantee, lose)
    assert audit(market.pipeline).violations == []


def test_rows_since_nodes_kept_what_they_remember_are_read_again(tmp_path: Path) -> None:
    settings: Mapping[str, Any] = {"graph": MEMORY, "worker": {"state_interval_ms": 1_000_000}}
    market = Market(tmp_path / "mortal", **settings)
    run_on(market, range(1, 11))
    live(market, range(11, 21))
    doomed = market.worker()
    turn_until_quiet(doomed)
    for lower in (21, 31):  # commits without what nodes remember
        live(market, range(lower, lower + 10))
        market.pass_commit_interval()
        turn_until_quiet(doomed)
    doomed.commit()
    buried(market, doomed)
    lose_disk(market)
    run_on(market, range(41, 51))
    assert rows_of(market) == uninterrupted(tmp_path / "one", stop=51, **settings)


def test_state_behind_the_commit_is_brought_up_to_it(tmp_path: Path) -> None:
    require_state_behind_is_brought_up(tmp_path, MEMORY)


@pytest.mark.parametrize("graph", [MEMORY, BOUNDED], ids=["ever", "bounded"])
def test_nodes_that_lost_all_have_the_rows_they_need_read_again(
    tmp_path: Path, graph: Mapping[str, Any]
) -> None:
    require_lost_nodes_are_made_anew(tmp_path, graph)


def test_nodes_that_are_new_or_changed_have_the_past_of_their_stream(tmp_path: Path) -> None:
    market = Market(tmp_path / "grown", graph={"rate": BOUNDED["rate"]})
    for lower in (1, 11):
        run_on(market, range(lower, lower + 10))
    changed = {**BOUNDED["rate"], "features": {"sum": "rolling_sum(bid, '9ns')"}}
    after = {**MEMORY, "rate": changed, "plain": {"from": "rate", "features": {"twice": "sum * 2"}}}
    market.add_graph(after)
    run_on(market, range(21, 31))
    one = uninterrupted(tmp_path / "one", stop=31, graph=after)
    for (name, partition), rows in rows_of(market).items():
        assert [row for row in rows if row["event_ns"] > 20] == [
            row for row in one[name, partition] if row["event_ns"] > 20
        ], name


def test_tasks_that_move_take_what_nodes_remember_of_streams_along(tmp_path: Path) -> None:
    require_moved_tasks_go_on(tmp_path, MEMORY)


def test_late_rows_are_no_rows_of_nodes_read_again(tmp_path: Path) -> None:
    settings: Mapping[str, Any] = {"graph": MEMORY, "worker": {"state_interval_ms": 1_000_000}}
    market = Market(tmp_path / "late", **settings)
    run_on(market, range(1, 11))
    live(market, range(11, 21))
    doomed = market.worker()
    turn_until_quiet(doomed)
    market.quote(12, 13, symbol="A")  # behind the frontier
    turn_until_quiet(doomed)
    market.pass_commit_interval()
    doomed.commit()
    buried(market, doomed)
    before = rows_of(market)
    lose_disk(market)
    run_on(market, range(21, 31))
    after = rows_of(market)
    assert all(after[key][: len(rows)] == rows for key, rows in before.items())
    assert after == {
        key: [{**row, "left_offset": was["left_offset"]} for row, was in zip(rows, after[key], strict=True)]
        for key, rows in uninterrupted(tmp_path / "one", stop=31, **settings).items()
    }


def test_a_crash_between_any_steps_of_a_commit_keeps_the_parity_of_a_stream_node(tmp_path: Path) -> None:
    market = Market(tmp_path, graph=PLAIN)
    run_on(market, range(1, 10))
    live(market, range(10, 20))
    doomed = market.worker()
    turn_until_quiet(doomed)
    failpoints.arm(partial(die_at, failpoints.COMMIT_OFFSETS))
    try:
        with pytest.raises(Death):
            doomed.commit()
    finally:
        failpoints.arm(None)
    buried(market, doomed)
    run_on(market, range(20, 30))
    parity = Parity()
    for batch in read_output(market.pipeline, "half", 0):
        parity = parity.roll(sealed_hashes(batch))
    assert FrameHeaders.from_kafka(market.messages("half")[-1].headers).parity == str(parity)


def test_a_graph_that_reads_a_stream_has_the_topics_of_its_nodes_and_no_more(tmp_path: Path) -> None:
    plain, graph = Market(tmp_path / "plain"), Market(tmp_path / "graph", graph=PLAIN)
    names = {spec.name for spec in topic_specs(plain.settings)}
    assert {spec.name for spec in topic_specs(graph.settings)} - names == {
        f"tidemark.{name}" for name in ("half", "quarter", "sold", "tick", "tasks")
    }
