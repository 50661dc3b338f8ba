"""The settings of one as-of join of tables, checked once at the door."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, SupportsIndex, TypeAlias, cast, get_args

import numpy as np

from schemas.durations import DurationError, duration_ns

Direction = Literal["backward", "forward", "nearest"]
Carry = Literal["row", "column"]
Duration: TypeAlias = str | int | timedelta | np.timedelta64  # a pandas.Timedelta is a timedelta

TILE_ROWS: Final = 1 << 15  # with 16 bytes of a left row at hand a tile stays in the cache of one core
UNBOUNDED_NS: Final = 2**63 - 1  # no two times that a join accepts are farther apart


class AsofError(ValueError):
    """These settings or tables cannot be joined; the message names table, column and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsofSettings:
    """The checked settings of one join; `read_settings` makes them.

    `on`            the time column of every table.
    `by`            the group columns; none puts all rows into one group.
    `direction`     which right row matches: the last at or before, the first at or after, or the closest.
    `tolerance_ns`  the farthest right row that still matches, inclusive; `UNBOUNDED_NS` for any.
    `allow_exact`   whether an equal time may match.
    `carry`         the matched row as it is, or per column the last value that is not null.
    `sequence`      the right column that orders rows of equal time, or None for their order in the table.
    `threads`       how many threads may share the work.
    `tile_rows`     how many left rows are looked up in all right tables at a time, a multiple of 8.
    """

    on: str
    by: tuple[str, ...]
    direction: Direction
    tolerance_ns: int
    allow_exact: bool
    carry: Carry
    sequence: str | None
    threads: int
    tile_rows: int = TILE_ROWS

    def __post_init__(self) -> None:
        assert self.tile_rows > 0
        assert self.tile_rows % 8 == 0, "two tiles would share a byte of a bitmap"


def read_settings(
    *,
    on: str,
    by: str | Sequence[str] | None,
    direction: str,
    tolerance_ns: SupportsIndex | None,
    allow_exact: bool,
    carry: str,
    sequence: str | None,
    threads: int,
    tolerance: Duration | None = None,
) -> AsofSettings:
    """Check the arguments of a join; raises AsofError naming the one that is wrong."""
    if direction not in get_args(Direction):
        raise AsofError(f"direction is {direction!r}, expected one of {', '.join(get_args(Direction))}")
    if carry not in get_args(Carry):
        raise AsofError(f"carry is {carry!r}, expected one of {', '.join(get_args(Carry))}")
    if carry == "column" and direction != "backward":
        raise AsofError(
            f'carry = "column" takes values up to the match, so direction must be backward, not {direction}'
        )
    if threads < 1:
        raise AsofError(f"threads is {threads}, expected at least 1")
    return AsofSettings(
        on=on,
        by=(by,) if isinstance(by, str) else tuple(by or ()),
        direction=cast("Direction", direction),
        tolerance_ns=read_tolerance(tolerance, tolerance_ns),
        allow_exact=bool(allow_exact),
        carry=cast("Carry", carry),
        sequence=sequence,
        threads=threads,
    )


def read_tolerance(tolerance: Duration | None, tolerance_ns: SupportsIndex | None) -> int:
    """Return the tolerance in nanoseconds, `UNBOUNDED_NS` where neither is given; both are refused."""
    if tolerance is not None:
        if tolerance_ns is not None:
            raise AsofError(
                "tolerance and tolerance_ns are both given: they are one setting, leave one of them out"
            )
        try:
            return duration_ns(tolerance)
        except DurationError as wrong:
            raise AsofError(f"tolerance is {tolerance!r}: {wrong}") from None
    if tolerance_ns is None:
        return UNBOUNDED_NS
    try:
        if isinstance(tolerance_ns, bool):
            raise TypeError
        whole = operator.index(tolerance_ns)
    except TypeError:
        raise AsofError(
            f"tolerance_ns is {tolerance_ns!r}, expected a whole number of nanoseconds or None; with a unit "
            'write tolerance="2s"'
        ) from None
    if whole < 0:
        raise AsofError(f"tolerance_ns is {whole}, expected 0 or more; 0 joins equal times only")
    return min(whole, UNBOUNDED_NS)
