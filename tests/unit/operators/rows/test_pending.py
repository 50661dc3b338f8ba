"""Rows that wait: in order, settled from the oldest on, forgotten once they are few among those held."""

import pytest

from operators.inputs.intake import batch_of
from operators.rows import pending
from operators.rows.pending import PendingRows
from tests.stage.scenes import TRADE, trades


def waiting(*times: int) -> PendingRows:
    """Rows of these times, pushed one after the other."""
    rows = PendingRows(TRADE.schema, ("symbol",))
    for place, event_ns in enumerate(times):
        batch = batch_of(TRADE, "event_ns", trades((event_ns, "A")), place)
        rows.add(batch, batch.key_code)
    return rows


def test_rows_settle_once_and_in_order() -> None:
    rows = waiting(5, 3, 4, 9)
    assert rows.settle(5).tolist() == [1, 2]
    assert rows.settle(5).tolist() == []
    assert rows.settle(6).tolist() == [0]
    assert rows.ids.tolist() == [1, 2, 0, 3]


def test_taken_rows_do_not_settle_again() -> None:
    rows = waiting(1, 2, 3)
    assert rows.take(2).tolist() == [0, 1]
    assert rows.settle(9).tolist() == [2]


def test_settled_rows_stay_settled_when_others_are_forgotten() -> None:
    rows = waiting(1, 2, 3, 4)
    rows.settle(4)
    rows.take(2)
    assert rows.forget(rows.ids[:0]).tolist() == [-1, -1, 0, 1]
    assert rows.ids.tolist() == [0, 1]
    assert rows.settle(5).tolist() == [1]


def test_forgetting_is_worth_it_once_less_than_half_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "COMPACT_ROWS_MIN", 3)
    rows = waiting(1, 2, 3, 4)
    rows.take(2)
    assert not rows.worth_forgetting(0)
    assert not rows.worth_forgetting(1)
    rows.take(1)
    assert rows.worth_forgetting(0)
    monkeypatch.setattr(pending, "COMPACT_ROWS_MIN", 4)
    assert not rows.worth_forgetting(0)
