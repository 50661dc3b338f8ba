"""The parity of a partition: a rolling 128-bit hash of its sealed rows, equal for a live day and its replay.

It does not depend on where frames were cut, on restarts, nor on the places of the left rows in their topic.
It finds what went wrong by itself; it is no defence against who wants two runs to look alike.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from operators.hashing.batch_hash import BatchHashes
from operators.hashing.row_hash import row_hashes
from operators.hashing.row_hash_kernel import UInt64s, roll
from schemas.frame import LEFT_INDEX, LEFT_OFFSET

_PLACES = (LEFT_OFFSET, LEFT_INDEX)


@dataclass(frozen=True, slots=True)
class Parity:
    """How many rows a partition has emitted, and the two lanes of their hash, 64 bits each.

    Printed and parsed as `ROWS-HASH`, the hash as 32 hex digits.
    """

    rows: int = 0
    first: int = 0
    second: int = 0

    def roll(self, hashes: UInt64s) -> "Parity":
        """The parity after these rows too (`sealed_hashes`), in their order."""
        lanes = np.array([self.first, self.second], np.uint64)
        with np.errstate(over="ignore"):  # as in `row_hashes`
            roll(hashes, lanes)
        return Parity(self.rows + hashes.size, int(lanes[0]), int(lanes[1]))

    def __str__(self) -> str:
        return f"{self.rows}-{self.first:016x}{self.second:016x}"

    @classmethod
    def parse(cls, text: str) -> "Parity":
        """The parity that was printed as `text`; raises ValueError where none was."""
        rows, _, digits = text.partition("-")
        if not (rows.isascii() and rows.isdigit() and len(digits) == 32):
            raise ValueError(f"{text!r} is no parity")
        return cls(int(rows), int(digits[:16], 16), int(digits[16:], 16))


def sealed_hashes(rows: pa.RecordBatch) -> UInt64s:
    """One hash per aligned row over all its columns but those that say where its left row stood."""
    named = zip(rows.schema.names, rows.columns, strict=True)
    return row_hashes([column for name, column in named if name not in _PLACES], rows.num_rows)


def sealed_hasher(layout: pa.Schema) -> BatchHashes:
    """What gives the `sealed_hashes` of rows of one layout, batch after batch."""
    return BatchHashes(layout, _PLACES)
