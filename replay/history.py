"""The door to a history: rows of a stream by time, symbol, column and version, from Python.

    from replay import history
    history.scan("quote", ["bid_price"], symbols=["AAPL"], from_ns=..., to_ns=...).collect()

`store` is a folder, or the URL of one at an object store, such as `s3://bucket/history`.  Polars and the
reader of Delta tables are loaded with it: workers do without.
"""

import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from replay.errors import HistoryError
from replay.store.days import STORE
from replay.store.hot import read_hot, write_hot
from replay.store.objects import Folder, parse_store
from replay.store.prune import Wanted, key_of
from replay.store.scan import BATCH_ROWS, Scan
from replay.store.snapshot import Snapshot
from replay.store.table import HistoryTable, table_streams
from replay.store.versions import version_as_of
from schemas.clocks import clock_column

if TYPE_CHECKING:
    import polars as pl


def snapshot(
    stream: str, *, version: int | None = None, as_of_ns: int | None = None, store: Folder | str = STORE
) -> Snapshot:
    """Return the parts of a stream's table, of its newest version, an earlier one, or as it was at a time.

    `as_of_ns` is a time of commits, int64 UTC nanoseconds, and not of rows.  Raises HistoryError where there
    is no such table or version, naming the versions there are, or where both are given.
    """
    if as_of_ns is not None:
        if version is not None:
            raise HistoryError(f"{stream}: a version and a time are given, and one of them says which rows")
        version = version_as_of(_folder(store), stream, as_of_ns)
    return HistoryTable(_folder(store), stream, version).snapshot()


def scan(
    stream: str,
    columns: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    version: int | None = None,
    as_of_ns: int | None = None,
    at: Snapshot | None = None,
    store: Folder | str = STORE,
) -> "pl.LazyFrame":
    """Return rows as a lazy frame of Polars, in no order; only parts that can hold some are named in it.

    Times are those of the table's order clock, from `from_ns` to before `to_ns`, int64 UTC nanoseconds.
    `symbols` are message keys as text.  `version` or `as_of_ns`, a time of commits, names an earlier state of
    the table; `at` is a snapshot to read instead, such as that of a tail.  Raises HistoryError for an unknown
    stream, column or version.
    """
    there = at or snapshot(stream, version=version, as_of_ns=as_of_ns, store=store)
    return Scan(there, _wanted(symbols, (from_ns, to_ns)), columns).frame()


def batches(
    stream: str,
    columns: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    version: int | None = None,
    as_of_ns: int | None = None,
    at: Snapshot | None = None,
    store: Folder | str = STORE,
    rows_max: int = BATCH_ROWS,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows that `scan` names, ordered by the order clock, at most `rows_max` at a time.

    Memory is bounded by the parts that overlap in time, two batches of each.
    """
    there = at or snapshot(stream, version=version, as_of_ns=as_of_ns, store=store)
    return Scan(there, _wanted(symbols, (from_ns, to_ns)), columns).batches(rows_max)


def write_ipc(
    path: Path,
    stream: str,
    columns: Sequence[str] | None = None,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    version: int | None = None,
    as_of_ns: int | None = None,
    at: Snapshot | None = None,
    store: Folder | str = STORE,
) -> int:
    """Write the rows that `batches` names as a hot copy for `read_ipc`, and return how many.

    The order clock is among its columns, asked for or not.  Take it for ranges that are read again and again:
    it takes several times the bytes of the parts.  Raises HistoryError as `scan`, and where the disk refuses.
    """
    there = at or snapshot(stream, version=version, as_of_ns=as_of_ns, store=store)
    chosen = None if columns is None else [*columns, clock_column(there.rules.order)]
    return write_hot(path, there, Scan(there, _wanted(symbols, (from_ns, to_ns)), chosen))


def read_ipc(
    path: Path, columns: Sequence[str] | None = None, from_ns: int | None = None, to_ns: int | None = None
) -> pa.Table:
    """Return rows of a hot copy, ordered by the order clock, without a copy: the table maps the file.

    Times are those of the order clock, from `from_ns` to before `to_ns`.  The metadata of the table's schema
    says of which stream and version they are.  Raises HistoryError for what is no hot copy, and for a column
    that it lacks.
    """
    return read_hot(path, columns, from_ns, to_ns)


def sql(
    query: str,
    *,
    symbols: Sequence[str] | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    versions: Mapping[str, int] | None = None,
    as_of_ns: int | None = None,
    at: Mapping[str, Snapshot] | None = None,
    store: Folder | str = STORE,
) -> pa.Table:
    """Return the answer of one SELECT by DuckDB, in which each stream's table goes by its name.

    Columns have the types that they are stored in: times are int64.  `symbols` and times say which rows the
    tables have, `versions` or `as_of_ns` of which version; `at` has snapshots to read instead of some tables.
    Raises HistoryError for what is no single SELECT, reads a file, or cannot be run.
    """
    from replay.store.sql import run_query

    snapshots = dict(at or {})
    snapshots |= query_snapshots(
        query, versions=versions or {}, as_of_ns=as_of_ns, store=store, but=snapshots
    )
    return run_query(query, snapshots, _wanted(symbols, (from_ns, to_ns))).rows


def query_snapshots(
    query: str,
    *,
    versions: Mapping[str, int],
    as_of_ns: int | None,
    store: Folder | str,
    but: Container[str] = (),
) -> dict[str, Snapshot]:
    """Return a snapshot of each table whose name is a word of a query, `but` for some: it can read no other.

    Raises HistoryError for a version of a table that is not there.
    """
    words = {word.lower() for word in re.findall(r"\w+", query)}
    for stream, version in versions.items():
        HistoryTable(_folder(store), stream, version)
    return {
        name: snapshot(name, version=versions.get(name), as_of_ns=as_of_ns, store=store)
        for name in table_streams(_folder(store))
        if name.lower() in words and name not in but
    }


def _folder(store: Folder | str) -> Folder:
    return parse_store(store) if isinstance(store, str) else store


def _wanted(symbols: Sequence[str] | None, span: tuple[int | None, int | None]) -> Wanted:
    keys = None if symbols is None else frozenset(map(key_of, symbols))
    if any(time_ns is not None and not -(2**63) <= time_ns < 2**63 for time_ns in span):
        raise HistoryError(f"times are int64 nanoseconds, and {span} are not")
    return Wanted(from_ns=span[0], to_ns=span[1], keys=keys)
