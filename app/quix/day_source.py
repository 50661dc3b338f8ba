"""A day of history as a source of Quix Streams: blocks, progress records, and a final one at the end."""

import math
import time
from typing import Final

import numpy as np
from quixstreams.models import Topic
from quixstreams.sources import StatefulSource

from replay.errors import PublishError
from replay.publish.cursor import NEVER_NS, Cursor
from replay.publish.messages import Composer
from replay.publish.pace import PACED_STEP_NS, Pace, wait_a_step
from replay.publish.publication import (
    BLOCK_ROWS_MAX,
    STEP_ROWS_MAX,
    end_ns,
    require_grace,
)
from replay.store.days import HistoryStore
from replay.store.objects import parse_store
from schemas.clocks import Clock
from topics.avro.encode import RowEncoder
from topics.avro.progress import encode_progress
from topics.bus import MessageLimit
from topics.registry.open import open_registry
from topics.wire import Progress, SchemaRegistry

MESSAGE_SIZE_MAX: Final = 1_000_000  # what Quix' producer takes unless told otherwise
_ROWS: Final = "rows"


class DaySource(StatefulSource):  # its process is started anew: what the constructor keeps is plain values
    """Publishes one stream of one day, at least once: how many rows are sent is state, written after them.

    Partitions are those of the topic, chosen by murmur2 of the key.  Each step ends with a progress record in
    every partition, the last one with a final record.
    """

    def __init__(
        self,
        stream: str,
        date: str,
        *,
        data: str,
        schema_registry: str,
        grace_ns: int,
        clock: Clock = "event",
        speed: float | None = None,
    ) -> None:
        """`data` is a store of history, `speed` how many times faster than the market, None as it goes."""
        super().__init__(name=f"{stream}-{date}")
        self._stream, self._date, self._data = stream, date, data
        self._registry, self._grace_ns = schema_registry, grace_ns
        self._clock: Clock = clock
        self._speed = speed

    def default_topic(self) -> Topic:
        """A topic of bytes, where the application names none."""
        return Topic(name=self.name, value_serializer="bytes", value_deserializer="bytes")

    def run(self) -> None:
        """Publish what is left of the day; raises PublishError where it cannot be published whole."""
        cursor = self._cursor()
        cursor.rewind(int(self.state.get(_ROWS, 0)))
        if 0 < cursor.start == cursor.rows:
            return  # and its final record is out
        registry = open_registry(self._registry)
        composer = self._composer(cursor, registry)
        pace = Pace(self._speed or math.inf, cursor.next_ns, time.monotonic_ns())
        while self.running:
            if wait_a_step(pace.wait_ns(cursor.next_ns, time.monotonic_ns())):
                continue
            rows, clock_ns, _ = cursor.take(self._step_end(cursor))
            for message in composer.compose(rows, clock_ns) or ():
                self.produce(message.value, message.key, None, message.partition, message.timestamp_ms)
            is_final = cursor.start == cursor.rows
            upper_ns = cursor.lower_ns(cursor.start)
            if is_final:
                upper_ns = max(end_ns([cursor.day]), cursor.last_ns + 1)
            progress = encode_progress(registry, Progress(self._stream, upper_ns, is_final, self.name))
            for partition in range(composer.partitions):
                self.produce(progress, None, None, partition)
            self._keep(cursor.start)
            if is_final:
                return

    def _cursor(self) -> Cursor:
        """The day at its beginning; raises PublishError where some of it would be left out."""
        cursor = Cursor(HistoryStore(parse_store(self._data)).day(self._stream, self._date), self._clock)
        require_grace([cursor.day], self._grace_ns, self._clock)
        if not cursor.timed.all():
            raise PublishError(
                f"{self._stream} of {self._date} has rows without {cursor.column}: `replay publish` leaves "
                "such rows out and counts them"
            )
        return cursor

    def _composer(self, cursor: Cursor, registry: SchemaRegistry) -> Composer:
        topic, stream = self.producer_topic, cursor.day.stream
        return Composer(
            encoder=RowEncoder(stream, registry, topic.name),
            key=stream.key,
            partitions=topic.broker_config.num_partitions,
            shape="block",
            block_rows_max=BLOCK_ROWS_MAX,
            grace_ns=self._grace_ns,
            disorder_ns=cursor.disorder_ns,
            topic=topic.name,
            limit=MessageLimit(MESSAGE_SIZE_MAX, "message.max.bytes"),
        )

    def _step_end(self, cursor: Cursor) -> int:
        """Where the next step ends: some thousand rows, or those that are due."""
        end = min(cursor.start + STEP_ROWS_MAX, cursor.rows)
        if self._speed is not None and cursor.next_ns != NEVER_NS:
            due_ns = cursor.next_ns + max(int(PACED_STEP_NS * self._speed), 1)
            end = min(end, int(np.searchsorted(cursor.order_ns, due_ns)))
        return end

    def _keep(self, rows: int) -> None:
        """Have the messages at the broker, and only then the state: else a crash loses rows."""
        if unsent := self.producer.flush():
            raise PublishError(
                f"{unsent} messages of {self.name} were not taken: start the application again"
            )
        self.state.set(_ROWS, rows)
        self.flush()
