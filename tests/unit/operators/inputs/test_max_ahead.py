"""Times too far ahead are set aside, move no watermark, and stay out over any restart."""

from typing import Any

import pytest

from operators.inputs import set_aside
from operators.inputs.intake import batch_of
from operators.inputs.max_ahead import AheadLimit
from operators.inputs.max_ahead_kernel import LATEST_NS
from operators.inputs.progress import InputProgress
from operators.inputs.watermark import InputClock
from operators.join.settings import SettingsError
from operators.streaming import StreamingAsof
from schemas.batch import Batch
from schemas.clocks import BEGINNING_NS, END_NS
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

WALL: dict[str, Any] = {"max_ahead_ns": 50, "max_ahead_of": "wall"}
INPUTS: dict[str, Any] = {"max_ahead_ns": 50, "max_ahead_of": "inputs"}


def told(join: StreamingAsof, stream: str) -> list[tuple[int, int, int, int]]:
    """What was too far ahead as (offset, index, time_ns, bound_ns)."""
    return [tuple(row.values()) for row in join.inputs.ahead(stream).to_pylist()]


def quotes_at(offset: int, *times_ns: int) -> Batch:
    """Quotes of A at the offsets from `offset` on; the bid of each is its time."""
    return batch_of(QUOTE, "event_ns", quotes(*((ns, "A", ns) for ns in times_ns)), offset)


def test_a_row_further_ahead_of_the_wall_clock_than_allowed_is_set_aside_and_moves_no_watermark() -> None:
    join = make_join(**WALL)
    join.push("quote", quotes((150, "A", 1), (151, "A", 2), (149, "A", 3)), now_ns=100)
    assert told(join, "quote") == [(1, 0, 151, 150)]
    assert told(join, "quote") == []
    assert join.inputs.watermark_ns("quote") == 150
    assert join.inputs.counts("quote").ahead == 1


def test_a_batch_that_is_all_too_far_ahead_leaves_the_input_as_it_was() -> None:
    join = make_join(**WALL)
    join.advance("quote", 20, final=True, offset=0)
    join.inputs.leave_out("quote")
    join.push("quote", quotes_at(1, 400), now_ns=100)
    assert join.inputs.watermark_ns("quote") == 20
    told_of = progress(join, "quote")
    assert (told_of.final, told_of.idle, told_of.next_offset) == (True, True, 2)


def test_without_a_clock_or_a_limit_every_time_is_taken() -> None:
    for asked, now_ns in ((WALL, None), ({}, 100)):
        join = make_join(**asked)
        join.push("quote", quotes((10_000, "A", 1)), now_ns=now_ns)
        join.advance("quote", 20_000, offset=1, now_ns=now_ns)
        assert join.inputs.watermark_ns("quote") == 20_000
        assert told(join, "quote") == []


def test_a_row_that_is_late_is_not_too_far_ahead_as_well() -> None:
    join = make_join(**WALL)
    advance(join, 200)
    join.seal()
    join.push("quote", quotes((199, "A", 1)), now_ns=100)
    assert (join.late("quote").num_rows, told(join, "quote")) == (1, [])


def test_a_progress_record_too_far_ahead_is_refused() -> None:
    join = make_join(**WALL)
    join.advance("quote", 150, offset=0, now_ns=100)
    join.advance("quote", 151, final=True, offset=1, now_ns=100)
    assert join.inputs.watermark_ns("quote") == 150
    assert told(join, "quote") == [(1, -1, 151, 150)]
    assert not progress(join, "quote").final
    assert progress(join, "quote").next_offset == 2


def test_by_the_inputs_a_lone_first_row_is_taken_and_a_leap_is_not() -> None:
    join = make_join(**INPUTS)
    join.push("quote", quotes((1_000, "A", 1), (1_050, "A", 2), (1_101, "A", 3), (1_100, "A", 4)))
    assert told(join, "quote") == [(2, 0, 1_101, 1_100)]
    assert join.inputs.watermark_ns("quote") == 1_100


def test_by_the_inputs_an_early_row_or_heartbeat_does_not_pull_the_bound_back() -> None:
    join = make_join(**INPUTS)
    join.push("quote", quotes((100, "A", 1)))
    join.push("quote", quotes((60, "A", 2)))
    join.advance("quote", 70, offset=2)
    join.push("quote", quotes_at(3, 150, 201))
    assert told(join, "quote") == [(4, 0, 201, 200)]


def test_before_anything_is_known_a_restart_knows_no_bound_either() -> None:
    join = make_join(**INPUTS, grace_ns={"quote": 7})
    after = next_life(join, state=False, **INPUTS, grace_ns={"quote": 7})
    after.push("quote", quotes((1_000, "A", 1)))
    assert told(after, "quote") == []


def test_by_the_inputs_a_leap_is_no_leap_where_another_input_has_come_so_far() -> None:
    join = make_join(**INPUTS)
    join.push("quote", quotes((10, "A", 1)))
    join.push("trade", trades((55, "A"), (100, "A")))
    join.push("quote", quotes((150, "A", 2), (201, "A", 3)))
    assert told(join, "quote") == [(2, 0, 201, 200)]


def test_by_the_inputs_a_row_near_those_before_it_is_taken_whatever_the_others_have() -> None:
    join = make_join(**INPUTS)
    join.push("trade", trades((1, "A")))
    join.push("quote", quotes(*((50 * n, "A", n) for n in range(1, 100))))
    assert told(join, "quote") == []


def test_by_the_inputs_a_heartbeat_bridges_a_pause() -> None:
    join = make_join(**INPUTS)
    join.push("quote", quotes((10, "A", 1)))
    join.advance("quote", 60, offset=1)
    join.advance("trade", 110, offset=0)
    join.advance("trade", 161, offset=1)
    assert told(join, "trade") == [(1, -1, 161, 160)]
    join.push("quote", quotes_at(2, 160))
    assert told(join, "quote") == []


def test_where_the_inputs_had_come_is_known_after_a_restart() -> None:
    join = make_join(**INPUTS, grace_ns={"quote": 7})
    join.push("quote", quotes((100, "A", 1)))
    join.seal()
    after = next_life(join, state=True, **INPUTS, grace_ns={"quote": 7})
    after.push("quote", quotes_at(1, 150, 201))
    assert told(after, "quote") == [(2, 0, 201, 200)]


@pytest.mark.parametrize("state", [True, False])
def test_a_row_too_far_ahead_stays_out_after_a_restart_though_the_wall_clock_has_moved_on(
    state: bool,
) -> None:
    join = make_join(**WALL)
    join.push("trade", trades((5, "A"), (6, "A"), (170, "A")), now_ns=100)
    join.push("quote", quotes((4, "A", 1), (160, "A", 2), (161, None, 3)), now_ns=100)
    advance(join, 6)
    join.seal()
    again = batch_of(TRADE, "event_ns", trades((6, "A"), (170, "A")), 1)
    for _ in range(1 if state else 2):
        join = next_life(join, state=state, **WALL)
        if not state:
            join.push("trade", again, now_ns=1_000)
            join.push("quote", quotes((4, "A", 1), (160, "A", 2), (161, None, 3)), now_ns=1_000)
        assert told(join, "trade") == told(join, "quote") == []
        assert join.inputs.watermark_ns("quote") == 6
    assert bids(join.finish()) == [(6, 1)]


def test_a_row_taken_once_is_not_too_far_ahead_when_the_wall_clock_has_stepped_back() -> None:
    join = make_join(**WALL)
    join.push("quote", quotes((140, "A", 1), (141, "A", 2)), now_ns=100)
    join.advance("quote", 142, offset=2, now_ns=100)
    after = next_life(join, state=False, **WALL)
    after.push("quote", quotes((140, "A", 1), (141, "A", 2)), now_ns=0)
    after.advance("quote", 142, offset=2, now_ns=0)
    after.push("quote", quotes_at(3, 51), now_ns=0)
    assert told(after, "quote") == [(3, 0, 51, 50)]
    after.push("trade", trades((141, "A")), now_ns=100)
    assert bids(after.finish()) == [(141, 2)]


def test_left_rows_too_far_ahead_are_named_until_the_frontier_has_passed_them() -> None:
    join = make_join(**WALL)
    join.push("trade", trades((5, "A"), (200, "A")), now_ns=100)
    names = [progress(join, "trade").late]
    join.advance("quote", 300)
    join.advance("trade", 5)
    join.seal()
    names.append(progress(join, "trade").late)
    join.advance("trade", 201)
    join.push("trade", trades((202, "A")))
    join.seal()
    names.append(progress(join, "trade").late)
    assert names == [((1, 0),), ((1, 0),), ()]


def test_of_too_many_left_rows_too_far_ahead_it_is_told_which_are_not_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(set_aside, "ROWS_MAX", 1)
    join = make_join(**WALL)
    join.push("trade", trades((5, "A"), (200, "A"), (201, "A")), now_ns=100)
    join.seal()
    trade = progress(next_life(join, state=True, **WALL), "trade")
    assert (trade.late, trade.late_from) == (((2, 0),), 2)


def test_a_limit_at_the_end_of_time_stays_in_range() -> None:
    clock = InputClock(grace_ns=0, newest_ns=LATEST_NS - 10)
    assert AheadLimit(50, "inputs", [clock]).bound(None) == LATEST_NS
    assert AheadLimit(50, "wall", [clock]).bound(LATEST_NS - 10) == LATEST_NS
    assert AheadLimit(50, "inputs", [InputClock(0, newest_ns=BEGINNING_NS)]).bound(None) == LATEST_NS


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(SettingsError, match="max_ahead_ns is -1"):
        make_join(max_ahead_ns=-1)


def test_what_a_restart_takes_for_the_newest_time_is_one_that_a_row_can_have() -> None:
    clock = InputClock(grace_ns=2**62)
    clock.resume(InputProgress(needed_offset=0, next_offset=5, watermark_ns=END_NS), 0)
    assert clock.newest_ns == END_NS
