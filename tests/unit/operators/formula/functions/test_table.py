"""The table of functions: nothing is in it without an oracle, an example and a second judge that agree.

The second judge of a function of one row is Polars, that of one that looks back its oracle: both see the
examples with the times that the handbook's rows have.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from app.audit.formulas import with_features
from operators.formula.features import read_features, root_source
from operators.formula.functions.declare import Cells, Example, Function
from operators.formula.functions.quotes import TRADES
from operators.formula.functions.table import FUNCTIONS, KNOWN
from operators.formula.functions.to_come import LOOKING_AHEAD, OF_BARS, OF_STEPS, TO_COME
from operators.formula.read import read_formula
from operators.formula.tree import Absent, Call, Name
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.oracles import formula as oracle
from tests.oracles.features.handbook import F1, F2, F3, SECOND_NS
from tests.oracles.features.table import ORACLES
from tests.property.formula_cases import OF_A_ROW
from tests.property.history_cases import LOOKING_BACK, Case, expected

ROOT = Path(__file__).resolve().parents[5]


def table_of(rows: dict[str, Cells]) -> pa.RecordBatch:
    return pa.record_batch({name: pa.array(cells) for name, cells in rows.items()})


def times_of(rows: pa.RecordBatch) -> list[int]:
    """The times of the handbook's rows that have these columns; seconds for rows of its text."""
    fixture = F1 if "x" in rows.schema.names else F2 if "price" in rows.schema.names else F3
    if len(fixture.time_ns) == rows.num_rows:
        return fixture.time_ns
    return [second * SECOND_NS for second in range(rows.num_rows)]


def values_of(formula: str, rows: pa.RecordBatch, time_ns: Sequence[int] = ()) -> list[Any]:
    """What a node gives for rows of one symbol and one session."""
    features, errors = read_features("tick", root_source("aligned", rows.schema), {"result": formula})
    assert features is not None, errors
    groups = Groups()
    group = groups.codes(pa.array([b"A"], pa.binary()), np.zeros(rows.num_rows, np.int32))
    times = np.array(time_ns or range(rows.num_rows), np.int64)
    keys = RowKeys(group, times, np.zeros(rows.num_rows, np.int64))
    out = FormulaNode("tick", features, groups).take((Sealed(rows, 0, keys=keys),)).rows
    assert out is not None
    return list(out["result"].to_pylist())


def by_definition(formula: str, rows: pa.RecordBatch, time_ns: list[int]) -> list[Any]:
    """What the oracle gives; a value of the call that is a call itself is computed first."""
    tree, errors = read_formula(formula)
    assert isinstance(tree, Call), errors
    columns = []
    for number, operand in enumerate(tree.operands):
        if isinstance(operand, Name):
            columns.append(operand.name)
        elif not isinstance(operand, Absent):
            columns.append(f"value{number}")
            value = values_of(formula[operand.start : operand.end], rows, time_ns)
            rows = rows.append_column(columns[-1], pa.array(value))
    settings = dict(tree.settings)
    one = [0] * rows.num_rows
    return expected(Case(FUNCTIONS[tree.function], formula, settings, columns, rows, one, time_ns, one))


def judged(formula: str, rows: pa.RecordBatch) -> list[Any]:
    return with_features(pl.DataFrame(pa.table(rows)), {"result": formula})["result"].to_list()


def assert_near(values: list[Any], wanted: Cells) -> None:
    """Floats to the digits that the handbook has, all else exactly."""
    for value, want in zip(values, wanted, strict=True):
        close = pytest.approx(want, rel=5e-7, abs=1e-12) if isinstance(value, float) else want
        assert value == close, (values, wanted)


# What the handbook's rows say besides the examples of the table.
MORE = [
    ("R1", Example("exp(x)", {"x": (709.782712893384, 709.7827128933841)}, (1.797693134e308, None))),
    ("R3", Example("sqrt(x)", {"x": (-5e-324, 4)}, (None, 2.0))),
    ("R4", Example("power(x, 0)", {"x": (0.0, -3.0, None)}, (1.0, 1.0, None))),
    ("R4", Example("power(x, -1)", {"x": (0.0, 4.0)}, (None, 0.25))),
    ("R4", Example("power(x, 1.5)", {"x": (-1.0, 4.0, 1e300)}, (None, 8.0, None))),
    ("R4", Example("power(x, -1.5)", {"x": (0.0, 4.0)}, (None, 0.125))),
    ("R4", Example("power(x, 0.5)", {"x": (2, -2)}, (1.414213562, None))),
    ("R4", Example("power(x, 5)", {"x": (2, -2)}, (32.0, -32.0))),
    ("R5", Example("min(a, b, c)", {"a": (3, 3), "b": (1, 1), "c": (2, None)}, (1, None))),
    ("R5", Example("min(a, b, skip_null=True)", {"a": (2, None, None), "b": (None, 1, None)}, (2, 1, None))),
    ("R5", Example("max(a, b)", {"a": (2, 2.5), "b": (3, None)}, (3.0, None))),
    ("R6", Example("clip(x, lo, 5)", {"x": (7, -9, 3), "lo": (0, None, 6)}, (5, -9, None))),
    ("R6", Example("clip(x, hi=5)", {"x": (7, -9)}, (5, -9))),
    ("R6", Example("clip(x, lo=0.5)", {"x": (7, -9)}, (7.0, 0.5))),
    (
        "Q1",
        Example(
            "mid(b, a)", {"b": (1.0, 2.0, 0.0, None), "a": (1.0, 1.0, 1.0, 1.0)}, (1.0, None, None, None)
        ),
    ),
    ("Q1", Example("mid(b, a, crossed='use')", {"b": (2.0, -1.0), "a": (1.0, 1.0)}, (1.5, None))),
    ("Q1", Example("mid(b, a)", {"b": (3, 2**62), "a": (4, 2**62)}, (3.5, None))),
    ("Q2", Example("spread(b, a)", {"b": (3, 5, 0), "a": (4, 4, 4)}, (1, None, None))),
    (
        "Q3",
        Example("relative_spread(b, a, log=True)", {"b": (2.0, 2.0), "a": (4.0, 1.0)}, (0.6931471806, None)),
    ),
    (
        "Q4",
        Example(
            "weighted_mid(b, a, qb, qa)",
            {"b": (2.0, 2.0, 0.0), "a": (1.0, 3.0, 3.0), "qb": (1, 0, 1), "qa": (1, 0, 1)},
            (1.5, None, None),
        ),
    ),
    ("Q6", Example("queue_imbalance(b, a)", {"b": (0, 0, 2), "a": (0, 2, None)}, (None, -1.0, None))),
    (
        "Q8",
        Example(
            "quote_rule(p, b, a)",
            {"p": (5, 5, 5, None, None), "b": (None, 6, 0, 4, None), "a": (5, 5, 5, 5, 5)},
            (0, 0, 0, None, None),
        ),
    ),
    ("Q13", Example("p_buy(d)", {"d": (2, 0.5, None)}, (None, None, None))),
    ("Q15", Example("signed_volume(q, d)", {"q": (3.5, 3.5, None), "d": (-1, 2, 1)}, (-3.5, None, None))),
    (
        "Q16",
        Example(
            "effective_spread(p, b, a, d, half=True, unit='bps')",
            {
                "p": (101.0, 101.0, 101.0),
                "b": (99.0, None, 102.0),
                "a": (101.0, 101.0, 101.0),
                "d": (1, 1, 1),
            },
            (100.0, None, None),
        ),
    ),
    (
        "Q20",
        Example(
            "quote_age(a, output='stale', max_age_ns='5us')", {"a": (5_000, 5_001, None)}, (False, True, None)
        ),
    ),
    (
        "Q20",
        Example(
            "quote_age(age_ns, output='stale', max_age_ns=100000000)",
            TRADES,
            (False,) * 3 + (True,) + (False,) * 3 + (True,),
        ),
    ),
]


@pytest.mark.parametrize("name", OF_A_ROW)
def test_the_example_of_each_function_is_computed_so_by_node_and_judge(name: str) -> None:
    formula, columns, values = FUNCTIONS[name].example
    assert formula.startswith(f"{name}(")
    rows = table_of(dict(columns))
    assert_near(values_of(formula, rows), values)
    assert_near(judged(formula, rows), values)


@pytest.mark.parametrize("name", LOOKING_BACK)
def test_the_example_of_each_function_that_looks_back_is_computed_so_by_node_and_oracle(name: str) -> None:
    formula, columns, values = FUNCTIONS[name].example
    assert formula.startswith(f"{name}(")
    rows = table_of(dict(columns))
    time_ns = times_of(rows)
    assert_near(values_of(formula, rows, time_ns), values)
    assert_near(by_definition(formula, rows, time_ns), values)


@pytest.mark.parametrize(("item", "example"), MORE, ids=str)
def test_edges_are_those_of_the_handbook_for_node_and_judge(item: str, example: Example) -> None:
    function = FUNCTIONS[example.formula.partition("(")[0]]
    assert function.id == item
    rows = table_of(dict(example.rows))
    assert_near(values_of(example.formula, rows), example.values)
    assert_near(judged(example.formula, rows), example.values)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_the_page_has_an_example_of_each_function_that_says_a_value(function: Function) -> None:
    assert any(value is not None for value in function.example.values)
    assert function.name in {*OF_A_ROW, *LOOKING_BACK}, "its example is computed by no test"
    page = (ROOT / "docs" / "functions.md").read_text()
    assert f"| `{function.example.formula}` |" in page.partition(f"\n## {function.name}\n")[2]


def test_each_function_has_an_oracle_and_no_oracle_stands_alone() -> None:
    assert set(oracle.FUNCTIONS) == set(OF_A_ROW)
    assert set(ORACLES) - set(LOOKING_BACK) <= TO_COME
    assert set(LOOKING_BACK) <= set(ORACLES)


def test_a_name_is_there_or_to_come_and_never_both() -> None:
    names = [*FUNCTIONS, *TO_COME, *LOOKING_AHEAD, *OF_BARS, *OF_STEPS]
    assert sorted(names, key=str) == sorted({*names}, key=str)
    assert set(names) == set(KNOWN)


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=lambda function: function.name)
def test_what_the_table_says_of_a_function_is_consistent(function: Function) -> None:
    chosen = [setting for setting in function.settings if setting.name == "output"]
    assert [setting.words for setting in chosen] == (
        [tuple(output.name for output in function.outputs)] if len(function.outputs) > 1 else []
    )
    names = [
        *(operand.name for operand in function.operands),
        *(setting.name for setting in function.settings),
    ]
    assert len(set(names)) == len(names) or function.repeats
    assert all(operand.name.isidentifier() for operand in function.operands if operand.optional)
    assert function.definition
    for setting in function.settings:
        assert setting.about
        assert setting.default is None or setting.read(setting.default) == setting.default
        assert not (setting.positional and setting.default is not None)


def test_products_of_small_powers_are_those_that_are_written() -> None:
    x = 4.1
    rows = table_of({"x": (x,)})
    for k, value in {2: x * x, 3: (x * x) * x, 4: (x * x) * (x * x), -3: 1 / ((x * x) * x)}.items():
        assert values_of(f"power(x, {k})", rows) == [value]
    assert (x * x) * x != math.pow(x, 3)


def test_the_power_of_a_half_is_the_square_root() -> None:
    x = 952.4673882682695
    assert values_of("power(x, 0.5)", table_of({"x": (x,)})) == [math.sqrt(x)]
    assert math.sqrt(x) != math.pow(x, 0.5)


def test_of_two_zeros_the_first_one_is_the_extreme() -> None:
    rows = table_of({"z": (0.0,)})
    for name in ("min", "max"):
        signs = [math.copysign(1, *values_of(f"{name}({pair})", rows)) for pair in ("z, -z", "-z, z")]
        assert signs == [1, -1], name


def test_no_zero_of_a_direction_has_a_sign() -> None:
    rows = table_of({"q": (0.0, -3.0), "d": (-1, 0), "p": (1.0, 0.5), "b": (1.0, 1.0), "a": (1.0, 1.0)})
    for formula in ("signed_volume(q, d)", "effective_spread(p, b, a, d)"):
        assert [math.copysign(1, value) for value in values_of(formula, rows)] == [1, 1], formula
