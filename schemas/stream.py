"""A stream: named rows with a clock, an order and a key, the same on disk, on the wire and in the core."""

from dataclasses import dataclass

import pyarrow as pa

from schemas.clocks import EVENT_NS, KNOWN_NS, Clock, clock_column


class StreamError(ValueError):
    """A schema cannot be a stream; the message names the stream, the column and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """What a stream is: its columns in order, which of them key it, and which one orders equal times.

    `name` prefixes a right stream's output columns (`quote` gives `quote_bid_price`).  `schema` holds every
    column; `event_ns` (and `known_ns` where the source has a receiver's clock) are int64 UTC nanoseconds.
    `key` names the columns whose values make the message key and the default group of a join: `("symbol",)`,
    or several, joined by ":" in the message key.  `sequence` names an int64 column that orders rows of equal
    time, or is None.
    """

    name: str
    schema: pa.Schema
    key: tuple[str, ...] = ("symbol",)
    sequence: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise StreamError(f"stream name {self.name!r} must be an identifier: it prefixes column names")
        if len(set(self.schema.names)) != len(self.schema.names):
            twice = sorted({n for n in self.schema.names if self.schema.names.count(n) > 1})
            raise StreamError(f"stream {self.name} has columns twice: {', '.join(twice)}")
        for column in (*self.key, *([self.sequence] if self.sequence else [])):
            if column not in self.schema.names:
                raise StreamError(
                    f"stream {self.name} has no column {column!r}; it has {', '.join(self.schema.names)}"
                )
        if EVENT_NS not in self.schema.names and KNOWN_NS not in self.schema.names:
            raise StreamError(f"stream {self.name} needs {EVENT_NS} or {KNOWN_NS}, int64 UTC nanoseconds")
        for column in (EVENT_NS, KNOWN_NS, *([self.sequence] if self.sequence else [])):
            if column in self.schema.names and self.schema.field(column).type != pa.int64():
                raise StreamError(
                    f"stream {self.name}: {column} is {self.schema.field(column).type}, expected int64"
                )

    def require_clock(self, clock: Clock) -> str:
        """Return the time column of `clock`, or raise StreamError naming what the stream has instead."""
        column = clock_column(clock)
        if column not in self.schema.names:
            raise StreamError(
                f'stream {self.name} has no {column}, which clock = "{clock}" joins on; '
                f"it has {', '.join(self.schema.names)}"
            )
        return column
