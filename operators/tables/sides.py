"""The inputs of one join as the kernels take them: times, group codes, and what they give together."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from operators.rows.views import frozen, validity_bits
from operators.tables.gather import decoded
from operators.tables.keys import Codes, blank, encode_keys
from operators.tables.settings import AsofError, AsofSettings
from operators.tables.threads import Workers
from operators.tables.times import INT64_MAX, Times, read_times
from operators.tables.walk import Side


@dataclass(frozen=True, slots=True)
class AsofInputs:
    """One left table and its right ones: times in nanoseconds and codes of one set of groups.

    The left side is read, ordered and encoded once for all right tables.
    """

    left: Times
    rights: dict[str, Times]
    codes: Codes | None

    @property
    def row_count(self) -> int:
        """How many rows of all tables take part."""
        return self.left.count + sum(times.count for times in self.rights.values())

    @property
    def group_count(self) -> int:
        """How many groups there are; codes beyond match nothing."""
        return 1 if self.codes is None else self.codes.group_count

    def left_side(self) -> Side:
        """Return the left table as the kernels take it."""
        code = None if self.codes is None else self.codes.left
        return Side(self.left.ns, code, self.left.order, self.left.count)

    def right_side(self, stream: str) -> Side:
        """Return a right table as the kernels take it."""
        times = self.rights[stream]
        code = None if self.codes is None else self.codes.rights[stream]
        return Side(times.ns, code, times.order, times.count)

    def valued_side(self, stream: str, column: pa.ChunkedArray) -> Side:
        """Return a right table with only those rows in a group where a column of it is not null.

        Its last value up to a match is then the match in these rows, and a tolerance counts from them.
        """
        right = self.right_side(stream)
        code = np.zeros(len(column), np.int32) if right.code is None else right.code.copy()
        row = 0
        for piece in decoded(column).chunks:
            blank(piece, code[row : row + len(piece)])
            row += len(piece)
        return replace(right, code=frozen(code))


def has_nulls(column: pa.ChunkedArray) -> bool:
    """Whether some value of a column is null that another one could stand in for."""
    return any(validity_bits(piece) is not None for piece in decoded(column).chunks)


def read_inputs(
    left: pa.Table, rights: dict[str, pa.Table], settings: AsofSettings, workers: Workers
) -> AsofInputs:
    """Read the time, group and sequence columns; raises AsofError where they cannot be joined on."""
    name = settings.on
    require_zones_or_none(name, left, rights)
    left_times = read_times("the left table", name, left.column(name), None, workers)
    right_times = {
        stream: read_times(
            f"the right table {stream!r}",
            name,
            right.column(name),
            None if settings.sequence is None else right.column(settings.sequence),
            workers,
        )
        for stream, right in rights.items()
    }
    known = [times for times in (left_times, *right_times.values()) if times.count > 0]
    if known:
        lower, upper = min(times.lower_ns for times in known), max(times.upper_ns for times in known)
        if upper - lower > INT64_MAX:
            raise AsofError(
                f"{name} runs from {lower} to {upper} over the tables: an age would not fit int64 nanoseconds"
            )
    return AsofInputs(left_times, right_times, encode_keys(left, rights, settings.by, workers))


def require_zones_or_none(name: str, left: pa.Table, rights: dict[str, pa.Table]) -> None:
    """Raise AsofError where some tables have timestamps with a zone and others without, naming one of each.

    As pandas and Polars: 09:30 on a wall clock is another moment in each zone.  Zones may differ, since a
    moment is the same in all; int64 is UTC, and numpy's view of a timestamp without a zone.
    """
    columns = {"the left table": left, **{f"the right table {s!r}": right for s, right in rights.items()}}
    stamps = {what: table.schema.field(name).type for what, table in columns.items()}
    stamps = {what: kind for what, kind in stamps.items() if pa.types.is_timestamp(kind)}
    zoned = [what for what, kind in stamps.items() if kind.tz is not None]
    naive = [what for what, kind in stamps.items() if kind.tz is None]
    if zoned and naive:
        raise AsofError(
            f"{name} is {stamps[naive[0]]} in {naive[0]}, a wall clock without a zone, and "
            f"{stamps[zoned[0]]} in {zoned[0]}: give the first the zone it was "
            "written in, as pyarrow.compute.assume_timezone does"
        )
