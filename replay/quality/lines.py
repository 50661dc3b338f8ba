"""A day that was recorded twice, on the two lines of one feed, becomes one day of that feed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from itertools import repeat
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError
from replay.order import as_int64s
from replay.quality.arbiter import Arbiter, Copy, Release
from replay.quality.checks import NumberColumn
from replay.quality.groups import Groups
from replay.quality.measure import require_numbers, whole_numbers
from replay.quality.numbering import Numbering
from replay.store.content_hash import row_hashes
from replay.store.day import BATCH_ROWS, Day
from replay.store.days import HistoryStore
from schemas.clocks import KNOWN_NS

LINES: Final = ("a", "b")


class _Place(NamedTuple):
    """Where a row lies: its line, the batch, its number in it."""

    line: int
    batch: pa.RecordBatch
    row: int


@dataclass(slots=True)
class Arbitrated:
    """What became of two lines: rows of the feed by the line whose copy won, and what was left out.

    `repeated` are rows whose number lies behind what their own line had had, and that it had not passed over.
    """

    rows: list[int] = field(default_factory=lambda: [0, 0])
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    gaps: int = 0
    missing: int = 0
    repeated: int = 0

    def lines(self) -> list[str]:
        """What to print."""
        of_a, of_b = self.rows
        words = [
            f"{of_a + of_b:,} rows, {of_a:,} from line a and {of_b:,} from line b",
            f"{self.duplicates:,} second copies left out, {self.conflicts:,} of them with other values",
            f"{self.gaps:,} gaps of {self.missing:,} numbers, {self.late:,} of which came too late",
        ]
        if self.repeated:
            words.append(
                f"{self.repeated:,} rows have a number that their own line had before, and are left out as "
                "copies: do numbers begin anew, or several rows have one? Name what tells them apart"
            )
        return words


def arbitrate(
    lines: tuple[Day, Day], number: NumberColumn, store: HistoryStore, *, hold_ns: int
) -> Arbitrated:
    """Write one day of two: the first copy of each row, in the order of its numbers.

    A row's `known_ns` becomes the moment from which it could be known in that order, at most `hold_ns` after
    its own.  Rows are ordered by the receiver's clock in both days, which hold the same columns; raises
    HistoryError where they do not.  The days of the lines stay as they are.
    """
    first, second = lines
    for day in lines:
        _require_known(day)
        require_numbers(day.stream, number)
    if first.stream != second.stream:
        raise HistoryError(
            f"the lines have different columns or keys: {first.root} has {first.stream.schema.names}, and "
            f"{second.root} has {second.stream.schema.names}"
        )
    arbiter: Arbiter[_Place] = Arbiter(hold_ns)
    result, own = Arbitrated(), (Numbering(), Numbering())
    store.write(
        first.stream,
        first.date,
        _feed(lines, number, arbiter, result, own),
        order="known",
        sources=first.summary.sources + second.summary.sources,
        made={"by": "arbitrate", "timezone": first.zone, "hold_ns": str(hold_ns), "number": str(number)},
    )
    counts, numbers = arbiter.counts, arbiter.numbers
    result.duplicates, result.conflicts, result.late = counts.duplicates, counts.conflicts, counts.late
    result.repeated = sum(line.counts.duplicates for line in own)
    result.gaps, result.missing = len(arbiter.gaps), numbers.missing + numbers.filled
    return result


def _feed(
    lines: tuple[Day, Day],
    number: NumberColumn,
    arbiter: Arbiter[_Place],
    result: Arbitrated,
    own: Sequence[Numbering],
) -> Iterator[pa.RecordBatch]:
    """The rows of the feed, batch by batch."""
    channels = Groups(number.by or lines[0].stream.key)
    copies = merge(
        *(_copies(day, line, number, channels, own[line]) for line, day in enumerate(lines)),
        key=itemgetter(0),
    )  # of equal times the first line's come first
    held: list[Release[_Place]] = []
    for copy in copies:
        held += arbiter.take(copy)
        if len(held) >= BATCH_ROWS:
            yield _batch(held, result)
            held = []
    held += arbiter.finish()
    if held:
        yield _batch(held, result)


def _copies(
    day: Day, line: int, number: NumberColumn, channels: Groups, own: Numbering
) -> Iterator[Copy[_Place]]:
    """One line's rows, in the order of the receiver's clock; a row without number cannot be told apart."""
    for batch in day.batches():
        if batch.column(number.column).null_count:
            raise HistoryError(
                f"{day.summary.stream} {day.date} in {day.root} has rows without {number.column}: they "
                "cannot be held against the other line"
            )
        values = (
            as_int64s(batch.column(KNOWN_NS)),
            channels.numbers(batch),
            whole_numbers(batch.column(number.column))[0],
            row_hashes(batch.drop_columns([KNOWN_NS])),
        )
        own.take(values[1], values[2])
        places = map(_Place, repeat(line), repeat(batch), range(batch.num_rows))
        yield from map(Copy, *(value.tolist() for value in values), places)


def _batch(held: Sequence[Release[_Place]], result: Arbitrated) -> pa.RecordBatch:
    """Released rows as one batch, with the moments of their release."""
    batches: dict[int, pa.RecordBatch] = {id(one.row.batch): one.row.batch for one in held}
    starts = dict(
        zip(batches, np.cumsum([0, *(each.num_rows for each in batches.values())]).tolist(), strict=False)
    )
    rows = [starts[id(one.row.batch)] + one.row.row for one in held]
    for one in held:
        result.rows[one.row.line] += 1
    joined = pa.concat_batches(list(batches.values())).take(pa.array(rows))
    known = joined.schema.get_field_index(KNOWN_NS)
    return joined.set_column(known, joined.schema.field(known), pa.array([one.known_ns for one in held]))


def _require_known(day: Day) -> None:
    if day.summary.order != "known":
        raise HistoryError(
            f"{day.summary.stream} {day.date} in {day.root} is not ordered by {KNOWN_NS}: which copy came "
            "first is the receiver's clock to say"
        )
