"""Late rows over a restart: which are named in the commit, and that those stay out when read again."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from operators.inputs import set_aside
from operators.inputs.intake import batch_of
from operators.inputs.progress import InputProgress
from operators.streaming import StreamingAsof
from schemas.stream import Stream
from tests.stage.scenes import (
    FRESH,
    QUOTE,
    advance,
    bids,
    make_join,
    next_life,
    progress,
    quotes,
    resume,
    trades,
)


def with_late(*rows: tuple[int, str | None, int | None], **changed: object) -> StreamingAsof:
    """A join at frontier 10: quotes of Z (offset 0) and A stand at 9 and 4, `rows` came late (from 2 on)."""
    join = make_join(**changed)
    join.push("quote", quotes((9, "Z", 0), (4, "A", 1)))
    advance(join, 10)
    join.seal()
    join.push("quote", quotes(*rows))
    assert join.late("quote").num_rows == len(rows)
    return join


def named(join: StreamingAsof) -> list[int]:
    """The offsets of the quotes that a restart has to leave out."""
    return [offset for offset, _ in progress(join, "quote").late]


def restarted(join: StreamingAsof, **changed: Any) -> StreamingAsof:
    """The next life, without state."""
    return next_life(join, state=False, **changed)


def test_late_rows_newer_than_what_stands_are_named() -> None:
    assert named(with_late((3, "A", 2), (5, "A", 3), (1, "B", 4), (9, None, 5))) == [3, 4]


def test_a_late_row_before_the_one_that_stands_is_not_named_whatever_its_sequence() -> None:
    schema = pa.schema([*QUOTE.schema, ("sequence", pa.int64())])
    join = make_join(rights=(Stream(name="quote", schema=schema, sequence="sequence"),))

    def push(*rows: tuple[int, int]) -> None:
        dicts = [{"event_ns": t, "symbol": "A", "bid": 0, "ask": 0, "sequence": n} for t, n in rows]
        join.push("quote", pa.RecordBatch.from_pylist(dicts, schema=schema))

    push((4, 5))
    advance(join, 10)
    join.seal()
    push((4, 3), (3, 9), (4, 6))
    assert named(join) == [3]


def test_of_late_rows_for_which_there_is_just_room_all_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "ROWS_MAX", 2)
    join = with_late((5, "A", 3), (6, "B", 4))
    assert named(join) == [2, 3]
    assert progress(join, "quote").late_from == 0


def test_a_late_row_of_the_very_message_that_is_needed_is_named() -> None:
    join = make_join()
    advance(join, 10)
    join.seal()
    rows = batch_of(QUOTE, "event_ns", quotes((12, "A", 1), (5, "B", 2)), 0)
    join.push("quote", replace(rows, offset=np.zeros(2, np.int64), index=np.arange(2, dtype=np.int32)))
    told = progress(join, "quote")
    assert told.needed_offset == 0
    assert told.late == ((0, 1),)


def test_a_late_row_is_named_no_more_once_a_newer_row_stands() -> None:
    join = with_late((5, "A", 3), (6, "B", 4))
    join.push("quote", quotes((10, "A", 5)))
    assert named(join) == [2, 3]
    advance(join, 11)
    join.seal()
    assert named(join) == [3]


def test_a_late_row_is_named_no_more_once_it_can_match_no_more() -> None:
    join = with_late((6, "B", 3), (7, "B", 4), tolerance_ns=5)
    assert named(join) == [2, 3]
    advance(join, 12)
    join.seal()
    assert named(join) == [3]


def test_by_column_a_late_row_is_named_while_its_value_would_fill_a_column() -> None:
    join = make_join(carry="column")
    join.push("quote", quotes((4, "A", 1), (8, "A", None)))
    advance(join, 10)
    join.seal()
    join.push("quote", quotes((3, "A", 2), (5, "A", 3), (6, "A", None)))
    assert named(join) == [3]


def test_a_late_row_read_again_is_neither_matched_nor_late_nor_counted() -> None:
    after = restarted(with_late((5, "A", 3), (6, "B", 4)))
    after.push("quote", quotes((9, "Z", 0), (4, "A", 1), (5, "A", 3), (6, "B", 4)))
    after.push("trade", trades((12, "A"), (12, "B")))
    assert named(after) == [2, 3]
    assert bids(after.finish()) == [(12, 1), (12, None)]
    assert after.late("quote").num_rows == after.inputs.counts("quote").pushed == 0


def test_a_row_that_is_late_now_is_no_context_beside_rows_that_were_judged_before() -> None:
    after = make_join()
    resume(after, 10, {"trade": FRESH, "quote": InputProgress(0, 1, 10)}, {"trade": 0, "quote": 0})
    after.push("quote", quotes((4, "A", 1), (6, "A", 2)))
    assert after.late("quote")["offset"].to_pylist() == [1]
    after.push("trade", trades((12, "A")))
    assert bids(after.finish()) == [(12, 1)]


def test_late_rows_not_read_again_yet_are_still_named() -> None:
    after = restarted(with_late((5, "A", 3), (6, "B", 4)))
    after.push("quote", quotes((9, "Z", 0), (4, "A", 1)))
    assert named(restarted(after)) == named(after) == [2, 3]


def test_late_rows_are_told_from_others_of_their_message() -> None:
    rows = replace(
        batch_of(QUOTE, "event_ns", quotes((4, "A", 1), (5, "A", 2)), 0),
        offset=np.zeros(2, np.int64),
        index=np.arange(2, dtype=np.int32),
    )
    after = make_join()
    quote = InputProgress(0, 1, 10, late=((0, 1),))
    resume(after, 10, {"trade": FRESH, "quote": quote}, {"trade": 0, "quote": 0})
    after.push("quote", rows)
    after.push("trade", trades((12, "A")))
    assert bids(after.finish()) == [(12, 1)]


@pytest.mark.parametrize("carry", ["row", "column"])
def test_late_rows_are_in_a_snapshot(carry: str) -> None:
    join = with_late((5, "A", 3), (6, "B", 4), carry=carry)
    after = next_life(join, state=True, carry=carry)
    assert named(after) == [2, 3]
    after.push("quote", quotes((10, "A", 5)))
    advance(after, 11)
    after.seal()
    assert named(after) == [3]


def test_rows_no_longer_needed_are_no_context_for_an_older_state() -> None:
    older = make_join()
    older.push("quote", quotes((1, "A", 1)))
    state = older.snapshot().puts
    # At the commit a late row of B at offset 1 lay below the offsets still needed, and was not named.
    quote = InputProgress(2, 3, 10)
    after = make_join()
    after.restore(state)
    resume(after, 10, {"trade": FRESH, "quote": quote}, {"trade": 0, "quote": 1})
    after.push("quote", quotes((5, "B", 2)))
    assert progress(after, "quote").needed_offset == 2
    after.push("quote", quotes((6, "A", 3)))
    after.push("trade", trades((12, "A"), (12, "B")))
    assert bids(after.finish()) == [(12, 3), (12, None)]


def test_a_left_row_late_behind_a_waiting_one_is_not_late_again() -> None:
    join = make_join(allow_exact=False)
    advance(join, 10)
    join.seal()
    join.push("trade", trades((10, "A"), (9, "A"), (9, None)))
    assert join.late("trade").num_rows == 2
    after = restarted(join, allow_exact=False)
    after.push("trade", trades((10, "A"), (9, "A"), (9, None)))
    assert after.late("trade").num_rows == 0
    assert bids(after.finish()) == [(10, None)]


def test_a_late_left_row_is_named_while_it_could_be_taken_for_one_that_waits() -> None:
    asked: dict[str, Any] = {"direction": "forward", "tolerance_ns": 5}
    join = make_join(**asked)
    rows = trades((7, "A"), (10, "A"), (8, "A"), (6, "A"), (4, "A"), (8, None))
    join.push("trade", rows.slice(0, 2))
    advance(join, 10)
    assert join.seal() is None
    join.push("trade", rows.slice(2))
    assert join.late("trade").num_rows == 4
    assert progress(join, "trade").late == ((2, 0), (3, 0), (5, 0))
    after = restarted(join, **asked)
    after.push("trade", rows)
    assert after.late("trade").num_rows == 0
    assert progress(restarted(after, **asked), "trade").late == ((2, 0), (3, 0), (5, 0))
    advance(after, 13)
    assert bids(after.seal()) == [(7, None)]
    assert progress(after, "trade").late == ((2, 0), (5, 0))
    advance(after, 14)
    assert after.seal() is None
    assert progress(after, "trade").late == ()


def test_a_late_left_row_kept_in_a_state_stays_out_of_a_later_rebuild() -> None:
    asked: dict[str, Any] = {"direction": "forward", "tolerance_ns": 5}
    join = make_join(**asked)
    join.push("trade", trades((7, "A")))
    advance(join, 10)
    join.seal()
    join.push("trade", trades((8, "A")))
    after = next_life(join, state=True, **asked)
    again = restarted(after, **asked)
    again.push("trade", trades((7, "A"), (8, "A")))
    assert bids(again.finish()) == [(7, None)]


@pytest.mark.parametrize("direction", ["forward", "nearest"])
def test_a_late_right_row_is_named_while_a_waiting_left_row_could_match_it(direction: str) -> None:
    asked: dict[str, Any] = {"direction": direction, "tolerance_ns": 5}
    join = make_join(**asked)
    join.push("trade", trades((7, "A")))
    advance(join, 10)
    join.seal()
    join.push("quote", quotes((12, "A", 2), (9, "A", 1)))
    assert named(join) == [1]
    after = restarted(join, **asked)
    after.push("quote", quotes((12, "A", 2), (9, "A", 1)))
    after.push("trade", trades((7, "A")))
    assert bids(after.finish()) == [(7, 2)]
    assert named(after) == []


def test_of_too_many_late_rows_the_newest_are_named_and_from_where_on_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(set_aside, "ROWS_MAX", 2)
    join = with_late((5, "B", 1), (6, "B", 2), (7, "B", 3))
    quote = progress(join, "quote")
    assert (quote.late, quote.late_from) == (((3, 0), (4, 0)), 3)
    after = make_join()
    after.restore(join.snapshot().puts)
    assert progress(after, "quote").late_from == 3
