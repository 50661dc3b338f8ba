"""The streaming as-of join: each left row with the right row that belongs to it, once, never revised."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from operators.graph.task_graph import TaskGraph
from operators.join.settings import AsofSettings
from operators.rows.views import combined
from operators.sealed import ALIGNED, Snapshot
from operators.tables.arrow_tables import Table, read_table
from schemas.arrived import Arrived, ProgressRecord
from schemas.batch import Batch

_TEXT: Final = frozenset((pa.string(), pa.large_string(), pa.string_view()))


class StreamingAsof:
    """Joins batches of streams in any order of arrival within the grace.

    The rows of all `seal` calls together are those of one join over the accepted rows, bit for bit, in the
    order (clock, sequence, left offset, index), whatever the batches and whenever `seal` was called.

    `operator` is the same join as a worker drives it, with its inputs and how they are resumed.
    """

    def __init__(self, settings: AsofSettings) -> None:
        self.operator = TaskGraph(settings)
        self._schemas = {stream.name: stream.schema for stream in settings.streams}
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

    def push(self, stream: str, batch: Batch | Table, *, now_ns: int | None = None) -> None:
        """Take rows of one input, in arrival order: a record batch, or a table as `asof_join` takes it.

        Plain rows get their keys from the stream's key columns and their offsets by counting rows; a
        missing column, one of another type, or a time that is null or `END_NS` or more from the epoch
        (`schemas.clocks`) is a ValueError and nothing is taken.
        """
        rows = batch if isinstance(batch, Batch | pa.RecordBatch) else self._one_batch(stream, batch)
        self.operator.push(stream, Arrived(rows), now_ns=now_ns)

    def _one_batch(self, stream: str, table: Table) -> pa.RecordBatch:
        """The rows of a table as one record batch, with text as long as the stream's."""
        read = read_table(f"a batch of {stream}", table)
        held = self._schemas[stream]
        for place, field in enumerate(read.schema):
            if field.name in held.names and {field.type, held.field(field.name).type} <= _TEXT:
                text = read.column(place).cast(held.field(field.name).type)
                read = read.set_column(place, field.name, text)
        columns = [combined(column) for column in read.columns]
        return pa.RecordBatch.from_arrays(columns, schema=read.schema)

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
