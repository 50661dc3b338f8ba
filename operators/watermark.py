"""The watermark of one input: no further row below it is expected; it only rises, by evidence in the log."""

from dataclasses import dataclass

from operators.operator import InputProgress
from schemas.batch import Int64s
from schemas.clocks import BEGINNING_NS


@dataclass(slots=True)
class InputClock:
    """How far one input is complete, and how far it has been read.

    `watermark_ns`  upper-exclusive.
    `read_next`     the first offset not read in this life.
    `judged_next`   rows below this offset were judged in an earlier life.
    `final`         the period's final progress record has been read and no new row behind it.
    `read_from`     the offset reading began at; what lies below came from kept state.
    `last_row`      offset of the last row read.
    `needed_from`   rows below this offset are of no use any more, or last-known: an earlier life said so, or
                    this one.
    """

    grace_ns: int
    watermark_ns: int = BEGINNING_NS
    read_next: int = 0
    judged_next: int = 0
    final: bool = False
    read_from: int = 0
    last_row: int = -1
    needed_from: int = 0

    @property
    def caught_up(self) -> bool:
        """Whether everything judged in an earlier life has been read again."""
        return self.read_next >= self.judged_next

    @property
    def next_offset(self) -> int:
        """The first offset no life has seen."""
        return max(self.read_next, self.judged_next)

    def require_order(self, first_offset: int) -> None:
        """A message may come in several batches, but nothing that was read or restored comes again."""
        oldest = max(self.read_from, self.read_next - 1)
        assert first_offset >= oldest, f"offset {first_offset} after {oldest}: rows would count twice"

    def see_rows(self, time_ns: Int64s, last_offset: int) -> None:
        """Rows of these times were read, the last one at `last_offset`."""
        if time_ns.size:
            newest_ns = int(time_ns.max())
            self.raise_to(max(newest_ns - self.grace_ns, BEGINNING_NS))
        if last_offset >= self.judged_next:
            self.final = False
        self.last_row = max(self.last_row, last_offset)
        self.see_offset(last_offset + 1)

    def see_progress(self, upper_ns: int, *, final: bool, offset: int | None) -> None:
        """A progress record was read at `offset`, or its word came another way.

        It may be told after rows that lie behind it; a final record with rows behind it ends nothing.
        """
        judged = offset is not None and offset < self.judged_next
        if not judged:
            self.raise_to(upper_ns)
            self.final = self.final or (final and (offset is None or offset > self.last_row))
        if offset is not None:
            self.see_offset(offset + 1)

    def see_offset(self, read_next: int) -> None:
        """Everything below `read_next` has been read."""
        self.read_next = max(self.read_next, read_next)

    def raise_to(self, watermark_ns: int) -> None:
        """Raise the watermark; it never falls."""
        self.watermark_ns = max(self.watermark_ns, watermark_ns)

    def resume(self, progress: InputProgress, state_next: int) -> None:
        """Take up what was committed; reading starts at `state_next`."""
        assert state_next <= progress.next_offset, "the restored state is ahead of the commit: rebuild it"
        self.watermark_ns = progress.watermark_ns
        self.judged_next = progress.next_offset
        self.needed_from = progress.needed_offset
        self.read_next = self.read_from = state_next
        self.final = progress.final
