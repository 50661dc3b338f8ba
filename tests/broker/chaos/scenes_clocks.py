"""Scenes of time: rows that come too late, partitions that fall silent, clocks that leap (F14 to F17)."""

from collections.abc import Mapping
from time import time_ns
from typing import Any

from app.worker.assembly import open_worker
from schemas.clocks import NS_PER_S
from tests.broker.chaos.stage import Stage
from tests.stage.day_runs import until

YEAR_NS = 365 * 86_400 * NS_PER_S
LATE_ROWS = 20


def rows_too_late(stage: Stage) -> None:
    """F14: rows far below the frontier go to the late topic, once, and change nothing that was sealed."""
    stage.late_allowed = True
    begin_ns = stage.feed.now_ns
    hand = stage.crew.hire(failpoint="commit-end:9", until_final=False)
    with stage.feed.flowing():
        hand.died()
        again = stage.crew.hire()
        stage.recovers(again)
    late: list[tuple[str, str, bytes | None]] = []
    for place in range(LATE_ROWS):
        name, symbol = ("trade", "quote")[place % 2], f"S{place % 12:02d}"
        row = stage.feed.row(name, begin_ns + place, symbol)
        late.append((name, symbol, stage.feed.value(name, row)))
    for _ in range(5):
        stage.feed.step()
    stage.rows_seen(60)
    assert stage.feed.write(late)
    stage.finish(again)


def a_partition_falls_silent(stage: Stage) -> None:
    """F15: quotes of one partition stop, without a progress record, and the others' rows go on."""
    hand = stage.crew.hire()
    for _ in range(2):
        stage.feed.step()
    stage.rows_seen()
    stage.feed.quotes_on = frozenset({0})
    with stage.feed.flowing():
        stage.rows_seen(600)  # more than partition 0 alone would give, were the other one held back
        first = {partition for partition, _ in stage.watcher.seen.messages}
        assert first == {0, 1}
    stage.finish(hand)


def the_wall_clock_leaps(stage: Stage) -> None:
    """F16: the wall clock goes an hour ahead and two back while a worker in this process seals."""
    leap_ns = [0]
    worker = open_worker(stage.pipeline, until_final=True, wall_ns=lambda: time_ns() + leap_ns[0])
    for hours in (0, 1, -1, 0, -1, 1):
        leap_ns[0] = hours * 3_600 * NS_PER_S
        stage.feed.step()
        before = stage.watcher.seen.rows
        until(lambda was=before: worker.turn() == 0 and stage.watcher.seen.rows > was, "rows are sealed")  # type: ignore[misc]
    stage.feed.finish()
    worker.run(lambda: False)
    worker.close()
    stage.note = "in this process: the worker's seam for the wall clock"


def a_row_from_the_future(stage: Stage) -> None:
    """F17: a quote and a trade ten years ahead are dead letters, and move no watermark."""
    limit_ns = time_ns() + YEAR_NS

    def ahead(_stream: str, row: Mapping[str, Any]) -> bool:
        return int(row["event_ns"]) > limit_ns

    stage.breaks = ahead
    hand = stage.crew.hire(failpoint="commit-end:5", until_final=False)
    with stage.feed.flowing():
        hand.died()
        again = stage.crew.hire()
        stage.recovers(again)
    far = [
        (name, symbol, stage.feed.value(name, stage.feed.row(name, time_ns() + 10 * YEAR_NS, symbol)))
        for name in ("quote", "trade")
        for symbol in ("S00", "S01")
    ]
    assert stage.feed.write(far)
    with stage.feed.flowing():
        stage.rows_seen(300)
    stage.finish(again)
