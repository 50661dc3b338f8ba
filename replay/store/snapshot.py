"""A snapshot: the parts that one version of a table is made of, which is the catalogue of its history."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import HistoryError, ObjectStoreError
from replay.store.footers import read_footer
from replay.store.objects import Folder
from replay.store.part import AMONG, PartFooter
from replay.store.places import BUCKET, DATE, TableRules
from schemas.batch import Bools
from schemas.clocks import EVENT_NS, KNOWN_NS

READ_AT_ONCE: Final = 16  # footers of objects

# The catalogue's columns; times are null where no row has that clock.
CATALOGUE: Final = pa.schema(
    [
        ("path", pa.string()),
        ("date", pa.string()),
        ("bucket", pa.int32()),
        ("buckets", pa.int32()),
        ("size", pa.int64()),
        ("rows", pa.int64()),
        (f"first_{EVENT_NS}", pa.int64()),
        (f"last_{EVENT_NS}", pa.int64()),
        (f"first_{KNOWN_NS}", pa.int64()),
        (f"last_{KNOWN_NS}", pa.int64()),
    ]
)


class PartEntry(NamedTuple):
    """A part as the catalogue has it: where it lies below its table, what day and bucket, bytes and rows.

    `bucket` is one of `buckets`, which is the part's own: it was written when the table had so many.
    """

    path: str
    date: str
    bucket: int
    buckets: int
    size: int
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One version of a table.

    `root` is the table's folder, `schema` its columns in their own types, places among them.  `catalogue` has
    a row per part, with the columns of `CATALOGUE`.  `tail` has rows of a topic that no part has yet, with
    the stored columns, where somebody reads them beside (`replay.capture.tail`).
    """

    root: Folder
    version: int
    rules: TableRules
    schema: pa.Schema
    catalogue: pa.Table
    tail: pa.Table | None = None

    @property
    def parts(self) -> list[PartEntry]:
        """All parts."""
        return list(entries(self.catalogue))

    @property
    def rows(self) -> int:
        """The rows of all parts."""
        return int(pc.sum(self.catalogue.column("rows"), min_count=0).as_py())

    def dates(self) -> list[str]:
        """The days that have a part, oldest first."""
        return sorted(set(self.catalogue.column("date").to_pylist()))

    def footer(self, part: PartEntry) -> PartFooter:
        """What a part's footer says; raises HistoryError naming a part that is gone or broken."""
        try:
            footer = read_footer(self.root / part.path, part.size)
        except ObjectStoreError:
            raise
        except HistoryError as wrong:
            raise self.unreadable(part, str(wrong)) from None
        self.require_rows(part, footer.rows)
        return footer

    def local_file(self, part: PartEntry) -> Path:
        """The file of a part in a folder; raises HistoryError for one that is gone or has another length.

        Readers take whatever file has the name of a part: one that was cut or put in its place may be whole.
        """
        assert isinstance(self.root, Path), "an object has no file"
        file = self.root / part.path
        try:
            state = file.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise self.unreadable(part, "is not there") from None
        if not S_ISREG(state.st_mode):
            raise self.unreadable(part, "is no file")
        if state.st_size != part.size:
            what = f"cannot be read: it has {state.st_size:,} bytes, and {part.size:,} were committed"
            raise self.unreadable(part, what)
        return file

    def require_rows(self, part: PartEntry, rows: int) -> None:
        """Raise HistoryError where a part has another number of rows than its table says."""
        if rows != part.rows:
            raise self.unreadable(part, f"has {rows:,} rows: it is another file")

    def footers(self, parts: Sequence[PartEntry]) -> list[PartFooter]:
        """What the footers of some parts say, as `footer`; those of objects are read several at once."""
        if isinstance(self.root, Path) or len(parts) == 1:
            return [self.footer(part) for part in parts]
        with ThreadPoolExecutor(READ_AT_ONCE) as reading:
            return list(reading.map(self.footer, parts))

    def key_rows(self, parts: Sequence[PartEntry]) -> Mapping[bytes, int]:
        """The rows of each message key in these parts."""
        rows: dict[bytes, int] = {}
        for footer in self.footers(parts):
            for key, count in footer.keys.items():
                rows[key] = rows.get(key, 0) + count
        return rows

    def unreadable(self, part: PartEntry, what: str) -> HistoryError:
        """What to raise of a part that cannot be read."""
        return HistoryError(
            f"{self.root / part.path}, of version {self.version}, with {part.rows:,} rows, {what}: run "
            "`python -m replay verify` to see all such parts"
        )


def catalogue_of(actions: pa.Table, buckets: int) -> pa.Table:
    """The catalogue of live parts, as a table's log lists them; `buckets` of parts whose names do not say."""
    columns = {
        "path": "path",
        "buckets": "path",
        "date": f"partition.{DATE}",
        "bucket": f"partition.{BUCKET}",
        "size": "size_bytes",
        "rows": "num_records",
    }
    for clock in (EVENT_NS, KNOWN_NS):
        columns |= {f"first_{clock}": f"min.{clock}", f"last_{clock}": f"max.{clock}"}
    made = {kind.name: _column(actions, columns[kind.name], kind) for kind in CATALOGUE}
    made["buckets"] = pc.fill_null(made["buckets"], buckets)
    return pa.Table.from_pydict(made, schema=CATALOGUE)


def _column(actions: pa.Table, name: str, wanted: pa.Field) -> pa.ChunkedArray:
    """A column of the live parts; one that no part has a value of is null."""
    if name not in actions.column_names:
        return pa.chunked_array([pa.nulls(actions.num_rows, wanted.type)])
    column = actions.column(name)
    if wanted.name == "buckets":
        column = pc.struct_field(pc.extract_regex(column.cast(pa.string()), AMONG), "buckets")
    return column.cast(wanted.type)


def entries(catalogue: pa.Table, among: Bools | None = None) -> Iterator[PartEntry]:
    """The parts of a catalogue: all of them, or those where `among` is true."""
    described = catalogue.select(PartEntry._fields)
    if among is not None:
        described = described.take(pa.array(np.flatnonzero(among)))
    return map(PartEntry, *(column.to_pylist() for column in described.columns))
