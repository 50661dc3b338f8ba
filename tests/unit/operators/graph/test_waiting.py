"""Rows that wait for nodes are handed over as one seal would have given them."""

import numpy as np
import pyarrow as pa
import pytest

from operators.graph import waiting
from operators.graph.waiting import Waiting, together
from operators.sealed import ALIGNED, RowKeys, Sealed

LAYOUT = pa.schema([("price", pa.float64())])


def seal(*prices: float, complete_ns: int) -> Sealed:
    """A seal of the join with these rows, each at the time of its price."""
    if not prices:
        return Sealed(None, complete_ns)
    rows = pa.record_batch({"price": pa.array(prices)}, schema=LAYOUT)
    keys = RowKeys(np.zeros(len(prices), np.int32), np.array(prices, np.int64))
    matched = {"quote": sum(price > 1 for price in prices)}
    available = pa.array([int(price) for price in prices])
    return Sealed(rows, complete_ns, matched_rows=matched, keys=keys, available=available)


def test_seals_are_put_together_in_their_order() -> None:
    whole = together([seal(complete_ns=1), seal(1.0, 2.0, complete_ns=5), seal(3.0, complete_ns=7)])
    assert whole.rows is not None
    assert whole.rows.column("price").to_pylist() == [1.0, 2.0, 3.0]
    assert whole.complete_ns == 7
    assert whole.matched_rows == {"quote": 2}
    assert whole.keys is not None
    assert whole.keys.time_ns.tolist() == [1, 2, 3]
    assert whole.keys.group.tolist() == [0, 0, 0]
    assert whole.available == pa.array([1, 2, 3])


def test_seals_without_rows_say_how_far_all_is_complete() -> None:
    assert together([seal(complete_ns=1), seal(complete_ns=4)]) == Sealed(None, 4)


def test_what_waits_is_handed_over_once() -> None:
    rows = Waiting({ALIGNED: LAYOUT})
    assert rows.take() == {}
    rows.add({ALIGNED: seal(1.0, complete_ns=2)})
    rows.add({ALIGNED: seal(complete_ns=3)})
    assert len(rows) == 2
    assert not rows.due
    assert rows.take()[ALIGNED].complete_ns == 3
    assert len(rows) == 0
    assert rows.take() == {}


def test_many_rows_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "ROWS_MAX", 2)
    rows = Waiting({ALIGNED: LAYOUT})
    rows.add({ALIGNED: seal(1.0, complete_ns=2)})
    rows.add({ALIGNED: seal(2.0, complete_ns=3)})
    assert rows.due
    with pytest.raises(AssertionError, match="taken first"):
        rows.add({ALIGNED: seal(complete_ns=4)})


@pytest.mark.parametrize(
    "kind", [pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.dictionary(pa.int8(), pa.string()))]
)
def test_rows_with_dictionaries_are_never_put_together(kind: pa.DataType) -> None:
    rows = Waiting({ALIGNED: pa.schema([("venue", kind)])})
    rows.add({ALIGNED: seal(complete_ns=2)})
    assert rows.due
