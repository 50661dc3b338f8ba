"""Files as Arrow tables, a group of rows at a time, whatever wrote them."""

import mmap
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import SourceError
from replay.imports.comma_text import stage
from replay.imports.dbn import stage_dbn
from replay.imports.int96 import int96_columns, int96_units

_NO_CLOCKS: Final[Mapping[str, str]] = MappingProxyType({})
_ARROW_SCHEMA: Final = b"ARROW:schema"  # key of the footer that says which columns were dictionaries


class TableFile(Protocol):
    """A file of columns: its schema, the rows of each group, and the groups themselves."""

    schema: pa.Schema
    group_rows: list[int]
    clocks: Mapping[str, str]  # columns that are clocks in this format, whatever their names, by clock
    notes: tuple[str, ...]  # what was decided in reading the file, a line each

    def groups(self, numbers: list[int], columns: list[str]) -> Iterator[pa.Table]:
        """Yield these groups, whole, with these columns; raises what the library raises."""
        ...


class ParquetTable:
    """A Parquet file; INT96 times come in the finest unit that holds them all."""

    def __init__(
        self, path: Path, clocks: Mapping[str, str] = _NO_CLOCKS, notes: tuple[str, ...] = ()
    ) -> None:
        self._path = path
        self.clocks, self.notes = clocks, notes
        with pq.ParquetFile(path) as file:
            self.schema = file.schema_arrow.remove_metadata()
            self.group_rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
            old = int96_columns(file)
        self._coarse = sorted(name for name, unit in int96_units(path, old).items() if unit == "us")
        for name in self._coarse:
            place = self.schema.names.index(name)
            self.schema = self.schema.set(place, self.schema.field(place).with_type(pa.timestamp("us")))

    def groups(self, numbers: list[int], columns: list[str]) -> Iterator[pa.Table]:
        """Yield these row groups."""
        coarse = [name for name in columns if name in self._coarse]
        with ExitStack() as files:
            fine = files.enter_context(pq.ParquetFile(self._path))
            wide = (
                files.enter_context(pq.ParquetFile(self._path, coerce_int96_timestamp_unit="us"))
                if coarse
                else fine
            )
            for number in numbers:
                rows = self._group(fine, number, columns)
                for name in coarse:
                    column = wide.read_row_group(number, columns=[name]).column(name)
                    rows = rows.set_column(rows.schema.names.index(name), name, column)
                yield rows

    def _group(self, file: pq.ParquetFile, number: int, columns: list[str]) -> pa.Table:
        try:
            return file.read_row_group(number, columns=columns)
        except pa.ArrowInvalid:
            words = [name for name in columns if pa.types.is_dictionary(self.schema.field(name).type)]
            if not words:
                raise
        # More words than the writer's indices count, as each of its pieces had a few: read as values.
        rows = file.read_row_group(number, columns=[name for name in columns if name not in words])
        with _without_arrow_schema(self._path) as plain_file:
            plain = plain_file.read_row_group(number, columns=words)
        for name in words:
            rows = rows.append_column(name, plain.column(name))
        return rows


class ArrowTable:
    """An Arrow IPC file (Feather) or stream; a group is a record batch."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.clocks: Mapping[str, str] = _NO_CLOCKS
        self.notes: tuple[str, ...] = ()
        with pa.memory_map(str(path)) as source:
            self.schema = self._reader(source).schema.remove_metadata()
            self.group_rows = [batch.num_rows for batch in self._batches(source)]

    def groups(self, numbers: list[int], columns: list[str]) -> Iterator[pa.Table]:
        """Yield these record batches."""
        wanted = set(numbers)
        with pa.memory_map(str(self._path)) as source:
            for number, batch in enumerate(self._batches(source)):
                if number in wanted:
                    yield pa.Table.from_batches([batch]).select(columns)

    @staticmethod
    def _reader(source: Any) -> Any:
        source.seek(0)
        try:
            return pa.ipc.open_file(source)
        except pa.ArrowInvalid:
            source.seek(0)
            return pa.ipc.open_stream(source)

    def _batches(self, source: Any) -> Iterator[pa.RecordBatch]:
        reader = self._reader(source)
        if isinstance(reader, pa.ipc.RecordBatchFileReader):
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            yield from reader


@contextmanager
def _without_arrow_schema(path: Path) -> Iterator[pq.ParquetFile]:
    """Open a file as one that another program than Arrow wrote; the file itself stays as it is."""
    with path.open("rb") as file:
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    place = pages.rfind(_ARROW_SCHEMA)
    pages[place : place + len(_ARROW_SCHEMA)] = _ARROW_SCHEMA.lower()
    with pq.ParquetFile(pa.BufferReader(pa.py_buffer(pages))) as plain:
        yield plain


def open_table(path: Path, kind: str, key: tuple[str, ...], scratch: Path) -> TableFile:
    """Open a file of `kind` (a value of `FORMATS`); CSV and DBN become Parquet in the folder `scratch`.

    `key` names columns that are text whatever they look like.  Raises SourceError for what cannot be read.
    """
    try:
        if kind == "CSV":
            return ParquetTable(stage(path, key, scratch))
        if kind == "DBN":
            staged = stage_dbn(path, key, scratch)
            return ParquetTable(staged.path, staged.clocks, staged.notes)
        return ArrowTable(path) if kind == "Arrow" else ParquetTable(path)
    except (OSError, pa.ArrowException) as broken:
        wide = _columns_too_wide(path) if isinstance(broken, pa.ArrowNotImplementedError) else []
        which = f" (see {', '.join(map(repr, wide))}: write it as decimal or text)" if wide else ""
        raise SourceError(f"{path} cannot be read as {kind}: {broken}{which}") from None


def _columns_too_wide(path: Path) -> list[str]:
    """The columns of whole numbers of 128 bits, for which Arrow refuses a file without naming them."""
    try:
        kinds = pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError):
        return []
    return [name for name, kind in kinds.items() if kind in (pl.Int128, pl.UInt128)]
