"""A Parquet file somebody else wrote, read as rows of a stream: clocks renamed, bad rows set aside."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from replay.errors import SourceError
from replay.imports.time_columns import convert_clocks, find_clocks, outside
from replay.order import as_array, order_times
from replay.store.day import Source
from replay.zones import local_days
from schemas.batch import Int32s, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS

# Times outside are a broken clock or another unit, and are not imported.
LOWER_NS: Final = 0
UPPER_NS: Final = 7_258_118_400_000_000_000
_BOUNDS: Final = "not between 1970-01-01 and 2200-01-01"


@dataclass(frozen=True, slots=True)
class BadRows:
    """Rows of one file that are not imported, for one reason; row 1 is the file's first."""

    file: str
    reason: str
    rows: Int64s


@dataclass(frozen=True, slots=True)
class Part:
    """The good rows of one row group, in file order, the local day of each, and the bad ones."""

    rows: pa.Table
    days: Int32s
    bad: list[BadRows]


class SourceFile:
    """One file of a stream.  Opening it checks its columns and raises SourceError for what is wrong."""

    def __init__(self, path: Path, *, event: str | None = None, known: str | None = None) -> None:
        self.path = path
        try:
            with pq.ParquetFile(path) as file:
                self._schema = file.schema_arrow.remove_metadata()
                self.group_rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]
            stat = path.stat()
        except (OSError, pa.ArrowException) as broken:
            raise SourceError(f"{path} cannot be read as Parquet: {broken}") from None
        self.source = Source(path.name, stat.st_size, stat.st_mtime_ns)
        twice = sorted({name for name in self._schema.names if self._schema.names.count(name) > 1})
        if twice:
            raise SourceError(f"{path} has columns twice: {', '.join(twice)}")
        self.clocks = find_clocks(self._schema, str(path), event=event, known=known)

    @property
    def schema(self) -> pa.Schema:
        """The columns as they will be: clocks renamed, everything else as it is, in the file's order."""
        return pa.schema(
            [
                pa.field(self.clocks[field.name], pa.int64()) if field.name in self.clocks else field
                for field in self._schema
            ]
        )

    def has_text(self, column: str) -> bool:
        """Whether there is such a column, of strings."""
        return column in self._schema.names and _is_text(self._schema.field(column).type)

    def require_key(self, key: tuple[str, ...]) -> None:
        """Raise SourceError unless every key column is there and holds strings."""
        for name in key:
            if name not in self._schema.names:
                raise SourceError(
                    f"{self.path} has no column {name!r}, which names the instrument; it has "
                    f"{', '.join(self._schema.names)}; name another with --symbol"
                )
            if not self.has_text(name):
                raise SourceError(
                    f"{self.path}: column {name!r} is {self._schema.field(name).type}, expected string"
                )

    def parts(self, key: tuple[str, ...], zone: str, *, groups: list[int] | None = None) -> Iterator[Part]:
        """Yield these row groups, or all, whole."""
        return self._read(key, zone, groups, None)

    def clock_parts(self, key: tuple[str, ...], zone: str) -> Iterator[Part]:
        """Yield all row groups with nothing but their clocks and key: enough to know days and bad rows."""
        return self._read(key, zone, None, [*self.clocks, *key])

    def _read(
        self, key: tuple[str, ...], zone: str, groups: list[int] | None, columns: list[str] | None
    ) -> Iterator[Part]:
        try:
            with pq.ParquetFile(self.path) as file:
                for group in range(len(self.group_rows)) if groups is None else groups:
                    rows = file.read_row_group(group, columns=columns).replace_schema_metadata(None)
                    before = sum(self.group_rows[:group])
                    yield self._part(convert_clocks(rows, self.clocks, str(self.path)), key, zone, before)
        except (OSError, pa.ArrowException) as broken:
            raise SourceError(f"{self.path} cannot be read: {broken}") from None

    def _part(self, rows: pa.Table, key: tuple[str, ...], zone: str, before: int) -> Part:
        good = np.ones(rows.num_rows, dtype=np.bool_)
        bad = []
        for reason, wrong in self._checks(rows, key):
            broken = as_array(wrong).astype(np.bool_) & good
            good &= ~broken
            if broken.any():
                bad.append(BadRows(self.path.name, reason, np.flatnonzero(broken) + before + 1))
        if bad:
            rows = rows.filter(pa.array(good))
        days = local_days(order_times(rows, "event"), zone) if rows.num_rows else np.empty(0, dtype=np.int32)
        return Part(rows, days, bad)

    @staticmethod
    def _checks(rows: pa.Table, key: tuple[str, ...]) -> Iterator[tuple[str, pa.ChunkedArray]]:
        for name in key:
            yield f"null {name}", rows.column(name).is_null()
        clocks = [name for name in (EVENT_NS, KNOWN_NS) if name in rows.schema.names]
        missing = rows.column(clocks[0]).is_null()
        for name in clocks[1:]:
            missing = pc.and_(missing, rows.column(name).is_null())
        yield f"no {' and no '.join(clocks)}", missing
        for name in clocks:
            yield f"{name} {_BOUNDS}", outside(rows.column(name), LOWER_NS, UPPER_NS)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
