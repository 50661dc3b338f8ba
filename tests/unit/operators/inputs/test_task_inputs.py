"""The inputs of a task: in which order what arrived is taken, and how far the frontier may move."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from operators.inputs.inputs import Bounds, Inputs, InputSpec
from operators.inputs.intake import batch_of
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan
from schemas.arrived import Arrived, ProgressRecord
from schemas.batch import Batch
from schemas.clocks import BEGINNING_NS
from schemas.stream import Stream
from tests.stage.scenes import FRESH, QUOTE, TRADE, quotes, trades

BY_INPUTS: dict[str, Any] = {"max_ahead_ns": 50, "max_ahead_of": "inputs"}


def spec(stream: Stream, **changed: Any) -> InputSpec:
    """A stream without grace, of which a little may wait."""
    asked: dict[str, Any] = {"on": "event_ns", "grace_ns": 0, "rows_max": 9, "size_max": 999}
    return InputSpec(stream=stream, **asked | changed)


def make_inputs(**asked: Any) -> Inputs:
    """Trades and quotes."""
    return Inputs([spec(TRADE), spec(QUOTE)], **asked)


def messages(*rows: tuple[int, int]) -> Batch:
    """Quotes of A as (offset, event_ns)."""
    batch = batch_of(QUOTE, "event_ns", quotes(*((event_ns, "A", 1) for _, event_ns in rows)), 0)
    return replace(batch, offset=np.array([offset for offset, _ in rows], np.int64))


def waiting(
    inputs: Inputs, batch: Batch | pa.RecordBatch | None, *records: ProgressRecord
) -> list[list[int]]:
    """Let quotes arrive; the times of those that wait, by what was accepted at once."""
    accepted = inputs.accept("quote", Arrived(batch, records))
    return [rows.pending.time_ns.tolist() for rows in accepted]


def test_by_the_inputs_a_heartbeat_among_rows_bridges_the_pause_before_the_row_behind_it() -> None:
    inputs = make_inputs(**BY_INPUTS)
    rows = messages((0, 10), (1, 60), (3, 160), (4, 999))
    assert waiting(inputs, rows, ProgressRecord(110, offset=2)) == [[10, 60], [160]]
    assert inputs.ahead("quote")["offset"].to_pylist() == [4]


def test_by_the_inputs_records_before_and_behind_all_rows_are_taken_there() -> None:
    inputs = make_inputs(**BY_INPUTS)
    records = [ProgressRecord(100, offset=0), ProgressRecord(150, offset=2), ProgressRecord(201, offset=3)]
    assert waiting(inputs, messages((1, 140)), *records) == [[140]]
    assert inputs.ahead("quote")["offset"].to_pylist() == [3]
    assert inputs.watermark_ns("quote") == 150


@pytest.mark.parametrize("asked", [{}, {"max_ahead_ns": 50}])
def test_where_no_input_bounds_another_all_rows_are_taken_at_once(asked: dict[str, Any]) -> None:
    inputs = make_inputs(**asked)
    assert waiting(inputs, messages((0, 10), (2, 70)), ProgressRecord(40, offset=1)) == [[10, 70]]


@pytest.mark.parametrize("asked", [{}, BY_INPUTS])
def test_a_final_record_among_rows_ends_nothing_and_one_behind_them_does(asked: dict[str, Any]) -> None:
    inputs = make_inputs(**asked)
    waiting(inputs, messages((0, 10), (2, 30)), ProgressRecord(20, final=True, offset=1))
    ends = [inputs.progress("quote", 0).final]
    waiting(inputs, messages((3, 40)), ProgressRecord(50, final=True, offset=4))
    ends.append(inputs.progress("quote", 0).final)
    assert ends == [False, True]
    assert inputs.read_next("quote") == 5


def test_a_share_without_rows_accepts_none() -> None:
    inputs = make_inputs()
    assert waiting(inputs, None, ProgressRecord(20, offset=0)) == []
    assert waiting(inputs, quotes()) == []
    assert inputs.watermark_ns("quote") == 20


def test_a_progress_record_that_is_the_callers_own_word_has_no_place_among_rows() -> None:
    with pytest.raises(AssertionError, match="lies in their log"):
        waiting(make_inputs(**BY_INPUTS), messages((0, 10)), ProgressRecord(20))


def test_the_frontier_moves_only_when_it_is_moved_and_never_falls() -> None:
    inputs = make_inputs()
    for stream in inputs.streams:
        waiting(inputs, None)
        list(inputs.accept(stream, Arrived(None, [ProgressRecord(20)])))
    assert inputs.frontier_ns == BEGINNING_NS
    assert inputs.bounds() == Bounds(20, 20)
    inputs.move_to(20)
    with pytest.raises(AssertionError, match="never falls"):
        inputs.move_to(19)
    assert inputs.frontier_ns == 20


def test_an_idle_input_holds_the_evident_bound_and_not_the_assumed_one() -> None:
    inputs = make_inputs()
    list(inputs.accept("trade", Arrived(None, [ProgressRecord(20)])))
    waiting(inputs, None, ProgressRecord(10))
    inputs.leave_out("quote")
    assert inputs.bounds() == Bounds(10, 20)
    inputs.move_to(15)
    assert inputs.bounds() == Bounds(15, 20)
    inputs.move_to(30)
    assert inputs.bounds() == Bounds(30, 30)


def test_the_frontier_may_not_move_while_an_input_is_read_again() -> None:
    inputs = make_inputs()
    committed = {"trade": replace(FRESH, watermark_ns=90), "quote": InputProgress(0, 2, 80)}
    inputs.resume(ResumePlan(TaskProgress(frontier_ns=40, inputs=committed), {"trade": 0, "quote": 0}))
    waiting(inputs, messages((0, 30)))
    assert inputs.bounds() == Bounds(40, 40)
    waiting(inputs, messages((1, 70)))
    assert inputs.bounds() == Bounds(80, 80)


def test_rows_set_aside_are_held_until_they_are_forgotten() -> None:
    inputs = make_inputs()
    inputs.move_to(20)
    waiting(inputs, messages((0, 5), (1, 30), (2, 7)))
    assert inputs.progress("quote", 0).late == ((0, 0), (2, 0))
    inputs.keep_set_aside("quote", np.array([False, True]))
    assert inputs.progress("quote", 0).late == ((2, 0),)
    assert inputs.set_aside("quote").rows == 1


def test_of_an_input_only_what_its_entries_hold_is_in_their_meaning() -> None:
    meaning = make_inputs().meaning
    same = [spec(TRADE, grace_ns=7, rows_max=1), spec(QUOTE, size_max=1)]
    assert Inputs(same, **BY_INPUTS).meaning == meaning
    others = [
        [spec(QUOTE), spec(TRADE)],
        [spec(TRADE), spec(replace(QUOTE, name="mark"))],
        [spec(TRADE), spec(QUOTE, on="bid")],
        [spec(TRADE), spec(QUOTE, carried=("bid",))],
        [spec(TRADE), spec(QUOTE, carried=("ask",))],
    ]
    assert len({meaning, *(Inputs(specs).meaning for specs in others)}) == 1 + len(others)


def test_the_counts_are_those_of_the_moment_they_were_asked_for() -> None:
    inputs = make_inputs()
    before = inputs.counts("trade")
    list(inputs.accept("trade", Arrived(trades((1, "A")))))
    assert (before.pushed, inputs.counts("trade").pushed) == (0, 1)
