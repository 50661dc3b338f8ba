"""The copy: transactions that write messages and say how far the source was read, both or neither."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from app.errors import UsageError
from app.process.away import wait_out
from app.process.failpoints import COPY_BEGIN, COPY_END, COPY_MESSAGE, COPY_OFFSETS, COPY_STEP, reach
from app.repartition.bounds import Bound, Bounds
from app.repartition.disorder import Disorder
from app.repartition.merge import Merge, Message
from schemas.clocks import NS_PER_MS
from topics.avro.progress import encode_progress
from topics.avro.progress_reader import ProgressReader
from topics.block import TopicPartition
from topics.bus import AbortableError, Admin, Bus, LogRange, Position, Producer, UnknownOutcomeError
from topics.partitioner import partition_of
from topics.wire import Progress, SchemaRegistry

log = structlog.get_logger()

STEP_MESSAGES_MAX: Final = 2_000  # of one transaction, which has ten seconds
STEP_SIZE_MAX: Final = 16 << 20  # bytes, about
RETRIES_MAX: Final = 5  # transactions that fail in a row


@dataclass(slots=True)
class CopyReport:
    """What this process has copied; only committed messages count.

    `moved` counts those whose partition number is another one now, `keyless` those without a key, which keep
    theirs as far as the target has it; `progress` counts the source's progress records, which are not copied,
    `ahead` those among them that are too far ahead to count, and `first_ahead` says which was the first.
    `disorder` is that of the messages copied, by their record times.
    """

    messages: int = 0
    moved: int = 0
    keyless: int = 0
    progress: int = 0
    ahead: int = 0
    first_ahead: str = ""
    disorder: Disorder = field(default_factory=Disorder)

    def add(self, other: "CopyReport") -> None:
        """Count what a transaction copied."""
        self.messages += other.messages
        self.moved += other.moved
        self.keyless += other.keyless
        self.progress += other.progress
        self.ahead += other.ahead
        self.first_ahead = self.first_ahead or other.first_ahead
        self.disorder = other.disorder


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a copy goes."""

    topic: str
    partitions: int

    def home(self, key: bytes | None, source: int) -> int:
        """The partition of a message of source partition `source`."""
        return source % self.partitions if key is None else partition_of(key, self.partitions)


@dataclass(slots=True)
class _Stand:
    """Where a copy stands: by source partition the next offset and the bound, and what gives the messages."""

    following: dict[int, int]
    bounds: Bounds
    merge: Merge

    def positions(self, topic: str) -> dict[TopicPartition, Position]:
        """What to commit."""
        return {
            TopicPartition(topic, source): Position(offset, self.bounds.by_source[source].to_metadata())
            for source, offset in self.following.items()
        }


def copy_name(target: str) -> str:
    """The group whose positions say how far a copy has come; it is the copier's transactional id too."""
    return f"{target}-repartition"


class Copy:
    """Copies what is in a topic now to a target that exists, each key to its partition, exactly once.

    Keys, values, headers and times stay, and so does the order of each source partition.  Progress records
    are made anew (`Bounds`).  The positions of the source, with their bounds, are committed in the
    transaction that writes the messages: whatever dies, the same copy goes on, and its target is the one it
    would be.

    An open transaction in a source partition ends the copy there, for all partitions: what they got after it
    is left for the next copy, since what the transaction writes would come behind (`cut_by`).
    """

    def __init__(
        self,
        bus: Bus,
        registry: SchemaRegistry,
        source: str,
        target: str,
        partitions: int,
        *,
        latest_ns: int | None = None,
    ) -> None:
        """`partitions` are the target's; both topics exist.  `latest_ns` is the latest bound to believe.

        A progress record beyond it says nothing: a worker would set it aside, and here it would raise the
        bound of its source partition for good.  Raises UsageError where the group belongs to a copy of
        another topic.
        """
        self.report = CopyReport()
        self.done = False
        self._bus, self._registry, self._source = bus, registry, source
        self._target = _Target(target, partitions)
        self._latest_ns = latest_ns
        admin = bus.admin()
        count = wait_out(lambda: bus.admin().request_counts([source])()[source])
        require_own(admin.group(copy_name(target)).committed, source, target)
        self._ranges = _read_ranges(admin, [TopicPartition(source, number) for number in range(count)])
        self._consumer = bus.consumer(group=copy_name(target), client_id=copy_name(target))
        self._producer: Producer | None = None
        self._failures = 0
        self._stand = self._take_up()

    @property
    def cut_by(self) -> tuple[TopicPartition, int] | None:
        """The source partition and the offset of the open transaction that ended the copy early."""
        source = self._stand.merge.cut_by
        if source is None:
            return None
        place = TopicPartition(self._source, source)
        return place, self._ranges[place].stable

    def run(self, *, show: Callable[["Copy"], None] = lambda _: None) -> CopyReport:
        """Copy the rest; `show` is called after each transaction."""
        while not self.done:
            self.step()
            show(self)
        return self.report

    def step(self) -> None:
        """Copy one transaction's worth; `done` tells whether that was the last.

        A transaction that the broker aborts, or whose outcome it does not tell, is taken up again from the
        committed positions; after `RETRIES_MAX` in a row the error is raised.
        """
        reach(COPY_STEP)
        messages = self._taken()
        if not messages:
            self.done = True
            return
        attempt = CopyReport(disorder=self.report.disorder.copy())
        try:
            self._write(messages, attempt)
        except (AbortableError, UnknownOutcomeError) as undone:
            self._failures += 1
            if self._failures > RETRIES_MAX:
                raise
            log.warning("a transaction failed; going on from the last commit", reason=str(undone))
            self._stand = self._take_up()
        if all(self._stand.following[message.source] > message.offset for message in messages):
            self._failures = 0  # it counts, also where only the answer was lost
            self.report.add(attempt)

    def close(self) -> None:
        """Let the clients go; an open transaction is aborted."""
        if self._producer is not None:
            self._producer.close()
            self._producer = None
        self._consumer.close()

    def _take_up(self) -> _Stand:
        """Fence whoever copies to this target, then stand where the last committed transaction ended."""
        if self._producer is not None:
            self._producer.close()
        name = copy_name(self._target.topic)
        self._producer = self._bus.producer(transactional_id=name, client_id=name)
        committed = wait_out(lambda: self._consumer.committed(list(self._ranges)))
        following: dict[int, int] = {}
        bounds: dict[int, Bound] = {}
        for (topic, source), log_range in self._ranges.items():
            position = committed[TopicPartition(topic, source)]
            if position is None:
                following[source], bounds[source] = log_range.low, Bound()
            else:
                following[source] = position.offset
                bounds[source] = Bound.from_metadata(position.metadata, f"{topic}[{source}]")
        ends = {place.partition: log_range.stable for place, log_range in self._ranges.items()}
        merge = Merge(
            self._consumer,
            self._source,
            following,
            ends,
            ProgressReader(self._registry, headed=True),
            undecided={place.partition for place, one in self._ranges.items() if one.stable < one.high},
        )
        return _Stand(following, Bounds(bounds), merge)

    def _taken(self) -> list[Message]:
        taken: list[Message] = []
        size = 0
        while len(taken) < STEP_MESSAGES_MAX and size < STEP_SIZE_MAX:
            message = self._stand.merge.next()
            if message is None:
                break
            taken.append(message)
            size += len(message.original.value or b"")
        return taken

    def _write(self, messages: Sequence[Message], report: CopyReport) -> None:
        """One transaction: the messages, the bounds they bring, and where that leaves us."""
        producer = self._producer
        assert producer is not None, "the copy is closed"
        stand = self._stand
        reach(COPY_BEGIN)
        producer.begin()
        for message in messages:
            reach(COPY_MESSAGE)
            if message.progress is not None:
                report.progress += 1
                if self._latest_ns is not None and message.progress.upper_ns > self._latest_ns:
                    report.ahead += 1
                    report.first_ahead = report.first_ahead or self._place_of(message)
                else:
                    self._tell(producer, stand.bounds.see_progress(message.source, message.progress))
            else:
                stand.bounds.see_row(message.source)
                self._copy(producer, message, report)
            stand.following[message.source] = message.offset + 1
        reach(COPY_OFFSETS)
        producer.send_offsets(stand.positions(self._source), self._consumer)
        reach(COPY_END)
        producer.commit()

    def _place_of(self, message: Message) -> str:
        return f"{self._source}[{message.source}] offset {message.offset}"

    def _copy(self, producer: Producer, message: Message, report: CopyReport) -> None:
        original = message.original
        partition = self._target.home(original.key, message.source)
        report.messages += 1
        report.moved += partition != message.source
        report.keyless += original.key is None
        if original.timestamp_ms >= 0:
            report.disorder.see(partition, original.timestamp_ms)
        producer.produce(
            self._target.topic,
            partition=partition,
            key=original.key,
            value=original.value,
            headers=original.headers,
            timestamp_ms=original.timestamp_ms if original.timestamp_ms >= 0 else None,
        )

    def _tell(self, producer: Producer, record: Progress | None) -> None:
        if record is None:
            return
        value = encode_progress(self._registry, record)
        for partition in range(self._target.partitions):
            producer.produce(
                self._target.topic,
                partition=partition,
                key=None,
                value=value,
                timestamp_ms=max(0, record.upper_ns // NS_PER_MS),
            )


def require_own(committed: Iterable[TopicPartition], source: str, target: str) -> None:
    """Raise UsageError where positions `committed` by the target's group are of another topic."""
    others = sorted({place.topic for place in committed} - {source})
    if others:
        raise UsageError(f"{target} is a copy of {others[0]} already: copy {source} to another topic")


def _read_ranges(admin: Admin, places: Sequence[TopicPartition]) -> dict[TopicPartition, LogRange]:
    """The offsets to copy of each log; `stable` is below `high` only behind an open transaction.

    A log that is written to has a higher end a moment later, so that one question shows both alike.
    """
    ranges = wait_out(lambda: admin.ranges(places))
    undecided = [place for place, one in ranges.items() if one.stable < one.high]
    for place, later in wait_out(lambda: admin.ranges(undecided)).items():
        low, _, high = ranges[place]
        if later.stable >= high:
            ranges[place] = LogRange(low, high, high)
    return ranges
