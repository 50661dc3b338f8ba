"""A file somebody else wrote, read as rows of a stream: columns and clocks renamed, bad rows set aside."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError, SourceError
from replay.imports.columns import choose_columns, plain_type, plain_values, why_not
from replay.imports.files import Place
from replay.imports.formats import open_table
from replay.imports.options import ImportOptions
from replay.imports.time_columns import (
    EVENT_NAMES,
    KNOWN_NAMES,
    Times,
    Wall,
    find_clocks,
    is_text,
    read_times,
    wall_of,
)
from replay.order import as_array, order_times
from replay.store.day import Source
from replay.zones import local_days
from schemas.batch import Bools, Int32s, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS, SOURCE, ZONE

MARKET_SYMBOL: Final = ("market", "symbol")
SEQUENCE: Final = "sequence"


@dataclass(frozen=True, slots=True)
class BadRows:
    """Rows of one file that are not imported, for one reason; row 1 is the file's first.

    `first` is what the first of them holds, where that says more; `stated` that an option would read them.
    """

    file: str
    reason: str
    rows: Int64s
    first: str = ""
    stated: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """The good rows of one group, in file order, the local day of each, the bad ones, and marks for no time.

    `no_time` counts, per clock, values that stand for none, in rows that are good by another clock.
    """

    rows: pa.Table
    days: Int32s
    bad: list[BadRows]
    no_time: dict[str, int]


class SourceFile:
    """One file of a stream.  Opening it checks its columns and raises SourceError for what is wrong.

    A file without rows says nothing: its columns are not looked at, and it has none here.
    """

    def __init__(self, place: Place, options: ImportOptions, scratch: Path) -> None:
        self.path, self.name = place.path, place.name
        self._options = options
        key = options.key or MARKET_SYMBOL
        text = (*key, *(old for old, new in options.renames.items() if new in key))
        self._table = open_table(place.path, place.format, text, scratch)
        stat = place.path.stat()
        self.source = Source(place.name, stat.st_size, stat.st_mtime_ns, str(place.origin))
        names = self._table.schema.names
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SourceError(f"{self.path} has columns twice: {', '.join(twice)}")
        self._partition = {name: value for name, value in place.partition if name not in names}
        of_path = [pa.field(name, pa.string()) for name in self._partition]
        self.present = frozenset((*names, *self._partition))
        self.rows = sum(self._table.group_rows)
        self._schema = pa.schema([*self._table.schema, *of_path]) if self.rows else pa.schema([])
        clocks = (*EVENT_NAMES, *KNOWN_NAMES, *self._table.clocks.values(), options.event, options.known)
        self._columns = choose_columns(
            self._schema, self.name, options, frozenset(name for name in (*text, *clocks, SEQUENCE) if name)
        )
        self._schema = pa.schema(
            [
                self._schema.field(old).with_name(new).remove_metadata()
                for old, new in self._columns.names.items()
            ]
        )
        self.clocks: dict[str, str] = {}
        self.walls: dict[str, Wall] = {}
        if self.rows:
            event, known = self._clock(EVENT_NS, options.event), self._clock(KNOWN_NS, options.known)
            self.clocks = find_clocks(self._schema, str(self.path), event=event, known=known)
            self._require_values()
            self._require_carried()
            self.walls = {name: self._wall(name) for name in self.clocks}

    @property
    def schema(self) -> pa.Schema:
        """The columns as they will be: clocks renamed, each in its plain type, in the file's order."""
        return pa.schema([self._field(field) for field in self._schema])

    @property
    def notes(self) -> list[str]:
        """What was decided about columns, a line each."""
        lines = [f"{self.name}: {name} is {clock}" for name, clock in self.clocks.items() if name != clock]
        lines += [f"{self.name}: {note}" for note in self._table.notes]
        lines += self._columns.notes
        for field in self._schema:
            plain = self._field(field)
            other_kind = isinstance(field.type, pa.BaseExtensionType) or field.name == SEQUENCE
            if field.name not in self.clocks and other_kind and plain.type != field.type:
                lines.append(f"{self.name}: {field.name} is {field.type}, kept as {plain.type}")
        if SEQUENCE in self._schema.names and self.schema.field(SEQUENCE).type != pa.int64():
            kind = self._schema.field(SEQUENCE).type
            lines.append(f"{self.name}: {SEQUENCE} is {kind}, no whole number: it does not order rows")
        return lines

    def clock_type(self, name: str) -> str:
        """The type of a clock's column as it is in the file, with the unit of whole numbers."""
        kind = self._schema.field(name).type
        if pa.types.is_integer(kind):
            return f"{kind} in {self._options.unit}"
        return "text" if is_text(kind) else str(kind)

    def find(self, name: str) -> str:
        """The history's name of a column that an option names by either."""
        return self._columns.find(name) or name

    def has_text(self, column: str) -> bool:
        """Whether there is such a column, of strings."""
        return column in self._schema.names and is_text(self._schema.field(column).type)

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
        """Yield these groups of rows, or all, whole."""
        return self._read(key, zone, groups, list(self._schema.names))

    def clock_parts(self, key: tuple[str, ...], zone: str) -> Iterator[Part]:
        """Yield all groups with nothing but their clocks and key: enough to know days and bad rows."""
        return self._read(key, zone, None, [*self.clocks, *key])

    def _clock(self, clock: str, stated: str | None) -> str | None:
        """Return the column that is this clock outright: as an option says, or the file's format."""
        if stated is not None:
            return self._columns.find(stated)
        of_format = self._table.clocks.get(clock)
        if of_format is None or clock in self._schema.names:
            return None
        return self._columns.names.get(of_format)

    def _require_carried(self) -> None:
        fields = [field for field in self.schema if field.name not in self.clocks.values()]
        reasons = {field.name: reason for field in fields if (reason := why_not(field)) is not None}
        if reasons:
            old = [old for old, new in self._columns.names.items() if new in reasons]
            flags = " ".join(f"--drop {name!r}" for name in old)
            raise SourceError(
                f"{self.path}: {'; '.join(reasons.values())}: leave out what is not needed with {flags}, "
                "or write it as one column per value"
            )

    def _require_values(self) -> None:
        clocks = sorted(self._columns.values.names & set(self.clocks))
        if clocks:
            raise SourceError(f"{self.path}: {clocks[0]} is a clock, which takes no factor and no default")
        for field in self._schema:
            try:
                self._columns.values.type_of(field.name, plain_type(field.type))
            except HistoryError as refused:
                raise SourceError(f"{self.path}: {refused}") from None

    def _field(self, field: pa.Field) -> pa.Field:
        if field.name in self.clocks:
            return pa.field(self.clocks[field.name], pa.int64(), metadata=self._source(field))
        if field.name == SEQUENCE and pa.types.is_integer(plain_type(field.type)):
            return field.with_type(pa.int64())
        return field.with_type(self._columns.values.type_of(field.name, plain_type(field.type)))

    def _source(self, field: pa.Field) -> dict[bytes, bytes]:
        """What a clock was in its file: its column there and, where they are known, its zone."""
        old = next(old for old, new in self._columns.names.items() if new == field.name)
        zone = field.type.tz if pa.types.is_timestamp(field.type) else None
        if self.walls.get(field.name) == "naive":
            zone = self._options.naive_as
        return {SOURCE: old.encode()} | ({ZONE: zone.encode()} if zone else {})

    def _wall(self, name: str) -> Wall:
        """Whether a clock has a zone; of text, the first value tells."""
        kind = self._schema.field(name).type
        if not is_text(kind):
            return wall_of(pa.chunked_array([], type=kind), self._options)
        for rows in self._groups(range(len(self._table.group_rows)), [name]):
            values = plain_values(rows.column(name), name, str(self.path))
            if values.null_count < len(values):
                return wall_of(values, self._options)
        return "count"

    def _groups(self, numbers: range | list[int], columns: list[str]) -> Iterator[pa.Table]:
        """Yield groups under the history's names; what a library raises becomes a SourceError."""
        old = [name for name, new in self._columns.names.items() if new in columns]
        in_file = [name for name in old if name not in self._partition]
        try:
            for rows in self._table.groups(list(numbers), in_file):
                size = rows.num_rows
                arrays = [
                    pa.chunked_array([pa.array([self._partition[name]] * size, pa.string())])
                    if name in self._partition
                    else rows.column(name)
                    for name in old
                ]
                yield pa.Table.from_arrays(arrays, names=[self._columns.names[name] for name in old])
        except (OSError, pa.ArrowException) as broken:
            raise SourceError(f"{self.path} cannot be read: {broken}") from None

    def _read(
        self, key: tuple[str, ...], zone: str, groups: list[int] | None, columns: list[str]
    ) -> Iterator[Part]:
        numbers = list(range(len(self._table.group_rows))) if groups is None else groups
        for number, rows in zip(numbers, self._groups(numbers, columns), strict=True):
            yield self._part(rows, key, zone, sum(self._table.group_rows[:number]))

    def _part(self, raw: pa.Table, key: tuple[str, ...], zone: str, before: int) -> Part:
        times = {
            clock: read_times(raw.column(name), name, str(self.path), self.walls[name], self._options)
            for name, clock in self.clocks.items()
        }
        fields = [self._field(self._schema.field(name)) for name in raw.schema.names]
        columns = [
            times[field.name].column
            if name in self.clocks
            else self._values(raw.column(name), name, field.type)
            for name, field in zip(raw.schema.names, fields, strict=True)
        ]
        rows = pa.Table.from_arrays(columns, schema=pa.schema(fields))
        good = np.ones(rows.num_rows, dtype=np.bool_)
        bad = []
        for reason, wrong, first, stated in self._checks(rows, key, times):
            broken = wrong & good
            good &= ~broken
            if broken.any():
                bad.append(BadRows(self.name, reason, np.flatnonzero(broken) + before + 1, first, stated))
        if bad:
            rows = rows.filter(pa.array(good))
        days = local_days(order_times(rows, "event"), zone) if rows.num_rows else np.empty(0, dtype=np.int32)
        no_time = {clock: int(np.count_nonzero(values.no_time & good)) for clock, values in times.items()}
        return Part(rows, days, bad, no_time)

    def _values(self, values: pa.ChunkedArray, name: str, kind: pa.DataType) -> pa.ChunkedArray:
        plain = plain_values(values, name, str(self.path))
        try:
            plain = self._columns.values.apply(name, plain)
        except HistoryError as refused:
            raise SourceError(f"{self.path}: {refused}") from None
        if plain.type == kind:
            return plain
        try:
            return plain.cast(kind)
        except pa.ArrowInvalid:
            raise SourceError(
                f"{self.path}: column {name!r} ({values.type}) has a number beyond int64, which cannot order "
                f"rows: give it another name with --rename {name}=NEW"
            ) from None

    @staticmethod
    def _checks(
        rows: pa.Table, key: tuple[str, ...], times: dict[str, Times]
    ) -> Iterator[tuple[str, Bools, str, bool]]:
        """Yield why rows are bad, which, what the first holds, and whether an option would read them."""
        for name in key:
            yield f"null {name}", as_array(rows.column(name).is_null()).astype(np.bool_), "", False
        for values in times.values():
            for wrong in values.wrong:
                yield wrong.reason, wrong.rows, wrong.first, wrong.stated
        missing = np.ones(rows.num_rows, dtype=np.bool_)
        marks = np.zeros(rows.num_rows, dtype=np.bool_)
        for values in times.values():
            missing &= as_array(values.column.is_null()).astype(np.bool_)
            marks |= values.no_time
        clocks = " and no ".join(times)
        yield f"no {clocks}: 0 and the ends of int64 are no time", missing & marks, "", False
        yield f"no {clocks}", missing, "", False
