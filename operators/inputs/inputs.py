"""The inputs of one task: what is accepted, what is set aside, and how far all of them are complete.

Every computation on topics stands on these rules, whatever it computes.  What an input accepts hangs on the
log, on the frontier and, with `max_ahead_of = "wall"`, on the wall clock.  The frontier moves in `move_to`
alone; `restore` and `resume` set it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from operators.entries import SnapshotError
from operators.inputs.intake import Accepted, InputCounts, Intake
from operators.inputs.known_bounds import KnownBounds
from operators.inputs.known_log import KnownLog
from operators.inputs.max_ahead import AheadLimit, AheadOf
from operators.inputs.pausing import is_full
from operators.inputs.progress import InputProgress, TaskProgress
from operators.inputs.resuming import ResumePlan
from operators.inputs.set_aside import SetAside
from operators.inputs.watermark import lowest_watermarks
from operators.rows.groups import Groups
from operators.rows.kept import KeyedRows, close_value, keyed_schema, open_value
from operators.rows.store import RowStore
from operators.sealed import Entries, Held, Snapshot
from schemas.arrived import Arrived
from schemas.batch import Batch, Bools, Int64s
from schemas.clocks import BEGINNING_NS
from schemas.frame import layout_fingerprint
from schemas.stream import Stream

NAME: Final = "inputs"  # the owner of their entries
HEADER_KEY: Final = b"h"
ASIDE_KEY: Final = b"a"
KNOWN_KEY: Final = b"k"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input, and what may wait of it.

    `stream`    its name, columns and key; `on` the time column of the pipeline's clock.
    `grace_ns`  how far its watermark trails its newest row.
    `rows_max`, `size_max` (bytes)  what may wait before the input is paused.
    `carried`   columns that are kept of a row set aside, since its values decide whether it still matters.
    """

    stream: Stream
    on: str
    grace_ns: int
    rows_max: int
    size_max: int
    carried: tuple[str, ...] = ()


class Bounds(NamedTuple):
    """How far the frontier may move: on evidence, and where idle inputs are assumed to stay silent."""

    evident_ns: int
    assumed_ns: int


class InputsView:
    """How the inputs of a task stand: what can be asked of them, and changes nothing.

    `groups` numbers the keys of the task.  Rows below `frontier_ns` are sealed; those that come yet are late.
    """

    def __init__(self, specs: Sequence[InputSpec], *, remember_known: bool = False) -> None:
        self.groups = Groups()
        self.frontier_ns = BEGINNING_NS
        self._specs = {spec.stream.name: spec for spec in specs}
        self._intakes = {
            name: Intake(spec.stream, spec.on, spec.grace_ns, SetAside(spec.stream.schema, spec.carried))
            for name, spec in self._specs.items()
        }
        self._clocks = [intake.clock for intake in self._intakes.values()]
        remembered = self._specs if remember_known else {}
        self._known = {name: KnownLog(spec.grace_ns) for name, spec in remembered.items()}

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(self._specs)

    @property
    def caught_up(self) -> bool:
        """Whether every input has been read again up to where it stood before the restart."""
        return all(clock.caught_up for clock in self._clocks)

    @property
    def ended(self) -> bool:
        """Whether every input has read its final record: what still waits, waits for a later period."""
        return self.caught_up and all(clock.final for clock in self._clocks)

    @property
    def meaning(self) -> str:
        """16 hex digits, equal where entries of the inputs mean the same."""
        fields = []
        for name, spec in self._specs.items():
            kind = pa.schema([spec.stream.schema.field(column) for column in spec.carried])
            known = " known" if self._known else ""
            fields.append(pa.field(f"{name} {spec.on} {layout_fingerprint(kind)}{known}", pa.null()))
        return layout_fingerprint(pa.schema(fields))

    def bounds(self) -> Bounds:
        """How far the frontier may move; not at all while an input is read again."""
        if not self.caught_up:
            return Bounds(self.frontier_ns, self.frontier_ns)
        evident_ns, assumed_ns = lowest_watermarks(self._clocks)
        evident_ns = max(self.frontier_ns, evident_ns)
        return Bounds(evident_ns, max(evident_ns, assumed_ns))

    def is_full(self, stream: str, held: Held, *, paused: bool = False) -> bool:
        """Whether to pause `stream`, of which `held` waits, until the other inputs catch up.

        A `paused` stream stays paused until its buffers are half empty: each pause throws away messages read
        ahead.
        """
        spec, share = self._specs[stream], 2 if paused else 1
        at_limit = held.size > spec.size_max // share or held.rows > spec.rows_max // share
        others = [intake.clock for name, intake in self._intakes.items() if name != stream]
        return is_full(at_limit, self._intakes[stream].clock, others)

    def watermark_ns(self, stream: str) -> int:
        """How far `stream` is complete, upper-exclusive."""
        return self._intakes[stream].clock.watermark_ns

    def counts(self, stream: str) -> InputCounts:
        """Counts of the rows of `stream`, by what was done with them."""
        return replace(self._intakes[stream].counts)

    def read_next(self, stream: str) -> int:
        """The first offset of `stream` not read yet."""
        return self._intakes[stream].clock.read_next

    def next_offset(self, stream: str) -> int:
        """The first offset of `stream` that was never read, before the restart or since."""
        return self._intakes[stream].clock.next_offset

    def set_aside(self, stream: str) -> RowStore:
        """The rows of `stream` set aside that a restart must leave out; groups are those of `groups`."""
        return self._intakes[stream].set_aside.store

    def progress(self, stream: str, needed_offset: int) -> InputProgress:
        """How far `stream` has come, for the commit, where rows from `needed_offset` on are needed."""
        intake = self._intakes[stream]
        clock = intake.clock
        # Rows of restored state may be older than what the commit still needs, until newer ones are read.
        needed = max(min(needed_offset, clock.next_offset), clock.needed_from)
        if self._known:
            needed = self._known[stream].bounds.oldest_offset(needed)
        return InputProgress(
            needed_offset=needed,
            next_offset=clock.next_offset,
            watermark_ns=clock.watermark_ns,
            final=clock.final,
            idle=clock.idle,
            late=intake.set_aside.named(needed),
            late_from=intake.set_aside.whole_from,
            marks=clock.marks.committed(clock.next_offset),
        )


class Inputs(InputsView):
    """All inputs of one task, in the order of their specs.

    The order of calls: `restore` and `resume` at most once each, in this order.  Then any number of `accept`
    (to its end), `read_to` and `leave_out`; after them `bounds`, and `move_to` where rows are sealed.
    `keep_set_aside` follows each `accept` that set rows aside and each `move_to`.
    """

    def __init__(
        self,
        specs: Sequence[InputSpec],
        *,
        max_ahead_ns: int | None = None,
        max_ahead_of: AheadOf = "wall",
        remember_known: bool = False,
    ) -> None:
        """With `remember_known` they can say when a bound was reached (`known_at`)."""
        super().__init__(specs, remember_known=remember_known)
        self._limit = AheadLimit(max_ahead_ns, max_ahead_of, self._clocks)
        # Where other rows say what is too far ahead, a heartbeat bridges the pause before the row behind it.
        self._in_log_order = max_ahead_ns is not None and max_ahead_of == "inputs"
        self._aside_values = {
            name: KeyedRows(keyed_schema(*(spec.stream.schema.field(column) for column in spec.carried)))
            for name, spec in self._specs.items()
        }

    def accept(self, stream: str, arrived: Arrived, now_ns: int | None = None) -> Iterator[Accepted]:
        """Take what arrived of one input and yield its rows, classified, in the order of the log.

        A row below the frontier is late, one beyond `max_ahead_ns` of the wall clock `now_ns` or of the
        inputs is too far ahead; both are set aside for `late` and `ahead`.  The others raise the watermark
        of the input to their newest time less the grace.  A plain record batch gets its keys from the
        stream's key columns and its offsets by counting rows; a missing column, one of another type, or a
        time that is null or too far from the epoch is a ValueError, and nothing is taken.
        """
        intake = self._intakes[stream]
        rows = None if arrived.batch is None else intake.batch(arrived.batch)
        if rows is not None and not (self._in_log_order and arrived.progress):
            yield from self._rows(intake, rows, now_ns)
            rows = None
        for record in arrived.progress:
            if rows is not None:
                assert record.offset is not None, "a record among rows lies in their log"
                count = int(np.searchsorted(rows.offset, record.offset))
                yield from self._rows(intake, rows.between(0, count), now_ns)
                rows = rows.between(count, rows.rows)
            taken = intake.advance(record, self._limit, now_ns)
            if taken and self._known:
                self._known[stream].add_record(record)
        if rows is not None:
            yield from self._rows(intake, rows, now_ns)
        self._settle_known(stream)

    def read_to(self, stream: str, offset: int) -> None:
        """Everything of `stream` below `offset` has been read, be there rows or not."""
        self._intakes[stream].clock.see_offset(offset)
        self._settle_known(stream)

    def leave_out(self, stream: str) -> None:
        """`stream` is idle: leave it out of the frontier until its next row or progress record.

        Only the caller knows: the log has been read to its end and nothing came for long enough.
        """
        self._intakes[stream].clock.leave_out()

    def known_at(self, bound_ns: Int64s) -> pa.Array:
        """When each of these bounds was reached by all inputs, as their logs tell: the latest `known_ns`.

        Null where an input has not reached it yet, or nobody remembers.
        """
        assert self._known, "nobody asked for it to be remembered"
        steps = [known.bounds.known_at(bound_ns) for known in self._known.values()]
        latest = np.maximum.reduce([known_ns for known_ns, _ in steps])
        return pa.array(latest, mask=~np.logical_and.reduce([there for _, there in steps]))

    def forget_known(self, bound_ns: int) -> None:
        """No row to come asks for a bound up to this one."""
        for known in self._known.values():
            known.bounds.forget(bound_ns)

    def move_to(self, frontier_ns: int) -> None:
        """Move the frontier: rows below it are sealed, and those that come yet are late."""
        assert frontier_ns >= self.frontier_ns, "the frontier never falls"
        self.frontier_ns = frontier_ns

    def end_at(self, upper_ns: int) -> None:
        """Every input ends: no row below `upper_ns` is expected of any, and all that was judged is read."""
        for clock in self._clocks:
            clock.raise_to(upper_ns)
            clock.see_offset(clock.next_offset)

    def late(self, stream: str) -> pa.RecordBatch:
        """The late rows of `stream` since the last call (`LATE_SCHEMA`), oldest offset first."""
        return self._intakes[stream].late()

    def ahead(self, stream: str) -> pa.RecordBatch:
        """Rows and progress records of `stream` too far ahead since the last call (`AHEAD_SCHEMA`)."""
        return self._intakes[stream].ahead()

    def keep_set_aside(self, stream: str, mistakable: Bools) -> None:
        """Keep only those rows set aside that a restart could take for rows that counted."""
        self._intakes[stream].set_aside.keep(mistakable)

    def raise_needed(self, stream: str, offset: int) -> None:
        """Rows of `stream` below `offset` are kept elsewhere from the next commit on."""
        clock = self._intakes[stream].clock
        clock.needed_from = max(clock.needed_from, offset)

    def resume(self, plan: ResumePlan) -> None:
        """Take up committed progress; raises AssertionError where restored state is ahead of it."""
        frontier_ns = plan.committed.frontier_ns
        assert frontier_ns >= self.frontier_ns, "the restored state is ahead of the commit: rebuild it"
        self.frontier_ns = frontier_ns
        for name, intake in self._intakes.items():
            intake.resume(plan.committed.inputs[name], plan.read_from[name])
            if self._known:
                self._known[name].resume(plan.committed.inputs[name], frontier_ns)
                self._settle_known(name)

    def snapshot(self, progress: TaskProgress) -> Snapshot:
        """The progress of all inputs and the rows set aside, as entries; only once `caught_up`."""
        header = {
            "frontier_ns": self.frontier_ns,
            "inputs": {
                name: {
                    "needed_offset": one.needed_offset,
                    "next_offset": one.next_offset,
                    "watermark_ns": one.watermark_ns,
                    "final": one.final,
                    "late_from": one.late_from,
                }
                for name, one in progress.inputs.items()
            },
        }
        puts = [(HEADER_KEY, close_value(json.dumps(header).encode()))]
        for place, (name, rows) in enumerate(self._aside_values.items()):
            store = self.set_aside(name)
            keys = self.groups.keys(store.group[: store.rows])
            puts.append((ASIDE_KEY + bytes([place]), rows.value(store, np.arange(store.rows), keys)))
        for place, known in enumerate(self._known.values()):
            puts.append((KNOWN_KEY + bytes([place]), close_value(known.bounds.to_bytes())))
        return Snapshot(puts, [])

    def restore(self, entries: Entries) -> None:
        """Take back a snapshot, on new inputs; raises SnapshotError where entries are damaged or missing."""
        values = dict(entries)
        try:
            header = json.loads(open_value(HEADER_KEY, values[HEADER_KEY]))
            fields = header["inputs"]
            progress = {name: _progress(fields[name]) for name in self._intakes}
            frontier_ns = int(header["frontier_ns"])
            aside = [
                rows.read(key, values[key])
                for place, rows in enumerate(self._aside_values.values())
                for key in (ASIDE_KEY + bytes([place]),)
            ]
            known = [
                KnownBounds.from_bytes(open_value(key, values[key]))
                for key in (KNOWN_KEY + bytes([place]) for place in range(len(self._known)))
            ]
        except (KeyError, ValueError, TypeError) as missing:
            raise SnapshotError(
                f"the state of the inputs lacks {missing}: it was not written whole"
            ) from None
        self.frontier_ns = frontier_ns
        for log, bounds in zip(self._known.values(), known, strict=True):
            log.bounds = bounds
        for (name, intake), rows in zip(self._intakes.items(), aside, strict=True):
            intake.clock.resume(progress[name], progress[name].next_offset)
            intake.set_aside.whole_from = progress[name].late_from
            intake.set_aside.add(rows, self.groups.codes(rows.keys, rows.key_code))

    def _settle_known(self, stream: str) -> None:
        if self._known:
            self._known[stream].settle(caught_up=self._intakes[stream].clock.caught_up)

    def _rows(self, intake: Intake, rows: Batch, now_ns: int | None) -> Iterator[Accepted]:
        if rows.rows == 0:
            return
        accepted = intake.accept(rows, self.frontier_ns, self._limit, now_ns)
        if self._known:
            self._known[intake.stream.name].add_rows(rows, accepted.uncounted)
        aside = accepted.aside
        if aside is not None:
            intake.set_aside.add(aside, self.groups.codes(aside.keys, aside.key_code))
        yield accepted


def _progress(fields: Mapping[str, int]) -> InputProgress:
    return InputProgress(
        int(fields["needed_offset"]),
        int(fields["next_offset"]),
        int(fields["watermark_ns"]),
        final=bool(fields["final"]),
        late_from=int(fields["late_from"]),
    )
