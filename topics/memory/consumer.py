"""A consumer of the embedded bus: Kafka's group and fetch rules, without a thread or a clock."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from topics.block import MessageBlock, TopicPartition
from topics.bus import AbortableError, BusError, OffsetRangeError, Position, Rebalance
from topics.memory.block import block_of
from topics.memory.group import Group
from topics.memory.log import PartitionLog
from topics.memory.records import Records
from topics.memory.store import CommitFault, MemoryStore
from topics.positions import require_committable


@dataclass(slots=True)
class _Fetch:
    """Where reading stands in one partition."""

    log: PartitionLog
    position: int
    paused: bool = False
    end_reported: int = -1  # the end last reported; told again only after progress


class MemoryConsumer:
    """See `topics.bus.Consumer`; `poll` never waits, since nothing happens while it would."""

    def __init__(self, store: MemoryStore, group: Group, client_id: str) -> None:
        self._store = store
        self._group = group
        self._client_id = client_id
        self._topics: tuple[str, ...] = ()
        self._rebalance: Rebalance | None = None
        self._member: str | None = None
        self._fetches: dict[TopicPartition, _Fetch] = {}
        self._turn = 0
        self._begun: dict[TopicPartition, Position] | None = None
        self._closed = False

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """Join the group; partitions come with a later `poll`."""
        assert self._rebalance is None, "subscribed already"
        assert not self._fetches, "partitions were assigned by hand"
        self._topics = tuple(topics)
        self._rebalance = rebalance
        self._member = self._group.join(self._client_id, self._topics)

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets."""
        assert self._rebalance is None, "the group assigns the partitions of a subscribed consumer"
        self._start(starts)

    def poll(self, *, messages_max: int, wait_ms: int) -> MessageBlock:
        """Return at most `messages_max` messages, shared fairly among the partitions; never waits."""
        assert not self._closed, "the consumer is closed"
        assert messages_max > 0
        assert wait_ms >= 0
        if self._rebalance is not None:
            self._follow_group(self._rebalance)
        fetches = [(partition, fetch) for partition, fetch in self._fetches.items() if not fetch.paused]
        if fetches:
            first = self._turn % len(fetches)
            fetches = fetches[first:] + fetches[:first]
            self._turn += 1
        for partition, fetch in fetches:
            _require_in_log(partition, fetch.position, fetch.log)
        parts = self._read(fetches, messages_max)
        ends = []
        for partition, fetch in fetches:
            if fetch.position >= fetch.log.stable and fetch.end_reported != fetch.position:
                fetch.end_reported = fetch.position
                ends.append((partition, fetch.position))
        return block_of(parts, ends)

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver nothing from these until `resume`."""
        for partition in partitions:
            self._fetches[partition].paused = True

    def resume(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver from these again."""
        for partition in partitions:
            self._fetches[partition].paused = False

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read on from `offset`."""
        assert offset >= 0
        fetch = self._fetches[partition]
        fetch.position = offset
        fetch.end_reported = -1

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position | None]:
        """The group's committed positions; an open transaction on them is a BusUnavailableError."""
        self._group.require_stable(partitions)
        return {partition: self._group.committed.get(partition) for partition in partitions}

    def commit(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Commit positions as this member, outside any transaction."""
        require_committable(offsets)
        fault = self._store.commit_faults.popleft() if self._store.commit_faults else None
        group = self.group_to_commit()
        if fault is CommitFault.REFUSED:
            raise AbortableError("the commit was refused (an injected fault): read the positions back")
        if fault is not CommitFault.LOST:
            group.committed.update(offsets)
        if fault is not None:
            raise AbortableError("the commit's answer was lost (an injected fault): read the positions back")

    def commit_soon(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Begin a commit; it takes effect in `committing`, and a crash before that forgets it."""
        assert self._begun is None, "one commit at a time"
        self.group_to_commit()
        require_committable(offsets)
        self._begun = dict(offsets)

    def committing(self, *, wait: bool = False) -> bool:
        """Finish the commit under way."""
        del wait  # nothing happens while it would
        begun, self._begun = self._begun, None
        if begun is not None:
            self.commit(begun)
        return False

    def offsets(self, partition: TopicPartition) -> tuple[int, int]:
        """The low and the high offset of the log."""
        log = self._store.log(partition)
        return log.low, log.high

    def close(self) -> None:
        """Leave the group."""
        if self._closed:
            return
        if self._rebalance is not None and self._member is not None:
            self._give_up(self._rebalance)
            self._group.leave(self._member)
        self._fetches = {}
        self._closed = True

    def evict(self) -> None:
        """Remove this consumer from its group without its knowledge, as a session timeout does."""
        if self._member is not None:
            self._group.leave(self._member)

    def group_to_commit(self) -> Group:
        """The group, after checking that this consumer may commit to it; else raises AbortableError."""
        if self._member is not None:
            if not self._fetches:
                raise AbortableError("this member owns no partitions now: abort, and poll until it does")
            self._group.require_member(self._member)
        return self._group

    def _follow_group(self, rebalance: Rebalance) -> None:
        assert self._member is not None
        for topic in self._topics:
            if topic not in self._store.topics:
                raise BusError(f"topic {topic} does not exist: create it first")
        if not self._group.has(self._member):
            lost, self._fetches = tuple(self._fetches), {}
            if lost:
                rebalance.lost(lost)
                rebalance.rejoining()
            self._member = self._group.join(self._client_id, self._topics)
        if self._group.must_give_up(self._member):
            self._give_up(rebalance)
            self._group.gave_up(self._member)
        share = self._group.take_share(self._member)
        if share:
            self._start(rebalance.assigned(share))
            assert self._fetches.keys() == set(share), "assigned() must say where to start each partition"

    def _read(
        self, fetches: Sequence[tuple[TopicPartition, _Fetch]], messages_max: int
    ) -> list[tuple[TopicPartition, Records]]:
        """Give each partition an equal share of the messages, and then what others left of theirs."""
        parts: list[tuple[TopicPartition, Records]] = []
        left = messages_max
        for share in (-(-messages_max // max(1, len(fetches))), messages_max):
            for partition, fetch in fetches:
                if left == 0:
                    return parts
                records, fetch.position = fetch.log.read(fetch.position, min(share, left))
                parts += [(partition, part) for part in records]
                left -= sum(part.rows for part in records)
        return parts

    def _give_up(self, rebalance: Rebalance) -> None:
        if self._fetches:
            rebalance.revoked(tuple(self._fetches))
        self._fetches = {}

    def _start(self, starts: Mapping[TopicPartition, int]) -> None:
        self._fetches = {
            partition: _Fetch(self._store.log(partition), offset) for partition, offset in starts.items()
        }


def _require_in_log(partition: TopicPartition, offset: int, log: PartitionLog) -> None:
    if not log.low <= offset <= log.high:
        raise OffsetRangeError(
            f"offset {offset} of {partition.topic}[{partition.partition}] is not in the log, "
            f"which has {log.low} (low) to {log.high} (high)"
        )
