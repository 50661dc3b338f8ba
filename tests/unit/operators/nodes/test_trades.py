"""Functions of trades and quotes that look back give what their oracle does, however the rows are cut."""

import math
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.oracles.features.rows import Column, Rows
from tests.oracles.features.table import ORACLES

SYMBOLS = (b"A", b"B")
PRICES = ("price", "bid", "ask")
SIZES = ("size", "bid_size", "ask_size")
TRADE = ("price", "bid", "ask")
QUOTE = ("bid", "ask", "bid_size", "ask_size")
BOOK = (*("bid", "price"), *("ask", "ask"), *("bid_size", "size"), *("ask_size", "bid_size"))

# What is called: the function, its columns, its settings.
Called: TypeAlias = tuple[str, tuple[str, ...], dict[str, Any]]
CALLS: list[Called] = [
    ("tick_rule", ("price",), {}),
    ("tick_rule", ("price",), {"reset": "none"}),
    ("lee_ready", TRADE, {}),
    ("emo", TRADE, {}),
    ("clnv", TRADE, {"reset": "none"}),
    *[("direction", TRADE, {"rule": rule}) for rule in ("quote_rule", "tick_rule", "emo", "clnv")],
    ("direction", (*TRADE, "is_maker"), {}),
    ("direction", (*TRADE, "is_maker"), {"rule": "quote_rule"}),
    ("trade_return", ("price",), {}),
    ("trade_return", ("price",), {"unit": "fraction", "rows": 2, "reset": "none"}),
    ("trade_return", ("price",), {"ns": 2}),
    ("vwap", ("price", "size"), {}),
    ("vwap", ("price", "size"), {"reset": "none", "min_count": 3, "price_scale": 100}),
    ("realised_variance", ("price",), {}),
    ("realised_variance", ("price",), {"output": "vol", "reset": "none"}),
    ("realised_variance", ("price",), {"rows": 3, "min_count": 2}),
    ("realised_variance", ("price",), {"ns": 3, "max_rows": 4}),
    ("bipower_variation", ("price",), {}),
    ("bipower_variation", ("price",), {"finite_sample": True, "reset": "none"}),
    ("bipower_variation", ("price",), {"rows": 4, "min_count": 1}),
    ("bipower_variation", ("price",), {"ns": 5, "finite_sample": True}),
    ("ofi", QUOTE, {}),
    ("ofi", QUOTE, {"reset": "none"}),
    ("ofi", QUOTE, {"rows": 3, "min_count": 1}),
    ("ofi", QUOTE, {"ns": 4, "normalise": True}),
    ("ofi_levels", BOOK, {"output": "e2"}),
    ("ofi_levels", BOOK, {"output": "integrated", "reset": "none"}),
]


class Case(NamedTuple):
    """Rows, whether prices and sizes are floats, and where they are cut and taken to a new node."""

    rows: Rows
    of_floats: bool
    cuts: list[int]
    moves: frozenset[int]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 12))
    of_floats = draw(st.booleans())
    whole = st.integers(-2, 6)
    number = st.one_of(whole, st.sampled_from([0.1, 2.7, 1e16, -1e16, 1e-9])).map(float)
    cell = st.one_of(st.none(), whole, whole, whole) if not of_floats else st.one_of(st.none(), number)
    columns: dict[str, Column] = {
        name: draw(st.lists(cell, min_size=count, max_size=count)) for name in (*PRICES, *SIZES)
    }
    columns["is_maker"] = [draw(st.sampled_from([True, False, None])) for _ in range(count)]
    time_ns, session = 0, 0
    times_ns, sessions, groups = [], [], []
    for _ in range(count):
        time_ns += draw(st.integers(0, 2))
        kind = draw(st.sampled_from(["same", "same", "same", "new", "outside"]))
        session += kind != "same"  # one that has ended does not begin again
        times_ns.append(time_ns)
        sessions.append(None if kind == "outside" else session)
        groups.append(draw(st.sampled_from([0, 0, 1, None])))
    places = st.integers(1, count)
    cuts = draw(st.sampled_from([list(range(1, count)), list(range(7, count, 7)), []]) | st.lists(places))
    return Case(
        Rows(times_ns, groups, sessions, columns), of_floats, cuts, draw(st.frozensets(places, max_size=2))
    )


def batch_of(case: Case) -> pa.RecordBatch:
    number = pa.float64() if case.of_floats else pa.int64()
    return pa.record_batch(
        {
            name: pa.array(values, pa.bool_() if name == "is_maker" else number)
            for name, values in case.rows.columns.items()
        }
    )


def formula_of(name: str, columns: tuple[str, ...], settings: dict[str, Any]) -> str:
    named = {key: f"{value}ns" if key == "ns" else value for key, value in settings.items()}
    return f"{name}({', '.join([*columns, *(f'{key}={value!r}' for key, value in named.items())])})"


def computed(case: Case, formulas: dict[str, str]) -> dict[str, list[Any]]:
    """The features of a case, by a node that is moved with its state, and given its rows cut by cut."""
    batch = batch_of(case)
    features, errors = read_features("tick", root_source("aligned", batch.schema), formulas)
    assert features is not None, errors
    count = batch.num_rows
    groups = np.array([-1 if group is None else group for group in case.rows.group], np.int32)
    sessions = np.array([-1 if one is None else one for one in case.rows.session], np.int64)
    times_ns = np.array(case.rows.time_ns, np.int64)
    entries: dict[bytes, bytes] = {}
    results: dict[str, list[Any]] = {name: [] for name in formulas}
    symbols, numbers = SYMBOLS, Groups()
    node = FormulaNode("tick", features, numbers)
    bounds = sorted({0, count, *case.cuts, *case.moves})
    for lower, upper in pairwise(bounds):
        if lower in case.moves:
            snapshot = node.snapshot()
            entries.update(snapshot.puts)
            for key in snapshot.deletes:
                entries.pop(key, None)
            symbols, numbers = symbols[::-1], Groups()
            node = FormulaNode("tick", features, numbers)
            node.restore(list(entries.items()))
        part = groups[lower:upper]
        key_code = np.where(part < 0, -1, part if symbols == SYMBOLS else 1 - part).astype(np.int32)
        codes = numbers.codes(pa.array(symbols, pa.binary()), key_code)
        keys = RowKeys(codes, times_ns[lower:upper], sessions[lower:upper])
        out = node.take((Sealed(batch.slice(lower, upper - lower), 0, keys=keys),)).rows
        assert out is not None
        for name, values in results.items():
            values += out[name].to_pylist()
    return results


def are_near(value: Any, wanted: Any, ulps: int) -> bool:
    if value is None or wanted is None or not ulps:
        return bool(value == wanted)
    return bool(abs(value - wanted) <= ulps * math.ulp(wanted))


def assert_as_judged(case: Case, calls: list[Called]) -> None:
    formulas = {f"f{place}": formula_of(*call) for place, call in enumerate(calls)}
    results = computed(case, formulas)
    for (name, columns, settings), (feature, formula) in zip(calls, formulas.items(), strict=True):
        oracle = ORACLES[name]
        wanted = oracle(case.rows, [case.rows.columns[column] for column in columns], settings)
        ulps = oracle.allowance(settings)
        for value, want in zip(results[feature], wanted, strict=True):
            assert are_near(value, want, ulps), (formula, results[feature], wanted, case)


@given(cases(), st.lists(st.sampled_from(CALLS), min_size=1, max_size=6))
def test_functions_of_trades_agree_with_their_oracles(case: Case, calls: list[Called]) -> None:
    assert_as_judged(case, calls)


def quotes_of(**columns: Column) -> Case:
    """Rows of one symbol and session, a nanosecond apart."""
    count = len(columns["bid"])
    rows = Rows(list(range(count)), [0] * count, [0] * count, {"is_maker": [None] * count, **columns})
    return Case(rows, False, [], frozenset())


def test_a_size_that_is_not_known_makes_the_flow_null_even_where_it_does_not_count() -> None:
    case = quotes_of(bid=[10, 9, 11], ask=[12, 12, 12], bid_size=[5, None, 6], ask_size=[1, 1, 1])
    assert computed(case, {"e": "ofi(bid, ask, bid_size, ask_size)"})["e"] == [None, None, None]


def test_the_farthest_integer_is_a_price_like_others() -> None:
    lowest, highest = -(2**63), 2**63 - 1
    case = quotes_of(
        bid=[lowest, None, lowest], ask=[highest, highest, None], bid_size=[2, 3, 4], ask_size=[5, 6, 7]
    )
    assert computed(case, {"e": "ofi(bid, ask, bid_size, ask_size)"})["e"] == [None, -3, 10]
    assert_as_judged(case, [("ofi", QUOTE, {})])


def test_no_zero_of_a_flow_has_a_sign() -> None:
    case = quotes_of(bid=[1, 2], ask=[4, 5], bid_size=[-3, 0], ask_size=[0, 3])._replace(of_floats=True)
    (value,) = computed(case, {"e": "ofi(bid, ask, bid_size, ask_size)"})["e"][1:]
    assert (value, math.copysign(1, value)) == (0.0, 1.0)


def test_the_mean_flow_of_levels_loses_nothing_to_its_order() -> None:
    case = quotes_of(bid=[1, 1], ask=[2, 2], zero=[0, 0], a=[0, 1e16], b=[0, 3], c=[0, -1e16])
    case = case._replace(of_floats=True)
    formula = "ofi_levels(bid, bid, bid, ask, ask, ask, a, b, c, zero, zero, zero, output='integrated')"
    assert computed(case, {"mean": formula})["mean"] == [None, 1.0]


WRONG = [
    ("vwap(x, x, '5s', rows=3)", "a window is a length of time or rows=, not both; without one it is the"),
    ("realised_variance(x, rows=2, min_count=3)", "min_count is at most rows, and 3 is more than 2"),
    ("ofi(x, x, x, x, normalise=True)", "normalise is of a window, and there is none: a length of time"),
    ("ofi(x, x, x, x, min_count=3)", "min_count is of a window, and there is none: a length of time"),
    ("ofi_levels(x, x, x, x, x)", "ofi_levels takes the bids, the asks, the bid sizes and the ask sizes of"),
    ("ofi_levels(x, x, x, x, output='e2')", "output='e2' is of level 2, and there are 1"),
    ("direction(x, x, x, buyer_is_maker=x)", "the buyer_is_maker of direction is a boolean, and this is a"),
]


@pytest.mark.parametrize(("formula", "why"), WRONG)
def test_what_is_wrong_with_a_call_is_said(formula: str, why: str) -> None:
    source = root_source("aligned", pa.schema({"x": pa.float64()}))
    features, errors = read_features("tick", source, {"y": formula})
    assert features is None
    assert [error.message[: len(why)] for error in errors["y"]] == [why]
