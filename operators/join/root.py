"""The as-of join as a root: right rows go into contexts, left rows wait, and what is final is sealed."""

from collections.abc import Iterable, Mapping

from operators.inputs.intake import Accepted
from operators.inputs.progress import RowPlace
from operators.join.context import RightContext
from operators.join.forward import ForwardContext
from operators.join.last_known import last_known_entries, last_known_rows
from operators.join.restore import read_state
from operators.join.sealer import ForwardSealer, Sealer
from operators.join.settings import AsofSettings
from operators.join.snapshot import SnapshotWriter
from operators.rows.groups import Groups
from operators.rows.pending import PendingRows
from operators.rows.store import RowStore
from operators.sealed import Entries, Held, Sealed, Snapshot
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS, END_NS


class AsofRoot:
    """Joins accepted rows of one left and several right streams, one task's share (`Root`).

    The rows of all `seal` calls together are those of one join over the accepted rows, bit for bit, in the
    order (clock, sequence, left offset, index), whatever the batches and whenever `seal` was called.
    `groups` numbers the keys of the task, for the inputs and everything behind them.
    """

    def __init__(self, settings: AsofSettings, groups: Groups, name: str = "aligned") -> None:
        self.name = name
        self.meaning = settings.fingerprint()
        self.streams = tuple(stream.name for stream in settings.joined)
        self.layout = settings.aligned_schema()
        # Without a tolerance the last row of a group may be needed however old it is.  Such a join looks
        # back: the other directions must have a tolerance.
        self.keeps = settings.tolerance_ns is None
        self._settings = settings
        self._groups = groups
        self._frontier_ns = BEGINNING_NS
        self._rereading = False
        self._sealer = _sealer_of(settings)
        self._by_stream = {right.stream.name: right for right in self._sealer.rights}
        self._writer = SnapshotWriter(settings, groups, self._sealer.left, self._sealer.rights)

    def take(self, stream: str, rows: Accepted) -> None:
        """Take rows that an input accepted."""
        right = self._by_stream.get(stream)
        if right is None:
            self._take_left(rows)
        else:
            self._take_right(right, rows)

    def seal(self, frontier_ns: int) -> Sealed:
        """Return the left rows that are final once the frontier stands there, joined, in order."""
        if frontier_ns == self._frontier_ns and not self._reached():
            return Sealed(None, self._floor_ns)
        self._frontier_ns = frontier_ns
        rows, keys, matched = self._sealer.seal(frontier_ns, len(self._groups))
        counts = zip(self._by_stream, matched, strict=True)
        return Sealed(rows, self._floor_ns, matched_rows=dict(counts), keys=keys)

    @property
    def end_ns(self) -> int:
        """A frontier past the newest row of any stream, and past what a left row could still have matched."""
        end_ns = self._frontier_ns
        for rows in (self._sealer.left, *(right.pending for right in self._sealer.rights)):
            if rows.rows:
                hold_ns = self._settings.hold_ns if rows is self._sealer.left else 0
                end_ns = max(end_ns, int(rows.store.time_ns[rows.ids[-1]]) + hold_ns + 1)
        return min(end_ns, END_NS)

    @property
    def is_empty(self) -> bool:
        """Whether no left row waits."""
        return self._sealer.left.rows == 0

    @property
    def through(self) -> RowPlace | None:
        """The place of the last left row sealed, None before the first."""
        return self._sealer.through

    def needed_offset(self, stream: str, otherwise: int) -> int:
        """The oldest offset of a row that waits or may still match, at most `otherwise`."""
        right = self._by_stream.get(stream)
        if right is None:
            return self._sealer.left.oldest_offset(otherwise)
        return right.oldest_needed(self._floor_ns, otherwise)

    def oldest_waiting(self, stream: str, otherwise: int) -> int:
        """The oldest offset of a row that waits for the frontier, at most `otherwise`."""
        return self._pending(stream).oldest_offset(otherwise)

    def mistakable(self, stream: str, rows: RowStore) -> Bools:
        """Which rows set aside a restart could take for rows that wait, or for the last of their group."""
        right = self._by_stream.get(stream)
        if right is not None:
            return right.mistakable(rows, self._floor_ns)
        held = slice(0, rows.rows)
        places = rows.time_ns[held], rows.sequence[held], rows.offset[held], rows.index[held]
        return self._may_wait(places[0]) & self._sealer.unsealed(*places)

    def held(self, stream: str) -> Held:
        """What waits for the frontier, or what left rows wait for."""
        pending = self._pending(stream)
        return Held(pending.rows, pending.size)

    def resume(
        self, frontier_ns: int, through: RowPlace | None, needed: Mapping[str, int], held_ns: int = 0
    ) -> None:
        """Take up committed progress: rows below `needed`, by stream, are known without being read again.

        By the rule of the earlier life, left rows may have waited up to `held_ns` behind the frontier.
        """
        self._frontier_ns = frontier_ns
        self._sealer.held_ns = held_ns
        self._rereading = True
        self._sealer.pass_over(through)
        for name, right in self._by_stream.items():
            right.fold_pending(self._floor_ns)
            right.known_below(needed[name], frontier_ns)

    def rereading_ended(self) -> int:
        """Every input has been read again; until then left rows may come that waited below the frontier."""
        self._rereading = False
        for right in self._sealer.rights:
            right.fold_pending(self._floor_ns)
        return self._floor_ns

    def snapshot(self) -> Snapshot:
        """What changed since the last snapshot; all snapshots so far together restore this state."""
        return self._writer.write(self._frontier_ns, self._floor_ns, self._sealer.through)

    def restore(self, entries: Entries) -> None:
        """Take back what snapshots wrote; on a new root, before `resume`.

        Raises SnapshotError where entries are damaged or missing; the root is then as new.
        """
        state = read_state(self._settings, entries)
        self._frontier_ns = state.header.frontier_ns
        self._sealer.through = state.header.through
        self._add_left(state.left)
        for place, (right, rows) in enumerate(zip(self._sealer.rights, state.rights, strict=True)):
            if rows.rows:
                right.add(rows, self._groups.codes(rows.keys, rows.key_code))
                right.fold_pending(self._floor_ns)
            self._writer.restored(place)

    def kept(self, entry_size_max: int | None = None) -> list[tuple[bytes, bytes]]:
        """The last row of each group in which it changed since the last call.

        An entry that would be larger than `entry_size_max` bytes says only from where to read its rows again.
        """
        entries: list[tuple[bytes, bytes]] = []
        for right in self._sealer.rights:
            entries += last_known_entries(
                self._settings, right, self._groups, self._frontier_ns, entry_size_max
            )
        return entries

    def recall(self, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int) -> Mapping[str, int]:
        """Restore last-known entries; on a new or restored root, before `resume` with `frontier_ns`.

        Returns, per right stream with entries that were kept with other columns or without rows, the oldest
        offset of their rows.  Raises SnapshotError where an entry is damaged or of another join.
        """
        rows_of, older = last_known_rows(self._settings, entries, frontier_ns)
        for name, rows in rows_of.items():
            self._by_stream[name].refresh(rows, self._groups.codes(rows.keys, rows.key_code), frontier_ns)
        return older

    @property
    def _floor_ns(self) -> int:
        """Below it no left row waits or comes, so right rows there match only as the last of their group.

        While left rows are read again, it stands a hold behind the frontier: any of them may have waited.
        """
        if self._rereading:
            return self._oldest_left_ns
        return self._sealer.floor_ns(self._frontier_ns)

    def _take_left(self, rows: Accepted) -> None:
        """Let left rows wait; rows judged before wait only if they were not sealed then."""
        context, pending = rows.context, rows.pending
        if rows.judged and context is not None:
            self._add_left(self._unsealed(context.where(self._may_wait(context.time_ns))))
        self._add_left(self._unsealed(pending) if rows.judged else pending)

    def _take_right(self, right: RightContext, rows: Accepted) -> None:
        context, pending = rows.context, rows.pending
        if context is not None and context.rows:
            right.refresh(context, self._groups.codes(context.keys, context.key_code), self._floor_ns)
        if pending.rows:
            right.add(pending, self._groups.codes(pending.keys, pending.key_code))

    def _unsealed(self, rows: Batch) -> Batch:
        return rows.where(self._sealer.unsealed(rows.time_ns, rows.sequence, rows.offset, rows.index))

    @property
    def _oldest_left_ns(self) -> int:
        """So far behind the frontier a left row may wait; every older one is sealed or late."""
        return max(self._frontier_ns - max(self._settings.hold_ns, self._sealer.held_ns), BEGINNING_NS)

    def _may_wait(self, time_ns: Int64s) -> Bools:
        """Which left times are not so far behind the frontier that every row of theirs is sealed or late."""
        may: Bools = time_ns >= self._oldest_left_ns
        return may

    def _add_left(self, rows: Batch) -> None:
        if rows.rows:
            self._sealer.left.add(rows, self._groups.codes(rows.keys, rows.key_code))

    def _reached(self) -> int:
        """How many left rows wait only for the next seal."""
        sealer = self._sealer
        if sealer.held_ns and not self._rereading:
            sealer.held_ns = 0
            return sealer.left.rows
        return 0 if self._settings.hold_ns else sealer.left.below(sealer.left_bound(self._frontier_ns))

    def _pending(self, stream: str) -> PendingRows:
        right = self._by_stream.get(stream)
        return self._sealer.left if right is None else right.pending


def _sealer_of(settings: AsofSettings) -> Sealer:
    """A sealer for the direction of the join, with the left rows that wait and a context of each right."""
    left = PendingRows(settings.left.schema, tuple(settings.left.schema.names))
    if settings.direction == "backward":
        return Sealer(settings, left, tuple(RightContext(settings, right) for right in settings.rights))
    return ForwardSealer(settings, left, tuple(ForwardContext(settings, right) for right in settings.rights))
