"""The streaming as-of join: each left row with the right row that belongs to it, once, never revised."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from operators.inputs.intake import Accepted, InputCounts, Intake
from operators.inputs.max_ahead import AheadLimit
from operators.inputs.pausing import is_full
from operators.inputs.progress import InputProgress
from operators.inputs.set_aside import LateRows
from operators.inputs.watermark import lowest_watermarks
from operators.join.context import RightContext
from operators.join.forward import ForwardContext
from operators.join.last_known import last_known_entries, last_known_rows
from operators.join.restore import read_state
from operators.join.sealer import ForwardSealer, Sealer
from operators.join.settings import BUFFER_ROWS_MAX, BUFFER_SIZE_MAX, AsofSettings
from operators.join.snapshot import SnapshotWriter
from operators.operator import Snapshot
from operators.rows.groups import Groups
from operators.rows.pending import PendingRows
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS


class StreamingAsof:
    """Joins batches of streams in any order of arrival within the grace, one task's share (`Operator`).

    The rows of all `seal` calls together are those of one join over the accepted rows, bit for bit, in the
    order (clock, sequence, left offset, index), whatever the batches and whenever `seal` was called.
    """

    def __init__(self, settings: AsofSettings) -> None:
        self._settings = settings
        self._frontier_ns = BEGINNING_NS
        self._assumed_rows = 0
        self._intakes = {
            stream.name: Intake(
                stream,
                stream.require_clock(settings.clock),
                settings.grace_ns.get(stream.name, 0),
                LateRows(stream.schema, settings.carried_by_column(stream)),
            )
            for stream in settings.streams
        }
        self._clocks = [intake.clock for intake in self._intakes.values()]
        self._limit = AheadLimit(settings.max_ahead_ns, settings.max_ahead_of, self._clocks)
        self._groups = Groups()
        self._left = PendingRows(settings.left.schema, tuple(settings.left.schema.names))
        self._rights, self._sealer = self._matching()
        late_rows = [intake.late_rows for intake in self._intakes.values()]
        self._writer = SnapshotWriter(settings, self._groups, self._left, self._rights, late_rows)

    @property
    def streams(self) -> tuple[str, ...]:
        """The left stream, then the right ones."""
        return tuple(self._intakes)

    @property
    def schema(self) -> pa.Schema:
        """The columns of the sealed rows."""
        return self._settings.aligned_schema()

    @property
    def frontier_ns(self) -> int:
        """The smallest watermark at the last seal."""
        return self._frontier_ns

    @property
    def complete_ns(self) -> int:
        """Every left row below it has been sealed: the frontier, or the oldest left row still waiting."""
        return self._floor_ns

    @property
    def assumed_rows(self) -> int:
        """How many rows of the last seal, the last ones, evidence alone would not have sealed yet."""
        return self._assumed_rows

    @property
    def final(self) -> bool:
        """Whether every input has read its final record and no left row waits."""
        return self.ended and self._left.rows == 0

    @property
    def ended(self) -> bool:
        """Whether every input has read its final record."""
        return self.caught_up and all(intake.clock.final for intake in self._intakes.values())

    @property
    def caught_up(self) -> bool:
        """Whether every input has been read again up to where an earlier life had come."""
        return all(intake.clock.caught_up for intake in self._intakes.values())

    def push(self, stream: str, batch: Batch | pa.RecordBatch, *, now_ns: int | None = None) -> None:
        """Take rows of one input, in arrival order.

        A plain record batch gets its keys from the stream's key columns and its offsets by counting rows; a
        missing column, one of another type, or a null time is a ValueError and nothing is taken.
        """
        intake = self._intakes[stream]
        rows = intake.batch(batch)
        if rows.rows == 0:
            return
        right, judged = self._right(stream), not intake.clock.caught_up
        accepted = intake.accept(rows, self._frontier_ns, self._limit, now_ns)
        if right is None:
            self._take_left(accepted, judged=judged)
        else:
            self._take_right(right, accepted)
        if accepted.aside is not None:
            self._remember_late(intake, accepted.aside)
            self._forget_late()

    def advance(
        self,
        stream: str,
        upper_ns: int,
        *,
        final: bool = False,
        offset: int | None = None,
        now_ns: int | None = None,
    ) -> None:
        """No further row of `stream` below `upper_ns` is expected: a progress record, read at `offset`."""
        self._intakes[stream].advance(upper_ns, final, offset, self._limit, now_ns)

    def idle(self, stream: str) -> None:
        """Leave `stream` out of the frontier until its next row or progress record."""
        self._intakes[stream].clock.leave_out()

    def reached(self, stream: str, offset: int) -> None:
        """Everything of `stream` below `offset` has been read, be there rows or not: the end of the log."""
        self._intakes[stream].clock.see_offset(offset)

    def seal(self) -> pa.RecordBatch | None:
        """Move the frontier to the smallest watermark and return the rows that became final, in order.

        While an input is read again up to where an earlier life had come, the frontier stands still.  What an
        idle input would have held is sealed apart, and last, so that it can be told from the rest.
        """
        self._assumed_rows = 0
        if not self.caught_up:
            return None
        evident_ns, assumed_ns = lowest_watermarks(self._clocks)
        sealed = self._seal(max(self._frontier_ns, evident_ns))
        if assumed_ns <= self._frontier_ns or (assumed := self._seal(assumed_ns)) is None:
            return sealed
        self._assumed_rows = assumed.num_rows
        return assumed if sealed is None else pa.concat_batches([sealed, assumed])

    def finish(self) -> pa.RecordBatch | None:
        """Seal everything that is left; the frontier moves past the newest row of any input.

        Past what a left row could still have matched, too: a row that comes yet must not belong to it.
        """
        self._assumed_rows = 0
        newest_ns = self._frontier_ns
        for rows in (self._left, *(right.pending for right in self._rights)):
            if rows.rows:
                hold_ns = self._settings.hold_ns if rows is self._left else 0
                newest_ns = max(newest_ns, int(rows.store.time_ns[rows.ids[-1]]) + hold_ns + 1)
        for intake in self._intakes.values():
            intake.clock.raise_to(newest_ns)
            intake.clock.see_offset(intake.clock.next_offset)
        return self._seal(newest_ns)

    def late(self, stream: str) -> pa.RecordBatch:
        """The late rows of `stream` since the last call (`LATE_SCHEMA`), oldest offset first."""
        return self._intakes[stream].late()

    def ahead(self, stream: str) -> pa.RecordBatch:
        """What of `stream` was too far ahead since the last call (`AHEAD_SCHEMA`), as it was read."""
        return self._intakes[stream].ahead()

    def counts(self, stream: str) -> InputCounts:
        """What has become of the rows of `stream` so far."""
        return replace(self._intakes[stream].counts)

    def watermark_ns(self, stream: str) -> int:
        """How far `stream` is complete, upper-exclusive."""
        return self._intakes[stream].clock.watermark_ns

    def buffered(self, stream: str) -> tuple[int, int]:
        """Rows and bytes of `stream` that wait for the frontier, or that left rows wait for."""
        pending = self._pending(stream)
        return pending.rows, pending.size

    def full(self, stream: str, *, paused: bool = False) -> bool:
        """Whether to pause `stream` until the other inputs catch up, or to leave it paused."""
        rows, size = self.buffered(stream)
        share = 2 if paused else 1
        at_limit = size > self._settings.buffer_size_max.get(stream, BUFFER_SIZE_MAX) // share
        at_limit |= rows > self._settings.buffer_rows_max.get(stream, BUFFER_ROWS_MAX) // share
        others = [intake.clock for name, intake in self._intakes.items() if name != stream]
        return is_full(at_limit, self._intakes[stream].clock, others)

    def progress(self, stream: str) -> InputProgress:
        """How far `stream` has come, for the commit; ask after `seal`."""
        clock, late_rows = self._intakes[stream].clock, self._intakes[stream].late_rows
        right = self._right(stream)
        if right:
            needed = right.oldest_needed(self._floor_ns, clock.read_next)
        else:
            needed = self._left.oldest_offset(clock.read_next)
        # Rows of restored state may be older than what the commit still needs, until newer ones are read.
        needed = max(min(needed, clock.next_offset), clock.needed_from)
        return InputProgress(
            needed_offset=needed,
            next_offset=clock.next_offset,
            watermark_ns=clock.watermark_ns,
            final=clock.final,
            idle=clock.idle,
            late=late_rows.named(needed),
            late_from=late_rows.whole_from,
            sealed_through=None if right else self._sealer.through,
        )

    def resume(self, frontier_ns: int, inputs: dict[str, InputProgress], state_next: dict[str, int]) -> None:
        """Take up committed progress; reading of each input starts at `state_next`.

        Raises AssertionError where restored state is ahead of the commit.
        """
        assert frontier_ns >= self._frontier_ns, "the restored state is ahead of the commit: rebuild it"
        self._frontier_ns = frontier_ns
        for name, intake in self._intakes.items():
            intake.resume(inputs[name], state_next[name])
        self._sealer.pass_over(inputs[self._settings.left.name].sealed_through)
        for right in self._rights:
            right.fold_pending(self._floor_ns)
            right.known_below(inputs[right.stream.name].needed_offset, frontier_ns)

    def snapshot(self) -> Snapshot:
        """What changed since the last snapshot; all snapshots so far together restore this state.

        Only once `caught_up`: before, rows that the committed offsets stand for are not here yet.
        """
        assert self.caught_up, "a snapshot now would lack rows that have yet to be read again"
        inputs = {name: self.progress(name) for name in self.streams}
        return self._writer.write(self._frontier_ns, self._floor_ns, inputs)

    def restore(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Take back what snapshots wrote; only on a new operator, before `resume`.

        Raises SnapshotError where the entries are of another version or layout, damaged or incomplete; the
        operator is then as new.
        """
        assert self._frontier_ns == BEGINNING_NS
        assert not len(self._groups)
        state = read_state(self._settings, entries)
        if state is None:
            return
        self._frontier_ns = state.header.frontier_ns
        for (name, intake), late in zip(self._intakes.items(), state.late, strict=True):
            progress = state.header.inputs[name]
            intake.clock.resume(progress, progress.next_offset)
            intake.late_rows.whole_from = progress.late_from
            self._remember_late(intake, late)
        self._sealer.through = state.header.inputs[self._settings.left.name].sealed_through
        self._add_left(state.left)
        for place, (right, rows) in enumerate(zip(self._rights, state.rights, strict=True)):
            if rows.rows:
                right.add(rows, self._groups.codes(rows.keys, rows.key_code))
                right.fold_pending(self._floor_ns)
            self._writer.restored(place)

    @property
    def keeps_last_known(self) -> bool:
        """Whether the last row of a group may be needed however old it is: without a tolerance."""
        return self._settings.tolerance_ns is None  # and so backward: the others need one

    def last_known(self) -> list[tuple[bytes, bytes]]:
        """The last row of each group in which it changed since the last call; from then on `progress` asks
        for what waits now and what comes.

        Only once `caught_up` and after `seal`, and committed with that progress or not at all.
        """
        assert self.caught_up, "the last rows are not known before all has been read again"
        entries: list[tuple[bytes, bytes]] = []
        for right in self._rights:
            entries += last_known_entries(self._settings, right, self._groups, self._frontier_ns)
            clock = self._intakes[right.stream.name].clock
            clock.needed_from = max(clock.needed_from, right.oldest_pending(clock.next_offset))
        return entries

    def recall(self, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int) -> Mapping[str, int]:
        """Take back last-known entries; on a new or restored operator, before `resume` with `frontier_ns`.

        Returns, per right stream with entries that were kept with other columns, the oldest offset of their
        rows.  Raises SnapshotError where an entry is damaged or of another join.
        """
        rows_of, older = last_known_rows(self._settings, entries, frontier_ns)
        for name, rows in rows_of.items():
            right = self._right(name)
            assert right is not None
            right.refresh(rows, self._groups.codes(rows.keys, rows.key_code), frontier_ns)
        return older

    @property
    def _floor_ns(self) -> int:
        """Right rows below it can match only as the last of their group.

        While left rows are read again that may have waited, it stands as low as they may lie.
        """
        if self.caught_up:
            return self._sealer.floor_ns(self._frontier_ns)
        return max(self._frontier_ns - self._settings.hold_ns, BEGINNING_NS)

    def _matching(self) -> tuple[tuple[RightContext, ...], Sealer]:
        asked = self._settings
        if asked.direction == "backward":
            rights = tuple(RightContext(asked, right) for right in asked.rights)
            return rights, Sealer(asked, self._left, rights)
        ahead = tuple(ForwardContext(asked, right) for right in asked.rights)
        return ahead, ForwardSealer(asked, self._left, ahead)

    def _seal(self, frontier_ns: int) -> pa.RecordBatch | None:
        if frontier_ns == self._frontier_ns and not self._reached():
            return None
        for right in self._rights:
            passed = right.pending.below(frontier_ns) - right.pending.below(self._frontier_ns)
            self._intakes[right.stream.name].counts.sealed += passed
        self._frontier_ns = frontier_ns
        sealed, matched = self._sealer.seal(frontier_ns, len(self._groups))
        for right, count in zip(self._rights, matched, strict=True):
            self._intakes[right.stream.name].counts.matched += count
        self._forget_late()
        if sealed is not None:
            self._intakes[self._settings.left.name].counts.sealed += sealed.num_rows
        return sealed

    def _remember_late(self, intake: Intake, rows: Batch) -> None:
        intake.late_rows.add(rows, self._groups.codes(rows.keys, rows.key_code))

    def _forget_late(self) -> None:
        """Forget the rows set aside that no restart could take for others any more."""
        for right in self._rights:
            late_rows = self._intakes[right.stream.name].late_rows
            if late_rows.store.rows:
                late_rows.keep(right.mistakable(late_rows.store, self._floor_ns))
        late_rows = self._intakes[self._settings.left.name].late_rows
        if rows := late_rows.store.rows:
            store = late_rows.store
            late_rows.keep(
                self._may_wait(store.time_ns[:rows])
                & self._sealer.unsealed(
                    store.time_ns[:rows], store.sequence[:rows], store.offset[:rows], store.index[:rows]
                )
            )

    def _take_left(self, accepted: Accepted, *, judged: bool) -> None:
        """Let left rows wait; of those that were `judged` before, the ones that were not sealed then."""
        if judged and accepted.context is not None:
            context = accepted.context
            self._add_left(self._unsealed(context.where(self._may_wait(context.time_ns))))
        self._add_left(self._unsealed(accepted.pending) if judged else accepted.pending)

    def _take_right(self, right: RightContext, accepted: Accepted) -> None:
        context, pending = accepted.context, accepted.pending
        if context is not None and context.rows:
            right.refresh(context, self._groups.codes(context.keys, context.key_code), self._floor_ns)
        if pending.rows:
            right.add(pending, self._groups.codes(pending.keys, pending.key_code))

    def _unsealed(self, rows: Batch) -> Batch:
        return rows.where(self._sealer.unsealed(rows.time_ns, rows.sequence, rows.offset, rows.index))

    def _may_wait(self, time_ns: Int64s) -> Bools:
        """Which left times are not so far behind the frontier that every row of theirs is sealed or late."""
        oldest_ns = max(self._frontier_ns - self._settings.hold_ns, BEGINNING_NS)
        may: Bools = time_ns >= oldest_ns
        return may

    def _add_left(self, rows: Batch) -> None:
        if rows.rows:
            self._left.add(rows, self._groups.codes(rows.keys, rows.key_code))

    def _reached(self) -> int:
        """How many left rows wait only for the next seal."""
        return 0 if self._settings.hold_ns else self._left.below(self._sealer.left_bound(self._frontier_ns))

    def _right(self, stream: str) -> RightContext | None:
        for right in self._rights:
            if right.stream.name == stream:
                return right
        return None

    def _pending(self, stream: str) -> PendingRows:
        right = self._right(stream)
        return right.pending if right else self._left
