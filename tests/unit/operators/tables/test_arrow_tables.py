"""Tables of any library are joined, and the result is the one of the same Arrow tables."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from operators.asof import AsofError, asof_join, asof_positions

LEFT = pa.table({"event_ns": [10, 3, 20], "symbol": ["A", "B", "A"], "size": pa.array([1, None, 3])})
RIGHT = pa.table({"event_ns": [9, 1, 18], "symbol": ["A", "B", "A"], "bid": [0.5, None, 1.5]})
EXPECTED = [(9, 1, 0.5), (1, 2, None), (18, 2, 1.5)]


def matches(joined: pa.Table) -> list[tuple[object, ...]]:
    names = ("right_event_ns", "right_age_ns", "right_bid")
    return list(zip(*(joined[name].to_pylist() for name in names), strict=True))


@pytest.mark.parametrize(
    "made",
    [
        pl.from_arrow,
        lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
        lambda table: table.to_pandas(),
        lambda table: duckdb.from_arrow(table, connection=duckdb.connect()),
        lambda table: table.to_reader(),
        lambda table: table.to_batches()[0],
    ],
    ids=["polars", "pandas of Arrow", "pandas", "duckdb", "reader", "batch"],
)
def test_tables_of_any_library_give_the_rows_of_arrow_tables(made: Callable[[pa.Table], Any]) -> None:
    joined = asof_join(made(LEFT), made(RIGHT))
    assert isinstance(joined, pa.Table)
    assert matches(joined) == EXPECTED == matches(asof_join(LEFT, RIGHT))
    positions = asof_positions(made(LEFT), {"quote": made(RIGHT)}).positions
    assert positions["quote"].tolist() == [0, 1, 2]


def test_tables_of_several_libraries_are_joined_in_one_pass() -> None:
    joined = asof_join(LEFT.to_pandas(), {"quote": pl.from_arrow(RIGHT), "bar": RIGHT})
    assert joined["quote_bid"].to_pylist() == joined["bar_bid"].to_pylist() == [0.5, None, 1.5]


def test_an_index_with_a_name_is_a_column_and_another_is_none() -> None:
    moments = pd.to_datetime([10, 20], utc=True).rename("Time")
    left = pd.DataFrame({"sym": ["A", "A"], "px": [1.0, 2.0]}, index=moments)
    right = pd.DataFrame({"Time": moments, "sym": ["A", "A"], "bid": [0.9, 1.9]}, index=[7, 8])
    joined = asof_join(left, right, on="Time", by="sym")
    assert joined.schema.names == ["sym", "px", "Time", "right_bid", "right_Time", "right_age_ns"]
    assert joined["right_bid"].to_pylist() == [0.9, 1.9]


@pytest.mark.parametrize(
    ("index", "names"),
    [
        (pd.Index([7, 8], name="px"), ["sym", "px", "Time"]),
        (pd.MultiIndex.from_arrays([[7, 8], [1, 2]], names=[None, "place"]), ["sym", "px", "Time", "place"]),
    ],
    ids=["of a column", "some"],
)
def test_levels_of_an_index_without_a_name_of_their_own_are_left_out(
    index: pd.Index, names: list[str]
) -> None:
    left = pd.DataFrame({"sym": ["A", "A"], "px": [1.0, 2.0], "Time": [10, 20]}, index=index)
    right = pd.DataFrame({"Time": [10], "sym": ["A"]})
    joined = asof_join(left, right, on="Time", by="sym")
    assert joined.schema.names == [*names, "right_Time", "right_age_ns"]
    assert joined["px"].to_pylist() == [1.0, 2.0]


def test_a_result_goes_back_to_pandas_with_the_types_of_the_frame() -> None:
    frame = pd.DataFrame({"event_ns": [1, 2], "symbol": ["A", "A"], "size": pd.array([1, None], "Int64")})
    back = asof_join(frame, RIGHT).to_pandas()
    assert str(back["size"].dtype) == "Int64"
    assert list(back.index) == [0, 1]


def test_polars_keeps_every_nanosecond_there_and_back() -> None:
    times = pl.Series("event_ns", [2**60 + 1, 2**60 + 3]).cast(pl.Datetime("ns", "UTC"))
    frame = pl.DataFrame({"event_ns": times, "symbol": ["A", "A"]})
    joined = pl.from_arrow(asof_join(frame, frame))
    assert isinstance(joined, pl.DataFrame)
    assert joined["right_event_ns"].cast(pl.Int64).to_list() == [2**60 + 1, 2**60 + 3]


@pytest.mark.parametrize(
    "tolerance",
    ["1ns", "1", timedelta(0, 0, 0) + pd.Timedelta(1, "ns"), pd.Timedelta("1ns"), np.timedelta64(1, "ns"), 1],
)
def test_a_tolerance_is_a_duration_of_any_kind(tolerance: Any) -> None:
    assert asof_join(LEFT, RIGHT, tolerance=tolerance)["right_event_ns"].to_pylist() == [9, None, None]
    assert asof_positions(LEFT, RIGHT, tolerance=tolerance).positions["right"].tolist() == [0, -1, -1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"tolerance": "2x"},
            'tolerance is \'2x\': expected a duration such as "2s", "500ms", "250us" or',
        ),
        ({"tolerance": "2s", "tolerance_ns": 1}, "tolerance and tolerance_ns are both given: "),
        ({"tolerance": 2e9}, "tolerance is 2000000000.0: expected a duration such as "),
        (
            {"tolerance_ns": 2e9},
            "tolerance_ns is 2000000000.0, expected a whole number of nanoseconds or ",
        ),
        (
            {"on": "event_n"},
            "the left table has no column 'event_n' (did you mean event_ns?); it has",
        ),
        ({"by": "Symbol"}, "the left table has no column 'Symbol' (did you mean symbol?); it has"),
    ],
)
def test_a_mistake_says_what_was_expected(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(AsofError) as told:
        asof_join(LEFT, RIGHT, **arguments)
    assert str(told.value).startswith(message)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            pl.DataFrame({"event_ns": [1]}).lazy(),
            (
                "the left table is a polars.lazyframe.frame.LazyFrame, expected a pyarrow Table, a Polars or "
                "pandas DataFrame, or another table with __arrow_c_stream__; its .collect() may be one"
            ),
        ),
        (
            {"event_ns": [1]},
            "the left table is a builtins.dict, expected a pyarrow Table, a Polars or pandas ",
        ),
        (
            pd.DataFrame({"event_ns": [1, 2], "symbol": ["A", 7]}),
            "the left table cannot be had as an Arrow table: ",
        ),
        (
            pl.DataFrame({"event_ns": [1], "symbol": ["A"], "note": pl.Series([object()], dtype=pl.Object)}),
            "the left table cannot be had as an Arrow table: column note holds Python objects",
        ),
    ],
)
def test_what_is_no_table_is_named_with_what_would_be(table: Any, message: str) -> None:
    with pytest.raises(AsofError) as told:
        asof_join(table, RIGHT)
    assert str(told.value).startswith(message)


def test_wall_clocks_of_pandas_are_not_joined_with_moments() -> None:
    naive = pd.DataFrame({"event_ns": pd.to_datetime([1, 2]), "symbol": ["A", "A"]})
    aware = naive.assign(event_ns=naive["event_ns"].dt.tz_localize("America/New_York"))
    with pytest.raises(AsofError, match="a wall clock without a zone"):
        asof_join(aware, pl.from_pandas(naive))


def test_units_zones_and_categories_may_differ() -> None:
    stamps = pd.to_datetime([10_000, 20_000], utc=True)
    left = pd.DataFrame({"event_ns": stamps.tz_convert("Asia/Tokyo"), "symbol": pd.Categorical(["A", "B"])})
    right = pd.DataFrame({"event_ns": stamps.as_unit("us"), "symbol": ["A", "B"], "bid": [1.0, 2.0]})
    assert asof_join(left, right)["right_bid"].to_pylist() == [1.0, 2.0]
