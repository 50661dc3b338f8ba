"""Records of one partition as columns: what the embedded log keeps and hands out, no step per record."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.batch import Int64s
from topics.block import Headers, Original
from topics.joined import Joined, address_of, join


@dataclass(frozen=True, slots=True)
class Records:
    """Committed records in offset order; every column has one element per record."""

    offset: Int64s
    key: Joined
    value: Joined
    timestamp_ms: Int64s
    headers: Sequence[Headers | None]

    @property
    def rows(self) -> int:
        """The number of records."""
        return int(self.offset.size)

    def take(self, lower: int, upper: int) -> "Records":
        """Return records `lower` to `upper - 1`, as views."""
        if lower == 0 and upper == self.rows:
            return self
        return Records(
            self.offset[lower:upper],
            Joined(self.key.data, self.key.address[lower:upper], self.key.size[lower:upper]),
            Joined(self.value.data, self.value.address[lower:upper], self.value.size[lower:upper]),
            self.timestamp_ms[lower:upper],
            self.headers[lower:upper],
        )

    def original(self, row: int) -> Original:
        """Return one record as it was written."""
        return Original(
            _cut(self.key, row), _cut(self.value, row), self.headers[row] or [], int(self.timestamp_ms[row])
        )


def _cut(strings: Joined, row: int) -> bytes | None:
    size = int(strings.size[row])
    if size <= 0:
        return None if size < 0 else b""
    # A view starts inside the joined bytes, so the place is found from the address, not from the sizes.
    start = int(strings.address[row]) - int(address_of(strings.data))
    return strings.data[start : start + size]


class RecordList:
    """Records as they are appended, in plain lists until there are enough to make columns of."""

    def __init__(self) -> None:
        self.offset: list[int] = []
        self.key: list[bytes | None] = []
        self.value: list[bytes | None] = []
        self.timestamp_ms: list[int] = []
        self.headers: list[Headers | None] = []
        self.transaction: list[int] = []

    def append(
        self,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: Headers | None,
        transaction: int,
    ) -> None:
        """Add a record; `transaction` is the number of its transaction, -1 outside any."""
        self.offset.append(offset)
        self.key.append(key)
        self.value.append(value)
        self.timestamp_ms.append(timestamp_ms)
        self.headers.append(headers)
        self.transaction.append(transaction)

    def columns(self, lower: int, upper: int) -> Records:
        """Return records `lower` to `upper - 1` as columns of their own."""
        return Records(
            np.array(self.offset[lower:upper], np.int64),
            join(self.key[lower:upper]),
            join(self.value[lower:upper]),
            np.array(self.timestamp_ms[lower:upper], np.int64),
            self.headers[lower:upper],
        )

    def drop_first(self, rows: int) -> None:
        """Forget the first `rows` records."""
        for column in self._columns():
            del column[:rows]

    def drop_transaction(self, transaction: int) -> None:
        """Forget the records of one transaction, which was aborted."""
        kept = [row for row, writer in enumerate(self.transaction) if writer != transaction]
        for column in self._columns():
            column[:] = [column[row] for row in kept]

    def value_bytes(self) -> int:
        """Return the total size of the values."""
        return sum(len(value) for value in self.value if value is not None)

    def _columns(self) -> tuple[list[object], ...]:
        return (self.offset, self.key, self.value, self.timestamp_ms, self.headers, self.transaction)  # type: ignore[return-value]
