"""What an input reads, in the order of its log, as steps of its bound: rows and progress records together."""

from typing import Final

import numpy as np
import pyarrow as pa

from operators.inputs.known_bounds import UNKNOWN_NS, KnownBounds
from operators.inputs.progress import InputProgress
from schemas.arrived import ProgressRecord
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS, END_NS, EVENT_NS, KNOWN_NS

NOWHERE: Final = -1  # the offset of a record that comes from no log, behind all that was read


class KnownLog:
    """Keeps the steps of one input.  `add_rows` and `add_record` in any order, then `settle`.

    After a restart without state the steps from the committed offset on are read again.  What raised the
    committed watermark before that offset is not remembered where an earlier life did not ask for it.
    """

    def __init__(self, grace_ns: int) -> None:
        self.bounds = KnownBounds()
        self._grace_ns = grace_ns
        self._events: list[tuple[Int64s, Int64s, Int64s]] = []
        self._caught_up = True
        self._judged_next = 0
        self._committed_ns = BEGINNING_NS

    def resume(self, progress: InputProgress, frontier_ns: int) -> None:
        """Take up committed progress: no row to come asks for a bound below the frontier."""
        self._caught_up = False
        self._judged_next, self._committed_ns = progress.next_offset, progress.watermark_ns
        self.bounds.begin(frontier_ns - 1)  # a row at the frontier itself may come yet

    def add_rows(self, rows: Batch, uncounted: Bools | None) -> None:
        """Rows were read; `uncounted` are those that were set aside and raise nothing."""
        events = rows.time_ns - self._grace_ns, known_times(rows), rows.offset
        bound_ns, known_ns, offset = events if uncounted is None else (one[~uncounted] for one in events)
        self._events.append((bound_ns, known_ns, offset))

    def add_record(self, record: ProgressRecord) -> None:
        """A progress record was read."""
        upper_ns = min(record.upper_ns, END_NS)
        offset = NOWHERE if record.offset is None else record.offset
        upper = np.array([upper_ns])
        self._events.append((upper, upper, np.array([offset])))

    def settle(self, *, caught_up: bool) -> None:
        """All that was added is what was read up to now; `caught_up` as `Inputs` says."""
        if caught_up and not self._caught_up:
            self._caught_up = True
            unknown = np.array([self._committed_ns]), np.array([UNKNOWN_NS]), np.array([self._judged_next])
            self._events.insert(0, unknown)
        if not self._events:
            return
        bound_ns, known_ns, offset = (np.concatenate(parts) for parts in zip(*self._events, strict=True))
        self._events = []
        # What was judged before and lies beyond the committed watermark was set aside.
        counts = (offset >= self._judged_next) | (offset == NOWHERE) | (bound_ns <= self._committed_ns)
        order = np.argsort(np.where(offset == NOWHERE, END_NS, offset), kind="stable")
        order = order[counts[order]]
        self.bounds.see(bound_ns[order], known_ns[order], offset[order])


def known_times(rows: Batch) -> Int64s:
    """When each row could be known: `known_ns`, `event_ns` where it has none, else its time."""
    times = rows.time_ns
    for name in (EVENT_NS, KNOWN_NS):
        if name in rows.columns.schema.names:
            column = rows.columns.column(name).cast(pa.int64())
            own = np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
            times = np.where(column.is_valid().to_numpy(zero_copy_only=False), own, times)
    return times
