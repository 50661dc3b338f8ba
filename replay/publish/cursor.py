"""A place in one day of one stream: rows before it are published, the row at it comes next."""

from typing import Final

import numpy as np
import pyarrow as pa

from replay.order import clock_times, order_times
from replay.store.day import Day
from schemas.batch import Bools, Int64s
from schemas.clocks import BEGINNING_NS, Clock

NEVER_NS: Final = 2**63 - 1


class Cursor:
    """Reads a day once, in publish order; `order_ns` has the time each row is published by.

    Holds the day's times (some 25 bytes a row) and one batch of its other columns.  Raises StreamError
    where the day lacks the clock's column.
    """

    def __init__(self, day: Day, clock: Clock, start: int = 0) -> None:
        self.day = day
        self._clock: Clock = clock
        self.column = day.stream.require_clock(clock)
        times = day.times()
        self.order_ns = order_times(times, day.summary.order)
        self.clock_ns, self.timed = clock_times(times, self.column)
        following = np.where(self.timed, self.clock_ns, NEVER_NS)[::-1]
        self._lower_ns = np.append(np.minimum.accumulate(following)[::-1], NEVER_NS)
        self.rewind(start)

    def rewind(self, start: int) -> None:
        """Stand before row `start`."""
        assert 0 <= start <= self.rows, f"{start} is not in a day of {self.rows} rows"
        self.start = start
        self._batches = self.day.batches(start=start)
        self._rest: pa.RecordBatch | None = None

    @property
    def name(self) -> str:
        """The stream's name."""
        return self.day.summary.stream

    @property
    def rows(self) -> int:
        """The rows of the day."""
        return int(self.order_ns.size)

    @property
    def disorder_ns(self) -> int:
        """How far a row's pipeline clock trails the newest before it, at most."""
        return self.day.disorder_ns(self._clock)

    @property
    def last_ns(self) -> int:
        """The newest time on the pipeline clock."""
        return int(self.clock_ns.max(initial=BEGINNING_NS))

    @property
    def next_ns(self) -> int:
        """When the next row is due, `NEVER_NS` after the last."""
        return int(self.order_ns[self.start]) if self.start < self.rows else NEVER_NS

    def lower_ns(self, row: int) -> int:
        """The earliest pipeline time of the rows from `row` on, `NEVER_NS` if no row has a time."""
        return int(self._lower_ns[row])

    def take(self, end: int) -> tuple[pa.RecordBatch, Int64s, Bools]:
        """Return the rows up to `end`, their pipeline times, and which have one; stand before `end`."""
        wanted, parts = end - self.start, []
        while wanted > 0:
            batch = self._rest if self._rest is not None else next(self._batches)
            parts.append(batch.slice(0, wanted))
            self._rest = batch.slice(wanted) if batch.num_rows > wanted else None
            wanted -= parts[-1].num_rows
        taken = slice(self.start, end)
        self.start = end
        rows = pa.concat_batches(parts) if parts else pa.RecordBatch.from_pylist([], self.day.stream.schema)
        return rows, self.clock_ns[taken], self.timed[taken]
