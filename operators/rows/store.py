"""A row store: the rows of one stream as growing columns; a row is named by its place, from 0."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.rows.columns import Column, kept, make_column, new_room, with_room
from schemas.batch import Batch, Bools, Int32s, Int64s

CONTROL = ("time_ns", "sequence", "offset", "index", "group")
CONTROL_SIZE = 32  # bytes per row of these


class RowStore:
    """Payload columns by name and the control columns `time_ns`, `sequence`, `offset`, `index`, `group`.

    Control columns are longer than `rows`, all alike: what stands behind is room to grow.
    """

    def __init__(self, schema: pa.Schema, columns: Sequence[str]) -> None:
        self.rows = 0
        self.time_ns: Int64s = new_room(np.int64)
        self.sequence: Int64s = new_room(np.int64)
        self.offset: Int64s = new_room(np.int64)
        self.index: Int32s = new_room(np.int32)
        self.group: Int32s = new_room(np.int32)
        self.names = tuple(columns)
        self._schema = schema
        self._places = [schema.get_field_index(name) for name in columns]
        self._columns: dict[str, Column] = {name: make_column(schema.field(name).type) for name in columns}

    @property
    def size(self) -> int:
        """Bytes of the rows held."""
        return CONTROL_SIZE * self.rows + sum(column.size for column in self._columns.values())

    def append(self, batch: Batch, group: Int32s) -> None:
        """Add the rows of `batch` as `rows`, `rows + 1`, ..."""
        start, stop = self.rows, self.rows + batch.rows
        if stop > self.time_ns.size:
            for name in CONTROL:
                setattr(self, name, with_room(getattr(self, name), start, batch.rows))
        self.time_ns[start:stop] = batch.time_ns
        self.sequence[start:stop] = batch.sequence
        self.offset[start:stop] = batch.offset
        self.index[start:stop] = batch.index
        self.group[start:stop] = group
        columns = batch.columns
        # To look up a name takes longer than to append a few values.
        named: Sequence[int | str] = self._places if columns.schema.equals(self._schema) else self.names
        for place, column in zip(named, self._columns.values(), strict=True):
            column.append(columns.column(place))
        self.rows = stop

    def gather(self, name: str, rows: Int64s, present: Bools | None = None) -> pa.Array:
        """A payload column at `rows`; null where `present` is false (there a row may be -1)."""
        return self._columns[name].gather(rows, present)

    def has_values(self, rows: Int64s) -> npt.NDArray[np.uint8]:
        """uint8 (rows, columns): 1 where a payload column is not null."""
        values = np.empty((rows.size, len(self.names)), np.uint8)
        for c, name in enumerate(self.names):
            values[:, c] = self._columns[name].has_value(rows)
        return values

    def keep(self, rows: Int64s) -> None:
        """Forget all but `rows`, which ascend and become 0, 1, ..."""
        for name in CONTROL:
            setattr(self, name, kept(getattr(self, name), rows))
        for column in self._columns.values():
            column.keep(rows)
        self.rows = rows.size
