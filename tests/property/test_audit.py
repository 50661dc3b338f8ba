"""The audit against the oracle, however time is cut: no fault in what is right, one in what is not."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit import runs as audit_runs
from app.audit.findings import Findings
from app.audit.join import INDEX, OFFSET, Rules
from app.audit.rules import PARTITION, Layout
from app.audit.runs import MEMORY_SIZE_MIN, Runs, tiles
from app.audit.walk import walk
from app.settings.pipeline import PipelineSettings
from tests.oracles.asof import asof_oracle

pytestmark = pytest.mark.takes_s(25)

TIMES = st.integers(0, 12)
KEYS = st.sampled_from(["A", "B", None])
LEFT = {"event_ns": pl.Int64, "symbol": pl.String, "price": pl.Int64}
RIGHT = {"event_ns": pl.Int64, "symbol": pl.String, "bid": pl.Int64, "venue": pl.String}
Rows = list[tuple[object, ...]]


@st.composite
def joins(draw: st.DrawFn) -> dict[str, Any]:
    direction = draw(st.sampled_from(["backward", "backward", "forward", "nearest"]))
    tolerance = st.integers(0, 6)
    return {
        "direction": direction,
        "tolerance_ns": draw(tolerance if direction != "backward" else st.none() | tolerance),
        "allow_exact": draw(st.booleans()),
        "carry": draw(st.sampled_from(["row", "column"])) if direction == "backward" else "row",
    }


LEFT_ROWS = st.lists(st.tuples(TIMES, KEYS, st.integers(0, 3)), min_size=1, max_size=12)
RIGHT_ROWS = st.lists(
    st.tuples(TIMES, KEYS, st.none() | st.integers(0, 9), st.sampled_from([None, "", "N"])), max_size=12
)


def runs_of(folder: Path, name: str, rows: pl.DataFrame, order: Sequence[str]) -> Runs:
    runs = Runs(folder, name, order, MEMORY_SIZE_MIN)
    for at in range(0, max(1, rows.height), 5):
        runs.add(rows.slice(at, 5))
        runs.end()
    return runs


def placed(rows: Rows, schema: dict[str, Any]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(
        pl.int_range(frame.height, dtype=pl.Int64).alias(OFFSET), pl.lit(0, pl.Int32).alias(INDEX)
    )


def faults(
    asked: dict[str, Any], left: Rows, right: Rows, aligned: pl.DataFrame, by_place: bool
) -> list[str]:
    """The kinds of fault found, with a tile for each time that rows have."""
    rules = Rules(
        pipeline=PipelineSettings(**asked),
        keys={"trade": ["symbol"], "quote": ["symbol"]},
        sequences={"trade": None, "quote": None},
        columns={"quote": ["bid", "venue"]},
        left_key=pa.schema([("symbol", pa.string())]),
    )
    findings = Findings()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_runs, "TILE_SHARE", MEMORY_SIZE_MIN)
        patch.setattr(audit_runs, "GROUP_ROWS_MAX", 1)
        at = Path(folder)
        trades = runs_of(at, "trade", placed(left, LEFT), rules.order("trade"))
        quotes = runs_of(at, "quote", placed(right, RIGHT), rules.order("quote"))
        rows = runs_of(at, "aligned", aligned, rules.order("trade", "left_offset", "left_index"))
        cuts = len(list(tiles([trades, quotes, rows], MEMORY_SIZE_MIN)))
        assert cuts == len({row[0] for row in [*left, *right]} | set(aligned["event_ns"]))
        layout = Layout(by_place=by_place)
        walk([rules], layout, trades, {"quote": quotes}, rows, findings, MEMORY_SIZE_MIN)
    return [violation.kind for violation in findings.violations()]


def oracle_rows(asked: dict[str, Any], left: Rows, right: Rows) -> pl.DataFrame:
    """What the oracle aligns, with the place of each left row."""
    columns = [
        {name: list(values) for name, values in zip(schema, zip(*rows, strict=True), strict=True)}
        if rows
        else {name: [] for name in schema}
        for rows, schema in ((left, LEFT), (right, RIGHT))
    ]
    joined = asof_oracle(columns[0], {"quote": columns[1]}, **asked)
    kinds = {**LEFT, "quote_bid": pl.Int64, "quote_venue": pl.String}
    kinds |= {"quote_event_ns": pl.Int64, "quote_age_ns": pl.Int64}
    frame = pl.DataFrame({name: joined[name] for name in kinds}, schema=kinds)
    return frame.with_columns(
        pl.int_range(frame.height, dtype=pl.Int64).alias("left_offset"),
        pl.lit(0, pl.Int32).alias("left_index"),
        pl.lit(0, pl.Int32).alias(PARTITION),
    )


@settings(max_examples=60)
@given(joins(), LEFT_ROWS, RIGHT_ROWS, st.booleans())
def test_what_the_oracle_aligns_has_no_fault(
    asked: dict[str, Any], left: Rows, right: Rows, by_place: bool
) -> None:
    assert faults(asked, left, right, oracle_rows(asked, left, right), by_place) == []


@settings(max_examples=60)
@given(joins(), LEFT_ROWS, RIGHT_ROWS, st.booleans(), st.data())
def test_any_other_value_is_a_fault(
    asked: dict[str, Any], left: Rows, right: Rows, by_place: bool, data: st.DataObject
) -> None:
    rows = oracle_rows(asked, left, right)
    column = data.draw(st.sampled_from([c for c in rows.columns if c not in (PARTITION, "left_index")]))
    at = data.draw(st.integers(0, rows.height - 1))
    was = rows[column][at]
    other = f"{was}?" if rows.schema[column] == pl.String else 77 if was is None else was + 100
    if column == "left_offset" and not by_place:
        return
    changed = rows.with_columns(
        pl.when(pl.int_range(pl.len()) == at).then(pl.lit(other)).otherwise(pl.col(column)).alias(column)
    ).cast({column: rows.schema[column]})
    assert faults(asked, left, right, changed, by_place) != []


def test_a_row_moved_to_another_tile_is_one_fault() -> None:
    asked = {"direction": "backward", "tolerance_ns": None, "allow_exact": True, "carry": "row"}
    rows = oracle_rows(asked, [(1, "A", 0), (5, "A", 0)], [])
    moved = rows.with_columns(event_ns=pl.Series([1, 9]))
    assert faults(asked, [(1, "A", 0), (5, "A", 0)], [], moved, True) == ["changed left row"]


def test_places_mean_nothing_where_the_left_rows_come_from_files() -> None:
    asked = {"direction": "backward", "tolerance_ns": None, "allow_exact": True, "carry": "row"}
    rows = oracle_rows(asked, [(1, "A", 0), (5, "A", 0)], [])
    moved = rows.with_columns(event_ns=pl.Series([1, 9]))
    assert faults(asked, [(1, "A", 0), (5, "A", 0)], [], moved, False) == ["missing", "unexpected"]
