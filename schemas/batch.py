"""A batch: rows of one stream and one partition in flight, as columns of equal length."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Int64s: TypeAlias = npt.NDArray[np.int64]
Int32s: TypeAlias = npt.NDArray[np.int32]
Bools: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in arrival order; all arrays have `rows` elements.

    `columns`   the payload, in the stream's own schema, nulls as nulls.
    `time_ns`   int64, the pipeline clock of each row; never null (such rows were set aside before).
    `sequence`  int64, orders rows of equal time; 0 where the stream has no sequence column.
    `offset`    int64, the partition offset of the message that carried the row; never falls inside a batch.
    `index`     int32, the row's place inside that message.
    `key_code`  int32, index into `keys`; -1 is a null key, which never matches.
    `keys`      binary, the distinct message keys of this batch, in any order; codes mean nothing outside it.

    Order inside one stream and key is `(time_ns, sequence, offset, index)`.
    """

    columns: pa.RecordBatch
    time_ns: Int64s
    sequence: Int64s
    offset: Int64s
    index: Int32s
    key_code: Int32s
    keys: pa.BinaryArray

    def __post_init__(self) -> None:
        rows = self.columns.num_rows
        for name in ("time_ns", "sequence", "offset", "index", "key_code"):
            size = getattr(self, name).size
            assert size == rows, f"{name} has {size} elements for {rows} rows"

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.time_ns.size)

    def where(self, rows: Bools) -> "Batch":
        """The rows where the mask is true, in order; the batch itself where all are."""
        if rows.all():
            return self
        return Batch(
            columns=self.columns.filter(pa.array(rows)),
            time_ns=self.time_ns[rows],
            sequence=self.sequence[rows],
            offset=self.offset[rows],
            index=self.index[rows],
            key_code=self.key_code[rows],
            keys=self.keys,
        )

    def between(self, lower: int, upper: int) -> "Batch":
        """The rows from number `lower` to before number `upper`; nothing is copied."""
        rows = slice(lower, upper)
        return Batch(
            columns=self.columns.slice(lower, upper - lower),
            time_ns=self.time_ns[rows],
            sequence=self.sequence[rows],
            offset=self.offset[rows],
            index=self.index[rows],
            key_code=self.key_code[rows],
            keys=self.keys,
        )


def has_dictionary(kind: pa.DataType) -> bool:
    """Whether a type is encoded by a dictionary, or has one inside."""
    stored = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    inner = (stored.field(number).type for number in range(stored.num_fields))
    return pa.types.is_dictionary(stored) or any(map(has_dictionary, inner))
