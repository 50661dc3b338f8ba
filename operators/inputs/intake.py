"""Intake: rows of one stream as they come in: those to keep, those late, too far ahead, or judged before."""

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from operators.inputs.max_ahead import AheadLimit
from operators.inputs.progress import AHEAD_SCHEMA, LATE_SCHEMA, InputProgress
from operators.inputs.set_aside import SetAside
from operators.inputs.watermark import InputClock
from operators.rows.held import held_rows, held_type
from schemas.arrived import ProgressRecord
from schemas.batch import Batch, Bools, Int32s, Int64s
from schemas.clocks import BEGINNING_NS, END_NS
from schemas.stream import Stream, message_keys, plain_keys

# What nearly every call gives; making one costs more than a small batch does.
_NONE_LATE: Final = pa.RecordBatch.from_pylist([], schema=LATE_SCHEMA)
_NONE_AHEAD: Final = pa.RecordBatch.from_pylist([], schema=AHEAD_SCHEMA)
_ONE_KEY: Final = pa.array([b""], pa.binary())


# What an input takes a row for; `Intake.accept` says when.
PENDING: Final = 0
CONTEXT: Final = 1
LATE: Final = 2
AHEAD: Final = 3
NAMED: Final = 4
USELESS: Final = 5


@dataclass(slots=True)
class InputCounts:
    """Counts of the rows of one input since its task was opened.  Rows judged before are not counted again.

    `pushed` all rows; `late` and `ahead` those set aside, of which `ahead` counts progress records too;
    `behind` those behind their own watermark but not behind the frontier, which were used.
    """

    pushed: int = 0
    late: int = 0
    ahead: int = 0
    behind: int = 0


class Accepted(NamedTuple):
    """What a batch holds, as an input took it.

    `pending`  waits for the frontier.
    `context`  lies below the frontier and was used before the restart; None where nothing was read again.
    `aside`    was set aside, as late or too far ahead, now or before the restart; None where nothing was.
    `judged`   the input had not yet caught up with what was judged before the restart.
    `uncounted`  which rows of the batch raise no watermark, now or before the restart; None for none.
    """

    pending: Batch
    context: Batch | None = None
    aside: Batch | None = None
    judged: bool = False
    uncounted: Bools | None = None


class Intake:
    """The door of one input.  Without offsets (a plain RecordBatch) rows are numbered as they come."""

    def __init__(self, stream: Stream, on: str, grace_ns: int, set_aside: SetAside) -> None:
        self.stream = stream
        self.clock = InputClock(grace_ns)
        self.counts = InputCounts()
        self.set_aside = set_aside
        self._on = on
        self._late: list[pa.RecordBatch] = []
        self._ahead: list[pa.RecordBatch] = []

    def batch(self, rows: Batch | pa.RecordBatch) -> Batch:
        """`rows` as a batch; raises ValueError where a plain record batch does not fit the stream."""
        if isinstance(rows, Batch):
            got, wanted = rows.columns.schema, self.stream.schema
            if not got.equals(wanted):  # names and types, that is, save that nullability may differ
                assert got.names == wanted.names, f"{self.stream.name}: columns {got.names}"
                if got.types != wanted.types:
                    assert list(map(held_type, got.types)) == wanted.types, (
                        f"{self.stream.name}: types {got.types}"
                    )
                    rows = replace(rows, columns=held_rows(rows.columns, wanted))
            return _grouped(rows, self.stream.key)
        return batch_of(self.stream, self._on, rows, self.clock.read_next)

    def accept(self, batch: Batch, frontier_ns: int, limit: AheadLimit, now_ns: int | None) -> Accepted:
        """Take each row of a batch, at least one, for one thing; the first line that fits decides.

        | the row                                                        | is taken for |
        |----------------------------------------------------------------|--------------|
        | is named by the last commit as set aside                       | `NAMED`      |
        | was judged before, below the offset that the commit needed     | `USELESS`    |
        | was judged before, and lies below the frontier                 | `CONTEXT`    |
        | was judged before                                              | `PENDING`    |
        | lies below the frontier                                        | `LATE`       |
        | lies beyond what `limit` takes                                 | `AHEAD`      |
        | any other                                                      | `PENDING`    |

        A row that was judged before is not checked against the limit again: the wall clock has moved on.
        Pending and late rows raise the watermark, unless they were judged before: the committed watermark
        includes them.
        """
        clock = self.clock
        clock.require_order(int(batch.offset[0]))
        judged = 0 if clock.caught_up else int(np.searchsorted(batch.offset, clock.judged_next))
        self.counts.pushed += batch.rows - judged
        named = self.set_aside.recognize(batch)
        useless = int(np.searchsorted(batch.offset[:judged], clock.needed_from))
        bounds_ns = limit.bounds(batch.time_ns[judged:], now_ns)
        taken_ns, last_taken = batch.time_ns[judged:], batch.rows - 1
        accepted = Accepted(batch, judged=not clock.caught_up)
        oldest_ns = int(batch.time_ns.min())
        assert oldest_ns > -END_NS, (
            f"{self.stream.name}: {oldest_ns} is no time; such a row is set aside before"
        )
        if oldest_ns < frontier_ns or bounds_ns is not None or useless or named is not None:
            kind = _kinds(batch.time_ns, judged, useless, frontier_ns, bounds_ns)
            if named is not None:
                kind[named] = NAMED
            if bounds_ns is not None:
                self._set_ahead(batch, kind == AHEAD, bounds_ns[kind[judged:] == AHEAD])
            self._set_late(batch, kind == LATE, frontier_ns)
            accepted = Accepted(
                pending=batch.where(kind == PENDING),
                context=batch.where(kind == CONTEXT) if judged else None,
                aside=batch.where((kind == LATE) | (kind == AHEAD) | (kind == NAMED)),
                judged=accepted.judged,
                uncounted=(kind == AHEAD) | (kind == NAMED) | (kind == USELESS),
            )
            taken = judged + np.flatnonzero((kind[judged:] == PENDING) | (kind[judged:] == LATE))
            taken_ns, last_taken = batch.time_ns[taken], int(taken[-1]) if taken.size else -1
        if oldest_ns < clock.watermark_ns:
            behind = (taken_ns < clock.watermark_ns) & (taken_ns >= frontier_ns)
            self.counts.behind += int(np.count_nonzero(behind))
        if taken_ns.size:
            clock.see_rows(taken_ns, int(batch.offset[last_taken]))
        clock.see_offset(int(batch.offset[-1]) + 1)
        return accepted

    def advance(self, record: ProgressRecord, limit: AheadLimit, now_ns: int | None) -> bool:
        """Take a progress record, or set it aside where it is too far ahead; returns whether it was taken."""
        upper_ns, final, offset = record
        if offset is not None and not self.clock.judged(offset):
            bound_ns = limit.bound(now_ns)
            if upper_ns > bound_ns:
                self.counts.ahead += 1
                row = {"offset": offset, "index": -1, "time_ns": upper_ns, "bound_ns": bound_ns}
                self._ahead.append(pa.RecordBatch.from_pylist([row], schema=AHEAD_SCHEMA))
                self.clock.see_offset(offset + 1)
                return False
        self.clock.see_progress(upper_ns, final=final, offset=offset)
        return True

    def resume(self, progress: InputProgress, read_from: int) -> None:
        """Restore the committed progress; reading starts at `read_from`."""
        self.clock.resume(progress, read_from)
        self.set_aside.resume(progress, read_from)

    def late(self) -> pa.RecordBatch:
        """The late rows since the last call (`LATE_SCHEMA`)."""
        pieces, self._late = self._late, []
        return pa.concat_batches(pieces) if pieces else _NONE_LATE

    def ahead(self) -> pa.RecordBatch:
        """Rows and progress records too far ahead since the last call (`AHEAD_SCHEMA`)."""
        pieces, self._ahead = self._ahead, []
        return pa.concat_batches(pieces) if pieces else _NONE_AHEAD

    def _set_ahead(self, batch: Batch, ahead: Bools, bound_ns: Int64s) -> None:
        count = int(np.count_nonzero(ahead))
        if count == 0:
            return
        self.counts.ahead += count
        columns = [batch.offset[ahead], batch.index[ahead], batch.time_ns[ahead], bound_ns]
        self._ahead.append(pa.record_batch([pa.array(c) for c in columns], schema=AHEAD_SCHEMA))

    def _set_late(self, batch: Batch, late: Bools, frontier_ns: int) -> None:
        count = int(np.count_nonzero(late))
        if count == 0:
            return
        self.counts.late += count
        time_ns = batch.time_ns[late]
        columns = [
            batch.offset[late],
            batch.index[late],
            time_ns,
            frontier_ns - time_ns,
            np.full(count, frontier_ns, np.int64),
        ]
        self._late.append(pa.record_batch([pa.array(c) for c in columns], schema=LATE_SCHEMA))


def _kinds(
    time_ns: Int64s, judged: int, useless: int, frontier_ns: int, bounds_ns: Int64s | None
) -> npt.NDArray[np.uint8]:
    """What each row is taken for: the first `judged` of them were before, `bounds_ns` is of the others."""
    kind = np.full(time_ns.size, PENDING, np.uint8)
    before, new = kind[:judged], kind[judged:]
    before[time_ns[:judged] < frontier_ns] = CONTEXT
    before[:useless] = USELESS
    if bounds_ns is not None:
        new[time_ns[judged:] > bounds_ns] = AHEAD
    new[time_ns[judged:] < frontier_ns] = LATE
    return kind


def batch_of(stream: Stream, on: str, rows: pa.RecordBatch, first_offset: int) -> Batch:
    """A plain record batch as a batch: keys from the key columns, one message per row from `first_offset` on.

    Raises ValueError naming the stream and column where a column is missing, of another type, or a time is
    null or too far from the epoch.
    """
    for field in stream.schema:
        if field.name not in rows.schema.names:
            raise ValueError(f"stream {stream.name}: column {field.name} is missing")
        actual = rows.schema.field(field.name).type
        if held_type(actual) != field.type:
            raise ValueError(f"stream {stream.name}: column {field.name} is {actual}, expected {field.type}")
    columns = held_rows(rows.select(stream.schema.names), stream.schema)
    count = columns.num_rows
    sequence = np.zeros(count, np.int64)
    if stream.sequence is not None:
        sequence = _int64s(stream, stream.sequence, columns)
    key_code, keys = _numbered_keys(columns, stream.key)
    return Batch(
        columns=columns,
        time_ns=_times(stream, on, columns),
        sequence=sequence,
        offset=np.arange(first_offset, first_offset + count, dtype=np.int64),
        index=np.zeros(count, np.int32),
        key_code=key_code,
        keys=keys,
    )


def _grouped(batch: Batch, key: tuple[str, ...]) -> Batch:
    """A batch whose keys say which rows are of one group.

    Without key columns all rows match each other, whatever key their messages have.  Of one key column, and
    of several where a message key can be read in one way alone, the message key is the group: that is a look
    at each distinct key instead of at each row.  Rows under other keys are grouped by their columns, whatever
    rows a batch has beside them.
    """
    if not key:
        return replace(batch, key_code=np.zeros(batch.rows, np.int32), keys=_ONE_KEY)
    if len(key) == 1:
        return batch
    plain = plain_keys(batch.keys, len(key))
    if plain.all():
        return batch
    rows = np.flatnonzero((batch.key_code >= 0) & ~plain[batch.key_code])
    own, own_keys = _numbered_keys(batch.columns.take(pa.array(rows)), key)
    both = pa.concat_arrays([batch.keys, own_keys]).dictionary_encode()
    number = both.indices.to_numpy().astype(np.int32)
    key_code = np.where(batch.key_code >= 0, number[batch.key_code], np.int32(-1))
    key_code[rows] = np.where(own >= 0, number[len(batch.keys) + own], np.int32(-1))
    return replace(batch, key_code=key_code, keys=both.dictionary)


def _numbered_keys(columns: pa.RecordBatch, key: tuple[str, ...]) -> tuple[Int32s, pa.BinaryArray]:
    """The place of each row's key among the distinct ones, -1 for none, and these."""
    keys = message_keys(columns, key).dictionary_encode()
    return keys.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32), keys.dictionary


def _times(stream: Stream, on: str, columns: pa.RecordBatch) -> Int64s:
    time_ns = _int64s(stream, on, columns)
    far = np.flatnonzero((time_ns <= -END_NS) | (time_ns >= END_NS))
    if far.size:
        value = int(time_ns[far[0]])
        what = "stands for no time" if value == BEGINNING_NS else f"lies {END_NS} ns or more from the epoch"
        raise ValueError(
            f"stream {stream.name}: {on} is {value} in row {int(far[0])}, which {what}; leave such rows out"
        )
    return time_ns


def _int64s(stream: Stream, name: str, columns: pa.RecordBatch) -> Int64s:
    column = columns.column(name)
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise ValueError(f"stream {stream.name}: {name} is null in row {row}; such a row cannot be ordered")
    values: Int64s = column.to_numpy()
    return values
