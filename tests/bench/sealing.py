"""How fast the sealing core is on one core: decoded columns in, sealed record batches out, nothing else.

Batches of 1,000 rows, as a message of many rows gives them, pushed and sealed as a worker does.  Beside it
one batch join of the same rows by Polars and by `asof_join`, which know all rows at once.
"""

import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import polars as pl
import pyarrow as pa

from operators.asof import asof_join
from operators.join.settings import AsofSettings
from operators.streaming import StreamingAsof
from schemas.batch import Batch
from schemas.rule import Direction
from schemas.stream import Stream
from tests.bench.asof import machine
from tests.bench.asof_memory import status_mb

ROUNDS: Final = 5
MESSAGE_ROWS: Final = 1_000
TURN_MESSAGES: Final = 20  # of each stream between two seals
ROW_NS: Final = 10_000
MEMORY_ROWS: Final = 10_000_000
MEMORY_AFTER: Final = 2_000_000  # rows after which it has to be flat

TRADE: Final = Stream(
    name="trade",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.int32(), nullable=False),
            ("price", pa.float64()),
            ("size", pa.float64()),
        ]
    ),
)
QUOTE: Final = Stream(
    name="quote",
    schema=pa.schema(
        [
            pa.field("event_ns", pa.int64(), nullable=False),
            pa.field("symbol", pa.int32(), nullable=False),
            *((f"{side}_{what}", pa.float64()) for side in ("bid", "ask") for what in ("price", "size")),
        ]
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One load on the core: half the rows are trades, half quotes."""

    name: str
    rows: int = 4_000_000
    symbols: int = 1_000
    hot: bool = False
    direction: Direction = "backward"
    tolerance_ns: int | None = None

    def settings(self) -> AsofSettings:
        """The join asked for."""
        return AsofSettings(
            left=TRADE, rights=(QUOTE,), direction=self.direction, tolerance_ns=self.tolerance_ns
        )


CASES: Final = (
    Case(name="backward, 1,000 symbols"),
    Case(name="backward, 50,000 symbols", symbols=50_000),
    Case(name="backward, hot symbol", hot=True),
    Case(name="backward, tolerance", tolerance_ns=100_000_000),
    Case(name="forward", direction="forward", tolerance_ns=10_000_000),
    Case(name="nearest", direction="nearest", tolerance_ns=10_000_000),
)


def messages(case: Case, stream: Stream, first: int, count: int) -> list[Batch]:
    """`count` rows from row `first` on as decoded messages, each with the groups of its own rows."""
    draw = np.random.default_rng([first, stream is TRADE])
    time_ns = (first + np.arange(count)) * ROW_NS + draw.integers(0, ROW_NS, count)
    symbol = draw.integers(0, case.symbols, count).astype(np.int32)
    if case.hot:
        symbol[draw.random(count) < 0.9] = 0
    values = [draw.random(count) for _ in stream.schema.names[2:]]
    columns = pa.RecordBatch.from_arrays(
        [pa.array(time_ns), pa.array(symbol), *map(pa.array, values)], schema=stream.schema
    )
    batches = []
    for lower in range(0, count, MESSAGE_ROWS):
        rows = slice(lower, lower + MESSAGE_ROWS)
        own, code = np.unique(symbol[rows], return_inverse=True)
        batches.append(
            Batch(
                columns=columns.slice(lower, MESSAGE_ROWS),
                time_ns=time_ns[rows],
                sequence=np.zeros(code.size, np.int64),
                offset=np.full(code.size, (first + lower) // MESSAGE_ROWS, np.int64),
                index=np.arange(code.size, dtype=np.int32),
                key_code=code.astype(np.int32),
                keys=pa.array([b"%d" % number for number in own], pa.binary()),
            )
        )
    return batches


def drive(join: StreamingAsof, trades: list[Batch], quotes: list[Batch]) -> list[pa.RecordBatch]:
    """Push all messages turn by turn and return what was sealed."""
    sealed = []
    for turn in range(0, max(len(trades), len(quotes)), TURN_MESSAGES):
        for stream, batches in (("trade", trades), ("quote", quotes)):
            for batch in batches[turn : turn + TURN_MESSAGES]:
                join.push(stream, batch)
        rows = join.seal()
        if rows is not None:
            sealed.append(rows)
    return sealed


def measure(case: Case, scale: float, rounds: int) -> dict[str, Any]:
    """Median rows a second of the core, of `asof_join` and of Polars, the results compared."""
    half = int(case.rows * scale) // 2
    trades, quotes = (messages(case, stream, 0, half) for stream in (TRADE, QUOTE))
    tables = {
        stream.name: pa.Table.from_batches([batch.columns for batch in batches])
        for stream, batches in ((TRADE, trades), (QUOTE, quotes))
    }
    frames = {name: pl.DataFrame(pl.from_arrow(table)) for name, table in tables.items()}
    strategy: Any = case.direction
    tolerance: Any = case.tolerance_ns
    seconds: dict[str, list[float]] = {"core": [], "asof_join": [], "polars": []}
    right = True
    for _ in range(rounds):
        join = StreamingAsof(case.settings())
        begun = time.process_time()
        sealed = drive(join, trades, quotes)
        rest = join.finish()
        seconds["core"].append(time.process_time() - begun)
        sealed += [rest] if rest is not None else []
        begun = time.process_time()
        wanted = asof_join(
            tables["trade"],
            {"quote": tables["quote"]},
            direction=case.direction,
            tolerance_ns=case.tolerance_ns,
            threads=1,
        )
        seconds["asof_join"].append(time.process_time() - begun)
        begun = time.process_time()
        frames["trade"].join_asof(
            frames["quote"],
            on="event_ns",
            by="symbol",
            strategy=strategy,
            tolerance=tolerance,
            check_sortedness=False,
        )
        seconds["polars"].append(time.process_time() - begun)
        found = pa.Table.from_batches(sealed).select(wanted.schema.names)
        right &= found.cast(wanted.schema).equals(wanted)
    rate = {name: 2 * half / statistics.median(taken) for name, taken in seconds.items()}
    return {"name": case.name, "rows": 2 * half, "rows_per_cpu_second": rate, "wrong": not right}


def memory(scale: float) -> dict[str, Any]:
    """Resident memory while rows go through one core, their messages made and dropped on the way."""
    case = CASES[0]
    join = StreamingAsof(case.settings())
    step = TURN_MESSAGES * MESSAGE_ROWS
    told: list[tuple[int, float]] = []
    for first in range(0, int(MEMORY_ROWS * scale) // 2, step):
        drive(join, *(messages(case, stream, first, step) for stream in (TRADE, QUOTE)))
        told.append((2 * (first + step), status_mb("VmRSS")))
    settled = [mb for rows, mb in told if rows >= MEMORY_AFTER * scale]
    return {"rows": told[-1][0], "first_mb": settled[0], "last_mb": settled[-1], "most_mb": max(settled)}


def run(out: Path, *, quick: bool) -> bool:
    """Measure all; write sealing.json and sealing.png and print a table.  False if a row was wrong."""
    scale = 0.02 if quick else 1.0
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # one for all of them
    try:
        results = [measure(case, scale, 1 if quick else ROUNDS) for case in CASES]
        held = memory(scale)
    finally:
        os.sched_setaffinity(0, cores)
    report = {"machine": machine(), "quick": quick, "cases": results, "memory": held}
    (out / "sealing.json").write_text(json.dumps(report, indent=2) + "\n")
    print(f"{'sealing, M rows per CPU second':<32}{'core':>8}{'asof_join':>20}{'polars':>20}")
    for result in results:
        rate = result["rows_per_cpu_second"]
        others = "".join(
            f"{rate[name] / 1e6:>9.2f} ({rate['core'] / rate[name]:5.2f}x) "
            for name in ("asof_join", "polars")
        )
        wrong = "  WRONG" if result["wrong"] else ""
        print(f"{result['name']:<32}{rate['core'] / 1e6:>8.2f}  {others}{wrong}")
    print(
        f"resident over {held['rows']:,} rows: {held['first_mb']:.0f} MB at a fifth, "
        f"{held['last_mb']:.0f} MB at the end, {held['most_mb']:.0f} MB at most"
    )
    draw(results, out / "sealing.png")
    return not any(result["wrong"] for result in results)


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Draw one group of bars per case."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 0.7 * len(results) + 1.5), layout="constrained")
    for place, name in enumerate(("core", "asof_join", "polars")):
        bars = axes.barh(
            [row + 0.27 * place for row in range(len(results))],
            [result["rows_per_cpu_second"][name] / 1e6 for result in results],
            0.26,
            label=name,
        )
        axes.bar_label(bars, fmt="%.1f", padding=2, fontsize=7)
    axes.set_yticks([row + 0.27 for row in range(len(results))], [result["name"] for result in results])
    axes.invert_yaxis()
    axes.set_xlabel("million rows per CPU second on one core, more is better")
    axes.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)
