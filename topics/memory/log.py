"""One partition of the embedded bus: append-only, with Kafka's offsets, markers and last stable offset."""

from bisect import bisect_left, bisect_right
from typing import Final

from topics.block import Headers
from topics.memory.records import RecordList, Records

# Records become columns in groups of this many, or of this many value bytes: large enough that a poll of
# 20,000 records is a handful of array operations, small enough that dropping what was consumed frees memory.
GROUP_ROWS: Final = 4_096
GROUP_BYTES: Final = 8 << 20

NO_TRANSACTION: Final = -1


class PartitionLog:
    """Records of one partition, in the order they were appended.

    Records below the last stable offset are decided: an aborted one is gone, a committed one never changes.
    The oldest decided records are kept as columns, the rest as lists.
    """

    def __init__(self) -> None:
        self.low = 0
        self.high = 0
        self._groups: list[Records] = []
        self._group_last: list[int] = []  # last offset of each group, for the search
        self._recent = RecordList()
        self._recent_size = 0
        self._open: dict[int, int] = {}  # transaction -> the first offset it wrote here, oldest first

    @property
    def stable(self) -> int:
        """The last stable offset: read-committed readers see records below it."""
        return min(self._open.values(), default=self.high)

    def append(
        self,
        *,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        timestamp_ms: int,
        transaction: int = NO_TRANSACTION,
    ) -> int:
        """Add a record and return its offset."""
        offset = self.high
        if transaction != NO_TRANSACTION:
            self._open.setdefault(transaction, offset)
        self._recent.append(offset, key, value, timestamp_ms, headers, transaction)
        self._recent_size += len(value or b"")
        self.high += 1
        if len(self._recent.offset) >= GROUP_ROWS or self._recent_size >= GROUP_BYTES:
            self._group_decided()
        return offset

    def end(self, transaction: int, *, committed: bool) -> None:
        """Decide a transaction that wrote here; its marker takes an offset of its own, as on Kafka."""
        del self._open[transaction]
        if not committed:
            self._recent.drop_transaction(transaction)
            self._recent_size = self._recent.value_bytes()
        self.high += 1
        self._group_decided()

    def read(self, offset: int, rows_max: int) -> tuple[list[Records], int]:
        """Return committed records from `offset` on, and the position after them.

        The position passes markers and aborted records only where no record follows them, so that it is
        the last stable offset exactly when nothing is left to read.
        """
        assert self.low <= offset <= self.high
        taken: list[Records] = []
        left = rows_max
        for group in range(bisect_left(self._group_last, offset), len(self._groups)):
            if left == 0:
                break
            records = self._groups[group]
            lower = int(records.offset.searchsorted(offset))
            taken.append(records.take(lower, min(records.rows, lower + left)))
            left -= taken[-1].rows
        if left:
            lower = bisect_left(self._recent.offset, offset)
            upper = min(self._decided(), lower + left)
            if lower < upper:
                taken.append(self._recent.columns(lower, upper))
                left -= upper - lower
        if left:
            return taken, max(offset, self.stable)
        return taken, int(taken[-1].offset[-1]) + 1

    def delete_before(self, offset: int) -> None:
        """Drop records below `offset`, which becomes the low offset; never beyond the last stable one."""
        self.low = max(self.low, min(offset, self.stable))
        gone = bisect_left(self._group_last, self.low)
        del self._groups[:gone], self._group_last[:gone]
        recent_gone = bisect_left(self._recent.offset, self.low)
        self._recent.drop_first(recent_gone)
        self._recent_size = self._recent.value_bytes()

    def _decided(self) -> int:
        """How many of the recent records are below the last stable offset."""
        return bisect_right(self._recent.offset, self.stable - 1)

    def _group_decided(self) -> None:
        rows = self._decided()
        if rows == 0 or (rows < GROUP_ROWS and self._recent_size < GROUP_BYTES):
            return
        group = self._recent.columns(0, rows)
        self._groups.append(group)
        self._group_last.append(int(group.offset[-1]))
        self._recent_size -= len(group.value.data)
        self._recent.drop_first(rows)
