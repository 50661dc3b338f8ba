"""An audit of topics that keep not all: what is left is judged, and what is passed over is counted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from app.audit.cut import read_cuts
from app.audit.report import AuditReport
from app.audit.topics import audit
from app.audit.words import report_json, report_lines
from schemas.letters import LateLetter
from tests.stage.audit_faults import PLANTED, another, first
from tests.stage.audit_market import frame_of, rewrite, sealed
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.block import TopicPartition


def aged(
    folder: Path, graph: Mapping[str, Any] | None = None, guarantee: str = "exactly_once", **pipeline: object
) -> Market:
    """Six frames of two trades each, 3 and 7 in every 10; their quotes are of 1 and 5."""
    market = Market(folder, pipeline=pipeline, graph=graph, worker={"guarantee": guarantee})
    worker = market.worker()
    for start in range(0, 60, 10):
        market.quote(start + 1)
        market.quote(start + 5)
        market.trade(start + 3)
        market.trade(start + 7)
        market.progress(start + 10)
        turn_until_quiet(worker)
        market.pass_commit_interval()
        turn_until_quiet(worker)
    worker.close()
    return market


def keep(market: Market, **lows: int) -> None:
    """Delete, of the topics named, what lies below these offsets."""
    for kind, low in lows.items():
        market.bus.delete_before(TopicPartition(market.settings.topic(kind), 0), low)


def judged(market: Market) -> AuditReport:
    return audit(market.pipeline, read_cuts(market.pipeline))


def kinds(report: AuditReport) -> list[str]:
    return [violation.kind for _, violation in report.violations]


@pytest.mark.parametrize(
    ("lows", "passed_over", "from_ns"),
    [
        ({"trade": 6}, {"aligned": 4}, 23),
        ({"aligned": 5}, {"trade": 6}, 33),
        # Of the trades at 23 and 27 nobody knows whether a later quote is gone.
        ({"quote": 7, "trade": 6, "aligned": 2}, {"aligned": 2, "quote": 2}, 25),
        ({"quote": 7, "trade": 6, "aligned": 5}, {"trade": 2}, 33),
        ({"quote": 19}, {"quote": 12}, None),
    ],
)
def test_what_lies_below_the_lower_cut_is_counted_and_not_called_wrong(
    lows: dict[str, int], passed_over: dict[str, int], from_ns: int | None, tmp_path: Path
) -> None:
    market = aged(tmp_path)
    keep(market, **lows)
    report = judged(market)
    assert kinds(report) == []
    assert report.reach.passed_over.rows == passed_over
    assert report_json(report)["from_ns"] == {0: from_ns}


JOINS: Mapping[str, Any] = {
    "flow": {"from": "quote", "features": {"moved": "bid - lag(bid, rows=1)"}, "out": {}},
    "joined": {"kind": "asof", "from": "aligned", "right": ["flow"], "carry": "column", "out": {}},
    "later": {"from": "joined", "features": {"sum": "rolling_sum(flow_moved, '12ns')"}, "out": {}},
    "back": {"kind": "asof", "from": "flow", "right": ["later"], "tolerance_ns": 9, "out": {}},
}


@pytest.mark.parametrize(
    "lows",
    [
        {"quote": 7},
        {"trade": 6},
        {"aligned": 3},
        {"quote": 9, "aligned": 2},
        {"joined": 3, "back": 2},
        {"quote": 7, "trade": 6, "aligned": 2, "flow": 3, "joined": 2, "later": 4, "back": 1},
    ],
)
@pytest.mark.parametrize("guarantee", ["exactly_once", "at_least_once"])
def test_joins_of_nodes_are_judged_by_what_is_left_of_topics(
    lows: dict[str, int], guarantee: str, tmp_path: Path
) -> None:
    market = aged(tmp_path, JOINS, guarantee)
    keep(market, **lows)
    report = judged(market)
    assert kinds(report) == []
    assert report.reach.passed_over.nodes == {}


BESIDE: Mapping[str, Any] = {
    "mids": {"from": "quote", "features": {"mid": "bid * 1.0", "halted": "bid > 20"}},
    "base": {"from": "aligned", "features": {"mid": "quote_bid * 1.0", "side": "sign(quote_bid)"}},
    "cost": {
        "kind": "label",
        "from": "base",
        "realised_spread": {"price": "mid", "side": "side", "quotes": "mids", "horizon_ns": 5},
        "out": {},
    },
    "halting": {
        "kind": "label",
        "from": "base",
        "fixed_horizon": {"price": "mid", "horizon_ns": 5, "halts": "mids"},
        "out": {},
    },
}


@pytest.mark.parametrize("lows", [{"quote": 7}, {"aligned": 3}, {"quote": 9, "aligned": 2, "cost": 1}])
def test_labels_are_not_called_wrong_where_rows_beside_theirs_are_gone(
    lows: dict[str, int], tmp_path: Path
) -> None:
    market = aged(tmp_path, BESIDE)
    assert kinds(judged(market)) == []
    keep(market, **lows)
    assert kinds(judged(market)) == []


def test_the_report_says_from_when_on_it_judged_and_what_it_passed_over(tmp_path: Path) -> None:
    market = aged(tmp_path)
    keep(market, quote=7, trade=6, aligned=2)
    *_, reach, gone, verdict = report_lines(judged(market), market.settings, of_topics=True)
    start, end = (f"1970-01-01T00:00:00.0000000{ns}Z" for ns in (25, 60))
    assert reach.startswith(f"audited from {start} (topics keep no more) up to {end}: the frontier")
    assert gone == (
        "not judged, for topics keep no more: 2 aligned rows whose trade row is gone, 2 rows whose match in "
        "quote may be gone"
    )
    assert verdict == "audit: clean"


@pytest.mark.parametrize("tolerance_ns", [None, 5])
@pytest.mark.parametrize("kind", PLANTED)
def test_a_fault_above_the_lower_cut_is_named(kind: str, tolerance_ns: int | None, tmp_path: Path) -> None:
    market = aged(tmp_path, tolerance_ns=tolerance_ns)
    rows = sealed(market)
    parts = rows.head(4), rows.slice(4, 2), PLANTED[kind](rows.slice(6))
    rewrite(market, "aligned", [frame_of(market, part) for part in parts])
    keep(market, quote=7, trade=6, aligned=1)
    assert kind in kinds(judged(market))


def test_of_an_unsure_match_is_found_what_rows_that_are_left_show(tmp_path: Path) -> None:
    market = aged(tmp_path)
    rows = sealed(market).filter(pl.col("event_ns") == 27)
    keep(market, quote=7)
    for planted in (
        first(rows, quote_event_ns=21, quote_age_ns=6),  # the quote of 25 lies in between
        first(rows, quote_event_ns=26, quote_age_ns=1),  # no quote that is gone is as new
        first(rows, quote_age_ns=3),
        first(rows, quote_bid=0.75),
    ):
        others = sealed(market)
        before, after = (others.filter(where) for where in (pl.col("event_ns") < 27, pl.col("event_ns") > 27))
        rewrite(market, "aligned", [frame_of(market, pl.concat([before, planted, after]))])
        assert len(kinds(judged(market))) == 1
        rewrite(market, "aligned", [frame_of(market, others)])
    assert kinds(judged(market)) == []


def test_a_frame_whose_parity_is_wrong_is_named_where_the_first_ones_are_gone(tmp_path: Path) -> None:
    market = aged(tmp_path)
    frames = market.messages("aligned")
    rewrite(market, "aligned", [frames[3], *frames[5:]])
    keep(market, trade=9)
    assert "wrong parity" in kinds(judged(market))


def test_of_compacted_inputs_rows_in_between_may_be_gone_too(tmp_path: Path) -> None:
    market = aged(tmp_path)
    rows = sealed(market)
    rewrite(market, "aligned", [frame_of(market, another(rows, left_offset=17))])
    assert kinds(judged(market)) == ["unexpected"]
    for name in ("trade", "quote"):
        market.bus.configure(market.settings.topic(name), {"cleanup.policy": "compact"})
    report = judged(market)
    assert (kinds(report), report.reach.passed_over.rows) == ([], {"aligned": 1, "quote": 12})
    older = first(rows.slice(1), quote_event_ns=1, quote_age_ns=6)  # the quote of 5 lies in between
    rewrite(market, "aligned", [frame_of(market, pl.concat([rows.head(1), older]))])
    assert kinds(judged(market)) == ["wrong match"]


def lately(folder: Path, **pipeline: object) -> Market:
    """A late trade of 2 between others, and a late quote of 28 that would be the match of 33."""
    market = Market(folder, pipeline=pipeline)
    worker = market.worker()
    market.quote(1, 5)
    market.trade(3, 7)
    market.progress(30)
    turn_until_quiet(worker)
    market.trade(2)
    market.quote(28)
    market.trade(33)
    market.progress(40)
    turn_until_quiet(worker)
    worker.close()
    return market


def test_rows_whose_late_letter_may_be_gone_are_neither_missing_nor_matches(tmp_path: Path) -> None:
    market = lately(tmp_path)
    assert kinds(judged(market)) == []
    end = market.bus.admin().ranges([(late := TopicPartition(market.settings.topic("late"), 0))])[late].high
    keep(market, late=end)
    report = judged(market)
    assert kinds(report) == []
    assert report.reach.passed_over.rows == {"trade": 1, "quote": 1}
    rewrite(market, "aligned", [frame_of(market, sealed(market).filter(pl.col("event_ns") != 7))])
    assert kinds(judged(market)) == ["missing"]  # which came in order, and so was not late


def test_a_letter_about_a_row_that_is_gone_is_counted(tmp_path: Path) -> None:
    market = lately(tmp_path)
    assert {LateLetter.from_kafka(m.headers).offset for m in market.messages("late")} == {2}
    keep(market, trade=3)
    report = judged(market)
    assert (kinds(report), report.reach.passed_over.letters) == ([], 1)


def test_letters_of_another_grace_are_counted_unless_no_grace_explains_them(tmp_path: Path) -> None:
    market = Market(tmp_path)
    worker = market.worker()
    market.quote(1, 20)
    market.trade(3, 21)
    turn_until_quiet(worker)
    market.trade(5)
    turn_until_quiet(worker)
    worker.close()
    assert market.settings.grace_ns("trade") == 0
    own = market.settings.pipeline.model_copy(update={"grace_ns": 10})
    market.settings = market.settings.model_copy(update={"pipeline": own})
    market.pipeline = market.plan(market.settings)
    report = judged(market)
    assert (kinds(report), report.reach.passed_over.letters, report.rows_late["trade"]) == ([], 1, 1)
    (letter,) = market.messages("late")
    told = LateLetter.from_kafka(letter.headers)
    far = LateLetter(
        stream=told.stream,
        topic=told.topic,
        partition=0,
        offset=told.offset,
        indexes=told.indexes,
        lateness_ns=told.lateness_ns + 9,
        frontier_ns=told.frontier_ns + 9,
    )
    rewrite(market, "late", [letter._replace(headers=far.to_kafka())])
    assert kinds(judged(market)) == ["unjustified late"]


def test_rows_of_columns_that_were_taken_out_are_judged_for_the_others(tmp_path: Path) -> None:
    market = aged(tmp_path)
    quote = market.settings.stream("quote").model_copy(update={"columns": ("ask",)})
    market.settings = market.settings.model_copy(update={"streams": {"quote": quote}})
    market.pipeline = market.plan(market.settings)
    report = judged(market)
    assert (kinds(report), report.rows_aligned) == ([], 12)
    assert report.reach.passed_over.columns == {"quote_bid": 12, "quote_venue": 12}
    told = list(report_lines(report, market.settings, of_topics=True))
    assert ("quote_bid: 12 rows have this column, which these settings do not make: unchecked there") in told
    rewrite(
        market,
        "aligned",
        [frame_of(market, first(sealed(market).drop("quote_bid", "quote_venue"), quote_ask=0.75))],
    )
    assert kinds(judged(market)) == ["changed right value"]
