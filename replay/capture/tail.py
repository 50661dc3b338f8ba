"""The rows of a topic that its table has not yet: read behind it, and dropped as a capture commits them.

A snapshot of both has each row once: parts have those below the next offset of their partition, which the
same version of the table says, and the tail has those from there on.  Age plays no part in it.
"""

from collections.abc import Sequence
from dataclasses import replace
from threading import Event, Lock, Thread
from typing import Final

import numpy as np
import pyarrow as pa

from replay.capture.dead import part_without_key
from replay.capture.form import form_of
from replay.errors import HistoryError
from replay.order import as_int64s
from replay.store.coverage import next_offsets
from replay.store.objects import Folder
from replay.store.places import OFFSET, with_places
from replay.store.snapshot import Snapshot
from replay.store.stored_types import to_stored
from replay.store.table import HistoryTable
from schemas.batch import Int64s
from topics.block import MessageBlock, TopicPartition
from topics.bus import Bus
from topics.decoder import RowDecoder

TAIL_SIZE_MAX: Final = 512 * 2**20  # bytes of rows
MESSAGES_MAX: Final = 10_000
WAIT_MS: Final = 100


class Tail:
    """Reads one topic behind its table; `turn` reads, in one thread, and `snapshot` is for any.

    `partitions` are all of the topic's.  Rows are held up to `size_max` bytes; beyond it nothing is read
    until a capture has committed some of them.
    """

    def __init__(
        self,
        *,
        bus: Bus,
        topic: str,
        partitions: Sequence[int],
        decoder: RowDecoder,
        store: Folder,
        stream: str,
        group: str = "history-tail",
        size_max: int = TAIL_SIZE_MAX,
    ) -> None:
        """Raise HistoryError where the stream has no table, or the log has lost rows that it lacks."""
        self._topic, self._partitions, self._decoder = topic, partitions, decoder
        self._bus, self._size_max = bus, size_max
        self._consumer = bus.consumer(group=group, client_id=group)
        self._lock = Lock()
        self._table = HistoryTable(store, stream)
        if form := form_of(self._table):
            raise HistoryError(
                f"the table {stream} has rows with {form}, and those of {topic} are as they were sent: only "
                "captured rows can be asked"
            )
        self._next: dict[int, int] = {}  # the next offsets as the table has them
        self._position: dict[int, int] = {}
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._begun = False
        self._begin(self._partitions)

    def turn(self, *, wait_ms: int = WAIT_MS) -> int:
        """Read once, and return how many messages came; none while the tail is full."""
        with self._lock:
            if self._held_size() >= self._size_max:
                self._follow()
                if self._held_size() >= self._size_max:
                    return 0
            begun, self._begun = self._begun, False
            if begun:
                self._consumer.assign(
                    {TopicPartition(self._topic, number): at for number, at in self._position.items()}
                )
        block = self._consumer.poll(messages_max=MESSAGES_MAX, wait_ms=wait_ms)
        with self._lock:
            if not self._begun:  # else reading begins again elsewhere, and these are read a second time
                self._take(block)
        return block.messages

    def catch_up(self) -> None:
        """Read up to where the logs end now; raises HistoryError where the tail is full before."""
        places = [TopicPartition(self._topic, number) for number in self._partitions]
        ends = {place.partition: log.stable for place, log in self._bus.admin().ranges(places).items()}
        while any(self._position[number] < end for number, end in ends.items()):
            if self.turn() == 0:
                self._require_room()

    def snapshot(self) -> Snapshot:
        """The newest version of the table with the rows behind it that were read so far.

        Raises HistoryError where the tail is full: rows that were sent are in neither.
        """
        self._require_room()
        with self._lock:
            batches = [to_stored(rows, self._table.stored) for rows in self._rows()]
            tail = pa.Table.from_batches(batches, schema=self._table.stored)
            return replace(self._table.snapshot(), tail=tail)

    def close(self) -> None:
        """Leave the bus."""
        self._consumer.close()

    def _begin(self, partitions: Sequence[int]) -> None:
        """Forget what is held of some partitions, and read on from where the table ends."""
        places = [TopicPartition(self._topic, number) for number in partitions]
        logs = self._bus.admin().ranges(places)  # the consumer is the reading thread's
        for place in places:
            number, low = place.partition, logs[place].low
            following = next_offsets(self._table, self._topic, [number])[number]
            start = low if following is None else following
            if start < low:
                raise HistoryError(
                    f"{self._topic}[{number}] begins at offset {low} and was captured up to {start}: its "
                    "rows between are lost; a capture with --accept-gap goes on behind them"
                )
            self._next[number] = self._position[number] = start
            self._held[number] = []
        self._begun = True

    def _follow(self) -> None:
        """Come to the newest version, and drop the rows that it has."""
        self._table.refresh()
        back = []
        for number, following in next_offsets(self._table, self._topic, self._partitions).items():
            if following is None or following == self._next[number]:
                continue
            if following < self._next[number]:  # restored
                back.append(number)
                continue
            self._next[number] = following
            self._held[number] = _behind(self._held[number], following)
            if following > self._position[number]:
                self._position[number] = following
                self._begun = True
        if back:
            self._begin(back)

    def _take(self, block: MessageBlock) -> None:
        upper = block.next_offsets()
        for number, place in enumerate(block.sources):
            messages = np.flatnonzero(block.source == number).astype(np.int64)
            if (rows := self._decoded(block, messages, place.partition)) is not None:
                self._held[place.partition] += _behind([rows], self._next[place.partition])
            self._position[place.partition] = upper[place]
        for place, end in block.ends:
            self._position[place.partition] = max(self._position[place.partition], end)

    def _decoded(self, block: MessageBlock, messages: Int64s, partition: int) -> pa.RecordBatch | None:
        """The rows of some messages as the table stores them; dead letters have no place in it."""
        decoded = self._decoder.decode(block, messages)
        if decoded.batch is None:
            return None
        batch, _ = part_without_key(block, messages, decoded.batch, self._table.rules.key)
        return to_stored(with_places(batch.columns, batch.offset, batch.index, partition), self._table.stored)

    def _rows(self) -> list[pa.RecordBatch]:
        return [rows for number in sorted(self._held) for rows in self._held[number]]

    def _held_size(self) -> int:
        return sum(rows.nbytes for rows in self._rows())

    def _require_room(self) -> None:
        with self._lock:
            self._follow()
            size = self._held_size()
            behind = {
                number: self._position[number] - following
                for number, following in self._next.items()
                if self._position[number] > following
            }
        if size >= self._size_max:
            figures = ", ".join(
                f"{count:,} offsets of partition {number}" for number, count in behind.items()
            )
            raise HistoryError(
                f"the tail of {self._topic} is full, {size:,} of {self._size_max:,} bytes: its table lacks "
                f"{figures}, and what came after is not read; is its capture running?"
            )


class Follower:
    """A thread that keeps a tail up to date until it is closed; what fails there is raised by `snapshot`."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._halt = Event()
        self._failed: Exception | None = None
        self._thread = Thread(target=self._run, name="history-tail", daemon=True)
        self._thread.start()

    def snapshot(self) -> Snapshot:
        """The tail's snapshot."""
        if self._failed is not None:
            raise self._failed
        return self._tail.snapshot()

    def close(self) -> None:
        """Stop reading, and leave the bus."""
        self._halt.set()
        self._thread.join()
        self._tail.close()

    def _run(self) -> None:
        try:
            while not self._halt.is_set():
                if self._tail.turn() == 0:
                    self._halt.wait(WAIT_MS / 1_000)
        except Exception as failed:
            self._failed = failed


def _behind(batches: Sequence[pa.RecordBatch], offset: int) -> list[pa.RecordBatch]:
    """The rows of messages from an offset on; batches are in the order of the log."""
    kept = []
    for rows in batches:
        offsets = as_int64s(rows.column(OFFSET))
        first = int(np.searchsorted(offsets, offset))
        if first < rows.num_rows:
            kept.append(rows if first == 0 else rows.slice(first))
    return kept
