"""JSON messages to columns: an object is a row, an array of objects is a row each.

A message is checked as a whole, also what no column wants.  One that is no JSON, or has a value that does not
fit its column, becomes a dead row with its reason; the others go on.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from schemas.batch import Int64s
from topics.avro.decode_columns import DecodedRows
from topics.block import MessageBlock
from topics.json import decode_kernel as kernel
from topics.json.exact import ExactMessage, UnfitError
from topics.json.faults import fault_words
from topics.json.plan import ReaderState, compile_plan
from topics.values import DecodeLimits, FieldPath, Values
from topics.wire import DeadRow


class JsonValues:
    """Reads the JSON values of one stream; made once per stream and used from one thread.

    Whole numbers and decimals are exact, floats are the nearest there is, and numbers may also be written as
    strings.  A key that is missing, or null, is a null.  Of a key that stands twice in an object the last one
    counts.  NaN, Infinity and -Infinity are numbers, since Python's json writes them.
    """

    def __init__(
        self, fields: Sequence[FieldPath], limits: DecodeLimits | None = None, *, prefixed: bool = False
    ) -> None:
        """Raise CodecError naming a column that cannot be read from JSON.

        With `prefixed` each message has the 5 bytes of a Confluent header before its JSON.
        """
        self._plan = compile_plan(fields)
        self._limits = limits or DecodeLimits()
        self._prefixed = prefixed
        self._state = ReaderState(self._plan)
        self._last = 0, 0  # the rows that were last read, and the bytes

    @property
    def schema(self) -> pa.Schema:
        """The columns of the rows that are read, which may all be null."""
        return self._plan.slots.schema

    def read(self, block: MessageBlock, messages: Int64s) -> Values:
        """Read the messages with these indexes into the block: all of one partition, in offset order.

        A message gives all its rows or none.  Raises CodecError where a column's text is more than its type
        can hold in one batch.
        """
        address = block.value.view(np.int64)[messages]
        size = block.value_size[messages].astype(np.int64)
        total = int(np.maximum(size, 0).sum())
        # Texts are never longer without their escapes; memory is only taken where one is written to.
        scratch = np.empty(total * self._plan.text_uses_max, dtype=np.uint8)
        self._state.unescape_to(scratch)
        room = DecodedRows(self._plan.slots, self._estimate(messages.size, total))
        rows_of = np.zeros(messages.size, dtype=np.int64)
        fault = np.zeros(messages.size, dtype=np.int64)
        dead: list[DeadRow] = []
        self._state.write_to(room)
        message = row = 0
        while True:
            message, row, why = kernel.decode_messages(
                message,
                row,
                address,
                size,
                self._limits.message_size_max,
                self._limits.rows_max,
                self._prefixed,
                self._state.address,
                rows_of,
                fault,
            )
            if why == kernel.DONE:
                break
            capacity = room.index.size
            if why == kernel.FULL or row + rows_of[message] > capacity:
                # An array has more rows than was guessed.
                room = room.grown(row, 2 * capacity + int(rows_of[message]) + self._limits.rows_max // 64 + 1)
                self._state.write_to(room)
                continue
            place = int(address[message]), int(size[message])
            reason, row = self._read_exactly(room, row, *place)
            if reason:
                dead.append(DeadRow(int(messages[message]), -1, reason))
                rows_of[message] = 0
            message += 1
        self._state.require_within()
        for bad in np.flatnonzero(fault):
            reason = fault_words(int(fault[bad]), int(address[bad]), int(size[bad]))
            dead.append(DeadRow(int(messages[bad]), -1, reason))
        dead.sort(key=lambda each: each.message)
        self._last = row, total
        columns = room.to_arrow(row) if row else None
        return Values(columns, messages, rows_of, room.index[:row], dead=dead)

    def _estimate(self, messages: int, size: int) -> int:
        """Guess the rows of so many messages and bytes: as dense as the last, not many times as many."""
        rows, last_size = self._last
        dense = rows * size // max(last_size, 1)
        return max(messages, min(dense + dense // 8, 2 * rows), 1)

    def _read_exactly(self, room: DecodedRows, row: int, address: int, size: int) -> tuple[str, int]:
        """Read a message that the kernel left; return why it cannot be read, if so, and the row after it."""
        start = kernel.body_of(address, size, self._limits.message_size_max, self._prefixed) - address
        exact = ExactMessage(self._plan, room, self._state.address, address, start, size)
        try:
            return "", exact.read_rows(row)
        except UnfitError as unfit:
            return str(unfit), row
