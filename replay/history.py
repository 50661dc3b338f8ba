"""The door to a history: rows of a stream by time, symbol, column and version, from Python.

    from replay import history
    history.scan("quote", ["bid_price"], symbols=["AAPL"], from_ns=..., to_ns=...).collect()

Polars and the reader of Delta tables are loaded with it: workers do without.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from replay.store.days import STORE
from replay.store.prune import Wanted
from replay.store.scan import BATCH_ROWS, Scan
from replay.store.snapshot import Snapshot
from replay.store.table import HistoryTable, table_streams

if TYPE_CHECKING:
    import polars as pl


def snapshot(stream: str, *, version: int | None = None, store: Path = STORE) -> Snapshot:
    """Return the parts of a stream's table, of its newest version or an earlier one.

    Raises HistoryError where there is no such table or version, naming the versions there are.
    """
    return HistoryTable(store, stream, version).snapshot()


def scan(
    stream: str,
    columns: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    version: int | None = None,
    store: Path = STORE,
) -> "pl.LazyFrame":
    """Return rows as a lazy frame of Polars, in no order; only parts that can hold some are named in it.

    Times are those of the table's order clock, from `from_ns` to before `to_ns`, int64 UTC nanoseconds.
    `symbols` are message keys as text.  Raises HistoryError for an unknown stream, column or version.
    """
    return _query(stream, columns, symbols, (from_ns, to_ns), version, store).frame()


def batches(
    stream: str,
    columns: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    version: int | None = None,
    store: Path = STORE,
    rows_max: int = BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that `scan` names, ordered by the order clock, at most `rows_max` at a time.

    Memory is bounded by the parts that overlap in time, two batches of each.
    """
    return _query(stream, columns, symbols, (from_ns, to_ns), version, store).batches(rows_max)


def sql(
    query: str,
    *,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    versions: Mapping[str, int] | None = None,
    store: Path = STORE,
) -> pa.Table:
    """Return the answer of one SELECT by DuckDB, in which each stream's table goes by its name.

    Columns have the types that they are stored in: times are int64.  `symbols` and times say which rows the
    tables have.  Raises HistoryError for what is no single SELECT, reads a file, or cannot be run.
    """
    from replay.store.sql import run_query

    named = versions or {}
    streams = table_streams(store)
    snapshots = {name: snapshot(name, version=named.get(name), store=store) for name in streams}
    return run_query(query, snapshots, _wanted(symbols, (from_ns, to_ns))).rows


def _wanted(symbols: Sequence[str] | None, span: tuple[int | None, int | None]) -> Wanted:
    keys = None if symbols is None else frozenset(symbol.encode() for symbol in symbols)
    return Wanted(from_ns=span[0], to_ns=span[1], keys=keys)


def _query(
    stream: str,
    columns: Sequence[str] | None,
    symbols: Sequence[str] | None,
    span: tuple[int | None, int | None],
    version: int | None,
    store: Path,
) -> Scan:
    return Scan(snapshot(stream, version=version, store=store), _wanted(symbols, span), columns)
