"""A snapshot of a join: what changed since the last one, a value per group that got rows; no step per row."""

import numpy as np

from operators.inputs.progress import RowPlace
from operators.join.context import RightContext
from operators.join.settings import AsofSettings
from operators.join.snapshot_format import (
    HEADER_KEY,
    LEFT_KEY,
    Header,
    encode_header,
    left_schema,
    right_key,
    right_schema,
)
from operators.rows.groups import Groups
from operators.rows.kept import KeyedRows, close_value, gathered
from operators.rows.packing import pack_rows
from operators.rows.pending import PendingRows
from operators.sealed import Snapshot
from schemas.batch import Bools


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
    ) -> None:
        self._settings = settings
        self._groups = groups
        self._left = left
        self._rights = rights
        self._written = [np.zeros(0, np.bool_) for _ in rights]
        self._left_rows = KeyedRows(left_schema(settings.left))

    def restored(self, right: int) -> None:
        """The groups of a right stream that have rows were read from entries, and are as written."""
        self._written[right] = self._room(self._written[right])
        self._written[right][self._rights[right].touched()] = True

    def write(self, frontier_ns: int, floor_ns: int, through: RowPlace | None) -> Snapshot:
        """The entries to put and the keys to delete, so that all entries together are the present state."""
        puts: list[tuple[bytes, bytes]] = []
        deletes: list[bytes] = []
        for place in range(len(self._rights)):
            self._write_right(place, floor_ns, puts, deletes)
        puts.append((LEFT_KEY, self._left_value()))
        written = [int(np.count_nonzero(groups)) for groups in self._written]
        puts.append((HEADER_KEY, encode_header(Header(frontier_ns, through, written))))
        return Snapshot(puts, deletes)

    def _write_right(
        self, place: int, floor_ns: int, puts: list[tuple[bytes, bytes]], deletes: list[bytes]
    ) -> None:
        right = self._rights[place]
        written = self._written[place] = self._room(self._written[place])
        rows = right.rows_of(right.touched(), floor_ns)
        store = right.pending.store
        groups, first = np.unique(store.group[rows], return_index=True)
        packed = pack_rows(
            gathered(store, rows, right_schema(self._settings, right.stream), []),
            np.append(first, rows.size),
        )
        for group, value in zip(groups.tolist(), packed, strict=True):
            puts.append((right_key(place, self._groups.key(group)), close_value(value)))
        written[groups] = True
        gone = written & ~right.groups_with_rows(floor_ns, len(self._groups))
        deletes += [right_key(place, self._groups.key(group)) for group in np.flatnonzero(gone).tolist()]
        written[gone] = False

    def _left_value(self) -> bytes:
        store, rows = self._left.store, self._left.ids_unordered
        return self._left_rows.value(store, rows, self._groups.keys(store.group[rows]))

    def _room(self, written: Bools) -> Bools:
        return np.concatenate([written, np.zeros(len(self._groups) - written.size, np.bool_)])
