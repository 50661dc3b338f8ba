"""The watermark of one input: no further row below it is expected; it only rises, by evidence in the log."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from operators.inputs.marks import Marks
from operators.inputs.progress import InputProgress
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS, END_NS


@dataclass(slots=True)
class InputClock:
    """How far one input is complete, and how far it has been read.

    `watermark_ns`  upper-exclusive.
    `read_next`     the first offset not read yet.
    `judged_next`   rows below this offset were judged before the restart.
    `final`         the period's final progress record has been read and no new row behind it.
    `read_from`     the offset at which reading began; rows below it came from local state.
    `last_row`      offset of the last row taken since reading began.
    `needed_from`   rows below this offset are not needed: the commit or the last-known topic covers them.
    `idle`          silent at the end of its log, and left out of the frontier until its next row or progress
                    record.
    `newest_ns`     the newest time known of it, of a row or a progress record; after a restart an estimate.
    `marks`         where in its log rows of a time lie.
    """

    grace_ns: int
    watermark_ns: int = BEGINNING_NS
    read_next: int = 0
    judged_next: int = 0
    final: bool = False
    read_from: int = 0
    last_row: int = -1
    needed_from: int = 0
    idle: bool = False
    newest_ns: int = BEGINNING_NS
    marks: Marks = field(default_factory=Marks)

    @property
    def caught_up(self) -> bool:
        """Whether everything judged before the restart has been read again."""
        return self.read_next >= self.judged_next

    @property
    def next_offset(self) -> int:
        """The first offset that was never read, before the restart or since."""
        return max(self.read_next, self.judged_next)

    def require_order(self, first_offset: int) -> None:
        """A message may come in several batches, but nothing that was read or restored comes again."""
        oldest = max(self.read_from, self.read_next - 1)
        assert first_offset >= oldest, f"offset {first_offset} after {oldest}: rows would count twice"

    def see_rows(self, time_ns: Int64s, last_offset: int) -> None:
        """Rows of these times, at least one, were taken, the last one at `last_offset`.

        Do not pass rows judged before the restart: the committed watermark includes them.
        """
        newest_ns = int(time_ns.max())
        self.newest_ns = max(self.newest_ns, newest_ns)
        self.raise_to(newest_ns - self.grace_ns)
        self.idle = self.final = False
        self.last_row = max(self.last_row, last_offset)
        self.marks.see(newest_ns, last_offset)  # whose message may have more rows
        self.see_offset(last_offset + 1)

    def see_progress(self, upper_ns: int, *, final: bool, offset: int | None) -> None:
        """Take a progress record read at `offset`, or its bound from another source.

        It may come after rows that lie behind it in the log; a final record with rows behind it ends nothing.
        A bound beyond every time a row can have says no more than that no row comes.
        """
        if not self.judged(offset):
            upper_ns = min(upper_ns, END_NS)
            self.newest_ns = max(self.newest_ns, upper_ns)
            self.raise_to(upper_ns)
            self.idle = False
            self.final = self.final or (final and (offset is None or offset > self.last_row))
        if offset is not None:
            self.see_offset(offset + 1)

    def judged(self, offset: int | None) -> bool:
        """Whether what lies at this offset was judged before the restart."""
        return offset is not None and offset < self.judged_next

    def leave_out(self) -> None:
        """Leave the input out of the frontier until its next row or progress record."""
        assert self.caught_up, "an input that is being read again is not idle"
        self.idle = True

    def see_offset(self, read_next: int) -> None:
        """Everything below `read_next` has been read."""
        self.read_next = max(self.read_next, read_next)

    def raise_to(self, watermark_ns: int) -> None:
        """Raise the watermark; it never falls, and no grace takes it below `BEGINNING_NS`."""
        self.watermark_ns = max(self.watermark_ns, watermark_ns)

    def resume(self, progress: InputProgress, state_next: int) -> None:
        """Restore the committed progress; reading starts at `state_next`.

        An input that was idle counts again: what it may have got since has yet to be read.
        """
        assert state_next <= progress.next_offset, "the restored state is ahead of the commit: rebuild it"
        self.watermark_ns = self.newest_ns = progress.watermark_ns
        if progress.watermark_ns > BEGINNING_NS:
            self.newest_ns = min(progress.watermark_ns + self.grace_ns, END_NS)
        self.marks.resume(progress.marks, self.newest_ns, progress.next_offset)
        self.judged_next = progress.next_offset
        self.needed_from = progress.needed_offset
        self.read_next = self.read_from = state_next
        self.final = progress.final


def lowest_watermarks(clocks: Sequence[InputClock]) -> tuple[int, int]:
    """The lowest watermark of all inputs, and of those that are not idle; of all where every one is idle.

    The first is certain; the second assumes that idle inputs stay silent.
    """
    evident_ns = min(clock.watermark_ns for clock in clocks)
    return evident_ns, min((c.watermark_ns for c in clocks if not c.idle), default=evident_ns)
