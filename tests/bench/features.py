"""How fast the reference set of features is: 30 of them, 1,000 symbols, one core, against Polars in batch.

Ten features of the row, fourteen of windows (six over five minutes, two of these extremes) and six since the
session began.  Ours take the rows in cuts and keep what they remember between them, exactly, as a worker
does: the first pass over the rows, in which memory grows to what windows need, counts for itself, and the
others are the same rows that much later.  Polars has all rows at once, on one thread, and its sums are not
exact.  Every feature is compared with Polars' before anything is measured, and each cut of ours must give the
same bits.  Times are CPU times of the process, since others may share the machine; then comes what each
feature costs beside those that it reads.
"""

import gc
import json
import os
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa

from operators.formula.features import read_features, root_source
from operators.nodes.formula import FormulaNode
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.bench import formula
from tests.bench.asof import machine

ROUNDS: Final = 5
ROWS: Final = 300_000
QUICK_ROWS: Final = 30_000
SYMBOLS: Final = 1_000
SPAN_NS: Final = 20 * 60 * 1_000_000_000  # of the rows: four of the longest windows
START_NS: Final = 1_700_006_400_000_000_000  # midnight
CUTS: Final = (100, 1_000, 16_384)
ALONE_CUT: Final = 1_000
NEAR: Final = 1e-9  # relative, where Polars' sums are not exact

PRICE, SIZE, MID, NOTIONAL, SPREAD = (
    pl.col(name) for name in ("price", "size", "mid", "notional", "spread_bps")
)
RET, MOMENT = pl.col("ret"), pl.col("time")


def since(value: pl.Expr) -> pl.Expr:
    """An expression within each symbol."""
    return value.over("symbol")


MORE: Final[list[dict[str, tuple[str, pl.Expr]]]] = [
    {"ret": ("log_return(price)", since((PRICE / PRICE.shift(1)).log()))},
    {
        "mean_5m": ("rolling_mean(mid, '5m')", since(MID.rolling_mean_by(MOMENT, "5m"))),
        "std_5m": ("rolling_std(ret, '5m')", since(RET.rolling_std_by(MOMENT, "5m", min_samples=2))),
        "traded_5m": ("rolling_sum(notional, '5m')", since(NOTIONAL.rolling_sum_by(MOMENT, "5m"))),
        "low_5m": ("rolling_min(price, '5m')", since(PRICE.rolling_min_by(MOMENT, "5m"))),
        "high_5m": ("rolling_max(price, '5m')", since(PRICE.rolling_max_by(MOMENT, "5m"))),
        "quotes_5m": (
            "rolling_count(mid, '5m')",
            since(MID.is_not_null().cast(pl.Int64).rolling_sum_by(MOMENT, "5m")),
        ),
        "mean_20": ("rolling_mean(price, rows=20)", since(PRICE.rolling_mean(20))),
        "std_20": ("rolling_std(ret, rows=20)", since(RET.rolling_std(20))),
        "mean_100": ("rolling_mean(price, rows=100)", since(PRICE.rolling_mean(100))),
        "std_100": ("rolling_std(price, rows=100)", since(PRICE.rolling_std(100))),
        "traded_50": ("rolling_sum(notional, rows=50)", since(NOTIONAL.rolling_sum(50))),
        "spread_50": (
            "rolling_mean(spread_bps, rows=50, min_count=10)",
            since(SPREAD.rolling_mean(50, min_samples=10)),
        ),
        "z_100": (
            "rolling_zscore(price, rows=100)",
            since((PRICE - PRICE.rolling_mean(100)) / PRICE.rolling_std(100)),
        ),
        "ewma_20": ("ewma(price, span=20)", since(PRICE.ewm_mean(span=20, ignore_nulls=False))),
        "ewma_50": ("ewma(size, span=50)", since(SIZE.ewm_mean(span=50, ignore_nulls=False))),
        "ewma_ret": ("ewma(ret, span=100)", since(RET.ewm_mean(span=100, ignore_nulls=False))),
        "std_ewm": ("ewm_std(ret, span=50)", since(RET.ewm_std(span=50, ignore_nulls=False))),
        "volume": ("cumsum(size)", since(SIZE.cum_sum())),
        "turnover": ("cumsum(notional)", since(NOTIONAL.cum_sum())),
    },
]
STAGES: Final = [*formula.STAGES, *MORE]
FORMULAS: Final = {name: text for stage in STAGES for name, (text, _) in stage.items()}
assert len(FORMULAS) == 30, "the reference set has thirty features"


def run(out: Path, *, quick: bool) -> bool:
    """Measure every size of cut; write features.json and print a table.  False if a result was wrong."""
    rows, keys = market(QUICK_ROWS if quick else ROWS)
    frame = pl.DataFrame(pa.table(rows)).with_columns(time=pl.col("event_ns").cast(pl.Datetime("ns")))
    right = compared(rows, keys, frame)
    rounds = 2 if quick else ROUNDS
    theirs_ns = per_value([timed(lambda: by_polars(frame)) for _ in range(rounds + 1)], rows)
    results = [measure(rows, keys, size, rounds) for size in CUTS]
    threads = pl.thread_pool_size()
    alone = {name: alone_ns(rows, keys, name, rounds) for name in FORMULAS}
    report = {
        "machine": machine(),
        "quick": quick,
        "polars_threads": threads,
        "polars_ns": theirs_ns,
        "cuts": results,
        "alone_ns": alone,
    }
    (out / "features.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"{len(FORMULAS)} features, {SYMBOLS:,} symbols, median ns of CPU per feature and row")
    print(f"polars, all rows at once, {threads} thread(s)  {theirs_ns:8.2f}")
    for result in results:
        ratio, first = theirs_ns / result["ns"], result["first_ns"]
        print(
            f"{result['rows']:>8,} rows a cut  {result['ns']:8.2f}  ({ratio:.1f}x)  "
            f"new node {first:.2f}  load {result['load']:.1f}"
        )
    print(f"ns per row of each beside what it reads, rows in cuts of {ALONE_CUT:,}")
    for name, ns in sorted(alone.items(), key=lambda one: -one[1]):
        print(f"  {name:<12}{ns:8.1f}  {FORMULAS[name]}")
    return right


def market(count: int) -> tuple[pa.RecordBatch, RowKeys]:
    """Trades of many symbols, no two at one time, with the quote before each; and whose they are."""
    rows = formula.market(count)
    event_ns = START_NS + np.arange(count) * (SPAN_NS // count)
    place = rows.schema.get_field_index("event_ns")
    rows = rows.set_column(place, "event_ns", pa.array(event_ns))
    symbol = np.asarray(rows.column("symbol"), np.int32)
    return rows, RowKeys(symbol, event_ns, np.full(count, 0))


def make_node(layout: pa.Schema, formulas: Mapping[str, str] = FORMULAS) -> FormulaNode:
    """The node of all features, for symbols that are numbered already."""
    features, errors = read_features("tick", root_source("aligned", layout), formulas)
    assert features is not None, errors
    groups = Groups()
    names = pa.array([str(number).encode() for number in range(SYMBOLS)], pa.binary())
    groups.codes(names, np.arange(SYMBOLS, dtype=np.int32))
    return FormulaNode("tick", features, groups)


def by_polars(frame: pl.DataFrame) -> pl.DataFrame:
    """All features by Polars."""
    for stage in STAGES:
        frame = frame.with_columns(**{name: expression for name, (_, expression) in stage.items()})
    return frame


def cuts_of(rows: pa.RecordBatch, keys: RowKeys, size: int) -> list[tuple[Sealed]]:
    """The rows in cuts of `size`."""
    starts = range(0, rows.num_rows, size)
    return [(Sealed(rows.slice(at, size), 0, keys=slice_of(keys, at, size)),) for at in starts]


def slice_of(keys: RowKeys, at: int, size: int) -> RowKeys:
    """The keys of some rows."""
    rows = slice(at, at + size)
    return RowKeys(keys.group[rows], keys.time_ns[rows], keys.session[rows])


def compared(rows: pa.RecordBatch, keys: RowKeys, frame: pl.DataFrame) -> bool:
    """Whether all cuts give the same bits, and Polars the same to `NEAR`, with nulls at the same rows."""
    taken = [
        pa.Table.from_batches(
            [out for cut in cuts_of(rows, keys, size) if (out := node.take(cut).rows) is not None]
        ).combine_chunks()
        for size in CUTS
        for node in [make_node(rows.schema)]
    ]
    right = all(other.equals(taken[0]) for other in taken[1:])
    if not right:
        print("WRONG: cuts do not give the same bits")
    theirs = by_polars(frame)
    for name in FORMULAS:
        mine = taken[0][name].cast(pa.float64()).to_numpy()
        other = theirs[name].cast(pl.Float64).to_numpy()
        apart = (np.isnan(mine) != np.isnan(other)) | (
            np.abs(mine - other) > NEAR * np.maximum(np.abs(mine), 1.0)
        )
        if apart.any():
            at = int(apart.argmax())
            print(f"WRONG: {name} is not what Polars computes: {mine[at]} and {other[at]} in row {at:,}")
            right = False
    return right


def measure(rows: pa.RecordBatch, keys: RowKeys, size: int, rounds: int) -> dict[str, Any]:
    """Median time over all rows in cuts of `size`, and that of the first pass, of a node that is new."""
    node = make_node(rows.schema)
    gc.collect()
    gc.freeze()  # as a worker has it
    taken = [timed(partial(take_all, node, cuts_of(rows, one, size))) for one in passes(keys, rounds)]
    gc.unfreeze()
    first = 1e9 * taken[0] / (rows.num_rows * len(FORMULAS))
    return {"rows": size, "ns": per_value(taken, rows), "first_ns": first, "load": os.getloadavg()[0]}


def passes(keys: RowKeys, rounds: int) -> Iterator[RowKeys]:
    """The keys of a pass over the rows, and of so many more, each as much later as the rows last."""
    for number in range(rounds + 1):
        yield keys._replace(time_ns=keys.time_ns + number * SPAN_NS)


def alone_ns(rows: pa.RecordBatch, keys: RowKeys, name: str, rounds: int) -> float:
    """Median ns per row that a feature takes beside the features it reads, which may be none."""
    read = read_by(name)
    taken: dict[bool, list[float]] = {True: [], False: []}
    nodes = {
        beside: make_node(rows.schema, {one: FORMULAS[one] for one in names}) if names else None
        for beside, names in ((True, [*read, name]), (False, read))
    }
    for one in passes(keys, rounds):
        cuts = cuts_of(rows, one, ALONE_CUT)
        for beside, node in nodes.items():
            taken[beside].append(0.0 if node is None else timed(partial(take_all, node, cuts)))
    with_it, without = (statistics.median(taken[beside][1:]) for beside in (True, False))
    return float(1e9 * (with_it - without) / rows.num_rows)


def read_by(name: str) -> list[str]:
    """The features that a feature is made of, in the order of the set."""
    read: set[str] = set()
    new = {name}
    while new:
        words = {word for one in new for word in re.findall(r"[a-z_]\w*", FORMULAS[one])}
        new = words & FORMULAS.keys() - read - {name}
        read |= new
    return [one for one in FORMULAS if one in read]


def take_all(node: FormulaNode, cuts: list[tuple[Sealed]]) -> None:
    """Take cuts, and let go what comes of them."""
    for cut in cuts:
        node.take(cut)


def timed(work: Callable[[], object]) -> float:
    """How long it takes, in seconds of CPU."""
    start = time.process_time()
    work()
    return time.process_time() - start


def per_value(seconds: list[float], rows: pa.RecordBatch) -> float:
    """Median ns per feature and row, but for the first pass."""
    return float(1e9 * statistics.median(seconds[1:]) / (rows.num_rows * len(FORMULAS)))
