"""Days as a capture leaves them, in many small parts: memory of reading, and what compaction saves a query.

`python -m tests.stage.history_month 30`, or `make month DAYS=30`.  Exit 1 where memory grows with the days,
or a compaction does not halve the bytes that a query reads.
"""

import shutil
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Final

from rich.console import Console

from replay import history
from replay.market.generate import generate_day
from replay.store.compact import compact, plan_compaction
from replay.store.content_hash import combined
from replay.store.days import HistoryStore
from replay.store.places import TableRules
from replay.store.prune import PruneReport, Wanted
from replay.store.scan import Scan
from replay.store.snapshot import Snapshot
from replay.store.table import HistoryTable, create_table
from schemas.clocks import NS_PER_S
from tests.stage.history_tables import append, placed

FIRST: Final = date(2024, 1, 1)
SYMBOLS: Final = 200
ROWS: Final = 100_000  # quotes of a day
FLUSHES: Final = 40  # commits of a day; a capture that commits once a minute makes ten times as many
BUCKETS: Final = 16
COLUMNS: Final = ("event_ns", "bid_price", "ask_price")
HOUR_NS: Final = 3_600 * NS_PER_S
GROWTH_MAX: Final = 1.1  # of the most memory of the last third of the days over that of the second
KIB: Final = 1024
MIB: Final = 1 << 20


@dataclass
class Month:
    """What was measured; the sizes by day are the most memory this process took while it read that day."""

    rows: int = 0
    parts: list[int] = field(default_factory=list)  # before the compaction, and after
    hashes: list[int] = field(default_factory=list)
    days_read: list[int] = field(default_factory=list)  # bytes read for a symbol's days
    hour_read: list[int] = field(default_factory=list)  # bytes read for a symbol's hour
    hour_ms: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    read_cpu_s: float = 0.0

    @property
    def flat(self) -> bool:
        """Whether the last days take no more memory than those in the middle, where there are enough."""
        third = len(self.sizes) // 3
        return third == 0 or max(self.sizes[-third:]) <= GROWTH_MAX * max(self.sizes[third : 2 * third])

    @property
    def halved(self) -> bool:
        """Whether the compaction halved what a query for the days of a symbol reads, and kept all rows."""
        before, after = self.days_read
        return 2 * after <= before and self.hashes[0] == self.hashes[1]

    def lines(self) -> list[str]:
        """What to print."""
        sizes = ", ".join(f"{size / MIB:.0f}" for size in self.sizes)
        return [
            f"{self.rows:,} rows; {self.parts[0]:,} parts, compacted {self.parts[1]:,}",
            f"bytes read for a symbol's days: {self.days_read[0]:,}, compacted {self.days_read[1]:,}",
            f"bytes read for a symbol's hour: {self.hour_read[0]:,}, compacted {self.hour_read[1]:,}",
            f"a symbol's hour: {self.hour_ms[0]:.1f} ms, compacted {self.hour_ms[1]:.1f} ms (median of 9)",
            f"read in order, compacted: {self.rows / self.read_cpu_s:,.0f} rows a CPU second",
            f"memory day by day, MiB: {sizes}; {'flat' if self.flat else 'NOT FLAT'}",
            f"bytes halved: {'yes' if self.halved else 'NO'}",
        ]


def measure(folder: Path, days: int, *, rows: int = ROWS, flushes: int = FLUSHES) -> Month:
    """Make so many days of so many rows and commits, measure, compact, and measure again."""
    month = Month()
    table = make(folder, days, rows, flushes)
    _look(month, table.snapshot())
    for group in plan_compaction(table.snapshot()):
        compact(table, group, by="a month")
    snapshot = HistoryTable(folder, "quote").snapshot()
    _look(month, snapshot)
    begun_s = process_time()
    for number in range(days):
        _reset_peak()
        wanted = Wanted(dates=frozenset({_date(number)}))
        month.rows += sum(batch.num_rows for batch in Scan(snapshot, wanted).batches())
        month.sizes.append(_peak())
    month.read_cpu_s = process_time() - begun_s
    return month


def make(folder: Path, days: int, rows: int, flushes: int) -> HistoryTable:
    """A table of quotes of these days, each in as many commits."""
    first, table = 0, None
    for number in range(days):
        scratch = HistoryStore(folder / "_scratch")
        _, day = generate_day(scratch, _date(number), symbols=SYMBOLS, trades=1, quotes=rows)
        if table is None:
            rules = TableRules(
                stream="quote", key=("symbol",), sequence=None, order="event", zone=day.zone, buckets=BUCKETS
            )
            table = create_table(folder, rules, day.stream.schema)
        for batch in day.batches(rows=rows // flushes):
            append(table, placed(batch, first))
            first += batch.num_rows
        shutil.rmtree(folder / "_scratch")
    assert table is not None, "at least a day"
    return table


def _look(month: Month, snapshot: Snapshot) -> None:
    """Measure a snapshot by its queries."""
    month.parts.append(len(snapshot.parts))
    month.hashes.append(combined(*(snapshot.footer(part).content_hash for part in snapshot.parts)))
    (symbol, *_) = sorted(key for part in snapshot.parts[:1] for key in snapshot.footer(part).keys)
    of_symbol = Wanted(keys=frozenset({symbol}))
    month.days_read.append(_read(snapshot, of_symbol).bytes_read)
    first_ns = min(snapshot.footer(part).clocks["event_ns"].first_ns for part in snapshot.parts)
    span = (first_ns + HOUR_NS, first_ns + 2 * HOUR_NS)
    hour = Wanted(keys=frozenset({symbol}), from_ns=span[0], to_ns=span[1])
    month.hour_read.append(_read(snapshot, hour).bytes_read)
    text = symbol.decode()
    taken = []
    for _ in range(9):
        begun_s = perf_counter()
        history.scan("quote", COLUMNS, [text], *span, at=snapshot).collect()
        taken.append((perf_counter() - begun_s) * 1e3)
    month.hour_ms.append(median(taken))


def _read(snapshot: Snapshot, wanted: Wanted) -> PruneReport:
    scan = Scan(snapshot, wanted, COLUMNS)
    for _ in scan.batches():
        continue
    return scan.report


def _date(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


def _reset_peak() -> None:
    """Forget the most memory that this process has taken (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak() -> int:
    """The most memory that this process has taken since, in bytes (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * KIB


def main(days: int) -> int:
    """Measure so many days; 1 where memory grows or bytes are not halved."""
    console = Console(width=200)
    with TemporaryDirectory(prefix="tidemark-month-") as folder:
        month = measure(Path(folder), days)
    for line in month.lines():
        console.print(line, markup=False)
    return 0 if month.flat and month.halved else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
