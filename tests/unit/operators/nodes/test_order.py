"""In which order the rows of a batch run changes none of them, nor what is remembered."""

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pytest

from operators.formula.features import read_features, root_source
from operators.nodes import coming, history
from operators.nodes.evaluate_kernel import BATCH
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed

SCHEMA: Final = pa.schema([("x", pa.float64()), ("n", pa.int32()), ("flag", pa.bool_())])
FORMULAS: Final = {
    "mean": "rolling_mean(x, '400ns')",
    "std": "rolling_std(x, rows=5)",
    "total": "cumsum(n)",
    "above": "x > n",
    "both": "flag and x > 0.5",
    "side": "sign(x - 0.5)",
    "last": "lag(x)",
    "inverse": "1 / n",
    "highest": "rolling_max(x, rows=4)",
    "middle": "rolling_median(n, rows=6)",
    "weighted": "vwap(x, x)",
    "average": "ewma(x, span=5)",
    "together": "rolling_corr(x, n, rows=6)",
    "turnover": "cumsum(x)",
}
NEVER: Final = 2**40


def market(rows: int, symbols: int, *, nulls: bool) -> tuple[pa.RecordBatch, RowKeys]:
    """Rows of symbols and of nobody, whose columns begin inside a byte of their bitmaps."""
    random = np.random.default_rng(rows + symbols)
    count = rows + 3
    nothing = random.random((3, count)) < (0.1 if nulls else 0.0)
    columns = [
        pa.array(random.random(count), mask=nothing[0]),
        pa.array(random.integers(-2, 9, count).astype(np.int32), mask=nothing[1]),
        pa.array(random.random(count) < 0.5, mask=nothing[2]),
    ]
    group = random.integers(-1, symbols, rows).astype(np.int32)
    keys = RowKeys(group, np.arange(rows) * 3, np.arange(rows) // (rows // 2 + 1))
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA).slice(3), keys


def taken(batch: pa.RecordBatch, keys: RowKeys, symbols: int) -> dict[str, Any]:
    """All that a new node says of rows, and remembers of them."""
    features, errors = read_features("tick", root_source("aligned", SCHEMA), FORMULAS)
    assert features is not None, errors
    groups = Groups()
    names = pa.array([str(number).encode() for number in range(symbols)], pa.binary())
    groups.codes(names, np.arange(symbols, dtype=np.int32))
    node = FormulaNode("tick", features, groups)
    sealed = node.take((Sealed(batch, 0, keys=keys),))
    return {
        "rows": sealed.rows,
        "reasons": {name: statuses.tolist() for name, statuses in sealed.reasons.items()},
        "counts": node.counts,
        "kept": dict(node.snapshot().puts),
        "ordered": node.history is not None and node.history.coming.is_ordered,
    }


@pytest.mark.parametrize("nulls", [False, True])
@pytest.mark.parametrize(
    ("rows", "symbols"), [(5, 2), (256, 1), (1_000, 40), (2 * BATCH + 777, 90), (BATCH, 3)]
)
def test_rows_that_run_symbol_by_symbol_are_those_that_run_in_their_order(
    rows: int, symbols: int, nulls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "CACHE_WORDS", 0)
    batch, keys = market(rows, symbols, nulls=nulls)
    by_symbol = taken(batch, keys, symbols)
    assert by_symbol.pop("ordered")
    monkeypatch.setattr(coming, "ROWS_OF_SYMBOL", NEVER)
    as_they_are = taken(batch, keys, symbols)
    assert not as_they_are.pop("ordered")
    assert by_symbol == as_they_are


def test_a_batch_with_less_than_two_rows_of_a_symbol_runs_in_its_order() -> None:
    batch, keys = market(999, 500, nulls=False)
    assert not taken(batch, keys, 500)["ordered"]
    batch, keys = market(1_000, 500, nulls=False)
    assert taken(batch, keys, 500)["ordered"]


def test_symbols_whose_states_a_cache_holds_run_in_the_order_of_rows() -> None:
    batch, keys = market(1_000, 2, nulls=False)
    assert not taken(batch, keys, 2)["ordered"]
