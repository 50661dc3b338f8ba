"""Rows of a table: in the order of the store and bounded memory, or as a lazy frame of Polars."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import HistoryError
from replay.order import order_times
from replay.store.merge import Run, merged
from replay.store.part import ClockSpan
from replay.store.part_files import open_part, parts_frame
from replay.store.places import PLACES, store_order
from replay.store.prune import Wanted, prune, row_groups, tail_rows, wanted_rows
from replay.store.snapshot import PartEntry, Snapshot
from replay.store.stored_types import from_stored, stored_schema
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS
from schemas.stream import message_keys

if TYPE_CHECKING:
    import polars as pl

BATCH_ROWS: Final = 65_536


class Scan:
    """A query of one snapshot: what it wants, and after reading, in `report`, what it read.

    `columns` are given back in the table's order, all but the places where they are None.
    """

    def __init__(self, snapshot: Snapshot, wanted: Wanted, columns: Sequence[str] | None = None) -> None:
        self._snapshot, self._wanted = snapshot, wanted
        self._rules = snapshot.rules
        self._column = wanted.column(self._rules.order)
        self.schema = chosen_columns(snapshot, columns)
        self._read = _needed(snapshot, self.schema.names, wanted)
        self._stored = _stored(snapshot, self._read)
        pruned = prune(snapshot, wanted)
        self.parts, self.report = pruned.parts, pruned.report
        self.report.columns_read = len(self._read)
        self._tail = tail_rows(snapshot, wanted)
        self.report.rows_of_tail = 0 if self._tail is None else self._tail.num_rows

    def batches(self, rows_max: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """Yield the rows in the order of the store; parts are opened as their time comes."""
        runs = [
            Run(first_time_ns(footer.clocks), partial(self._rows, part))
            for part, footer in zip(self.parts, self._snapshot.footers(self.parts), strict=True)
        ]
        if self._tail is not None and self._tail.num_rows:
            runs.append(self._tail_run(self._tail))
        for rows in merged(runs, self._rules, rows_max, self.schema.names):
            self.report.rows_returned += rows.num_rows
            yield from_stored(rows, self.schema)

    def frame(self) -> "pl.LazyFrame":
        """The rows as a lazy frame, in no order; columns have the types that Polars gives to Arrow's."""
        import polars as pl

        kinds = _polars_schema(self._stored)
        if not self.parts:
            rows = pl.LazyFrame(schema=kinds)
        else:
            rows = parts_frame(self._snapshot, self.parts, kinds)
        rows = rows.filter(*self._conditions())
        if self._tail is not None:
            tail = pl.from_arrow(self._tail.select(self._read), rechunk=False)
            assert isinstance(tail, pl.DataFrame)
            rows = pl.concat([rows, tail.lazy()])
        kept = _polars_schema(self.schema)
        return rows.select(
            pl.col(name) if kinds[name] == kind else _as_was(name, kind) for name, kind in kept.items()
        )

    def _rows(self, part: PartEntry) -> Iterator[pa.RecordBatch]:
        """The wanted rows of one part, with the columns that are read, as they are stored."""
        with open_part(self._snapshot, part, _texts(self._stored)) as file:
            groups = row_groups(file, self._wanted, self._column)
            self.report.row_groups_total += file.num_row_groups
            self.report.row_groups_read += len(groups)
            self.report.bytes_read += _bytes_of(file, groups, self._read)
            for rows in _batches(file, self._stored, groups):
                self.report.rows_read += rows.num_rows
                keys = message_keys(rows, self._rules.key) if self._wanted.keys is not None else None
                yield wanted_rows(rows, self._wanted, self._column, keys)

    def _tail_run(self, tail: pa.Table) -> Run:
        """The rows of the tail in the order of the store."""
        (rows,) = tail.select(self._read).combine_chunks().to_batches()
        rows = rows.take(pa.array(store_order(rows, self._rules)))
        return Run(int(order_times(rows, self._rules.order)[0]), lambda: iter([rows]))

    def _conditions(self) -> "list[pl.Expr]":
        import polars as pl

        wanted, conditions = self._wanted, []
        if wanted.from_ns is not None:
            conditions.append(pl.col(self._column) >= wanted.from_ns)
        if wanted.to_ns is not None:
            conditions.append(pl.col(self._column) < wanted.to_ns)
        if wanted.keys is not None:
            conditions.append(_has_key(self._snapshot, wanted.texts))
        return conditions or [pl.lit(value=True)]


def chosen_columns(snapshot: Snapshot, columns: Sequence[str] | None) -> pa.Schema:
    """The columns that are wanted, in the table's order; raises HistoryError naming one that is not there."""
    names = snapshot.schema.names
    if columns is None:
        return pa.schema([field for field in snapshot.schema if field.name not in PLACES])
    absent = [name for name in columns if name not in names]
    if absent:
        raise HistoryError(
            f"{snapshot.rules.stream} has no column {', '.join(absent)}; it has {', '.join(names)}"
        )
    return pa.schema([field for field in snapshot.schema if field.name in columns])


def first_time_ns(clocks: Mapping[str, ClockSpan]) -> int:
    """A time that no row of a part comes before, on any clock."""
    return min((span.first_ns for span in clocks.values()), default=BEGINNING_NS)


def stored_rows(snapshot: Snapshot, parts: Sequence[PartEntry]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of some parts in the order of the store, as they are stored, with all columns."""
    stored = stored_schema(snapshot.schema)

    def read(part: PartEntry) -> Iterator[pa.RecordBatch]:
        with open_part(snapshot, part, _texts(stored)) as file:
            yield from _batches(file, stored, list(range(file.num_row_groups)))

    runs = [
        Run(first_time_ns(footer.clocks), partial(read, part))
        for part, footer in zip(parts, snapshot.footers(parts), strict=True)
    ]
    return merged(runs, snapshot.rules, BATCH_ROWS, stored.names)


def _batches(file: pq.ParquetFile, stored: pa.Schema, groups: Sequence[int]) -> Iterator[pa.RecordBatch]:
    """The rows of some row groups with these stored columns; one that the file lacks is null.

    Texts that the file gives as dictionaries stay so.
    """
    fields = {field.name: field for field in file.schema_arrow}
    as_read = pa.schema(
        fields[field.name] if pa.types.is_dictionary(fields.get(field.name, field).type) else field
        for field in stored
    )
    there = [name for name in stored.names if name in fields]
    for batch in file.iter_batches(batch_size=BATCH_ROWS, row_groups=groups, columns=there):
        yield from_stored(batch.replace_schema_metadata(None), as_read)


def _texts(stored: pa.Schema) -> list[str]:
    return [field.name for field in stored if pa.types.is_string(field.type)]


def _stored(snapshot: Snapshot, columns: Sequence[str]) -> pa.Schema:
    return stored_schema(pa.schema([snapshot.schema.field(name) for name in columns]))


def _needed(snapshot: Snapshot, columns: Sequence[str], wanted: Wanted) -> list[str]:
    """The columns that must be read: those wanted, and what orders, times and keys the rows."""
    rules = snapshot.rules
    needed = {*columns, *PLACES, EVENT_NS, KNOWN_NS, *([rules.sequence] if rules.sequence else [])}
    needed |= {*rules.key} if wanted.keys is not None else set()
    return [name for name in snapshot.schema.names if name in needed]


def _bytes_of(file: pq.ParquetFile, groups: Sequence[int], columns: Sequence[str]) -> int:
    """The compressed bytes of some columns of some row groups."""
    names = set(columns)
    return sum(
        column.total_compressed_size
        for number in groups
        for place in range(file.metadata.num_columns)
        if (column := file.metadata.row_group(number).column(place)).path_in_schema.split(".", 1)[0] in names
    )


def _has_key(snapshot: Snapshot, texts: Sequence[str]) -> "pl.Expr":
    """Whether a row has one of these message keys, as a condition on its stored key columns."""
    import polars as pl

    (name, *others) = snapshot.rules.key or ("",)
    kind = snapshot.schema.field(name).type if name else None
    if others or kind is None or not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise HistoryError(
            f"{snapshot.rules.stream} is keyed by {', '.join(snapshot.rules.key) or 'nothing'}: read such "
            "keys with history.batches, or filter the frame by those columns"
        )
    return pl.col(name).is_in(texts)


def _polars_schema(schema: pa.Schema) -> "dict[str, pl.DataType]":
    import polars as pl

    empty = pl.from_arrow(schema.empty_table())
    assert isinstance(empty, pl.DataFrame)
    return dict(empty.schema)


def _as_was(name: str, kind: "pl.DataType") -> "pl.Expr":
    import polars as pl

    return pl.col(name).cast(kind)
