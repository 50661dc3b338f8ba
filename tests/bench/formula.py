"""How fast row formulas are: nodes alone, ten features, against Polars' expressions over the same batches.

Both start from columns in memory and end with the columns of all features; Polars' are not brought back to
Arrow.  Every feature of ours is compared with Polars' before anything is measured.  POLARS_MAX_THREADS=1
keeps Polars to the one thread that a node has.
"""

import json
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.sealed import Sealed
from tests.bench.asof import machine

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS: Final = 9
ROWS: Final = 1_000_000
QUICK_ROWS: Final = 50_000
BATCHES: Final = (50, 100, 1_000, 16_384)
NULL_SHARE: Final = 0.02  # of quotes: trades before the first one

MID = pl.col("mid")
BID, ASK, PRICE, SIZE = (pl.col(name) for name in ("quote_bid_price", "quote_ask_price", "price", "size"))
BID_SIZE, ASK_SIZE = pl.col("quote_bid_size"), pl.col("quote_ask_size")

WEIGHTED: Final = (
    "(quote_bid_price * quote_ask_size + quote_ask_price * quote_bid_size)"
    " / (quote_bid_size + quote_ask_size)"
)

# What reads a feature comes in a later stage: Polars' expressions do not see those beside them.
STAGES: Final[list[dict[str, tuple[str, pl.Expr]]]] = [
    {"mid": ("(quote_bid_price + quote_ask_price) / 2", (BID + ASK) / 2)},
    {
        "spread_bps": ("1e4 * (quote_ask_price - quote_bid_price) / mid", 1e4 * (ASK - BID) / MID),
        "side": ("sign(price - mid)", (PRICE - MID).sign()),
        "away": ("abs(price - mid)", (PRICE - MID).abs()),
        "log_away": ("log(price / mid)", (PRICE / MID).log()),
        "imbalance": (
            "(quote_bid_size - quote_ask_size) / (quote_bid_size + quote_ask_size)",
            (BID_SIZE - ASK_SIZE) / (BID_SIZE + ASK_SIZE),
        ),
        "weighted": (
            WEIGHTED,
            (BID * ASK_SIZE + ASK * BID_SIZE) / (BID_SIZE + ASK_SIZE),
        ),
        "notional": ("price * size", PRICE * SIZE),
    },
    {
        "flow": ("side * size", pl.col("side") * SIZE),
        "touched": (
            "where(side > 0, quote_ask_price, quote_bid_price)",
            pl.when(pl.col("side") > 0).then(ASK).when(pl.col("side") <= 0).then(BID),
        ),
    },
]
FORMULAS: Final = {name: formula for stage in STAGES for name, (formula, _) in stage.items()}


def run(out: Path, *, quick: bool) -> bool:
    """Measure every size of batch; write formula.json and print a table.  False if a result was wrong."""
    rows = market(QUICK_ROWS if quick else ROWS)
    right = compared(rows)
    results = [measure(rows, size, 3 if quick else ROUNDS) for size in BATCHES]
    threads = pl.thread_pool_size()
    report = {"machine": machine(), "quick": quick, "polars_threads": threads, "batches": results}
    (out / "formula.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"{len(FORMULAS)} row features, median ns per feature and row; Polars on {threads} threads")
    for result in results:
        ours, theirs = result["ns"]["tidemark"], result["ns"]["polars"]
        words = f"{result['rows']:>8,} rows a batch  {ours:8.2f}  polars {theirs:8.2f} ({theirs / ours:.1f}x)"
        print(f"{words}   {result['us']['tidemark']:.0f} us a batch")
    return right


def market(rows: int) -> pa.RecordBatch:
    """Trades with the quote before each; some have none yet."""
    random = np.random.default_rng(7)
    mid = 100 + np.round(random.normal(0, 0.01, rows).cumsum(), 2)
    absent = random.random(rows) < NULL_SHARE
    return pa.record_batch(
        {
            "symbol": pa.array(random.integers(0, 1_000, rows), pa.int32()),
            "event_ns": pa.array(np.arange(rows) * 1_000),
            "price": pa.array(mid + 0.01 * random.integers(-2, 3, rows)),
            "size": pa.array(random.integers(1, 1_000, rows)),
            "quote_bid_price": pa.array(mid - 0.01, mask=absent),
            "quote_ask_price": pa.array(mid + 0.02, mask=absent),
            "quote_bid_size": pa.array(random.integers(1, 100, rows), mask=absent),
            "quote_ask_size": pa.array(random.integers(1, 100, rows), mask=absent),
        }
    )


def make_node(layout: pa.Schema) -> FormulaNode:
    """The node of all features."""
    features, errors = read_features("tick", root_source("aligned", layout), FORMULAS)
    assert features is not None, errors
    return FormulaNode("tick", features)


def by_polars(frame: pl.DataFrame) -> pl.DataFrame:
    """All features by Polars."""
    for stage in STAGES:
        frame = frame.with_columns(**{name: expression for name, (_, expression) in stage.items()})
    return frame


def compared(rows: pa.RecordBatch) -> bool:
    """Whether both engines compute the same: nulls where the other has them, values to 1e-12."""
    ours = make_node(rows.schema).take((Sealed(rows, 0),)).rows
    assert ours is not None
    theirs = by_polars(pl.DataFrame(pa.table(rows)))
    right = True
    for name in FORMULAS:
        mine = ours[name].cast(pa.float64()).to_numpy(zero_copy_only=False)
        other = theirs[name].cast(pl.Float64).to_numpy()
        if not np.allclose(mine, other, rtol=1e-12, atol=0, equal_nan=True):
            print(f"WRONG: {name} is not what Polars computes")
            right = False
    return right


def measure(rows: pa.RecordBatch, size: int, rounds: int) -> dict[str, Any]:
    """Median time of one pass over all rows in batches of `size`, the engines in turns."""
    node = make_node(rows.schema)
    count = rows.num_rows // size
    batches = [rows.slice(number * size, size) for number in range(count)]
    sealed = [(Sealed(batch, 0),) for batch in batches]
    frames = [pl.DataFrame(pa.table(batch)) for batch in batches]
    engines: dict[str, Callable[[], None]] = {
        "tidemark": lambda: [node.take(upstream) for upstream in sealed].clear(),
        "polars": lambda: [by_polars(frame) for frame in frames].clear(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds + 1):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine()
            if number > 0:  # the first pass finds cold memory
                seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    return {
        "rows": size,
        "ns": {name: 1e9 * taken / (count * size * len(FORMULAS)) for name, taken in medians.items()},
        "us": {name: 1e6 * taken / count for name, taken in medians.items()},
        "load": os.getloadavg()[0],
    }
