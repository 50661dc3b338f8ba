"""Source partitions merged into one order, which their logs alone decide: the oldest message comes next.

Rows of several source partitions meet in a target partition.  By the order of arrival one could run hours
ahead of another there, and what comes behind would be late.  Merged by record time, the record times of a
target partition are no more out of order than those of its worst source were, but for the millisecond that
they have.

A record time is the event time of the last row of its message, whatever clock a pipeline joins on.  So the
rows of a block may come as much behind others as the block spans, and known times by as much as they trail
the event times: no order of whole messages mends the first, and the second is not read here.
"""

import heapq
from collections import deque
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import numpy as np

from app.repartition.homes import Home, MessageReader
from topics.block import Original, TopicPartition
from topics.bus import Consumer
from topics.wire import Progress

MESSAGES_MAX: Final = 1_000  # of one poll
WAIT_MS: Final = 100
READ_AHEAD_SIZE: Final = 64 << 20  # bytes over all partitions, and at least one message of each


class Message(NamedTuple):
    """A message of a source partition, and what it says where it is a progress record.

    `home` is where its rows belong by their columns, None where its key says that.
    """

    source: int
    offset: int
    original: Original
    progress: Progress | None
    home: Home | None = None


class Merge:
    """Gives the messages of a topic's partitions in order of record time, each partition's in its own order.

    A choice is made only while the next message of every partition that has more is known, so the same logs
    read from the same places give the same order.  A progress record comes as soon as it is next: it delays
    nobody.  Equal times go by offset, so that partitions without times of worth take turns.

    `cut_by` is the partition at whose end the merge ended early: more of it is in an open transaction, and
    would come behind newer messages of the others.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        starts: Mapping[int, int],
        ends: Mapping[int, int],
        reader: MessageReader,
        *,
        undecided: AbstractSet[int] = frozenset(),
    ) -> None:
        """Read each partition from its start up to before its end; `undecided` ones have more behind it."""
        self.cut_by: int | None = min((one for one in undecided if starts[one] >= ends[one]), default=None)
        self._consumer = consumer
        self._topic = topic
        self._reader = reader
        self._undecided = undecided
        self._ends = {source: end for source, end in ends.items() if starts[source] < end}
        self._ahead: dict[int, deque[Message]] = {source: deque() for source in self._ends}
        self._size = dict.fromkeys(self._ends, 0)
        self._paused: set[int] = set()
        self._unknown = set(self._ends)  # partitions that may have more, and whose next message is not here
        self._read_up = set[int]()
        self._heads: list[tuple[int, int, int, int]] = []
        consumer.assign({TopicPartition(topic, source): starts[source] for source in self._ends})

    def next(self) -> Message | None:
        """Return the next message, None at the end; waits for the broker."""
        while self._unknown and self.cut_by is None:
            self._poll()
        if self.cut_by is not None or not self._heads:
            return None
        *_, source = heapq.heappop(self._heads)
        ahead = self._ahead[source]
        message = ahead.popleft()
        self._size[source] -= _size_of(message)
        if ahead:
            self._push(ahead[0])
        elif source not in self._read_up:
            self._unknown.add(source)
        else:
            self._run_out(source)
        if source in self._paused and self._size[source] <= self._size_max // 2:
            self._paused.discard(source)
            self._consumer.resume([TopicPartition(self._topic, source)])
        return message

    @property
    def _size_max(self) -> int:
        return READ_AHEAD_SIZE // max(1, len(self._ends))

    def _run_out(self, source: int) -> None:
        """Note that a partition has no more message before its end."""
        if source in self._undecided and self.cut_by is None:
            self.cut_by = source

    def _poll(self) -> None:
        block = self._consumer.poll(messages_max=MESSAGES_MAX, wait_ms=WAIT_MS)
        for number, place in enumerate(block.sources):
            arrived = np.flatnonzero(block.source == number)
            # What was written since the copy began is left for the next one.
            messages = arrived[block.offset[arrived] < self._ends[place.partition]]
            progress, homes = self._reader.read(block, messages)
            for index in messages.tolist():
                offset = int(block.offset[index])
                original, home = block.originals[index], homes.get(offset)
                self._keep(Message(place.partition, offset, original, progress.get(offset), home))
            self._end(place.partition, int(block.offset[arrived[-1]]) + 1)
            self._pause_if_full(place.partition)
        for place, end in block.ends:
            if place.partition in self._ends:  # of those that were read to their ends before, none is news
                self._end(place.partition, end)

    def _keep(self, message: Message) -> None:
        ahead = self._ahead[message.source]
        ahead.append(message)
        self._size[message.source] += _size_of(message)
        if len(ahead) == 1:
            self._push(message)
            self._unknown.discard(message.source)

    def _end(self, source: int, following: int) -> None:
        """Note that everything before the offset `following` has been read."""
        if following >= self._ends[source]:
            self._read_up.add(source)
            self._unknown.discard(source)
            if not self._ahead[source]:
                self._run_out(source)

    def _pause_if_full(self, source: int) -> None:
        if source not in self._paused and self._size[source] > self._size_max:
            self._paused.add(source)
            self._consumer.pause([TopicPartition(self._topic, source)])

    def _push(self, message: Message) -> None:
        time_ms = message.original.timestamp_ms
        rank = (0, 0, 0) if message.progress is not None else (1, time_ms, message.offset)
        heapq.heappush(self._heads, (*rank, message.source))


def _size_of(message: Message) -> int:
    return len(message.original.value or b"") + len(message.original.key or b"") + 100
