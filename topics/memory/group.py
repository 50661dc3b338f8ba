"""A consumer group of the embedded bus: members, generations, the range assignor and committed positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from topics.block import TopicPartition
from topics.bus import AbortableError, BusUnavailableError, GroupStanding, Member, Position, TopicSpec

NOT_JOINED: Final = -1


@dataclass(slots=True)
class _Member:
    client_id: str
    topics: tuple[str, ...]
    ready: bool = False  # owns nothing and waits for the generation to come
    generation: int = NOT_JOINED  # the last one it took its share of
    share: tuple[TopicPartition, ...] = ()


@dataclass(slots=True)
class Group:
    """A group rebalances as Kafka's classic protocol does with an eager assignor.

    When a member joins or leaves, every member gives up all it owns in its next poll; when the last one has,
    the next generation begins, and each takes its share in its next poll.
    """

    name: str
    topics: Mapping[str, TopicSpec]
    committed: dict[TopicPartition, Position] = field(default_factory=dict)
    _pending: dict[int, dict[TopicPartition, Position]] = field(default_factory=dict)
    _members: dict[str, _Member] = field(default_factory=dict)
    _generation: int = 0
    _rebalancing: bool = False
    _joined_count: int = 0

    def join(self, client_id: str, topics: Sequence[str]) -> str:
        """Add a member and return its id; all others must give up what they own."""
        self._joined_count += 1
        member = f"{client_id}-{self._joined_count:06d}"
        self._members[member] = _Member(client_id, tuple(topics))
        self._rebalance()
        return member

    def leave(self, member: str) -> None:
        """Remove a member, in peace or by force."""
        if self._members.pop(member, None) is not None:
            self._rebalance()

    def expel(self, client_id: str) -> None:
        """Remove the members of a client."""
        for member in [name for name, state in self._members.items() if state.client_id == client_id]:
            self.leave(member)

    def topic_changed(self, topic: str) -> None:
        """Deal the partitions anew where a member reads this topic."""
        if any(topic in member.topics for member in self._members.values()):
            self._rebalance()

    def has(self, member: str) -> bool:
        """Whether the group still counts this member."""
        return member in self._members

    def must_give_up(self, member: str) -> bool:
        """Whether a rebalance waits for this member."""
        return self._rebalancing and not self._members[member].ready

    def gave_up(self, member: str) -> None:
        """Note that this member owns nothing any more; the last one to say so begins the generation."""
        self._members[member].ready = True
        self._begin_generation()

    def take_share(self, member: str) -> tuple[TopicPartition, ...] | None:
        """Return this member's partitions, once a generation; None if they have not changed."""
        state = self._members[member]
        if self._rebalancing or state.generation == self._generation:
            return None
        state.generation = self._generation
        return state.share

    def require_member(self, member: str) -> None:
        """Raise AbortableError if a client that is no member of this generation wants to commit."""
        state = self._members.get(member)
        if state is None or state.generation != self._generation:
            raise AbortableError(
                f"group {self.name} is at generation {self._generation} without {member}: "
                "abort, poll, and go on with what is assigned then"
            )

    def hold(self, transaction: int, offsets: Mapping[TopicPartition, Position]) -> None:
        """Keep positions until their transaction ends."""
        self._pending.setdefault(transaction, {}).update(offsets)

    def end(self, transaction: int, *, committed: bool) -> None:
        """Make the held positions of a transaction the committed ones, or forget them."""
        held = self._pending.pop(transaction, {})
        if committed:
            self.committed.update(held)

    def forget(self, topic: str) -> None:
        """Drop the committed positions of a topic, as a broker does when it is deleted."""
        for partition in [one for one in self.committed if one.topic == topic]:
            del self.committed[partition]

    def require_stable(self, partitions: Sequence[TopicPartition]) -> None:
        """Raise BusUnavailableError where an open transaction holds a position of these partitions."""
        for held in self._pending.values():
            for partition in partitions:
                if partition in held:
                    raise BusUnavailableError(
                        f"an open transaction holds the position of {partition.topic}[{partition.partition}] "
                        f"in group {self.name}: ask again when it has ended"
                    )

    def standing(self) -> GroupStanding:
        """The group as it looks from outside; a member owns what it has taken of this generation."""
        members = tuple(
            Member(
                client_id=state.client_id,
                host="embedded",
                partitions=frozenset(state.share if state.generation == self._generation else ()),
            )
            for _, state in sorted(self._members.items())
        )
        settled = not self._rebalancing and all(
            state.generation == self._generation for state in self._members.values()
        )
        return GroupStanding(
            state=("stable" if settled else "rebalancing") if members else "empty",
            members=members,
            committed=dict(self.committed),
        )

    def _rebalance(self) -> None:
        if not self._rebalancing:
            for state in self._members.values():
                state.ready = False
        self._rebalancing = True
        self._begin_generation()

    def _begin_generation(self) -> None:
        if not all(state.ready for state in self._members.values()):
            return
        self._generation += 1
        self._rebalancing = False
        subscriptions = {member: state.topics for member, state in self._members.items()}
        for member, share in range_shares(subscriptions, self.topics).items():
            self._members[member].share = share


def range_shares(
    subscriptions: Mapping[str, Sequence[str]], topics: Mapping[str, TopicSpec]
) -> dict[str, tuple[TopicPartition, ...]]:
    """Return each member's partitions by Kafka's range assignor.

    Per topic, the partitions in order are cut into one run per member, in the order of the member ids, the
    first ones a partition longer.  Equal counts therefore put partition p of every topic on one member.
    """
    shares: dict[str, list[TopicPartition]] = {member: [] for member in subscriptions}
    for topic in sorted({topic for wanted in subscriptions.values() for topic in wanted}):
        if topic not in topics:
            continue
        members = sorted(member for member, wanted in subscriptions.items() if topic in wanted)
        length, longer = divmod(topics[topic].partitions, len(members))
        lower = 0
        for place, member in enumerate(members):
            upper = lower + length + (place < longer)
            shares[member] += [TopicPartition(topic, partition) for partition in range(lower, upper)]
            lower = upper
    return {member: tuple(share) for member, share in shares.items()}
