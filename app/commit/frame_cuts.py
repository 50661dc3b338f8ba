"""Sealed rows cut into frames that their topic takes: by rows and by bytes, down to a row."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pyarrow as pa

from app.errors import RunError
from schemas.frame import LEFT_INDEX, LEFT_OFFSET, FrameEncoder
from topics.bus import MessageLimit
from topics.message_size import largest_columns

HEADERS_SIZE: Final = 1_024  # bytes: the headers of a frame or a row, its key left out, and what a log adds
_SCHEMA_SIZE: Final = 4_096  # about what a frame takes besides its columns' values
_COLUMN_SIZE: Final = 512


class Piece(NamedTuple):
    """The rows from `lower` up to before `upper` as the value of a frame."""

    lower: int
    upper: int
    value: bytes


def cut_frames(
    rows: pa.RecordBatch,
    limit: MessageLimit,
    *,
    rows_max: int,
    encoder: FrameEncoder,
    where: str,
    headers_size: int = HEADERS_SIZE,
) -> Iterator[Piece]:
    """Yield frames of at most `rows_max` rows, each of which fits the limit, in the order of the rows.

    Rows are cut by their size without compression, so that a compression changes no cut and a frame never
    unpacks to more than its topic takes.  Without one that size is known once they are encoded, and it is
    looked up only where they were too much: it would cost a small frame as much as encoding it does.
    `headers_size` is what the headers of a frame take at most.  Raises RunError naming a row that does not
    fit by itself; `where` is the topic and partition.
    """
    size_max = limit.size - headers_size
    room = max(1, size_max - _SCHEMA_SIZE - _COLUMN_SIZE * rows.num_columns)
    count, measured = rows.num_rows, encoder.compression != "none"
    waiting = [(lower, min(lower + rows_max, count)) for lower in range(0, count, rows_max)][::-1]
    while waiting:
        lower, upper = waiting.pop()
        part = rows.slice(lower, upper - lower)
        pieces = -(-part.nbytes // room) if measured and part.num_rows > 1 else 1
        if pieces <= 1:
            value = encoder.encode(part)
            if len(value) <= size_max:
                yield Piece(lower, upper, value)
                continue
            if part.num_rows == 1:
                raise row_too_large(part, len(value) + headers_size, limit, where)
            measured, pieces = True, -(-part.nbytes // room)
        step = -(-part.num_rows // max(2, pieces))
        waiting += [(at, min(at + step, upper)) for at in range(lower, upper, step)][::-1]


def row_too_large(row: pa.RecordBatch, size: int, limit: MessageLimit, where: str) -> RunError:
    """What to raise for the row of a batch of one, whose message would have about `size` bytes."""
    at = [f"{name} {row.column(name)[0]}" for name in (LEFT_OFFSET, LEFT_INDEX) if name in row.schema.names]
    return RunError(
        f"{where}: the row of {', '.join(at) or 'unknown place'} makes a message of {size:,} bytes, and "
        f"{limit.size:,} are taken ({limit.setting}); its largest columns are {largest_columns(row)} bytes: "
        "raise that setting, or leave columns out with columns = [...] in the stream's table"
    )
