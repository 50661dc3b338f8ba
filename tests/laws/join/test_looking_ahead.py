"""Forward and nearest in a stream: a left row waits for later right rows, and not a nanosecond longer."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from operators.inputs.intake import batch_of
from operators.inputs.resuming import plan_resume
from operators.join.forward import ForwardContext
from operators.join.settings import AsofSettings
from operators.rows import pending
from schemas.stream import Stream
from tests.stage.scenes import (
    QUOTE,
    TRADE,
    advance,
    bids,
    make_join,
    next_life,
    progress,
    quotes,
    trades,
)


def sealed_at(join: Any, upto_ns: int) -> tuple[int, list[tuple[int, int | None]]]:
    """The first frontier at which something is sealed, raised a nanosecond at a time, and what."""
    for frontier_ns in range(join.frontier_ns if join.frontier_ns > 0 else 0, upto_ns):
        advance(join, frontier_ns)
        if sealed := bids(join.seal()):
            return frontier_ns, sealed
    raise AssertionError(f"nothing was sealed up to {upto_ns}")


@pytest.mark.parametrize(
    ("direction", "allow_exact", "rows", "frontier_ns", "bid"),
    [
        ("forward", True, [(10, 1), (10, 2)], 11, 1),
        ("forward", False, [(10, 1), (12, 2), (12, 3)], 13, 2),
        ("forward", True, [(9, 1), (15, 2)], 16, 2),
        ("forward", True, [(9, 1), (16, 2)], 16, None),
        ("nearest", True, [(10, 1), (10, 2)], 11, 2),
        ("nearest", False, [(10, 1)], 16, None),
        ("nearest", True, [(8, 1)], 13, 1),
        ("nearest", True, [(8, 1), (12, 2)], 13, 1),
        ("nearest", True, [(8, 1), (11, 2), (11, 3)], 12, 2),
        ("nearest", True, [(4, 1)], 16, None),
        ("nearest", True, [(5, 1)], 16, 1),
        ("nearest", False, [(9, 1), (10, 2), (11, 3)], 12, 1),
        ("nearest", False, [(7, 1), (10, 2), (12, 3)], 13, 3),
    ],
)
def test_a_row_is_sealed_as_soon_as_nothing_can_change_its_match(
    direction: str, allow_exact: bool, rows: list[tuple[int, int]], frontier_ns: int, bid: int | None
) -> None:
    join = make_join(direction=direction, allow_exact=allow_exact, tolerance_ns=5)
    join.push("trade", trades((10, "A")))
    join.push("quote", quotes(*[(event_ns, "A", value) for event_ns, value in rows]))
    assert sealed_at(join, 30) == (frontier_ns, [(10, bid)])


def test_a_row_of_the_matched_time_that_comes_first_may_still_come() -> None:
    schema = pa.schema([*QUOTE.schema, ("sequence", pa.int64())])
    quote = Stream(name="quote", schema=schema, sequence="sequence")
    join = make_join(direction="forward", tolerance_ns=5, rights=(quote,))

    def push(bid: int, sequence: int) -> None:
        row = {"event_ns": 12, "symbol": "A", "bid": bid, "ask": 0, "sequence": sequence}
        join.push("quote", pa.RecordBatch.from_pylist([row], schema=schema))

    join.push("trade", trades((10, "A")))
    push(bid=1, sequence=7)
    advance(join, 12)
    assert join.seal() is None
    push(bid=2, sequence=3)
    advance(join, 13)
    assert bids(join.seal()) == [(10, 2)]


def test_a_row_of_an_equal_time_that_may_not_match_is_the_one_before_for_a_later_row() -> None:
    join = make_join(direction="nearest", allow_exact=False, tolerance_ns=5)
    join.push("quote", quotes((8, "A", 1), (10, "A", 2)))
    join.push("trade", trades((10, "A")))
    advance(join, 13)
    assert bids(join.seal()) == [(10, 1)]
    join.push("trade", trades((14, "A")))
    assert bids(join.finish()) == [(14, 2)]


def test_a_final_row_waits_for_earlier_rows_that_are_not() -> None:
    join = make_join(direction="forward", tolerance_ns=5)
    join.push("trade", trades((10, "A"), (11, "B")))
    join.push("quote", quotes((12, "B", 1)))
    assert sealed_at(join, 30) == (16, [(10, None), (11, 1)])


def test_the_hold_is_bounded_by_the_tolerance() -> None:
    join = make_join(direction="forward", tolerance_ns=5)
    join.push("trade", trades(*[(event_ns, "AB"[event_ns % 2]) for event_ns in range(10, 20)]))
    advance(join, 18)
    sealed = bids(join.seal())
    assert sealed == [(10, None), (11, None), (12, None)]


def test_a_row_is_sealed_once_every_right_stream_has_its_match() -> None:
    mark = Stream(name="mark", schema=QUOTE.schema)
    join = make_join(direction="nearest", tolerance_ns=5, rights=(QUOTE, mark))
    join.push("trade", trades((10, "A"), (11, "A"), (12, "A")))
    join.push("quote", quotes((10, "A", 1), (11, "A", 2), (12, "A", 3)))
    advance(join, 13)
    assert join.seal() is None
    join.push("mark", quotes((13, "A", 4)))
    advance(join, 14)
    sealed = join.seal()
    assert bids(sealed) == [(10, 1), (11, 2), (12, 3)]
    assert sealed is not None
    assert sealed["mark_bid"].to_pylist() == [4, 4, 4]
    assert sealed["mark_age_ns"].to_pylist() == [-3, -2, -1]


@pytest.mark.parametrize("direction", ["forward", "nearest"])
def test_right_rows_are_kept_while_a_left_row_may_match_them_and_no_longer(direction: str) -> None:
    join = make_join(direction=direction, tolerance_ns=5)
    join.push("quote", quotes((9, "A", 1), (11, "A", 2), (14, "B", 3)))
    join.push("trade", trades((10, "C"), (11, "C")))
    advance(join, 15)
    assert join.seal() is None
    assert join.operator.held("quote").rows == 2
    advance(join, 16)
    join.seal()
    assert join.operator.held("quote").rows == 2
    advance(join, 17)
    join.seal()
    assert join.operator.held("quote").rows == 0


def test_finish_moves_the_frontier_past_all_that_a_sealed_row_could_have_matched() -> None:
    join = make_join(direction="forward", tolerance_ns=5)
    join.push("trade", trades((10, "A")))
    assert bids(join.finish()) == [(10, None)]
    assert join.frontier_ns == 16
    join.push("quote", quotes((15, "A", 1)))
    assert join.late("quote")["offset"].to_pylist() == [0]


def test_rows_that_wait_for_the_next_period_keep_a_join_from_being_final_but_not_from_having_ended() -> None:
    join = make_join(direction="forward", tolerance_ns=5)
    join.push("trade", trades((10, "A")))
    for stream in join.streams:
        join.advance(stream, 12, final=True, offset=1)
    assert join.seal() is None
    assert (join.inputs.ended, join.operator.final) == (True, False)
    join.push("quote", quotes((13, "A", 1)))
    assert not join.inputs.ended
    advance(join, 14)
    assert bids(join.seal()) == [(10, 1)]


@pytest.mark.parametrize("direction", ["forward", "nearest"])
def test_a_long_run_holds_no_more_than_its_tolerance(direction: str) -> None:
    join = make_join(direction=direction, tolerance_ns=50)
    seen, sizes = 0, []
    for start in range(0, 60_000, 5_000):
        times = range(start, start + 5_000)
        join.push("quote", quotes(*[(t, f"S{t % 7}", t) for t in times]))
        join.push("trade", trades(*[(t, f"S{t % 7}") for t in times if t % 3 == 0]))
        for event_ns, bid in bids(join.seal()):
            assert bid == event_ns
            seen += 1
        assert join.operator.held("quote").rows <= 60
        sizes.append(sum(len(value) for _, value in join.snapshot().puts))
    assert seen > 19_900
    assert max(sizes) < 2 * min(sizes), "each is the state of all symbols, and of no row that may be let go"


def test_a_left_row_that_waits_over_a_restart_matches_as_it_would_have() -> None:
    join = make_join(direction="nearest", tolerance_ns=5)
    join.push("quote", quotes((6, "A", 1), (9, "B", 2)))
    join.push("trade", trades((9, "B"), (10, "A"), (11, "B")))
    advance(join, 12)
    assert bids(join.seal()) == [(9, 2)]
    assert join.operator.progress().through == {"aligned": (9, 0, 0, 0)}
    after = next_life(join, state=False, direction="nearest", tolerance_ns=5)
    first = progress(join, "quote").needed_offset
    after.push("quote", quotes((6, "A", 1), (9, "B", 2)).slice(first))
    after.push("trade", trades((10, "A"), (11, "B")))
    after.push("quote", quotes((13, "A", 3)))
    assert bids(after.finish()) == [(10, 3), (11, 2)]


def test_rows_that_settle_follow_those_left_of_their_group_when_older_ones_are_let_go() -> None:
    join = make_join(direction="forward", tolerance_ns=10)
    join.push("trade", trades((10, "A"), (12, "B")))
    join.push("quote", quotes((11, "A", 1), (14, "A", 2)))
    advance(join, 15)
    assert bids(join.seal()) == [(10, 1)]  # B waits on, at 12: of A's quotes only the one at 14 is kept
    join.push("trade", trades((15, "A")))
    join.push("quote", quotes((17, "A", 3)))
    advance(join, 18)
    assert join.seal() is None
    advance(join, 23)
    assert bids(join.seal()) == [(12, None), (15, 3)]


def test_rows_follow_those_of_their_group_when_all_before_them_are_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "COMPACT_ROWS_MIN", 0)
    join = make_join(direction="forward", tolerance_ns=10)
    join.push("trade", trades((19, "C"), (21, "A")))
    join.push("quote", quotes(*((event_ns, "A", 0) for event_ns in range(1, 10))))
    join.push("quote", quotes((20, "A", 1), (21, "B", 2), (22, "A", 3), (23, "B", 4)))
    advance(join, 24)
    assert join.seal() is None
    assert join.operator.held("quote").rows == 4
    advance(join, 30)
    assert bids(join.seal()) == [(19, None), (21, 3)]


def test_rows_read_again_are_kept_after_all_before_them_were_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pending, "COMPACT_ROWS_MIN", 0)
    asked = AsofSettings(left=TRADE, rights=(QUOTE,), direction="forward", tolerance_ns=5)
    rows = ForwardContext(asked, QUOTE)
    gone = [(event_ns, "A", 1) for event_ns in (1, 2, 3)]
    for again, kept in ((gone, 0), ([*gone, (20, "A", 2)], 1)):
        batch = batch_of(QUOTE, "event_ns", quotes(*again), 0)
        rows.refresh(batch, np.zeros(len(again), np.int32), floor_ns=10)
        assert rows.pending.store.rows == rows.pending.rows == kept


def test_a_right_row_read_again_before_the_left_row_that_waited_for_it_is_kept() -> None:
    asked: dict[str, Any] = {"direction": "forward", "tolerance_ns": 5}
    rows = {"trade": trades((7, "A"), (8, "B")), "quote": quotes((9, "B", 1), (11, "B", 2))}
    join, after = make_join(**asked), make_join(**asked)
    for stream in ("trade", "quote"):
        join.push(stream, rows[stream])
    advance(join, 12)
    assert join.seal() is None  # the first trade may still match, and the second comes after it
    after.operator.resume(plan_resume(join.operator.progress(), None, {}))
    for stream in ("quote", "trade"):
        after.push(stream, rows[stream])
    assert bids(after.finish()) == [(7, None), (8, 1)]
