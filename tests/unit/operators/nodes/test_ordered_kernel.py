"""Extremes, values in order, and what remembers a sum or an event: stream and handbook agree bit for bit."""

import random
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.features import read_features, root_source
from operators.formula.history import SORTED_MAX
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.oracles.features.rows import Column, Rows
from tests.oracles.features.table import ORACLES

LAYOUT: Final = pa.schema({"x": pa.float64(), "i": pa.int64(), "b": pa.int8(), "e": pa.bool_()})
FLOATS: Final = (0.0, 1.0, 1.0 + 2**-52, -1.0, 0.1, 0.3, 5e-324, 1e308, 1.7e308, -1.7e308, 2.0**60)
INTS: Final = (0, 1, 2, 3, -1, 2**53, 2**53 + 1, 2**62, 2**63 - 1, -(2**63))
OF_WINDOWS: Final = (
    "rolling_min",
    "rolling_max",
    "rolling_argmax",
    "rolling_argmin",
    "rolling_median",
    "rolling_quantile",
    "rolling_rank",
)


class Call(NamedTuple):
    """A function, the column it is of, and its settings as the oracle takes them."""

    function: str
    column: str
    settings: dict[str, Any]

    @property
    def formula(self) -> str:
        """As a formula says it."""
        settings = {key: f"{value}ns" if key == "ns" else value for key, value in self.settings.items()}
        return f"{self.function}({', '.join([self.column, *(f'{k}={v!r}' for k, v in settings.items())])})"


@st.composite
def calls(draw: st.DrawFn) -> Call:
    """Any of the functions with any settings."""
    function = draw(st.sampled_from([*OF_WINDOWS, "cumsum", "time_since", "count_since", "fill_forward"]))
    reset = {"reset": draw(st.sampled_from(["none", "session"]))}
    if function in ("time_since", "count_since"):
        memory = {"none": "genesis", "session": "session"}[reset["reset"]]
        return Call(function, "e", {"memory": memory})
    column = draw(st.sampled_from(["x", "i", "b"]))
    if function == "cumsum":
        return Call(function, column, reset)
    if function == "fill_forward":
        column = draw(st.sampled_from([column, "e"]))
        limits: dict[str, Any] = {"limit_rows": draw(st.integers(0, 4)), "limit_ns": draw(st.integers(0, 9))}
        kept = draw(st.sets(st.sampled_from(sorted(limits))))
        return Call(function, column, {**reset, **{key: limits[key] for key in sorted(kept)}})
    settings: dict[str, Any] = {**reset, "min_count": 1}
    if draw(st.booleans()):
        settings["rows"] = draw(st.integers(1, 9))
        settings["min_count"] = draw(st.integers(1, settings["rows"]))
    else:
        settings |= {"ns": draw(st.integers(1, 12)), "max_rows": draw(st.integers(1, 9))}
    if function == "rolling_quantile":
        settings["q_ppm"] = draw(st.sampled_from([0, 1, 250_000, 333_333, 500_000, 1_000_000]))
    if function == "rolling_rank":
        settings["pct"] = draw(st.booleans())
    return Call(function, column, settings)


@st.composite
def streams(draw: st.DrawFn) -> Rows:
    """Rows of some symbols, with ties, nulls, rows without a symbol and rows outside every session."""
    count = draw(st.integers(1, 40))
    steps = st.lists(st.sampled_from([0, 0, 1, 2, 5]), min_size=count, max_size=count)
    time_ns = np.cumsum(draw(steps)).tolist()
    groups = st.lists(st.sampled_from([0, 0, 1, 2, None]), min_size=count, max_size=count)
    breaks = st.lists(st.sampled_from(["in"] * 8 + ["new", "out"]), min_size=count, max_size=count)
    sessions: list[int | None] = []
    session, last = 0, "in"
    for place in draw(breaks):
        session += place == "new" or (place == "in" and last == "out")
        sessions.append(None if place == "out" else session)
        last = place

    def column(values: st.SearchStrategy[Any]) -> Column:
        drawn: Column = draw(st.lists(st.none() | values, min_size=count, max_size=count))
        return drawn

    floats = st.sampled_from(FLOATS) | st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0)
    columns = {
        "x": column(floats),
        "i": column(st.sampled_from(INTS) | st.integers(-5, 5)),
        "b": column(st.integers(-2, 2)),
        "e": column(st.booleans()),
    }
    return Rows(time_ns, draw(groups), sessions, columns)


def make_node(calls: list[Call], groups: Groups) -> FormulaNode:
    formulas = {f"f{number}": call.formula for number, call in enumerate(calls)}
    features, errors = read_features("tick", root_source("aligned", LAYOUT), formulas)
    assert features is not None, errors
    return FormulaNode("tick", features, groups)


def sealed(rows: Rows, lower: int, upper: int, groups: Groups) -> Sealed:
    """Rows from `lower` up to `upper`, as the node takes them."""
    arrays = {field.name: pa.array(rows.columns[field.name], field.type) for field in LAYOUT}
    local = np.array([-1 if group is None else group for group in rows.group], np.int32)
    names = pa.array([f"symbol {number}".encode() for number in range(local.max(initial=0) + 1)], pa.binary())
    session = np.array([-1 if value is None else value for value in rows.session], np.int64)
    group, time_ns = groups.codes(names, local), np.array(rows.time_ns, np.int64)
    batch = pa.record_batch(arrays, schema=LAYOUT).slice(lower, upper - lower)
    keys = RowKeys(group[lower:upper], time_ns[lower:upper], session[lower:upper])
    return Sealed(batch, 0, keys=keys)


def stream(rows: Rows, calls: list[Call], cut: int, restart: int | None = None) -> list[Column]:
    """The features, from batches of `cut` rows; at the row `restart` a new node goes on from a snapshot."""
    groups = Groups()
    node = make_node(calls, groups)
    columns: list[Column] = [[] for _ in calls]
    entries: dict[bytes, bytes] = {}
    lower, count = 0, len(rows.time_ns)
    while lower < count:
        upper = min(lower + cut, count if restart is None or restart <= lower else restart)
        out = node.take((sealed(rows, lower, upper, groups),)).rows
        assert out is not None
        for number, column in enumerate(columns):
            column += out[f"f{number}"].to_pylist()
        changes = node.snapshot()
        entries.update(changes.puts)
        for key in changes.deletes:
            del entries[key]
        if upper == restart:
            groups = Groups()
            groups.codes(pa.array([b"another"], pa.binary()), np.zeros(1, np.int32))
            node = make_node(calls, groups)
            node.restore(list(entries.items()))
        lower = upper
    return columns


def bits(column: Column) -> list[object]:
    """Values that are equal where their bits and kinds are."""
    return [value.hex() if isinstance(value, float) else (type(value), value) for value in column]


def assert_as_the_handbook(rows: Rows, calls: list[Call], columns: list[Column]) -> None:
    for call, column in zip(calls, columns, strict=True):
        wanted = ORACLES[call.function](rows, [rows.columns[call.column]], call.settings)
        if call.function == "fill_forward" and call.column == "e":
            wanted = [None if value is None else bool(value) for value in wanted]
        assert bits(column) == bits(wanted), call.formula


@given(streams(), st.lists(calls(), min_size=1, max_size=4), st.sampled_from([1, 7, 40]), st.data())
def test_any_cut_and_any_restart_gives_what_the_handbook_says(
    rows: Rows, calls: list[Call], cut: int, data: st.DataObject
) -> None:
    restart = data.draw(st.none() | st.integers(1, len(rows.time_ns)))
    assert_as_the_handbook(rows, calls, stream(rows, calls, cut, restart))


def test_keys_in_order_move_with_the_ring_when_other_symbols_grow() -> None:
    draw = random.Random(7)
    count = 1_500
    group = [min(int(draw.expovariate(0.5)), 9) if row % 500 < 400 else row // 500 for row in range(count)]
    values: dict[str, Column] = {
        "x": [draw.choice([None, draw.gauss(0, 1), float(draw.randrange(3))]) for _ in range(count)],
        "i": [draw.randrange(50) for _ in range(count)],
        "b": [None] * count,
        "e": [row % 3 == 0 for row in range(count)],
    }
    rows = Rows([row // 3 for row in range(count)], [*group], [0] * count, values)
    calls = [
        Call(function, column, {"rows": 60, "min_count": 1, **more})
        for function in OF_WINDOWS
        for column in ("x", "i")
        for more in [{"q_ppm": 900_000} if function == "rolling_quantile" else {}]
    ]
    calls.append(Call("rolling_median", "x", {"ns": 70}))
    assert_as_the_handbook(rows, calls, stream(rows, calls, 97, 1_100))


def test_a_sum_of_integers_comes_back_from_beyond_64_bits() -> None:
    rows = Rows([0] * 4, [0] * 4, [0] * 4, dict.fromkeys("xbe", [None] * 4))
    rows = rows._replace(columns={**rows.columns, "i": [2**63 - 1, 1, -1, -(2**63)]})
    assert stream(rows, [Call("cumsum", "i", {})], 4) == [[2**63 - 1, None, 2**63 - 1, -1]]


def test_between_values_too_far_apart_there_is_no_quantile() -> None:
    rows = Rows([0] * 2, [0] * 2, [0] * 2, dict.fromkeys("ibe", [None] * 2))
    rows = rows._replace(columns={**rows.columns, "x": [1.7e308, -1.7e308]})
    assert stream(rows, [Call("rolling_median", "x", {"rows": 2, "min_count": 1})], 2) == [[1.7e308, None]]


@pytest.mark.parametrize(
    ("formula", "why"),
    [
        ("rolling_median(x, rows=4097)", f"rows is a whole number from 1 to {SORTED_MAX:,}, not 4097"),
        ("rolling_rank(x, '1s', max_rows=5000)", "max_rows is a whole number from 1 to 4,096, not 5000"),
        ("rolling_quantile(x, rows=9)", "rolling_quantile needs q_ppm="),
        ("rolling_quantile(x, q_ppm=1000001, rows=9)", "q_ppm is a whole number from 0 to 1,000,000"),
        ("rolling_max(x)", "a window is missing"),
        ("time_since(x)", "the event of time_since is a boolean, and this is a number; write x != 0"),
        ("fill_forward(x, limit_rows=-1)", "limit_rows is a whole number from 0 to 65,536, not -1"),
    ],
)
def test_a_window_or_limit_that_cannot_be_is_refused(formula: str, why: str) -> None:
    features, errors = read_features("tick", root_source("aligned", LAYOUT), {"y": formula})
    assert features is None
    assert next(error.message for error in errors["y"]).startswith(why)
