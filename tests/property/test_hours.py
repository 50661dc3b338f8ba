"""With hours = "regular" rows outside every session are no rows to what looks back (0.4 of the handbook)."""

import itertools
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.formulas import with_features
from app.audit.past import Past
from operators.formula.features import Features, read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed

pytestmark = pytest.mark.takes_s(10)

LAYOUT = pa.schema({"x": pa.int64()})
SYMBOLS = [b"A", b"B"]
FORMULAS = {
    "twice": "x * 2",
    "sum": "rolling_sum(x, rows=2, min_count=1)",
    "recent": "rolling_sum(x, '6ns')",
    "before": "lag(x)",
    "slow": "ewma(x, alpha=0.5, memory='genesis')",
    "high": "rolling_max(x, rows=3, min_count=1)",
}
LOOKS_BACK = [name for name in FORMULAS if name != "twice"]
Row = tuple[int, int, int, int | None]  # time, symbol, session, value

rows_in_order = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([0, 0, 0, -1]),
        st.one_of(st.none(), st.integers(-3, 3)),
    ),
    max_size=25,
)
cuts = st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=12)


def features(*, regular_hours: bool) -> Features:
    source = root_source("aligned", LAYOUT, sessions="days")
    read, errors = read_features("tick", source, FORMULAS, regular_hours=regular_hours)
    assert read is not None, errors
    return read


def values_of(
    rows: list[Row], of_cuts: list[tuple[int, bool]], *, regular_hours: bool = True
) -> list[dict[str, Any]]:
    """What a node gives; one that dies behind a cut comes back from all that it has written down."""
    made: list[dict[str, Any]] = []
    entries: dict[bytes, bytes] = {}
    groups = Groups()
    node = FormulaNode("tick", features(regular_hours=regular_hours), groups)
    ends = [*itertools.accumulate(count for count, _ in of_cuts), len(rows)]
    dies_at = [*(dies for _, dies in of_cuts), False]
    lower = 0
    for end, dies in zip(ends, dies_at, strict=True):
        part, lower = rows[lower:end], max(lower, min(end, len(rows)))
        codes = groups.codes(pa.array(SYMBOLS, pa.binary()), np.array([r[1] for r in part], np.int32))
        keys = RowKeys(codes, *(np.array([row[at] for row in part], np.int64) for at in (0, 2)))
        batch = pa.record_batch([pa.array([row[3] for row in part], pa.int64())], schema=LAYOUT)
        out = node.take((Sealed(batch, 0, keys=keys),)).rows
        made += [] if out is None else out.to_pylist()
        if dies:
            snapshot = node.snapshot()
            entries.update(snapshot.puts)
            for key in snapshot.deletes:
                entries.pop(key, None)
            groups = Groups()
            node = FormulaNode("tick", features(regular_hours=regular_hours), groups)
            node.restore(entries.items())
    return made


def sealed_rows(steps: list[tuple[int, int, int, int | None]]) -> list[Row]:
    times = itertools.accumulate(step for step, *_ in steps)
    return [(ns, symbol, session, x) for ns, (_, symbol, session, x) in zip(times, steps, strict=True)]


@given(steps=rows_in_order, of_cuts=cuts)
def test_values_are_those_of_the_rows_inside_alone_whatever_the_cuts(
    steps: list[tuple[int, int, int, int | None]], of_cuts: list[tuple[int, bool]]
) -> None:
    rows = sealed_rows(steps)
    inside = iter(values_of([row for row in rows if row[2] >= 0], [], regular_hours=False))
    for row, made in zip(rows, values_of(rows, of_cuts), strict=True):
        if row[2] >= 0:
            assert made == next(inside)
        else:
            assert made["twice"] == (None if row[3] is None else row[3] * 2)
            assert [made[name] for name in LOOKS_BACK] == [None] * len(LOOKS_BACK)


@given(steps=rows_in_order)
def test_the_second_judge_sees_the_same(steps: list[tuple[int, int, int, int | None]]) -> None:
    rows = sealed_rows(steps)
    columns = [np.array([row[at] for row in rows], np.int64) for at in range(3)]
    past = Past(columns[1], columns[0], columns[2])
    frame = pl.DataFrame({"x": pl.Series([row[3] for row in rows], dtype=pl.Int64)})
    judged = with_features(frame, FORMULAS, past, frozenset(FORMULAS)).to_dicts()
    for made, wanted in zip(values_of(rows, []), judged, strict=True):
        for name, value in wanted.items():
            assert made[name] == (None if value is None else pytest.approx(value, rel=1e-12)), name


def test_hours_are_in_the_meaning_of_what_looks_back_alone() -> None:
    regular, all_rows = (features(regular_hours=hours).meanings for hours in (True, False))
    assert regular["twice"] == all_rows["twice"]
    assert all(regular[name] != all_rows[name] for name in LOOKS_BACK)
