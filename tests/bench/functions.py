"""How fast a node calls a function of Polars: tiles of 1 s, 1,000 symbols, with and without context.

Two baselines, in the same run: Polars over the whole frame at once, and a loop of Polars over the same tiles
with the same rows before them, already cut.  What the node gives is compared with the whole frame first.
Times are CPU time of all threads; POLARS_MAX_THREADS=1 keeps Polars to the one thread that a node has.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from app.wiring.function_frames import ENGINES
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from operators.tiles.node import PlannedTiles, TileNode
from operators.tiles.settings import TileSettings, UserFunction
from schemas.clocks import NS_PER_S
from tests.bench.asof import machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

SYMBOLS: Final = 1_000
ROWS: Final = 800_000
QUICK_ROWS: Final = 120_000
BUSY, CALM = 20_000, 2_000  # rows of a tile
BATCH_ROWS: Final = 16_384
ROUNDS: Final = 5
GOAL: Final = 300_000  # rows a second


class Case(NamedTuple):
    """A function, how many rows of each symbol it needs before a tile, and how many rows a tile has."""

    name: str
    expression: pl.Expr
    context: int
    tile_rows: int = BUSY


MEAN: Final = pl.col("mid").rolling_mean(20).over("symbol")
CASES: Final = (
    Case("row", (pl.col("mid") * 2 + pl.col("size")).alias("y"), 0),
    Case("mean of 20", MEAN.alias("y"), 19),
    Case("mean of 100", pl.col("mid").rolling_mean(100).over("symbol").alias("y"), 99),
    Case("row", (pl.col("mid") * 2 + pl.col("size")).alias("y"), 0, CALM),
    Case("mean of 20", MEAN.alias("y"), 19, CALM),
)


def run(out: Path, *, quick: bool) -> bool:
    """Measure every case; write functions.json and print a table.  False if a result was wrong."""
    count, rounds = (QUICK_ROWS, 2) if quick else (ROWS, ROUNDS)
    results = [measure(case, market(count, case.tile_rows), rounds) for case in CASES]
    threads = pl.thread_pool_size()
    report = {"machine": machine(), "quick": quick, "polars_threads": threads, "cases": results}
    (out / "functions.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"{SYMBOLS:,} symbols, tiles of 1 s; rows a second of CPU, Polars on {threads} threads")
    for result in results:
        rate = result["rows_per_s"]
        words = "   ".join(f"{name} {value:>10,.0f}" for name, value in rate.items())
        reached = "" if rate["node"] >= GOAL else f"   below the goal of {GOAL:,}"
        before = f"{result['tile_rows']:>6,} rows a tile, {result['context']:>2} of a symbol before"
        print(f"{result['name']:<12} {before}   {words}{reached}")
    return all(result["equal"] for result in results)


def market(rows: int, tile_rows: int) -> pa.RecordBatch:
    """Rows of all symbols in order of time, so many a second."""
    draws = np.random.default_rng(7)
    return pa.record_batch(
        {
            "symbol": pa.array(draws.integers(0, SYMBOLS, rows), pa.int32()),
            "event_ns": pa.array(np.arange(rows, dtype=np.int64) * (NS_PER_S // tile_rows)),
            "mid": pa.array(100 + draws.normal(0, 1, rows)),
            "size": pa.array(draws.integers(1, 1_000, rows)),
        }
    )


def measure(case: Case, rows: pa.RecordBatch, rounds: int) -> dict[str, Any]:
    """Rows a second of each way, the ways in turns, and whether the node gives what the whole frame does."""
    frame = pl.DataFrame(pa.table(rows))
    tiles = _tiles(case, frame)
    made = np.concatenate(
        [one.rows.column("y").to_numpy(zero_copy_only=False) for one in _node(case, rows) if one.rows]
    )
    equal = np.allclose(made, frame.select(case.expression)["y"].to_numpy(), rtol=1e-9, equal_nan=True)
    if not equal:
        print(f"WRONG: {case.name} is not what Polars computes")
    ways: dict[str, Callable[[], object]] = {
        "node": lambda: list(_node(case, rows)),
        "tiles": lambda: [tile.select(case.expression)[before:] for tile, before in tiles],
        "whole": lambda: frame.select(case.expression),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.process_time()
            way()
            if number:  # the first pass finds cold memory
                seconds[name].append(time.process_time() - start)
    rates = {name: rows.num_rows / statistics.median(taken) for name, taken in seconds.items()}
    return {
        "name": case.name,
        "context": case.context,
        "tile_rows": case.tile_rows,
        "rows_per_s": rates,
        "equal": bool(equal),
        "load": os.getloadavg()[0],
    }


def _node(case: Case, rows: pa.RecordBatch) -> "Iterable[Sealed]":
    """What a node gives for all rows, in batches."""
    engine = ENGINES["polars"]

    def call(tile: pa.RecordBatch) -> "Mapping[str, pa.Array]":
        given = engine.give(tile)
        return engine.take(given.select(case.expression), tile.num_rows, ["y"])

    function = UserFunction(call, "0" * 16, "polars", "bench.py:1")
    settings = TileSettings(
        text="bench.py:f", returns={"y": "float64"}, tile_ns=NS_PER_S, rows=case.context, function=function
    )
    layout = rows.schema.append(pa.field("y", pa.float64()))
    planned = PlannedTiles(settings, function, rows.schema, layout, tuple(rows.schema.names))
    groups = Groups()
    node = TileNode("smooth", "0" * 16, planned, groups)
    keys = pa.array([str(number).encode() for number in range(SYMBOLS)], pa.binary())
    group = groups.codes(keys, rows.column("symbol").to_numpy())
    times_ns = rows.column("event_ns").to_numpy()
    for lower in range(0, rows.num_rows, BATCH_ROWS):
        upper = min(lower + BATCH_ROWS, rows.num_rows)
        of_batch = RowKeys(group[lower:upper], times_ns[lower:upper])
        last_ns = int(times_ns[upper - 1]) + NS_PER_S * (upper == rows.num_rows)
        yield node.take((Sealed(rows.slice(lower, upper - lower), last_ns, keys=of_batch),))


def _tiles(case: Case, frame: pl.DataFrame) -> list[tuple[pl.DataFrame, int]]:
    """Each tile with the rows before it, and how many those are."""
    tiles = []
    for lower in range(0, frame.height, case.tile_rows):
        before = frame[:lower].group_by("symbol", maintain_order=True).tail(case.context)
        before = before.select(frame.columns).sort("event_ns", maintain_order=True)
        tiles.append((pl.concat([before, frame[lower : lower + case.tile_rows]]), before.height))
    return tiles
