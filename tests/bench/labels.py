"""How fast labels are: nanoseconds of CPU a bar, 1,000 symbols, against a pandas loop or Polars.

Ours takes bars in cuts of 16,384 and keeps those that wait between them; what is measured is the whole node,
from a batch of bars to a batch of bars with labels.  Polars has all bars at once, which it can only where the
end of a label needs no search; of the others a loop in the manner of mlfinlab takes the first bars
(`tests.bench.labels_loops`).  All labels of ours are compared with theirs before anything is measured.  Times
are those of the processor, of all threads, so other work on the machine counts less; POLARS_MAX_THREADS=1
keeps Polars to one thread.
"""

import gc
import json
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from operators.labels.node import LabelNode
from operators.labels.settings import FixedHorizon, Label, TrendScan, TripleBarrier
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.bench import labels_loops as loops
from tests.bench.asof import machine

ROUNDS: Final = 5
BARS: Final = 1_000_000
QUICK_BARS: Final = 100_000
LOOP_BARS: Final = 40_000  # that a loop takes
SYMBOLS: Final = 1_000
CUT_ROWS: Final = 16_384
START_NS: Final = 1_700_006_400_000_000_000  # midnight
SPAN_NS: Final = 20 * 3600 * 1_000_000_000  # of the bars: all in one session
HORIZON: Final = 30  # bars
MULTIPLE: Final = 2.0
SHORTEST, LONGEST = 5, 20
GOAL_NS: Final = 200.0  # of a triple barrier
COMMON: Final[dict[str, Any]] = {"price": "close", "max_ns": SPAN_NS, "across_sessions": True}


class Kind(NamedTuple):
    """A label, how others make it, which of their columns are compared, and whether they take all bars."""

    label: Label
    others: str
    make: Callable[[pl.DataFrame], pl.DataFrame]
    columns: tuple[str, ...]
    of_all: bool = False


def _by_loop(make: Callable[..., Any], *settings: float) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda bars: pl.from_pandas(make(bars.to_pandas(), *settings))


KINDS: Final = {
    "triple barrier": Kind(
        TripleBarrier(sigma="sigma", up=MULTIPLE, down=MULTIPLE, horizon_rows=HORIZON, **COMMON),
        "pandas loop",
        _by_loop(loops.triple_barrier, MULTIPLE, HORIZON),
        ("label", "ret", "barrier", "label_end_ns"),
    ),
    "fixed horizon": Kind(
        FixedHorizon(horizon_rows=HORIZON, **COMMON),
        "polars",
        lambda bars: loops.fixed_horizon(bars, HORIZON),
        ("label", "label_end_ns"),
        of_all=True,
    ),
    "trend scan": Kind(
        TrendScan(shortest=SHORTEST, longest=LONGEST, **COMMON),
        "pandas loop",
        _by_loop(loops.trend_scan, SHORTEST, LONGEST),
        ("label", "t_value", "label_end_ns"),
    ),
}


def run(out: Path, *, quick: bool) -> bool:
    """Measure every kind; write labels.json and print a table.  False if a label was wrong."""
    rounds = 2 if quick else ROUNDS
    bars = market(QUICK_BARS if quick else BARS)
    print(f"{bars.rows.num_rows:,} bars, {SYMBOLS:,} symbols, median ns of CPU a bar")
    results, right = [], True
    for name, kind in KINDS.items():
        few = bars if kind.of_all else bars.first(LOOP_BARS)
        frame = few.frame()
        began_s = time.process_time()
        theirs = kind.make(frame)
        first_s = time.process_time() - began_s
        right &= is_equal(name, kind, few, theirs)
        ours_ns = measure(kind.label, bars, rounds)
        more_s = [cpu_s(partial(kind.make, frame)) for _ in range(rounds if kind.of_all else 0)]
        theirs_ns = median_ns([first_s, *(more_s or [first_s])], few)
        load = os.getloadavg()[0]
        results.append({"label": name, "ours_ns": ours_ns, kind.others: theirs_ns, "load": load})
        ratio = f"{theirs_ns / ours_ns:.1f}x"
        goal = f", goal {GOAL_NS:.0f}" if isinstance(kind.label, TripleBarrier) else ""
        print(
            f"{name:<16} {ours_ns:8.1f} {theirs_ns:12.1f} {kind.others}, {ratio}, load {load:.1f}{goal}",
            flush=True,
        )
    report = {
        "machine": machine(),
        "quick": quick,
        "bars": bars.rows.num_rows,
        "cut_rows": CUT_ROWS,
        "clock": "time.process_time",
        "polars_threads": pl.thread_pool_size(),
        "labels": results,
    }
    (out / "labels.json").write_text(json.dumps(report, indent=2) + "\n")
    return right


class Market(NamedTuple):
    """Bars, and whose they are."""

    rows: pa.RecordBatch
    keys: RowKeys

    def first(self, count: int) -> "Market":
        """The first bars."""
        keys = RowKeys(self.keys.group[:count], self.keys.time_ns[:count], self.keys.session[:count])
        return Market(self.rows.slice(0, count), keys)

    def frame(self) -> pl.DataFrame:
        """The bars as others take them."""
        return pl.DataFrame(pa.table(self.rows))

    def cuts(self) -> list[tuple[Sealed]]:
        """The bars in cuts, each complete up to its last one."""
        group, time_ns, session = self.keys.group, self.keys.time_ns, self.keys.session
        parts = [slice(at, at + CUT_ROWS) for at in range(0, self.rows.num_rows, CUT_ROWS)]
        return [
            (
                Sealed(
                    self.rows.slice(part.start, CUT_ROWS),
                    int(time_ns[part][-1]),
                    keys=RowKeys(group[part], time_ns[part], session[part]),
                ),
            )
            for part in parts
        ]


def market(count: int) -> Market:
    """Bars of many symbols, no two at one time: closes walk, and nine events in ten reach a barrier."""
    random = np.random.default_rng(11)
    symbol = random.integers(0, SYMBOLS, count).astype(np.int32)
    order = np.argsort(symbol, kind="stable")
    close = np.empty(count)
    close[order] = 100.0 * np.exp(np.cumsum(random.normal(0.0, 1e-3, count)) % 1.0)
    event_ns = START_NS + np.arange(count) * (SPAN_NS // count)
    rows = pa.record_batch(
        {
            "symbol": pa.array(symbol),
            "event_ns": pa.array(event_ns),
            "close": pa.array(close),
            "sigma": pa.array(random.uniform(1e-3, 2e-3, count)),
        }
    )
    return Market(rows, RowKeys(symbol, event_ns, np.full(count, START_NS)))


def labels(label: Label, bars: Market) -> pa.Table:
    """The bars with their labels, of a new node."""
    node = make_node(label, bars)
    return pa.Table.from_batches(given(node, bars.cuts()), node.layout)


def make_node(label: Label, bars: Market) -> LabelNode:
    """A node for symbols that are numbered already."""
    groups = Groups()
    names = pa.array([str(number).encode() for number in range(SYMBOLS)], pa.binary())
    groups.codes(names, np.arange(SYMBOLS, dtype=np.int32))
    return LabelNode("outcome", "0" * 16, bars.rows.schema, label, groups)


def given(node: LabelNode, cuts: list[tuple[Sealed]]) -> Iterator[pa.RecordBatch]:
    """What a node gives for these cuts, and once all bars are over."""
    for cut in [*cuts, (Sealed(None, START_NS + 3 * SPAN_NS),)]:
        rows = node.take(cut).rows
        if rows is not None:
            yield rows


def measure(label: Label, bars: Market, rounds: int) -> float:
    """Median ns a bar of a new node over all cuts, whose batches are let go one by one."""
    cuts = bars.cuts()
    gc.collect()
    gc.freeze()  # as a worker has it
    taken = []
    for _ in range(rounds + 1):
        batches = given(make_node(label, bars), cuts)
        taken.append(cpu_s(partial(deque, batches, 0)))
    gc.unfreeze()
    return median_ns(taken, bars)


def is_equal(name: str, kind: Kind, bars: Market, theirs: pl.DataFrame) -> bool:
    """Whether our labels are those of the others: floats to 1e-9, all else alike."""
    ours = pl.DataFrame(labels(kind.label, bars)).filter(pl.col("label_reason").is_null())
    keys = ["symbol", "event_ns"]
    both = ours.select(*keys, *kind.columns).join(
        theirs.select(pl.col("symbol").cast(pl.Int32), "event_ns", *kind.columns), on=keys, suffix="_other"
    )
    wrong = pl.lit(value=False)
    for column in kind.columns:
        one, other = pl.col(column), pl.col(f"{column}_other")
        if ours.schema[column].is_float():
            wrong |= (one - other).abs() > 1e-9 * one.abs().clip(1.0)
        else:
            wrong |= one.ne_missing(other)
    if ours.height == theirs.height == both.height > 0 and not both.select(wrong.any()).item():
        return True
    print(f"WRONG: labels of {name} are not those of the others: {ours.height:,} and {theirs.height:,}")
    return False


def cpu_s(work: Callable[[], object]) -> float:
    """The processor's time of it, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def median_ns(seconds: list[float], bars: Market) -> float:
    """Median ns a bar; the first pass, which finds cold memory, is left out; a loop has one pass alone."""
    return float(1e9 * statistics.median(seconds[1:]) / bars.rows.num_rows)
