"""How fast bars are: nanoseconds of CPU a trade for each kind, 1,000 symbols, against Polars or a loop.

Ours takes trades in cuts of 16,384 and keeps open bars between them; what is measured is the whole node, from
a batch of trades to a batch of bars.  Polars has all trades at once (`tests.bench.bars_loops`), which it can
only of bars whose end needs no state; of the others a loop in the manner of mlfinlab takes the first trades.
All bars of ours are compared with theirs before anything is measured.  Times are those of the processor, of
all threads, so other work on the machine counts little; POLARS_MAX_THREADS=1 keeps Polars to one thread.
"""

import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from operators.bars.node import BarsNode
from operators.bars.settings import BarSettings, Expected
from operators.graph.declare import GraphSettings, NodeSettings
from operators.graph.plan import plan_graph
from operators.rows.groups import Groups
from operators.sealed import RowKeys, Sealed
from tests.bench import bars_loops as loops
from tests.bench.asof import machine

ROUNDS: Final = 5
ROWS: Final = 1_000_000
QUICK_ROWS: Final = 100_000
LOOP_ROWS: Final = 100_000  # that a loop takes
SYMBOLS: Final = 1_000
CUT_ROWS: Final = 16_384
START_NS: Final = 1_700_006_400_000_000_000  # midnight
SPAN_NS: Final = 20 * 60 * 1_000_000_000  # of the trades: all in one session
STEP_NS: Final = 60 * 1_000_000_000
GOAL_NS: Final = 30.0
TRADES: Final = 50
VOLUME: Final = 5_000
DOLLARS: Final = 50_000_000  # ticks times lots

EVENT, PRICE, SIZE = pl.col("event_ns"), pl.col("price"), pl.col("size")
LAST_NS: Final = EVENT.last()


class Kind(NamedTuple):
    """A kind of bars, and how others make it: Polars by the number of a trade's bar, or a loop.

    `open_ends` says that Polars has bars, too, which are not at their end: the last one of each symbol.
    """

    settings: BarSettings
    number: pl.Expr | None = None
    end_ns: pl.Expr = LAST_NS
    loop: loops.Closes | None = None
    limit: float = 0


def passed(amount: pl.Expr, limit: int) -> pl.Expr:
    """How often a sum that runs on has passed a multiple before a trade."""
    return (amount.cum_sum() - amount) // limit


def settings(every: Any, limit: float = 0, **more: Any) -> BarSettings:
    """Those of a node that knows the sides of trades."""
    return BarSettings(every=every, limit=str(limit), **{"direction": "d", **more})


EXPECTED: Final = Expected(
    measure="volume", exp_ticks_init=int(loops.FIRST), span_b=1_000.0, theta_min=loops.LEAST
)
KINDS: Final = {
    "time, 1 min": Kind(
        settings("time", step_ns=STEP_NS), EVENT // STEP_NS, (EVENT.last() // STEP_NS + 1) * STEP_NS
    ),
    "trades": Kind(settings("trades", TRADES), (pl.int_range(pl.len()) // TRADES)),
    "volume, carry": Kind(settings("volume", VOLUME, remainder="carry"), passed(SIZE, VOLUME)),
    "dollars, carry": Kind(settings("dollars", DOLLARS, remainder="carry"), passed(PRICE * SIZE, DOLLARS)),
    "volume": Kind(settings("volume", VOLUME), loop=loops.of_volume, limit=VOLUME),
    "dollars": Kind(settings("dollars", DOLLARS), loop=loops.of_dollars, limit=DOLLARS),
    "range": Kind(settings("range", 12), loop=loops.of_range, limit=12),
    "volatility": Kind(settings("volatility", 2e-6), loop=loops.of_volatility, limit=2e-6),
    "cusum": Kind(settings("cusum", 8), loop=loops.of_cusum, limit=8),
    "imbalance": Kind(settings("imbalance", expected=EXPECTED, direction=""), loop=loops.of_imbalance),
    "runs": Kind(settings("runs", expected=EXPECTED, direction=""), loop=loops.of_runs),
    "renko": Kind(settings("renko", 4), limit=4),
}


def run(out: Path, *, quick: bool) -> bool:
    """Measure every kind; write bars.json and print a table.  False if a bar was wrong."""
    rounds = 2 if quick else ROUNDS
    results = []
    right = True
    count = QUICK_ROWS if quick else ROWS
    whole = market(count, np.int64)
    markets = {"whole": whole, "floats": market(count, np.float64)}
    print(f"{count:,} trades, {SYMBOLS:,} symbols, median ns of CPU a trade (goal {GOAL_NS:.0f})")
    print(f"{'bars':<16} {'a bar':>6} {'whole':>8} {'floats':>8} {'others':>10}")
    for name, kind in KINDS.items():
        right &= is_equal(name, kind, whole)
        ns = {of: measure(kind, rows, rounds) for of, rows in markets.items()}
        others, theirs_ns = measure_others(name, kind, whole, rounds)
        own = {"bars": name, "trades_a_bar": length(kind, whole), **ns}
        results.append({**own, others: theirs_ns, "load": os.getloadavg()[0]})
        figures = f"{own['trades_a_bar']:6.1f} {ns['whole']:8.1f} {ns['floats']:8.1f} {theirs_ns:10.1f}"
        print(f"{name:<16} {figures} {others}, {theirs_ns / ns['whole']:.1f}x", flush=True)
    report = {
        "machine": machine(),
        "quick": quick,
        "rows": count,
        "cut_rows": CUT_ROWS,
        "clock": "time.process_time",
        "polars_threads": pl.thread_pool_size(),
        "kinds": results,
    }
    (out / "bars.json").write_text(json.dumps(report, indent=2) + "\n")
    return right


class Market(NamedTuple):
    """Trades, and whose they are."""

    rows: pa.RecordBatch
    keys: RowKeys

    def first(self, count: int) -> "Market":
        """The first trades."""
        keys = RowKeys(self.keys.group[:count], self.keys.time_ns[:count], self.keys.session[:count])
        return Market(self.rows.slice(0, count), keys)

    def cuts(self) -> list[tuple[Sealed]]:
        """The trades in cuts, each complete up to its last one."""
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


def market(count: int, numbers: type[np.number[Any]]) -> Market:
    """Trades of many symbols, no two at one time: prices walk by ticks from 10,000."""
    random = np.random.default_rng(11)
    symbol = random.integers(0, SYMBOLS, count).astype(np.int32)
    steps = random.integers(-2, 3, count)
    order = np.argsort(symbol, kind="stable")
    walk = np.empty(count, np.int64)
    walk[order] = np.cumsum(steps[order])
    first = np.r_[True, np.diff(symbol[order]) != 0]
    starts = np.maximum.accumulate(np.where(first, np.arange(count), 0))
    price = np.empty(count, np.int64)
    price[order] = 10_000 + walk[order] - walk[order][starts]
    event_ns = START_NS + np.arange(count) * (SPAN_NS // count)
    rows = pa.record_batch(
        {
            "symbol": pa.array(symbol),
            "event_ns": pa.array(event_ns),
            "price": pa.array(price.astype(numbers)),
            "size": pa.array(random.integers(1, 200, count).astype(numbers)),
            "d": pa.array(random.integers(-1, 2, count).astype(np.int8)),
            "left_offset": pa.array(np.arange(count)),
            "left_index": pa.array(np.zeros(count, np.int32)),
        }
    )
    return Market(rows, RowKeys(symbol, event_ns, np.full(count, START_NS)))


def make_node(kind: Kind, layout: pa.Schema) -> BarsNode:
    """The node of these bars, for symbols that are numbered already."""
    node = NodeSettings(name="bars", upstream="aligned", features={}, bars=kind.settings)
    layout = pa.schema([field.with_nullable(field.name in ("price", "size", "d")) for field in layout])
    (planned,) = plan_graph(GraphSettings(name="g", nodes=(node,)), layout, meaning="0").nodes
    assert planned.bars is not None
    groups = Groups()
    names = pa.array([str(number).encode() for number in range(SYMBOLS)], pa.binary())
    groups.codes(names, np.arange(SYMBOLS, dtype=np.int32))
    return BarsNode("bars", planned.meaning, planned.bars, groups)


def take_all(node: BarsNode, cuts: list[tuple[Sealed]]) -> list[pa.RecordBatch]:
    """The bars of all cuts."""
    return [rows for cut in cuts if (rows := node.take(cut).rows) is not None]


def measure(kind: Kind, trades: Market, rounds: int) -> float:
    """Median ns a trade of a new node over all cuts."""
    cuts = trades.cuts()
    gc.collect()
    gc.freeze()  # as a worker has it
    taken = [cpu_s(partial(take_all, make_node(kind, trades.rows.schema), cuts)) for _ in range(rounds + 1)]
    gc.unfreeze()
    return per_trade(taken, trades)


def length(kind: Kind, trades: Market) -> float:
    """How many trades a bar has."""
    made = take_all(make_node(kind, trades.rows.schema), trades.cuts())
    bars = sum(rows.num_rows for rows in made)
    return float(trades.rows.num_rows / max(1, bars))


def measure_others(name: str, kind: Kind, trades: Market, rounds: int) -> tuple[str, float]:
    """Who else makes these bars, and the median ns a trade."""
    if kind.number is not None:
        frame = pl.DataFrame(pa.table(trades.rows))
        number, end_ns = kind.number, kind.end_ns
        seconds = [cpu_s(lambda: loops.by_groups(frame, number, end_ns)) for _ in range(rounds + 1)]
        return "polars", per_trade(seconds, trades)
    few = trades.first(LOOP_ROWS)
    frame_pd = pl.DataFrame(pa.table(few.rows)).to_pandas()
    seconds = [cpu_s(lambda: looped(kind, frame_pd)) for _ in range(2)]
    return "loop", per_trade(seconds, few)


def looped(kind: Kind, trades: Any) -> list[Any]:
    """The bars of a loop."""
    if kind.loop is None:
        return loops.bricks(kind.limit, trades)
    return loops.by_loop(kind.loop, kind.limit, trades)


def is_equal(name: str, kind: Kind, trades: Market) -> bool:
    """Whether our bars are those of the others."""
    if kind.number is None:
        trades = trades.first(LOOP_ROWS)
    node = make_node(kind, trades.rows.schema)
    ours = pl.DataFrame(pa.Table.from_batches(take_all(node, trades.cuts()), node.layout))
    frame = pl.DataFrame(pa.table(trades.rows))
    if kind.number is not None:
        columns = [*loops.COLUMNS, "notional", "buy_volume", "sell_volume"]
        theirs = loops.by_groups(frame, kind.number, kind.end_ns)
    else:
        columns = list(loops.COLUMNS) if kind.loop is not None else ["symbol", "end_ns", "open", "close"]
        theirs = pl.DataFrame(looped(kind, frame.to_pandas()), schema=columns, orient="row")
    order = ["symbol", "end_ns", *(["bar_no"] if kind.loop is None and kind.number is None else [])]
    ours = ours.sort(order, maintain_order=True).select(columns).cast(pl.Int64)
    theirs = theirs.select(columns).cast(pl.Int64).sort("symbol", "end_ns", maintain_order=True)
    if kind.number is not None:  # Polars has the open bar of each symbol, too: it is the last one
        ended = ours.group_by("symbol").agg(last_ns=pl.col("end_ns").max())
        theirs = theirs.join(ended, on="symbol").filter(pl.col("end_ns") <= pl.col("last_ns")).select(columns)
    if ours.height and ours.equals(theirs):
        return True
    print(f"WRONG: bars of {name} are not those of the others: {ours.height:,} and {theirs.height:,}")
    return False


def cpu_s(work: Callable[[], object]) -> float:
    """The processor's time of it, in seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def per_trade(seconds: list[float], trades: Market) -> float:
    """Median ns a trade; the first pass, which finds cold memory, is left out."""
    return float(1e9 * statistics.median(seconds[1:]) / trades.rows.num_rows)
