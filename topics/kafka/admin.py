"""Topics on a Kafka broker: described with their configs, created and deleted, and waited for."""

from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep
from typing import Any, Final, Literal, TypeVar

import confluent_kafka
from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, OffsetSpec, ResourceType

from topics.block import TopicPartition
from topics.bus import (
    BusError,
    BusUnavailableError,
    GroupStanding,
    LogId,
    LogRange,
    Member,
    Position,
    TopicSpec,
)
from topics.kafka.callbacks import weakly
from topics.kafka.errors import AWAY, REFUSED, error_of, raise_bus_error, refusal_text
from topics.kafka.places import kafka_positions
from topics.kafka.settings import LOGGER, REQUEST_TIMEOUT_S
from topics.positions import require_committable

_Answer = TypeVar("_Answer")
_ASK_AGAIN_S: Final = 0.02
_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"  # of brokers before Kafka 2.8
_COUNTS_S: Final = 2.0  # a commit waits for them; who asks again takes a client that finds its broker at once
_UNKNOWN: Final = "UNKNOWN_TOPIC_OR_PART"
_NOT_KNOWN: Final = "topic {} does not exist, or no broker knows of it yet"
_PING_S: Final = 0.5  # how soon a refusal is heard of, which comes beside the answer
# Every other state is one in which members wait: the two protocols have different names for them.
_STATES: Final[dict[Any, Literal["stable", "empty"]]] = {
    ConsumerGroupState.STABLE: "stable",
    ConsumerGroupState.EMPTY: "empty",
    ConsumerGroupState.DEAD: "empty",
}


class KafkaAdmin:
    """See `topics.bus.Admin`; a described topic has all its configs, defaults among them."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        self._refusal: Any = None
        # Weakly: a client in a cycle goes as garbage is collected, and where its own thread, as it brings an
        # answer, happens to do that, librdkafka ends the process.
        error_cb = weakly(self._on_client_error)
        self._client = AdminClient({**settings, "error_cb": error_cb}, logger=LOGGER)

    def names(self) -> list[str]:
        """The topics that exist, as far as we may see them."""
        return list(self._metadata())

    def describe(self, names: Sequence[str]) -> dict[str, TopicSpec | None]:
        """Return each topic as the broker has it, None for a topic that does not exist.

        Raises BusError naming a topic that we may not see: among all topics it would seem to be absent.
        """
        topics = self._metadata()
        self._require_absent([name for name in names if name not in topics])
        present = [name for name in names if name in topics]
        configs = self._configs(present)
        described: dict[str, TopicSpec | None] = dict.fromkeys(names)
        for name in present:
            partitions = topics[name].partitions
            described[name] = TopicSpec(
                name=name,
                partitions=len(partitions),
                replication=min((len(partition.replicas) for partition in partitions.values()), default=0),
                configs=configs[name],
            )
        return described

    def log_ids(self, names: Sequence[str]) -> dict[str, LogId]:
        """What tells the logs of each topic from others.

        Raises BusUnavailableError naming a topic that no broker knows of: one that has just started knows
        none yet.
        """
        answer = self._client.describe_cluster(request_timeout=REQUEST_TIMEOUT_S)
        cluster = _take(answer, "the cluster could not be described", passing=()).cluster_id or ""
        ids = {}
        for name, topic in self._descriptions(names, passing=(_UNKNOWN,)).items():
            if topic is None:
                raise BusUnavailableError(_NOT_KNOWN.format(name))
            ids[name] = LogId(cluster, "" if str(topic.topic_id) == _NO_ID else str(topic.topic_id))
        return ids

    def request_counts(self, names: Sequence[str]) -> Callable[[], dict[str, int]]:
        """Ask how many partitions topics have; what is returned waits for the answer, by topic.

        That call raises BusUnavailableError where no broker answers or knows of a topic: one that has just
        started knows none yet.
        """
        client = self._client
        answers = client.describe_topics(TopicCollection(list(names)), request_timeout=_COUNTS_S)

        def counts(_alive: object = client) -> dict[str, int]:
            by_topic = {}
            for name, answer in answers.items():
                topic = _take(answer, f"topic {name} cannot be described", passing=(_UNKNOWN,))
                if topic is None:
                    raise BusUnavailableError(_NOT_KNOWN.format(name))
                by_topic[name] = len(topic.partitions)
            return by_topic

        return counts

    def create(self, topics: Sequence[TopicSpec]) -> None:
        """Create topics and return when they answer; raises BusError naming the one that failed."""
        if not topics:
            return
        answers = self._client.create_topics(
            [
                NewTopic(
                    topic.name,
                    num_partitions=topic.partitions,
                    replication_factor=topic.replication,
                    config=dict(topic.configs),
                )
                for topic in topics
            ],
            operation_timeout=REQUEST_TIMEOUT_S,
        )
        for name, answer in answers.items():
            _take(answer, f"topic {name} could not be created", passing=())
        wanted = {topic.name: topic.partitions for topic in topics}
        self._await(
            lambda present: all(
                name in present and _leads(present[name]) == count for name, count in wanted.items()
            ),
            f"topics {', '.join(wanted)} were created but do not answer",
        )
        # A broker tells of a leader before that one knows that it leads.
        places = [TopicPartition(name, number) for name, count in wanted.items() for number in range(count)]
        _when_ready(lambda: self._offsets(places, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED))

    def delete(self, names: Sequence[str]) -> None:
        """Delete topics where they exist, with all their messages, and return when they are gone."""
        if not names:
            return
        answers = self._client.delete_topics(list(names), operation_timeout=REQUEST_TIMEOUT_S)
        for name, answer in answers.items():
            _take(answer, f"topic {name} could not be deleted", passing=(_UNKNOWN,))
        self._await(
            lambda present: not any(name in present for name in names),
            f"topics {', '.join(names)} were deleted but still answer",
        )

    def delete_group(self, name: str) -> None:
        """Delete a consumer group where it exists, with all that it committed.

        Raises BusError where it has members.
        """

        def delete() -> None:
            answers = self._client.delete_consumer_groups([name], request_timeout=REQUEST_TIMEOUT_S)
            _take(answers[name], f"group {name} could not be deleted", passing=("GROUP_ID_NOT_FOUND",))

        _when_ready(delete)

    def group(self, name: str) -> GroupStanding:
        """Members, what each owns, and the committed positions of a consumer group, without waiting.

        During a rebalance of Kafka's classic protocol no member is listed with partitions.
        """
        return _when_ready(lambda: self._group(name))

    def _group(self, name: str) -> GroupStanding:
        where = f"group {name} could not be read"
        answers = self._client.describe_consumer_groups([name], request_timeout=REQUEST_TIMEOUT_S)
        description = _take(answers[name], where, passing=("GROUP_ID_NOT_FOUND",))
        offsets = self._client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(name)], request_timeout=REQUEST_TIMEOUT_S
        )
        positions = _take(offsets[name], where, passing=("GROUP_ID_NOT_FOUND",))
        return GroupStanding(
            state="empty" if description is None else _STATES.get(description.state, "rebalancing"),
            members=tuple(
                _member(member) for member in (description.members if description is not None else ())
            ),
            committed={
                TopicPartition(place.topic, place.partition): Position(place.offset, place.metadata or "")
                for place in (positions.topic_partitions if positions is not None else ())
                if place.offset >= 0
            },
        )

    def commit_group(self, name: str, positions: Mapping[TopicPartition, Position]) -> None:
        """Make these the committed positions of a group without members; others that it has stay.

        Raises BusError where it has members, or a partition does not exist.
        """
        require_committable(positions)
        if not positions:
            return
        # A broker takes offsets of topics that do not exist.
        self.ranges(list(positions))
        where = f"positions of group {name} could not be committed"

        def commit() -> None:
            request = ConsumerGroupTopicPartitions(name, kafka_positions(positions))
            answers = self._client.alter_consumer_group_offsets([request], request_timeout=REQUEST_TIMEOUT_S)
            for place in _take(answers[name], where, passing=()).topic_partitions:
                if place.error is not None:
                    raise BusError(f"{where}: {place.topic}[{place.partition}]: {place.error.str()}")

        _when_ready(commit)

    def broker_limits(self, names: Sequence[str]) -> dict[str, int]:
        """Of settings of brokers that are whole numbers, the smallest that any broker has."""
        try:
            brokers = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).brokers
        except KafkaException as raised:
            raise_bus_error(raised, "asking for the brokers")
        resources = [ConfigResource(ResourceType.BROKER, str(number)) for number in brokers]
        answers = self._client.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
        values_of: dict[str, list[int]] = {}
        for answer in answers.values():
            entries = _take(answer, "settings of a broker could not be read", passing=())
            for name in names:
                if name in entries and entries[name].value is not None:
                    values_of.setdefault(name, []).append(int(entries[name].value))
        return {name: min(values) for name, values in values_of.items()}

    def ranges(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, LogRange]:
        """The offsets of each log; raises BusError naming a partition that does not exist."""
        return _when_ready(lambda: self._ranges(partitions))

    def _ranges(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, LogRange]:
        low = self._offsets(partitions, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
        # The stable offset first: it never passes the high one, which is asked later.
        stable = self._offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        high = self._offsets(partitions, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
        return {place: LogRange(low[place], stable[place], high[place]) for place in partitions}

    def _offsets(
        self, partitions: Sequence[TopicPartition], spec: Any, isolation: Any
    ) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        answers = self._client.list_offsets(
            {confluent_kafka.TopicPartition(*place): spec for place in partitions},
            isolation_level=isolation,
            request_timeout=REQUEST_TIMEOUT_S,
        )
        offsets: dict[TopicPartition, int] = {}
        for place, answer in answers.items():
            where = f"the offsets of {place.topic}[{place.partition}] could not be read"
            offsets[TopicPartition(place.topic, place.partition)] = _take(answer, where, passing=()).offset
        return offsets

    def ping(self, timeout_s: float) -> int:
        """Return the number of brokers that answer; raises BusUnavailableError after `timeout_s`.

        Raises BusError as soon as one refuses us, or we it: the client itself would try for ever.
        """
        until_s = monotonic() + timeout_s
        while True:
            wait_s = max(0.01, min(_PING_S, until_s - monotonic()))
            try:
                return len(self._client.list_topics(timeout=wait_s).brokers)
            except KafkaException as raised:
                self._client.poll(0)
                if self._refusal is not None:
                    words = " ".join(self._refusal.str().split())
                    raise BusError(f"{words}; {REFUSED[self._refusal.name()]}") from None
                if error_of(raised).name() not in AWAY or monotonic() >= until_s:
                    raise_bus_error(raised, "asking for the brokers")

    def _on_client_error(self, error: Any) -> None:
        if error.name() in REFUSED:
            self._refusal = error

    def _require_absent(self, names: Sequence[str]) -> None:
        self._descriptions(names, passing=(_UNKNOWN,))

    def _descriptions(self, names: Sequence[str], *, passing: Sequence[str]) -> dict[str, Any]:
        if not names:
            return {}
        answers = self._client.describe_topics(
            TopicCollection(list(names)), request_timeout=REQUEST_TIMEOUT_S
        )
        return {
            name: _take(answer, f"topic {name} cannot be described", passing=passing)
            for name, answer in answers.items()
        }

    def _metadata(self) -> dict[str, Any]:
        try:
            topics: dict[str, Any] = self._client.list_topics(timeout=REQUEST_TIMEOUT_S).topics
        except KafkaException as raised:
            raise_bus_error(raised, "listing topics")
        return topics

    def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        answers = self._client.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_S)
        return {
            resource.name: {
                entry.name: entry.value
                for entry in _take(
                    answer, f"configs of {resource.name} could not be read", passing=()
                ).values()
                if entry.value is not None
            }
            for resource, answer in answers.items()
        }

    def _await(self, holds: Callable[[dict[str, Any]], bool], otherwise: str) -> None:
        until_s = monotonic() + REQUEST_TIMEOUT_S
        while not holds(self._metadata()):
            if monotonic() > until_s:
                raise BusUnavailableError(f"{otherwise} after {REQUEST_TIMEOUT_S:.0f} s")
            sleep(_ASK_AGAIN_S)


def _when_ready(ask: Callable[[], _Answer]) -> _Answer:
    """Ask again while a broker says that it has just begun to serve a group or a partition."""
    until_s = monotonic() + REQUEST_TIMEOUT_S
    while True:
        try:
            return ask()
        except BusUnavailableError:
            if monotonic() > until_s:
                raise
            sleep(_ASK_AGAIN_S)


def _leads(topic: Any) -> int:
    return sum(partition.leader >= 0 for partition in topic.partitions.values())


def _member(description: Any) -> Member:
    return Member(
        client_id=description.client_id,
        host=description.host.lstrip("/"),
        partitions=frozenset(
            TopicPartition(place.topic, place.partition) for place in description.assignment.topic_partitions
        ),
    )


def _take(answer: Any, otherwise: str, *, passing: Sequence[str]) -> Any:
    """Return what a future brought; its failure is ours, with the broker's own words."""
    try:
        return answer.result(timeout=2 * REQUEST_TIMEOUT_S)
    except KafkaException as raised:
        error = error_of(raised)
        if error.name() in passing:
            return None
        kind = BusUnavailableError if error.name() in AWAY else BusError
        raise kind(f"{otherwise}: {refusal_text(error)}") from None
