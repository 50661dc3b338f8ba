"""The inputs of one join as the kernels take them: times, group codes, and what they give together."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from operators.asof_columns import combined, frozen, validity_bits
from operators.asof_gather import decoded, encoded, gather_column
from operators.asof_key_kernel import blank_nulls
from operators.asof_keys import Codes, encode_keys
from operators.asof_match import Matches, Side, match
from operators.asof_settings import AsofError, AsofSettings
from operators.asof_times import INT64_MAX, Times, read_times
from operators.asof_workers import Workers


@dataclass(frozen=True, slots=True)
class AsofInputs:
    """One left table and its right ones: times in nanoseconds and codes of one set of groups.

    The left side is read, ordered and encoded once for all right tables.
    """

    left: Times
    rights: dict[str, Times]
    codes: Codes | None

    def match(self, stream: str, settings: AsofSettings, workers: Workers) -> Matches:
        """Find each left row's match in one right table."""
        return match(self._left_side(), self._right_side(stream), self._group_count(), settings, workers)

    def carry(
        self, stream: str, column: pa.ChunkedArray, matches: Matches, settings: AsofSettings, workers: Workers
    ) -> pa.ChunkedArray:
        """Return per left row the last value of a column that is not null, up to the match.

        It is the same merge over the rows where the column has a value; a tolerance counts from the row that
        the value came from.
        """
        source = combined(decoded(column))
        bits = validity_bits(source)
        if bits is None:
            return gather_column(column, matches, workers)
        right = self._right_side(stream)
        code = np.zeros(len(source), np.int32) if right.code is None else right.code.copy()
        blank_nulls(*bits, code)
        valued = replace(right, code=frozen(code))
        own = match(self._left_side(), valued, self._group_count(), settings, workers)
        values = gather_column(pa.chunked_array([source]), own, workers)
        return values if column.type == source.type else encoded(values, column.type)

    def _group_count(self) -> int:
        return 1 if self.codes is None else self.codes.group_count

    def _left_side(self) -> Side:
        return Side(
            self.left.ns, None if self.codes is None else self.codes.left, self.left.order, self.left.count
        )

    def _right_side(self, stream: str) -> Side:
        times = self.rights[stream]
        return Side(
            times.ns, None if self.codes is None else self.codes.rights[stream], times.order, times.count
        )


def read_inputs(
    left: pa.Table, rights: dict[str, pa.Table], settings: AsofSettings, workers: Workers
) -> AsofInputs:
    """Read the time, group and sequence columns; raises AsofError where they cannot be joined on."""
    name = settings.on
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
