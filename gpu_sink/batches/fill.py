"""Filling slots: rows from the feed straight into a slot, or into the shuffle buffer and from there."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from gpu_sink.batches.state import Mark
from gpu_sink.columns.columns import VALID, ColumnPlan, ColumnWriter
from gpu_sink.columns.layout import Columns, SlotLayout, page_aligned
from gpu_sink.columns.windows import WindowMaker
from gpu_sink.errors import ColumnError
from gpu_sink.frames import Frame
from gpu_sink.options import ROW_VALID, WINDOWS, BatchOptions
from gpu_sink.reading.feed import Feed, Run
from gpu_sink.segments.columns import SegmentColumns
from gpu_sink.segments.reads import SegmentRows

POLL_WAIT_S: Final = 0.1  # bounds how long a stop waits

# Frames of fewer rows are joined by Arrow before they are copied, up to so many rows at a time: a call per
# column and frame costs more than a second copy does (256 rows of 16 columns: some 130 us against 40;
# 2,048 rows: 245 against 220; of 3,000 rows no difference is left).
SMALL_ROWS: Final = 2_560
JOINED_ROWS_MAX: Final = 16_384


class Gathered(NamedTuple):
    """Rows that were written into columns, with their origin."""

    rows: int
    runs: tuple[Run, ...]
    sealed_ns: int | None
    tile_lower_ns: int | None
    ended: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What a filled slot holds, and the state of the stream once its rows are handed over."""

    rows: int
    runs: tuple[Run, ...]
    sealed_ns: int | None
    tile_lower_ns: int | None
    mark: Mark


class Gatherer:
    """Writes rows of the feed into columns until there are enough, or no more may be waited for."""

    def __init__(
        self, feed: Feed, writer: ColumnWriter, segments: SegmentColumns, options: BatchOptions
    ) -> None:
        self.feed = feed
        self._segments = segments
        self.stopped = False
        self._writer = writer
        self._options = options
        self._small: list[tuple[Frame, int, int]] = []  # what waits to be joined: frame, first row, rows
        self._small_rows = 0

    def gather(self, columns: Columns, rows_max: int) -> Gathered:
        """Fill `columns` from row 0 on, with `rows_max` rows at most; no row: ended or stopped."""
        rows, runs = 0, []
        sealed_ns: int | None = None
        tile: tuple[int, int] | None = None
        until_s: float | None = None
        while rows < rows_max and not self.stopped:
            wait_s = POLL_WAIT_S if until_s is None else min(POLL_WAIT_S, until_s - monotonic())
            if wait_s <= 0:
                break
            frame = self.feed.peek(wait_s)
            if frame is None:
                if self.feed.ended:
                    break
                continue
            count = min(rows_max - rows, frame.rows.num_rows - self.feed.row)
            if self._options.tile_ns is not None:
                this, count = self._within_tile(frame, count, self._options.tile_ns)
                if tile not in (None, this):
                    break
                tile = this
            self._put(frame, count, columns, rows)
            runs.append(self.feed.take(count))
            rows += count
            if frame.headers is not None:
                sealed_ns = max(sealed_ns or 0, frame.headers.sealed_ns)
            if until_s is None and self._options.max_wait_s is not None:
                until_s = monotonic() + self._options.max_wait_s
        self._write_small(columns, rows)
        return Gathered(rows, tuple(runs), sealed_ns, tile[1] if tile else None, self.feed.ended)

    def write(self, frame: Frame, lower: int, count: int, columns: Columns, at: int) -> None:
        """Copy rows of one frame; raises ColumnError naming its place."""
        writer = self._segments if isinstance(frame.rows, SegmentRows) else self._writer
        try:
            writer.write(frame.rows, lower, count, columns, at)
        except ColumnError as misfit:
            raise ColumnError(f"{frame.place}: {misfit}") from None

    def _put(self, frame: Frame, count: int, columns: Columns, at: int) -> None:
        """Write rows of the frame in hand, or let them wait for others where they are few."""
        is_small = count < SMALL_ROWS and not isinstance(frame.rows, SegmentRows)
        if self._small and not (
            is_small and self._small_rows + count <= JOINED_ROWS_MAX and _alike(frame, self._small[0][0])
        ):
            self._write_small(columns, at)
        if is_small:
            self._small.append((frame, self.feed.row, count))
            self._small_rows += count
        else:
            self.write(frame, self.feed.row, count, columns, at)

    def _write_small(self, columns: Columns, upper: int) -> None:
        """Write the rows that wait; they end before row `upper`."""
        small, at = self._small, upper - self._small_rows
        self._small, self._small_rows = [], 0
        if len(small) > 1:
            joined = self._writer.join([frame.rows.slice(lower, count) for frame, lower, count in small])
            if joined is not None and self._write_joined(joined, columns, at):
                return
        for frame, lower, count in small:
            self.write(frame, lower, count, columns, at)
            at += count

    def _write_joined(self, joined: pa.RecordBatch, columns: Columns, at: int) -> bool:
        """Whether all rows could be written; where not, writing them by frame says in which one."""
        try:
            self._writer.write(joined, 0, joined.num_rows, columns, at)
        except ColumnError:
            return False
        return True

    def _within_tile(self, frame: Frame, count: int, tile_ns: int) -> tuple[tuple[int, int], int]:
        """The tile of the next row, and how many of the next rows are in it."""
        times = self.feed.times(frame)[self.feed.row : self.feed.row + count]
        lower_ns = int(times[0]) // tile_ns * tile_ns
        within = int(np.searchsorted(times, lower_ns + tile_ns))
        return (frame.place.partition, lower_ns), max(within, 1)


class OrderedFiller:
    """Fills a slot with the next rows in the order in which they were sealed."""

    def __init__(self, gatherer: Gatherer, options: BatchOptions, windows: WindowMaker | None) -> None:
        self._gatherer = gatherer
        self._options = options
        self._windows = windows
        self._numbers = np.arange(options.batch_rows)

    def fill(self, columns: Columns) -> Content | None:
        """Return the filled slot's rows; None if the stream has ended or was stopped."""
        gathered = self._gatherer.gather(columns, self._options.batch_rows)
        rows = gathered.rows
        is_short = gathered.ended and rows < self._options.batch_rows
        if not rows or self._gatherer.stopped or (is_short and self._options.drop_last):
            return None
        tails = None
        if self._windows is not None:
            self._windows.begin(columns, rows)
            self._windows.write(self._numbers[:rows], columns)
            tails = self._windows.end()
        feed = self._gatherer.feed
        mark = Mark(dict(feed.positions), tails, sealed_rows=dict(feed.sealed_rows))
        return Content(rows, gathered.runs, gathered.sealed_ns, gathered.tile_lower_ns, mark)


class ShuffledFiller:
    """Reads `shuffle_rows` rows, hands them over in an order drawn from the seed, then reads the next.

    A state names the buffer's rows by where they came from.  So it is small, and the same rows in the same
    order are there again after it is loaded, in whatever order partitions then arrive.
    """

    def __init__(
        self,
        gatherer: Gatherer,
        options: BatchOptions,
        windows: WindowMaker | None,
        layout: SlotLayout,
        seed: Sequence[int],
    ) -> None:
        """`layout` is the buffer's: the columns without windows; `seed` is all that decides the order."""
        self._gatherer = gatherer
        self._options = options
        self._windows = windows
        self._seed = seed
        self.buffer = layout.views(page_aligned(layout.size))
        self._numbers = np.arange(options.shuffle_rows)
        self._order = self._numbers.copy()
        self._gathered = Gathered(0, (), None, None, ended=False)
        self._number = -1
        self._handed_over = 0

    def restore(self, gathered: Gathered, number: int, handed_over: int) -> None:
        """Go on with a buffer that was filled before: its rows are in `buffer` again."""
        self._begin(gathered, number)
        self._handed_over = handed_over

    def start_after(self, number: int) -> None:
        """The buffers up to this one were handed over."""
        self._number = number

    def fill(self, columns: Columns) -> Content | None:
        """Return the filled slot's rows; None if the stream has ended or was stopped."""
        if self._handed_over == self._gathered.rows:
            gathered = self._gatherer.gather(self.buffer, self._options.shuffle_rows)
            if not gathered.rows or self._gatherer.stopped:
                return None
            self._begin(gathered, self._number + 1)
        gathered, lower = self._gathered, self._handed_over
        rows = min(self._options.batch_rows, gathered.rows - lower)
        if rows < self._options.batch_rows and gathered.ended and self._options.drop_last:
            return None
        chosen = self._order[lower : lower + rows]
        for name, column in self.buffer.items():
            np.take(column, chosen, axis=0, out=columns[name][:rows], mode="clip")
        if self._windows is not None:
            self._windows.write(chosen, columns)
        self._handed_over += rows
        return Content(rows, (), gathered.sealed_ns, None, self._mark())

    def _mark(self) -> Mark:
        feed = self._gatherer.feed
        positions, sealed_rows = dict(feed.positions), dict(feed.sealed_rows)
        if self._handed_over < self._gathered.rows:
            return Mark(positions, None, self._number, self._handed_over, self._gathered.runs, sealed_rows)
        tails = None if self._windows is None else self._windows.end()
        return Mark(positions, tails, self._number, sealed_rows=sealed_rows)

    def _begin(self, gathered: Gathered, number: int) -> None:
        self._gathered, self._number, self._handed_over = gathered, number, 0
        order = self._order[: gathered.rows]
        order[:] = self._numbers[: gathered.rows]
        np.random.default_rng([*self._seed, number]).shuffle(order)
        if self._windows is not None:
            self._windows.begin(self.buffer, gathered.rows)


def _alike(frame: Frame, other: Frame) -> bool:
    """Whether two frames have equal columns."""
    if frame.headers is not None and other.headers is not None:
        return frame.headers.layout == other.headers.layout
    return bool(frame.rows.schema.equals(other.rows.schema))


def pad_rows(columns: Columns, plans: Sequence[ColumnPlan], rows: int) -> None:
    """Make what lies behind the rows of a batch the same every time: as under a null, masks False."""
    for plan in plans:
        columns[plan.name][rows:] = plan.under_null
        if plan.nullable:
            columns[plan.name + VALID][rows:] = False
    if WINDOWS in columns:
        columns[WINDOWS][rows:] = 0
        columns[WINDOWS + VALID][rows:] = False
    columns[ROW_VALID][:rows] = True
    columns[ROW_VALID][rows:] = False
