"""A day many times the memory an audit may take, and how much it took: run in a process of its own."""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from app.audit.files import ParquetFiles, audit_files
from app.config import Settings
from operators.asof import asof_join

QUOTES, TRADES = 1_200_000, 300_000
MEMORY_SIZE_MAX = 32 << 20


def stream(rng: np.random.Generator, rows: int, *numbers: str) -> pa.Table:
    """Rows nearly in order of time, of 500 symbols."""
    event_ns = np.sort(rng.integers(0, 10**12, rows))
    arrived = np.argsort(np.arange(rows) + rng.integers(0, 50, rows), kind="stable")
    symbols = pa.array(rng.choice([f"S{i:04d}" for i in range(500)], rows))
    columns = {name: rng.normal(size=rows) for name in numbers}
    return pa.table({"event_ns": event_ns[arrived], "symbol": symbols, **columns})


def write_day(folder: Path, quotes: int = QUOTES, trades: int = TRADES) -> int:
    """Write both streams and their join as Parquet; returns how many bytes they are in memory."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    trade = stream(rng, trades, "price", "size")
    quote = stream(rng, quotes, "bid", "ask", "bid_size", "ask_size")
    aligned = asof_join(trade, {"quote": quote}).sort_by("event_ns")
    tables = {"trade": trade, "quote": quote, "aligned": aligned}
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", row_group_size=65_536)
    return sum(table.nbytes for table in tables.values())


def audited(folder: Path) -> tuple[int, int]:
    """Audit a day; returns violations and the aligned rows."""
    files = {name: ParquetFiles.at(folder / f"{name}.parquet") for name in ("trade", "quote", "aligned")}
    aligned = files.pop("aligned")
    report = audit_files(Settings(), aligned, files, memory_size_max=MEMORY_SIZE_MAX)
    return report.violation_rows, report.rows_aligned


def peak_size() -> int:
    """The most bytes this process has had resident."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


if __name__ == "__main__":
    small, large = map(Path, sys.argv[1:])
    audited(small)  # libraries take what they take, once
    before = peak_size()
    violations, rows = audited(large)
    sys.stdout.write(f"{violations} {rows} {peak_size() - before}\n")
