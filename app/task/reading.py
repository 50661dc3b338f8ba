"""A reading: one input of a task, what decodes it, how far it has come, and what came of its rows."""

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from app.task.metadata import LogIds
from app.task.placement import Placement
from operators.inputs.progress import InputProgress
from schemas.batch import Batch
from schemas.clocks import BEGINNING_NS
from topics.decoder import RowDecoder


@dataclass(slots=True, kw_only=True)
class Reading:
    """One input of a task, from when the task was opened until it is closed.

    `opened` is the progress that the task took up: messages below its next offset were judged in an earlier
    life.  Reading began at `start`, which may lie before, and stands at `next_offset`.  `newest_ns` is the
    newest row time read, in this life and not too far ahead; `read_ns` this process's clock when a row came
    last that no earlier life had read, 0 before.  `rows_in` and `rows_late` count rows of this life.
    `log` is what the offsets count in, None where nobody compares that.
    """

    stream: str
    decoder: RowDecoder
    placement: Placement
    opened: InputProgress
    start: int
    next_offset: int = field(init=False)
    newest_ns: int = BEGINNING_NS
    read_ns: int = 0
    rows_in: int = 0
    rows_late: int = 0
    log: LogIds | None = None
    paused: bool = False  # nothing is delivered until the others catch up

    def __post_init__(self) -> None:
        self.next_offset = self.start

    @property
    def judged_next(self) -> int:
        """Messages below this offset were judged in an earlier life."""
        return self.opened.next_offset

    def to_reread(self) -> int:
        """How many offsets an earlier life had read that this one reads again."""
        return self.opened.next_offset - self.start

    def reread(self) -> int:
        """How many of them have been read again by now."""
        return min(self.next_offset, self.opened.next_offset) - self.start

    def see(self, batch: Batch, ahead: pa.RecordBatch) -> int:
        """Count rows that were decoded, of which `ahead` (`AHEAD_SCHEMA`) were too far ahead.

        Returns how many of them no earlier life had read.
        """
        self.rows_in += batch.rows
        time_ns = batch.time_ns
        if batch.offset[0] < self.judged_next:
            time_ns = time_ns[batch.offset >= self.judged_next]
        new = int(time_ns.size)
        if ahead.num_rows:
            time_ns = time_ns[time_ns <= pc.min(ahead.column("bound_ns")).as_py()]
        self.newest_ns = max(self.newest_ns, int(time_ns.max(initial=BEGINNING_NS)))
        return new
