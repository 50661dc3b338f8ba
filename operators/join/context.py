"""The context of one right stream: the rows that wait, and behind them the last row per group.

Below the floor only the newest row of each group can still match: no left row below it waits or will come.
Looking back the floor is the frontier, as no left row waits below that.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from operators.join.seal_kernel import mark_groups, match_backward, oldest_offset, refresh_last
from operators.join.settings import AsofSettings
from operators.rows.groups import NO_GROUP
from operators.rows.pending import PendingRows
from operators.rows.store import RowStore
from schemas.batch import Batch, Bools, Int32s, Int64s
from schemas.clocks import BEGINNING_NS
from schemas.stream import Stream

NO_ROW = -1
UNBOUNDED_NS = 2**63 - 1


class Matches(NamedTuple):
    """For the left rows of one seal: the matched row, and per looked-up column the row of its value."""

    row: Int64s
    value: Int64s


class RightContext:
    """Folds right rows below the frontier into the last row per group, looking left rows up on the way."""

    def __init__(self, settings: AsofSettings, right: Stream) -> None:
        self.stream = right
        self.columns = settings.looked_up(right)
        self.pending = PendingRows(right.schema, self.columns)
        self._by_column = settings.carry == "column"
        self._allow_exact = settings.allow_exact
        tolerance_ns = settings.tolerance_ns
        self._tolerance_ns = UNBOUNDED_NS if tolerance_ns is None else min(tolerance_ns, UNBOUNDED_NS)
        self._behind_ns = self._tolerance_ns  # how far behind the floor a row may still match
        self._last = np.full(0, NO_ROW, np.int64)
        self._last_value = np.full((0, len(settings.carried_by_column(right))), NO_ROW, np.int64)
        self._filled = 0  # entries of the two tables that name a row: at least as many as rows they name
        self._touched = np.zeros(0, np.bool_)
        self._unknown = np.zeros(0, np.bool_)  # groups whose last row may not be the last-known one

    def add(self, batch: Batch, group: Int32s) -> None:
        """Take rows at or beyond the frontier.  A row without a key can match nothing and is not kept."""
        batch, group = _with_key(batch, group)
        if batch.rows:
            self._touch(group)
            self.pending.add(batch, group)

    def refresh(self, batch: Batch, group: Int32s, floor_ns: int) -> None:
        """Take rows below the frontier that were judged before; below the floor only a group's newest counts.

        From the floor on they wait again: left rows that another rule held are still to be looked up.
        """
        batch, group = _with_key(batch, group)
        if batch.rows:
            self._touch(group)
            waits = batch.time_ns >= floor_ns
            if waits.any():
                self.pending.add(batch.where(waits), group[waits])
                batch, group = batch.where(~waits), group[~waits]
            self._refresh(self.pending.hold(batch, group))
            self.compact(floor_ns)

    def fold_pending(self, floor_ns: int) -> None:
        """Fold what waits below the floor, where no left row is to be looked up."""
        self._refresh(self.pending.take(self.pending.below(floor_ns)))

    def match(self, left: PendingRows, left_ids: Int64s, frontier_ns: int, groups: int) -> Matches:
        """Look up sealed left rows, in order, and fold every row below the frontier."""
        self._make_room(groups)
        store = self.pending.store
        rows = self.pending.take(self.pending.below(frontier_ns))
        matches = Matches(
            np.empty(left_ids.size, np.int64), np.empty((self._last_value.shape[1], left_ids.size), np.int64)
        )
        self._filled += match_backward(
            left_ids,
            left.store.time_ns,
            left.store.group,
            rows,
            store.time_ns,
            store.group,
            self._has_values(rows),
            self._allow_exact,
            self._tolerance_ns,
            self._last,
            self._last_value,
            matches.row,
            matches.value,
        )
        return matches

    def compact(self, floor_ns: int) -> None:
        """Forget rows that can match no more, once they are the greater part: O(1) for each row taken."""
        if not self.pending.worth_forgetting(self._filled):
            return
        for table in (self._last, self._last_value):
            table[~self._can_match(table, floor_ns)] = NO_ROW
        named = np.concatenate([self._last, self._last_value.ravel()])
        named = named[named >= 0]
        self._renumber(self.pending.forget(named))
        self._filled = named.size

    def oldest_needed(self, floor_ns: int, otherwise: int) -> int:
        """The oldest offset of a row that may still match, at most `otherwise`."""
        store = self.pending.store
        oldest = self.oldest_pending(otherwise)
        oldest_ns = self._oldest_ns(floor_ns)
        return int(
            oldest_offset(self._last, self._last_value, store.offset, store.time_ns, oldest_ns, oldest)
        )

    def touched(self) -> Int32s:
        """The groups that got rows since the last call, ascending."""
        groups = np.flatnonzero(self._touched).astype(np.int32)
        self._touched[:] = False
        return groups

    def oldest_pending(self, otherwise: int) -> int:
        """The oldest offset of a row that waits for the frontier, at most `otherwise`."""
        return self.pending.oldest_offset(otherwise)

    def unknown_rows(self, frontier_ns: int) -> Int64s:
        """The rows that stand for the groups in which that may have changed since the last call, by group."""
        store = self.pending.store
        standing = self._standing(frontier_ns)
        rows = standing[self._unknown[store.group[standing]]]
        self._unknown[:] = False
        self._unknown[store.group[self.pending.ids_unordered]] = True  # they will stand one day
        by_group: Int64s = rows[np.argsort(store.group[rows], kind="stable")]
        return by_group

    def known_below(self, offset: int, frontier_ns: int) -> None:
        """Of the rows here, those below `offset` are last-known already."""
        store = self.pending.store
        rows = np.concatenate([self._standing(frontier_ns), self.pending.ids_unordered])
        self._unknown[:] = False
        self._unknown[store.group[rows[store.offset[rows] >= offset]]] = True

    def rows_of(self, groups: Int32s, floor_ns: int) -> Int64s:
        """Every row of these groups that may still match, by (group, time, sequence, arrival)."""
        store = self.pending.store
        wanted = np.zeros(self._last.size, np.bool_)
        wanted[groups] = True
        rows = np.concatenate([self._standing(floor_ns), self.pending.ids_unordered])
        rows = rows[wanted[store.group[rows]]]
        sorted_rows: Int64s = rows[np.lexsort((store.sequence[rows], store.time_ns[rows], store.group[rows]))]
        return sorted_rows

    def groups_with_rows(self, floor_ns: int, groups: int) -> Bools:
        """Which groups have a row that may still match."""
        store = self.pending.store
        alive = np.zeros(groups, np.bool_)
        alive[store.group[self._standing(floor_ns)]] = True
        alive[store.group[self.pending.ids_unordered]] = True
        return alive

    def mistakable(self, late: RowStore, floor_ns: int) -> Bools:
        """Which late rows a restart would take for the newest of their group.

        Those that may still match and are newer than the row that stands, or, where columns are carried,
        newer than the one whose value stands in a column they have a value in.  A row that has stopped
        being so never is again: what stands only gets newer, the floor only rises.
        """
        group = late.group[: late.rows]
        keyed: Bools = group != NO_GROUP
        group = np.where(keyed, group, 0)
        self._make_room(int(group.max(initial=0)) + 1)
        newer = self._newer(late, self._last[group])
        has_value = late.has_values(np.arange(late.rows)).astype(np.bool_)
        for c in range(has_value.shape[1]):
            newer |= has_value[:, c] & self._newer(late, self._last_value[group, c])
        return newer & keyed & (late.time_ns[: late.rows] >= self._oldest_ns(floor_ns))

    def _newer(self, late: RowStore, standing: Int64s) -> Bools:
        """Which late rows are newer than the row that stands beside each, or have none beside them."""
        newer: Bools = standing < 0
        decided = newer.copy()
        for name in ("time_ns", "sequence", "offset", "index"):
            own = getattr(late, name)[: late.rows]
            other = getattr(self.pending.store, name).take(standing, mode="clip")
            newer |= ~decided & (own > other)
            decided |= own != other
        return newer

    def _standing(self, floor_ns: int) -> Int64s:
        named = np.concatenate([self._last, self._last_value.ravel()])
        return np.unique(named[self._can_match(named, floor_ns)])

    def _can_match(self, rows: Int64s, floor_ns: int) -> Bools:
        if self._behind_ns == UNBOUNDED_NS or self.pending.store.rows == 0:
            return rows >= 0
        times: Int64s = self.pending.store.time_ns.take(rows, mode="clip")
        can: Bools = (times >= self._oldest_ns(floor_ns)) & (rows >= 0)
        return can

    def _oldest_ns(self, floor_ns: int) -> int:
        """The oldest time with which a row behind the floor may still match."""
        return (
            BEGINNING_NS if self._behind_ns == UNBOUNDED_NS else max(floor_ns - self._behind_ns, BEGINNING_NS)
        )

    def _renumber(self, place: Int64s) -> None:
        """Rows have new ids, `place` by old id, or are gone."""
        self._last = renumbered(self._last, place)
        self._last_value = renumbered(self._last_value, place)

    def _refresh(self, rows: Int64s) -> None:
        store = self.pending.store
        self._filled += refresh_last(
            rows,
            store.time_ns,
            store.sequence,
            store.offset,
            store.index,
            store.group,
            self._has_values(rows),
            self._last,
            self._last_value,
        )

    def _has_values(self, rows: Int64s) -> npt.NDArray[np.uint8]:
        if not self._by_column:
            return np.empty((rows.size, 0), np.uint8)
        return self.pending.store.has_values(rows)

    def _touch(self, group: Int32s) -> None:
        self._make_room(int(group.max()) + 1)
        mark_groups(group, self._touched, self._unknown)

    def _make_room(self, groups: int) -> None:
        if groups > self._last.size:
            more = max(groups, 2 * self._last.size) - self._last.size
            self._last = np.concatenate([self._last, np.full(more, NO_ROW, np.int64)])
            cells = np.full((more, self._last_value.shape[1]), NO_ROW, np.int64)
            self._last_value = np.concatenate([self._last_value, cells])
            self._touched = np.concatenate([self._touched, np.zeros(more, np.bool_)])
            self._unknown = np.concatenate([self._unknown, np.zeros(more, np.bool_)])


def _with_key(batch: Batch, group: Int32s) -> tuple[Batch, Int32s]:
    keyed = group != NO_GROUP
    return (batch, group) if keyed.all() else (batch.where(keyed), group[keyed])


def renumbered(table: Int64s, place: Int64s) -> Int64s:
    """A table of row ids after rows have got new ones, `place` by old id; NO_ROW for those forgotten."""
    if place.size == 0:
        return np.full_like(table, NO_ROW)
    return np.where(table >= 0, place.take(table, mode="clip"), NO_ROW)
