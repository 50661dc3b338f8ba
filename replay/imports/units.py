"""Which unit a count since 1970 is in: a time between 1970-03-26 and 2200 tells it by its size.

What 2200-01-01 is in microseconds, read as nanoseconds, is 1970-03-26.  So no count of one unit lies where
those of another do, as long as nobody has ticks of the first days of 1970.
"""

from datetime import UTC, datetime
from typing import Final, Literal, get_args

import numpy as np

from schemas.batch import Int32s, Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S, NS_PER_US

Unit = Literal["ns", "us", "ms", "s", "auto"]  # auto: of each count what its size tells
UNITS: Final[tuple[Unit, ...]] = get_args(Unit)
PER_UNIT: Final = {"s": NS_PER_S, "ms": NS_PER_MS, "us": NS_PER_US, "ns": 1}
WORDS: Final = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
LOWER_NS: Final = 7_258_118_400_000_000  # 1970-03-26
UPPER_NS: Final = 7_258_118_400_000_000_000  # 2200-01-01
BOUNDS: Final = "not between 1970-03-26 and 2200-01-01"

# Where the counts of a unit begin, from seconds to nanoseconds, and where nanoseconds end.
_EDGES: Final = np.array(
    [-(-LOWER_NS // per) for per in PER_UNIT.values()] + [UPPER_NS],
    dtype=np.int64,
)


def units_of(counts: Int64s) -> Int32s:
    """Return per count which unit it must be in, as an index into `PER_UNIT`; -1 where in none."""
    place = np.searchsorted(_EDGES, counts, side="right").astype(np.int32)
    return np.where(place > len(PER_UNIT), -1, place - 1).astype(np.int32)


def as_date(count: int, unit: str) -> str:
    """Return the UTC date of a count in a unit, for a message."""
    seconds = count * PER_UNIT[unit] // NS_PER_S
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
