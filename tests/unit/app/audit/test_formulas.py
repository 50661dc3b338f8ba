"""The judge of formulas reads what the node reads, and finds the same value in each row."""

import polars as pl
import pyarrow as pa
import pytest

from app.audit.formulas import with_features
from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.sealed import Sealed

ROWS = pa.record_batch(
    {
        "size": pa.array([-(2**63), 0, 7, None]),
        "price": pa.array([2.5, 0.0, -1.0, None]),
        "venue": pa.array(["N", "é", "", None]),
        "tape": pa.array(["N", "Q", None, "N"]).dictionary_encode(),
    }
)


@pytest.mark.parametrize(
    "formula",
    [
        "sign(price) < price",
        "price >= sign(size)",
        "quote_rule(price, price, price) == 0.0",
        "size == -9223372036854775808",
        "where(size > 0, -9223372036854775808, size)",
        "size\n+ 1",
        "\n  price  # what was paid\n  * 2\n",
        "size # how many",
        "venue == 'N'",
        "'N' <= tape and venue < 'e'",
        "venue != tape",
        "where(tape > venue, size, 0)",
    ],
)
def test_a_formula_has_the_same_values_for_node_and_judge(formula: str) -> None:
    features, errors = read_features("tick", root_source("aligned", ROWS.schema), {"result": formula})
    assert features is not None, errors
    out = FormulaNode("tick", features).take((Sealed(ROWS, 0),)).rows
    assert out is not None
    judged = with_features(pl.DataFrame(pa.table(ROWS)), {"result": formula})["result"]
    assert judged.to_list() == out["result"].to_pylist()
