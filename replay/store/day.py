"""One stream of one day: what it holds, as a small JSON file says, and its rows in publish order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.dates import NEW_YORK
from replay.errors import HistoryError
from replay.store.objects import Folder
from schemas.clocks import EVENT_NS, KNOWN_NS, Clock, clock_column
from schemas.stream import Stream

SUMMARY_FILE: Final = "_day.json"
BATCH_ROWS: Final = 65_536
REPEATED_SIZE_MAX: Final = 3  # bytes a row, before compression: a number of one word among some thousands


@dataclass(frozen=True, slots=True)
class Source:
    """A file that rows came from; its size and modification time tell whether it has changed since.

    `path` is where it lay, empty where an earlier version did not write that down.
    """

    name: str
    size: int
    modified_ns: int
    path: str = ""

    def same_file(self, other: "Source") -> bool:
        """Whether it is the same file, unchanged, wherever it lies now."""
        return (self.name, self.size, self.modified_ns) == (other.name, other.size, other.modified_ns)

    def lies_in(self, folder: Path) -> bool:
        """Whether it lay in this folder (a resolved path), or in one inside it."""
        return bool(self.path) and Path(self.path).is_relative_to(folder)


@dataclass(frozen=True, slots=True)
class ClockSummary:
    """One clock over a day: first and last time, rows without it, and its disorder.

    `disorder_ns` is the farthest a row trails the newest row before it in publish order.
    """

    first_ns: int
    last_ns: int
    nulls: int
    disorder_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DaySummary:
    """What `_day.json` says.  A day is there when this file is, and `parts` are the files that make it.

    `order` names the clock its rows are published by; `clocks` has an entry per time column with any value;
    `keys` counts distinct message keys; `digest` is the part's SHA-256; `made` says how the day came here,
    so that none is made twice.
    """

    stream: str
    date: str
    rows: int
    keys: int
    key: tuple[str, ...]
    sequence: str | None
    order: Clock
    clocks: Mapping[str, ClockSummary]
    sources: tuple[Source, ...]
    made: Mapping[str, str]
    parts: tuple[str, ...]
    digest: str

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "DaySummary":
        """Read the text of the file; raises ValueError, KeyError or TypeError where it is not one."""
        fields: dict[str, Any] = json.loads(text)
        fields["clocks"] = {name: ClockSummary(**clock) for name, clock in fields["clocks"].items()}
        fields["sources"] = tuple(Source(**source) for source in fields["sources"])
        fields["key"], fields["parts"] = tuple(fields["key"]), tuple(fields["parts"])
        return cls(**fields)


class Day:
    """A day of one stream; its rows are read when they are asked for."""

    def __init__(self, folder: Folder, summary: DaySummary) -> None:
        self._folder = folder
        self.summary = summary

    @property
    def date(self) -> str:
        """The day, YYYY-MM-DD."""
        return self.summary.date

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.summary.rows

    @cached_property
    def stream(self) -> Stream:
        """The stream with this day's columns."""
        with self._open(self.summary.parts[0]) as part:
            schema = part.schema_arrow.remove_metadata()
        return Stream(
            name=self.summary.stream, schema=schema, key=self.summary.key, sequence=self.summary.sequence
        )

    @property
    def zone(self) -> str:
        """The time zone whose calendar day it is; a day that names none is New York's."""
        return self.summary.made.get("timezone", NEW_YORK)

    @property
    def root(self) -> Folder:
        """The folder of the store it is in."""
        return self._folder.parent.parent

    @property
    def files(self) -> tuple[Path, ...]:
        """The Parquet files with its rows, in their order."""
        assert isinstance(self._folder, Path), "objects are no files"
        return tuple(self._folder / name for name in self.summary.parts)

    def files_in(self, scratch: Path) -> tuple[Path, ...]:
        """Parquet files with its rows in their order; a day of a table writes one below `scratch`."""
        del scratch
        return self.files

    def disorder_ns(self, clock: Clock) -> int:
        """How far a row trails the newest before it in publish order, at most, on this clock."""
        summary = self.summary.clocks.get(clock_column(clock))
        return 0 if summary is None else summary.disorder_ns

    def __str__(self) -> str:
        """What to print: stream, date, rows, keys."""
        return f"{self.summary.stream} {self.date}: {self.rows:,} rows, {self.summary.keys:,} symbols"

    def batches(
        self,
        columns: list[str] | None = None,
        rows: int = BATCH_ROWS,
        start: int = 0,
        *,
        words: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows from `start` on in publish order, at most `rows` at a time.

        `columns` keeps the schema's order; row groups before `start` are not read.  With `words` text that
        repeats comes as a dictionary, which is read in less than half the time.
        """
        for name in self.summary.parts:
            repeated = self._repeated(name) if words else []
            with self._open(name, repeated) as part:
                groups: list[int] = []
                for group in range(part.num_row_groups):
                    size = part.metadata.row_group(group).num_rows
                    if not groups and start >= size:
                        start -= size
                    else:
                        groups.append(group)
                for batch in part.iter_batches(batch_size=rows, row_groups=groups, columns=columns):
                    skipped = min(start, batch.num_rows)
                    start -= skipped
                    if skipped < batch.num_rows:
                        yield batch.slice(skipped).replace_schema_metadata(None)

    def times(self) -> pa.Table:
        """Return the time columns of the whole day."""
        names = [name for name in self.stream.schema.names if name in (EVENT_NS, KNOWN_NS)]
        schema = pa.schema([self.stream.schema.field(name) for name in names])
        return pa.Table.from_batches(self.batches(columns=names), schema=schema)

    def _repeated(self, name: str) -> list[str]:
        """The text columns of a file whose values take it hardly any room, since there are few."""
        with self._open(name) as part:
            if part.num_row_groups == 0:
                return []
            group = part.metadata.row_group(0)
            held = [group.column(place) for place in range(group.num_columns)]
            texts = {field.name for field in part.schema_arrow if pa.types.is_string(field.type)}
        return [
            column.path_in_schema
            for column in held
            if column.path_in_schema in texts
            and column.total_uncompressed_size < REPEATED_SIZE_MAX * group.num_rows
        ]

    def _open(self, name: str, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._folder / name, read_dictionary=list(dictionaries))
        except (OSError, pa.ArrowInvalid) as broken:
            raise HistoryError(
                f"{self._folder / name} cannot be read ({broken}): "
                f"delete {self._folder} and import the day again"
            ) from None
