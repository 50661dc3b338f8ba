"""The three clocks: when it happened, when it could be known, and what this process's clock says now.

Every time is an int64 of nanoseconds since the epoch, UTC.  A pipeline joins on one of the first two.
"""

from typing import Final, Literal

Clock = Literal["event", "known"]

EVENT_NS: Final = "event_ns"  # when it happened at the venue
KNOWN_NS: Final = "known_ns"  # the earliest moment this system could have known it: the receiver's clock

# The earliest moment a sealed row could have been in a reader's hands, as the log tells: of outputs that ask.
AVAILABLE_NS: Final = "available_ns"

NS_PER_US: Final = 1_000
NS_PER_MS: Final = 1_000_000
NS_PER_S: Final = 1_000_000_000
NS_PER_DAY: Final = 86_400 * NS_PER_S

# No evidence yet: below every time a row can have.
BEGINNING_NS: Final = -(2**63)
# Beyond every time a row can have: its time lies nearer to the epoch, from 1823-11-12 to 2116-02-20.  Of two
# such times the difference fits int64, and so does the sum of one and a tolerance of as much.
END_NS: Final = 2**62

# Metadata of a clock's column in Parquet, where it was imported: the source's column and its time zone.
SOURCE: Final = b"tidemark.source"
ZONE: Final = b"tidemark.zone"


def clock_column(clock: Clock) -> str:
    """Return the column that holds the times of `clock`."""
    return EVENT_NS if clock == "event" else KNOWN_NS
