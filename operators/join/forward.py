"""The right rows of a join that looks ahead: those that waiting left rows may match, in a chain per group.

The floor of a task is the time of the oldest left row that waits, at most the frontier.  Below the floor only
the newest row of a group can still match (`nearest`); rows from the floor on are kept.  A left row waits no
longer than the tolerance, so they are few.
"""

import numpy as np

from operators.join.context import NO_ROW, UNBOUNDED_NS, Matches, RightContext, renumbered
from operators.join.forward_kernel import match_forward, match_nearest, release, settle
from operators.join.settings import AsofSettings
from operators.rows.columns import new_room, with_room
from operators.rows.pending import PendingRows
from schemas.batch import Batch, Int32s, Int64s
from schemas.clocks import BEGINNING_NS, END_NS
from schemas.stream import Stream


class ForwardContext(RightContext):
    """Finds the match of each left row in order, as far as it is final; several right streams need not agree.

    A match is kept while its left row waits for another right stream, so that every left row is matched once.
    """

    def __init__(self, settings: AsofSettings, right: Stream) -> None:
        super().__init__(settings, right)
        self._nearest = settings.direction == "nearest"
        self._behind_ns = settings.hold_ns if self._nearest else 0
        self._strict = 0 if settings.allow_exact else 1
        self._following: Int64s = new_room(np.int64)
        self._tail = np.full(0, NO_ROW, np.int64)
        self._heads = np.full((2 if self._nearest else 1, 0), NO_ROW, np.int64)
        self._before = np.full(0, NO_ROW, np.int64)
        self._matches: Int64s = np.empty(0, np.int64)

    def refresh(self, batch: Batch, group: Int32s, floor_ns: int) -> None:
        """Take rows below the frontier that were judged before: from the floor on they may still match."""
        self.add(batch, group)
        self.fold_pending(floor_ns)
        self.compact(floor_ns)

    def fold_pending(self, floor_ns: int) -> None:
        """Let go of the rows below the floor, but for the last of each group where one before may match."""
        rows = self.pending.take(self.pending.below(floor_ns))
        group = self.pending.store.group
        release(rows, group, self._following, self._tail, self._heads, self._before)
        if self._nearest:
            self._refresh(rows)

    def look_ahead(self, left: PendingRows, frontier_ns: int, groups: int) -> int:
        """Match the waiting left rows in order while they are final; return how many of them are."""
        self._make_room(groups)
        store = self.pending.store
        rows = self.pending.settle(frontier_ns)
        if self._following.size < store.rows:
            self._following = with_room(self._following, self._following.size, store.rows).view(np.int64)
        settle(rows, store.group, self._following, self._tail, self._heads)
        waiting = left.first(left.below(frontier_ns))[self._matches.size :]
        match = np.empty(waiting.size, np.int64)
        sides = (waiting, left.store.time_ns, left.store.group, _through_ns(frontier_ns), self._strict)
        chains = (self._tolerance_ns, store.time_ns, self._following, self._heads)
        if self._nearest:
            count = match_nearest(*sides, *chains, self._before, self._last, match)
        else:
            count = match_forward(*sides, *chains, match)
        self._matches = np.concatenate([self._matches, match[:count]])
        return int(self._matches.size)

    def take_matches(self, count: int) -> Matches:
        """The matches of the first `count` waiting left rows, which wait no longer."""
        rows, self._matches = self._matches[:count], self._matches[count:]
        return Matches(rows, np.empty((0, count), np.int64))

    def _renumber(self, place: Int64s) -> None:
        super()._renumber(place)
        kept = np.flatnonzero(place >= 0)
        # Rows that have not settled have no follower yet, and whatever stands there is never read.
        following = renumbered(self._following.take(kept, mode="clip"), place)
        # Never without room: there would be nothing to take from the next time.
        self._following = with_room(following, kept.size, max(1, kept.size)).view(np.int64)
        self._tail = renumbered(self._tail, place)
        self._heads = renumbered(self._heads, place)
        self._before = renumbered(self._before, place)
        self._matches = renumbered(self._matches, place)

    def _make_room(self, groups: int) -> None:
        super()._make_room(groups)
        more = self._last.size - self._tail.size
        if more:
            self._tail = np.concatenate([self._tail, np.full(more, NO_ROW, np.int64)])
            self._before = np.concatenate([self._before, np.full(more, NO_ROW, np.int64)])
            cells = np.full((self._heads.shape[0], more), NO_ROW, np.int64)
            self._heads = np.concatenate([self._heads, cells], axis=1)


def _through_ns(frontier_ns: int) -> int:
    """The last time of which every row is here: of all times, where no row can come any more."""
    return UNBOUNDED_NS if frontier_ns >= END_NS else max(frontier_ns - 1, BEGINNING_NS)
