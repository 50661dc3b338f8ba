"""What the parts of an operator hand one another: sealed rows, what waits, and entries to be kept."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from schemas.batch import Int32s, Int64s

ALIGNED: Final = "aligned"  # the output of the join of `[pipeline]`

Entries: TypeAlias = Iterable[tuple[bytes, bytes]]
Statuses: TypeAlias = npt.NDArray[np.uint8]  # places in `schemas.reasons.REASONS`


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What to write down: entries to put, keys to delete.  Keys and values are opaque to the store."""

    puts: Sequence[tuple[bytes, bytes]]
    deletes: Sequence[bytes]


_UNKNOWN: Final = np.empty(0, np.int64)


class RowKeys(NamedTuple):
    """What tells sealed rows apart for who looks back at earlier ones: one value per row.

    `group`    int32: the number of the row's symbol in its task, -1 for a row without a key.
    `time_ns`  int64: on the clock of the pipeline, ascending.
    `session`  int64: the session it is in, ascending; -1 outside every session.  A root leaves it empty.
    """

    group: Int32s
    time_ns: Int64s
    session: Int64s = _UNKNOWN


class Sealed(NamedTuple):
    """Rows that are final, and how far the output is complete with them.

    `rows`          in order, each once over all calls; None for no row.
    `complete_ns`   every row of this output below it is in these rows or came before.
    `assumed_rows`  how many of the rows, the last ones, are final only because an idle input was left out.
    `matched_rows`  of a join: by right stream, how many of the rows have a match.
    `keys`          of the rows, where there are any.
    `reasons`       by feature with a null among these rows, or a value that was cut: why, for each row.
    `available`     int64: the earliest moment each row could have been in a reader's hands, as the logs tell;
                    null where they do not.  None where nobody asks, or for no row.
    """

    rows: pa.RecordBatch | None
    complete_ns: int
    assumed_rows: int = 0
    matched_rows: Mapping[str, int] = MappingProxyType({})
    keys: RowKeys | None = None
    reasons: Mapping[str, Statuses] = MappingProxyType({})
    available: pa.Array | None = None


class Held(NamedTuple):
    """What waits of one input: rows, and their size in bytes."""

    rows: int
    size: int
