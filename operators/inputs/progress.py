"""How far a task has come: what is committed of each input and of the task, and what restarts take up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import pyarrow as pa

from operators.inputs.marks import Mark
from schemas.clocks import BEGINNING_NS

LATE_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("lateness_ns", pa.int64(), nullable=False),
        pa.field("frontier_ns", pa.int64(), nullable=False),
    ]
)

# Rows and progress records that were too far ahead when they were judged; `index` is -1 for a progress
# record.
AHEAD_SCHEMA = pa.schema(
    [
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("index", pa.int32(), nullable=False),
        pa.field("time_ns", pa.int64(), nullable=False),
        pa.field("bound_ns", pa.int64(), nullable=False),  # the latest time that was taken then
    ]
)


# Where a row stands in the order in which rows are sealed: (time_ns, sequence, offset, index).
RowPlace: TypeAlias = tuple[int, int, int, int]
FIRST: Final[RowPlace] = (BEGINNING_NS, BEGINNING_NS, BEGINNING_NS, BEGINNING_NS)  # before every row


@dataclass(frozen=True, slots=True)
class InputProgress:
    """How far one input of a task has come, as it is committed with its offset.

    `needed_offset` is the oldest offset a restart without local state must read again; `next_offset` the
    first one not yet seen.  `watermark_ns` is upper-exclusive.  `final`: the period's last progress record
    has been read, and no later row.  `idle`: the input was left out of the frontier.

    `late` names, as ascending (offset, index), the rows set aside as late or too far ahead that a restart may
    read again and must leave out.  The operator decides which rows belong here.  The list is complete from
    offset `late_from` on; older rows are only in the late and the dead-letter topic.

    `marks` say where in the log rows of a time lie (`operators.inputs.marks`); none where it is not known.
    """

    needed_offset: int
    next_offset: int
    watermark_ns: int
    final: bool = False
    idle: bool = False
    late: tuple[tuple[int, int], ...] = ()
    late_from: int = 0
    marks: tuple[Mark, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskProgress:
    """How far a task has come.

    `frontier_ns`  rows below it are sealed, or wait only for what a join looks ahead for.
    `inputs`       by stream.
    `through`      by root, the place of the last row sealed: rows behind it still wait.  Of the rows that a
                   restart reads again, those up to it were emitted.
    `final`        every input has read its final record and no row waits: the period is done.
    """

    frontier_ns: int = BEGINNING_NS
    inputs: Mapping[str, InputProgress]
    through: Mapping[str, RowPlace] = field(default_factory=dict)
    final: bool = False
