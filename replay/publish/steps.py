"""A day's streams as they would be published, step by step, without a log: merged, gathered, partitioned.

The rows of a step stand as the messages of some transactions of a `Publication` would, in the same order and
at the same offsets; only no message is made of them.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from replay.errors import HistoryError
from replay.order import clock_times, order_times
from replay.publish.blocks import gather_partitions
from replay.publish.cursor import NEVER_NS, Cursor
from replay.publish.merge import merge_upto
from replay.publish.publication import BLOCK_ROWS_MAX, STEP_ROWS_MAX, end_ns, require_grace
from replay.store.day import Day
from schemas.arrived import ProgressRecord
from schemas.batch import Batch, Bools, Int32s, Int64s
from schemas.clocks import BEGINNING_NS, EVENT_NS, KNOWN_NS, Clock
from schemas.stream import Stream, message_keys
from topics.placement import home_partitions

# Offsets that a transaction takes in each partition beside its rows: a progress record and the marker.
BESIDE: Final = 2
TRANSACTIONS: Final = 4  # in a step: what a step costs beside its rows is shared by more of them


@dataclass(frozen=True, slots=True)
class Step:
    """Rows by stream and partition, and what holds behind them: no further row lies below `upper_ns`.

    `final` ends the day.  A partition without rows of a stream in this step has no batch.  `promises` are the
    progress records among the rows, of each stream and partition, where they are asked for: in each
    transaction's place the bound that a publication writes there.
    """

    batches: Mapping[str, Mapping[int, Batch]]
    upper_ns: int
    final: bool
    promises: Mapping[str, Sequence[Sequence[ProgressRecord]]] = field(default_factory=dict)


class Steps:
    """The steps of one day, read as they are asked for; what is held is a few batches of each stream.

    A block of rows is as `shape = "block"` makes it, save that no topic's limit cuts it smaller.  Rows
    without a time on the pipeline's clock, or without a key, are left out and counted in `refused`, by stream
    and reason.  Raises PublishError where the grace cannot cover the disorder, StreamError where a stream
    lacks the clock, HistoryError where a value does not fit its stream.
    """

    def __init__(
        self,
        *,
        days: Sequence[Day],
        streams: Mapping[str, Stream],
        partitions: int,
        grace_ns: int,
        clock: Clock,
        step_rows_max: int = STEP_ROWS_MAX,
        promises: bool = False,
        only: Collection[int] | None = None,
        offsets: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        """`streams` has the columns that are wanted of each day, and their types.

        With `promises` the times of the whole day are held, some 25 bytes a row, as a publication does.
        `only` are the partitions whose rows are wanted; all are read, and the others are left out at once.
        `offsets` say, by stream, where each partition's topic goes on; without them it begins.
        """
        assert len({day.date for day in days}) == 1, "one day at a time"
        require_grace(days, grace_ns, clock)
        self.refused: Counter[tuple[str, str]] = Counter()
        self._partitions, self._grace_ns, self._step_rows_max = partitions, grace_ns, step_rows_max
        self._end_ns = end_ns(days)
        self._feeds = [_Feed(day, streams[day.stream.name], clock) for day in days]
        begin = offsets or {}
        self._offsets = {
            day.stream.name: np.array(begin.get(day.stream.name, [0] * partitions), np.int64) for day in days
        }
        self._wanted: Bools | None = None
        if only is not None:
            self._wanted = np.zeros(partitions, np.bool_)
            self._wanted[list(only)] = True
        self._cursors = [Cursor(day, clock) for day in days] if promises else []

    @property
    def offsets(self) -> dict[str, list[int]]:
        """By stream where the topic of each wanted partition ends so far."""
        return {name: of.tolist() for name, of in self._offsets.items()}

    def __iter__(self) -> Iterator[Step]:
        """Each step once; a second time there is none."""
        final = False
        while not final:
            cuts = self._cuts()
            bounds = self._bounds(cuts)
            batches, promises = {}, {}
            for feed, of_feed in zip(self._feeds, zip(*cuts, strict=True), strict=True):
                name = feed.stream.name
                batches[name], offsets = self._batches(feed, np.array(of_feed, np.int64))
                if bounds:
                    promises[name] = [_records(bounds, own) for own in offsets.T.tolist()]
            final = all(feed.rows_left == 0 for feed in self._feeds)
            yield Step(batches, self._upper_ns(final), final, promises)

    def _cuts(self) -> list[list[int]]:
        """Where each stream stands, counted from here, before the first of the next transactions and after
        each.
        """
        for feed in self._feeds:
            feed.fill(TRANSACTIONS * self._step_rows_max)
        orders = [feed.order_ns for feed in self._feeds]
        cuts = [[0] * len(orders)]
        ends = [feed.rows_left for feed in self._feeds]
        while len(cuts) <= TRANSACTIONS and (len(cuts) == 1 or cuts[-1] != ends):
            cuts.append(merge_upto(orders, cuts[-1], self._step_rows_max))
        return cuts

    def _bounds(self, cuts: Sequence[Sequence[int]]) -> list[tuple[int, bool]]:
        """What a publication would promise after each transaction, and whether that ends the day."""
        bounds = []
        for cut in cuts[1:] if self._cursors else ():
            ends = [feed.rows_done + count for feed, count in zip(self._feeds, cut, strict=True)]
            pairs = list(zip(self._cursors, ends, strict=True))
            final = all(end == cursor.rows for cursor, end in pairs)
            upper_ns = min(cursor.lower_ns(end) for cursor, end in pairs)
            if final or upper_ns == NEVER_NS:
                upper_ns = max(self._end_ns, *(cursor.last_ns + 1 for cursor in self._cursors))
            bounds.append((upper_ns, final))
        return bounds

    def _upper_ns(self, final: bool) -> int:
        """What bounds every row still to come: it trails the newest of its stream by the day's disorder."""
        upper_ns = min((feed.lower_ns for feed in self._feeds if feed.rows_left), default=NEVER_NS)
        if final or upper_ns == NEVER_NS:
            return max(self._end_ns, *(feed.last_ns + 1 for feed in self._feeds))
        return upper_ns

    def _batches(self, feed: "_Feed", cuts: Int64s) -> tuple[dict[int, Batch], Int64s]:
        """The rows of one stream that some transactions would carry, cut at these numbers of rows.

        With them, by transaction and partition, the offset of the progress record behind its rows.
        """
        rows, cuts = self._accepted(feed, feed.take(int(cuts[-1])), cuts)
        keyed = None
        if rows.num_rows:
            feed.see(clock_times(rows, feed.column)[0])
            keyed = _keyed(feed, rows, self._partitions)
            if self._wanted is not None:
                rows, cuts, keyed = _of_partitions(self._wanted, rows, cuts, keyed)
        offsets, transactions = self._offsets[feed.stream.name], cuts.size - 1
        behind = offsets + BESIDE * np.arange(transactions)[:, None]
        batches = {}
        if keyed is not None and rows.num_rows:
            batches = self._gathered(feed, rows, cuts, keyed, behind)
        offsets += BESIDE * transactions
        return batches, behind

    def _gathered(
        self, feed: "_Feed", rows: pa.RecordBatch, cuts: Int64s, keyed: "_Keyed", behind: Int64s
    ) -> dict[int, Batch]:
        """The rows by partition, as messages would have them; offsets and `behind` move on by these."""
        offsets, transactions = self._offsets[feed.stream.name], cuts.size - 1
        clock_ns, codes, home = clock_times(rows, feed.column)[0], keyed.codes, keyed.home
        parts = gather_partitions(
            clock_ns,
            codes,
            home,
            cuts,
            partitions=self._partitions,
            rows_max=BLOCK_ROWS_MAX,
            grace_ns=self._grace_ns,
            disorder_ns=feed.disorder_ns,
        )
        columns = feed.fitted(rows.take(pa.array(parts.order)))
        clock_ns, codes, sequence = clock_ns[parts.order], codes[parts.order], feed.sequence(columns)
        transaction = np.searchsorted(cuts, parts.order, side="right") - 1
        before = BESIDE * transaction
        batches = {}
        for number in np.flatnonzero(np.diff(parts.bounds)).tolist():
            own = slice(int(parts.bounds[number]), int(parts.bounds[number + 1]))
            there = np.flatnonzero(home == number)
            code_there = np.empty(home.size, np.int32)
            code_there[there] = np.arange(there.size, dtype=np.int32)
            batches[number] = Batch(
                columns=columns.slice(own.start, own.stop - own.start),
                time_ns=clock_ns[own],
                sequence=sequence[own],
                offset=parts.message[own] + before[own] + offsets[number],
                index=parts.index[own],
                key_code=code_there[codes[own]],
                keys=keyed.keys.take(pa.array(there)),
            )
            offsets[number] += parts.message[own.stop - 1] + 1
            messages = np.append(0, parts.message[own] + 1)
            count = np.searchsorted(transaction[own], np.arange(transactions), side="right")
            behind[:, number] += messages[count]
        return batches

    def _accepted(self, feed: "_Feed", rows: pa.RecordBatch, cuts: Int64s) -> tuple[pa.RecordBatch, Int64s]:
        """The rows with a time and a key, and their cuts; the others are counted."""
        for column in (feed.column, *feed.day.stream.key):
            if missing := rows.column(column).null_count:
                reason = f"no {column}" + ("" if column == feed.column else ", which is in the key")
                self.refused[feed.stream.name, reason] += missing
                valid = rows.column(column).is_valid()
                rows, cuts = _where(valid.to_numpy(zero_copy_only=False), rows, cuts)
        return rows, cuts


class _Keyed(NamedTuple):
    """The message key of each row by its place in `keys`, and the partition of each of these."""

    codes: Int32s
    keys: pa.BinaryArray
    home: Int32s


class _Feed:
    """One day's rows in publish order, a few batches at a time."""

    def __init__(self, day: Day, stream: Stream, clock: Clock) -> None:
        self.day, self.stream = day, stream
        self.column = day.stream.require_clock(clock)
        self.disorder_ns = day.disorder_ns(clock)
        self.rows_left = day.rows
        self.order_ns: Int64s = np.empty(0, np.int64)  # when each row held is published
        wanted = {*stream.schema.names, *day.stream.key, EVENT_NS, KNOWN_NS}
        self._columns = [name for name in day.stream.schema.names if name in wanted]
        self._batches = day.batches(columns=self._columns, words=True)
        self._held: list[pa.RecordBatch] = []
        self._newest_ns = BEGINNING_NS
        self._summary = day.summary.clocks.get(self.column)

    @property
    def lower_ns(self) -> int:
        """No row still to come is below it, on the pipeline's clock; `NEVER_NS` where none has a time."""
        if self._summary is None:
            return NEVER_NS
        return max(self._summary.first_ns, self._newest_ns - self.disorder_ns)

    @property
    def last_ns(self) -> int:
        """The newest time of the day."""
        return BEGINNING_NS if self._summary is None else self._summary.last_ns

    @property
    def rows_done(self) -> int:
        """The rows taken so far."""
        return self.day.rows - self.rows_left

    def see(self, clock_ns: Int64s) -> None:
        """Rows of these times were taken."""
        self._newest_ns = max(self._newest_ns, int(clock_ns.max()))

    def fill(self, rows: int) -> None:
        """Hold at least so many rows, or all that are left."""
        orders = [self.order_ns]
        held = self.order_ns.size
        while held < min(rows, self.rows_left):
            batch = next(self._batches)
            self._held.append(batch)
            orders.append(order_times(batch, self.day.summary.order))
            held += batch.num_rows
        if len(orders) > 1:
            self.order_ns = np.concatenate(orders)

    def take(self, count: int) -> pa.RecordBatch:
        """The next `count` rows, of those held."""
        self.order_ns = self.order_ns[count:]
        self.rows_left -= count
        parts = []
        while count:
            first = self._held[0]
            parts.append(first.slice(0, count))
            count -= parts[-1].num_rows
            if parts[-1].num_rows == first.num_rows:
                del self._held[0]
            else:
                self._held[0] = first.slice(parts[-1].num_rows)
        if len(parts) == 1:
            return parts[0]
        if parts:
            return _one(parts)
        schema = pa.schema([self.day.stream.schema.field(name) for name in self._columns])
        return pa.RecordBatch.from_pylist([], schema)

    def keys_of(self, rows: pa.RecordBatch) -> tuple[Int32s, pa.BinaryArray]:
        """The place of each row's message key among some distinct ones, and these."""
        key = self.day.stream.key
        column = rows.column(key[0]) if len(key) == 1 else None
        if column is None or not pa.types.is_dictionary(column.type):
            coded = message_keys(rows, key).dictionary_encode()
            return np.asarray(coded.indices, np.int32), coded.dictionary
        words = pa.record_batch([column.dictionary], names=list(key))
        return np.asarray(column.indices, np.int32), message_keys(words, key)

    def fitted(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The stream's columns, in its types.  Raises HistoryError where a value does not fit."""
        columns = []
        for wanted in self.stream.schema:
            column = rows.column(wanted.name)
            if column.type != wanted.type:
                try:
                    column = column.cast(wanted.type)
                except pa.ArrowInvalid as wrong:
                    raise HistoryError(
                        f"{self.stream.name}.{wanted.name} of {self.day.date}: {wrong}; import the day with "
                        "another type of that column, or without it"
                    ) from None
            columns.append(column)
        return pa.RecordBatch.from_arrays(columns, schema=self.stream.schema)

    def sequence(self, rows: pa.RecordBatch) -> Int64s:
        """What orders rows of equal time; 0 where nothing does."""
        if self.stream.sequence is None:
            return np.zeros(rows.num_rows, np.int64)
        return np.asarray(rows.column(self.stream.sequence).fill_null(0).to_numpy(), dtype=np.int64)


def _keyed(feed: _Feed, rows: pa.RecordBatch, partitions: int) -> _Keyed:
    codes, keys = feed.keys_of(rows)
    return _Keyed(codes, keys, home_partitions(keys, partitions))


def _of_partitions(
    wanted: Bools, rows: pa.RecordBatch, cuts: Int64s, keyed: _Keyed
) -> tuple[pa.RecordBatch, Int64s, _Keyed]:
    """The rows whose partitions are wanted, their cuts and their keys."""
    own = wanted[keyed.home[keyed.codes]]
    rows, cuts = _where(own, rows, cuts)
    return rows, cuts, keyed._replace(codes=keyed.codes[own])


def _records(bounds: Sequence[tuple[int, bool]], offsets: Sequence[int]) -> list[ProgressRecord]:
    """The progress records of one partition, a transaction each."""
    pairs = zip(bounds, offsets, strict=True)
    return [ProgressRecord(upper_ns, final, offset) for (upper_ns, final), offset in pairs]


def _where(kept: Bools, rows: pa.RecordBatch, cuts: Int64s) -> tuple[pa.RecordBatch, Int64s]:
    """The rows that are kept, and where the cuts among them are."""
    return rows.filter(pa.array(kept)), np.append(0, np.cumsum(kept))[cuts]


def _one(parts: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The same rows in one batch; where text is words in one part it need not be in another."""
    types = [part.schema.types for part in parts]
    if any(other != types[0] for other in types[1:]):
        parts = [_plain(part) for part in parts]
    return pa.concat_batches(parts)


def _plain(rows: pa.RecordBatch) -> pa.RecordBatch:
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        for column in rows.columns
    ]
    return pa.record_batch(columns, names=rows.schema.names)
