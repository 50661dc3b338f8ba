"""What an audit says: up to where it went, and of everything beyond how much there is."""

import json
from pathlib import Path

from app.audit.cut import read_cuts
from app.audit.topics import audit
from app.audit.words import report_json, report_lines
from tests.stage.audit_market import honest
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet


def running(folder: Path) -> Market:
    """A trade waits above the frontier of 20, and two messages have not been read."""
    market = honest(folder)
    market.trade(40)
    worker = market.worker()
    turn_until_quiet(worker)
    worker.close()
    market.trade(41)
    market.quote(42)
    return market


def test_the_last_lines_say_up_to_where_and_what_lies_beyond(tmp_path: Path) -> None:
    market = running(tmp_path)
    report = audit(market.pipeline, read_cuts(market.pipeline))
    *_, reach, verdict = report_lines(report, market.settings, of_topics=True)
    lowest, highest = (f"1970-01-01T00:00:00.0000000{ns}Z" for ns in (20, 30))
    assert reach == (
        f"audited up to {lowest} to {highest}, by partition: the frontier of the last commit; beyond it "
        "1 trade rows wait, 1 trade offsets unread, 1 quote offsets unread"
    )
    assert verdict == "audit: clean"


def test_a_period_that_is_done_has_nothing_beyond(tmp_path: Path) -> None:
    market = honest(tmp_path)
    report = audit(market.pipeline, read_cuts(market.pipeline))
    *_, reach, _ = report_lines(report, market.settings, of_topics=True)
    assert reach == "audited up to 1970-01-01T00:00:00.000000020Z: the frontier of the last commit"


def test_tasks_without_a_commit_and_groups_without_one_are_named(tmp_path: Path) -> None:
    market = honest(tmp_path)
    cuts = read_cuts(market.pipeline)
    one = list(report_lines(audit(market.pipeline, {0: cuts[0]}), market.settings, of_topics=True))
    assert "partition 1: not audited, its task has not committed yet" in one
    none = list(report_lines(audit(market.pipeline, {}), market.settings, of_topics=True))
    assert any(line.startswith("audited to the ends of the topics") for line in none)


def test_json_has_every_count(tmp_path: Path) -> None:
    market = running(tmp_path)
    report = audit(market.pipeline, read_cuts(market.pipeline))
    fields = json.loads(json.dumps(report_json(report)))
    assert (fields["clean"], fields["rows_waiting"], fields["rows_since"]) == (True, 1, 0)
    assert fields["unread"] == {"trade": 1, "quote": 1}
    assert fields["frontier_ns"] == 20


def test_a_rule_that_only_the_settings_have_begins_at_no_row(tmp_path: Path) -> None:
    market = honest(tmp_path)
    own = market.settings.pipeline.model_copy(update={"tolerance_ns": 7})
    pipeline = market.plan(market.settings.model_copy(update={"pipeline": own}))
    report = audit(pipeline, read_cuts(market.pipeline))
    lines = report_lines(report, pipeline.settings, of_topics=True)
    told = [line for line in lines if "no row was matched" in line]
    assert told
    assert all(line.endswith(" -> 7 ns in these settings, by which no row was matched yet") for line in told)
    assert {change["since_ns"] for change in report_json(report)["rule_changes"]} == {None}
