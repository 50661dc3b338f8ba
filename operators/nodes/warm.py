"""Compiles or loads the kernel of all row formulas, so that no row of a graph has to wait for it."""

import pyarrow as pa

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode


def warm() -> None:
    """Make a node: that loads the kernel in its only signature."""
    source = root_source("aligned", pa.schema({"x": pa.float64()}))
    features, errors = read_features("warm", source, {"y": "x + 1"})
    assert features is not None, errors
    FormulaNode("warm", features)


if __name__ == "__main__":
    warm()
