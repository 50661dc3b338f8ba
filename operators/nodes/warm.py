"""Compiles or loads the kernels of formulas, so that no row of a graph has to wait for them.

`python -m operators.nodes.warm` does so for what hangs on the row alone, with names of families for their
kernels too: a process that compiles them beforehand saves it to all others.
"""

import sys
from typing import Final

import pyarrow as pa

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups

# By family of steps with state, a formula that has one.
FORMULAS: Final = {
    "windows": "rolling_sum(x, rows=2)",
    "totals": "trade_imbalance(x, 1, '1s')",
    "squares": "rolling_std(x, rows=2)",
    "pairs": "rolling_cov(x, x, rows=3)",
    "shapes": "rolling_skew(x, rows=3)",
    "order": "rolling_median(x, rows=2)",
    "events": "cumsum(x)",
    "sessions": "vwap(x, x)",
    "recursions": "ewma(x, span=2)",
    "fillings": "twap(x, '1s')",
    "models": "cusum(x, 1)",
}


def warm(*families: str) -> None:
    """Make a node: that loads the kernels of what hangs on the row, and of these families."""
    source = root_source("aligned", pa.schema({"x": pa.float64()}))
    formulas = {"row": "x + 1", **{family: FORMULAS[family] for family in families}}
    features, errors = read_features("warm", source, formulas)
    assert features is not None, errors
    FormulaNode("warm", features, Groups())


if __name__ == "__main__":
    warm(*sys.argv[1:])
