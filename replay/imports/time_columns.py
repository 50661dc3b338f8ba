"""Which column is which clock, and its values as int64 UTC nanoseconds, exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import SourceError
from replay.imports.options import ImportOptions
from replay.imports.units import BOUNDS, PER_UNIT, WORDS, as_date, units_of
from replay.order import as_array, as_int64s
from replay.zones import wall_instants_ns
from schemas.batch import Bools, Int64s
from schemas.clocks import EVENT_NS, KNOWN_NS

# The first of these that a file has is the clock; the others pass through as they are.
EVENT_NAMES: Final = (EVENT_NS, "ts_ns", "event_ts_ns")
KNOWN_NAMES: Final = (KNOWN_NS, "recv_ts_ns")
NO_TIME: Final = (-(2**63), 0, 2**63 - 1)  # NaT, "unknown" and "never" of those who have no nulls

Wall = Literal["zoned", "naive", "count"]

_ISO: Final = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.]\d{1,9})?)?)?(Z|[+-]\d{2}(:?\d{2})?)?$"
_OFFSET: Final = r"[T ].*\d(Z|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True, slots=True)
class WrongTimes:
    """Rows whose time cannot be taken: why, which (one bool a row), and what the first of them holds.

    `stated` says that an option would have them read; a file of nothing else is refused.
    """

    reason: str
    rows: Bools
    first: str
    stated: bool = True


@dataclass(frozen=True, slots=True)
class Times:
    """A clock's values: int64 UTC ns, null where there is none; what is wrong; which are a mark for none."""

    column: pa.ChunkedArray
    wrong: list[WrongTimes]
    no_time: Bools


def find_clocks(
    schema: pa.Schema, file: str, *, event: str | None = None, known: str | None = None
) -> dict[str, str]:
    """Return {column of the file: `event_ns` or `known_ns`}, event first.

    `event` and `known` name the columns outright.  Raises SourceError where there is none, where one that
    was named is missing, where a type cannot be a time, or where a new name is taken already.
    """
    clocks: dict[str, str] = {}
    for clock, named, names in ((EVENT_NS, event, EVENT_NAMES), (KNOWN_NS, known, KNOWN_NAMES)):
        if named is not None and named not in schema.names:
            raise SourceError(f"{file} has no column {named!r}; it has {', '.join(schema.names)}")
        column = named or next((name for name in names if name in schema.names and name not in clocks), None)
        if column is None:
            continue
        if column in clocks:
            raise SourceError(f"{file}: column {column!r} cannot be both clocks")
        if column != clock and clock in schema.names and clock not in (event, known):
            raise SourceError(
                f"{file}: {column!r} would become {clock}, but there is a column {clock} already"
            )
        _require_time(schema.field(column), file)
        clocks[column] = clock
    if not clocks:
        raise SourceError(
            f"{file} has no time column: expected {' or '.join(EVENT_NAMES)} "
            f"(or, for the receiver's clock, {' or '.join(KNOWN_NAMES)}), int64 UTC ns or a timestamp; "
            f"it has {', '.join(schema.names)}; name another with --event or --known"
        )
    return clocks


def convert_clocks(rows: pa.Table, clocks: Mapping[str, str], file: str) -> pa.Table:
    """Return rows with their clocks renamed and as int64 ns, taken as they stand: a naive timestamp is UTC.

    For files that an import has been through already.  Raises SourceError for text, and where a time does not
    fit into int64 nanoseconds.
    """
    for name, clock in clocks.items():
        place = rows.schema.names.index(name)
        column = rows.column(place)
        if is_text(column.type):
            raise SourceError(f"{file}: column {name!r} is text: import the file, which reads it as times")
        if pa.types.is_timestamp(column.type):
            column = _cast(column, pa.timestamp("ns", column.type.tz), name, file)
        rows = rows.set_column(place, pa.field(clock, pa.int64()), _cast(column, pa.int64(), name, file))
    return rows


def wall_of(values: pa.ChunkedArray, options: ImportOptions) -> Wall:
    """Whether a clock has a zone, has none, or counts from 1970; of text, the first value tells."""
    kind = values.type
    if pa.types.is_timestamp(kind):
        return "naive" if kind.tz is None else "zoned"
    if not is_text(kind):
        return "count"
    if options.time_format is not None:
        return "zoned" if "%z" in options.time_format else "naive"
    first = values.drop_null().slice(0, 1)
    zoned = pc.match_substring_regex(first, _OFFSET).to_pylist()
    return "zoned" if zoned == [True] else "naive"


def read_times(values: pa.ChunkedArray, name: str, file: str, wall: Wall, options: ImportOptions) -> Times:
    """Return a clock's values; `file` and `name` are for messages, `wall` is the column's in the whole file.

    Raises SourceError where a time does not fit into int64 nanoseconds.
    """
    kind = values.type
    wrong: list[WrongTimes] = []
    if is_text(kind):
        values, wrong = _parsed(values, name, wall, options)
    elif pa.types.is_timestamp(kind):
        values = _cast(values, pa.timestamp("ns", kind.tz), name, file)
    else:
        values = _cast(values, pa.int64(), name, file)
    timed = as_array(values.is_valid()).astype(np.bool_)
    counts = as_int64s(pc.fill_null(values.cast(pa.int64()), 0))
    no_time = timed & np.isin(counts, NO_TIME)
    timed &= ~no_time
    unit = options.unit if pa.types.is_integer(kind) else "ns"
    times_ns, doubts = _in_nanoseconds(counts, timed, name, unit, counted=pa.types.is_integer(kind))
    if wall == "naive":
        times_ns, more = _placed(times_ns, timed, name, options.naive_as or "UTC")
        doubts += more
    column = pa.chunked_array([pa.array(times_ns, mask=~timed)])
    return Times(column, wrong + doubts, no_time)


def is_text(kind: pa.DataType) -> bool:
    """Whether values are text, in one of its encodings."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _require_time(field: pa.Field, file: str) -> None:
    kind = field.type
    if not (
        pa.types.is_integer(kind) or pa.types.is_timestamp(kind) or pa.types.is_null(kind) or is_text(kind)
    ):
        raise SourceError(
            f"{file}: column {field.name!r} is {kind}, expected int64 UTC nanoseconds (or another whole "
            "number, see --unit), an Arrow timestamp, or text (see --time-format)"
        )


def _cast(values: pa.ChunkedArray, kind: pa.DataType, name: str, file: str) -> pa.ChunkedArray:
    try:
        return values.cast(kind)
    except pa.ArrowInvalid as overflow:
        raise SourceError(
            f"{file}: column {name!r} ({values.type}) has a time beyond int64 ns: {overflow}"
        ) from None


def _in_nanoseconds(
    counts: Int64s, timed: Bools, name: str, unit: str, *, counted: bool
) -> tuple[Int64s, list[WrongTimes]]:
    """Return counts times their unit, 0 where they are none, and those in another unit, or in none."""
    units, names = units_of(counts), list(PER_UNIT)
    per = np.array([*PER_UNIT.values(), 0], dtype=np.int64)  # the last for no unit at all, which is -1
    taken = units if unit == "auto" else np.full(counts.size, names.index(unit), dtype=np.int32)
    good = timed & (units == taken) & (units >= 0)
    wrong = []
    for code, other in enumerate(names if unit != "auto" else ()):
        rows = timed & (units == code) & ~good
        if other == unit or not rows.any():
            continue
        flag = f"give --unit {other}, or --unit auto where units are mixed"
        first = int(counts[rows][0])
        wrong.append(
            WrongTimes(
                f"{name} is in {WORDS[other]}, not {WORDS[unit]}: "
                + (flag if counted else "give the column its own unit"),
                rows,
                f"{first}, which is {as_date(first, unit)} in {WORDS[unit]} and {as_date(first, other)} in "
                f"{WORDS[other]}"
                if other != "ns"
                else f"{first}, which is {as_date(first, other)} in {WORDS[other]}",
            )
        )
    outside = timed & (units < 0)
    if outside.any():
        wrong.append(WrongTimes(f"{name} {BOUNDS}", outside, str(counts[outside][0]), stated=False))
    return np.where(good, counts, 0) * per[np.where(good, taken, -1)], wrong


def _placed(wall_ns: Int64s, timed: Bools, name: str, zone: str) -> tuple[Int64s, list[WrongTimes]]:
    instants, none = wall_instants_ns(wall_ns, zone)
    rows = np.zeros(wall_ns.size, dtype=np.bool_)
    rows[none] = True
    rows &= timed
    if not rows.any():
        return instants, []
    first = np.datetime64(int(wall_ns[rows][0]), "ns")
    reason = f"{name} is no single moment in {zone}, where clocks were changed"
    return instants, [WrongTimes(reason, rows, str(first), stated=False)]


def _parsed(
    values: pa.ChunkedArray, name: str, wall: Wall, options: ImportOptions
) -> tuple[pa.ChunkedArray, list[WrongTimes]]:
    """Return text as timestamps, null where it is none, and those rows."""
    values = values.cast(pa.string())
    if options.time_format is None:
        how = f"ISO 8601 {'with' if wall == 'zoned' else 'without'} a zone: state another with --time-format"
        times = _parsed_iso(values, wall)
    else:
        how = f"as --time-format {options.time_format!r}"
        # Python's %f is a fraction; here it would be a count of nanoseconds.
        layout = options.time_format.replace(".%f", "%.f")
        text = pl.Series(values)
        try:
            times = text.str.to_datetime(layout, time_unit="ns", strict=False).to_arrow()
        except pl.exceptions.PolarsError as broken:
            raise SourceError(f"--time-format {options.time_format!r} is no format: {broken}") from None
        times = pa.chunked_array([times])
    rows = as_array(values.is_valid()).astype(np.bool_) & as_array(times.is_null()).astype(np.bool_)
    if not rows.any():
        return times, []
    first = values.filter(pa.array(rows))[0].as_py()
    return times, [WrongTimes(f"{name} is not a time in {how}", rows, repr(first))]


def _parsed_iso(values: pa.ChunkedArray, wall: Wall) -> pa.ChunkedArray:
    kind = pa.timestamp("ns", "UTC" if wall == "zoned" else None)
    fits = pc.match_substring_regex(values, _ISO)
    zoned = pc.match_substring_regex(values, _OFFSET)
    fits = pc.and_(fits, zoned if wall == "zoned" else pc.invert(zoned))
    values = pc.if_else(fits, values, pa.scalar(None, pa.string()))
    try:
        return values.cast(kind)
    except pa.ArrowInvalid:  # a month 13, a year beyond nanoseconds: one by one, which is rare
        return pa.chunked_array([pa.concat_arrays([_one(text, kind) for text in values])])


def _one(text: pa.Scalar, kind: pa.DataType) -> pa.Array:
    try:
        return pa.array([text.as_py()], pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return pa.nulls(1, kind)
