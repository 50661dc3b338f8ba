"""Frames to columns: a message is the rows of one seal, and its headers say how far they are complete."""

from collections.abc import Collection
from typing import Final

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from schemas.frame import LEFT_INDEX, LEFT_OFFSET, FrameError, FrameHeaders, decode_frame
from schemas.ipc import DECODED_SIZE_MAX
from topics.block import MessageBlock
from topics.values import DecodeLimits, Values
from topics.wire import DeadRow, IncompatibleSchemaError, Progress

# Where a row stood in the input of the pipeline that sealed it: a stream has places of its own.
PLACE_COLUMNS: Final = (LEFT_OFFSET, LEFT_INDEX)


def frame_columns(rows: pa.Schema, wanted: Collection[str] | None = None) -> pa.Schema:
    """The columns of a stream of such frames: all but the rows' places, or those that are wanted."""
    return pa.schema(
        [
            column
            for column in rows
            if (column.name not in PLACE_COLUMNS if wanted is None else column.name in wanted)
        ]
    )


class FrameValues:
    """Reads the frames of one stream; a `ValueDecoder`.

    Each frame is followed by a progress record: no later row is older than its `complete_ns`.
    """

    def __init__(
        self, columns: pa.Schema, limits: DecodeLimits | None = None, *, stream: str = "", own: bool = True
    ) -> None:
        """`own` says that a frame whose columns are others stops the reading, instead of being dead."""
        self._columns = columns
        self._limits = limits or DecodeLimits()
        self._stream = stream
        self._own = own

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows that are read."""
        return self._columns

    def read(self, block: MessageBlock, messages: Int64s) -> Values:
        """Read the messages with these indexes into the block: all of one partition, in offset order.

        Raises IncompatibleSchemaError where a frame has other columns and frames are the stream's own.
        """
        batches: list[pa.RecordBatch] = []
        rows_of = np.zeros(messages.size, np.int64)
        progress: list[tuple[int, Progress]] = []
        dead: list[DeadRow] = []
        for place, message in enumerate(messages.tolist()):
            try:
                rows, complete_ns = self._frame(block, message)
                batches.append(self._fitted(rows))
            except FrameError as broken:
                dead.append(DeadRow(message, -1, str(broken)))
                continue
            rows_of[place] = rows.num_rows
            record = Progress(stream=self._stream, upper_ns=complete_ns, final=False, run="")
            progress.append((int(block.offset[message]), record))
        if not rows_of.any():
            return Values(None, messages, rows_of, np.empty(0, np.int32), progress, dead)
        columns = pa.Table.from_batches(batches, self._columns).combine_chunks().to_batches()[0]
        index = np.concatenate([np.arange(rows, dtype=np.int32) for rows in rows_of])
        return Values(columns, messages, rows_of, index, progress, dead)

    def _frame(self, block: MessageBlock, message: int) -> tuple[pa.RecordBatch, int]:
        size = int(block.value_size[message])
        if size > self._limits.message_size_max:
            raise FrameError(
                f"{size} bytes, more than worker.message_size_max = {self._limits.message_size_max}"
            )
        original = block.originals[message]
        headers = FrameHeaders.from_kafka(original.headers)
        rows = decode_frame(original.value, DECODED_SIZE_MAX)
        if rows.num_rows != headers.rows:
            raise FrameError(f"its header says {headers.rows} rows, it has {rows.num_rows}")
        if rows.num_rows > self._limits.rows_max:
            raise FrameError(f"{rows.num_rows} rows, more than {self._limits.rows_max}")
        return rows, headers.complete_ns

    def _fitted(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The columns of the stream; what a frame lacks is null, and what it has besides is left out."""
        arrays = []
        for column in self._columns:
            place = rows.schema.get_field_index(column.name)
            if place < 0 and column.nullable:
                arrays.append(pa.nulls(rows.num_rows, column.type))
                continue
            actual = "none" if place < 0 else str(rows.schema.field(place).type)
            if actual != str(column.type) or (rows.column(place).null_count and not column.nullable):
                self._refuse(f"column {column.name} is {actual}, and {column.type} was expected")
            arrays.append(rows.column(place))
        return pa.RecordBatch.from_arrays(arrays, schema=self._columns)

    def _refuse(self, why: str) -> None:
        if not self._own:
            raise FrameError(why)
        raise IncompatibleSchemaError(
            f"stream {self._stream}: a frame's {why}: the pipeline that writes the topic has changed. "
            f'Restart to read by its newest frame; or set streams.{self._stream}.incompatible = "dead" to '
            "have such frames in the dead-letter topic"
        )
