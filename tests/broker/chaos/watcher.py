"""The watcher: reads the aligned topic all along, as a model service does, and keeps what it must never see.

It reads committed messages only.  Whether one it saw was aborted later shows at the end: what is committed
then must be what it has seen.
"""

import threading
from dataclasses import dataclass, field
from time import monotonic

import pyarrow as pa
from confluent_kafka import IsolationLevel

from tests.broker.chaos.log_reader import POLL_S, committed_reader, ends, is_end

LEAVE_S = 30.0
SILENT_S = 15.0  # a client that a restart left without a broker (topics/kafka/rebootstrap) is made anew


@dataclass(slots=True)
class Seen:
    """What went by: `messages` by (partition, offset), `arrivals_s` the monotonic moment and rows of each."""

    messages: set[tuple[int, int]] = field(default_factory=set)
    rows: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    arrivals_s: list[tuple[float, int]] = field(default_factory=list)

    def recovered_s(self, since_s: float) -> float | None:
        """How long after `since_s` the first rows came, None where none has."""
        return next((moment - since_s for moment, _ in self.arrivals_s if moment > since_s), None)


class Watcher:
    """A thread that reads from `start` until `close`."""

    def __init__(self, bootstrap: str, topic: str, partitions: int, *, repeats: bool) -> None:
        self.seen = Seen()
        self._places = [(topic, number) for number in range(partitions)]
        self._bootstrap = bootstrap
        self._repeats = repeats
        self._rows: set[tuple[int, int, int]] = set()
        self._last: dict[int, tuple[int, ...]] = {}
        self._leaving = threading.Event()
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._watch, name="watcher")

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Return once everything that is committed has been read; raise what the reading came to."""
        self.end()
        if self._failed:
            raise self._failed.pop()

    def require_reading(self) -> None:
        """Raise what the reading came to, where it has ended."""
        if self._failed:
            raise self._failed[0]

    def end(self) -> None:
        """Return once that has been read, or once it is given up."""
        self._leaving.set()
        self._thread.join()

    def _watch(self) -> None:
        try:
            reader = committed_reader(self._bootstrap, self._places)
            reached, wanted = dict.fromkeys(self._places, 0), dict[tuple[str, int], int]()
            deadline_s, heard_s = float("inf"), dict.fromkeys(self._places, monotonic())
            while not wanted or any(reached[place] < end for place, end in wanted.items()):
                assert monotonic() < deadline_s, f"the end of {wanted} was not read, only {reached}"
                if monotonic() - min(heard_s.values()) > SILENT_S:
                    reader.close()
                    reader = committed_reader(self._bootstrap, self._places, reached)
                    heard_s = dict.fromkeys(self._places, monotonic())
                for message in reader.consume(1_000, POLL_S):
                    ended = is_end(message)
                    if not ended and message.error() is not None:
                        continue
                    place = (message.topic(), message.partition())
                    heard_s[place], reached[place] = monotonic(), message.offset() + (not ended)
                    if not ended:
                        self._take(message.partition(), message.offset(), message.value())
                if self._leaving.is_set() and not wanted:
                    deadline_s = monotonic() + LEAVE_S
                    wanted = dict(ends(self._bootstrap, self._places, IsolationLevel.READ_COMMITTED))
            reader.close()
        except BaseException as raised:  # raised again by close
            self._failed.append(raised)

    def _take(self, partition: int, offset: int, value: bytes) -> None:
        with pa.ipc.open_stream(value) as frame:
            rows = frame.read_all().select(["event_ns", "left_offset", "left_index"])
        self.seen.messages.add((partition, offset))
        self.seen.rows += rows.num_rows
        self.seen.arrivals_s.append((monotonic(), rows.num_rows))
        for place in zip(*(column.to_pylist() for column in rows.columns), strict=True):
            row = (partition, *place[1:])
            if row in self._rows:
                self.seen.duplicated += not self._repeats
                continue
            self._rows.add(row)
            self.seen.out_of_order += place < self._last.get(partition, place)
            self._last[partition] = place
