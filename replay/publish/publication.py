"""Publish a day: its streams merged in time order, each transaction with the position it reached.

A publisher that is stopped at any moment and started again goes on where the last transaction ended: no row
is doubled, no row is lost.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa

from replay.dates import parse_date
from replay.errors import PublishError
from replay.publish.cursor import NEVER_NS, Cursor
from replay.publish.merge import merge_upto
from replay.publish.messages import Composer, Shape
from replay.publish.pace import PACED_STEP_NS, Pace, wait_a_step
from replay.publish.position import Published, rows_done
from replay.store.day import Day
from schemas.batch import Int64s
from schemas.clocks import NS_PER_MS, NS_PER_S, Clock
from schemas.stream import Stream
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress, register_progress
from topics.block import TopicPartition
from topics.bus import AbortableError, Bus, Position, Producer, UnknownOutcomeError
from topics.wire import Progress, SchemaRegistry

BLOCK_ROWS_MAX: Final = 100
STEP_ROWS_MAX: Final = 32_768  # one transaction: large enough to hide its cost, small enough to be read soon
RETRIES_MAX: Final = 5  # transactions that fail in a row


@dataclass(slots=True)
class PublishReport:
    """Rows that this process published; `before` counts those of an earlier process, `refused` those left
    out, by stream and reason.  Only committed rows count.
    """

    rows: Counter[str] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    messages: int = 0
    bytes_size: int = 0
    seconds: float = 0.0

    def add(self, other: "PublishReport") -> None:
        """Count what a transaction published."""
        self.rows += other.rows
        self.refused += other.refused
        self.messages += other.messages
        self.bytes_size += other.bytes_size


class Publication:
    """One day of some streams on its way to their topics.

    Per topic, rows of a key keep their publish order, and in every partition a row trails the newest before
    it by `grace_ns` at most on the pipeline's clock.  After each transaction every partition gets a progress
    record that bounds all rows still to come, at the end a final one.  Rows without a time on that clock
    are refused and counted, never guessed, and so are rows without a key.  Schemas are registered at each
    start, also where nothing is left to publish: a reader may know another registry since.

    Raises PublishError where the grace cannot cover the disorder, a key column is not there, or the run has
    been somewhere that this day cannot follow; StreamError where a stream lacks the clock.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        registry: SchemaRegistry,
        days: Sequence[Day],
        topics: Mapping[str, str],
        partitions: int,
        shape: Shape,
        grace_ns: int | Mapping[str, int],
        clock: Clock,
        run: str,
        keys: Mapping[str, tuple[str, ...]] | None = None,
        speed: float | None = None,
        block_rows_max: int = BLOCK_ROWS_MAX,
        step_rows_max: int = STEP_ROWS_MAX,
    ) -> None:
        """`topics` names each stream's topic, which must exist with `partitions` partitions.

        `grace_ns` is that of each stream, or one for all.  `keys` has the key columns of streams that are not
        keyed as in their history.  `speed` is how many times faster than the market, None as fast as it goes.
        `run` names the publication: its transactional id and its group are `<run>-publisher`.
        """
        assert len({day.date for day in days}) == 1, "one day at a time"
        assert partitions > 0
        assert block_rows_max > 0
        self.report = PublishReport()
        self._bus, self._registry = bus, registry
        self._run, self._speed, self._step_rows_max = run, speed, step_rows_max
        self._topics, self._partitions = dict(topics), partitions
        self._date, self._end_ns = days[0].date, end_ns(days)
        require_grace(days, grace_ns, clock)
        self._keys = {day.stream.name: _key(day.stream, keys or {}) for day in days}
        self._cursors = [Cursor(day, clock) for day in days]
        limits = bus.message_limits([self._topics[cursor.name] for cursor in self._cursors])
        limits = bus.message_limits([self._topics[cursor.name] for cursor in self._cursors])
        self._composers = {
            cursor.name: Composer(
                encoder=RowEncoder(cursor.day.stream, registry, self._topics[cursor.name]),
                key=self._keys[cursor.name],
                partitions=partitions,
                shape=shape,
                block_rows_max=block_rows_max,
                grace_ns=grace_of(grace_ns, cursor.name),
                disorder_ns=cursor.disorder_ns,
                topic=self._topics[cursor.name],
                limit=limits[self._topics[cursor.name]],
            )
            for cursor in self._cursors
        }
        self._register(blocks=shape == "block")
        self._id = self._group = f"{run}-publisher"
        self._consumer = bus.consumer(group=self._group)
        self._producer: Producer | None = None
        self._failures, self.done = 0, False
        self._attempt = PublishReport()  # what the last transaction held
        self._pace: Pace | None = None
        self._take_up()
        self.report.before.update({cursor.name: cursor.start for cursor in self._cursors})

    @property
    def rows(self) -> int:
        """The rows of the day, over all streams."""
        return sum(cursor.rows for cursor in self._cursors)

    @property
    def rows_done(self) -> int:
        """The rows behind us: published or refused, now or before."""
        return sum(cursor.start for cursor in self._cursors)

    def late_rows(self, uppers_ns: Mapping[str, int]) -> int:
        """How many rows still to come lie below what was promised for every stream (`upper_ns` by name)."""
        below_ns = min(uppers_ns[cursor.name] for cursor in self._cursors)
        left = (cursor.clock_ns[cursor.start :][cursor.timed[cursor.start :]] for cursor in self._cursors)
        return sum(int(np.count_nonzero(clock_ns < below_ns)) for clock_ns in left)

    @property
    def market_ns(self) -> int:
        """When the next row is due, in market time; `NEVER_NS` after the last."""
        return min(cursor.next_ns for cursor in self._cursors)

    def wait_ns(self, now_ns: int) -> int:
        """How long until the next step is due at this speed; the first one is due at once."""
        if self.done or self._speed is None or self.market_ns == NEVER_NS:
            return 0
        if self._pace is None:
            self._pace = Pace(self._speed, self.market_ns, now_ns)
        return self._pace.wait_ns(self.market_ns, now_ns)

    def step(self) -> bool:
        """Publish one transaction and return whether more remains; waits for nothing but the broker.

        A transaction that the broker aborts, or whose outcome it does not tell, is taken up again from the
        committed position; after `RETRIES_MAX` in a row the error is raised.
        """
        if self.done:
            return False
        ends = self._ends()
        try:
            self._publish(ends)
        except (AbortableError, UnknownOutcomeError):
            self._failures += 1
            if self._failures > RETRIES_MAX:
                raise
            self._take_up()
        if [cursor.start for cursor in self._cursors] == ends:  # also where only the answer was lost
            self._failures = 0
            self.report.add(self._attempt)
        return not self.done

    def run(
        self,
        *,
        show: Callable[["Publication"], None] | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> PublishReport:
        """Publish the remaining rows, paced; `show` is called after each step, `stopped` before it."""
        begun_ns = time.monotonic_ns()
        while not self.done and not stopped():
            if wait_a_step(self.wait_ns(time.monotonic_ns())):
                continue
            self.step()
            if show is not None:
                show(self)
        self.report.seconds += (time.monotonic_ns() - begun_ns) / NS_PER_S
        return self.report

    def close(self) -> None:
        """Let the clients go; an open transaction is aborted."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        self._consumer.close()

    def _register(self, *, blocks: bool) -> None:
        for composer in self._composers.values():
            composer.encoder.register(blocks=blocks)
        register_progress(self._registry)

    def _take_up(self) -> None:
        """Fence whoever publishes under this id, then stand where the last committed transaction ended."""
        if self._producer is not None:
            self._producer.close()
        self._producer = self._bus.producer(transactional_id=self._id)
        places = {cursor.name: self._place(cursor) for cursor in self._cursors}
        committed = self._consumer.committed(list(places.values()))
        finished = []
        for cursor in self._cursors:
            position = committed.get(places[cursor.name])
            before = None if position is None else Published.from_position(position, self._group)
            digest = cursor.day.summary.digest
            rows, complete = rows_done(before, stream=cursor.name, date=self._date, day=digest, run=self._run)
            cursor.rewind(rows)
            finished.append(complete)
        self.done = all(finished)
        if any(finished) and not self.done:
            raise PublishError(
                f"run {self._run} has published some streams of {self._date} without the others: "
                f"publish the day as another run, with all its streams"
            )

    def _ends(self) -> list[int]:
        """Where each stream stands after the next transaction."""
        below_ns = None
        if self._speed is not None and self.market_ns != NEVER_NS:
            below_ns = self.market_ns + max(math.ceil(PACED_STEP_NS * self._speed), 1)
        starts = [cursor.start for cursor in self._cursors]
        return merge_upto(
            [cursor.order_ns for cursor in self._cursors], starts, self._step_rows_max, below_ns
        )

    def _publish(self, ends: Sequence[int]) -> None:
        """One transaction: rows of every stream, progress into every partition, and where that leaves us."""
        producer = self._producer
        assert producer is not None, "the publication is closed"
        complete = all(end == cursor.rows for cursor, end in zip(self._cursors, ends, strict=True))
        self._attempt = attempt = PublishReport()
        producer.begin()
        try:
            for cursor, end in zip(self._cursors, ends, strict=True):
                topic = self._topics[cursor.name]
                taken, clock_ns, timed = cursor.take(end)
                if not timed.all():
                    attempt.refused[cursor.name, f"no {cursor.column}"] += int(np.count_nonzero(~timed))
                    taken, clock_ns = taken.filter(pa.array(timed)), clock_ns[timed]
                taken, clock_ns = self._with_keys(cursor.name, taken, clock_ns)
                attempt.rows[cursor.name] += taken.num_rows
                messages = self._composers[cursor.name].compose(taken, clock_ns)
                if messages is not None:
                    producer.produce_many(topic, messages)
                    attempt.messages += messages.values.messages
                    attempt.bytes_size += int(messages.values.data.size)
            self._produce_progress(producer, complete)
            producer.send_offsets(self._positions(complete), self._consumer)
            producer.commit()
        except UnknownOutcomeError:
            raise
        except BaseException:
            with suppress(
                Exception
            ):  # the first error is the one to tell; a new producer aborts what is left
                producer.abort()
            raise
        self.done = complete

    def _with_keys(self, name: str, rows: pa.RecordBatch, clock_ns: Int64s) -> tuple[pa.RecordBatch, Int64s]:
        """The rows whose key columns are all there; the others are refused."""
        for column in self._keys[name]:
            if missing := rows.column(column).null_count:
                self._attempt.refused[name, f"no {column}, which is in the key"] += missing
                keyed = rows.column(column).is_valid()
                rows, clock_ns = rows.filter(keyed), clock_ns[np.asarray(keyed)]
        return rows, clock_ns

    def _produce_progress(self, producer: Producer, complete: bool) -> None:
        """Bound every row still to come, in every partition of every topic."""
        upper_ns = min(cursor.lower_ns(cursor.start) for cursor in self._cursors)
        if complete or upper_ns == NEVER_NS:
            last_ns = max(cursor.last_ns for cursor in self._cursors)
            upper_ns = max(self._end_ns, last_ns + 1)
        for cursor in self._cursors:
            progress = Progress(stream=cursor.name, upper_ns=upper_ns, final=complete, run=self._run)
            value = encode_progress(self._registry, progress)
            for partition in range(self._partitions):
                producer.produce(
                    self._topics[cursor.name],
                    partition=partition,
                    key=None,
                    value=value,
                    timestamp_ms=upper_ns // NS_PER_MS,
                )

    def _positions(self, complete: bool) -> dict[TopicPartition, Position]:
        return {
            self._place(cursor): Published(
                stream=cursor.name,
                date=self._date,
                day=cursor.day.summary.digest,
                rows=cursor.start,
                complete=complete,
            ).to_position()
            for cursor in self._cursors
        }

    def _place(self, cursor: Cursor) -> TopicPartition:
        return TopicPartition(self._topics[cursor.name], 0)


def end_ns(days: Sequence[Day]) -> int:
    """The end of the calendar day in the history's zone; raises PublishError where streams differ in it."""
    zones = {day.zone: day.stream.name for day in days}
    if len(zones) > 1:
        which = " and ".join(f"{name} of {zone}" for zone, name in zones.items())
        raise PublishError(
            f"{days[0].date} is another day for each stream: {which}; import both with one --timezone"
        )
    from replay.zones import day_end_ns  # with Polars: who only asks for the grace waits for nothing

    return day_end_ns(parse_date(days[0].date), days[0].zone)


def _key(stream: Stream, keys: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The key columns of a stream; raises PublishError where its history has no such column."""
    key = keys.get(stream.name, stream.key)
    for column in key:
        if column not in stream.schema.names:
            raise PublishError(
                f"streams.{stream.name}.key names {column}, and the history of {stream.name} has "
                f"{', '.join(stream.schema.names)}: correct the key, or import the day with that column"
            )
    return key


def grace_of(grace_ns: int | Mapping[str, int], stream: str) -> int:
    """The grace of a stream, where there is one for all or one for each."""
    return grace_ns if isinstance(grace_ns, int) else grace_ns[stream]


def require_grace(days: Sequence[Day], grace_ns: int | Mapping[str, int], clock: Clock) -> None:
    """Raise PublishError where a day's disorder exceeds the grace, StreamError where it lacks the clock."""
    for day in days:
        day.stream.require_clock(clock)
    disorders = {day.stream.name: day.disorder_ns(clock) for day in days}
    short = {name: ns for name, ns in disorders.items() if ns > grace_of(grace_ns, name)}
    if short:
        graces = " and ".join(f"{ns:,}" for ns in sorted({grace_of(grace_ns, name) for name in short}))
        figures = ", ".join(f"{name} is out of order by up to {ns:,} ns" for name, ns in short.items())
        raise PublishError(
            f"grace_ns {graces} does not cover the disorder on clock {clock!r}: {figures}; "
            f"give at least {max(short.values()):,} here and to the worker"
        )
