"""A window that `max_rows` cut short says so in each row, whatever the cuts, whenever it comes back."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.formula.features import Features, read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from schemas.reasons import TRUNCATED
from tests.oracles.features.handbook import F1

pytestmark = pytest.mark.takes_s(8)

LAYOUT = pa.schema({"x": pa.int64()})
SYMBOLS = [b"A", b"B"]
# By feature the time window and the most rows of what it is made of, and whether a session ends it.
FEATURES = {
    "total": ("rolling_sum(x, '5ns', max_rows=2)", [(5, 2, False)]),
    "mean": ("rolling_mean(x, '7ns', max_rows=3, reset='session')", [(7, 3, True)]),
    "before": ("lag(x, '4ns', max_rows=2)", [(4, 2, False)]),
    "both": ("total - rolling_max(x, '9ns', max_rows=3) / 2", [(5, 2, False), (9, 3, False)]),
    "stands": ("twap(x, '6ns', max_rows=2)", [(6, 2, True)]),
    "by_rows": ("rolling_sum(x, rows=2)", []),
}

rows_in_order = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 1), st.one_of(st.none(), st.integers(-3, 3))), max_size=25
)
cuts = st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=12)


def features() -> Features:
    formulas = {name: formula for name, (formula, _) in FEATURES.items()}
    read, errors = read_features("tick", root_source("aligned", LAYOUT), formulas)
    assert read is not None, errors
    return read


def reasons_of(
    rows: list[tuple[int, int, int, int | None]], of_cuts: list[tuple[int, bool]]
) -> dict[str, list[int]]:
    """The reason of each row by feature: rows are time, symbol, session and value.

    A node that dies behind a cut comes back from all that it has written down.
    """
    told: dict[str, list[int]] = {name: [] for name in FEATURES}
    entries: dict[bytes, bytes] = {}
    groups = Groups()
    node = FormulaNode("tick", features(), groups)
    bounds = [0, *itertools.accumulate(count for count, _ in of_cuts), len(rows)]
    for (lower, upper), dies in zip(
        itertools.pairwise(min(bound, len(rows)) for bound in bounds),
        [*(dies for _, dies in of_cuts), False],
        strict=True,
    ):
        part = rows[lower:upper]
        codes = groups.codes(pa.array(SYMBOLS, pa.binary()), np.array([r[1] for r in part], np.int32))
        keys = RowKeys(codes, *(np.array([row[at] for row in part], np.int64) for at in (0, 2)))
        batch = pa.record_batch([pa.array([row[3] for row in part], pa.int64())], schema=LAYOUT)
        sealed = node.take((Sealed(batch, 0, keys=keys),))
        for name, column in told.items():
            column += sealed.reasons.get(name, np.zeros(len(part), np.uint8)).tolist()
        if dies:
            snapshot = node.snapshot()
            entries.update(snapshot.puts)
            for key in snapshot.deletes:
                entries.pop(key, None)
            groups = Groups()
            node = FormulaNode("tick", features(), groups)
            node.restore(entries.items())
    return told


def is_cut(rows: list[tuple[int, int, int, int | None]], place: int, window: tuple[int, int, bool]) -> bool:
    """By the definition: more rows of the symbol than may be lie in the window."""
    length_ns, most, reset = window
    time_ns, symbol, session, _ = rows[place]
    inside = [
        other
        for other in rows[: place + 1]
        if other[1] == symbol and other[0] > time_ns - length_ns and (not reset or other[2] == session)
    ]
    return len(inside) > most


@given(steps=rows_in_order, of_cuts=cuts, day=st.integers(2, 30))
def test_a_value_is_truncated_where_more_rows_are_in_its_window_than_it_may_have(
    steps: list[tuple[int, int, int | None]], of_cuts: list[tuple[int, bool]], day: int
) -> None:
    times = list(itertools.accumulate(step for step, _, _ in steps))
    rows = [(ns, symbol, ns // day, x) for ns, (_, symbol, x) in zip(times, steps, strict=True)]
    told = reasons_of(rows, of_cuts)
    for name, (_, windows) in FEATURES.items():
        for place in range(len(rows)):
            cut = any(is_cut(rows, place, window) for window in windows)
            assert (told[name][place] == TRUNCATED) == cut, (name, place)
    assert told == reasons_of(rows, [])


def test_the_rows_of_the_handbook_are_cut_where_three_are_in_the_window() -> None:
    rows = [(ns, 0, 0, x) for ns, x in zip(F1.time_ns, F1.columns["x"], strict=True)]
    in_3_ns = [(ns // 10**9, *rest) for ns, *rest in rows]
    formula = "rolling_sum(x, '3ns', max_rows=2)"
    read, _ = read_features("tick", root_source("aligned", LAYOUT), {"total": formula})
    assert read is not None
    groups = Groups()
    node = FormulaNode("tick", read, groups)
    codes = groups.codes(pa.array(SYMBOLS, pa.binary()), np.zeros(len(rows), np.int32))
    keys = RowKeys(codes, np.array([row[0] for row in in_3_ns]), np.zeros(len(rows), np.int64))
    batch = pa.record_batch([pa.array([row[3] for row in rows], pa.int64())], schema=LAYOUT)
    sealed = node.take((Sealed(batch, 0, keys=keys),))
    assert sealed.rows is not None
    assert sealed.rows["total"].to_pylist() == [1, 3, 2, 4, 12, 11, 6, 5]  # else 1 3 3 7 12 15 14 5
    assert np.flatnonzero(sealed.reasons["total"] == TRUNCATED).tolist() == [2, 3, 5, 6]


@pytest.mark.parametrize("cut_rows", [1, 7, 400])
def test_a_lag_by_time_finds_its_row_where_many_rows_were_forgotten_before(cut_rows: int) -> None:
    """Rows come in bursts, of which no more than `max_rows` are kept, and then slowly again."""
    draw = np.random.default_rng(5)
    steps = np.where(np.arange(400) // 40 % 2 == 0, 0, draw.integers(0, 5, 400))
    times = np.cumsum(steps)
    wanted: list[int | None] = []
    for n, now_ns in enumerate(times.tolist()):
        early = [row for row in range(n) if times[row] <= now_ns - 4]
        wanted.append(early[-1] if early and n - early[-1] <= 2 else None)
    read, _ = read_features("tick", root_source("aligned", LAYOUT), {"y": "lag(x, '4ns', max_rows=2)"})
    assert read is not None
    groups = Groups()
    node = FormulaNode("tick", read, groups)
    found: list[int | None] = []
    for lower in range(0, 400, cut_rows):
        part = times[lower : lower + cut_rows]
        codes = groups.codes(pa.array(SYMBOLS, pa.binary()), np.zeros(part.size, np.int32))
        keys = RowKeys(codes, part, np.zeros(part.size, np.int64))
        numbers = pa.array(range(lower, lower + part.size), pa.int64())
        rows = node.take((Sealed(pa.record_batch([numbers], schema=LAYOUT), 0, keys=keys),)).rows
        assert rows is not None
        found += rows["y"].to_pylist()
    assert found == wanted
    assert 50 < sum(value is not None for value in found) < 350
