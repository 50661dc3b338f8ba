"""A snapshot: the parts that one version of a table is made of, which is the catalogue of its history."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from replay.errors import HistoryError
from replay.store.part import FOOTER_KEY, PartFooter
from replay.store.places import TableRules
from schemas.clocks import EVENT_NS, KNOWN_NS

FOOTERS_REMEMBERED_MAX: Final = 65_536  # parts never change, so each footer is read once; about 2 kB each

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

    root: Path
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
        return sum(self.catalogue.column("rows").to_pylist())

    def dates(self) -> list[str]:
        """The days that have a part, oldest first."""
        return sorted(set(self.catalogue.column("date").to_pylist()))

    def footer(self, part: PartEntry) -> PartFooter:
        """What a part's footer says; raises HistoryError naming a part that is gone or broken."""
        try:
            return read_footer(self.root / part.path)
        except HistoryError as wrong:
            raise HistoryError(
                f"{self.root / part.path}, of version {self.version}, with {part.rows:,} rows, {wrong}: "
                "run `python -m replay verify` to see all such parts"
            ) from None

    def key_rows(self, parts: list[PartEntry]) -> Mapping[bytes, int]:
        """The rows of each message key in these parts."""
        rows: dict[bytes, int] = {}
        for part in parts:
            for key, count in self.footer(part).keys.items():
                rows[key] = rows.get(key, 0) + count
        return rows


def entries(catalogue: pa.Table) -> Iterator[PartEntry]:
    """The parts of a catalogue, or of some rows of it."""
    columns = [catalogue.column(name).to_pylist() for name in PartEntry._fields]
    return (PartEntry(*values) for values in zip(*columns, strict=True))


@lru_cache(maxsize=FOOTERS_REMEMBERED_MAX)
def read_footer(path: Path) -> PartFooter:
    """Read the footer of a part; raises HistoryError saying what is wrong with it."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except FileNotFoundError:
        raise HistoryError("is not there") from None
    except (OSError, pa.ArrowInvalid) as broken:
        raise HistoryError(f"cannot be read ({broken})") from None
    if FOOTER_KEY not in metadata:
        raise HistoryError("is no part of a history: its footer does not say what it holds")
    return PartFooter.from_json(metadata[FOOTER_KEY])
