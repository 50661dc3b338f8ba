"""Values: rows as a format has them, before anything says when they were and of which key.

A value decoder knows one format.  `topics.shape` makes batches of what it reads, the same for every format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from schemas.batch import Int32s, Int64s
from topics.block import MessageBlock
from topics.wire import DeadRow, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeLimits:
    """What one message may cost us, whatever it claims.

    `message_size_max`  bytes of a value; brokers accept 1 MB by default, we leave room above.
    `rows_max`          rows of one block message; a block of the smallest rows fits easily.
    """

    message_size_max: int = 16 * 1024 * 1024
    rows_max: int = 1_048_576

    def __post_init__(self) -> None:
        assert self.message_size_max > 0
        assert 0 < self.rows_max < 2**31, "a row's index in its message is an int32"


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A column, and where a message has it: the names to walk from the outermost object to the value.

    With `token` the column is text, which holds a number or a text as the message has it: nothing is rounded.
    With `zero_is_none` a 0 may be a field that the message does not have.
    """

    column: pa.Field
    path: tuple[str, ...]
    token: bool = False
    zero_is_none: bool = False


@dataclass(frozen=True, slots=True)
class Values:
    """What the messages of one partition hold, in offset order.

    `columns`   the rows, in the decoder's schema; None where there is no row.
    `message`   int64, the index into the block of each message that was read as rows, ascending.
    `rows_of`   int64, how many rows each of these messages has; 0 where it is dead.
    `index`     int32, each row's place in its message.
    `progress`  progress records with their offsets, and `dead` what could not be read.
    """

    columns: pa.RecordBatch | None
    message: Int64s
    rows_of: Int64s
    index: Int32s
    progress: Sequence[tuple[int, Progress]] = ()
    dead: Sequence[DeadRow] = ()


class ValueDecoder(Protocol):
    """Reads the values of one stream's messages in one format; used from one thread."""

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows that are read."""
        ...

    def read(self, block: MessageBlock, messages: Int64s) -> Values:
        """Read the messages with these indexes into the block: all of one partition, in offset order.

        A message gives all its rows or none.  Raises what `RowDecoder.decode` raises.
        """
        ...
