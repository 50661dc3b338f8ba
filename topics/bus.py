"""The bus: the few things Tidemark asks of a log, with two implementations, Kafka and the embedded one.

Names and rules are Kafka's.  Both implementations pass `tests/contract/bus`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from topics.block import Headers, MessageBlock, TopicPartition
from topics.outgoing import Outgoing


class BusError(Exception):
    """The bus could not do it; the message says what, where, and what to do."""


class BusUnavailableError(BusError):
    """No broker answers; try again later."""


class AbortableError(BusError):
    """The open transaction cannot be committed: abort it, rewind the inputs, begin another."""


class FencedError(BusError):
    """Another worker took this transactional id or these partitions: stop, it goes on elsewhere."""


class UnknownOutcomeError(BusError):
    """A commit's answer was lost: make a new producer with the same id, then read the committed offsets."""


class ExpiredError(UnknownOutcomeError):
    """The broker ended the transaction for its age: nothing of it counts.

    To the broker its producer is fenced, as one of a worker that hung and was replaced would be; so make sure
    that this one was not, before a new producer ends what the heir's does.
    """


class OffsetRangeError(BusError):
    """A start offset is not in the log; the message has low, high and the offset."""


@dataclass(frozen=True, slots=True)
class Position:
    """A committed offset: where a restart reads from, and up to 4 KB of metadata beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it should be; `configs` are the broker's own names and values as text."""

    name: str
    partitions: int
    replication: int = 1
    configs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a consumer group and what it owns."""

    client_id: str
    host: str
    partitions: frozenset[TopicPartition]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStanding:
    """A consumer group seen from outside; `state` is empty where the group does not exist.

    `committed` holds the last committed positions; what an open transaction will commit is not among them.
    """

    state: Literal["stable", "rebalancing", "empty"]
    members: tuple[Member, ...]
    committed: Mapping[TopicPartition, Position]


class LogRange(NamedTuple):
    """The offsets of a log: readers of committed messages see `low` up to before `stable`.

    Between `stable` and `high` lie messages behind the oldest open transaction.
    """

    low: int
    stable: int
    high: int


class MessageLimit(NamedTuple):
    """The most bytes that a message of one topic may have, headers counted, and the setting that says so."""

    size: int
    setting: str


class LogId(NamedTuple):
    """What tells the logs of a topic from others of the same name: the ids of its cluster and of the topic.

    A topic that is deleted and created anew has another id.  Empty where a broker gives none.
    """

    cluster: str
    topic: str


class Rebalance(Protocol):
    """Callbacks that `poll` makes, in the caller's thread, when the group moves partitions."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Take these partitions over; return the offset (0 or more) at which to start each.

        Those that were ours before and were not revoked since stay ours: the consumer protocol moves
        partitions one by one, the classic one revokes everything first.
        """
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """These go to another member when this returns: the last chance to commit them."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These are gone already: forget them, commit nothing."""
        ...

    def rejoining(self) -> None:
        """This member is about to join again, since its partitions were lost.

        Raise FencedError where another client has its place: then it stays away, and `poll` raises that.
        Positions sent to a transaction from here go out as from the member that it was: the broker refuses
        them where another has its place.
        """
        ...

    def replaced(self, reason: Literal["rejoined", "strayed"]) -> None:
        """A new client goes on in place of one that was turned away, or did not find its group any more."""
        ...


class Consumer(Protocol):
    """Reads committed messages only (`read_committed`).  One thread at a time.

    A consumer either joins a group with `subscribe` (range assignor) or takes partitions with `assign`.
    """

    def subscribe(self, topics: Sequence[str], rebalance: Rebalance) -> None:
        """Join the group; `rebalance` is called from inside `poll` and `close`."""
        ...

    def assign(self, starts: Mapping[TopicPartition, int]) -> None:
        """Read these partitions from these offsets, outside any group's assignment."""
        ...

    def poll(self, *, messages_max: int, wait_ms: int) -> MessageBlock:
        """Return what is there, at once if anything is, else after at most `wait_ms`."""
        ...

    def pause(self, partitions: Sequence[TopicPartition]) -> None:
        """Deliver nothing from these until `resume`; the position stays."""
        ...

    def resume(self, partitions: Sequence[TopicPartition]) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go on at `offset`; messages read ahead are dropped."""
        ...

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, Position | None]:
        """The group's committed positions; waits for open transactions on them to end."""
        ...

    def commit(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Commit positions of the group as this member, outside any transaction; returns once they count.

        Raises AbortableError where the group has moved on without this member or no answer came (read the
        committed positions back), FencedError where another client took this member's place.
        """
        ...

    def commit_soon(self, offsets: Mapping[TopicPartition, Position]) -> None:
        """Begin to commit positions as `commit` does; `committing` tells when they count.  One at a time."""
        ...

    def committing(self, *, wait: bool = False) -> bool:
        """Whether what `commit_soon` began is still under way; raises, once, what `commit` would have."""
        ...

    def offsets(self, partition: TopicPartition) -> tuple[int, int]:
        """The low and the high offset of the log: first kept message, and one past the last."""
        ...

    def close(self) -> None:
        """Leave the group; `revoked` is called for what is owned."""
        ...


class Producer(Protocol):
    """Writes messages; with a transactional id, only inside transactions, and atomically.

    A `partition` of None lets the key choose: murmur2 as the Java client does.
    """

    def begin(self) -> None: ...

    def produce(
        self,
        topic: str,
        *,
        partition: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Queue a message; waits for room where the queue is full, raises what delivery has come to."""
        ...

    def produce_many(self, topic: str, messages: Outgoing) -> None:
        """Queue messages in their order, as `produce` would each; raises what that raises."""
        ...

    def send_offsets(self, offsets: Mapping[TopicPartition, Position], consumer: Consumer) -> None:
        """Make these positions of the consumer's group part of the open transaction."""
        ...

    def commit(self) -> None:
        """Make everything since `begin` visible at once; raises AbortableError, FencedError or
        UnknownOutcomeError.
        """
        ...

    def abort(self) -> None: ...

    def flush(self) -> None:
        """Return when everything produced has been acknowledged (without a transaction)."""
        ...

    def mark(self) -> int:
        """Name everything produced so far (without a transaction), for `reached`."""
        ...

    def reached(self, mark: int) -> bool:
        """Whether everything up to a mark is acknowledged; never waits, raises what delivery came to."""
        ...

    def close(self) -> None: ...


class Admin(Protocol):
    """Topics and groups seen from outside: nothing here joins a group or moves a partition."""

    def names(self) -> list[str]:
        """The topics that exist, as far as we may see them."""
        ...

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Return each topic as the broker has it, None for a topic that does not exist."""
        ...

    def log_ids(self, names: Sequence[str]) -> dict[str, LogId]:
        """What tells the logs of each topic from others; raises BusError naming one that does not exist."""

    def request_counts(self, names: Sequence[str]) -> Callable[[], dict[str, int]]:
        """Ask how many partitions topics have; what is returned waits for the answer, by topic.

        That call raises BusUnavailableError where no broker answers or knows of a topic.
        """
        ...

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create topics and return when they answer; raises BusError naming the one that failed."""
        ...

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics where they exist, with all their messages."""
        ...

    def delete_group(self, name: str) -> None:
        """Delete a consumer group where it exists, with all that it committed.

        Raises BusError where it has members.
        """
        ...

    def group(self, name: str) -> GroupStanding:
        """Members, what each owns, and the committed positions of a consumer group, without waiting."""
        ...

    def commit_group(self, name: str, positions: Mapping[TopicPartition, Position]) -> None:
        """Make these the committed positions of a group without members; others that it has stay.

        Raises BusError where it has members, or a partition does not exist.
        """
        ...

    def broker_limits(self, names: Sequence[str]) -> dict[str, int]:
        """Of settings of brokers that are whole numbers, the smallest that any broker has.

        What no broker tells is left out.
        """
        ...

    def ranges(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, LogRange]:
        """The offsets of each log; raises BusError naming a partition that does not exist."""
        ...


class Bus(Protocol):
    """Makes clients of one log."""

    @property
    def name(self) -> str:
        """What to print: `kafka 127.0.0.1:9092` or `embedded`."""
        ...

    def consumer(self, *, group: str, client_id: str = "tidemark", to_end: bool = False) -> Consumer:
        """Make a consumer of a group; one that reads `to_end` alone hears of an end without a wait."""
        ...

    def producer(self, *, transactional_id: str | None = None, client_id: str = "tidemark") -> Producer: ...

    def admin(self) -> Admin: ...

    def vacate(self, *, group: str, client_id: str, topics: Sequence[str]) -> None:
        """Give up the place in a group that a member of these settings keeps after it has ended.

        Whoever has that place and still runs is fenced.  Raises BusError where the group does not answer.
        """
        ...

    def message_limits(self, topics: Sequence[str]) -> dict[str, MessageLimit]:
        """How large a message each topic takes from our producers, by its name.

        Raises BusError naming a topic that does not exist, or that takes less than a producer gathers.
        """
        ...
