"""SQL over tables: DuckDB reads the parts that a version has, and nothing else of the machine.

Which parts a query needs is said beside it, by times and symbols: the catalogue leaves out the others, and
the engine gets files of this machine with those that are left; it asks no object store itself.  It may read
these files alone, runs one statement, and only one that reads.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from duckdb import ColumnExpression, ConstantExpression, Expression

from replay.errors import HistoryError
from replay.store.part_files import local_files
from replay.store.prune import PruneReport, Wanted, prune, tail_rows
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.stored_types import stored_schema

MEMORY_LIMIT: Final = "2GB"
THREADS: Final = 2
_READING: Final = {"SELECT"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query as stored, and what of each table was left unread."""

    rows: pa.Table
    reports: Mapping[str, PruneReport]


def run_query(query: str, snapshots: Mapping[str, Snapshot], wanted: Wanted) -> Answer:
    """Run one statement over the tables, each a view of its stream's name with the wanted rows.

    Raises HistoryError for what is no single reading statement, and with DuckDB's own words for what it
    cannot run.
    """
    limits: dict[str, Any] = {"threads": THREADS, "memory_limit": MEMORY_LIMIT}
    with duckdb.connect(":memory:", config=limits) as engine, ExitStack() as held:
        try:
            statements = engine.extract_statements(query)
        except duckdb.Error as wrong:
            raise HistoryError(f"the query is no SQL: {wrong}") from None
        kinds = [statement.type.name for statement in statements]
        if len(kinds) != 1 or kinds[0] not in _READING:
            raise HistoryError(
                f"a query is one SELECT, and this is {', '.join(kinds) or 'nothing'}: tables are not written "
                "by SQL"
            )
        reports = {}
        paths: list[str] = []
        for name, snapshot in snapshots.items():
            pruned = prune(snapshot, wanted)
            reports[name] = pruned.report
            files = [str(file) for file in held.enter_context(local_files(snapshot, pruned.parts))]
            paths += files
            tail = tail_rows(snapshot, wanted)
            pruned.report.rows_of_tail = 0 if tail is None else tail.num_rows
            try:
                _make_view(engine, name, snapshot, files, wanted, tail)
            except duckdb.Error as broken:
                raise _broken(name, snapshot, pruned.parts, files, broken) from None
        engine.execute("set allowed_paths = $paths", {"paths": paths})
        engine.execute("set enable_external_access = false")
        engine.execute("set lock_configuration = true")
        try:
            rows = engine.sql(statements[0])
            assert rows is not None, "a SELECT has rows"
            return Answer(rows.to_arrow_table(), reports)
        except duckdb.Error as wrong:
            raise HistoryError(f"the query cannot be run: {wrong}") from None


def _broken(
    name: str, snapshot: Snapshot, parts: Sequence[PartEntry], files: Sequence[str], broken: Exception
) -> HistoryError:
    """What to raise of parts that cannot be opened: the first that is gone, or DuckDB's own words."""
    for part, file in zip(parts, files, strict=True):
        if not Path(file).is_file():
            return snapshot.unreadable(part, "is not there")
    return HistoryError(
        f"{name}, version {snapshot.version}: a part cannot be read ({broken}): run "
        "`python -m replay verify` to see all such parts"
    )


def _make_view(
    engine: duckdb.DuckDBPyConnection,
    name: str,
    snapshot: Snapshot,
    files: list[str],
    wanted: Wanted,
    tail: pa.Table | None,
) -> None:
    """A view of a table's wanted rows, those of its tail too; a column that no part has yet is null."""
    empty = engine.from_arrow(stored_schema(snapshot.schema).empty_table())
    rows = empty
    if files:
        rows = engine.read_parquet(files, union_by_name=True, hive_partitioning=False)
        there = set(rows.columns)
        rows = rows.select(
            *(
                ColumnExpression(column)
                if column in there
                else ConstantExpression(None).cast(kind).alias(column)
                for column, kind in zip(empty.columns, empty.types, strict=True)
            )
        )
    time_ns = ColumnExpression(wanted.column(snapshot.rules.order))
    if wanted.from_ns is not None:
        rows = rows.filter(time_ns >= ConstantExpression(wanted.from_ns))
    if wanted.to_ns is not None:
        rows = rows.filter(time_ns < ConstantExpression(wanted.to_ns))
    if wanted.keys is not None:
        rows = rows.filter(_has_key(name, snapshot.rules.key, wanted.keys))
    if tail is not None:
        rows = rows.union(engine.from_arrow(tail))  # keeps rows that are equal
    rows.create_view(name)


def _has_key(name: str, key: tuple[str, ...], keys: frozenset[bytes]) -> Expression:
    if len(key) != 1:
        raise HistoryError(
            f"{name} is keyed by {', '.join(key) or 'nothing'}: name these columns in the query itself"
        )
    return ColumnExpression(key[0]).isin(*(ConstantExpression(one.decode()) for one in sorted(keys)))
