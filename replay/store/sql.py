"""SQL over tables: DuckDB reads the parts that a version has, and nothing else of the machine.

Which parts a query needs is said beside it, by times and symbols: the catalogue leaves out the others, and
the engine gets files of this machine with those that are left; it asks no object store itself.  It may read
these files alone, runs one statement, and only one that reads (`replay.store.engines`).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from replay.errors import HistoryError
from replay.store.engines import Engine, engines
from replay.store.objects import ObjectFolder, digest_of
from replay.store.part import digest_in, fingerprint
from replay.store.part_files import local_files
from replay.store.prune import PruneReport, Wanted, prune, tail_rows
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.stored_types import stored_schema

BATCH_ROWS: Final = 65_536
_READING: Final = {"SELECT"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query as stored, and what of each table was left unread."""

    rows: pa.Table
    reports: Mapping[str, PruneReport]


@dataclass(frozen=True, slots=True)
class OpenAnswer:
    """An answer whose rows come as they are read; any number of them takes the memory of a few batches."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    reports: Mapping[str, PruneReport]


def run_query(query: str, snapshots: Mapping[str, Snapshot], wanted: Wanted) -> Answer:
    """Run one statement over the tables, each a view of its stream's name with the wanted rows.

    Raises HistoryError for what is no single reading statement, and with DuckDB's own words for what it
    cannot run, and KeyboardInterrupt where somebody stopped it.
    """
    with _statement(query, snapshots, wanted) as (rows, tables, reports), _failures(tables):
        return Answer(rows.to_arrow_table(), reports)


@contextmanager
def open_query(query: str, snapshots: Mapping[str, Snapshot], wanted: Wanted) -> Iterator[OpenAnswer]:
    """Run one statement as `run_query`, and give its rows while this lasts; reading raises as it does."""
    with _statement(query, snapshots, wanted) as (rows, tables, reports):
        with _failures(tables):
            reader = rows.to_arrow_reader(BATCH_ROWS)

        def batches() -> Iterator[pa.RecordBatch]:
            while True:
                with _failures(tables):
                    batch = next(reader, None)
                if batch is None:
                    return
                yield batch

        yield OpenAnswer(reader.schema, batches(), reports)


@contextmanager
def _failures(tables: "Sequence[_Table]") -> Iterator[None]:
    """Raise what DuckDB says while it runs a query, or hands rows over, as our own."""
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as wrong:
        raise _failed(tables, wrong) from None
    except RuntimeError:  # DuckDB was interrupted
        raise KeyboardInterrupt from None


@contextmanager
def _statement(
    query: str, snapshots: Mapping[str, Snapshot], wanted: Wanted
) -> "Iterator[tuple[duckdb.DuckDBPyRelation, Sequence[_Table], Mapping[str, PruneReport]]]":
    """One statement that was checked, over its tables, which are there while this lasts."""
    try:
        kinds = engines().kinds_of(query)
    except duckdb.Error as wrong:
        raise HistoryError(f"the query is no SQL: {wrong}") from None
    if len(kinds) != 1 or kinds[0] not in _READING:
        raise HistoryError(
            f"a query is one SELECT, and this is {', '.join(kinds) or 'nothing'}: tables are not written by "
            "SQL"
        )
    tables: list[_Table] = []
    reports = {}
    with ExitStack() as held:
        for name, snapshot in snapshots.items():
            pruned = prune(snapshot, wanted)
            files = held.enter_context(local_files(snapshot, pruned.parts))
            tail = tail_rows(snapshot, wanted)
            pruned.report.rows_of_tail = 0 if tail is None else tail.num_rows
            tables.append(_Table(name, snapshot, pruned.parts, [str(file) for file in files], tail))
            reports[name] = pruned.report
        engine = held.enter_context(engines().open([file for table in tables for file in table.files]))
        for table in tables:
            try:
                _make_view(engine, table, wanted)
            except duckdb.Error as broken:
                raise _broken(table, broken) from None
        with _failures(tables):
            rows = engine.sql(query)
        assert rows is not None, "a SELECT has rows"
        yield rows, tables, reports


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a query: the parts that can hold wanted rows, their files, the wanted rows of its tail."""

    name: str
    snapshot: Snapshot
    parts: Sequence[PartEntry]
    files: Sequence[str]
    tail: pa.Table | None


def _failed(tables: Sequence[_Table], wrong: Exception) -> HistoryError:
    """What to raise of a query: where a part cannot be read, that part, else DuckDB's own words."""
    for table in tables:
        for part, file in zip(table.parts, table.files, strict=True):
            if file in str(wrong):
                return table.snapshot.unreadable(part, f"cannot be read ({wrong})")
    hint = ""
    if isinstance(wrong, duckdb.CatalogException) and "Table with name" in str(wrong):
        there = ", ".join(table.name for table in tables) or "none"
        hint = (
            f".  Tables of the store that it names: {there}.  A stream is one when it was captured, or its "
            "days were brought in with `python -m replay upgrade`"
        )
    return HistoryError(f"the query cannot be run: {wrong}{hint}")


def _broken(table: _Table, broken: Exception) -> HistoryError:
    """What to raise of parts that cannot be opened: the first of other bytes, or DuckDB's words."""
    for part, file in zip(table.parts, table.files, strict=True):
        if not Path(file).is_file():
            if isinstance(table.snapshot.root, ObjectFolder):
                return HistoryError(f"{file}, a copy of {part.path}, was deleted meanwhile: ask again")
            return table.snapshot.unreadable(part, "is not there")
        if not digest_of(Path(file)).startswith(digest_in(part.path)):
            return table.snapshot.unreadable(part, f"cannot be read ({broken})")
    return HistoryError(
        f"{table.name}, version {table.snapshot.version}: a part cannot be read ({broken}): run "
        "`python -m replay verify` to see all such parts"
    )


def _make_view(engine: Engine, table: _Table, wanted: Wanted) -> None:
    """A view of a table's wanted rows, those of its tail too; a column that no part has yet is null."""
    stored = stored_schema(table.snapshot.schema)
    selects = []
    if table.files:
        columns, source = _source(engine, table, stored, wanted)
        conditions = " and ".join(_conditions(table, wanted)) or "true"
        selects.append(f"select {', '.join(columns)} from {source} where {conditions}")  # noqa: S608 -- quoted
    if table.tail is not None or not table.files:
        rows = f"{table.name} in memory"
        engine.register(rows, stored.empty_table() if table.tail is None else table.tail)
        selects.append(f"select * from {_name(rows)}")  # noqa: S608 -- our own
    engine.execute(f"create temp view {_name(table.name)} as {' union all '.join(selects)}")


def _source(engine: Engine, table: _Table, stored: pa.Schema, wanted: Wanted) -> tuple[list[str], str]:
    """What to select for each stored column, and what reads it from the files.

    Where keys are wanted the footers of the parts were read: if they say that no part lacks a column, DuckDB
    need not open all of them to see.
    """
    files = ", ".join(map(_text, table.files))
    if wanted.keys is not None:
        whole = fingerprint(stored)
        if all(footer.fingerprint == whole for footer in table.snapshot.footers(table.parts)):
            source = f"read_parquet([{files}], hive_partitioning = false)"
            return [_name(column) for column in stored.names], source
    source = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
    there = set(engine.sql(f"select * from {source}").columns)  # noqa: S608 -- our own
    kinds = engine.from_arrow(stored.empty_table()).types
    columns = [
        _name(column) if column in there else f"cast(null as {kind}) as {_name(column)}"
        for column, kind in zip(stored.names, kinds, strict=True)
    ]
    return columns, source


def _conditions(table: _Table, wanted: Wanted) -> list[str]:
    rules = table.snapshot.rules
    time_ns = _name(wanted.column(rules.order))
    conditions = []
    if wanted.from_ns is not None:
        conditions.append(f"{time_ns} >= {wanted.from_ns}")
    if wanted.to_ns is not None:
        conditions.append(f"{time_ns} < {wanted.to_ns}")
    if wanted.keys is not None:
        if len(rules.key) != 1:
            raise HistoryError(
                f"{table.name} is keyed by {', '.join(rules.key) or 'nothing'}: name these columns in the "
                "query itself"
            )
        keys = ", ".join(map(_text, wanted.texts))
        conditions.append(f"{_name(rules.key[0])} in ({keys})" if keys else "false")
    return conditions


def _name(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
