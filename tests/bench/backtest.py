"""How fast history goes through the join and row features, from Parquet to Parquet, against Polars.

Both read the same two files and write the same two tables: the joined rows, and the ten features of
`tests.bench.formula` beside what says which row they are of.  Every value is compared before anything is
measured.  Rates are by the CPU time of the process, of all its threads: they are those of one core, whatever
else the machine does.
"""

import json
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import tomli_w

from app.batch.run import run_batch
from app.config import load_settings
from app.day.request import ReplayRequest, run_settings
from app.wiring.open import pipeline_on
from app.wiring.pipeline import Pipeline, warm_up
from replay.market.generate import generate_day
from replay.store.days import HistoryStore
from tests.bench.asof import machine
from tests.bench.formula import FORMULAS, by_polars
from topics.avro.schema import avro_schema
from topics.memory.bus import MemoryBus
from topics.registry.open import open_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from replay.store.day import Day

DATE: Final = "2024-01-16"
ROUNDS: Final = 5
PARTITIONS: Final = 4
SYMBOLS: Final = 1_000
# Trades and quotes: as many of each other as generated days have, and as a real day of stocks has.
SCENARIOS: Final = {"1 to 6": (600_000, 3_600_000), "1 to 12": (320_000, 3_840_000)}
QUICK_SCALE: Final = 0.02
QUOTED: Final = ["known_ns", "bid_price", "bid_size", "ask_price", "ask_size", "exchange", "event_ns"]


def run(out: Path, *, quick: bool) -> bool:
    """Measure every scenario; write backtest.json and print a table.  False if a result was wrong."""
    results = []
    for name, sizes in SCENARIOS.items():
        with TemporaryDirectory(prefix="tidemark-bench-") as folder:
            scale = QUICK_SCALE if quick else 1.0
            trades, quotes = (int(rows * scale) for rows in sizes)
            days = generate_day(
                HistoryStore(Path(folder) / "store"), DATE, symbols=SYMBOLS, trades=trades, quotes=quotes
            )
            results.append(measure(name, days, Path(folder), 2 if quick else ROUNDS))
    report = {"machine": machine(), "quick": quick, "scenarios": results}
    (out / "backtest.json").write_text(json.dumps(report, indent=2) + "\n")
    print("Parquet to Parquet with ten row features, rows of both streams a second of one core's time")
    for result in results:
        ours, theirs = (result["rows_per_cpu_s"][engine] for engine in ("tidemark", "polars"))
        print(
            f"  {result['trades']:>9,} trades, {result['quotes']:>9,} quotes   {ours:>10,.0f}   "
            f"polars {theirs:>10,.0f} ({ours / theirs:.2f} of it)"
        )
    return all(result["right"] for result in results)


def pipeline_of(days: "Sequence[Day]", folder: Path) -> Pipeline:
    """The pipeline of the days, with a node of ten features."""
    node = {"from": "aligned", "features": dict(FORMULAS), "out": {"columns": list(FORMULAS)}}
    config = folder / "graph.toml"
    config.write_text(tomli_w.dumps({"graph": {"name": "bench", "tick": node}}))
    request = ReplayRequest(date=DATE, out=folder, config=config, partitions=PARTITIONS)
    asked = request.settings()
    of_run = run_settings(
        asked,
        days,
        prefix="bench",
        bootstrap="embedded",
        folder=folder,
        grace_ns=request.grace_ns_for(days, asked),
    )
    file = folder / "tidemark.toml"
    file.write_text(tomli_w.dumps(of_run))
    settings = load_settings(file)
    registry = open_registry(settings.bus.schema_registry)
    for day in days:
        registry.register(f"{settings.topic(day.stream.name)}-value", avro_schema(day.stream))
    return pipeline_on(settings, MemoryBus())


def with_polars(trade: Path, quote: Path, out: Path) -> None:
    """The same rows by Polars: the files are in the order of arrival, so both sides are sorted first."""
    trades = pl.read_parquet(trade).sort("event_ns", maintain_order=True)
    quotes = pl.read_parquet(quote).sort("event_ns", maintain_order=True)
    quotes = quotes.select(
        "symbol",
        *[pl.col(name).alias(f"quote_{name}") for name in QUOTED],
    ).with_columns(pl.col("quote_event_ns").alias("on_ns").set_sorted())
    joined = trades.join_asof(
        quotes, left_on="event_ns", right_on="on_ns", by="symbol", coalesce=True, check_sortedness=False
    ).drop("on_ns", strict=False)
    joined = joined.with_columns((pl.col("event_ns") - pl.col("quote_event_ns")).alias("quote_age_ns"))
    joined.write_parquet(out / "aligned.parquet", compression="snappy")
    features = by_polars(joined).select("symbol", "event_ns", "known_ns", *FORMULAS)
    features.write_parquet(out / "tick.parquet", compression="snappy")


def measure(name: str, days: "Sequence[Day]", folder: Path, rounds: int) -> dict[str, Any]:
    """Median CPU seconds of both engines over one pair of files, in turns, and whether they agree."""
    files = {day.stream.name: day.files[0] for day in days}
    pipeline = pipeline_of(days, folder)
    warm_up(pipeline.settings, wire=False)
    outputs = {output: folder / output for output in ("aligned", "tick")}
    polars_out = folder / "polars"
    polars_out.mkdir()
    engines: dict[str, Callable[[], object]] = {
        "tidemark": lambda: run_batch(pipeline, days, outputs, scratch=folder),
        "polars": lambda: with_polars(files["trade"], files["quote"], polars_out),
    }
    for work in engines.values():
        work()
    right = all(same(output, outputs[output], polars_out) for output in outputs)
    cpu_s: dict[str, list[float]] = {engine: [] for engine in engines}
    wall_s: dict[str, list[float]] = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine, work in engines.items():
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            work()
            cpu_s[engine].append(time.process_time() - began_cpu_s)
            wall_s[engine].append(time.perf_counter() - began_s)
    rows = sum(day.rows for day in days)
    counts = {day.stream.name: day.rows for day in days}
    return {
        "name": name,
        "trades": counts["trade"],
        "quotes": counts["quote"],
        "right": right,
        "rows_per_cpu_s": {engine: rows / statistics.median(taken) for engine, taken in cpu_s.items()},
        "wall_s": {engine: statistics.median(taken) for engine, taken in wall_s.items()},
        "polars_threads": pl.thread_pool_size(),
        "load": os.getloadavg()[0],
    }


def same(output: str, ours: Path, theirs: Path) -> bool:
    """Whether both engines have written the same values: exact ones, and features to 1e-12."""
    mine = pl.concat([pl.read_parquet(file) for file in sorted(ours.glob("*.parquet"))])
    other = pl.read_parquet(theirs / f"{output}.parquet")
    mine = mine.select(other.columns)
    order = ["symbol", "event_ns", "known_ns"]
    mine = mine.with_columns(pl.selectors.datetime().to_physical())
    mine, other = (frame.sort(order, maintain_order=True) for frame in (mine, other))
    right = mine.height == other.height
    for column in other.columns if right else []:
        if other[column].dtype.is_float():
            equal = np.allclose(mine[column], other[column], rtol=1e-12, atol=0, equal_nan=True)
        else:
            equal = not mine[column].cast(other[column].dtype).ne_missing(other[column]).any()
        if not equal:
            print(f"WRONG: {output}.{column} is not what Polars computes")
            right = False
    return right
