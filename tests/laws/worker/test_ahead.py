"""Rows and progress records too far ahead: where they go, that they move nothing, and that they stay out."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from app.audit.auditable import require_auditable
from app.audit.topics import audit
from app.commit.outbox import stamp_of
from app.errors import RunError, UsageError
from app.reading.dead import ahead_places
from app.task import metadata as progress_metadata
from app.worker.worker import Worker
from schemas.clocks import NS_PER_DAY, NS_PER_S
from schemas.letters import DeadLetter
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet

NOW_NS = 1_000 * NS_PER_S
TEN_YEARS_NS = 3_652 * NS_PER_DAY
WALL = {"max_ahead_ns": NS_PER_S}
INPUTS = {"max_ahead_ns": NS_PER_S, "max_ahead_of": "inputs"}


def market_now(folder: Path, pipeline: dict[str, object] | None = None, **worker: object) -> Market:
    """A market at the wall clock NOW_NS."""
    market = Market(folder, pipeline=WALL if pipeline is None else pipeline, worker=worker)
    market.wall_ns = NOW_NS
    return market


def died(market: Market, worker: Worker, *, disk: bool) -> None:
    """The worker is gone after its last commit, its disk with it or not."""
    worker.close()
    if disk:
        shutil.rmtree(market.settings.worker.state)


def test_one_quote_ten_years_ahead_does_not_drag_the_watermark(tmp_path: Path) -> None:
    market = market_now(tmp_path)
    worker = market.worker()
    market.quote(NOW_NS - 9, NOW_NS + TEN_YEARS_NS)
    market.trade(NOW_NS - 7, NOW_NS)
    turn_until_quiet(worker)
    market.quote(NOW_NS - 8)
    market.quote(NOW_NS - 1)
    market.progress(NOW_NS + 1)
    turn_until_quiet(worker)
    worker.close()
    assert market.aligned() == [(NOW_NS - 7, NOW_NS - 8), (NOW_NS, NOW_NS - 1)]
    (letter,) = market.messages("dead")
    assert letter.value == market.block("quote", [NOW_NS - 9, NOW_NS + TEN_YEARS_NS])
    told = DeadLetter.from_kafka(letter.headers)
    assert (told.topic, told.offset, told.indexes) == ("tidemark.quote", 0, (1,))
    for named in (NOW_NS + TEN_YEARS_NS, NOW_NS + NS_PER_S, "wall clock", "max_ahead_ns = 1000000000"):
        assert str(named) in told.reason
    assert ahead_places(market.pipeline, 0) == {"trade": [], "quote": [(0, 1)]}
    report = audit(market.pipeline)
    assert (report.violations, report.rows_aligned, report.rows_dead) == ([], 2, 1)


def test_a_progress_record_too_far_ahead_is_a_dead_letter_and_no_row(tmp_path: Path) -> None:
    market = market_now(tmp_path)
    market.progress(NOW_NS + NS_PER_S + 1, "trade")
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        assert worker.tasks[0].counts.dead == 1
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    (letter,) = market.messages("dead")
    assert "progress record" in DeadLetter.from_kafka(letter.headers).reason
    assert ahead_places(market.pipeline, 0) == {"trade": [], "quote": []}


@pytest.mark.parametrize("room", [0, 4_000])
@pytest.mark.parametrize("disk", [False, True])
def test_a_row_too_far_ahead_stays_out_over_restarts_when_its_time_has_come(
    tmp_path: Path, disk: bool, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_metadata, "METADATA_SIZE_MAX", room)
    market = market_now(tmp_path)
    worker = market.worker()
    soon_ns = NOW_NS + 2 * NS_PER_S
    market.quote(NOW_NS - 1)
    market.trade(NOW_NS)
    market.quote(soon_ns)
    market.trade(soon_ns)
    turn_until_quiet(worker)
    worker.commit()
    for _ in range(2):
        market.wall_ns += NS_PER_S
        died(market, worker, disk=disk)
        worker = market.worker()
        turn_until_quiet(worker)
        worker.commit()
    market.wall_ns += 10 * NS_PER_S
    market.trade(soon_ns + 1)
    market.progress(soon_ns + 2)
    turn_until_quiet(worker)
    died(market, worker, disk=disk)
    assert market.aligned() == [(NOW_NS, NOW_NS - 1), (soon_ns + 1, NOW_NS - 1)]
    assert len(market.messages("dead")) == 2
    assert audit(market.pipeline).violations == []


def test_by_the_inputs_the_wall_clock_does_not_matter_and_a_leap_does(tmp_path: Path) -> None:
    market = market_now(tmp_path, INPUTS)
    worker = market.worker()
    market.quote(5, 6)
    market.quote(NOW_NS)
    market.progress(7, "quote")
    market.quote(8)
    turn_until_quiet(worker)
    worker.close()
    assert ahead_places(market.pipeline, 0)["quote"] == [(1, 0)]
    (letter,) = market.messages("dead")
    assert "newest time of the inputs" in DeadLetter.from_kafka(letter.headers).reason


def test_by_the_inputs_a_heartbeat_between_two_rows_of_one_poll_bridges_a_pause(tmp_path: Path) -> None:
    market = market_now(tmp_path, INPUTS)
    market.quote(5)
    market.progress(5 + NS_PER_S, "quote")
    market.quote(5 + 2 * NS_PER_S)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
    assert market.messages("dead") == []


@pytest.mark.parametrize("jump_ns", [3_600 * NS_PER_S, -3_600 * NS_PER_S])
def test_a_jump_of_the_wall_clock_changes_no_sealed_row_without_a_limit(tmp_path: Path, jump_ns: int) -> None:
    market = market_now(tmp_path, {})
    worker = market.worker()
    market.quote(NOW_NS)
    market.trade(NOW_NS)
    turn_until_quiet(worker)
    market.wall_ns += jump_ns
    market.progress(NOW_NS + 1)
    turn_until_quiet(worker)
    worker.close()
    assert market.aligned() == [(NOW_NS, NOW_NS)]


def test_rows_too_far_ahead_follow_the_policy_of_dead_letters(tmp_path: Path) -> None:
    market = market_now(tmp_path, dead="fail")
    market.trade(NOW_NS + TEN_YEARS_NS)
    worker = market.worker()
    with pytest.raises(RunError, match=r'trade\[0\]@0 is dead: 1 rows too far ahead.*worker.dead = "fail"'):
        turn_until_quiet(worker)
    worker.close(failed=True)


def test_what_leaves_no_record_of_rows_too_far_ahead_cannot_be_audited(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'worker\.dead = "drop"'):
        require_auditable(market_now(tmp_path, dead="drop").settings)


def test_the_newest_time_told_leaves_out_rows_too_far_ahead(tmp_path: Path) -> None:
    market = market_now(tmp_path)
    market.quote(NOW_NS - 1, NOW_NS + TEN_YEARS_NS)
    with closing(market.worker()) as worker:
        turn_until_quiet(worker)
        assert stamp_of(worker.tasks[0]).newest_ns == NOW_NS - 1


def test_an_unreadable_message_read_again_after_a_restart_is_one_dead_letter(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.trade(5)
    market.send("trade", b"A", b"garbage")
    for _ in range(2):
        worker = market.worker()
        turn_until_quiet(worker)
        worker.commit()
        died(market, worker, disk=True)
    assert len(market.messages("dead")) == 1
