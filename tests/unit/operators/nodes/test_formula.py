"""The node of formulas: rows in, the same rows with features out, and how far they are complete."""

import math
import os
from fractions import Fraction

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from operators.formula.features import read_features, root_source
from operators.node import Context, NodeStateError
from operators.nodes.evaluate_kernel import compute
from operators.nodes.formula import FormulaNode, Nulls
from operators.nodes.places import TILE
from operators.nodes.run_kernel import run_program
from operators.sealed import Sealed
from schemas.reasons import REASONS

NULL = None
NAN = float("nan")
INF = float("inf")


def make_node(layout: pa.Schema, formulas: dict[str, str], name: str = "tick") -> FormulaNode:
    features, errors = read_features(name, root_source("aligned", layout), formulas)
    assert features is not None, errors
    return FormulaNode(name, features)


def table(**columns: tuple[pa.DataType, list[object]]) -> pa.RecordBatch:
    arrays = {name: pa.array(values, kind) for name, (kind, values) in columns.items()}
    return pa.record_batch(arrays)


def value_of(formula: str, **columns: float | None) -> object:
    """The value of a formula in one row; ints are int64, floats float64, None a float64 without value."""
    arrays = {
        name: pa.array([value], pa.float64() if value is None else None) for name, value in columns.items()
    }
    rows = pa.record_batch({"row": pa.array([0]), **arrays})
    out = make_node(rows.schema, {"result": formula}).take((Sealed(rows, 0),)).rows
    assert out is not None
    return out["result"].to_pylist()[0]


QUOTES = table(
    symbol=(pa.string(), ["A", "B", "A"]),
    event_ns=(pa.int64(), [1, 2, 3]),
    price=(pa.float64(), [10.0, NULL, NAN]),
    size=(pa.int64(), [3, 4, NULL]),
)


def test_rows_are_those_of_the_input_with_the_features_added() -> None:
    node = make_node(QUOTES.schema, {"paid": "price * size", "big": "size > 3"})
    out = node.take((Sealed(QUOTES, 9),)).rows
    assert out is not None
    assert out.schema == node.layout
    assert out.select(QUOTES.schema.names).to_pylist()[:2] == QUOTES.to_pylist()[:2]
    assert out["paid"].to_pylist() == [30.0, None, None]
    assert out["big"].to_pylist() == [False, True, None]


def test_how_far_the_input_is_complete_is_passed_on() -> None:
    node = make_node(QUOTES.schema, {"paid": "price * size"})
    sealed = node.take((Sealed(QUOTES, 9, 1, {"quote": 2}),))
    assert (sealed.complete_ns, sealed.assumed_rows, sealed.matched_rows) == (9, 1, {"quote": 2})
    assert node.take((Sealed(None, 20),)) == Sealed(None, 20)
    assert node.take((Sealed(QUOTES.slice(0, 0), 21),)) == Sealed(None, 21)


def test_nulls_are_counted_by_feature_and_reason_for_the_rows_of_the_last_call() -> None:
    node = make_node(QUOTES.schema, {"paid": "price * size", "log": "log(size - 3)", "more": "log - 1"})
    node.take((Sealed(QUOTES, 9),))
    assert node.counts == {"paid": Nulls(2, 0), "log": Nulls(1, 1), "more": Nulls(1, 1)}
    node.take((Sealed(QUOTES.slice(0, 1), 9),))
    assert node.counts == {"paid": Nulls(0, 0), "log": Nulls(0, 1), "more": Nulls(0, 1)}
    node.take((Sealed(None, 9),))
    assert node.counts == dict.fromkeys(("paid", "log", "more"), Nulls(0, 0))


def test_each_null_has_its_reason_and_a_feature_without_one_has_none() -> None:
    node = make_node(QUOTES.schema, {"paid": "price * size", "log": "log(size - 3)", "at": "event_ns + 1"})
    sealed = node.take((Sealed(QUOTES, 9, reasons={"before": np.array([0, 2, 0], np.uint8)}),))
    told = {name: [REASONS[code] for code in codes] for name, codes in sealed.reasons.items()}
    assert told == {
        "before": ["ok", "warming", "ok"],
        "paid": ["ok", "null_in", "null_in"],
        "log": ["domain", "ok", "null_in"],
    }
    assert node.take((Sealed(None, 9),)).reasons == {}


def test_reasons_stand_at_their_rows_in_every_tile() -> None:
    values = np.where(np.arange(3 * TILE + 5) % 7 == 3, -1.0, 1.0)
    rows = pa.record_batch({"x": values})
    codes = make_node(rows.schema, {"log": "log(x)"}).take((Sealed(rows, 0),)).reasons["log"]
    assert codes.tolist() == np.where(values < 0, REASONS.index("domain"), 0).tolist()


def test_it_needs_nothing_of_the_past_and_keeps_no_state() -> None:
    node = make_node(QUOTES.schema, {"paid": "price * size"})
    assert node.needs == Context(rows=0, ns=0, hold_ns=0)
    assert (*node.snapshot().puts, *node.snapshot().deletes) == ()
    node.restore([])
    with pytest.raises(NodeStateError, match="node tick keeps no state, but there is an entry b'k' of it"):
        node.restore([(b"k", b"v")])


@pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled under NUMBA_DISABLE_JIT"
)
def test_making_a_node_compiles_the_kernel_in_its_only_form() -> None:
    make_node(QUOTES.schema, {"paid": "price * size"})
    assert len(compute.signatures) == len(run_program.signatures) == 1
    for formulas in ({"x": "log(price)"}, {"y": "size > 3", "z": "sign(size)"}, {"one": "1"}):
        make_node(QUOTES.schema, formulas).take((Sealed(QUOTES.slice(1), 9),))
    assert len(compute.signatures) == len(run_program.signatures) == 1


def test_a_formula_may_read_no_column_at_all() -> None:
    node = make_node(QUOTES.schema, {"one": "1", "never": "1 / 0", "log2": "log(2)", "yes": "True"})
    out = node.take((Sealed(QUOTES, 9),)).rows
    assert out is not None
    assert (
        out.select(["one", "never", "log2", "yes"]).to_pylist()
        == [{"one": 1, "never": None, "log2": math.log(2), "yes": True}] * QUOTES.num_rows
    )
    assert node.counts["never"] == Nulls(0, 3)


def test_a_feature_does_not_change_when_others_are_added() -> None:
    alone = make_node(QUOTES.schema, {"paid": "price * size"}).take((Sealed(QUOTES, 9),)).rows
    others = {"x": "log(size)", "paid": "price * size", "y": "paid / 0"}
    beside = make_node(QUOTES.schema, others).take((Sealed(QUOTES, 9),)).rows
    assert alone is not None
    assert beside is not None
    assert alone["paid"].equals(beside["paid"])


# The examples of the handbook's rows, by their ids.
EXAMPLES: list[tuple[str, str, dict[str, float | None], object]] = [
    ("R1", "log(x)", {"x": 2}, math.log(2)),
    ("R1", "log(x)", {"x": 0.0}, None),
    ("R1", "log(x)", {"x": -1}, None),
    ("R2", "sign(x)", {"x": -0.0}, 0),
    ("R2", "sign(x)", {"x": -3}, -1),
    ("R2", "abs(x)", {"x": -(2**63)}, None),
    ("R2", "abs(x)", {"x": -2.5}, 2.5),
    ("R7", "where(c > 0, a, b)", {"c": 1, "a": 5, "b": None}, 5.0),
    ("R7", "where(c > 0, a, b)", {"c": None, "a": 5, "b": 6}, None),
    ("R8", "x == y", {"x": 2**53 + 1, "y": 2.0**53}, False),
    ("R8", "x > y", {"x": 2**53 + 1, "y": 2.0**53}, True),
    ("R8", "x < y", {"x": 2**63 - 1, "y": 2.0**63}, True),
    ("R8", "x != y", {"x": 1, "y": None}, None),
    ("R9", "x > 0 or y > 0", {"x": None, "y": 1}, True),
    ("R9", "x > 0 and y > 0", {"x": None, "y": -1}, False),
    ("R9", "x > 0 and y > 0", {"x": None, "y": 1}, None),
    ("R9", "not x > 0", {"x": None}, None),
    ("R10", "x / y", {"x": 1, "y": 0}, None),
    ("R10", "x / y", {"x": 1, "y": 3}, 1 / 3),
    ("R10", "x + y", {"x": 2**63 - 1, "y": 1}, None),
    ("R10", "x - y", {"x": -(2**63), "y": 1}, None),
    ("R10", "x * y", {"x": 2**32, "y": 2**31}, None),
    ("R10", "x * y", {"x": 2**32, "y": -(2**31)}, -(2**63)),
    ("R10", "x * y", {"x": 3037000500, "y": 3037000500}, None),
    ("R10", "x * y", {"x": 3037000499, "y": 3037000499}, 3037000499**2),
    ("R10", "-x", {"x": -(2**63)}, None),
    ("R10", "x * y", {"x": 1e308, "y": 10.0}, None),
    ("0.3", "x + 1", {"x": INF}, None),
    ("0.3", "where(x < y, 1, 0)", {"x": NAN, "y": 1}, None),
]


@pytest.mark.parametrize(("item", "formula", "row", "value"), EXAMPLES)
def test_a_function_gives_what_the_handbook_says(
    item: str, formula: str, row: dict[str, float | None], value: object
) -> None:
    assert item
    result = value_of(formula, **row)
    assert result == value
    assert type(result) is type(value)


def test_a_negative_zero_enters_as_zero() -> None:
    assert math.copysign(1, float(str(value_of("x", x=-0.0)))) == 1


def test_float_arithmetic_rounds_once() -> None:
    x, y = 0.1, 0.7
    exact = {"+": Fraction(x) + Fraction(y), "-": Fraction(x) - Fraction(y), "*": Fraction(x) * Fraction(y)}
    for symbol, value in {**exact, "/": Fraction(x) / Fraction(y)}.items():
        assert value_of(f"x {symbol} y", x=x, y=y) == float(value)


def test_a_product_and_a_sum_are_rounded_apart() -> None:
    x, y, z = 1 + 2**-30, 1 - 2**-30, -1.0
    assert value_of("x * y + z", x=x, y=y, z=z) == 0.0
    assert Fraction(x) * Fraction(y) + Fraction(z) != 0


JUDGED = {
    "mid": ("(bid + ask) / 2", (pl.col("bid") + pl.col("ask")) / 2),
    "spread_bps": ("1e4 * (ask - bid) / mid", 1e4 * (pl.col("ask") - pl.col("bid")) / pl.col("mid")),
    "side": ("sign(price - mid)", (pl.col("price") - pl.col("mid")).sign()),
    "flow": ("side * size", pl.col("side") * pl.col("size")),
    "away": ("log(price / mid)", (pl.col("price") / pl.col("mid")).log()),
    "paid": ("where(side > 0, ask, bid)", pl.when(pl.col("side") > 0).then("ask").otherwise("bid")),
    "wide": ("spread_bps > 3 and size >= 100", (pl.col("spread_bps") > 3) & (pl.col("size") >= 100)),
}


def test_polars_computes_the_same() -> None:
    count = 5_000
    ticks = [(7 * i * i + 13 * i) % 997 for i in range(count)]
    rows = pa.record_batch(
        {
            "bid": pa.array([100 + tick / 100 for tick in ticks]),
            "ask": pa.array([100 + (tick + 1 + tick % 7) / 100 for tick in ticks]),
            "price": pa.array([100 + (tick + tick % 5) / 100 for tick in ticks]),
            "size": pa.array([1 + tick % 300 for tick in ticks]),
        }
    )
    node = make_node(rows.schema, {name: formula for name, (formula, _) in JUDGED.items()})
    out = node.take((Sealed(rows, 0),)).rows
    assert out is not None
    judged = pl.DataFrame(pa.table(rows))
    for name, (_, expression) in JUDGED.items():
        judged = judged.with_columns(expression.alias(name))
    for name in JUDGED:
        for ours, theirs in zip(out[name].to_pylist(), judged[name].to_list(), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-12, abs=0), name
