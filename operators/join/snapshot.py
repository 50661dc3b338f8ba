"""A snapshot: what changed since the last one, a value per group that got rows; no step per row."""

import numpy as np
import pyarrow as pa

from operators.inputs.progress import InputProgress
from operators.inputs.set_aside import LateRows
from operators.join.context import RightContext
from operators.join.settings import AsofSettings
from operators.join.snapshot_format import (
    HEADER_KEY,
    LEFT_KEY,
    Header,
    close_value,
    encode_header,
    late_key,
    late_schema,
    left_schema,
    right_key,
    right_schema,
)
from operators.operator import Snapshot
from operators.rows.groups import Groups
from operators.rows.packing import pack_rows
from operators.rows.pending import PendingRows
from operators.rows.store import RowStore
from schemas.batch import Bools, Int64s


class SnapshotWriter:
    """Writes the groups touched since the last snapshot and remembers which ones have an entry.

    Passing the frontier does not make an entry stale: reading it back folds what lies below.
    """

    def __init__(
        self,
        settings: AsofSettings,
        groups: Groups,
        left: PendingRows,
        rights: tuple[RightContext, ...],
        late: list[LateRows],
    ) -> None:
        self._settings = settings
        self._groups = groups
        self._left = left
        self._rights = rights
        self._late = late  # of every input, the left one first
        self._written = [np.zeros(0, np.bool_) for _ in rights]
        self._empty: dict[pa.Schema, bytes] = {}

    def restored(self, right: int) -> None:
        """The groups of a right stream that have rows were read from entries, and are as written."""
        self._written[right] = self._room(self._written[right])
        self._written[right][self._rights[right].touched()] = True

    def write(self, frontier_ns: int, floor_ns: int, inputs: dict[str, InputProgress]) -> Snapshot:
        """The entries to put and the keys to delete, so that all entries together are the present state."""
        puts: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        for place in range(len(self._rights)):
            self._write_right(place, floor_ns, puts, deletes)
        puts += [(late_key(place), self._late_value(place)) for place in range(len(self._late))]
        puts.append((LEFT_KEY, self._left_value()))
        written = [int(np.count_nonzero(groups)) for groups in self._written]
        header = Header(self._settings.fingerprint(), frontier_ns, inputs, written)
        puts.append((HEADER_KEY, encode_header(header)))
        return Snapshot(puts, deletes)

    def _write_right(
        self, place: int, floor_ns: int, puts: list[tuple[bytes, bytes]], deletes: list[bytes]
    ) -> None:
        right = self._rights[place]
        written = self._written[place] = self._room(self._written[place])
        rows = right.rows_of(right.touched(), floor_ns)
        store = right.pending.store
        found, first = np.unique(store.group[rows], return_index=True)
        packed = pack_rows(
            gathered(store, rows, right_schema(self._settings, right.stream), []),
            np.append(first, rows.size),
        )
        for group, value in zip(found.tolist(), packed, strict=True):
            puts.append((right_key(place, self._groups.key(group)), close_value(value)))
        written[found] = True
        gone = written & ~right.groups_with_rows(floor_ns, len(self._groups))
        deletes += [right_key(place, self._groups.key(group)) for group in np.flatnonzero(gone).tolist()]
        written[gone] = False

    def _left_value(self) -> bytes:
        return self._value(self._left.store, self._left.ids_unordered, left_schema(self._settings.left))

    def _late_value(self, place: int) -> bytes:
        store = self._late[place].store
        schema = late_schema(self._settings, self._settings.streams[place])
        return self._value(store, np.arange(store.rows), schema)

    def _value(self, store: RowStore, rows: Int64s, schema: pa.Schema) -> bytes:
        """Rows of any groups as one value; of none it is made once, since most have none."""
        if rows.size == 0 and schema in self._empty:
            return self._empty[schema]
        keys = self._groups.keys(store.group[rows])
        table = gathered(store, rows, schema, [keys])
        value = close_value(pack_rows(table, np.array([0, rows.size]))[0])
        if rows.size == 0:
            self._empty[schema] = value
        return value

    def _room(self, written: Bools) -> Bools:
        return np.concatenate([written, np.zeros(len(self._groups) - written.size, np.bool_)])


def gathered(store: RowStore, rows: Int64s, schema: pa.Schema, keys: list[pa.Array]) -> pa.RecordBatch:
    """Rows of a store as a record batch of `schema`: control columns, `keys`, then the payload."""
    columns = [pa.array(values[rows]) for values in (store.time_ns, store.sequence, store.offset)]
    columns += [pa.array(store.index[rows]), *keys]
    columns += [store.gather(name, rows) for name in store.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
