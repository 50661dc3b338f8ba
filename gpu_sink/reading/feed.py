"""The rows of a stream one after another: frames checked against the planned columns, places kept."""

import warnings
from collections.abc import Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from gpu_sink.errors import GapError, GapWarning, OptionError, OrderWarning, SourceError
from gpu_sink.figures import Waits
from gpu_sink.frames import Frame
from gpu_sink.reading.source import FrameReader, Position

if TYPE_CHECKING:
    from gpu_sink.reading.layouts import LayoutRule


class Run(NamedTuple):
    """Rows that lie together in one frame: `rows` from `row` on."""

    partition: int
    offset: int
    row: int
    rows: int


class Feed:
    """A reader with the frame in hand and the row in it that comes next; `positions` is how far it came."""

    def __init__(
        self,
        reader: FrameReader,
        time_column: str | None,
        sealed_rows: Mapping[int, int] | None = None,
        *,
        gaps: str = "warn",
        waits: Waits | None = None,
    ) -> None:
        """`sealed_rows`: what the partitions had been sealed up to, in an earlier life of the stream.

        `waits` counts the time until frames come.
        """
        self.waits = waits or Waits()
        self.positions = dict(reader.starts)
        self.sealed_rows = dict(
            sealed_rows or {}
        )  # per partition, as parities count, up to the last frame taken
        self.row = 0
        self.rule: LayoutRule | None = None
        self.order_break_count = 0
        self.gap_count = self.missing_rows = self.repeated_rows = 0
        self._reader = reader
        self._gaps = gaps
        self._time_column = time_column
        self._frame: Frame | None = None
        self._complete_ns: dict[int, int] = {}
        self._last_ns: dict[int, int] = {}

    @property
    def ended(self) -> bool:
        """Whether the stream has ended and every row was taken."""
        return self._frame is None and self._reader.ended

    def peek(self, wait_s: float) -> Frame | None:
        """Return the frame in hand, else the next one; None if no frame came."""
        while self._frame is None:
            begun_ns = monotonic_ns()
            frame = self._reader.read(wait_s)
            self.waits.add("frame", begun_ns)
            if frame is None:
                return None
            if self.rule is not None:
                self.rule.require(frame)
            self._take_up(frame)
        return self._frame

    def take(self, count: int) -> Run:
        """Count rows of the frame in hand as taken."""
        frame = self._frame
        assert frame is not None
        assert 0 < count <= frame.rows.num_rows - self.row
        place = frame.place
        run = Run(place.partition, place.offset, self.row, count)
        self.row += count
        self.positions[place.partition] = Position(place.offset, self.row)
        if self.row == frame.rows.num_rows:
            self._put_down(frame)
        return run

    def times(self, frame: Frame) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The frame's times, int64 ns, a view."""
        name = self._time_column
        if name is None or name not in frame.rows.schema.names:
            raise OptionError(
                f"no column {name}; time_column= is one of {', '.join(frame.rows.schema.names)}"
            )
        column = frame.rows.column(name)
        if (
            column.type not in (pa.int64(), pa.timestamp("ns"), pa.timestamp("ns", "UTC"))
            or column.null_count
        ):
            raise OptionError(f"time_column {name} is {column.type}: times are int64 nanoseconds, never null")
        buffer = column.buffers()[1]
        return np.frombuffer(buffer, np.int64)[column.offset : column.offset + len(column)]

    def _take_up(self, frame: Frame) -> None:
        """Take a frame in hand, from the row on where reading goes on."""
        partition, offset, rows = frame.place.partition, frame.place.offset, frame.rows.num_rows
        position = self.positions[partition]
        if offset < position.offset:
            raise SourceError(f"{frame.place} was read already: the source gave it twice")
        if position.row and offset != position.offset:
            raise SourceError(
                f"{frame.place} comes next, but {position.row} rows of offset {position.offset} were read "
                "and the rest is gone: the log no longer holds it; start without a state"
            )
        if position.row > rows:
            raise SourceError(
                f"{frame.place} has {rows} rows, of which {position.row} were read: another stream?"
            )
        self._check_order(frame)
        self._check_gap(frame)
        self._frame, self.row = frame, position.row
        if position.row == rows:
            self._put_down(frame)

    def _put_down(self, frame: Frame) -> None:
        self.positions[frame.place.partition] = Position(frame.place.offset + 1, 0)
        self._frame = None
        before = None if frame.headers is None else frame.headers.rows_before
        if before is not None:
            sealed = self.sealed_rows.get(frame.place.partition, 0)
            self.sealed_rows[frame.place.partition] = max(sealed, before + frame.rows.num_rows)

    def _check_gap(self, frame: Frame) -> None:
        """Count rows that are missing before a frame, or in it again; raises GapError where gaps may not be.

        A frame's parity counts all rows of its partition.  Where the stream began is no gap.
        """
        before = None if frame.headers is None else frame.headers.rows_before
        sealed = self.sealed_rows.get(frame.place.partition)
        if before is None or sealed is None:
            return
        if before < sealed:
            self.repeated_rows += min(sealed - before, frame.rows.num_rows)
        elif before > sealed:
            message = (
                f"{frame.place}: {before - sealed} rows are missing before this frame, which begins with row "
                f"{before} of its partition where {sealed} comes next; read the topic from an "
                "earlier offset, or compare it with its replay"
            )
            if self._gaps == "raise":
                raise GapError(message)
            self.gap_count += 1
            self.missing_rows += before - sealed
            warnings.warn(message, GapWarning, stacklevel=2)

    def _check_order(self, frame: Frame) -> None:
        """Warn where a partition's frontier or its rows' times go back: such a frame was written twice."""
        partition = frame.place.partition
        if frame.headers is not None:
            before = self._complete_ns.get(partition)
            self._complete_ns[partition] = frame.headers.complete_ns
            self._compare(frame, "frontier", before, frame.headers.complete_ns)
        if self._time_column is not None and frame.rows.num_rows:
            times = self.times(frame)
            before = self._last_ns.get(partition)
            self._last_ns[partition] = int(times[-1])
            self._compare(frame, f"first {self._time_column}", before, int(times[0]))

    def _compare(self, frame: Frame, what: str, before: int | None, now: int) -> None:
        if before is not None and now < before:
            self.order_break_count += 1
            warnings.warn(
                f"{frame.place}: its {what} is {now}, the frame before had reached {before}: rows "
                "may be there twice; an at-least-once worker does this after a crash, and left_offset with "
                "left_index tells its rows apart",
                OrderWarning,
                stacklevel=2,
            )
