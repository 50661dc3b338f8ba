"""A worker's counts: each row once, however often a commit comes to nothing or a start reads it again."""

from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from schemas.clocks import NS_PER_S
from tests.stage.market import Market
from tests.stage.turns import turn_until_quiet
from topics.memory.store import CommitFault


def market_of_rows(folder: Path) -> Market:
    """Trades of 1 to 9 and one of 20 that waits, quotes of 1 and 10, and garbage."""
    market = Market(folder)
    market.quote(1, 10)
    market.trade(*range(1, 10), 20)
    market.send("quote", b"A", b"garbage")
    return market


def events(lines: list[Any], name: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"].startswith(name)]


def test_the_last_line_counts_what_was_committed_and_what_waits(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    worker = market.worker()
    turn_until_quiet(worker)
    market.trade(3)
    turn_until_quiet(worker)
    worker.close()
    assert worker.closing_words() == "stopped: 9 rows sealed, 1 late, 1 dead, 1 waits"


def test_a_commit_that_comes_to_nothing_counts_no_row_twice(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    market.bus.fail_commits([CommitFault.REFUSED, CommitFault.LOST])
    worker = market.worker()
    for _ in range(3):
        turn_until_quiet(worker)
        market.pass_commit_interval()
    turn_until_quiet(worker)
    worker.close()
    assert worker.closing_words() == "stopped: 9 rows sealed, 0 late, 1 dead, 1 waits"


def test_rows_that_a_start_reads_again_are_not_counted_again(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    first = market.worker()
    turn_until_quiet(first)
    first.close()
    market.progress(30, final=True)
    second = market.worker(until_final=True)
    turn_until_quiet(second)
    second.commit()
    second.run(lambda: False)
    second.close()
    assert second.closing_words() == "done: 1 row sealed, 0 late, 0 wait"


def test_a_line_a_minute_says_what_was_done_and_what_lies_unread(tmp_path: Path) -> None:
    market = market_of_rows(tmp_path)
    worker = market.worker()
    with capture_logs() as lines:
        turn_until_quiet(worker)
        assert events(lines, "at work") == []
        market.elapsed_ns += 60 * NS_PER_S
        worker.turn()
        market.elapsed_ns += 60 * NS_PER_S
        worker.turn()
    first, second = events(lines, "at work")
    counted = {"rows_in": 12, "sealed": 9, "late": 0, "dead": 1, "waiting": 1, "unread": 0}
    assert first.items() >= {**counted, "seconds": 60, "tasks": 1, "frontier_ns": 10}.items()
    assert second.items() >= {"rows_in": 0, "sealed": 0, "waiting": 1, "frontier_ns": 10}.items()
    worker.close()


def test_more_late_rows_than_one_in_a_hundred_are_warned_of_once(tmp_path: Path) -> None:
    market = Market(tmp_path)
    market.quote(*range(1, 100))
    market.progress(200)
    worker = market.worker()
    with capture_logs() as lines:
        turn_until_quiet(worker)
        market.trade(150)
        turn_until_quiet(worker)
        market.elapsed_ns += 60 * NS_PER_S
        worker.turn()
        assert events(lines, "more than 1 %") == [], "1 of 100 is not more"
        market.trade(151)
        for _ in range(2):
            turn_until_quiet(worker)
            market.elapsed_ns += 60 * NS_PER_S
        worker.turn()
        worker.close()
        worker.closing_words()
    (warning,) = events(lines, "more than 1 %")
    assert (warning["late"], warning["rows_in"], warning["log_level"]) == (2, 101, "warning")
