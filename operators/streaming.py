"""The streaming as-of join: each left row with the right row that belongs to it, once, never revised."""

from collections.abc import Iterable

import pyarrow as pa

from operators.graph.task_graph import TaskGraph
from operators.join.settings import AsofSettings
from operators.sealed import ALIGNED, Snapshot
from schemas.arrived import Arrived, ProgressRecord
from schemas.batch import Batch


class StreamingAsof:
    """Joins batches of streams in any order of arrival within the grace.

    The rows of all `seal` calls together are those of one join over the accepted rows, bit for bit, in the
    order (clock, sequence, left offset, index), whatever the batches and whenever `seal` was called.

    `operator` is the same join as a worker drives it, with its inputs and how they are resumed.
    """

    def __init__(self, settings: AsofSettings) -> None:
        self.operator = TaskGraph(settings)
        self.inputs = self.operator.inputs

    @property
    def streams(self) -> tuple[str, ...]:
        """The left stream, then the right ones."""
        return self.inputs.streams

    @property
    def schema(self) -> pa.Schema:
        """The columns of the sealed rows."""
        return self.operator.sinks[ALIGNED]

    @property
    def frontier_ns(self) -> int:
        """The smallest watermark at the last seal, upper-exclusive."""
        return self.inputs.frontier_ns

    def push(self, stream: str, batch: Batch | pa.RecordBatch, *, now_ns: int | None = None) -> None:
        """Take rows of one input, in arrival order.

        A plain record batch gets its keys from the stream's key columns and its offsets by counting rows; a
        missing column, one of another type, or a time that is null or `END_NS` or more from the epoch
        (`schemas.clocks`) is a ValueError and nothing is taken.
        """
        self.operator.push(stream, Arrived(batch), now_ns=now_ns)

    def advance(
        self,
        stream: str,
        upper_ns: int,
        *,
        final: bool = False,
        offset: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """No further row of `stream` below `upper_ns` is expected: a progress record, read at `offset`."""
        self.operator.push(stream, Arrived(None, [ProgressRecord(upper_ns, final, offset)]), now_ns=now_ns)

    def seal(self) -> pa.RecordBatch | None:
        """Move the frontier as far as the inputs allow; return the rows that became final, in order."""
        sealed = self.operator.seal().get(ALIGNED)
        return None if sealed is None else sealed.rows

    def finish(self) -> pa.RecordBatch | None:
        """Seal everything that is left, as if every input had ended."""
        return self.operator.finish()[ALIGNED].rows

    def late(self, stream: str) -> pa.RecordBatch:
        """The late rows of `stream` since the last call (`LATE_SCHEMA`), oldest offset first."""
        return self.inputs.late(stream)

    def snapshot(self) -> Snapshot:
        """What changed since the last snapshot; all snapshots so far together restore this state."""
        return self.operator.snapshot()

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what snapshots wrote; only on a new join.  Raises SnapshotError where they do not fit."""
        self.operator.restore(entries)
