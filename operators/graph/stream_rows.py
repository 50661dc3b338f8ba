"""What the rows of a stream are to a graph: their columns, and which rows in which order."""

import pyarrow as pa

from operators.formula.meaning import digest
from operators.rows.held import held_stream
from schemas.clocks import Clock
from schemas.frame import LEFT_INDEX, LEFT_OFFSET
from schemas.stream import Stream


def stream_layout(stream: Stream) -> pa.Schema:
    """The columns of a stream's rows in order: its own, and where each row stands in its log.

    Raises ValueError where the stream has a column of that name itself.
    """
    own = held_stream(stream).schema
    taken = [name for name in (LEFT_OFFSET, LEFT_INDEX) if name in own.names]
    if taken:
        raise ValueError(f"stream {stream.name} has a column {taken[0]}, which names a row of it here")
    place = [
        pa.field(LEFT_OFFSET, pa.int64(), nullable=False),
        pa.field(LEFT_INDEX, pa.int32(), nullable=False),
    ]
    return pa.schema([*own, *place])


def rows_meaning(stream: Stream, clock: Clock) -> str:
    """16 hex digits that are equal where these are the same rows in the same order, whatever columns."""
    return digest("stream", clock, stream.name, *stream.key, stream.sequence)
