"""The streaming as-of join: each left row with the right row standing at its time, once, never revised."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from operators.context import RightContext
from operators.groups import Groups
from operators.intake import InputCounts, Intake
from operators.last_known import last_known_entries, last_known_rows
from operators.late_rows import LateRows
from operators.limits import is_full
from operators.operator import InputProgress, Snapshot
from operators.pending import PendingRows
from operators.restore import read_state
from operators.sealer import Sealer
from operators.settings import BUFFER_SIZE_MAX, AsofSettings
from operators.snapshot import SnapshotWriter
from schemas.batch import Batch
from schemas.clocks import BEGINNING_NS


class StreamingAsof:
    """Joins batches of streams in any order of arrival within the grace, one task's share (`Operator`).

    The rows of all `seal` calls together are those of one join over the accepted rows, bit for bit, in the
    order (clock, sequence, left offset, index), whatever the batches and whenever `seal` was called.
    """

    def __init__(self, settings: AsofSettings) -> None:
        self._settings = settings
        self._frontier_ns = BEGINNING_NS
        self._intakes = {
            stream.name: Intake(
                stream,
                stream.require_clock(settings.clock),
                settings.grace_ns.get(stream.name, 0),
                LateRows(stream.schema, settings.carried_by_column(stream)),
            )
            for stream in settings.streams
        }
        self._groups = Groups()
        self._left = PendingRows(settings.left.schema, tuple(settings.left.schema.names))
        self._rights = tuple(RightContext(settings, right) for right in settings.rights)
        self._sealer = Sealer(settings, self._left, self._rights)
        late_rows = [self._intakes[right.name].late_rows for right in settings.rights]
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
    def final(self) -> bool:
        """Whether every input has read its final record and no left row waits."""
        ended = all(intake.clock.final for intake in self._intakes.values())
        return ended and self.caught_up and self._left.rows == 0

    @property
    def caught_up(self) -> bool:
        """Whether every input has been read again up to where an earlier life had come."""
        return all(intake.clock.caught_up for intake in self._intakes.values())

    def push(self, stream: str, batch: Batch | pa.RecordBatch) -> None:
        """Take rows of one input, in arrival order.

        A plain record batch gets its keys from the stream's key columns and its offsets by counting rows; a
        missing column, one of another type, or a null time is a ValueError and nothing is taken.
        """
        intake = self._intakes[stream]
        rows = intake.batch(batch)
        if rows.rows == 0:
            return
        right = self._right(stream)
        judged_below_ns = self._frontier_ns if right else self._sealer.left_bound(self._frontier_ns)
        accepted = intake.accept(rows, self._frontier_ns, judged_below_ns)
        if right is None:
            self._add_left(accepted.pending)
            if accepted.late is not None and self._reached():
                # They lie behind a row that waits for the next seal, and are read again with it.
                self._remember_late(intake, accepted.late)
                self._forget_late()
            return
        context, pending = accepted.context, accepted.pending
        if context is not None and context.rows:
            right.refresh(context, self._groups.codes(context.keys, context.key_code), self._frontier_ns)
        if pending.rows:
            right.add(pending, self._groups.codes(pending.keys, pending.key_code))
        if accepted.late is not None:
            self._remember_late(intake, accepted.late)
            self._forget_late()

    def advance(self, stream: str, upper_ns: int, *, final: bool = False, offset: int | None = None) -> None:
        """No further row of `stream` below `upper_ns` is expected: a progress record, read at `offset`."""
        self._intakes[stream].clock.see_progress(upper_ns, final=final, offset=offset)

    def reached(self, stream: str, offset: int) -> None:
        """Everything of `stream` below `offset` has been read, be there rows or not: the end of the log."""
        self._intakes[stream].clock.see_offset(offset)

    def seal(self) -> pa.RecordBatch | None:
        """Move the frontier to the smallest watermark and return the rows that became final, in order.

        While an input is read again up to where an earlier life had come, the frontier stands still.
        """
        if not self.caught_up:
            return None
        lowest_ns = min(intake.clock.watermark_ns for intake in self._intakes.values())
        return self._seal(max(self._frontier_ns, lowest_ns))

    def finish(self) -> pa.RecordBatch | None:
        """Seal everything that is left; the frontier moves past the newest row of any input."""
        newest_ns = self._frontier_ns
        for rows in (self._left, *(right.pending for right in self._rights)):
            if rows.rows:
                newest_ns = max(newest_ns, int(rows.store.time_ns[rows.ids[-1]]) + 1)
        for intake in self._intakes.values():
            intake.clock.raise_to(newest_ns)
            intake.clock.see_offset(intake.clock.next_offset)
        return self._seal(newest_ns)

    def late(self, stream: str) -> pa.RecordBatch:
        """The late rows of `stream` since the last call (`LATE_SCHEMA`), oldest offset first."""
        return self._intakes[stream].late()

    def counts(self, stream: str) -> InputCounts:
        """What has become of the rows of `stream` so far."""
        return replace(self._intakes[stream].counts)

    def watermark_ns(self, stream: str) -> int:
        """How far `stream` is complete, upper-exclusive."""
        return self._intakes[stream].clock.watermark_ns

    def buffered(self, stream: str) -> tuple[int, int]:
        """Rows and bytes of `stream` that wait for the frontier."""
        pending = self._pending(stream)
        return pending.rows, pending.size

    def full(self, stream: str) -> bool:
        """Whether to pause `stream` until the other inputs catch up."""
        size_max = self._settings.buffer_size_max.get(stream, BUFFER_SIZE_MAX)
        others = [intake.clock for name, intake in self._intakes.items() if name != stream]
        return is_full(self._pending(stream).size, size_max, self._intakes[stream].clock, others)

    def progress(self, stream: str) -> InputProgress:
        """How far `stream` has come, for the commit; ask after `seal`."""
        clock, late_rows = self._intakes[stream].clock, self._intakes[stream].late_rows
        right = self._right(stream)
        next_offset = clock.next_offset
        if right:
            needed = right.oldest_needed(self._frontier_ns, clock.read_next)
        else:
            needed = self._oldest_left(self._left.rows, clock.read_next)
            # A left row that waits although the frontier has reached it must not be taken for sealed.
            next_offset = self._oldest_left(self._reached(), next_offset)
        # Rows of restored state may be older than what the commit still needs, until newer ones are read.
        needed = max(min(needed, next_offset), clock.needed_from)
        return InputProgress(
            needed_offset=needed,
            next_offset=next_offset,
            watermark_ns=clock.watermark_ns,
            final=clock.final,
            late=late_rows.named(needed if right else next_offset),
            late_from=late_rows.whole_from,
        )

    def resume(self, frontier_ns: int, inputs: dict[str, InputProgress], state_next: dict[str, int]) -> None:
        """Take up committed progress; reading of each input starts at `state_next`.

        Raises AssertionError where restored state is ahead of the commit.
        """
        assert frontier_ns >= self._frontier_ns, "the restored state is ahead of the commit: rebuild it"
        self._frontier_ns = frontier_ns
        for name, intake in self._intakes.items():
            intake.resume(inputs[name], state_next[name])
        self._left.take(self._reached())
        for right in self._rights:
            right.fold_pending(frontier_ns)
            right.known_below(inputs[right.stream.name].needed_offset, frontier_ns)

    def snapshot(self) -> Snapshot:
        """What changed since the last snapshot; all snapshots so far together restore this state.

        Only once `caught_up`: before, rows that the committed offsets stand for are not here yet.  And only
        after `seal`, so that what the entries hold and what `progress` says are of one moment.
        """
        assert self.caught_up, "a snapshot now would lack rows that have yet to be read again"
        assert not self._reached(), "seal first: left rows wait that the frontier has reached"
        return self._writer.write(self._frontier_ns, {name: self.progress(name) for name in self.streams})

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
        frontier_ns = self._frontier_ns = state.header.frontier_ns
        for name, progress in state.header.inputs.items():
            self._intakes[name].clock.resume(progress, progress.next_offset)
            self._intakes[name].late_rows.whole_from = progress.late_from
        self._add_left(state.left)
        for place, (right, rows) in enumerate(zip(self._rights, state.rights, strict=True)):
            self._remember_late(self._intakes[right.stream.name], state.late[place])
            if rows.rows:
                right.add(rows, self._groups.codes(rows.keys, rows.key_code))
                right.fold_pending(frontier_ns)
            self._writer.restored(place)

    @property
    def keeps_last_known(self) -> bool:
        """Whether the last row of a group may be needed however old it is: without a tolerance."""
        return self._settings.tolerance_ns is None and self._settings.direction == "backward"

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

    def recall(self, entries: Iterable[tuple[bytes, bytes]], frontier_ns: int) -> None:
        """Take back last-known entries; on a new or restored operator, before `resume` with `frontier_ns`.

        Raises SnapshotError where an entry is damaged or of another layout.
        """
        for name, rows in last_known_rows(self._settings, entries, frontier_ns).items():
            right = self._right(name)
            assert right is not None
            right.refresh(rows, self._groups.codes(rows.keys, rows.key_code), frontier_ns)

    def _seal(self, frontier_ns: int) -> pa.RecordBatch | None:
        if frontier_ns == self._frontier_ns and not self._reached():
            return None
        self._frontier_ns = frontier_ns
        waiting = [right.pending.rows for right in self._rights]
        sealed, matched = self._sealer.seal(frontier_ns, len(self._groups))
        for right, before, count in zip(self._rights, waiting, matched, strict=True):
            counts = self._intakes[right.stream.name].counts
            counts.sealed += before - right.pending.rows
            counts.matched += count
        self._forget_late()
        if sealed is not None:
            self._intakes[self._settings.left.name].counts.sealed += sealed.num_rows
        return sealed

    def _remember_late(self, intake: Intake, rows: Batch) -> None:
        intake.late_rows.add(rows, self._groups.codes(rows.keys, rows.key_code))

    def _forget_late(self) -> None:
        """Forget the late rows that no restart could take for others any more."""
        for right in self._rights:
            late_rows = self._intakes[right.stream.name].late_rows
            if late_rows.store.rows:
                late_rows.keep(right.mistakable(late_rows.store, self._frontier_ns))
        late_rows = self._intakes[self._settings.left.name].late_rows
        late_rows.keep(np.full(late_rows.store.rows, self._reached() > 0))

    def _add_left(self, rows: Batch) -> None:
        if rows.rows:
            self._left.add(rows, self._groups.codes(rows.keys, rows.key_code))

    def _reached(self) -> int:
        """How many left rows wait only for the next seal."""
        return self._left.below(self._sealer.left_bound(self._frontier_ns))

    def _oldest_left(self, count: int, otherwise: int) -> int:
        rows = self._left.ids[:count]
        return int(self._left.store.offset[rows].min(initial=otherwise))

    def _right(self, stream: str) -> RightContext | None:
        for right in self._rights:
            if right.stream.name == stream:
                return right
        return None

    def _pending(self, stream: str) -> PendingRows:
        right = self._right(stream)
        return right.pending if right else self._left
