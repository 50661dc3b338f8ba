"""An audit of a pipeline that runs: what its last commit says is judged, and what is beyond is counted."""

from pathlib import Path

import polars as pl
import pytest

from app.audit.cut import Cut, read_cuts
from app.audit.report import AuditReport
from app.audit.topics import audit
from app.worker.worker import Worker
from schemas.frame import FrameHeaders
from schemas.rule import parse_rule
from tests.stage.audit_faults import PLANTED, first
from tests.stage.audit_market import ELSEWHERE, HERE, frame_of, honest, rewrite, sealed
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def kinds(report: AuditReport) -> list[str]:
    return [violation.kind for _, violation in report.violations]


def judged(market: Market, cuts: dict[int, Cut] | None = None) -> AuditReport:
    return audit(market.pipeline, read_cuts(market.pipeline) if cuts is None else cuts)


def run_on(market: Market) -> Worker:
    """Two more trades and a quote for each symbol, the first of which is sealed, and a late row."""
    for symbol in (HERE, ELSEWHERE):
        market.quote(31, symbol=symbol)
        market.trade(32, 50, symbol=symbol)
        market.trade(3, symbol=symbol)
    market.progress(40)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    return worker


def test_rows_at_or_above_the_frontier_wait_and_are_not_missing(tmp_path: Path) -> None:
    market = honest(tmp_path)
    run_on(market)
    assert kinds(audit(market.pipeline)) == ["missing", "missing"]  # as if the pipeline had come to rest
    report = judged(market)
    assert kinds(report) == []
    assert (report.rows_aligned, report.reach.rows_waiting, report.reach.rows_since) == (8, 2, 0)
    assert report.reach.unread.total() == 0
    assert report.frontier_ns == 40


def test_what_happens_after_the_cut_is_counted_and_not_judged(tmp_path: Path) -> None:
    market = honest(tmp_path)
    cuts = read_cuts(market.pipeline)
    run_on(market).close()
    report = judged(market, cuts)
    assert kinds(report) == []
    assert (report.rows_aligned, report.reach.rows_since, report.reach.rows_waiting) == (6, 2, 0)
    assert report.rows_late == {"trade": 1, "quote": 1}
    assert report.reach.unread["trade"] > 0
    assert report.reach.unread["quote"] > 0
    assert report.parity == audit(honest(tmp_path / "again").pipeline).parity


@pytest.mark.parametrize("kind", PLANTED)
def test_a_fault_below_the_frontier_is_named_while_the_pipeline_runs_on(kind: str, tmp_path: Path) -> None:
    market = honest(tmp_path)
    cuts, planted = read_cuts(market.pipeline), PLANTED[kind](sealed(market))
    run_on(market).close()
    since = sealed(market).filter(pl.col("event_ns") > 20)
    assert since.height == 1
    rewrite(market, "aligned", [frame_of(market, planted), frame_of(market, since)])
    assert kind in kinds(judged(market, cuts))


def test_the_last_row_that_was_sealed_is_missed_too(tmp_path: Path) -> None:
    market = honest(tmp_path)
    rewrite(market, "aligned", [frame_of(market, sealed(market).head(2))])
    assert kinds(judged(market)) == ["missing"] * 2  # of partition 1 all rows: the topic was made anew
    assert [v.rows for _, v in judged(market).violations] == [1, 3]


def test_a_row_beyond_the_cut_needs_a_left_row_that_waits_or_was_not_read(tmp_path: Path) -> None:
    market = honest(tmp_path)
    run_on(market)
    rows = sealed(market)
    twice = rows.tail(1).with_columns(event_ns=pl.lit(45, pl.Int64))
    rewrite(market, "aligned", [frame_of(market, pl.concat([rows, twice]))])
    found = [v.kind for number, v in judged(market).violations if number == 0]
    assert found == ["duplicated"]


def test_a_task_without_a_commit_is_not_audited_beside_others(tmp_path: Path) -> None:
    market = honest(tmp_path)
    cuts = read_cuts(market.pipeline)
    report = audit(market.pipeline, {0: cuts[0]})
    assert (report.reach.uncommitted, report.rows_aligned, kinds(report)) == ([1], 3, [])


def test_a_pipeline_that_never_committed_has_no_cuts(tmp_path: Path) -> None:
    market = Market(tmp_path, partitions=2)
    market.trade(1)
    assert read_cuts(market.pipeline) == {}


def test_what_looks_ahead_holds_rows_below_the_frontier(tmp_path: Path) -> None:
    market = Market(tmp_path, pipeline={"direction": "nearest", "tolerance_ns": 10})
    market.trade(5, 12, 30)
    market.quote(4, 20)
    market.progress(20)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    report = judged(market)
    assert kinds(report) == []
    assert (report.rows_aligned, report.reach.rows_waiting) == (1, 2)
    rewrite(market, "aligned", [])
    assert kinds(judged(market)) == ["missing"]


def changed(folder: Path, form: str = "frame", **pipeline: object) -> Market:
    """Trades whose quotes are 8 older, matched by a tolerance of 5 up to 20, and then by other settings."""
    market = Market(folder, pipeline={"tolerance_ns": 5}, worker={"format": form})
    market.quote(1, 11, 21)
    market.trade(9, 19, 29)
    market.progress(20)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    own = market.settings.pipeline.model_copy(update=pipeline)
    market.settings = market.settings.model_copy(update={"pipeline": own})
    market.pipeline = market.plan(market.settings)
    market.progress(40)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    return market


@pytest.mark.parametrize("form", ["frame", "avro"])
def test_each_row_is_judged_by_the_rule_it_was_matched_by(form: str, tmp_path: Path) -> None:
    market = changed(tmp_path, form, tolerance_ns=10)
    assert sealed(market)["quote_event_ns"].to_list() == [None, None, 21]
    report = judged(market)
    assert kinds(report) == []
    assert [tuple(change) for change in report.rule_changes] == [(0, 29, "tolerance 5 ns -> 10 ns")]


def test_a_row_that_breaks_its_own_rule_is_named_whatever_the_settings_say(tmp_path: Path) -> None:
    market = changed(tmp_path, tolerance_ns=10)
    frames = market.messages("aligned")
    last = FrameHeaders.from_kafka(frames[-1].headers)
    as_before = FrameHeaders.from_kafka(frames[0].headers).rule
    assert parse_rule(as_before).tolerance_ns == 5
    told = [(k, as_before.encode() if k == "tidemark-rule" else v) for k, v in last.to_kafka()]
    rewrite(market, "aligned", [*frames[:-1], frames[-1]._replace(headers=told)])
    (_, found) = judged(market).violations[0]
    assert (found.kind, found.rows) == ("wrong match", 1)


def test_rows_of_a_rule_that_nobody_can_judge_by_have_to_be_there_and_are_counted(tmp_path: Path) -> None:
    market = honest(tmp_path)
    frame = frame_of(market, first(sealed(market), quote_bid=0.75))
    later = [*frame.headers, ("tidemark-rule", b"event sideways")]
    rewrite(market, "aligned", [frame._replace(headers=later)])
    report = audit(market.pipeline, {0: read_cuts(market.pipeline)[0]})
    assert (kinds(report), report.rows_unjudged["aligned"]) == ([], 3)
    rewrite(market, "aligned", [])
    assert kinds(audit(market.pipeline, {0: read_cuts(market.pipeline)[0]})) == ["missing"]


def test_a_node_is_judged_up_to_the_cut_and_by_the_formulas_of_its_rows(tmp_path: Path) -> None:
    graph = {"cost": {"from": "aligned", "features": {"wide": "quote_bid * 2"}, "out": {}}}
    market = Market(tmp_path, graph=graph)
    market.quote(1, 2)
    market.trade(3, 4)
    market.progress(10)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    cuts = read_cuts(market.pipeline)
    market.add_graph({"cost": {"from": "aligned", "features": {"wide": "quote_bid * 3"}, "out": {}}})
    market.trade(15, 16, 17)
    market.progress(17)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.commit()
    before, after = judged(market, cuts), judged(market)
    assert (kinds(before), kinds(after)) == ([], [])
    assert after.rows_out["cost"] == 4
    assert after.rows_unjudged["cost"] == 2
    assert (before.reach.rows_since, after.reach.rows_waiting) == (2, 1)
    lost = market.messages("cost")[:1]
    rewrite(market, "cost", lost)
    assert kinds(judged(market)) == ["missing node row"]
