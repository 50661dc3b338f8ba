"""How far an input has come, as it is committed, and what was set aside of it on the way."""

from dataclasses import dataclass

import pyarrow as pa

LATE_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("lateness_ns", pa.int64(), nullable=False),
        pa.field("frontier_ns", pa.int64(), nullable=False),
    ]
)

# What was too far ahead when it was judged; `index` is -1 for a progress record.
AHEAD_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("bound_ns", pa.int64(), nullable=False),  # the latest time that was taken then
    ]
)


@dataclass(frozen=True, slots=True)
class InputProgress:
    """How far one input of a task has come, as it is committed with its offset.

    `needed_offset` is the oldest offset a restart without local state must read again; `next_offset` the
    first one not yet seen.  `watermark_ns` is upper-exclusive.  `final` says the period's last progress
    record has been read and no later row has been, `idle` that the input was left out of the frontier.

    `late` names, as ascending (offset, index), the rows set aside as late or too far ahead that a restart may
    read again and has to leave out; which those are is the operator's to know.  From offset `late_from` on it
    names all of them; those below were too many, and only the late and the dead-letter topic have them.

    `sealed_through`, of the left input alone, is the place (time_ns, sequence, offset, index) of the last row
    sealed, None before the first: of the rows that a restart reads again, those up to it were emitted.
    """

    needed_offset: int
    next_offset: int
    watermark_ns: int
    final: bool = False
    idle: bool = False
    late: tuple[tuple[int, int], ...] = ()
    late_from: int = 0
    sealed_through: tuple[int, int, int, int] | None = None
