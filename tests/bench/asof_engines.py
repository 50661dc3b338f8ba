"""The engines that the as-of bench compares, each as its own users would call it.

What an engine has to convert before it can join (a polars frame, a pandas frame) is done once, outside the
measurement; what it returns is taken as it is, but as Arrow where that is what the engine is asked for.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa

from operators.asof import asof_join
from tests.bench.asof_scenarios import Scenario

Rights = dict[str, pa.Table]


@dataclass(frozen=True)
class Engine:
    """`prepare` returns the join as a call, or None where there is none; `read` gives its bids and asks."""

    name: str
    prepare: Callable[[Scenario, pa.Table, Rights], Callable[[], Any] | None]
    read: Callable[[Any], pa.Table]


def tidemark(scenario: Scenario, left: pa.Table, rights: Rights) -> Callable[[], Any]:
    """This project: all right tables in one call."""
    by = None if scenario.keys == "none" else "symbol"
    settings: dict[str, Any] = scenario.settings
    return lambda: asof_join(left, rights, by=by, **settings)


def polars(scenario: Scenario, left: pa.Table, rights: Rights) -> Callable[[], Any]:
    """Polars: one join after another, each right table with its own column names."""
    by = None if scenario.keys == "none" else "symbol"
    strategy: Any = scenario.settings.get("direction", "backward")
    tolerance: Any = scenario.settings.get("tolerance_ns")
    frame = arrow_to_polars(left)
    others = [arrow_to_polars(renamed(stream, right)) for stream, right in rights.items()]

    def join() -> pa.Table:
        joined = frame
        for other in others:
            joined = joined.join_asof(
                other, on="event_ns", by=by, strategy=strategy, tolerance=tolerance, check_sortedness=False
            )
        return joined.to_arrow()

    return join


def pandas(scenario: Scenario, left: pa.Table, rights: Rights) -> Callable[[], Any]:
    """pandas.merge_asof, one join after another."""
    by = None if scenario.keys == "none" else "symbol"
    frame = left.to_pandas()
    others = [renamed(stream, right).to_pandas() for stream, right in rights.items()]
    direction: Any = scenario.settings.get("direction", "backward")
    tolerance: Any = scenario.settings.get("tolerance_ns")

    def join() -> pd.DataFrame:
        joined = frame
        for other in others:
            joined = pd.merge_asof(
                joined, other, on="event_ns", by=by, direction=direction, tolerance=tolerance
            )
        return joined

    return join


def duck(scenario: Scenario, left: pa.Table, rights: Rights) -> Callable[[], Any] | None:
    """DuckDB's ASOF JOIN; it has no nearest, and a tolerance is not one of its conditions."""
    direction = scenario.settings.get("direction", "backward")
    if direction == "nearest" or "tolerance_ns" in scenario.settings:
        return None
    connection = duckdb.connect()
    connection.register("l", left)
    compare = ">=" if direction == "backward" else "<="
    columns, joins = ["l.*"], ""
    for stream, right in rights.items():
        connection.register(stream, right)
        columns += [f"{stream}.bid AS {stream}_bid", f"{stream}.ask AS {stream}_ask"]
        columns += [f"{stream}.event_ns AS {stream}_event_ns"]
        equal = "" if scenario.keys == "none" else f"l.symbol = {stream}.symbol AND "
        joins += f" ASOF LEFT JOIN {stream} ON {equal}l.event_ns {compare} {stream}.event_ns"
    query = f"SELECT {', '.join(columns)} FROM l{joins}"  # noqa: S608  (the names are our own)
    return lambda: connection.sql(query).to_arrow_table()


def flowstate(scenario: Scenario, left: pa.Table, rights: Rights) -> Callable[[], Any] | None:
    """FlowState's kernel, where its package is installed: backward in groups, one right table."""
    try:
        alignment = importlib.import_module("flowstate.prism.alignment")
    except ImportError:
        return None
    if scenario.keys == "none" or "direction" in scenario.settings or len(rights) > 1:
        return None
    kind = pa.timestamp("ns", tz="UTC")
    sides = [
        table.set_column(0, "timestamp", table["event_ns"].cast(kind)) for table in (left, *rights.values())
    ]
    tolerance = scenario.settings.get("tolerance_ns", 2**62)
    config = alignment.AsOfConfig(tolerance_ns=tolerance)
    return lambda: alignment.as_of_join(*sides, config=config)[0]


def renamed(stream: str, right: pa.Table) -> pa.Table:
    """Return a right table whose values are named as in our output."""
    keep = ("event_ns", "symbol")
    return right.rename_columns([name if name in keep else f"{stream}_{name}" for name in right.column_names])


def arrow_to_polars(table: pa.Table) -> pl.DataFrame:
    """Return a polars frame, dictionary keys as its own categories."""
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def values(table: pa.Table) -> pa.Table:
    """Return the matched bids and asks, in the order of the left times, which are distinct."""
    if "timestamp" in table.column_names:
        table = table.rename_columns(
            [
                {"timestamp": "event_ns", "bid": "s0_bid", "ask": "s0_ask"}.get(n, n)
                for n in table.column_names
            ]
        )
    names = sorted(name for name in table.column_names if name.endswith(("_bid", "_ask")))
    return table.sort_by("event_ns").select(names)


def values_of_frame(frame: pd.DataFrame) -> pa.Table:
    """Return the same of a pandas frame, whose missing values are NaN."""
    return values(pa.Table.from_pandas(frame, preserve_index=False))


ENGINES = (
    Engine("tidemark", tidemark, values),
    Engine("polars", polars, values),
    Engine("duckdb", duck, values),
    Engine("pandas", pandas, values_of_frame),
    Engine("flowstate", flowstate, values),
)
