"""A streaming join takes batches of any library, as the join of tables does."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.stage.scenes import make_join, quotes, trades


def in_pieces(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch.slice(0, 1), batch.slice(1)])


def as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


@pytest.mark.parametrize(
    "made",
    [pl.from_arrow, pa.RecordBatch.to_pandas, in_pieces],
    ids=["polars", "pandas", "table in pieces"],
)
def test_batches_of_any_library_give_the_rows_of_record_batches(made: Callable[[Any], Any]) -> None:
    ours, theirs = make_join(), make_join()
    for join, form in ((ours, as_it_is), (theirs, made)):
        join.push("quote", form(quotes((1, "A", 5), (3, "B", 6))))
        join.push("trade", form(trades((2, "A"), (4, "B"), (4, "C"))))
    expected, rows = ours.finish(), theirs.finish()
    assert expected is not None
    assert expected.num_rows == 3
    assert expected.equals(rows)


def test_a_batch_without_rows_is_taken() -> None:
    join = make_join()
    join.push("trade", pl.from_arrow(trades()))
    assert join.seal() is None


def test_a_batch_of_another_type_is_refused_with_both_and_nothing_is_taken() -> None:
    join = make_join()
    with pytest.raises(ValueError, match="column event_ns is double, expected int64"):
        join.push("trade", pd.DataFrame({"event_ns": [1.5], "symbol": ["A"]}))
    with pytest.raises(ValueError, match=r"a batch of trade is a builtins\.list, expected"):
        join.push("trade", [1])
    assert join.finish() is None
