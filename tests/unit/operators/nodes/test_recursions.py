"""What hangs on all rows since a start has the bits of its oracle, for any cut, and after a restart."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.oracles.features.handbook import values as by_definition
from tests.oracles.features.rows import Column, Rows
from tests.oracles.features.table import ORACLES

START_NS = 10**18 + 3
OUTSIDE = -1

# A call, its columns, the settings that the oracle is passed, and the ulps allowed.
CALLS: list[tuple[str, str, str, dict[str, Any], int]] = [
    ("ewma", "x", "span=3", {"span": 3}, 0),
    ("ewma", "x", "half_life=2, min_count=2", {"half_life": 2, "min_count": 2}, 0),
    ("ewma", "x", "com=0.5, memory='genesis'", {"com": 0.5, "memory": "genesis"}, 0),
    ("ewma", "x", "alpha=1", {"alpha": 1.0}, 0),
    (
        "ewma",
        "x",
        "alpha=0.5, memory='anchored', eps=0.2",
        {"alpha": 0.5, "memory": "anchored", "eps": 0.2},
        0,
    ),
    ("ewma", "x", "alpha=0.3, adjust=False", {"alpha": 0.3, "adjust": False}, 0),
    (
        "ewma",
        "x",
        "span=4, adjust=False, memory='anchored', eps=0.4, min_count=2",
        {"span": 4, "adjust": False, "memory": "anchored", "eps": 0.4, "min_count": 2},
        0,
    ),
    ("ewma_time", "x", "'3ns'", {"half_life_ns": 3}, 0),
    (
        "ewma_time",
        "x",
        "tau_ns=4, memory='anchored', eps=0.3, min_count=2",
        {"tau_ns": 4, "memory": "anchored", "eps": 0.3, "min_count": 2},
        0,
    ),
    ("decay_accum", "x", "'3ns', memory='genesis'", {"half_life_ns": 3, "memory": "genesis"}, 0),
    ("decay_accum", "x", "tau_ns=5, at='before'", {"tau_ns": 5, "at": "before"}, 0),
    (
        "decay_accum",
        "x",
        "'2ns', at='before', memory='anchored', eps=0.3",
        {"half_life_ns": 2, "at": "before", "memory": "anchored", "eps": 0.3},
        0,
    ),
    ("decay_accum", "x", "'3ns', at='query'", {"half_life_ns": 3, "at": "query"}, 0),
    (
        "decay_accum",
        "x",
        "'2ns', at='query', memory='anchored', eps=0.3, min_count=2",
        {"half_life_ns": 2, "at": "query", "memory": "anchored", "eps": 0.3, "min_count": 2},
        0,
    ),
    ("ewm_std", "x", "span=5, bias=True", {"span": 5, "bias": True}, 0),
    ("ewm_std", "x", "alpha=0.999", {"alpha": 0.999}, 0),
    (
        "ewm_std",
        "x",
        "alpha=0.4, min_count=3, memory='anchored', eps=0.2",
        {"alpha": 0.4, "min_count": 3, "memory": "anchored", "eps": 0.2},
        0,
    ),
    ("ewma_volatility", "x", "", {}, 0),
    (
        "ewma_volatility",
        "x",
        "decay=0.5, memory='anchored', eps=0.2, reset='none'",
        {"decay": 0.5, "memory": "anchored", "eps": 0.2, "reset": "none"},
        0,
    ),
    ("ewma_variance_rate", "x", "'4ns'", {"half_life_ns": 4}, 0),
    (
        "ewma_variance_rate",
        "x",
        "tau_ns=3, memory='anchored', eps=0.3",
        {"tau_ns": 3, "memory": "anchored", "eps": 0.3},
        0,
    ),
    ("kyle_rls", "x q d", "min_count=1", {"min_count": 1}, 0),
    (
        "kyle_rls",
        "x q d",
        "tick=0.5, lambda_f=0.5, P0=1e-9, min_count=2, memory='anchored', eps=0.2",
        {"tick": 0.5, "lambda_f": 0.5, "P0": 1e-9, "min_count": 2, "memory": "anchored", "eps": 0.2},
        0,
    ),
    ("two_scale_variance", "x", "K=2", {"K": 2}, 0),
    (
        "two_scale_variance",
        "x",
        "K=3, adjust=False, reset='none'",
        {"K": 3, "adjust": False, "reset": "none"},
        0,
    ),
    ("vpin", "q d", "V=2.5, n=3", {"V": 2.5, "n": 3}, 1),
    ("vpin", "q d", "V=0.1, n=2, reset='session'", {"V": 0.1, "n": 2, "reset": "session"}, 1),
    ("vpin", "q d", "V=0.3, n=2, of='share'", {"V": 0.3, "n": 2, "of": "share"}, 1),
    ("twap", "x", "'5ns'", {"ns": 5}, 2),
    ("twap", "x", "'7ns', max_rows=3, reset='none'", {"ns": 7, "max_rows": 3, "reset": "none"}, 2),
]
FORMULAS = {
    f"f{number}": f"{name}({', '.join([*columns.split(), *filter(None, [settings])])})"
    for number, (name, columns, settings, _, _) in enumerate(CALLS)
}

NUMBERS = st.one_of(
    st.none(),
    st.floats(-1e3, 1e3),
    st.sampled_from([0.1, 0.3, 1.0, 1.0, 2.0, 100.0, 1e200, -1e200, 5e-324, 1e-160]),
)
# The reference fills the buckets of a trade one by one.
SIZES = st.one_of(st.none(), st.floats(-1, 30), st.sampled_from([0.1, 0.3, 1.0, 1.0, 2.5, 5e-324]))


@st.composite
def drawn_rows(draw: st.DrawFn) -> Rows:
    """Rows of two symbols and of none, with ties, nulls, and rows between sessions."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0, 0, 1, 1, 2, 5, 40]),
                st.sampled_from([0, 0, 0, 1, None]),
                st.sampled_from(["same"] * 8 + ["next", "outside"]),
                NUMBERS,
                SIZES,
                st.sampled_from([-1, 0, 1, 1, None, 2]),
            ),
            max_size=30,
        )
    )
    now_ns, session, sessions = START_NS, 0, []
    times: list[int] = []
    outside = False
    for step_ns, _, turn, *_ in rows:
        now_ns += step_ns
        times.append(now_ns)
        if turn == "next" or (outside and turn == "same"):
            session += 1
        outside = turn == "outside"
        sessions.append(None if outside else session)
    x, q, d = ([row[column] for row in rows] for column in (3, 4, 5))
    return Rows(times, [row[1] for row in rows], sessions, {"x": x, "q": q, "d": d})


def batch_of(rows: Rows) -> pa.RecordBatch:
    kinds = {"x": pa.float64(), "q": pa.float64(), "d": pa.int8()}
    return pa.record_batch({name: pa.array(rows.columns[name], kind) for name, kind in kinds.items()})


def new_node(groups: Groups, formulas: Mapping[str, str]) -> FormulaNode:
    features, errors = read_features("tick", root_source("aligned", batch_of(EMPTY).schema), formulas)
    assert features is not None, errors
    return FormulaNode("tick", features, groups)


def results(
    rows: Rows, cuts: Sequence[int], restart: int | None = None, formulas: Mapping[str, str] = FORMULAS
) -> dict[str, Column]:
    """The features of all rows, in batches that end at `cuts`, with a restart at one row."""
    groups, batch = Groups(), batch_of(rows)
    store: dict[bytes, bytes] = {}
    node = new_node(groups, formulas)
    out: dict[str, Column] = {name: [] for name in formulas}
    for lower, upper in bounds(len(rows.time_ns), [*cuts, *([] if restart is None else [restart])]):
        snapshot = node.snapshot()
        store.update(snapshot.puts)
        for key in snapshot.deletes:
            store.pop(key, None)
        if lower == restart:
            groups = Groups()
            groups.codes(pa.array([b"B", b"?"], pa.binary()), np.arange(2, dtype=np.int32))
            node = new_node(groups, formulas)
            node.restore(list(store.items()))
        symbols = [{0: b"A", 1: b"B", None: None}[group] for group in rows.group[lower:upper]]
        numbers = np.array([-1 if symbol is None else b"AB".index(symbol) for symbol in symbols], np.int32)
        keys = RowKeys(
            groups.codes(pa.array([b"A", b"B"], pa.binary()), numbers),
            np.array(rows.time_ns[lower:upper], np.int64),
            np.array([OUTSIDE if s is None else s for s in rows.session[lower:upper]], np.int64),
        )
        part = node.take((Sealed(batch.slice(lower, upper - lower), 0, keys=keys),)).rows
        assert part is not None
        for name in formulas:
            out[name] += part[name].to_pylist()
    return out


def bounds(count: int, cuts: Sequence[int]) -> Iterator[tuple[int, int]]:
    ends = sorted({0, count, *(cut for cut in cuts if cut < count)})
    return pairwise(ends)


def far(value: Any, wanted: Any, ulps: int) -> bool:
    """Whether two results are not the same, or farther apart than so many ulps."""
    if value is None or wanted is None or ulps == 0:
        return value is not wanted and (value is None or wanted is None or value.hex() != float(wanted).hex())
    return bool(abs(value - wanted) > ulps * np.spacing(abs(wanted)))


EMPTY = Rows([], [], [], {"x": [], "q": [], "d": []})


@pytest.fixture(scope="module")
def one_session() -> Rows:
    """Many rows of one symbol, so that memory wraps around in all that has a ring or anchors."""
    draw = np.random.default_rng(7)
    count = 1_000
    times = START_NS + np.cumsum(draw.choice([0, 0, 1, 2, 9], count))
    x = [None if draw.random() < 0.1 else float(value) for value in draw.lognormal(0, 0.1, count)]
    q = [None if draw.random() < 0.1 else float(value) for value in draw.choice([0.1, 0.3, 1.0, 30.0], count)]
    d: Column = [int(side) for side in draw.choice([-1, 0, 1], count)]
    return Rows(times.tolist(), [0] * count, [0] * count, {"x": x, "q": q, "d": d})


def test_a_trade_of_very_many_buckets_leaves_the_exact_rest_in_the_open_one() -> None:
    """2 lots are in it, 10 ** 17 buckets of 3 go by, and 2 lots of the trade are left."""
    columns: dict[str, Column] = {"x": [None] * 4, "q": [2.0, 3e17, 1.0, 3.0], "d": [-1, 1, -1, 0]}
    rows = Rows([START_NS] * 4, [0] * 4, [0] * 4, columns)
    values = results(rows, [], formulas={"f": "vpin(q, d, V=3, n=2)"})["f"]
    assert values == [None, 1.0, pytest.approx(4 / 6), pytest.approx(1 / 6)]


def test_shares_that_were_bought_fill_buckets_exactly_whatever_the_cuts() -> None:
    draw = np.random.default_rng(3)
    sizes = draw.choice([0.1, 0.3, 1.0, 2.75, 9.0], 300).tolist()
    shares: Column = [*draw.random(296).tolist(), None, 0.0, 1.0, 1.5]
    columns: dict[str, Column] = {"x": shares[::-1], "q": sizes, "d": [None] * 300}
    rows = Rows([START_NS] * 300, [0] * 300, [0] * 300, columns)
    formula = {"f": "vpin(q, x, V=0.7, n=3, of='share')"}
    wanted = by_definition(rows, "vpin", "q", "x", V=0.7, n=3, of="share")
    found = results(rows, [], formulas=formula)["f"]
    assert not any(far(*pair, 1) for pair in zip(found, wanted, strict=True))
    assert len({value for value in found if value is not None}) > 200
    assert results(rows, [7, 90, 91], 150, formulas=formula)["f"] == found


WRONG = {
    "ewma(x)": "exactly one of alpha=, span=, com= and half_life= says how fast it decays",
    "ewma(x, span=3, com=1)": "exactly one of alpha=, span=, com= and half_life= says how fast it decays",
    "ewma(x, span=3, eps=0.1)": "eps= is of memory='anchored', which is not chosen",
    "ewma(x, alpha=1e-17, memory='anchored')": "memory='anchored' needs weights that fade; these do not,"
    " and have no horizon",
    "kyle_rls(x, q, d, lambda_f=1, memory='anchored')": "memory='anchored' needs weights that fade; these do"
    " not, and have no horizon",
    "ewma_time(x)": "exactly one of a half-life such as '5m' and tau_ns= says how fast it decays",
    "ewma_time(x, 5)": "ewma_time takes a length of time as '5m', not 5",
    "decay_accum(x, '2s', tau_ns=5)": "exactly one of a half-life such as '5m' and tau_ns= says how fast it"
    " decays",
    "twap(x)": "twap takes 2 values (price, ns), not 1",
    "vpin(q, d)": "V= is missing: the volume of a bucket",
}


@pytest.mark.parametrize(("formula", "why"), WRONG.items())
def test_a_call_that_means_nothing_says_what_it_wants(formula: str, why: str) -> None:
    _, errors = read_features("tick", root_source("aligned", batch_of(EMPTY).schema), {"f": formula})
    assert [error.message for error in errors["f"]] == [why]


def assert_are_those_of_the_oracle(rows: Rows, features: dict[str, Column]) -> None:
    for (name, columns, settings, oracle_settings, ulps), values in zip(
        CALLS, features.values(), strict=True
    ):
        operands = [rows.columns[column] for column in columns.split()]
        wanted = ORACLES[name](rows, operands, oracle_settings)
        wrong = [
            (row, *pair) for row, pair in enumerate(zip(values, wanted, strict=True)) if far(*pair, ulps)
        ]
        assert not wrong, (name, settings, wrong[:3])


@given(drawn_rows(), st.sampled_from([1, 7, 100]), st.integers(0, 30))
def test_each_has_the_bits_of_its_oracle_for_any_cut_and_after_a_restart(
    rows: Rows, size: int, restart: int
) -> None:
    features = results(rows, range(0, len(rows.time_ns), size), restart)
    assert_are_those_of_the_oracle(rows, features)


def test_a_long_run_has_the_bits_of_its_oracle(one_session: Rows) -> None:
    assert_are_those_of_the_oracle(one_session, results(one_session, [1_000, 2_500], 1_717))
