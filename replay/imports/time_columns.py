"""Which column is which clock, and its values as int64 UTC nanoseconds, exactly."""

from collections.abc import Mapping
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from replay.errors import SourceError
from schemas.clocks import EVENT_NS, KNOWN_NS

# The first of these that a file has is the clock; the others pass through as they are.
EVENT_NAMES: Final = (EVENT_NS, "ts_ns", "event_ts_ns")
KNOWN_NAMES: Final = (KNOWN_NS, "recv_ts_ns")


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
    """Return the rows with their clocks renamed and as int64 ns; a naive timestamp is UTC.

    Raises SourceError where a time does not fit into int64 nanoseconds.
    """
    for name, clock in clocks.items():
        place = rows.schema.names.index(name)
        column = rows.column(place)
        if pa.types.is_timestamp(column.type):
            try:
                column = column.cast(pa.timestamp("ns", column.type.tz)).cast(pa.int64())
            except pa.ArrowInvalid as overflow:
                raise SourceError(
                    f"{file}: column {name!r} ({column.type}) has a time beyond int64 ns: {overflow}"
                ) from None
        rows = rows.set_column(place, pa.field(clock, pa.int64()), column)
    return rows


def outside(times: pa.ChunkedArray, lower_ns: int, upper_ns: int) -> pa.ChunkedArray:
    """Return which times are given and not in [lower_ns, upper_ns); never null."""
    wrong = pc.or_(pc.less(times, lower_ns), pc.greater_equal(times, upper_ns))
    return pc.fill_null(wrong, False)


def _require_time(field: pa.Field, file: str) -> None:
    if field.type != pa.int64() and not pa.types.is_timestamp(field.type):
        raise SourceError(
            f"{file}: column {field.name!r} is {field.type}, "
            f"expected int64 UTC nanoseconds or an Arrow timestamp"
        )
